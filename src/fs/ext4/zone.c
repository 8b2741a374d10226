/* SPDX-License-Identifier: MIT */
/*
 * The volume's own blocks: super blocks, descriptors, bitmaps, inode tables, and the journal. No file may
 * claim them: an inode that does is damaged, and reading it would show metadata as data.
 *
 * They are kept as a sorted array of runs, made when the volume is mounted and not changed afterwards. Tables
 * of neighbouring groups mostly lie together, so a volume of flex_bg needs a few runs for every 16 groups.
 * The array counts towards the machine's limit.
 */
#include "base/alloc.h"
#include "base/bitmap.h"
#include "fs/ext4/ext4_internal.h"

#define LOOK_BACK 8 /* runs at the end of the array that a new one may continue */

static size_t zone_bytes(u32 runs)
{
	return runs * sizeof(struct ext4_run);
}

static int by_start(const void *a, const void *b)
{
	const struct ext4_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts the runs and joins those that touch; runs that overlap make no volume. */
static int zone_close(struct super_block *sb, struct ext4_zone *zone)
{
	struct ext4_run *runs = zone->runs;
	u32 last = 0;

	if (!zone->count)
		return 0;
	qsort(runs, zone->count, sizeof(*runs), by_start);
	for (u32 i = 1; i < zone->count; i++) {
		if (runs[i].start < runs[last].end) {
			ext4_msg(sb, LOGLEVEL_ERR,
				 "block %llu holds two of: super block, descriptors, bitmap, inode table, "
				 "journal",
				 (unsigned long long)runs[i].start);
			return -EFSCORRUPTED;
		}
		if (runs[i].start == runs[last].end)
			runs[last].end = runs[i].end;
		else
			runs[++last] = runs[i];
	}
	zone->count = last + 1;
	return 0;
}

/* Makes room, first by joining what is there: so runs that are told again and again, as a crafted map of the
 * journal can, are met as an overlap before they fill the memory. */
static int zone_grow(struct super_block *sb, struct ext4_zone *zone)
{
	struct shale *machine = sb->s_machine;
	u32 room = max(zone->room * 2, 64u);
	struct ext4_run *grown;
	int err = zone_close(sb, zone);

	if (err || zone->count < zone->room / 2)
		return err;
	if (room <= zone->room)
		return -ENOMEM;
	grown = krealloc(machine, zone->runs, zone_bytes(room));
	if (!grown)
		return -ENOMEM;
	machine_charge(machine, zone_bytes(room) - zone_bytes(zone->room));
	zone->runs = grown;
	zone->room = room;
	return 0;
}

static int zone_add(struct super_block *sb, struct ext4_zone *zone, u64 start, u64 count)
{
	int err;

	if (!count)
		return 0;
	for (u32 i = zone->count; i && i + LOOK_BACK > zone->count; i--) {
		if (zone->runs[i - 1].end == start) {
			zone->runs[i - 1].end += count;
			return 0;
		}
	}
	if (zone->count == zone->room) {
		err = zone_grow(sb, zone);
		if (err)
			return err;
	}
	zone->runs[zone->count++] = (struct ext4_run){start, start + count};
	return 0;
}

/* The run that holds a block of [start, end), NULL: none. */
static const struct ext4_run *zone_find(const struct ext4_zone *zone, u64 start, u64 end)
{
	u32 lo = 0, hi = zone->count;

	while (lo < hi) { /* the first run that does not end before start */
		u32 mid = lo + (hi - lo) / 2;

		if (zone->runs[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < zone->count && zone->runs[lo].start < end ? &zone->runs[lo] : NULL;
}

static void zone_free(struct shale *machine, struct ext4_zone *zone)
{
	machine_uncharge(machine, zone_bytes(zone->room));
	kfree(zone->runs);
	*zone = (struct ext4_zone){0};
}

/* Super block and descriptors at the head of a group, and what is kept for more of them. */
static u64 head_blocks(const struct ext4_sb_info *sbi, u32 group)
{
	u64 blocks = ext4_bg_num_base_meta(sbi, group);

	/* A number of reserved blocks means nothing where meta_bg places the descriptors. */
	if (ext4_in_meta_bg(sbi, group / sbi->desc_per_block) && ext4_bg_has_super(sbi, group))
		blocks -= le16_to_cpu(sbi->es.s_reserved_gdt_blocks);
	return min(blocks, ext4_group_last_block(sbi, group) + 1 - ext4_group_first_block(sbi, group));
}

int ext4_zones_add_group(struct super_block *sb, u32 group, const struct ext4_group *g)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct ext4_zone *zone = &sbi->tables;
	int err = zone_add(sb, zone, ext4_group_first_block(sbi, group), head_blocks(sbi, group));

	if (!err)
		err = zone_add(sb, zone, g->block_bitmap, 1);
	if (!err)
		err = zone_add(sb, zone, g->inode_bitmap, 1);
	if (!err)
		err = zone_add(sb, zone, g->inode_table, sbi->itable_blocks);
	return err;
}

int ext4_zones_close_groups(struct super_block *sb)
{
	return zone_close(sb, &EXT4_SB(sb)->tables);
}

int ext4_zones_add_journal(struct super_block *sb, struct inode *journal)
{
	struct ext4_zone *zone = &EXT4_SB(sb)->journal_zone;
	u64 end = min_t(u64, i_size_read(journal) >> journal->i_blkbits, UINT32_MAX);

	for (u64 lblk = 0; lblk < end;) {
		struct ext4_map map = {.lblk = lblk, .len = end - lblk};
		int err = ext4_map_blocks(journal, &map);

		if (err)
			return err;
		if (!map.mapped) /* a journal has no holes: nothing behind one is of use */
			break;
		err = zone_add(sb, zone, map.pblk, map.len);
		if (err)
			return err;
		lblk += map.len;
	}
	return zone_close(sb, zone);
}

void ext4_zones_free(struct super_block *sb)
{
	zone_free(sb->s_machine, &EXT4_SB(sb)->tables);
	zone_free(sb->s_machine, &EXT4_SB(sb)->journal_zone);
}

u64 ext4_zones_clusters(const struct ext4_sb_info *sbi)
{
	u64 clusters = 0, next = 0; /* next: the first one not counted */

	for (u32 i = 0; i < sbi->tables.count; i++) {
		const struct ext4_run *run = &sbi->tables.runs[i];
		u64 first = (run->start - sbi->first_data_block) >> sbi->cluster_bits;
		u64 last = (run->end - 1 - sbi->first_data_block) >> sbi->cluster_bits;

		clusters += last + 1 - max(first, next);
		next = last + 1;
	}
	return clusters;
}

bool ext4_ino_blocks_valid(const struct ext4_sb_info *sbi, u64 ino, u64 pblk, u64 count)
{
	if (!ext4_pblk_range_valid(sbi, pblk, count) || zone_find(&sbi->tables, pblk, pblk + count))
		return false;
	return ino == le32_to_cpu(sbi->es.s_journal_inum) ||
	       !zone_find(&sbi->journal_zone, pblk, pblk + count);
}

bool ext4_file_blocks_valid(const struct inode *inode, u64 pblk, u64 count)
{
	return ext4_ino_blocks_valid(EXT4_SB(inode->i_sb), inode->i_ino, pblk, count);
}

static void zone_mark(const struct ext4_sb_info *sbi, const struct ext4_zone *zone, u64 first, u64 last,
		      void *map)
{
	for (u32 i = 0; i < zone->count; i++) {
		u64 start = max(zone->runs[i].start, first), end = min(zone->runs[i].end, last + 1);

		if (start < end)
			bitmap_set_le(map, (start - first) >> sbi->cluster_bits,
				      ((end - 1 - first) >> sbi->cluster_bits) -
					      ((start - first) >> sbi->cluster_bits) + 1);
	}
}

void ext4_zones_mark(const struct ext4_sb_info *sbi, u32 group, void *map)
{
	u64 first = ext4_group_first_block(sbi, group), last = ext4_group_last_block(sbi, group);

	zone_mark(sbi, &sbi->tables, first, last, map);
	zone_mark(sbi, &sbi->journal_zone, first, last, map);
}
