// File handles: a short text that finds an inode again without a name, as long as the file exists.
//
// A file system that can do that has export_operations; the handle is its inode's number and generation
// (FILEID_INO32_GEN), or those of its directory, too, where it comes from elsewhere. Whoever holds a handle
// holds no memory here. A directory that comes into the cache by its handle is given its place in the tree
// before it is used.
#pragma once

#include "vfs/types.h"

#define FILEID_INO32_GEN        1
#define FILEID_INO32_GEN_PARENT 2
#define FILEID_INVALID          0xff
#define INO32_GEN_BYTES         8u

// The errors of both are told as ESTALE, but for ENOMEM.
struct export_operations {
	// The inode with that number, if its generation is this one (0: any). *out is referenced.
	int (*get_inode)(struct super_block *sb, u32 ino, u32 generation, struct inode **out);
	// The directory that holds the directory `dir`. *out is referenced.
	int (*get_parent)(struct inode *dir, struct inode **out);
};

struct file_handle;
// *bytes: the room at `handle`, then what is needed. -EOVERFLOW: more than there was.
int exportfs_encode_fh(const struct inode *inode, void *handle, unsigned *bytes, int *type) __must_check;
// The file in the tree that `root` is a place of; *out is referenced.
int exportfs_decode_fh(const struct path *root, const void *handle, unsigned bytes, int type,
		       struct path *out) __must_check;
