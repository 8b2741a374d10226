/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an inode: its extent tree or block map, block by block of the tree, and who owns what. Checks
 * headers, order, overlap and checksums of extent trees; pointers of block maps; that no block belongs to
 * two, nor to the volume's tables; i_blocks and i_size beside what is mapped. Adds the blocks of directories
 * to those that the directory pass reads.
 */
#include "fs/ext4/check/check_internal.h"

bool check_claim(struct check *c, u32 ino, u64 pblk, u64 count, u64 *last_cluster)
{
	u64 first = check_cluster(c, pblk), end = check_cluster(c, pblk + count - 1) + 1, at;
	bool good = true;

	at = find_next_bit(c->meta_blocks, pblk + count, pblk);
	if (at < pblk + count) {
		check_problem(c, "block-conflict", ino, at, "in use by the volume's own tables");
		good = false;
	}
	if (last_cluster && first == *last_cluster)
		first++;
	if (last_cluster)
		*last_cluster = end - 1;
	if (first == end)
		return good;
	at = find_next_bit(c->used_clusters, end, first);
	bitmap_set(c->used_clusters, first, end - first);
	if (at >= end || !good)
		return good;
	check_problem(c, "block-shared", ino, (at << c->sbi->cluster_bits) + c->sbi->first_data_block,
		      "in use by another inode or twice by this one");
	return false;
}

/* Takes a run for the inode's map; tells what is outside. */
static bool take_run(struct check *c, struct check_inode *ci, u64 pblk, u64 count)
{
	u64 before = ci->last_cluster;

	if (!check_pblk_valid(c, pblk, count)) {
		check_problem(c, "inode-block-outside", ci->ino, pblk, "%llu blocks, not in the volume",
			      (unsigned long long)count);
		return false;
	}
	ci->clusters += check_cluster(c, pblk + count - 1) + 1 - check_cluster(c, pblk);
	if (check_cluster(c, pblk) == before)
		ci->clusters--;
	return check_claim(c, ci->ino, pblk, count, &ci->last_cluster);
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

static int take_data(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk, u64 count)
{
	if (!take_run(c, ci, pblk, count))
		return 0;
	ci->end_lblk = max(ci->end_lblk, lblk + count);
	return check_dir_block_add(c, ci, lblk, pblk, count);
}

/* Extent trees. */

struct extent_walk {
	struct check *c;
	struct check_inode *ci;
	u64 next_lblk; /* the first that the next extent may have */
};

static int walk_node(struct extent_walk *w, const void *node, u32 room, unsigned depth, u64 pblk);

static int walk_leaf(struct extent_walk *w, const struct ext4_extent *ex, u32 entries, u64 pblk)
{
	int err = 0;

	for (u32 i = 0; i < entries && !err; i++, ex++) {
		u64 lblk = le32_to_cpu(ex->ee_block), len = le16_to_cpu(ex->ee_len);
		u64 start = le32_to_cpu(ex->ee_start_lo) | (u64)le16_to_cpu(ex->ee_start_hi) << 32;

		if (len > EXT_INIT_MAX_LEN)
			len -= EXT_INIT_MAX_LEN;
		if (!len || lblk < w->next_lblk || lblk + len > 1ull << 32) {
			check_problem(w->c, "extent-order", w->ci->ino, pblk,
				      "extent %u at %llu of %llu blocks is empty or overlaps the one before",
				      i, (unsigned long long)lblk, (unsigned long long)len);
			continue;
		}
		w->next_lblk = lblk + len;
		err = take_data(w->c, w->ci, lblk, start, len);
	}
	return err;
}

static void check_node_checksum(struct extent_walk *w, const void *node, u64 pblk)
{
	const struct ext4_extent_header *eh = node;
	u32 at = sizeof(*eh) + le16_to_cpu(eh->eh_max) * sizeof(struct ext4_extent);
	const struct ext4_extent_tail *tail = (const void *)((const u8 *)node + at);
	u32 crc;

	if (!w->c->sbi->has_csum)
		return;
	crc = ext4_chksum(w->ci->csum_seed, node, at);
	if (crc != le32_to_cpu(tail->et_checksum))
		check_problem(w->c, "extent-checksum", w->ci->ino, pblk,
			      "extent tree: checksum is %#010x, computed %#010x",
			      le32_to_cpu(tail->et_checksum), crc);
}

static int walk_child(struct extent_walk *w, u64 pblk, unsigned depth)
{
	struct check *c = w->c;
	u32 room = c->sbi->block_size - (c->sbi->has_csum ? sizeof(struct ext4_extent_tail) : 0);
	void *buf = check_block_buf(c, depth);
	int err;

	if (!take_run(c, w->ci, pblk, 1))
		return 0;
	if (!buf)
		return -ENOMEM;
	err = check_read(c, pblk, 1, buf);
	return err ? err : walk_node(w, buf, room, depth, pblk);
}

static int walk_index(struct extent_walk *w, const struct ext4_extent_idx *ix, u32 entries, unsigned depth,
		      u64 pblk)
{
	int err = 0;

	for (u32 i = 0; i < entries && !err; i++, ix++) {
		u64 leaf = le32_to_cpu(ix->ei_leaf_lo) | (u64)le16_to_cpu(ix->ei_leaf_hi) << 32;

		if (le32_to_cpu(ix->ei_block) < w->next_lblk)
			check_problem(w->c, "extent-order", w->ci->ino, pblk,
				      "index entry %u at %u overlaps what is before it", i,
				      le32_to_cpu(ix->ei_block));
		err = walk_child(w, leaf, depth - 1);
	}
	return err;
}

/* pblk 0: the root in the inode. */
static int walk_node(struct extent_walk *w, const void *node, u32 room, unsigned depth, u64 pblk)
{
	const struct ext4_extent_header *eh = node;
	u32 entries = le16_to_cpu(eh->eh_entries), most = le16_to_cpu(eh->eh_max);

	if (le16_to_cpu(eh->eh_magic) != EXT4_EXT_MAGIC || le16_to_cpu(eh->eh_depth) != depth ||
	    entries > most || most > (room - sizeof(*eh)) / sizeof(struct ext4_extent)) {
		check_problem(w->c, "extent-header", w->ci->ino, pblk,
			      "extent tree: magic %#06x, depth %u (wanted %u), %u of %u entries",
			      le16_to_cpu(eh->eh_magic), le16_to_cpu(eh->eh_depth), depth, entries, most);
		return 0;
	}
	if (pblk)
		check_node_checksum(w, node, pblk);
	if (depth)
		return walk_index(w, (const void *)(eh + 1), entries, depth, pblk);
	return walk_leaf(w, (const void *)(eh + 1), entries, pblk);
}

static int walk_extents(struct check *c, struct check_inode *ci)
{
	struct extent_walk w = {.c = c, .ci = ci};
	const struct ext4_extent_header *eh = (const void *)ci->raw.i_block;
	unsigned depth = le16_to_cpu(eh->eh_depth);

	if (depth > EXT4_MAX_EXTENT_DEPTH) {
		check_problem(c, "extent-header", ci->ino, 0, "extent tree of depth %u", depth);
		return 0;
	}
	return walk_node(&w, eh, sizeof(ci->raw.i_block), depth, 0);
}

/* Block maps. */

static int walk_pointers(struct check *c, struct check_inode *ci, const le32 *pointers, u32 count,
			 unsigned level, u64 lblk);

static int walk_indirect(struct check *c, struct check_inode *ci, u64 pblk, unsigned level, u64 lblk)
{
	le32 *buf = check_block_buf(c, level);
	int err;

	if (!take_run(c, ci, pblk, 1))
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
		err = take_data(c, ci, lblk + i, pblk, n);
	}
	return err;
}

static int walk_map(struct check *c, struct check_inode *ci)
{
	unsigned bits = c->sbi->block_bits - 2;
	u64 lblk = EXT4_NDIR_BLOCKS;
	int err = walk_pointers(c, ci, ci->raw.i_block, EXT4_NDIR_BLOCKS, 0, 0);

	for (unsigned level = 1; level <= 3 && !err; level++) {
		err = walk_pointers(c, ci, &ci->raw.i_block[EXT4_IND_BLOCK + level - 1], 1, level, lblk);
		lblk += 1ull << (level * bits);
	}
	return err;
}

int check_inode_blocks(struct check *c, struct check_inode *ci)
{
	return ci->flags & EXT4_EXTENTS_FL ? walk_extents(c, ci) : walk_map(c, ci);
}
