// O_DIRECT on block special files: the caller's memory goes straight into bios. What the device's page cache
// holds dirty of the range is written out first; a write drops the range from the cache before and after.
//
// All bios of one call are submitted under one plug; each drops a count, the last wakes the caller. The first
// error stays.
#include "base/current.h"
#include "base/uio.h"
#include "base/wait.h"
#include "block/blk.h"
#include "cache/writeback.h"
#include "fs/bdev/bdev_internal.h"

#include <errno.h>

struct direct_io {
	struct block_device *bdev;
	blk_opf_t opf;
	atomic_t pending; // bios, and one for the submitter
	int error;
	struct completion done;
};

static void direct_put(struct direct_io *dio)
{
	if (atomic_dec_and_test(&dio->pending))
		complete(&dio->done);
}

static void direct_end_io(struct bio *bio)
{
	struct direct_io *dio = bio->bi_private;

	if (bio->bi_status) {
		int none = 0;

		try_cmpxchg(&dio->error, &none, bio->bi_status);
	}
	bio_put(bio);
	direct_put(dio);
}

static ssize_t direct_submit_one(struct direct_io *dio, loff_t pos, struct iov_iter *iter)
{
	struct bio *bio =
		bio_alloc_bioset(dio->bdev, BIO_MAX_VECS, dio->opf, blk_bio_set(bdev_machine(dio->bdev)));
	unsigned nr;
	ssize_t n = iov_iter_get_segments(iter, bio->bi_io_vec, BIO_MAX_VECS, SZ_1G, &nr);

	if (n <= 0) {
		bio_put(bio);
		return n;
	}
	bio->bi_vcnt = (u16)nr;
	bio->bi_iter.bi_size = (u32)n;
	bio->bi_iter.bi_sector = (sector_t)pos >> SECTOR_SHIFT;
	bio->bi_end_io = direct_end_io;
	bio->bi_private = dio;
	atomic_inc(&dio->pending);
	submit_bio(bio);
	return n;
}

static ssize_t direct_submit(struct direct_io *dio, loff_t pos, struct iov_iter *iter)
{
	struct blk_plug plug;
	ssize_t done = 0, n = 0;

	blk_start_plug(&plug);
	while (iov_iter_count(iter)) {
		n = direct_submit_one(dio, pos + done, iter);
		if (n <= 0)
			break;
		done += n;
	}
	blk_finish_plug(&plug);
	return n < 0 && !done ? n : done;
}

// Between the device and the memory; moves ki_pos.
static ssize_t direct_run(struct kiocb *iocb, struct iov_iter *iter, blk_opf_t opf)
{
	struct direct_io dio = {.bdev = file_bdev(iocb->ki_filp), .opf = opf, .pending = ATOMIC_INIT(1)};
	unsigned mask = bdev_logical_block_size(dio.bdev) - 1;
	ssize_t n;

	if (((u64)iocb->ki_pos & mask) || !iov_iter_is_aligned(iter, mask, mask))
		return -EINVAL;
	init_completion(&dio.done);
	n = direct_submit(&dio, iocb->ki_pos, iter);
	direct_put(&dio);
	wait_for_completion_io(&dio.done);
	if (READ_ONCE(dio.error))
		return READ_ONCE(dio.error);
	if (n > 0)
		iocb->ki_pos += n;
	return n;
}

static int direct_write_out(const struct kiocb *iocb, u64 pos, u64 end)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;

	if (iocb->ki_flags & IOCB_NOWAIT && filemap_range_needs_writeback(mapping, pos, end))
		return -EAGAIN;
	return filemap_write_and_wait_range(mapping, pos, end);
}

ssize_t blkdev_direct_read(struct kiocb *iocb, struct iov_iter *to)
{
	u64 pos = (u64)iocb->ki_pos;
	int err;

	if (!iov_iter_count(to))
		return 0;
	err = direct_write_out(iocb, pos, pos + iov_iter_count(to) - 1);
	return err ? err : direct_run(iocb, to, REQ_OP_READ | REQ_SYNC);
}

ssize_t blkdev_direct_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	u64 pos = (u64)iocb->ki_pos, end = pos + iov_iter_count(from) - 1;
	ssize_t n;
	int err = direct_write_out(iocb, pos, end);

	if (err)
		return err;
	// Somebody holds a part of it: that goes through the cache.
	if (invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT, end >> PAGE_SHIFT))
		return 0;
	n = direct_run(iocb, from, REQ_OP_WRITE | REQ_SYNC | (iocb->ki_flags & IOCB_DSYNC ? REQ_FUA : 0));
	if (n > 0)
		invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT, end >> PAGE_SHIFT);
	return n;
}
