// The walk over mount points, down and up: what is mounted on a dentry, and "..".
//
// Lock-free, each crossing is checked against mount_lock's sequence as it was at the start. Going up, the
// parent found lock-free is good if the d_seq of the child is still the same.

#include "vfs/namei_internal.h"

#include <errno.h>

// To the top of what is mounted at path, whose d_seq is *seq. False: not to be done lock-free.
bool __follow_mount_rcu(struct mount_machine *mm, unsigned m_seq, struct path *path, unsigned *seq)
{
	struct dentry *dentry = path->dentry;
	u32 flags = READ_ONCE(dentry->d_flags);

	while (flags & DCACHE_MOUNTED) {
		struct mount *mounted = __lookup_mnt(mm, path->mnt, dentry);

		if (read_seqretry(&mm->mount_lock, m_seq))
			return false;
		if (!mounted)
			break; // somewhere else, in another namespace
		path->mnt = &mounted->mnt;
		dentry = path->dentry = mounted->mnt.mnt_root;
		*seq = read_seqcount_begin(&dentry->d_seq);
		flags = READ_ONCE(dentry->d_flags);
		if (read_seqretry(&mm->mount_lock, m_seq))
			return false;
	}
	return !(flags & (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT));
}

bool follow_mount_rcu(struct nameidata *nd, struct path *path)
{
	struct dentry *dentry = path->dentry;

	if (unlikely(nd->flags & LOOKUP_NO_XDEV) ||
	    !__follow_mount_rcu(&nd->vfs->mounts, nd->m_seq, path, &nd->next_seq))
		return false;
	if (path->dentry != dentry)
		nd->state |= ND_JUMPED;
	return true;
}

// The same with references. path->dentry is referenced, path->mnt only when it is not nd->path.mnt. -ENOENT:
// negative; -EXDEV.
int traverse_mounts(struct nameidata *nd, struct path *path)
{
	bool jumped = false, negative;

	for (;;) {
		u32 flags = smp_load_acquire(&path->dentry->d_flags);
		struct vfsmount *mounted = flags & DCACHE_MOUNTED ? lookup_mnt(path) : NULL;

		negative = (flags & DCACHE_ENTRY_TYPE) == DCACHE_MISS_TYPE;
		if (!mounted)
			break;
		dput(path->dentry);
		if (jumped)
			mntput(path->mnt);
		path->mnt = mounted;
		path->dentry = dget(mounted->mnt_root);
		jumped = true;
	}
	if (negative)
		return -ENOENT;
	if (jumped) {
		if (nd->flags & LOOKUP_NO_XDEV)
			return -EXDEV;
		nd->state |= ND_JUMPED;
	}
	return 0;
}

// Up.

// The place where m, or the lowest of a stack of mounts, is mounted; under RCU. False: it is at `root`, or
// nowhere.
static bool choose_mountpoint_rcu(struct mount *m, const struct path *root, struct path *path, unsigned *seqp)
{
	struct mount *parent;

	for (; (parent = READ_ONCE(m->mnt_parent)) != m; m = parent) {
		struct dentry *mountpoint = READ_ONCE(m->mnt_mountpoint);

		if (unlikely(root->dentry == mountpoint && root->mnt == &parent->mnt))
			return false;
		if (mountpoint != parent->mnt.mnt_root) {
			path->mnt = &parent->mnt;
			path->dentry = mountpoint;
			*seqp = read_seqcount_begin(&mountpoint->d_seq);
			return true;
		}
	}
	return false;
}

static bool choose_mountpoint(struct mount *m, const struct path *root, struct path *path)
{
	struct mount_machine *mm = mounts_of(&m->mnt);
	bool found;

	rcu_read_lock();
	for (;;) {
		unsigned seq, mseq = read_seqbegin(&mm->mount_lock);

		found = choose_mountpoint_rcu(m, root, path, &seq);
		if (!found) {
			if (!read_seqretry(&mm->mount_lock, mseq))
				break;
			continue;
		}
		if (likely(__legitimize_path(path, seq, mseq)))
			break;
		rcu_read_unlock();
		path_put(path);
		rcu_read_lock();
	}
	rcu_read_unlock();
	return found;
}

// A directory moved out of the tree that a bind mount shows has no parent there.
static bool path_connected(struct vfsmount *mnt, struct dentry *dentry)
{
	return mnt->mnt_root == READ_ONCE(mnt->mnt_sb->s_root) || is_subdir(dentry, mnt->mnt_root);
}

static int follow_dotdot_rcu(struct nameidata *nd, struct dentry **out)
{
	struct mount_machine *mm = &nd->vfs->mounts;
	struct dentry *parent, *old;

	if (path_equal(&nd->path, &nd->root))
		goto in_root;
	if (unlikely(nd->path.dentry == nd->path.mnt->mnt_root)) {
		struct path path;
		unsigned seq;

		if (!choose_mountpoint_rcu(real_mount(nd->path.mnt), &nd->root, &path, &seq))
			goto in_root;
		if (unlikely(nd->flags & LOOKUP_NO_XDEV))
			return -ECHILD;
		nd->path = path;
		nd->inode = smp_load_acquire(&path.dentry->d_inode);
		nd->seq = seq;
		// The place and the mount belong together only if nothing was changed.
		if (read_seqretry(&mm->mount_lock, nd->m_seq))
			return -ECHILD;
	}
	old = nd->path.dentry;
	parent = rcu_dereference(old->d_parent);
	nd->next_seq = read_seqcount_begin(&parent->d_seq);
	if (read_seqcount_retry(&old->d_seq, nd->seq) || unlikely(!path_connected(nd->path.mnt, parent)))
		return -ECHILD;
	*out = parent;
	return 0;
in_root:
	if (read_seqretry(&mm->mount_lock, nd->m_seq) || unlikely(nd->flags & LOOKUP_BENEATH))
		return -ECHILD;
	nd->next_seq = nd->seq;
	*out = nd->path.dentry;
	return 0;
}

static int follow_dotdot(struct nameidata *nd, struct dentry **out)
{
	struct dentry *parent;

	if (path_equal(&nd->path, &nd->root))
		goto in_root;
	if (unlikely(nd->path.dentry == nd->path.mnt->mnt_root)) {
		struct path path;

		if (!choose_mountpoint(real_mount(nd->path.mnt), &nd->root, &path))
			goto in_root;
		path_put(&nd->path);
		nd->path = path;
		nd->inode = d_inode(path.dentry);
		if (unlikely(nd->flags & LOOKUP_NO_XDEV))
			return -EXDEV;
	}
	parent = dget_parent(nd->path.dentry);
	if (unlikely(!path_connected(nd->path.mnt, parent))) {
		dput(parent);
		return -ENOENT;
	}
	*out = parent;
	return 0;
in_root:
	if (unlikely(nd->flags & LOOKUP_BENEATH))
		return -EXDEV;
	*out = dget(nd->path.dentry);
	return 0;
}

// "." and "..".
int follow_dots(struct nameidata *nd, int type)
{
	struct dentry *parent;
	const char *none;
	int err;

	if (type != LAST_DOTDOT)
		return 0;
	if (!nd->root.mnt) {
		err = set_root(nd);
		if (err)
			return err;
	}
	err = nd->flags & LOOKUP_RCU ? follow_dotdot_rcu(nd, &parent) : follow_dotdot(nd, &parent);
	if (err)
		return err;
	err = step_into(nd, WALK_NOFOLLOW, parent, &none);
	if (err)
		return err;
	// In a scope, a rename or a mount in between may have let the walk out: the caller tries again.
	if (unlikely(nd->flags & LOOKUP_IS_SCOPED) &&
	    (read_seqcount_retry(&nd->vfs->mounts.mount_lock.seqcount, nd->m_seq) ||
	     read_seqcount_retry(&nd->vfs->dcache.rename_lock.seqcount, nd->r_seq)))
		return -EAGAIN;
	return 0;
}
