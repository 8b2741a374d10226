/* SPDX-License-Identifier: MIT */
/*
 * Direct I/O: between the device and the caller's memory, past the page cache.
 *
 * Each mapping gives bios of its own, submitted under one plug; the caller waits for all of them. Position,
 * length and memory must be aligned to the device's logical block. What the page cache holds dirty is
 * written out first, so that both ways see the same; a write drops the cached range before and after. A write
 * of a part of a block that nobody has written before writes zeroes around it. The count of bios on their way
 * includes one for the submitter; the last to finish completes `done`.
 */
#include "iomap/iomap.h"

#include "base/alloc.h"
#include "base/wait.h"
#include "block/blk.h"
#include "cache/writeback.h"

#include <errno.h>

struct iomap_dio {
	atomic_t ref;
	int error; // the first one; set by cmpxchg
	struct completion done;
	blk_opf_t opf;
	unsigned flags; // IOMAP_DIO_*
	u64 size;       // of the file when it began
	void *zeroes;   // a block of them, once one was needed
	struct iov_iter *iter;
};

static bool dio_is_write(const struct iomap_dio *dio)
{
	return op_is_write(dio->opf);
}

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

static void dio_submit_bio(struct iomap_dio *dio, const struct iomap *map, u64 pos, struct bio *bio)
{
	bio->bi_iter.bi_sector = (map->addr + pos - map->offset) >> SECTOR_SHIFT;
	bio->bi_end_io = iomap_dio_bio_end_io;
	bio->bi_private = dio;
	atomic_inc(&dio->ref);
	submit_bio(bio);
}

// One bio for up to `len` bytes of the mapping at `pos`. Returns the bytes.
static s64 iomap_dio_submit(struct iomap_dio *dio, const struct iomap *map, u64 pos, u64 len, unsigned align)
{
	unsigned nr = min(iov_iter_nr_runs(dio->iter, BIO_MAX_VECS), BIO_MAX_VECS), used;
	struct bio *bio;
	ssize_t bytes;
	int err;

	err = bio_alloc(map->bdev, nr, dio->opf, &bio);
	if (err)
		return err;
	bytes = iov_iter_get_segments(dio->iter, bio->bi_io_vec, nr, min(len, (u64)SZ_1G), &used);
	if (bytes <= 0) {
		bio_put(bio);
		return bytes ? bytes : -EINVAL;
	}
	if (bytes & (align - 1)) {
		bio_put(bio);
		return -EINVAL;
	}
	bio->bi_vcnt = used;
	bio->bi_iter.bi_size = bytes;
	dio_submit_bio(dio, map, pos, bio);
	return bytes;
}

// Zeroes for the rest of a block, less than one.
static int iomap_dio_zero(struct iomap_dio *dio, const struct iomap_iter *iter, u64 pos, u64 len)
{
	struct bio *bio;
	int err;

	if (!len)
		return 0;
	if (!dio->zeroes)
		dio->zeroes = kzalloc(iter->inode->i_mapping->machine, (size_t)1 << iter->inode->i_blkbits);
	if (!dio->zeroes)
		return -ENOMEM;
	err = bio_alloc(iter->iomap.bdev, 1, dio->opf, &bio);
	if (err)
		return err;
	(void)bio_add_mem(bio, dio->zeroes, (unsigned)len);
	dio_submit_bio(dio, &iter->iomap, pos, bio);
	return 0;
}

// A write into blocks whose content is nobody's: the part of the first one that lies before it.
static int iomap_dio_zero_head(struct iomap_dio *dio, const struct iomap_iter *iter)
{
	u64 block = (u64)1 << iter->inode->i_blkbits, pad = iter->pos & (block - 1);

	return iomap_dio_zero(dio, iter, iter->pos - pad, pad);
}

// And of the last one, behind it. Past the end of the file also in blocks that were written.
static int iomap_dio_zero_tail(struct iomap_dio *dio, const struct iomap_iter *iter, u64 end)
{
	u64 block = (u64)1 << iter->inode->i_blkbits, pad = end & (block - 1);

	return pad ? iomap_dio_zero(dio, iter, end, block - pad) : 0;
}

static s64 iomap_dio_bio_iter(struct iomap_dio *dio, const struct iomap_iter *iter, u64 len)
{
	const struct iomap *map = &iter->iomap;
	unsigned align = bdev_logical_block_size(map->bdev);
	bool zero = dio_is_write(dio) && (map->type == IOMAP_UNWRITTEN || map->flags & IOMAP_F_NEW);
	u64 done = 0;
	int err = 0;

	if ((iter->pos | len) & (align - 1) || !iov_iter_is_aligned(dio->iter, align - 1, align - 1))
		return -EINVAL;
	if (zero)
		err = iomap_dio_zero_head(dio, iter);
	while (!err && done < len) {
		s64 bytes = iomap_dio_submit(dio, map, iter->pos + done, len - done, align);

		if (bytes < 0)
			return bytes;
		done += bytes;
	}
	if (!err && (zero || (dio_is_write(dio) && iter->pos + done >= dio->size)))
		err = iomap_dio_zero_tail(dio, iter, iter->pos + done);
	return err ? err : (s64)done;
}

static s64 iomap_dio_read_iter(struct iomap_dio *dio, const struct iomap_iter *iter)
{
	const struct iomap *map = &iter->iomap;
	u64 len = iomap_length(iter);

	switch (map->type) {
	case IOMAP_MAPPED:
		return iomap_dio_bio_iter(dio, iter, len);
	case IOMAP_INLINE:
		return copy_to_iter((const char *)map->inline_data + (iter->pos - map->offset), len,
				    dio->iter);
	case IOMAP_HOLE:
	case IOMAP_UNWRITTEN:
		return iov_iter_zero(len, dio->iter);
	default:
		return -EIO; // delayed blocks were written out before
	}
}

static s64 iomap_dio_write_iter(struct iomap_dio *dio, const struct iomap_iter *iter)
{
	if (iter->iomap.type == IOMAP_UNWRITTEN)
		dio->flags |= IOMAP_DIO_UNWRITTEN;
	else if (iter->iomap.type != IOMAP_MAPPED)
		return -EIO;
	return iomap_dio_bio_iter(dio, iter, iomap_length(iter));
}

static void iomap_dio_init(struct iomap_dio *dio, struct inode *inode, struct iov_iter *iter, blk_opf_t opf)
{
	*dio = (struct iomap_dio){
		.ref = ATOMIC_INIT(1), .opf = opf, .size = mapping_size(inode->i_mapping), .iter = iter};
	init_completion(&dio->done);
}

// All mappings, and all bios. The first error.
static int iomap_dio_run(struct iomap_dio *dio, struct iomap_iter *iter, const struct iomap_ops *ops)
{
	struct blk_plug plug;
	int ret;

	blk_start_plug(&plug);
	while ((ret = iomap_iter(iter, ops)) > 0) {
		iter->processed =
			dio_is_write(dio) ? iomap_dio_write_iter(dio, iter) : iomap_dio_read_iter(dio, iter);
		// Past the end there is nothing to read; what the last block gave too much of is taken back.
		if (!dio_is_write(dio) && iter->processed > 0 && iter->pos + iter->processed >= dio->size)
			iter->len = iter->processed;
	}
	blk_finish_plug(&plug);
	if (ret < 0)
		iomap_dio_set_error(dio, ret);
	iomap_dio_put(dio);
	wait_for_completion_io(&dio->done);
	kfree(dio->zeroes);
	return READ_ONCE(dio->error);
}

static struct iomap_iter dio_iter(const struct kiocb *iocb, const struct iov_iter *iter, unsigned flags)
{
	return (struct iomap_iter){.inode = iocb->ki_filp->f_inode,
				   .pos = (u64)iocb->ki_pos,
				   .len = iov_iter_count(iter),
				   .flags = IOMAP_DIRECT | flags |
					    (iocb->ki_flags & IOCB_NOWAIT ? IOMAP_NOWAIT : 0)};
}

ssize_t iomap_dio_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops)
{
	struct iomap_iter iter = dio_iter(iocb, to, 0);
	struct address_space *mapping = iter.inode->i_mapping;
	u64 start = iter.pos;
	struct iomap_dio dio;
	int ret;

	if (!iter.len || start >= mapping_size(mapping))
		return 0;
	if (iocb->ki_flags & IOCB_NOWAIT &&
	    filemap_range_needs_writeback(mapping, start, start + iter.len - 1))
		return -EAGAIN;
	ret = filemap_write_and_wait_range(mapping, start, start + iter.len - 1);
	if (ret)
		return ret;
	iomap_dio_init(&dio, iter.inode, to, REQ_OP_READ | REQ_SYNC);
	ret = iomap_dio_run(&dio, &iter, ops);
	if (ret)
		return ret;
	if (iter.pos > dio.size) {
		iov_iter_revert(to, iter.pos - dio.size);
		iter.pos = dio.size;
	}
	iocb->ki_pos = iter.pos;
	return iter.pos - start;
}

// Nothing of the range stays cached.
static int dio_drop_cached(struct address_space *mapping, const struct kiocb *iocb, u64 pos, u64 len)
{
	u64 end = pos + len - 1;
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT && filemap_range_needs_writeback(mapping, pos, end))
		return -EAGAIN;
	err = filemap_write_and_wait_range(mapping, pos, end);
	if (!err && invalidate_inode_pages2_range(mapping, pos >> PAGE_SHIFT, end >> PAGE_SHIFT))
		err = -ENOTBLK;
	return err;
}

ssize_t iomap_dio_write(struct kiocb *iocb, struct iov_iter *from, const struct iomap_ops *ops,
			const struct iomap_dio_ops *dops)
{
	struct iomap_iter iter = dio_iter(iocb, from, IOMAP_WRITE);
	struct address_space *mapping = iter.inode->i_mapping;
	u64 start = iter.pos, len = iter.len;
	struct iomap_dio dio;
	int err, err2;

	if (!len)
		return 0;
	err = dio_drop_cached(mapping, iocb, start, len);
	if (err)
		return err;
	iomap_dio_init(&dio, iter.inode, from, REQ_OP_WRITE | REQ_SYNC);
	err = iomap_dio_run(&dio, &iter, ops);
	if (dops && dops->end_io) {
		err2 = dops->end_io(iocb, (s64)(iter.pos - start), err, dio.flags);
		err = err ? err : err2;
	}
	// A reader may have cached what was there before; a page that got dirty meanwhile wins, as in any
	// race.
	if (iter.pos > start)
		(void)invalidate_inode_pages2_range(mapping, start >> PAGE_SHIFT,
						    (iter.pos - 1) >> PAGE_SHIFT);
	if (err)
		return err;
	iocb->ki_pos = iter.pos;
	return generic_write_sync(iocb, (ssize_t)(iter.pos - start));
}
