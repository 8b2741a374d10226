/* SPDX-License-Identifier: MIT */
/*
 * Writing into the page cache of a block device by its special file. Where a folio has buffer heads, blocks
 * that are written become dirty one by one, and nothing that was verified before is taken as such any more.
 */
#include "cache/buffer_internal.h"
#include "cache/cache_internal.h"
#include "cache/writeback.h"

// A locked folio that is up to date. Others may read or change single blocks of it through their heads.
static int grab_uptodate_folio(struct address_space *mapping, pgoff_t index, struct folio **out)
{
	for (;;) {
		int err = read_mapping_folio(mapping, index, out);

		if (err)
			return err;
		folio_lock(*out);
		if (folio_mapping(*out) == mapping)
			return 0;
		folio_unlock(*out);
		folio_put(*out);
	}
}

int blkdev_write_begin(struct address_space *mapping, u64 pos, size_t *len, struct folio **out)
{
	struct folio *folio;
	size_t offset;
	int err = filemap_grab_folio(mapping, pos >> PAGE_SHIFT, mapping->min_order, &folio);

	if (err)
		return err;
	offset = pos - folio_pos(folio);
	*len = min(*len, folio_size(folio) - offset);
	// Overwritten whole, and no block of it in use: what the disk has does not matter.
	if (folio_test_uptodate(folio) || (*len == folio_size(folio) && !folio_test_private(folio))) {
		*out = folio;
		return 0;
	}
	folio_unlock(folio);
	folio_put(folio);
	return grab_uptodate_folio(mapping, pos >> PAGE_SHIFT, out);
}

static void blkdev_dirty_blocks(struct folio *folio, size_t offset, size_t len)
{
	struct buffer_head *heads = folio_get_private(folio);

	for (size_t i = offset / heads->b_size; i <= (offset + len - 1) / heads->b_size; i++) {
		buffer_forget_verified(&heads[i]);
		mark_buffer_dirty(&heads[i]);
	}
}

void blkdev_write_end(struct address_space *mapping, u64 pos, size_t copied, struct folio *folio)
{
	if (!folio_test_uptodate(folio))
		folio_mark_uptodate(folio);
	if (folio_test_private(folio) && copied)
		blkdev_dirty_blocks(folio, pos - folio_pos(folio), copied);
	else
		(void)filemap_dirty_folio(mapping, folio);
	folio_unlock(folio);
	folio_put(folio);
}

bool blkdev_release_folio(struct folio *folio)
{
	struct buffer_head *heads = folio_get_private(folio);

	for (size_t i = 0; heads && i < folio_size(folio) / heads->b_size; i++)
		if (buffer_dirty(&heads[i]) || buffer_test(&heads[i], BH_Lock) ||
		    READ_ONCE(heads[i].b_private))
			return false;
	return true;
}
