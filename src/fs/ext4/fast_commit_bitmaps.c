/* SPDX-License-Identifier: MIT */
/*
 * What is free, as replay changes it: bitmaps, the counts beside them in group descriptors, and the sums for
 * statfs, which go together. Checksums are computed once at the end, for the groups in fc->groups.
 */
#include "base/bitmap.h"
#include "block/remap.h"
#include "fs/ext4/fast_commit_internal.h"

#define COUNT_GET(sbi, gd, field)                                                                            \
	(le16_to_cpu((gd)->field##_lo) |                                                                     \
	 ((sbi)->desc_size >= EXT4_MIN_DESC_SIZE_64BIT ? (u32)le16_to_cpu((gd)->field##_hi) << 16 : 0))
#define COUNT_SET(sbi, gd, field, value)                                                                     \
	do {                                                                                                 \
		u32 count_v = (value);                                                                       \
		(gd)->field##_lo = cpu_to_le16(count_v & 0xffff);                                            \
		if ((sbi)->desc_size >= EXT4_MIN_DESC_SIZE_64BIT)                                            \
			(gd)->field##_hi = cpu_to_le16(count_v >> 16);                                       \
	} while (0)

/* The group's descriptor, to be changed. */
static int group_edit(struct fc *fc, u32 group, struct ext4_group_desc **gd, struct ext4_group *g)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	void *data;
	int err = blk_remap_copy(sbi->remap, ext4_gdb_pblk(sbi, group / sbi->desc_per_block), &data);

	if (err)
		return err;
	*gd = (void *)((u8 *)data + (size_t)(group % sbi->desc_per_block) * sbi->desc_size);
	ext4_desc_decode(sbi, (const u8 *)*gd, g);
	return xa_err(xa_store(&fc->groups, group, xa_mk_value(1)));
}

static void pad(void *map, u32 bits, u32 end)
{
	if (bits < end)
		bitmap_set_le(map, bits, end - bits);
}

static u32 group_clusters(const struct ext4_sb_info *sbi, u32 group)
{
	u64 blocks = ext4_group_last_block(sbi, group) + 1 - ext4_group_first_block(sbi, group);

	return (blocks + (1u << sbi->cluster_bits) - 1) >> sbi->cluster_bits;
}

/* A bitmap, to be changed. One that was never written is made first. */
static int bitmap_edit(struct fc *fc, u32 group, bool inodes, struct ext4_group_desc *gd,
		       const struct ext4_group *g, void **map)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u16 uninit = inodes ? EXT4_BG_INODE_UNINIT : EXT4_BG_BLOCK_UNINIT;
	int err = blk_remap_copy(sbi->remap, inodes ? g->inode_bitmap : g->block_bitmap, map);

	if (err || !(sbi->has_csum || sbi->has_gdt_csum) || !(g->flags & uninit))
		return err;
	memset(*map, 0, sbi->block_size);
	if (!inodes)
		ext4_zones_mark(sbi, group, *map);
	pad(*map, inodes ? sbi->inodes_per_group : group_clusters(sbi, group), sbi->block_size * 8);
	gd->bg_flags = cpu_to_le16(g->flags & (u16)~uninit);
	return 0;
}

/* Changes bits of one group; *changed: how many were otherwise before. */
static void bits_set(void *map, u32 first, u32 count, bool used, u32 *changed)
{
	*changed = 0;
	for (u32 bit = first; bit < first + count; bit++)
		*changed += used ? !__test_and_set_bit_le(bit, map) : __test_and_clear_bit_le(bit, map);
}

static int group_blocks_mark(struct fc *fc, u32 group, u32 first, u32 count, bool used)
{
	struct ext4_sb_info *sbi = fc->sbi;
	struct ext4_group_desc *gd;
	struct ext4_group g;
	u32 changed;
	void *map;
	int err = group_edit(fc, group, &gd, &g);

	if (!err)
		err = bitmap_edit(fc, group, false, gd, &g, &map);
	if (err)
		return err;
	bits_set(map, first, count, used, &changed);
	if (used) {
		sbi->free_clusters -= min_t(u64, changed, sbi->free_clusters);
		COUNT_SET(sbi, gd, bg_free_blocks_count, g.free_clusters - min(changed, g.free_clusters));
	} else {
		sbi->free_clusters += changed;
		COUNT_SET(sbi, gd, bg_free_blocks_count, g.free_clusters + changed);
	}
	return 0;
}

/* The caller has held the range against the volume. */
int fc_blocks_mark(struct fc *fc, u64 pblk, u64 count, bool used)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u64 first = (pblk - sbi->first_data_block) >> sbi->cluster_bits;
	u64 end = ((pblk + count - 1 - sbi->first_data_block) >> sbi->cluster_bits) + 1;

	while (first < end) {
		u32 group = first / sbi->clusters_per_group, bit = first % sbi->clusters_per_group;
		u32 n = min_t(u64, end - first, sbi->clusters_per_group - bit);
		int err = group_blocks_mark(fc, group, bit, n, used);

		if (err)
			return err;
		first += n;
	}
	return 0;
}

int fc_inode_mark(struct fc *fc, u32 ino, bool used, int dirs)
{
	struct ext4_sb_info *sbi = fc->sbi;
	u32 group = (ino - 1) / sbi->inodes_per_group, bit = (ino - 1) % sbi->inodes_per_group, changed;
	struct ext4_group_desc *gd;
	struct ext4_group g;
	void *map;
	int err = group_edit(fc, group, &gd, &g);

	if (!err)
		err = bitmap_edit(fc, group, true, gd, &g, &map);
	if (err)
		return err;
	COUNT_SET(sbi, gd, bg_used_dirs_count,
		  dirs < 0 ? g.used_dirs - min(1u, g.used_dirs) : g.used_dirs + (u32)dirs);
	bits_set(map, bit, 1, used, &changed);
	if (!changed)
		return 0;
	if (used) {
		sbi->free_inodes -= min_t(u64, 1, sbi->free_inodes);
		COUNT_SET(sbi, gd, bg_free_inodes_count, g.free_inodes - min(1u, g.free_inodes));
		if (g.itable_unused > sbi->inodes_per_group - bit - 1)
			COUNT_SET(sbi, gd, bg_itable_unused, sbi->inodes_per_group - bit - 1);
	} else {
		sbi->free_inodes++;
		COUNT_SET(sbi, gd, bg_free_inodes_count, g.free_inodes + 1);
	}
	return 0;
}

/* A free cluster of the group; -ENOSPC. */
static int group_alloc(struct fc *fc, u32 group, u64 *out)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u32 clusters = group_clusters(sbi, group), bit;
	struct ext4_group_desc *gd;
	struct ext4_group g;
	void *map;
	int err = ext4_group_get(fc->sb, group, &g);

	/* What it said when it was read first: the count in the copy is the newer one. */
	if (!err)
		err = group_edit(fc, group, &gd, &g);
	if (err)
		return err;
	if (!g.free_clusters)
		return -ENOSPC;
	err = bitmap_edit(fc, group, false, gd, &g, &map);
	if (err)
		return err;
	bit = find_next_zero_bit_le(map, clusters, 0);
	if (bit >= clusters)
		return -ENOSPC;
	*out = ext4_group_first_block(sbi, group) + ((u64)bit << sbi->cluster_bits);
	return group_blocks_mark(fc, group, bit, 1, true);
}

int fc_block_alloc(struct fc *fc, u64 *out)
{
	const struct ext4_sb_info *sbi = fc->sbi;

	/* On from where the last one was, so that full groups are seen once. */
	for (u32 i = 0; i < sbi->groups_count; i++) {
		int err = group_alloc(fc, fc->alloc_group, out);

		if (err != -ENOSPC)
			return err ? err : ext4_ino_blocks_valid(sbi, 0, *out, 1) ? 0 : -EFSCORRUPTED;
		fc->alloc_group = (fc->alloc_group + 1) % sbi->groups_count;
	}
	ext4_msg(fc->sb, LOGLEVEL_ERR, "fast commits need more blocks than are free");
	return -ENOSPC;
}

static int group_seal(struct fc *fc, u32 group)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	struct ext4_group_desc *gd;
	struct ext4_group g;
	void *map;
	int err = group_edit(fc, group, &gd, &g);

	if (!err && sbi->has_csum && !(g.flags & EXT4_BG_BLOCK_UNINIT)) {
		err = bitmap_edit(fc, group, false, gd, &g, &map);
		if (!err)
			COUNT_SET(sbi, gd, bg_block_bitmap_csum,
				  ext4_chksum(sbi->csum_seed, map, sbi->clusters_per_group / 8));
	}
	if (!err && sbi->has_csum && !(g.flags & EXT4_BG_INODE_UNINIT)) {
		err = bitmap_edit(fc, group, true, gd, &g, &map);
		if (!err)
			COUNT_SET(sbi, gd, bg_inode_bitmap_csum,
				  ext4_chksum(sbi->csum_seed, map, sbi->inodes_per_group / 8));
	}
	if (!err && (sbi->has_csum || sbi->has_gdt_csum))
		gd->bg_checksum = cpu_to_le16(ext4_desc_checksum(sbi, group, (const u8 *)gd));
	return err;
}

int fc_groups_seal(struct fc *fc)
{
	unsigned long group;
	void *entry;
	int err = 0;

	xa_for_each (&fc->groups, group, entry) {
		err = group_seal(fc, group);
		if (err)
			break;
	}
	return err;
}
