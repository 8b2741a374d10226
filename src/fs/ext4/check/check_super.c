/* SPDX-License-Identifier: MIT */
/*
 * The pass over the super block. Its geometry was verified when it was read (super_verify.c); here follows
 * what a mount does not care for: counts that do not fit the volume, features that contradict each other,
 * reserved blocks, the state.
 */
#include "fs/ext4/check/check_internal.h"

static u64 wide(const struct check *c, le32 lo, le32 hi)
{
	u64 n = le32_to_cpu(lo);

	return ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_64BIT) ? n | (u64)le32_to_cpu(hi) << 32 : n;
}

static void check_counts(struct check *c)
{
	const struct ext4_super_block *es = &c->sbi->es;
	u64 reserved = wide(c, es->s_r_blocks_count_lo, es->s_r_blocks_count_hi);

	if (reserved > c->sbi->blocks_count / 2)
		check_problem(c, "super-reserved-blocks", 0, 0,
			      "super block: %llu of %llu blocks are reserved", (unsigned long long)reserved,
			      (unsigned long long)c->sbi->blocks_count);
	if (c->sbi->first_ino > c->inodes_count)
		check_problem(c, "super-first-inode", 0, 0, "super block: first inode is %u of %u",
			      c->sbi->first_ino, c->inodes_count);
}

static void check_state(struct check *c)
{
	if (le16_to_cpu(c->sbi->es.s_state) & EXT4_ERROR_FS)
		check_note(c, "super-errors", 0, 0, "super block: the volume is marked as having errors");
}

int check_super(struct check *c)
{
	check_counts(c);
	check_state(c);
	return 0;
}
