/* SPDX-License-Identifier: MIT */
/*
 * cow+DISK, a disk that can be written while the one below stays as it is: writes go to memory
 * (sparse_internal.h), by sectors; reads see them laid over the disk below. With the disk all that was
 * written is gone. The disk below is never written, flushed or discarded; it is opened read-only.
 *
 * A read that finds all its sectors in memory does not go down. Else it goes down as it is, and at its end
 * the sectors that are in memory are copied over what came up: so mixed reads need no splitting. Discards are
 * not offered; zeroing costs no memory for whole pages.
 *
 * Shown while it runs: how much memory the changes take.
 */
#include "base/alloc.h"
#include "base/machine.h"
#include "base/seq_file.h"
#include "device/module.h"
#include "drivers/filter_internal.h"
#include "drivers/sparse_internal.h"

struct cow {
	struct filter filter; /* first */
	struct sparse_memory changes;
};

static struct cow *cow_of(const struct filter_rq *frq)
{
	return container_of(frq->filter, struct cow, filter);
}

static int cow_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	return filter_queue(bd->rq, 0);
}

static void cow_read_done(struct filter_rq *frq, int status)
{
	u64 offset = blk_rq_pos(frq->rq) << SECTOR_SHIFT;
	struct req_iterator it;
	struct bio_vec bv;

	if (!status)
		rq_for_each_segment(bv, frq->rq, it)
		{
			sparse_overlay(&cow_of(frq)->changes, offset, bvec_virt(&bv), bv.bv_len);
			offset += bv.bv_len;
		}
	blk_mq_end_request(frq->rq, status);
}

static void cow_read(struct filter_rq *frq)
{
	struct request *rq = frq->rq;
	int err;

	if (sparse_covers(&cow_of(frq)->changes, blk_rq_pos(rq) << SECTOR_SHIFT, blk_rq_bytes(rq))) {
		cow_read_done(frq, 0);
		return;
	}
	err = filter_clone(frq);
	if (err)
		blk_mq_end_request(rq, err);
	else
		filter_submit(frq, cow_read_done);
}

static int cow_write(struct filter_rq *frq)
{
	u64 offset = blk_rq_pos(frq->rq) << SECTOR_SHIFT;
	struct req_iterator it;
	struct bio_vec bv;
	int err = 0;

	rq_for_each_segment(bv, frq->rq, it)
	{
		err = sparse_write(&cow_of(frq)->changes, offset, bvec_virt(&bv), bv.bv_len);
		if (err)
			break;
		offset += bv.bv_len;
	}
	return err;
}

static void cow_serve(struct filter_rq *frq)
{
	struct request *rq = frq->rq;
	int err = 0;

	switch (req_op(rq)) {
	case REQ_OP_READ:
		cow_read(frq);
		return;
	case REQ_OP_WRITE:
		err = cow_write(frq);
		break;
	case REQ_OP_WRITE_ZEROES:
		err = sparse_zero(&cow_of(frq)->changes, blk_rq_pos(rq) << SECTOR_SHIFT, blk_rq_bytes(rq));
		break;
	case REQ_OP_FLUSH: /* memory has no cache before it */
		break;
	default:
		err = -EOPNOTSUPP;
	}
	blk_mq_end_request(rq, err);
}

static const struct blk_mq_ops cow_mq_ops = {.queue_rq = cow_queue_rq};

static const struct filter_shape cow_shape = {
	.name = "cow",
	.ops = &cow_mq_ops,
	.serve = cow_serve,
	.keeps_writes = true,
};

static int cow_show(struct gendisk *disk, struct seq_file *m)
{
	struct cow *cow = disk_private(disk);

	seq_printf(m, "changed_bytes=%llu\n",
		   (unsigned long long)READ_ONCE(cow->changes.nr_pages_used) * SPARSE_PAGE_BYTES);
	return 0;
}

static int cow_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		    const struct uri_options *options, unsigned flags, struct gendisk *lower,
		    struct gendisk **out)
{
	struct cow *cow = kzalloc(machine, sizeof(*cow));
	int err;

	if (!cow)
		return -ENOMEM;
	err = sparse_init(machine, &cow->changes, get_capacity(lower) << SECTOR_SHIFT);
	if (err == -EFBIG)
		disk_error(machine, err, "cow: %s is larger than 16T", disk_name(lower));
	if (err)
		goto free_cow;
	err = filter_create(&cow->filter, machine, lower, &cow_shape, out);
	if (err)
		goto destroy_changes;
	return 0;

destroy_changes:
	sparse_destroy(&cow->changes);
free_cow:
	kfree(cow);
	return err;
}

static void cow_close(struct gendisk *disk)
{
	struct cow *cow = disk_private(disk);

	filter_destroy(&cow->filter);
	sparse_destroy(&cow->changes);
	kfree(cow);
}

static const struct blk_driver cow_driver = {
	.name = "cow",
	.is_filter = true,
	.lower_flags = DISK_READ_ONLY,
	.open = cow_open,
	.close = cow_close,
	.show = cow_show,
};

static int cow_init(struct shale *machine)
{
	return blk_driver_register(machine, &cow_driver);
}

static void cow_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &cow_driver);
}

SHALE_MODULE(cow, MODULE_DRIVER, cow_init, cow_exit);
