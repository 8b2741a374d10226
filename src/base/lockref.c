/* SPDX-License-Identifier: MIT */
/*
 * The operations of struct lockref (base/lockref.h). Each tries to change the count by one
 * compare-and-exchange while the lock is free, and takes the lock when that does not work.
 */
#include "base/lockref.h"

static inline struct lockref lockref_snapshot(struct lockref *ref)
{
	return (struct lockref){.lock_count = READ_ONCE(ref->lock_count)};
}

/*
 * The lock-free way: `check` looks at `old.count` and may return; then the count is changed by `delta`, and
 * `done` runs. Falls through when the lock is taken.
 */
#define LOCKREF_TRY(ref, delta, check, done)                                                                 \
	do {                                                                                                 \
		struct lockref old = lockref_snapshot(ref);                                                  \
		while (likely(old.lock.word == 0)) {                                                         \
			struct lockref new = old;                                                            \
			check;                                                                               \
			new.count += (delta);                                                                \
			if (likely(try_cmpxchg(&(ref)->lock_count, &old.lock_count, new.lock_count)))        \
				done;                                                                        \
		}                                                                                            \
	} while (0)

static void count_add(struct lockref *ref, int delta)
{
	WRITE_ONCE(ref->count, READ_ONCE(ref->count) + delta);
}

void lockref_get(struct lockref *ref)
{
	LOCKREF_TRY(ref, 1, , return );
	spin_lock(&ref->lock);
	count_add(ref, 1);
	spin_unlock(&ref->lock);
}

bool lockref_get_not_zero(struct lockref *ref)
{
	bool ok = false;

	LOCKREF_TRY(ref, 1, if (old.count <= 0) return false, return true);
	spin_lock(&ref->lock);
	if (READ_ONCE(ref->count) > 0) {
		count_add(ref, 1);
		ok = true;
	}
	spin_unlock(&ref->lock);
	return ok;
}

bool lockref_get_not_dead(struct lockref *ref)
{
	bool ok = false;

	LOCKREF_TRY(ref, 1, if (old.count < 0) return false, return true);
	spin_lock(&ref->lock);
	if (READ_ONCE(ref->count) >= 0) {
		count_add(ref, 1);
		ok = true;
	}
	spin_unlock(&ref->lock);
	return ok;
}

bool lockref_put_not_zero(struct lockref *ref)
{
	bool ok = false;

	LOCKREF_TRY(ref, -1, if (old.count <= 1) return false, return true);
	spin_lock(&ref->lock);
	if (READ_ONCE(ref->count) > 1) {
		count_add(ref, -1);
		ok = true;
	}
	spin_unlock(&ref->lock);
	return ok;
}

int lockref_put_return(struct lockref *ref)
{
	LOCKREF_TRY(ref, -1, if (old.count <= 0) return -1, return new.count);
	return -1;
}

bool lockref_put_or_lock(struct lockref *ref) __no_lock_analysis
{
	LOCKREF_TRY(ref, -1, if (old.count <= 1) break, return true);
	spin_lock(&ref->lock);
	if (READ_ONCE(ref->count) <= 1)
		return false;
	count_add(ref, -1);
	spin_unlock(&ref->lock);
	return true;
}
