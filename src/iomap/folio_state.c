/* SPDX-License-Identifier: MIT */
/*
 * The state of a folio of several blocks: see iomap_internal.h; and what the cache asks about it.
 */
#include "iomap/iomap_internal.h"

#include "base/alloc.h"

static size_t ifs_bytes(unsigned nr_blocks)
{
	return sizeof(struct iomap_folio_state) + 2 * BITS_TO_LONGS(nr_blocks) * sizeof(unsigned long);
}

void ifs_free(struct folio *folio, struct shale *machine)
{
	struct iomap_folio_state *ifs = folio_detach_private(folio);

	if (!ifs)
		return;
	machine_uncharge(machine, ifs_bytes(ifs->nr_blocks));
	kfree(ifs);
}

struct iomap_folio_state *ifs_alloc(struct folio *folio, unsigned blkbits)
{
	struct shale *machine = folio_mapping(folio)->machine;
	unsigned nr_blocks = folio_size(folio) >> blkbits;
	struct iomap_folio_state *ifs = kzalloc(machine, ifs_bytes(nr_blocks));

	if (!ifs)
		return NULL;
	machine_charge(machine, ifs_bytes(nr_blocks));
	atomic_set(&ifs->pending, 1);
	ifs->nr_blocks = nr_blocks;
	ifs->blkbits = blkbits;
	if (folio_test_uptodate(folio))
		ifs_set_range_uptodate(ifs, 0, folio_size(folio));
	if (folio_test_dirty(folio))
		ifs_set_range_dirty(ifs, 0, folio_size(folio));
	folio_attach_private(folio, ifs);
	return ifs;
}

static void set_range(const struct iomap_folio_state *ifs, unsigned long *bits, size_t offset, size_t len)
{
	for (size_t i = offset >> ifs->blkbits; i <= (offset + len - 1) >> ifs->blkbits; i++)
		set_bit(i, bits);
}

void ifs_set_range_uptodate(struct iomap_folio_state *ifs, size_t offset, size_t len)
{
	set_range(ifs, ifs_uptodate(ifs), offset, len);
}

void ifs_set_range_dirty(struct iomap_folio_state *ifs, size_t offset, size_t len)
{
	set_range(ifs, ifs_dirty(ifs), offset, len);
}

// Only blocks that lie in the range as a whole.
void ifs_clear_range_dirty(struct iomap_folio_state *ifs, size_t offset, size_t len)
{
	size_t end = (offset + len) >> ifs->blkbits;

	for (size_t i = DIV_ROUND_UP(offset, (size_t)1 << ifs->blkbits); i < end; i++)
		clear_bit(i, ifs_dirty(ifs));
}

size_t ifs_run(struct iomap_folio_state *ifs, size_t offset, size_t len, bool *uptodate)
{
	size_t first = offset >> ifs->blkbits, i = first;

	*uptodate = test_bit(i, ifs_uptodate(ifs));
	while (i <= (offset + len - 1) >> ifs->blkbits && test_bit(i, ifs_uptodate(ifs)) == *uptodate)
		i++;
	return min(len, (i << ifs->blkbits) - offset);
}

size_t ifs_next_dirty_run(struct iomap_folio_state *ifs, size_t *offset, size_t end)
{
	size_t i = *offset >> ifs->blkbits, last = (end - 1) >> ifs->blkbits, first;

	while (i <= last && !test_bit(i, ifs_dirty(ifs)))
		i++;
	first = i;
	while (i <= last && test_bit(i, ifs_dirty(ifs)))
		i++;
	*offset = first << ifs->blkbits;
	return (i - first) << ifs->blkbits;
}

bool iomap_is_partially_uptodate(struct folio *folio, size_t from, size_t count)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);
	bool uptodate;

	if (!ifs || !count)
		return false;
	return ifs_run(ifs, from, min(count, folio_size(folio) - from), &uptodate) >= count && uptodate;
}

void iomap_invalidate_folio(struct folio *folio, size_t offset, size_t length)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);

	if (offset == 0 && length == folio_size(folio))
		ifs_free(folio, folio_mapping(folio)->machine);
	else if (ifs)
		ifs_clear_range_dirty(ifs, offset, length); // zeroes now, and no block is to be made for them
}

bool iomap_release_folio(struct folio *folio)
{
	if (folio_test_dirty(folio) || folio_test_writeback(folio))
		return false;
	ifs_free(folio, folio_mapping(folio)->machine);
	return true;
}
