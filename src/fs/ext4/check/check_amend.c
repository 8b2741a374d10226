/* SPDX-License-Identifier: MIT */
/*
 * Words of the super block for which a mount refuses the volume although nothing of it hangs on them. e2fsck
 * sets them right in passing and finds the volume clean. The check puts into its copy what they should be,
 * before it is verified, so that the volume itself can be looked at.
 */
#include "fs/ext4/ext4_internal.h"

static bool amend_words(struct ext4_super_block *es)
{
	u32 room = le16_to_cpu(es->s_inode_size) - EXT4_GOOD_OLD_INODE_SIZE;
	bool changed = false;

	if (le32_to_cpu(es->s_creator_os) &&
	    le32_to_cpu(es->s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT) {
		es->s_creator_os = cpu_to_le32(0);
		changed = true;
	}
	if (le16_to_cpu(es->s_min_extra_isize) > room || le16_to_cpu(es->s_want_extra_isize) > room) {
		es->s_min_extra_isize = es->s_want_extra_isize = cpu_to_le16(0);
		changed = true;
	}
	if (le32_to_cpu(es->s_journal_inum) && le32_to_cpu(es->s_journal_dev)) {
		es->s_journal_dev = cpu_to_le32(0);
		changed = true;
	}
	return changed;
}

void ext4_check_amend(struct ext4_super_block *es)
{
	const size_t covered = offsetof(struct ext4_super_block, s_checksum);
	bool right = ext4_chksum(~0u, es, covered) == le32_to_cpu(es->s_checksum);

	if (le32_to_cpu(es->s_rev_level) && le16_to_cpu(es->s_inode_size) >= EXT4_GOOD_OLD_INODE_SIZE &&
	    amend_words(es) && right)
		es->s_checksum = cpu_to_le32(ext4_chksum(~0u, es, covered));
}
