/* SPDX-License-Identifier: MIT */
/*
 * RCU: readers keep what they see, callbacks run once and after the readers; pools give and take objects from
 * many threads, and POOL_TYPESAFE memory stays what it is. The floor under rows V4, V5, N1, P2.
 */
#include "base_machine.h"
#include "base/mutex.h"
#include "base/pool.h"

#define ROUNDS 3000

struct item {
	struct rcu_head rcu;
	unsigned long a, b;
	struct shared *shared;
};

struct shared {
	struct shale *machine;
	struct item *published;
	struct mutex lock;
	struct pool *pool;
	atomic_t made, freed, torn, stop;
};

static void item_free(struct rcu_head *head)
{
	struct item *item = container_of(head, struct item, rcu);

	atomic_inc(&item->shared->freed);
	item->a = 1;
	item->b = 2;
	kfree(item);
}

static void publish(struct shared *s, unsigned long value)
{
	struct item *item = kmalloc(s->machine, sizeof(*item)), *old;

	assert_non_null(item);
	item->a = item->b = value;
	item->shared = s;
	atomic_inc(&s->made);
	mutex_lock(&s->lock);
	old = s->published;
	rcu_assign_pointer(s->published, item);
	mutex_unlock(&s->lock);
	if (old && value % 100 == 0) {
		synchronize_rcu(s->machine);
		item_free(&old->rcu);
	} else if (old) {
		call_rcu(s->machine, &old->rcu, item_free);
	}
}

static void read_and_replace(void *arg)
{
	struct shared *s = arg;

	for (unsigned long i = 1; i <= ROUNDS; i++) {
		struct item *item;

		for (unsigned k = 0; k < 10; k++) {
			rcu_read_lock();
			rcu_read_lock();
			item = rcu_dereference(s->published);
			if (item && item->a != item->b)
				atomic_inc(&s->torn);
			rcu_read_unlock();
			rcu_read_unlock();
		}
		if (i % 3 == 0)
			publish(s, i);
	}
}

static void test_base_rcu_readers_keep_what_they_see(void **state)
{
	struct test_machine t;
	struct shared s = {0};

	s.machine = test_machine_start(&t, 2, 1);
	mutex_init(&s.lock);
	test_run_threads(s.machine, 4, read_and_replace, &s);
	assert_int_equal(atomic_read(&s.torn), 0);
	assert_false(rcu_read_lock_held());
	call_rcu(s.machine, &s.published->rcu, item_free);
	rcu_barrier(s.machine);
	assert_int_equal(atomic_read(&s.made), 4 * ROUNDS / 3);
	assert_int_equal(atomic_read(&s.freed), atomic_read(&s.made));
	test_machine_stop(&t);
}

struct chain {
	struct rcu_head rcu;
	struct shale *machine;
	int left;
};

static void chain_next(struct rcu_head *head)
{
	struct chain *chain = container_of(head, struct chain, rcu);

	if (--chain->left > 0)
		call_rcu(chain->machine, head, chain_next);
}

static void check_barrier(unsigned threads)
{
	struct test_machine t;
	struct chain chain = {.left = 5};

	chain.machine = test_machine_start(&t, threads, 1);
	call_rcu(chain.machine, &chain.rcu, chain_next);
	rcu_barrier(chain.machine);
	assert_int_equal(chain.left, 0);
	test_machine_stop(&t);
}

static void test_base_rcu_barrier_waits_for_all(void **state)
{
	check_barrier(2);
	check_barrier(0);
}

static void count_down(struct rcu_head *head)
{
	struct chain *chain = container_of(head, struct chain, rcu);

	chain->left--;
}

static void test_base_rcu_single_runs_at_waits_only(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct chain chain = {.left = 1};

	rcu_read_lock();
	call_rcu(machine, &chain.rcu, count_down);
	assert_int_equal(chain.left, 1);
	rcu_read_unlock();
	assert_int_equal(chain.left, 1);
	sleep_ns(1);
	assert_int_equal(chain.left, 0);
	test_machine_stop(&t);
}

/* An object that its constructor marks and that readers may look at when it is long free. */
struct marked {
	unsigned long mark;
	spinlock_t lock;
	unsigned long owner;
};
#define MARK 0x6d61726bul

static void mark(void *object)
{
	struct marked *m = object;

	m->mark = MARK;
	spin_lock_init(&m->lock);
	WRITE_ONCE(m->owner, 0ul);
}

struct pool_test {
	struct pool *pool;
	struct marked *published;
	atomic_t wrong;
};

static void pool_user(void *arg)
{
	struct pool_test *p = arg;
	struct marked *held[64] = {0};

	for (unsigned i = 0; i < 20000; i++) {
		struct marked *m, **slot = &held[i * 7 % ARRAY_SIZE(held)];

		if (*slot) {
			if (READ_ONCE((*slot)->owner) != (unsigned long)slot)
				atomic_inc(&p->wrong);
			WRITE_ONCE((*slot)->owner, 0ul);
			pool_free(p->pool, *slot);
		}
		*slot = pool_alloc(p->pool);
		if (!*slot || (*slot)->mark != MARK || READ_ONCE((*slot)->owner) != 0) {
			atomic_inc(&p->wrong);
			return;
		}
		WRITE_ONCE((*slot)->owner, (unsigned long)slot);
		rcu_read_lock();
		m = rcu_dereference(p->published);
		if (m && m->mark != MARK)
			atomic_inc(&p->wrong);
		rcu_assign_pointer(p->published, *slot);
		rcu_read_unlock();
	}
	rcu_assign_pointer(p->published, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		pool_free(p->pool, held[i]);
}

static void test_base_pool_typesafe_objects_stay_objects(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 2, 1);
	struct pool_test p = {0};

	assert_int_equal(pool_create(machine, "marked", sizeof(struct marked), POOL_TYPESAFE, mark, &p.pool),
			 0);
	test_run_threads(machine, 4, pool_user, &p);
	assert_int_equal(atomic_read(&p.wrong), 0);
	assert_int_equal(pool_in_use(p.pool), 0);
	pool_destroy(p.pool);
	test_machine_stop(&t);
}

static void test_base_pool_gives_distinct_objects_and_memory_back(void **state)
{
	static const size_t sizes[] = {1, 8, 24, 200, 1000, SZ_16K};
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);

	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		unsigned char *objects[500];
		struct pool *pool;

		assert_int_equal(pool_create(machine, "plain", sizes[k], POOL_ZERO, NULL, &pool), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
			objects[i] = pool_alloc(pool);
			assert_non_null(objects[i]);
			assert_int_equal(objects[i][sizes[k] - 1], 0);
			memset(objects[i], (int)(i % 251) + 1, sizes[k]);
		}
		assert_int_equal(pool_in_use(pool), ARRAY_SIZE(objects));
		assert_true(machine_charged(machine) >= (long)(ARRAY_SIZE(objects) * sizes[k]));
		for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
			assert_int_equal(objects[i][0], i % 251 + 1);
			assert_int_equal(objects[i][sizes[k] - 1], i % 251 + 1);
			pool_free(pool, objects[i]);
		}
		assert_int_equal(pool_in_use(pool), 0);
		pool_shrink(pool);
		assert_int_equal(pool_bytes(pool), 0);
		assert_int_equal(machine_charged(machine), 0);
		pool_destroy(pool);
	}
	test_machine_stop(&t);
}

static void test_base_pool_refuses_and_fails(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct pool *pool;
	void *object;

	assert_int_equal(pool_create(machine, "none", 0, 0, NULL, &pool), -EINVAL);
	assert_int_equal(pool_create(machine, "huge", SZ_64K, 0, NULL, &pool), -EINVAL);
	assert_int_equal(pool_create(machine, "ctor", 64, 0, mark, &pool), -EINVAL);
	assert_int_equal(pool_create(machine, "ok", 64, 0, NULL, &pool), 0);
	alloc_fail_set(machine, ALLOC_FAIL_NTH, 2, 0);
	object = pool_alloc(pool);
	assert_non_null(object);
	assert_null(pool_alloc(pool));
	alloc_fail_clear(machine);
	pool_free(pool, object);
	pool_destroy(pool);
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_rcu_readers_keep_what_they_see),
		cmocka_unit_test(test_base_rcu_barrier_waits_for_all),
		cmocka_unit_test(test_base_rcu_single_runs_at_waits_only),
		cmocka_unit_test(test_base_pool_typesafe_objects_stay_objects),
		cmocka_unit_test(test_base_pool_gives_distinct_objects_and_memory_back),
		cmocka_unit_test(test_base_pool_refuses_and_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
