/* SPDX-License-Identifier: MIT */
/*
 * The multi-queue core, way out: from software queues, scheduler and plug to the driver.
 *
 * What the driver did not accept waits on hctx->dispatch and goes before everything else. It goes when a
 * request ends (the context was marked HCTX_SCHED_RESTART), when a tag comes back (HCTX on
 * tags->waiting_hctxs), or after 3 ms, should nothing be in flight that could end. No lock is held while the
 * driver is called. Completions never dispatch themselves: they queue the context's work.
 *
 * Who dispatches counts himself in queue->in_dispatch before he looks at quiesce_depth;
 * blk_mq_quiesce_queue() raises quiesce_depth and then waits for that count (both sequentially consistent).
 */
#include "block/blk_internal.h"

#include "base/trace.h"

static bool dispatch_begin(struct request_queue *q)
{
	__atomic_fetch_add(&q->in_dispatch.counter, 1, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&q->quiesce_depth, __ATOMIC_SEQ_CST)))
		return true;
	__atomic_fetch_sub(&q->in_dispatch.counter, 1, __ATOMIC_SEQ_CST);
	wake_up_var(&q->in_dispatch);
	return false;
}

static void dispatch_end(struct request_queue *q)
{
	__atomic_fetch_sub(&q->in_dispatch.counter, 1, __ATOMIC_SEQ_CST);
	if (unlikely(__atomic_load_n(&q->quiesce_depth, __ATOMIC_SEQ_CST)))
		wake_up_var(&q->in_dispatch);
}

void blk_mq_quiesce_queue(struct request_queue *q)
{
	__atomic_fetch_add(&q->quiesce_depth, 1, __ATOMIC_SEQ_CST);
	wait_var_event(&q->in_dispatch, !__atomic_load_n(&q->in_dispatch.counter, __ATOMIC_SEQ_CST));
}

void blk_mq_unquiesce_queue(struct request_queue *q)
{
	if (!__atomic_sub_fetch(&q->quiesce_depth, 1, __ATOMIC_SEQ_CST))
		blk_mq_run_hw_queues(q, true);
}

bool blk_mq_get_driver_tag(struct request *rq)
{
	struct blk_mq_tags *tags = rq->mq_hctx->tags;

	if (rq->tag >= 0)
		return true;
	rq->tag = blk_mq_tag_try(tags);
	if (rq->tag < 0)
		return false;
	smp_store_release(&tags->rqs[rq->tag], rq);
	return true;
}

/* Of a request under a scheduler; without one the driver's tag is the request's own and stays. */
void blk_mq_put_driver_tag(struct request *rq)
{
	struct blk_mq_tags *tags = rq->mq_hctx->tags;
	int tag = rq->tag;

	if (tag < 0 || rq->internal_tag < 0)
		return;
	rq->tag = -1;
	WRITE_ONCE(tags->rqs[tag], NULL);
	blk_mq_tag_put(tags, tag);
}

static bool get_budget(struct request *rq)
{
	if (!rq->q->ops->get_budget || rq->rq_flags & RQF_BUDGET)
		return true;
	if (rq->q->ops->get_budget(rq->q) < 0)
		return false;
	rq->rq_flags |= RQF_BUDGET;
	return true;
}

void blk_mq_put_budget(struct request *rq)
{
	if (!(rq->rq_flags & RQF_BUDGET))
		return;
	rq->rq_flags &= ~RQF_BUDGET;
	rq->q->ops->put_budget(rq->q);
}

static void request_unprepare(struct request *rq)
{
	blk_mq_put_budget(rq);
	blk_mq_put_driver_tag(rq);
	WRITE_ONCE(rq->state, MQ_RQ_IDLE);
}

/* The driver's answer for one request that has tag and budget. */
static int issue(struct blk_mq_hw_ctx *hctx, struct request *rq, bool last)
{
	struct blk_mq_queue_data bd = {.rq = rq, .last = last};

	rq->rq_flags |= RQF_STARTED;
	return hctx->queue->ops->queue_rq(hctx, &bd);
}

static void commit(struct blk_mq_hw_ctx *hctx)
{
	if (hctx->queue->ops->commit_rqs)
		hctx->queue->ops->commit_rqs(hctx);
}

static void dispatch_keep(struct blk_mq_hw_ctx *hctx, struct list_head *list)
{
	spin_lock(&hctx->lock);
	list_splice_tail_init(list, &hctx->dispatch);
	spin_unlock(&hctx->lock);
}

static void dispatch_keep_one(struct blk_mq_hw_ctx *hctx, struct request *rq, bool at_head)
{
	spin_lock(&hctx->lock);
	if (at_head)
		list_add(&rq->queuelist, &hctx->dispatch);
	else
		list_add_tail(&rq->queuelist, &hctx->dispatch);
	spin_unlock(&hctx->lock);
}

/* Tag and budget. On failure the context is set to be run again. */
static bool request_prepare(struct blk_mq_hw_ctx *hctx, struct request *rq)
{
	if (!get_budget(rq))
		return false;
	for (;;) {
		if (blk_mq_get_driver_tag(rq))
			return true;
		if (!blk_mq_tag_wait_hctx(hctx->tags, hctx))
			break;
	}
	blk_mq_put_budget(rq);
	return false;
}

enum { SENT_ALL, SENT_TO_BUSY };

/* Gives the list to the driver until it is empty or the driver is busy; the rest stays on hctx->dispatch. */
static int dispatch_rq_list(struct blk_mq_hw_ctx *hctx, struct list_head *list)
{
	unsigned queued = 0;
	bool failed = false;

	while (!list_empty(list)) {
		struct request *rq = list_first_entry(list, struct request, queuelist);
		int ret;

		if (!request_prepare(hctx, rq))
			break;
		list_del_init(&rq->queuelist);
		ret = issue(hctx, rq, list_empty(list));
		if (ret == BLK_STS_OK) {
			queued++;
			failed = false;
			continue;
		}
		if (ret == BLK_STS_RESOURCE) {
			request_unprepare(rq);
			list_add(&rq->queuelist, list);
			break;
		}
		blk_mq_end_request(rq, ret);
		failed = true;
	}
	/* The driver waits for `last`, which it did not get. */
	if (queued && (failed || !list_empty(list)))
		commit(hctx);
	if (list_empty(list))
		return SENT_ALL;
	dispatch_keep(hctx, list);
	return SENT_TO_BUSY;
}

/*
 * Sees to it that what dispatch_rq_list kept is tried again. A request that ends after the mark was set runs
 * the context; one that ended before has cleared it.
 */
static void dispatch_again_later(struct blk_mq_hw_ctx *hctx)
{
	if (!test_and_set_bit(HCTX_SCHED_RESTART, &hctx->state))
		blk_mq_run_hw_queue(hctx, true);
	else
		blk_mq_delay_run_hw_queue(hctx, BLK_RESOURCE_DELAY_NS);
}

static void take_ctx_requests(struct blk_mq_hw_ctx *hctx, struct list_head *list)
{
	unsigned long pending = READ_ONCE(hctx->ctx_pending);

	for (; pending; pending &= pending - 1) {
		struct blk_mq_ctx *ctx = &hctx->queue->ctxs[__ffs(pending)];

		spin_lock(&ctx->lock);
		clear_bit(ctx->index, &hctx->ctx_pending);
		list_splice_tail_init(&ctx->rq_list, list);
		spin_unlock(&ctx->lock);
	}
}

/* One request at a time, so that those that are left can still be merged and reordered. */
static int dispatch_sched(struct blk_mq_hw_ctx *hctx)
{
	const struct elevator_type *type = hctx->queue->elevator->type;

	while (!type->has_work || type->has_work(hctx)) {
		struct request *rq = type->dispatch_request(hctx);
		LIST_HEAD(one);

		if (!rq)
			break;
		list_add(&rq->queuelist, &one);
		if (dispatch_rq_list(hctx, &one) != SENT_ALL)
			return SENT_TO_BUSY;
	}
	return SENT_ALL;
}

static void sched_dispatch_requests(struct blk_mq_hw_ctx *hctx)
{
	LIST_HEAD(list);

	if (!list_empty(&hctx->dispatch)) {
		spin_lock(&hctx->lock);
		list_splice_init(&hctx->dispatch, &list);
		spin_unlock(&hctx->lock);
	}
	if (!list_empty(&list) && dispatch_rq_list(hctx, &list) != SENT_ALL) {
		dispatch_again_later(hctx);
		return;
	}
	if (hctx->queue->elevator) {
		if (dispatch_sched(hctx) != SENT_ALL)
			dispatch_again_later(hctx);
		return;
	}
	take_ctx_requests(hctx, &list);
	if (!list_empty(&list) && dispatch_rq_list(hctx, &list) != SENT_ALL)
		dispatch_again_later(hctx);
}

static bool hctx_has_pending(struct blk_mq_hw_ctx *hctx)
{
	const struct elevator_queue *eq = hctx->queue->elevator;

	return !list_empty(&hctx->dispatch) || READ_ONCE(hctx->ctx_pending) ||
	       (eq && (!eq->type->has_work || eq->type->has_work(hctx)));
}

void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx, bool async)
{
	struct request_queue *q = hctx->queue;

	if (async) {
		/* Also when a timer of it runs (3 ms): it is wanted now. */
		mod_delayed_work(blk_machine(q->machine)->wq, &hctx->run_work, 0);
		return;
	}
	if (!dispatch_begin(q))
		return;
	if (hctx_has_pending(hctx))
		sched_dispatch_requests(hctx);
	dispatch_end(q);
}

void blk_mq_run_work(struct work_struct *work)
{
	struct blk_mq_hw_ctx *hctx = container_of(to_delayed_work(work), struct blk_mq_hw_ctx, run_work);

	blk_mq_run_hw_queue(hctx, false);
}

void blk_mq_delay_run_hw_queue(struct blk_mq_hw_ctx *hctx, s64 ns)
{
	queue_delayed_work(blk_machine(hctx->queue->machine)->wq, &hctx->run_work, ns);
}

void blk_mq_run_hw_queues(struct request_queue *q, bool async)
{
	for (unsigned i = 0; i < q->nr_hw_queues; i++)
		blk_mq_run_hw_queue(q->hctxs[i], async);
}

/* A request ended: what the device was too busy for may go now. */
void blk_mq_sched_restart(struct blk_mq_hw_ctx *hctx)
{
	if (likely(!test_bit(HCTX_SCHED_RESTART, &hctx->state)))
		return;
	if (test_and_clear_bit(HCTX_SCHED_RESTART, &hctx->state))
		blk_mq_run_hw_queue(hctx, true);
}

static void ctx_insert(struct blk_mq_ctx *ctx, struct request *rq, bool at_head)
{
	spin_lock(&ctx->lock);
	if (at_head)
		list_add(&rq->queuelist, &ctx->rq_list);
	else
		list_add_tail(&rq->queuelist, &ctx->rq_list);
	set_bit(ctx->index, &rq->mq_hctx->ctx_pending);
	spin_unlock(&ctx->lock);
}

void blk_mq_insert_request(struct request *rq, bool at_head)
{
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;

	TRACE(block_rq_insert, rq, rq->sector, rq->data_len, rq->cmd_flags);
	if (req_op(rq) == REQ_OP_FLUSH || rq->rq_flags & RQF_FLUSH_SEQ) {
		dispatch_keep_one(hctx, rq, at_head);
	} else if (rq->rq_flags & RQF_USE_SCHED) {
		LIST_HEAD(list);

		list_add(&rq->queuelist, &list);
		rq->q->elevator->type->insert_requests(hctx, &list, at_head);
	} else if (rq->rq_flags & RQF_SCHED_TAGS) {
		dispatch_keep_one(hctx, rq, at_head);
	} else {
		ctx_insert(rq->mq_ctx, rq, at_head);
	}
}

/* Gives one request to the driver at once; if that cannot be, it is inserted. */
void blk_mq_try_issue_directly(struct blk_mq_hw_ctx *hctx, struct request *rq, bool last)
{
	int ret;

	if (!dispatch_begin(hctx->queue)) {
		blk_mq_insert_request(rq, false);
		return;
	}
	if (!request_prepare(hctx, rq)) {
		dispatch_keep_one(hctx, rq, false);
		dispatch_again_later(hctx);
	} else {
		ret = issue(hctx, rq, last);
		if (ret == BLK_STS_RESOURCE) {
			request_unprepare(rq);
			dispatch_keep_one(hctx, rq, true);
			dispatch_again_later(hctx);
		} else if (ret != BLK_STS_OK) {
			blk_mq_end_request(rq, ret);
		}
	}
	dispatch_end(hctx->queue);
}

void blk_mq_issue_list_directly(struct blk_mq_hw_ctx *hctx, struct list_head *list)
{
	struct request_queue *q = hctx->queue;

	if (!dispatch_begin(q)) {
		struct request *rq, *next;

		list_for_each_entry_safe (rq, next, list, queuelist) {
			list_del_init(&rq->queuelist);
			blk_mq_insert_request(rq, false);
		}
		return;
	}
	if (dispatch_rq_list(hctx, list) != SENT_ALL)
		dispatch_again_later(hctx);
	dispatch_end(q);
}

void blk_mq_issue_batch(struct blk_mq_hw_ctx *hctx, struct request **list)
{
	const struct blk_mq_ops *ops = hctx->queue->ops;

	if (!ops->queue_rqs || ops->get_budget || (*list)->rq_flags & RQF_SCHED_TAGS ||
	    !dispatch_begin(hctx->queue))
		return;
	ops->queue_rqs(list);
	dispatch_end(hctx->queue);
}

void blk_mq_requeue_request(struct request *rq, bool kick)
{
	struct request_queue *q = rq->q;

	request_unprepare(rq);
	if (rq->rq_flags & RQF_USE_SCHED && q->elevator->type->requeue_request)
		q->elevator->type->requeue_request(rq);
	spin_lock(&q->requeue_lock);
	list_add_tail(&rq->queuelist, &q->requeue_list);
	spin_unlock(&q->requeue_lock);
	if (kick)
		blk_mq_kick_requeue_list(q);
}

/* For the flush machinery: a request of a sequence goes out by the requeue work, before what others insert.
 */
void blk_mq_add_flush_request(struct request *rq, bool at_head)
{
	struct request_queue *q = rq->q;

	spin_lock(&q->requeue_lock);
	if (at_head)
		list_add(&rq->queuelist, &q->flush_list);
	else
		list_add_tail(&rq->queuelist, &q->flush_list);
	spin_unlock(&q->requeue_lock);
	blk_mq_kick_requeue_list(q);
}

void blk_mq_kick_requeue_list(struct request_queue *q)
{
	mod_delayed_work(blk_machine(q->machine)->wq, &q->requeue_work, 0);
}

void blk_mq_requeue_work(struct work_struct *work)
{
	struct request_queue *q = container_of(to_delayed_work(work), struct request_queue, requeue_work);
	struct request *rq, *next;
	LIST_HEAD(requeued);
	LIST_HEAD(flush);

	spin_lock(&q->requeue_lock);
	list_splice_init(&q->requeue_list, &requeued);
	list_splice_init(&q->flush_list, &flush);
	spin_unlock(&q->requeue_lock);
	/* Put back at the head one by one: the last first, to keep their order. */
	list_for_each_entry_safe_reverse(rq, next, &requeued, queuelist)
	{
		list_del_init(&rq->queuelist);
		blk_mq_insert_request(rq, true);
	}
	list_for_each_entry_safe (rq, next, &flush, queuelist) {
		list_del_init(&rq->queuelist);
		blk_mq_insert_request(rq, false);
	}
	blk_mq_run_hw_queues(q, false);
}
