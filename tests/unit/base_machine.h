/* SPDX-License-Identifier: MIT */
/*
 * What the tests of base share: a machine to run in, and cmocka with what it needs included first.
 */
#ifndef SHALE_TEST_BASE_MACHINE_H
#define SHALE_TEST_BASE_MACHINE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/machine.h"

/* A machine with so many worker threads (0: deterministic), and the test's thread inside it. */
struct test_machine {
	struct shale *machine;
	struct current_saved saved;
};

static inline struct shale *test_machine_start(struct test_machine *t, unsigned threads, u64 seed)
{
	struct machine_options options = {.threads = threads, .seed = seed, .epoch_ns = 1000 * NSEC_PER_SEC};

	t->machine = aligned_alloc(CACHELINE_SIZE, round_up(sizeof(*t->machine), (size_t)CACHELINE_SIZE));
	assert_non_null(t->machine);
	memset(t->machine, 0, sizeof(*t->machine));
	assert_int_equal(machine_init(t->machine, &options), 0);
	current_enter(t->machine, NULL, &t->saved);
	return t->machine;
}

static inline void test_machine_stop(struct test_machine *t)
{
	current_leave(&t->saved);
	machine_exit(t->machine);
	assert_int_equal(machine_charged(t->machine), 0);
	free(t->machine);
}

/* So many threads of the host, each inside the machine, run fn(arg) at the same time. */
struct test_threads {
	struct shale *machine;
	void (*fn)(void *arg);
	void *arg;
	pthread_barrier_t start;
};

static inline void *test_thread_main(void *p)
{
	struct test_threads *t = p;
	struct current_saved saved;

	pthread_barrier_wait(&t->start);
	current_enter(t->machine, NULL, &saved);
	t->fn(t->arg);
	current_leave(&saved);
	return NULL;
}

static inline void test_run_threads(struct shale *machine, unsigned n, void (*fn)(void *arg), void *arg)
{
	struct test_threads t = {.machine = machine, .fn = fn, .arg = arg};
	pthread_t threads[16];

	assert_true(n <= ARRAY_SIZE(threads));
	pthread_barrier_init(&t.start, NULL, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, test_thread_main, &t), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&t.start);
}

#endif
