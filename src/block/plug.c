// The plug: a thread that is about to make several requests holds them back, so that they can be merged and
// sent as a batch.
//
// The plug lies on the stack of who started it and hangs on current->plug; nobody else touches it. It is
// emptied by blk_finish_plug(), when it holds BLK_MAX_REQUEST_COUNT requests or a large one, and by
// base/wait.h before the thread sleeps (for the requests held back may be what it is going to wait for).
// Requests leave in the order they came; each run for one hardware context is a batch, whose last request is
// marked so. A driver that serves a request by bios to a lower device fills the plug anew while it is being
// emptied: emptying goes on until nothing is left.
#include "block/blk_internal.h"

#include "base/trace.h"

void blk_start_plug_nr_ios(struct blk_plug *plug, unsigned nr_ios)
{
	if (current->plug)
		return;
	*plug = (struct blk_plug){.nr_ios = (u16)min(nr_ios, BLK_MAX_REQUEST_COUNT)};
	current->plug_flush = blk_flush_plug;
	current->plug = plug;
}

void blk_start_plug(struct blk_plug *plug)
{
	blk_start_plug_nr_ios(plug, 1);
}

static struct request *plug_pop(struct request **list)
{
	struct request *rq = *list;

	*list = rq->rq_next;
	rq->rq_next = NULL;
	return rq;
}

// A batch for a driver that takes lists. What it leaves goes one by one.
static void plug_issue_queue_rqs(struct request **list)
{
	struct request *rq = *list;

	if (!rq->q->ops->queue_rqs || rq->q->ops->get_budget ||
	    test_bit(HCTX_SCHED_RESTART, &rq->mq_hctx->state) ||
	    __atomic_load_n(&rq->q->quiesce_depth, __ATOMIC_SEQ_CST))
		return;
	rq->q->ops->queue_rqs(list);
}

static void plug_send_list(struct request *list)
{
	while (list) {
		struct blk_mq_hw_ctx *hctx = list->mq_hctx;
		LIST_HEAD(batch);
		bool insert = list->rq_flags & RQF_USE_SCHED || test_bit(HCTX_SCHED_RESTART, &hctx->state);

		// The requests keep the queue alive only until they are sent.
		blk_queue_ref(hctx->queue);
		do {
			struct request *rq = plug_pop(&list);

			if (insert)
				blk_mq_insert_request(rq, false);
			else
				list_add_tail(&rq->queuelist, &batch);
		} while (list && list->mq_hctx == hctx);
		if (insert)
			blk_mq_run_hw_queue(hctx, false);
		else
			blk_mq_issue_list_directly(hctx, &batch);
		blk_queue_exit(hctx->queue);
	}
}

static void plug_free_cached(struct blk_plug *plug)
{
	while (plug->cached_rqs) {
		struct request *rq = plug_pop(&plug->cached_rqs);

		if (refcount_dec_and_test(&rq->ref))
			blk_mq_free_request(rq);
	}
}

void blk_flush_plug(struct blk_plug *plug, bool from_schedule)
{
	while (plug->mq_list) {
		struct request *list = plug->mq_list;
		bool one_queue = !plug->multiple_queues && !plug->has_elevator;

		TRACE(block_unplug, list->q, plug->rq_count, from_schedule);
		plug->mq_list = plug->mq_tail = NULL;
		plug->rq_count = 0;
		plug->multiple_queues = plug->has_elevator = false;
		if (one_queue)
			plug_issue_queue_rqs(&list);
		plug_send_list(list);
	}
	plug_free_cached(plug);
}

void blk_add_rq_to_plug(struct blk_plug *plug, struct request *rq)
{
	struct request *last = plug->mq_tail;

	if (last && (plug->rq_count >= BLK_MAX_REQUEST_COUNT || blk_rq_bytes(last) >= BLK_PLUG_FLUSH_BYTES)) {
		blk_flush_plug(plug, false);
		last = plug->mq_tail;
	}
	if (last && last->q != rq->q)
		plug->multiple_queues = true;
	if (rq->rq_flags & RQF_SCHED_TAGS)
		plug->has_elevator = true;
	rq->rq_next = NULL;
	if (last)
		last->rq_next = rq;
	else
		plug->mq_list = rq;
	plug->mq_tail = rq;
	plug->rq_count++;
}

void blk_finish_plug(struct blk_plug *plug)
{
	if (plug != current->plug)
		return;
	blk_flush_plug(plug, false);
	current->plug = NULL;
}
