/* SPDX-License-Identifier: MIT */
/*
 * Checksums of metadata. metadata_csum uses crc32c, started from a seed that is the checksum of the volume's
 * UUID (or stored in the super block), so that a block of another volume does not pass; blocks that belong to
 * an inode add its number and generation.
 */
#include "base/crc.h"
#include "fs/ext4/ext4_internal.h"

u32 ext4_chksum(u32 seed, const void *data, size_t bytes)
{
	return crc32c(seed, data, bytes);
}

u32 ext4_inode_csum_seed(const struct ext4_sb_info *sbi, u32 ino, u32 generation)
{
	const le32 words[2] = {cpu_to_le32(ino), cpu_to_le32(generation)};

	return ext4_chksum(sbi->csum_seed, words, sizeof(words));
}
