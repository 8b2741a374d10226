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

/* A directory while its names change. */
struct fc_dir {
	struct inode *inode;   /* as it was; a new one before its first name */
	struct fc_array names; /* which block holds which name: fast_commit_dirs.c */
	u32 nr_names;
	struct fc_array index; /* of u32: blocks of the index, lblk */
	u32 cursor, rescans;   /* no room is known of before the cursor */
	bool indexed;
	/* Where entries lie in the inode, if they do: bytes from its start. */
	struct fc_part {
		u32 at, bytes;
	} parts[2];
};

/* An inode that is changed. */
struct fc_inode {
	u32 ino;
	struct ext4_inode *raw; /* in the copy of its block of the table */
	bool was_used, was_dir;
	bool deleted;            /* its last name went */
	bool changed;            /* the list is no longer what the tree or map says */
	bool cut;                /* the tree says what the list says, though it was changed */
	struct fc_array extents; /* of struct fc_extent, in order */
	struct fc_array tree;    /* of u64: blocks of the tree or map */
	u64 value_clusters;      /* that i_blocks counts for attributes in other inodes */
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
/* Tells of an inode that is named as no honest volume does, and returns -EFSCORRUPTED. */
int fc_corrupted(struct fc *fc, const char *what, u32 ino);
/* The inode, which must be one that a name may lead to, as it is now. -EFSCORRUPTED. */
int fc_inode_get(struct fc *fc, u32 ino, struct fc_inode **out) __must_check;
u64 fc_inode_size(const struct fc_inode *fi);
void fc_inode_set_size(struct fc_inode *fi, u64 size);
u32 fc_inode_links(const struct fc_inode *fi);
u64 fc_inode_acl(const struct fc_inode *fi); /* pblk of its block of attributes, 0: none */
bool fc_has_extents(const struct fc_inode *fi);
/* Has it a tree of extents or a block map? Else its content lies in the inode, or it has none. */
bool fc_has_map(const struct fc_inode *fi);
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
/* In place of what was there. -EFSCORRUPTED: it cannot lie there. */
int fc_extents_add(struct fc *fc, struct fc_inode *fi, struct fc_extent ex) __must_check;
/* The block at lblk, 0: none. */
u64 fc_extents_find(const struct fc_inode *fi, u32 lblk);
/* Frees what is to be free, then marks what the lists name. */
int fc_ranges_mark(struct fc *fc) __must_check;
int fc_inode_truncate(struct fc *fc, struct fc_inode *fi) __must_check; /* everything */
int fc_freed(struct fc *fc, u64 start, u32 count) __must_check;         /* for fc_ranges_mark */
void fc_inode_set_blocks(const struct fc *fc, struct fc_inode *fi);     /* counts them anew */

/* fast_commit_trees.c */
void fc_extents_none(struct fc_inode *fi); /* an empty tree, at once */
/* Writes the list into the inode and blocks of the tree or map. */
int fc_extents_write(struct fc *fc, struct fc_inode *fi) __must_check;
/* Takes away what lies from block `end` on. */
int fc_inode_cut(struct fc *fc, struct fc_inode *fi, u32 end) __must_check;

/* fast_commit_dirs.c */
int fc_dir_add(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len,
	       const struct fc_inode *inode) __must_check;
int fc_dir_remove(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len, u32 ino) __must_check;
/* Puts a name that is not there into a directory of blocks; fc_dir_add() was called for it before. */
int fc_dir_insert(struct fc *fc, struct fc_inode *dir, u32 ino, unsigned type, const char *name,
		  unsigned len) __must_check;
/* Gives a directory its first block; fc_dir_make: one that is new, if it is to have one. */
int fc_dir_begin(struct fc *fc, struct fc_inode *dir, u32 parent) __must_check;
int fc_dir_make(struct fc *fc, struct fc_inode *dir, u32 parent) __must_check;
void fc_dir_free(struct fc_inode *dir);
unsigned fc_file_type(const struct ext4_sb_info *sbi, u16 mode);
/* Verified entries in data[0, end). Puts one in if there is room. */
bool fc_entries_insert(const struct fc *fc, void *data, u32 end, u32 ino, unsigned type, const char *name,
		       unsigned len);
/* The entry with this name, and the one before it; NULL: none. */
struct ext4_dir_entry_2 *fc_entries_find(const struct fc *fc, void *data, u32 end, const char *name,
					 unsigned len, struct ext4_dir_entry_2 **before);
void fc_set_rec_len(const struct fc *fc, struct ext4_dir_entry_2 *de, u32 len);

/* fast_commit_inline.c: what lies in its inode, directories above all. */
bool fc_is_inline(const struct fc_inode *fi);
/* Its content no longer lies in it: it has an empty tree or map. */
void fc_inode_leave(const struct fc *fc, struct fc_inode *fi);
int fc_inline_load(struct fc_inode *dir) __must_check; /* its verified inode is there */
struct ext4_dir_entry_2 *fc_inline_find(const struct fc *fc, const struct fc_inode *dir, const char *name,
					unsigned len, struct ext4_dir_entry_2 **before);
int fc_inline_add(struct fc *fc, struct fc_inode *dir, u32 ino, unsigned type, const char *name,
		  unsigned len) __must_check; /* -ENOSPC */
/* Makes it a directory of one block. */
int fc_inline_leave(struct fc *fc, struct fc_inode *dir) __must_check;

#endif
