/* SPDX-License-Identifier: MIT */
/*
 * Several threads submit to one disk, with and without plugs, waiting and not, while it is frozen, its
 * scheduler changed and its text read: for the thread sanitizer. Rows B3, B4, B8.
 */
#include "block_mem.h"

#define THREADS 4
#define ROUNDS  400

struct shared {
	struct memdisk *mem;
	atomic_t next, stop;
};

static struct block_device *dev_of(struct memdisk *mem)
{
	return disk_part0(mem->disk);
}

/* Each thread has sectors of its own; what it writes it must read again. */
static void submit_rounds(struct shared *s)
{
	unsigned me = (unsigned)atomic_fetch_add(1, &s->next);
	sector_t base = me * 256;
	char *data = malloc(SZ_16K), *back = malloc(SZ_16K);

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct bio_result r = {};
		struct blk_plug plug;
		bool plugged = round & 1;

		memset(data, (int)(me * 16 + round), SZ_16K);
		if (plugged)
			blk_start_plug_nr_ios(&plug, 4);
		for (unsigned i = 0; i < 4; i++)
			send_bio(dev_of(s->mem),
				 REQ_OP_WRITE | (round % 16 == 0 ? REQ_PREFLUSH | REQ_FUA : 0), base + i * 8,
				 data + i * 4096, 8, &r);
		if (plugged)
			blk_finish_plug(&plug);
		while (atomic_read_acquire(&r.done) < 4)
			sleep_ns(20000);
		assert_int_equal(r.status, 0);
		assert_int_equal(do_bio(dev_of(s->mem), REQ_OP_READ, base, back, 32), 0);
		assert_memory_equal(data, back, SZ_16K);
	}
	free(data);
	free(back);
}

static void threads_submit(void *arg)
{
	submit_rounds(arg);
}

static void run(struct mem_params p, bool by_work, unsigned most)
{
	struct test_machine t;
	struct shared s = {.mem = mem_new(block_test_start(&t, 2, 1), &p)};

	s.mem->by_work = by_work;
	s.mem->most = most;
	test_run_threads(t.machine, THREADS, threads_submit, &s);
	mem_free(s.mem);
	block_test_stop(&t);
}

static void direct(void **state)
{
	run((struct mem_params){.limits = {.write_cache = true}, .hw_queues = 2}, false, 0);
}

static void few_tags(void **state)
{
	run((struct mem_params){.limits = {.write_cache = true}, .depth = 2}, true, 0);
}

static void busy_driver(void **state)
{
	run((struct mem_params){.limits = {.write_cache = true, .fua = true}, .depth = 8}, true, 3);
}

static void one_disturbs(void *arg)
{
	struct shared *s = arg;
	struct block_device *dev = dev_of(s->mem);
	struct seq_file m;

	if (atomic_read(&s->next) < THREADS && !atomic_cmpxchg(&s->stop, 0, 1)) {
		for (unsigned i = 0; i < 40; i++) {
			disk_freeze_queue(dev);
			disk_unfreeze_queue(dev);
			assert_int_equal(disk_set_scheduler(dev, i & 1 ? "none" : "fifo"), 0);
			seq_text_init(&m, s->mem->machine);
			diskstats_show(s->mem->machine, &m);
			seq_text_free(&m);
			sleep_ns(100000);
		}
		assert_int_equal(disk_set_scheduler(dev, "none"), 0);
		return;
	}
	submit_rounds(s);
}

struct fifo {
	spinlock_t lock;
	struct list_head list;
};
static int fifo_init(struct request_queue *q, struct elevator_queue *eq)
{
	struct fifo *f = kzalloc(q->machine, sizeof(*f));

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->list);
	eq->data = f;
	return 0;
}
static void fifo_exit(struct elevator_queue *eq)
{
	assert_true(list_empty(&((struct fifo *)eq->data)->list));
	kfree(eq->data);
}
static void fifo_insert(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head)
{
	struct fifo *f = elevator_data(hctx_elevator(hctx));

	spin_lock(&f->lock);
	list_splice_tail_init(list, &f->list);
	spin_unlock(&f->lock);
}
static struct request *fifo_dispatch(struct blk_mq_hw_ctx *hctx)
{
	struct fifo *f = elevator_data(hctx_elevator(hctx));
	struct request *rq;

	spin_lock(&f->lock);
	rq = list_first_entry_or_null(&f->list, struct request, queuelist);
	if (rq)
		list_del_init(&rq->queuelist);
	spin_unlock(&f->lock);
	return rq;
}
static bool fifo_has_work(struct blk_mq_hw_ctx *hctx)
{
	return !list_empty(&((struct fifo *)elevator_data(hctx_elevator(hctx)))->list);
}
static bool fifo_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs)
{
	struct fifo *f = elevator_data(q->elevator);
	struct request *rq;
	bool merged = false;

	spin_lock(&f->lock);
	list_for_each_entry (rq, &f->list, queuelist)
		if ((merged = blk_elv_try_merge(rq, bio, nr_segs) != ELEVATOR_NO_MERGE))
			break;
	spin_unlock(&f->lock);
	return merged;
}
static const struct elevator_type fifo_type = {
	.name = "fifo",
	.init_sched = fifo_init,
	.exit_sched = fifo_exit,
	.insert_requests = fifo_insert,
	.dispatch_request = fifo_dispatch,
	.has_work = fifo_has_work,
	.bio_merge = fifo_merge,
};

static void changed_while_running(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}, .depth = 4, .name = "busy"};
	struct shared s = {.mem = mem_new(block_test_start(&t, 2, 1), &p)};

	s.mem->by_work = true;
	s.mem->most = 3;
	assert_int_equal(elevator_register(t.machine, &fifo_type), 0);
	test_run_threads(t.machine, THREADS, one_disturbs, &s);
	elevator_unregister(t.machine, &fifo_type);
	mem_free(s.mem);
	block_test_stop(&t);
}

static int no_timeout(struct request *rq)
{
	return BLK_EH_RESET_TIMER;
}

static const struct blk_mq_ops scanned_ops = {.queue_rq = mem_queue_rq, .timeout = no_timeout};

/* The timeout scan looks at requests that end just then. */
static void scanned_for_timeouts(void **state)
{
	run((struct mem_params){.ops = &scanned_ops,
				.timeout_ns = NSEC_PER_MSEC,
				.depth = 4,
				.limits = {.write_cache = true}},
	    true, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct),
		cmocka_unit_test(few_tags),
		cmocka_unit_test(busy_driver),
		cmocka_unit_test(changed_while_running),
		cmocka_unit_test(scanned_for_timeouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
