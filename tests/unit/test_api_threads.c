/* SPDX-License-Identifier: MIT */
/*
 * Rows V6, V7: a descriptor table that grows, shrinks and is copied while other threads look things up in it;
 * files that close under readers; one task used by many threads. Run under the thread sanitizer this proves
 * the lock-free lookup.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <shale/shale.h>

#define DISK_BYTES (1 << 20)

struct world {
	struct shale *machine;
	struct shale_task *task;
	int kept; /* a descriptor that stays */
	_Atomic int stop;
	_Atomic unsigned long reads, bad;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct shale_options options = SHALE_OPTIONS_INIT;

	assert_non_null(w);
	options.threads = 2;
	assert_int_equal(shale_new(&options, &w->machine), 0);
	assert_int_equal(shale_task_new(w->machine, NULL, &w->task), 0);
	assert_int_equal(shale_disk_add(w->machine, "sda", "ram:1M", 0), 0);
	w->kept = shale_open(w->task, "/dev/sda", O_RDONLY, 0);
	assert_int_equal(w->kept, 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(shale_free(w->machine), 0);
	free(w);
	return 0;
}

static void bad_if(struct world *w, int condition)
{
	if (condition)
		atomic_fetch_add(&w->bad, 1);
}

static void *reader(void *arg)
{
	struct world *w = arg;
	char buf[4096];
	unsigned n = 0;

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		struct stat st;

		bad_if(w, shale_pread(w->task, w->kept, buf, sizeof(buf), (n++ * 4096) % DISK_BYTES) != 4096);
		bad_if(w, shale_fstat(w->task, w->kept, &st) != 0 || !S_ISBLK(st.st_mode));
		atomic_fetch_add_explicit(&w->reads, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Reads numbers that others open and close: any of these answers is right. */
static void *prober(void *arg)
{
	struct world *w = arg;
	unsigned n = 1;
	char buf[512];

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		long got = shale_pread(w->task, (int)(n++ % 600), buf, sizeof(buf), 0);

		bad_if(w, got != 512 && got != -EBADF && got != -EISDIR);
	}
	return NULL;
}

static void *opener(void *arg)
{
	struct world *w = arg;
	int fds[200];

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		for (int i = 0; i < 200; i++) {
			fds[i] = shale_open(w->task, i % 3 ? "/dev/sda" : "/mnt", O_RDONLY, 0);
			bad_if(w, fds[i] < 0);
		}
		for (int i = 0; i < 200; i++)
			bad_if(w, shale_close(w->task, fds[i]) != 0);
	}
	return NULL;
}

static void *forker(void *arg)
{
	struct world *w = arg;
	char buf[512];

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		struct shale_task *child;

		if (shale_task_fork(w->task, 0, &child)) {
			bad_if(w, 1);
			continue;
		}
		bad_if(w, shale_pread(child, w->kept, buf, 512, 512) != 512);
		bad_if(w, shale_dup2(child, w->kept, 3000) != 3000); /* grows */
		bad_if(w, shale_pread(child, 3000, buf, 512, 512) != 512);
		shale_task_free(child);
	}
	return NULL;
}

static void *stepper(void *arg)
{
	struct world *w = arg;
	char buf[512];

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		long n = shale_read(w->task, w->kept, buf, 512);

		bad_if(w, n != 512 && n != 0);
		if (n == 0)
			shale_lseek(w->task, w->kept, 0, SEEK_SET);
	}
	return NULL;
}

static void run(struct world *w, void *(*const *bodies)(void *), unsigned count)
{
	struct timespec length = {.tv_sec = 1, .tv_nsec = 500000000};
	pthread_t threads[8];

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], w), 0);
	nanosleep(&length, NULL);
	atomic_store(&w->stop, 1);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(w->bad, 0);
	assert_true(w->reads > 0);
}

static void test_table_changes_under_readers(void **state)
{
	static void *(*const bodies[])(void *) = {reader, prober, opener, opener, forker, stepper};

	run(*state, bodies, 6);
}

/* A fresh task each time, so that its small table is replaced while it is read. */
static void test_growth_under_readers(void **state)
{
	struct world *w = *state;

	for (int round = 0; round < 100; round++) {
		struct shale_task *task;
		struct world one = {.machine = w->machine, .kept = 0};
		pthread_t thread;

		assert_int_equal(shale_task_new(w->machine, NULL, &task), 0);
		assert_int_equal(shale_open(task, "/dev/sda", O_RDONLY, 0), 0);
		one.task = task;
		assert_int_equal(pthread_create(&thread, NULL, reader, &one), 0);
		for (int i = 1; i < 1100; i++)
			assert_int_equal(shale_dup(task, 0), i);
		atomic_store(&one.stop, 1);
		pthread_join(thread, NULL);
		assert_int_equal(one.bad, 0);
		shale_task_free(task);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table_changes_under_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth_under_readers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
