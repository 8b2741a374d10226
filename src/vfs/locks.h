// File locks (V11): flock(2), POSIX record locks and open-file-description locks.
//
// An inode that was ever locked has a file_lock_context, which lives as long as the inode. POSIX locks belong
// to a descriptor table and go when it closes any descriptor of the file; the others belong to an open file
// and go with it.
#pragma once

#include "vfs/types.h"

struct file_lock_context;

// F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ kin; of the file behind fd.
long fcntl_lock(int fd, struct file *file, unsigned cmd, struct flock *flock);
void locks_remove_posix(struct file *file, struct files_struct *files); // a descriptor of the table is closed
void locks_remove_file(struct file *file);                              // the file goes (FMODE_LOCKED)
void locks_free_context(struct inode *inode);                           // at its end
