/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks share: images and kernel mounts of them, a machine with the same image mounted, time,
 * and medians. A benchmark measures shale and its peer in turns within one run, so that noise of the host
 * meets both, and prints one JSON line for each figure (see scripts/bench --help). A step that fails ends the
 * program.
 */
#ifndef SHALE_TESTS_BENCH_H
#define SHALE_TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <shale/shale.h>

/* Path of the image of that kind (make-image), made on first use. */
const char *bench_image(const char *kind);
/* Mounts it by the kernel, read-only over a loop device, until the program ends. Exits with 77 without root.
 */
const char *bench_kernel_mount(const char *image);
void bench_kernel_umount(void);
/* Drops the image from the host's cache. What a kernel mount of it has cached goes with the unmounting
 * before.
 */
void bench_make_cold(const char *image);

struct bench_machine {
	struct shale *machine;
	struct shale_task *task; /* its cwd is the root of the image */
};
void bench_machine_start(struct bench_machine *m, const char *image, uint64_t memory_limit);
void bench_machine_stop(struct bench_machine *m);

double bench_now(void); /* ns */
double bench_median(double *values, unsigned n);
void bench_check(long result, const char *what); /* ends the program when negative */
/* Ratio wanted at most. */
void bench_report(const char *line, const char *unit, double shale, double peer, const char *peer_name,
		  double want);
void bench_report_at_least(const char *line, const char *unit, double shale, double peer,
			   const char *peer_name, double want);
void bench_report_limit(const char *line, const char *unit, double shale, double limit);

/* One side of a comparison: does `n` operations. */
typedef void (*bench_fn)(void *arg, unsigned n);
/* Runs both in turns, `rounds` times `n` operations each, and gives the medians in ns an operation. */
void bench_compare(bench_fn shale, void *shale_arg, bench_fn peer, void *peer_arg, unsigned n,
		   unsigned rounds, double *shale_ns, double *peer_ns);

#endif
