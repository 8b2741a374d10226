/* SPDX-License-Identifier: MIT */
/*
 * Object pools (base/pool.h). A slab is SLAB_BYTES of memory aligned to its size, so that the slab of an
 * object is found by its address; its header lies at its start.
 *
 * Locks: shard->lock guards a shard's list; pool->lock guards the slabs' lists and headers; a shard's lock is
 * taken first. A free object is on the list of a shard or of its slab. The link of a free object is its first
 * word, or with POOL_TYPESAFE a word after it, since a late reader may still look at the object.
 */
#include <stdio.h>
#include <string.h>
#include "base/machine.h"
#include "base/pool.h"
#if SHALE_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n)   __asan_poison_memory_region(p, n)
#define unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define poison(p, n)   ((void)0)
#define unpoison(p, n) ((void)0)
#endif

#define OBJECT_MAX      ((size_t)SZ_16K)
#define BATCH_MAX       32
#define EMPTY_SLABS_MAX 2 /* kept for the next allocation */

struct slab {
	struct rcu_head rcu;
	struct shale *machine;
	struct slab_chunk *chunk; /* slab_memory.h */
	struct list_head list;    /* pool->partial, full or empty */
	void *free;
	unsigned nr_free;
};

struct pool_shard {
	spinlock_t lock;
	unsigned nr; /* objects on `free` */
	void *free;
	s64 in_use; /* allocations less frees made here; may be negative */
} __aligned_cacheline;

struct pool {
	struct pool_shard shard[SHARDS];
	struct shale *machine;
	const char *name;
	size_t size, stride; /* of the object; from one to the next */
	size_t link;         /* offset of the link of a free object */
	unsigned flags, first, per_slab, batch;
	void (*ctor)(void *object);
	spinlock_t lock;
	unsigned nr_slabs, nr_empty;
	struct list_head partial, full, empty; /* slabs by how much of them is free in them */
};

static void **link_of(const struct pool *pool, void *object)
{
	return (void **)((char *)object + pool->link);
}

static struct slab *slab_of(void *object)
{
	return (struct slab *)((uintptr_t)object & ~(SLAB_BYTES - 1));
}

/* Sanitizer builds: a free object may not be touched, a taken one may. */
static void object_free_poison(const struct pool *pool, void *object)
{
	if (!(pool->flags & POOL_TYPESAFE))
		poison(object, pool->stride);
}

static void *link_next(const struct pool *pool, void *object)
{
	unpoison(object, pool->stride);
	return *link_of(pool, object);
}

/* Slabs. */

static struct slab *slab_make(struct pool *pool)
{
	struct slab_chunk *chunk;
	struct slab *slab = slab_memory_get(pool->machine, &chunk);

	if (!slab)
		return NULL;
	machine_charge(pool->machine, SLAB_BYTES);
	slab->machine = pool->machine;
	slab->chunk = chunk;
	slab->free = NULL;
	slab->nr_free = pool->per_slab;
	for (unsigned i = pool->per_slab; i-- > 0;) {
		void *object = (char *)slab + pool->first + i * pool->stride;

		if (pool->ctor)
			pool->ctor(object);
		*link_of(pool, object) = slab->free;
		slab->free = object;
		object_free_poison(pool, object);
	}
	return slab;
}

static void slab_unmap(struct slab *slab)
{
	machine_uncharge(slab->machine, SLAB_BYTES);
	unpoison(slab, SLAB_BYTES);
	slab_memory_put(slab->machine, slab, slab->chunk);
}

static void slab_unmap_rcu(struct rcu_head *head)
{
	slab_unmap(container_of(head, struct slab, rcu));
}

/* The slab is on no list any more. */
static void slab_release(struct pool *pool, struct slab *slab)
{
	if (pool->flags & POOL_TYPESAFE)
		call_rcu(pool->machine, &slab->rcu, slab_unmap_rcu);
	else
		slab_unmap(slab);
}

static void release_list(struct pool *pool, struct list_head *slabs)
{
	struct slab *slab, *next;

	list_for_each_entry_safe (slab, next, slabs, list) {
		list_del(&slab->list);
		slab_release(pool, slab);
	}
}

/* Moves empty slabs beyond `keep` to `out`. pool->lock held. */
static void collect_empty(struct pool *pool, unsigned keep, struct list_head *out)
{
	while (pool->nr_empty > keep) {
		list_move(pool->empty.next, out);
		pool->nr_empty--;
		WRITE_ONCE(pool->nr_slabs, pool->nr_slabs - 1);
	}
}

/* A slab with free objects, or NULL. pool->lock held, dropped while one is made. */
static struct slab *slab_with_free(struct pool *pool) __no_lock_analysis
{
	struct slab *slab;

	if (!list_empty(&pool->partial))
		return list_first_entry(&pool->partial, struct slab, list);
	if (!list_empty(&pool->empty)) {
		slab = list_first_entry(&pool->empty, struct slab, list);
		pool->nr_empty--;
		list_move(&slab->list, &pool->partial);
		return slab;
	}
	spin_unlock(&pool->lock);
	slab = slab_make(pool);
	spin_lock(&pool->lock);
	if (slab) {
		list_add(&slab->list, &pool->partial);
		WRITE_ONCE(pool->nr_slabs, pool->nr_slabs + 1);
	}
	return slab;
}

/* Shards. */

static void shard_push(struct pool *pool, struct pool_shard *shard, void *object)
{
	*link_of(pool, object) = shard->free;
	object_free_poison(pool, object);
	shard->free = object;
	shard->nr++;
}

static void *shard_pop(struct pool *pool, struct pool_shard *shard)
{
	void *object = shard->free;

	shard->free = link_next(pool, object);
	shard->nr--;
	return object;
}

/* A batch from one slab. shard->lock held. */
static noinline bool shard_refill(struct pool *pool, struct pool_shard *shard)
{
	struct slab *slab;
	unsigned n = 0;

	spin_lock(&pool->lock);
	slab = slab_with_free(pool);
	if (slab) {
		for (; n < pool->batch && slab->free; n++) {
			void *object = slab->free;

			slab->free = link_next(pool, object);
			slab->nr_free--;
			shard_push(pool, shard, object);
		}
		if (!slab->free)
			list_move(&slab->list, &pool->full);
	}
	spin_unlock(&pool->lock);
	return slab != NULL;
}

/* Gives `n` objects back to their slabs. shard->lock held. */
static noinline void shard_drain(struct pool *pool, struct pool_shard *shard, unsigned n)
{
	LIST_HEAD(gone);

	spin_lock(&pool->lock);
	while (n--) {
		void *object = shard_pop(pool, shard);
		struct slab *slab = slab_of(object);

		*link_of(pool, object) = slab->free;
		object_free_poison(pool, object);
		slab->free = object;
		if (slab->nr_free++ == 0)
			list_move(&slab->list, &pool->partial);
		if (slab->nr_free == pool->per_slab) {
			list_move(&slab->list, &pool->empty);
			pool->nr_empty++;
		}
	}
	collect_empty(pool, EMPTY_SLABS_MAX, &gone);
	spin_unlock(&pool->lock);
	release_list(pool, &gone);
}

void *pool_alloc(struct pool *pool)
{
	struct pool_shard *shard = &pool->shard[current->shard];
	void *object = NULL;

	if (unlikely(pool->machine->alloc.fail_mode) && alloc_should_fail(pool->machine))
		return NULL;
	spin_lock(&shard->lock);
	if (likely(shard->free) || shard_refill(pool, shard)) {
		object = shard_pop(pool, shard);
		WRITE_ONCE(shard->in_use, shard->in_use + 1);
	}
	spin_unlock(&shard->lock);
	if (object && (pool->flags & POOL_ZERO))
		memset(object, 0, pool->size);
	return object;
}

void pool_free(struct pool *pool, void *object)
{
	struct pool_shard *shard = &pool->shard[current->shard];

	if (!object)
		return;
	spin_lock(&shard->lock);
	shard_push(pool, shard, object);
	WRITE_ONCE(shard->in_use, shard->in_use - 1);
	if (unlikely(shard->nr > 2 * pool->batch))
		shard_drain(pool, shard, pool->batch);
	spin_unlock(&shard->lock);
}

size_t pool_shrink(struct pool *pool)
{
	LIST_HEAD(gone);
	unsigned before;

	for (unsigned i = 0; i < SHARDS; i++) {
		struct pool_shard *shard = &pool->shard[i];

		spin_lock(&shard->lock);
		shard_drain(pool, shard, shard->nr);
		spin_unlock(&shard->lock);
	}
	spin_lock(&pool->lock);
	before = pool->nr_slabs;
	collect_empty(pool, 0, &gone);
	before -= pool->nr_slabs;
	spin_unlock(&pool->lock);
	release_list(pool, &gone);
	return before * SLAB_BYTES;
}

size_t pool_in_use(const struct pool *pool)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += READ_ONCE(pool->shard[i].in_use);
	return sum < 0 ? 0 : (size_t)sum;
}

size_t pool_capacity(const struct pool *pool)
{
	return (size_t)READ_ONCE(pool->nr_slabs) * pool->per_slab;
}

size_t pool_bytes(const struct pool *pool)
{
	return READ_ONCE(pool->nr_slabs) * SLAB_BYTES;
}

/* Where objects lie in a slab. */
static void lay_out(struct pool *pool, size_t size)
{
	size_t align = pool->flags & POOL_CACHELINE ? CACHELINE_SIZE : size >= 16 ? 16 : 8;

	pool->size = size;
	pool->link = pool->flags & POOL_TYPESAFE ? round_up(size, sizeof(void *)) : 0;
	pool->stride = round_up(max(size, pool->link + sizeof(void *)), align);
	pool->first = round_up(sizeof(struct slab), (size_t)CACHELINE_SIZE);
	pool->per_slab = (SLAB_BYTES - pool->first) / pool->stride;
	pool->batch = clamp_t(unsigned, pool->per_slab / 2, 1, BATCH_MAX);
}

int pool_create(struct shale *machine, const char *name, size_t size, unsigned flags,
		void (*ctor)(void *object), struct pool **out)
{
	struct pool *pool;

	if (size == 0 || size > OBJECT_MAX || (ctor && !(flags & POOL_TYPESAFE)) ||
	    (flags & (POOL_TYPESAFE | POOL_ZERO)) == (POOL_TYPESAFE | POOL_ZERO))
		return -EINVAL;
	pool = kmalloc_aligned(machine, sizeof(*pool), CACHELINE_SIZE);
	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	pool->machine = machine;
	pool->name = name;
	pool->flags = flags;
	pool->ctor = ctor;
	INIT_LIST_HEAD(&pool->partial);
	INIT_LIST_HEAD(&pool->full);
	INIT_LIST_HEAD(&pool->empty);
	lay_out(pool, size);
	*out = pool;
	return 0;
}

void pool_destroy(struct pool *pool)
{
	if (!pool)
		return;
	if (pool_in_use(pool) != 0)
		fprintf(stderr, "shale: pool %s: %zu objects are still in use\n", pool->name,
			pool_in_use(pool));
	pool_shrink(pool);
	BUG_ON(pool->nr_slabs != 0);
	kfree(pool);
}
