/* SPDX-License-Identifier: MIT */
/*
 * The journal at mount: finds it, and replays it into a table by which the volume is read as it would be
 * after recovery. Nothing is written: what the kernel would copy to its place is read from the journal.
 *
 * The table (sbi->remap) belongs to the volume, and from then on all reading goes through its device. The
 * journal itself is only open here.
 */
#include "base/alloc.h"
#include "block/remap.h"
#include "fs/ext4/ext4_internal.h"
#include "jbd2/jbd2.h"
#include "jbd2/jbd2_format.h"
#include "vfs/fs_context.h"

#include <stdio.h>

int ext4_remap_begin(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct block_device *bdev;
	struct blk_remap *remap;
	int err;

	if (sbi->remap)
		return 0;
	err = blk_remap_create(sb->s_bdev, sbi->block_size, &remap);
	if (err)
		return err;
	err = blk_remap_device(remap, &bdev);
	if (!err)
		err = set_blocksize(bdev, sbi->block_size);
	if (err) {
		blk_remap_destroy(remap);
		return err;
	}
	sbi->remap = remap;
	sbi->bdev = bdev;
	return 0;
}

/* The inode that holds the journal. */
static int journal_iget(struct super_block *sb, u32 ino, char *why, size_t why_size, struct inode **out)
{
	int err = ext4_iget(sb, ino, EXT4_IGET_SPECIAL, out);

	if (err) {
		snprintf(why, why_size, "inode %u, which should be the journal, cannot be read", ino);
		return err == -ESTALE ? -EFSCORRUPTED : err;
	}
	if (!S_ISREG((*out)->i_mode) || EXT4_I(*out)->i_flags & (EXT4_ENCRYPT_FL | EXT4_INLINE_DATA_FL)) {
		snprintf(why, why_size, "inode %u is no journal", ino);
		iput(*out);
		return -EFSCORRUPTED;
	}
	return 0;
}

static int journal_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	struct ext4_map map = {.lblk = jblk, .len = max};
	int err = ext4_map_blocks(ctx, &map);

	if (!err && (!map.mapped || map.unwritten))
		err = -EFSCORRUPTED;
	*pblk = map.pblk;
	*len = map.len;
	return err;
}

int ext4_journal_open(struct super_block *sb, char *why, size_t why_size, struct jbd2_journal **out)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 ino = le32_to_cpu(sbi->es.s_journal_inum), dev = le32_to_cpu(sbi->es.s_journal_dev);
	struct jbd2_place place = {
		.bdev = sb->s_bdev,
		.name = sb->s_id,
		.block_size = sbi->block_size,
		.volume_blocks = sbi->blocks_count,
		.map = journal_map,
	};
	struct inode *inode;
	int err;

	if (ino && dev) {
		snprintf(why, why_size, "the journal is in inode %u and on a device as well", ino);
		return -EINVAL;
	}
	if (!ino) {
		snprintf(why, why_size,
			 "the journal is on another device (%u:%u), which is not supported; mount option "
			 "noload "
			 "reads without it",
			 dev >> 8 & 0xff, dev & 0xff);
		return -EOPNOTSUPP;
	}
	err = journal_iget(sb, ino, why, why_size, &inode);
	if (err)
		return err;
	place.nr_blocks = min_t(u64, i_size_read(inode) >> sbi->block_bits, UINT32_MAX);
	place.ctx = inode;
	err = jbd2_journal_open(&place, why, why_size, out);
	iput(inode);
	return err;
}

static int journal_replay(struct super_block *sb, struct jbd2_journal *journal, char *why, size_t why_size)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct jbd2_recovery found;
	u64 copies, blocks;
	int err = ext4_remap_begin(sb);

	if (!err)
		err = jbd2_recover_into(journal, sbi->remap, &found, why, why_size);
	if (!err && jbd2_needs_recovery(journal))
		err = ext4_fc_scan(sb, journal, found.end_tid, why, why_size);
	if (err)
		return err;
	blocks = blk_remap_count(sbi->remap, &copies);
	ext4_msg(sb, LOGLEVEL_INFO,
		 "recovery in memory: transactions %u to %u, %llu blocks from the journal (%llu copied)",
		 found.first_tid, found.end_tid - 1, (unsigned long long)blocks, (unsigned long long)copies);
	/* Inodes that led to the journal were read as they were before. */
	return evict_inodes(sb);
}

/* A volume with 64bit or metadata_csum wants the same of its journal. */
static int check_version(const struct ext4_sb_info *sbi, const struct jbd2_journal *journal, char *why,
			 size_t why_size)
{
	if (jbd2_may_have_features(journal) ||
	    (!ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT) &&
	     !ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)))
		return 0;
	snprintf(why, why_size, "the journal is of version 1, which knows neither 64bit nor checksums");
	return -EINVAL;
}

static int journal_use(struct super_block *sb, char *why, size_t why_size)
{
	bool recover = ext4_has_incompat(EXT4_SB(sb), EXT4_FEATURE_INCOMPAT_RECOVER);
	struct jbd2_journal *journal;
	int err = ext4_journal_open(sb, why, why_size, &journal);

	if (err)
		return err;
	err = check_version(EXT4_SB(sb), journal, why, why_size);
	if (!err && jbd2_needs_recovery(journal) && !recover)
		ext4_msg(sb, LOGLEVEL_INFO, "what the journal holds is not needed");
	if (!err && recover)
		err = journal_replay(sb, journal, why, why_size);
	EXT4_SB(sb)->journal_stopped = !err && jbd2_errno(journal);
	if (EXT4_SB(sb)->journal_stopped)
		ext4_msg(sb, LOGLEVEL_WARNING,
			 "the journal was stopped by error %d: the volume needs a check",
			 -jbd2_errno(journal));
	jbd2_journal_close(journal);
	return err;
}

int ext4_journal_load(struct super_block *sb, struct fs_context *fc)
{
	const struct ext4_sb_info *sbi = EXT4_SB(sb);
	char why[192] = "";
	int err;

	if (sbi->opt.noload || !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL))
		return 0;
	err = journal_use(sb, why, sizeof(why));
	if (err == -ENOMEM && !why[0])
		snprintf(why, sizeof(why), "the journal needs more memory than the machine has left for it");
	if (err)
		errorfc(fc, "%s: %s", sb->s_id, why[0] ? why : "the journal cannot be recovered");
	return err;
}
