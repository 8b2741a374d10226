/* SPDX-License-Identifier: MIT */
/*
 * The pass over names as a whole, after the directories: every directory is reached from the root without a
 * loop, ".." names the parent, every inode in use has a name, and link counts are the number of names.
 */
#include "fs/ext4/check/check_internal.h"

#define EXT4_LINK_MAX 65000

/* Such a directory may have been larger, when its subdirectories could not be counted. */
static bool is_indexed(struct check *c, u32 ino)
{
	const struct check_dir *dir = check_dir_find(c, ino);

	return dir && dir->flags & EXT4_INDEX_FL;
}

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
	/* More subdirectories than can be counted are counted as one. */
	if (found > EXT4_LINK_MAX && c->kinds[ino - 1] == 2) {
		if (!ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_DIR_NLINK))
			check_problem(
				c, "inode-links", ino, 0,
				"more subdirectories than can be counted without the feature dir_nlink");
		found = 1;
	}
	if (stored != found && !(stored == 1 && is_indexed(c, ino)))
		check_problem(c, "inode-links", ino, 0, "link count is %u, counted %u", stored, found);
}

enum { UNKNOWN, ON_THE_WAY, REACHED, LOST };

/* Goes up from a directory until it is known how that ends, then notes it for all on the way. */
static void check_way_up(struct check *c, u8 *states, size_t i)
{
	struct check_dir *dirs = c->dirs.items, *dir = &dirs[i], *up = dir;
	u8 end = LOST;

	while (up && states[up - dirs] == UNKNOWN && up->ino != EXT4_ROOT_INO) {
		states[up - dirs] = ON_THE_WAY;
		up = up->parent ? check_dir_find(c, up->parent) : NULL;
	}
	if (up && (up->ino == EXT4_ROOT_INO || states[up - dirs] == REACHED))
		end = REACHED;
	else if (!up || states[up - dirs] == ON_THE_WAY)
		check_problem(c, "dir-unattached", dir->ino, 0, "directory is not below the root");
	for (up = dir; up && states[up - dirs] == ON_THE_WAY; up = check_dir_find(c, up->parent))
		states[up - dirs] = end;
}

static int check_tree(struct check *c)
{
	const struct check_dir *dirs = c->dirs.items;
	u8 *states __free_kfree = kcalloc(c->machine, c->dirs.count + 1, sizeof(*states));

	if (!states)
		return -ENOMEM;
	if (!check_dir_find(c, EXT4_ROOT_INO))
		check_problem(c, "root-inode", EXT4_ROOT_INO, 0, "root is not a directory");
	for (size_t i = 0; i < c->dirs.count && !c->stop; i++) {
		u32 parent = dirs[i].ino == EXT4_ROOT_INO ? EXT4_ROOT_INO : dirs[i].parent;

		if (parent && dirs[i].dotdot != parent)
			check_problem(c, "dir-parent", dirs[i].ino, 0, "\"..\" is %u, its parent is %u",
				      dirs[i].dotdot, parent);
		if (dirs[i].ino != EXT4_ROOT_INO && !check_is_orphan(c, dirs[i].ino))
			check_way_up(c, states, i);
	}
	return 0;
}

int check_links(struct check *c)
{
	int err = check_tree(c);

	for (unsigned long i = find_first_bit(c->used_inodes, c->inodes_count);
	     i < c->inodes_count && !err && !c->stop;
	     i = find_next_bit(c->used_inodes, c->inodes_count, i + 1))
		check_count(c, (u32)i + 1);
	return err;
}
