// Dirty inodes of a super block and writing them, for files of src/vfs.
#pragma once

#include "cache/writeback.h"
#include "vfs/super.h"

void fs_writeback_init(struct shale *machine);
// Writes dirty inodes, pages first. WB_SYNC_NONE: up to *nr_pages, which counts down, without waiting;
// WB_SYNC_ALL: all that are dirty now, and waits. The first error of writing an inode; those of data are
// noted in s_wb_err.
int writeback_inodes_sb(struct super_block *sb, enum writeback_sync_modes mode, long *nr_pages);
void inode_io_list_del(struct inode *inode); // it is being freed
// i_lock held, nobody uses it: if its pages were all written by others (fsync), it is dirty no more, and may
// be shrunk away.
void inode_forget_clean(struct inode *inode);
// A write failed and nobody may ever ask: remembered for the end of the machine. 0: nothing.
void note_lost_write(struct shale *machine, int err);
