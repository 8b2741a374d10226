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

/* The bytes of an encrypted symlink, which say their length first, as text: `text` is of EXT4_NOKEY_TEXT_MAX.
 */
static int show_target(struct inode *inode, const void *content, size_t max, char *text)
{
	const struct ext4_hash none = {0};
	unsigned len = max < sizeof(le16) ? 0 : get_unaligned_le16(content);

	if (len < EXT4_CRYPT_BLOCK || len > max - sizeof(le16)) {
		ext4_error_inode(inode, 0, "encrypted symlink of %u bytes where %zu are kept", len, max);
		return -EFSCORRUPTED;
	}
	return (int)ext4_nokey_encode(&none, (const u8 *)content + sizeof(le16), len, text);
}

/* The number of characters that were written to `text`. */
static int encrypted_target(struct inode *inode, char *text)
{
	struct ext4_inode_info *ei = EXT4_I(inode);
	struct buffer_head *bh;
	int n;

	if (ext4_has_inline_data(inode))
		return show_target(inode, ei->i_body, ei->i_body_bytes, text);
	if (ext4_is_fast_symlink(inode))
		return show_target(inode, ei->i_data, sizeof(ei->i_data), text);
	n = ext4_bread(inode, 0, NULL, &bh);
	if (n)
		return n;
	n = show_target(inode, bh->b_data, bh->b_size, text);
	brelse(bh);
	return n;
}

static void free_text(void *text)
{
	kfree(text);
}

int ext4_encrypted_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done,
			    const char **out)
{
	char *text;
	int n;

	if (!dentry)
		return -ECHILD;
	text = kmalloc(inode->i_sb->s_machine, EXT4_NOKEY_TEXT_MAX + 1);
	if (!text)
		return -ENOMEM;
	n = encrypted_target(inode, text);
	if (n < 0) {
		kfree(text);
		return n;
	}
	text[n] = 0;
	done->fn = free_text;
	done->arg = text;
	*out = text;
	return 0;
}

/* The size of a symlink is its text's, and that is not the stored one. */
int ext4_encrypted_link_getattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat,
				u32 request_mask, unsigned flags)
{
	char text[EXT4_NOKEY_TEXT_MAX];
	int err = ext4_getattr(idmap, inode, stat, request_mask, flags), n;

	if (err)
		return err;
	n = encrypted_target(inode, text);
	if (n < 0)
		return n;
	stat->size = n;
	return 0;
}
