/* SPDX-License-Identifier: MIT */
/*
 * Orphans: inodes that were to be deleted or truncated when the volume was last in use, in the list that
 * begins in the super block (or in the orphan file). They are in use although no name leads to them. Runs
 * before the inode pass, which asks.
 */
#include "fs/ext4/check/check_internal.h"

static int compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

bool check_find_orphan(const struct check *c, u32 ino)
{
	return bsearch(&ino, c->orphans.items, c->orphans.count, sizeof(ino), compare) != NULL;
}

/* False: it cannot be one, or is one already. */
static bool may_be_orphan(struct check *c, u32 ino, const char *where)
{
	if (check_ino_valid(c, ino) && ino >= c->sbi->first_ino &&
	    !__test_and_set_bit(ino - 1, c->used_inodes))
		return true;
	check_problem(c, "orphan-list", ino, 0, "is in the %s of orphans and cannot be", where);
	return false;
}

static int read_list(struct check *c)
{
	u32 ino = le32_to_cpu(c->sbi->es.s_last_orphan);
	int err = 0;

	while (ino && !err && may_be_orphan(c, ino, "list")) {
		const u8 *raw;

		err = check_inode_read(c, ino, &raw);
		if (err)
			break;
		err = check_array_add(c, &c->orphans, &ino, sizeof(ino));
		ino = get_unaligned_le32(raw + offsetof(struct ext4_inode, i_dtime));
	}
	return err;
}

static int read_file_block(struct check *c, struct inode *inode, u32 lblk)
{
	u32 entries = (c->sbi->block_size - sizeof(struct ext4_orphan_block_tail)) / sizeof(le32);
	const le32 *numbers = check_block_buf(c, 0);
	u64 pblk;
	int err = numbers ? check_file_read(c, inode, lblk, (void *)numbers, &pblk) : -ENOMEM;

	for (u32 i = 0; i < entries && !err; i++) {
		u32 ino = le32_to_cpu(numbers[i]);

		if (!ino || !may_be_orphan(c, ino, "file"))
			continue;
		if (!ext4_inode_in_use(c->sb, ino))
			check_problem(c, "orphan-list", ino, 0, "is in the file of orphans and not in use");
		err = check_array_add(c, &c->orphans, &ino, sizeof(ino));
	}
	return err;
}

static int read_file(struct check *c)
{
	struct inode *inode;
	int err;

	if (!ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT) ||
	    !ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE))
		return 0;
	err = check_file_open(c, le32_to_cpu(c->sbi->es.s_orphan_file_inum), &inode);
	if (err)
		return err;
	for (u64 lblk = 0; lblk << c->sbi->block_bits < i_size_read(inode) && !err; lblk++)
		err = read_file_block(c, inode, (u32)lblk);
	iput(inode);
	return err;
}

int check_orphans(struct check *c)
{
	int err;

	/* Where nothing was replayed nobody was interrupted, and after an error nobody goes on with the list:
	 * who is not linked then is a damage. */
	if (!c->sbi->remap || c->sbi->journal_stopped || le16_to_cpu(c->sbi->es.s_state) & EXT4_ERROR_FS)
		return 0;
	err = read_list(c);
	if (!err || err == -EFSCORRUPTED)
		err = read_file(c);
	if (c->orphans.count)
		qsort(c->orphans.items, c->orphans.count, sizeof(u32), compare);
	return err == -EFSCORRUPTED ? 0 : err;
}
