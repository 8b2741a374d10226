/* SPDX-License-Identifier: MIT */
/*
 * Requests without a caller's memory, made of as many bios as the limits ask for: flush, discard, zeroes.
 * Each waits for its end.
 */
#include "block/blk_internal.h"

#include <string.h>

int blkdev_issue_flush(struct block_device *bdev)
{
	struct bio bio;

	bio_init(&bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	return submit_bio_wait(&bio);
}

static int check_range(const struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	sector_t mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;
	sector_t end;

	if ((sector | nr_sects) & mask)
		return -EINVAL;
	if (check_add_overflow(sector, nr_sects, &end) || end > bdev_nr_sectors(bdev))
		return -EINVAL;
	return bdev_read_only(bdev) ? -EPERM : 0;
}

/* The first error of all. */
static int wait_bio(struct bio *bio, int status)
{
	int ret = submit_bio_wait(bio);

	bio_put(bio);
	return status ? status : ret;
}

/*
 * The bios of one call hang on the last of them, which is waited for. While one is not sent yet, the next is
 * not waited for: without memory the first is finished before.
 */
static struct bio *next_bio(struct bio *prev, struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf,
			    int *status)
{
	struct bio *bio;

	if (!prev)
		return bio_alloc_bioset(bdev, nr_vecs, opf, blk_bio_set(bdev_machine(bdev)));
	if (!bio_alloc(bdev, nr_vecs, opf, &bio)) {
		bio_chain(prev, bio);
		submit_bio(prev);
		return bio;
	}
	*status = wait_bio(prev, *status);
	return bio_alloc_bioset(bdev, nr_vecs, opf, blk_bio_set(bdev_machine(bdev)));
}

static int issue_without_data(struct block_device *bdev, sector_t sector, sector_t nr_sects, enum req_op op,
			      u32 max)
{
	struct blk_plug plug;
	struct bio *bio = NULL;
	int status = 0;

	blk_start_plug(&plug);
	while (nr_sects) {
		u32 part = (u32)min(nr_sects, (sector_t)max);

		bio = next_bio(bio, bdev, 0, op, &status);
		bio->bi_iter.bi_sector = sector;
		bio->bi_iter.bi_size = part << SECTOR_SHIFT;
		sector += part;
		nr_sects -= part;
		cond_resched();
	}
	if (bio)
		status = wait_bio(bio, status);
	blk_finish_plug(&plug);
	return status;
}

/* What a bio of whole logical blocks can name. */
static u32 bio_max_sectors(const struct block_device *bdev, u32 limit)
{
	u32 most = round_down(UINT32_MAX, (u32)bdev_logical_block_size(bdev)) >> SECTOR_SHIFT;

	return min(limit, most);
}

int blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	u32 max = bdev_max_discard_sectors(bdev);
	int ret = check_range(bdev, sector, nr_sects);

	if (ret)
		return ret;
	if (!max)
		return -EOPNOTSUPP;
	return issue_without_data(bdev, sector, nr_sects, REQ_OP_DISCARD, bio_max_sectors(bdev, max));
}

#define ZERO_BYTES SZ_64K

static int write_zero_pages(struct block_device *bdev, sector_t sector, sector_t nr_sects)
{
	void *zeroes = kmalloc_aligned(bdev_machine(bdev), ZERO_BYTES, 4096);
	struct blk_plug plug;
	struct bio *bio = NULL;
	int status = 0;

	if (!zeroes)
		return -ENOMEM;
	memset(zeroes, 0, ZERO_BYTES);
	blk_start_plug(&plug);
	while (nr_sects) {
		bio = next_bio(bio, bdev, 16, REQ_OP_WRITE, &status);
		bio->bi_iter.bi_sector = sector;
		for (unsigned i = 0; i < 16 && nr_sects; i++) {
			u32 part = (u32)min(nr_sects, (sector_t)(ZERO_BYTES >> SECTOR_SHIFT));

			bio_add_mem(bio, zeroes, part << SECTOR_SHIFT);
			sector += part;
			nr_sects -= part;
		}
		cond_resched();
	}
	if (bio)
		status = wait_bio(bio, status);
	blk_finish_plug(&plug);
	kfree(zeroes);
	return status;
}

int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects, unsigned flags)
{
	u32 max = bdev->bd_queue->limits.max_write_zeroes_sectors;
	int ret = check_range(bdev, sector, nr_sects);

	if (ret)
		return ret;
	if (max) {
		ret = issue_without_data(bdev, sector, nr_sects, REQ_OP_WRITE_ZEROES,
					 bio_max_sectors(bdev, max));
		if (ret != -EOPNOTSUPP || flags & BLKDEV_ZERO_NOFALLBACK)
			return ret;
	}
	if (flags & BLKDEV_ZERO_NOFALLBACK)
		return -EOPNOTSUPP;
	return write_zero_pages(bdev, sector, nr_sects);
}
