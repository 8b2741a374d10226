/* SPDX-License-Identifier: MIT */
/*
 * Inodes by number and generation, for file handles: only those that a name may lead to; and the parent of a
 * directory, as its ".." has it.
 */
#include "fs/ext4/ext4_internal.h"
#include "vfs/exportfs.h"

static int ext4_nfs_get_inode(struct super_block *sb, u32 ino, u32 generation, struct inode **out)
{
	int err = ext4_iget(sb, ino, EXT4_IGET_HANDLE, out);

	if (err)
		return err;
	if (generation && (*out)->i_generation != generation) {
		iput(*out);
		return -ESTALE;
	}
	return 0;
}

static bool find_dotdot(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	if (de->name_len != 2 || memcmp(de->name, "..", 2))
		return true;
	*(u32 *)arg = le32_to_cpu(de->inode);
	return false;
}

static int ext4_get_parent(struct inode *dir, struct inode **out)
{
	struct buffer_head *bh;
	u64 lblk = 0;
	u32 ino = 0;
	int err;

	if (ext4_has_inline_data(dir)) {
		ino = ext4_inline_parent(dir);
	} else {
		err = ext4_dir_next_block(dir, &lblk, &bh);
		if (err)
			return err;
		if (bh && lblk == 0)
			(void)ext4_dirents_walk(bh->b_data, 0, bh->b_size, bh->b_size, find_dotdot, &ino);
		brelse(bh);
	}
	err = ext4_nfs_get_inode(dir->i_sb, ino, 0, out);
	if (!err && !S_ISDIR((*out)->i_mode)) {
		iput(*out);
		err = -ESTALE;
	}
	return err;
}

const struct export_operations ext4_export_ops = {
	.get_inode = ext4_nfs_get_inode,
	.get_parent = ext4_get_parent,
};
