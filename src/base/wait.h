/* SPDX-License-Identifier: MIT */
/*
 * All sleeping goes through here. Three layers:
 *
 * - struct waiter, one per thread and per fiber: what a waker addresses. State moves RUNNING -> SLEEPING (the
 * sleeper, before it looks at its condition) -> RUNNING (any waker). schedule() blocks while it is SLEEPING.
 * In a machine with threads a blocked waiter sleeps on a futex; with threads=0 it switches to another fiber
 * (base/fiber.h).
 * - wait queues, with Linux's macros and the loop prepare_to_wait / schedule / finish_wait under them;
 * completions; and waits for a bit of a word, over 256 hashed queues of the machine.
 * - waiting for I/O (the io_ and _io forms): who waits reaps. See "Waiting for I/O" below.
 *
 * Before a thread sleeps its plug is flushed (current->plug_flush). Sleeping inside an RCU read section is a
 * bug that stops the process. A sleeper needs `current` (base/current.h) to be entered.
 *
 * A queue's lock guards its list. An entry leaves the list by its last write (`queued`), so that its owner's
 * stack frame may vanish right after; a completion may be freed as soon as the wait for it returns.
 */
#ifndef SHALE_BASE_WAIT_H
#define SHALE_BASE_WAIT_H

#include "base/current.h"
#include "base/list.h"
#include "base/spinlock.h"

enum waiter_state { WAITER_RUNNING, WAITER_SLEEPING, WAITER_BLOCKED, WAITER_REAPING };

struct io_poller;

struct waiter {
	u32 state;                /* enum waiter_state; the futex word */
	bool io;                  /* on the machine's list of who waits for I/O */
	struct fiber *fiber;      /* threads=0: whom to make runnable */
	struct io_poller *poller; /* while REAPING: whom a waker has to kick */
	const char *place;        /* function that sleeps, for the report of a deadlock */
	const void *object;       /* and what on */
	struct list_head io_list; /* guarded by the lock of machine->wait */
};

typedef struct wait_queue_head {
	spinlock_t lock;
	u32 nr; /* entries; written under the lock */
	struct list_head head __guarded_by(lock);
} wait_queue_head_t;

struct wait_queue_entry;
/* Called under the queue's lock. 1: woken (counts against wake_up's number), 0: not meant. */
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry, void *key);

struct wait_queue_entry {
	u32 queued;     /* 1 while on the list; released by whoever takes it off, as the last touch */
	bool exclusive; /* wake_up stops after one of these */
	struct waiter *waiter;
	wait_queue_func_t func;
	void *key; /* for func */
	struct list_head entry;
};

#define __WAIT_QUEUE_HEAD_INITIALIZER(name)                                                                  \
	{                                                                                                    \
		.head = LIST_HEAD_INIT((name).head)                                                          \
	}
void init_waitqueue_head(wait_queue_head_t *wq);

/* The entry of the thread that runs, woken by any wake_up. */
void init_wait_entry(struct wait_queue_entry *entry);
#define DEFINE_WAIT(name)                                                                                    \
	struct wait_queue_entry name;                                                                        \
	init_wait_entry(&name)

/*
 * Puts the entry on the queue (if it is not) and sets this thread SLEEPING: a wake_up from now on makes the
 * next schedule() return at once. The _exclusive form queues at the end, and one such is woken by each
 * wake_up.
 */
void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry);
void prepare_to_wait_exclusive(wait_queue_head_t *wq, struct wait_queue_entry *entry);
/* Takes the entry off and sets this thread RUNNING. */
void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry);

/* Sleeps until woken; may return early. Flushes the plug first. */
void schedule_at(const char *place);
#define schedule() schedule_at(__func__)
/* Sleeps until woken or until `ns` nanoseconds have passed; returns how many of them are left, 0 when none.
 */
s64 schedule_timeout_at(s64 ns, const char *place);
#define schedule_timeout(ns) schedule_timeout_at(ns, __func__)
/* As schedule, and takes its turn in reaping I/O. */
void io_schedule_at(const char *place);
#define io_schedule() io_schedule_at(__func__)
/* Sleeps for that long. */
void sleep_ns(s64 ns);
/* A place in a long loop where others may run: with threads=0 the seed decides whether they do; else nothing.
 */
void cond_resched(void);

/* For hand-made sleeps without a queue: this thread as a waiter, SLEEPING or RUNNING; and its waker. */
struct waiter *waiter_current(void);
void waiter_set_sleeping(struct waiter *waiter);
void waiter_set_running(struct waiter *waiter);
/* True when it was not RUNNING. The waiter must be known to exist (under a lock that its owner takes before
 * it goes). */
bool waiter_wake(struct waiter *waiter);

/*
 * Wake all that are not exclusive and up to `nr_exclusive` (0: all) that are; `key` goes to the entries'
 * functions. Any thread may call these, under spinlocks and in completion context; they do not need
 * `current`.
 */
void __wake_up(wait_queue_head_t *wq, unsigned nr_exclusive, void *key);
#define wake_up(wq)           __wake_up(wq, 1, NULL)
#define wake_up_nr(wq, nr)    __wake_up(wq, nr, NULL)
#define wake_up_all(wq)       __wake_up(wq, 0, NULL)
#define wake_up_poll(wq, key) __wake_up(wq, 1, key)
/* May anybody be asleep? Ordered after the caller's earlier stores, so that `if (wq_has_sleeper(wq))
 * wake_up(wq)` is safe. */
static inline bool wq_has_sleeper(wait_queue_head_t *wq)
{
	return __atomic_fetch_add(&wq->nr, 0, __ATOMIC_SEQ_CST) != 0;
}
static inline bool waitqueue_active(const wait_queue_head_t *wq)
{
	return READ_ONCE(wq->nr) != 0;
}

/* The loop of all waits: with an entry of the caller's, and with one of its own. */
#define ___wait_event_entry(wq, entry, cond, prepare, sleep)                                                 \
	do {                                                                                                 \
		for (;;) {                                                                                   \
			prepare(wq, entry);                                                                  \
			if (cond)                                                                            \
				break;                                                                       \
			sleep;                                                                               \
		}                                                                                            \
		finish_wait(wq, entry);                                                                      \
	} while (0)
#define ___wait_event(wq, cond, prepare, sleep)                                                              \
	do {                                                                                                 \
		DEFINE_WAIT(wait_event_entry);                                                               \
		___wait_event_entry(&(wq), &wait_event_entry, cond, prepare, sleep);                         \
	} while (0)

/* Sleeps until `cond` holds. It is evaluated again after each wake_up of the queue `wq` (not a pointer, as in
 * Linux). */
#define wait_event(wq, cond)                                                                                 \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			___wait_event(wq, cond, prepare_to_wait, schedule());                                \
	} while (0)
/* One such waiter is woken by each wake_up. */
#define wait_event_exclusive(wq, cond)                                                                       \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			___wait_event(wq, cond, prepare_to_wait_exclusive, schedule());                      \
	} while (0)
/* For a condition that I/O brings about: the waiter reaps. */
#define io_wait_event(wq, cond)                                                                              \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			___wait_event(wq, cond, prepare_to_wait, io_schedule());                             \
	} while (0)
/* At most `ns`; gives 0 when the time passed and the condition does not hold, else what is left (at least 1).
 */
#define wait_event_timeout(wq, cond, ns)                                                                     \
	({                                                                                                   \
		s64 wait_left = (ns);                                                                        \
		bool wait_ok = (cond);                                                                       \
		if (!wait_ok)                                                                                \
			___wait_event(wq, (wait_ok = (cond)) || wait_left <= 0, prepare_to_wait,             \
				      wait_left = schedule_timeout(wait_left));                              \
		wait_ok ? (wait_left > 0 ? wait_left : 1) : 0;                                               \
	})

/* Done once (or for all), waited for by many. */
struct completion {
	u32 done; /* under wait.lock */
	wait_queue_head_t wait;
};

void init_completion(struct completion *c);
void reinit_completion(struct completion *c);
void wait_for_completion(struct completion *c);
/* The waiter reaps I/O. */
void wait_for_completion_io(struct completion *c);
/* 0 when the time passed, else what is left (at least 1). */
s64 wait_for_completion_timeout(struct completion *c, s64 ns);
bool try_wait_for_completion(struct completion *c);
bool completion_done(struct completion *c);
void complete(struct completion *c);
void complete_all(struct completion *c);

/*
 * Waits for a bit of a word to be clear. Who clears it uses clear_bit_unlock and then wake_up_bit (which
 * orders the two itself; callers that know there is no waiter, from a second bit, leave it out). _lock forms
 * set the bit for the caller. The machine is current's; any thread that acts for the machine may wake.
 */
void wait_on_bit_slow(unsigned long *word, unsigned bit, bool io);
void wait_on_bit_lock_slow(unsigned long *word, unsigned bit, bool io);
void wake_up_bit(unsigned long *word, unsigned bit);
static inline void wait_on_bit(unsigned long *word, unsigned bit)
{
	if (test_bit_acquire(bit, word))
		wait_on_bit_slow(word, bit, false);
}
static inline void wait_on_bit_io(unsigned long *word, unsigned bit)
{
	if (test_bit_acquire(bit, word))
		wait_on_bit_slow(word, bit, true);
}
static inline void wait_on_bit_lock(unsigned long *word, unsigned bit)
{
	if (test_and_set_bit_lock(bit, word))
		wait_on_bit_lock_slow(word, bit, false);
}
static inline void wait_on_bit_lock_io(unsigned long *word, unsigned bit)
{
	if (test_and_set_bit_lock(bit, word))
		wait_on_bit_lock_slow(word, bit, true);
}
static inline void clear_and_wake_up_bit(unsigned long *word, unsigned bit)
{
	clear_bit_unlock(bit, word);
	wake_up_bit(word, bit);
}

/*
 * Waits for any change of what is kept at an address: wait_var_event(&object, cond) sleeps until cond holds,
 * evaluated after each wake_up_var(&object).
 */
wait_queue_head_t *var_waitqueue(const void *var);
#define wait_var_event(var, cond)    wait_event(*var_waitqueue(var), cond)
#define io_wait_var_event(var, cond) io_wait_event(*var_waitqueue(var), cond)
static inline void wake_up_var(const void *var)
{
	__wake_up(var_waitqueue(var), 0, NULL);
}

/*
 * Waiting for I/O. A machine has at most one poller: the completion side of its I/O engine. Whoever waits for
 * I/O tries the poller's lock; its holder reaps for everybody, blocking while its own condition is false; the
 * others sleep on their own waiter. On leaving, the holder wakes one that remains. With threads, a completion
 * thread (started when first needed) reaps while requests are in flight and nobody waits; it is woken when a
 * thread that submitted leaves the machine or sleeps for something else.
 */
struct io_poller {
	/*
	 * Runs the completions that are there and returns how many, or negative errno. With may_block, waits
	 * for at least one; it then returns also (0) when kick was called, be it before or during the call.
	 * Called by one thread at a time, without any lock held. threads=0: called with may_block only when
	 * no fiber can run.
	 */
	int (*reap)(struct io_poller *poller, bool may_block);
	/* Makes the reap that blocks, or else the next that would, return. From any thread, under spinlocks.
	 */
	void (*kick)(struct io_poller *poller);
	struct shale *machine; /* set by io_poller_register */
	atomic_t inflight;
	u32 busy; /* 1: somebody reaps */
};

/* -EBUSY if there is one already. Unregister waits for who reaps; nothing may be in flight. */
int io_poller_register(struct shale *machine, struct io_poller *poller);
void io_poller_unregister(struct io_poller *poller);
/* One more request is on its way (before it is submitted); one less (in reap, after its end_io ran). */
static inline void io_poller_inflight_inc(struct io_poller *poller)
{
	(void)atomic_add_return(1, &poller->inflight);
	current->io_submitted = true;
}
static inline void io_poller_inflight_dec(struct io_poller *poller)
{
	atomic_sub(1, &poller->inflight);
}
void io_poller_kick(struct shale *machine);
/* Called by current_leave and by sleeps for other things when io_submitted is set: somebody has to reap. */
void io_handover(struct shale *machine);

/* The machine's part. */
#define WAIT_TABLE_BITS 8
struct machine_wait {
	wait_queue_head_t table[1 << WAIT_TABLE_BITS];
	spinlock_t lock;   /* guards io_waiters */
	u32 nr_io_waiters; /* written under the lock */
	struct list_head io_waiters;
	struct io_poller *poller; /* NULL: none */
	u32 handovers;            /* threads that are in io_handover, and may use poller and completer */
	u32 orphaned;             /* requests may be in flight whose submitter has gone */
	struct io_completer *completer; /* the completion thread; NULL until needed */
};
int machine_wait_init(struct shale *machine);
/* Stops the completion thread. */
void machine_wait_exit(struct shale *machine);

#endif
