/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an inode as fast commits change them: its extents, or what its block map says, are read into
 * a list once, changed there, and written at the end (fast_commit_trees.c). What leaves a list is gathered in
 * fc->freed and what comes is `fresh`; bitmaps are changed when all tags have been seen, since a block may go
 * from one file to another.
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
	u64 end = fc_has_extents(fi) ? UINT32_MAX : min_t(u64, ext4_ind_max_blocks(fc->sb), UINT32_MAX);

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

int fc_freed(struct fc *fc, u64 start, u32 count)
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
	int err = fc_freed(fc, ex.pblk + head, behind - head);

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

/* A block map has numbers of 32 bits, an end, and nothing that is not written. */
static bool range_valid(const struct fc *fc, const struct fc_inode *fi, const struct fc_extent *ex)
{
	u64 end = (u64)ex->lblk + ex->len;

	if (!ex->len || end > UINT32_MAX || !ext4_ino_blocks_valid(fc->sbi, fi->ino, ex->pblk, ex->len))
		return false;
	return fc_has_extents(fi) ||
	       (!ex->unwritten && end <= ext4_ind_max_blocks(fc->sb) && ex->pblk + ex->len - 1 <= UINT32_MAX);
}

int fc_extents_add(struct fc *fc, struct fc_inode *fi, struct fc_extent ex)
{
	int err;

	if (!range_valid(fc, fi, &ex))
		return fc_corrupted(fc, "impossible range", fi->ino);
	err = fc_extents_remove(fc, fi, ex.lblk, (u64)ex.lblk + ex.len);

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
		err = fc_freed(fc, ((u64 *)fi->tree.items)[i], 1);
	fi->tree.count = 0;
	fi->value_clusters = 0;
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
		if (fc_inode_links(fi))
			err = inode_mark(fc, fi);
		if (err)
			break;
	}
	return err;
}

/* What the list and the tree take. Clusters are counted whole. */
static u64 clusters_of(const struct fc *fc, const struct fc_inode *fi)
{
	u64 clusters = fi->tree.count, next = 0;

	for (u32 i = 0; i < fi->extents.count; i++) {
		const struct fc_extent *ex = &extents(fi)[i];
		u64 first = ex->lblk >> fc->sbi->cluster_bits;
		u64 end = ((u64)ex->lblk + ex->len - 1) >> fc->sbi->cluster_bits;

		clusters += end + 1 - max(first, next);
		next = end + 1;
	}
	return clusters + !!fc_inode_acl(fi);
}

/* In sectors, or in blocks where the inode says so. */
void fc_inode_set_blocks(const struct fc *fc, struct fc_inode *fi)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u64 blocks = (clusters_of(fc, fi) + fi->value_clusters) << sbi->cluster_bits;

	if (!(le32_to_cpu(fi->raw->i_flags) & EXT4_HUGE_FILE_FL))
		blocks <<= sbi->block_bits - 9;
	fi->raw->i_blocks_lo = cpu_to_le32((u32)blocks);
	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		fi->raw->i_blocks_high = cpu_to_le16((u16)(blocks >> 32));
}

int fc_extents_load(struct fc *fc, struct fc_inode *fi)
{
	void *args[] = {fc, fi};
	struct inode *inode;
	u64 clusters, counted;
	int err;

	err = ext4_iget(fc->sb, fi->ino, EXT4_IGET_ORPHAN, &inode);
	if (err)
		return err;
	if (fc_has_map(fi) && !(S_ISLNK(inode->i_mode) && ext4_is_fast_symlink(inode))) {
		err = load_list(fc, fi, inode);
		if (!err)
			err = (fc_has_extents(fi) ? ext4_ext_tree_walk
						  : ext4_ind_tree_walk)(inode, tree_block, args);
	}
	clusters = inode->i_blocks >> (fc->sbi->block_bits - 9 + fc->sbi->cluster_bits);
	counted = clusters_of(fc, fi);
	if (ext4_has_incompat(fc->sbi, EXT4_FEATURE_INCOMPAT_EA_INODE) && clusters > counted)
		fi->value_clusters = clusters - counted;
	iput(inode);
	return err;
}
