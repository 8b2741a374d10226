/* SPDX-License-Identifier: MIT */
/*
 * Timers: a function called once when the machine's clock (ktime_get) reaches a time. With threads they run
 * on one timer thread of the machine, started with the first mod_timer; with threads=0 where fibers wait. The
 * function must not sleep; it may rearm its timer and take spinlocks that no caller of del_timer_sync holds.
 *
 * Timers of one machine live in a heap ordered by (time, order of arming), guarded by the lock of
 * machine->timers.
 */
#ifndef SHALE_BASE_TIMER_H
#define SHALE_BASE_TIMER_H

#include "base/wait.h"

struct shale;
struct machine_thread;

struct timer {
	struct shale *machine;
	void (*fn)(struct timer *timer);
	s64 expires; /* ns, of ktime_get */
	u64 order;   /* ties are fired in order of arming */
	bool armed;
	/* Pairing heap. */
	struct timer *child, *next, *prev; /* prev: left sibling, or the parent for a first child */
};

void timer_setup(struct shale *machine, struct timer *timer, void (*fn)(struct timer *timer));
/* Arms it for `expires_ns` of ktime_get, also if it was armed already; true when it was. Callable under
 * spinlocks. */
bool mod_timer(struct timer *timer, s64 expires_ns);
/* Arms it unless it is armed already: false then. */
bool timer_start(struct timer *timer, s64 expires_ns);
/* Disarms; true when it was armed. Its function may still be running. */
bool del_timer(struct timer *timer);
/* Disarms and waits until its function does not run any more. Not from the function itself. */
bool del_timer_sync(struct timer *timer);
bool timer_pending(struct timer *timer);

struct machine_timers {
	spinlock_t lock;
	struct timer *root;
	u64 order;
	struct timer *running;         /* whose function is being called */
	wait_queue_head_t done;        /* del_timer_sync waits here */
	wait_queue_head_t wake;        /* the timer thread waits here */
	struct machine_thread *thread; /* NULL until needed, and with threads=0 */
	u32 starting;                  /* taken by who starts the thread */
	bool stopping;
};
int machine_timers_init(struct shale *machine);
void machine_timers_exit(struct shale *machine);
/* The next time that a timer is due, KTIME_MAX when none is armed. */
s64 timers_next(struct shale *machine);
/* The thread, made if there is none, has to look at what is armed. Not with threads=0: nothing. */
void timers_kick(struct shale *machine);
/* Runs what is due at `now`; true when anything ran. */
bool timers_run(struct shale *machine, s64 now);

#endif
