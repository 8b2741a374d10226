/* SPDX-License-Identifier: MIT */
/*
 * The pass over names as a whole, after the directories: every directory is reached from the root without a
 * loop, ".." names the parent, every inode in use has a name, and link counts are the number of names.
 */
#include "fs/ext4/check/check_internal.h"

static void check_count(struct check *c, u32 ino)
{
	u32 stored = c->links_stored[ino - 1], found = c->links_found[ino - 1];

	/* Reserved inodes have no names; of the others only the root has none by itself. */
	if (ino < c->sbi->first_ino && ino != EXT4_ROOT_INO)
		return;
	if (check_is_orphan(c, ino) || check_is_special(c, ino))
		return;
	if (!found) {
		check_problem(c, "inode-unattached", ino, 0, "in use, but no name leads to it");
		return;
	}
	/* A directory of more subdirectories than can be counted has one link, where dir_nlink allows. */
	if (stored == 1 && c->kinds[ino - 1] == 2 &&
	    ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_DIR_NLINK))
		return;
	if (stored != found)
		check_problem(c, "inode-links", ino, 0, "link count is %u, counted %u", stored, found);
}

int check_links(struct check *c)
{
	const struct check_dir *dirs = c->dirs.items;

	for (size_t i = 0; i < c->dirs.count; i++) {
		u32 parent = dirs[i].ino == EXT4_ROOT_INO ? EXT4_ROOT_INO : dirs[i].parent;

		if (parent && dirs[i].dotdot != parent)
			check_problem(c, "dir-parent", dirs[i].ino, 0, "\"..\" is %u, its parent is %u",
				      dirs[i].dotdot, parent);
	}
	for (unsigned long i = find_first_bit(c->used_inodes, c->inodes_count);
	     i < c->inodes_count && !c->stop; i = find_next_bit(c->used_inodes, c->inodes_count, i + 1))
		check_count(c, (u32)i + 1);
	return 0;
}
