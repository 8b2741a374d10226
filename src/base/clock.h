/* SPDX-License-Identifier: MIT */
/*
 * The clock of a machine, in nanoseconds. With threads it is the host's. With threads=0 it starts at
 * options.epoch_ns and moves only when somebody waits and nothing else can run (then to the next timer), or
 * by clock_advance: so that time stamps repeat.
 */
#ifndef SHALE_BASE_CLOCK_H
#define SHALE_BASE_CLOCK_H

#include <time.h>
#include "base/types.h"

#define NSEC_PER_SEC  1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL
#define KTIME_MAX     INT64_MAX

struct shale;

struct machine_clock {
	s64 epoch_ns;   /* threads=0: time of day when ktime was 0 */
	s64 virtual_ns; /* threads=0: ktime; relaxed atomic */
};

/* Nanoseconds that never go back; their start means nothing (0 when a threads=0 machine begins). */
s64 ktime_get(const struct shale *machine);
/* The time of day. */
void ktime_get_real_ts64(const struct shale *machine, struct timespec *ts);
s64 ktime_get_real(const struct shale *machine);
/* The same to the grain of the host's timer tick (1 to 10 ms), and cheaper: for time stamps of inodes. */
void ktime_get_coarse_real_ts64(const struct shale *machine, struct timespec *ts);
/* threads=0: moves the clock and runs the timers that are due; their work runs at the next wait. For tests.
 */
void clock_advance(struct shale *machine, s64 ns);

int machine_clock_init(struct shale *machine);

#endif
