/* SPDX-License-Identifier: MIT */
/*
 * The fields of one inode in use: flags that do not go with its kind or the volume's features, fields that
 * its kind does not have, and counts and sizes beside the blocks that were found. Most of it concerns files
 * that names lead to; for reserved numbers only that counts which would mislead who uses them.
 */
#include "fs/ext4/check/check_internal.h"

#define IMAGIC_FL 0x2000

static void tell_flag(struct check *c, const struct check_inode *ci, const char *what)
{
	check_problem(c, "inode-flags", ci->ino, 0, "flags %#x: %s", ci->flags, what);
}

void check_dir_flags(struct check *c, const struct check_inode *ci)
{
	const struct ext4_sb_info *sbi = c->sbi;
	bool dir = S_ISDIR(ci->mode);

	if (ci->flags & EXT4_CASEFOLD_FL && (!dir || !ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_CASEFOLD)))
		tell_flag(c, ci, dir ? "casefold, without the feature" : "casefold, and no directory");
	if (dir && ci->flags & EXT4_INDEX_FL && ci->flags & EXT4_INLINE_DATA_FL)
		tell_flag(c, ci, "index of inline data");
	if (ci->flags & EXT4_INDEX_FL && !ci->idle &&
	    (!dir || !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_DIR_INDEX)))
		tell_flag(c, ci, dir ? "index, without the feature dir_index" : "index, and no directory");
}

void check_inode_flags(struct check *c, const struct check_inode *ci)
{
	const struct ext4_sb_info *sbi = c->sbi;

	if (ci->reserved)
		return;
	if (ci->flags & EXT4_ENCRYPT_FL && ci->policy.state != CHECK_POLICY_GOOD)
		tell_flag(c, ci, "encrypted, without a good attribute that tells how");
	if (ci->flags & IMAGIC_FL && !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_IMAGIC_INODES))
		tell_flag(c, ci, "imagic, without the feature");
	if (ci->flags & EXT4_INLINE_DATA_FL && !ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_INLINE_DATA))
		tell_flag(c, ci, "inline data, without the feature");
	if (ci->flags & EXT4_EXTENTS_FL && !ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EXTENTS))
		tell_flag(c, ci, "extents, without the feature");
}

/* Has other fields in the place of some, and counts blocks in its own way. */
static bool is_hurd(const struct check *c)
{
	return le32_to_cpu(c->sbi->es.s_creator_os) == EXT4_OS_HURD;
}

static void check_high_halves(struct check *c, const struct check_inode *ci)
{
	const struct ext4_inode *in = ci->raw;

	if (le16_to_cpu(in->i_blocks_high) && !ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		check_problem(c, "inode-high", ci->ino, 0, "high part of blocks is %u, without huge_file",
			      le16_to_cpu(in->i_blocks_high));
	if (le16_to_cpu(in->i_file_acl_high) && !is_hurd(c) &&
	    !ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		check_problem(c, "inode-high", ci->ino, 0,
			      "high part of the attribute block is %u, without 64bit",
			      le16_to_cpu(in->i_file_acl_high));
	if (S_ISDIR(ci->mode) && le32_to_cpu(in->i_size_high) &&
	    !ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_LARGEDIR))
		check_problem(c, "inode-high", ci->ino, 0,
			      "high part of a directory's size is %u, without large_dir",
			      le32_to_cpu(in->i_size_high));
}

static void check_special_file(struct check *c, const struct check_inode *ci)
{
	if (ci->size)
		check_problem(c, "special-size", ci->ino, 0, "special file of %llu bytes",
			      (unsigned long long)ci->size);
	if (ci->flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL))
		tell_flag(c, ci, "special file with a map or data");
}

void check_inode_fields(struct check *c, const struct check_inode *ci)
{
	const struct ext4_inode *in = ci->raw;

	/* That of an orphan is the number of the next one. */
	if (!ci->reserved && le32_to_cpu(in->i_dtime) && !check_is_orphan(c, ci->ino) &&
	    !check_is_special(c, ci->ino))
		check_problem(c, "inode-dtime", ci->ino, 0, "in use, but has a time of deletion (%u)",
			      le32_to_cpu(in->i_dtime));
	if (!ci->named)
		return;
	if (le32_to_cpu(in->i_obso_faddr))
		check_problem(c, "inode-fragment", ci->ino, 0, "names a fragment at %u",
			      le32_to_cpu(in->i_obso_faddr));
	check_high_halves(c, ci);
	switch (ci->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		check_special_file(c, ci);
		break;
	default:
		check_problem(c, "inode-mode", ci->ino, 0, "mode %#o names no kind of file", ci->mode);
	}
}

static void check_block_count(struct check *c, const struct check_inode *ci)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u64 stored = le32_to_cpu(ci->raw->i_blocks_lo), found = ci->clusters << sbi->cluster_bits;

	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		stored |= (u64)le16_to_cpu(ci->raw->i_blocks_high) << 32;
	if (!(ci->flags & EXT4_HUGE_FILE_FL) || !ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		found <<= sbi->block_bits - 9;
	if (stored != found)
		check_problem(c, "inode-blocks", ci->ino, 0, "block count is %llu, counted %llu",
			      (unsigned long long)stored, (unsigned long long)found);
}

/* NULL, or what is wrong with the size of something that is read like a file. */
static const char *file_size_check(const struct check *c, const struct check_inode *ci)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u64 each = sbi->block_size / sizeof(le32);
	u64 most = ci->flags & EXT4_EXTENTS_FL
			   ? (1ull << (32 + sbi->block_bits)) - 1
			   : (EXT4_NDIR_BLOCKS + each + each * each + each * each * each) << sbi->block_bits;

	if (ci->size > most)
		return "more than its map can hold";
	/* Hashes of verity lie behind the end. */
	if (ci->end_written && !(ci->flags & EXT4_VERITY_FL) &&
	    ci->size < (ci->end_written - 1) << sbi->block_bits)
		return "less than its blocks hold";
	if (S_ISREG(ci->mode) && ci->size > INT32_MAX &&
	    !ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_LARGE_FILE))
		return "2 GiB or more, without large_file";
	return NULL;
}

/* Content in the inode: 60 bytes in the place of the map, the rest in an attribute. */
void check_inline_data(struct check *c, const struct check_inode *ci)
{
	u64 room = sizeof(ci->raw->i_block) + max(ci->inline_bytes, 0);

	if (ci->inline_bytes < 0)
		check_problem(c, "inline-data", ci->ino, 0, "has inline data, but no attribute for it");
	if (ci->flags & EXT4_EXTENTS_FL)
		tell_flag(c, ci, "inline data and extents");
	if (S_ISREG(ci->mode) ? ci->size <= room : ci->size == room)
		return;
	(S_ISREG(ci->mode) ? check_note : check_problem)(
		c, "inline-size", ci->ino, 0, "inline data of %llu bytes, where %llu are kept",
		(unsigned long long)ci->size, (unsigned long long)room);
}

void check_inode_sums(struct check *c, const struct check_inode *ci)
{
	bool is_inline = ci->flags & EXT4_INLINE_DATA_FL;
	const char *why = NULL;

	if (ci->bad_map || (is_inline && S_ISLNK(ci->mode)))
		return;
	if (!is_hurd(c))
		check_block_count(c, ci);
	if (S_ISDIR(ci->mode) && !is_inline)
		why = ci->size != ci->end_lblk << c->sbi->block_bits ? "not that of its blocks" : NULL;
	else if (S_ISREG(ci->mode) || ci->reserved)
		why = file_size_check(c, ci);
	/* What an orphan has behind its end is what was to be cut off. */
	if (why && !check_is_orphan(c, ci->ino))
		check_problem(c, "inode-size", ci->ino, 0, "size of %llu bytes is %s",
			      (unsigned long long)ci->size, why);
}
