/* SPDX-License-Identifier: MIT */
/*
 * Counts that many threads change and few read: one cache line per shard, changed with relaxed atomics on the
 * shard of the running thread. A sum taken while others change it is exact for some moment of each shard, not
 * for one moment of all.
 */
#ifndef SHALE_BASE_COUNTER_H
#define SHALE_BASE_COUNTER_H

#include "base/atomic.h"
#include "base/current.h"

struct sharded_counter {
	struct {
		s64 value;
	} __aligned_cacheline shard[SHARDS];
};

static inline void sharded_counter_init(struct sharded_counter *c, s64 value)
{
	for (unsigned i = 0; i < SHARDS; i++)
		WRITE_ONCE(c->shard[i].value, i == 0 ? value : 0);
}
static __always_inline void sharded_counter_add(struct sharded_counter *c, s64 n)
{
	__atomic_fetch_add(&c->shard[current->shard].value, n, __ATOMIC_RELAXED);
}
static __always_inline void sharded_counter_inc(struct sharded_counter *c)
{
	sharded_counter_add(c, 1);
}
static __always_inline void sharded_counter_dec(struct sharded_counter *c)
{
	sharded_counter_add(c, -1);
}
static inline s64 sharded_counter_sum(const struct sharded_counter *c)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += READ_ONCE(c->shard[i].value);
	return sum;
}
/* For what cannot be below zero: the sum, at least 0. */
static inline s64 sharded_counter_sum_positive(const struct sharded_counter *c)
{
	s64 sum = sharded_counter_sum(c);

	return sum < 0 ? 0 : sum;
}
/* Below, at or above `value`: -1, 0, 1. */
static inline int sharded_counter_compare(const struct sharded_counter *c, s64 value)
{
	s64 sum = sharded_counter_sum(c);

	return (sum > value) - (sum < value);
}

#endif
