/* SPDX-License-Identifier: MIT */
/*
 * Read-copy-update, over liburcu's "bulletproof" flavour (threads need not register; readers cost a few
 * instructions, since the barriers are made by sys_membarrier in the updater). Only this file, its two
 * sources and base/rhash.h know liburcu.
 *
 * Callbacks are the machine's own: call_rcu puts the head on a list of the machine; one thread of the machine
 * (started with the first callback) takes the list, waits for a grace period once, and runs them all. So
 * freeing a machine needs no process-wide thread, and rcu_barrier waits for this machine's callbacks only.
 * Callbacks run with `current` set to the machine, in order of call_rcu within one thread, and must not
 * sleep.
 *
 * A machine with threads=0 never sleeps inside a read section (checked), so wherever one of its fibers waits,
 * or a call leaves the machine, no reader is left and the callbacks run there.
 *
 * Thread sanitizer: it does not see membarrier, so leaving a read section is annotated as a release, and the
 * end of a grace period and each callback as an acquire of the same token.
 */
#ifndef SHALE_BASE_RCU_H
#define SHALE_BASE_RCU_H

#include "base/annotate.h"
#include "base/atomic.h"
#if !SHALE_TSAN && !SHALE_ASAN
#include <urcu/static/urcu-bp.h>
#endif

struct shale;
struct mutex;

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};
#define __rcu

#if SHALE_TSAN || SHALE_ASAN
/* Calls into the library, whose own accesses the sanitizers do not judge. */
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
/* liburcu says of these two that they are short enough to be expanded in code under any licence. */
static __always_inline void rcu_read_lock(void)
{
	_urcu_bp_read_lock();
}
static __always_inline void rcu_read_unlock(void)
{
	_urcu_bp_read_unlock();
}
#endif
/* Is this thread inside a read section? */
bool rcu_read_lock_held(void);

/* A pointer that another thread may publish or take back. The macro's argument is the pointer variable
 * itself. */
#define rcu_dereference(p)           smp_load_acquire(&(p))
#define rcu_dereference_protected(p) READ_ONCE(p)
#define rcu_access_pointer(p)        READ_ONCE(p)
#define rcu_assign_pointer(p, v)     smp_store_release(&(p), (v))
#define RCU_INIT_POINTER(p, v)       WRITE_ONCE(p, v)
#define rcu_replace_pointer(p, v)    __atomic_exchange_n(&(p), (v), __ATOMIC_ACQ_REL)

/* Waits until every read section that runs now has ended. Sleeps: not from inside one. */
void synchronize_rcu(struct shale *machine);

/* Runs func(head) after a grace period. Never fails, never sleeps; callable inside read sections and under
 * spinlocks. */
void call_rcu(struct shale *machine, struct rcu_head *head, void (*func)(struct rcu_head *head));

/* Waits until all callbacks that were queued before have run, also those that they queued. Sleeps. */
void rcu_barrier(struct shale *machine);

/* kfree of the object that holds `field` (a struct rcu_head) after a grace period. The field is the object's
 * first. */
void kfree_rcu_head(struct shale *machine, struct rcu_head *head);
#define kfree_rcu(machine, p, field)                                                                         \
	do {                                                                                                 \
		BUILD_BUG_ON(offsetof(__typeof__(*(p)), field) != 0);                                        \
		kfree_rcu_head(machine, &(p)->field);                                                        \
	} while (0)

#define scoped_rcu_read()                                                                                    \
	int __attribute__((cleanup(scoped_rcu_end), unused)) scoped_rcu_section = (rcu_read_lock(), 0)
static inline void scoped_rcu_end(int *unused_section)
{
	rcu_read_unlock();
}

/* The machine's part. */
struct machine_thread;
struct machine_rcu {
	struct rcu_head *pending; /* newest first; pushed without a lock */
	u32 awake;                /* futex: 0 while the callback thread sleeps */
	u32 hurry;                /* futex: the thread pauses on it between batches */
	u32 starting;             /* taken by who starts the thread */
	bool stopping;
	struct machine_thread *thread; /* NULL until the first callback */
	struct mutex *batch;           /* held while a batch is taken, waited for and run */
};
int machine_rcu_init(struct shale *machine);
/* Runs what is left and ends the thread. */
void machine_rcu_exit(struct shale *machine);
/* threads=0, outside all read sections: runs what is queued. */
void rcu_run_single(struct shale *machine);

#endif
