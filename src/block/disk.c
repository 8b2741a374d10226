/* SPDX-License-Identifier: MIT */
/*
 * Disks: their making, appearance, change of size and removal.
 *
 * A disk comes from blk_mq_alloc_disk() with its queue, appears by device_add_disk() (numbers, part 0, node,
 * partitions) and goes by del_gendisk(): its devices vanish, its queue is frozen for good, later I/O fails.
 * Its memory lives until the last reference on part 0. blk_machine.lock orders additions and removals;
 * gendisk.open_mutex guards opens and the list of partitions.
 */
#include "block/blk_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <ctype.h>
#include <string.h>

#include "base/log.h"

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set)
{
	int ret = 0;

	if (!set->ops || !set->ops->queue_rq || !set->machine || !set->queue_depth ||
	    set->queue_depth > 10240 || !set->nr_hw_queues || set->nr_hw_queues > SHARDS ||
	    (set->ops->get_budget && !set->ops->put_budget))
		return -EINVAL;
	set->tags = kcalloc(set->machine, set->nr_hw_queues, sizeof(*set->tags));
	if (!set->tags)
		return -ENOMEM;
	for (unsigned i = 0; !ret && i < set->nr_hw_queues; i++)
		ret = blk_mq_tags_alloc(set->machine, set->queue_depth, set->cmd_size, &set->tags[i]);
	if (ret)
		blk_mq_free_tag_set(set);
	return ret;
}

void blk_mq_free_tag_set(struct blk_mq_tag_set *set)
{
	if (!set->tags)
		return;
	for (unsigned i = 0; i < set->nr_hw_queues; i++)
		blk_mq_tags_free(set->tags[i]);
	kfree(set->tags);
	set->tags = NULL;
}

int disk_alloc(struct request_queue *q, struct gendisk **out)
{
	struct gendisk *disk = kzalloc(q->machine, sizeof(*disk));
	int ret;

	if (!disk)
		return -ENOMEM;
	disk->machine = q->machine;
	disk->queue = q;
	mutex_init(&disk->open_mutex);
	INIT_LIST_HEAD(&disk->parts);
	INIT_LIST_HEAD(&disk->node);
	snprintf(disk->name, sizeof(disk->name), "(new)");
	ret = bdev_alloc(disk, 0, &disk->part0);
	if (ret) {
		kfree(disk);
		return ret;
	}
	q->disk = disk;
	*out = disk;
	return 0;
}

int blk_mq_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *limits, void *queuedata,
		      struct gendisk **out)
{
	struct request_queue *q;
	int ret = blk_queue_alloc(set->machine, set, limits, queuedata, &q);

	if (ret)
		return ret;
	ret = disk_alloc(q, out);
	if (ret)
		blk_queue_free(q);
	return ret;
}

int blk_alloc_disk(struct shale *machine, const struct queue_limits *limits,
		   void (*submit)(struct bio *bio, void *queuedata), void *queuedata, struct gendisk **out)
{
	struct request_queue *q;
	int ret = blk_queue_alloc(machine, NULL, limits, queuedata, &q);

	if (ret)
		return ret;
	q->submit = submit;
	ret = disk_alloc(q, out);
	if (ret)
		blk_queue_free(q);
	return ret;
}

struct gendisk *disk_find_locked(struct blk_machine *blk, const char *name)
{
	struct gendisk *disk;

	list_for_each_entry (disk, &blk->disks, node)
		if (!strcmp(disk->name, name))
			return disk;
	return NULL;
}

/* A name that a directory can hold and that does not break a line of messages or tables. */
static bool disk_name_fits(const char *name)
{
	if (!*name || strlen(name) >= DISK_NAME_LEN || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || iscntrl((unsigned char)*name))
			return false;
	return true;
}

static int disk_set_name(struct gendisk *disk, const char *name)
{
	if (!disk_name_fits(name))
		return disk_error(disk->machine, -EINVAL, "\"%s\" cannot be the name of a disk", name);
	snprintf(disk->name, sizeof(disk->name), "%s", name);
	return 0;
}

static int disk_register_locked(struct gendisk *disk, struct blk_machine *blk)
{
	int ret;

	if (disk_find_locked(blk, disk->name))
		return disk_error(disk->machine, -EEXIST, "there is a disk %s already", disk->name);
	ret = device_minors_alloc(disk->machine, DEVICE_BLOCK, (unsigned)blk->major, DISK_MINORS,
				  &disk->first_minor);
	if (ret)
		return ret;
	disk->part0->bd_dev = makedev((unsigned)blk->major, disk->first_minor);
	ret = bdev_register_locked(disk->part0);
	if (ret) {
		device_minors_free(disk->machine, DEVICE_BLOCK, (unsigned)blk->major, disk->first_minor,
				   DISK_MINORS);
		return ret;
	}
	list_add_tail(&disk->node, &blk->disks);
	set_bit(GD_ADDED, &disk->state);
	return 0;
}

int device_add_disk(struct gendisk *disk, const char *name, unsigned flags)
{
	struct blk_machine *blk = blk_machine(disk->machine);
	int ret = disk_set_name(disk, name);

	if (ret)
		return ret;
	snprintf(to_blk_bdev(disk->part0)->name, DISK_NAME_LEN, "%s", disk->name);
	disk->flags = flags;
	if (flags & GENHD_FL_HIDDEN)
		return 0;
	mutex_lock(&blk->lock);
	ret = disk_register_locked(disk, blk);
	/* A table that cannot be read or is damaged leaves the disk without partitions, as in Linux. */
	if (!ret && !(flags & GENHD_FL_NO_PART)) {
		if (blk->unread)
			set_bit(GD_UNREAD, &disk->state);
		else
			(void)disk_scan_partitions_locked(disk);
	}
	mutex_unlock(&blk->lock);
	return ret;
}

static void disk_unregister_locked(struct gendisk *disk, struct blk_machine *blk)
{
	disk_drop_partitions_locked(disk);
	bdev_unregister_locked(disk->part0);
	device_minors_free(disk->machine, DEVICE_BLOCK, (unsigned)blk->major, disk->first_minor, DISK_MINORS);
	list_del_init(&disk->node);
	clear_bit(GD_ADDED, &disk->state);
}

void del_gendisk(struct gendisk *disk)
{
	struct blk_machine *blk = blk_machine(disk->machine);
	struct request_queue *q = disk->queue;

	mutex_lock(&blk->lock);
	mutex_lock(&disk->open_mutex);
	set_bit(GD_DEAD, &disk->state);
	mutex_unlock(&disk->open_mutex);
	bdev_mark_dead(disk->part0, false);
	if (test_bit(GD_ADDED, &disk->state))
		disk_unregister_locked(disk, blk);
	mutex_unlock(&blk->lock);
	/* Requests that are under way end; then the queue stays frozen, and who wants to enter is refused. */
	WRITE_ONCE(q->dying, true);
	blk_freeze_queue(q);
	wake_up_all(&q->freeze_wq);
	blk_queue_exit_hctxs(q);
}

void put_disk(struct gendisk *disk)
{
	put_device(&to_blk_bdev(disk->part0)->dev);
}

static void disk_apply_size(struct gendisk *disk)
{
	sector_t sectors = disk->capacity;

	if (disk->window_count)
		sectors = sectors > disk->window_start ? min(disk->window_count, sectors - disk->window_start)
						       : 0;
	bdev_resize(disk->part0, sectors);
}

void set_capacity(struct gendisk *disk, sector_t sectors)
{
	/* The end of the last sector must have a byte offset that a signed 64-bit number can hold. */
	sectors = min(sectors, (sector_t)INT64_MAX >> SECTOR_SHIFT);
	WRITE_ONCE(disk->capacity,
		   round_down(sectors, (sector_t)disk->queue->limits.logical_block_size >> SECTOR_SHIFT));
	disk_apply_size(disk);
}

void disk_set_window(struct gendisk *disk, sector_t start, sector_t count)
{
	disk->window_start = start;
	disk->window_count = count;
	disk->part0->bd_start_sect = start;
	disk_apply_size(disk);
}

sector_t get_capacity(const struct gendisk *disk)
{
	return bdev_nr_sectors(disk->part0);
}

void set_disk_ro(struct gendisk *disk, bool read_only)
{
	WRITE_ONCE(disk->part0->bd_read_only, read_only);
}

bool disk_is_ro(const struct gendisk *disk)
{
	return READ_ONCE(disk->part0->bd_read_only);
}

struct block_device *disk_part0(struct gendisk *disk)
{
	return disk->part0;
}

void *disk_private(struct gendisk *disk)
{
	return disk->queue->queuedata;
}

struct shale *disk_machine(struct gendisk *disk)
{
	return disk->machine;
}

const char *disk_name(const struct gendisk *disk)
{
	return disk->name;
}

const struct queue_limits *disk_limits(const struct gendisk *disk)
{
	return &disk->queue->limits;
}

int disk_rescan_partitions(struct block_device *whole)
{
	struct gendisk *disk = whole->bd_disk;
	struct blk_machine *blk = blk_machine(disk->machine);
	int ret;
	scoped_mutex_lock(&blk->lock);

	if (bdev_is_partition(whole) || disk->flags & (GENHD_FL_HIDDEN | GENHD_FL_NO_PART))
		return -EINVAL;
	if (test_bit(GD_DEAD, &disk->state) || !test_bit(GD_ADDED, &disk->state))
		return -ENXIO;
	mutex_lock(&disk->open_mutex);
	ret = disk->open_partitions ? -EBUSY : 0;
	mutex_unlock(&disk->open_mutex);
	if (ret)
		return ret;
	disk_drop_partitions_locked(disk);
	return disk_scan_partitions_locked(disk);
}
