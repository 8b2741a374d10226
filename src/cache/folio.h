/* SPDX-License-Identifier: MIT */
/*
 * A folio: a naturally aligned run of 2^order pages (4 KiB to 2 MiB) of one mapping, with one reference
 * count, one set of flags, one place on the LRU. Descriptors lie in an array beside the arena and are type-
 * stable: a lock-free reader may look at a stale one, takes a reference with folio_try_get() and then checks
 * that the index still points at it.
 *
 * Who holds what: the index (page cache) holds one reference for the folio; each user one. The folio lock
 * (PG_locked) guards filling, truncation, private.
 */
#ifndef SHALE_CACHE_FOLIO_H
#define SHALE_CACHE_FOLIO_H

#include "cache/mapping.h"

enum pageflags {
	PG_locked,
	PG_waiters,
	PG_uptodate,
	PG_dirty,
	PG_writeback,
	PG_referenced,
	PG_active,
	PG_workingset,
	PG_lru,
	PG_readahead, // async marker: reading this one starts the next window
	PG_private,
	PG_reclaim,
	PG_error,
};

struct folio {
	unsigned long flags;
	atomic_t _refcount;
	u8 order;
	u8 arena_state; // of arena.c
	union {
		u16 nr_resident; // of a free run: pages that the host may still hold for it (arena.c)
		u16 lru_list;    // of a folio in use: which list it is on (lru.c)
	};
	struct address_space *mapping; // see folio_mapping()
	pgoff_t index;
	void *data;    // its bytes
	void *private; // buffer heads or iomap state, of the provider
	struct list_head lru;
};
BUILD_BUG_ON(sizeof(struct folio) != CACHELINE_SIZE); // the array begins at a page: one descriptor, one line

#define FOLIO_BATCH_MOST 15

// References to folios that follow each other in a file.
struct folio_batch {
	unsigned nr;
	struct folio *folios[FOLIO_BATCH_MOST];
};
void folio_batch_release(struct folio_batch *batch); // drops the references

// The mapping that holds the folio, NULL when it was removed (truncated, reclaimed). Stays as it is only
// under the folio lock. A folio that no mapping holds carries its arena there instead, with bit 0 set, so
// that the last put finds its way home.
static inline struct address_space *folio_mapping(const struct folio *folio)
{
	struct address_space *m = READ_ONCE(folio->mapping);

	return (uintptr_t)m & 1 ? NULL : m;
}

static inline void *folio_address(const struct folio *folio)
{
	return folio->data;
}
static inline size_t folio_size(const struct folio *folio)
{
	return PAGE_SIZE << folio->order;
}
static inline unsigned long folio_nr_pages(const struct folio *folio)
{
	return 1ul << folio->order;
}
static inline u64 folio_pos(const struct folio *folio)
{
	return (u64)folio->index << PAGE_SHIFT;
}

#define FOLIO_FLAG(uname, bit)                                                                               \
	static inline bool folio_test_##uname(const struct folio *f)                                         \
	{                                                                                                    \
		return READ_ONCE(f->flags) & (1ul << (bit));                                                 \
	}                                                                                                    \
	static inline void folio_set_##uname(struct folio *f)                                                \
	{                                                                                                    \
		__atomic_fetch_or(&f->flags, 1ul << (bit), __ATOMIC_ACQ_REL);                                \
	}                                                                                                    \
	static inline void folio_clear_##uname(struct folio *f)                                              \
	{                                                                                                    \
		__atomic_fetch_and(&f->flags, ~(1ul << (bit)), __ATOMIC_ACQ_REL);                            \
	}
FOLIO_FLAG(locked, PG_locked)
FOLIO_FLAG(dirty, PG_dirty)
FOLIO_FLAG(writeback, PG_writeback)
FOLIO_FLAG(referenced, PG_referenced)
FOLIO_FLAG(active, PG_active)
FOLIO_FLAG(workingset, PG_workingset)
FOLIO_FLAG(lru, PG_lru)
FOLIO_FLAG(readahead, PG_readahead)
FOLIO_FLAG(private, PG_private)
FOLIO_FLAG(reclaim, PG_reclaim)
FOLIO_FLAG(error, PG_error)
// Acquire: the reader of the flag reads the data that the filler wrote before.
static inline bool folio_test_uptodate(const struct folio *f)
{
	return smp_load_acquire(&f->flags) & (1ul << PG_uptodate);
}
void folio_mark_uptodate(struct folio *folio);

static inline void folio_get(struct folio *folio)
{
	atomic_inc(&folio->_refcount);
}
// False: it is being freed. After success the caller checks that the index still holds the folio.
static inline bool folio_try_get(struct folio *folio)
{
	int old = atomic_read(&folio->_refcount);

	do {
		if (unlikely(old <= 0))
			return false;
	} while (!try_cmpxchg_acquire(&folio->_refcount.counter, &old, old + 1));
	return true;
}
static inline int folio_ref_count(const struct folio *folio)
{
	return atomic_read(&folio->_refcount);
}
void folio_free(struct folio *folio); // the last reference has gone (folio.c)
static inline void folio_put(struct folio *folio)
{
	if (unlikely(__atomic_sub_fetch(&folio->_refcount.counter, 1, __ATOMIC_ACQ_REL) == 0))
		folio_free(folio);
}

void folio_lock(struct folio *folio); // sleeps; I/O wait
bool folio_trylock(struct folio *folio);
void folio_unlock(struct folio *folio);
void folio_wait_locked(struct folio *folio); // returns when it was seen unlocked
// Ends a read: marks up to date on success, unlocks, wakes. Callable from a completion.
void folio_end_read(struct folio *folio, bool success);
// Lock-free: the first access marks it referenced, the second active; reclaim moves it when it comes by.
void folio_mark_accessed(struct folio *folio);

// The provider's state, set and taken under the folio lock. A provider takes its state away in
// invalidate_folio and release_folio; only buffer heads may stay on a folio that left its mapping, and go
// with it.
static inline void folio_attach_private(struct folio *folio, void *state)
{
	smp_store_release(&folio->private, state);
	folio_set_private(folio);
}
static inline void *folio_get_private(const struct folio *folio)
{
	return smp_load_acquire(&folio->private);
}
static inline void *folio_detach_private(struct folio *folio)
{
	void *state = folio_get_private(folio);

	folio_clear_private(folio);
	WRITE_ONCE(folio->private, NULL);
	return state;
}

#endif
