/* SPDX-License-Identifier: MIT */
/*
 * Writing dirty folios of a file to the disk: iomap_writepages.
 *
 * The dirty runs of each folio are mapped, one question for as many as the answer covers, and gathered in
 * ioends: one bio each, as long as runs follow each other in the file and on the device. When the bio has
 * ended, and after that the file system's end_io where the mapping asks for it (unwritten blocks become
 * written, the size on the disk grows), the folios of the range are told; a folio's writeback ends with its
 * last byte.
 *
 * An ioend is its bio's until the end of that, then the work item's; folios under writeback keep the mapping
 * and the inode, so nothing of them is touched after the last folio was told.
 */
#include "iomap/iomap_internal.h"

#include "base/alloc.h"
#include "base/machine.h"
#include "base/rcu.h"
#include "base/workqueue.h"
#include "block/blk.h"
#include "cache/cache.h"
#include "cache/writeback.h"

#include <errno.h>
#include <string.h>

#define IOEND_MAX_BYTES (8u << 20)

struct iomap_ioend {
	struct inode *inode;
	u64 offset, size; // bytes of the file
	u16 type, flags;  // of the mapping
	const struct iomap_writeback_ops *ops;
	struct work_struct work;
	struct bio bio; // its vectors follow
};

struct writepage_ctx {
	struct inode *inode;
	const struct iomap_writeback_ops *ops;
	struct iomap iomap; // the last answer; length 0: none
	struct iomap_ioend *ioend;
	blk_opf_t opf;
};

static void finish_folio_write(struct folio *folio, size_t len)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);

	if (!ifs || atomic_sub_and_test((int)len, &ifs->write_pending))
		folio_end_writeback(folio);
}

static void ioend_finish(struct iomap_ioend *ioend, int error)
{
	struct address_space *mapping = ioend->inode->i_mapping;
	u64 pos = ioend->offset, end = pos + ioend->size;

	if (error)
		mapping_set_error(mapping, error);
	while (pos < end) {
		struct folio *folio = xa_load(&mapping->i_pages, pos >> PAGE_SHIFT);
		size_t len = min_t(u64, end - pos, folio_pos(folio) + folio_size(folio) - pos);

		pos += len;
		finish_folio_write(folio, len);
	}
	kfree(ioend);
}

static void ioend_work(struct work_struct *work)
{
	struct iomap_ioend *ioend = container_of(work, struct iomap_ioend, work);
	unsigned reclaim = memalloc_noreclaim_save();

	ioend_finish(ioend, ioend->ops->end_io(ioend->inode, ioend->offset, ioend->size, ioend->type));
	memalloc_noreclaim_restore(reclaim);
}

static void ioend_bio_end(struct bio *bio)
{
	struct iomap_ioend *ioend = container_of(bio, struct iomap_ioend, bio);

	if (!bio->bi_status && ioend->ops->end_io &&
	    (ioend->type == IOMAP_UNWRITTEN || ioend->flags & IOMAP_F_END_IO))
		queue_work(ioend->inode->i_mapping->machine->system_wq, &ioend->work);
	else
		ioend_finish(ioend, bio->bi_status);
}

static void ioend_submit(struct writepage_ctx *ctx)
{
	if (ctx->ioend)
		submit_bio(&ctx->ioend->bio);
	ctx->ioend = NULL;
}

static bool ioend_add(struct writepage_ctx *ctx, struct folio *folio, u64 pos, size_t len)
{
	struct iomap_ioend *ioend = ctx->ioend;
	const struct iomap *map = &ctx->iomap;
	sector_t sector = (map->addr + pos - map->offset) >> SECTOR_SHIFT;

	if (ioend->bio.bi_bdev != map->bdev || ioend->type != map->type || ioend->flags != map->flags ||
	    ioend->offset + ioend->size != pos || bio_end_sector(&ioend->bio) != sector ||
	    ioend->size + len > IOEND_MAX_BYTES)
		return false;
	if (!bio_add_mem(&ioend->bio, (char *)folio_address(folio) + (pos - folio_pos(folio)), (unsigned)len))
		return false;
	ioend->size += len;
	return true;
}

static int ioend_alloc(struct writepage_ctx *ctx, u64 pos)
{
	const struct iomap *map = &ctx->iomap;
	struct iomap_ioend *ioend = kmalloc(ctx->inode->i_mapping->machine,
					    sizeof(*ioend) + BIO_MAX_VECS * sizeof(struct bio_vec));

	if (!ioend)
		return -ENOMEM;
	ioend->inode = ctx->inode;
	ioend->offset = pos;
	ioend->size = 0;
	ioend->type = map->type;
	ioend->flags = map->flags;
	ioend->ops = ctx->ops;
	INIT_WORK(&ioend->work, ioend_work);
	bio_init(&ioend->bio, map->bdev, (struct bio_vec *)(ioend + 1), BIO_MAX_VECS, ctx->opf);
	ioend->bio.bi_iter.bi_sector = (map->addr + pos - map->offset) >> SECTOR_SHIFT;
	ioend->bio.bi_end_io = ioend_bio_end;
	ctx->ioend = ioend;
	return 0;
}

static bool map_covers(const struct iomap *map, u64 pos)
{
	return pos >= map->offset && pos < map->offset + map->length;
}

// Sends a dirty run, or its first part. Returns its bytes.
static s64 write_run(struct writepage_ctx *ctx, struct folio *folio, u64 pos, size_t len)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);
	struct iomap *map = &ctx->iomap;
	int err;

	if (!map_covers(map, pos) || (ctx->ops->iomap_valid && !ctx->ops->iomap_valid(ctx->inode, map))) {
		*map = (struct iomap){0};
		err = ctx->ops->map_blocks(ctx->inode, pos, len, map);
		if (!err && WARN_ON(!map_covers(map, pos)))
			err = -EIO;
		if (err) {
			map->length = 0;
			return err;
		}
	}
	len = min_t(u64, len, map->offset + map->length - pos);
	if (map->type == IOMAP_HOLE) // punched meanwhile
		return (s64)len;
	if (!ctx->ioend || !ioend_add(ctx, folio, pos, len)) {
		ioend_submit(ctx);
		err = ioend_alloc(ctx, pos);
		if (err)
			return err;
		BUG_ON(!ioend_add(ctx, folio, pos, len));
	}
	if (ifs)
		atomic_add((int)len, &ifs->write_pending);
	return (s64)len;
}

// What lies past the end of the file is zeroed and not written. Returns where the folio's data end.
static u64 folio_data_end(const struct inode *inode, struct folio *folio)
{
	u64 size = i_size_read(inode), pos = folio_pos(folio), end = pos + folio_size(folio);

	if (size >= end)
		return end;
	if (size <= pos)
		return pos;
	memset((char *)folio_address(folio) + (size - pos), 0, end - size);
	return size;
}

// After an error at `offset`: for want of memory what was not sent stays dirty; else it is lost, and that is
// noted.
static void runs_failed(struct folio *folio, struct iomap_folio_state *ifs, size_t offset, int err)
{
	struct address_space *mapping = folio_mapping(folio);
	bool keep = err == -ENOMEM || err == -EAGAIN;

	if (ifs)
		ifs_clear_range_dirty(ifs, 0, keep ? offset : folio_size(folio));
	if (keep)
		(void)filemap_dirty_folio(mapping, folio);
	else
		mapping_set_error(mapping, err);
}

// The folio's dirty runs up to `end`.
static int write_folio_runs(struct writepage_ctx *ctx, struct folio *folio, u64 end, bool *sent)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);
	size_t offset = 0, limit = end - folio_pos(folio), run;

	limit = round_up(limit, (size_t)1 << ctx->inode->i_blkbits);
	while (offset < limit) {
		s64 len;

		run = ifs ? ifs_next_dirty_run(ifs, &offset, limit) : limit;
		if (!run)
			break;
		len = write_run(ctx, folio, folio_pos(folio) + offset, run);
		if (len < 0) {
			runs_failed(folio, ifs, offset, (int)len);
			return (int)len;
		}
		*sent |= ctx->iomap.type != IOMAP_HOLE;
		offset += (size_t)len;
	}
	if (ifs)
		ifs_clear_range_dirty(ifs, 0, folio_size(folio));
	return 0;
}

static int write_folio(struct writepage_ctx *ctx, struct folio *folio)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);
	u64 end = folio_data_end(ctx->inode, folio);
	bool sent = false;
	int err = 0;

	if (ifs)
		atomic_set(&ifs->write_pending, 1);
	folio_start_writeback(folio);
	if (end > folio_pos(folio))
		err = write_folio_runs(ctx, folio, end, &sent);
	else if (ifs)
		ifs_clear_range_dirty(ifs, 0, folio_size(folio));
	folio_unlock(folio);
	if (ifs ? atomic_dec_and_test(&ifs->write_pending) : !sent)
		folio_end_writeback(folio);
	return err;
}

int iomap_writepages(struct address_space *mapping, struct writeback_control *wbc, struct inode *inode,
		     const struct iomap_writeback_ops *ops)
{
	struct writepage_ctx ctx = {.inode = inode,
				    .ops = ops,
				    .opf = REQ_OP_WRITE |
					   (wbc->sync_mode == WB_SYNC_ALL ? REQ_SYNC : REQ_BACKGROUND)};
	struct folio *folio = NULL;
	struct blk_plug plug;
	int err = 0;

	blk_start_plug(&plug);
	while ((folio = writeback_iter(mapping, wbc, folio, &err)))
		err = write_folio(&ctx, folio);
	ioend_submit(&ctx);
	blk_finish_plug(&plug);
	return err;
}
