/* SPDX-License-Identifier: MIT */
/*
 * The common part of all filters; filter_internal.h tells how it is used. A request's filter_rq belongs to
 * the filter between blk_mq_start_request and blk_mq_end_request, and to one context at a time: queue_rq,
 * then the work item, then the end of the lower bio.
 */
#include "drivers/filter_internal.h"

#include <string.h>

#include "base/machine.h"

#define FILTER_DEPTH 64

int filter_create(struct filter *filter, struct shale *machine, struct gendisk *lower,
		  const struct filter_shape *shape, struct gendisk **out)
{
	struct queue_limits limits = *disk_limits(lower);
	int err;

	limits.max_segments = min_t(u16, limits.max_segments, FILTER_SEGMENTS);
	limits.write_cache = limits.fua = true;
	if (shape->keeps_writes) {
		limits.max_discard_sectors = 0;
		limits.dma_alignment |= SECTOR_SIZE - 1; /* changes are kept by whole sectors */
		limits.max_write_zeroes_sectors = SZ_1G / SECTOR_SIZE;
	}
	filter->machine = machine;
	filter->lower = lower;
	filter->serve = shape->serve;
	filter->set = (struct blk_mq_tag_set){
		.ops = shape->ops,
		.nr_hw_queues = 1,
		.queue_depth = FILTER_DEPTH,
		.cmd_size = sizeof(struct filter_rq) + shape->priv_bytes,
		.machine = machine,
	};
	err = alloc_workqueue(machine, shape->name, 1, &filter->wq);
	if (err)
		return err;
	err = blk_mq_alloc_tag_set(&filter->set);
	if (err)
		goto destroy_wq;
	err = blk_mq_alloc_disk(&filter->set, &limits, filter, out);
	if (err)
		goto free_set;
	set_capacity(*out, get_capacity(lower));
	if (disk_is_ro(lower) && !shape->keeps_writes)
		set_disk_ro(*out, true);
	return 0;

free_set:
	blk_mq_free_tag_set(&filter->set);
destroy_wq:
	destroy_workqueue(filter->wq);
	return err;
}

void filter_destroy(struct filter *filter)
{
	destroy_workqueue(filter->wq);
	blk_mq_free_tag_set(&filter->set);
}

static void filter_work(struct work_struct *work)
{
	struct filter_rq *frq = container_of(to_delayed_work(work), struct filter_rq, work);

	frq->filter->serve(frq);
}

int filter_queue(struct request *rq, s64 ns)
{
	struct filter_rq *frq = blk_mq_rq_to_pdu(rq);

	if (!frq->filter) {
		/* Once only: the item may still be leaving the worker that ended this tag's last request. */
		frq->filter = blk_mq_rq_queuedata(rq);
		INIT_DELAYED_WORK(frq->filter->machine, &frq->work, filter_work);
	}
	frq->rq = rq;
	blk_mq_start_request(rq);
	queue_delayed_work(frq->filter->wq, &frq->work, ns);
	return BLK_STS_OK;
}

void filter_requeue(struct filter_rq *frq, s64 ns)
{
	queue_delayed_work(frq->filter->wq, &frq->work, ns);
}

int filter_clone(struct filter_rq *frq)
{
	struct request *rq = frq->rq;
	struct bio *bio = &frq->bio;
	struct req_iterator it;
	struct bio_vec bv;
	blk_opf_t opf = rq->cmd_flags;

	if (req_op(rq) == REQ_OP_FLUSH)
		opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
	bio_init(bio, filter_bdev(frq->filter), frq->vecs, FILTER_SEGMENTS, opf);
	bio->bi_ioprio = rq->ioprio;
	if (req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE) {
		rq_for_each_segment(bv, rq, it)
		{
			if (bio_add_mem(bio, bvec_virt(&bv), bv.bv_len) != bv.bv_len)
				return -EIO;
		}
	} else {
		bio->bi_iter.bi_size = blk_rq_bytes(rq);
	}
	if (req_op(rq) != REQ_OP_FLUSH)
		bio->bi_iter.bi_sector = blk_rq_pos(rq);
	return 0;
}

static void filter_end_io(struct bio *bio)
{
	struct filter_rq *frq = bio->bi_private;

	if (frq->done)
		frq->done(frq, bio->bi_status);
	else
		blk_mq_end_request(frq->rq, bio->bi_status);
}

void filter_submit(struct filter_rq *frq, void (*done)(struct filter_rq *frq, int status))
{
	frq->done = done;
	frq->bio.bi_private = frq;
	frq->bio.bi_end_io = filter_end_io;
	submit_bio(&frq->bio);
}

void filter_pass(struct filter_rq *frq)
{
	int err = filter_clone(frq);

	if (err)
		blk_mq_end_request(frq->rq, err);
	else
		filter_submit(frq, NULL);
}

int filter_parse_time(const char *text, s64 *ns)
{
	static const struct {
		const char *unit;
		s64 ns;
	} units[] = {{"", 1}, {"ns", 1}, {"us", NSEC_PER_USEC}, {"ms", NSEC_PER_MSEC}, {"s", NSEC_PER_SEC}};
	s64 value = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		value = value * 10 + (*text - '0');
		if (value > 3600 * NSEC_PER_SEC)
			return -EINVAL;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(text, units[i].unit))
			continue;
		if (value > 3600 * NSEC_PER_SEC / units[i].ns)
			return -EINVAL;
		*ns = value * units[i].ns;
		return 0;
	}
	return -EINVAL;
}
