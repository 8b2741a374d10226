/* SPDX-License-Identifier: MIT */
/*
 * Symlinks: a short target lies in the place of the block map (such a symlink has no blocks), a longer one in
 * the first block. It has the length that the size says, and ends with a zero. An encrypted one begins with
 * its length and may hold any bytes.
 */
#include "fs/ext4/check/check_internal.h"

#define CRYPT_HEAD sizeof(le16)

/* Blocks that are counted in the inode beside those of its attributes make it a slow one. */
bool check_symlink_is_fast(const struct check *c, const struct check_inode *ci)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 blocks = le32_to_cpu(ci->raw->i_blocks_lo);
	u32 attr_blocks = ci->acl ? sbi->block_size << sbi->cluster_bits >> 9 : 0;

	if (ci->flags & EXT4_INLINE_DATA_FL)
		return false;
	/* Values of its attributes may lie in any number of blocks: then its size tells. */
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EA_INODE))
		return ci->size && ci->size < sizeof(ci->raw->i_block);
	return blocks <= attr_blocks;
}

static bool target_good(const struct check_inode *ci, const u8 *target, size_t room)
{
	if (!ci->size || ci->size >= room)
		return false;
	if (ci->flags & EXT4_ENCRYPT_FL)
		return ci->size >= CRYPT_HEAD && get_unaligned_le16(target) + CRYPT_HEAD == ci->size;
	return strnlen((const char *)target, room) == ci->size;
}

int check_symlink(struct check *c, const struct check_inode *ci)
{
	const u8 *target = (const u8 *)ci->raw->i_block;
	size_t room = sizeof(ci->raw->i_block);

	if (!ci->named || ci->bad_map || ci->flags & EXT4_INLINE_DATA_FL)
		return 0;
	if (check_symlink_is_fast(c, ci)) {
		if (ci->flags & EXT4_EXTENTS_FL)
			check_problem(c, "symlink-map", ci->ino, 0, "symlink in the inode with extents");
	} else {
		void *buf = check_block_buf(c, 0);
		int err;

		if (!buf)
			return -ENOMEM;
		if (!ci->first_pblk || ci->end_lblk > 1)
			goto bad;
		err = check_read(c, ci->first_pblk, 1, buf);
		if (err)
			return err;
		target = buf;
		room = c->sbi->block_size;
	}
	if (target_good(ci, target, room))
		return 0;
bad:
	check_problem(c, "symlink-target", ci->ino, ci->first_pblk,
		      "symlink of %llu bytes has no target of this length", (unsigned long long)ci->size);
	return 0;
}
