/* SPDX-License-Identifier: MIT */
/*
 * Request queues: their making and end, and the count of who uses them, on which freezing rests.
 *
 * A use is a bio that is being submitted or a request that is not freed. The count is split by shard.
 * Entering raises the shard's count and then looks at freeze_depth; freezing raises freeze_depth and then
 * sums the counts; both are sequentially consistent, so either the one who enters sees the freeze and leaves
 * again, or the freezer sees the use. A use may end on another shard: single counts go below zero, but a sum
 * taken after freeze_depth was raised is never below the true number. Leaving happens inside an RCU section,
 * and a queue is freed after a grace period, since the freezer may go on before the last leaver has looked
 * for whom to wake.
 *
 * The queue belongs to its disk. limits and elevator change only while it is frozen.
 */
#include "block/blk_internal.h"

#include "base/log.h"

static s64 queue_uses(const struct request_queue *q)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += __atomic_load_n(&q->usage[i].count, __ATOMIC_SEQ_CST);
	return sum;
}

static void queue_use_add(struct request_queue *q, s64 n)
{
	__atomic_fetch_add(&q->usage[current->shard].count, n, __ATOMIC_SEQ_CST);
}

void blk_queue_ref(struct request_queue *q)
{
	queue_use_add(q, 1);
}

void blk_queue_exit(struct request_queue *q)
{
	rcu_read_lock();
	queue_use_add(q, -1);
	if (unlikely(__atomic_load_n(&q->freeze_depth, __ATOMIC_SEQ_CST)))
		wake_up_all(&q->freeze_wq);
	rcu_read_unlock();
}

static noinline int queue_enter_slow(struct request_queue *q, bool nowait)
{
	for (;;) {
		blk_queue_exit(q);
		if (READ_ONCE(q->dying))
			return -ENODEV;
		if (nowait)
			return -EAGAIN;
		bio_punt_pending(q->machine);
		io_wait_event(q->freeze_wq,
			      !__atomic_load_n(&q->freeze_depth, __ATOMIC_SEQ_CST) || READ_ONCE(q->dying));
		queue_use_add(q, 1);
		if (!__atomic_load_n(&q->freeze_depth, __ATOMIC_SEQ_CST))
			return 0;
	}
}

int blk_queue_enter(struct request_queue *q, bool nowait)
{
	queue_use_add(q, 1);
	if (likely(!__atomic_load_n(&q->freeze_depth, __ATOMIC_SEQ_CST)))
		return 0;
	return queue_enter_slow(q, nowait);
}

int blk_enter_status(int enter_error)
{
	/* A device that is gone fails its I/O like one that is broken. */
	return enter_error == -ENODEV ? -EIO : enter_error;
}

void blk_freeze_queue(struct request_queue *q)
{
	/* What this thread holds back would never end. */
	if (current->plug)
		blk_flush_plug(current->plug, true);
	__atomic_fetch_add(&q->freeze_depth, 1, __ATOMIC_SEQ_CST);
	blk_mq_run_hw_queues(q, false);
	io_wait_event(q->freeze_wq, queue_uses(q) == 0);
}

void blk_unfreeze_queue(struct request_queue *q)
{
	s64 depth = __atomic_sub_fetch(&q->freeze_depth, 1, __ATOMIC_SEQ_CST);

	BUG_ON(depth < 0);
	if (!depth)
		wake_up_all(&q->freeze_wq);
}

void disk_freeze_queue(struct block_device *bdev)
{
	blk_freeze_queue(bdev->bd_queue);
}

void disk_unfreeze_queue(struct block_device *bdev)
{
	blk_unfreeze_queue(bdev->bd_queue);
}

static bool block_size_ok(u32 size)
{
	return size >= SECTOR_SIZE && size <= SZ_64K && is_power_of_2(size);
}

void blk_set_default_limits(struct queue_limits *limits)
{
	if (!limits->logical_block_size)
		limits->logical_block_size = SECTOR_SIZE;
	if (!limits->physical_block_size)
		limits->physical_block_size = max(limits->logical_block_size, 4096u);
	if (!limits->io_min)
		limits->io_min = limits->physical_block_size;
	if (!limits->max_sectors)
		limits->max_sectors = 2560;
	if (!limits->max_segments)
		limits->max_segments = 1024;
	if (!limits->max_segment_bytes)
		limits->max_segment_bytes = UINT32_MAX;
	if (limits->max_discard_sectors && !limits->discard_granularity)
		limits->discard_granularity = limits->physical_block_size;
}

int blk_validate_limits(struct queue_limits *limits)
{
	u32 block_sectors;

	blk_set_default_limits(limits);
	if (!block_size_ok(limits->logical_block_size) || !is_power_of_2(limits->physical_block_size) ||
	    limits->physical_block_size < limits->logical_block_size)
		return -EINVAL;
	if (limits->max_segment_bytes < limits->logical_block_size)
		return -EINVAL;
	/* Cuts fall on whole blocks, and a request has less than 4 GiB. */
	block_sectors = limits->logical_block_size >> SECTOR_SHIFT;
	limits->max_sectors =
		round_down(min(limits->max_sectors, (u32)(SZ_1G >> SECTOR_SHIFT)), block_sectors);
	limits->max_discard_sectors = round_down(limits->max_discard_sectors, block_sectors);
	limits->max_write_zeroes_sectors = round_down(limits->max_write_zeroes_sectors, block_sectors);
	if (!limits->max_sectors)
		return -EINVAL;
	if (!limits->write_cache)
		limits->fua = false;
	return 0;
}

static void queue_init_ctxs(struct request_queue *q)
{
	for (unsigned i = 0; q->nr_hw_queues && i < SHARDS; i++) {
		struct blk_mq_ctx *ctx = &q->ctxs[i];

		spin_lock_init(&ctx->lock);
		INIT_LIST_HEAD(&ctx->rq_list);
		ctx->index = i;
		ctx->hctx = q->hctxs[i % q->nr_hw_queues];
	}
}

static int hctx_alloc(struct request_queue *q, unsigned index)
{
	struct blk_mq_tag_set *set = q->set;
	struct blk_mq_hw_ctx *hctx = kmalloc_aligned(q->machine, sizeof(*hctx), CACHELINE_SIZE);
	int ret;

	if (!hctx)
		return -ENOMEM;
	*hctx = (struct blk_mq_hw_ctx){.queue = q, .queue_num = index, .tags = set->tags[index]};
	spin_lock_init(&hctx->lock);
	INIT_LIST_HEAD(&hctx->dispatch);
	INIT_LIST_HEAD(&hctx->tag_wait);
	INIT_DELAYED_WORK(q->machine, &hctx->run_work, blk_mq_run_work);
	ret = blk_flush_queue_alloc(hctx);
	if (ret)
		goto out_free;
	ret = set->ops->init_hctx ? set->ops->init_hctx(hctx, set->driver_data, index) : 0;
	if (ret)
		goto out_flush;
	q->hctxs[index] = hctx;
	return 0;

out_flush:
	blk_flush_queue_free(hctx->fq);
out_free:
	kfree(hctx);
	return ret;
}

static void hctx_free(struct blk_mq_hw_ctx *hctx)
{
	blk_flush_queue_free(hctx->fq);
	kfree(hctx);
}

void blk_queue_exit_hctxs(struct request_queue *q)
{
	if (q->exited)
		return;
	q->exited = true;
	flush_work(&q->rescue_work);
	for (unsigned i = 0; i < q->nr_hw_queues; i++) {
		struct blk_mq_hw_ctx *hctx = q->hctxs[i];

		if (!hctx)
			continue;
		cancel_delayed_work_sync(&hctx->run_work);
		blk_mq_tag_unwait_hctx(hctx->tags, hctx);
		if (q->ops->exit_hctx)
			q->ops->exit_hctx(hctx, i);
	}
	cancel_delayed_work_sync(&q->requeue_work);
	cancel_delayed_work_sync(&q->timeout_work);
	elevator_exit(q);
	/* The work that was cancelled last may have queued the other once more. */
	for (unsigned i = 0; i < q->nr_hw_queues; i++)
		if (q->hctxs[i])
			cancel_delayed_work_sync(&q->hctxs[i]->run_work);
	synchronize_rcu(q->machine);
}

void blk_queue_free(struct request_queue *q)
{
	blk_queue_exit_hctxs(q);
	for (unsigned i = 0; q->hctxs && i < q->nr_hw_queues; i++)
		if (q->hctxs[i])
			hctx_free(q->hctxs[i]);
	kfree(q->hctxs);
	bioset_destroy(q->split_set);
	kfree(q);
}

int blk_queue_alloc(struct shale *machine, struct blk_mq_tag_set *set, const struct queue_limits *limits,
		    void *queuedata, struct request_queue **out)
{
	struct request_queue *q = kmalloc_aligned(machine, sizeof(*q), CACHELINE_SIZE);
	int ret;

	if (!q)
		return -ENOMEM;
	*q = (struct request_queue){.machine = machine, .set = set, .queuedata = queuedata};
	if (set) {
		q->ops = set->ops;
		q->nr_hw_queues = set->nr_hw_queues;
		q->timeout_ns = set->timeout_ns ? set->timeout_ns : BLK_TIMEOUT_NS;
	}
	init_waitqueue_head(&q->freeze_wq);
	spin_lock_init(&q->requeue_lock);
	INIT_LIST_HEAD(&q->requeue_list);
	INIT_LIST_HEAD(&q->flush_list);
	spin_lock_init(&q->rescue_lock);
	INIT_WORK(&q->rescue_work, bio_rescue_work);
	INIT_DELAYED_WORK(machine, &q->requeue_work, blk_mq_requeue_work);
	INIT_DELAYED_WORK(machine, &q->timeout_work, blk_timeout_work);
	if (limits)
		q->limits = *limits;
	ret = blk_validate_limits(&q->limits);
	if (ret) {
		kfree(q);
		return ret;
	}
	q->hctxs = kcalloc(machine, q->nr_hw_queues, sizeof(struct blk_mq_hw_ctx *));
	ret = q->hctxs ? bioset_create_for_splits(machine, 2, &q->split_set) : -ENOMEM;
	for (unsigned i = 0; !ret && i < q->nr_hw_queues; i++)
		ret = hctx_alloc(q, i);
	if (ret) {
		if (!q->hctxs)
			q->nr_hw_queues = 0;
		blk_queue_free(q);
		return ret;
	}
	queue_init_ctxs(q);
	*out = q;
	return 0;
}
