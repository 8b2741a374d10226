/* SPDX-License-Identifier: MIT */
/*
 * Taking folios out of a mapping: truncation (they go, whoever uses them), invalidation (clean and unused
 * ones only), and the view of what is cached as data and holes.
 *
 * Truncation waits for each folio's lock and for its writeback, so for I/O under way; who still holds a
 * reference keeps the memory, no longer part of any file. The caller holds invalidate_lock exclusive, or is
 * the last user of the mapping.
 */
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"
#include "cache/writeback.h"

#include <errno.h>
#include <string.h>

// The part [from, to) of a locked folio goes: whole folios leave the index, of others that part becomes
// zeroes.
static void truncate_folio(struct address_space *mapping, struct folio *folio, u64 lstart, u64 lend)
{
	u64 pos = folio_pos(folio), end = pos + folio_size(folio);
	size_t from = lstart > pos ? lstart - pos : 0;
	size_t to = lend < end - 1 ? lend + 1 - pos : folio_size(folio);

	folio_wait_writeback(folio);
	if (from == 0 && to == folio_size(folio)) {
		folio_cancel_dirty(folio);
		if (folio_test_private(folio) && mapping->a_ops->invalidate_folio)
			mapping->a_ops->invalidate_folio(folio, from, to - from);
		filemap_remove_folio(folio);
		return;
	}
	memset((char *)folio_address(folio) + from, 0, to - from);
	if (folio_test_private(folio) && mapping->a_ops->invalidate_folio)
		mapping->a_ops->invalidate_folio(folio, from, to - from);
}

// Erases the shadows of a range.
static void clear_shadows(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	XA_STATE(xas, &mapping->i_pages, start);
	long gone = 0;
	void *entry;

	scoped_spin_lock(&mapping->i_pages.xa_lock);
	if (!mapping->nrshadows)
		return;
	xas_for_each(&xas, entry, end)
	{
		if (!xa_is_value(entry))
			continue;
		xas_store(&xas, NULL);
		gone++;
	}
	workingset_add_shadows(mapping, -gone);
}

void truncate_inode_pages_range(struct address_space *mapping, u64 lstart, u64 lend)
{
	pgoff_t index = lstart >> PAGE_SHIFT, end = lend >> PAGE_SHIFT;

	while (index <= end && READ_ONCE(mapping->nrpages)) {
		struct folio_batch batch;

		batch.nr = 0;
		filemap_get_folios(mapping, &index, end, &batch);
		if (!batch.nr)
			break;
		for (unsigned i = 0; i < batch.nr; i++) {
			struct folio *folio = batch.folios[i];

			folio_lock(folio);
			if (folio_mapping(folio) == mapping)
				truncate_folio(mapping, folio, lstart, lend);
			folio_unlock(folio);
		}
		folio_batch_release(&batch);
		if (!index)
			break;
		cond_resched();
	}
	clear_shadows(mapping, DIV_ROUND_UP(lstart, PAGE_SIZE), end);
}

void truncate_pagecache(struct address_space *mapping, u64 newsize)
{
	truncate_inode_pages_range(mapping, newsize, ~0ull);
}

void truncate_inode_pages_final(struct address_space *mapping)
{
	// From now on reclaim leaves no shadows. Taking the lock also waits for an eviction that is about to
	// let it go: after that nobody but the caller touches the mapping.
	xa_lock(&mapping->i_pages);
	set_bit(AS_EXITING, &mapping->flags);
	xa_unlock(&mapping->i_pages);
	truncate_inode_pages_range(mapping, 0, ~0ull);
	xa_lock(&mapping->i_pages);
	xa_unlock(&mapping->i_pages);
}

static bool invalidate_folio_locked(struct address_space *mapping, struct folio *folio)
{
	if (folio_mapping(folio) != mapping || folio_test_dirty(folio) || folio_test_writeback(folio))
		return false;
	if (folio_test_private(folio) && mapping->a_ops->release_folio &&
	    !mapping->a_ops->release_folio(folio))
		return false;
	return filemap_evict_folio(mapping, folio, false);
}

unsigned long invalidate_mapping_pages(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	unsigned long gone = 0;

	lru_add_drain_all(mapping->machine->cache);
	while (start <= end) {
		struct folio_batch batch;

		batch.nr = 0;
		filemap_get_folios(mapping, &start, end, &batch);
		if (!batch.nr)
			break;
		for (unsigned i = 0; i < batch.nr; i++) {
			struct folio *folio = batch.folios[i];
			unsigned long nr = folio_nr_pages(folio);

			// Folios that reach out of the range stay.
			if (folio->index + nr - 1 <= end && folio_trylock(folio)) {
				if (invalidate_folio_locked(mapping, folio)) {
					gone += nr;
					continue;
				}
				folio_unlock(folio);
			}
			folio_put(folio);
		}
		if (!start)
			break;
		cond_resched();
	}
	return gone;
}

// Takes out one folio whose place on the disk was written around the cache. Its lock is held.
static int invalidate_folio2(struct address_space *mapping, struct folio *folio)
{
	folio_wait_writeback(folio);
	if (folio_mapping(folio) != mapping)
		return 0;
	if (folio_test_dirty(folio))
		return -EBUSY;
	if (folio_test_private(folio) && mapping->a_ops->release_folio &&
	    !mapping->a_ops->release_folio(folio))
		return -EBUSY;
	// It may have become dirty by who has only a reference.
	if (folio_test_dirty(folio))
		return -EBUSY;
	filemap_remove_folio(folio);
	return 0;
}

int invalidate_inode_pages2_range(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	int err = 0;

	while (start <= end && READ_ONCE(mapping->nrpages)) {
		struct folio_batch batch;

		batch.nr = 0;
		filemap_get_folios(mapping, &start, end, &batch);
		if (!batch.nr)
			break;
		for (unsigned i = 0; i < batch.nr; i++) {
			int this_err;

			folio_lock(batch.folios[i]);
			this_err = invalidate_folio2(mapping, batch.folios[i]);
			folio_unlock(batch.folios[i]);
			if (this_err)
				err = this_err;
		}
		folio_batch_release(&batch);
		if (!start)
			break;
		cond_resched();
	}
	return err;
}

// The end of what is alike (data or not) from `pos` on in this locked folio, and which of the two it is.
static u64 folio_data_run_locked(struct address_space *mapping, struct folio *folio, u64 pos, bool *data)
{
	const struct address_space_operations *a_ops = mapping->a_ops;
	u64 end = folio_pos(folio) + folio_size(folio);
	size_t block = 1ul << min_t(unsigned, mapping->blkbits, PAGE_SHIFT + folio->order);
	bool first = false;

	if (folio_test_uptodate(folio) || !a_ops->is_partially_uptodate) {
		*data = folio_test_uptodate(folio);
		return end;
	}
	for (u64 at = pos; at < end; at = round_down(at, block) + block) {
		bool here =
			a_ops->is_partially_uptodate(folio, round_down(at, block) - folio_pos(folio), block);

		if (at == pos)
			first = here;
		else if (here != first) {
			end = round_down(at, block);
			break;
		}
	}
	*data = first;
	return end;
}

static u64 folio_data_run(struct address_space *mapping, struct folio *folio, u64 pos, bool *data)
{
	u64 end;

	if (folio_test_uptodate(folio)) {
		*data = true;
		return folio_pos(folio) + folio_size(folio);
	}
	folio_lock(folio);
	end = folio_data_run_locked(mapping, folio, pos, data);
	folio_unlock(folio);
	return end;
}

// In this folio, from *pos on: is what is looked for found (at *pos then)? Otherwise *pos is its end.
static bool folio_seek_hole_data(struct address_space *mapping, struct folio *folio, u64 *pos, u64 end,
				 bool data)
{
	// The gap before the folio is a hole.
	if (*pos < folio_pos(folio)) {
		if (!data)
			return true;
		*pos = folio_pos(folio);
	}
	end = min(end, folio_pos(folio) + folio_size(folio));
	while (*pos < end) {
		bool is_data;
		u64 next = folio_data_run(mapping, folio, *pos, &is_data);

		if (is_data == data)
			return true;
		*pos = next;
	}
	return false;
}

s64 mapping_seek_hole_data(struct address_space *mapping, s64 start, s64 end, bool data)
{
	u64 pos = start;

	while ((s64)pos < end) {
		pgoff_t index = pos >> PAGE_SHIFT;
		struct folio_batch batch;
		bool found = false;

		batch.nr = 0;
		filemap_get_folios(mapping, &index, (end - 1) >> PAGE_SHIFT, &batch);
		if (!batch.nr)
			return data ? -ENXIO : (s64)pos;
		for (unsigned i = 0; i < batch.nr && !found; i++)
			found = folio_seek_hole_data(mapping, batch.folios[i], &pos, end, data);
		folio_batch_release(&batch);
		if (found)
			return (s64)pos < end ? (s64)pos : data ? -ENXIO : end;
	}
	return data ? -ENXIO : end;
}
