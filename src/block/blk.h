/* SPDX-License-Identifier: MIT */
/*
 * What users of block devices see: making bios, submitting them, plugging, and finding and claiming devices.
 */
#ifndef SHALE_BLOCK_BLK_H
#define SHALE_BLOCK_BLK_H

#include "block/blk_types.h"

struct bio_set;
struct seq_file;

/*
 * bio life cycle (bio.c). A bio_set is a pool that makes progress without memory: bio_alloc with a pool waits
 * rather than fails.
 */
int bio_alloc(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf, struct bio **out) __must_check;
struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf,
			     struct bio_set *pool);
void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *table, unsigned max_vecs,
	      blk_opf_t opf);
void bio_put(struct bio *bio);
void bio_get(struct bio *bio);
/* Adds memory to the bio; returns the bytes added: `len`, or 0 when the bio is full. */
unsigned bio_add_mem(struct bio *bio, void *data, unsigned len);
/* Moves the start of the bio over `bytes` of its data. */
void bio_advance(struct bio *bio, u32 bytes);
/*
 * A bio over the same memory and sectors, with an end and a start of its own. The original must live as long.
 * Waits with a pool of the machine; never fails.
 */
struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src, struct bio_set *pool);
/*
 * The machine's own pool, for bios of file systems; and pools of one's own, for those that make bios in the
 * course of serving bios.
 */
struct bio_set *blk_bio_set(struct shale *machine);
int bioset_create(struct shale *machine, unsigned reserve,
		  struct bio_set **out) __must_check; /* reserve: bios that are always there */
void bioset_destroy(struct bio_set *set);
#define BIO_MAX_VECS 256u
/* child ends before parent does. */
void bio_chain(struct bio *child, struct bio *parent);
struct bio *bio_split(struct bio *bio, unsigned sectors, struct bio_set *pool);
void bio_endio(struct bio *bio);
/* Notes an error (0: nothing) unless there is one already; safe while chained children run. */
void bio_set_status(struct bio *bio, int status);
static inline void bio_io_error(struct bio *bio)
{
	bio_set_status(bio, -5 /* EIO */);
	bio_endio(bio);
}

/* Submission. Never fails by return: the result comes in bi_status, at bi_end_io. */
void submit_bio(struct bio *bio);
/* The same, of a bio that is another's in a new form (remapped, split): not counted as a new I/O of the task.
 */
void submit_bio_noacct(struct bio *bio);
int submit_bio_wait(struct bio *bio); /* waits (and reaps); returns bi_status */
int blkdev_issue_flush(struct block_device *bdev);
int blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects);
#define BLKDEV_ZERO_NOFALLBACK 1u /* -EOPNOTSUPP rather than writing pages of zeroes */
int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects, unsigned flags);

/*
 * Plug: requests held back per thread (current->plug), merged and sent in batches; flushed when the thread
 * sleeps. Nested: outer wins.
 */
struct blk_plug {
	struct request *mq_list, *mq_tail; /* oldest first */
	struct request *cached_rqs;
	unsigned rq_count;
	bool multiple_queues;
	bool has_elevator;
	u16 nr_ios; /* how many requests are likely: their tags are taken at once */
};
void blk_start_plug(struct blk_plug *plug);
void blk_start_plug_nr_ios(struct blk_plug *plug, unsigned nr_ios);
void blk_finish_plug(struct blk_plug *plug);

/* Finding and opening devices (bdev.c). */
struct blk_holder_ops {
	void (*mark_dead)(struct block_device *bdev, bool surprise);
	void (*sync)(struct block_device *bdev);
	int (*freeze)(struct block_device *bdev);
	int (*thaw)(struct block_device *bdev);
};
#define BLK_OPEN_READ  1u
#define BLK_OPEN_WRITE 2u
/*
 * Opens the device with number `dev`; `holder` != NULL claims it exclusively (-EBUSY when another holds it).
 * -ENXIO: no such device. -EROFS / -EACCES: read-only disk.
 */
int blkdev_get_by_dev(struct shale *machine, dev_t dev, unsigned mode, void *holder,
		      const struct blk_holder_ops *ops, struct block_device **out) __must_check;
void blkdev_put(struct block_device *bdev, void *holder);
/* A plain reference that keeps the memory (not the device): for inodes that point at it. */
void bdev_get(struct block_device *bdev);
void bdev_release(struct block_device *bdev);
int blkdev_lookup_name(struct shale *machine, const char *name, dev_t *out); /* "sda1" → number; -ENODEV */

static inline sector_t bdev_nr_sectors(const struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_nr_sectors);
}
static inline u64 bdev_nr_bytes(const struct block_device *bdev)
{
	return bdev_nr_sectors(bdev) << SECTOR_SHIFT;
}
unsigned bdev_logical_block_size(const struct block_device *bdev);
unsigned bdev_physical_block_size(const struct block_device *bdev);
bool bdev_read_only(const struct block_device *bdev);
/* May secure or plain discards be sent; does the device have a volatile cache. */
u32 bdev_max_discard_sectors(const struct block_device *bdev);
u32 bdev_discard_granularity(const struct block_device *bdev);
bool bdev_write_cache(const struct block_device *bdev);
bool bdev_fua(const struct block_device *bdev);
u32 bdev_io_opt(const struct block_device *bdev);
bool bdev_rotational(const struct block_device *bdev);
struct block_device *bdev_whole(const struct block_device *bdev);
static inline bool bdev_is_partition(const struct block_device *bdev)
{
	return bdev->bd_partno != 0;
}
struct shale *bdev_machine(const struct block_device *bdev);
const char *bdev_name(const struct block_device *bdev); /* "sda", "sda1": for messages */

/*
 * The table through which devices tell the floor above of themselves (the bdev file system registers it once
 * a machine).
 */
struct blk_upper_ops {
	int (*bdev_added)(struct block_device *bdev); /* makes bd_mapping and bd_inode */
	void (*bdev_removed)(struct block_device *bdev);
	void (*bdev_resized)(struct block_device *bdev); /* bd_nr_sectors has changed; may be NULL */
};
/* Devices that are there already are told at once. NULL: takes it back, after telling of their removal. */
void blk_set_upper_ops(struct shale *machine, const struct blk_upper_ops *ops);

/*
 * Disks by URI (interfaces.md "Naming disks and places"): finds the driver and filters in the registry,
 * opens, adds NAME and its partitions.
 */
#define DISK_READ_ONLY   1u
#define DISK_NO_PARTSCAN 2u
#define DISK_UNLOCKED    4u
#define DISK_UNREAD      8u /* for drivers: the content must not be looked at while the disk is opened */
int disk_add(struct shale *machine, const char *name, const char *uri, unsigned flags) __must_check;
int disk_remove(struct shale *machine, const char *name) __must_check;
/*
 * In a machine that is held (machine_release) disks are attached without a look at what is on them, and
 * cannot be opened: -EAGAIN. disks_start looks for their partitions, and from then on they can. An error is
 * that of a disk whose part=N is not there, in words; the disk is gone then.
 */
int disks_start(struct shale *machine) __must_check;
/* Closes every disk that is left, at the end of a machine: while the drivers are still there. */
void disks_close_all(struct shale *machine);
/*
 * Why the last disk_add (or start of a driver) of this machine failed, in words; "" when none did. Cut to
 * `size`.
 */
void disk_last_error(struct shale *machine, char *buf, size_t size);

/* Text of /proc/diskstats and /proc/partitions, as Linux prints them. */
void diskstats_show(struct shale *machine, struct seq_file *m);
void partitions_show(struct shale *machine, struct seq_file *m);
/* Stops new I/O and waits for what runs; freezes nest. thaw undoes one. */
void disk_freeze_queue(struct block_device *bdev);
void disk_unfreeze_queue(struct block_device *bdev);
/* BLKRRPART: reads the partition table again. -EBUSY while a partition is open or claimed. */
int disk_rescan_partitions(struct block_device *whole) __must_check;
/*
 * "none", or a scheduler that has registered; -EINVAL: no such. Text: all of them, the current one in
 * brackets.
 */
int disk_set_scheduler(struct block_device *bdev, const char *name) __must_check;
void disk_show_scheduler(struct block_device *bdev, struct seq_file *m);
/*
 * Shows and changes what the driver or filter lets be changed while running. `layer` names one in front
 * ("fault"), NULL: the outermost that can. -EOPNOTSUPP, -ENOENT (no such layer), -ENODEV.
 */
int disk_control_show(struct shale *machine, const char *disk, const char *layer,
		      struct seq_file *m) __must_check;
int disk_control_store(struct shale *machine, const char *disk, const char *layer,
		       const char *words) __must_check;
int blk_init(struct shale *machine) __must_check;
void blk_exit(struct shale *machine);

#endif
