/* SPDX-License-Identifier: MIT */
/*
 * struct lockref: a spinlock and a count of references in one word of 64 bits. While the lock is free the
 * count is changed by one compare-and-exchange of both; while it is taken, by its holder alone.
 *
 * A count below zero (lockref_mark_dead) is an object that goes away: no reference is given any more. The
 * holder of the lock reads and writes the count with READ_ONCE and WRITE_ONCE, since others look at it.
 */
#ifndef SHALE_BASE_LOCKREF_H
#define SHALE_BASE_LOCKREF_H

#include "base/spinlock.h"

struct lockref {
	union {
		u64 lock_count;
		struct {
			spinlock_t lock;
			int count;
		};
	};
};
BUILD_BUG_ON(sizeof(struct lockref) != 8);

#define LOCKREF_DEAD (-128)

static inline void lockref_init(struct lockref *ref, int count)
{
	spin_lock_init(&ref->lock);
	WRITE_ONCE(ref->count, count);
}
static inline int lockref_read(const struct lockref *ref)
{
	return READ_ONCE(ref->count);
}
static inline bool lockref_is_dead(const struct lockref *ref)
{
	return READ_ONCE(ref->count) < 0;
}

/* One more; the caller has a reference already. */
void lockref_get(struct lockref *ref);
/* One more unless the count is 0 or dead; false then. */
bool lockref_get_not_zero(struct lockref *ref) __must_check;
/* One more unless dead. */
bool lockref_get_not_dead(struct lockref *ref) __must_check;
/* One less unless it would become 0: false then, and the count is unchanged. */
bool lockref_put_not_zero(struct lockref *ref) __must_check;
/* One less and the new count; -1 when the lock is taken or the count was not above 0: nothing was done. */
int lockref_put_return(struct lockref *ref) __must_check;
/* One less and true; or, when this is the last reference (or dead): false with the lock held and the count
 * unchanged. */
bool lockref_put_or_lock(struct lockref *ref) __must_check __try_acquires(false, ref->lock);
/* No reference is given any more. Lock held. */
static inline void lockref_mark_dead(struct lockref *ref)
{
	WRITE_ONCE(ref->count, LOCKREF_DEAD);
}

#endif
