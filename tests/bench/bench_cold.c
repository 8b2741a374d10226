/* SPDX-License-Identifier: MIT */
/*
 * With cold caches on both sides, the host file's too: `shale tar -c` beside `tar -c` on a kernel mount, stat
 * of all files of a directory, and how long the tool takes from exec to exit.
 */
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 5

static char buffer[1 << 16];

static double timed(const char *command)
{
	double start = bench_now();

	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
	return bench_now() - start;
}

static void bench_tar(void)
{
	const char *image = bench_image("tree");
	double s[ROUNDS], k[ROUNDS];
	char shale[1024], kernel[1024];

	snprintf(shale, sizeof(shale), "'%s' tar -c '%s:/' | cat >/dev/null", BENCH_TOOL, image);
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_make_cold(image);
		snprintf(kernel, sizeof(kernel), "tar -C '%s' -c . | cat >/dev/null",
			 bench_kernel_mount(image));
		k[i] = timed(kernel) / 1e6;
		bench_kernel_umount();
		bench_make_cold(image);
		s[i] = timed(shale) / 1e6;
	}
	bench_report("cold tar of 20,000 files, 240 MB", "ms", bench_median(s, ROUNDS),
		     bench_median(k, ROUNDS), "kernel", 0.8);
}

static double kernel_stat_all(const char *mnt)
{
	char path[300];
	double start = bench_now();
	struct stat st;
	long got;
	int fd;

	snprintf(path, sizeof(path), "%s/many", mnt);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	while ((got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + got; p += ((struct dirent64 *)p)->d_reclen)
			bench_check(fstatat(fd, ((struct dirent64 *)p)->d_name, &st, AT_SYMLINK_NOFOLLOW),
				    "stat");
	close(fd);
	return bench_now() - start;
}

static double shale_stat_all(struct bench_machine *m)
{
	double start = bench_now();
	struct stat st;
	ssize_t got;
	int fd = shale_openat(m->task, AT_FDCWD, "many", O_RDONLY | O_DIRECTORY, 0);

	bench_check(fd, "open many");
	while ((got = shale_getdents64(m->task, fd, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + got; p += ((struct dirent64 *)p)->d_reclen)
			bench_check(shale_fstatat(m->task, fd, ((struct dirent64 *)p)->d_name, &st,
						  AT_SYMLINK_NOFOLLOW),
				    "stat");
	bench_check(got, "getdents");
	shale_close(m->task, fd);
	return bench_now() - start;
}

static void bench_stat_all(void)
{
	const char *image = bench_image("many");
	double s[ROUNDS], k[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct bench_machine m;

		bench_make_cold(image);
		k[i] = kernel_stat_all(bench_kernel_mount(image)) / 1e6;
		bench_kernel_umount();
		bench_make_cold(image);
		bench_machine_start(&m, image, 0);
		s[i] = shale_stat_all(&m) / 1e6;
		bench_machine_stop(&m);
	}
	bench_report("cold stat of 50,000 files in one directory", "ms", bench_median(s, ROUNDS),
		     bench_median(k, ROUNDS), "kernel", 1.0);
}

static double timed_program(char *const *argv)
{
	posix_spawn_file_actions_t actions;
	double start;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	start = bench_now();
	if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) || waitpid(pid, &status, 0) != pid ||
	    status)
		exit(1);
	posix_spawn_file_actions_destroy(&actions);
	return bench_now() - start;
}

static void bench_tool_start(void)
{
	char place[1024];
	char *argv[] = {BENCH_TOOL, "stat", place, NULL};
	double s[25];

	snprintf(place, sizeof(place), "%s:/a/b/c/d/file", bench_image("warm"));
	for (unsigned i = 0; i < 25; i++)
		s[i] = timed_program(argv) / 1e6;
	bench_report_limit("shale stat, from exec to exit", "ms", bench_median(s, 25), 15);
}

int main(void)
{
	bench_tar();
	bench_stat_all();
	bench_tool_start();
	return 0;
}
