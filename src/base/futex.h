/* SPDX-License-Identifier: MIT */
/*
 * The two futex calls that base sleeps by. Only spinlocks, waiters and the RCU thread use them.
 */
#ifndef SHALE_BASE_FUTEX_H
#define SHALE_BASE_FUTEX_H

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

/* Sleeps while *word == value, until `deadline` (ns of CLOCK_MONOTONIC; KTIME_MAX: none). May return early.
 */
static inline void futex_wait(u32 *word, u32 value, s64 deadline)
{
	struct timespec ts = {deadline / NSEC_PER_SEC, deadline % NSEC_PER_SEC};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline == KTIME_MAX ? NULL : &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

/* Wakes up to `n` sleepers. The word may be unmapped already: then nobody is woken. */
static inline void futex_wake(u32 *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

#endif
