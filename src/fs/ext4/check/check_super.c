/* SPDX-License-Identifier: MIT */
/*
 * The pass over the super block. Its geometry was verified when it was read (super_verify.c); here follows
 * what a mount does not care for: features that are not known or contradict each other, counts that do not
 * fit the volume, numbers of special inodes.
 */
#include "fs/ext4/check/check_internal.h"

/* What the check knows how to check; to read them a mount needs not know the others. */
#define COMPAT_KNOWN                                                                                         \
	(EXT4_FEATURE_COMPAT_DIR_PREALLOC | EXT4_FEATURE_COMPAT_IMAGIC_INODES |                              \
	 EXT4_FEATURE_COMPAT_HAS_JOURNAL | EXT4_FEATURE_COMPAT_EXT_ATTR | EXT4_FEATURE_COMPAT_RESIZE_INODE | \
	 EXT4_FEATURE_COMPAT_DIR_INDEX | EXT4_FEATURE_COMPAT_SPARSE_SUPER2 |                                 \
	 EXT4_FEATURE_COMPAT_FAST_COMMIT | EXT4_FEATURE_COMPAT_STABLE_INODES |                               \
	 EXT4_FEATURE_COMPAT_ORPHAN_FILE)
#define RO_COMPAT_KNOWN                                                                                      \
	(EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT4_FEATURE_RO_COMPAT_LARGE_FILE |                           \
	 EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |                                \
	 EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |                             \
	 EXT4_FEATURE_RO_COMPAT_QUOTA | EXT4_FEATURE_RO_COMPAT_BIGALLOC |                                    \
	 EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_READONLY |                            \
	 EXT4_FEATURE_RO_COMPAT_PROJECT | EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS |                             \
	 EXT4_FEATURE_RO_COMPAT_VERITY | EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT)

static void check_features(struct check *c)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 compat = sbi->compat & ~COMPAT_KNOWN, ro_compat = sbi->ro_compat & ~RO_COMPAT_KNOWN;

	if (c->replayed && (compat || ro_compat))
		check_problem(c, "super-features", 0, 0,
			      "super block: unknown features (compat %#x, ro_compat %#x)", compat, ro_compat);
	if (ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_RESIZE_INODE) &&
	    ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_META_BG))
		check_problem(c, "super-features", 0, 0,
			      "super block: features resize_inode and meta_bg exclude each other");
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT) &&
	    !ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EXTENTS))
		check_problem(c, "super-features", 0, 0, "super block: feature 64bit needs extents");
	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT) &&
	    !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE))
		check_problem(c, "super-features", 0, 0,
			      "super block: feature orphan_present without orphan_file");
	if (ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE) &&
	    !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL))
		check_problem(c, "super-features", 0, 0,
			      "super block: feature orphan_file without a journal");
}

static void check_counts(struct check *c)
{
	const struct ext4_super_block *es = &c->sbi->es;
	u64 reserved = le32_to_cpu(es->s_r_blocks_count_lo);

	if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		reserved |= (u64)le32_to_cpu(es->s_r_blocks_count_hi) << 32;
	if (reserved > c->sbi->blocks_count / 2)
		check_problem(c, "super-reserved-blocks", 0, 0,
			      "super block: %llu of %llu blocks are reserved", (unsigned long long)reserved,
			      (unsigned long long)c->sbi->blocks_count);
	if (c->sbi->first_ino > c->inodes_count)
		check_problem(c, "super-first-inode", 0, 0, "super block: first inode is %u of %u",
			      c->sbi->first_ino, c->inodes_count);
	if (le32_to_cpu(es->s_rev_level) > 1)
		check_problem(c, "super-revision", 0, 0, "super block: revision %u",
			      le32_to_cpu(es->s_rev_level));
}

/* Words that only mean something with a feature must not be nonsense without it. */
static void check_unused(struct check *c)
{
	struct ext4_super_block *es = &c->sbi->es;
	u32 desc_size = le16_to_cpu(es->s_desc_size);

	if (le16_to_cpu(es->s_reserved_gdt_blocks) &&
	    !ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_RESIZE_INODE)) {
		check_note(c, "super-reserved-descriptors", 0, 0,
			   "super block: %u blocks of descriptors are reserved without resize_inode",
			   le16_to_cpu(es->s_reserved_gdt_blocks));
		/* In our copy: with meta_bg they are not kept. */
		if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_META_BG))
			es->s_reserved_gdt_blocks = cpu_to_le16(0);
	}
	if (c->replayed && desc_size && (!is_power_of_2(desc_size) || desc_size > EXT4_MIN_BLOCK_SIZE))
		check_problem(c, "super-desc-size", 0, 0, "super block: descriptors of %u bytes", desc_size);
	if (es->s_log_groups_per_flex > 31)
		check_problem(c, "super-flex", 0, 0, "super block: 2^%u groups are together",
			      es->s_log_groups_per_flex);
	if (check_journal_is_external(c)) {
		check_note(c, "super-journal", 0, 0,
			   "super block: the journal is on another device, and was not looked at");
		return;
	}
	for (unsigned i = 0; i < sizeof(es->s_journal_uuid); i++)
		if (es->s_journal_uuid[i]) {
			check_problem(c, "super-journal", 0, 0, "super block: names an external journal");
			break;
		}
}

/* An inode that the super block names for a purpose of its own must not be one of another. */
static void check_inode_number(struct check *c, le32 number, bool in_use, const char *what)
{
	u32 ino = le32_to_cpu(number);

	if (ino == EXT4_ROOT_INO || (in_use && ino && !check_ino_valid(c, ino)))
		check_problem(c, "super-special-inode", ino, 0, "super block: cannot be the %s", what);
	else if (in_use && ino && !check_is_special(c, ino))
		c->special_inodes[c->special_count++] = ino;
}

static void check_inode_numbers(struct check *c)
{
	const struct ext4_super_block *es = &c->sbi->es;
	bool quota = ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_QUOTA);
	bool orphan_file = ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE);

	check_inode_number(c, es->s_usr_quota_inum, quota, "quota of users");
	check_inode_number(c, es->s_grp_quota_inum, quota, "quota of groups");
	check_inode_number(c, es->s_prj_quota_inum, quota, "quota of projects");
	check_inode_number(c, es->s_orphan_file_inum, orphan_file, "orphan file");
	if (orphan_file && !le32_to_cpu(es->s_orphan_file_inum))
		check_problem(c, "super-special-inode", 0, 0, "super block: names no orphan file");
}

/* How names are folded: only UTF-8 of Unicode 12.1 is known. */
static void check_encoding(struct check *c)
{
	if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_CASEFOLD) &&
	    le16_to_cpu(c->sbi->es.s_encoding) != 1)
		check_problem(c, "super-encoding", 0, 0, "super block: encoding %u of names is not known",
			      le16_to_cpu(c->sbi->es.s_encoding));
}

int check_super(struct check *c)
{
	check_features(c);
	check_counts(c);
	check_unused(c);
	check_inode_numbers(c);
	check_encoding(c);
	return 0;
}
