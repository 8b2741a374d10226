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

bool check_is_orphan(const struct check *c, u32 ino)
{
	return c->orphans.count && bsearch(&ino, c->orphans.items, c->orphans.count, sizeof(ino), compare);
}

int check_orphans(struct check *c)
{
	u32 ino = le32_to_cpu(c->sbi->es.s_last_orphan);
	int err = 0;

	/* Where nothing was replayed nobody was interrupted, and after an error nobody goes on with the list:
	 * who is not linked then is a damage. */
	if (!c->sbi->remap || c->sbi->journal_stopped || le16_to_cpu(c->sbi->es.s_state) & EXT4_ERROR_FS)
		return 0;

	while (ino && !err) {
		const u8 *raw;

		if (!check_ino_valid(c, ino) || ino < c->sbi->first_ino ||
		    __test_and_set_bit(ino - 1, c->used_inodes)) {
			check_problem(c, "orphan-list", ino, 0, "is in the list of orphans and cannot be");
			break;
		}
		err = check_inode_read(c, ino, &raw);
		if (err)
			break;
		err = check_array_add(c, &c->orphans, &ino, sizeof(ino));
		ino = get_unaligned_le32(raw + offsetof(struct ext4_inode, i_dtime));
	}
	if (c->orphans.count)
		qsort(c->orphans.items, c->orphans.count, sizeof(u32), compare);
	return err == -EFSCORRUPTED ? 0 : err;
}
