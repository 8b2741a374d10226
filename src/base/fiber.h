/* SPDX-License-Identifier: MIT */
/*
 * Fibers: how a machine with threads=0 does several things without threads. Every item of work runs on a
 * fiber, and the caller who is inside the machine is one too. When one waits (schedule), the scheduler
 * chooses by the machine's seed among the fibers that can run and the items that may start. When there is
 * none it lets the I/O poller block if requests are in flight; else it moves the clock to the next timer;
 * else all wait for each other for ever: it prints who waits where and aborts.
 *
 * Only one host thread at a time may be inside such a machine. No locks: that thread owns everything here.
 */
#ifndef SHALE_BASE_FIBER_H
#define SHALE_BASE_FIBER_H

#include "base/wait.h"

struct shale;
struct fiber;

struct machine_fibers {
	struct fiber *host;        /* the caller from outside; NULL in a machine with threads */
	struct list_head all;      /* those made here, sleeping or not; for the report of a deadlock */
	struct list_head runnable; /* woken or just started */
	struct list_head idle;     /* finished ones, for the next item */
	unsigned nr_runnable, nr_idle;
	struct fiber *prev; /* who switched last; for the sanitizers */
	u64 rng;            /* state of the choice */
	u64 switches;       /* decisions taken; with `trace`, the proof that a run repeats */
	u64 trace;          /* hash over all decisions */
};

int machine_fibers_init(struct shale *machine);
void machine_fibers_exit(struct shale *machine);

/* The caller from outside comes in and goes; `current` becomes that of the host's fiber. */
void fiber_enter_host(struct shale *machine, struct current_context *c);
void fiber_leave_host(struct shale *machine, struct current_context *c);

/* The running fiber sleeps until it is woken (its waiter is RUNNING) or the clock reaches `deadline`. */
void fiber_schedule(struct shale *machine, s64 deadline);
/* Makes it runnable. From the thread that is inside the machine. */
void fiber_wake(struct fiber *fiber);
/* The running fiber stays runnable; the seed chooses who goes on. */
void fiber_yield(struct shale *machine);

/*
 * Runs all work that can run without moving the clock, until everything is idle or waits for I/O, a timer or
 * another fiber. For tests and for the end of a machine; threads=0 only. True when anything ran.
 */
bool machine_run_pending(struct shale *machine);

#endif
