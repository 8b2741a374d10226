/* SPDX-License-Identifier: MIT */
/*
 * usage: read_all IMAGE LIMIT-MIB
 *
 * Writes the content of every file in the root directory to standard output, in the order of their names'
 * numbers (f0, f1, ...), read by a machine with that memory limit; then tells how much memory the process
 * has taken at most, in KiB, on standard error.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <shale/shale.h>

static char buf[256 << 10];

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
	exit(1);
}

static void write_out(const char *from, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(STDOUT_FILENO, from, bytes);

		must(n < 0 ? -errno : n, "write");
		from += n;
		bytes -= (size_t)n;
	}
}

int main(int argc, char **argv)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct shale_task *task;
	struct shale *machine;
	struct rusage usage;

	if (argc != 3)
		return 2;
	options.memory_limit = strtoull(argv[2], NULL, 0) << 20;
	must(shale_new(&options, &machine), "shale_new");
	must(shale_task_new(machine, NULL, &task), "shale_task_new");
	must(shale_disk_add(machine, "a", argv[1], SHALE_DISK_READ_ONLY), argv[1]);
	must(shale_mount(task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL), "shale_mount");
	for (int i = 0;; i++) {
		char path[32];
		long fd, n;

		snprintf(path, sizeof(path), "/mnt/f%d", i);
		fd = shale_openat(task, AT_FDCWD, path, O_RDONLY, 0);
		if (fd == -ENOENT && i)
			break;
		must(fd, path);
		while ((n = shale_read(task, (int)fd, buf, sizeof(buf))) > 0)
			write_out(buf, (size_t)n);
		must(n, path);
		must(shale_close(task, (int)fd), path);
	}
	shale_task_free(task);
	must(shale_free(machine), "shale_free");
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr, "%ld\n", usage.ru_maxrss);
	return 0;
}
