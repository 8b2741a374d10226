/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks, mutexes, reader-writer semaphores, sequence locks and lockrefs exclude whom they should. Row P9
 * (and the floor under all others).
 */
#include "base_machine.h"
#include "base/lockref.h"
#include "base/mutex.h"
#include "base/rwsem.h"
#include "base/seqlock.h"

#define ROUNDS  20000
#define THREADS 4

struct shared {
	spinlock_t spin;
	struct mutex mutex;
	struct rw_semaphore rwsem;
	seqlock_t seqlock;
	struct lockref ref;
	unsigned long plain; /* guarded by whichever lock the test is about */
	unsigned long a, b;  /* always equal outside a writer's section */
	atomic_t readers, together, torn;
};

static void shared_init(struct shared *s)
{
	memset(s, 0, sizeof(*s));
	spin_lock_init(&s->spin);
	mutex_init(&s->mutex);
	init_rwsem(&s->rwsem);
	seqlock_init(&s->seqlock);
	lockref_init(&s->ref, 1);
}

static void spin_adder(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		scoped_spin_lock(&s->spin);
		s->plain++;
	}
}

static void test_base_spinlock_excludes(void **state)
{
	struct test_machine t;
	struct shared s;

	shared_init(&s);
	test_run_threads(test_machine_start(&t, 2, 1), THREADS, spin_adder, &s);
	assert_int_equal(s.plain, THREADS * ROUNDS);
	assert_false(spin_is_locked(&s.spin));
	assert_true(spin_trylock(&s.spin));
	assert_false(spin_trylock(&s.spin));
	spin_unlock(&s.spin);
	test_machine_stop(&t);
}

static void mutex_adder(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		scoped_mutex_lock(&s->mutex);
		s->plain++;
		if (i % 1000 == 0)
			sleep_ns(10000);
	}
}

static void test_base_mutex_excludes(void **state)
{
	struct test_machine t;
	struct shared s;

	shared_init(&s);
	test_run_threads(test_machine_start(&t, 2, 1), THREADS, mutex_adder, &s);
	assert_int_equal(s.plain, THREADS * ROUNDS);
	assert_false(mutex_is_locked(&s.mutex));
	test_machine_stop(&t);
}

static void rwsem_user(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		if (i % 4 == 0) {
			down_write(&s->rwsem);
			s->a++;
			s->b++;
			if (atomic_read(&s->readers))
				atomic_inc(&s->torn);
			if (i % 8 == 0)
				downgrade_write(&s->rwsem);
			else
				up_write(&s->rwsem);
			if (i % 8 == 0)
				up_read(&s->rwsem);
		} else {
			down_read(&s->rwsem);
			if (atomic_add_return(1, &s->readers) > 1)
				atomic_inc(&s->together);
			if (s->a != s->b)
				atomic_inc(&s->torn);
			if (i % 128 == 1)
				sleep_ns(10000);
			atomic_dec(&s->readers);
			up_read(&s->rwsem);
		}
	}
}

static void test_base_rwsem_excludes_writers_only(void **state)
{
	struct test_machine t;
	struct shared s;

	shared_init(&s);
	test_run_threads(test_machine_start(&t, 2, 1), THREADS, rwsem_user, &s);
	assert_int_equal(atomic_read(&s.torn), 0);
	assert_true(atomic_read(&s.together) > 0);
	assert_int_equal(s.a, THREADS * (ROUNDS / 4 / 4));
	assert_int_equal(s.rwsem.count, 0);
	assert_true(down_write_trylock(&s.rwsem));
	assert_false(down_read_trylock(&s.rwsem));
	up_write(&s.rwsem);
	test_machine_stop(&t);
}

static void seqlock_user(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned long a, b;
		unsigned seq;

		if (i % 4 == 0) {
			write_seqlock(&s->seqlock);
			WRITE_ONCE(s->a, s->a + 1);
			WRITE_ONCE(s->b, s->b + 1);
			write_sequnlock(&s->seqlock);
		}
		do {
			seq = read_seqbegin(&s->seqlock);
			a = READ_ONCE(s->a);
			b = READ_ONCE(s->b);
		} while (read_seqretry(&s->seqlock, seq));
		if (a != b)
			atomic_inc(&s->torn);
	}
}

static void test_base_seqlock_readers_see_whole_updates(void **state)
{
	struct test_machine t;
	struct shared s;
	unsigned seq;

	shared_init(&s);
	test_run_threads(test_machine_start(&t, 2, 1), THREADS, seqlock_user, &s);
	assert_int_equal(atomic_read(&s.torn), 0);
	assert_int_equal(s.a, THREADS * ROUNDS / 4);
	seq = read_seqbegin(&s.seqlock);
	assert_false(read_seqretry(&s.seqlock, seq));
	write_seqlock(&s.seqlock);
	assert_true(read_seqretry(&s.seqlock, seq));
	assert_true(read_seqcount_retry(&s.seqlock.seqcount, raw_seqcount_begin(&s.seqlock.seqcount)));
	write_sequnlock(&s.seqlock);
	assert_true(read_seqretry(&s.seqlock, seq));
	test_machine_stop(&t);
}

static void lockref_user(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		lockref_get(&s->ref);
		if (i % 16 == 0) {
			spin_lock(&s->ref.lock);
			s->plain++;
			spin_unlock(&s->ref.lock);
		}
		if (!lockref_put_or_lock(&s->ref)) {
			atomic_inc(&s->torn);
			spin_unlock(&s->ref.lock);
		}
	}
}

static void test_base_lockref_counts(void **state)
{
	struct test_machine t;
	struct shared s;

	shared_init(&s);
	test_run_threads(test_machine_start(&t, 2, 1), THREADS, lockref_user, &s);
	assert_int_equal(lockref_read(&s.ref), 1);
	assert_int_equal(atomic_read(&s.torn), 0);
	assert_int_equal(s.plain, THREADS * ROUNDS / 16);
	assert_false(lockref_put_not_zero(&s.ref));
	assert_false(lockref_put_or_lock(&s.ref));
	assert_true(spin_is_locked(&s.ref.lock));
	assert_int_equal(lockref_put_return(&s.ref), -1);
	lockref_mark_dead(&s.ref);
	spin_unlock(&s.ref.lock);
	assert_false(lockref_get_not_dead(&s.ref));
	assert_false(lockref_get_not_zero(&s.ref));
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_spinlock_excludes),
		cmocka_unit_test(test_base_mutex_excludes),
		cmocka_unit_test(test_base_rwsem_excludes_writers_only),
		cmocka_unit_test(test_base_seqlock_readers_see_whole_updates),
		cmocka_unit_test(test_base_lockref_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
