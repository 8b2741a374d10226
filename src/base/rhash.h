/* SPDX-License-Identifier: MIT */
/*
 * Hash tables that are read without locks: a fixed array of a power of two of buckets, each a list under RCU
 * and a small lock. The array comes zeroed from the system and takes memory only where it is used, so it may
 * be made large.
 *
 * The table owns the array, never the objects. A reader, inside rcu_read_lock, walks one bucket and matches
 * by its own condition; it may meet objects that are being removed, and an object may be met by none while it
 * moves between buckets (whoever moves objects has a sequence count for that). Writers hold the bucket's
 * lock: rhash_insert and rhash_delete take it, the _locked forms expect it. After deletion an object stays
 * readable until a grace period has passed. An object whose memory is reused at once (POOL_TYPESAFE) may lead
 * a reader into another bucket: such a reader checks at the end that it ended in its own
 * (rhash_for_each_entry_rcu cannot).
 */
#ifndef SHALE_BASE_RHASH_H
#define SHALE_BASE_RHASH_H

#include "base/list.h"
#include "base/rcu.h"
#include "base/spinlock.h"

struct shale;

struct rhash_bucket {
	struct hlist_head head; /* changed under lock, read under RCU */
	spinlock_t lock;
};

struct rhash {
	struct rhash_bucket *buckets;
	unsigned bits;
	struct shale *machine;
};

/* 2^bits buckets (1 to 30). -ENOMEM. */
int rhash_init(struct shale *machine, struct rhash *ht, unsigned bits) __must_check;
/* Nobody reads any more; objects that are still inside are forgotten. */
void rhash_destroy(struct rhash *ht);

/* The bucket of a hash: its low bits count. */
static __always_inline struct rhash_bucket *rhash_bucket(const struct rhash *ht, u32 hash)
{
	return &ht->buckets[hash & ((1u << ht->bits) - 1)];
}
#define rhash_lock(bucket)   spin_lock(&(bucket)->lock)
#define rhash_unlock(bucket) spin_unlock(&(bucket)->lock)

static inline void rhash_insert_locked(struct rhash_bucket *bucket, struct hlist_node *node)
	__must_hold(&bucket->lock)
{
	hlist_add_head_rcu(node, &bucket->head);
}
/* The node says hlist_unhashed afterwards; a node that is in no table stays so. */
static inline void rhash_delete_locked(struct rhash_bucket *bucket, struct hlist_node *node)
	__must_hold(&bucket->lock)
{
	hlist_del_init_rcu(node);
}
static inline void rhash_insert(struct rhash *ht, struct hlist_node *node, u32 hash)
{
	struct rhash_bucket *bucket = rhash_bucket(ht, hash);

	rhash_lock(bucket);
	rhash_insert_locked(bucket, node);
	rhash_unlock(bucket);
}
static inline void rhash_delete(struct rhash *ht, struct hlist_node *node, u32 hash)
{
	struct rhash_bucket *bucket = rhash_bucket(ht, hash);

	rhash_lock(bucket);
	rhash_delete_locked(bucket, node);
	rhash_unlock(bucket);
}

/* Over the objects of a bucket: inside rcu_read_lock; under its lock (_safe: the body may delete `pos`). */
#define rhash_for_each_entry_rcu(pos, bucket, member) hlist_for_each_entry_rcu (pos, &(bucket)->head, member)
#define rhash_for_each_entry(pos, bucket, member)     hlist_for_each_entry (pos, &(bucket)->head, member)
#define rhash_for_each_entry_safe(pos, n, bucket, member)                                                    \
	hlist_for_each_entry_safe (pos, n, &(bucket)->head, member)

/* The first object of the hash's bucket for which match(node, key) holds, inside rcu_read_lock. NULL: none.
 */
static __always_inline struct hlist_node *
rhash_lookup(const struct rhash *ht, u32 hash, bool (*match)(const struct hlist_node *node, const void *key),
	     const void *key)
{
	struct hlist_node *node = rcu_dereference(rhash_bucket(ht, hash)->head.first);

	for (; node; node = rcu_dereference(node->next))
		if (match(node, key))
			return node;
	return NULL;
}

#endif
