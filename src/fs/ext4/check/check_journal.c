/* SPDX-License-Identifier: MIT */
/*
 * The pass over the journal: that features and super block agree on where it is, that its file has every
 * block, and what its super block holds beyond what replaying it needed. What it held was replayed before the
 * check began, and a journal that cannot be replayed ended the check there.
 */
#include "fs/ext4/check/check_internal.h"
#include "jbd2/jbd2.h"
#include "jbd2/jbd2_format.h"

static int check_super_of_journal(struct check *c, struct inode *inode)
{
	const struct jbd2_super_block *js = check_block_buf(c, 0);
	u64 pblk;
	int err;

	if (!js)
		return -ENOMEM;
	err = check_file_read(c, inode, 0, (void *)js, &pblk);
	if (err)
		return err;
	if (be32_to_cpu(js->s_header.h_blocktype) == JBD2_SUPERBLOCK_V2 && be32_to_cpu(js->s_nr_users) > 1)
		check_problem(c, "journal-users", inode->i_ino, pblk, "journal of %u volumes in a file",
			      be32_to_cpu(js->s_nr_users));
	return 0;
}

/* A journal has no holes, and its file ends with its last block. */
static int check_file_of_journal(struct check *c, struct inode *inode)
{
	u64 size = i_size_read(inode), blocks = size >> c->sbi->block_bits;
	struct ext4_map map;
	int err = 0;

	if (size & (c->sbi->block_size - 1))
		check_problem(c, "journal-size", inode->i_ino, 0, "journal of %llu bytes ends inside a block",
			      (unsigned long long)size);
	for (u64 lblk = 0; lblk < blocks && !err; lblk += map.len) {
		map = (struct ext4_map){.lblk = (u32)lblk, .len = (u32)min_t(u64, blocks - lblk, UINT32_MAX)};
		err = ext4_map_blocks(inode, &map);
		if (err == -EFSCORRUPTED || err == -EFSBADCRC || (!err && !map.mapped)) {
			check_problem(c, "journal-hole", inode->i_ino, 0, "journal has no block %llu",
				      (unsigned long long)lblk);
			return 0;
		}
	}
	return err;
}

/* A whole journal may be left over from a time when the feature was on. */
static int check_left_over(struct check *c, u32 ino)
{
	struct jbd2_journal *journal;
	char why[192] = "";
	int err = ext4_journal_open(c->sb, why, sizeof(why), &journal);

	if (err == -ENOMEM || err == -EIO)
		return err;
	if (err)
		check_problem(c, "journal-unused", ino, 0, "named as the journal of a volume without one: %s",
			      why);
	else
		check_note(c, "journal-unused", ino, 0, "holds a journal, but the feature is off");
	if (!err)
		jbd2_journal_close(journal);
	return 0;
}

bool check_journal_is_external(const struct check *c)
{
	const struct ext4_super_block *es = &c->sbi->es;

	return ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL) && !le32_to_cpu(es->s_journal_inum) &&
	       le32_to_cpu(es->s_journal_dev);
}

int check_journal(struct check *c)
{
	u32 ino = le32_to_cpu(c->sbi->es.s_journal_inum);
	struct inode *inode;
	int err = 0;

	if (!ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL)) {
		if (ino)
			err = check_left_over(c, ino);
		if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_RECOVER))
			check_problem(c, "journal-missing", 0, 0,
				      "super block: a journal is to be replayed, but there is none");
		return err;
	}
	if (check_journal_is_external(c))
		return 0;
	if (!check_ino_valid(c, ino)) {
		check_problem(c, "journal-inode", 0, 0, "super block: the journal would be in inode %u of %u",
			      ino, c->inodes_count);
		return 0;
	}
	err = check_file_open(c, ino, &inode);
	if (err)
		return err == -EFSCORRUPTED ? 0 : err;
	err = check_file_of_journal(c, inode);
	if (!err)
		err = check_super_of_journal(c, inode);
	iput(inode);
	return err == -EFSCORRUPTED ? 0 : err;
}
