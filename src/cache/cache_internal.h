/* SPDX-License-Identifier: MIT */
/*
 * What the files of the cache share: the machine's part, counters, and the steps between index, LRU lists
 * and reclaim.
 *
 * Lock order, outermost first: mapping->invalidate_lock, folio lock, i_pages.xa_lock, shadow_lock | lru_lock
 * | a shard's lock | arena's locks. lru shards and lru_lock: shard first. Completions take the xa_lock
 * never, only folio and ifs state.
 */
#ifndef SHALE_CACHE_CACHE_INTERNAL_H
#define SHALE_CACHE_CACHE_INTERNAL_H

#include "base/alloc.h"
#include "base/machine.h"
#include "base/pool.h"
#include "cache/arena.h"
#include "cache/bdi.h"
#include "cache/cache.h"
#include "cache/folio.h"

// Counters of the machine, by Linux's names (vmstat.c prints them). The first ones are levels, in pages; the
// others only grow.
#define VM_COUNTERS(X)                                                                                       \
	X(nr_inactive_file)                                                                                  \
	X(nr_active_file)                                                                                    \
	X(nr_file_pages)                                                                                     \
	X(nr_dirty)                                                                                          \
	X(nr_writeback)                                                                                      \
	X(workingset_nodes)                                                                                  \
	X(nr_dirtied)                                                                                        \
	X(nr_written)                                                                                        \
	X(workingset_refault_file)                                                                           \
	X(workingset_activate_file)                                                                          \
	X(workingset_restore_file)                                                                           \
	X(workingset_nodereclaim)                                                                            \
	X(pgalloc_normal)                                                                                    \
	X(pgfree)                                                                                            \
	X(pgactivate)                                                                                        \
	X(pgdeactivate)                                                                                      \
	X(pgrefill)                                                                                          \
	X(pgsteal_kswapd)                                                                                    \
	X(pgsteal_direct)                                                                                    \
	X(pgscan_kswapd)                                                                                     \
	X(pgscan_direct)                                                                                     \
	X(slabs_scanned)                                                                                     \
	X(pageoutrun)                                                                                        \
	X(allocstall_normal)                                                                                 \
	X(drop_pagecache)                                                                                    \
	X(drop_slab)

enum vm_counter {
#define X(name) VM_##name,
	VM_COUNTERS(X)
#undef X
		NR_VM_COUNTERS
};

enum lru_list { LRU_NONE, LRU_INACTIVE_FILE, LRU_ACTIVE_FILE, NR_LRU_LISTS };

#define FOLIO_BATCH_SIZE 15
#define SWAP_CLUSTER_MAX 32

// Folios on their way to the LRU, a reference on each. Guarded by lock.
struct lru_shard {
	spinlock_t lock;
	unsigned nr;
	struct folio *folios[FOLIO_BATCH_SIZE];
} __aligned_cacheline;

struct vm_shard {
	atomic64_t count[NR_VM_COUNTERS];
	atomic64_t throttle; // calls of cache_throttle
	atomic64_t dirtied;  // calls of balance_dirty_pages_ratelimited
} __aligned_cacheline;

#define NR_BUFFER_POOLS 4 // arrays of 1, 2, 4, 8 buffer heads

struct cache_machine {
	struct shale *machine;
	struct arena *arena;
	// In pages. Charged objects and used folios together stay below limit; above high background reclaim
	// runs until low is reached.
	unsigned long limit_pages, high_pages, low_pages;
	struct pool *buffer_pools[NR_BUFFER_POOLS];
	const struct flusher_ops *flusher; // NULL: none

	spinlock_t lru_lock __aligned_cacheline; // lists, PG_lru, folio->lru_list, nr_lru (read relaxed)
	struct list_head lists[NR_LRU_LISTS];
	unsigned long nr_lru[NR_LRU_LISTS]; // pages
	atomic64_t nonresident_age; // pages evicted or activated since the start: the clock of refaults

	struct work_struct flush;         // flush.c
	bool flushing;                    // it was queued and has not ended; relaxed
	wait_queue_head_t writeback_wait; // who waits for the writing of many pages to end

	struct work_struct kswapd;
	wait_queue_head_t reclaim_wait;     // woken when memory came free, for those who wait at the limit
	struct rw_semaphore shrinker_rwsem; // guards shrinkers
	struct list_head shrinkers;

	spinlock_t shadow_lock; // mappings that hold shadows; the one that is being swept
	struct list_head shadow_mappings;
	struct address_space *sweeping;
	atomic64_t nr_shadows, sweep_at; // how many there are, and at how many the next sweep begins
	wait_queue_head_t sweep_wait;

	struct lru_shard lru_shards[SHARDS];
	struct vm_shard vm[SHARDS];
};

static inline void vm_count(struct cache_machine *cache, enum vm_counter which, long n)
{
	atomic64_add(n, &cache->vm[current->shard].count[which]);
}
u64 vm_read(const struct cache_machine *cache, enum vm_counter which);

static inline struct cache_machine *folio_cache(const struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	return mapping ? mapping->machine->cache : arena_machine(folio_arena(folio))->cache;
}

// The word for the functions of bits (base/atomic.h, base/wait.h).
static inline unsigned long *folio_flags_word(struct folio *folio)
{
	return &folio->flags;
}
// folio.c. After a bit that somebody may wait for was cleared; `old`: the flags before.
void folio_wake_bit(struct folio *folio, unsigned long old, unsigned bit);
// A new folio for the page cache, one reference, unlocked. may_wait: reclaim and wait before giving
// up; otherwise a short try only.
struct folio *folio_alloc(struct cache_machine *cache, unsigned order, bool may_wait) __must_check;
// Takes all of `refs` references at once, so that nobody can get a new one. False: there are others.
static inline bool folio_ref_freeze(struct folio *folio, int refs)
{
	return try_cmpxchg(&folio->_refcount.counter, &refs, 0);
}
static inline void folio_ref_unfreeze(struct folio *folio, int refs)
{
	atomic_set_release(&folio->_refcount, refs);
}
void folio_free_frozen(struct folio *folio); // reference count is 0, in no mapping

// lru.c
void lru_init(struct cache_machine *cache);
void folio_add_lru(struct folio *folio);
void lru_add_drain_all(struct cache_machine *cache);
void lru_del_folio(struct cache_machine *cache, struct folio *folio); // if it is on a list
// About SWAP_CLUSTER_MAX pages of folios from the tail of a list onto `out`, each with a reference and off
// the LRU; adds the pages to *scanned.
unsigned lru_isolate(struct cache_machine *cache, enum lru_list list, struct list_head *out,
		     unsigned long *scanned);
// Puts them back by their PG_active and drops the references.
void lru_putback(struct cache_machine *cache, struct list_head *folios);

// filemap.c
int filemap_add_folio(struct address_space *mapping, struct folio *folio,
		      pgoff_t index) __must_check; // locks it; -EEXIST, -ENOMEM
// Under the folio lock: takes the folio out of the index and drops the index's reference.
void filemap_remove_folio(struct folio *folio);
// Under the folio lock, off the LRU, with one reference of the caller's: takes it out and leaves `shadow`;
// then the caller's reference is gone too, and the folio freed. False: somebody else uses it, or it is dirty.
bool filemap_evict_folio(struct address_space *mapping, struct folio *folio, bool remember);

// page_writeback.c. Under xa_lock, and the folio's lock or with its count frozen: it is about to leave the
// index.
void folio_clear_tags_locked(struct address_space *mapping, struct folio *folio)
	__must_hold(&mapping->i_pages.xa_lock);

// workingset.c
void workingset_init(struct cache_machine *cache);
void *workingset_eviction(struct cache_machine *cache, struct folio *folio);
void workingset_refault(struct cache_machine *cache, struct folio *folio, void *shadow);
void workingset_add_shadows(struct address_space *mapping, long nr); // under xa_lock
void workingset_mapping_exit(struct address_space *mapping);
void workingset_shrink(struct cache_machine *cache); // sweeps old shadows, when enough have been made

// vmscan.c
void vmscan_init(struct cache_machine *cache);
void vmscan_exit(struct cache_machine *cache);
unsigned long cache_pages_used(const struct cache_machine *cache); // folios and charged objects
bool cache_reserve(struct cache_machine *cache, unsigned long nr_pages,
		   bool may_wait); // false: over the limit, nothing came free
void cache_trim(struct cache_machine *cache);

// flush.c
void flush_init(struct cache_machine *cache);
void flush_exit(struct cache_machine *cache);
bool cache_start_flush(struct cache_machine *cache); // false: there is nothing to write, or nobody who could

// buffer_head.c
int buffer_init(struct cache_machine *cache) __must_check;
void buffer_exit(struct cache_machine *cache);
void folio_free_buffers(struct folio *folio);

#endif
