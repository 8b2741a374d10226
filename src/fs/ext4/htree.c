/* SPDX-License-Identifier: MIT */
/*
 * The index of a hashed directory: a tree whose root is the directory's first block, whose entries are (hash,
 * block) in order of hash, and whose leaves are ordinary directory blocks. A hash that begins a leaf with its
 * low bit set goes on from the leaf before.
 *
 * A path holds a reference to one block on each level. The blocks have been verified as parts of an index,
 * each by itself; on the way down a node's hashes are held against its place, so that no node serves at two
 * places and a walk ends. An index that makes no sense is not used: the directory is still readable without
 * it.
 */
#include "fs/ext4/ext4_internal.h"

void ext4_htree_put(struct ext4_htree_path *path)
{
	for (unsigned i = 0; i < path->levels; i++)
		brelse(path->frames[i].bh);
	path->levels = 0;
}

static u32 frame_hash(const struct ext4_htree_frame *f)
{
	return f->at ? le32_to_cpu(f->entries[f->at].hash) : 0;
}

static u32 frame_block(const struct ext4_htree_frame *f)
{
	/* The high four bits are reserved. */
	return le32_to_cpu(f->entries[f->at].block) & 0x0fffffff;
}

/* Whether hashes of a node lie between those of the entry that names it and of the next one. */
static bool frame_fits(const struct ext4_htree_frame *parent, const struct ext4_htree_frame *f)
{
	if (f->count == 1)
		return true;
	return le32_to_cpu(f->entries[1].hash) >= frame_hash(parent) &&
	       (parent->at + 1 == parent->count || le32_to_cpu(f->entries[f->count - 1].hash) <=
							   le32_to_cpu(parent->entries[parent->at + 1].hash));
}

/* Takes a block, whose entries should begin at `offset`, as the next frame of the path; takes the reference
 * over. */
static int push_frame(const struct inode *dir, struct ext4_htree_path *path, struct buffer_head *bh,
		      unsigned offset)
{
	const struct dx_entry *entries = (const void *)((const u8 *)bh->b_data + offset);
	const struct dx_countlimit *cl = (const void *)entries;
	struct ext4_htree_frame f = {.bh = bh, .entries = entries, .count = le16_to_cpu(cl->count)};

	if (ext4_dx_offset(bh) != offset ||
	    (path->levels && !frame_fits(&path->frames[path->levels - 1], &f))) {
		ext4_error_inode(dir, bh->b_blocknr, "block of the directory's index does not fit its place");
		brelse(bh);
		return -ENOENT;
	}
	path->frames[path->levels++] = f;
	return 0;
}

/* An index block that can't be read is an error; one that is damaged only makes the index useless. */
static int read_block(struct inode *dir, u32 lblk, struct buffer_head **bh)
{
	int err = ext4_bread(dir, lblk, &ext4_dx_verifier, bh);

	return err == -EFSCORRUPTED || err == -EFSBADCRC ? -ENOENT : err;
}

/* What an index may be ordered by: unsigned forms are known by the volume, and SipHash needs entries that
 * hold it. */
static bool version_usable(const struct inode *dir, u8 version)
{
	return version <= DX_HASH_TEA || (version == DX_HASH_SIPHASH && ext4_hash_in_dirent(dir));
}

/* Reads the root; *deeper: levels below it. */
static int open_root(struct inode *dir, struct ext4_htree_path *path, unsigned *deeper)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dir->i_sb);
	unsigned max = ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_LARGEDIR) ? EXT4_HTREE_LEVELS
									      : EXT4_HTREE_LEVELS - 1;
	const struct dx_root_info *info;
	struct buffer_head *bh;
	int err;

	path->levels = 0;
	err = read_block(dir, 0, &bh);
	if (err)
		return err;
	info = (const void *)((const u8 *)bh->b_data + DX_ROOT_INFO_OFFSET);
	if (!version_usable(dir, info->hash_version) || info->info_length != sizeof(*info) ||
	    info->unused_flags & 1 || info->indirect_levels >= max) {
		ext4_error_inode(dir, bh->b_blocknr,
				 "directory index: hash %u, %u levels, info of %u bytes, flags %#x",
				 info->hash_version, info->indirect_levels, info->info_length,
				 info->unused_flags);
		brelse(bh);
		return -ENOENT;
	}
	*deeper = info->indirect_levels;
	path->hash_version = info->hash_version;
	if (path->hash_version <= DX_HASH_TEA && sbi->unsigned_hash)
		path->hash_version += DX_HASH_LEGACY_UNSIGNED;
	return push_frame(dir, path, bh, DX_ROOT_INFO_OFFSET + sizeof(*info));
}

int ext4_htree_open(struct inode *dir, struct ext4_htree_path *path)
{
	unsigned deeper;

	return open_root(dir, path, &deeper);
}

/* The last entry whose hash is not above `hash`; the first one stands for 0. */
static u32 frame_search(const struct ext4_htree_frame *f, u32 hash)
{
	u32 lo = 1, hi = f->count;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (le32_to_cpu(f->entries[mid].hash) <= hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

/* Reads the node below the last frame and makes it the next frame. */
static int descend(struct inode *dir, struct ext4_htree_path *path)
{
	struct buffer_head *bh;
	int err = read_block(dir, frame_block(&path->frames[path->levels - 1]), &bh);

	return err ? err : push_frame(dir, path, bh, DX_NODE_OFFSET);
}

int ext4_htree_find(struct inode *dir, u32 hash, struct ext4_htree_path *path)
{
	unsigned deeper;
	int err = open_root(dir, path, &deeper);

	if (err)
		return err;
	for (;;) {
		struct ext4_htree_frame *f = &path->frames[path->levels - 1];

		f->at = frame_search(f, hash);
		if (!deeper--)
			return 0;
		err = descend(dir, path);
		if (err) {
			ext4_htree_put(path);
			return err;
		}
	}
}

u32 ext4_htree_leaf(const struct ext4_htree_path *path)
{
	return frame_block(&path->frames[path->levels - 1]);
}

int ext4_htree_next(struct inode *dir, struct ext4_htree_path *path, u32 *hash)
{
	unsigned levels = path->levels, up = levels;

	/* Up to the lowest frame that has another entry, then down its first ones. */
	while (up && path->frames[up - 1].at + 1 >= path->frames[up - 1].count)
		up--;
	if (!up)
		return 0;
	path->frames[up - 1].at++;
	*hash = frame_hash(&path->frames[up - 1]);
	while (path->levels > up)
		brelse(path->frames[--path->levels].bh);
	while (path->levels < levels) {
		int err = descend(dir, path);

		if (err)
			return err;
	}
	return 1;
}
