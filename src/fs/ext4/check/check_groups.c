/* SPDX-License-Identifier: MIT */
/*
 * The pass over the group descriptors: checksums, where bitmaps and inode tables lie, that none of them lie
 * on each other or on copies of the super block and descriptors, flags and counts that can be told without
 * the bitmaps. Takes the volume's own blocks (meta_blocks, used_clusters); a table that lies where it may not
 * is told and not read by later passes.
 */
#include "fs/ext4/check/check_internal.h"

static bool take_meta(struct check *c, u32 group, u64 first, u64 count, const char *what)
{
	u64 at = find_next_bit(c->meta_blocks, first + count, first);

	if (at < first + count)
		check_problem_group(c, "group-overlap", group, at, "%s lies on another table", what);
	bitmap_set(c->meta_blocks, first, count);
	if (first < c->sbi->first_data_block)
		return true;
	bitmap_set(c->used_clusters, check_cluster(c, first),
		   check_cluster(c, first + count - 1) - check_cluster(c, first) + 1);
	return at >= first + count;
}

/* Copies of the super block and of descriptors at the head of each group. */
static void take_base(struct check *c)
{
	const struct ext4_sb_info *sbi = c->sbi;

	if (sbi->first_data_block == 0 && sbi->block_size == 1024)
		take_meta(c, 0, 0, 1, "boot block");
	for (u32 group = 0; group < sbi->groups_count; group++) {
		u64 first = ext4_group_first_block(sbi, group), last = ext4_group_last_block(sbi, group);
		u64 count = ext4_bg_num_base_meta(sbi, group);

		if (group == 0 && sbi->first_data_block == 0 && sbi->block_size == 1024)
			first++;
		if (count)
			take_meta(c, group, first, min(count, last - first + 1), "head of the group");
	}
}

/* A table of `count` blocks; false: not where it may be. */
static bool table_valid(struct check *c, u32 group, u64 pblk, u32 count, const char *what)
{
	const struct ext4_sb_info *sbi = c->sbi;
	bool flex = ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_FLEX_BG);
	u64 first = flex ? sbi->first_data_block : ext4_group_first_block(sbi, group);
	u64 last = flex ? sbi->blocks_count - 1 : ext4_group_last_block(sbi, group);

	if (pblk >= first && pblk <= last && last - pblk >= count - 1)
		return true;
	check_problem_group(c, "group-place", group, 0, "%s at block %llu, which is not in the %s", what,
			    (unsigned long long)pblk, flex ? "volume" : "group");
	return false;
}

static void take_tables(struct check *c, u32 group)
{
	struct check_group *g = &c->groups[group];

	g->bad_block_bitmap = !table_valid(c, group, g->desc.block_bitmap, 1, "block bitmap");
	g->bad_inode_bitmap = !table_valid(c, group, g->desc.inode_bitmap, 1, "inode bitmap");
	g->bad_table = !table_valid(c, group, g->desc.inode_table, c->sbi->itable_blocks, "inode table");
	if (!g->bad_block_bitmap)
		take_meta(c, group, g->desc.block_bitmap, 1, "block bitmap");
	if (!g->bad_inode_bitmap)
		take_meta(c, group, g->desc.inode_bitmap, 1, "inode bitmap");
	if (!g->bad_table)
		take_meta(c, group, g->desc.inode_table, c->sbi->itable_blocks, "inode table");
}

static void check_desc(struct check *c, u32 group, u64 pblk, const u8 *raw)
{
	const struct ext4_sb_info *sbi = c->sbi;
	struct check_group *g = &c->groups[group];
	u32 crc;

	ext4_desc_decode(sbi, raw, &g->desc);
	take_tables(c, group);
	if (!sbi->has_csum && !sbi->has_gdt_csum)
		return;
	crc = ext4_desc_checksum(sbi, group, raw);
	/* e2fsck tells this and lets it pass; whatever the descriptor says is checked anyway. */
	g->bad_checksum = crc != g->desc.checksum;
	if (g->bad_checksum)
		check_note(c, "group-checksum", 0, pblk,
			   "descriptor of group %u: checksum is %#06x, computed %#06x", group,
			   g->desc.checksum, crc);
	if (c->replayed && g->desc.itable_unused > sbi->inodes_per_group &&
	    (g->bad_checksum || !(g->desc.flags & EXT4_BG_INODE_UNINIT)))
		check_problem_group(c, "group-unused-inodes", group, pblk, "%u of %u inodes are unused",
				    g->desc.itable_unused, sbi->inodes_per_group);
}

/* Blocks [gdb, gdb + n) of descriptors, which lie together. */
static int check_gdbs(struct check *c, u32 gdb, u32 n, void *buf)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u64 pblk = ext4_gdb_pblk(sbi, gdb);
	int err;

	if (!check_pblk_valid(c, pblk, n)) {
		check_problem(c, "group-place", 0, 0,
			      "descriptors %u would lie at block %llu, outside the volume", gdb,
			      (unsigned long long)pblk);
		return -EFSCORRUPTED;
	}
	err = check_read(c, pblk, n, buf);
	for (u32 i = 0; i < n * sbi->desc_per_block && !err; i++) {
		u64 group = (u64)gdb * sbi->desc_per_block + i;

		if (group >= sbi->groups_count)
			break;
		check_desc(c, group, pblk + i / sbi->desc_per_block,
			   (u8 *)buf + (size_t)(i / sbi->desc_per_block) * sbi->block_size +
				   (size_t)(i % sbi->desc_per_block) * sbi->desc_size);
	}
	return err;
}

int check_groups(struct check *c)
{
	const struct ext4_sb_info *sbi = c->sbi;
	void *buf = check_run_buf(c);
	int err = buf ? 0 : -ENOMEM;

	take_base(c);
	for (u32 gdb = 0, n; gdb < sbi->gdb_count && !err; gdb += n) {
		for (n = 1; n < c->run_blocks && gdb + n < sbi->gdb_count; n++)
			if (ext4_gdb_pblk(sbi, gdb + n) != ext4_gdb_pblk(sbi, gdb) + n)
				break;
		err = check_gdbs(c, gdb, n, buf);
	}
	return err;
}
