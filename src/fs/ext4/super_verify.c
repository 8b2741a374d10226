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
	u32 rev = le32_to_cpu(c->es->s_rev_level);

	if (le16_to_cpu(c->es->s_magic) != EXT4_SUPER_MAGIC)
		return refuse(c, -EINVAL, "not an ext2, ext3 or ext4 volume (magic number is %#06x)",
			      le16_to_cpu(c->es->s_magic));
	if (rev > 1)
		return refuse(c, -EINVAL, "revision level %u is not known", rev);
	/* Revision 0 has no feature words. */
	sbi->compat = rev ? le32_to_cpu(c->es->s_feature_compat) : 0;
	sbi->incompat = rev ? le32_to_cpu(c->es->s_feature_incompat) : 0;
	sbi->ro_compat = rev ? le32_to_cpu(c->es->s_feature_ro_compat) : 0;
	sbi->first_ino = rev ? le32_to_cpu(c->es->s_first_ino) : EXT4_GOOD_OLD_FIRST_INO;
	sbi->inode_size = rev ? le16_to_cpu(c->es->s_inode_size) : EXT4_GOOD_OLD_INODE_SIZE;
	return 0;
}

static int check_checksum(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 crc;

	sbi->has_csum = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_METADATA_CSUM);
	sbi->has_gdt_csum = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_GDT_CSUM);
	if (sbi->has_csum && sbi->has_gdt_csum)
		return refuse(c, -EINVAL,
			      "features metadata_csum and uninit_bg (gdt_csum) exclude each other");
	if (!sbi->has_csum)
		return 0;
	if (c->es->s_checksum_type != EXT4_CRC32C_CHKSUM)
		return refuse(c, -EINVAL, "checksum type %u is not known", c->es->s_checksum_type);
	crc = ext4_chksum(~0u, c->es, offsetof(struct ext4_super_block, s_checksum));
	if (crc != le32_to_cpu(c->es->s_checksum))
		return refuse(c, -EFSBADCRC, "super block: checksum is %#010x, computed %#010x",
			      le32_to_cpu(c->es->s_checksum), crc);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_CSUM_SEED))
		sbi->csum_seed = le32_to_cpu(c->es->s_checksum_seed);
	else
		sbi->csum_seed = ext4_chksum(~0u, c->es->s_uuid, sizeof(c->es->s_uuid));
	return 0;
}

static int check_sizes(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 log = le32_to_cpu(c->es->s_log_block_size), log_cluster = le32_to_cpu(c->es->s_log_cluster_size);
	bool bigalloc = ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_BIGALLOC);

	if (log > 6)
		return refuse(c, -EINVAL, "super block: block size is 2^%u * 1024 bytes", log);
	sbi->block_size = EXT4_MIN_BLOCK_SIZE << log;
	sbi->block_bits = 10 + log;
	if (bigalloc && (log_cluster < log || log_cluster > 20))
		return refuse(c, -EINVAL, "super block: cluster size is 2^%u * 1024 bytes", log_cluster);
	sbi->cluster_bits = bigalloc ? log_cluster - log : 0;
	if (sbi->inode_size < EXT4_GOOD_OLD_INODE_SIZE || !is_power_of_2(sbi->inode_size) ||
	    sbi->inode_size > sbi->block_size)
		return refuse(c, -EINVAL, "super block: inode size of %u bytes", sbi->inode_size);
	if (sbi->first_ino < EXT4_GOOD_OLD_FIRST_INO)
		return refuse(c, -EINVAL, "super block: first inode is %u", sbi->first_ino);
	sbi->desc_size = EXT4_MIN_DESC_SIZE;
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT)) {
		sbi->desc_size = le16_to_cpu(c->es->s_desc_size);
		if (sbi->desc_size < EXT4_MIN_DESC_SIZE_64BIT || sbi->desc_size > 1024 ||
		    !is_power_of_2(sbi->desc_size))
			return refuse(c, -EINVAL, "super block: group descriptor size of %u bytes",
				      sbi->desc_size);
	}
	sbi->inodes_per_block = sbi->block_size / sbi->inode_size;
	sbi->desc_per_block = sbi->block_size / sbi->desc_size;
	return 0;
}

static int check_group_sizes(struct check *c)
{
	struct ext4_sb_info *sbi = c->sbi;
	u32 bits = sbi->block_size * 8, blocks = le32_to_cpu(c->es->s_blocks_per_group);
	u32 clusters = le32_to_cpu(c->es->s_clusters_per_group);

	if (!sbi->cluster_bits) {
		/* Without bigalloc clusters are blocks; old volumes hold nonsense (a fragment count) there.
		 */
		clusters = blocks;
	} else if ((u64)clusters << sbi->cluster_bits != blocks) {
		return refuse(c, -EINVAL, "super block: %u blocks but %u clusters in a group", blocks,
			      clusters);
	}
	if (!clusters || clusters > bits || (clusters & 7))
		return refuse(c, -EINVAL, "super block: %u clusters in a group", clusters);
	sbi->blocks_per_group = blocks;
	sbi->clusters_per_group = clusters;
	sbi->inodes_per_group = le32_to_cpu(c->es->s_inodes_per_group);
	if (sbi->inodes_per_group < sbi->inodes_per_block || sbi->inodes_per_group > bits ||
	    sbi->inodes_per_group % 8)
		return refuse(c, -EINVAL, "super block: %u inodes in a group", sbi->inodes_per_group);
	sbi->itable_blocks = DIV_ROUND_UP(sbi->inodes_per_group, sbi->inodes_per_block);
	if (sbi->itable_blocks >= blocks)
		return refuse(c, -EINVAL, "super block: %u blocks of inode table in a group of %u",
			      sbi->itable_blocks, blocks);
	return 0;
}

static int check_counts(struct check *c, u64 device_bytes)
{
	struct ext4_sb_info *sbi = c->sbi;
	u64 groups, descs, device_blocks = device_bytes >> sbi->block_bits;

	sbi->first_data_block = le32_to_cpu(c->es->s_first_data_block);
	sbi->blocks_count = le32_to_cpu(c->es->s_blocks_count_lo);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		sbi->blocks_count |= (u64)le32_to_cpu(c->es->s_blocks_count_hi) << 32;
	if (sbi->blocks_count >> 48)
		return refuse(c, -EINVAL, "super block: %llu blocks", (unsigned long long)sbi->blocks_count);
	if (sbi->first_data_block != (sbi->block_size == 1024 && !sbi->cluster_bits))
		return refuse(c, -EINVAL, "super block: first data block is %u with blocks of %u bytes",
			      sbi->first_data_block, sbi->block_size);
	if (sbi->first_data_block >= sbi->blocks_count)
		return refuse(c, -EINVAL, "super block: %llu blocks", (unsigned long long)sbi->blocks_count);
	if (sbi->blocks_count > device_blocks)
		return refuse(c, -EINVAL, "super block: %llu blocks of %u bytes, but the device holds %llu",
			      (unsigned long long)sbi->blocks_count, sbi->block_size,
			      (unsigned long long)device_blocks);
	groups = DIV_ROUND_UP(sbi->blocks_count - sbi->first_data_block, sbi->blocks_per_group);
	if (groups > UINT32_MAX || groups * sbi->inodes_per_group != le32_to_cpu(c->es->s_inodes_count))
		return refuse(c, -EINVAL, "super block: %u inodes in %llu groups of %u",
			      le32_to_cpu(c->es->s_inodes_count), (unsigned long long)groups,
			      sbi->inodes_per_group);
	sbi->groups_count = groups;
	descs = DIV_ROUND_UP(groups, sbi->desc_per_block);
	sbi->gdb_count = descs;
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_META_BG) &&
	    le32_to_cpu(c->es->s_first_meta_bg) > descs)
		return refuse(c, -EINVAL, "super block: first meta block group is %u of %llu",
			      le32_to_cpu(c->es->s_first_meta_bg), (unsigned long long)descs);
	if (le16_to_cpu(c->es->s_reserved_gdt_blocks) > sbi->block_size / 4)
		return refuse(c, -EINVAL, "super block: %u reserved descriptor blocks",
			      le16_to_cpu(c->es->s_reserved_gdt_blocks));
	return 0;
}

static void take_hash(struct ext4_sb_info *sbi)
{
	for (unsigned i = 0; i < 4; i++)
		sbi->hash_seed[i] = le32_to_cpu(sbi->es.s_hash_seed[i]);
	sbi->def_hash_version = sbi->es.s_def_hash_version;
	/* mke2fs notes which signedness of char its machine had; without a note: that of the x86, signed. */
	sbi->unsigned_hash = le32_to_cpu(sbi->es.s_flags) & EXT2_FLAGS_UNSIGNED_HASH;
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
		err = check_sizes(&c);
	if (!err)
		err = check_group_sizes(&c);
	if (!err)
		err = check_counts(&c, device_bytes);
	if (!err)
		take_hash(sbi);
	return err;
}
