/* SPDX-License-Identifier: MIT */
/*
 * ram:SIZE, a disk in memory, and the first driver to read: it has everything a driver needs and nothing
 * else.
 *
 * A driver is a `struct blk_driver` in the registry. Its open() makes a tag set (how many requests it takes
 * at a time, and by which functions), a disk with its limits, and sets the capacity; the block layer then
 * calls queue_rq() for each request and waits until the driver ends it, here at once. Memory comes with the
 * first write (sparse_internal.h) and goes with a discard; what was never written reads as zeroes.
 *
 * The disk owns a struct ram_disk, which close() frees. There are no locks: see sparse_internal.h.
 */
#include "base/alloc.h"
#include "base/machine.h"
#include "block/driver.h"
#include "device/module.h"
#include "drivers/sparse_internal.h"

struct ram_disk {
	struct blk_mq_tag_set set;
	struct sparse_memory memory;
};

static int ram_transfer(struct ram_disk *ram, struct request *rq)
{
	u64 offset = blk_rq_pos(rq) << SECTOR_SHIFT;
	struct req_iterator it;
	struct bio_vec bv;
	int err;

	rq_for_each_segment(bv, rq, it)
	{
		if (req_op(rq) == REQ_OP_READ) {
			sparse_read(&ram->memory, offset, bvec_virt(&bv), bv.bv_len);
		} else {
			err = sparse_write(&ram->memory, offset, bvec_virt(&bv), bv.bv_len);
			if (err)
				return err;
		}
		offset += bv.bv_len;
	}
	return 0;
}

static int ram_serve(struct ram_disk *ram, struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return ram_transfer(ram, rq);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		sparse_discard(&ram->memory, blk_rq_pos(rq) << SECTOR_SHIFT, blk_rq_bytes(rq));
		return 0;
	case REQ_OP_FLUSH:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int ram_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	blk_mq_start_request(bd->rq);
	blk_mq_end_request(bd->rq, ram_serve(blk_mq_hctx_queuedata(hctx), bd->rq));
	return BLK_STS_OK;
}

static const struct blk_mq_ops ram_mq_ops = {.queue_rq = ram_queue_rq};

static const struct queue_limits ram_limits = {
	.logical_block_size = 512,
	.physical_block_size = SPARSE_PAGE_BYTES,
	.max_sectors = SZ_1M / SECTOR_SIZE,
	.max_discard_sectors = SZ_1G / SECTOR_SIZE,
	.max_write_zeroes_sectors = SZ_1G / SECTOR_SIZE,
	.discard_granularity = SPARSE_PAGE_BYTES,
};

static int ram_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		    const struct uri_options *options, unsigned flags, struct gendisk *lower,
		    struct gendisk **out)
{
	struct ram_disk *ram;
	u64 bytes;
	int err;

	if (blk_parse_size(rest, &bytes) || bytes < SECTOR_SIZE || bytes > SPARSE_MAX_BYTES)
		return disk_error(machine, -EINVAL, "ram:%s: not a size between 512 bytes and 16T", rest);
	ram = kzalloc(machine, sizeof(*ram));
	if (!ram)
		return -ENOMEM;
	ram->set = (struct blk_mq_tag_set){
		.ops = &ram_mq_ops, .nr_hw_queues = 1, .queue_depth = 64, .machine = machine};
	err = sparse_init(machine, &ram->memory, bytes);
	if (err)
		goto free_ram;
	err = blk_mq_alloc_tag_set(&ram->set);
	if (err)
		goto free_memory;
	err = blk_mq_alloc_disk(&ram->set, &ram_limits, ram, out);
	if (err)
		goto free_set;
	set_capacity(*out, bytes >> SECTOR_SHIFT);
	return 0;

free_set:
	blk_mq_free_tag_set(&ram->set);
free_memory:
	sparse_destroy(&ram->memory);
free_ram:
	kfree(ram);
	return err;
}

static void ram_close(struct gendisk *disk)
{
	struct ram_disk *ram = disk_private(disk);

	blk_mq_free_tag_set(&ram->set);
	sparse_destroy(&ram->memory);
	kfree(ram);
}

static const struct blk_driver ram_driver = {.name = "ram", .open = ram_open, .close = ram_close};

static int ram_init(struct shale *machine)
{
	return blk_driver_register(machine, &ram_driver);
}

static void ram_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &ram_driver);
}

SHALE_MODULE(ram, MODULE_DRIVER, ram_init, ram_exit);
