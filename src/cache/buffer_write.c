/* SPDX-License-Identifier: MIT */
/*
 * Writing blocks: see buffer_head.h. BH_Lock is held from before BH_Dirty is cleared until the write has
 * ended, so a block that is neither dirty nor locked is what the device holds, unless BH_Write_EIO says that
 * it is not. Who changes a block that is being written marks it dirty again.
 *
 * A folio is dirty if one of its blocks is. Its writeback (folio_write_buffers) writes those and ends with
 * the last of them, counted by b_pending of its first head; a block that is written alone leaves the folio's
 * flags as they are, and the next writeback finds nothing to do in it.
 */
#include "cache/cache_internal.h"
#include "cache/buffer_internal.h"
#include "cache/writeback.h"

#include "base/log.h"

void mark_buffer_dirty(struct buffer_head *bh)
{
	struct address_space *mapping = bh->b_bdev->bd_mapping;

	BUG_ON(!buffer_uptodate(bh));
	buffer_clear(bh, BH_Write_EIO);
	if (!buffer_test_set(bh, BH_Dirty))
		(void)filemap_dirty_folio(mapping, bh->b_folio);
}

// The folio as a whole: so are all of its blocks.
bool buffer_dirty_folio(struct address_space *mapping, struct folio *folio)
{
	struct buffer_head *heads = folio_get_private(folio);

	for (size_t i = 0; heads && i < folio_size(folio) / heads->b_size; i++)
		if (buffer_uptodate(&heads[i]))
			buffer_set(&heads[i], BH_Dirty);
	return filemap_dirty_folio(mapping, folio);
}

static void write_error(struct buffer_head *bh, int err)
{
	shale_log_ratelimited(
		bdev_machine(bh->b_bdev), LOGLEVEL_ERR,
		"Buffer I/O error on dev %s, logical block %llu, lost sync page write: error %d",
		bdev_name(bh->b_bdev), (unsigned long long)bh->b_blocknr, err);
	buffer_set(bh, BH_Write_EIO);
	mapping_set_error(bh->b_bdev->bd_mapping, err);
}

static void write_end_io(struct bio *bio)
{
	struct buffer_head *bh = bio->bi_private;

	if (bio->bi_status)
		write_error(bh, bio->bi_status);
	unlock_buffer(bh);
	brelse(bh);
	bio_put(bio);
}

static void folio_write_put(struct folio *folio)
{
	struct buffer_head *heads = folio_get_private(folio);

	if (atomic_dec_and_test(&heads->b_pending))
		folio_end_writeback(folio);
}

static void folio_write_end_io(struct bio *bio)
{
	struct buffer_head *bh = bio->bi_private;

	if (bio->bi_status)
		write_error(bh, bio->bi_status);
	unlock_buffer(bh);
	folio_write_put(bh->b_folio);
	brelse(bh);
	bio_put(bio);
}

// Locked, and not dirty any more. The reference goes with the write.
static void buffer_submit(struct buffer_head *bh, blk_opf_t flags, bio_end_io_t end_io)
{
	struct bio *bio;

	get_bh(bh);
	bio = bio_alloc_bioset(bh->b_bdev, 1, REQ_OP_WRITE | REQ_META | flags,
			       blk_bio_set(bdev_machine(bh->b_bdev)));
	buffer_bio_fill(bio, bh);
	bio->bi_end_io = end_io;
	bio->bi_private = bh;
	submit_bio(bio);
}

void write_dirty_buffer(struct buffer_head *bh, blk_opf_t flags)
{
	lock_buffer(bh);
	if (buffer_test_clear(bh, BH_Dirty))
		buffer_submit(bh, flags, write_end_io);
	else
		unlock_buffer(bh);
}

int sync_dirty_buffer(struct buffer_head *bh, blk_opf_t flags)
{
	write_dirty_buffer(bh, flags | REQ_SYNC);
	wait_on_buffer(bh);
	return buffer_test(bh, BH_Write_EIO) ? -EIO : 0;
}

void folio_write_buffers(struct folio *folio, bool wait)
{
	struct buffer_head *heads = folio_get_private(folio);
	bool left = false;

	atomic_set(&heads->b_pending, 1);
	folio_start_writeback(folio);
	folio_unlock(folio);
	for (size_t i = 0; i < folio_size(folio) / heads->b_size; i++) {
		struct buffer_head *bh = &heads[i];

		if (!buffer_dirty(bh))
			continue;
		if (wait)
			lock_buffer(bh);
		else if (!trylock_buffer(bh)) {
			left = true;
			continue;
		}
		if (!buffer_test_clear(bh, BH_Dirty)) {
			unlock_buffer(bh);
			continue;
		}
		atomic_inc(&heads->b_pending);
		buffer_submit(bh, wait ? REQ_SYNC : REQ_BACKGROUND, folio_write_end_io);
	}
	if (left)
		(void)filemap_dirty_folio(heads->b_bdev->bd_mapping, folio);
	folio_write_put(folio);
}
