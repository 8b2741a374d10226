/* SPDX-License-Identifier: MIT */
/*
 * What the files of the directory pass share: the directory at hand. Directories are taken one after the
 * other, each from its first block to its last; what is remembered about one is gone with the next, so that
 * memory is bounded by the largest. The state belongs to check_dirs().
 */
#ifndef SHALE_FS_EXT4_CHECK_DIRS_INTERNAL_H
#define SHALE_FS_EXT4_CHECK_DIRS_INTERNAL_H

#include "fs/ext4/check/check_internal.h"

/* What is known of a block of an indexed directory. */
struct check_dx_block {
	u32 parent;    /* the block of the index that names it */
	u32 low, high; /* the hashes that it may hold, as the entries of its parent tell */
	u32 min, max;  /* those of the names that it holds; min > max: none */
	u8 kind;       /* CHECK_DX_* */
	u8 names;      /* entries of the index that name it, at most 2 */
	bool first;    /* in its parent: low is the parent's own */
};
enum { CHECK_DX_LEAF, CHECK_DX_NODE, CHECK_DX_ROOT };

/* The names of one block, by hash, to find two that are equal. */
struct check_names {
	u32 *slots; /* generation << 16 | place in the block / 4 */
	u32 mask;
	u16 generation;
};

struct check_dir_state {
	struct check *c;
	struct check_dir *dir;
	u32 blocks;  /* as its size says */
	u32 entries; /* seen so far, up to 2: "." and ".." */
	bool indexed, encrypted, folded;
	bool strict;               /* names have to be UTF-8, and differ without case */
	u32 leaf_sum;              /* the checksum that the block should have if it is a leaf */
	u8 hash_version;           /* of the index; with CHECK_DX_UNKNOWN the names' hashes are not known */
	u8 levels;                 /* of the index below its root */
	struct check_dx_block *dx; /* by lblk */
	u32 dx_room;
	struct check_names names;
};
#define CHECK_HASH_UNKNOWN 0xff

/* check_dirents.c: a chain of entries that fills `bytes`, inside block pblk (0: in the inode). block: what an
 * index remembers of it, or NULL. */
void check_dirents(struct check_dir_state *s, const u8 *data, u32 bytes, u64 pblk,
		   struct check_dx_block *block);
/* Counts a name that leads to an inode; of a directory it notes who holds the name. */
void check_dir_count_link(struct check_dir_state *s, u32 ino, bool is_name);

/* check_htree.c: the directory's index, from the first block to the last. Returns whether the block is part
 * of the index itself, where there are no names to look at. */
bool check_htree_block(struct check_dir_state *s, u32 lblk, u64 pblk, const u8 *data);
int check_htree_begin(struct check_dir_state *s) __must_check;
void check_htree_name(struct check_dir_state *s, struct check_dx_block *block,
		      const struct ext4_dir_entry_2 *de);
void check_htree_end(struct check_dir_state *s);

/* check_inline_dir.c: a directory that lies in its inode. */
int check_inline_dir(struct check_dir_state *s) __must_check;

#endif
