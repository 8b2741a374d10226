/* SPDX-License-Identifier: MIT */
/*
 * Symlinks whose target does not fit into the inode: it lies in the first block. Read once, it stays in
 * memory as long as the inode does, so that later walks go through it without a lock.
 */
#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"

static int read_target(struct inode *inode, char **out)
{
	u64 size = min_t(u64, i_size_read(inode), inode->i_sb->s_blocksize - 1);
	struct buffer_head *bh;
	char *text;
	int err = ext4_bread(inode, 0, NULL, &bh);

	if (err)
		return err;
	text = kmemdup_nul(inode->i_sb->s_machine, bh->b_data, size);
	brelse(bh);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

int ext4_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done, const char **out)
{
	struct ext4_inode_info *ei = EXT4_I(inode);
	char *text;
	int err;

	if (!dentry)
		return -ECHILD;
	err = read_target(inode, &text);
	if (err)
		return err;
	spin_lock(&inode->i_lock);
	if (!ei->long_symlink) {
		ei->long_symlink = text;
		/* Release: the walk that sees the pointer sees the text. */
		smp_store_release(&inode->i_link, text);
		text = NULL;
	}
	spin_unlock(&inode->i_lock);
	kfree(text);
	*out = ei->long_symlink;
	return 0;
}
