/* SPDX-License-Identifier: MIT */
/*
 * The block floor of a machine: made by blk_init() after the devices, ended by blk_exit() after file systems
 * and drivers.
 */
#include "block/blk_internal.h"

#define BLOCK_MAJOR_NAME     "shale"
#define BLOCK_EXT_MAJOR_NAME "blkext"

static int blk_register_majors(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);
	int ret = register_blkdev(machine, BLOCK_EXT_MAJOR, BLOCK_EXT_MAJOR_NAME);

	if (ret < 0)
		return ret;
	blk->major = register_blkdev(machine, 0, BLOCK_MAJOR_NAME);
	return blk->major < 0 ? blk->major : 0;
}

static void blk_unregister_majors(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);

	if (blk->major > 0)
		device_major_unregister(machine, DEVICE_BLOCK, (unsigned)blk->major, BLOCK_MAJOR_NAME);
	device_major_unregister(machine, DEVICE_BLOCK, BLOCK_EXT_MAJOR, BLOCK_EXT_MAJOR_NAME);
}

int blk_init(struct shale *machine)
{
	struct blk_machine *blk = kzalloc(machine, sizeof(*blk));
	int ret;

	if (!blk)
		return -ENOMEM;
	machine->blk = blk;
	blk->unread = machine->held;
	mutex_init(&blk->lock);
	spin_lock_init(&blk->error_lock);
	INIT_LIST_HEAD(&blk->disks);
	INIT_LIST_HEAD(&blk->drivers);
	INIT_LIST_HEAD(&blk->elevators);
	ret = blk_register_majors(machine);
	if (ret)
		goto out_majors;
	ret = alloc_workqueue(machine, "kblockd", 0, &blk->wq);
	if (ret)
		goto out_majors;
	ret = bio_machine_init(machine);
	if (ret)
		goto out_wq;
	return 0;

out_wq:
	destroy_workqueue(blk->wq);
out_majors:
	blk_unregister_majors(machine);
	machine->blk = NULL;
	kfree(blk);
	return ret;
}

void blk_exit(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);

	if (!blk)
		return;
	disks_close_all(machine);
	BUG_ON(!list_empty(&blk->drivers) || !list_empty(&blk->elevators));
	bio_machine_exit(machine);
	destroy_workqueue(blk->wq);
	blk_unregister_majors(machine);
	machine->blk = NULL;
	kfree(blk);
}
