/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator of folios. See arena.h for what it is.
 *
 * A free run of 2^order pages is represented by the descriptor of its first page: arena_state FREE, its
 * order, and how many of its pages the host may still hold (nr_resident). Runs that were never used are not
 * on any list: `fresh` counts them up in units of the largest order, so that neither memory nor descriptors
 * of an unused machine are touched.
 *
 * Locks: arena->lock guards the free lists, arena_state, `fresh` and the order of free runs; a shard's lock
 * guards its cache. Order: shard, then arena. Bytes of free folios are poisoned under address sanitizer.
 */
#include "cache/arena.h"

#include "base/alloc.h"
#include "base/machine.h"
#include "base/spinlock.h"

#include <sys/mman.h>
#if SHALE_ASAN
#include <sanitizer/asan_interface.h>
#define arena_poison(p, n)   __asan_poison_memory_region(p, n)
#define arena_unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define arena_poison(p, n)   ((void)(p), (void)(n))
#define arena_unpoison(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_ORDERS     (MAX_FOLIO_ORDER + 1)
#define ARENA_BLOCK      (1ul << MAX_FOLIO_ORDER) // pages of the largest run
#define SHARD_ORDERS     4                        // orders 0..3 have caches in front
#define SHARD_PAGES      64                       // of each order, at most
#define ARENA_HUGE_BYTES (256ul << 20)            // from this size on huge pages are asked for
#define TRIM_MIN_ORDER   3                        // smaller runs are not worth a system call

enum arena_state { ARENA_USED, ARENA_FREE };

struct arena_shard {
	spinlock_t lock;
	u16 nr[SHARD_ORDERS];
	struct list_head free[SHARD_ORDERS];
} __aligned_cacheline;

struct arena {
	struct shale *machine;
	char *base;
	struct folio *folios;
	unsigned long nr_pages;
	size_t map_bytes, folios_bytes;
	void *map;
	unsigned shard_pages, trim_min_order;
	atomic64_t used, resident_free;
	spinlock_t lock __aligned_cacheline;
	unsigned long fresh; // pages from here on were never used
	struct list_head free[ARENA_ORDERS];
	struct arena_shard shards[SHARDS];
};

struct shale *arena_machine(const struct arena *arena)
{
	return arena->machine;
}

unsigned long arena_pages(const struct arena *arena)
{
	return arena->nr_pages;
}

unsigned long arena_used(const struct arena *arena)
{
	s64 used = atomic64_read(&arena->used);

	return used > 0 ? used : 0;
}

unsigned long arena_resident_free(const struct arena *arena)
{
	s64 free = atomic64_read(&arena->resident_free);

	return free > 0 ? free : 0;
}

static unsigned long folio_pfn(const struct arena *arena, const struct folio *folio)
{
	return folio - arena->folios;
}

static void *pfn_address(const struct arena *arena, unsigned long pfn)
{
	return arena->base + (pfn << PAGE_SHIFT);
}

static int arena_map(struct arena *arena)
{
	size_t align = ARENA_BLOCK << PAGE_SHIFT, bytes = arena->nr_pages << PAGE_SHIFT;
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	arena->map_bytes = bytes + align;
	arena->map = mmap(NULL, arena->map_bytes, prot, flags, -1, 0);
	if (arena->map == MAP_FAILED)
		return -ENOMEM;
	arena->base = PTR_ALIGN((char *)arena->map, align);
	arena->folios_bytes = arena->nr_pages * sizeof(struct folio);
	arena->folios = mmap(NULL, arena->folios_bytes, prot, flags, -1, 0);
	if (arena->folios == MAP_FAILED) {
		munmap(arena->map, arena->map_bytes);
		return -ENOMEM;
	}
	if (bytes >= ARENA_HUGE_BYTES) {
		// Advice only: a host without huge pages serves small ones.
		(void)madvise(arena->base, bytes, MADV_HUGEPAGE);
		arena->trim_min_order = MAX_FOLIO_ORDER;
	}
	return 0;
}

int arena_create(struct shale *machine, unsigned long nr_pages, struct arena **out)
{
	struct arena *arena = kmalloc_aligned(machine, sizeof(*arena), CACHELINE_SIZE);
	int err;

	if (!arena)
		return -ENOMEM;
	*arena = (struct arena){.machine = machine, .trim_min_order = TRIM_MIN_ORDER};
	arena->nr_pages = round_up(max(nr_pages, 2 * ARENA_BLOCK), ARENA_BLOCK);
	arena->shard_pages = clamp_t(unsigned long, arena->nr_pages / (SHARDS * 16), 8, SHARD_PAGES);
	spin_lock_init(&arena->lock);
	for (unsigned o = 0; o < ARENA_ORDERS; o++)
		INIT_LIST_HEAD(&arena->free[o]);
	for (unsigned i = 0; i < SHARDS; i++) {
		spin_lock_init(&arena->shards[i].lock);
		for (unsigned o = 0; o < SHARD_ORDERS; o++)
			INIT_LIST_HEAD(&arena->shards[i].free[o]);
	}
	err = arena_map(arena);
	if (err) {
		kfree(arena);
		return err;
	}
	*out = arena;
	return 0;
}

void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	arena_drain(arena);
	BUG_ON(atomic64_read(&arena->used) != 0);
	arena_unpoison(arena->base, arena->nr_pages << PAGE_SHIFT);
	munmap(arena->map, arena->map_bytes);
	munmap(arena->folios, arena->folios_bytes);
	kfree(arena);
}

// Runs with resident pages stand before those without: they are used again first, and the head tells if there
// are any.
static void run_insert(struct arena *arena, struct folio *run, unsigned order, unsigned resident)
{
	run->arena_state = ARENA_FREE;
	run->order = order;
	run->nr_resident = resident;
	if (resident)
		list_add(&run->lru, &arena->free[order]);
	else
		list_add_tail(&run->lru, &arena->free[order]);
}

static void run_remove(struct folio *run)
{
	list_del(&run->lru);
	run->arena_state = ARENA_USED;
}

// Cuts the run in halves until `order` is left; resident pages are counted to the half that is kept in use
// first, then to the others.
static void run_split(struct arena *arena, struct folio *run, unsigned order)
{
	unsigned resident = run->nr_resident;

	while (run->order > order) {
		unsigned half = run->order - 1;
		unsigned low = min_t(unsigned, resident, 1u << half);

		run->order = half;
		run_insert(arena, run + (1ul << half), half, resident - low);
		resident = low;
	}
	run->nr_resident = resident;
}

// A run of `order` from the lists, or from what was never used; under the lock. NULL: none.
static struct folio *buddy_alloc_locked(struct arena *arena, unsigned order)
{
	struct folio *run = NULL;

	for (unsigned o = order; o < ARENA_ORDERS; o++) {
		if (list_empty(&arena->free[o]))
			continue;
		run = list_first_entry(&arena->free[o], struct folio, lru);
		run_remove(run);
		break;
	}
	if (!run) {
		if (arena->fresh >= arena->nr_pages)
			return NULL;
		run = &arena->folios[arena->fresh];
		arena->fresh += ARENA_BLOCK;
		run->order = MAX_FOLIO_ORDER;
		run->nr_resident = 0;
	}
	run_split(arena, run, order);
	atomic64_sub(run->nr_resident, &arena->resident_free);
	return run;
}

// Merges with free buddies, as far as it goes.
static void buddy_merge_locked(struct arena *arena, struct folio *run, unsigned order, unsigned resident)
{
	unsigned long pfn = folio_pfn(arena, run);

	while (order < MAX_FOLIO_ORDER) {
		struct folio *buddy = &arena->folios[pfn ^ (1ul << order)];

		if (buddy->arena_state != ARENA_FREE || buddy->order != order)
			break;
		resident += buddy->nr_resident;
		run_remove(buddy);
		pfn &= ~(1ul << order);
		order++;
	}
	run_insert(arena, &arena->folios[pfn], order, resident);
}

static void buddy_free_locked(struct arena *arena, struct folio *run)
{
	atomic64_add(1l << run->order, &arena->resident_free);
	buddy_merge_locked(arena, run, run->order, 1u << run->order);
}

static struct arena_shard *arena_shard(struct arena *arena)
{
	return &arena->shards[current->shard];
}

// Takes some runs for the shard while the lock is held anyway; returns one for the caller.
static struct folio *shard_refill(struct arena *arena, struct arena_shard *shard, unsigned order)
{
	unsigned want = max(1u, (arena->shard_pages >> order) / 4);
	struct folio *got = NULL;

	scoped_spin_lock(&arena->lock);
	for (unsigned i = 0; i < want; i++) {
		struct folio *run = buddy_alloc_locked(arena, order);

		if (!run)
			break;
		atomic64_add(1l << order, &arena->used);
		if (!got) {
			got = run;
			continue;
		}
		list_add_tail(&run->lru, &shard->free[order]);
		shard->nr[order]++;
	}
	return got;
}

static struct folio *shard_alloc(struct arena *arena, unsigned order)
{
	struct arena_shard *shard = arena_shard(arena);
	struct folio *run;

	scoped_spin_lock(&shard->lock);
	if (!shard->nr[order])
		return shard_refill(arena, shard, order);
	run = list_first_entry(&shard->free[order], struct folio, lru);
	list_del(&run->lru);
	shard->nr[order]--;
	return run;
}

struct folio *arena_alloc(struct arena *arena, unsigned order)
{
	struct folio *folio;

	if (alloc_should_fail(arena->machine))
		return NULL;
	if (order < SHARD_ORDERS) {
		folio = shard_alloc(arena, order);
	} else {
		scoped_spin_lock(&arena->lock);
		folio = buddy_alloc_locked(arena, order);
		if (folio)
			atomic64_add(1l << order, &arena->used);
	}
	if (!folio)
		return NULL;
	folio->data = pfn_address(arena, folio_pfn(arena, folio));
	arena_unpoison(folio->data, folio_size(folio));
	INIT_LIST_HEAD(&folio->lru);
	folio->lru_list = 0;
	folio->index = 0;
	WRITE_ONCE(folio->private, NULL);
	WRITE_ONCE(folio->flags, 0);
	folio_set_arena(folio, arena);
	// Release: a stale lock-free reader that gets a reference sees the descriptor as it is now.
	atomic_set_release(&folio->_refcount, 1);
	return folio;
}

// Gives half of the shard's cache of this order back.
static void shard_spill(struct arena *arena, struct arena_shard *shard, unsigned order, unsigned keep)
{
	scoped_spin_lock(&arena->lock);
	while (shard->nr[order] > keep) {
		struct folio *run = list_last_entry(&shard->free[order], struct folio, lru);

		list_del(&run->lru);
		shard->nr[order]--;
		atomic64_sub(1l << order, &arena->used);
		buddy_free_locked(arena, run);
	}
}

void arena_free(struct arena *arena, struct folio *folio)
{
	unsigned order = folio->order;

	arena_poison(folio->data, folio_size(folio));
	if (order < SHARD_ORDERS) {
		struct arena_shard *shard = arena_shard(arena);
		unsigned high = max(2u, arena->shard_pages >> order);

		scoped_spin_lock(&shard->lock);
		list_add(&folio->lru, &shard->free[order]);
		if (++shard->nr[order] > high)
			shard_spill(arena, shard, order, high / 2);
		return;
	}
	scoped_spin_lock(&arena->lock);
	atomic64_sub(1l << order, &arena->used);
	buddy_free_locked(arena, folio);
}

void arena_drain(struct arena *arena)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct arena_shard *shard = &arena->shards[i];

		scoped_spin_lock(&shard->lock);
		for (unsigned o = 0; o < SHARD_ORDERS; o++)
			shard_spill(arena, shard, o, 0);
	}
}

// The largest free run that has resident pages, taken off its list; NULL: none.
static struct folio *trim_take(struct arena *arena, unsigned *resident)
{
	scoped_spin_lock(&arena->lock);
	for (int o = MAX_FOLIO_ORDER; o >= (int)arena->trim_min_order; o--) {
		struct folio *run;

		if (list_empty(&arena->free[o]))
			continue;
		run = list_first_entry(&arena->free[o], struct folio, lru);
		if (!run->nr_resident)
			continue;
		run_remove(run);
		*resident = run->nr_resident;
		return run;
	}
	return NULL;
}

void arena_trim(struct arena *arena, unsigned long keep)
{
	while (arena_resident_free(arena) > keep) {
		unsigned resident;
		struct folio *run = trim_take(arena, &resident);
		void *data;

		if (!run)
			return;
		// The run belongs to this thread now: nobody merges with it, so the system call needs no
		// lock.
		data = pfn_address(arena, folio_pfn(arena, run));
		if (madvise(data, PAGE_SIZE << run->order, MADV_DONTNEED) == 0) {
			atomic64_sub(resident, &arena->resident_free);
			resident = 0;
		}
		scoped_spin_lock(&arena->lock);
		buddy_merge_locked(arena, run, run->order, resident);
		if (resident)
			return;
	}
}
