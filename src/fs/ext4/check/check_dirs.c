/* SPDX-License-Identifier: MIT */
/*
 * The pass over directories: all their blocks, read in the order in which they lie on the disk. Checks the
 * chain of entries of each block, names, the inodes and kinds that entries name, "." and "..", checksums, and
 * counts for each inode the names that lead to it; notes for each directory its parent. Holes in directories,
 * duplicate names, inline directories, and indexes (check_htree.c) belong to it.
 */
#include "fs/ext4/check/check_internal.h"

#define RUN 64 /* blocks read at a time */

static int by_place(const void *a, const void *b)
{
	const struct check_dir_block *x = a, *y = b;

	return x->pblk < y->pblk ? -1 : x->pblk > y->pblk;
}

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

/* Counts a name that leads to an inode; a directory notes who holds its name. */
static void count_link(struct check *c, const struct check_dir *dir, u32 ino, bool is_name)
{
	if (c->links_found[ino - 1] != UINT16_MAX)
		c->links_found[ino - 1]++;
	if (is_name && c->kinds[ino - 1] == 2) {
		struct check_dir *child = check_dir_find(c, ino);

		if (child && !child->parent)
			child->parent = dir->ino;
		else
			check_problem(c, "dir-two-names", dir->ino, 0,
				      "directory %u has another name already", ino);
	}
}

static void check_entry(struct check *c, struct check_dir *dir, const struct check_dir_block *b, u32 offset,
			const struct ext4_dir_entry_2 *de)
{
	u32 ino = le32_to_cpu(de->inode);
	bool dot = de->name_len == 1 && de->name[0] == '.';
	bool dotdot = de->name_len == 2 && de->name[0] == '.' && de->name[1] == '.';

	if (!ino)
		return;
	if (!check_ino_valid(c, ino) || !c->kinds[ino - 1]) {
		check_problem(c, "dir-entry-inode", dir->ino, b->pblk,
			      "offset %u: \"%.*s\" names inode %u, which is not in use", offset, de->name_len,
			      de->name, ino);
		return;
	}
	if (ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_FILETYPE) && de->file_type != c->kinds[ino - 1])
		check_problem(c, "dir-entry-kind", dir->ino, b->pblk,
			      "offset %u: \"%.*s\" has kind %u, its inode %u", offset, de->name_len, de->name,
			      de->file_type, c->kinds[ino - 1]);
	if (dotdot)
		dir->dotdot = ino;
	count_link(c, dir, ino, !dot && !dotdot);
}

static void check_block(struct check *c, const struct check_dir_block *b, const u8 *data)
{
	struct check_dir *dir = (struct check_dir *)c->dirs.items + b->dir;
	u32 size = c->sbi->block_size;

	for (u32 offset = 0; offset < size;) {
		const struct ext4_dir_entry_2 *de = (const void *)(data + offset);
		u32 rec_len = ext4_rec_len(de, size), left = size - offset;

		if (rec_len < EXT4_DIR_REC_LEN(1) || rec_len % 4 || rec_len > left ||
		    (left - rec_len && left - rec_len < EXT4_DIR_REC_LEN(1)) ||
		    rec_len < EXT4_DIR_REC_LEN(de->name_len)) {
			check_problem(c, "dir-entry-length", dir->ino, b->pblk,
				      "offset %u: entry of %u bytes with a name of %u", offset, rec_len,
				      de->name_len);
			return;
		}
		check_entry(c, dir, b, offset, de);
		offset += rec_len;
	}
}

int check_dirs(struct check *c)
{
	struct check_dir_block *b = c->dir_blocks.items;
	u8 *buf __free_kfree = check_buf(c, RUN);
	u64 pblk[RUN];
	int err = buf ? 0 : -ENOMEM;

	if (c->dir_blocks.count)
		qsort(b, c->dir_blocks.count, sizeof(*b), by_place);
	for (size_t at = 0, n; at < c->dir_blocks.count && !err; at += n) {
		n = min_t(size_t, RUN, c->dir_blocks.count - at);
		for (size_t i = 0; i < n; i++)
			pblk[i] = b[at + i].pblk;
		err = check_read_list(c, pblk, (u32)n, buf);
		for (size_t i = 0; i < n && !err; i++)
			check_block(c, &b[at + i], buf + (i << c->sbi->block_bits));
	}
	return err;
}
