/* SPDX-License-Identifier: MIT */
/*
 * The verifier of the super block. It takes the 1,024 bytes as an enemy wrote them (sbi->es) and either
 * refuses them, with one sentence that says what is wrong, or fills the geometry of ext4_sb_info, on which
 * every later shift, division and bound relies. What Linux refuses to mount is refused, for the same reasons
 * and with the same errno where it has one: EINVAL for what is not ext4 or makes no sense, EFSBADCRC for a
 * wrong checksum.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/overflow.h"
#include "fs/ext4/ext4_internal.h"

struct check {
	struct ext4_sb_info *sbi;
	const struct ext4_super_block *es;
	char *why;
	size_t why_size;
};

static int refuse(struct check *c, int err, const char *fmt, ...) __printf(3, 4);
static int refuse(struct check *c, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->why, c->why_size, fmt, args);
	va_end(args);
	return err;
}

static int check_identity(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	/* Revisions above 1 are read like it, as on Linux. */
	bool dynamic = le32_to_cpu(c->es->s_rev_level) != 0;

	if (le16_to_cpu(c->es->s_magic) != EXT4_SUPER_MAGIC)
		return refuse(c, -EINVAL, "not an ext2, ext3 or ext4 volume (s_magic is %#06x)",
			      le16_to_cpu(c->es->s_magic));
	/* A volume of revision 0 should have no features; those that it has count nevertheless. */
	sbi->compat = le32_to_cpu(c->es->s_feature_compat);
	sbi->incompat = le32_to_cpu(c->es->s_feature_incompat);
	sbi->ro_compat = le32_to_cpu(c->es->s_feature_ro_compat);
	sbi->first_ino = dynamic ? le32_to_cpu(c->es->s_first_ino) : EXT4_GOOD_OLD_FIRST_INO;
	sbi->inode_size = dynamic ? le16_to_cpu(c->es->s_inode_size) : EXT4_GOOD_OLD_INODE_SIZE;
	if (sbi->first_ino < EXT4_GOOD_OLD_FIRST_INO || sbi->first_ino > INT32_MAX)
		return refuse(c, -EINVAL, "super block: s_first_ino is %u", sbi->first_ino);
	return 0;
}

static int check_checksum(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 crc;

	sbi->has_csum = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_METADATA_CSUM);
	/* Where both are set, the stronger one counts. */
	sbi->has_gdt_csum = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_GDT_CSUM) && !sbi->has_csum;
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_CSUM_SEED))
		sbi->csum_seed = le32_to_cpu(c->es->s_checksum_seed);
	else
		sbi->csum_seed = ext4_chksum(~0u, c->es->s_uuid, sizeof(c->es->s_uuid));
	if (!sbi->has_csum)
		return 0;
	if (c->es->s_checksum_type != EXT4_CRC32C_CHKSUM)
		return refuse(c, -EINVAL, "super block: s_checksum_type is %u", c->es->s_checksum_type);
	crc = ext4_chksum(~0u, c->es, offsetof(struct ext4_super_block, s_checksum));
	if (crc != le32_to_cpu(c->es->s_checksum))
		return refuse(c, -EFSBADCRC, "super block: s_checksum is %#010x, computed %#010x",
			      le32_to_cpu(c->es->s_checksum), crc);
	return 0;
}

static int check_block_size(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 log = le32_to_cpu(c->es->s_log_block_size), log_cluster = le32_to_cpu(c->es->s_log_cluster_size);
	bool bigalloc = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_BIGALLOC);

	if (log > EXT4_MAX_LOG_BLOCK_SIZE)
		return refuse(c, -EINVAL, "super block: s_log_block_size is %u", log);
	if (log_cluster > EXT4_MAX_LOG_CLUSTER_SIZE || (bigalloc ? log_cluster < log : log_cluster != log))
		return refuse(c, -EINVAL, "super block: s_log_cluster_size is %u with s_log_block_size %u",
			      log_cluster, log);
	sbi->block_size = EXT4_MIN_BLOCK_SIZE << log;
	sbi->block_bits = 10 + log;
	sbi->cluster_bits = log_cluster - log;
	return 0;
}

static int check_inode_size(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 min_extra = le16_to_cpu(c->es->s_min_extra_isize),
	    want_extra = le16_to_cpu(c->es->s_want_extra_isize);
	u32 room;

	if (sbi->inode_size < EXT4_GOOD_OLD_INODE_SIZE || !is_power_of_2(sbi->inode_size) ||
	    sbi->inode_size > sbi->block_size)
		return refuse(c, -EINVAL, "super block: s_inode_size is %u", sbi->inode_size);
	sbi->inodes_per_block = sbi->block_size / sbi->inode_size;
	room = sbi->inode_size - EXT4_GOOD_OLD_INODE_SIZE;
	if (!room || !ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE))
		return 0;
	if (min_extra > room)
		return refuse(c, -EINVAL, "super block: s_min_extra_isize is %u with inodes of %u bytes",
			      min_extra, sbi->inode_size);
	if (want_extra > room)
		return refuse(c, -EINVAL, "super block: s_want_extra_isize is %u with inodes of %u bytes",
			      want_extra, sbi->inode_size);
	return 0;
}

static int check_desc_size(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	bool wide = ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT);

	if (wide && le32_to_cpu(c->es->s_creator_os) == EXT4_OS_HURD)
		return refuse(c, -EINVAL, "super block: s_creator_os is the Hurd, which has no 64bit");
	sbi->desc_size = wide ? le16_to_cpu(c->es->s_desc_size) : EXT4_MIN_DESC_SIZE;
	if (wide && (sbi->desc_size < EXT4_MIN_DESC_SIZE_64BIT || sbi->desc_size > EXT4_MAX_DESC_SIZE ||
		     !is_power_of_2(sbi->desc_size)))
		return refuse(c, -EINVAL, "super block: s_desc_size is %u", sbi->desc_size);
	sbi->desc_per_block = sbi->block_size / sbi->desc_size;
	return 0;
}

static int check_group_sizes(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 bits = sbi->block_size * 8, blocks = le32_to_cpu(c->es->s_blocks_per_group);
	u32 clusters = le32_to_cpu(c->es->s_clusters_per_group);

	if (!clusters || clusters > bits || (u64)clusters << sbi->cluster_bits != blocks)
		return refuse(c, -EINVAL, "super block: s_blocks_per_group is %u, s_clusters_per_group %u",
			      blocks, clusters);
	sbi->blocks_per_group = blocks;
	sbi->clusters_per_group = clusters;
	sbi->inodes_per_group = le32_to_cpu(c->es->s_inodes_per_group);
	if (sbi->inodes_per_group < sbi->inodes_per_block || sbi->inodes_per_group > bits)
		return refuse(c, -EINVAL, "super block: s_inodes_per_group is %u", sbi->inodes_per_group);
	sbi->itable_blocks = DIV_ROUND_UP(sbi->inodes_per_group, sbi->inodes_per_block);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_FLEX_BG) &&
	    c->es->s_log_groups_per_flex > EXT4_MAX_LOG_GROUPS_PER_FLEX)
		return refuse(c, -EINVAL, "super block: s_log_groups_per_flex is %u",
			      c->es->s_log_groups_per_flex);
	return 0;
}

static int check_blocks_count(struct check *c, u64 device_bytes)
{
	struct ext4_sb_info *sbi = c->sbi;
	u64 device_blocks = device_bytes >> sbi->block_bits;

	sbi->first_data_block = le32_to_cpu(c->es->s_first_data_block);
	sbi->blocks_count = le32_to_cpu(c->es->s_blocks_count_lo);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		sbi->blocks_count |= (u64)le32_to_cpu(c->es->s_blocks_count_hi) << 32;
	/* 48 bits are what an extent can name. */
	if (sbi->blocks_count > device_blocks || sbi->blocks_count >> 48)
		return refuse(c, -EINVAL,
			      "super block: s_blocks_count is %llu, but the device holds %llu blocks of %u "
			      "bytes",
			      (unsigned long long)sbi->blocks_count, (unsigned long long)device_blocks,
			      sbi->block_size);
	if (sbi->first_data_block >= sbi->blocks_count ||
	    (!sbi->first_data_block && sbi->block_size == EXT4_MIN_BLOCK_SIZE && !sbi->cluster_bits))
		return refuse(c, -EINVAL, "super block: s_first_data_block is %u in %llu blocks of %u bytes",
			      sbi->first_data_block, (unsigned long long)sbi->blocks_count, sbi->block_size);
	return 0;
}

static int check_groups(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u64 groups = DIV_ROUND_UP(sbi->blocks_count - sbi->first_data_block, sbi->blocks_per_group);

	if (groups > UINT32_MAX || groups * sbi->inodes_per_group != le32_to_cpu(c->es->s_inodes_count))
		return refuse(c, -EINVAL, "super block: s_inodes_count is %u with %llu groups of %u inodes",
			      le32_to_cpu(c->es->s_inodes_count), (unsigned long long)groups,
			      sbi->inodes_per_group);
	sbi->groups_count = groups;
	sbi->gdb_count = DIV_ROUND_UP(groups, sbi->desc_per_block);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_META_BG) &&
	    le32_to_cpu(c->es->s_first_meta_bg) > sbi->gdb_count)
		return refuse(c, -EINVAL, "super block: s_first_meta_bg is %u with %u blocks of descriptors",
			      le32_to_cpu(c->es->s_first_meta_bg), sbi->gdb_count);
	if (le16_to_cpu(c->es->s_reserved_gdt_blocks) > sbi->block_size / 4)
		return refuse(c, -EINVAL, "super block: s_reserved_gdt_blocks is %u",
			      le16_to_cpu(c->es->s_reserved_gdt_blocks));
	return 0;
}

static int check_hash(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;

	for (unsigned i = 0; i < 4; i++)
		sbi->hash_seed[i] = le32_to_cpu(sbi->es.s_hash_seed[i]);
	sbi->def_hash_version = sbi->es.s_def_hash_version;
	/* SipHash is keyed: only directories with a key can have it, which need casefold, too. */
	if (sbi->def_hash_version > DX_HASH_SIPHASH ||
	    (sbi->def_hash_version == DX_HASH_SIPHASH &&
	     !ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_CASEFOLD)))
		return refuse(c, -EINVAL, "super block: s_def_hash_version is %u", sbi->def_hash_version);
	/* mke2fs notes which signedness of char its machine had; without a note: that of the x86, signed. */
	sbi->unsigned_hash = le32_to_cpu(sbi->es.s_flags) & EXT2_FLAGS_UNSIGNED_HASH;
	return 0;
}

int ext4_super_check(struct ext4_sb_info *sbi, u64 device_bytes, char *why, size_t why_size)
{
	struct check c = {.sbi = sbi, .es = &sbi->es, .why = why, .why_size = why_size};
	int err;

	err = check_identity(&c);
	if (!err)
		err = check_checksum(&c);
	if (!err)
		err = ext4_fill_super_features(sbi, why, why_size);
	if (!err)
		err = check_block_size(&c);
	if (!err)
		err = check_inode_size(&c);
	if (!err)
		err = check_desc_size(&c);
	if (!err)
		err = check_group_sizes(&c);
	if (!err)
		err = check_blocks_count(&c, device_bytes);
	if (!err)
		err = check_groups(&c);
	if (!err)
		err = check_hash(&c);
	return err;
}
