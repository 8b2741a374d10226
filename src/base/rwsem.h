/* SPDX-License-Identifier: MIT */
/*
 * struct rw_semaphore: many readers or one writer, whose holders may sleep. Fair: who has to wait is served
 * in order of arrival, and newcomers queue behind (a reader does not overtake a waiting writer, so reading
 * twice may deadlock).
 *
 * The count: number of readers, plus RWSEM_WRITER while written, plus RWSEM_WAITERS while the list is not
 * empty. The unlocker that sees RWSEM_WAITERS hands the lock over to the first in line (a writer, or all
 * readers up to the next writer) under the list's lock, so a waiter wakes as owner.
 */
#ifndef SHALE_BASE_RWSEM_H
#define SHALE_BASE_RWSEM_H

#include "base/wait.h"

#define RWSEM_WRITER  0x80000000u
#define RWSEM_WAITERS 0x40000000u

struct __lock_type("rwsem") rw_semaphore
{
	u32 count;
	spinlock_t lock; /* guards waiters */
	struct list_head waiters;
};

void init_rwsem(struct rw_semaphore *sem);
void down_read_slow(struct rw_semaphore *sem);
void down_write_slow(struct rw_semaphore *sem);
void rwsem_wake(struct rw_semaphore *sem);

static inline bool down_read_trylock(struct rw_semaphore *sem)
	__try_acquires_shared(true, sem) __no_lock_analysis
{
	u32 old = READ_ONCE(sem->count);

	do {
		if (old & (RWSEM_WRITER | RWSEM_WAITERS))
			return false;
	} while (!try_cmpxchg_acquire(&sem->count, &old, old + 1));
	return true;
}
static inline void down_read(struct rw_semaphore *sem) __acquires_shared(sem) __no_lock_analysis
{
	if (unlikely(!down_read_trylock(sem)))
		down_read_slow(sem);
}
static inline void up_read(struct rw_semaphore *sem) __releases_any(sem) __no_lock_analysis
{
	u32 left = __atomic_sub_fetch(&sem->count, 1, __ATOMIC_ACQ_REL);

	if (unlikely(left == RWSEM_WAITERS))
		rwsem_wake(sem);
}
static inline bool down_write_trylock(struct rw_semaphore *sem) __try_acquires(true, sem) __no_lock_analysis
{
	u32 free = 0;

	return try_cmpxchg_acquire(&sem->count, &free, RWSEM_WRITER);
}
static inline void down_write(struct rw_semaphore *sem) __acquires(sem) __no_lock_analysis
{
	if (unlikely(!down_write_trylock(sem)))
		down_write_slow(sem);
}
static inline void up_write(struct rw_semaphore *sem) __releases(sem) __no_lock_analysis
{
	if (unlikely(__atomic_sub_fetch(&sem->count, RWSEM_WRITER, __ATOMIC_ACQ_REL) & RWSEM_WAITERS))
		rwsem_wake(sem);
}
/* From writer to reader, with nobody in between. (The analysis goes on to see a writer; up_read satisfies
 * it.) */
static inline void downgrade_write(struct rw_semaphore *sem) __no_lock_analysis
{
	if (unlikely(__atomic_sub_fetch(&sem->count, RWSEM_WRITER - 1, __ATOMIC_ACQ_REL) & RWSEM_WAITERS))
		rwsem_wake(sem);
}
static inline bool rwsem_is_locked(const struct rw_semaphore *sem)
{
	return (READ_ONCE(sem->count) & ~RWSEM_WAITERS) != 0;
}
static inline bool rwsem_is_write_locked(const struct rw_semaphore *sem)
{
	return (READ_ONCE(sem->count) & RWSEM_WRITER) != 0;
}
static inline void lockdep_assert_held_write(struct rw_semaphore *sem) __asserts_held(sem)
{
	BUG_ON(!rwsem_is_write_locked(sem));
}

#endif
