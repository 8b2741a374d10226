/* SPDX-License-Identifier: MIT */
/*
 * Memory: the most that a process holds while it reads 10 GiB of file data with a limit of 64 MiB, and what
 * an inode with its dentry takes in the cache.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static double status_kib(const char *field)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kib = atof(line + strlen(field));
	if (f)
		fclose(f);
	return kib;
}

static double peak_of_reading(void)
{
	struct bench_machine m;
	char *buffer = malloc(1 << 20);
	int fd;

	bench_machine_start(&m, bench_image("big"), 64 << 20);
	fd = shale_openat(m.task, AT_FDCWD, "big", O_RDONLY, 0);
	bench_check(fd, "open big");
	for (unsigned round = 0; round < 10; round++)
		for (off_t at = 0; at < 1 << 30; at += 1 << 20)
			if (shale_pread(m.task, fd, buffer, 1 << 20, at) != 1 << 20)
				abort();
	shale_close(m.task, fd);
	bench_machine_stop(&m);
	return status_kib("VmHWM:") / 1024;
}

static double bytes_of_inode(void)
{
	struct bench_machine m;
	double before, after;
	char name[64];
	struct stat st;

	bench_machine_start(&m, bench_image("many"), 0);
	/* The directory's blocks and the inode tables come into the cache first, and then go out of the
	 * reckoning. */
	for (unsigned i = 0; i < 25000; i++) {
		snprintf(name, sizeof(name), "many/some-file-name-%06u", i);
		bench_check(shale_fstatat(m.task, AT_FDCWD, name, &st, 0), "stat");
	}
	before = status_kib("VmRSS:");
	for (unsigned i = 25000; i < 50000; i++) {
		snprintf(name, sizeof(name), "many/some-file-name-%06u", i);
		bench_check(shale_fstatat(m.task, AT_FDCWD, name, &st, 0), "stat");
	}
	after = status_kib("VmRSS:");
	bench_machine_stop(&m);
	/* 256 bytes of each inode lie in the page cache, and about 36 bytes of its directory entry. */
	return (after - before) * 1024 / 25000 - 256 - 36;
}

/* In a process of its own, so that the peak is of this alone. */
static double in_child(double (*measure)(void))
{
	double value = -1;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		exit(1);
	pid = fork();
	if (!pid) {
		value = measure();
		_exit(write(fds[1], &value, sizeof(value)) != sizeof(value));
	}
	close(fds[1]);
	if (read(fds[0], &value, sizeof(value)) != sizeof(value) || waitpid(pid, &status, 0) != pid || status)
		exit(1);
	close(fds[0]);
	return value;
}

int main(void)
{
	bench_image("big");
	bench_image("many");
	bench_report_limit("peak memory of reading 10 GiB, limit 64 MiB", "MiB", in_child(peak_of_reading),
			   96);
	bench_report_limit("cached inode with dentry", "bytes", in_child(bytes_of_inode), 1024);
	return 0;
}
