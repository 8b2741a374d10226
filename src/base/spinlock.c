/* SPDX-License-Identifier: MIT */
/*
 * The contended ways of spinlock_t (base/spinlock.h), and how a reader of a sequence count waits for the
 * writer.
 */
#include <sched.h>
#include "base/futex.h"
#include "base/machine.h"
#include "base/seqlock.h"

/* Long enough for a short section on another core, short against a sleep and a wake-up (some microseconds).
 */
#define SPIN_ROUNDS 200
/* See base/spinlock.h. */
#define SLEEP_MOST_NS (1 * NSEC_PER_MSEC)

static s64 sleep_end(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec + SLEEP_MOST_NS;
}

void spin_lock_slow(spinlock_t *lock)
{
	struct current_context *c = current;

	/* One thread at a time and no sleep inside a section: the holder is this thread itself, or slept. */
	BUG_ON(c->machine && c->machine->single && c->fiber);
	for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
		u32 word = READ_ONCE(lock->word);

		if (word == 0 && try_cmpxchg_acquire(&lock->word, &word, 1u))
			return;
		if (word == 2)
			break;
		cpu_relax();
	}
	while (xchg_acquire(&lock->word, 2u) != 0)
		futex_wait(&lock->word, 2, sleep_end());
}

void spin_unlock_slow(spinlock_t *lock)
{
	if (xchg_release(&lock->word, 0u) == 2)
		futex_wake(&lock->word, 1);
}

void seqcount_wait(const seqcount_t *s)
{
	for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
		if (!(READ_ONCE(s->sequence) & 1))
			return;
		cpu_relax();
	}
	/* The writer was preempted. */
	sched_yield();
}
