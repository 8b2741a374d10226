/* SPDX-License-Identifier: MIT */
/*
 * Symlinks whose target is not at hand in memory. A long one lies in the first block; read once, it stays in
 * i_body as long as the inode does, so that later walks go through it without a lock. An encrypted one is
 * shown by a name made from its bytes, anew each time.
 */
#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"

/* Takes over `text`, unless somebody else was quicker. */
static void keep_target(struct inode *inode, u8 *text, u32 bytes)
{
	struct ext4_inode_info *ei = EXT4_I(inode);

	spin_lock(&inode->i_lock);
	if (!ei->i_body) {
		ei->i_body = text;
		ei->i_body_bytes = bytes;
		/* Release: the walk that sees the pointer sees the text. */
		smp_store_release(&inode->i_link, (const char *)text);
		text = NULL;
	}
	spin_unlock(&inode->i_lock);
	ext4_body_free(inode, text, bytes);
}

int ext4_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done, const char **out)
{
	u32 bytes = min_t(u64, i_size_read(inode), inode->i_sb->s_blocksize - 1);
	struct buffer_head *bh;
	u8 *text;
	int err;

	if (!dentry)
		return -ECHILD;
	err = ext4_bread(inode, 0, NULL, &bh);
	if (err)
		return err;
	err = ext4_body_alloc(inode, bytes, &text);
	if (!err) {
		memcpy(text, bh->b_data, bytes);
		keep_target(inode, text, bytes);
		*out = inode->i_link;
	}
	brelse(bh);
	return err;
}
