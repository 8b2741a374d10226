// Mounts as the rest of vfs sees them.
#pragma once

#include "vfs/types.h"

#define MNT_NOSUID	 0x01u
#define MNT_NODEV	 0x02u
#define MNT_NOEXEC	 0x04u
#define MNT_NOATIME	 0x08u
#define MNT_NODIRATIME	 0x10u
#define MNT_RELATIME	 0x20u
#define MNT_READONLY	 0x40u
#define MNT_NOSYMFOLLOW	 0x80u

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	_Atomic u32 mnt_flags;
	const struct mnt_idmap *mnt_idmap;
};

struct vfsmount *mntget(struct vfsmount *mnt);
void mntput(struct vfsmount *mnt);
static inline const struct mnt_idmap *mnt_idmap(const struct vfsmount *mnt) { return mnt->mnt_idmap; }
static inline u32 mnt_flags(const struct vfsmount *mnt)
{
	return atomic_load_explicit(&mnt->mnt_flags, memory_order_relaxed);
}
int mnt_want_write(struct vfsmount *mnt) __must_check; // -EROFS
void mnt_drop_write(struct vfsmount *mnt);
u64 mnt_unique_id(const struct vfsmount *mnt);

struct mnt_namespace;
struct fs_struct;
// A copy of the namespace; fs's root and cwd are moved into the copy.
int copy_mnt_ns(struct mnt_namespace *ns, struct fs_struct *fs, struct mnt_namespace **out) __must_check;
struct mnt_namespace *get_mnt_ns(struct mnt_namespace *ns);
void put_mnt_ns(struct mnt_namespace *ns);
struct mnt_namespace *init_mnt_ns(struct shale *machine);     // not referenced
void mnt_ns_root(struct mnt_namespace *ns, struct path *out); // referenced
