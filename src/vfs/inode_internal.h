// What the files of the inode cache share.
#pragma once

#include "vfs/fs_writeback.h"
#include "vfs/inode.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

extern const struct inode_operations empty_inode_operations;
extern const struct file_operations no_open_fops; // open: -ENXIO
extern const struct address_space_operations empty_aops;

void evict(struct inode *inode);
// i_lock held.
void inode_lru_add(struct inode *inode);
void inode_lru_del(struct inode *inode);
void icache_shrinker_register(struct shale *machine);
void posix_acl_cache_forget(struct inode *inode); // at its end
