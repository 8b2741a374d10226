// The path walk as other parts of vfs use it: walks that end in references (open, chdir), and one that ends
// lock-free (stat and its kin).
//
// A lock-free ending runs inside the RCU read section with nothing referenced: it copies what it needs, then
// the walk checks its sequence counts; when they changed, what was copied is thrown away and the walk is done
// again.
#pragma once

#include "vfs/dcache.h"
#include "vfs/vfs.h"

// What build_open_flags() makes of the caller's flags.
struct open_flags {
	int open_flag;         // O_*, cleaned
	mode_t mode;           // with S_IFREG for O_CREAT
	int acc_mode;          // MAY_*
	unsigned intent;       // LOOKUP_OPEN, LOOKUP_CREATE, LOOKUP_EXCL
	unsigned lookup_flags; // LOOKUP_FOLLOW, LOOKUP_DIRECTORY and scopes
};
#define LOOKUP_OPEN   0x100u
#define LOOKUP_CREATE 0x200u
#define LOOKUP_EXCL   0x400u

struct open_path {
	struct path path;    // referenced; path_put(), or given on to the file
	struct inode *inode; // of path.dentry
	bool created;        // it did not exist before: may_open() must not look at its mode
};

// The name part of open: walks, makes the file when O_CREAT asks for it, and checks what belongs to names
// (O_EXCL, O_DIRECTORY, EISDIR for O_CREAT, protected_regular and protected_fifos). A trailing symlink that
// O_NOFOLLOW kept is the result: it is may_open() that says ELOOP.
int open_path_lookup(int dfd, const char *name, const struct open_flags *op,
		     struct open_path *out) __must_check;

// What is done at the end of a walk. rcu: nothing is referenced, it must not sleep and may return -ECHILD to
// be called again with a referenced path. It may be called several times: only the last call counts.
typedef int (*walk_end_fn)(const struct path *path, struct inode *inode, bool rcu, void *arg);

// Walks to `name` from `dfd` (AT_FDCWD, a descriptor) and calls `end`; returns its result or the walk's
// error.
int lookup_then(int dfd, const char *name, unsigned lookup_flags, walk_end_fn end, void *arg) __must_check;

// From the given place instead of a descriptor; `root` is a root that the walk does not leave. *out is
// referenced.
int vfs_path_lookup(const struct path *root, const char *name, unsigned lookup_flags,
		    struct path *out) __must_check;

// One name inside a directory, through the cache and the file system; permission is checked. *out is
// referenced and may be negative. i_rwsem of the directory is not held.
int lookup_one_unlocked(struct dentry *base, const char *name, size_t len, struct dentry **out) __must_check;

// The inode of `inode`'s symlink as text, for readlink: copies at most size bytes, without NUL; the number
// copied.
int vfs_readlink(struct dentry *dentry, struct inode *inode, char *buf, size_t size);

// Changes of names with their checks, for the system calls and for who makes trees of his own (devtmpfs). The
// directory's i_rwsem is held exclusive; `dentry` is negative (make) or positive (remove).
int vfs_create(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
	       bool excl);
int vfs_mkdir(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode);
int vfs_mknod(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
	      dev_t dev);
int vfs_symlink(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, const char *target);
int vfs_link(struct dentry *old, const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry);
int vfs_unlink(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry);
// lock_rename() of the directories is held; *trap of it is neither.
int vfs_rename(const struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old_dentry,
	       struct inode *new_dir, struct dentry *new_dentry, unsigned flags);
int vfs_rmdir(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry);
