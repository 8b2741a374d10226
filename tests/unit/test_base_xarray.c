/* SPDX-License-Identifier: MIT */
/*
 * The XArray against a model (a plain array), its failures of memory, and its readers beside a writer. Proves
 * the lock-free index that P2 stands on.
 */
#include "base_machine.h"
#include "base/xarray.h"

/*
 * The model: for each index of [0, MODEL) what entry covers it. The array itself is tried at `base` + index,
 * so that tall trees are met too.
 */
#define MODEL 8192u

struct model_entry {
	void *entry;
	unsigned first, order;
	bool marks[XA_MAX_MARKS];
};

struct model {
	struct xarray xa;
	unsigned long base;
	u64 rng;
	u64 serial;
	struct model_entry at[MODEL];
};

static unsigned below(struct model *m, unsigned n)
{
	return (unsigned)(splitmix64(&m->rng) % n);
}

static void model_erase(struct model *m, unsigned index)
{
	struct model_entry e = m->at[index];

	if (e.entry)
		memset(&m->at[e.first], 0, sizeof(e) << e.order);
}

/* As base/xarray.h says: larger entries go in whole, marks of what lies inside are kept. */
static void model_store(struct model *m, unsigned index, unsigned order, void *entry)
{
	unsigned first = index >> order << order;
	struct model_entry e = {.entry = entry, .first = first, .order = order};

	if (m->at[first].entry && m->at[first].order > order)
		model_erase(m, first);
	for (unsigned i = first; i < first + (1u << order); i++)
		for (unsigned k = 0; k < XA_MAX_MARKS; k++)
			e.marks[k] |= m->at[i].entry && m->at[i].marks[k];
	for (unsigned i = first; i < first + (1u << order); i++)
		model_erase(m, i);
	for (unsigned i = first; i < first + (1u << order); i++)
		m->at[i] = e;
}

static void check_index(struct model *m, unsigned i)
{
	struct model_entry *e = &m->at[i];
	unsigned long index = m->base + i;

	assert_ptr_equal(xa_load(&m->xa, index), e->entry);
	if (e->entry)
		assert_int_equal(xa_get_order(&m->xa, index), e->order);
	for (unsigned k = 0; k < XA_MAX_MARKS; k++)
		assert_int_equal(xa_get_mark(&m->xa, index, k), e->marks[k]);
}

static void check_iteration(struct model *m, unsigned from, xa_mark_t filter)
{
	unsigned long index = m->base + from;
	void *entry = xa_find(&m->xa, &index, m->base + MODEL - 1, filter);

	for (unsigned i = from; i < MODEL;) {
		struct model_entry *e = &m->at[i];

		if (!e->entry || (filter != XA_PRESENT && !e->marks[filter])) {
			i++;
			continue;
		}
		assert_ptr_equal(entry, e->entry);
		assert_int_equal(index, m->base + max(e->first, from));
		i = e->first + (1u << e->order);
		entry = xa_find_after(&m->xa, &index, m->base + MODEL - 1, filter);
	}
	assert_null(entry);
}

static void check_all(struct model *m)
{
	bool any[XA_MAX_MARKS] = {false};
	bool empty = true;
	unsigned seen = 0;
	unsigned next = 0;
	void *entry;
	XA_STATE(xas, &m->xa, m->base);

	for (unsigned i = 0; i < MODEL; i++) {
		check_index(m, i);
		empty &= !m->at[i].entry;
		for (unsigned k = 0; k < XA_MAX_MARKS; k++)
			any[k] |= m->at[i].marks[k];
	}
	assert_int_equal(xa_empty(&m->xa), empty);
	if (empty)
		assert_int_equal(machine_charged(m->xa.xa_machine), 0);
	for (unsigned k = 0; k < XA_MAX_MARKS; k++) {
		assert_int_equal(xa_marked(&m->xa, k), any[k]);
		check_iteration(m, below(m, MODEL), k);
	}
	check_iteration(m, 0, XA_PRESENT);
	check_iteration(m, below(m, MODEL), XA_PRESENT);
	rcu_read_lock();
	xas_for_each(&xas, entry, m->base + MODEL - 1)
	{
		while (!m->at[next].entry)
			next++;
		assert_ptr_equal(entry, m->at[next].entry);
		assert_int_equal(xas.xa_index, m->base + next);
		next += 1u << m->at[next].order;
		if (++seen % 3 == 0)
			xas_pause(&xas);
	}
	rcu_read_unlock();
	while (next < MODEL)
		assert_null(m->at[next++].entry);
}

static void one_store(struct model *m, unsigned index, unsigned order, void *entry)
{
	XA_STATE_ORDER(xas, &m->xa, m->base + index, order);
	void *old = m->at[xas.xa_index - m->base].entry;
	bool conflict = false;
	unsigned conflicts = 0;
	void *found;

	for (unsigned i = 0; i < 1u << order; i++)
		conflict |= m->at[xas.xa_index - m->base + i].entry != NULL;
	xas_lock(&xas);
	xas_for_each_conflict(&xas, found)
	{
		conflicts++;
		assert_true(conflicts <= 1u << order);
	}
	assert_int_equal(conflicts != 0, conflict);
	assert_ptr_equal(xas_store(&xas, entry), old);
	assert_int_equal(xas_error(&xas), 0);
	assert_ptr_equal(xas_reload(&xas), entry);
	assert_int_equal(xas_get_order(&xas), order);
	xas_unlock(&xas);
	model_store(m, index, order, entry);
}

static void one_step(struct model *m, unsigned max_order)
{
	unsigned index = below(m, 4) ? below(m, MODEL) : below(m, 64);
	unsigned order = below(m, 3) ? below(m, max_order + 1) : 0;
	xa_mark_t mark = below(m, XA_MAX_MARKS);
	void *entry = xa_mk_value(++m->serial);

	switch (below(m, 10)) {
	case 0 ... 3:
		one_store(m, index, order, entry);
		break;
	case 4 ... 5:
		assert_ptr_equal(xa_erase(&m->xa, m->base + index), m->at[index].entry);
		model_erase(m, index);
		break;
	case 6 ... 7:
		xa_set_mark(&m->xa, m->base + index, mark);
		for (unsigned i = 0; m->at[index].entry && i < 1u << m->at[index].order; i++)
			if (m->at[index].first + i != index)
				m->at[m->at[index].first + i].marks[mark] = true;
		m->at[index].marks[mark] = m->at[index].entry != NULL;
		break;
	case 8:
		xa_clear_mark(&m->xa, m->base + index, mark);
		for (unsigned i = 0; m->at[index].entry && i < 1u << m->at[index].order; i++)
			m->at[m->at[index].first + i].marks[mark] = false;
		break;
	default: {
		int expect = m->at[index].entry ? -EBUSY : 0;

		assert_int_equal(xa_insert(&m->xa, m->base + index, entry), expect);
		if (!expect)
			model_store(m, index, 0, entry);
	}
	}
	check_index(m, index);
}

static void run_model(unsigned long base, unsigned max_order, u64 seed, unsigned steps)
{
	struct test_machine t;
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->base = base;
	m->rng = seed;
	xa_init(&m->xa, test_machine_start(&t, 0, seed));
	for (unsigned i = 0; i < steps; i++) {
		one_step(m, max_order);
		if (i % 97 == 0)
			check_all(m);
	}
	check_all(m);
	/* By hand to nothing: no node may remain. */
	for (unsigned i = 0; i < MODEL; i++) {
		xa_erase(&m->xa, base + i);
		model_erase(m, i);
	}
	check_all(m);
	xa_destroy(&m->xa);
	free(m);
	test_machine_stop(&t);
}

static void test_xarray_single_indices_follow_the_model(void **state)
{
	run_model(0, 0, 1, 3000);
	run_model(0x123456780000, 0, 2, 3000);
}

static void test_xarray_all_orders_follow_the_model(void **state)
{
	for (unsigned order = 1; order <= 11; order++)
		run_model(0, order, 100 + order, 800);
	run_model(0x7fffffff0000, 11, 3, 3000);
	run_model(~0UL - MODEL + 1, 11, 4, 3000);
}

static void test_xarray_small_arrays_need_no_node(void **state)
{
	struct test_machine t;
	struct xarray xa;
	int object __aligned_to(8);

	xa_init(&xa, test_machine_start(&t, 0, 1));
	assert_null(xa_store(&xa, 0, &object));
	assert_int_equal(machine_charged(t.machine), 0);
	xa_set_mark(&xa, 0, XA_MARK_1);
	assert_null(xa_store(&xa, 1000, &object));
	assert_true(machine_charged(t.machine) > 0);
	assert_true(xa_get_mark(&xa, 0, XA_MARK_1));
	assert_ptr_equal(xa_erase(&xa, 1000), &object);
	assert_int_equal(machine_charged(t.machine), 0);
	assert_true(xa_get_mark(&xa, 0, XA_MARK_1));
	assert_ptr_equal(xa_load(&xa, 0), &object);
	xa_destroy(&xa);
	test_machine_stop(&t);
}

static void test_xarray_steps_over_neighbours(void **state)
{
	struct test_machine t;
	struct xarray xa;
	unsigned long index;

	xa_init(&xa, test_machine_start(&t, 0, 1));
	for (index = 60; index < 70; index++)
		assert_null(xa_store(&xa, index, xa_mk_value(index)));
	assert_int_equal(xa_insert_order(&xa, 72, 3, xa_mk_value(72)), 0);
	assert_int_equal(xa_insert_order(&xa, 79, 0, xa_mk_value(79)), -EBUSY);
	XA_STATE(xas, &xa, 60);

	rcu_read_lock();
	for (index = 60; index < 70; index++)
		assert_ptr_equal(xas_next(&xas), xa_mk_value(index));
	assert_null(xas_next(&xas));
	assert_null(xas_next(&xas));
	assert_ptr_equal(xas_next(&xas), xa_mk_value(72));
	assert_int_equal(xas_get_order(&xas), 3);
	xas_advance(&xas, 79);
	assert_null(xas_next(&xas));
	assert_int_equal(xas.xa_index, 80);
	assert_ptr_equal(xas_prev(&xas), xa_mk_value(72));
	xas_set(&xas, 69);
	for (index = 69; index >= 60; index--)
		assert_ptr_equal(xas_prev(&xas), xa_mk_value(index));
	assert_null(xas_prev(&xas));
	rcu_read_unlock();
	xa_destroy(&xa);
	test_machine_stop(&t);
}

static void test_xarray_alloc_and_cmpxchg(void **state)
{
	struct test_machine t;
	struct xarray xa;
	unsigned long index;

	xa_init(&xa, test_machine_start(&t, 0, 1));
	for (unsigned i = 5; i < 10; i++) {
		assert_int_equal(xa_alloc(&xa, &index, xa_mk_value(i), 5, 9), 0);
		assert_int_equal(index, i);
	}
	assert_int_equal(xa_alloc(&xa, &index, xa_mk_value(1), 5, 9), -EBUSY);
	xa_erase(&xa, 7);
	assert_int_equal(xa_alloc(&xa, &index, xa_mk_value(1), 5, 9), 0);
	assert_int_equal(index, 7);
	assert_ptr_equal(xa_cmpxchg(&xa, 8, xa_mk_value(1), NULL), xa_mk_value(8));
	assert_ptr_equal(xa_cmpxchg(&xa, 8, xa_mk_value(8), NULL), xa_mk_value(8));
	assert_null(xa_load(&xa, 8));
	xa_destroy(&xa);
	test_machine_stop(&t);
}

/* Each allocation of a store fails in turn: nothing has changed, nothing leaks, and then it works. */
static void fail_store(struct test_machine *t, struct xarray *xa, unsigned long index, unsigned order)
{
	for (u64 nth = 1;; nth++) {
		XA_STATE_ORDER(xas, xa, index, order);
		long before = machine_charged(t->machine);
		void *old = xa_load(xa, xas.xa_index);
		u64 injected;

		alloc_fail_set(t->machine, ALLOC_FAIL_NTH, nth, 0);
		xas_lock(&xas);
		xas_store(&xas, xa_mk_value(index + 1));
		xas_unlock(&xas);
		injected = alloc_fail_injected(t->machine);
		alloc_fail_clear(t->machine);
		if (!injected) {
			assert_int_equal(xas_error(&xas), 0);
			return;
		}
		assert_int_equal(xas_error(&xas), -ENOMEM);
		assert_ptr_equal(xa_load(xa, xas.xa_index), old);
		assert_int_equal(machine_charged(t->machine), before);
	}
}

static void test_xarray_failed_stores_change_nothing(void **state)
{
	static const struct {
		unsigned long index;
		unsigned order;
	} stores[] = {{1, 0},  {0, 0},     {1000, 0},      {1UL << 40, 0},  {1UL << 20, 9},
		      {0, 11}, {5, 0},     {1UL << 63, 3}, {~0UL, 0},       {64, 6},
		      {70, 0}, {4096, 12}, {4100, 0},      {1UL << 30, 18}, {1UL << 30, 0}};
	struct test_machine t;
	struct xarray xa;

	test_machine_start(&t, 0, 1);
	for (unsigned first = 0; first < ARRAY_SIZE(stores); first++) {
		xa_init(&xa, t.machine);
		for (unsigned i = 0; i < ARRAY_SIZE(stores); i++) {
			unsigned n = (first + i) % ARRAY_SIZE(stores);

			fail_store(&t, &xa, stores[n].index, stores[n].order);
		}
		xa_destroy(&xa);
	}
	test_machine_stop(&t);
}

static void test_xarray_create_range_makes_stores_sure(void **state)
{
	struct test_machine t;
	struct xarray xa;

	xa_init(&xa, test_machine_start(&t, 0, 1));
	xa_store(&xa, 3, xa_mk_value(3));
	for (u64 nth = 1;; nth++) {
		XA_STATE_ORDER(xas, &xa, 512, 9);
		long before = machine_charged(t.machine);
		bool failed;

		alloc_fail_set(t.machine, ALLOC_FAIL_NTH, nth, 0);
		xas_lock(&xas);
		xas_create_range(&xas);
		xas_unlock(&xas);
		failed = alloc_fail_injected(t.machine) != 0;
		alloc_fail_clear(t.machine);
		assert_int_equal(xas_error(&xas), failed ? -ENOMEM : 0);
		if (!failed)
			break;
		assert_int_equal(machine_charged(t.machine), before);
	}
	alloc_fail_set(t.machine, ALLOC_FAIL_FROM, 1, 0);
	for (unsigned long index = 512; index < 1024; index++)
		assert_null(xa_store(&xa, index, xa_mk_value(index)));
	assert_int_equal(alloc_fail_clear(t.machine), 0);
	for (unsigned long index = 512; index < 1024; index++)
		assert_ptr_equal(xa_erase(&xa, index), xa_mk_value(index));
	assert_ptr_equal(xa_load(&xa, 3), xa_mk_value(3));
	xa_destroy(&xa);
	test_machine_stop(&t);
}

/*
 * Readers beside a writer. Indices that are multiples of 16 below 4096 always have their entry; the rest
 * comes and goes, and so do far indices, which make the tree grow and shrink, and large entries elsewhere.
 */
#define RACE_RANGE 4096ul
#define RACE_OTHER 8192ul

struct race {
	struct xarray xa;
	unsigned role;
	bool stop;
	unsigned rounds;
};

static void race_write(struct race *r)
{
	u64 rng = 7;

	for (unsigned i = 0; i < r->rounds; i++) {
		u64 x = splitmix64(&rng);
		unsigned long index = x % RACE_RANGE;
		XA_STATE_ORDER(large, &r->xa, RACE_OTHER + (x >> 20) % 4096, (x >> 40) % 10);

		if (index % 16)
			xa_store(&r->xa, index, x >> 63 ? xa_mk_value(index) : NULL);
		xas_lock(&large);
		xas_store(&large, xa_mk_value(large.xa_index));
		if (x >> 62 & 1)
			xas_store(&large, NULL);
		if (i % 64 == 0)
			__xa_store(&r->xa, 1UL << 50, xa_mk_value(1));
		if (i % 64 == 32)
			__xa_store(&r->xa, 1UL << 50, NULL);
		xas_unlock(&large);
		xa_set_mark(&r->xa, index, XA_MARK_0);
		xa_clear_mark(&r->xa, x >> 30 & 4095, XA_MARK_0);
	}
	WRITE_ONCE(r->stop, true);
}

static void race_read(struct race *r, u64 rng)
{
	while (!READ_ONCE(r->stop)) {
		unsigned long index = splitmix64(&rng) % RACE_RANGE;
		void *entry = xa_load(&r->xa, index);
		unsigned long next = 0;

		BUG_ON(entry && entry != xa_mk_value(index));
		BUG_ON(!entry && index % 16 == 0);
		entry = xa_load(&r->xa, RACE_OTHER + index);
		BUG_ON(entry && (xa_to_value(entry) < RACE_OTHER || !xa_is_value(entry)));
		XA_STATE(xas, &r->xa, 0);
		rcu_read_lock();
		xas_for_each(&xas, entry, RACE_RANGE - 1)
		{
			BUG_ON(entry != xa_mk_value(xas.xa_index));
			BUG_ON(xas.xa_index > next);
			if (xas.xa_index == next)
				next += 16;
			BUG_ON(xas_reload(&xas) != entry && xas.xa_index % 16 == 0 &&
			       !xa_is_retry(xas_reload(&xas)) && !xas_retry(&xas, XA_RETRY_ENTRY));
		}
		BUG_ON(next != RACE_RANGE);
		xas_set(&xas, 0);
		xas_for_each_marked(&xas, entry, RACE_RANGE - 1, XA_MARK_0)
			BUG_ON(entry != xa_mk_value(xas.xa_index));
		rcu_read_unlock();
	}
}

static void race_thread(void *arg)
{
	struct race *r = arg;
	unsigned role = __atomic_fetch_add(&r->role, 1, __ATOMIC_RELAXED);

	if (role == 0)
		race_write(r);
	else
		race_read(r, role);
}

static void test_xarray_readers_beside_a_writer(void **state)
{
	struct race r = {.rounds = SHALE_TSAN ? 20000 : 60000};
	struct test_machine t;

	xa_init(&r.xa, test_machine_start(&t, 2, 1));
	for (unsigned long index = 0; index < RACE_RANGE; index += 16)
		assert_null(xa_store(&r.xa, index, xa_mk_value(index)));
	test_run_threads(t.machine, 3, race_thread, &r);
	for (unsigned long index = 0; index < RACE_RANGE; index += 16)
		assert_ptr_equal(xa_load(&r.xa, index), xa_mk_value(index));
	xa_destroy(&r.xa);
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xarray_single_indices_follow_the_model),
		cmocka_unit_test(test_xarray_all_orders_follow_the_model),
		cmocka_unit_test(test_xarray_small_arrays_need_no_node),
		cmocka_unit_test(test_xarray_steps_over_neighbours),
		cmocka_unit_test(test_xarray_alloc_and_cmpxchg),
		cmocka_unit_test(test_xarray_failed_stores_change_nothing),
		cmocka_unit_test(test_xarray_create_range_makes_stores_sure),
		cmocka_unit_test(test_xarray_readers_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
