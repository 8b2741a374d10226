/* SPDX-License-Identifier: MIT */
/*
 * The pass over the bitmaps, the last one: block and inode bitmaps beside what the passes before have seen in
 * use, their checksums, the padding behind their end, and the free counts of groups and of the super block
 * that go with them.
 */
#include <stdio.h>

#include "base/bitmap.h"
#include "fs/ext4/check/check_internal.h"

#define RUN 32 /* bitmaps read at a time, at most */

/* One bitmap of a group beside what it should be; both forms have their bits in the same order of bytes. */
struct compare {
	const char *code, *what;
	u32 group;
	u64 first; /* what bit 0 stands for */
	u32 bits, padded;
	unsigned shift; /* clusters to blocks */
};

static bool bit_of(const void *map, u32 bit)
{
	return map && test_bit_le(bit, map);
}

/* One line for all bits that are wrong in one way: its first runs, as "12-14, 19", and how many there are.
 * map or want may be NULL: all clear. */
static void tell_wrong(struct check *c, const struct compare *k, const u8 *map, const u8 *want, bool marked)
{
	char list[160];
	u32 wrong = 0, listed = 0;
	int n = 0;

	for (u32 bit = 0, run; bit < k->bits; bit += run) {
		u64 first = k->first + ((u64)bit << k->shift);

		run = 1;
		if (bit_of(map, bit) != marked || bit_of(want, bit) == marked)
			continue;
		while (bit + run < k->bits && bit_of(map, bit + run) == marked &&
		       bit_of(want, bit + run) != marked)
			run++;
		wrong += run;
		if (n > (int)sizeof(list) - 50)
			continue;
		listed += run;
		n += snprintf(list + n, sizeof(list) - (size_t)n, "%s%llu", n ? ", " : "",
			      (unsigned long long)first);
		if (run > 1)
			n += snprintf(list + n, sizeof(list) - (size_t)n, "-%llu",
				      (unsigned long long)(first + ((u64)(run - 1) << k->shift)));
	}
	if (wrong)
		check_problem_group(c, k->code, k->group, 0, "%u %s %s: %s%s", wrong, k->what,
				    marked ? "marked as in use but not" : "in use but marked as free", list,
				    listed < wrong ? ", ..." : "");
}

static void compare_bitmap(struct check *c, const struct compare *k, const u8 *map, const u8 *want)
{
	u32 bytes = k->bits / 8;
	bool same = map && want ? !memcmp(map, want, bytes) : false;

	for (u32 bit = same ? bytes * 8 : 0; bit < k->bits; bit++)
		if (bit_of(map, bit) != bit_of(want, bit)) {
			tell_wrong(c, k, map, want, false);
			tell_wrong(c, k, map, want, true);
			break;
		}
	if (map && find_next_zero_bit_le(map, k->padded, k->bits) < k->padded)
		check_problem_group(c, "bitmap-padding", k->group, 0,
				    "padding behind the bitmap of %s is not set", k->what);
}

static bool has_bitmap_csum(const struct check *c)
{
	return c->sbi->has_csum;
}

static void check_bitmap_csum(struct check *c, u32 group, u64 pblk, const void *map, u32 bytes, u32 stored,
			      const char *what)
{
	u32 crc = ext4_chksum(c->sbi->csum_seed, map, bytes);

	if (c->sbi->desc_size < EXT4_MIN_DESC_SIZE_64BIT)
		crc &= 0xffff;
	if (crc != stored)
		check_problem_group(c, "bitmap-checksum", group, pblk,
				    "%s: checksum is %#010x, computed %#010x", what, stored, crc);
}

/* Bits of the group in `used_clusters` that are not the volume's own tables. */
static bool group_has_data(const struct check *c, u32 group, u32 clusters)
{
	u64 first = (u64)group * c->sbi->clusters_per_group, end = first + clusters;

	for (u64 bit = find_next_bit(c->used_clusters, end, first); bit < end;
	     bit = find_next_bit(c->used_clusters, end, bit + 1)) {
		u64 pblk = (bit << c->sbi->cluster_bits) + c->sbi->first_data_block;
		u64 last = min(pblk + (1u << c->sbi->cluster_bits), c->sbi->blocks_count);

		if (find_next_bit(c->meta_blocks, last, pblk) >= last)
			return true;
	}
	return false;
}

static u32 group_clusters(const struct check *c, u32 group)
{
	u64 first = (u64)group * c->sbi->clusters_per_group;

	return min_t(u64, c->sbi->clusters_per_group, c->clusters_count - first);
}

/* map NULL: the group says that its bitmap was never written. */
static u32 check_block_bitmap(struct check *c, u32 group, const u8 *map)
{
	const struct ext4_sb_info *sbi = c->sbi;
	const struct check_group *g = &c->groups[group];
	const u8 *want = (const u8 *)c->used_clusters + (u64)group * sbi->clusters_per_group / 8;
	struct compare k = {.code = "block-bitmap",
			    .what = sbi->cluster_bits ? "clusters (by their first block)" : "blocks",
			    .group = group,
			    .first = ext4_group_first_block(sbi, group),
			    .bits = group_clusters(c, group),
			    .padded = sbi->block_size * 8,
			    .shift = sbi->cluster_bits};
	u32 used = bitmap_weight_le(want, k.bits);

	if (map) {
		compare_bitmap(c, &k, map, want);
		if (has_bitmap_csum(c))
			check_bitmap_csum(c, group, g->desc.block_bitmap, map, sbi->clusters_per_group / 8,
					  g->desc.block_bitmap_csum, "block bitmap");
	} else if (group_has_data(c, group, k.bits)) {
		check_problem_group(c, "block-bitmap", group, 0,
				    "blocks are in use, but the block bitmap is marked as never written");
	}
	if (g->desc.free_clusters != k.bits - used)
		check_problem_group(c, "group-free-blocks", group, 0, "%u free %s, counted %u",
				    g->desc.free_clusters, sbi->cluster_bits ? "clusters" : "blocks",
				    k.bits - used);
	return k.bits - used;
}

/* Without checksums of groups nobody may say that inodes were never used. */
static void check_unused_inodes(struct check *c, u32 group)
{
	const struct ext4_sb_info *sbi = c->sbi;
	const struct ext4_group *g = &c->groups[group].desc;
	u64 first = (u64)group * sbi->inodes_per_group, end = first + sbi->inodes_per_group, at;

	if (sbi->has_csum || sbi->has_gdt_csum || g->itable_unused > sbi->inodes_per_group)
		return;
	if (!(g->flags & EXT4_BG_INODE_UNINIT))
		first = end - g->itable_unused;
	at = find_next_bit(c->used_inodes, end, first);
	if (at < end)
		check_problem_group(c, "group-unused-inodes", group, 0,
				    "inode %llu is in use but in the part that was never used",
				    (unsigned long long)at + 1);
}

static u32 check_inode_bitmap(struct check *c, u32 group, const u8 *map)
{
	const struct ext4_sb_info *sbi = c->sbi;
	const struct check_group *g = &c->groups[group];
	const u8 *want = (const u8 *)c->used_inodes + (u64)group * sbi->inodes_per_group / 8;
	struct compare k = {.code = "inode-bitmap",
			    .what = "inodes",
			    .group = group,
			    .first = (u64)group * sbi->inodes_per_group + 1,
			    .bits = sbi->inodes_per_group,
			    .padded = sbi->block_size * 8};
	u32 used = bitmap_weight_le(want, k.bits);

	check_unused_inodes(c, group);
	compare_bitmap(c, &k, map, want);
	if (map && has_bitmap_csum(c))
		check_bitmap_csum(c, group, g->desc.inode_bitmap, map, sbi->inodes_per_group / 8,
				  g->desc.inode_bitmap_csum, "inode bitmap");
	if (g->desc.free_inodes != k.bits - used)
		check_problem_group(c, "group-free-inodes", group, 0, "%u free inodes, counted %u",
				    g->desc.free_inodes, k.bits - used);
	if (g->desc.used_dirs != g->found_dirs)
		check_problem_group(c, "group-directories", group, 0, "%u directories, counted %u",
				    g->desc.used_dirs, g->found_dirs);
	return k.bits - used;
}

/* The bitmaps of one kind of groups [first, first + n): read, then handed on. */
static int read_bitmaps(struct check *c, u32 first, u32 n, bool inodes, u8 *buf, const u8 *maps[RUN])
{
	bool may_skip = c->sbi->has_csum || c->sbi->has_gdt_csum;
	u16 uninit = inodes ? EXT4_BG_INODE_UNINIT : EXT4_BG_BLOCK_UNINIT;
	u64 pblk[RUN];
	u32 count = 0;

	for (u32 i = 0; i < n; i++) {
		const struct check_group *g = &c->groups[first + i];

		maps[i] = NULL;
		if ((may_skip && !g->bad_checksum && g->desc.flags & uninit) ||
		    (inodes ? g->bad_inode_bitmap : g->bad_block_bitmap))
			continue;
		maps[i] = buf + ((size_t)count << c->sbi->block_bits);
		pblk[count++] = inodes ? g->desc.inode_bitmap : g->desc.block_bitmap;
	}
	return check_read_list(c, pblk, count, buf);
}

static int check_run(struct check *c, u32 first, u32 n, u8 *buf, u64 *free_clusters, u64 *free_inodes)
{
	const u8 *maps[RUN];
	int err = read_bitmaps(c, first, n, false, buf, maps);

	for (u32 i = 0; i < n && !err; i++)
		if (!c->groups[first + i].bad_block_bitmap)
			*free_clusters += check_block_bitmap(c, first + i, maps[i]);
	if (!err)
		err = read_bitmaps(c, first, n, true, buf, maps);
	for (u32 i = 0; i < n && !err; i++)
		if (!c->groups[first + i].bad_inode_bitmap)
			*free_inodes += check_inode_bitmap(c, first + i, maps[i]);
	return err;
}

static void check_totals(struct check *c, u64 free_clusters, u64 free_inodes)
{
	const struct ext4_super_block *es = &c->sbi->es;
	u64 stored = le32_to_cpu(es->s_free_blocks_count_lo);

	if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		stored |= (u64)le32_to_cpu(es->s_free_blocks_count_hi) << 32;
	free_clusters <<= c->sbi->cluster_bits;
	/* Nobody relies on these: the kernel counts for itself when it mounts. */
	if (stored != free_clusters)
		check_note(c, "super-free-blocks", 0, 0, "super block: %llu free blocks, counted %llu",
			   (unsigned long long)stored, (unsigned long long)free_clusters);
	if (le32_to_cpu(es->s_free_inodes_count) != free_inodes)
		check_note(c, "super-free-inodes", 0, 0, "super block: %u free inodes, counted %llu",
			   le32_to_cpu(es->s_free_inodes_count), (unsigned long long)free_inodes);
}

int check_bitmaps(struct check *c)
{
	u32 groups = c->sbi->groups_count;
	u32 run = min_t(u32, RUN, c->run_blocks);
	void *buf = check_run_buf(c);
	u64 free_clusters = 0, free_inodes = 0;
	int err = buf ? 0 : -ENOMEM;

	for (u32 group = 0; group < groups && !err; group += run)
		err = check_run(c, group, min(run, groups - group), buf, &free_clusters, &free_inodes);
	if (!err)
		check_totals(c, free_clusters, free_inodes);
	return err;
}
