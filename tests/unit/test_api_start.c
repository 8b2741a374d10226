/* SPDX-License-Identifier: MIT */
/*
 * SHALE_START_LATER: until shale_start a machine starts no thread, looks at nothing on its disks and lets
 * nobody open them; then their partitions are there. That nothing was looked at shows by what is written to
 * the image in between: it is what counts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <shale/shale.h>

#define IMAGE_BYTES (1u << 20)
#define PART_START  64u /* in sectors */
#define PART_COUNT  128u

struct world {
	struct shale *machine;
	struct shale_task *task;
	char image[64];
};

/* How many threads the machines of this process have. */
static unsigned machine_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], name[32];
	unsigned n = 0;
	FILE *comm;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		comm = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (comm && fgets(name, sizeof(name), comm) && !strncmp(name, "shale-", 6))
			n++;
		if (comm)
			fclose(comm);
	}
	closedir(dir);
	return n;
}

/* A thread that was joined (the last test's) is seen for a moment longer. */
static void assert_no_threads(void)
{
	for (int ms = 0; ms < 1000 && machine_threads(); ms++)
		usleep(1000);
	assert_int_equal(machine_threads(), 0);
}

/* A table of one partition, in the format of the PC's BIOS, and a letter where the partition begins. */
static void write_table(const char *image)
{
	unsigned char mbr[512] = {};
	unsigned char *entry = mbr + 446;
	int fd = open(image, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	entry[4] = 0x83;
	entry[8] = PART_START;
	entry[12] = PART_COUNT;
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	assert_int_equal(pwrite(fd, mbr, sizeof(mbr), 0), sizeof(mbr));
	assert_int_equal(pwrite(fd, "P", 1, PART_START * 512), 1);
	close(fd);
}

static int setup_threads(void **state, unsigned threads)
{
	struct world *w = calloc(1, sizeof(*w));
	struct shale_options options = SHALE_OPTIONS_INIT;
	int fd;

	assert_non_null(w);
	strcpy(w->image, "/var/tmp/shale-start-XXXXXX");
	fd = mkstemp(w->image);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_BYTES), 0);
	close(fd);
	options.threads = threads;
	options.seed = 7;
	options.flags = SHALE_START_LATER;
	assert_int_equal(shale_new(&options, &w->machine), 0);
	assert_int_equal(shale_task_new(w->machine, NULL, &w->task), 0);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_threads(state, 2);
}

static int setup_single(void **state)
{
	return setup_threads(state, 0);
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(shale_free(w->machine), 0);
	unlink(w->image);
	free(w);
	return 0;
}

static int add(struct world *w, const char *name, const char *before, const char *options)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "%sfile:%s?%s", before, w->image, options);
	return shale_disk_add(w->machine, name, uri, SHALE_DISK_READ_ONLY);
}

static void assert_held(struct world *w, const char *device)
{
	struct stat st;

	assert_no_threads();
	assert_int_equal(shale_stat(w->task, device, &st), 0);
	assert_int_equal(shale_open(w->task, device, O_RDONLY, 0), -EAGAIN);
	assert_int_equal(shale_mount(w->task, device, "/mnt", "ext4", MS_RDONLY, NULL), -EAGAIN);
	assert_no_threads();
}

static void assert_begins(struct world *w, const char *device, char expected)
{
	char got[512];
	int fd = shale_open(w->task, device, O_RDONLY, 0);

	assert_true(fd >= 0);
	assert_int_equal(shale_pread(w->task, fd, got, sizeof(got), 0), sizeof(got));
	assert_int_equal(got[0], expected);
	assert_int_equal(shale_lseek(w->task, fd, 0, SEEK_END),
			 expected ? (long)PART_COUNT * 512 : (long)IMAGE_BYTES);
	assert_int_equal(shale_close(w->task, fd), 0);
}

static void start_reads_the_table(struct world *w, const char *before, const char *options)
{
	struct stat st;

	assert_int_equal(add(w, "d", before, options), 0);
	assert_held(w, "/dev/d");
	write_table(w->image);
	assert_int_equal(shale_stat(w->task, "/dev/d1", &st), -ENOENT);
	assert_int_equal(shale_start(w->machine), 0);
	assert_begins(w, "/dev/d1", 'P');
	assert_begins(w, "/dev/d", 0);
	assert_int_equal(shale_start(w->machine), -EINVAL);
}

static void test_ring(void **state)
{
	start_reads_the_table(*state, "", "io=auto");
}

static void test_calls(void **state)
{
	start_reads_the_table(*state, "", "io=threads");
}

/* The filter works by items of work. */
static void test_filter(void **state)
{
	start_reads_the_table(*state, "delay+", "io=auto");
}

static void test_part(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "d", "", "part=1"), 0);
	assert_held(w, "/dev/d");
	write_table(w->image);
	assert_int_equal(shale_start(w->machine), 0);
	assert_begins(w, "/dev/d", 'P');
}

static void test_part_missing(void **state)
{
	struct world *w = *state;
	char words[256];
	struct stat st;

	assert_int_equal(add(w, "d", "", "part=2"), 0);
	assert_int_equal(add(w, "e", "", "part=1"), 0);
	write_table(w->image);
	assert_int_equal(shale_start(w->machine), -ENXIO);
	assert_true(shale_disk_error(w->machine, words, sizeof(words)) > 0);
	assert_non_null(strstr(words, "partition 2"));
	assert_int_equal(shale_stat(w->task, "/dev/d", &st), -ENOENT);
	assert_begins(w, "/dev/e", 'P');
}

/* What ends without having been started. */
static void test_never_started(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "d", "", "io=auto"), 0);
	assert_int_equal(add(w, "e", "", "part=1"), 0);
	assert_int_equal(shale_disk_remove(w->machine, "d"), 0);
	assert_held(w, "/dev/e");
}

static void test_not_held(void **state)
{
	struct shale *machine;

	assert_int_equal(shale_new(NULL, &machine), 0);
	assert_int_equal(shale_start(machine), -EINVAL);
	assert_int_equal(shale_start(NULL), -EINVAL);
	assert_int_equal(shale_free(machine), 0);
}

#define both(test)                                                                                           \
	{#test, test, setup, teardown, NULL},                                                                \
	{                                                                                                    \
#test ", threads=0", test, setup_single, teardown, NULL                                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_ring),
		both(test_calls),
		both(test_filter),
		both(test_part),
		both(test_part_missing),
		both(test_never_started),
		{"test_not_held", test_not_held, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
