// Renaming: two names of one mount, in one or two directories, one of them moved onto the other or both
// exchanged.
//
// Locks, in this order: s_vfs_rename_mutex of the super block when there are two directories, so that nothing
// above them moves while their order is looked for; i_rwsem of both (the upper first, else by address);
// i_rwsem of what moves and of what is replaced. A directory cannot move below itself: the child of one of
// the two directories that leads to the other (the trap) may be neither source nor target.

#include "vfs/namei_internal.h"

#include <errno.h>
#include <linux/fs.h>

static void lock_two(struct inode *a, struct inode *b) __no_lock_analysis
{
	inode_lock(a);
	if (b && b != a)
		inode_lock(b);
}

static void unlock_two(struct inode *a, struct inode *b) __no_lock_analysis
{
	inode_unlock(a);
	if (b && b != a)
		inode_unlock(b);
}

// Returns the trap, or NULL.
static struct dentry *lock_rename(struct dentry *p1, struct dentry *p2) __no_lock_analysis
{
	struct inode *d1 = d_inode(p1), *d2 = d_inode(p2);
	struct dentry *trap;

	if (p1 == p2) {
		inode_lock(d1);
		return NULL;
	}
	mutex_lock(&p1->d_sb->s_vfs_rename_mutex);
	trap = d_ancestor(p1, p2);
	if (trap) {
		lock_two(d1, d2);
		return trap;
	}
	trap = d_ancestor(p2, p1);
	if (trap || d2 < d1)
		lock_two(d2, d1);
	else
		lock_two(d1, d2);
	return trap;
}

static void unlock_rename(struct dentry *p1, struct dentry *p2) __no_lock_analysis
{
	unlock_two(d_inode(p1), d_inode(p2));
	if (p1 != p2)
		mutex_unlock(&p1->d_sb->s_vfs_rename_mutex);
}

static int may_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *new,
		      unsigned flags)
{
	bool is_dir = d_is_dir(old), exchange = flags & RENAME_EXCHANGE;
	bool new_is_dir = d_inode(new) && d_is_dir(new);
	int err = may_delete(old_dir, old, is_dir);

	if (err)
		return err;
	if (!d_inode(new))
		err = may_create(new_dir, new);
	else
		err = may_delete(new_dir, new, exchange ? new_is_dir : is_dir);
	if (err)
		return err;
	if (!old_dir->i_op->rename)
		return -EPERM;
	if (old_dir == new_dir)
		return 0;
	// A directory whose parent changes is written to: its "..".
	if (is_dir)
		err = inode_permission(NULL, d_inode(old), MAY_WRITE);
	if (!err && exchange && new_is_dir)
		err = inode_permission(NULL, d_inode(new), MAY_WRITE);
	return err;
}

// The files themselves. A directory that stays in its parent need not be held, nor one that is exchanged
// there.
static void lock_renamed(struct inode *source, struct inode *target, bool same_dir,
			 unsigned flags) __no_lock_analysis
{
	bool is_dir = S_ISDIR(READ_ONCE(source->i_mode)),
	     new_is_dir = target && S_ISDIR(READ_ONCE(target->i_mode));
	bool lock_source = !is_dir || !same_dir;
	bool lock_target = target && (!new_is_dir || !same_dir || !(flags & RENAME_EXCHANGE));

	if (!lock_source || !lock_target) {
		if (lock_source || lock_target)
			inode_lock(lock_source ? source : target);
	} else if (is_dir || new_is_dir) {
		// Directories before other files. Of two, neither is above the other: the trap saw to that.
		lock_two(is_dir ? source : target, is_dir ? target : source);
	} else {
		lock_two(source < target ? source : target, source < target ? target : source);
	}
}

static void unlock_renamed(struct inode *source, struct inode *target, bool same_dir,
			   unsigned flags) __no_lock_analysis
{
	if (!S_ISDIR(READ_ONCE(source->i_mode)) || !same_dir)
		inode_unlock(source);
	if (target && (!S_ISDIR(READ_ONCE(target->i_mode)) || !same_dir || !(flags & RENAME_EXCHANGE)))
		inode_unlock(target);
}

// A directory that comes in adds a link to the one that it comes to.
static bool too_many_links(const struct inode *old_dir, const struct inode *new_dir,
			   const struct inode *source, const struct inode *target, unsigned flags)
{
	u32 most = old_dir->i_sb->s_max_links;
	bool is_dir = S_ISDIR(READ_ONCE(source->i_mode)),
	     new_is_dir = target && S_ISDIR(READ_ONCE(target->i_mode));

	if (!most || old_dir == new_dir)
		return false;
	if (is_dir && !new_is_dir && new_dir->i_nlink >= most)
		return true;
	return flags & RENAME_EXCHANGE && !is_dir && new_is_dir && old_dir->i_nlink >= most;
}

// With all locks held.
static int rename_locked(const struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old,
			 struct inode *new_dir, struct dentry *new, unsigned flags)
{
	struct inode *source = d_inode(old), *target = d_inode(new);
	int err;

	if (d_mountpoint(old) || d_mountpoint(new))
		return -EBUSY;
	if (too_many_links(old_dir, new_dir, source, target, flags))
		return -EMLINK;
	err = old_dir->i_op->rename(idmap, old_dir, old, new_dir, new, flags);
	if (err)
		return err;
	if (flags & RENAME_EXCHANGE) {
		d_exchange(old, new);
		return 0;
	}
	if (target) {
		if (S_ISDIR(READ_ONCE(target->i_mode))) {
			shrink_dcache_children(new);
			WRITE_ONCE(target->i_flags, target->i_flags | S_DEAD);
		}
		d_flags_set(new, DCACHE_CANT_MOUNT);
	}
	d_move(old, new);
	return 0;
}

int vfs_rename(const struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old_dentry,
	       struct inode *new_dir, struct dentry *new_dentry, unsigned flags)
{
	struct inode *source = d_inode(old_dentry), *target = d_inode(new_dentry);
	bool same_dir = old_dir == new_dir;
	int err;

	if (source == target) // two names of one file: nothing is to be done
		return 0;
	err = may_rename(old_dir, old_dentry, new_dir, new_dentry, flags);
	if (err)
		return err;
	if (target)
		ihold(target);
	lock_renamed(source, target, same_dir, flags);
	err = rename_locked(idmap, old_dir, old_dentry, new_dir, new_dentry, flags);
	unlock_renamed(source, target, same_dir, flags);
	iput(target);
	return err;
}

struct renaming {
	struct nameidata old_nd, new_nd;
	struct path old_parent, new_parent;
	struct dentry *old, *new, *trap;
	unsigned flags;
};

static bool last_has_slash(const struct nameidata *nd)
{
	return nd->last.name[nd->last.len];
}

// What the names themselves forbid, in Linux's order.
static int check_renamed(const struct renaming *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;

	if (r->flags & RENAME_NOREPLACE && !d_is_negative(r->new))
		return -EEXIST;
	if (exchange) {
		if (d_is_negative(r->new))
			return -ENOENT;
		if (!d_is_dir(r->new) && last_has_slash(&r->new_nd))
			return -ENOTDIR;
	}
	// What is not a directory has no name with a slash behind it.
	if (!d_is_dir(r->old) && (last_has_slash(&r->old_nd) || (!exchange && last_has_slash(&r->new_nd))))
		return -ENOTDIR;
	if (r->old == r->trap)
		return -EINVAL;
	if (r->new == r->trap)
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int rename_in_parents(struct renaming *r) __no_lock_analysis
{
	const struct path *from = &r->old_parent, *to = &r->new_parent;
	int err;

	r->old = r->new = NULL;
	r->trap = lock_rename(to->dentry, from->dentry);
	err = lookup_last_name(&r->old_nd, from, 0, &r->old);
	if (!err && d_is_negative(r->old))
		err = -ENOENT;
	if (!err)
		err = lookup_last_name(&r->new_nd, to, LOOKUP_CREATE, &r->new);
	if (!err)
		err = check_renamed(r);
	if (!err)
		err = vfs_rename(mnt_idmap(from->mnt), d_inode(from->dentry), r->old, d_inode(to->dentry),
				 r->new, r->flags);
	unlock_rename(to->dentry, from->dentry);
	dput(r->new);
	dput(r->old);
	return err;
}

static int rename_between(struct renaming *r)
{
	int err;

	if (r->old_parent.mnt != r->new_parent.mnt)
		return -EXDEV;
	if (r->old_nd.last_type != LAST_NORM)
		return -EBUSY;
	if (r->new_nd.last_type != LAST_NORM)
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	err = mnt_want_write(r->old_parent.mnt);
	if (err)
		return err;
	err = rename_in_parents(r);
	mnt_drop_write(r->old_parent.mnt);
	return err;
}

long do_renameat2(int odfd, const char *oname, int ndfd, const char *nname, unsigned flags)
{
	struct renaming r;
	int err;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))
		return -EINVAL;
	r.flags = flags;
	err = filename_parentat(&r.old_nd, odfd, oname, 0, &r.old_parent);
	if (err)
		return err;
	err = filename_parentat(&r.new_nd, ndfd, nname, 0, &r.new_parent);
	if (!err) {
		err = rename_between(&r);
		path_put(&r.new_parent);
	}
	path_put(&r.old_parent);
	return err;
}
