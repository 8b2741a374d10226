/* SPDX-License-Identifier: MIT */
/*
 * Block maps of ext2 and ext3: twelve blocks named in the inode, then trees of one, two and three levels of
 * blocks full of block numbers. 0 is a hole, on every level. Every number in a block is checked when the
 * block enters the cache.
 */
#include "fs/ext4/ext4_internal.h"

static int refs_check(const struct inode *inode, u64 pblk, const le32 *refs, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 ref = le32_to_cpu(refs[i]);

		if (ref && !ext4_file_blocks_valid(inode, ref, 1)) {
			ext4_error_inode(inode, pblk, "block map names block %u, which no file can have",
					 ref);
			return -EFSCORRUPTED;
		}
	}
	return 0;
}

static int ind_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	return refs_check(ctx, bh->b_blocknr, bh->b_data, bh->b_size / sizeof(le32));
}

static const struct buffer_verifier ind_verifier = {.name = "indirect block", .verify = ind_verify};

int ext4_ind_root_check(struct inode *inode)
{
	return refs_check(inode, 0, EXT4_I(inode)->i_data, EXT4_N_BLOCKS);
}

/* Indirect blocks that a file of so many blocks without holes has; `bits`: log2 of references in a block. */
static u64 ind_blocks(u64 blocks, unsigned bits)
{
	u64 rest = blocks > EXT4_NDIR_BLOCKS ? blocks - EXT4_NDIR_BLOCKS : 0, sum = 0;

	for (unsigned level = 1; level <= 3 && rest; level++) {
		u64 here = min(rest, 1ull << (bits * level));

		for (unsigned l = 1; l <= level; l++)
			sum += (here + (1ull << (bits * l)) - 1) >> (bits * l);
		rest -= here;
	}
	return sum;
}

u64 ext4_ind_max_blocks(const struct super_block *sb)
{
	unsigned bits = sb->s_blocksize_bits - 2;
	u64 tree = EXT4_NDIR_BLOCKS + (1ull << bits) + (1ull << 2 * bits) + (1ull << 3 * bits);
	u64 limit = ext4_file_blocks_max(EXT4_SB(sb));

	/* What can be counted includes the indirect blocks. */
	return min(tree, limit - ind_blocks(limit, bits));
}

/* How many entries from `at` on go on as the first begins: consecutive blocks, or holes. */
static u32 run_length(const le32 *refs, u32 at, u32 end, u32 want)
{
	u32 first = le32_to_cpu(refs[at]), n = 1;

	while (n < want && at + n < end && le32_to_cpu(refs[at + n]) == (first ? first + n : 0))
		n++;
	return n;
}

int ext4_ind_find_root(const struct super_block *sb, u32 lblk, u32 *slot, u32 *levels, u64 *within)
{
	unsigned bits = sb->s_blocksize_bits - 2;
	u64 rest = lblk;

	if (rest < EXT4_NDIR_BLOCKS) {
		*slot = rest;
		*levels = 0;
		*within = 0;
		return 0;
	}
	rest -= EXT4_NDIR_BLOCKS;
	for (u32 level = 1; level <= 3; level++) {
		if (rest < 1ull << (bits * level)) {
			*slot = EXT4_IND_BLOCK + level - 1;
			*levels = level;
			*within = rest;
			return 0;
		}
		rest -= 1ull << (bits * level);
	}
	return -EIO;
}

static void answer(struct ext4_map *map, u32 pblk, u64 len)
{
	map->pblk = pblk;
	map->mapped = pblk != 0;
	map->unwritten = false;
	map->len = min_t(u64, map->len, len);
}

int ext4_ind_map(struct inode *inode, struct ext4_map *map)
{
	struct super_block *sb = inode->i_sb;
	const le32 *data = EXT4_I(inode)->i_data;
	unsigned bits = sb->s_blocksize_bits - 2;
	u32 slot, levels, mask = (1u << bits) - 1;
	u64 within;
	u32 pblk;
	int err = ext4_ind_find_root(sb, map->lblk, &slot, &levels, &within);

	if (err)
		return err;
	pblk = le32_to_cpu(data[slot]);
	if (!levels) {
		answer(map, pblk, run_length(data, slot, EXT4_NDIR_BLOCKS, map->len));
		return 0;
	}
	while (levels) {
		struct buffer_head *bh;
		const le32 *refs;
		u64 covers = 1ull << (bits * levels);
		u32 at;

		if (!pblk) { /* the whole subtree is a hole */
			answer(map, 0, covers - (within & (covers - 1)));
			return 0;
		}
		err = bread(EXT4_SB(sb)->bdev, pblk, sb->s_blocksize, &ind_verifier, inode, ext4_owner(inode),
			    &bh);
		if (err)
			return err;
		refs = bh->b_data;
		at = within >> (bits * --levels) & mask;
		pblk = le32_to_cpu(refs[at]);
		if (!levels)
			answer(map, pblk, run_length(refs, at, mask + 1, map->len));
		brelse(bh);
	}
	return 0;
}

/* The blocks of the map below a block of it, which has `levels` more below. */
static int map_blocks_walk(struct inode *inode, u64 pblk, unsigned levels, int (*fn)(void *arg, u64 pblk),
			   void *arg)
{
	struct super_block *sb = inode->i_sb;
	struct buffer_head *bh;
	int err = fn(arg, pblk);

	if (err || !levels)
		return err;
	err = bread(EXT4_SB(sb)->bdev, pblk, sb->s_blocksize, &ind_verifier, inode, ext4_owner(inode), &bh);
	if (err)
		return err;
	for (u32 i = 0; i < sb->s_blocksize / sizeof(le32) && !err; i++) {
		u32 ref = le32_to_cpu(((const le32 *)bh->b_data)[i]);

		if (ref)
			err = map_blocks_walk(inode, ref, levels - 1, fn, arg);
	}
	brelse(bh);
	return err;
}

int ext4_ind_tree_walk(struct inode *inode, int (*fn)(void *arg, u64 pblk), void *arg)
{
	int err = 0;

	for (unsigned levels = 0; levels < 3 && !err; levels++) {
		u32 ref = le32_to_cpu(EXT4_I(inode)->i_data[EXT4_IND_BLOCK + levels]);

		if (ref)
			err = map_blocks_walk(inode, ref, levels, fn, arg);
	}
	return err;
}
