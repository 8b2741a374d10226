/* SPDX-License-Identifier: MIT */
/*
 * The plug: a thread that is about to make several requests holds them back, so that they can be merged and
 * sent as a batch.
 *
 * The plug lies on the stack of who started it and hangs on current->plug; nobody else touches it. It is
 * emptied by blk_finish_plug(), when it holds BLK_MAX_REQUEST_COUNT requests or a large one, and by
 * base/wait.h before the thread sleeps (for the requests held back may be what it is going to wait for).
 * Requests leave in the order they came; each run for one hardware context is a batch, whose last request is
 * marked so. A driver that serves a request by bios to a lower device fills the plug anew while it is being
 * emptied: emptying goes on until nothing is left.
 */
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

/*
 * Takes the first requests off, as many as are for one hardware context. The rest stays in the plug: should a
 * driver sleep for a tag of a lower device, what the plug holds for that one is sent then.
 */
static struct request *plug_take_batch(struct blk_plug *plug)
{
	struct request *first = plug->mq_list, *last = first;

	plug->rq_count--;
	while (last->rq_next && last->rq_next->mq_hctx == first->mq_hctx) {
		last = last->rq_next;
		plug->rq_count--;
	}
	plug->mq_list = last->rq_next;
	last->rq_next = NULL;
	if (!plug->mq_list) {
		plug->mq_tail = NULL;
		plug->multiple_queues = plug->has_elevator = false;
	}
	return first;
}

static void plug_send_batch(struct request *list)
{
	struct blk_mq_hw_ctx *hctx = list->mq_hctx;
	bool insert = list->rq_flags & RQF_USE_SCHED || test_bit(HCTX_SCHED_RESTART, &hctx->state);
	LIST_HEAD(batch);

	/* The requests keep the queue alive only until they are sent. */
	blk_queue_ref(hctx->queue);
	if (!insert)
		blk_mq_issue_batch(hctx, &list);
	while (list) {
		struct request *rq = plug_pop(&list);

		if (insert)
			blk_mq_insert_request(rq, false);
		else
			list_add_tail(&rq->queuelist, &batch);
	}
	if (insert)
		blk_mq_run_hw_queue(hctx, false);
	else if (!list_empty(&batch))
		blk_mq_issue_list_directly(hctx, &batch);
	blk_queue_exit(hctx->queue);
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
		TRACE(block_unplug, plug->mq_list->q, plug->rq_count, from_schedule);
		plug_send_batch(plug_take_batch(plug));
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
