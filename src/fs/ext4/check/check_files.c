/* SPDX-License-Identifier: MIT */
/*
 * The pass over files that are the volume's own: the orphan file here, quota files in check_quota.c. Runs
 * after the inode pass, which has checked their maps; so they are read through the map of a mount.
 */
#include "fs/ext4/check/check_internal.h"

int check_file_open(struct check *c, u32 ino, struct inode **out)
{
	int err = ext4_iget(c->sb, ino, EXT4_IGET_SPECIAL, out);

	if (err == -ENOMEM || err == -EIO)
		return err;
	if (!err && S_ISREG((*out)->i_mode))
		return 0;
	if (!err)
		iput(*out);
	check_problem(c, "file-inode", ino, 0, "a file of the volume's own that cannot be read");
	return -EFSCORRUPTED;
}

int check_file_read(struct check *c, struct inode *inode, u32 lblk, void *buf, u64 *pblk)
{
	struct ext4_map map = {.lblk = lblk, .len = 1};
	int err = ext4_map_blocks(inode, &map);

	if (err == -ENOMEM || err == -EIO)
		return err;
	if (err || !map.mapped || map.unwritten) {
		check_problem(c, "file-block", inode->i_ino, 0, "block %u of the file is missing", lblk);
		return -EFSCORRUPTED;
	}
	*pblk = map.pblk;
	return check_read(c, map.pblk, 1, buf);
}

/* A block of the orphan file: numbers of inodes, none where nobody was interrupted, and a tail. */
static void check_orphan_block(struct check *c, const struct inode *inode, u32 lblk, u64 pblk,
			       const void *buf)
{
	const struct ext4_orphan_block_tail *tail =
		(const void *)((const u8 *)buf + c->sbi->block_size - sizeof(*tail));
	u32 entries = (c->sbi->block_size - sizeof(*tail)) / sizeof(le32), crc;
	bool present = ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT);
	le64 number = cpu_to_le64(pblk);

	if (le32_to_cpu(tail->ob_magic) != EXT4_ORPHAN_BLOCK_MAGIC) {
		check_problem(c, "orphan-file", inode->i_ino, pblk,
			      "orphan file, block %u: magic number is %#010x", lblk,
			      le32_to_cpu(tail->ob_magic));
		return;
	}
	crc = ext4_chksum(EXT4_I(inode)->i_csum_seed, &number, sizeof(number));
	crc = ext4_chksum(crc, buf, entries * sizeof(le32));
	if (c->sbi->has_csum && crc != le32_to_cpu(tail->ob_checksum))
		check_problem(c, "orphan-file", inode->i_ino, pblk,
			      "orphan file, block %u: checksum is %#010x, computed %#010x", lblk,
			      le32_to_cpu(tail->ob_checksum), crc);
	for (u32 i = 0; i < entries && !present; i++)
		if (le32_to_cpu(((const le32 *)buf)[i])) {
			check_problem(c, "orphan-file", inode->i_ino, pblk,
				      "orphan file, block %u: names inode %u, but none is an orphan", lblk,
				      le32_to_cpu(((const le32 *)buf)[i]));
			return;
		}
}

static int check_orphan_file(struct check *c)
{
	u32 ino = le32_to_cpu(c->sbi->es.s_orphan_file_inum);
	void *buf = check_block_buf(c, 0);
	struct inode *inode;
	u64 pblk;
	int err;

	if (!ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE) || !check_is_special(c, ino))
		return 0;
	if (!buf)
		return -ENOMEM;
	err = check_file_open(c, ino, &inode);
	if (err)
		return err;
	for (u64 lblk = 0; lblk << c->sbi->block_bits < i_size_read(inode) && !err; lblk++) {
		err = check_file_read(c, inode, (u32)lblk, buf, &pblk);
		if (!err)
			check_orphan_block(c, inode, (u32)lblk, pblk, buf);
	}
	iput(inode);
	return err;
}

/*
 * An inode that the super block names for a purpose that the volume does not have. It must be free; that of
 * the quota of projects must hold nothing and be marked as in use, where its table is read so far. Numbers
 * below `least` are not looked at.
 */
static int check_unused_file(struct check *c, le32 number, u32 least, const char *what, bool marked)
{
	u32 ino = le32_to_cpu(number);
	const struct ext4_inode *raw;
	const u8 *bytes;
	int err;

	if (ino < least ||
	    (ino == EXT4_JOURNAL_INO && ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL)))
		return 0;
	if (!check_ino_valid(c, ino) || !check_inode_is_read(c, ino))
		return 0;
	err = check_inode_read(c, ino, &bytes);
	if (err)
		return err;
	raw = (const void *)bytes;
	if (le16_to_cpu(raw->i_links_count) ||
	    (marked && (le32_to_cpu(raw->i_blocks_lo) || le32_to_cpu(raw->i_block[0]))))
		check_problem(c, "file-not-used", ino, 0,
			      "holds data, and is named as the %s, which the volume has not", what);
	else if (marked)
		__set_bit(ino - 1, c->used_inodes);
	return 0;
}

static int check_unused_files(struct check *c)
{
	const struct ext4_super_block *es = &c->sbi->es;
	int err = 0;

	if (!ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_QUOTA)) {
		err = check_unused_file(c, es->s_usr_quota_inum, c->sbi->first_ino, "quota of users", false);
		if (!err)
			err = check_unused_file(c, es->s_grp_quota_inum, c->sbi->first_ino, "quota of groups",
						false);
		if (!err)
			err = check_unused_file(c, es->s_prj_quota_inum, 1, "quota of projects", true);
	}
	if (!err && !ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE))
		err = check_unused_file(c, es->s_orphan_file_inum, 1, "orphan file", false);
	return err;
}

int check_files(struct check *c)
{
	int err = check_orphan_file(c);

	if (!err || err == -EFSCORRUPTED)
		err = check_quotas(c);
	if (!err || err == -EFSCORRUPTED)
		err = check_unused_files(c);
	return err == -EFSCORRUPTED ? 0 : err;
}
