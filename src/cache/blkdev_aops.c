/* SPDX-License-Identifier: MIT */
/*
 * How the page cache of a block device is filled and written: the file is the device, so a page's place is
 * its position. Folios without buffer heads are read whole, runs of them in one bio; where heads exist
 * already (metadata was read there), the blocks that are missing are read one by one, and those that are
 * dirty written. What lies past the end of the device in the last folio is zeroes.
 */
#include "cache/buffer_internal.h"
#include "cache/cache_internal.h"
#include "cache/folio_bio.h"
#include "cache/writeback.h"

#include <string.h>

// Bytes of the folio that the device has, whole sectors; the rest is zeroed.
static size_t blkdev_folio_bytes(const struct block_device *bdev, struct folio *folio)
{
	u64 end = bdev_nr_bytes(bdev), pos = folio_pos(folio);
	size_t bytes = pos < end ? min(end - pos, folio_size(folio)) : 0;

	memset((char *)folio_address(folio) + bytes, 0, folio_size(folio) - bytes);
	return bytes;
}

static void blkdev_end_read(struct folio *folio, size_t offset, size_t len, int status)
{
	folio_end_read(folio, status == 0);
}

static int blkdev_read_blocks(struct block_device *bdev, struct folio *folio)
{
	struct buffer_head *heads = folio_get_private(folio);
	size_t bytes = blkdev_folio_bytes(bdev, folio);
	int err = 0;

	for (size_t i = 0; !err && (i + 1) * heads->b_size <= bytes; i++)
		err = bh_read(&heads[i]);
	// A device that does not end with a block: the piece that no head covers.
	if (!err && bytes % heads->b_size)
		err = -EIO;
	folio_end_read(folio, err == 0);
	return err;
}

// Adds the folio to *fb, or submits that and begins another. Ends the folio's read itself where there is
// nothing to read.
static int blkdev_add_folio(struct block_device *bdev, struct folio *folio, blk_opf_t opf, unsigned max_vecs,
			    struct folio_bio **fb)
{
	sector_t sector = folio_pos(folio) >> SECTOR_SHIFT;
	size_t bytes = blkdev_folio_bytes(bdev, folio);
	int err;

	if (!bytes) {
		folio_end_read(folio, true);
		return 0;
	}
	if (*fb && folio_bio_add(*fb, bdev, sector, folio, 0, bytes))
		return 0;
	folio_bio_submit(*fb);
	*fb = NULL;
	err = folio_bio_alloc(bdev, sector, opf, max_vecs, bdev->bd_mapping, folio_pos(folio),
			      blkdev_end_read, fb);
	if (err) {
		folio_end_read(folio, false);
		return err;
	}
	BUG_ON(!folio_bio_add(*fb, bdev, sector, folio, 0, bytes));
	return 0;
}

static int blkdev_read_folio(struct address_space *mapping, struct folio *folio)
{
	struct block_device *bdev = mapping->host;
	struct folio_bio *fb = NULL;
	int err;

	if (folio_test_private(folio))
		return blkdev_read_blocks(bdev, folio);
	err = blkdev_add_folio(bdev, folio, REQ_OP_READ | REQ_SYNC, 1, &fb);
	folio_bio_submit(fb);
	return err;
}

static void blkdev_readahead(struct readahead_control *rac)
{
	struct block_device *bdev = rac->mapping->host;
	struct folio_bio *fb = NULL;
	struct folio *folio;

	while ((folio = readahead_folio(rac))) {
		if (blkdev_add_folio(bdev, folio, REQ_OP_READ | REQ_RAHEAD, rac->_nr_pages, &fb))
			break;
	}
	folio_bio_submit(fb);
}

static bool blkdev_is_partially_uptodate(struct folio *folio, size_t from, size_t count)
{
	struct buffer_head *heads = folio_get_private(folio);

	if (!heads || !count)
		return false;
	for (size_t i = from / heads->b_size; i <= (from + count - 1) / heads->b_size; i++) {
		if (!buffer_uptodate(&heads[i]))
			return false;
	}
	return true;
}

static void blkdev_write_end_io(struct bio *bio)
{
	struct folio *folio = bio->bi_private;

	if (bio->bi_status)
		mapping_set_error(folio_mapping(folio), bio->bi_status);
	folio_end_writeback(folio);
	bio_put(bio);
}

// A folio without heads, whole.
static void blkdev_write_folio(struct block_device *bdev, struct folio *folio, blk_opf_t opf)
{
	u64 pos = folio_pos(folio), end = bdev_nr_bytes(bdev);
	struct bio *bio;

	folio_start_writeback(folio);
	folio_unlock(folio);
	if (pos >= end) {
		folio_end_writeback(folio);
		return;
	}
	bio = bio_alloc_bioset(bdev, 1, opf, blk_bio_set(bdev_machine(bdev)));
	bio->bi_iter.bi_sector = pos >> SECTOR_SHIFT;
	BUG_ON(!bio_add_mem(bio, folio_address(folio), (unsigned)min(end - pos, folio_size(folio))));
	bio->bi_end_io = blkdev_write_end_io;
	bio->bi_private = folio;
	submit_bio(bio);
}

static int blkdev_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	bool wait = wbc->sync_mode == WB_SYNC_ALL;
	struct folio *folio = NULL;
	struct blk_plug plug;
	int err = 0;

	blk_start_plug(&plug);
	while ((folio = writeback_iter(mapping, wbc, folio, &err))) {
		if (folio_test_private(folio))
			folio_write_buffers(folio, wait);
		else
			blkdev_write_folio(mapping->host, folio,
					   REQ_OP_WRITE | (wait ? REQ_SYNC : REQ_BACKGROUND));
	}
	blk_finish_plug(&plug);
	return err;
}

const struct address_space_operations blkdev_buffer_aops = {
	.writepages = blkdev_writepages,
	.dirty_folio = buffer_dirty_folio,
	.write_begin = blkdev_write_begin,
	.write_end = blkdev_write_end,
	.release_folio = blkdev_release_folio,
	.read_folio = blkdev_read_folio,
	.readahead = blkdev_readahead,
	.is_partially_uptodate = blkdev_is_partially_uptodate,
};
