/* SPDX-License-Identifier: MIT */
/*
 * N1, N3, V5: walks beside changes. Some threads rename, exchange, link, make and remove in a few
 * directories, others walk, open, list and stat there. What must hold at each moment: a name that is only
 * ever replaced or exchanged is never missing, and leads to a file that some thread put there; ".." of an
 * open directory leads to a directory. At the end the tree is sound: links are counted right, each listed
 * name is there. STRESS_MS: how long (500).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <shale/shale.h>

static struct shale *machine;
static int stop;                 /* atomic */
static unsigned long done_ops;   /* atomic */
static unsigned long complaints; /* atomic */

struct worker {
	pthread_t thread;
	struct shale_task *task;
	uint64_t rng;
	void (*step)(struct worker *w);
};

static unsigned below(struct worker *w, unsigned n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (unsigned)(w->rng >> 11) % n;
}

static void complain(const char *what, long result)
{
	if (__atomic_fetch_add(&complaints, 1, __ATOMIC_RELAXED) < 10)
		fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
}

static void make_name(struct worker *w, char *path)
{
	static const char *const dirs[] = {
		"/a", "/b", "/a/c", "/b/a-directory-whose-name-does-not-fit-into-its-dentry", "/a/x", "/b/y"};
	static const char *const names[] = {"x", "y", "z",
					    "a-name-that-does-not-fit-into-a-dentry-of-its-own"};

	sprintf(path, "%s/%s", dirs[below(w, 6)], names[below(w, 4)]);
}

static void change(struct worker *w)
{
	char from[128], to[128];
	int fd;

	make_name(w, from);
	make_name(w, to);
	switch (below(w, 10)) {
	case 0:
	case 1:
		shale_mkdir(w->task, to, 0755);
		break;
	case 2:
		fd = shale_open(w->task, to, O_RDWR | O_CREAT, 0644);
		if (fd >= 0)
			shale_close(w->task, fd);
		break;
	case 3:
		shale_link(w->task, from, to);
		break;
	case 4:
		shale_unlink(w->task, to);
		break;
	case 5:
		shale_rmdir(w->task, to);
		break;
	case 6:
		shale_chmod(w->task, to, 0700 | below(w, 64));
		break;
	case 7:
		shale_renameat2(w->task, AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
		break;
	default:
		shale_rename(w->task, from, to);
		break;
	}
}

static void look(struct worker *w)
{
	char path[128], entries[2048];
	struct stat st, up;
	int fd;

	make_name(w, path);
	shale_stat(w->task, path, &st);
	fd = shale_open(w->task, path, O_RDONLY, 0);
	if (fd < 0)
		return;
	if (!shale_fstat(w->task, fd, &st) && S_ISDIR(st.st_mode)) {
		int err = shale_fstatat(w->task, fd, "..", &up, 0);

		if (err || !S_ISDIR(up.st_mode))
			complain("..", err);
		shale_getdents64(w->task, fd, entries, sizeof(entries));
	}
	shale_close(w->task, fd);
}

/* /p/one and /p/two change places; both hold a file, which so is always there. */
static void exchange(struct worker *w)
{
	int err = shale_renameat2(w->task, AT_FDCWD, "/p/one", AT_FDCWD, "/q/two", RENAME_EXCHANGE);

	if (err)
		complain("exchange", err);
}
static void look_at_exchanged(struct worker *w)
{
	const char *path = below(w, 2) ? "/p/one/file" : "/q/two/file";
	struct stat st;
	int err = shale_stat(w->task, path, &st);

	if (err || st.st_size != 0 || !S_ISREG(st.st_mode))
		complain(path, err);
}

/* A name that is replaced again and again is never missing. */
static void replace(struct worker *w)
{
	char name[32];
	int fd;

	sprintf(name, "/p/new-%p", (void *)w);
	fd = shale_open(w->task, name, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		complain(name, fd);
	shale_close(w->task, fd);
	fd = shale_rename(w->task, name, "/q/target");
	if (fd < 0)
		complain("rename", fd);
}
static void look_at_replaced(struct worker *w)
{
	int fd = shale_open(w->task, "/q/target", O_RDONLY, 0);

	if (fd < 0)
		complain("/q/target", fd);
	else
		shale_close(w->task, fd);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		w->step(w);
		__atomic_fetch_add(&done_ops, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void make(struct shale_task *task, const char *path, bool dir)
{
	int fd = dir ? shale_mkdir(task, path, 0755) : shale_open(task, path, O_CREAT | O_RDWR, 0644);

	assert_true(fd >= 0);
	if (!dir)
		shale_close(task, fd);
}

/* Counts what is below `path`, checks links; removes it all when told to. */
static void check_tree(struct shale_task *task, const char *path, bool clear)
{
	char entries[8192], below_path[4096];
	unsigned subdirs = 0;
	struct stat st, entry;
	long got;
	int fd = shale_open(task, path, O_RDONLY | O_DIRECTORY, 0);

	assert_true(fd >= 0);
	got = shale_getdents64(task, fd, entries, sizeof(entries));
	shale_close(task, fd);
	assert_true(got > 0);
	for (long at = 0; at < got;) {
		const struct dirent64 *d = (const void *)(entries + at);

		at += d->d_reclen;
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(below_path, sizeof(below_path), "%s/%s", path, d->d_name);
		assert_int_equal(shale_lstat(task, below_path, &entry), 0);
		assert_int_equal(entry.st_ino, d->d_ino);
		assert_true(entry.st_nlink >= 1);
		if (S_ISDIR(entry.st_mode)) {
			subdirs++;
			check_tree(task, below_path, clear);
		}
		if (clear)
			assert_int_equal(S_ISDIR(entry.st_mode) ? shale_rmdir(task, below_path)
								: shale_unlink(task, below_path),
					 0);
	}
	assert_int_equal(shale_stat(task, path, &st), 0);
	assert_int_equal(st.st_nlink, 2 + (clear ? 0 : subdirs));
}

static void test_walks_beside_changes(void **state)
{
	static void (*const steps[])(struct worker *) = {
		change, change, look, look, exchange, look_at_exchanged, replace, look_at_replaced};
	struct worker workers[8];
	struct shale_task *task;
	const char *ms = getenv("STRESS_MS");
	struct timespec time = {0};
	struct shale_options options = SHALE_OPTIONS_INIT;

	options.threads = 4;
	options.flags = SHALE_NO_DEV;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	for (const char **p = (const char *[]){"/a", "/b", "/p", "/q", "/p/one", "/q/two", NULL}; *p; p++)
		make(task, *p, true);
	for (const char **p = (const char *[]){"/p/one/file", "/q/two/file", "/q/target", NULL}; *p; p++)
		make(task, *p, false);
	for (unsigned i = 0; i < 8; i++) {
		workers[i] = (struct worker){.rng = 88172645463325252ull * (i + 1), .step = steps[i]};
		assert_int_equal(shale_task_new(machine, NULL, &workers[i].task), 0);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
	}
	time.tv_sec = (ms ? atol(ms) : 500) / 1000;
	time.tv_nsec = (ms ? atol(ms) : 500) % 1000 * 1000000;
	nanosleep(&time, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(workers[i].thread, NULL);
		shale_task_free(workers[i].task);
	}
	check_tree(task, "/", false);
	check_tree(task, "/", true);
	shale_task_free(task);
	assert_int_equal(shale_free(machine), 0);
	assert_int_equal(complaints, 0);
	printf("%lu calls\n", done_ops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks_beside_changes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
