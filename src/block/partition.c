/* SPDX-License-Identifier: MIT */
/*
 * Partitions: reading the table of a disk and making a block device of each entry.
 *
 * The parsers (part_gpt.c, part_msdos.c) fill a table of what they found, in sectors; nothing on the disk is
 * believed: part_put() is the one place where a run is checked against the size of the disk. As in Linux, a
 * partition that begins beyond the end is left out, one that ends beyond it is cut, and ones that overlap are
 * kept, each with a message. blk_machine.lock is held, so that adding and removing partitions does not race.
 */
#include "block/blk_internal.h"

#include <string.h>

#include "base/log.h"

int part_read_bytes(struct part_table *table, u64 lba, void *buf, size_t bytes)
{
	struct block_device *bdev = table->disk->part0;
	sector_t sector, end;
	size_t done = 0;

	if (check_mul_overflow(lba, (u64)table->block_sectors, &sector) ||
	    check_add_overflow(sector, (sector_t)(bytes >> SECTOR_SHIFT), &end) || end > table->capacity)
		return -EIO;
	while (done < bytes) {
		unsigned part = (unsigned)min(bytes - done, (size_t)SZ_64K);
		struct bio *bio;
		int ret = bio_alloc(bdev, 1, REQ_OP_READ | REQ_META, &bio);

		if (ret)
			return ret;
		bio->bi_iter.bi_sector = sector + (done >> SECTOR_SHIFT);
		bio_add_mem(bio, (char *)buf + done, part);
		ret = submit_bio_wait(bio);
		bio_put(bio);
		if (ret)
			return ret;
		done += part;
	}
	return 0;
}

int part_read_block(struct part_table *table, u64 lba)
{
	return part_read_bytes(table, lba, table->buf, table->block_sectors << SECTOR_SHIFT);
}

static void part_warn_overlaps(struct part_table *table, unsigned partno)
{
	const struct found_part *p = &table->parts[partno];

	for (unsigned i = 1; i < partno; i++) {
		const struct found_part *other = &table->parts[i];

		if (other->count && p->start < other->start + other->count &&
		    other->start < p->start + p->count) {
			pr_warn(table->disk->machine, "%s: partition %u overlaps partition %u",
				table->disk->name, partno, i);
			return;
		}
	}
}

void part_put(struct part_table *table, unsigned partno, sector_t start, sector_t count)
{
	struct shale *machine = table->disk->machine;

	if (partno >= DISK_MAX_PARTS || !count)
		return;
	if (start >= table->capacity) {
		pr_warn(machine, "%s: partition %u begins at sector %llu, beyond the end (%llu); left out",
			table->disk->name, partno, (unsigned long long)start,
			(unsigned long long)table->capacity);
		return;
	}
	if (count > table->capacity - start) {
		pr_warn(machine, "%s: partition %u ends beyond the end of the disk; cut to %llu sectors",
			table->disk->name, partno, (unsigned long long)(table->capacity - start));
		count = table->capacity - start;
	}
	table->parts[partno] = (struct found_part){.start = start, .count = count};
	part_warn_overlaps(table, partno);
}

static int part_table_read(struct gendisk *disk, struct part_table **out)
{
	struct part_table *table = kzalloc(disk->machine, sizeof(*table));
	u32 block_size = disk->queue->limits.logical_block_size;
	int ret = -ENOMEM;

	if (!table)
		return -ENOMEM;
	table->disk = disk;
	table->capacity = bdev_nr_sectors(disk->part0);
	table->block_sectors = block_size >> SECTOR_SHIFT;
	table->buf = kmalloc_aligned(disk->machine, block_size, max(block_size, 4096u));
	if (!table->buf)
		goto out_free;
	ret = part_scan_gpt(table);
	if (!ret)
		ret = part_scan_msdos(table);
	kfree(table->buf);
	if (ret < 0)
		goto out_free;
	*out = table;
	return 0;

out_free:
	kfree(table);
	return ret;
}

/* The disk is read by the scan itself, so its own read errors are not the caller's. */
static int partition_add_locked(struct gendisk *disk, unsigned partno, const struct found_part *p)
{
	struct blk_machine *blk = blk_machine(disk->machine);
	struct block_device *bdev;
	struct blk_bdev *b;
	unsigned minor = disk->first_minor + partno;
	int ret = bdev_alloc(disk, partno, &bdev);

	if (ret)
		return ret;
	b = to_blk_bdev(bdev);
	bdev->bd_start_sect = disk->part0->bd_start_sect + p->start;
	bdev->bd_nr_sectors = p->count;
	bdev->bd_dev = makedev((unsigned)blk->major, minor);
	if (partno >= DISK_MINORS) {
		ret = device_minors_alloc(disk->machine, DEVICE_BLOCK, BLOCK_EXT_MAJOR, 1, &minor);
		if (ret)
			goto out_put;
		bdev->bd_dev = makedev(BLOCK_EXT_MAJOR, minor);
	}
	ret = bdev_register_locked(bdev);
	if (ret)
		goto out_minor;
	mutex_lock(&disk->open_mutex);
	list_add_tail(&b->node, &disk->parts);
	mutex_unlock(&disk->open_mutex);
	return 0;

out_minor:
	if (partno >= DISK_MINORS)
		device_minors_free(disk->machine, DEVICE_BLOCK, BLOCK_EXT_MAJOR, minor, 1);
out_put:
	bdev_release(bdev);
	return ret;
}

int disk_scan_partitions_locked(struct gendisk *disk)
{
	struct part_table *table;
	int ret;

	if (!bdev_nr_sectors(disk->part0))
		return 0;
	ret = part_table_read(disk, &table);
	if (ret) {
		pr_warn(disk->machine, "%s: the partition table cannot be read", disk->name);
		return ret;
	}
	for (unsigned i = 1; i < DISK_MAX_PARTS; i++) {
		int err = table->parts[i].count ? partition_add_locked(disk, i, &table->parts[i]) : 0;

		if (err)
			pr_warn(disk->machine, "%s: partition %u cannot be added", disk->name, i);
		ret = ret ? ret : err;
	}
	kfree(table);
	return ret;
}

void disk_drop_partitions_locked(struct gendisk *disk)
{
	struct blk_bdev *b, *next;

	list_for_each_entry_safe (b, next, &disk->parts, node) {
		bdev_unregister_locked(&b->bdev);
		if (major(b->bdev.bd_dev) == BLOCK_EXT_MAJOR)
			device_minors_free(disk->machine, DEVICE_BLOCK, BLOCK_EXT_MAJOR,
					   minor(b->bdev.bd_dev), 1);
		mutex_lock(&disk->open_mutex);
		list_del_init(&b->node);
		mutex_unlock(&disk->open_mutex);
		bdev_release(&b->bdev);
	}
}

int disk_find_partition(struct gendisk *disk, unsigned partno, sector_t *start, sector_t *count)
{
	struct part_table *table;
	int ret = part_table_read(disk, &table);

	if (ret)
		return disk_error(disk->machine, ret, "%s: the partition table cannot be read", disk->name);
	if (!table->kind)
		ret = disk_error(disk->machine, -ENXIO, "%s: there is no partition table", disk->name);
	else if (!partno || partno >= DISK_MAX_PARTS || !table->parts[partno].count)
		ret = disk_error(disk->machine, -ENXIO, "%s: there is no partition %u", disk->name, partno);
	if (!ret) {
		*start = table->parts[partno].start;
		*count = table->parts[partno].count;
	}
	kfree(table);
	return ret;
}
