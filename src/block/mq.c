/* SPDX-License-Identifier: MIT */
/*
 * The multi-queue core, way in: from a bio to a request, and where the request goes next.
 *
 * A bio is cut to the limits of the queue, joined to a request that is still held back (in the plug, in the
 * scheduler, in the software queue) or given a request of its own with a tag. The request goes through the
 * flush machinery when it must, into the plug when there is one, to the scheduler, or straight to the driver
 * (mq_dispatch.c).
 *
 * A request belongs to this floor from its allocation until queue_rq accepts it, then to the driver until
 * blk_mq_end_request(). It holds one use of its queue (queue.c), its tags, and a reference count that the
 * timeout scan may raise.
 */
#include "block/blk_internal.h"

#include "base/trace.h"

/* Fills what every request starts with. The use of the queue that the caller has becomes the request's. */
static void request_init(struct request *rq, struct request_queue *q, struct blk_mq_ctx *ctx, blk_opf_t opf)
{
	rq->q = q;
	rq->mq_ctx = ctx;
	rq->mq_hctx = ctx->hctx;
	rq->cmd_flags = opf;
	rq->rq_flags = 0;
	rq->bio = rq->biotail = NULL;
	rq->rq_next = NULL;
	rq->data_len = 0;
	rq->sector = 0;
	rq->part = NULL;
	rq->status = 0;
	rq->end_io = NULL;
	rq->nr_phys_segments = 0;
	rq->elv_priv = NULL;
	rq->start_time_ns = 0;
	WRITE_ONCE(rq->deadline_ns, 0);
	WRITE_ONCE(rq->state, MQ_RQ_IDLE);
	smp_store_release(&rq->ref.refs.counter, 1);
}

static struct request *request_of_tag(struct request_queue *q, struct blk_mq_ctx *ctx, int tag, blk_opf_t opf)
{
	struct blk_mq_hw_ctx *hctx = ctx->hctx;
	struct request *rq;

	if (hctx->sched_tags) {
		rq = hctx->sched_tags->static_rqs[tag];
		request_init(rq, q, ctx, opf);
		rq->tag = -1;
		rq->internal_tag = tag;
		rq->rq_flags |= RQF_SCHED_TAGS;
		if (!op_is_flush(opf)) {
			rq->rq_flags |= RQF_USE_SCHED;
			if (q->elevator->type->prepare_request)
				q->elevator->type->prepare_request(rq);
		}
		return rq;
	}
	rq = hctx->tags->static_rqs[tag];
	request_init(rq, q, ctx, opf);
	rq->tag = tag;
	rq->internal_tag = -1;
	if (READ_ONCE(hctx->tags->rqs[tag]) != rq)
		smp_store_release(&hctx->tags->rqs[tag], rq);
	return rq;
}

/* Takes more tags at once for the requests that the plug has been told to expect. */
static void plug_cache_requests(struct blk_plug *plug, struct request_queue *q, struct blk_mq_ctx *ctx,
				blk_opf_t opf)
{
	struct blk_mq_tags *tags = ctx->hctx->sched_tags ? ctx->hctx->sched_tags : ctx->hctx->tags;

	for (; plug->nr_ios > 1; plug->nr_ios--) {
		int tag = blk_mq_tag_try(tags);
		struct request *rq;

		if (tag < 0)
			break;
		blk_queue_ref(q);
		/* Whether it is a flush is seen when it is used; until then the scheduler does not know it.
		 */
		rq = request_of_tag(q, ctx, tag, opf | REQ_PREFLUSH);
		rq->rq_next = plug->cached_rqs;
		plug->cached_rqs = rq;
	}
	plug->nr_ios = 1;
}

/* NULL: no tag, and the bio does not wait. */
static struct request *blk_mq_get_request(struct request_queue *q, struct bio *bio)
{
	struct blk_mq_ctx *ctx = &q->ctxs[current->shard];
	struct blk_mq_tags *tags = ctx->hctx->sched_tags ? ctx->hctx->sched_tags : ctx->hctx->tags;
	int tag = blk_mq_tag_try(tags);
	struct request *rq;

	if (unlikely(tag < 0)) {
		if (bio->bi_opf & REQ_NOWAIT)
			return NULL;
		tag = blk_mq_tag_get(tags, ctx->hctx);
	}
	rq = request_of_tag(q, ctx, tag, bio->bi_opf);
	if (current->plug && current->plug->nr_ios > 1)
		plug_cache_requests(current->plug, q, ctx, bio->bi_opf);
	return rq;
}

/* A request that the plug has in store for this queue; the caller's use of the queue is given back. */
static struct request *plug_take_cached(struct blk_plug *plug, struct request_queue *q, blk_opf_t opf)
{
	struct request *rq = plug ? plug->cached_rqs : NULL;

	if (!rq || rq->q != q)
		return NULL;
	plug->cached_rqs = rq->rq_next;
	rq->rq_next = NULL;
	rq->cmd_flags = opf;
	if (rq->rq_flags & RQF_SCHED_TAGS && !op_is_flush(opf)) {
		rq->rq_flags |= RQF_USE_SCHED;
		if (q->elevator->type->prepare_request)
			q->elevator->type->prepare_request(rq);
	}
	blk_queue_exit(q);
	return rq;
}

void blk_mq_request_init_bio(struct request *rq, struct bio *bio, unsigned nr_segs)
{
	rq->bio = rq->biotail = bio;
	rq->sector = bio->bi_iter.bi_sector;
	rq->data_len = bio->bi_iter.bi_size;
	rq->nr_phys_segments = (u16)nr_segs;
	rq->ioprio = bio->bi_ioprio;
}

static bool bio_try_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs)
{
	if (READ_ONCE(q->nomerges) || !bio_mergeable(bio))
		return false;
	if (current->plug && blk_attempt_plug_merge(q, bio, nr_segs))
		return true;
	if (q->elevator)
		return q->elevator->type->bio_merge && q->elevator->type->bio_merge(q, bio, nr_segs);
	return blk_attempt_ctx_merge(q, bio, nr_segs);
}

/* Where a new request goes. */
static void request_send(struct request *rq)
{
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;

	if (op_is_flush(rq->cmd_flags) && blk_insert_flush(rq))
		return;
	if (current->plug) {
		blk_add_rq_to_plug(current->plug, rq);
		return;
	}
	if (rq->rq_flags & RQF_USE_SCHED || test_bit(HCTX_SCHED_RESTART, &hctx->state)) {
		blk_mq_insert_request(rq, false);
		blk_mq_run_hw_queue(hctx, false);
		return;
	}
	blk_mq_try_issue_directly(hctx, rq, true);
}

void blk_mq_submit_bio(struct bio *bio, struct request_queue *q)
{
	unsigned nr_segs = 1;
	struct request *rq;
	int ret = blk_queue_enter(q, bio->bi_opf & REQ_NOWAIT);

	if (unlikely(ret)) {
		bio_set_status(bio, blk_enter_status(ret));
		bio_endio(bio);
		return;
	}
	bio = bio_split_to_limits(bio, &q->limits, &nr_segs);
	if (!bio || bio_try_merge(q, bio, nr_segs)) {
		blk_queue_exit(q);
		return;
	}
	rq = plug_take_cached(current->plug, q, bio->bi_opf);
	if (!rq)
		rq = blk_mq_get_request(q, bio);
	if (unlikely(!rq)) {
		bio_set_status(bio, -EAGAIN);
		bio_endio(bio); /* it may be of the queue's own bios */
		blk_queue_exit(q);
		return;
	}
	blk_mq_request_init_bio(rq, bio, nr_segs);
	blk_account_start(rq);
	TRACE(block_getrq, rq, rq->sector, rq->data_len, rq->cmd_flags);
	request_send(rq);
}

void blk_mq_free_request(struct request *rq)
{
	struct request_queue *q = rq->q;
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;
	int tag = rq->tag, internal_tag = rq->internal_tag;

	if (rq->rq_flags & RQF_USE_SCHED && q->elevator->type->finish_request)
		q->elevator->type->finish_request(rq);
	blk_mq_put_budget(rq);
	WRITE_ONCE(rq->state, MQ_RQ_IDLE);
	if (internal_tag >= 0) {
		if (tag >= 0)
			blk_mq_put_driver_tag(rq);
		blk_mq_tag_put(hctx->sched_tags, internal_tag);
	} else {
		blk_mq_tag_put(hctx->tags, tag);
	}
	blk_mq_sched_restart(hctx);
	blk_queue_exit(q);
}

/* Bytes of the request's bios that are done; ends those that are done as a whole. */
bool blk_update_request(struct request *rq, int status, unsigned bytes)
{
	if (rq->rq_flags & RQF_FLUSH_SEQ) /* its bio ends with the sequence */
		return false;
	blk_account_completion(rq, bytes);
	while (rq->bio && bytes) {
		struct bio *bio = rq->bio;
		u32 part = min(bytes, bio->bi_iter.bi_size);

		bio_set_status(bio, status);
		bytes -= part;
		rq->data_len -= part;
		rq->sector += part >> SECTOR_SHIFT;
		if (part < bio->bi_iter.bi_size) {
			bio_advance(bio, part);
			return true;
		}
		rq->bio = bio->bi_next;
		bio->bi_next = NULL;
		bio->bi_iter.bi_sector += part >> SECTOR_SHIFT;
		bio->bi_iter.bi_size = 0;
		bio_endio(bio);
	}
	if (rq->bio && !rq->data_len) { /* a flush without data */
		struct bio *bio = rq->bio;

		rq->bio = NULL;
		bio_set_status(bio, status);
		bio_endio(bio);
	}
	return rq->bio != NULL;
}

void blk_mq_end_request(struct request *rq, int status)
{
	u64 now = 0;
	bool more;

	WRITE_ONCE(rq->state, MQ_RQ_COMPLETE);
	TRACE(block_rq_complete, rq, rq->sector, rq->data_len, status);
	if (rq->rq_flags & (RQF_IO_STAT | RQF_USE_SCHED))
		now = (u64)ktime_get(rq->q->machine);
	/* Who waits for the last bio may then remove the partition that this is counted on. */
	if (!(rq->rq_flags & RQF_FLUSH_SEQ))
		blk_account_done(rq, now);
	more = blk_update_request(rq, status, rq->data_len);
	BUG_ON(more);
	if (rq->rq_flags & RQF_USE_SCHED && rq->q->elevator->type->completed_request)
		rq->q->elevator->type->completed_request(rq, now);
	if (rq->end_io)
		rq->end_io(rq, status);
	else if (refcount_dec_and_test(&rq->ref))
		blk_mq_free_request(rq);
}

void blk_mq_complete_request(struct request *rq)
{
	blk_mq_end_request(rq, rq->status);
}

void blk_mq_start_request(struct request *rq)
{
	TRACE(block_rq_issue, rq, rq->sector, rq->data_len, rq->cmd_flags);
	smp_store_release(&rq->state, MQ_RQ_IN_FLIGHT);
	if (rq->q->ops->timeout)
		blk_add_timer(rq);
}

void *blk_mq_rq_queuedata(const struct request *rq)
{
	return rq->q->queuedata;
}

void *blk_mq_queuedata(const struct request_queue *q)
{
	return q->queuedata;
}

void *blk_mq_hctx_queuedata(const struct blk_mq_hw_ctx *hctx)
{
	return hctx->queue->queuedata;
}

void *blk_mq_hctx_data(const struct blk_mq_hw_ctx *hctx)
{
	return hctx->driver_data;
}

void blk_mq_hctx_set_data(struct blk_mq_hw_ctx *hctx, void *driver_data)
{
	hctx->driver_data = driver_data;
}

unsigned blk_mq_hctx_index(const struct blk_mq_hw_ctx *hctx)
{
	return hctx->queue_num;
}
