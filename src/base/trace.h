/* SPDX-License-Identifier: MIT */
/*
 * Trace points. TRACE(name, args...) with up to six integers or pointers is two things at once: a static
 * probe (provider "shale", for perf, bpftrace and gdb), which is one nop in the code, and, when the machine
 * of `current` records, one write into its recorder. When it does not, that costs one load and one
 * predictable branch. TRACE_ON(machine, name, args...) is for places that have the machine at hand.
 *
 * The recorder is a ring of records in the order in which they were begun; the newest overwrite the oldest.
 * Writers take a place by one atomic addition and never wait. Reading is meant for after trace_stop, and is
 * safe before: a record that is being overwritten is left out.
 */
#ifndef SHALE_BASE_TRACE_H
#define SHALE_BASE_TRACE_H

#include "base/machine.h"

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC 1
#include <sys/sdt.h>
#define __TRACE_PROBE(name, ...) STAP_PROBEV(shale, name, ##__VA_ARGS__)
#endif
#endif
#ifndef __TRACE_PROBE
#define __TRACE_PROBE(name, ...) ((void)0)
#endif

#define TRACE_ARGS_MAX 6

/* One place in the source; constant. */
struct trace_point {
	const char *name;
	const char *args; /* the text of the arguments, separated by commas */
	const char *file;
	int line;
	int nr_args;
};

struct trace_record {
	const struct trace_point *point;
	s64 ns; /* ktime of the machine */
	u32 thread;
	u64 args[TRACE_ARGS_MAX];
};

/* Begins to record into a new ring of 2^order records (at most 2^26; each 80 bytes). -ENOMEM, -EBUSY: records
 * already. */
int trace_start(struct shale *machine, unsigned order) __must_check;
/* Ends it. What was recorded stays until trace_start or trace_exit. */
void trace_stop(struct shale *machine);
/* How many records were begun since trace_start. The last 2^order of them can be read. */
u64 trace_count(const struct shale *machine);
/* Record number n (from 0). -ENOENT: overwritten, not there yet, or being written. */
int trace_read(const struct shale *machine, u64 n, struct trace_record *out);
/* Called by machine_exit: frees the ring. machine->trace is made by the first trace_start. */
void trace_exit(struct shale *machine);

/* What the macros call while recording. */
__cold void trace_write(struct shale *machine, const struct trace_point *point, const u64 *args);

#define __TRACE_COUNT_(a0, a1, a2, a3, a4, a5, a6, n, ...) n
#define __TRACE_COUNT(...)                                 __TRACE_COUNT_(0, ##__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0)
#define __TRACE_CAT_(a, b)                                 a##b
#define __TRACE_CAT(a, b)                                  __TRACE_CAT_(a, b)
#define __TRACE_U64_0()                                    0
#define __TRACE_U64_1(a)                                   (u64)(a)
#define __TRACE_U64_2(a, ...)                              (u64)(a), __TRACE_U64_1(__VA_ARGS__)
#define __TRACE_U64_3(a, ...)                              (u64)(a), __TRACE_U64_2(__VA_ARGS__)
#define __TRACE_U64_4(a, ...)                              (u64)(a), __TRACE_U64_3(__VA_ARGS__)
#define __TRACE_U64_5(a, ...)                              (u64)(a), __TRACE_U64_4(__VA_ARGS__)
#define __TRACE_U64_6(a, ...)                              (u64)(a), __TRACE_U64_5(__VA_ARGS__)
#define __TRACE_U64(...)                                   __TRACE_CAT(__TRACE_U64_, __TRACE_COUNT(__VA_ARGS__))(__VA_ARGS__)

#define TRACE_ON(trace_machine, trace_name, ...)                                                             \
	do {                                                                                                 \
		struct shale *trace_m = (trace_machine);                                                     \
		__TRACE_PROBE(trace_name, ##__VA_ARGS__);                                                    \
		if (unlikely(trace_m && READ_ONCE(trace_m->trace_on))) {                                     \
			static const struct trace_point trace_p = {#trace_name, #__VA_ARGS__, __FILE__,      \
								   __LINE__, __TRACE_COUNT(__VA_ARGS__)};    \
			const u64 trace_a[TRACE_ARGS_MAX] = {__TRACE_U64(__VA_ARGS__)};                      \
			trace_write(trace_m, &trace_p, trace_a);                                             \
		}                                                                                            \
	} while (0)
#define TRACE(name, ...) TRACE_ON(current->machine, name, ##__VA_ARGS__)

#endif
