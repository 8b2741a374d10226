/* SPDX-License-Identifier: MIT */
/*
 * Block groups: where the descriptors lie and what they say. A block of descriptors is verified as a whole
 * when it enters the cache; mounting walks over all of them, as Linux does, so that a volume with a broken
 * descriptor is refused at once.
 */
#include "base/crc.h"
#include "fs/ext4/ext4_internal.h"

static bool is_power_of(u32 n, u32 base)
{
	while (n > base && n % base == 0)
		n /= base;
	return n == base;
}

/* Does the group begin with a copy of the super block and the descriptors? */
bool ext4_bg_has_super(const struct ext4_sb_info *sbi, u32 group)
{
	if (group == 0)
		return true;
	if (ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_SPARSE_SUPER2))
		return group == le32_to_cpu(sbi->es.s_backup_bgs[0]) ||
		       group == le32_to_cpu(sbi->es.s_backup_bgs[1]);
	if (group == 1 || !ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

u64 ext4_group_first_block(const struct ext4_sb_info *sbi, u32 group)
{
	return (u64)group * sbi->blocks_per_group + sbi->first_data_block;
}

u64 ext4_group_last_block(const struct ext4_sb_info *sbi, u32 group)
{
	return group == sbi->groups_count - 1 ? sbi->blocks_count - 1
					      : ext4_group_first_block(sbi, group + 1) - 1;
}

bool ext4_in_meta_bg(const struct ext4_sb_info *sbi, u32 gdb)
{
	return ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_META_BG) &&
	       gdb >= le32_to_cpu(sbi->es.s_first_meta_bg);
}

/* The block that holds the gdb'th block of descriptors. */
u64 ext4_gdb_pblk(const struct ext4_sb_info *sbi, u32 gdb)
{
	u32 group;

	if (!ext4_in_meta_bg(sbi, gdb))
		return sbi->sb_pblk + 1 + gdb;
	group = gdb * sbi->desc_per_block;
	/* Who mounts by a backup super block wants the backup of these, too: it lies in the next group. */
	if (sbi->opt.sb_block != EXT4_SUPER_OFFSET / 1024 && group + 1 < sbi->groups_count)
		group++;
	/* The boot block takes the place before the super block where blocks are of 1 KiB but counted from 0.
	 */
	return ext4_group_first_block(sbi, group) + ext4_bg_has_super(sbi, group) +
	       (group == 0 && sbi->block_size == 1024 && sbi->first_data_block == 0);
}

/* Blocks at the head of a group that hold copies of the super block and descriptors. */
u32 ext4_bg_num_base_meta(const struct ext4_sb_info *sbi, u32 group)
{
	u32 gdb = group / sbi->desc_per_block, first = gdb * sbi->desc_per_block;
	bool super = ext4_bg_has_super(sbi, group);
	u32 reserved = super ? le16_to_cpu(sbi->es.s_reserved_gdt_blocks) : 0;

	if (ext4_in_meta_bg(sbi, gdb))
		return super + reserved +
		       (group == first || group == first + 1 || group == first + sbi->desc_per_block - 1);
	if (!super)
		return 0;
	return 1 + reserved +
	       (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_META_BG) ? le32_to_cpu(sbi->es.s_first_meta_bg)
								      : sbi->gdb_count);
}

u32 ext4_desc_checksum(const struct ext4_sb_info *sbi, u32 group, const u8 *raw)
{
	const size_t at = offsetof(struct ext4_group_desc, bg_checksum), behind = at + sizeof(le16);
	le32 number = cpu_to_le32(group);
	const le16 zero = {0};
	u32 crc;

	if (sbi->has_csum) {
		crc = ext4_chksum(sbi->csum_seed, &number, sizeof(number));
		crc = ext4_chksum(crc, raw, at);
		crc = ext4_chksum(crc, &zero, sizeof(zero));
		return ext4_chksum(crc, raw + behind, sbi->desc_size - behind) & 0xffff;
	}
	crc = crc16(0xffff, sbi->es.s_uuid, sizeof(sbi->es.s_uuid));
	crc = crc16(crc, &number, sizeof(number));
	crc = crc16(crc, raw, at);
	if (sbi->desc_size > behind)
		crc = crc16(crc, raw + behind, sbi->desc_size - behind);
	return crc;
}

void ext4_desc_decode(const struct ext4_sb_info *sbi, const u8 *raw, struct ext4_group *out)
{
	const struct ext4_group_desc *gd = (const struct ext4_group_desc *)raw;

	out->block_bitmap = le32_to_cpu(gd->bg_block_bitmap_lo);
	out->inode_bitmap = le32_to_cpu(gd->bg_inode_bitmap_lo);
	out->inode_table = le32_to_cpu(gd->bg_inode_table_lo);
	out->free_clusters = le16_to_cpu(gd->bg_free_blocks_count_lo);
	out->free_inodes = le16_to_cpu(gd->bg_free_inodes_count_lo);
	out->itable_unused = le16_to_cpu(gd->bg_itable_unused_lo);
	out->used_dirs = le16_to_cpu(gd->bg_used_dirs_count_lo);
	out->block_bitmap_csum = le16_to_cpu(gd->bg_block_bitmap_csum_lo);
	out->inode_bitmap_csum = le16_to_cpu(gd->bg_inode_bitmap_csum_lo);
	out->checksum = le16_to_cpu(gd->bg_checksum);
	out->flags = le16_to_cpu(gd->bg_flags);
	if (sbi->desc_size < EXT4_MIN_DESC_SIZE_64BIT)
		return;
	out->block_bitmap |= (u64)le32_to_cpu(gd->bg_block_bitmap_hi) << 32;
	out->inode_bitmap |= (u64)le32_to_cpu(gd->bg_inode_bitmap_hi) << 32;
	out->inode_table |= (u64)le32_to_cpu(gd->bg_inode_table_hi) << 32;
	out->free_clusters |= (u32)le16_to_cpu(gd->bg_free_blocks_count_hi) << 16;
	out->free_inodes |= (u32)le16_to_cpu(gd->bg_free_inodes_count_hi) << 16;
	out->itable_unused |= (u32)le16_to_cpu(gd->bg_itable_unused_hi) << 16;
	out->used_dirs |= (u32)le16_to_cpu(gd->bg_used_dirs_count_hi) << 16;
	out->block_bitmap_csum |= (u32)le16_to_cpu(gd->bg_block_bitmap_csum_hi) << 16;
	out->inode_bitmap_csum |= (u32)le16_to_cpu(gd->bg_inode_bitmap_csum_hi) << 16;
}

static int desc_verify(struct super_block *sb, const struct ext4_sb_info *sbi, u64 pblk, u32 group,
		       const u8 *raw)
{
	const struct ext4_group_desc *gd = (const struct ext4_group_desc *)raw;
	bool flex = ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_FLEX_BG);
	/* With flex_bg the tables of a group may lie anywhere, otherwise inside it. */
	u64 first = flex ? sbi->first_data_block : ext4_group_first_block(sbi, group);
	u64 last = flex ? sbi->blocks_count - 1 : ext4_group_last_block(sbi, group);
	struct ext4_group g;

	ext4_desc_decode(sbi, raw, &g);
	if (g.block_bitmap < first || g.block_bitmap > last) {
		ext4_error_block(sb, pblk, "descriptor of group %u: block bitmap at %llu", group,
				 (unsigned long long)g.block_bitmap);
		return -EFSCORRUPTED;
	}
	if (g.inode_bitmap < first || g.inode_bitmap > last) {
		ext4_error_block(sb, pblk, "descriptor of group %u: inode bitmap at %llu", group,
				 (unsigned long long)g.inode_bitmap);
		return -EFSCORRUPTED;
	}
	if (g.inode_table < first || g.inode_table > last || last - g.inode_table < sbi->itable_blocks - 1) {
		ext4_error_block(sb, pblk, "descriptor of group %u: inode table at %llu", group,
				 (unsigned long long)g.inode_table);
		return -EFSCORRUPTED;
	}
	/* As on Linux a wrong checksum does not keep from reading: everything in the descriptor has been
	 * bounded above. */
	if ((sbi->has_csum || sbi->has_gdt_csum) &&
	    ext4_desc_checksum(sbi, group, raw) != le16_to_cpu(gd->bg_checksum))
		ext4_error_block(sb, pblk, "descriptor of group %u: checksum is %#06x, computed %#06x", group,
				 le16_to_cpu(gd->bg_checksum), ext4_desc_checksum(sbi, group, raw));
	return 0;
}

/* Verifier of a block of descriptors; owner: which one it is. */
static int gdb_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	struct super_block *sb = ctx;
	const struct ext4_sb_info *sbi = EXT4_SB(sb);
	u64 group = owner * sbi->desc_per_block;
	int err = 0;

	for (u32 i = 0; i < sbi->desc_per_block && group + i < sbi->groups_count && !err; i++)
		err = desc_verify(sb, sbi, bh->b_blocknr, group + i,
				  (const u8 *)bh->b_data + (size_t)i * sbi->desc_size);
	return err;
}

static const struct buffer_verifier gdb_verifier = {.name = "group descriptors", .verify = gdb_verify};

static int gdb_get(struct super_block *sb, u32 gdb, struct buffer_head **bh)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u64 pblk = ext4_gdb_pblk(sbi, gdb);

	if (!ext4_pblk_range_valid(sbi, pblk, 1)) {
		ext4_msg(sb, LOGLEVEL_ERR, "group descriptors %u would lie at block %llu, outside the volume",
			 gdb, (unsigned long long)pblk);
		return -EFSCORRUPTED;
	}
	return bread(sbi->bdev, pblk, sbi->block_size, &gdb_verifier, sb, gdb, bh);
}

int ext4_group_get(struct super_block *sb, u32 group, struct ext4_group *out)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct buffer_head *bh;
	int err;

	if (group >= sbi->groups_count)
		return -EFSCORRUPTED;
	err = gdb_get(sb, group / sbi->desc_per_block, &bh);
	if (err)
		return err;
	ext4_desc_decode(sbi, (const u8 *)bh->b_data + (size_t)(group % sbi->desc_per_block) * sbi->desc_size,
			 out);
	brelse(bh);
	return 0;
}

/* Reads descriptors ahead, a stretch of 128 blocks at a time, where they lie together. */
static void gdb_readahead(struct super_block *sb, u32 gdb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 nr = min_t(u32, 128, sbi->gdb_count - gdb);

	if (gdb % 128 == 0 && !ext4_in_meta_bg(sbi, gdb) && !ext4_in_meta_bg(sbi, gdb + nr - 1) &&
	    ext4_pblk_range_valid(sbi, ext4_gdb_pblk(sbi, gdb), nr))
		breadahead(sbi->bdev, ext4_gdb_pblk(sbi, gdb), nr, sbi->block_size);
}

int ext4_groups_check(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);

	for (u32 gdb = 0; gdb < sbi->gdb_count; gdb++) {
		struct buffer_head *bh;
		int err;

		gdb_readahead(sb, gdb);
		err = gdb_get(sb, gdb, &bh);
		if (err)
			return err;
		for (u32 i = 0; i < sbi->desc_per_block && !err; i++) {
			struct ext4_group g;

			if ((u64)gdb * sbi->desc_per_block + i >= sbi->groups_count)
				break;
			ext4_desc_decode(sbi, (const u8 *)bh->b_data + (size_t)i * sbi->desc_size, &g);
			sbi->free_clusters += g.free_clusters;
			sbi->free_inodes += g.free_inodes;
			err = ext4_zones_add_group(sb, gdb * sbi->desc_per_block + i, &g);
		}
		brelse(bh);
		if (err)
			return err;
	}
	return ext4_zones_close_groups(sb);
}
