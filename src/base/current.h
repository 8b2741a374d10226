/* SPDX-License-Identifier: MIT */
/*
 * What the running thread does now: for which machine and task, and what it holds back (plug) or must not do
 * (alloc_flags). One structure per thread, filled by current_enter when a call comes in from outside or a
 * worker starts an item, emptied by current_leave. A fiber (base/fiber.h) has contents of its own, which are
 * swapped in with it.
 *
 * Only its own thread reads or writes it. Inside a sleeping function, use `current` anew after the sleep
 * instead of a pointer kept from before: a fiber may wake on another thread.
 */
#ifndef SHALE_BASE_CURRENT_H
#define SHALE_BASE_CURRENT_H

#include "base/compiler.h"

struct shale;
struct task;
struct fiber;
struct waiter;
struct worker;
struct blk_plug;
struct bio_list;

/* Counters and free lists that many threads use are split in so many parts; a power of two. */
#define SHARDS 16

struct current_context {
	struct shale *machine;
	struct task *task;
	struct blk_plug *plug; /* requests held back; NULL: none */
	void (*plug_flush)(struct blk_plug *plug, bool from_schedule);
	struct bio_list *bio_list; /* bios made while another is being submitted */
	void *journal_info;        /* handle of the transaction that is open */
	struct fiber *fiber;       /* in a threads=0 machine: the fiber that runs; else NULL */
	struct waiter *waiter; /* what wakers address; NULL until the thread's first current_enter or sleep */
	struct worker *worker; /* set on worker threads (base/workqueue.h) */
	unsigned alloc_flags;  /* PF_MEMALLOC_* of the caller's making */
	unsigned shard;        /* 0 .. SHARDS-1; always 0 in a threads=0 machine, so that it repeats */
	unsigned thread_shard; /* the thread's own */
	unsigned ways_missed;  /* of vfs/dcache_ways.c */
	bool io_submitted;     /* requests were put in flight since the thread last waited for I/O */
};

/* What current_enter puts aside. Lives on the caller's stack between enter and leave. */
struct current_saved {
	bool plain; /* entered by current_enter_plain */
	bool nested;
	struct current_context outer;
};

extern __thread struct current_context current_tls
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

#if defined(__x86_64__) && !defined(SHALE_CURRENT_PLAIN)
/* Computed each time: the compiler must not carry the address of one thread's copy over a sleep (see above).
 */
static __always_inline struct current_context *current_get(void)
{
	struct current_context *c;

	__asm__ __volatile__("movq %%fs:0, %0\n\taddq current_tls@gottpoff(%%rip), %0" : "=r"(c) : : "cc");
	return c;
}
#else
static noinline __maybe_unused struct current_context *current_get(void)
{
	__asm__ __volatile__("" : : : "memory");
	return &current_tls;
}
#endif
#define current current_get()

/* First use by a thread: gives it its shard and its waiter. Done by current_enter; harmless when repeated. */
void current_register(void);

/*
 * The thread begins to act for `task` (which may be NULL) of `machine`. May be nested, also for another
 * machine. Every enter has its current_leave with the same `saved`, in the same thread, in reverse order.
 */
void current_enter(struct shale *machine, struct task *task, struct current_saved *saved);
void current_leave(struct current_saved *saved);

#endif
