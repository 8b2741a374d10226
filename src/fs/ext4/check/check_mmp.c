/* SPDX-License-Identifier: MIT */
/*
 * The pass over multiple mount protection: one block, named by the super block, in which whoever writes the
 * volume leaves a sign of life.
 */
#include "fs/ext4/check/check_internal.h"

int check_mmp(struct check *c)
{
	u64 pblk = le64_to_cpu(c->sbi->es.s_mmp_block);
	const struct mmp_struct *mmp = check_block_buf(c, 0);
	u32 sequence;
	int err;

	if (!ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_MMP))
		return 0;
	if (!check_pblk_valid(c, pblk, 1)) {
		check_problem(c, "mmp-place", 0, pblk, "multiple mount protection lies outside the volume");
		return 0;
	}
	check_claim(c, 0, pblk, 1, NULL);
	if (!mmp)
		return -ENOMEM;
	err = check_read(c, pblk, 1, (void *)mmp);
	if (err)
		return err;
	sequence = le32_to_cpu(mmp->mmp_seq);
	if (le32_to_cpu(mmp->mmp_magic) != EXT4_MMP_MAGIC)
		check_problem(c, "mmp-magic", 0, pblk, "multiple mount protection: magic number is %#010x",
			      le32_to_cpu(mmp->mmp_magic));
	else if (c->sbi->has_csum &&
		 ext4_chksum(c->sbi->csum_seed, mmp, offsetof(struct mmp_struct, mmp_checksum)) !=
			 le32_to_cpu(mmp->mmp_checksum))
		check_problem(c, "mmp-checksum", 0, pblk, "multiple mount protection: wrong checksum");
	else if (sequence > EXT4_MMP_SEQ_MAX && sequence != EXT4_MMP_SEQ_CLEAN)
		check_problem(c, "mmp-sequence", 0, pblk,
			      "multiple mount protection: sequence %#010x means nothing", sequence);
	return 0;
}
