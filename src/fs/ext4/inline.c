/* SPDX-License-Identifier: MIT */
/*
 * Inline data: a small file, directory or symlink that lies in its inode. The first 60 bytes take the place
 * of the block map, the rest is the value of the attribute "system.data" behind the inode's fields. The
 * content is copied when the inode is read, verified then, and belongs to the inode in memory until that is
 * freed; nothing changes it, so no lock guards it.
 *
 * A directory has no "." and "..": it begins with the number of its parent, and entries fill the rest of
 * the first 60 bytes, then the value, each part a chain of its own.
 */
#include <limits.h>

#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"
#include "iomap/iomap.h"

#define FIRST_BYTES (EXT4_N_BLOCKS * sizeof(le32))

bool ext4_has_inline_data(const struct inode *inode)
{
	return EXT4_I(inode)->i_flags & EXT4_INLINE_DATA_FL;
}

static int dir_verify(const struct inode *dir)
{
	const struct ext4_inode_info *ei = EXT4_I(dir);
	const unsigned bounds[] = {EXT4_INLINE_DIR_START, FIRST_BYTES, ei->i_body_bytes};

	for (unsigned i = 0; i < 2; i++) {
		unsigned at = 0;
		const char *why =
			ext4_dirents_verify(dir, ei->i_body + bounds[i], bounds[i + 1] - bounds[i], &at);

		if (why) {
			ext4_error_inode(dir, 0, "inline directory, offset %u: %s", bounds[i] + at, why);
			return -EFSCORRUPTED;
		}
	}
	return 0;
}

static int kind_check(const struct inode *inode)
{
	if (EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL) {
		ext4_error_inode(inode, 0, "inline data together with extents");
		return -EFSCORRUPTED;
	}
	if (S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode) || S_ISLNK(inode->i_mode))
		return 0;
	ext4_error_inode(inode, 0, "inline data in a file of mode %#o", inode->i_mode);
	return -EFSCORRUPTED;
}

int ext4_inline_take(struct inode *inode)
{
	struct ext4_inode_info *ei = EXT4_I(inode);
	u64 size = i_size_read(inode);
	ssize_t rest;
	int err = kind_check(inode);

	if (err)
		return err;
	rest = ext4_xattr_inline_data(inode, NULL, 0);
	if (rest < 0 && rest != -ENODATA)
		return rest;
	/* A regular file may be larger: zeroes follow. mke2fs -d makes such of files that end in a hole. */
	if (rest < 0 || (!S_ISREG(inode->i_mode) && size > FIRST_BYTES + (size_t)rest)) {
		ext4_error_inode(inode, 0, "inline data of %llu bytes %s", (unsigned long long)size,
				 rest < 0 ? "without its attribute" : "where less is kept");
		return -EFSCORRUPTED;
	}
	err = ext4_body_alloc(inode, FIRST_BYTES + rest, &ei->i_body);
	if (err)
		return err;
	ei->i_body_bytes = FIRST_BYTES + rest;
	memcpy(ei->i_body, ei->i_data, FIRST_BYTES);
	if (rest && ext4_xattr_inline_data(inode, ei->i_body + FIRST_BYTES, rest) != rest)
		return -EFSCORRUPTED;
	return S_ISDIR(inode->i_mode) ? dir_verify(inode) : 0;
}

u32 ext4_inline_parent(const struct inode *dir)
{
	return get_unaligned_le32(EXT4_I(dir)->i_body);
}

void ext4_inline_dirents_walk(const struct inode *dir, ext4_dirent_fn fn, void *arg)
{
	const struct ext4_inode_info *ei = EXT4_I(dir);
	unsigned block_size = dir->i_sb->s_blocksize;

	if (ext4_dirents_walk(ei->i_body, EXT4_INLINE_DIR_START, FIRST_BYTES, block_size, fn, arg))
		(void)ext4_dirents_walk(ei->i_body, FIRST_BYTES, ei->i_body_bytes, block_size, fn, arg);
}

int ext4_inline_iomap(struct inode *inode, u64 pos, unsigned flags, struct iomap *iomap)
{
	const struct ext4_inode_info *ei = EXT4_I(inode);
	u64 have = min_t(u64, i_size_read(inode), ei->i_body_bytes);

	iomap->bdev = EXT4_SB(inode->i_sb)->bdev;
	iomap->addr = IOMAP_NULL_ADDR;
	if (pos >= have) {
		iomap->type = IOMAP_HOLE;
		iomap->offset = pos;
		iomap->length = (u64)LLONG_MAX - pos;
		return 0;
	}
	iomap->type = IOMAP_INLINE;
	iomap->inline_data = ei->i_body;
	iomap->length = have;
	if (!(flags & IOMAP_REPORT))
		return 0;
	return ext4_inode_place(inode, offsetof(struct ext4_inode, i_block), &iomap->addr);
}
