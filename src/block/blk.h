// What users of block devices see: making bios, submitting them, plugging, and finding and claiming devices.
#pragma once

#include "block/blk_types.h"

// bio life cycle (bio.c). A bio_set is a pool that makes progress without memory: bio_alloc with a pool waits rather than fails.
int bio_alloc(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf, struct bio **out) __must_check;
struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf, struct bio_set *pool);
void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *table, unsigned max_vecs, blk_opf_t opf);
void bio_put(struct bio *bio);
void bio_get(struct bio *bio);
// Adds memory to the bio; returns the bytes added: `len`, or 0 when the bio is full.
unsigned bio_add_mem(struct bio *bio, void *data, unsigned len);
void bio_chain(struct bio *child, struct bio *parent);
struct bio *bio_split(struct bio *bio, unsigned sectors, struct bio_set *pool);
void bio_endio(struct bio *bio);
static inline void bio_io_error(struct bio *bio)
{
	bio->bi_status = -5 /* EIO */;
	bio_endio(bio);
}

// Submission. Never fails by return: the result comes in bi_status, at bi_end_io.
void submit_bio(struct bio *bio);
int submit_bio_wait(struct bio *bio); // waits (and reaps); returns bi_status
int blkdev_issue_flush(struct block_device *bdev);
int blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects);
int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects, unsigned flags);

// Plug: requests held back per thread (current->plug), merged and sent in batches; flushed when the thread sleeps. Nested: outer wins.
struct blk_plug {
	struct request *mq_list, *mq_tail; // oldest first
	struct request *cached_rqs;
	unsigned rq_count;
	bool multiple_queues;
	bool has_elevator;
};
void blk_start_plug(struct blk_plug *plug);
void blk_finish_plug(struct blk_plug *plug);

// Finding and opening devices (bdev.c).
struct blk_holder_ops {
	void (*mark_dead)(struct block_device *bdev, bool surprise);
	void (*sync)(struct block_device *bdev);
	int (*freeze)(struct block_device *bdev);
	int (*thaw)(struct block_device *bdev);
};
#define BLK_OPEN_READ  1u
#define BLK_OPEN_WRITE 2u
// Opens the device with number `dev`; `holder` != NULL claims it exclusively (-EBUSY when another holds it). -ENXIO: no such device. -EROFS / -EACCES: read-only disk.
int blkdev_get_by_dev(struct shale *machine, dev_t dev, unsigned mode, void *holder, const struct blk_holder_ops *ops,
		      struct block_device **out) __must_check;
void blkdev_put(struct block_device *bdev, void *holder);
int blkdev_lookup_name(struct shale *machine, const char *name, dev_t *out); // "sda1" → number; -ENODEV

static inline sector_t bdev_nr_sectors(const struct block_device *bdev)
{
	return atomic_load_explicit(&bdev->bd_nr_sectors, memory_order_relaxed);
}
static inline u64 bdev_nr_bytes(const struct block_device *bdev) { return bdev_nr_sectors(bdev) << SECTOR_SHIFT; }
unsigned bdev_logical_block_size(const struct block_device *bdev);
unsigned bdev_physical_block_size(const struct block_device *bdev);
bool bdev_read_only(const struct block_device *bdev);
struct shale *bdev_machine(const struct block_device *bdev);
const char *bdev_name(const struct block_device *bdev); // "sda", "sda1": for messages

// The table through which devices tell the floor above of themselves (the bdev file system registers it once a machine).
struct blk_upper_ops {
	int (*bdev_added)(struct block_device *bdev); // makes bd_mapping and bd_inode
	void (*bdev_removed)(struct block_device *bdev);
};
void blk_set_upper_ops(struct shale *machine, const struct blk_upper_ops *ops);

// Disks by URI (interfaces.md "Naming disks and places"): finds the driver and filters in the registry, opens, adds NAME and its partitions.
#define DISK_READ_ONLY  1u
#define DISK_NO_PARTSCAN 2u
#define DISK_UNLOCKED   4u
int disk_add(struct shale *machine, const char *name, const char *uri, unsigned flags) __must_check;
int disk_remove(struct shale *machine, const char *name) __must_check;
