/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an inode as fast commits change them: its extents are read into a list once, changed there,
 * and written as a new tree at the end, into the blocks of the old one first. What leaves a list is gathered
 * in fc->freed and what comes is `fresh`; bitmaps are changed when all tags have been seen, since a block may
 * go from one file to another.
 */
#include "base/alloc.h"
#include "block/remap.h"
#include "fs/ext4/fast_commit_internal.h"

static struct fc_extent *extents(const struct fc_inode *fi)
{
	return fi->extents.items;
}

static int tree_block(void *arg, u64 pblk)
{
	void **args = arg;
	struct fc *fc = args[0];
	struct fc_inode *fi = args[1];
	int err = fc_spend(fc, fc->sbi->block_size);

	if (!err)
		err = fc_array_reserve(fc, &fi->tree, sizeof(u64));
	if (!err)
		((u64 *)fi->tree.items)[fi->tree.count++] = pblk;
	return err;
}

static int load_list(struct fc *fc, struct fc_inode *fi, struct inode *inode)
{
	u64 end = EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL
			  ? UINT32_MAX
			  : DIV_ROUND_UP(i_size_read(inode), fc->sbi->block_size);

	for (u64 lblk = 0; lblk < end;) {
		struct ext4_map map = {.lblk = lblk, .len = min_t(u64, end - lblk, UINT32_MAX)};
		int err = ext4_map_blocks(inode, &map);

		if (!err)
			err = fc_array_reserve(fc, &fi->extents, sizeof(struct fc_extent));
		if (err)
			return err;
		if (map.mapped || map.unwritten)
			extents(fi)[fi->extents.count++] = (struct fc_extent){
				.pblk = map.pblk, .lblk = lblk, .len = map.len, .unwritten = map.unwritten};
		lblk += map.len;
	}
	return 0;
}

int fc_extents_load(struct fc *fc, struct fc_inode *fi)
{
	void *args[] = {fc, fi};
	struct inode *inode;
	int err;

	err = ext4_iget(fc->sb, fi->ino, EXT4_IGET_ORPHAN, &inode);
	if (err)
		return err;
	if (!ext4_has_inline_data(inode) && !ext4_is_fast_symlink(inode) &&
	    (S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode) || S_ISLNK(inode->i_mode))) {
		err = load_list(fc, fi, inode);
		if (!err && EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL)
			err = ext4_ext_tree_walk(inode, tree_block, args);
	}
	iput(inode);
	return err;
}

/* The first extent that ends behind lblk. */
static u32 find(const struct fc_inode *fi, u32 lblk)
{
	u32 lo = 0, hi = fi->extents.count;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if ((u64)extents(fi)[mid].lblk + extents(fi)[mid].len <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

u64 fc_extents_find(const struct fc_inode *fi, u32 lblk)
{
	u32 at = find(fi, lblk);
	const struct fc_extent *ex = &extents(fi)[at];

	return at < fi->extents.count && ex->lblk <= lblk && !ex->unwritten ? ex->pblk + (lblk - ex->lblk)
									    : 0;
}

static int freed(struct fc *fc, u64 start, u32 count)
{
	int err = fc_array_reserve(fc, &fc->freed, sizeof(struct fc_run));

	if (!err)
		((struct fc_run *)fc->freed.items)[fc->freed.count++] = (struct fc_run){start, count};
	return err;
}

/* Moves what lies from `from` on to `to`. */
static int move(struct fc *fc, struct fc_inode *fi, u32 from, u32 to)
{
	size_t bytes = (size_t)(fi->extents.count - from) * sizeof(struct fc_extent);
	int err = fc_spend(fc, bytes);

	if (err)
		return err;
	memmove(extents(fi) + to, extents(fi) + from, bytes);
	fi->extents.count += to - from;
	return 0;
}

static int insert(struct fc *fc, struct fc_inode *fi, u32 at, struct fc_extent ex)
{
	int err = fc_array_reserve(fc, &fi->extents, sizeof(ex));

	if (!err)
		err = move(fc, fi, at, at + 1);
	if (!err)
		extents(fi)[at] = ex;
	return err;
}

/* Extent `at` without what lies in [lblk, end): *next is the first one behind that. */
static int cut(struct fc *fc, struct fc_inode *fi, u32 at, u32 lblk, u64 end, u32 *next)
{
	struct fc_extent ex = extents(fi)[at], tail = ex;
	u32 head = ex.lblk < lblk ? lblk - ex.lblk : 0;
	u32 behind = min_t(u64, end - ex.lblk, ex.len);
	int err = freed(fc, ex.pblk + head, behind - head);

	tail.lblk += behind;
	tail.pblk += behind;
	tail.len -= behind;
	*next = at;
	if (!err && head) {
		extents(fi)[at].len = head;
		*next = at + 1;
		return tail.len ? insert(fc, fi, at + 1, tail) : 0;
	}
	if (!err && tail.len)
		extents(fi)[at] = tail;
	else if (!err)
		err = move(fc, fi, at + 1, at);
	return err;
}

int fc_extents_remove(struct fc *fc, struct fc_inode *fi, u32 lblk, u64 end)
{
	int err = 0;

	for (u32 at = find(fi, lblk); !err && at < fi->extents.count && extents(fi)[at].lblk < end;) {
		err = cut(fc, fi, at, lblk, end, &at);
		fi->changed = true;
	}
	return err;
}

int fc_extents_add(struct fc *fc, struct fc_inode *fi, struct fc_extent ex)
{
	int err = fc_extents_remove(fc, fi, ex.lblk, (u64)ex.lblk + ex.len);

	ex.fresh = true;
	if (!err)
		err = insert(fc, fi, find(fi, ex.lblk), ex);
	fi->changed = true;
	return err;
}

int fc_inode_truncate(struct fc *fc, struct fc_inode *fi)
{
	int err = fc_extents_remove(fc, fi, 0, UINT32_MAX);

	for (u32 i = 0; i < fi->tree.count && !err; i++)
		err = freed(fc, ((u64 *)fi->tree.items)[i], 1);
	fi->tree.count = 0;
	return err;
}

static int inode_mark(struct fc *fc, struct fc_inode *fi)
{
	int err = 0;

	for (u32 i = 0; i < fi->extents.count && !err; i++) {
		struct fc_extent *ex = &extents(fi)[i];

		/* A cluster may have lost a block and still hold others. */
		if (ex->fresh || (fi->changed && fc->sbi->cluster_bits))
			err = fc_blocks_mark(fc, ex->pblk, ex->len, true);
		ex->fresh = false;
	}
	return err;
}

int fc_ranges_mark(struct fc *fc)
{
	struct fc_inode *fi;
	unsigned long ino;
	int err = 0;

	for (u32 i = 0; i < fc->freed.count && !err; i++) {
		const struct fc_run *run = &((struct fc_run *)fc->freed.items)[i];

		err = fc_blocks_mark(fc, run->start, run->count, false);
	}
	fc->freed.count = 0;
	if (err)
		return err;
	xa_for_each (&fc->inodes, ino, fi) {
		if (le16_to_cpu(fi->raw->i_links_count))
			err = inode_mark(fc, fi);
		if (err)
			break;
	}
	return err;
}

/* ---- The new tree */

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

/* In sectors, or in blocks where the inode says so. Clusters are counted whole. */
static void set_blocks(struct fc *fc, struct fc_inode *fi)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u64 clusters = fi->tree.count, next = 0, blocks;

	for (u32 i = 0; i < fi->extents.count; i++) {
		const struct fc_extent *ex = &extents(fi)[i];
		u64 first = ex->lblk >> sbi->cluster_bits;
		u64 end = ((u64)ex->lblk + ex->len - 1) >> sbi->cluster_bits;

		clusters += end + 1 - max(first, next);
		next = end + 1;
	}
	if (le32_to_cpu(fi->raw->i_file_acl_lo) || le16_to_cpu(fi->raw->i_file_acl_high))
		clusters++;
	blocks = clusters << sbi->cluster_bits;
	if (!(le32_to_cpu(fi->raw->i_flags) & EXT4_HUGE_FILE_FL))
		blocks <<= sbi->block_bits - 9;
	fi->raw->i_blocks_lo = cpu_to_le32((u32)blocks);
	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		fi->raw->i_blocks_high = cpu_to_le16((u16)(blocks >> 32));
}

#define ROOT_ENTRIES 4

void fc_extents_none(struct fc_inode *fi)
{
	memset(fi->raw->i_block, 0, sizeof(fi->raw->i_block));
	put_node((void *)fi->raw->i_block, NULL, 0, ROOT_ENTRIES, 0);
	fi->changed = true;
}

int fc_extents_write(struct fc *fc, struct fc_inode *fi)
{
	u32 used = 0;
	struct fc_array level = {0};
	unsigned depth = 0;
	int err;

	if (!fi->changed || !(le32_to_cpu(fi->raw->i_flags) & EXT4_EXTENTS_FL))
		return 0;
	err = make_entries(fc, fi, &level);
	while (!err && level.count > ROOT_ENTRIES)
		err = write_level(fc, fi, &level, depth++, &used);
	for (u32 i = used; i < fi->tree.count && !err; i++)
		err = fc_blocks_mark(fc, ((u64 *)fi->tree.items)[i], 1, false);
	if (!err) {
		fi->tree.count = used;
		memset(fi->raw->i_block, 0, sizeof(fi->raw->i_block));
		put_node((void *)fi->raw->i_block, level.items, level.count, ROOT_ENTRIES, depth);
		set_blocks(fc, fi);
	}
	fc_array_free(&level);
	return err;
}
