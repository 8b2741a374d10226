/* SPDX-License-Identifier: MIT */
/*
 * A state (state.h) as a disk of a machine. Its requests end at once, as those of the RAM disk do; the state
 * belongs to the test and outlives the disk.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "block/driver.h"
#include "crash/state.h"
#include "device/module.h"

struct state_disk {
	struct blk_mq_tag_set set;
	struct state *state;
};

static void state_disk_read(struct state *state, struct request *rq)
{
	u64 offset = blk_rq_pos(rq) << SECTOR_SHIFT;
	struct req_iterator it;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, it)
	{
		state_read(state, offset, bvec_virt(&bv), bv.bv_len);
		offset += bv.bv_len;
	}
}

/* A segment need not be of whole sectors, so those that are not are put together first. */
static void state_disk_write(struct state *state, struct request *rq)
{
	u64 sector = blk_rq_pos(rq);
	u8 buf[SECTOR_SIZE];
	u32 held = 0;
	struct req_iterator it;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, it)
	{
		const u8 *from = bvec_virt(&bv);

		for (u32 left = bv.bv_len, n; left; left -= n, from += n) {
			n = min_t(u32, left, SECTOR_SIZE - held);
			memcpy(buf + held, from, n);
			held = (held + n) % SECTOR_SIZE;
			if (!held)
				state_write(state, sector++, 1, buf);
		}
	}
}

static int state_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct state_disk *disk = blk_mq_hctx_queuedata(hctx);
	struct request *rq = bd->rq;

	blk_mq_start_request(rq);
	switch (req_op(rq)) {
	case REQ_OP_READ:
		state_disk_read(disk->state, rq);
		break;
	case REQ_OP_WRITE:
		state_disk_write(disk->state, rq);
		break;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		state_put(disk->state, blk_rq_pos(rq), blk_rq_bytes(rq) >> SECTOR_SHIFT, NULL, NULL);
		break;
	default:
		break;
	}
	blk_mq_end_request(rq, 0);
	return BLK_STS_OK;
}

static const struct blk_mq_ops state_mq_ops = {.queue_rq = state_queue_rq};

static const struct queue_limits state_limits = {
	.logical_block_size = 512,
	.physical_block_size = 4096,
	.max_sectors = SZ_1M / SECTOR_SIZE,
	.max_discard_sectors = SZ_1G / SECTOR_SIZE,
	.max_write_zeroes_sectors = SZ_1G / SECTOR_SIZE,
	.discard_granularity = 4096,
	.write_cache = true,
	.fua = true,
};

static int state_disk_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
			   const struct uri_options *options, unsigned flags, struct gendisk *lower,
			   struct gendisk **out)
{
	struct state_disk *disk = kzalloc(machine, sizeof(*disk));
	void *state;
	int err;

	if (!disk)
		return -ENOMEM;
	if (sscanf(uri_option(options, "state"), "%p", &state) != 1) {
		kfree(disk);
		return -EINVAL;
	}
	disk->state = state;
	disk->set = (struct blk_mq_tag_set){
		.ops = &state_mq_ops, .nr_hw_queues = 1, .queue_depth = 64, .machine = machine};
	err = blk_mq_alloc_tag_set(&disk->set);
	if (!err) {
		err = blk_mq_alloc_disk(&disk->set, &state_limits, disk, out);
		if (err)
			blk_mq_free_tag_set(&disk->set);
	}
	if (err)
		kfree(disk);
	else
		set_capacity(*out, disk->state->nr_sectors);
	return err;
}

static void state_disk_close(struct gendisk *gendisk)
{
	struct state_disk *disk = disk_private(gendisk);

	blk_mq_free_tag_set(&disk->set);
	kfree(disk);
}

static const char *const state_options[] = {"state", NULL};

static const struct blk_driver state_driver = {
	.name = "state",
	.is_filter = true,
	.open = state_disk_open,
	.close = state_disk_close,
	.options = state_options,
};

static int state_driver_init(struct shale *machine)
{
	return blk_driver_register(machine, &state_driver);
}

static void state_driver_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &state_driver);
}

SHALE_MODULE(crash_state, MODULE_DRIVER, state_driver_init, state_driver_exit);
