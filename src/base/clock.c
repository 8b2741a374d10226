/* SPDX-License-Identifier: MIT */
/*
 * The two clocks (base/clock.h): the host's, and the virtual one of a threads=0 machine, whose time of day is
 * epoch_ns plus what has passed.
 */
#include "base/machine.h"

static s64 host_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static struct timespec ns_to_ts(s64 ns)
{
	struct timespec ts = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};

	if (ts.tv_nsec < 0) {
		ts.tv_sec--;
		ts.tv_nsec += NSEC_PER_SEC;
	}
	return ts;
}

s64 ktime_get(const struct shale *machine)
{
	if (machine && machine->single)
		return READ_ONCE(machine->clock.virtual_ns);
	return host_clock(CLOCK_MONOTONIC);
}

s64 ktime_get_real(const struct shale *machine)
{
	if (machine && machine->single)
		return machine->clock.epoch_ns + READ_ONCE(machine->clock.virtual_ns);
	return host_clock(CLOCK_REALTIME);
}

void ktime_get_real_ts64(const struct shale *machine, struct timespec *ts)
{
	if (machine && machine->single)
		*ts = ns_to_ts(ktime_get_real(machine));
	else
		clock_gettime(CLOCK_REALTIME, ts);
}

void ktime_get_coarse_real_ts64(const struct shale *machine, struct timespec *ts)
{
	if (machine && machine->single)
		*ts = ns_to_ts(ktime_get_real(machine));
	else
		clock_gettime(CLOCK_REALTIME_COARSE, ts);
}

void clock_advance(struct shale *machine, s64 ns)
{
	s64 target = machine->clock.virtual_ns + ns, next;

	BUG_ON(!machine->single || ns < 0);
	while ((next = timers_next(machine)) <= target) {
		if (next > machine->clock.virtual_ns)
			WRITE_ONCE(machine->clock.virtual_ns, next);
		timers_run(machine, machine->clock.virtual_ns);
	}
	WRITE_ONCE(machine->clock.virtual_ns, target);
}

int machine_clock_init(struct shale *machine)
{
	machine->clock.epoch_ns = machine->options.epoch_ns;
	machine->clock.virtual_ns = 0;
	return 0;
}
