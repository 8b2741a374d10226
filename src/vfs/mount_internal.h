// The mount tree for the files that make it and for the path walk.
#pragma once

#include "base/counter.h"
#include "vfs/dcache_internal.h"
#include "vfs/dcache_ways.h"
#include "vfs/mount.h"
#include "vfs/task.h"
#include "vfs/vfs_internal.h"

// mnt_state
#define MNT_DOOMED      1u // the last reference is gone
#define MNT_SYNC_UMOUNT 2u // nobody used it when it was unmounted: late lock-free takers step back
#define MNT_WRITE_HOLD  4u // a change to read-only is under way: writers wait
#define MNT_EXPIRY_MARK 8u // unused since the last umount(MNT_EXPIRE)
#define MNT_UMOUNTED    16u

// A dentry on which something is mounted. Found by dentry; m_count mounts hang on it.
struct mountpoint {
	struct hlist_node m_hash;
	struct dentry *m_dentry; // referenced
	unsigned m_count;
};

// mount_lock (and namespace_sem exclusive) guards the place in the tree; the lock-free walk reads hash,
// parent, mountpoint and checks mount_lock's sequence.
struct mount {
	struct hlist_node mnt_hash;
	struct mount *mnt_parent;      // itself: not attached
	struct dentry *mnt_mountpoint; // referenced while attached
	struct vfsmount mnt;
	struct list_head mnt_mounts, mnt_child; // children; in the parent's
	struct list_head mnt_instance;          // in the super block's s_mounts
	struct list_head mnt_list;              // in the namespace's list
	struct mnt_namespace *mnt_ns;           // NULL: not in a namespace: references are counted exactly
	struct mountpoint *mnt_mp;
	u32 mnt_state;
	u64 mnt_id;
	char *mnt_devname;
	struct mount *mnt_gone_parent; // what its umount leaves to be put
	struct dentry *mnt_gone_mountpoint;
	struct rcu_head mnt_rcu;
	struct {
		s64 count, writers;
	} __aligned_cacheline pcp[SHARDS];
};

struct mnt_namespace {
	struct shale *machine;
	refcount_t count;
	struct mount *root;    // referenced
	struct list_head list; // all mounts
	unsigned nr_mounts;
};

static inline struct mount *real_mount(const struct vfsmount *mnt)
{
	return container_of(mnt, struct mount, mnt);
}
static inline struct mount_machine *mounts_of(const struct vfsmount *mnt)
{
	return &mnt->mnt_sb->s_machine->vfs->mounts;
}
// Around every change of the tree.
static inline void lock_mount_tree(struct mount_machine *mm) __acquires(mm->mount_lock) __no_lock_analysis
{
	write_seqlock(&mm->mount_lock);
}
static inline void unlock_mount_tree(struct mount_machine *mm) __releases(mm->mount_lock) __no_lock_analysis
{
	d_place_left(&container_of(mm, struct vfs_machine, mounts)->dcache);
	write_sequnlock(&mm->mount_lock);
}
static inline bool mnt_has_parent(const struct mount *mnt)
{
	return mnt->mnt_parent != mnt;
}

static __always_inline struct hlist_head *m_bucket(const struct mount_machine *mm, const struct vfsmount *mnt,
						   const struct dentry *dentry)
{
	u64 key = (uintptr_t)mnt / 64 * GOLDEN_RATIO_64 + (uintptr_t)dentry / 64;

	return &mm->hash[(key * GOLDEN_RATIO_64) >> mm->hash_shift];
}

// What is mounted at (mnt, dentry), under RCU; counts only if mount_lock's sequence is still the same.
static __always_inline struct mount *__lookup_mnt(const struct mount_machine *mm, const struct vfsmount *mnt,
						  const struct dentry *dentry)
{
	struct hlist_node *node;

	for (node = smp_load_acquire(&m_bucket(mm, mnt, dentry)->first); node;
	     node = smp_load_acquire(&node->next)) {
		struct mount *m = hlist_entry(node, struct mount, mnt_hash);

		if (&READ_ONCE(m->mnt_parent)->mnt == mnt && READ_ONCE(m->mnt_mountpoint) == dentry)
			return m;
	}
	return NULL;
}
void mntput_no_expire(struct mount *mnt);             // without taking the mark of MNT_EXPIRE away
struct vfsmount *lookup_mnt(const struct path *path); // referenced, or NULL

// Turns a mount found lock-free, when mount_lock's sequence was `seq`, into a referenced one. 0: done; 1:
// failed; -1: failed, and mntput() is due once the read section has ended.
int __legitimize_mnt(struct vfsmount *mnt, unsigned seq) __must_check;

static __always_inline void mnt_add_count(struct mount *mnt, int n)
{
	__atomic_fetch_add(&mnt->pcp[current->shard].count, n, __ATOMIC_SEQ_CST);
}
s64 mnt_get_count(struct mount *mnt); // exact only under mount_lock, out of a namespace

// Of a mounted tree's super block and root, which get references of their own.
int vfs_create_mount(struct dentry *root, const char *devname, u32 flags, struct mount **out) __must_check;
int mnt_make_readonly(struct mount *mnt); // mount_lock held; -EBUSY

// namespace.c. namespace_sem exclusive where a tree changes.
// The task's, or where no task acts, the machine's own.
static __always_inline struct fs_struct *current_fs(void)
{
	struct task *task = current->task;

	return likely(task && task->fs) ? task->fs : current->machine->vfs->init_fs;
}
struct mnt_namespace *current_ns(void);
static inline bool check_mnt(const struct mount *mnt)
{
	return mnt->mnt_ns == current_ns();
}
// Locks the place for a change: the topmost mount there (path is moved to it) and its mountpoint.
int lock_mount(struct path *path, struct mountpoint **out) __must_check;
void unlock_mount(struct mount_machine *mm, struct mountpoint *mp, struct dentry *dentry);
int graft_tree(struct mount *tree, struct mount *parent, struct mountpoint *mp) __must_check;
int copy_tree(struct mount *mnt, struct dentry *root, bool recurse, struct mount **out) __must_check;
void discard_tree(struct mount *tree); // one that was never attached
int do_umount_mnt(struct mount *mnt, int flags);
