/* SPDX-License-Identifier: MIT */
/*
 * Cutting and joining: a bio is cut to what one request of the queue may be, and joined to a request that
 * waits and touches it.
 *
 * What may be joined: reads, writes and discards of one operation, neighbours on the disk, within the limits
 * in sum, neither flushes nor FUA, and before the driver has seen the request. The request and its bios are
 * guarded by whoever holds it back: the thread (plug), the context's lock (software queue), the scheduler's
 * lock.
 */
#include "block/blk_internal.h"

#include "base/trace.h"

static u32 op_max_sectors(const struct queue_limits *limits, enum req_op op)
{
	switch (op) {
	case REQ_OP_DISCARD:
		return limits->max_discard_sectors;
	case REQ_OP_WRITE_ZEROES:
		return limits->max_write_zeroes_sectors;
	default:
		return limits->max_sectors;
	}
}

/* How many segments a vector counts for. */
static inline unsigned bvec_segs(const struct queue_limits *limits, u32 len)
{
	if (likely(len <= limits->max_segment_bytes))
		return len != 0;
	return (len - 1) / limits->max_segment_bytes + 1;
}

/*
 * Bytes of the bio, from its start, that fit one request: all of them, or a multiple of the logical block;
 * *nr_segs of these.
 */
static u32 bio_fitting_bytes(const struct bio *bio, const struct queue_limits *limits, unsigned *nr_segs)
{
	u64 max_bytes = (u64)limits->max_sectors << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned segs = 0;
	u32 bytes = 0;

	bio_for_each_segment (bv, bio, iter) {
		unsigned more = bvec_segs(limits, bv.bv_len);

		if (segs + more > limits->max_segments || bytes + (u64)bv.bv_len > max_bytes) {
			u64 room = max_bytes - bytes;
			u64 segs_room = (u64)(limits->max_segments - segs) * limits->max_segment_bytes;

			room = min(min(room, segs_room), (u64)bv.bv_len);
			bytes += room;
			segs += bvec_segs(limits, (u32)room);
			break;
		}
		segs += more;
		bytes += bv.bv_len;
	}
	*nr_segs = segs;
	return bytes == bio->bi_iter.bi_size ? bytes : round_down(bytes, limits->logical_block_size);
}

static struct bio *bio_submit_split(struct bio *bio, u32 sectors)
{
	struct bio *split;

	if (!sectors) { /* less than one block fits: vectors that the device cannot take */
		bio_io_error(bio);
		return NULL;
	}
	split = bio_split(bio, sectors, bio->bi_bdev->bd_queue->split_set);
	split->bi_opf |= REQ_NOMERGE;
	TRACE(block_split, bio, split->bi_iter.bi_sector, sectors);
	bio_chain(split, bio);
	submit_bio_noacct(bio);
	return split;
}

struct bio *bio_split_to_limits(struct bio *bio, const struct queue_limits *limits, unsigned *nr_segs)
{
	u32 bytes;

	if (!bio_has_data(bio)) {
		u32 max = op_max_sectors(limits, bio_op(bio));

		*nr_segs = 0;
		return likely(bio_sectors(bio) <= max) ? bio : bio_submit_split(bio, max);
	}
	if (likely(bio->bi_vcnt == 1 && bio->bi_iter.bi_size <= limits->max_segment_bytes &&
		   bio_sectors(bio) <= limits->max_sectors)) {
		*nr_segs = 1;
		return bio;
	}
	bytes = bio_fitting_bytes(bio, limits, nr_segs);
	if (likely(bytes == bio->bi_iter.bi_size))
		return bio;
	return bio_submit_split(bio, bytes >> SECTOR_SHIFT);
}

bool bio_mergeable(const struct bio *bio)
{
	enum req_op op = bio_op(bio);

	return !(bio->bi_opf & (REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA)) && bio->bi_iter.bi_size &&
	       (op == REQ_OP_READ || op == REQ_OP_WRITE || op == REQ_OP_DISCARD);
}

bool blk_rq_mergeable(const struct request *rq)
{
	enum req_op op = req_op(rq);

	return !(rq->cmd_flags & (REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA)) &&
	       !(rq->rq_flags & (RQF_STARTED | RQF_FLUSH_SEQ)) && rq->bio &&
	       (op == REQ_OP_READ || op == REQ_OP_WRITE || op == REQ_OP_DISCARD);
}

static bool merge_fits(const struct request *rq, const struct bio *bio, unsigned nr_segs)
{
	const struct queue_limits *limits = &rq->q->limits;

	if (req_op(rq) != bio_op(bio) || !blk_rq_mergeable(rq))
		return false;
	/* Those who wait for a bio that may fail early, or may not wait, are not tied to others. */
	if ((rq->cmd_flags ^ bio->bi_opf) & (REQ_NOWAIT | REQ_POLLED))
		return false;
	if ((u64)rq->data_len + bio->bi_iter.bi_size > (u64)op_max_sectors(limits, bio_op(bio))
							       << SECTOR_SHIFT)
		return false;
	return rq->nr_phys_segments + nr_segs <= limits->max_segments;
}

static void merge_done(struct request *rq, struct bio *bio, unsigned nr_segs)
{
	rq->data_len += bio->bi_iter.bi_size;
	rq->nr_phys_segments += (u16)nr_segs;
	/* Readahead that others wait for is no readahead any more. */
	if (!(bio->bi_opf & REQ_RAHEAD))
		rq->cmd_flags &= ~REQ_RAHEAD;
	rq->cmd_flags |= bio->bi_opf & (REQ_SYNC | REQ_META | REQ_PRIO);
	blk_account_merge(rq);
}

enum elv_merge blk_elv_try_merge(struct request *rq, struct bio *bio, unsigned nr_segs)
{
	sector_t end = rq->sector + (rq->data_len >> SECTOR_SHIFT);

	if (end == bio->bi_iter.bi_sector) {
		if (!merge_fits(rq, bio, nr_segs))
			return ELEVATOR_NO_MERGE;
		TRACE(block_bio_backmerge, rq, bio, bio->bi_iter.bi_sector);
		bio->bi_next = NULL;
		rq->biotail->bi_next = bio;
		rq->biotail = bio;
		merge_done(rq, bio, nr_segs);
		return ELEVATOR_BACK_MERGE;
	}
	if (bio_end_sector(bio) == rq->sector) {
		if (!merge_fits(rq, bio, nr_segs))
			return ELEVATOR_NO_MERGE;
		TRACE(block_bio_frontmerge, rq, bio, bio->bi_iter.bi_sector);
		bio->bi_next = rq->bio;
		rq->bio = bio;
		rq->sector = bio->bi_iter.bi_sector;
		merge_done(rq, bio, nr_segs);
		return ELEVATOR_FRONT_MERGE;
	}
	return ELEVATOR_NO_MERGE;
}

/* The last request of this queue that the plug holds; older ones are let be, as they are rarely neighbours.
 */
bool blk_attempt_plug_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs)
{
	struct blk_plug *plug = current->plug;
	struct request *rq = plug->mq_tail;

	if (!rq)
		return false;
	if (rq->q != q) {
		if (!plug->multiple_queues)
			return false;
		rq = NULL;
		for (struct request *r = plug->mq_list; r; r = r->rq_next)
			if (r->q == q)
				rq = r;
	}
	return rq && blk_elv_try_merge(rq, bio, nr_segs) != ELEVATOR_NO_MERGE;
}

#define CTX_MERGE_LOOKS 8 /* how many of the newest requests are tried */

bool blk_attempt_ctx_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs)
{
	struct blk_mq_ctx *ctx = &q->ctxs[current->shard];
	unsigned looks = CTX_MERGE_LOOKS;
	struct request *rq;
	bool merged = false;

	if (list_empty(&ctx->rq_list))
		return false;
	spin_lock(&ctx->lock);
	list_for_each_entry_reverse (rq, &ctx->rq_list, queuelist) {
		if (!looks--)
			break;
		if (blk_elv_try_merge(rq, bio, nr_segs) == ELEVATOR_NO_MERGE)
			continue;
		merged = true;
		break;
	}
	spin_unlock(&ctx->lock);
	return merged;
}
