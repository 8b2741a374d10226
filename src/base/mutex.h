/* SPDX-License-Identifier: MIT */
/*
 * struct mutex: a lock whose holder may sleep. Who finds it taken spins shortly (in a machine with threads),
 * then sleeps through base/wait.h; with threads=0 another fiber runs meanwhile. Unlocking wakes one sleeper,
 * which may still be overtaken by a newcomer. As in Linux, the lock must not be freed while an unlock of it
 * still runs.
 *
 * The state: 0 free, 1 taken, 2 taken and somebody may sleep.
 */
#ifndef SHALE_BASE_MUTEX_H
#define SHALE_BASE_MUTEX_H

#include "base/wait.h"

struct __lock_type("mutex") mutex
{
	u32 state;
	wait_queue_head_t wait;
};

#define __MUTEX_INITIALIZER(name)                                                                            \
	{                                                                                                    \
		.wait = __WAIT_QUEUE_HEAD_INITIALIZER((name).wait)                                           \
	}

void mutex_lock_slow(struct mutex *lock);
void mutex_unlock_slow(struct mutex *lock);

static inline void mutex_init(struct mutex *lock)
{
	lock->state = 0;
	init_waitqueue_head(&lock->wait);
}
static inline void mutex_destroy(struct mutex *lock)
{
	BUG_ON(READ_ONCE(lock->state) != 0);
}

static inline void mutex_lock(struct mutex *lock) __acquires(lock) __no_lock_analysis
{
	u32 free = 0;

	if (unlikely(!try_cmpxchg_acquire(&lock->state, &free, 1u)))
		mutex_lock_slow(lock);
}
static inline bool mutex_trylock(struct mutex *lock) __try_acquires(true, lock) __no_lock_analysis
{
	u32 free = 0;

	return try_cmpxchg_acquire(&lock->state, &free, 1u);
}
static inline void mutex_unlock(struct mutex *lock) __releases(lock) __no_lock_analysis
{
	if (unlikely(xchg_release(&lock->state, 0u) == 2))
		mutex_unlock_slow(lock);
}
static inline bool mutex_is_locked(const struct mutex *lock)
{
	return READ_ONCE(lock->state) != 0;
}
static inline void lockdep_assert_held_mutex(struct mutex *lock) __asserts_held(lock)
{
	BUG_ON(!mutex_is_locked(lock));
}

/* Held from here to the end of the enclosing block. */
static inline struct mutex *scoped_mutex_begin(struct mutex *lock) __no_lock_analysis
{
	mutex_lock(lock);
	return lock;
}
static inline void scoped_mutex_end(struct mutex **lock) __no_lock_analysis
{
	mutex_unlock(*lock);
}
static inline void scoped_mutex_held(struct mutex *lock) __asserts_held(lock) {}
#define scoped_mutex_lock(lock)                                                                              \
	struct mutex *__scoped_name(scoped_mutex_, __LINE__)                                                 \
		__attribute__((cleanup(scoped_mutex_end), unused)) = scoped_mutex_begin(lock);               \
	scoped_mutex_held(lock)

#endif
