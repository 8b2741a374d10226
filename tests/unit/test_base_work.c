/* SPDX-License-Identifier: MIT */
/*
 * Work queues and timers, with threads and without: order, limits, flushing, cancelling, delays; and that a
 * machine with threads=0 repeats by its seed. Row P9.
 */
#include "base_machine.h"
#include "base/mutex.h"
#include "base/rwsem.h"

#define ITEMS 40

struct log {
	spinlock_t lock;
	unsigned n;
	unsigned order[4 * ITEMS];
	atomic_t active, most;
	struct mutex mutex;
	struct rw_semaphore rwsem;
};

struct numbered {
	struct work_struct work;
	struct log *log;
	unsigned number;
};

static void note(struct log *log, unsigned number)
{
	scoped_spin_lock(&log->lock);
	log->order[log->n++ % ARRAY_SIZE(log->order)] = number;
}

static void log_init(struct log *log)
{
	memset(log, 0, sizeof(*log));
	spin_lock_init(&log->lock);
	mutex_init(&log->mutex);
	init_rwsem(&log->rwsem);
}

static void sleepy(struct work_struct *work)
{
	struct numbered *n = container_of(work, struct numbered, work);
	int now = atomic_add_return(1, &n->log->active);

	if (now > atomic_read(&n->log->most))
		atomic_set(&n->log->most, now);
	note(n->log, n->number);
	if (n->number % 3 == 0)
		sleep_ns(20000);
	atomic_dec(&n->log->active);
}

static void check_ordered(unsigned threads)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, threads, 7);
	struct workqueue_struct *wq;
	struct numbered items[ITEMS];
	struct log log;

	log_init(&log);
	assert_int_equal(alloc_workqueue(machine, "ordered", 1, &wq), 0);
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = (struct numbered){.log = &log, .number = i};
		INIT_WORK(&items[i].work, sleepy);
		assert_true(queue_work(wq, &items[i].work));
	}
	flush_workqueue(wq);
	assert_int_equal(log.n, ITEMS);
	assert_int_equal(atomic_read(&log.most), 1);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_int_equal(log.order[i], i);
	destroy_workqueue(wq);
	test_machine_stop(&t);
}

static void test_base_work_ordered_queue_keeps_order(void **state)
{
	check_ordered(0);
	check_ordered(1);
	check_ordered(3);
}

/* One worker: an item that waits for another does not stand in its way. */
struct pair {
	struct work_struct first, second;
	struct completion done;
};

static void pair_second(struct work_struct *work)
{
	complete(&container_of(work, struct pair, second)->done);
}

static void pair_first(struct work_struct *work)
{
	struct pair *p = container_of(work, struct pair, first);

	queue_work(current->machine->system_wq, &p->second);
	wait_for_completion(&p->done);
}

static void check_pair(unsigned threads)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, threads, 1);
	struct pair p;

	init_completion(&p.done);
	INIT_WORK(&p.first, pair_first);
	INIT_WORK(&p.second, pair_second);
	queue_work(machine->system_wq, &p.first);
	assert_true(flush_work(&p.first));
	assert_false(work_busy(&p.first));
	flush_work(&p.second);
	test_machine_stop(&t);
}

static void test_base_work_sleeping_item_gives_its_place(void **state)
{
	check_pair(0);
	check_pair(1);
}

static void free_self(struct work_struct *work)
{
	struct numbered *n = container_of(work, struct numbered, work);

	note(n->log, n->number);
	kfree(n);
}

static void again(struct work_struct *work)
{
	struct numbered *n = container_of(work, struct numbered, work);

	note(n->log, n->number);
	if (--n->number)
		queue_work(current->machine->system_wq, work);
}

static void check_again_and_free(unsigned threads)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, threads, 1);
	struct numbered *n, repeat = {.number = 5};
	struct log log;

	log_init(&log);
	repeat.log = &log;
	INIT_WORK(&repeat.work, again);
	queue_work(machine->system_wq, &repeat.work);
	while (flush_work(&repeat.work))
		;
	assert_int_equal(log.n, 5);
	for (unsigned i = 0; i < ITEMS; i++) {
		n = kzalloc(machine, sizeof(*n));
		n->log = &log;
		INIT_WORK(&n->work, free_self);
		queue_work(machine->system_wq, &n->work);
	}
	flush_workqueue(machine->system_wq);
	assert_int_equal(log.n, 5 + ITEMS);
	test_machine_stop(&t);
}

static void test_base_work_may_requeue_and_free_itself(void **state)
{
	check_again_and_free(0);
	check_again_and_free(2);
}

struct delayed_numbered {
	struct delayed_work dwork;
	s64 ran_at;
	int runs;
};

static void note_time(struct work_struct *work)
{
	struct delayed_numbered *d = container_of(to_delayed_work(work), struct delayed_numbered, dwork);

	d->ran_at = ktime_get(current->machine);
	d->runs++;
}

static void check_delayed(unsigned threads)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, threads, 1);
	struct delayed_numbered d = {0};
	s64 start = ktime_get(machine);

	INIT_DELAYED_WORK(machine, &d.dwork, note_time);
	assert_true(queue_delayed_work(machine->system_wq, &d.dwork, 3600 * NSEC_PER_SEC));
	assert_false(queue_delayed_work(machine->system_wq, &d.dwork, 1));
	assert_true(delayed_work_pending(&d.dwork));
	assert_true(mod_delayed_work(machine->system_wq, &d.dwork, 2 * NSEC_PER_MSEC));
	sleep_ns(30 * NSEC_PER_MSEC);
	cancel_delayed_work_sync(&d.dwork);
	assert_int_equal(d.runs, 1);
	assert_true(d.ran_at >= start + 2 * NSEC_PER_MSEC);
	if (threads == 0)
		assert_int_equal(d.ran_at, start + 2 * NSEC_PER_MSEC);
	queue_delayed_work(machine->system_wq, &d.dwork, 3600 * NSEC_PER_SEC);
	assert_true(flush_delayed_work(&d.dwork));
	assert_int_equal(d.runs, 2);
	queue_delayed_work(machine->system_wq, &d.dwork, 3600 * NSEC_PER_SEC);
	assert_true(cancel_delayed_work_sync(&d.dwork));
	assert_int_equal(d.runs, 2);
	test_machine_stop(&t);
}

static void test_base_work_delayed_runs_on_time(void **state)
{
	check_delayed(0);
	check_delayed(2);
}

static void contend(struct work_struct *work)
{
	struct numbered *n = container_of(work, struct numbered, work);

	note(n->log, n->number);
	mutex_lock(&n->log->mutex);
	cond_resched();
	note(n->log, 100 + n->number);
	sleep_ns(1000 + n->number % 3);
	mutex_unlock(&n->log->mutex);
	if (n->number % 4) {
		down_read(&n->log->rwsem);
		cond_resched();
		up_read(&n->log->rwsem);
	} else {
		down_write(&n->log->rwsem);
		sleep_ns(10);
		up_write(&n->log->rwsem);
	}
	note(n->log, 200 + n->number);
}

static u64 run_by_seed(u64 seed, struct log *log)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, seed);
	struct numbered items[ITEMS];
	u64 trace;

	log_init(log);
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = (struct numbered){.log = log, .number = i};
		INIT_WORK(&items[i].work, contend);
		queue_work(machine->system_wq, &items[i].work);
	}
	flush_workqueue(machine->system_wq);
	assert_int_equal(log->n, 3 * ITEMS);
	trace = machine->fibers.trace;
	test_machine_stop(&t);
	return trace;
}

static void test_base_single_repeats_by_seed(void **state)
{
	struct log a, b, c;

	assert_true(run_by_seed(1, &a) == run_by_seed(1, &b));
	assert_memory_equal(a.order, b.order, sizeof(a.order));
	assert_false(run_by_seed(1, &b) == run_by_seed(2, &c));
	assert_memory_not_equal(a.order, c.order, sizeof(a.order));
}

struct heap_item {
	struct timer timer;
	struct log *log;
	unsigned number;
};

static void heap_fire(struct timer *timer)
{
	struct heap_item *item = container_of(timer, struct heap_item, timer);

	note(item->log, item->number);
}

static void test_base_timers_fire_in_order(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct heap_item items[ITEMS];
	struct log log;

	log_init(&log);
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = (struct heap_item){.log = &log, .number = i * 7 % ITEMS};
		timer_setup(machine, &items[i].timer, heap_fire);
		mod_timer(&items[i].timer, 5 * ITEMS - (s64)i);
	}
	/* Moved to its number; every fifth disarmed, then armed again. */
	for (unsigned i = 0; i < ITEMS; i++) {
		if (i % 5 == 0)
			assert_true(del_timer_sync(&items[i].timer));
		assert_int_equal(mod_timer(&items[i].timer, 10 + items[i].number), i % 5 != 0);
	}
	clock_advance(machine, 9);
	assert_int_equal(log.n, 0);
	clock_advance(machine, ITEMS);
	assert_int_equal(log.n, ITEMS);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_int_equal(log.order[i], i);
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_work_ordered_queue_keeps_order),
		cmocka_unit_test(test_base_work_sleeping_item_gives_its_place),
		cmocka_unit_test(test_base_work_may_requeue_and_free_itself),
		cmocka_unit_test(test_base_work_delayed_runs_on_time),
		cmocka_unit_test(test_base_single_repeats_by_seed),
		cmocka_unit_test(test_base_timers_fire_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
