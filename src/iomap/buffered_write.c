/* SPDX-License-Identifier: MIT */
/*
 * Writing through the page cache: iomap_file_buffered_write, and zeroing of ranges.
 *
 * For each mapping, folios as large as the write allows are found or made and locked; blocks that are covered
 * in part are read first, or zeroed where the disk has nothing for them; then the bytes are copied and their
 * blocks become up to date and dirty. The caller holds i_rwsem exclusive, so only writeback changes mappings
 * meanwhile: where that matters, iomap_valid says that a mapping is old, and it is asked for again.
 */
#include "iomap/iomap_internal.h"

#include "block/blk.h"
#include "cache/writeback.h"

#include <string.h>

// Does the disk hold nothing for this block, so that the rest of it is zeroes?
static bool block_needs_zeroing(const struct iomap_iter *iter, u64 block_pos)
{
	const struct iomap *src = iomap_iter_srcmap(iter);

	return src->type != IOMAP_MAPPED || src->flags & IOMAP_F_NEW || block_pos >= i_size_read(iter->inode);
}

static int read_block_sync(const struct iomap_iter *iter, struct folio *folio, u64 block_pos, size_t len)
{
	const struct iomap *src = iomap_iter_srcmap(iter);
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, src->bdev, &vec, 1, REQ_OP_READ | REQ_SYNC);
	bio.bi_iter.bi_sector = (src->addr + block_pos - src->offset) >> SECTOR_SHIFT;
	(void)bio_add_mem(&bio, (char *)folio_address(folio) + (block_pos - folio_pos(folio)), (unsigned)len);
	return submit_bio_wait(&bio);
}

// The block at block_pos, of which [from, to) (bytes of the file) will be written, is not up to date.
static int prepare_block(const struct iomap_iter *iter, struct folio *folio, u64 block_pos, u64 from, u64 to)
{
	size_t size = (size_t)1 << iter->inode->i_blkbits;
	char *data = (char *)folio_address(folio) + (block_pos - folio_pos(folio));

	if (!block_needs_zeroing(iter, block_pos))
		return read_block_sync(iter, folio, block_pos, size);
	if (from > block_pos)
		memset(data, 0, from - block_pos);
	if (to < block_pos + size)
		memset(data + (to - block_pos), 0, block_pos + size - to);
	return 0;
}

static bool block_uptodate(struct folio *folio, struct iomap_folio_state *ifs, u64 block_pos)
{
	bool uptodate;

	if (!ifs)
		return folio_test_uptodate(folio);
	(void)ifs_run(ifs, block_pos - folio_pos(folio), 1, &uptodate);
	return uptodate;
}

// Only the first and the last block can be covered in part.
static int prepare_folio(const struct iomap_iter *iter, struct folio *folio, u64 pos, size_t len)
{
	u64 size = (u64)1 << iter->inode->i_blkbits, end = pos + len;
	u64 first = round_down(pos, size), last = round_down(end - 1, size);
	struct iomap_folio_state *ifs = folio_get_private(folio);
	int err = 0;

	if (!ifs && folio_size(folio) > size) {
		ifs = ifs_alloc(folio, iter->inode->i_blkbits);
		if (!ifs)
			return -ENOMEM;
	}
	if (folio_test_uptodate(folio))
		return 0;
	if ((pos > first || (first == last && end < first + size)) && !block_uptodate(folio, ifs, first))
		err = prepare_block(iter, folio, first, pos, min(end, first + size));
	if (!err && last != first && end < last + size && !block_uptodate(folio, ifs, last))
		err = prepare_block(iter, folio, last, last, end);
	return err;
}

// Large folios where the write covers them.
static unsigned write_order(const struct address_space *mapping, u64 pos, size_t len)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	unsigned order = mapping->min_order;

	while (order < mapping->max_order && (2ul << order) * PAGE_SIZE <= len &&
	       !(index & ((2ul << order) - 1)))
		order++;
	return order;
}

// A locked, referenced folio, ready for [pos, pos + *len); *len is cut to it. 1: the mapping is old.
static int write_begin(struct iomap_iter *iter, const struct iomap_ops *ops, u64 pos, size_t *len,
		       struct folio **out)
{
	struct address_space *mapping = iter->inode->i_mapping;
	struct folio *folio;
	int err;

	if (iter->iomap.type == IOMAP_INLINE || iter->iomap.type == IOMAP_HOLE)
		return -EIO; // the file system has made blocks before it mapped for writing
	err = filemap_grab_folio(mapping, pos >> PAGE_SHIFT, write_order(mapping, pos, *len), &folio);
	if (err)
		return err;
	*len = min_t(u64, *len, folio_pos(folio) + folio_size(folio) - pos);
	if (!folio_test_uptodate(folio) && ops->iomap_valid && !ops->iomap_valid(iter->inode, &iter->iomap)) {
		iter->iomap.flags |= IOMAP_F_STALE;
		err = 1;
	} else {
		err = prepare_folio(iter, folio, pos, *len);
	}
	if (err) {
		folio_unlock(folio);
		folio_put(folio);
		return err;
	}
	*out = folio;
	return 0;
}

static void write_end(struct iomap_iter *iter, u64 pos, size_t len, struct folio *folio)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);
	size_t offset = pos - folio_pos(folio);

	if (ifs) {
		ifs_set_range_uptodate(ifs, offset, len);
		ifs_set_range_dirty(ifs, offset, len);
	}
	if (!folio_test_uptodate(folio) && (!ifs || ifs_fully_uptodate(ifs)))
		folio_mark_uptodate(folio);
	(void)filemap_dirty_folio(iter->inode->i_mapping, folio);
	if (pos + len > i_size_read(iter->inode) && !(iter->flags & IOMAP_ZERO)) {
		i_size_write(iter->inode, pos + len);
		iter->iomap.flags |= IOMAP_F_SIZE_CHANGED;
	}
	folio_mark_accessed(folio);
	folio_unlock(folio);
	folio_put(folio);
}

static s64 iomap_write_iter(struct iomap_iter *iter, const struct iomap_ops *ops, struct iov_iter *from)
{
	struct address_space *mapping = iter->inode->i_mapping;
	u64 length = iomap_length(iter), done = 0;

	while (done < length) {
		size_t len = min_t(u64, length - done, iov_iter_count(from));
		u64 pos = iter->pos + done;
		struct folio *folio;
		int err;

		balance_dirty_pages_ratelimited(mapping);
		err = write_begin(iter, ops, pos, &len, &folio);
		if (err)
			return done ? (s64)done : min(err, 0);
		len = copy_from_iter((char *)folio_address(folio) + (pos - folio_pos(folio)), len, from);
		write_end(iter, pos, len, folio);
		done += len;
		cond_resched();
	}
	return done;
}

ssize_t iomap_file_buffered_write(struct kiocb *iocb, struct iov_iter *from, const struct iomap_ops *ops)
{
	struct iomap_iter iter = {.inode = iocb->ki_filp->f_inode,
				  .pos = (u64)iocb->ki_pos,
				  .len = iov_iter_count(from),
				  .flags = IOMAP_WRITE | (iocb->ki_flags & IOCB_NOWAIT ? IOMAP_NOWAIT : 0)};
	u64 start = iter.pos;
	int ret;

	while ((ret = iomap_iter(&iter, ops)) > 0)
		iter.processed = iomap_write_iter(&iter, ops, from);
	if (iter.pos == start)
		return ret;
	iocb->ki_pos = (loff_t)iter.pos;
	return (ssize_t)(iter.pos - start);
}

// Is there anything cached in the page, so that unwritten blocks may hold data?
static bool page_is_cached(struct address_space *mapping, u64 pos)
{
	struct folio *folio;

	if (filemap_get_folio(mapping, pos >> PAGE_SHIFT, &folio))
		return false;
	folio_put(folio);
	return true;
}

static s64 iomap_zero_iter(struct iomap_iter *iter, const struct iomap_ops *ops, bool *did_zero)
{
	const struct iomap *src = iomap_iter_srcmap(iter);
	u64 length = iomap_length(iter), done = 0;

	if (src->type == IOMAP_HOLE)
		return (s64)length;
	while (done < length) {
		u64 pos = iter->pos + done;
		size_t len = min_t(u64, length - done, PAGE_SIZE - (pos & ~PAGE_MASK));
		struct folio *folio;
		int err;

		if (src->type == IOMAP_UNWRITTEN && !page_is_cached(iter->inode->i_mapping, pos)) {
			done += len;
			continue;
		}
		err = write_begin(iter, ops, pos, &len, &folio);
		if (err)
			return done ? (s64)done : min(err, 0);
		memset((char *)folio_address(folio) + (pos - folio_pos(folio)), 0, len);
		write_end(iter, pos, len, folio);
		if (did_zero)
			*did_zero = true;
		done += len;
		cond_resched();
	}
	return (s64)done;
}

int iomap_zero_range(struct inode *inode, u64 pos, u64 len, bool *did_zero, const struct iomap_ops *ops)
{
	struct iomap_iter iter = {.inode = inode, .pos = pos, .len = len, .flags = IOMAP_WRITE | IOMAP_ZERO};
	int ret;

	if (did_zero)
		*did_zero = false;
	while ((ret = iomap_iter(&iter, ops)) > 0)
		iter.processed = iomap_zero_iter(&iter, ops, did_zero);
	return ret;
}

int iomap_truncate_page(struct inode *inode, u64 pos, bool *did_zero, const struct iomap_ops *ops)
{
	u64 size = (u64)1 << inode->i_blkbits, off = pos & (size - 1);

	if (did_zero)
		*did_zero = false;
	return off ? iomap_zero_range(inode, pos, size - off, did_zero, ops) : 0;
}
