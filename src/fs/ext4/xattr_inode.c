/* SPDX-License-Identifier: MIT */
/*
 * Values of attributes that are too large for the inode and its block: each lies in an inode of its own,
 * which has no name and may be shared by many entries. The inode keeps the checksum of the value where others
 * keep their time of access, and the entry's hash covers its name and that checksum; so an entry that was
 * pointed elsewhere is found out. Older values, of Lustre, are known by the owner that the inode names, and
 * have no hash.
 */
#include "fs/ext4/ext4_internal.h"

/* Into buffer: the first `bytes` of the file, block by block. */
static int read_value(struct inode *ea, u8 *buffer, u32 bytes)
{
	u32 block_size = ea->i_sb->s_blocksize;

	for (u32 at = 0; at < bytes; at += block_size) {
		struct buffer_head *bh;
		int err = ext4_bread(ea, at / block_size, NULL, &bh);

		if (err)
			return err;
		memcpy(buffer + at, bh->b_data, min(bytes - at, block_size));
		brelse(bh);
	}
	return 0;
}

/* Bytes of names above 127 once counted as negative. */
static u32 entry_hash(const struct ext4_xattr_entry *e, const void *words, size_t count, bool is_signed)
{
	u32 hash = 0;

	for (unsigned i = 0; i < e->e_name_len; i++)
		hash = (hash << 5 | hash >> 27) ^
		       (is_signed ? (u32)(s32)(signed char)e->e_name[i] : (u32)(u8)e->e_name[i]);
	for (size_t i = 0; i < count; i++)
		hash = (hash << 16 | hash >> 16) ^ get_unaligned_le32((const u8 *)words + i * sizeof(le32));
	return hash;
}

bool ext4_xattr_hash_valid(const struct ext4_xattr_entry *e, const void *words, size_t count)
{
	u32 hash = le32_to_cpu(e->e_hash);

	return hash == entry_hash(e, words, count, false) || hash == entry_hash(e, words, count, true);
}

static const char *value_check(const struct inode *inode, const struct inode *ea,
			       const struct ext4_xattr_entry *e, const void *value)
{
	u32 crc, stored = (u32)ea->i_atime.tv_sec;
	le32 word;

	if ((u32)ea->i_mtime.tv_sec == (u32)inode->i_ino && ea->i_generation == inode->i_generation)
		return NULL;
	crc = ext4_chksum(EXT4_SB(inode->i_sb)->csum_seed, value, le32_to_cpu(e->e_value_size));
	if (crc != stored)
		return "checksum of the value differs";
	word = cpu_to_le32(crc);
	if (!ext4_xattr_hash_valid(e, &word, 1))
		return "the entry's hash differs";
	return NULL;
}

int ext4_xattr_inode_refs(struct inode *ea, u64 *refs)
{
	const struct ext4_inode *in;
	struct buffer_head *bh;
	u8 *raw;
	int err = ext4_inode_block_get(ea->i_sb, ea->i_ino, &bh, &raw);

	if (err)
		return err;
	in = (const void *)raw;
	*refs = (u64)le32_to_cpu(in->i_ctime) << 32 | le32_to_cpu(in->i_version_lo);
	brelse(bh);
	return 0;
}

ssize_t ext4_xattr_inode_read(struct inode *inode, const struct ext4_xattr_entry *e, void *buffer)
{
	u32 ino = le32_to_cpu(e->e_value_inum), bytes = le32_to_cpu(e->e_value_size);
	const char *why = NULL;
	struct inode *ea;
	int err = ext4_iget(inode->i_sb, ino, EXT4_IGET_EA, &ea);

	if (err == -ESTALE)
		err = -EFSCORRUPTED;
	if (err) {
		ext4_error_inode(inode, 0, "attribute's value in inode %u cannot be read", ino);
		return err;
	}
	if (i_size_read(ea) != bytes)
		why = "its size is not the value's";
	else
		err = read_value(ea, buffer, bytes);
	if (!err && !why)
		why = value_check(inode, ea, e, buffer);
	if (why) {
		ext4_error_inode(inode, 0, "attribute's value in inode %u: %s", ino, why);
		err = -EFSCORRUPTED;
	}
	iput(ea);
	return err ? err : (ssize_t)bytes;
}
