// Directories that live in memory alone (ramfs, devtmpfs): their entries in the order of a number that each
// gets once and keeps, so that a listing goes on where it stopped whatever was made or removed meanwhile.
//
// Guarded by the directory's i_rwsem: exclusive to add and remove, shared to list.
#pragma once

#include "base/xarray.h"
#include "vfs/types.h"

struct offset_dir {
	struct xarray entries; // number → dentry (d_fsdata holds the number)
	unsigned long next;
};

void simple_offset_init(struct offset_dir *dir, struct shale *machine);
void simple_offset_destroy(struct offset_dir *dir);
int simple_offset_add(struct offset_dir *dir, struct dentry *dentry) __must_check;
void simple_offset_remove(struct offset_dir *dir, struct dentry *dentry);
// For renaming. A second number for an entry, which release gives up again, or which becomes d_fsdata once
// the first is removed; two entries that change places, each of which keeps its directory's number.
int simple_offset_reserve(struct offset_dir *dir, struct dentry *dentry, unsigned long *index) __must_check;
void simple_offset_release(struct offset_dir *dir, unsigned long index);
void simple_offset_exchange(struct offset_dir *dir1, struct dentry *dentry1, struct offset_dir *dir2,
			    struct dentry *dentry2);
bool simple_offset_empty(struct offset_dir *dir);
// The body of iterate_shared, and of llseek.
int simple_offset_readdir(struct offset_dir *dir, struct file *file, struct dir_context *ctx);

// Trees that live in memory alone: names, modes, symlinks and special files, all kept in the dentry cache and
// inodes of their own. Every name holds a reference on its dentry. For fill_super: sets operations and makes
// the root directory.
int mem_tree_fill_super(struct super_block *sb, u32 magic, mode_t root_mode) __must_check;
// Data of their files (libfs_file.c).
extern const struct address_space_operations mem_aops;
extern const struct file_operations mem_file_operations;
// For setattr, under i_rwsem exclusive: the size, and the pages that go with it.
void mem_file_set_size(struct inode *inode, u64 size);
