/* SPDX-License-Identifier: MIT */
/*
 * Submission: from submit_bio() to the queue of the disk. Checks that the device can do what is asked, moves
 * a partition's sectors to those of the disk, and drops flushes that a device without a write cache does not
 * need.
 *
 * A driver that serves a request by bios to other devices calls submit_bio() while one of its own is being
 * submitted. Such bios are put on current->bio_list and sent when the first has returned, lower devices
 * first: stacks of any depth use one level of the C stack per plug flush, and whoever waits for a tag of an
 * upper device has sent all that its requests depend on.
 *
 * The bio belongs to this floor from here until bi_end_io.
 */
#include "block/blk_internal.h"

#include "base/log.h"

static int bio_check_read_only(struct bio *bio)
{
	if (!op_is_write(bio->bi_opf) || !bdev_read_only(bio->bi_bdev))
		return 0;
	if (op_is_flush(bio->bi_opf) && !bio_sectors(bio))
		return 0;
	pr_err_ratelimited(bdev_machine(bio->bi_bdev),
			   "%s: write to a read-only device at sector %llu refused", bdev_name(bio->bi_bdev),
			   (unsigned long long)bio->bi_iter.bi_sector);
	return -EROFS;
}

static int bio_check_eod(struct bio *bio)
{
	sector_t max = bdev_nr_sectors(bio->bi_bdev);
	u32 count = bio_sectors(bio);

	if (likely(count <= max && bio->bi_iter.bi_sector <= max - count))
		return 0;
	if (!count && !bio->bi_iter.bi_size)
		return 0;
	pr_err_ratelimited(bdev_machine(bio->bi_bdev),
			   "%s: access beyond the end of the device: %s of %u sectors at %llu, size %llu",
			   bdev_name(bio->bi_bdev), op_is_write(bio->bi_opf) ? "write" : "read", count,
			   (unsigned long long)bio->bi_iter.bi_sector, (unsigned long long)max);
	return -EIO;
}

static int bio_check_op(const struct bio *bio, const struct queue_limits *limits)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return bio->bi_opf & (REQ_PREFLUSH | REQ_FUA) || !bio->bi_iter.bi_size ? -EINVAL : 0;
	case REQ_OP_WRITE:
		return bio->bi_iter.bi_size || bio->bi_opf & REQ_PREFLUSH ? 0 : -EINVAL;
	case REQ_OP_DISCARD:
		return limits->max_discard_sectors ? 0 : -EOPNOTSUPP;
	case REQ_OP_WRITE_ZEROES:
		return limits->max_write_zeroes_sectors ? 0 : -EOPNOTSUPP;
	case REQ_OP_FLUSH: /* is made by the flush machinery only */
	case REQ_OP_SECURE_ERASE:
	default:
		return -EOPNOTSUPP;
	}
}

/* 0: goes on. 1: it is done already. Negative: refused. */
static int bio_check(struct bio *bio)
{
	struct block_device *bdev = bio->bi_bdev;
	const struct queue_limits *limits = &bdev->bd_queue->limits;
	int ret;

	if (!bio_flagged(bio, BIO_REMAPPED)) {
		ret = bio_check_read_only(bio);
		ret = ret ? ret : bio_check_eod(bio);
		if (unlikely(ret))
			return ret;
		bio->bi_iter.bi_sector += bdev->bd_start_sect;
		bio_set_flag(bio, BIO_REMAPPED);
	}
	ret = bio_check_op(bio, limits);
	if (unlikely(ret))
		return ret;
	if (unlikely((bio->bi_iter.bi_size | bio->bi_iter.bi_sector << SECTOR_SHIFT) &
		     (limits->logical_block_size - 1)))
		return -EINVAL;
	if (op_is_flush(bio->bi_opf) && !limits->write_cache) {
		bio->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA);
		if (!bio->bi_iter.bi_size)
			return 1;
	}
	return 0;
}

/* To a disk without requests. */
static void blk_submit_bio(struct bio *bio, struct request_queue *q)
{
	int ret = blk_queue_enter(q, bio->bi_opf & REQ_NOWAIT);

	if (unlikely(ret)) {
		bio_set_status(bio, blk_enter_status(ret));
		bio_endio(bio);
		return;
	}
	q->submit(bio, q->queuedata);
	blk_queue_exit(q);
}

/* Sends the bio and all that are made on the way. */
static void submit_bio_and_followers(struct bio *bio)
{
	struct bio_list pending = {NULL, NULL};

	do {
		struct request_queue *q = bio->bi_bdev->bd_queue;
		struct bio_list fresh = {NULL, NULL}, lower = {NULL, NULL}, same = {NULL, NULL};

		current->bio_list = &fresh;
		if (unlikely(q->submit))
			blk_submit_bio(bio, q);
		else
			blk_mq_submit_bio(bio, q);
		while ((bio = bio_list_pop(&fresh)))
			bio_list_add(bio->bi_bdev->bd_queue == q ? &same : &lower, bio);
		bio_list_merge(&lower, &same);
		bio_list_merge(&lower, &pending);
		pending = lower;
	} while ((bio = bio_list_pop(&pending)));
	current->bio_list = NULL;
}

void submit_bio_noacct(struct bio *bio)
{
	int ret = bio_check(bio);

	if (unlikely(ret)) {
		bio_set_status(bio, ret < 0 ? ret : 0);
		bio_endio(bio);
		return;
	}
	if (current->bio_list) {
		bio_list_add(current->bio_list, bio);
		return;
	}
	submit_bio_and_followers(bio);
}

void submit_bio(struct bio *bio)
{
	submit_bio_noacct(bio);
}

static void submit_bio_wait_endio(struct bio *bio)
{
	complete(bio->bi_private);
}

int submit_bio_wait(struct bio *bio)
{
	struct completion done;

	init_completion(&done);
	bio->bi_private = &done;
	bio->bi_end_io = submit_bio_wait_endio;
	bio->bi_opf |= REQ_SYNC;
	submit_bio(bio);
	wait_for_completion_io(&done);
	return bio->bi_status;
}
