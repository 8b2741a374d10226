/* SPDX-License-Identifier: MIT */
/*
 * The extent tree, for reading. The root lies in the inode and is verified with it (ext4_ext_root_check);
 * nodes on disk are verified when they enter the cache, each by itself: magic, counts, order, and that every
 * place named lies inside the volume. What only the way down can tell is checked on the way down: a child's
 * depth is one less than its parent's (so the walk ends), and its first block lies in the parent's range.
 */
#include "fs/ext4/ext4_internal.h"

#define EXT_LAST_LBLK UINT32_MAX

static u64 ext_start(const struct ext4_extent *ex)
{
	return (u64)le16_to_cpu(ex->ee_start_hi) << 32 | le32_to_cpu(ex->ee_start_lo);
}

static u32 ext_len(const struct ext4_extent *ex)
{
	u32 len = le16_to_cpu(ex->ee_len);

	return len <= EXT_INIT_MAX_LEN ? len : len - EXT_INIT_MAX_LEN;
}

static bool ext_unwritten(const struct ext4_extent *ex)
{
	return le16_to_cpu(ex->ee_len) > EXT_INIT_MAX_LEN;
}

static u64 idx_leaf(const struct ext4_extent_idx *ix)
{
	return (u64)le16_to_cpu(ix->ei_leaf_hi) << 32 | le32_to_cpu(ix->ei_leaf_lo);
}

static const char *extents_verify(const struct inode *inode, const struct ext4_extent *ex, u32 entries)
{
	u64 free_from = 0; /* first block behind the extents so far */

	for (; entries; entries--, ex++) {
		u32 lblk = le32_to_cpu(ex->ee_block), len = ext_len(ex);

		if (!len)
			return "extent of no blocks";
		if (lblk < free_from)
			return "extents overlap or are out of order";
		free_from = (u64)lblk + len;
		if (free_from > EXT_LAST_LBLK)
			return "extent ends behind the last possible block";
		if (!ext4_file_blocks_valid(inode, ext_start(ex), len))
			return "extent lies outside the volume or in its tables";
	}
	return NULL;
}

static const char *indexes_verify(const struct inode *inode, const struct ext4_extent_idx *ix, u32 entries)
{
	for (u32 i = 0; i < entries; i++) {
		if (i && le32_to_cpu(ix[i].ei_block) <= le32_to_cpu(ix[i - 1].ei_block))
			return "index entries are out of order";
		if (!ext4_file_blocks_valid(inode, idx_leaf(&ix[i]), 1))
			return "index entry points outside the volume or into its tables";
	}
	return NULL;
}

/* Verifies a node that lies in `bytes` bytes; NULL or what is wrong. */
static const char *node_verify(const struct inode *inode, const struct ext4_extent_header *eh, size_t bytes)
{
	u32 entries = le16_to_cpu(eh->eh_entries), max = le16_to_cpu(eh->eh_max),
	    depth = le16_to_cpu(eh->eh_depth);

	if (le16_to_cpu(eh->eh_magic) != EXT4_EXT_MAGIC)
		return "extent header has a wrong magic number";
	if (depth > EXT4_MAX_EXTENT_DEPTH)
		return "extent tree is too deep";
	if (!max || max > (bytes - sizeof(*eh)) / sizeof(struct ext4_extent))
		return "extent header has an impossible capacity";
	if (entries > max)
		return "extent header counts more entries than fit";
	if (!depth)
		return extents_verify(inode, (const struct ext4_extent *)(eh + 1), entries);
	if (!entries)
		return "extent index is empty";
	return indexes_verify(inode, (const struct ext4_extent_idx *)(eh + 1), entries);
}

static int block_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	const struct inode *inode = ctx;
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	const struct ext4_extent_header *eh = bh->b_data;
	const char *why = node_verify(inode, eh, sbi->block_size);
	const struct ext4_extent_tail *tail;
	size_t covered;
	u32 crc;

	if (why) {
		ext4_error_inode(inode, bh->b_blocknr, "%s", why);
		return -EFSCORRUPTED;
	}
	if (!sbi->has_csum)
		return 0;
	/* The checksum stands behind the last entry that would fit. */
	covered = sizeof(*eh) + (size_t)le16_to_cpu(eh->eh_max) * sizeof(struct ext4_extent);
	if (covered + sizeof(*tail) > sbi->block_size) {
		ext4_error_inode(inode, bh->b_blocknr, "extent block has no room for its checksum");
		return -EFSCORRUPTED;
	}
	tail = (const void *)((const u8 *)bh->b_data + covered);
	crc = ext4_chksum(EXT4_I(inode)->i_csum_seed, bh->b_data, covered);
	if (crc == le32_to_cpu(tail->et_checksum))
		return 0;
	ext4_error_inode(inode, bh->b_blocknr, "extent block: checksum is %#010x, computed %#010x",
			 le32_to_cpu(tail->et_checksum), crc);
	return -EFSBADCRC;
}

static const struct buffer_verifier ext_verifier = {.name = "extent block", .verify = block_verify};

int ext4_ext_root_check(struct inode *inode)
{
	const struct ext4_inode_info *ei = EXT4_I(inode);
	const struct ext4_extent_header *eh = (const void *)ei->i_data;
	const char *why = node_verify(inode, eh, sizeof(ei->i_data));

	/* An empty root says so with depth 0; its capacity is always that of the inode. */
	if (!why)
		return 0;
	ext4_error_inode(inode, 0, "%s", why);
	return -EFSCORRUPTED;
}

/* Index of the last of n sorted entries whose first block (their first member) is not behind lblk; -1: none.
 */
static int node_search(const struct ext4_extent_header *eh, u32 lblk)
{
	const struct ext4_extent *e = (const void *)(eh + 1);
	int lo = 0, hi = le16_to_cpu(eh->eh_entries);

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (le32_to_cpu(e[mid].ee_block) <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

/* Answers from a leaf. `end`: first block behind what this leaf covers. */
static void leaf_answer(const struct ext4_extent_header *eh, u64 end, struct ext4_map *map)
{
	const struct ext4_extent *ex = (const void *)(eh + 1);
	int at = node_search(eh, map->lblk);
	u64 limit = end;

	map->mapped = map->unwritten = false;
	if (at >= 0) {
		u32 into = map->lblk - le32_to_cpu(ex[at].ee_block), len = ext_len(&ex[at]);

		if (into < len) {
			map->pblk = ext_start(&ex[at]) + into;
			map->unwritten = ext_unwritten(&ex[at]);
			map->mapped = !map->unwritten;
			map->len = min_t(u32, map->len, len - into);
			return;
		}
	}
	if (at + 1 < le16_to_cpu(eh->eh_entries))
		limit = le32_to_cpu(ex[at + 1].ee_block);
	map->len = min_t(u64, map->len, limit - map->lblk);
}

static int child_check(const struct inode *inode, const struct buffer_head *bh, u32 depth, u32 first, u64 end)
{
	const struct ext4_extent_header *eh = bh->b_data;
	const struct ext4_extent *e = (const void *)(eh + 1);
	u32 entries = le16_to_cpu(eh->eh_entries);
	u64 last; /* first block that may lie behind the child's last entry */

	if (le16_to_cpu(eh->eh_depth) != depth) {
		ext4_error_inode(inode, bh->b_blocknr, "extent block of depth %u where %u is expected",
				 le16_to_cpu(eh->eh_depth), depth);
		return -EFSCORRUPTED;
	}
	if (!entries)
		return 0;
	last = le32_to_cpu(e[entries - 1].ee_block) + (depth ? 1ull : ext_len(&e[entries - 1]));
	if (le32_to_cpu(e[0].ee_block) < first || last > end) {
		ext4_error_inode(inode, bh->b_blocknr, "extent block does not fit its place in the tree");
		return -EFSCORRUPTED;
	}
	return 0;
}

int ext4_ext_map(struct inode *inode, struct ext4_map *map)
{
	const struct ext4_extent_header *eh = (const void *)EXT4_I(inode)->i_data;
	struct buffer_head *bh = NULL, *child;
	u64 end = EXT_LAST_LBLK;

	for (u32 depth = le16_to_cpu(eh->eh_depth); depth; depth--) {
		const struct ext4_extent_idx *ix = (const void *)(eh + 1);
		int at = node_search(eh, map->lblk), err;
		u32 first;

		if (at < 0) {
			/* Before the first entry: a hole up to there. */
			map->mapped = map->unwritten = false;
			map->len = min_t(u64, map->len, le32_to_cpu(ix[0].ei_block) - map->lblk);
			brelse(bh);
			return 0;
		}
		if (at + 1 < le16_to_cpu(eh->eh_entries))
			end = le32_to_cpu(ix[at + 1].ei_block);
		first = le32_to_cpu(ix[at].ei_block);
		err = bread(EXT4_SB(inode->i_sb)->bdev, idx_leaf(&ix[at]), inode->i_sb->s_blocksize,
			    &ext_verifier, inode, ext4_owner(inode), &child);
		brelse(bh);
		if (err)
			return err;
		bh = child;
		err = child_check(inode, bh, depth - 1, first, end);
		if (err) {
			brelse(bh);
			return err;
		}
		eh = bh->b_data;
	}
	if (end <= map->lblk)
		end = (u64)map->lblk + 1;
	leaf_answer(eh, end, map);
	brelse(bh);
	return 0;
}

/* One level of the way down, whose node lies at pblk; `first`, `end`: what it may cover. */
static int tree_walk(struct inode *inode, u64 pblk, u32 depth, u32 first, u64 end,
		     int (*fn)(void *arg, u64 pblk), void *arg);

/* Each child once, whose ranges do not overlap, so that the walk is as long as the tree is large. */
static int children_walk(struct inode *inode, const struct ext4_extent_header *eh, u64 end,
			 int (*fn)(void *arg, u64 pblk), void *arg)
{
	const struct ext4_extent_idx *ix = (const void *)(eh + 1);
	u32 entries = le16_to_cpu(eh->eh_entries), depth = le16_to_cpu(eh->eh_depth);
	int err = 0;

	for (u32 i = 0; depth && i < entries && !err; i++)
		err = tree_walk(inode, idx_leaf(&ix[i]), depth - 1, le32_to_cpu(ix[i].ei_block),
				i + 1 < entries ? le32_to_cpu(ix[i + 1].ei_block) : end, fn, arg);
	return err;
}

static int tree_walk(struct inode *inode, u64 pblk, u32 depth, u32 first, u64 end,
		     int (*fn)(void *arg, u64 pblk), void *arg)
{
	struct buffer_head *bh;
	int err = bread(EXT4_SB(inode->i_sb)->bdev, pblk, inode->i_sb->s_blocksize, &ext_verifier, inode,
			ext4_owner(inode), &bh);

	if (err)
		return err;
	err = child_check(inode, bh, depth, first, end);
	if (!err)
		err = fn(arg, pblk);
	if (!err)
		err = children_walk(inode, bh->b_data, end, fn, arg);
	brelse(bh);
	return err;
}

int ext4_ext_tree_walk(struct inode *inode, int (*fn)(void *arg, u64 pblk), void *arg)
{
	return children_walk(inode, (const void *)EXT4_I(inode)->i_data, EXT_LAST_LBLK, fn, arg);
}
