/* SPDX-License-Identifier: MIT */
/*
 * What many threads share: the hash table with lock-free readers, the log and the recorder with many writers,
 * and the machine's count of bytes. Proves the ground of N1's lock-free walk; meant for the thread sanitizer.
 */
#include "base_machine.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rhash.h"
#include "base/trace.h"

#define KEYS   512u
#define ROUNDS (SHALE_TSAN ? 3000u : 20000u)

struct thing {
	struct rcu_head rcu;
	struct hlist_node link;
	u32 key;
	u32 check; /* ~key while it is a thing */
};

struct shared {
	struct shale *machine;
	struct rhash table;
	unsigned role;
	unsigned writers;
};

static bool thing_match(const struct hlist_node *node, const void *key)
{
	return hlist_entry((struct hlist_node *)node, struct thing, link)->key == *(const u32 *)key;
}

static u32 key_hash(u32 key)
{
	return hash_32(key, 32) >> 16;
}

static struct thing *thing_find(struct shared *s, u32 key)
{
	return hlist_entry_safe(rhash_lookup(&s->table, key_hash(key), thing_match, &key), struct thing,
				link);
}

static void thing_add(struct shared *s, u32 key)
{
	struct thing *thing = kmalloc(s->machine, sizeof(*thing));

	BUG_ON(!thing);
	INIT_HLIST_NODE(&thing->link);
	thing->key = key;
	thing->check = ~key;
	rhash_insert(&s->table, &thing->link, key_hash(key));
}

/* A writer owns the odd keys that are its role's, modulo the writers; even keys stay for ever. */
static void table_write(struct shared *s, unsigned role)
{
	u64 rng = role;

	for (unsigned i = 0; i < ROUNDS; i++) {
		u32 key = (u32)(splitmix64(&rng) % KEYS) | 1;
		struct thing *thing;

		if (key / 2 % 2 != role)
			continue;
		rcu_read_lock();
		thing = thing_find(s, key);
		rcu_read_unlock();
		if (!thing) {
			thing_add(s, key);
			continue;
		}
		rhash_delete(&s->table, &thing->link, key_hash(key));
		BUG_ON(!hlist_unhashed(&thing->link));
		kfree_rcu(s->machine, thing, rcu);
	}
	__atomic_fetch_sub(&s->writers, 1, __ATOMIC_RELAXED);
}

static void table_read(struct shared *s, unsigned role)
{
	u64 rng = role;

	while (__atomic_load_n(&s->writers, __ATOMIC_RELAXED)) {
		u32 key = (u32)(splitmix64(&rng) % KEYS);
		struct thing *thing;

		rcu_read_lock();
		thing = thing_find(s, key);
		BUG_ON(!thing && key % 2 == 0);
		BUG_ON(thing && thing->check != ~key);
		rcu_read_unlock();
	}
}

static void table_thread(void *arg)
{
	struct shared *s = arg;
	unsigned role = __atomic_fetch_add(&s->role, 1, __ATOMIC_RELAXED);

	if (role < 2)
		table_write(s, role);
	else
		table_read(s, role);
}

static void test_rhash_readers_beside_writers(void **state)
{
	struct shared s = {.writers = 2};
	struct test_machine t;
	struct hlist_node *next;
	struct thing *thing;
	unsigned even = 0;

	s.machine = test_machine_start(&t, 2, 1);
	/* Few buckets, so that lists are long. */
	assert_int_equal(rhash_init(s.machine, &s.table, 6), 0);
	for (u32 key = 0; key < KEYS; key += 2)
		thing_add(&s, key);
	test_run_threads(t.machine, 4, table_thread, &s);
	for (u32 b = 0; b < 64; b++) {
		struct rhash_bucket *bucket = rhash_bucket(&s.table, b);

		rhash_for_each_entry_safe(thing, next, bucket, link)
		{
			even += thing->key % 2 == 0;
			rhash_delete_locked(bucket, &thing->link);
			kfree(thing);
		}
	}
	assert_int_equal(even, KEYS / 2);
	rhash_destroy(&s.table);
	test_machine_stop(&t);
}

static void talk(void *arg)
{
	struct shared *s = arg;
	unsigned role = __atomic_fetch_add(&s->role, 1, __ATOMIC_RELAXED);
	char buf[100];
	struct log_record record;
	struct trace_record event;
	u64 seq = 0;

	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		TRACE(talk, role, i, role ^ i);
		pr_info(s->machine, "%u says %u", role, i);
		machine_charge(s->machine, role + i);
		machine_charge(s->machine, -(long)(role + i));
		while (log_read(s->machine, &seq, buf, sizeof(buf), &record) >= 0)
			BUG_ON(!strstr(buf, " says "));
		if (trace_read(s->machine, trace_count(s->machine) - 1, &event) == 0)
			BUG_ON((event.args[0] ^ event.args[1]) != event.args[2]);
	}
}

static void test_log_trace_and_charge_by_many(void **state)
{
	struct shared s = {.writers = 0};
	struct test_machine t;
	struct log_record record;
	char buf[100];
	u64 seq = 0;

	s.machine = test_machine_start(&t, 2, 1);
	assert_int_equal(trace_start(s.machine, 16), 0);
	test_run_threads(t.machine, 4, talk, &s);
	trace_stop(s.machine);
	assert_int_equal(trace_count(s.machine), 4 * (ROUNDS / 10));
	while (log_read(s.machine, &seq, buf, sizeof(buf), &record) != -EAGAIN)
		;
	assert_int_equal(seq, 4 * (ROUNDS / 10));
	assert_int_equal(machine_charged(s.machine), 0);
	test_machine_stop(&t);
}

static void test_alloc_fails_as_told(void **state)
{
	struct test_machine t;
	unsigned failed = 0;
	void *p;

	test_machine_start(&t, 0, 1);
	alloc_fail_set(t.machine, ALLOC_FAIL_NTH, 2, 0);
	kfree(p = kmalloc(t.machine, 8));
	assert_non_null(p);
	assert_null(kzalloc(t.machine, 8));
	p = kstrdup(t.machine, "word");
	assert_string_equal(p, "word");
	assert_int_equal(alloc_fail_clear(t.machine), 3);
	alloc_fail_set(t.machine, ALLOC_FAIL_FROM, 1, 0);
	assert_null(krealloc(t.machine, p, 100));
	assert_string_equal(p, "word");
	assert_null(kasprintf(t.machine, "%d", 1));
	alloc_fail_set(t.machine, ALLOC_FAIL_RANDOM, 4, 7);
	kfree(p);
	for (unsigned i = 0; i < 1000; i++) {
		p = kmalloc(t.machine, 8);
		failed += !p;
		kfree(p);
	}
	assert_true(failed > 150 && failed < 350);
	assert_int_equal(alloc_fail_injected(t.machine), failed);
	alloc_fail_clear(t.machine);
	assert_non_null(p = kmalloc_aligned(t.machine, 100, 4096));
	assert_int_equal((uintptr_t)p % 4096, 0);
	kfree(p);
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rhash_readers_beside_writers),
		cmocka_unit_test(test_log_trace_and_charge_by_many),
		cmocka_unit_test(test_alloc_fails_as_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
