/* SPDX-License-Identifier: MIT */
/*
 * Who owns which block, and the block maps of ext2 and ext3 (check_extents.c has the other form). No block
 * may belong to two, nor to the volume's tables. Adds the blocks of directories to those that the directory
 * pass reads.
 */
#include "fs/ext4/check/check_internal.h"

/* The first bit that is set of [start, end), or end. Most runs lie within one word of a map. */
static u64 first_set(const unsigned long *map, u64 start, u64 end)
{
	unsigned long word = map[start / BITS_PER_LONG] >> start % BITS_PER_LONG;

	if (start / BITS_PER_LONG != (end - 1) / BITS_PER_LONG)
		return find_next_bit(map, end, start);
	word &= ~0UL >> (BITS_PER_LONG - (end - start));
	return word ? start + __ffs(word) : end;
}

/* Sets [start, end). */
static void set_run(unsigned long *map, u64 start, u64 end)
{
	if (start / BITS_PER_LONG == (end - 1) / BITS_PER_LONG)
		map[start / BITS_PER_LONG] |= ~0UL >> (BITS_PER_LONG - (end - start))
							      << start % BITS_PER_LONG;
	else
		bitmap_set(map, start, end - start);
}

bool check_claim(struct check *c, u32 ino, u64 pblk, u64 count, u64 *last_cluster)
{
	u64 first = check_cluster(c, pblk), end = check_cluster(c, pblk + count - 1) + 1, at;
	bool good = true;

	at = first_set(c->meta_blocks, pblk, pblk + count);
	if (at < pblk + count && ino != EXT4_BAD_INO) {
		check_problem(c, "block-conflict", ino, at, "in use by the volume's own tables");
		good = false;
	}
	if (last_cluster && first == *last_cluster)
		first++;
	if (last_cluster)
		*last_cluster = end - 1;
	if (first == end)
		return good;
	at = first_set(c->used_clusters, first, end);
	set_run(c->used_clusters, first, end);
	if (at >= end || !good)
		return good;
	/* Files may share their data there; their sums are not looked at, since others count it, too. */
	if (ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS))
		return false;
	check_problem(c, "block-shared", ino, (at << c->sbi->cluster_bits) + c->sbi->first_data_block,
		      "in use by another inode or twice by this one");
	return false;
}

/* last: as for check_claim, or NULL. */
static bool take(struct check *c, struct check_inode *ci, u64 pblk, u64 count, u64 *last)
{
	if (!check_pblk_valid(c, pblk, count)) {
		check_problem(c, "inode-block-outside", ci->ino, pblk, "%llu blocks, not in the volume",
			      (unsigned long long)count);
		ci->bad_map = true;
		return false;
	}
	ci->clusters += check_cluster(c, pblk + count - 1) + 1 - check_cluster(c, pblk);
	if (last && check_cluster(c, pblk) == *last)
		ci->clusters--;
	if (check_claim(c, ci->ino, pblk, count, last))
		return true;
	ci->bad_map = true;
	return false;
}

bool check_take_run(struct check *c, struct check_inode *ci, u64 pblk, u64 count)
{
	return take(c, ci, pblk, count, NULL);
}

int check_dir_block_add(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk, u64 count)
{
	struct check_dir *dir;
	int err = 0;

	if (ci->dir == ~0u)
		return 0;
	dir = (struct check_dir *)c->dirs.items + ci->dir;
	for (u64 i = 0; i < count && !err && (lblk + i) << c->sbi->block_bits < ci->size; i++) {
		struct check_dir_block b = {.pblk = pblk + i, .lblk = lblk + i, .dir = ci->dir};

		err = check_array_add(c, &c->dir_blocks, &b, sizeof(b));
		if (!err)
			dir->blocks++;
	}
	return err;
}

/* A cluster of the file is one of the volume, block by block; only there may a file take a cluster twice. */
static void check_place_in_cluster(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk)
{
	u64 mask = (1ull << c->sbi->cluster_bits) - 1;
	bool goes_on = lblk >> c->sbi->cluster_bits == ci->last_file_cluster;

	if ((lblk ^ (pblk - c->sbi->first_data_block)) & mask ||
	    (goes_on && check_cluster(c, pblk) != ci->last_cluster))
		check_problem(
			c, "inode-cluster", ci->ino, pblk,
			"is not in the cluster, or not the block of it, that block %llu of the file needs",
			(unsigned long long)lblk);
	if (!goes_on)
		ci->last_cluster = ~0ull;
}

int check_take_data(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk, u64 count, bool written)
{
	check_place_in_cluster(c, ci, lblk, pblk);
	ci->last_file_cluster = (lblk + count - 1) >> c->sbi->cluster_bits;
	if (!take(c, ci, pblk, count, &ci->last_cluster))
		return 0;
	ci->end_lblk = max(ci->end_lblk, lblk + count);
	if (written)
		ci->end_written = max(ci->end_written, lblk + count);
	if (!lblk)
		ci->first_pblk = pblk;
	return ci->dir == ~0u ? 0 : check_dir_block_add(c, ci, lblk, pblk, count);
}

static int walk_pointers(struct check *c, struct check_inode *ci, const le32 *pointers, u32 count,
			 unsigned level, u64 lblk);

static int walk_indirect(struct check *c, struct check_inode *ci, u64 pblk, unsigned level, u64 lblk)
{
	le32 *buf = check_block_buf(c, level);
	int err;

	if (!check_take_run(c, ci, pblk, 1))
		return 0;
	if (!buf)
		return -ENOMEM;
	err = check_read(c, pblk, 1, buf);
	return err ? err : walk_pointers(c, ci, buf, c->sbi->block_size / sizeof(le32), level - 1, lblk);
}

/* Pointers that each cover (pointers in a block)^level blocks of the file; runs at level 0 are taken at once.
 */
static int walk_pointers(struct check *c, struct check_inode *ci, const le32 *pointers, u32 count,
			 unsigned level, u64 lblk)
{
	u64 each = 1ull << (level * (c->sbi->block_bits - 2));
	int err = 0;

	for (u32 i = 0, n; i < count && !err; i += n) {
		u64 pblk = le32_to_cpu(pointers[i]);

		n = 1;
		if (!pblk)
			continue;
		if (level) {
			err = walk_indirect(c, ci, pblk, level, lblk + i * each);
			continue;
		}
		while (i + n < count && le32_to_cpu(pointers[i + n]) == pblk + n)
			n++;
		err = check_take_data(c, ci, lblk + i, pblk, n, true);
	}
	return err;
}

static int walk_map(struct check *c, struct check_inode *ci)
{
	unsigned bits = c->sbi->block_bits - 2;
	u64 lblk = EXT4_NDIR_BLOCKS;
	int err = walk_pointers(c, ci, ci->raw->i_block, EXT4_NDIR_BLOCKS, 0, 0);

	for (unsigned level = 1; level <= 3 && !err; level++) {
		err = walk_pointers(c, ci, &ci->raw->i_block[EXT4_IND_BLOCK + level - 1], 1, level, lblk);
		lblk += 1ull << (level * bits);
	}
	if (ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_BIGALLOC) && !ci->reserved && ci->end_lblk)
		check_problem(c, "inode-map", ci->ino, ci->first_pblk,
			      "has a block map, where bigalloc wants extents");
	return err;
}

int check_inode_blocks(struct check *c, struct check_inode *ci)
{
	u32 translator = le32_to_cpu(ci->raw->i_version_lo);

	if (ci->flags & EXT4_EXTENTS_FL)
		return check_extents(c, ci);
	/* The Hurd has a block there. */
	if (le32_to_cpu(c->sbi->es.s_creator_os) == EXT4_OS_HURD && translator)
		check_take_run(c, ci, translator, 1);
	return walk_map(c, ci);
}
