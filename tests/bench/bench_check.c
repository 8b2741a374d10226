/* SPDX-License-Identifier: MIT */
/*
 * shale check beside e2fsck -fn, both with the volume in the host's cache: 1 GiB with 50,000 files, as
 * programs; and how long shale_check takes for a volume of 16 MiB on a RAM disk.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 7

/* The program alone, without a shell; its output goes nowhere. */
static double timed(const char *program, const char *verb, const char *image)
{
	char *const argv[] = {(char *)program, (char *)verb, (char *)image, NULL};
	posix_spawn_file_actions_t nowhere;
	double start;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&nowhere);
	posix_spawn_file_actions_addopen(&nowhere, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&nowhere, 2, "/dev/null", O_WRONLY, 0);
	start = bench_now();
	if (posix_spawnp(&pid, program, &nowhere, NULL, argv, environ) || waitpid(pid, &status, 0) != pid ||
	    status) {
		fprintf(stderr, "failed: %s %s %s\n", program, verb, image);
		exit(1);
	}
	start = bench_now() - start;
	posix_spawn_file_actions_destroy(&nowhere);
	return start;
}

static void bench_large(void)
{
	const char *image = bench_image("files");
	double s[ROUNDS], k[ROUNDS];

	timed("cat", "--", image);
	timed(BENCH_TOOL, "check", image);
	for (unsigned i = 0; i < ROUNDS; i++) {
		k[i] = timed("e2fsck", "-fn", image) / 1e6;
		s[i] = timed(BENCH_TOOL, "check", image) / 1e6;
	}
	bench_report("check of 1 GiB, 50,000 files", "ms", bench_median(s, ROUNDS), bench_median(k, ROUNDS),
		     "e2fsck", 0.25);
}

static void bench_small(void)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	const char *image = bench_image("small");
	struct shale *machine;
	struct shale_task *task;
	double s[ROUNDS * 5];
	char uri[1024];

	snprintf(uri, sizeof(uri), "file:%s?direct=0", image);
	bench_check(shale_new(&options, &machine), "shale_new");
	bench_check(shale_task_new(machine, NULL, &task), "shale_task_new");
	bench_check(shale_disk_add(machine, "disk", uri, SHALE_DISK_READ_ONLY), "shale_disk_add");
	for (unsigned i = 0; i < ROUNDS * 5; i++) {
		double start = bench_now();
		int problems = shale_check(task, "/dev/disk", NULL, NULL, 0, NULL, NULL);
		s[i] = (bench_now() - start) / 1e6;
		bench_check(problems > 0 ? -1 : problems, "shale_check");
	}
	bench_report_limit("check of 16 MiB, 500 files, in process", "ms", bench_median(s, ROUNDS * 5), 1);
	shale_task_free(task);
	bench_check(shale_free(machine), "shale_free");
}

int main(void)
{
	if (system("e2fsck -V >/dev/null 2>&1")) {
		fprintf(stderr, "needs e2fsck\n");
		return 77;
	}
	bench_large();
	bench_small();
	return 0;
}
