/* SPDX-License-Identifier: MIT */
/*
 * Dirty folios: flags, tags, counts, and the loop of those who write them. See writeback.h.
 *
 * PG_dirty may be set by who does not hold the folio lock (a buffer head's owner), so its tag is set after
 * the flag and taken away, when writeback starts, only if the flag is clear then; both under xa_lock.
 */
#include "cache/writeback.h"

#include "cache/bdi.h"
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"

#define TAG_BATCH 1024 // entries tagged under one hold of xa_lock

static void account(struct address_space *mapping, xa_mark_t tag, long nr)
{
	bool dirty = tag == PAGECACHE_TAG_DIRTY;

	vm_count(mapping->machine->cache, dirty ? VM_nr_dirty : VM_nr_writeback, nr);
	if (mapping->bdi)
		atomic64_add(nr, dirty ? &mapping->bdi->nr_dirty : &mapping->bdi->nr_writeback);
}

static void tag_set_locked(struct address_space *mapping, struct folio *folio, xa_mark_t tag)
	__must_hold(&mapping->i_pages.xa_lock)
{
	XA_STATE(xas, &mapping->i_pages, folio->index);

	xas_load(&xas);
	if (xas_get_mark(&xas, tag))
		return;
	xas_set_mark(&xas, tag);
	account(mapping, tag, folio_nr_pages(folio));
}

static void tag_clear_locked(struct address_space *mapping, struct folio *folio, xa_mark_t tag)
	__must_hold(&mapping->i_pages.xa_lock)
{
	XA_STATE(xas, &mapping->i_pages, folio->index);

	xas_load(&xas);
	if (!xas_get_mark(&xas, tag))
		return;
	xas_clear_mark(&xas, tag);
	if (tag != PAGECACHE_TAG_TOWRITE)
		account(mapping, tag, -(long)folio_nr_pages(folio));
}

void folio_clear_tags_locked(struct address_space *mapping, struct folio *folio)
{
	if (mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		tag_clear_locked(mapping, folio, PAGECACHE_TAG_DIRTY);
	if (mapping_tagged(mapping, PAGECACHE_TAG_TOWRITE))
		tag_clear_locked(mapping, folio, PAGECACHE_TAG_TOWRITE);
}

bool noop_dirty_folio(struct address_space *mapping, struct folio *folio)
{
	if (folio_test_dirty(folio))
		return false;
	return !test_and_set_bit(PG_dirty, folio_flags_word(folio));
}

void cache_set_flusher(struct shale *machine, const struct flusher_ops *ops)
{
	machine->cache->flusher = ops;
}

bool filemap_dirty_folio(struct address_space *mapping, struct folio *folio)
{
	const struct flusher_ops *flusher = mapping->machine->cache->flusher;

	if (test_and_set_bit(PG_dirty, folio_flags_word(folio)))
		return false;
	xa_lock(&mapping->i_pages);
	if (folio_mapping(folio) == mapping)
		tag_set_locked(mapping, folio, PAGECACHE_TAG_DIRTY);
	xa_unlock(&mapping->i_pages);
	vm_count(mapping->machine->cache, VM_nr_dirtied, folio_nr_pages(folio));
	if (flusher)
		flusher->dirtied(mapping);
	return true;
}

bool folio_mark_dirty(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	if (unlikely(!mapping))
		return noop_dirty_folio(NULL, folio);
	if (mapping->a_ops->dirty_folio)
		return mapping->a_ops->dirty_folio(mapping, folio);
	return filemap_dirty_folio(mapping, folio);
}

bool folio_clear_dirty_for_io(struct folio *folio)
{
	return test_and_clear_bit(PG_dirty, folio_flags_word(folio));
}

void folio_cancel_dirty(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	xa_lock(&mapping->i_pages);
	folio_clear_dirty(folio);
	folio_clear_tags_locked(mapping, folio);
	xa_unlock(&mapping->i_pages);
}

void folio_start_writeback(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	xa_lock(&mapping->i_pages);
	BUG_ON(test_and_set_bit(PG_writeback, folio_flags_word(folio)));
	tag_set_locked(mapping, folio, PAGECACHE_TAG_WRITEBACK);
	if (!folio_test_dirty(folio))
		tag_clear_locked(mapping, folio, PAGECACHE_TAG_DIRTY);
	tag_clear_locked(mapping, folio, PAGECACHE_TAG_TOWRITE);
	xa_unlock(&mapping->i_pages);
}

void folio_end_writeback(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	struct cache_machine *cache = mapping->machine->cache;

	xa_lock(&mapping->i_pages);
	tag_clear_locked(mapping, folio, PAGECACHE_TAG_WRITEBACK);
	xa_unlock(&mapping->i_pages);
	vm_count(cache, VM_nr_written, folio_nr_pages(folio));
	if (wq_has_sleeper(&cache->writeback_wait))
		wake_up_all(&cache->writeback_wait);
	// From here on the folio, and with it the mapping, may go.
	folio_wake_bit(folio, clear_bit_unlock_return(PG_writeback, folio_flags_word(folio)), PG_writeback);
}

void folio_wait_writeback(struct folio *folio)
{
	if (!folio_test_writeback(folio))
		return;
	set_bit(PG_waiters, folio_flags_word(folio));
	wait_on_bit_io(folio_flags_word(folio), PG_writeback);
}

void folio_redirty_for_writepage(struct writeback_control *wbc, struct folio *folio)
{
	wbc->nr_to_write += folio_nr_pages(folio);
	(void)filemap_dirty_folio(folio_mapping(folio), folio);
}

int do_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	unsigned reclaim;
	int err;

	if (!mapping->a_ops->writepages || wbc->nr_to_write <= 0)
		return 0;
	reclaim = memalloc_noreclaim_save();
	err = mapping->a_ops->writepages(mapping, wbc);
	memalloc_noreclaim_restore(reclaim);
	return err;
}

// What is dirty now in the range is what will be written; what gets dirty from now on is not waited for.
static void tag_pages_for_writeback(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	XA_STATE(xas, &mapping->i_pages, start);
	unsigned tagged = 0;
	void *folio;

	xa_lock(&mapping->i_pages);
	xas_for_each_marked(&xas, folio, end, PAGECACHE_TAG_DIRTY)
	{
		xas_set_mark(&xas, PAGECACHE_TAG_TOWRITE);
		if (++tagged % TAG_BATCH)
			continue;
		xas_pause(&xas);
		xa_unlock(&mapping->i_pages);
		cond_resched();
		xa_lock(&mapping->i_pages);
	}
	xa_unlock(&mapping->i_pages);
}

static xa_mark_t wbc_to_tag(const struct writeback_control *wbc)
{
	return wbc->sync_mode == WB_SYNC_ALL ? PAGECACHE_TAG_TOWRITE : PAGECACHE_TAG_DIRTY;
}

// Under the folio lock: is there something to write, and may it be written now?
static bool folio_prepare_writeback(struct address_space *mapping, const struct writeback_control *wbc,
				    struct folio *folio)
{
	if (folio_mapping(folio) != mapping || !folio_test_dirty(folio))
		return false;
	if (folio_test_writeback(folio)) {
		if (wbc->sync_mode == WB_SYNC_NONE)
			return false;
		folio_wait_writeback(folio);
	}
	return folio_clear_dirty_for_io(folio);
}

static struct folio *writeback_get_folio(struct address_space *mapping, struct writeback_control *wbc)
{
	pgoff_t end = wbc->range_end >> PAGE_SHIFT;

	for (;;) {
		struct folio *folio;

		if (wbc->batch_next == wbc->batch.nr) {
			folio_batch_release(&wbc->batch);
			wbc->batch_next = 0;
			cond_resched();
			if (wbc->index > end)
				return NULL;
			filemap_get_folios_tag(mapping, &wbc->index, end, wbc_to_tag(wbc), &wbc->batch);
			if (!wbc->batch.nr)
				return NULL;
		}
		folio = wbc->batch.folios[wbc->batch_next++];
		folio_lock(folio);
		if (folio_prepare_writeback(mapping, wbc, folio))
			return folio;
		folio_unlock(folio);
	}
}

struct folio *writeback_iter(struct address_space *mapping, struct writeback_control *wbc,
			     struct folio *folio, int *error)
{
	if (!folio) {
		wbc->index = wbc->range_start >> PAGE_SHIFT;
		wbc->saved_err = 0;
		wbc->batch_next = wbc->batch.nr = 0;
		if (wbc->sync_mode == WB_SYNC_ALL)
			tag_pages_for_writeback(mapping, wbc->index, wbc->range_end >> PAGE_SHIFT);
	} else {
		wbc->nr_to_write -= folio_nr_pages(folio);
		if (*error && !wbc->saved_err)
			wbc->saved_err = *error;
		// For integrity one bad folio does not keep the others from the disk.
		if (wbc->sync_mode == WB_SYNC_NONE && (wbc->saved_err || wbc->nr_to_write <= 0))
			goto done;
	}
	folio = writeback_get_folio(mapping, wbc);
	if (folio) {
		*error = 0;
		return folio;
	}
done:
	folio_batch_release(&wbc->batch);
	*error = wbc->saved_err;
	return NULL;
}
