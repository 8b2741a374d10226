/* SPDX-License-Identifier: MIT */
/*
 * The multi-queue core, plug, merging and accounting: rows B2, B3, B4, B5 (none, and that a scheduler can be
 * put in while running), B8.
 */
#include "block_mem.h"

#define OP(mem, i) ((mem)->seen[i])

static char buf[SZ_1M];

static struct block_device *dev_of(struct memdisk *mem)
{
	return disk_part0(mem->disk);
}

/*
 * Neighbours in a plug become one request, at the back and at the front; others stay apart; nothing is sent
 * before the plug ends.
 */
static void plug_merges_neighbours(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_result r = {};
	struct blk_plug plug;

	blk_start_plug(&plug);
	send_bio(dev_of(mem), REQ_OP_WRITE, 8, buf, 8, &r);
	send_bio(dev_of(mem), REQ_OP_WRITE, 16, buf + 4096, 8, &r); /* back */
	send_bio(dev_of(mem), REQ_OP_WRITE, 0, buf + 8192, 8, &r);  /* front */
	send_bio(dev_of(mem), REQ_OP_READ, 24, buf + 16384, 8, &r); /* another operation */
	send_bio(dev_of(mem), REQ_OP_READ, 40, buf + 20480, 8, &r); /* a gap */
	assert_int_equal(mem->nr_seen, 0);
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, 3);
	assert_int_equal(OP(mem, 0).sector, 0);
	assert_int_equal(OP(mem, 0).sectors, 24);
	assert_int_equal(OP(mem, 0).nr_segs, 3);
	assert_int_equal(OP(mem, 1).sector, 24);
	assert_int_equal(OP(mem, 2).sector, 40);
	assert_int_equal(atomic_read(&r.done), 5);
	assert_int_equal(r.status, 0);
	mem_free(mem);
	block_test_stop(&t);
}

/* Memory goes where it belongs through merged requests. */
static void merged_data_is_right(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_result r = {};
	struct blk_plug plug;

	for (size_t i = 0; i < 24 * 512; i++)
		buf[i] = (char)(i / 512 + 1);
	blk_start_plug(&plug);
	send_bio(dev_of(mem), REQ_OP_WRITE, 108, buf + 8 * 512, 8, &r);
	send_bio(dev_of(mem), REQ_OP_WRITE, 100, buf, 8, &r);
	send_bio(dev_of(mem), REQ_OP_WRITE, 116, buf + 16 * 512, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, 1);
	assert_memory_equal(mem->data + 100 * 512, buf, 24 * 512);
	mem_free(mem);
	block_test_stop(&t);
}

/* Only the last of a batch is marked; the order is that of submission. */
static void plug_keeps_order_and_marks_last(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_result r = {};
	struct blk_plug plug, inner;

	blk_start_plug(&plug);
	blk_start_plug(&inner); /* nested: the outer one counts */
	for (unsigned i = 0; i < 10; i++)
		send_bio(dev_of(mem), REQ_OP_READ, 200 - i * 16, buf, 8, &r);
	blk_finish_plug(&inner);
	assert_int_equal(mem->nr_seen, 0);
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, 10);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(OP(mem, i).sector, 200 - i * 16);
		assert_int_equal(OP(mem, i).last, i == 9);
	}
	assert_null(current->plug);
	mem_free(mem);
	block_test_stop(&t);
}

/* A full plug sends what it has, and a thread that sleeps sends what it holds back. */
static void plug_flushes_when_full_and_when_sleeping(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){.depth = 128});
	struct bio_result r = {};
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (unsigned i = 0; i < BLK_MAX_REQUEST_COUNT + 1; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf, 8, &r);
	assert_int_equal(mem->nr_seen, BLK_MAX_REQUEST_COUNT);
	sleep_ns(1000);
	assert_int_equal(mem->nr_seen, BLK_MAX_REQUEST_COUNT + 1);
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r);
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_READ, 64, buf, 8), 0); /* waits for its own request */
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, BLK_MAX_REQUEST_COUNT + 3);
	mem_free(mem);
	block_test_stop(&t);
}

/* Tags taken ahead are given back when they are not used. */
static void plug_caches_requests(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){.depth = 8});
	struct bio_result r = {};
	struct blk_plug plug;

	blk_start_plug_nr_ios(&plug, 6);
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r);
	assert_non_null(plug.cached_rqs);
	send_bio(dev_of(mem), REQ_OP_READ, 32, buf, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(atomic_read(&r.done), 2);
	assert_false(blk_mq_tags_busy(mem->set.tags[0]));
	blk_freeze_queue(mem->disk->queue); /* would hang if a cached request kept a use */
	blk_unfreeze_queue(mem->disk->queue);
	mem_free(mem);
	block_test_stop(&t);
}

/* More bios than tags: submitters wait and everything ends; never more in flight than tags. */
static void tags_run_out_and_come_back(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 7), &(struct mem_params){.depth = 4});
	struct bio_result r = {};

	mem->by_work = true;
	for (unsigned i = 0; i < 64; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf + i * 4096, 8, &r);
	blk_freeze_queue(mem->disk->queue);
	blk_unfreeze_queue(mem->disk->queue);
	assert_int_equal(atomic_read(&r.done), 64);
	assert_int_equal(mem->most_in_driver, 4);
	mem_free(mem);
	block_test_stop(&t);
}

static void nowait_gets_eagain_without_a_tag(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 7), &(struct mem_params){.depth = 1});
	struct bio_result a = {}, b = {};

	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &a);
	send_bio(dev_of(mem), REQ_OP_READ | REQ_NOWAIT, 64, buf, 8, &b);
	assert_int_equal(atomic_read(&b.done), 1);
	assert_int_equal(b.status, -EAGAIN);
	assert_int_equal(mem_release(mem, 0), 1);
	assert_int_equal(atomic_read(&a.done), 1);
	mem_free(mem);
	block_test_stop(&t);
}

/* A busy driver gets its requests again, in order, when one ends or after a while, and none is lost. */
static void busy_driver_is_tried_again(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){});
	struct bio_result r = {};
	struct blk_plug plug;

	mem->busy_next = 3; /* nothing in flight: only the timer helps */
	blk_start_plug(&plug);
	for (unsigned i = 0; i < 5; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, 0);
	sleep_ns(20 * NSEC_PER_MSEC);
	assert_int_equal(mem->nr_seen, 5);
	assert_int_equal(mem->nr_busy, 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(OP(mem, i).sector, i * 16);
	assert_int_equal(atomic_read(&r.done), 5);

	mem->most = 2;
	mem->hold = true;
	mem->nr_seen = 0;
	for (unsigned i = 0; i < 6; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf, 8, &r);
	assert_int_equal(mem->nr_seen, 2);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(mem_release(mem, 1), 1);
		sleep_ns(1); /* the restart is a work item */
	}
	assert_int_equal(atomic_read(&r.done), 11);
	mem_free(mem);
	block_test_stop(&t);
}

/* A batch that stops short of its last request is committed. */
static void broken_batch_is_committed(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){});
	struct bio_result r = {};
	struct blk_plug plug;

	mem->most = 3;
	mem->hold = true;
	blk_start_plug(&plug);
	for (unsigned i = 0; i < 5; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(mem->nr_seen, 3);
	assert_int_equal(mem->nr_commits, 1);
	mem->most = 0;
	mem->hold = false;
	mem_release(mem, 0);
	sleep_ns(5 * NSEC_PER_MSEC);
	assert_int_equal(atomic_read(&r.done), 5);
	mem_free(mem);
	block_test_stop(&t);
}

static int budget_get(struct request_queue *q)
{
	struct memdisk *mem = blk_mq_queuedata(q);

	if (atomic_dec_return(&mem->budget) >= 0)
		return 0;
	atomic_inc(&mem->budget);
	atomic_inc(&mem->nr_budget_refused);
	return -1;
}

static void budget_put(struct request_queue *q)
{
	atomic_inc(&((struct memdisk *)blk_mq_queuedata(q))->budget);
}

static const struct blk_mq_ops budget_ops = {
	.queue_rq = mem_queue_rq, .get_budget = budget_get, .put_budget = budget_put};

static void budgets_limit_what_is_in_flight(void **state)
{
	struct test_machine t;
	struct memdisk *mem =
		mem_new(block_test_start(&t, 0, 3), &(struct mem_params){.ops = &budget_ops, .depth = 32});
	struct bio_result r = {};

	atomic_set(&mem->budget, 2);
	mem->by_work = true;
	for (unsigned i = 0; i < 20; i++)
		send_bio(dev_of(mem), REQ_OP_READ, i * 16, buf, 8, &r);
	blk_freeze_queue(mem->disk->queue);
	blk_unfreeze_queue(mem->disk->queue);
	assert_int_equal(atomic_read(&r.done), 20);
	assert_int_equal(mem->most_in_driver, 2);
	assert_int_equal(atomic_read(&mem->budget), 2);
	assert_true(atomic_read(&mem->nr_budget_refused) > 0);
	mem_free(mem);
	block_test_stop(&t);
}

/* While the driver is busy, what waits in the software queue is joined. */
static void software_queue_merges(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){});
	struct bio_result r = {};

	mem->hold = true;
	mem->most = 1;
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r);
	send_bio(dev_of(mem), REQ_OP_READ, 1000, buf, 8, &r); /* finds it busy: marks the context */
	blk_mq_quiesce_queue(mem->disk->queue);               /* keeps what follows in the software queue */
	send_bio(dev_of(mem), REQ_OP_READ, 100, buf, 8, &r);
	send_bio(dev_of(mem), REQ_OP_READ, 108, buf + 4096, 8, &r);
	send_bio(dev_of(mem), REQ_OP_READ, 92, buf + 8192, 8, &r);
	mem->most = 0;
	blk_mq_unquiesce_queue(mem->disk->queue);
	mem_release(mem, 0);
	sleep_ns(5 * NSEC_PER_MSEC);
	mem_release(mem, 0);
	assert_int_equal(atomic_read(&r.done), 5);
	assert_int_equal(mem->nr_seen, 3);
	assert_int_equal(OP(mem, 2).sector, 92);
	assert_int_equal(OP(mem, 2).sectors, 24);
	mem_free(mem);
	block_test_stop(&t);
}

/* Each request is within the limits, and the parts make up the whole. */
static void large_bios_are_split(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.max_sectors = 64, .max_segments = 3}, .depth = 4};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &p);
	struct bio *bio;
	u32 at = 0;

	mem->by_work = true;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7 / 512);
	assert_int_equal(bio_alloc(dev_of(mem), 64, REQ_OP_WRITE, &bio), 0);
	bio->bi_iter.bi_sector = 5;
	for (unsigned i = 0; i < 60; i++) /* pieces that do not touch: 12 sectors each */
		assert_int_equal(bio_add_mem(bio, buf + i * 16 * 512, 12 * 512), 12 * 512);
	assert_int_equal(submit_bio_wait(bio), 0);
	bio_put(bio);
	for (unsigned i = 0; i < mem->nr_seen; i++) {
		assert_true(mem->seen[i].sectors <= 64);
		assert_true(mem->seen[i].nr_segs <= 3);
		at += mem->seen[i].sectors;
	}
	assert_int_equal(at, 60 * 12);
	for (unsigned i = 0; i < 60; i++)
		assert_memory_equal(mem->data + (5 + i * 12) * 512, buf + i * 16 * 512, 12 * 512);
	mem_free(mem);
	block_test_stop(&t);
}

static void errors_end_their_bios_only(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){});
	struct bio_result bad = {}, good = {};

	mem->fail_status = -ENOSPC;
	mem->fail_count = 1;
	send_bio(dev_of(mem), REQ_OP_WRITE, 0, buf, 8, &bad);
	send_bio(dev_of(mem), REQ_OP_WRITE, 64, buf, 8, &good);
	assert_int_equal(bad.status, -ENOSPC);
	assert_int_equal(good.status, 0);
	assert_int_equal(atomic_read(&good.done), 1);
	mem_free(mem);
	block_test_stop(&t);
}

static void submission_is_checked(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3),
				      &(struct mem_params){.limits = {.logical_block_size = 4096}});
	struct block_device *dev = dev_of(mem);
	sector_t end = bdev_nr_sectors(dev);

	assert_int_equal(do_bio(dev, REQ_OP_READ, end - 8, buf, 8), 0);
	assert_int_equal(do_bio(dev, REQ_OP_READ, end - 8, buf, 16), -EIO);
	assert_int_equal(do_bio(dev, REQ_OP_READ, end, buf, 8), -EIO);
	assert_int_equal(do_bio(dev, REQ_OP_READ, ~0ull, buf, 8), -EIO);
	assert_int_equal(do_bio(dev, REQ_OP_READ, 1, buf, 8), -EINVAL); /* not on a block */
	assert_int_equal(do_bio(dev, REQ_OP_READ, 8, buf, 1), -EINVAL); /* not a whole block */
	assert_int_equal(do_bio(dev, REQ_OP_READ | REQ_PREFLUSH, 8, buf, 8), -EINVAL);
	assert_int_equal(do_bio(dev, REQ_OP_DISCARD, 8, NULL, 8), -EOPNOTSUPP);
	assert_int_equal(do_bio(dev, REQ_OP_WRITE_ZEROES, 8, NULL, 8), -EOPNOTSUPP);
	assert_int_equal(do_bio(dev, REQ_OP_SECURE_ERASE, 8, NULL, 8), -EOPNOTSUPP);
	set_disk_ro(mem->disk, true);
	assert_int_equal(do_bio(dev, REQ_OP_WRITE, 8, buf, 8), -EROFS);
	assert_int_equal(do_bio(dev, REQ_OP_READ, 8, buf, 8), 0);
	assert_int_equal(blkdev_issue_flush(dev), 0); /* without data and cache: nothing to do */
	assert_int_equal(mem->nr_seen, 2);
	mem_free(mem);
	block_test_stop(&t);
}

static int mem_timeout(struct request *rq)
{
	struct memdisk *mem = mem_of(rq);

	if (atomic_inc_return(&mem->nr_timeouts) == 1)
		return BLK_EH_RESET_TIMER;
	spin_lock(&mem->lock);
	list_del_init(&rq->queuelist);
	spin_unlock(&mem->lock);
	mem_finish(mem, rq, -ETIMEDOUT);
	return BLK_EH_DONE;
}

static const struct blk_mq_ops timeout_ops = {.queue_rq = mem_queue_rq, .timeout = mem_timeout};

static void timeouts_reach_the_driver(void **state)
{
	struct test_machine t;
	struct mem_params p = {.ops = &timeout_ops, .timeout_ns = NSEC_PER_SEC};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &p);
	struct bio_result r = {};
	s64 before = ktime_get(t.machine);

	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r);
	sleep_ns(NSEC_PER_SEC / 2);
	assert_int_equal(atomic_read(&mem->nr_timeouts), 0);
	blk_freeze_queue(mem->disk->queue); /* waits for it: the clock moves on */
	blk_unfreeze_queue(mem->disk->queue);
	assert_int_equal(atomic_read(&mem->nr_timeouts), 2);
	assert_int_equal(r.status, -ETIMEDOUT);
	assert_true(ktime_get(t.machine) - before >= 2 * NSEC_PER_SEC);
	mem_free(mem);
	block_test_stop(&t);
}

static bool requeue_once;
static int requeue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	if (requeue_once) {
		requeue_once = false;
		blk_mq_start_request(bd->rq);
		blk_mq_requeue_request(bd->rq, true);
		return BLK_STS_OK;
	}
	return mem_queue_rq(hctx, bd);
}

static const struct blk_mq_ops requeue_ops = {.queue_rq = requeue_rq};

static void requeued_requests_come_back(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){.ops = &requeue_ops});

	requeue_once = true;
	memset(mem->data, 'x', 4096);
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8), 0);
	assert_false(requeue_once);
	assert_int_equal(buf[4095], 'x');
	mem_free(mem);
	block_test_stop(&t);
}

/* A scheduler that sends the highest sector first: enough to see the table of functions at work. */
struct upside_down {
	spinlock_t lock;
	struct list_head list;
	unsigned finished;
};
static unsigned upside_down_finished;

static int ud_init(struct request_queue *q, struct elevator_queue *eq)
{
	struct upside_down *ud = kzalloc(q->machine, sizeof(*ud));

	if (!ud)
		return -ENOMEM;
	spin_lock_init(&ud->lock);
	INIT_LIST_HEAD(&ud->list);
	eq->data = ud;
	return 0;
}
static void ud_exit(struct elevator_queue *eq)
{
	struct upside_down *ud = elevator_data(eq);

	assert_true(list_empty(&ud->list));
	upside_down_finished = ud->finished;
	kfree(ud);
}
static void ud_insert(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head)
{
	struct upside_down *ud = elevator_data(hctx_elevator(hctx));

	spin_lock(&ud->lock);
	list_splice_tail_init(list, &ud->list);
	spin_unlock(&ud->lock);
}
static struct request *ud_dispatch(struct blk_mq_hw_ctx *hctx)
{
	struct upside_down *ud = elevator_data(hctx_elevator(hctx));
	struct request *rq, *best = NULL;

	spin_lock(&ud->lock);
	list_for_each_entry (rq, &ud->list, queuelist)
		if (!best || rq->sector > best->sector)
			best = rq;
	if (best)
		list_del_init(&best->queuelist);
	spin_unlock(&ud->lock);
	return best;
}
static bool ud_has_work(struct blk_mq_hw_ctx *hctx)
{
	return !list_empty(&((struct upside_down *)elevator_data(hctx_elevator(hctx)))->list);
}
static void ud_finish(struct request *rq)
{
	struct upside_down *ud = elevator_data(rq->q->elevator);

	spin_lock(&ud->lock);
	ud->finished++;
	spin_unlock(&ud->lock);
}
static const struct elevator_type upside_down_type = {
	.name = "upside-down",
	.init_sched = ud_init,
	.exit_sched = ud_exit,
	.insert_requests = ud_insert,
	.dispatch_request = ud_dispatch,
	.has_work = ud_has_work,
	.finish_request = ud_finish,
};

static void scheduler_is_chosen_while_running(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){.depth = 2});
	struct bio_result r = {};
	struct blk_plug plug;
	struct seq_file m;

	mem->by_work = true;
	assert_int_equal(elevator_register(t.machine, &upside_down_type), 0);
	assert_int_equal(disk_set_scheduler(dev_of(mem), "cfq"), -EINVAL);
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r); /* in flight during the change */
	assert_int_equal(disk_set_scheduler(dev_of(mem), "upside-down\n"), 0);
	seq_text_init(&m, t.machine);
	disk_show_scheduler(dev_of(mem), &m);
	assert_string_equal(seq_text(&m), "none [upside-down]\n");
	seq_text_free(&m);
	mem->nr_seen = 0;
	blk_start_plug(&plug);
	for (unsigned i = 0; i < 4; i++) /* as many as the scheduler has tags */
		send_bio(dev_of(mem), REQ_OP_READ, i * 100, buf, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(disk_set_scheduler(dev_of(mem), "none"), 0);
	assert_int_equal(upside_down_finished, 4);
	assert_int_equal(atomic_read(&r.done), 5);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(OP(mem, i).sector, (3 - i) * 100);
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8), 0);
	elevator_unregister(t.machine, &upside_down_type);
	mem_free(mem);
	block_test_stop(&t);
}

static void accounting_counts_what_happened(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.max_discard_sectors = 1024, .write_cache = true}};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &p);
	struct disk_stats_shard s;
	struct bio_result r = {};
	struct blk_plug plug;
	u32 in_buckets = 0;

	blk_start_plug(&plug);
	send_bio(dev_of(mem), REQ_OP_READ, 0, buf, 8, &r);
	send_bio(dev_of(mem), REQ_OP_READ, 8, buf, 8, &r);
	blk_finish_plug(&plug);
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_WRITE, 0, buf, 16), 0);
	assert_int_equal(blkdev_issue_discard(dev_of(mem), 0, 64), 0);
	assert_int_equal(blkdev_issue_flush(dev_of(mem)), 0);
	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_WRITE, 0, buf, 8, &r);
	blk_stats_sum(dev_of(mem), &s);
	assert_int_equal(s.in_flight[0], 0);
	assert_int_equal(s.in_flight[1], 1);
	clock_advance(t.machine, 5 * NSEC_PER_MSEC);
	mem_release(mem, 0);
	blk_stats_sum(dev_of(mem), &s);
	assert_int_equal(s.ios[STAT_READ], 1);
	assert_int_equal(s.merges[STAT_READ], 1);
	assert_int_equal(s.sectors[STAT_READ], 16);
	assert_int_equal(s.ios[STAT_DISCARD], 1);
	assert_int_equal(s.sectors[STAT_DISCARD], 64);
	assert_int_equal(s.ios[STAT_FLUSH], 1);
	assert_int_equal(s.sectors[STAT_WRITE], 24);
	assert_int_equal(s.nsecs[STAT_WRITE], 5 * NSEC_PER_MSEC);
	assert_int_equal(s.io_ticks, 5);
	assert_int_equal(s.in_flight[1], 0);
	for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
		in_buckets += s.latency[STAT_READ][b];
	assert_int_equal(in_buckets, 1);
	assert_int_equal(s.latency[STAT_WRITE][22], 1); /* 5 ms lie between 2^22 and 2^23 ns */
	mem_free(mem);
	block_test_stop(&t);
}

/* Discards and zeroes of any length are cut to the limits; zeroes fall back to writing. */
static void ranges_without_data(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.max_discard_sectors = 100, .max_write_zeroes_sectors = 64}};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &p), *plain;
	u64 discarded = 0;

	memset(mem->data, 1, mem->bytes);
	assert_int_equal(blkdev_issue_discard(dev_of(mem), 10, 250), 0);
	for (unsigned i = 0; i < mem->nr_seen; i++) {
		assert_int_equal(OP(mem, i).op, REQ_OP_DISCARD);
		assert_true(OP(mem, i).sectors <= 100);
		discarded += OP(mem, i).sectors;
	}
	assert_int_equal(discarded, 250);
	assert_int_equal(mem->data[10 * 512 - 1], 1);
	assert_int_equal(mem->data[260 * 512 - 1], 0);
	assert_int_equal(mem->data[260 * 512], 1);
	assert_int_equal(blkdev_issue_zeroout(dev_of(mem), 300, 200, 0), 0);
	assert_int_equal(mem->data[499 * 512], 0);
	assert_int_equal(blkdev_issue_discard(dev_of(mem), 2000, 100), -EINVAL);
	plain = mem_new(t.machine, &(struct mem_params){});
	memset(plain->data, 1, plain->bytes);
	assert_int_equal(blkdev_issue_zeroout(dev_of(plain), 3, 1500, BLKDEV_ZERO_NOFALLBACK), -EOPNOTSUPP);
	assert_int_equal(blkdev_issue_zeroout(dev_of(plain), 3, 1500, 0), 0);
	assert_int_equal(plain->data[3 * 512 - 1], 1);
	for (unsigned i = 3 * 512; i < 1503 * 512; i++)
		assert_int_equal(plain->data[i], 0);
	assert_int_equal(plain->data[1503 * 512], 1);
	mem_free(plain);
	mem_free(mem);
	block_test_stop(&t);
}

static void submit_work(struct work_struct *work);
struct frozen_submit {
	struct work_struct work;
	struct memdisk *mem;
	struct bio_result r;
};
static void submit_work(struct work_struct *work)
{
	struct frozen_submit *f = container_of(work, struct frozen_submit, work);

	send_bio(dev_of(f->mem), REQ_OP_READ, 0, buf, 8, &f->r);
}

static void frozen_queue_takes_nothing(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){});
	struct frozen_submit f = {.mem = mem};
	struct bio_result nowait = {};

	INIT_WORK(&f.work, submit_work);
	disk_freeze_queue(dev_of(mem));
	disk_freeze_queue(dev_of(mem));
	queue_work(t.machine->system_wq, &f.work);
	sleep_ns(1000);
	send_bio(dev_of(mem), REQ_OP_READ | REQ_NOWAIT, 0, buf, 8, &nowait);
	assert_int_equal(nowait.status, -EAGAIN);
	disk_unfreeze_queue(dev_of(mem));
	sleep_ns(1000);
	assert_int_equal(mem->nr_seen, 0);
	disk_unfreeze_queue(dev_of(mem));
	flush_work(&f.work);
	assert_int_equal(mem->nr_seen, 1);
	mem_free(mem);
	block_test_stop(&t);
}

static void removal_fails_later_io(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 3), &(struct mem_params){.name = "gone"});
	struct block_device *dev;
	dev_t number;

	assert_int_equal(blkdev_lookup_name(t.machine, "gone", &number), 0);
	assert_int_equal(blkdev_get_by_dev(t.machine, number, BLK_OPEN_READ, NULL, NULL, &dev), 0);
	del_gendisk(mem->disk);
	assert_int_equal(do_bio(dev, REQ_OP_READ, 0, buf, 8), -EIO);
	assert_int_equal(blkdev_lookup_name(t.machine, "gone", &number), -ENODEV);
	blk_mq_free_tag_set(&mem->set);
	put_disk(mem->disk);
	blkdev_put(dev, NULL); /* the last reference frees the disk */
	free(mem->data);
	free(mem);
	block_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plug_merges_neighbours),
		cmocka_unit_test(merged_data_is_right),
		cmocka_unit_test(plug_keeps_order_and_marks_last),
		cmocka_unit_test(plug_flushes_when_full_and_when_sleeping),
		cmocka_unit_test(plug_caches_requests),
		cmocka_unit_test(tags_run_out_and_come_back),
		cmocka_unit_test(nowait_gets_eagain_without_a_tag),
		cmocka_unit_test(busy_driver_is_tried_again),
		cmocka_unit_test(broken_batch_is_committed),
		cmocka_unit_test(budgets_limit_what_is_in_flight),
		cmocka_unit_test(software_queue_merges),
		cmocka_unit_test(large_bios_are_split),
		cmocka_unit_test(errors_end_their_bios_only),
		cmocka_unit_test(submission_is_checked),
		cmocka_unit_test(timeouts_reach_the_driver),
		cmocka_unit_test(requeued_requests_come_back),
		cmocka_unit_test(scheduler_is_chosen_while_running),
		cmocka_unit_test(accounting_counts_what_happened),
		cmocka_unit_test(ranges_without_data),
		cmocka_unit_test(frozen_queue_takes_nothing),
		cmocka_unit_test(removal_fails_later_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
