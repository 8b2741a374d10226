/* SPDX-License-Identifier: MIT */
/*
 * Direct reads: from the device into the caller's memory, past the page cache.
 *
 * Each mapping gives bios of its own, submitted under one plug; the caller waits for all of them. Position,
 * length and memory must be aligned to the device's logical block. What the page cache holds dirty is
 * written out first, so that both ways read the same. The count of bios on their way includes one for the
 * submitter; the last to finish completes `done`.
 */
#include "iomap/iomap.h"

#include "base/alloc.h"
#include "base/wait.h"
#include "block/blk.h"
#include "cache/writeback.h"

struct iomap_dio {
	atomic_t ref;
	int error; // the first one; set by cmpxchg
	struct completion done;
};

static void iomap_dio_set_error(struct iomap_dio *dio, int err)
{
	(void)cmpxchg(&dio->error, 0, err);
}

static void iomap_dio_put(struct iomap_dio *dio)
{
	if (atomic_dec_and_test(&dio->ref))
		complete(&dio->done);
}

static void iomap_dio_bio_end_io(struct bio *bio)
{
	struct iomap_dio *dio = bio->bi_private;

	if (bio->bi_status)
		iomap_dio_set_error(dio, bio->bi_status);
	bio_put(bio);
	iomap_dio_put(dio);
}

// One bio for up to `len` bytes of the mapping at `pos`. Returns the bytes.
static s64 iomap_dio_submit(struct iomap_dio *dio, const struct iomap_iter *iter, u64 pos, u64 len,
			    unsigned align, struct iov_iter *to)
{
	const struct iomap *map = &iter->iomap;
	unsigned nr = min(iov_iter_nr_runs(to, BIO_MAX_VECS), BIO_MAX_VECS), used;
	struct bio *bio;
	ssize_t bytes;
	int err;

	err = bio_alloc(map->bdev, nr, REQ_OP_READ | REQ_SYNC, &bio);
	if (err)
		return err;
	bytes = iov_iter_get_segments(to, bio->bi_io_vec, nr, min(len, (u64)SZ_1G), &used);
	if (bytes <= 0) {
		bio_put(bio);
		return bytes ? bytes : -EFAULT;
	}
	if (bytes & (align - 1)) {
		bio_put(bio);
		return -EINVAL;
	}
	bio->bi_vcnt = used;
	bio->bi_iter.bi_size = bytes;
	bio->bi_iter.bi_sector = (map->addr + pos - map->offset) >> SECTOR_SHIFT;
	bio->bi_end_io = iomap_dio_bio_end_io;
	bio->bi_private = dio;
	atomic_inc(&dio->ref);
	submit_bio(bio);
	return bytes;
}

static s64 iomap_dio_bio_iter(struct iomap_dio *dio, const struct iomap_iter *iter, u64 len,
			      struct iov_iter *to)
{
	unsigned align = bdev_logical_block_size(iter->iomap.bdev);
	u64 done = 0;

	if ((iter->pos | len) & (align - 1) || !iov_iter_is_aligned(to, align - 1, align - 1))
		return -EINVAL;
	while (done < len) {
		s64 bytes = iomap_dio_submit(dio, iter, iter->pos + done, len - done, align, to);

		if (bytes < 0)
			return bytes;
		done += bytes;
	}
	return done;
}

static s64 iomap_dio_iter(struct iomap_dio *dio, const struct iomap_iter *iter, struct iov_iter *to)
{
	const struct iomap *map = &iter->iomap;
	u64 len = iomap_length(iter);

	switch (map->type) {
	case IOMAP_MAPPED:
		return iomap_dio_bio_iter(dio, iter, len, to);
	case IOMAP_INLINE:
		return copy_to_iter((const char *)map->inline_data + (iter->pos - map->offset), len, to);
	case IOMAP_HOLE:
	case IOMAP_UNWRITTEN:
		return iov_iter_zero(len, to);
	default:
		return -EIO; // delayed blocks were written out before
	}
}

ssize_t iomap_dio_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	struct address_space *mapping = inode->i_mapping;
	struct iomap_dio dio = {.ref = ATOMIC_INIT(1)};
	struct iomap_iter iter = {
		.inode = inode, .pos = iocb->ki_pos, .len = iov_iter_count(to), .flags = IOMAP_DIRECT};
	u64 size = mapping_size(mapping), start = iter.pos;
	struct blk_plug plug;
	int ret;

	if (!iter.len || start >= size)
		return 0;
	if (iocb->ki_flags & IOCB_NOWAIT)
		iter.flags |= IOMAP_NOWAIT;
	ret = filemap_write_and_wait_range(mapping, start, start + iter.len - 1);
	if (ret)
		return ret;
	init_completion(&dio.done);
	blk_start_plug(&plug);
	while ((ret = iomap_iter(&iter, ops)) > 0) {
		iter.processed = iomap_dio_iter(&dio, &iter, to);
		// Past the end there is nothing; what the last block gave too much of is taken back below.
		if (iter.processed > 0 && iter.pos + iter.processed >= size)
			iter.len = iter.processed;
	}
	blk_finish_plug(&plug);
	if (ret < 0)
		iomap_dio_set_error(&dio, ret);
	iomap_dio_put(&dio);
	wait_for_completion_io(&dio.done);
	if (dio.error)
		return dio.error;
	if (iter.pos > size) {
		iov_iter_revert(to, iter.pos - size);
		iter.pos = size;
	}
	iocb->ki_pos = iter.pos;
	return iter.pos - start;
}
