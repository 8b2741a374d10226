/* SPDX-License-Identifier: MIT */
/*
 * Calls on cached data: shale's in process, the kernel's on a loop mount of the same image. One thread.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define DATA_BYTES (256u << 20)
#define ROUNDS     15

static struct bench_machine m;
static char *buffer;            /* 1 MiB */
static uint32_t offsets[65536]; /* random, in blocks of 4 KiB */
static int shale_data, kernel_data;

#define DEEP    "a/b/c/d/file"
#define MISSING "a/b/c/d/none"

static void shale_stat_deep(void *arg, unsigned n)
{
	struct stat st;

	while (n--)
		bench_check(shale_fstatat(m.task, AT_FDCWD, arg, &st, 0), "stat");
}

static void kernel_stat_deep(void *arg, unsigned n)
{
	struct stat st;

	while (n--)
		bench_check(fstatat(AT_FDCWD, arg, &st, 0), "stat");
}

static void shale_stat_missing(void *arg, unsigned n)
{
	struct stat st;

	while (n--)
		if (shale_fstatat(m.task, AT_FDCWD, arg, &st, 0) != -2)
			abort();
}

static void kernel_stat_missing(void *arg, unsigned n)
{
	struct stat st;

	while (n--)
		if (fstatat(AT_FDCWD, arg, &st, 0) != -1)
			abort();
}

static void shale_open_close(void *arg, unsigned n)
{
	while (n--) {
		int fd = shale_openat(m.task, AT_FDCWD, arg, O_RDONLY, 0);

		bench_check(fd, "open");
		shale_close(m.task, fd);
	}
}

static void kernel_open_close(void *arg, unsigned n)
{
	while (n--) {
		int fd = openat(AT_FDCWD, arg, O_RDONLY);

		bench_check(fd, "open");
		close(fd);
	}
}

static void shale_pread_4k(void *arg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (shale_pread(m.task, shale_data, buffer, 4096, (off_t)offsets[i % 65536] << 12) != 4096)
			abort();
}

static void kernel_pread_4k(void *arg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (pread(kernel_data, buffer, 4096, (off_t)offsets[i % 65536] << 12) != 4096)
			abort();
}

static void shale_pread_1m(void *arg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (shale_pread(m.task, shale_data, buffer, 1 << 20, (off_t)(offsets[i] >> 8) << 20) !=
		    1 << 20)
			abort();
}

static void kernel_pread_1m(void *arg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (pread(kernel_data, buffer, 1 << 20, (off_t)(offsets[i] >> 8) << 20) != 1 << 20)
			abort();
}

/* Lists "many"; with `stat_too` stats each name by the directory's descriptor. Returns the number of entries.
 */
static unsigned shale_list(bool stat_too)
{
	int fd = shale_openat(m.task, AT_FDCWD, "many", O_RDONLY | O_DIRECTORY, 0);
	unsigned entries = 0;
	struct stat st;
	ssize_t got;

	bench_check(fd, "open many");
	while ((got = shale_getdents64(m.task, fd, buffer, 32768)) > 0) {
		for (char *p = buffer; p < buffer + got;) {
			struct dirent64 *d = (struct dirent64 *)p;

			if (stat_too)
				bench_check(shale_fstatat(m.task, fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW),
					    "stat");
			entries++;
			p += d->d_reclen;
		}
	}
	bench_check(got, "getdents");
	shale_close(m.task, fd);
	return entries;
}

static unsigned kernel_list(bool stat_too)
{
	int fd = openat(AT_FDCWD, "many", O_RDONLY | O_DIRECTORY);
	unsigned entries = 0;
	struct stat st;
	long got;

	bench_check(fd, "open many");
	while ((got = syscall(SYS_getdents64, fd, buffer, 32768)) > 0) {
		for (char *p = buffer; p < buffer + got;) {
			struct dirent64 *d = (struct dirent64 *)p;

			if (stat_too)
				bench_check(fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW), "stat");
			entries++;
			p += d->d_reclen;
		}
	}
	close(fd);
	return entries;
}

static void shale_list_round(void *arg, unsigned n)
{
	unsigned entries = shale_list(arg != NULL);

	if (entries != n)
		abort();
}

static void kernel_list_round(void *arg, unsigned n)
{
	unsigned entries = kernel_list(arg != NULL);

	if (entries != n)
		abort();
}

static void compare(const char *line, bench_fn shale, bench_fn kernel, const char *arg, unsigned n,
		    double want)
{
	double s, k;

	bench_compare(shale, (void *)arg, kernel, (void *)arg, n, ROUNDS, &s, &k);
	bench_report(line, "ns", s, k, "kernel", want);
}

int main(void)
{
	const char *image = bench_image("warm"), *mnt = bench_kernel_mount(image);

	buffer = aligned_alloc(4096, 1 << 20);
	if (!buffer || chdir(mnt))
		return 1;
	memset(buffer, 1, 1 << 20);
	srandom(4);
	for (unsigned i = 0; i < 65536; i++)
		offsets[i] = (uint32_t)random() % (DATA_BYTES >> 12);
	bench_machine_start(&m, image, 0);
	compare("stat, 4 deep", shale_stat_deep, kernel_stat_deep, DEEP, 20000, 0.15);
	compare("missing name, 4 deep", shale_stat_missing, kernel_stat_missing, MISSING, 20000, 0.12);
	compare("open+close, 4 deep", shale_open_close, kernel_open_close, DEEP, 20000, 0.20);
	shale_data = shale_openat(m.task, AT_FDCWD, "data", O_RDONLY, 0);
	kernel_data = openat(AT_FDCWD, "data", O_RDONLY);
	bench_check(shale_data, "open data");
	bench_check(kernel_data, "open data");
	for (unsigned i = 0; i < DATA_BYTES >> 20; i++) {
		bench_check(shale_pread(m.task, shale_data, buffer, 1 << 20, (off_t)i << 20), "pread");
		bench_check(pread(kernel_data, buffer, 1 << 20, (off_t)i << 20), "pread");
	}
	compare("pread 4 KiB, random in 256 MiB", shale_pread_4k, kernel_pread_4k, NULL, 40000, 0.32);
	compare("pread 1 MiB", shale_pread_1m, kernel_pread_1m, NULL, 256, 1.05);
	compare("getdents, an entry", shale_list_round, kernel_list_round, NULL, 10002, 0.5);
	compare("getdents+stat, an entry", shale_list_round, kernel_list_round, "stat", 10002, 0.18);
	bench_machine_stop(&m);
	return chdir("/");
}
