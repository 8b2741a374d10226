/* SPDX-License-Identifier: MIT */
/*
 * Reclaim: finding memory to free when the machine comes near its limit.
 *
 * Between the low and the high mark a work item (Linux's kswapd) reclaims in the background; a caller who
 * would pass the limit reclaims directly, and when that finds nothing, waits a while for others to finish
 * before it is told -ENOMEM.
 *
 * A pass goes over the lists with rising priority: priority p looks at 1/2^p of the inactive list and of
 * each shrinker's objects, so that pages and objects shrink in proportion. Inactive folios that were marked
 * active in the meantime move to the active list; the rest are evicted and leave a shadow behind
 * (workingset.c). The active list gives its oldest to the inactive one when that is short. A folio that is
 * locked, dirty, under writeback or in use stays.
 *
 * What is dirty is written by another work item (flush.c), which who reclaims starts and waits for as long as
 * it gets on, unless he must not (PF_MEMALLOC_NOFS): then he waits a while, and after that may pass the limit
 * a little.
 *
 * Nothing is held during a pass but the shrinker list (shared); PF_MEMALLOC in current->alloc_flags keeps a
 * pass from starting another.
 */
#include "cache/cache_internal.h"

#define DEF_PRIORITY    12
#define SHRINK_BATCH    128
#define RECLAIM_ROUNDS  16
#define RECLAIM_WAIT_NS 10000000 // 10 ms

struct scan_control {
	unsigned long nr_to_reclaim, nr_reclaimed; // pages
	unsigned long nr_objects;                  // freed by shrinkers
	int priority;
	bool kswapd, drop;
};

unsigned long cache_pages_used(const struct cache_machine *cache)
{
	return arena_used(cache->arena) + (machine_charged(cache->machine) >> PAGE_SHIFT);
}

/*
 * Free memory that the host still holds stays for the next folio, which is much cheaper than to fault it in
 * anew; only objects that have grown beyond a share of their own take from it.
 */
void cache_trim(struct cache_machine *cache)
{
	unsigned long folios = arena_used(cache->arena),
		      objects = machine_charged(cache->machine) >> PAGE_SHIFT;
	unsigned long share = cache->limit_pages / 8, taken = objects > share ? objects - share : 0;
	unsigned long most = cache->limit_pages > taken ? cache->limit_pages - taken : 0;

	arena_trim(cache->arena, folios < most ? most - folios : 0);
}

enum folio_fate { FOLIO_KEEP, FOLIO_ACTIVATE, FOLIO_FREED };

// Decides about one isolated folio. FOLIO_FREED: it is gone, with our reference.
static enum folio_fate shrink_folio(struct folio *folio, const struct scan_control *sc)
{
	struct address_space *mapping;
	enum folio_fate fate = FOLIO_KEEP;

	if (!folio_trylock(folio))
		return FOLIO_KEEP;
	mapping = folio_mapping(folio);
	if (!mapping) {
		// Truncated: our reference may be the last.
		folio_unlock(folio);
		folio_put(folio);
		return FOLIO_FREED;
	}
	if (folio_test_active(folio) && !sc->drop)
		fate = FOLIO_ACTIVATE;
	else if (folio_test_dirty(folio) || folio_test_writeback(folio))
		fate = FOLIO_KEEP;
	else if (folio_test_private(folio) && mapping->a_ops->release_folio &&
		 !mapping->a_ops->release_folio(folio))
		fate = FOLIO_KEEP;
	else if (filemap_evict_folio(mapping, folio, !sc->drop))
		return FOLIO_FREED;
	folio_unlock(folio);
	return fate;
}

// Frees what it can of the list, puts the others back. Returns pages freed.
static unsigned long shrink_folio_list(struct cache_machine *cache, struct list_head *folios,
				       const struct scan_control *sc)
{
	struct folio *folio, *next;
	unsigned long freed = 0;
	LIST_HEAD(kept);

	list_for_each_entry_safe (folio, next, folios, lru) {
		unsigned long nr = folio_nr_pages(folio);

		list_del_init(&folio->lru);
		switch (shrink_folio(folio, sc)) {
		case FOLIO_FREED:
			freed += nr;
			continue;
		case FOLIO_ACTIVATE:
			vm_count(cache, VM_pgactivate, nr);
			atomic64_add(nr, &cache->nonresident_age);
			break;
		case FOLIO_KEEP:
			break;
		}
		list_add_tail(&folio->lru, &kept);
	}
	lru_putback(cache, &kept);
	return freed;
}

static unsigned long int_sqrt(unsigned long x)
{
	unsigned long r = 0;

	while ((r + 1) * (r + 1) <= x)
		r++;
	return r;
}

// The larger the memory, the smaller the part that the inactive list needs to tell used from unused.
static bool inactive_is_low(const struct cache_machine *cache)
{
	unsigned long inactive = READ_ONCE(cache->nr_lru[LRU_INACTIVE_FILE]);
	unsigned long active = READ_ONCE(cache->nr_lru[LRU_ACTIVE_FILE]);
	unsigned long gb = (inactive + active) >> (30 - PAGE_SHIFT);
	unsigned long ratio = gb ? int_sqrt(10 * gb) : 1;

	return inactive * ratio < active;
}

static void shrink_active_list(struct cache_machine *cache, unsigned long nr_to_scan)
{
	unsigned long scanned = 0;

	while (scanned < nr_to_scan && inactive_is_low(cache)) {
		unsigned long before = scanned;
		struct folio *folio;
		LIST_HEAD(folios);

		lru_isolate(cache, LRU_ACTIVE_FILE, &folios, &scanned);
		if (scanned == before)
			return;
		list_for_each_entry (folio, &folios, lru) {
			folio_clear_active(folio);
			folio_set_workingset(folio);
			vm_count(cache, VM_pgdeactivate, folio_nr_pages(folio));
		}
		vm_count(cache, VM_pgrefill, scanned - before);
		lru_putback(cache, &folios);
	}
}

static void shrink_inactive_list(struct cache_machine *cache, enum lru_list list, unsigned long nr_to_scan,
				 struct scan_control *sc)
{
	unsigned long scanned = 0;

	while (scanned < nr_to_scan && (sc->drop || sc->nr_reclaimed < sc->nr_to_reclaim)) {
		unsigned long before = scanned, freed;
		LIST_HEAD(folios);

		if (!lru_isolate(cache, list, &folios, &scanned))
			break;
		freed = shrink_folio_list(cache, &folios, sc);
		sc->nr_reclaimed += freed;
		if (sc->drop)
			continue;
		vm_count(cache, sc->kswapd ? VM_pgscan_kswapd : VM_pgscan_direct, scanned - before);
		vm_count(cache, sc->kswapd ? VM_pgsteal_kswapd : VM_pgsteal_direct, freed);
		cond_resched();
	}
}

static void shrink_lruvec(struct cache_machine *cache, struct scan_control *sc)
{
	unsigned long inactive = READ_ONCE(cache->nr_lru[LRU_INACTIVE_FILE]);
	unsigned long scan = max_t(unsigned long, inactive >> sc->priority, SWAP_CLUSTER_MAX);

	shrink_inactive_list(cache, LRU_INACTIVE_FILE, scan, sc);
	if (inactive_is_low(cache))
		shrink_active_list(cache, max_t(unsigned long,
						READ_ONCE(cache->nr_lru[LRU_ACTIVE_FILE]) >> sc->priority,
						2ul * SWAP_CLUSTER_MAX));
}

// One shrinker's share of a pass: objects in proportion to the priority, weighed by what it costs to make
// them again.
static unsigned long do_shrink_slab(struct cache_machine *cache, struct shrinker *s, int priority)
{
	unsigned long freeable = s->count_objects(s, cache->machine), freed = 0;
	long total, scanned = 0;

	if (!freeable)
		return 0;
	total = __atomic_exchange_n(&s->nr_deferred, 0, __ATOMIC_RELAXED);
	total += (freeable >> priority) * 4 / (s->seeks ? s->seeks : 1);
	total = min_t(long, total, 2 * freeable);
	while (total - scanned >= SHRINK_BATCH || (total > scanned && total >= (long)freeable)) {
		long nr = min_t(long, SHRINK_BATCH, total - scanned);

		freed += s->scan_objects(s, cache->machine, nr);
		scanned += nr;
		cond_resched();
	}
	__atomic_fetch_add(&s->nr_deferred, total - scanned, __ATOMIC_RELAXED);
	vm_count(cache, VM_slabs_scanned, scanned);
	return freed;
}

static unsigned long shrink_slab(struct cache_machine *cache, int priority)
{
	struct shrinker *s;
	unsigned long freed = 0;

	down_read(&cache->shrinker_rwsem);
	list_for_each_entry (s, &cache->shrinkers, list)
		freed += do_shrink_slab(cache, s, priority);
	up_read(&cache->shrinker_rwsem);
	workingset_shrink(cache);
	return freed;
}

// Passes of rising priority until enough came free. Returns pages; objects count for what they gave back to
// the machine.
static unsigned long do_try_to_free_pages(struct cache_machine *cache, struct scan_control *sc)
{
	long charged = machine_charged(cache->machine);
	unsigned flags = current->alloc_flags;

	current->alloc_flags |= PF_MEMALLOC;
	lru_add_drain_all(cache);
	for (sc->priority = DEF_PRIORITY; sc->priority >= 0; sc->priority--) {
		long gone;

		shrink_lruvec(cache, sc);
		sc->nr_objects += shrink_slab(cache, sc->priority);
		gone = (charged - machine_charged(cache->machine)) >> PAGE_SHIFT;
		if (sc->nr_reclaimed + max(gone, 0l) >= sc->nr_to_reclaim)
			break;
	}
	current->alloc_flags = flags;
	charged -= machine_charged(cache->machine);
	if (charged > 0)
		sc->nr_reclaimed += charged >> PAGE_SHIFT;
	cache_trim(cache);
	if (sc->nr_reclaimed && wq_has_sleeper(&cache->reclaim_wait))
		wake_up_all(&cache->reclaim_wait);
	return sc->nr_reclaimed;
}

unsigned long try_to_free_pages(struct shale *machine, unsigned long nr_pages)
{
	struct cache_machine *cache = machine->cache;
	struct scan_control sc = {.nr_to_reclaim = nr_pages};

	if (current->alloc_flags & PF_MEMALLOC)
		return 0;
	vm_count(cache, VM_allocstall_normal, 1);
	return do_try_to_free_pages(cache, &sc);
}

// The background: until used memory is below the low mark, or there is nothing more to find.
static void kswapd_work(struct work_struct *work)
{
	struct cache_machine *cache = container_of(work, struct cache_machine, kswapd);

	vm_count(cache, VM_pageoutrun, 1);
	for (;;) {
		unsigned long used = cache_pages_used(cache);
		struct scan_control sc = {.kswapd = true};

		if (used <= cache->low_pages)
			break;
		sc.nr_to_reclaim = min(used - cache->low_pages, 4096ul);
		if (!do_try_to_free_pages(cache, &sc))
			break;
	}
	if (cache_pages_used(cache) > cache->low_pages)
		(void)cache_start_flush(cache);
}

static bool cache_has_room(struct cache_machine *cache, unsigned long nr_pages)
{
	return cache_pages_used(cache) + nr_pages <= cache->limit_pages;
}

// Does writing get on, for one who may wait for it?
static bool writing_gets_on(struct cache_machine *cache, u64 *written)
{
	u64 before = *written;

	*written = vm_read(cache, VM_nr_written);
	if (current->alloc_flags & PF_MEMALLOC_NOFS)
		return false;
	return *written != before || vm_read(cache, VM_nr_writeback);
}

// At the limit: frees, has others write, waits. False: in vain.
static bool cache_reclaim(struct cache_machine *cache, unsigned long nr_pages, bool may_wait)
{
	u64 written = vm_read(cache, VM_nr_written);

	for (int round = 0; round < RECLAIM_ROUNDS;) {
		unsigned long freed =
			try_to_free_pages(cache->machine, max_t(unsigned long, nr_pages, SWAP_CLUSTER_MAX));

		if (cache_has_room(cache, nr_pages))
			return true;
		arena_drain(cache->arena);
		if (cache_has_room(cache, nr_pages))
			return true;
		if (!may_wait)
			return false;
		(void)cache_start_flush(cache);
		if (!freed)
			(void)wait_event_timeout(cache->reclaim_wait, cache_has_room(cache, nr_pages),
						 RECLAIM_WAIT_NS);
		if (!writing_gets_on(cache, &written))
			round++;
	}
	return cache_has_room(cache, nr_pages) || current->alloc_flags & PF_MEMALLOC_NOFS;
}

bool cache_reserve(struct cache_machine *cache, unsigned long nr_pages, bool may_wait)
{
	unsigned long used = cache_pages_used(cache);

	if (current->alloc_flags & PF_MEMALLOC)
		return true;
	if (used + nr_pages > cache->high_pages && !work_pending(&cache->kswapd))
		queue_work(cache->machine->system_wq, &cache->kswapd);
	if (used + nr_pages <= cache->limit_pages)
		return true;
	return cache_reclaim(cache, nr_pages, may_wait);
}

void cache_throttle(struct shale *machine)
{
	struct cache_machine *cache = machine->cache;

	// One look at the limit for every 64 objects: what they take in between is small against the marks.
	if (atomic64_fetch_add(1, &cache->vm[current->shard].throttle) & 63)
		return;
	(void)cache_reserve(cache, 1, false);
	cache_trim(cache);
}

static void drop_pagecache(struct cache_machine *cache)
{
	struct scan_control sc = {.drop = true};

	lru_add_drain_all(cache);
	for (enum lru_list list = LRU_INACTIVE_FILE; list < NR_LRU_LISTS; list++)
		shrink_inactive_list(cache, list, READ_ONCE(cache->nr_lru[list]), &sc);
}

static unsigned long drop_slab(struct cache_machine *cache)
{
	struct shrinker *s;
	unsigned long freed = 0;

	down_read(&cache->shrinker_rwsem);
	list_for_each_entry (s, &cache->shrinkers, list) {
		unsigned long nr = s->count_objects(s, cache->machine);

		if (nr)
			freed += s->scan_objects(s, cache->machine, nr);
	}
	up_read(&cache->shrinker_rwsem);
	return freed;
}

void drop_caches(struct shale *machine)
{
	struct cache_machine *cache = machine->cache;
	unsigned flags = current->alloc_flags;

	current->alloc_flags |= PF_MEMALLOC;
	drop_pagecache(cache);
	vm_count(cache, VM_drop_pagecache, 1);
	// Dentries hold inodes, children hold parents: again while something goes.
	for (int i = 0; i < 64 && drop_slab(cache); i++)
		;
	drop_pagecache(cache);
	vm_count(cache, VM_drop_slab, 1);
	current->alloc_flags = flags;
	cache_trim(cache);
}

void shrinker_register(struct shale *machine, struct shrinker *s)
{
	struct cache_machine *cache = machine->cache;

	WRITE_ONCE(s->nr_deferred, 0);
	down_write(&cache->shrinker_rwsem);
	list_add_tail(&s->list, &cache->shrinkers);
	up_write(&cache->shrinker_rwsem);
}

void shrinker_unregister(struct shale *machine, struct shrinker *s)
{
	struct cache_machine *cache = machine->cache;

	down_write(&cache->shrinker_rwsem);
	list_del_init(&s->list);
	up_write(&cache->shrinker_rwsem);
}

void vmscan_init(struct cache_machine *cache)
{
	INIT_WORK(&cache->kswapd, kswapd_work);
	init_waitqueue_head(&cache->reclaim_wait);
	init_rwsem(&cache->shrinker_rwsem);
	INIT_LIST_HEAD(&cache->shrinkers);
}

void vmscan_exit(struct cache_machine *cache)
{
	cancel_work_sync(&cache->kswapd);
}
