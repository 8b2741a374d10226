/* SPDX-License-Identifier: MIT */
/*
 * Reserved inodes: bad blocks (1), root (2), quota (3, 4), boot loader (5), undelete directory (6), resize
 * (7), journal (8), and others that nothing uses. Checks what each must be, and takes the blocks of those
 * whose maps mean something else than a file's data. What holds for every inode (sizes, counts) the inode
 * pass checks.
 *
 * The map of the resize inode lists the descriptor blocks that are kept for growing. They lie at the head of
 * the groups and are the volume's own: only the one block of the map that lies elsewhere, which names the
 * first group's ones, is the inode's. Each of these names its copies in the groups with a copy of the super
 * block.
 */
#include "fs/ext4/check/check_internal.h"

#define USER_QUOTA_INO  3
#define GROUP_QUOTA_INO 4

/* Lists that do not tell where reserved descriptors lie only stand in the way of growing. */
static void note_resize(struct check *c, u64 pblk, const char *what)
{
	check_note(c, "resize-inode", EXT4_RESIZE_INO, pblk, "resize inode: %s", what);
}

static void bad_resize(struct check *c, u64 pblk, const char *what)
{
	check_problem(c, "resize-inode", EXT4_RESIZE_INO, pblk, "resize inode: %s", what);
}

/* Where the copies of the first group's block 0 would lie, in the groups with a copy of the super block. */
static u32 find_copies(const struct check *c, u64 *copies, u32 room)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 n = 0;

	for (u32 group = 1; group < sbi->groups_count && n < room; group++)
		if (ext4_bg_has_super(sbi, group))
			copies[n++] = (u64)group * sbi->blocks_per_group;
	return n;
}

/* The list of copies of one reserved block: counts the blocks it names. *good: they are where they should be.
 */
static int check_resize_copies(struct check *c, struct check_inode *ci, u64 pblk, const u64 *copies,
			       u32 count, bool *good)
{
	u32 room = c->sbi->block_size / sizeof(le32);
	const le32 *named = check_block_buf(c, 1);
	int err;

	if (!named)
		return -ENOMEM;
	err = check_read(c, pblk, 1, (void *)named);
	for (u32 i = 0; i < room && !err; i++) {
		u32 copy = le32_to_cpu(named[i]);

		ci->clusters += copy != 0;
		if (copy >= c->sbi->blocks_count)
			bad_resize(c, pblk, "a copy of reserved descriptors lies outside the volume");
		if (copy != (i < count ? copies[i] + pblk : 0))
			*good = false;
	}
	return err;
}

/* Blocks that it names are counted whatever they are, but only those that should be there say anything. */
static int check_resize_map(struct check *c, struct check_inode *ci, u64 dind)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 room = sbi->block_size / sizeof(le32), reserved = le16_to_cpu(sbi->es.s_reserved_gdt_blocks);
	/* Blocks of 1 KiB that are counted from 0 begin with a boot block. */
	u64 boot = !sbi->first_data_block && sbi->block_size == 1024 ? 1 : sbi->first_data_block;
	u64 first = boot + 1 + sbi->gdb_count;
	u64 *copies __free_kfree = kmalloc_array(c->machine, room, sizeof(*copies));
	const le32 *map = check_block_buf(c, 0);
	bool good = true;
	u32 count;
	int err;

	if (!map || !copies)
		return -ENOMEM;
	count = find_copies(c, copies, room);
	err = check_read(c, dind, 1, (void *)map);
	for (u32 i = 0; i < room && !err; i++) {
		u64 pblk = le32_to_cpu(map[i]);
		/* The place of the first reserved block is that behind the descriptors, and it goes round. */
		u32 at = (i + room - sbi->gdb_count % room) % room;

		if (pblk != (at < reserved ? first + at : 0))
			good = false;
		if (!pblk)
			continue;
		ci->clusters++;
		if (pblk < first || !check_pblk_valid(c, pblk, 1))
			bad_resize(c, dind, "names a block that cannot be reserved");
		else
			err = check_resize_copies(c, ci, pblk, copies, count, &good);
	}
	if (!err && !good)
		note_resize(c, dind, "does not list the reserved descriptors and their copies");
	return err;
}

static int check_resize(struct check *c, struct check_inode *ci)
{
	u64 dind = le32_to_cpu(ci->raw->i_block[EXT4_DIND_BLOCK]);
	bool wanted = ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_RESIZE_INODE);

	for (unsigned i = 0; i < EXT4_N_BLOCKS; i++)
		if ((wanted || dind) && i != EXT4_DIND_BLOCK && le32_to_cpu(ci->raw->i_block[i])) {
			bad_resize(c, 0, "has other blocks than the list of reserved descriptors");
			return 0;
		}
	if (!dind) {
		if (wanted)
			note_resize(c, 0, "is empty");
		return 0;
	}
	if (!wanted)
		note_resize(c, 0, "lists reserved descriptors, but the volume has none");
	if (!S_ISREG(ci->mode) || ci->flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL) ||
	    !check_pblk_valid(c, dind, 1)) {
		bad_resize(c, dind, "has no list of reserved descriptors");
		return 0;
	}
	ci->clusters++;
	return check_claim(c, ci->ino, dind, 1, &ci->last_cluster) ? check_resize_map(c, ci, dind) : 0;
}

/* Blocks that cannot be used: a map without a file. They may lie in the volume's tables. */
static void check_bad_blocks(struct check *c, const struct check_inode *ci)
{
	if (ci->mode || le16_to_cpu(ci->raw->i_links_count) || le16_to_cpu(ci->raw->i_uid) ||
	    le16_to_cpu(ci->raw->i_gid) || le32_to_cpu(ci->raw->i_file_acl_lo) ||
	    ci->flags & EXT4_INLINE_DATA_FL)
		check_problem(c, "bad-blocks-inode", ci->ino, 0, "the list of bad blocks looks like a file");
}

/* An inode that is kept for what the volume does not have. */
static int check_not_used(struct check *c, const struct check_inode *ci, const char *what)
{
	if (le16_to_cpu(ci->raw->i_links_count) || le32_to_cpu(ci->raw->i_blocks_lo) ||
	    le32_to_cpu(ci->raw->i_block[0]))
		check_problem(c, "reserved-inode", ci->ino, 0, "holds data, but the volume has no %s", what);
	return 0;
}

int check_special(struct check *c, struct check_inode *ci, bool *claimed)
{
	bool journal = ci->ino == le32_to_cpu(c->sbi->es.s_journal_inum);

	if (ci->ino == EXT4_JOURNAL_INO && !journal &&
	    !ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL))
		return check_not_used(c, ci, "journal");
	if ((ci->ino == USER_QUOTA_INO || ci->ino == GROUP_QUOTA_INO) && !check_is_special(c, ci->ino))
		return check_not_used(c, ci, "quota");
	switch (ci->ino) {
	case EXT4_BAD_INO:
		check_bad_blocks(c, ci);
		*claimed = ci->flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL);
		return *claimed ? 0 : check_inode_blocks(c, ci);
	case EXT4_ROOT_INO:
		if (!S_ISDIR(ci->mode))
			check_problem(c, "root-kind", ci->ino, 0, "the root is not a directory (mode %#o)",
				      ci->mode);
		return 0;
	case EXT4_BOOT_LOADER_INO:
		if (!S_ISDIR(ci->mode))
			return 0;
		break;
	case EXT4_RESIZE_INO:
		*claimed = true;
		if (ci->mode && !S_ISREG(ci->mode))
			break;
		return check_resize(c, ci);
	default:
		if (!ci->mode || ((journal || check_is_special(c, ci->ino)) && S_ISREG(ci->mode)))
			return 0;
	}
	check_problem(c, "reserved-inode", ci->ino, 0, "reserved inode with mode %#o", ci->mode);
	return 0;
}
