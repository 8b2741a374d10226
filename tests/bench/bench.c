/* SPDX-License-Identifier: MIT */
/* See bench.h. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char kernel_mount[64];

static void run(const char *command, int skip)
{
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(skip ? 77 : 1);
	}
}

const char *bench_image(const char *kind)
{
	static char path[4][512];
	static unsigned next;
	char *p = path[next++ % 4], command[2048];

	snprintf(p, sizeof(path[0]), "%s/fixtures/%s.img", BENCH_BUILD, kind);
	snprintf(command, sizeof(command), "mkdir -p '%s/fixtures' && '%s/make-image' %s '%s'", BENCH_BUILD,
		 BENCH_SOURCE, kind, p);
	run(command, 0);
	return p;
}

void bench_kernel_umount(void)
{
	char command[512];

	if (!*kernel_mount)
		return;
	snprintf(command, sizeof(command), "cd / && umount -l '%s' && rmdir '%s'", kernel_mount,
		 kernel_mount);
	*kernel_mount = 0;
	run(command, 0);
}

const char *bench_kernel_mount(const char *image)
{
	char command[2048];

	if (geteuid()) {
		fprintf(stderr, "needs root, for the kernel's mount\n");
		exit(77);
	}
	bench_kernel_umount();
	strcpy(kernel_mount, "/tmp/shale-bench.XXXXXX");
	if (!mkdtemp(kernel_mount))
		exit(1);
	snprintf(command, sizeof(command), "mount -o ro,loop '%s' '%s'", image, kernel_mount);
	run(command, 1);
	atexit(bench_kernel_umount);
	return kernel_mount;
}

/* How many bytes of the file the host has in its cache. */
static size_t cached_bytes(int fd, size_t size)
{
	size_t pages = (size + 4095) / 4096, cached = 0;
	unsigned char *in_core = malloc(pages);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED || !in_core || mincore(map, size, in_core))
		exit(1);
	for (size_t i = 0; i < pages; i++)
		cached += in_core[i] & 1;
	munmap(map, size);
	free(in_core);
	return cached * 4096;
}

void bench_make_cold(const char *image)
{
	struct stat st;
	int fd = open(image, O_RDWR);

	/* A loop device that was just let go may still be reading. */
	for (unsigned i = 0; i < 100; i++) {
		if (fd < 0 || fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || fstat(fd, &st))
			exit(1);
		if (!cached_bytes(fd, (size_t)st.st_size)) {
			close(fd);
			return;
		}
		usleep(10000);
	}
	fprintf(stderr, "%s stays in the host's cache\n", image);
	exit(1);
}

void bench_check(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
	exit(1);
}

void bench_machine_start(struct bench_machine *m, const char *image, uint64_t memory_limit)
{
	struct shale_options options = SHALE_OPTIONS_INIT;

	options.memory_limit = memory_limit;
	bench_check(shale_new(&options, &m->machine), "shale_new");
	bench_check(shale_task_new(m->machine, NULL, &m->task), "shale_task_new");
	bench_check(shale_disk_add(m->machine, "disk", image, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
		    "shale_disk_add");
	bench_check(shale_mount(m->task, "/dev/disk", "/mnt", "ext4", MS_RDONLY, NULL), "shale_mount");
	bench_check(shale_chdir(m->task, "/mnt"), "shale_chdir");
}

void bench_machine_stop(struct bench_machine *m)
{
	shale_task_free(m->task);
	bench_check(shale_free(m->machine), "shale_free");
}

double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), order);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void bench_report(const char *line, const char *unit, double shale, double peer, const char *peer_name,
		  double want)
{
	printf("{\"line\": \"%s\", \"unit\": \"%s\", \"shale\": %.4f, \"peer\": %.4f, \"peer_name\": \"%s\", "
	       "\"want\": %g}\n",
	       line, unit, shale, peer, peer_name, want);
	fflush(stdout);
}

void bench_report_at_least(const char *line, const char *unit, double shale, double peer,
			   const char *peer_name, double want)
{
	printf("{\"line\": \"%s\", \"unit\": \"%s\", \"shale\": %.4f, \"peer\": %.4f, \"peer_name\": \"%s\", "
	       "\"want\": %g, "
	       "\"higher_is_better\": true}\n",
	       line, unit, shale, peer, peer_name, want);
	fflush(stdout);
}

void bench_report_limit(const char *line, const char *unit, double shale, double limit)
{
	printf("{\"line\": \"%s\", \"unit\": \"%s\", \"shale\": %.4f, \"limit\": %g}\n", line, unit, shale,
	       limit);
	fflush(stdout);
}

void bench_compare(bench_fn shale, void *shale_arg, bench_fn peer, void *peer_arg, unsigned n,
		   unsigned rounds, double *shale_ns, double *peer_ns)
{
	double s[64], p[64];

	shale(shale_arg, n);
	peer(peer_arg, n);
	for (unsigned i = 0; i < rounds; i++) {
		double start = bench_now();

		shale(shale_arg, n);
		s[i] = (bench_now() - start) / n;
		start = bench_now();
		peer(peer_arg, n);
		p[i] = (bench_now() - start) / n;
	}
	*shale_ns = bench_median(s, rounds);
	*peer_ns = bench_median(p, rounds);
}
