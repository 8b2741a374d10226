/*
 * Reads a whole ext4 image through libshale, with no mount and no privilege: walks every directory, reads
 * every byte, and tells what it found. Then it looks at one name many times, to show what a cached lookup
 * costs.
 *
 *     cc -O2 -o walk walk.c $(pkg-config --cflags --libs shale)
 *     ./walk disk.img
 *
 * The one rule of the library: a Linux system call, with shale_ in front and a task as first argument; errors
 * are negative numbers. So everything here is in the manual pages: openat(2), getdents64(2), fstatat(2),
 * read(2), mount(2).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <shale/shale.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

struct totals {
	unsigned long directories, files, others;
	unsigned long long bytes;
	char some_file[4096]; /* the path of a file that was met, for the lookups at the end */
};

static int fail(const char *what, const char *object, long error)
{
	fprintf(stderr, "walk: %s %s: %s\n", what, object, strerror((int)-error));
	return 1;
}

static int read_file(struct shale_task *task, int dfd, const char *path, const char *name, struct totals *sum)
{
	static char buffer[1 << 20];
	ssize_t n;
	int fd = shale_openat(task, dfd, name, O_RDONLY | O_NOFOLLOW, 0);

	if (fd < 0)
		return fail("open", path, fd);
	while ((n = shale_read(task, fd, buffer, sizeof(buffer))) > 0)
		sum->bytes += (unsigned long long)n;
	shale_close(task, fd);
	if (n < 0)
		return fail("read", path, n);
	sum->files++;
	snprintf(sum->some_file, sizeof(sum->some_file), "%s", path);
	return 0;
}

/* Everything under the directory `name` of dfd; path is its whole name, for messages. */
static int walk(struct shale_task *task, int dfd, const char *path, const char *name, struct totals *sum)
{
	_Alignas(struct dirent64) char entries[32768];
	char child[4096];
	ssize_t n;
	int errors = 0;
	int fd = shale_openat(task, dfd, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fail("open", path, fd);
	sum->directories++;
	while ((n = shale_getdents64(task, fd, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			struct dirent64 *entry = (struct dirent64 *)(entries + at);

			at += entry->d_reclen;
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
			if (entry->d_type == DT_DIR)
				errors += walk(task, fd, child, entry->d_name, sum);
			else if (entry->d_type == DT_REG)
				errors += read_file(task, fd, child, entry->d_name, sum);
			else
				sum->others++;
		}
	}
	shale_close(task, fd);
	if (n < 0)
		errors += fail("read", path, n);
	return errors;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int look_again(struct shale_task *task, const char *path)
{
	const int times = 200000;
	struct stat st;
	double start;
	int error = 0;

	start = now();
	for (int i = 0; i < times && error == 0; i++)
		error = shale_stat(task, path, &st);
	if (error)
		return fail("stat", path, error);
	printf("stat of %s, %lld bytes: %.0f ns each, %d times\n", path, (long long)st.st_size,
	       (now() - start) / times * 1e9, times);
	return 0;
}

static int walk_image(struct shale *machine, struct shale_task *task, const char *image)
{
	struct totals sum = {0};
	char why[256];
	int errors, error;

	error = shale_disk_add(machine, "vda", image, SHALE_DISK_READ_ONLY);
	if (error)
		return fail("open", image, error);
	error = shale_mount(task, "/dev/vda", "/mnt", "ext4", MS_RDONLY, NULL);
	if (error) {
		if (shale_mount_error(machine, why, sizeof(why)) > 0)
			fprintf(stderr, "walk: %s\n", why);
		return fail("mount", image, error);
	}
	errors = walk(task, AT_FDCWD, "/mnt", "/mnt", &sum);
	printf("%lu directories, %lu files, %lu others, %llu bytes\n", sum.directories, sum.files, sum.others,
	       sum.bytes);
	if (sum.files > 0)
		errors += look_again(task, sum.some_file);
	return errors;
}

int main(int argc, char **argv)
{
	struct shale *machine;
	struct shale_task *task;
	int errors, error;

	if (argc != 2) {
		fprintf(stderr, "usage: walk IMAGE\n");
		return 2;
	}
	error = shale_new(NULL, &machine);
	if (error)
		return fail("make", "a machine", error);
	error = shale_task_new(machine, NULL, &task);
	if (error)
		return fail("make", "a task", error);
	errors = walk_image(machine, task, argv[1]);
	shale_task_free(task);
	error = shale_free(machine);
	if (error)
		errors += fail("end", "the machine", error);
	return errors ? 1 : 0;
}
