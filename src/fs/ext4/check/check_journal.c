/* SPDX-License-Identifier: MIT */
/*
 * The pass over the journal: which inode or device holds it, and that features and journal fit together. What
 * it held was replayed before the check began.
 */
#include "fs/ext4/check/check_internal.h"

int check_journal(struct check *c)
{
	u32 ino = le32_to_cpu(c->sbi->es.s_journal_inum);
	bool has = ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL);

	if (has && ino && !check_ino_valid(c, ino))
		check_problem(c, "journal-inode", 0, 0, "super block: the journal would be in inode %u of %u",
			      ino, c->inodes_count);
	if (!has && ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_RECOVER))
		check_problem(c, "journal-missing", 0, 0,
			      "super block: a journal is to be replayed, but there is none");
	return 0;
}
