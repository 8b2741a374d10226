/* SPDX-License-Identifier: MIT */
/*
 * The flush machinery: requests with PREFLUSH or FUA as sequences of steps, and flushes that many requests
 * share.
 *
 * A sequence is made of up to three steps, in this order:
 * 	PREFLUSH   the write cache is flushed, if the request asks for it and the device has a cache
 * 	DATA       the request itself, if it has data
 * 	POSTFLUSH  the cache is flushed again, if the request is FUA and the device cannot do that by itself
 * Without a write cache nothing but DATA is left, and with hardware FUA no POSTFLUSH. A request with DATA
 * alone goes the normal way.
 *
 * Each hardware context has one flush request and two lists of requests that wait for a flush: `pending`, to
 * be served by the next flush, and `running`, served by the one that is on its way (they swap when a flush
 * starts). A flush is started when
 * 	(1) none is on its way;
 * 	(2) and somebody is pending;
 * 	(3) and no DATA of a sequence is on its way, so that its POSTFLUSH can share the flush with others,
 * 	    or the oldest pending one has waited for FLUSH_PENDING_TIMEOUT.
 * The flush request borrows the tag of the first that it serves, which does not need it meanwhile.
 *
 * A request is advanced by flush_complete_seq(), under the queue's lock, when its flush has ended, when its
 * DATA has ended, or at once when a step is not needed. Requests are sent from the requeue work, never from
 * here, as this runs in completions. A failed step ends the sequence with its error.
 */
#include "block/blk_internal.h"

#define FLUSH_PENDING_TIMEOUT (5 * NSEC_PER_SEC)

enum flush_seq {
	SEQ_PREFLUSH = 1u << 0,
	SEQ_DATA = 1u << 1,
	SEQ_POSTFLUSH = 1u << 2,
	SEQ_DONE = 1u << 3,
};

struct blk_flush_queue {
	spinlock_t lock;
	struct list_head lists[2] __guarded_by(lock); /* by request.flush.list */
	unsigned pending_idx : 1, running_idx : 1;    /* equal: (1) holds */
	s64 pending_since;                            /* ns; when the pending list became filled */
	unsigned data_in_flight __guarded_by(lock);
	struct request *flush_rq;
	int flush_status;
};

int blk_flush_queue_alloc(struct blk_mq_hw_ctx *hctx)
{
	struct shale *machine = hctx->queue->machine;
	size_t head = round_up(sizeof(struct request), 16);
	struct blk_flush_queue *fq = kzalloc(machine, sizeof(*fq));

	if (!fq)
		return -ENOMEM;
	fq->flush_rq = kzalloc(machine, head + hctx->queue->set->cmd_size);
	if (!fq->flush_rq) {
		kfree(fq);
		return -ENOMEM;
	}
	fq->flush_rq->driver_data = (char *)fq->flush_rq + head;
	INIT_LIST_HEAD(&fq->flush_rq->queuelist);
	spin_lock_init(&fq->lock);
	INIT_LIST_HEAD(&fq->lists[0]);
	INIT_LIST_HEAD(&fq->lists[1]);
	hctx->fq = fq;
	return 0;
}

void blk_flush_queue_free(struct blk_flush_queue *fq)
{
	if (!fq)
		return;
	kfree(fq->flush_rq);
	kfree(fq);
}

static unsigned flush_policy(const struct request *rq)
{
	const struct queue_limits *limits = &rq->q->limits;
	unsigned policy = 0;

	if (rq->data_len)
		policy |= SEQ_DATA;
	if (!limits->write_cache)
		return policy;
	if (rq->cmd_flags & REQ_PREFLUSH)
		policy |= SEQ_PREFLUSH;
	if (rq->cmd_flags & REQ_FUA && !limits->fua)
		policy |= SEQ_POSTFLUSH;
	return policy;
}

static void flush_end_io(struct request *flush_rq, int status);

/* Starts the flush if (1), (2) and (3) hold. Under fq->lock. */
static void flush_kick_locked(struct blk_flush_queue *fq)
{
	struct list_head *pending = &fq->lists[fq->pending_idx];
	struct request *flush_rq = fq->flush_rq;
	struct request *first;

	if (fq->pending_idx != fq->running_idx || list_empty(pending)) /* (1), (2) */
		return;
	first = list_first_entry(pending, struct request, flush.list);
	if (fq->data_in_flight && /* (3) */
	    ktime_get(first->q->machine) < fq->pending_since + FLUSH_PENDING_TIMEOUT)
		return;
	fq->pending_idx ^= 1;
	flush_rq->q = first->q;
	flush_rq->mq_ctx = first->mq_ctx;
	flush_rq->mq_hctx = first->mq_hctx;
	flush_rq->tag = first->tag;
	flush_rq->internal_tag = first->internal_tag;
	flush_rq->cmd_flags = REQ_OP_FLUSH | REQ_PREFLUSH;
	flush_rq->rq_flags = RQF_FLUSH_SEQ | (first->rq_flags & RQF_SCHED_TAGS);
	flush_rq->part = first->part;
	flush_rq->status = 0;
	flush_rq->end_io = flush_end_io;
	flush_rq->start_time_ns = (u64)ktime_get(first->q->machine);
	WRITE_ONCE(flush_rq->deadline_ns, 0);
	WRITE_ONCE(flush_rq->state, MQ_RQ_IDLE);
	smp_store_release(&flush_rq->ref.refs.counter, 1);
	/* Without a scheduler the tag is the driver's: it now stands for the flush. */
	if (flush_rq->internal_tag < 0)
		smp_store_release(&first->mq_hctx->tags->rqs[first->tag], flush_rq);
	blk_mq_add_flush_request(flush_rq, false);
}

/*
 * The steps in `done` are over for the request: goes on to the next. Those whose sequence is over are put on
 * `ended` (by flush.list) with their status; the caller ends them after the lock.
 */
static void flush_complete_seq_locked(struct blk_flush_queue *fq, struct request *rq, unsigned done,
				      int status, struct list_head *ended)
{
	struct list_head *pending = &fq->lists[fq->pending_idx];
	unsigned next;

	rq->flush.seq |= done;
	if (status)
		rq->status = status;
	next = status ? SEQ_DONE : 1u << __ffs(~(unsigned long)rq->flush.seq);
	switch (next) {
	case SEQ_PREFLUSH:
	case SEQ_POSTFLUSH:
		if (list_empty(pending))
			fq->pending_since = ktime_get(rq->q->machine);
		list_move_tail(&rq->flush.list, pending);
		break;
	case SEQ_DATA:
		list_del_init(&rq->flush.list);
		fq->data_in_flight++;
		blk_mq_add_flush_request(rq, true);
		break;
	default:
		list_move_tail(&rq->flush.list, ended);
		break;
	}
}

static void flush_end_sequences(struct list_head *ended)
{
	struct request *rq, *next;

	list_for_each_entry_safe (rq, next, ended, flush.list) {
		list_del_init(&rq->flush.list);
		rq->rq_flags &= ~RQF_FLUSH_SEQ;
		rq->end_io = rq->flush.saved_end_io;
		blk_mq_end_request(rq, rq->status);
	}
}

/* The flush has ended: all that it served go on. */
static void flush_end_io(struct request *flush_rq, int status)
{
	struct blk_flush_queue *fq = flush_rq->mq_hctx->fq;
	struct blk_mq_hw_ctx *hctx = flush_rq->mq_hctx;
	struct request *rq, *next;
	struct list_head *running;
	LIST_HEAD(ended);

	spin_lock(&fq->lock);
	if (!fq->flush_status)
		fq->flush_status = status;
	/* The timeout scan may look at it just now: then that one comes here again. */
	if (!refcount_dec_and_test(&flush_rq->ref)) {
		spin_unlock(&fq->lock);
		return;
	}
	status = fq->flush_status;
	fq->flush_status = 0;
	blk_account_flush(flush_rq);
	running = &fq->lists[fq->running_idx];
	if (flush_rq->internal_tag < 0)
		smp_store_release(&hctx->tags->rqs[flush_rq->tag], hctx->tags->static_rqs[flush_rq->tag]);
	else
		blk_mq_put_driver_tag(flush_rq);
	blk_mq_put_budget(flush_rq);
	WRITE_ONCE(flush_rq->state, MQ_RQ_IDLE);
	fq->running_idx ^= 1;
	list_for_each_entry_safe (rq, next, running, flush.list)
		flush_complete_seq_locked(fq, rq, rq->flush.seq & SEQ_PREFLUSH ? SEQ_POSTFLUSH : SEQ_PREFLUSH,
					  status, &ended);
	flush_kick_locked(fq);
	spin_unlock(&fq->lock);
	flush_end_sequences(&ended);
	blk_mq_sched_restart(hctx);
}

/* The DATA of a sequence has ended. */
static void flush_data_end_io(struct request *rq, int status)
{
	struct blk_mq_hw_ctx *hctx = rq->mq_hctx;
	struct blk_flush_queue *fq = hctx->fq;
	LIST_HEAD(ended);

	blk_mq_put_driver_tag(rq);
	blk_mq_put_budget(rq);
	WRITE_ONCE(rq->state, MQ_RQ_IDLE);
	spin_lock(&fq->lock);
	fq->data_in_flight--;
	flush_complete_seq_locked(fq, rq, SEQ_DATA, status, &ended);
	flush_kick_locked(fq);
	spin_unlock(&fq->lock);
	flush_end_sequences(&ended);
	blk_mq_sched_restart(hctx);
}

bool blk_insert_flush(struct request *rq)
{
	struct blk_flush_queue *fq = rq->mq_hctx->fq;
	unsigned policy = flush_policy(rq);
	LIST_HEAD(ended);

	/* The driver sees FUA only if it can do it, and never PREFLUSH. */
	rq->cmd_flags &= ~REQ_PREFLUSH;
	if (!rq->q->limits.fua)
		rq->cmd_flags &= ~REQ_FUA;
	rq->cmd_flags |= REQ_SYNC;
	if (!policy) {
		blk_mq_end_request(rq, 0);
		return true;
	}
	if (policy == SEQ_DATA)
		return false;
	rq->flush.seq = 0;
	INIT_LIST_HEAD(&rq->flush.list);
	rq->rq_flags |= RQF_FLUSH_SEQ;
	rq->flush.saved_end_io = rq->end_io;
	rq->end_io = flush_data_end_io;
	spin_lock(&fq->lock);
	flush_complete_seq_locked(fq, rq, ~policy & (SEQ_PREFLUSH | SEQ_DATA | SEQ_POSTFLUSH), 0, &ended);
	flush_kick_locked(fq);
	spin_unlock(&fq->lock);
	return true;
}
