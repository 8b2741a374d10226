// Words that all of vfs shares.
#pragma once

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/lockref.h"
#include "base/mutex.h"
#include "base/rcu.h"
#include "base/rwsem.h"
#include "base/seqlock.h"
#include "base/spinlock.h"
#include "base/uio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct address_space;
struct block_device;
struct cred;
struct delayed_call;
struct dentry;
struct dentry_operations;
struct dir_context;
struct fiemap_extent_info;
struct file;
struct file_lock_context;
struct file_operations;
struct file_system_type;
struct files_struct;
struct fs_context;
struct iattr;
struct inode;
struct inode_operations;
struct kiocb;
struct kstatfs;
struct mnt_idmap;
struct mnt_namespace;
struct nameidata;
struct posix_acl;
struct super_block;
struct super_operations;
struct task;
struct vfs_machine;
struct vfsmount;
struct xattr_handler;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

// What stat tells of an inode before it takes the caller's struct stat or statx form. Times with their
// nanoseconds.
struct kstat {
	u32 result_mask, blksize;
	u64 attributes, attributes_mask;
	u64 ino, size, blocks; // blocks of 512 bytes
	dev_t dev, rdev;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	u32 nlink;
	u64 mnt_id, change_cookie;
	u32 dio_mem_align, dio_offset_align;
	struct timespec atime, mtime, ctime, btime;
};

#define MAY_EXEC      0x01
#define MAY_WRITE     0x02
#define MAY_READ      0x04
#define MAY_APPEND    0x08
#define MAY_ACCESS    0x10
#define MAY_OPEN      0x20
#define MAY_CHDIR     0x40
#define MAY_NOT_BLOCK 0x80 // in the lock-free walk: -ECHILD rather than sleep
