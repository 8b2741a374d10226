/* SPDX-License-Identifier: MIT */
/*
 * spinlock_t: a lock of four bytes for short sections that do not sleep. In user space the holder may be
 * preempted, so who finds it taken spins for a short while and then sleeps on the word (futex). Neither fair
 * nor recursive.
 *
 * The word: 0 free, 1 taken, 2 taken and somebody may sleep on it. Unlocking touches the memory for the last
 * time with the write that frees it, so the lock may be freed by the next holder.
 *
 * Unlocking a word of 1 is a plain store, which is several times cheaper than an exchange. Who writes 2 just
 * then is overwritten; so nobody sleeps on a lock for longer than a millisecond without looking again.
 *
 * In a machine with threads=0 nobody sleeps inside such a section and one thread runs at a time: meeting a
 * taken lock there is a bug and stops the process.
 */
#ifndef SHALE_BASE_SPINLOCK_H
#define SHALE_BASE_SPINLOCK_H

#include "base/annotate.h"
#include "base/atomic.h"

typedef struct __lock_type("spinlock") spinlock
{
	u32 word;
}
spinlock_t;

#define __SPIN_LOCK_UNLOCKED                                                                                 \
	(spinlock_t)                                                                                         \
	{                                                                                                    \
		0                                                                                            \
	}

void spin_lock_slow(spinlock_t *lock);
void spin_unlock_slow(spinlock_t *lock);

static inline void spin_lock_init(spinlock_t *lock)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELAXED);
}

static __always_inline void spin_lock(spinlock_t *lock) __acquires(lock) __no_lock_analysis
{
	u32 free = 0;

	if (unlikely(!try_cmpxchg_acquire(&lock->word, &free, 1u)))
		spin_lock_slow(lock);
}

static __always_inline bool spin_trylock(spinlock_t *lock) __try_acquires(true, lock) __no_lock_analysis
{
	u32 free = 0;

	return try_cmpxchg_acquire(&lock->word, &free, 1u);
}

static __always_inline void spin_unlock(spinlock_t *lock) __releases(lock) __no_lock_analysis
{
	if (likely(READ_ONCE(lock->word) == 1))
		smp_store_release(&lock->word, 0u);
	else
		spin_unlock_slow(lock);
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
	return READ_ONCE(lock->word) != 0;
}

/* Tells the analysis (and checks) that somebody holds it: at best the caller. */
static inline void lockdep_assert_held_spin(spinlock_t *lock) __asserts_held(lock)
{
	BUG_ON(!spin_is_locked(lock));
}

/* Held from here to the end of the enclosing block: `scoped_spin_lock(&object->lock);` */
static inline spinlock_t *scoped_spin_begin(spinlock_t *lock) __no_lock_analysis
{
	spin_lock(lock);
	return lock;
}
static inline void scoped_spin_end(spinlock_t **lock) __no_lock_analysis
{
	spin_unlock(*lock);
}
static inline void scoped_spin_held(spinlock_t *lock) __asserts_held(lock) {}
#define __scoped_name2(a, b) a##b
#define __scoped_name(a, b)  __scoped_name2(a, b)
#define scoped_spin_lock(lock)                                                                               \
	spinlock_t *__scoped_name(scoped_spin_, __LINE__)                                                    \
		__attribute__((cleanup(scoped_spin_end), unused)) = scoped_spin_begin(lock);                 \
	scoped_spin_held(lock)

#endif
