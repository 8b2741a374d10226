/* SPDX-License-Identifier: MIT */
/*
 * What base/wait.c and base/io_wait.c share.
 */
#ifndef SHALE_BASE_WAIT_INTERNAL_H
#define SHALE_BASE_WAIT_INTERNAL_H

#include "base/wait.h"

/* What every sleep begins with: the check, the plug, the note of the place. False: woken already. */
bool sleep_begin(struct waiter *waiter, const char *place);
/* The thread sleeps on the waiter's word until it is woken or `deadline` (CLOCK_MONOTONIC) has come. Not for
 * fibers. */
void waiter_block(struct waiter *waiter, s64 deadline);

/* threads=0: one blocking reap for the scheduler; false when nothing is in flight. */
bool io_reap_single(struct shale *machine);

#endif
