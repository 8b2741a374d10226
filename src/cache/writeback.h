/* SPDX-License-Identifier: MIT */
/*
 * Dirty folios and their way to the disk.
 *
 * A folio's life as far as writing goes: clean → folio_mark_dirty() → (writeback_iter(): locked, PG_dirty
 * taken away) → folio_start_writeback() → I/O → folio_end_writeback(). It may become dirty again at any time,
 * also while it is being written. The index bears a tag for each: DIRTY, WRITEBACK, and TOWRITE for what a
 * sync has set out to write, so that it ends although others go on dirtying. Tags change under the mapping's
 * xa_lock and are what is counted (nr_dirty, nr_writeback of the machine and of the bdi, in pages): after
 * PG_dirty was taken away the tag stays until folio_start_writeback(), so each folio that writeback_iter()
 * gave is either redirtied or started.
 *
 * A folio under writeback stays in its mapping: truncation waits for it.
 */
#ifndef SHALE_CACHE_WRITEBACK_H
#define SHALE_CACHE_WRITEBACK_H

#include "cache/folio.h"

#define PAGECACHE_TAG_DIRTY     XA_MARK_0
#define PAGECACHE_TAG_WRITEBACK XA_MARK_1
#define PAGECACHE_TAG_TOWRITE   XA_MARK_2

// Does any folio of the mapping bear the tag? Lock-free.
static inline bool mapping_tagged(const struct address_space *mapping, xa_mark_t tag)
{
	return xa_marked(&mapping->i_pages, tag);
}

// Makes the folio dirty through its mapping's dirty_folio, or filemap_dirty_folio where it has none. True: it
// was clean. The caller holds the folio lock, or a reference and something that keeps the folio in the
// mapping; a folio that has left its mapping stays unwritten.
bool folio_mark_dirty(struct folio *folio);
// The usual dirty_folio: flag, tag, count, and the mapping's owner hears of it (flusher_ops).
bool filemap_dirty_folio(struct address_space *mapping, struct folio *folio);
// For files that live in the cache alone: the flag, and nobody hears of it.
bool noop_dirty_folio(struct address_space *mapping, struct folio *folio);
// Under the folio lock. Takes PG_dirty away before the content is written; false: it was clean.
bool folio_clear_dirty_for_io(struct folio *folio);
// Under the folio lock: what is dirty in it will never be written (truncation).
void folio_cancel_dirty(struct folio *folio);
// Under the folio lock, after folio_clear_dirty_for_io(): I/O begins. Then the lock may be given back.
void folio_start_writeback(struct folio *folio);
// I/O has ended, well or not (mapping_set_error() comes first). Callable from a completion.
void folio_end_writeback(struct folio *folio);
void folio_wait_writeback(struct folio *folio); // sleeps until it was seen without; reaps

// Notes a write error (a negative errno): each descriptor that is open is told of it once, and who asks by
// filemap_check_errors(). Callable from a completion.
void mapping_set_error(struct address_space *mapping, int err);
// The last noted error that nobody was told this way: -ENOSPC, -EIO, 0.
int filemap_check_errors(struct address_space *mapping);

enum writeback_sync_modes {
	WB_SYNC_NONE, // as much as goes without waiting for others
	WB_SYNC_ALL,  // everything that is dirty now
};

struct writeback_control {
	long nr_to_write;           // pages; counts down. WB_SYNC_ALL goes on below 0
	u64 range_start, range_end; // bytes, end inclusive
	enum writeback_sync_modes sync_mode;
	// Of writeback_iter().
	pgoff_t index;
	int saved_err;
	unsigned batch_next;
	struct folio_batch batch;
};

// Before a writer makes another folio dirty, with no lock held but his file's i_rwsem: waits while too much
// of memory is dirty.
void balance_dirty_pages_ratelimited(struct address_space *mapping);

// Writes dirty folios of the range by a_ops.writepages (none: nothing to do). Does not wait for the I/O.
int do_writepages(struct address_space *mapping, struct writeback_control *wbc);
// The loop of a writepages: gives one dirty folio after another, each locked, referenced by the iterator, not
// under writeback, PG_dirty taken away. The body starts its writeback (or redirties it) and unlocks it, and
// leaves in *error what went wrong. NULL: done, and *error is the result. Call it first with folio == NULL,
// then with the last one, until it gives NULL.
struct folio *writeback_iter(struct address_space *mapping, struct writeback_control *wbc,
			     struct folio *folio, int *error);
// The body could not write it now: dirty again. Under the folio lock.
void folio_redirty_for_writepage(struct writeback_control *wbc, struct folio *folio);

// Bytes, ends inclusive. fdatawrite starts writing all that is dirty; fdatawait waits for what is being
// written and tells (once) of errors; write_and_wait does both.
int filemap_fdatawrite_range(struct address_space *mapping, u64 start, u64 end) __must_check;
int filemap_flush_range(struct address_space *mapping, u64 start, u64 end); // WB_SYNC_NONE
int filemap_fdatawait_range(struct address_space *mapping, u64 start, u64 end) __must_check;
void filemap_fdatawait_keep_errors(struct address_space *mapping, u64 start, u64 end);
int filemap_write_and_wait_range(struct address_space *mapping, u64 start, u64 end) __must_check;
static inline int filemap_write_and_wait(struct address_space *mapping)
{
	return filemap_write_and_wait_range(mapping, 0, (u64)INT64_MAX);
}
// Is anything of the range cached dirty or under writeback?
bool filemap_range_needs_writeback(struct address_space *mapping, u64 start, u64 end);

#endif
