/* SPDX-License-Identifier: MIT */
/*
 * usage: count_calls IMAGE CALL N
 * Mounts an ext4 image and makes a call on cached names N times, for tests/bench/instructions to count. CALL:
 * stat, missing, open.
 */
#include <shale/shale.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int stat_once(struct shale_task *task)
{
	struct stat st;

	return shale_stat(task, "a/b/c/d/file", &st);
}

static int missing_once(struct shale_task *task)
{
	struct stat st;

	return shale_stat(task, "a/b/c/d/none", &st) + ENOENT;
}

static int open_once(struct shale_task *task)
{
	int fd = shale_open(task, "a/b/c/d/file", O_RDONLY, 0);

	return fd < 0 ? fd : shale_close(task, fd);
}

int main(int argc, char **argv)
{
	struct shale_task *task;
	struct shale *machine;
	int (*once)(struct shale_task * task);
	int failed;

	if (argc != 4)
		return 2;
	once = !strcmp(argv[2], "stat") ? stat_once : !strcmp(argv[2], "missing") ? missing_once : open_once;
	failed = shale_new(NULL, &machine) || shale_task_new(machine, NULL, &task) ||
		 shale_disk_add(machine, "image", argv[1], SHALE_DISK_READ_ONLY) ||
		 shale_mount(task, "/dev/image", "/mnt", "ext4", 1 /* MS_RDONLY */, NULL) ||
		 shale_chdir(task, "/mnt");
	for (int i = atoi(argv[3]); i && !failed; i--)
		failed = once(task);
	if (failed)
		fprintf(stderr, "count_calls: %s failed\n", argv[2]);
	return failed != 0;
}
