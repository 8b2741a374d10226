// A folio: a naturally aligned run of 2^order pages (4 KiB to 2 MiB) of one mapping, with one reference count, one set of flags, one place on the LRU.
// Descriptors lie in an array beside the arena and are type-stable: a lock-free reader may look at a stale one, takes
// a reference with folio_try_get() and then checks that the index still points at it.
//
// Who holds what: the index (page cache) holds one reference for the folio; each user one. The folio lock (PG_locked) guards filling, truncation, private.
#pragma once

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
	PG_free,
};

struct folio {
	_Atomic unsigned long flags;
	atomic_t _refcount;
	u8 order;
	u8 arena_state; // of arena.c
	u16 _pad;
	_Atomic(struct address_space *) mapping;
	pgoff_t index;
	void *data;    // its bytes
	_Atomic(void *) private; // buffer heads or iomap state, of the provider
	struct list_head lru;
};

static inline void *folio_address(const struct folio *folio) { return folio->data; }
static inline size_t folio_size(const struct folio *folio) { return PAGE_SIZE << folio->order; }
static inline unsigned long folio_nr_pages(const struct folio *folio) { return 1ul << folio->order; }
static inline u64 folio_pos(const struct folio *folio) { return (u64)folio->index << PAGE_SHIFT; }

#define FOLIO_FLAG(uname, bit)                                                                                                    \
	static inline bool folio_test_##uname(const struct folio *f)                                                              \
	{                                                                                                                         \
		return atomic_load_explicit(&f->flags, memory_order_relaxed) & (1ul << (bit));                                    \
	}                                                                                                                         \
	static inline void folio_set_##uname(struct folio *f)                                                                     \
	{                                                                                                                         \
		atomic_fetch_or_explicit(&f->flags, 1ul << (bit), memory_order_acq_rel);                                          \
	}                                                                                                                         \
	static inline void folio_clear_##uname(struct folio *f)                                                                   \
	{                                                                                                                         \
		atomic_fetch_and_explicit(&f->flags, ~(1ul << (bit)), memory_order_acq_rel);                                      \
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
// Acquire: the reader of the flag reads the data that the filler wrote before.
static inline bool folio_test_uptodate(const struct folio *f)
{
	return atomic_load_explicit(&f->flags, memory_order_acquire) & (1ul << PG_uptodate);
}
void folio_mark_uptodate(struct folio *folio);

void folio_get(struct folio *folio);
bool folio_try_get(struct folio *folio); // false: it is being freed
void folio_put(struct folio *folio);

void folio_lock(struct folio *folio); // sleeps; I/O wait
bool folio_trylock(struct folio *folio);
void folio_unlock(struct folio *folio);
void folio_wait_locked(struct folio *folio);
// Ends a read: marks up to date on success, unlocks, wakes. Callable from a completion.
void folio_end_read(struct folio *folio, bool success);
void folio_mark_accessed(struct folio *folio);
