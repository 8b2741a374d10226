/* SPDX-License-Identifier: MIT */
/*
 * Block devices: the whole of a disk and its partitions, as things that are found by number or name, opened
 * and claimed.
 *
 * Opens and claims are guarded by the disk's open_mutex. A claim is exclusive for its holder, as in Linux: a
 * device that somebody else claimed is EBUSY, the whole disk is EBUSY while a partition is claimed and a
 * partition while the whole disk is; claims of several partitions live together. While partitions are claimed
 * the whole disk's holder is the mark bd_may_claim. The same holder may claim one device many times.
 *
 * Memory: a block_device lives in a struct blk_bdev whose device counts the references; a partition holds one
 * on part 0, whose end is the end of disk and queue.
 */
#include "block/blk_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char bd_may_claim; /* only its address */

static void bdev_release_memory(struct device *dev)
{
	struct blk_bdev *b = container_of(dev, struct blk_bdev, dev);
	struct gendisk *disk = b->bdev.bd_disk;

	blk_stats_free(&b->bdev);
	if (bdev_is_partition(&b->bdev)) {
		put_device(&to_blk_bdev(disk->part0)->dev);
	} else {
		blk_queue_free(disk->queue);
		kfree(disk);
	}
	kfree(b);
}

int bdev_alloc(struct gendisk *disk, unsigned partno, struct block_device **out)
{
	struct blk_bdev *b = kzalloc(disk->machine, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	b->bdev.bd_disk = disk;
	b->bdev.bd_queue = disk->queue;
	b->bdev.bd_partno = (u8)partno;
	b->bdev.bd_device = &b->dev;
	INIT_LIST_HEAD(&b->node);
	device_initialize(disk->machine, &b->dev);
	b->dev.name = b->name;
	b->dev.class = &block_class;
	b->dev.mode = 0660;
	b->dev.driver_data = &b->bdev;
	b->dev.groups = partno ? part_attr_groups : disk_attr_groups;
	b->dev.release = bdev_release_memory;
	ret = blk_stats_alloc(&b->bdev);
	if (ret) {
		kfree(b);
		return ret;
	}
	if (partno) {
		const char *digit = isdigit((unsigned char)disk->name[strlen(disk->name) - 1]) ? "p" : "";

		snprintf(b->name, sizeof(b->name), "%s%s%u", disk->name, digit, partno & 0xff);
		b->dev.parent = &to_blk_bdev(disk->part0)->dev;
		get_device(b->dev.parent);
	}
	*out = &b->bdev;
	return 0;
}

int bdev_register_locked(struct block_device *bdev)
{
	struct blk_machine *blk = blk_machine(bdev_machine(bdev));
	struct blk_bdev *b = to_blk_bdev(bdev);
	int ret;

	b->dev.devt = bdev->bd_dev;
	if (blk->upper_ops && blk->upper_ops->bdev_added) {
		ret = blk->upper_ops->bdev_added(bdev);
		if (ret)
			return ret;
		b->told = true;
	}
	ret = device_add(&b->dev);
	if (ret) {
		if (b->told && blk->upper_ops->bdev_removed)
			blk->upper_ops->bdev_removed(bdev);
		b->told = false;
		return ret;
	}
	b->registered = true;
	return 0;
}

void bdev_unregister_locked(struct block_device *bdev)
{
	struct blk_machine *blk = blk_machine(bdev_machine(bdev));
	struct blk_bdev *b = to_blk_bdev(bdev);

	if (b->registered)
		device_del(&b->dev);
	b->registered = false;
	if (b->told && blk->upper_ops && blk->upper_ops->bdev_removed)
		blk->upper_ops->bdev_removed(bdev);
	b->told = false;
}

int bdev_show_upper(struct block_device *bdev)
{
	struct blk_machine *blk = blk_machine(bdev_machine(bdev));
	int ret;
	scoped_mutex_lock(&blk->lock);

	if (!blk->upper_ops || !blk->upper_ops->bdev_added)
		return -EOPNOTSUPP;
	ret = blk->upper_ops->bdev_added(bdev);
	to_blk_bdev(bdev)->told = !ret;
	return ret;
}

/* Calls fn for all devices that are registered, those of one disk together. */
static void bdev_for_each_locked(struct blk_machine *blk,
				 void (*fn)(struct blk_machine *blk, struct blk_bdev *b))
{
	struct gendisk *disk;
	struct blk_bdev *b;

	list_for_each_entry (disk, &blk->disks, node) {
		fn(blk, to_blk_bdev(disk->part0));
		list_for_each_entry (b, &disk->parts, node)
			fn(blk, b);
	}
}

static void upper_tell_added(struct blk_machine *blk, struct blk_bdev *b)
{
	b->told = blk->upper_ops->bdev_added && !blk->upper_ops->bdev_added(&b->bdev);
}

static void upper_tell_removed(struct blk_machine *blk, struct blk_bdev *b)
{
	if (b->told && blk->upper_ops->bdev_removed)
		blk->upper_ops->bdev_removed(&b->bdev);
	b->told = false;
}

void bdev_hide_upper(struct block_device *bdev)
{
	struct blk_machine *blk = blk_machine(bdev_machine(bdev));
	scoped_mutex_lock(&blk->lock);

	if (blk->upper_ops)
		upper_tell_removed(blk, to_blk_bdev(bdev));
}

void blk_set_upper_ops(struct shale *machine, const struct blk_upper_ops *ops)
{
	struct blk_machine *blk = blk_machine(machine);
	scoped_mutex_lock(&blk->lock);

	if (blk->upper_ops)
		bdev_for_each_locked(blk, upper_tell_removed);
	blk->upper_ops = ops;
	if (ops)
		bdev_for_each_locked(blk, upper_tell_added);
}

void bdev_resize(struct block_device *bdev, sector_t sectors)
{
	struct blk_machine *blk = blk_machine(bdev_machine(bdev));

	if (bdev_nr_sectors(bdev) == sectors)
		return;
	WRITE_ONCE(bdev->bd_nr_sectors, sectors);
	/*
	 * A disk that is being made, or hidden, is known to nobody; drivers change others from their own
	 * context.
	 */
	if (READ_ONCE(to_blk_bdev(bdev)->told) && blk->upper_ops->bdev_resized)
		blk->upper_ops->bdev_resized(bdev);
}

static struct block_device *bdev_find_locked(struct blk_machine *blk, dev_t dev, const char *name)
{
	struct gendisk *disk;
	struct blk_bdev *b;

	list_for_each_entry (disk, &blk->disks, node) {
		b = to_blk_bdev(disk->part0);
		if (name ? !strcmp(b->name, name) : b->bdev.bd_dev == dev)
			return &b->bdev;
		list_for_each_entry (b, &disk->parts, node)
			if (name ? !strcmp(b->name, name) : b->bdev.bd_dev == dev)
				return &b->bdev;
	}
	return NULL;
}

int blkdev_lookup_name(struct shale *machine, const char *name, dev_t *out)
{
	struct blk_machine *blk = blk_machine(machine);
	struct block_device *bdev;
	scoped_mutex_lock(&blk->lock);

	bdev = bdev_find_locked(blk, 0, name);
	if (!bdev)
		return -ENODEV;
	*out = bdev->bd_dev;
	return 0;
}

static bool bdev_may_claim(const struct block_device *bdev, const void *holder,
			   const struct blk_holder_ops *ops)
{
	const struct block_device *whole = bdev_whole(bdev);

	if (bdev->bd_holder)
		return bdev->bd_holder == holder && bdev->bd_holder_ops == ops;
	return whole == bdev || !whole->bd_holder || whole->bd_holder == &bd_may_claim;
}

static int bdev_claim(struct block_device *bdev, void *holder, const struct blk_holder_ops *ops)
{
	struct block_device *whole = bdev_whole(bdev);

	if (!bdev_may_claim(bdev, holder, ops))
		return -EBUSY;
	if (whole != bdev) {
		whole->bd_holders++;
		whole->bd_holder = (void *)&bd_may_claim;
	}
	bdev->bd_holders++;
	bdev->bd_holder = holder;
	bdev->bd_holder_ops = ops;
	return 0;
}

static void bdev_unclaim_one(struct block_device *bdev)
{
	BUG_ON(bdev->bd_holders <= 0);
	if (--bdev->bd_holders)
		return;
	bdev->bd_holder = NULL;
	bdev->bd_holder_ops = NULL;
}

static int bdev_open(struct block_device *bdev, unsigned mode, void *holder, const struct blk_holder_ops *ops)
{
	struct gendisk *disk = bdev->bd_disk;
	int ret = 0;
	scoped_mutex_lock(&disk->open_mutex);

	if (test_bit(GD_DEAD, &disk->state))
		return -ENXIO;
	if (mode & BLK_OPEN_WRITE && bdev_read_only(bdev))
		return -EACCES;
	if (holder)
		ret = bdev_claim(bdev, holder, ops);
	if (ret)
		return ret;
	atomic_inc(&bdev->bd_openers);
	if (bdev_is_partition(bdev))
		disk->open_partitions++;
	return 0;
}

int blkdev_get_by_dev(struct shale *machine, dev_t dev, unsigned mode, void *holder,
		      const struct blk_holder_ops *ops, struct block_device **out)
{
	struct blk_machine *blk = blk_machine(machine);
	struct block_device *bdev;
	int ret;
	scoped_mutex_lock(&blk->lock);

	if (blk->unread)
		return -EAGAIN;
	bdev = bdev_find_locked(blk, dev, NULL);
	if (!bdev)
		return -ENXIO;
	ret = bdev_open(bdev, mode, holder, ops);
	if (ret)
		return ret;
	bdev_get(bdev);
	*out = bdev;
	return 0;
}

void blkdev_put(struct block_device *bdev, void *holder)
{
	struct gendisk *disk = bdev->bd_disk;

	mutex_lock(&disk->open_mutex);
	if (holder) {
		if (bdev_is_partition(bdev))
			bdev_unclaim_one(bdev_whole(bdev));
		bdev_unclaim_one(bdev);
	}
	atomic_dec(&bdev->bd_openers);
	if (bdev_is_partition(bdev))
		disk->open_partitions--;
	mutex_unlock(&disk->open_mutex);
	bdev_release(bdev);
}

void bdev_get(struct block_device *bdev)
{
	get_device(bdev->bd_device);
}

void bdev_release(struct block_device *bdev)
{
	put_device(bdev->bd_device);
}

static void bdev_mark_one_dead(struct block_device *bdev, bool surprise)
{
	const struct blk_holder_ops *ops = bdev->bd_holder_ops;

	if (ops && ops->mark_dead)
		ops->mark_dead(bdev, surprise);
}

/*
 * Tells the holders. The disk is marked dead, so there are no new ones; those who are there must not put the
 * device from within.
 */
void bdev_mark_dead(struct block_device *part0, bool surprise)
{
	struct gendisk *disk = part0->bd_disk;
	struct blk_bdev *b;

	bdev_mark_one_dead(part0, surprise);
	list_for_each_entry (b, &disk->parts, node)
		bdev_mark_one_dead(&b->bdev, surprise);
}

unsigned bdev_logical_block_size(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.logical_block_size;
}

unsigned bdev_physical_block_size(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.physical_block_size;
}

bool bdev_read_only(const struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_read_only) || READ_ONCE(bdev->bd_disk->part0->bd_read_only);
}

struct shale *bdev_machine(const struct block_device *bdev)
{
	return bdev->bd_disk->machine;
}

const char *bdev_name(const struct block_device *bdev)
{
	return to_blk_bdev(bdev)->name;
}

u32 bdev_max_discard_sectors(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.max_discard_sectors;
}

u32 bdev_discard_granularity(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.discard_granularity;
}

bool bdev_write_cache(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.write_cache;
}

bool bdev_fua(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.fua;
}

u32 bdev_io_opt(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.io_opt;
}

bool bdev_rotational(const struct block_device *bdev)
{
	return bdev->bd_queue->limits.rotational;
}

struct block_device *bdev_whole(const struct block_device *bdev)
{
	return bdev->bd_disk->part0;
}
