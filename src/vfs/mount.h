// Mounts as the rest of vfs sees them: a tree (super block and its root, or a directory of it) made visible
// at a place, with flags of its own.
//
// A reference to a mount is a count in the shard of the running thread, so that opening files of one mount
// from many threads shares no cache line. mount_internal.h holds what the mount tree itself needs.
#pragma once

#include "vfs/types.h"

#define MNT_NOSUID      0x01u
#define MNT_NODEV       0x02u
#define MNT_NOEXEC      0x04u
#define MNT_NOATIME     0x08u
#define MNT_NODIRATIME  0x10u
#define MNT_RELATIME    0x20u
#define MNT_READONLY    0x40u
#define MNT_NOSYMFOLLOW 0x80u
#define MNT_USER_FLAGS  0xffu // what mount and remount set

// One mount. mnt_flags changes under mount_lock and is read relaxed (mnt_flags()); the rest is constant.
struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	u32 mnt_flags;
	const struct mnt_idmap *mnt_idmap;
};

struct vfsmount *mntget(struct vfsmount *mnt);
void mntput(struct vfsmount *mnt);
static inline const struct mnt_idmap *mnt_idmap(const struct vfsmount *mnt)
{
	return mnt->mnt_idmap;
}
static inline u32 mnt_flags(const struct vfsmount *mnt)
{
	return READ_ONCE(mnt->mnt_flags);
}

// Begins and ends a change to the file system through this mount: waits until it is not frozen. -EROFS: the
// mount or the super block is read-only; a remount to read-only finds those that are inside busy.
int mnt_want_write(struct vfsmount *mnt) __must_check;
void mnt_drop_write(struct vfsmount *mnt);
// The latter alone: for files that are open for writing, which may be frozen.
int mnt_get_write_access(struct vfsmount *mnt) __must_check;
void mnt_put_write_access(struct vfsmount *mnt);
bool __mnt_is_readonly(const struct vfsmount *mnt);

u64 mnt_unique_id(const struct vfsmount *mnt); // what statx calls mnt_id
static inline bool path_is_mount_root(const struct path *path)
{
	return path->mnt->mnt_root == path->dentry;
}

// Namespaces: a tree of mounts with one root. Counted.
struct fs_struct;
// A copy of the tree; the root and the current directory of `fs` (may be NULL) move to the copy.
int copy_mnt_ns(struct mnt_namespace *ns, struct fs_struct *fs, struct mnt_namespace **out) __must_check;
struct mnt_namespace *get_mnt_ns(struct mnt_namespace *ns);
void put_mnt_ns(struct mnt_namespace *ns);                    // the last: all its mounts go
struct mnt_namespace *init_mnt_ns(struct shale *machine);     // not referenced
void mnt_ns_root(struct mnt_namespace *ns, struct path *out); // the topmost at its root; referenced

// The root of a mount of `type` that nobody sees by name; for the kernel's own file systems. mntput() ends
// it.
int kern_mount(struct shale *machine, const struct file_system_type *type,
	       struct vfsmount **out) __must_check;
