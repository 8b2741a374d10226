/* SPDX-License-Identifier: MIT */
/*
 * How the blocks of an inode are written down. After fast commits its list of extents becomes a new tree, as
 * small as can be, or a new block map, in the blocks of the old one first. A truncation changes the tree that
 * is there, since Linux does, and what is left of it can be seen in st_blocks.
 */
#include "base/alloc.h"
#include "block/remap.h"
#include "fs/ext4/fast_commit_internal.h"

static const struct fc_extent *extents(const struct fc_inode *fi)
{
	return fi->extents.items;
}

/* An entry of either kind: they are equally long, and begin with the block of the file. */
static void put_extent(const struct fc_extent *ex, struct ext4_extent *out)
{
	*out = (struct ext4_extent){
		.ee_block = cpu_to_le32(ex->lblk),
		.ee_len = cpu_to_le16(ex->len + (ex->unwritten ? EXT_INIT_MAX_LEN : 0)),
		.ee_start_hi = cpu_to_le16(ex->pblk >> 32),
		.ee_start_lo = cpu_to_le32((u32)ex->pblk),
	};
}

static void put_index(u32 lblk, u64 pblk, struct ext4_extent *out)
{
	*(struct ext4_extent_idx *)out = (struct ext4_extent_idx){
		.ei_block = cpu_to_le32(lblk),
		.ei_leaf_lo = cpu_to_le32((u32)pblk),
		.ei_leaf_hi = cpu_to_le16(pblk >> 32),
	};
}

/* The list in the form of the disk: joined where it can be, cut where it must be. */
static int make_entries(struct fc *fc, struct fc_inode *fi, struct fc_array *out)
{
	for (u32 i = 0; i < fi->extents.count;) {
		struct fc_extent ex = extents(fi)[i++];
		u32 max = ex.unwritten ? EXT_INIT_MAX_LEN - 1 : EXT_INIT_MAX_LEN;

		while (i < fi->extents.count && extents(fi)[i].unwritten == ex.unwritten &&
		       extents(fi)[i].lblk == ex.lblk + ex.len && extents(fi)[i].pblk == ex.pblk + ex.len)
			ex.len += extents(fi)[i++].len;
		while (ex.len) {
			struct fc_extent part = ex;
			int err = fc_array_reserve(fc, out, sizeof(struct ext4_extent));

			if (err)
				return err;
			part.len = min(ex.len, max);
			put_extent(&part, &((struct ext4_extent *)out->items)[out->count++]);
			ex.lblk += part.len;
			ex.pblk += part.len;
			ex.len -= part.len;
		}
	}
	return 0;
}

static void put_node(struct ext4_extent_header *eh, const struct ext4_extent *entries, u32 count, u32 max,
		     unsigned depth)
{
	*eh = (struct ext4_extent_header){.eh_magic = cpu_to_le16(EXT4_EXT_MAGIC),
					  .eh_entries = cpu_to_le16(count),
					  .eh_max = cpu_to_le16(max),
					  .eh_depth = cpu_to_le16(depth)};
	if (count)
		memcpy(eh + 1, entries, count * sizeof(*entries));
}

/* A block for the tree: the next of the old one, or a new one. */
static int node_block(struct fc *fc, struct fc_inode *fi, u32 used, u64 *pblk)
{
	int err;

	if (used < fi->tree.count) {
		*pblk = ((u64 *)fi->tree.items)[used];
		return 0;
	}
	err = fc_array_reserve(fc, &fi->tree, sizeof(u64));
	if (!err)
		err = fc_block_alloc(fc, pblk);
	if (!err)
		((u64 *)fi->tree.items)[fi->tree.count++] = *pblk;
	return err;
}

/* Puts the entries of one level into blocks; they become the entries of the next. */
static int write_level(struct fc *fc, struct fc_inode *fi, struct fc_array *level, unsigned depth, u32 *used)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u32 max = (sbi->block_size - sizeof(struct ext4_extent_header)) / sizeof(struct ext4_extent);
	size_t covered = sizeof(struct ext4_extent_header) + max * sizeof(struct ext4_extent);
	struct ext4_extent *entries = level->items;
	u32 nodes = 0;

	for (u32 at = 0; at < level->count; at += max, nodes++) {
		u32 first = le32_to_cpu(entries[at].ee_block);
		struct ext4_extent_tail *tail;
		void *data;
		u64 pblk;
		int err = node_block(fc, fi, (*used)++, &pblk);

		if (!err)
			err = blk_remap_copy(sbi->remap, pblk, &data);
		if (err)
			return err;
		memset(data, 0, sbi->block_size);
		put_node(data, entries + at, min(max, level->count - at), max, depth);
		tail = (void *)((u8 *)data + covered);
		if (sbi->has_csum)
			tail->et_checksum = cpu_to_le32(ext4_chksum(fc_inode_seed(fc, fi), data, covered));
		put_index(first, pblk, &entries[nodes]);
	}
	level->count = nodes;
	return 0;
}

#define ROOT_ENTRIES 4

void fc_extents_none(struct fc_inode *fi)
{
	memset(fi->raw->i_block, 0, sizeof(fi->raw->i_block));
	if (fc_has_extents(fi))
		put_node((void *)fi->raw->i_block, NULL, 0, ROOT_ENTRIES, 0);
	fi->changed = true;
}

/* Gives back what the old tree or map had and the new one does not need. */
static int tree_end(struct fc *fc, struct fc_inode *fi, u32 used)
{
	int err = 0;

	for (u32 i = used; i < fi->tree.count && !err; i++)
		err = fc_blocks_mark(fc, ((u64 *)fi->tree.items)[i], 1, false);
	fi->tree.count = min(used, fi->tree.count);
	return err;
}

static int write_tree(struct fc *fc, struct fc_inode *fi)
{
	u32 used = 0;
	struct fc_array level = {0};
	unsigned depth = 0;
	int err = make_entries(fc, fi, &level);

	while (!err && level.count > ROOT_ENTRIES)
		err = write_level(fc, fi, &level, depth++, &used);
	if (!err)
		err = tree_end(fc, fi, used);
	if (!err) {
		memset(fi->raw->i_block, 0, sizeof(fi->raw->i_block));
		put_node((void *)fi->raw->i_block, level.items, level.count, ROOT_ENTRIES, depth);
	}
	fc_array_free(&level);
	return err;
}

/* Where the block map has the number of block lblk; blocks of the map that are missing are made. */
static int map_slot(struct fc *fc, struct fc_inode *fi, u32 lblk, u32 *used, le32 **slot)
{
	unsigned bits = fc->sbi->block_bits - 2;
	le32 *refs = fi->raw->i_block;
	u32 at, levels;
	u64 within;
	int err = ext4_ind_find_root(fc->sb, lblk, &at, &levels, &within);

	while (!err && levels) {
		bool missing = !le32_to_cpu(refs[at]);
		u64 pblk = le32_to_cpu(refs[at]);
		void *data;

		if (missing)
			err = node_block(fc, fi, (*used)++, &pblk);
		if (!err)
			err = blk_remap_copy(fc->sbi->remap, pblk, &data);
		if (err)
			return err;
		if (missing) {
			memset(data, 0, fc->sbi->block_size);
			refs[at] = cpu_to_le32((u32)pblk);
		}
		refs = data;
		at = within >> (bits * --levels) & ((1u << bits) - 1);
	}
	*slot = &refs[at];
	return err;
}

static int write_map(struct fc *fc, struct fc_inode *fi)
{
	u32 used = 0;
	int err = 0;

	memset(fi->raw->i_block, 0, sizeof(fi->raw->i_block));
	for (u32 i = 0; i < fi->extents.count; i++) {
		const struct fc_extent *ex = &extents(fi)[i];

		err = fc_spend(fc, ex->len * sizeof(le32));
		for (u32 j = 0; j < ex->len && !err; j++) {
			le32 *slot;

			err = map_slot(fc, fi, ex->lblk + j, &used, &slot);
			if (!err)
				*slot = cpu_to_le32((u32)(ex->pblk + j));
		}
		if (err)
			return err;
	}
	return tree_end(fc, fi, used);
}

int fc_extents_write(struct fc *fc, struct fc_inode *fi)
{
	int err = 0;

	if (!fi->changed || !fc_has_map(fi))
		return 0;
	if (!fi->cut)
		err = fc_has_extents(fi) ? write_tree(fc, fi) : write_map(fc, fi);
	if (!err)
		fc_inode_set_blocks(fc, fi);
	return err;
}

/* ---- A truncation */

static void node_seal(const struct fc *fc, const struct fc_inode *fi, struct ext4_extent_header *eh)
{
	size_t covered = sizeof(*eh) + le16_to_cpu(eh->eh_max) * sizeof(struct ext4_extent);
	struct ext4_extent_tail *tail = (void *)((u8 *)eh + covered);

	if (fc->sbi->has_csum)
		tail->et_checksum = cpu_to_le32(ext4_chksum(fc_inode_seed(fc, fi), eh, covered));
}

/* An extent without what lies from block `end` on; false: nothing is left. */
static bool extent_cut(struct ext4_extent *ex, u32 end)
{
	u32 lblk = le32_to_cpu(ex->ee_block), stored = le16_to_cpu(ex->ee_len);
	u32 len = stored <= EXT_INIT_MAX_LEN ? stored : stored - EXT_INIT_MAX_LEN;

	if (lblk >= end)
		return false;
	if (len > end - lblk)
		ex->ee_len = cpu_to_le16((u16)(end - lblk + (stored - len)));
	return true;
}

/* Takes from a verified node what lies from block `end` on; its blocks of data have left the list before. */
static int node_cut(struct fc *fc, struct fc_inode *fi, struct ext4_extent_header *eh, u32 end)
{
	struct ext4_extent *entries = (void *)(eh + 1);
	u32 count = le16_to_cpu(eh->eh_entries);
	int err = 0;

	for (; count && !err; count--) {
		const struct ext4_extent_idx *idx = (const void *)&entries[count - 1];
		u64 pblk = (u64)le16_to_cpu(idx->ei_leaf_hi) << 32 | le32_to_cpu(idx->ei_leaf_lo);
		void *data;

		if (!le16_to_cpu(eh->eh_depth)) {
			if (extent_cut(&entries[count - 1], end))
				break;
			continue;
		}
		err = blk_remap_copy(fc->sbi->remap, pblk, &data);
		if (!err)
			err = node_cut(fc, fi, data, end);
		if (err || le16_to_cpu(((struct ext4_extent_header *)data)->eh_entries))
			break;
		err = fc_freed(fc, pblk, 1);
		fi->tree.count--;
	}
	eh->eh_entries = cpu_to_le16((u16)count);
	if ((void *)eh != (void *)fi->raw->i_block)
		node_seal(fc, fi, eh);
	else if (!count)
		eh->eh_depth = cpu_to_le16(0);
	return err;
}

int fc_inode_cut(struct fc *fc, struct fc_inode *fi, u32 end)
{
	int err = fc_extents_remove(fc, fi, end, UINT32_MAX);

	if (err || !fi->changed || !fc_has_extents(fi))
		return err;
	fi->cut = true;
	return node_cut(fc, fi, (void *)fi->raw->i_block, end);
}
