// Super blocks for the other caches of vfs: walking over them under memory pressure.
#pragma once

#include "vfs/fs_writeback.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

// How many unused dentries (or inodes) all super blocks hold; and freeing up to nr of them, spread evenly.
// Super blocks that are being mounted or killed are passed over.
unsigned long supers_count_unused(struct shale *machine, bool dentries);
unsigned long supers_prune(struct shale *machine, bool dentries, unsigned long nr);
unsigned long prune_icache_sb(struct super_block *sb, unsigned long nr);

extern const struct super_operations default_super_operations;
// namespace.c: holds off writers of all mounts of sb for a remount to read-only, -EBUSY when some are inside;
// the end of that in either case.
int sb_prepare_remount_readonly(struct super_block *sb) __must_check;
void sb_abort_remount_readonly(struct super_block *sb);
void sb_writers_init(struct super_block *sb); // super_freeze.c
void supers_thaw_all(struct shale *machine);
