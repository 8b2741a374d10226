/* SPDX-License-Identifier: MIT */
/*
 * Filling folios of a file: iomap_read_folio for one, iomap_readahead for a run, over the mappings of the
 * range.
 *
 * A piece is a part of a folio that one mapping covers. Holes and unwritten pieces are zeroed at once;
 * mapped ones go into bios that join pieces which follow each other in the file and on the device, over
 * folios and mappings. A folio that one piece covers needs no state: the end of its bio is the end of its
 * read. Others get a struct iomap_folio_state (folio_state.c). It goes away when the folio is complete and
 * clean; after an error it stays, so that only what is missing is read again.
 */
#include "iomap/iomap_internal.h"

#include "cache/folio_bio.h"

#include <string.h>

// What one call of readpage works on.
struct iomap_readpage_ctx {
	struct readahead_control *rac; // NULL: one folio
	struct folio *folio;           // the one in work, locked
	struct iomap_folio_state *ifs; // its state, if it has any
	bool in_bio;                   // without ifs: its only piece is in a bio
	u64 end; // bytes of the file from here on are zeroes: end of file or of the folio
	struct folio_bio *fb;
};

// So many bytes less, or the starter (1) is done; the last one ends the read.
static void ifs_put_pending(struct folio *folio, struct iomap_folio_state *ifs, size_t nr)
{
	bool complete;

	if (!atomic_sub_and_test(nr, &ifs->pending))
		return;
	complete = ifs_fully_uptodate(ifs);
	// What is dirty, or on its way to the disk, is told by block.
	if (complete && !folio_test_dirty(folio) && !folio_test_writeback(folio))
		ifs_free(folio, folio_mapping(folio)->machine);
	folio_end_read(folio, complete);
}

static void iomap_finish_folio_read(struct folio *folio, size_t offset, size_t len, int status)
{
	struct iomap_folio_state *ifs = folio_get_private(folio);

	if (!ifs) {
		folio_end_read(folio, status == 0);
		return;
	}
	if (!status)
		ifs_set_range_uptodate(ifs, offset, len);
	ifs_put_pending(folio, ifs, len);
}

// Takes up a folio: what lies past the end of the file is zeroed, the rest is for the mappings.
static void iomap_folio_begin(struct iomap_readpage_ctx *ctx, struct folio *folio, const struct inode *inode)
{
	u64 size = mapping_size(folio_mapping(folio)), end = folio_pos(folio) + folio_size(folio);
	size_t offset;

	ctx->folio = folio;
	ctx->in_bio = false;
	ctx->ifs = folio_get_private(folio);
	if (ctx->ifs)
		atomic_set(&ctx->ifs->pending, 1);
	ctx->end = clamp_t(u64, round_up(size, (u64)1 << inode->i_blkbits), folio_pos(folio), end);
	offset = ctx->end - folio_pos(folio);
	if (ctx->end == end)
		return;
	memset((char *)folio_address(folio) + offset, 0, folio_size(folio) - offset);
	if (ctx->ifs)
		ifs_set_range_uptodate(ctx->ifs, offset, folio_size(folio) - offset);
}

// Leaves the folio to its bios, or ends its read where it has none.
static void iomap_folio_finish(struct iomap_readpage_ctx *ctx, int err)
{
	struct folio *folio = ctx->folio;

	ctx->folio = NULL;
	if (!folio)
		return;
	if (ctx->ifs)
		ifs_put_pending(folio, ctx->ifs, 1);
	else if (!ctx->in_bio)
		folio_end_read(folio, err == 0);
}

// Adds a mapped piece to the bio at hand, or to a new one.
static int iomap_add_piece(struct iomap_readpage_ctx *ctx, const struct iomap_iter *iter, u64 pos, size_t len)
{
	const struct iomap *map = &iter->iomap;
	sector_t sector = (map->addr + pos - map->offset) >> SECTOR_SHIFT;
	size_t offset = pos - folio_pos(ctx->folio);
	blk_opf_t opf = REQ_OP_READ | (ctx->rac ? REQ_RAHEAD : REQ_SYNC);
	int err;

	if (!ctx->fb || !folio_bio_add(ctx->fb, map->bdev, sector, ctx->folio, offset, len)) {
		folio_bio_submit(ctx->fb);
		ctx->fb = NULL;
		err = folio_bio_alloc(map->bdev, sector, opf, ctx->rac ? ctx->rac->_nr_pages : 1,
				      folio_mapping(ctx->folio), pos, iomap_finish_folio_read, &ctx->fb);
		if (err)
			return err;
		BUG_ON(!folio_bio_add(ctx->fb, map->bdev, sector, ctx->folio, offset, len));
	}
	if (ctx->ifs)
		atomic_add(len, &ctx->ifs->pending);
	else
		ctx->in_bio = true;
	return 0;
}

static void iomap_fill_piece(struct iomap_readpage_ctx *ctx, const struct iomap_iter *iter, u64 pos,
			     size_t len)
{
	const struct iomap *map = &iter->iomap;
	size_t offset = pos - folio_pos(ctx->folio), have = 0;
	char *to = (char *)folio_address(ctx->folio) + offset;

	if (map->type == IOMAP_INLINE) {
		have = min(len, (size_t)(map->offset + map->length - pos));
		memcpy(to, (const char *)map->inline_data + (pos - map->offset), have);
	}
	memset(to + have, 0, len - have);
	if (ctx->ifs)
		ifs_set_range_uptodate(ctx->ifs, offset, len);
}

// Reads one piece of the folio in work, at `pos`. Returns its bytes.
static s64 iomap_read_piece(struct iomap_readpage_ctx *ctx, const struct iomap_iter *iter, u64 pos)
{
	const struct iomap *map = &iter->iomap;
	struct folio *folio = ctx->folio;
	u64 avail = map->offset + map->length - pos;
	size_t len = min(avail, ctx->end - pos), offset = pos - folio_pos(folio);
	bool uptodate = false;
	int err;

	if (map->type == IOMAP_INLINE)
		len = ctx->end - pos; // inline data is all there is
	if (!ctx->ifs && (offset || pos + len < ctx->end)) {
		ctx->ifs = ifs_alloc(folio, iter->inode->i_blkbits);
		if (!ctx->ifs)
			return -ENOMEM;
		if (ctx->end < folio_pos(folio) + folio_size(folio))
			ifs_set_range_uptodate(ctx->ifs, ctx->end - folio_pos(folio),
					       folio_pos(folio) + folio_size(folio) - ctx->end);
	}
	if (ctx->ifs)
		len = ifs_run(ctx->ifs, offset, len, &uptodate);
	if (uptodate)
		return len;
	if (map->type != IOMAP_MAPPED) {
		iomap_fill_piece(ctx, iter, pos, len);
		return len;
	}
	err = iomap_add_piece(ctx, iter, pos, len);
	return err ? err : (s64)len;
}

int iomap_read_folio(struct folio *folio, struct inode *inode, const struct iomap_ops *ops)
{
	struct iomap_readpage_ctx ctx = {0};
	struct iomap_iter iter = {.inode = inode, .pos = folio_pos(folio)};
	int ret;

	iomap_folio_begin(&ctx, folio, inode);
	iter.len = ctx.end - iter.pos;
	while ((ret = iomap_iter(&iter, ops)) > 0) {
		u64 pos = iter.pos, end = min(iter.pos + iomap_length(&iter), ctx.end);
		s64 len = 0;

		if (iter.iomap.type == IOMAP_INLINE)
			end = ctx.end;
		while (pos < end && (len = iomap_read_piece(&ctx, &iter, pos)) > 0)
			pos += len;
		iter.processed = len < 0 ? len : (s64)(pos - iter.pos);
	}
	iomap_folio_finish(&ctx, ret);
	folio_bio_submit(ctx.fb);
	return ret;
}

// The part of the range that one mapping covers, over as many folios as it touches. Returns bytes, or an
// error when nothing was done.
static s64 iomap_readahead_iter(struct iomap_readpage_ctx *ctx, const struct iomap_iter *iter)
{
	u64 pos = iter->pos, end = iter->pos + iomap_length(iter);

	while (pos < end) {
		s64 len;

		if (!ctx->folio) {
			struct folio *folio = readahead_folio(ctx->rac);

			if (!folio)
				break;
			iomap_folio_begin(ctx, folio, iter->inode);
		}
		if (pos >= ctx->end) {
			// Past the end of the file: the folio is done, with what it has of zeroes.
			pos = folio_pos(ctx->folio) + folio_size(ctx->folio);
			iomap_folio_finish(ctx, 0);
			continue;
		}
		len = iomap_read_piece(ctx, iter, pos);
		if (len < 0)
			return len;
		pos += len;
		if (pos == folio_pos(ctx->folio) + folio_size(ctx->folio))
			iomap_folio_finish(ctx, 0);
	}
	return pos - iter->pos;
}

void iomap_readahead(struct readahead_control *rac, struct inode *inode, const struct iomap_ops *ops)
{
	struct iomap_readpage_ctx ctx = {.rac = rac};
	struct iomap_iter iter = {.inode = inode, .pos = readahead_pos(rac), .len = readahead_length(rac)};
	u64 limit = round_up(mapping_size(rac->mapping), (u64)1 << inode->i_blkbits);
	int ret;

	if (iter.pos + iter.len > limit)
		iter.len = limit > iter.pos ? limit - iter.pos : 0;
	while ((ret = iomap_iter(&iter, ops)) > 0)
		iter.processed = iomap_readahead_iter(&ctx, &iter);
	iomap_folio_finish(&ctx, ret);
	folio_bio_submit(ctx.fb);
}
