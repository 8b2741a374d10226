/* SPDX-License-Identifier: MIT */
/*
 * The contended ways of struct mutex and struct rw_semaphore.
 *
 * Mutex: a sleeper queues itself, then exchanges the state for 2; if that finds 0 it owns the lock, else the
 * holder's unlock will find 2 and wake the first in the queue.
 *
 * rw_semaphore: see the head of base/rwsem.h. A sleeper that was granted the lock takes the list's lock once
 * before it goes, so that who granted it has let go of the sleeper's node.
 */
#include "base/mutex.h"
#include "base/rwsem.h"

#define SPIN_ROUNDS 100

void mutex_lock_slow(struct mutex *lock)
{
	DEFINE_WAIT(entry);

	for (unsigned i = 0; i < SPIN_ROUNDS && !current->fiber; i++) {
		u32 state = READ_ONCE(lock->state);

		if (state == 0 && try_cmpxchg_acquire(&lock->state, &state, 1u))
			return;
		if (state == 2)
			break;
		cpu_relax();
	}
	for (;;) {
		prepare_to_wait_exclusive(&lock->wait, &entry);
		if (xchg_acquire(&lock->state, 2u) == 0)
			break;
		schedule_at("mutex_lock");
	}
	finish_wait(&lock->wait, &entry);
}

void mutex_unlock_slow(struct mutex *lock)
{
	wake_up(&lock->wait);
}

struct rwsem_node {
	struct list_head entry;
	struct waiter *waiter;
	bool writer;
	u32 granted; /* released by who grants, under sem->lock */
};

void init_rwsem(struct rw_semaphore *sem)
{
	WRITE_ONCE(sem->count, 0u);
	spin_lock_init(&sem->lock);
	INIT_LIST_HEAD(&sem->waiters);
}

static bool grant_one(struct rw_semaphore *sem, struct rwsem_node *node)
{
	u32 old = READ_ONCE(sem->count);

	do {
		if (node->writer ? old != RWSEM_WAITERS : (old & RWSEM_WRITER) != 0)
			return false;
	} while (!try_cmpxchg_acquire(&sem->count, &old, old + (node->writer ? RWSEM_WRITER : 1)));
	list_del(&node->entry);
	smp_store_release(&node->granted, 1u);
	waiter_wake(node->waiter);
	return true;
}

/* Hands the lock to the first in line as far as it is free. RWSEM_WAITERS is set, so nobody overtakes. */
static void grant_locked(struct rw_semaphore *sem)
{
	while (!list_empty(&sem->waiters)) {
		if (!grant_one(sem, list_first_entry(&sem->waiters, struct rwsem_node, entry)))
			return;
	}
	__atomic_fetch_and(&sem->count, ~RWSEM_WAITERS, __ATOMIC_RELAXED);
}

void rwsem_wake(struct rw_semaphore *sem)
{
	spin_lock(&sem->lock);
	if (!list_empty(&sem->waiters))
		grant_locked(sem);
	spin_unlock(&sem->lock);
}

static void rwsem_sleep(struct rw_semaphore *sem, bool writer)
{
	struct rwsem_node node = {.waiter = waiter_current(), .writer = writer};

	spin_lock(&sem->lock);
	list_add_tail(&node.entry, &sem->waiters);
	__atomic_fetch_or(&sem->count, RWSEM_WAITERS, __ATOMIC_RELAXED);
	/* It may have become free before the flag was up. */
	grant_locked(sem);
	spin_unlock(&sem->lock);
	for (;;) {
		waiter_set_sleeping(node.waiter);
		if (smp_load_acquire(&node.granted))
			break;
		schedule_at(writer ? "down_write" : "down_read");
	}
	waiter_set_running(node.waiter);
	spin_lock(&sem->lock);
	spin_unlock(&sem->lock);
}

void down_read_slow(struct rw_semaphore *sem)
{
	rwsem_sleep(sem, false);
}

void down_write_slow(struct rw_semaphore *sem)
{
	rwsem_sleep(sem, true);
}
