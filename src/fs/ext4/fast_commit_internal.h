/* SPDX-License-Identifier: MIT */
/*
 * Replay of fast commits: what its files share. The volume is changed in memory only, in copies of blocks
 * that the remap holds, before anybody reads it: one thread, no locks. Everything here lives as long as
 * ext4_fc_replay() runs.
 */
#ifndef SHALE_FS_EXT4_FAST_COMMIT_INTERNAL_H
#define SHALE_FS_EXT4_FAST_COMMIT_INTERNAL_H

#include "base/siphash.h"
#include "base/xarray.h"
#include "fs/ext4/ext4_internal.h"

struct fc_extent {
	u64 pblk;
	u32 lblk, len;
	bool unwritten;
	bool fresh; /* its blocks are not yet marked as used */
};

struct fc_run {
	u64 start;
	u32 count;
};

/* An array that grows; what it takes is charged to `fc`. */
struct fc_array {
	void *items;
	u32 count, room;
};

struct fc_dir;

/* An inode that is changed. */
struct fc_inode {
	u32 ino;
	struct ext4_inode *raw; /* in the copy of its block of the table */
	bool was_used, was_dir;
	bool deleted;            /* its last name went */
	bool changed;            /* the list is no longer what the tree says */
	struct fc_array extents; /* of struct fc_extent, in order */
	struct fc_array tree;    /* of u64: blocks of the tree */
	struct fc_dir *dir;      /* its names, when some change */
};

struct fc {
	struct super_block *sb;
	struct ext4_sb_info *sbi;
	struct xarray inodes;  /* ino → struct fc_inode */
	struct xarray groups;  /* group → anything: its bitmaps or counts have changed */
	struct fc_array freed; /* of struct fc_run: to be marked as free */
	size_t charged;
	u64 spent;       /* bytes looked at and moved */
	u32 alloc_group; /* where the last free block was found */
	siphash_key_t key;
};

/* fast_commit.c */
int fc_array_reserve(struct fc *fc, struct fc_array *a, size_t size) __must_check; /* room for one more */
void fc_array_free(struct fc_array *a);
int fc_charge(struct fc *fc, size_t bytes) __must_check;
/* Bounds the time: so many bytes were looked at or moved. -EFSCORRUPTED: no honest volume needs that much. */
int fc_spend(struct fc *fc, u64 bytes) __must_check;
/* The inode, which must be one that a name may lead to, as it is now. -EFSCORRUPTED. */
int fc_inode_get(struct fc *fc, u32 ino, struct fc_inode **out) __must_check;
u64 fc_inode_size(const struct fc_inode *fi);
void fc_inode_set_size(struct fc_inode *fi, u64 size);
u32 fc_inode_seed(const struct fc *fc, const struct fc_inode *fi); /* of its blocks' checksums */

/* fast_commit_bitmaps.c */
int fc_blocks_mark(struct fc *fc, u64 pblk, u64 count, bool used) __must_check;
/* dirs: how many more directories there are by that, -1 to 1. */
int fc_inode_mark(struct fc *fc, u32 ino, bool used, int dirs) __must_check;
int fc_block_alloc(struct fc *fc, u64 *out) __must_check; /* the first of a cluster; -ENOSPC */
int fc_groups_seal(struct fc *fc) __must_check;

/* fast_commit_ranges.c */
int fc_extents_load(struct fc *fc, struct fc_inode *fi) __must_check; /* before anything is changed */
int fc_extents_remove(struct fc *fc, struct fc_inode *fi, u32 lblk, u64 end) __must_check;
int fc_extents_add(struct fc *fc, struct fc_inode *fi, struct fc_extent ex) __must_check;
/* The block at lblk, 0: none. */
u64 fc_extents_find(const struct fc_inode *fi, u32 lblk);
/* Frees what is to be free, then marks what the lists name. */
int fc_ranges_mark(struct fc *fc) __must_check;
void fc_extents_none(struct fc_inode *fi); /* an empty tree, at once */
/* Writes the list into the inode and blocks of the tree. */
int fc_extents_write(struct fc *fc, struct fc_inode *fi) __must_check;
int fc_inode_truncate(struct fc *fc, struct fc_inode *fi) __must_check; /* everything */

/* fast_commit_dirs.c */
int fc_dir_add(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len,
	       const struct fc_inode *inode) __must_check;
int fc_dir_remove(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len, u32 ino) __must_check;
/* Gives a new directory its first block. */
int fc_dir_make(struct fc *fc, struct fc_inode *dir, u32 parent) __must_check;
void fc_dir_free(struct fc_inode *dir);

#endif
