/* SPDX-License-Identifier: MIT */
/*
 * Reserved inodes: bad blocks (1), root (2), quota (3, 4 and the project quota), boot loader (5), undelete
 * directory (6), resize (7), journal (8), exclude (9), replica (10), orphan file. Checks what each must be,
 * and takes the blocks of those whose maps mean something else than data in order: the resize inode's map
 * lists descriptor blocks that are kept for growing, and those are the volume's own tables.
 */
#include "fs/ext4/check/check_internal.h"

#define BAD_BLOCKS_INO 1

/* Pointers of a block of the resize inode's map name blocks that belong to the tables: only the map's own
 * block is taken. */
static int check_resize(struct check *c, struct check_inode *ci)
{
	u64 dind = le32_to_cpu(ci->raw.i_block[EXT4_DIND_BLOCK]);

	if (!ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_RESIZE_INODE))
		return 0;
	if (!dind || !check_pblk_valid(c, dind, 1))
		check_problem(c, "resize-inode", ci->ino, dind, "has no map of reserved descriptor blocks");
	else
		check_claim(c, ci->ino, dind, 1, &ci->last_cluster);
	return 0;
}

int check_special(struct check *c, struct check_inode *ci, bool *claimed)
{
	switch (ci->ino) {
	case BAD_BLOCKS_INO:
		return check_inode_blocks(c, ci);
	case EXT4_ROOT_INO:
		if (!S_ISDIR(ci->mode))
			check_problem(c, "root-kind", ci->ino, 0, "the root is not a directory (mode %#o)",
				      ci->mode);
		return 0;
	case EXT4_RESIZE_INO:
		*claimed = true;
		return check_resize(c, ci);
	default:
		return 0;
	}
}
