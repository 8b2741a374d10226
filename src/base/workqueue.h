/* SPDX-License-Identifier: MIT */
/*
 * Work queues: every background activity of a machine is an item of work on one of them.
 *
 * A queue starts its items in order, at most max_active at a time (1: an ordered queue; 0: as many as the
 * machine has threads). An item that is queued while it waits is queued once; while it runs, it runs once
 * more afterwards, never twice at the same time.
 *
 * With threads, the machine's workers take the items: none exists until the first work is queued, at most
 * options.threads run at a time; one that sleeps inside an item does not count, so that what it waits for can
 * run. While an ordered queue has work one spare worker is kept, made before it is needed; should making
 * threads fail then, the spare serves ordered queues only (Linux's rescuer). With threads=0 each item runs as
 * a fiber, when somebody waits, in an order given by the seed.
 *
 * Items run with `current` entered for the machine and no task. One lock (machine->workers.lock) guards the
 * lists of all queues and the state of all items.
 */
#ifndef SHALE_BASE_WORKQUEUE_H
#define SHALE_BASE_WORKQUEUE_H

#include "base/timer.h"
#include "base/wait.h"

struct work_struct;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	struct list_head entry; /* queue's waiting list or the workers' ready list */
	work_func_t func;
	struct workqueue_struct *wq; /* the queue it is or was last on */
	u64 seq;                     /* number of its last queueing */
	u32 state;                   /* WORK_* bits; written under the lock */
};
#define WORK_PENDING 1u /* waits to run */
#define WORK_READY   2u /* is on the ready list */
#define WORK_AGAIN   4u /* waits for its own run to end */

#define INIT_WORK(work, fn) init_work(work, fn)
void init_work(struct work_struct *work, work_func_t func);
static inline bool work_pending(const struct work_struct *work)
{
	return READ_ONCE(work->state) & WORK_PENDING;
}
/* Waiting or running. */
bool work_busy(const struct work_struct *work);

struct delayed_work {
	struct work_struct work;
	struct timer timer;
	struct workqueue_struct *wq;
};
#define INIT_DELAYED_WORK(machine, dwork, fn) init_delayed_work(machine, dwork, fn)
void init_delayed_work(struct shale *machine, struct delayed_work *dwork, work_func_t func);
static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}
static inline bool delayed_work_pending(struct delayed_work *dwork)
{
	return timer_pending(&dwork->timer) || work_pending(&dwork->work);
}

/* max_active: how many items run at a time; 1: strictly in order; 0: no limit of its own. -ENOMEM. */
int __must_check alloc_workqueue(struct shale *machine, const char *name, unsigned max_active,
				 struct workqueue_struct **out);
/* Runs what is queued, waits for it, frees the queue. Delayed work must have been cancelled. NULL: nothing.
 */
void destroy_workqueue(struct workqueue_struct *wq);

/* False when the item waits already. Callable from anywhere, under spinlocks, without `current`. */
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
/* After `ns` nanoseconds (0: at once); false when the timer runs or the item waits already. */
bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, s64 ns);
/* The same, but a timer that runs is moved (earlier or later); true when one was. */
bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, s64 ns);

/* Waits until the item has run as it was last queued; false when it was idle. */
bool flush_work(struct work_struct *work);
/* Starts it at once if its timer runs, and waits for it. */
bool flush_delayed_work(struct delayed_work *dwork);
/* Waits for all items that were queued before. */
void flush_workqueue(struct workqueue_struct *wq);
/* Takes it off its queue if it waits, waits for it if it runs; afterwards it is idle, if nobody queues it. */
bool cancel_work_sync(struct work_struct *work);
bool cancel_delayed_work(struct delayed_work *dwork);
bool cancel_delayed_work_sync(struct delayed_work *dwork);

/* The machine's part; the lock guards all of it. */
struct machine_workers {
	spinlock_t lock;
	u64 seq;                /* number of the last queueing */
	struct list_head ready; /* items that may start */
	unsigned nr_ready;
	struct list_head running; /* struct work_running, one for each item that runs */
	struct list_head queues;
	wait_queue_head_t done; /* woken when an item has ended and there are flushers */
	unsigned flushers;
	struct list_head workers; /* threads */
	struct list_head idle;    /* those without work */
	unsigned nr_workers, nr_idle;
	unsigned nr_running; /* workers that neither idle nor sleep inside an item */
	unsigned nr_ordered; /* items of ordered queues that wait or run */
	bool spawn_failed, stopping;
};
int machine_workers_init(struct shale *machine);
/* Waits for all work, ends all workers. */
void machine_workers_exit(struct shale *machine);
/* The running worker goes to sleep inside an item, and wakes. Called by schedule(). */
void worker_sleeping(struct shale *machine);
void worker_waking(struct shale *machine);
/* There may be work that found no worker: the machine was held. */
void workers_kick(struct shale *machine);

/* One run of an item; kept by who runs it. */
struct work_running {
	struct work_struct *work; /* may be freed by its function: followed only if `again` */
	work_func_t func;
	struct workqueue_struct *wq;
	u64 seq;
	bool again; /* queued again meanwhile */
	struct list_head entry;
};
/* For the runners. How many items may start; begins the run of the nth (lock held, or threads=0); runs it and
 * ends it. */
unsigned work_ready_count(struct shale *machine);
void work_begin(struct shale *machine, unsigned nth, struct work_running *run);
void work_run(struct shale *machine, struct work_running *run);

#endif
