// Changes of attributes: what is to change, the rules, and the steps that file systems' setattr is made of.
//
// An iattr belongs to who asks for the change; vfs completes it (times, what set-id bits become) and hands it
// to i_op->setattr, all under the inode's i_rwsem held exclusive.
#pragma once

#include "vfs/types.h"

#define ATTR_MODE      (1u << 0)
#define ATTR_UID       (1u << 1)
#define ATTR_GID       (1u << 2)
#define ATTR_SIZE      (1u << 3)
#define ATTR_ATIME     (1u << 4)
#define ATTR_MTIME     (1u << 5)
#define ATTR_CTIME     (1u << 6)
#define ATTR_ATIME_SET (1u << 7) // to ia_atime, not to now
#define ATTR_MTIME_SET (1u << 8)
#define ATTR_FORCE     (1u << 9) // no question whether the task may: it follows from what it did
#define ATTR_KILL_SUID (1u << 11)
#define ATTR_KILL_SGID (1u << 12)
#define ATTR_FILE      (1u << 13) // ia_file is what it is done through
#define ATTR_KILL_PRIV (1u << 14) // the file's capabilities go
#define ATTR_OPEN      (1u << 15) // by open(O_TRUNC)
#define ATTR_TIMES_SET (1u << 16) // times were named, be it only in part
#define ATTR_TOUCH     (1u << 17) // all times to now: who may write may do it

struct iattr {
	u32 ia_valid;
	mode_t ia_mode;
	uid_t ia_uid;
	gid_t ia_gid;
	u64 ia_size;
	struct timespec ia_atime, ia_mtime, ia_ctime;
	struct file *ia_file;
};

// Asks and does: i_rwsem is held exclusive, and a right to write.
int notify_change(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr) __must_check;
// For i_op->setattr. May it be? Takes the file's capabilities away where they have to go.
int setattr_prepare(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr) __must_check;
// Owner, mode and times into the inode; the size is the file system's.
void setattr_copy(const struct mnt_idmap *idmap, struct inode *inode, const struct iattr *attr);
// What a change of owner takes away besides, of ATTR_KILL_*.
u32 setattr_chown_kills(const struct inode *inode);
int inode_newsize_ok(const struct inode *inode, u64 size) __must_check;
// Sets the size of a file from outside a write. time_attrs: ATTR_MTIME | ATTR_CTIME, or 0; file: may be NULL.
int do_truncate(const struct mnt_idmap *idmap, struct dentry *dentry, u64 size, u32 time_attrs,
		struct file *file) __must_check;
// ATTR_KILL_* that a change of content asks for; 0: none. negative errno.
int dentry_needs_remove_privs(struct dentry *dentry) __must_check;
