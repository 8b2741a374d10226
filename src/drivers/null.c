/* SPDX-License-Identifier: MIT */
/*
 * null:SIZE, a disk that does nothing, at once: reads give zeroes, writes vanish. It shows what the layers
 * above cost. The disk owns a bare tag set.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/machine.h"
#include "block/driver.h"
#include "device/module.h"

#define NULL_MAX_BYTES (1ULL << 60)

static int null_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	struct req_iterator it;
	struct bio_vec bv;

	blk_mq_start_request(rq);
	if (req_op(rq) == REQ_OP_READ)
		rq_for_each_segment(bv, rq, it)
		{
			memset(bvec_virt(&bv), 0, bv.bv_len);
		}
	blk_mq_end_request(rq, 0);
	return BLK_STS_OK;
}

static const struct blk_mq_ops null_mq_ops = {.queue_rq = null_queue_rq};

static const struct queue_limits null_limits = {
	.logical_block_size = 512,
	.max_discard_sectors = SZ_1G / SECTOR_SIZE,
	.max_write_zeroes_sectors = SZ_1G / SECTOR_SIZE,
	.discard_granularity = 512,
};

static int null_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		     const struct uri_options *options, unsigned flags, struct gendisk *lower,
		     struct gendisk **out)
{
	struct blk_mq_tag_set *set;
	u64 bytes;
	int err;

	if (blk_parse_size(rest, &bytes) || bytes < SECTOR_SIZE || bytes > NULL_MAX_BYTES)
		return disk_error(machine, -EINVAL, "null:%s: not a size between 512 bytes and 1024P", rest);
	set = kzalloc(machine, sizeof(*set));
	if (!set)
		return -ENOMEM;
	*set = (struct blk_mq_tag_set){
		.ops = &null_mq_ops, .nr_hw_queues = 1, .queue_depth = 64, .machine = machine};
	err = blk_mq_alloc_tag_set(set);
	if (err)
		goto free_struct;
	err = blk_mq_alloc_disk(set, &null_limits, set, out);
	if (err)
		goto free_set;
	set_capacity(*out, bytes >> SECTOR_SHIFT);
	return 0;

free_set:
	blk_mq_free_tag_set(set);
free_struct:
	kfree(set);
	return err;
}

static void null_close(struct gendisk *disk)
{
	struct blk_mq_tag_set *set = disk_private(disk);

	blk_mq_free_tag_set(set);
	kfree(set);
}

static const struct blk_driver null_driver = {.name = "null", .open = null_open, .close = null_close};

static int null_init(struct shale *machine)
{
	return blk_driver_register(machine, &null_driver);
}

static void null_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &null_driver);
}

SHALE_MODULE(null, MODULE_DRIVER, null_init, null_exit);
