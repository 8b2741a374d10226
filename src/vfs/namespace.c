// The mount tree of a namespace: attaching, copying, taking apart.
//
// namespace_sem, exclusive, serialises changes of all trees of the machine; mount_lock, a seqlock inside it,
// lets the lock-free walk see them whole. A dentry with something mounted on it has DCACHE_MOUNTED and a
// struct mountpoint in a table (mount_lock), which holds the dentry. A mount in a tree has one reference for
// that; the mountpoint's dentry is referenced by the mount (through mnt_mp).
//
// Mounts that leave a tree lose their namespace under mount_lock; the references of the tree are put after a
// grace period.

#include "vfs/mount_internal.h"
#include "vfs/super_internal.h"

#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/fs.h"
#include "vfs/fs_context.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <sys/mount.h>

struct mnt_namespace *current_ns(void)
{
	struct task *task = current->task;

	return task && task->ns ? task->ns : current->machine->vfs->mounts.init_ns;
}

// Mountpoints. namespace_sem held exclusive; the table and m_count change under mount_lock.

static struct hlist_head *mp_bucket(struct mount_machine *mm, const struct dentry *dentry)
{
	return &mm->mountpoints[((uintptr_t)dentry / 64 * GOLDEN_RATIO_64) >> mm->hash_shift];
}

static struct mountpoint *find_mountpoint(struct mount_machine *mm, const struct dentry *dentry)
{
	struct mountpoint *mp;

	hlist_for_each_entry (mp, mp_bucket(mm, dentry), m_hash)
		if (mp->m_dentry == dentry)
			return mp;
	return NULL;
}

// Nothing may be mounted on a name that is gone.
static int d_set_mounted(struct dentry *dentry)
{
	int err = -ENOENT;

	spin_lock(&dentry->d_lock);
	if (!(READ_ONCE(dentry->d_flags) & DCACHE_CANT_MOUNT) && (IS_ROOT(dentry) || !d_unhashed(dentry))) {
		d_flags_set(dentry, DCACHE_MOUNTED);
		err = 0;
	}
	spin_unlock(&dentry->d_lock);
	return err;
}

static int get_mountpoint(struct mount_machine *mm, struct dentry *dentry, struct mountpoint **out)
{
	struct mountpoint *mp = find_mountpoint(mm, dentry);
	int err;

	if (!mp) {
		mp = kzalloc(dentry->d_sb->s_machine, sizeof(*mp));
		if (!mp)
			return -ENOMEM;
		err = d_set_mounted(dentry);
		if (err) {
			kfree(mp);
			return err;
		}
		mp->m_dentry = dget(dentry);
		lock_mount_tree(mm);
		hlist_add_head(&mp->m_hash, mp_bucket(mm, dentry));
		unlock_mount_tree(mm);
	}
	mp->m_count++;
	*out = mp;
	return 0;
}

// mount_lock held. Returns the dentry to put when the mountpoint is gone.
static struct dentry *__put_mountpoint(struct mountpoint *mp)
{
	struct dentry *dentry = mp->m_dentry;

	if (--mp->m_count)
		return NULL;
	spin_lock(&dentry->d_lock);
	d_flags_clear(dentry, DCACHE_MOUNTED);
	spin_unlock(&dentry->d_lock);
	hlist_del(&mp->m_hash);
	kfree(mp);
	return dentry;
}

int lock_mount(struct path *path, struct mountpoint **out) __no_lock_analysis
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct vfsmount *top;
	int err;

	for (;;) {
		inode_lock(d_inode(path->dentry));
		if (READ_ONCE(path->dentry->d_flags) & DCACHE_CANT_MOUNT) {
			err = -ENOENT;
			break;
		}
		down_write(&mm->namespace_sem);
		top = lookup_mnt(path);
		if (!top) {
			err = get_mountpoint(mm, path->dentry, out);
			if (!err)
				return 0;
			up_write(&mm->namespace_sem);
			break;
		}
		up_write(&mm->namespace_sem);
		inode_unlock(d_inode(path->dentry));
		path_put(path);
		path->mnt = top;
		path->dentry = dget(top->mnt_root);
	}
	inode_unlock(d_inode(path->dentry));
	return err;
}

void unlock_mount(struct mount_machine *mm, struct mountpoint *mp, struct dentry *dentry) __no_lock_analysis
{
	struct dentry *gone;

	lock_mount_tree(mm);
	gone = __put_mountpoint(mp);
	unlock_mount_tree(mm);
	up_write(&mm->namespace_sem);
	inode_unlock(d_inode(dentry));
	dput(gone);
}

// Trees. The next mount after p in the tree below root, parents first.
static struct mount *next_mnt(struct mount *p, struct mount *root)
{
	if (!list_empty(&p->mnt_mounts))
		return list_first_entry(&p->mnt_mounts, struct mount, mnt_child);
	while (p != root && list_is_last(&p->mnt_child, &p->mnt_parent->mnt_mounts))
		p = p->mnt_parent;
	return p == root ? NULL : list_next_entry(p, mnt_child);
}

// mount_lock held: hangs mnt at its place, which it must have been given (mnt_parent, mnt_mountpoint,
// mnt_mp).
static void hash_mount(struct mount_machine *mm, struct mount *mnt)
{
	hlist_add_head_rcu(&mnt->mnt_hash, m_bucket(mm, &mnt->mnt_parent->mnt, mnt->mnt_mountpoint));
	list_add_tail(&mnt->mnt_child, &mnt->mnt_parent->mnt_mounts);
}

static void mnt_set_mountpoint(struct mount *mnt, struct mount *parent, struct mountpoint *mp)
{
	mnt_add_count(parent, 1);
	mp->m_count++;
	mnt->mnt_mp = mp;
	WRITE_ONCE(mnt->mnt_mountpoint, mp->m_dentry);
	WRITE_ONCE(mnt->mnt_parent, parent);
}

// The last that next_mnt() would give below p.
static struct mount *last_mnt(struct mount *p)
{
	while (!list_empty(&p->mnt_mounts))
		p = list_last_entry(&p->mnt_mounts, struct mount, mnt_child);
	return p;
}

static unsigned count_mounts(struct mount *tree)
{
	unsigned n = 0;

	for (struct mount *p = tree; p; p = next_mnt(p, tree))
		n++;
	return n;
}

// Attaches a tree at a locked place. Errors: ENOTDIR, ENOSPC (too many mounts).
int graft_tree(struct mount *tree, struct mount *parent, struct mountpoint *mp)
{
	struct mount_machine *mm = mounts_of(&tree->mnt);
	struct mnt_namespace *ns = parent->mnt_ns;
	unsigned n = count_mounts(tree);

	if (d_is_dir(mp->m_dentry) != d_is_dir(tree->mnt.mnt_root))
		return -ENOTDIR;
	if (n > mm->mount_max || ns->nr_mounts > mm->mount_max - n)
		return -ENOSPC;
	lock_mount_tree(mm);
	mnt_set_mountpoint(tree, parent, mp);
	hash_mount(mm, tree);
	for (struct mount *p = tree; p; p = next_mnt(p, tree)) {
		list_add_tail(&p->mnt_list, &ns->list);
		smp_store_release(&p->mnt_ns, ns);
	}
	ns->nr_mounts += n;
	unlock_mount_tree(mm);
	return 0;
}

// mount_lock held: parts one mount from its parent. What that frees is put by put_gone().
static void disconnect_mount(struct mount *mnt)
{
	if (!mnt_has_parent(mnt))
		return;
	mnt->mnt_gone_parent = mnt->mnt_parent;
	mnt->mnt_gone_mountpoint = __put_mountpoint(mnt->mnt_mp);
	mnt->mnt_mp = NULL;
	hlist_del_init_rcu(&mnt->mnt_hash);
	list_del_init(&mnt->mnt_child);
	WRITE_ONCE(mnt->mnt_parent, mnt);
	WRITE_ONCE(mnt->mnt_mountpoint, mnt->mnt.mnt_root);
}

// Takes a whole tree out of its namespace and apart. sync: nobody uses it. The references are collected in
// `gone` (leaves first) for put_gone(). namespace_sem and mount_lock held exclusive.
static void umount_tree(struct mount *tree, bool sync, struct list_head *gone)
{
	struct mount *p;

	for (p = tree; p; p = next_mnt(p, tree)) {
		if (p->mnt_ns) {
			list_del_init(&p->mnt_list);
			p->mnt_ns->nr_mounts--;
		}
		list_add(&p->mnt_list, gone);
		__atomic_fetch_or(&p->mnt_state, MNT_UMOUNTED | (sync ? MNT_SYNC_UMOUNT : 0),
				  __ATOMIC_RELAXED);
		smp_store_release(&p->mnt_ns, NULL);
	}
	list_for_each_entry (p, gone, mnt_list)
		disconnect_mount(p);
}

// After umount_tree(), with no lock held: puts what the tree held, when no lock-free walk can stand on it any
// more.
static void put_gone(struct shale *machine, struct list_head *gone)
{
	if (list_empty(gone))
		return;
	synchronize_rcu(machine);
	while (!list_empty(gone)) {
		struct mount *mnt = list_first_entry(gone, struct mount, mnt_list);

		list_del_init(&mnt->mnt_list);
		dput(mnt->mnt_gone_mountpoint);
		if (mnt->mnt_gone_parent)
			mntput(&mnt->mnt_gone_parent->mnt);
		mntput(&mnt->mnt);
	}
}

// Ends a tree that was never attached.
void discard_tree(struct mount *tree)
{
	struct mount_machine *mm = mounts_of(&tree->mnt);
	struct shale *machine = tree->mnt.mnt_sb->s_machine;
	LIST_HEAD(gone);

	down_write(&mm->namespace_sem);
	lock_mount_tree(mm);
	umount_tree(tree, false, &gone);
	unlock_mount_tree(mm);
	up_write(&mm->namespace_sem);
	put_gone(machine, &gone);
}

static int clone_mnt(struct mount *old, struct dentry *root, struct mount **out)
{
	return vfs_create_mount(root, old->mnt_devname, old->mnt.mnt_flags, out);
}

// Hangs a copy into a copied tree that nobody sees yet.
static int attach_copy(struct mount *copy, struct mount *parent, struct dentry *mountpoint)
{
	struct mount_machine *mm = mounts_of(&copy->mnt);
	struct mountpoint *mp;
	int err = get_mountpoint(mm, mountpoint, &mp);

	if (err)
		return err;
	lock_mount_tree(mm);
	mnt_set_mountpoint(copy, parent, mp);
	hash_mount(mm, copy);
	mp->m_count--; // mnt_set_mountpoint has counted
	unlock_mount_tree(mm);
	return 0;
}

// The copy of `old`'s parent in the tree that is being copied: both trees are walked in the same order.
static struct mount *copy_parent(struct mount *old, struct mount *prev_old, struct mount *prev_copy)
{
	while (prev_old != old->mnt_parent) {
		prev_old = prev_old->mnt_parent;
		prev_copy = prev_copy->mnt_parent;
	}
	return prev_copy;
}

// A copy of the mount with `root` as its root and, with recurse, of what is mounted below it. namespace_sem
// exclusive. The caller discards the tree outside of it when it is not attached.
int copy_tree(struct mount *mnt, struct dentry *root, bool recurse, struct mount **out)
{
	struct mount *copy, *p, *prev_old = mnt, *prev_copy, *child;
	int err = clone_mnt(mnt, root, &copy);

	if (err)
		return err;
	*out = copy;
	prev_copy = copy;
	for (p = recurse ? next_mnt(mnt, mnt) : NULL; p; p = next_mnt(p, mnt)) {
		// Only what is mounted below the new root.
		if (p->mnt_parent == mnt && !is_subdir(p->mnt_mountpoint, root)) {
			p = last_mnt(p);
			continue;
		}
		err = clone_mnt(p, p->mnt.mnt_root, &child);
		if (err)
			return err;
		err = attach_copy(child, copy_parent(p, prev_old, prev_copy), p->mnt_mountpoint);
		if (err) {
			mntput(&child->mnt);
			return err;
		}
		prev_old = p;
		prev_copy = child;
	}
	return 0;
}

// Namespaces.

static int alloc_mnt_ns(struct shale *machine, struct mnt_namespace **out)
{
	struct mnt_namespace *ns = kzalloc(machine, sizeof(*ns));

	if (!ns)
		return -ENOMEM;
	ns->machine = machine;
	refcount_set(&ns->count, 1);
	INIT_LIST_HEAD(&ns->list);
	*out = ns;
	return 0;
}

// Gives a tree that has none the namespace; the tree's reference passes to it.
static void ns_adopt_tree(struct mnt_namespace *ns, struct mount *tree)
{
	struct mount_machine *mm = &ns->machine->vfs->mounts;

	lock_mount_tree(mm);
	ns->root = tree;
	for (struct mount *p = tree; p; p = next_mnt(p, tree)) {
		list_add_tail(&p->mnt_list, &ns->list);
		smp_store_release(&p->mnt_ns, ns);
		ns->nr_mounts++;
	}
	unlock_mount_tree(mm);
}

// Moves a path to the same place in the copy.
static void path_to_copy(struct path *path, struct mount *old_root, struct mount *copy_root)
{
	struct mount *p, *q;

	for (p = old_root, q = copy_root; p && q; p = next_mnt(p, old_root), q = next_mnt(q, copy_root)) {
		if (path->mnt != &p->mnt)
			continue;
		mntget(&q->mnt);
		mntput(path->mnt);
		path->mnt = &q->mnt;
		return;
	}
}

int copy_mnt_ns(struct mnt_namespace *ns, struct fs_struct *fs, struct mnt_namespace **out)
{
	struct shale *machine = ns->machine;
	struct mount_machine *mm = &machine->vfs->mounts;
	struct mnt_namespace *copy;
	struct mount *tree = NULL;
	struct path root, pwd;
	int err = alloc_mnt_ns(machine, &copy);

	if (err)
		return err;
	down_write(&mm->namespace_sem);
	err = copy_tree(ns->root, ns->root->mnt.mnt_root, true, &tree);
	if (err) {
		up_write(&mm->namespace_sem);
		if (tree)
			discard_tree(tree);
		kfree(copy);
		return err;
	}
	ns_adopt_tree(copy, tree);
	if (fs) {
		get_fs_root(fs, &root);
		get_fs_pwd(fs, &pwd);
		path_to_copy(&root, ns->root, tree);
		path_to_copy(&pwd, ns->root, tree);
	}
	up_write(&mm->namespace_sem);
	if (fs) {
		set_fs_root(fs, &root);
		set_fs_pwd(fs, &pwd);
		path_put(&root);
		path_put(&pwd);
	}
	*out = copy;
	return 0;
}

struct mnt_namespace *get_mnt_ns(struct mnt_namespace *ns)
{
	refcount_inc(&ns->count);
	return ns;
}

void put_mnt_ns(struct mnt_namespace *ns)
{
	struct mount_machine *mm;
	LIST_HEAD(gone);

	if (!ns || !refcount_dec_and_test(&ns->count))
		return;
	mm = &ns->machine->vfs->mounts;
	down_write(&mm->namespace_sem);
	lock_mount_tree(mm);
	umount_tree(ns->root, false, &gone);
	unlock_mount_tree(mm);
	up_write(&mm->namespace_sem);
	put_gone(ns->machine, &gone);
	kfree(ns);
}

struct mnt_namespace *init_mnt_ns(struct shale *machine)
{
	return machine->vfs->mounts.init_ns;
}

void mnt_ns_root(struct mnt_namespace *ns, struct path *out)
{
	struct vfsmount *top;

	out->mnt = mntget(&ns->root->mnt);
	out->dentry = dget(out->mnt->mnt_root);
	while ((top = lookup_mnt(out))) {
		path_put(out);
		out->mnt = top;
		out->dentry = dget(top->mnt_root);
	}
}

int kern_mount(struct shale *machine, const struct file_system_type *type, struct vfsmount **out)
{
	struct fs_context *fc;
	struct mount *mnt;
	int err = fs_context_for_mount(machine, type, 0, &fc);

	if (err)
		return err;
	err = vfs_get_tree(fc);
	if (!err)
		err = vfs_create_mount(fc->root, type->name, 0, &mnt);
	put_fs_context(fc);
	if (!err)
		*out = &mnt->mnt;
	return err;
}

int vfs_mount_root(struct shale *machine)
{
	struct vfs_machine *vfs = machine->vfs;
	const struct file_system_type *type = get_fs_type(machine, "ramfs");
	struct vfsmount *rootfs;
	struct mnt_namespace *ns;
	struct path root;
	int err;

	if (!type)
		return -ENODEV;
	err = kern_mount(machine, type, &rootfs);
	if (err)
		return err;
	err = alloc_mnt_ns(machine, &ns);
	if (err) {
		mntput(rootfs);
		return err;
	}
	ns_adopt_tree(ns, real_mount(rootfs));
	vfs->mounts.init_ns = ns;
	root = vfs->init_root = (struct path){.mnt = rootfs, .dentry = rootfs->mnt_root};
	set_fs_root(vfs->init_fs, &root);
	set_fs_pwd(vfs->init_fs, &root);
	return 0;
}

void vfs_umount_all(struct shale *machine)
{
	struct vfs_machine *vfs = machine->vfs;
	const struct path none = {0};

	set_fs_root(vfs->init_fs, &none);
	set_fs_pwd(vfs->init_fs, &none);
	supers_thaw_all(machine);
	put_mnt_ns(vfs->mounts.init_ns);
	vfs->mounts.init_ns = NULL;
	rcu_barrier(machine);
}

// Unmounting.

// mount_lock held exclusive. In use besides by the tree and by the caller's path?
static bool mount_busy(struct mount *mnt)
{
	return !list_empty(&mnt->mnt_mounts) || mnt_get_count(mnt) > 2;
}

// Unmounts what is mounted there; the caller holds one reference. MNT_DETACH: also when it is in use.
int do_umount_mnt(struct mount *mnt, int flags)
{
	struct shale *machine = mnt->mnt.mnt_sb->s_machine;
	struct mount_machine *mm = &machine->vfs->mounts;
	int err = -EBUSY;
	LIST_HEAD(gone);

	down_write(&mm->namespace_sem);
	lock_mount_tree(mm);
	if (!check_mnt(mnt) || !mnt_has_parent(mnt)) {
		err = -EINVAL;
	} else if (flags & MNT_DETACH) {
		umount_tree(mnt, false, &gone);
		err = 0;
	} else if (!mount_busy(mnt)) {
		umount_tree(mnt, true, &gone);
		err = 0;
	}
	unlock_mount_tree(mm);
	up_write(&mm->namespace_sem);
	put_gone(machine, &gone);
	return err;
}
