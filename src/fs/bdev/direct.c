// O_DIRECT on block special files: the caller's memory goes straight into bios. Nothing is dirty in the
// device's page cache, so what the disk has is what the file has.
//
// All bios of one read are submitted under one plug; each drops a count, the last wakes the reader. The first
// error stays.
#include "base/current.h"
#include "base/uio.h"
#include "base/wait.h"
#include "block/blk.h"
#include "fs/bdev/bdev_internal.h"

#include <errno.h>

struct direct_read {
	atomic_t pending; // bios, and one for the submitter
	int error;
	struct completion done;
};

static void direct_put(struct direct_read *dio)
{
	if (atomic_dec_and_test(&dio->pending))
		complete(&dio->done);
}

static void direct_end_io(struct bio *bio)
{
	struct direct_read *dio = bio->bi_private;

	if (bio->bi_status) {
		int none = 0;

		try_cmpxchg(&dio->error, &none, bio->bi_status);
	}
	bio_put(bio);
	direct_put(dio);
}

static ssize_t direct_submit_one(struct direct_read *dio, struct block_device *bdev, loff_t pos,
				 struct iov_iter *to)
{
	struct bio *bio =
		bio_alloc_bioset(bdev, BIO_MAX_VECS, REQ_OP_READ | REQ_SYNC, blk_bio_set(bdev_machine(bdev)));
	unsigned nr;
	ssize_t n = iov_iter_get_segments(to, bio->bi_io_vec, BIO_MAX_VECS, SZ_1G, &nr);

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

static ssize_t direct_submit(struct direct_read *dio, struct block_device *bdev, loff_t pos,
			     struct iov_iter *to)
{
	struct blk_plug plug;
	ssize_t done = 0, n = 0;

	blk_start_plug(&plug);
	while (iov_iter_count(to)) {
		n = direct_submit_one(dio, bdev, pos + done, to);
		if (n <= 0)
			break;
		done += n;
	}
	blk_finish_plug(&plug);
	return n < 0 && !done ? n : done;
}

ssize_t blkdev_direct_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct block_device *bdev = file_bdev(iocb->ki_filp);
	unsigned mask = bdev_logical_block_size(bdev) - 1;
	struct direct_read dio = {.pending = ATOMIC_INIT(1)};
	ssize_t n;

	if (((u64)iocb->ki_pos & mask) || !iov_iter_is_aligned(to, mask, mask))
		return -EINVAL;
	init_completion(&dio.done);
	n = direct_submit(&dio, bdev, iocb->ki_pos, to);
	direct_put(&dio);
	wait_for_completion_io(&dio.done);
	if (READ_ONCE(dio.error))
		return READ_ONCE(dio.error);
	if (n > 0)
		iocb->ki_pos += n;
	return n;
}
