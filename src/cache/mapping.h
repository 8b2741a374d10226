/* SPDX-License-Identifier: MIT */
/*
 * The page cache seen from above: an `address_space` (mapping) is the cached content of one file or device,
 * an index from page offset to folio, with the operations that fill it and write it. It does not know what
 * an inode is: the provider embeds it and reaches its own object with container_of or `host`.
 *
 * i_pages is read without locks (RCU); changed under its xa_lock. `size` is the file's size (i_size) and is
 * read relaxed.
 */
#ifndef SHALE_CACHE_MAPPING_H
#define SHALE_CACHE_MAPPING_H

#include "base/atomic.h"
#include "base/errseq.h"
#include "base/rwsem.h"
#include "base/uio.h"
#include "base/types.h"
#include "base/xarray.h"
#include "block/blk_types.h"

struct folio;
struct readahead_control;
struct writeback_control;
struct backing_dev_info;

struct address_space_operations {
	// Fills a locked folio that is not up to date; unlocks it (folio_end_read) when done, perhaps later
	// from a completion.
	int (*read_folio)(struct address_space *mapping, struct folio *folio);
	// Starts reads for the folios of rac (readahead_folio()); errors show as folios that are not up to
	// date.
	void (*readahead)(struct readahead_control *rac);
	// Starts writing dirty folios (cache/writeback.h). What it could not even start it notes by
	// mapping_set_error() and returns. NULL: nothing of the mapping is ever written.
	int (*writepages)(struct address_space *mapping, struct writeback_control *wbc);
	// For generic_perform_write(): a locked, referenced folio at `pos`, of which all that is not in [pos,
	// pos + len) is up to date; len may be cut. Then `copied` bytes were put there: makes it up to date
	// and dirty, moves the size, gives back lock and reference.
	int (*write_begin)(struct address_space *mapping, u64 pos, size_t *len, struct folio **out);
	void (*write_end)(struct address_space *mapping, u64 pos, size_t copied, struct folio *folio);
	// NULL: filemap_dirty_folio.
	bool (*dirty_folio)(struct address_space *mapping, struct folio *folio);
	void (*invalidate_folio)(struct folio *folio, size_t offset, size_t length);
	bool (*release_folio)(struct folio *folio); // drop private state; false: busy
	void (*free_folio)(struct folio *folio);
	bool (*is_partially_uptodate)(struct folio *folio, size_t from, size_t count);
};

#define MAX_FOLIO_ORDER 9 // 2 MiB
// Bits of `flags`, with set_bit() and test_bit(). AS_UNEVICTABLE: the pages are the only copy (ramfs),
// reclaim leaves them alone.
enum mapping_flags { AS_EIO, AS_ENOSPC, AS_UNEVICTABLE, AS_EXITING };

struct address_space {
	u64 size; // bytes
	struct shale *machine;
	struct xarray i_pages;
	unsigned long nrpages;
	const struct address_space_operations *a_ops;
	unsigned long flags;
	u8 min_order, max_order; // of folios; 0..9
	u8 blkbits;              // of the provider's blocks; buffer heads are made with it
	errseq_t wb_err;
	struct rw_semaphore invalidate_lock; // shared: filling; exclusive: truncation, hole punching
	struct backing_dev_info *bdi;        // NULL: the machine's default readahead
	void *host;                          // the provider's
	// Traces of folios that reclaim took (workingset.c): how many entries of i_pages are such, where the
	// sweep of old ones goes on; under i_pages.xa_lock. shadow_list: on the machine's list of mappings
	// that have some, under its shadow_lock; shadow_listed: that it is, under xa_lock.
	unsigned long nrshadows, shadow_cursor;
	struct list_head shadow_list;
	bool shadow_listed;
};

// Sets up an empty mapping: folios of one page only, blkbits of a page; change min_order, max_order, blkbits
// before its first use.
void address_space_init(struct address_space *mapping, struct shale *machine,
			const struct address_space_operations *a_ops, struct backing_dev_info *bdi,
			void *host);
void address_space_destroy(struct address_space *mapping); // must be empty
static inline u64 mapping_size(const struct address_space *m)
{
	return READ_ONCE(m->size);
}

// Per-open-file readahead state.
struct file_ra_state {
	pgoff_t start;
	unsigned size, async_size; // pages
	unsigned ra_pages;         // maximum window; 0: readahead is off
	u8 order;
	s64 prev_pos; // last byte read, -1 at first
};
void file_ra_state_init(struct file_ra_state *ra, struct address_space *mapping);

#define IOCB_NOWAIT 1u // -EAGAIN rather than block
#define IOCB_NOIO   2u // only what is cached

// Copies `from` into the cache from `pos` on, folio by folio, by write_begin and write_end. Bytes, or a
// negative errno when none were copied. The caller keeps other writers out.
ssize_t generic_perform_write(struct address_space *mapping, u64 pos, struct iov_iter *from);
// Copies cached data to `to` from *pos, filling the cache where needed; moves *pos; returns bytes copied, or
// a negative errno when none were. 0 at end of file.
ssize_t filemap_read(struct address_space *mapping, struct file_ra_state *ra, loff_t *pos,
		     struct iov_iter *to, unsigned iocb_flags);
// Its first step alone: when all that is wanted lies in one cached folio, copies it; returns bytes, else 0.
// Never sleeps; `ra` is only asked where the last read ended. Callable inside an RCU section that keeps the
// mapping.
size_t filemap_read_hit(struct address_space *mapping, struct file_ra_state *ra, u64 pos,
			struct iov_iter *to);
// Offset of the next data or hole in the page cache view (for unwritten extents).
s64 mapping_seek_hole_data(struct address_space *mapping, s64 start, s64 end, bool data);

// Lookup. Returns a referenced folio in *out, -ENOENT when there is none.
int filemap_get_folio(struct address_space *mapping, pgoff_t index, struct folio **out) __must_check;
// Finds or makes, locked; new ones are not up to date. -ENOMEM.
int filemap_grab_folio(struct address_space *mapping, pgoff_t index, unsigned order,
		       struct folio **out) __must_check;
// Finds or reads: referenced and up to date.
int read_mapping_folio(struct address_space *mapping, pgoff_t index, struct folio **out) __must_check;

void truncate_inode_pages_range(struct address_space *mapping, u64 lstart, u64 lend); // bytes, lend inclusive
// What is cached from the new end on goes; the rest of a block that it cuts is zeroed in memory. Lock as
// above.
void truncate_pagecache(struct address_space *mapping, u64 newsize);
void truncate_inode_pages_final(struct address_space *mapping);
unsigned long invalidate_mapping_pages(struct address_space *mapping, pgoff_t start,
				       pgoff_t end); // clean, unused ones only
// Takes out all folios of the range that are not dirty, waiting for I/O; the next reader asks the disk.
// -EBUSY: some were dirty.
int invalidate_inode_pages2_range(struct address_space *mapping, pgoff_t start, pgoff_t end);

// Readahead (readahead.c).
struct readahead_control {
	struct address_space *mapping;
	struct file_ra_state *ra;
	pgoff_t _index;
	unsigned _nr_pages, _batch_count;
};
struct folio *readahead_folio(
	struct readahead_control *rac); // next folio, locked; its reference is dropped: the lock keeps it
static inline u64 readahead_pos(const struct readahead_control *rac)
{
	return (u64)rac->_index << PAGE_SHIFT;
}
static inline u64 readahead_length(const struct readahead_control *rac)
{
	return (u64)rac->_nr_pages << PAGE_SHIFT;
}
void page_cache_sync_ra(struct readahead_control *rac, unsigned long req_count);
void page_cache_async_ra(struct readahead_control *rac, struct folio *folio, unsigned long req_count);
// Starts reading [index, index+nr) without waiting; skips what is there (fadvise WILLNEED, prefetch of
// tools).
void force_page_cache_readahead(struct address_space *mapping, struct file_ra_state *ra, pgoff_t index,
				unsigned long nr_pages);

#endif
