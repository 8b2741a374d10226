/* SPDX-License-Identifier: MIT */
/*
 * Pools of objects of one size, cut from slabs of 64 KiB or more that count as the machine's memory.
 *
 * Each pool has free lists in SHARDS parts, each with a lock that is hardly ever contended (a thread uses the
 * part of its current->shard). An empty part takes half of what a slab of the shared list has, or a new slab;
 * a part that has grown too long gives its surplus back. Slabs are freed when all their objects are free: at
 * once, or with POOL_TYPESAFE after a grace period of RCU.
 *
 * POOL_TYPESAFE: a reader inside an RCU section may look at an object that was freed (and made anew as
 * another): the memory stays an object of this type. The constructor runs once when a slab is made; fields it
 * sets (locks, sequence counts) keep their meaning over free and alloc. The first word of a free object is
 * not touched: its list link lies after the object. Without POOL_TYPESAFE the constructor must be NULL, and a
 * freed object's bytes are poisoned in sanitizer builds.
 */
#ifndef SHALE_BASE_POOL_H
#define SHALE_BASE_POOL_H

#include "base/compiler.h"

struct shale;
struct pool;

#define POOL_TYPESAFE (1u << 0)
#define POOL_CACHELINE                                                                                       \
	(1u << 1)           /* objects aligned to cache lines (else to 8 bytes, or 16 from 16 bytes on) */
#define POOL_ZERO (1u << 2) /* pool_alloc gives zeroed objects; not with POOL_TYPESAFE */

/* `name` is kept, not copied. size: 1 .. 16 KiB. -EINVAL, -ENOMEM. */
int __must_check pool_create(struct shale *machine, const char *name, size_t size, unsigned flags,
			     void (*ctor)(void *object), struct pool **out);
/* All objects must have been freed (checked). NULL: nothing. */
void pool_destroy(struct pool *pool);

/* NULL without memory, or by failure injection. Never sleeps. */
void *pool_alloc(struct pool *pool) __must_check;
/* From any thread. NULL: nothing. */
void pool_free(struct pool *pool, void *object);
/* Gives free slabs back to the host; bytes given. */
size_t pool_shrink(struct pool *pool);
/* For reports: objects in use (a snapshot), and bytes of slabs. */
size_t pool_in_use(const struct pool *pool);
size_t pool_capacity(const struct pool *pool); /* never less than that, and cheap */
size_t pool_bytes(const struct pool *pool);

#endif
