/* SPDX-License-Identifier: MIT */
/*
 * The pass over directories: all their blocks, many in flight at a time. Directories come in the order of
 * their inodes and each from its first block to its last, so that what is known of one
 * (check_dirs_internal.h) is needed only once. Here: holes, "." and ".." being there, checksums of leaves.
 * Entries are check_dirents.c's, the index check_htree.c's, directories without blocks check_inline_dir.c's.
 */
#include "base/hash.h"
#include "base/crc.h"
#include "fs/ext4/check/check_dirs_internal.h"

#define ENCODING_STRICT 1
#define RUN             128 /* blocks read at a time, at most */

struct check_dir *check_dir_find(struct check *c, u32 ino)
{
	struct check_dir *dirs = c->dirs.items;
	size_t low = 0, high = c->dirs.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dirs[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->dirs.count && dirs[low].ino == ino ? &dirs[low] : NULL;
}

static void check_leaf_checksum(struct check_dir_state *s, u64 pblk, const u8 *data)
{
	u32 at = s->c->sbi->block_size - (u32)sizeof(struct ext4_dir_entry_tail), crc = s->leaf_sum;
	const struct ext4_dir_entry_tail *tail = (const void *)(data + at);

	if (le32_to_cpu(tail->det_reserved_zero1) || le16_to_cpu(tail->det_rec_len) != sizeof(*tail) ||
	    tail->det_reserved_zero2 || tail->det_reserved_ft != EXT4_FT_DIR_CSUM) {
		check_problem(s->c, "dir-no-checksum", s->dir->ino, pblk,
			      "block has no room for its checksum");
		return;
	}
	if (crc != le32_to_cpu(tail->det_checksum))
		check_problem(s->c, "dir-checksum", s->dir->ino, pblk, "checksum is %#010x, computed %#010x",
			      le32_to_cpu(tail->det_checksum), crc);
}

static int begin_dir(struct check_dir_state *s, struct check_dir *dir)
{
	const struct ext4_sb_info *sbi = s->c->sbi;

	s->dir = dir;
	s->blocks = (u32)min_t(u64, dir->size >> sbi->block_bits, UINT32_MAX);
	s->entries = 0;
	s->encrypted = dir->flags & EXT4_ENCRYPT_FL;
	s->folded = dir->flags & EXT4_CASEFOLD_FL;
	s->strict = s->folded && !s->encrypted && le16_to_cpu(sbi->es.s_encoding_flags) & ENCODING_STRICT;
	s->indexed = dir->flags & EXT4_INDEX_FL && !(dir->flags & EXT4_INLINE_DATA_FL);
	if (dir->flags & EXT4_INLINE_DATA_FL)
		return check_inline_dir(s);
	if (s->indexed && !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_DIR_INDEX)) {
		check_problem(s->c, "dir-index-feature", dir->ino, 0, "has an index, the volume none");
		s->indexed = false;
	}
	return s->indexed ? check_htree_begin(s) : 0;
}

static void end_dir(struct check_dir_state *s, u32 next_lblk)
{
	if (s->dir->flags & EXT4_INLINE_DATA_FL)
		return;
	if (!s->dir->blocks)
		check_problem(s->c, "dir-empty", s->dir->ino, 0, "directory has no blocks");
	else if (next_lblk < s->blocks)
		check_problem(s->c, "dir-hole", s->dir->ino, 0, "directory ends with a hole at its block %u",
			      next_lblk);
	if (s->indexed)
		check_htree_end(s);
}

static void check_block(struct check_dir_state *s, const struct check_dir_block *b, const u8 *data)
{
	struct check_dx_block *dx = s->indexed && b->lblk < s->dir->blocks ? &s->dx[b->lblk] : NULL;
	u32 bytes = s->c->sbi->block_size;

	if (s->indexed && check_htree_block(s, b->lblk, b->pblk, data)) {
		if (!b->lblk)
			check_dirents(s, data, bytes, b->pblk, NULL);
		return;
	}
	if (s->c->sbi->has_csum) {
		check_leaf_checksum(s, b->pblk, data);
		bytes -= sizeof(struct ext4_dir_entry_tail);
	}
	check_dirents(s, data, bytes, b->pblk, dx);
}

/* Where the pass stands: the next directory to begin, and the block that should come next in the one at hand.
 */
struct place {
	size_t next_dir;
	u32 next_lblk;
};

/* Ends and begins directories until the one of that number is at hand. */
static int go_to_dir(struct check_dir_state *s, struct place *p, size_t number)
{
	int err = 0;

	while (p->next_dir <= number && !err && !s->c->stop) {
		if (p->next_dir)
			end_dir(s, p->next_lblk);
		p->next_lblk = 0;
		err = begin_dir(s, (struct check_dir *)s->c->dirs.items + p->next_dir++);
	}
	return err;
}

/* What the checksums of a few leaves should be; the last ones may be the same. */
static void sum_leaves(const struct check *c, const struct check_dir_block *b, size_t n, const u8 *data,
		       u32 sums[CRC_LANES])
{
	const struct check_dir *dirs = c->dirs.items;
	const void *p[CRC_LANES];

	for (size_t i = 0; i < CRC_LANES; i++) {
		size_t at = min(i, n - 1);

		sums[i] = dirs[b[at].dir].csum_seed;
		p[i] = data + (at << c->sbi->block_bits);
	}
	crc32c_lanes(sums, p, c->sbi->block_size - sizeof(struct ext4_dir_entry_tail));
}

static int check_run(struct check_dir_state *s, struct place *p, const struct check_dir_block *b, size_t n,
		     const u8 *data)
{
	u32 sums[CRC_LANES];
	int err = 0;

	for (size_t i = 0; i < n && !err && !s->c->stop; i++) {
		err = go_to_dir(s, p, b[i].dir);
		if (err)
			break;
		if (b[i].lblk != p->next_lblk)
			check_problem(s->c, "dir-hole", s->dir->ino, 0,
				      "directory has a hole at its block %u", p->next_lblk);
		p->next_lblk = b[i].lblk + 1;
		if (s->c->sbi->has_csum && i % CRC_LANES == 0)
			sum_leaves(s->c, b + i, n - i, data + (i << s->c->sbi->block_bits), sums);
		s->leaf_sum = s->c->sbi->has_csum ? sums[i % CRC_LANES] : 0;
		check_block(s, &b[i], data + (i << s->c->sbi->block_bits));
	}
	return err;
}

static int check_all(struct check_dir_state *s)
{
	const struct check_dir_block *b = s->c->dir_blocks.items;
	size_t run = min_t(size_t, RUN, s->c->run_blocks);
	u8 *buf = check_run_buf(s->c);
	struct place place = {0};
	u64 pblk[RUN];
	int err = buf ? 0 : -ENOMEM;

	for (size_t at = 0, n; at < s->c->dir_blocks.count && !err; at += n) {
		n = min(run, s->c->dir_blocks.count - at);
		for (size_t i = 0; i < n; i++)
			pblk[i] = b[at + i].pblk;
		check_progress(s->c, "directories", at, s->c->dir_blocks.count);
		err = check_read_list(s->c, pblk, (u32)n, buf);
		if (!err)
			err = check_run(s, &place, b + at, n, buf);
	}
	if (!err && s->c->dirs.count) {
		err = go_to_dir(s, &place, s->c->dirs.count - 1);
		if (!err && !s->c->stop)
			end_dir(s, place.next_lblk);
	}
	return err;
}

int check_dirs(struct check *c)
{
	struct check_dir_state s = {.c = c};
	/* Twice as many as a block has entries at most. */
	u32 slots = c->sbi->block_size / EXT4_DIR_REC_LEN(1) * 2;
	int err;

	s.names.mask = 1;
	while (s.names.mask < slots)
		s.names.mask <<= 1;
	s.names.slots = kcalloc(c->machine, s.names.mask--, sizeof(*s.names.slots));
	err = s.names.slots ? check_all(&s) : -ENOMEM;
	kfree(s.names.slots);
	kvfree(s.dx);
	return err;
}
