/* SPDX-License-Identifier: MIT */
/*
 * struct shale: the machine, which owns everything. Nothing in the library is global; all state hangs here.
 * The parts of base are inside; each other floor hangs its own on a pointer that only that floor looks into.
 *
 * src/api allocates it (zeroed), calls machine_init first and machine_exit last, and orders the floors in
 * between.
 *
 * Two kinds: with threads >= 1 background work runs on worker threads and the clock is the host's; with
 * threads == 0 no thread is ever started, work runs where somebody waits in an order given by the seed, and
 * the clock is virtual.
 */
#ifndef SHALE_BASE_MACHINE_H
#define SHALE_BASE_MACHINE_H

#include "base/alloc.h"
#include "base/clock.h"
#include "base/current.h"
#include "base/fiber.h"
#include "base/random.h"
#include "base/rcu.h"
#include "base/slab_memory.h"
#include "base/timer.h"
#include "base/wait.h"
#include "base/workqueue.h"

struct machine_options {
	unsigned threads; /* workers that run at a time; 0: deterministic */
	u64 seed;         /* 0 with threads: one of the host's */
	u64 memory_limit; /* bytes; 0: a quarter of the host's memory */
	s64 epoch_ns;     /* threads=0: the time of day at the start, ns since 1970 */
	bool held;        /* start no thread before machine_release */
};

struct machine_log;
struct machine_trace;

struct shale {
	struct machine_options options; /* as machine_init completed them; constant afterwards */
	bool single;                    /* threads == 0 */
	bool plain;                     /* neither that nor in a forked child: see current_enter_plain */
	bool held;                      /* relaxed: no thread is started before machine_release */
	bool trace_on;                  /* relaxed; see base/trace.h */
	int pid;                        /* of the process that made it: a forked child may not use it */
	struct machine_log *log;        /* base/log.h */
	struct machine_trace *trace;    /* base/trace.h */
	struct workqueue_struct *system_wq;
	int lost_write; /* the first write error that nobody was told, until now; set by cmpxchg */

	struct machine_clock clock;
	struct machine_random random;
	struct machine_rcu rcu __aligned_cacheline;
	struct machine_timers timers;
	struct machine_workers workers;
	struct machine_fibers fibers;
	struct machine_wait wait;
	struct machine_alloc alloc;
	struct machine_slabs slabs;

	struct blk_machine *blk;
	struct cache_machine *cache;
	struct vfs_machine *vfs;
	struct device_machine *device;
	struct driver_machine *drivers;
	struct io_engine *io;
};

/* *machine is zeroed memory, aligned to a cache line. -ENOMEM; then nothing is left to free. */
int __must_check machine_init(struct shale *machine, const struct machine_options *options);
/* Every other floor has left: waits for all work and callbacks, ends all threads. Outside any current_enter
 * of it. */
void machine_exit(struct shale *machine);

/*
 * current_enter and current_leave in place, as far as they are a few stores: for a machine with threads, not
 * nested, by a thread that is known. False: nothing was done.
 */
static __always_inline bool current_enter_plain(struct shale *machine, struct task *task,
						struct current_saved *saved)
{
	struct current_context *c = current;

	if (unlikely(!READ_ONCE(machine->plain) || c->machine || !c->waiter))
		return false;
	saved->plain = true;
	saved->nested = false;
	c->machine = machine;
	c->task = task;
	return true;
}
static __always_inline void current_leave_plain(struct current_saved *saved)
{
	struct current_context *c = current;

	if (likely(saved->plain && !c->io_submitted && !c->plug)) {
		c->machine = NULL;
		c->task = NULL;
	} else {
		current_leave(saved);
	}
}

static inline bool machine_single(const struct shale *machine)
{
	return machine->single;
}

/*
 * A machine that is held starts no thread: who waits for work (flush_work) does it. That is for the short
 * time in which a program makes its machine and confines itself. From now on threads start when they are
 * needed.
 */
void machine_release(struct shale *machine);

/* Starts a thread of the machine with all signals blocked, named `name` (15 characters). Negative errno;
 * -EAGAIN while it is held. Not with threads=0. */
struct machine_thread;
int __must_check machine_thread_start(struct shale *machine, const char *name, void (*fn)(void *arg),
				      void *arg, struct machine_thread **out);
/* Waits for its end and frees the handle. NULL: nothing. */
void machine_thread_join(struct machine_thread *thread);

#endif
