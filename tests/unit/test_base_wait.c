/* SPDX-License-Identifier: MIT */
/*
 * Waiting: no wake-up is lost, a completion may vanish when its waiter returns, bits are waited for one by
 * one, time limits hold, the plug is flushed before a sleep, and whoever waits for I/O reaps. Rows P9 and B4.
 */
#include <unistd.h>
#include "base_machine.h"
#include "base/counter.h"
#include "base/errseq.h"

#define ROUNDS 2000

struct queue_test {
	wait_queue_head_t wq;
	spinlock_t lock;
	int tokens, taken; /* guarded by lock */
	unsigned long word;
	unsigned long guarded; /* by bit 3 of word */
	atomic_t side;
};

static bool take_token(struct queue_test *q)
{
	scoped_spin_lock(&q->lock);
	if (q->tokens == 0)
		return false;
	q->tokens--;
	q->taken++;
	return true;
}

static void give_and_take(void *arg)
{
	struct queue_test *q = arg;
	bool giver = atomic_add_return(1, &q->side) % 2;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!giver) {
			wait_event_exclusive(q->wq, take_token(q));
			continue;
		}
		spin_lock(&q->lock);
		q->tokens++;
		spin_unlock(&q->lock);
		wake_up(&q->wq);
	}
}

static void queue_test_init(struct queue_test *q)
{
	memset(q, 0, sizeof(*q));
	init_waitqueue_head(&q->wq);
	spin_lock_init(&q->lock);
}

static void test_base_wait_loses_no_wake_up(void **state)
{
	struct test_machine t;
	struct queue_test q;

	queue_test_init(&q);
	test_run_threads(test_machine_start(&t, 2, 1), 4, give_and_take, &q);
	assert_int_equal(q.taken, 2 * ROUNDS);
	assert_int_equal(q.tokens, 0);
	assert_false(waitqueue_active(&q.wq));
	test_machine_stop(&t);
}

static void bit_locker(void *arg)
{
	struct queue_test *q = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		wait_on_bit_lock(&q->word, 3);
		q->guarded++;
		if (i % 64 == 0)
			sleep_ns(1000);
		clear_and_wake_up_bit(&q->word, 3);
		wait_on_bit(&q->word, 3);
	}
}

static void test_base_wait_on_bit_is_a_lock(void **state)
{
	struct test_machine t;
	struct queue_test q;

	queue_test_init(&q);
	q.word = 1ul << 5;
	test_run_threads(test_machine_start(&t, 2, 1), 4, bit_locker, &q);
	assert_int_equal(q.guarded, 4 * ROUNDS);
	assert_int_equal(q.word, 1ul << 5);
	test_machine_stop(&t);
}

/* Each round has a completion on this stack, done by a work item. */
struct stack_work {
	struct work_struct work;
	struct completion done;
};

static void complete_work(struct work_struct *work)
{
	complete(&container_of(work, struct stack_work, work)->done);
}

static void completion_user(void *arg)
{
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		struct stack_work s;

		init_completion(&s.done);
		INIT_WORK(&s.work, complete_work);
		queue_work(current->machine->system_wq, &s.work);
		wait_for_completion(&s.done);
		memset(&s, 0xff, sizeof(s));
	}
}

static void test_base_completion_may_vanish_after_the_wait(void **state)
{
	struct test_machine t;
	struct completion c;

	test_run_threads(test_machine_start(&t, 2, 1), 3, completion_user, NULL);
	init_completion(&c);
	assert_false(try_wait_for_completion(&c));
	complete(&c);
	assert_true(completion_done(&c));
	assert_true(try_wait_for_completion(&c));
	assert_false(completion_done(&c));
	complete_all(&c);
	wait_for_completion(&c);
	wait_for_completion(&c);
	reinit_completion(&c);
	assert_false(completion_done(&c));
	test_machine_stop(&t);
}

static void check_timeout(unsigned threads)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, threads, 1);
	wait_queue_head_t wq;
	s64 start = ktime_get(machine), took;

	init_waitqueue_head(&wq);
	assert_int_equal(wait_event_timeout(wq, false, 3 * NSEC_PER_MSEC), 0);
	took = ktime_get(machine) - start;
	assert_true(took >= 3 * NSEC_PER_MSEC);
	if (threads == 0)
		assert_int_equal(took, 3 * NSEC_PER_MSEC);
	assert_true(wait_event_timeout(wq, true, 3 * NSEC_PER_MSEC) > 0);
	sleep_ns(5);
	if (threads == 0)
		assert_int_equal(ktime_get_real(machine), 1000 * NSEC_PER_SEC + 3 * NSEC_PER_MSEC + 5);
	test_machine_stop(&t);
}

static void test_base_wait_timeout_holds(void **state)
{
	check_timeout(2);
	check_timeout(0);
}

static unsigned flushes;

static void count_flush(struct blk_plug *plug, bool from_schedule)
{
	assert_true(from_schedule);
	flushes++;
}

static void test_base_wait_flushes_the_plug(void **state)
{
	struct test_machine t;

	test_machine_start(&t, 0, 1);
	flushes = 0;
	current->plug = (struct blk_plug *)&t;
	current->plug_flush = count_flush;
	sleep_ns(1);
	current->plug = NULL;
	assert_int_equal(flushes, 1);
	test_machine_stop(&t);
}

/*
 * A device for the poller: a thread of the host takes submitted requests and finishes them; reap hands the
 * finished ones out.
 */
struct request {
	struct request *next;
	struct completion done;
	bool heap;
};

struct fake_device {
	struct io_poller poller;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct request *submitted, *finished;
	bool kicked, stop;
	unsigned reaps, ended;
	pthread_t thread;
};

static void *device_main(void *arg)
{
	struct fake_device *d = arg;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		struct request *rq = d->submitted;

		if (!rq) {
			pthread_cond_wait(&d->cond, &d->lock);
			continue;
		}
		d->submitted = rq->next;
		rq->next = d->finished;
		d->finished = rq;
		pthread_cond_broadcast(&d->cond);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static int device_reap(struct io_poller *poller, bool may_block)
{
	struct fake_device *d = container_of(poller, struct fake_device, poller);
	struct request *rq;
	int n = 0;

	pthread_mutex_lock(&d->lock);
	d->reaps++;
	while (may_block && !d->finished && !d->kicked)
		pthread_cond_wait(&d->cond, &d->lock);
	d->kicked = false;
	rq = d->finished;
	d->finished = NULL;
	pthread_mutex_unlock(&d->lock);
	for (; rq; n++) {
		struct request *next = rq->next;

		if (rq->heap)
			free(rq);
		else
			complete(&rq->done);
		d->ended++;
		io_poller_inflight_dec(poller);
		rq = next;
	}
	return n;
}

static void device_kick(struct io_poller *poller)
{
	struct fake_device *d = container_of(poller, struct fake_device, poller);

	pthread_mutex_lock(&d->lock);
	d->kicked = true;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

static void device_submit(struct fake_device *d, struct request *rq)
{
	io_poller_inflight_inc(&d->poller);
	pthread_mutex_lock(&d->lock);
	rq->next = d->submitted;
	d->submitted = rq;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

static void device_start(struct fake_device *d, struct shale *machine)
{
	memset(d, 0, sizeof(*d));
	d->poller.reap = device_reap;
	d->poller.kick = device_kick;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->cond, NULL);
	assert_int_equal(io_poller_register(machine, &d->poller), 0);
	assert_int_equal(io_poller_register(machine, &d->poller), -EBUSY);
	pthread_create(&d->thread, NULL, device_main, d);
}

static void device_stop(struct fake_device *d)
{
	io_poller_unregister(&d->poller);
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
}

static void io_user(void *arg)
{
	struct fake_device *d = arg;

	for (unsigned i = 0; i < ROUNDS / 2; i++) {
		struct request rq = {0};

		init_completion(&rq.done);
		device_submit(d, &rq);
		wait_for_completion_io(&rq.done);
		memset(&rq, 0xff, sizeof(rq));
	}
}

static void test_base_io_waiters_reap_for_each_other(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 2, 1);
	struct fake_device d;

	device_start(&d, machine);
	test_run_threads(machine, 4, io_user, &d);
	assert_int_equal(d.ended, 4 * ROUNDS / 2);
	assert_int_equal(atomic_read(&d.poller.inflight), 0);
	device_stop(&d);
	test_machine_stop(&t);
}

static void io_leaver(void *arg)
{
	struct fake_device *d = arg;
	struct current_saved saved;

	for (unsigned i = 0; i < ROUNDS / 2; i++) {
		struct request *rq = calloc(1, sizeof(*rq));
		struct shale *machine = current->machine;

		rq->heap = true;
		/* Out and in again, as calls come and go. */
		device_submit(d, rq);
		current_enter(machine, NULL, &saved);
		current_leave(&saved);
	}
	io_user(arg);
}

static void test_base_io_left_behind_is_reaped(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 2, 1);
	struct request *rq = calloc(1, sizeof(*rq));
	struct fake_device d;

	device_start(&d, machine);
	test_run_threads(machine, 3, io_leaver, &d);
	rq->heap = true;
	device_submit(&d, rq);
	current_leave(&t.saved);
	for (unsigned i = 0; i < 10000 && atomic_read(&d.poller.inflight); i++)
		usleep(1000);
	assert_int_equal(atomic_read(&d.poller.inflight), 0);
	current_enter(machine, NULL, &t.saved);
	device_stop(&d);
	assert_int_equal(d.ended, 3 * ROUNDS + 1);
	test_machine_stop(&t);
}

/* One waits in reap while another thread, not the device, makes its condition true. */
struct kick_test {
	struct fake_device device;
	wait_queue_head_t wq;
	int flag;
	atomic_t side;
};

static void kick_user(void *arg)
{
	struct kick_test *k = arg;

	if (atomic_add_return(1, &k->side) == 1) {
		io_wait_event(k->wq, READ_ONCE(k->flag) == 1);
	} else {
		sleep_ns(20 * NSEC_PER_MSEC);
		WRITE_ONCE(k->flag, 1);
		wake_up(&k->wq);
	}
}

static void test_base_io_waiter_in_reap_is_kicked(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 2, 1);
	struct kick_test k = {0};

	device_start(&k.device, machine);
	init_waitqueue_head(&k.wq);
	/* Something that the device will never finish is in flight, so the waiter blocks in reap. */
	io_poller_inflight_inc(&k.device.poller);
	current->io_submitted = false;
	test_run_threads(machine, 2, kick_user, &k);
	assert_int_equal(k.flag, 1);
	assert_int_equal(k.device.ended, 0);
	/* Its leaving woke the completion thread, which blocks in reap now. */
	io_poller_inflight_dec(&k.device.poller);
	device_kick(&k.device.poller);
	device_stop(&k.device);
	test_machine_stop(&t);
}

static void counter_user(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		sharded_counter_inc(arg);
		sharded_counter_add(arg, 2);
		sharded_counter_dec(arg);
	}
}

static void test_base_counter_sums(void **state)
{
	struct test_machine t;
	struct sharded_counter c;

	sharded_counter_init(&c, 7);
	test_run_threads(test_machine_start(&t, 2, 1), 4, counter_user, &c);
	assert_int_equal(sharded_counter_sum(&c), 7 + 4 * ROUNDS * 2);
	assert_int_equal(sharded_counter_compare(&c, 7), 1);
	sharded_counter_add(&c, -100000);
	assert_int_equal(sharded_counter_sum_positive(&c), 0);
	test_machine_stop(&t);
}

static void test_base_errseq_tells_each_watcher_once(void **state)
{
	errseq_t e = 0, a, b, c;

	a = errseq_sample(&e);
	assert_int_equal(errseq_check_and_advance(&e, &a), 0);
	errseq_set(&e, -EIO);
	/* Came after the error, which nobody has seen: it is told too. */
	b = errseq_sample(&e);
	assert_int_equal(errseq_check(&e, a), -EIO);
	assert_int_equal(errseq_check_and_advance(&e, &a), -EIO);
	assert_int_equal(errseq_check_and_advance(&e, &a), 0);
	assert_int_equal(errseq_check_and_advance(&e, &b), -EIO);
	c = errseq_sample(&e);
	assert_int_equal(errseq_check_and_advance(&e, &c), 0);
	/* The same error again is a new one. */
	errseq_set(&e, -EIO);
	assert_int_equal(errseq_check_and_advance(&e, &c), -EIO);
	errseq_set(&e, -ENOSPC);
	assert_int_equal(errseq_check_and_advance(&e, &b), -ENOSPC);
	assert_int_equal(errseq_check_and_advance(&e, &b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base_wait_loses_no_wake_up),
		cmocka_unit_test(test_base_wait_on_bit_is_a_lock),
		cmocka_unit_test(test_base_completion_may_vanish_after_the_wait),
		cmocka_unit_test(test_base_wait_timeout_holds),
		cmocka_unit_test(test_base_wait_flushes_the_plug),
		cmocka_unit_test(test_base_io_waiters_reap_for_each_other),
		cmocka_unit_test(test_base_io_left_behind_is_reaped),
		cmocka_unit_test(test_base_io_waiter_in_reap_is_kicked),
		cmocka_unit_test(test_base_counter_sums),
		cmocka_unit_test(test_base_errseq_tells_each_watcher_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
