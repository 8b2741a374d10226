// The last component of open: found, or made when O_CREAT asks for it, once for all who open the name at the
// same time.

#include "vfs/namei_fast.h"

#include <errno.h>
#include <fcntl.h>

#define O_TMPFILE_BIT 020000000 // without O_DIRECTORY, which O_TMPFILE holds too

// protected_regular and protected_fifos: O_CREAT does not open what another owns in a sticky directory that
// others write to.
static int may_create_in_sticky(struct nameidata *nd, const struct inode *inode)
{
	const struct vfs_sysctl *ctl = &nd->vfs->sysctl;
	mode_t mode = READ_ONCE(inode->i_mode), dir = nd->dir_mode;
	uid_t uid = READ_ONCE(inode->i_uid);
	int level = 1; // symlinks, which this call will not open anyway, and all else

	if (!(dir & S_ISVTX))
		return 0;
	if (S_ISREG(mode))
		level = READ_ONCE(ctl->protected_regular);
	else if (S_ISFIFO(mode))
		level = READ_ONCE(ctl->protected_fifos);
	if (!level || uid == nd->dir_uid || uid == current_cred()->fsuid)
		return 0;
	return dir & S_IWOTH || (dir & S_IWGRP && level >= 2) ? -EACCES : 0;
}

static int may_o_create(const struct path *dir, struct dentry *dentry)
{
	return inode_permission(mnt_idmap(dir->mnt), d_inode(dir->dentry), MAY_WRITE | MAY_EXEC);
}

// A negative dentry becomes a file.
static int create_last(struct nameidata *nd, const struct open_flags *op, struct dentry *dentry)
{
	struct inode *dir = d_inode(nd->path.dentry);
	mode_t mode = vfs_prepare_mode(dir, op->mode, op->mode, op->mode);

	if (!dir->i_op->create)
		return -EACCES;
	return dir->i_op->create(mnt_idmap(nd->path.mnt), dir, dentry, mode, op->open_flag & O_EXCL);
}

// The directory's i_rwsem is held: exclusive with O_CREAT. *out may be negative.
static int lookup_open(struct nameidata *nd, const struct open_flags *op, bool got_write, bool *created,
		       struct dentry **out)
{
	struct dentry *dentry;
	int create_error = 0, err;

	err = lookup_in_dir(&nd->last, nd->path.dentry, nd->flags, &dentry);
	if (err)
		return err;
	if (d_is_negative(dentry) && op->open_flag & O_CREAT) {
		create_error = got_write ? may_o_create(&nd->path, dentry) : -EROFS;
		if (!create_error)
			create_error = create_last(nd, op, dentry);
		if (create_error) {
			dput(dentry);
			return create_error;
		}
		*created = true;
	}
	*out = dentry;
	return 0;
}

static int open_uncached(struct nameidata *nd, const struct open_flags *op, bool *created,
			 struct dentry **out) __no_lock_analysis
{
	const int writes = O_CREAT | O_TRUNC | O_WRONLY | O_RDWR;
	struct inode *dir = d_inode(nd->path.dentry);
	struct vfsmount *mnt = nd->path.mnt;
	bool got_write = false;
	int err;

	// Whether that fails matters only if something is to be made.
	if (op->open_flag & writes)
		got_write = !mnt_want_write(mnt);
	cache_throttle(current->machine);
	if (op->open_flag & O_CREAT)
		inode_lock(dir);
	else
		inode_lock_shared(dir);
	err = lookup_open(nd, op, got_write, created, out);
	if (op->open_flag & O_CREAT)
		inode_unlock(dir);
	else
		inode_unlock_shared(dir);
	if (got_write)
		mnt_drop_write(mnt);
	return err;
}

static int open_last_lookups(struct nameidata *nd, const struct open_flags *op, bool *created,
			     const char **text)
{
	bool slashes = nd->last_type == LAST_NORM && nd->last.name[nd->last.len];
	struct dentry *dentry = NULL;
	int err;

	*text = NULL;
	nd->flags |= op->intent;
	if (nd->last_type != LAST_NORM) {
		if (nd->depth)
			put_link(nd);
		return follow_dots(nd, nd->last_type);
	}
	if (!(op->open_flag & O_CREAT)) {
		if (slashes)
			nd->flags |= LOOKUP_FOLLOW | LOOKUP_DIRECTORY;
		err = lookup_fast(nd, &dentry);
		if (err)
			return err;
	} else {
		if (nd->flags & LOOKUP_RCU && !try_to_unlazy(nd))
			return -ECHILD;
		if (slashes)
			return -EISDIR;
	}
	if (!dentry) {
		err = open_uncached(nd, op, created, &dentry);
		if (err)
			return err;
		if (*created) {
			dput(nd->path.dentry);
			nd->path.dentry = dentry;
			nd->inode = d_inode(dentry);
			return 0;
		}
	}
	if (nd->depth)
		put_link(nd);
	err = step_into(nd, WALK_TRAILING, dentry, text);
	if (*text)
		nd->flags &= ~(LOOKUP_OPEN | LOOKUP_CREATE | LOOKUP_EXCL);
	return err;
}

// What is said of the name before the file itself is asked.
static int check_opened(struct nameidata *nd, const struct open_flags *op, bool created)
{
	struct dentry *dentry = nd->path.dentry;
	int err;

	if (op->open_flag & O_CREAT) {
		if (op->open_flag & O_EXCL && !created)
			return -EEXIST;
		if (d_is_dir(dentry))
			return -EISDIR;
		err = created ? 0 : may_create_in_sticky(nd, nd->inode);
		if (err)
			return err;
	}
	return nd->flags & LOOKUP_DIRECTORY && !d_can_lookup(dentry) ? -ENOTDIR : 0;
}

static int walk_and_open(struct nameidata *nd, const struct open_flags *op, unsigned flags,
			 struct open_path *out)
{
	const char *text;
	int err;

	out->created = false;
	err = path_init(nd, flags, &text);
	while (!err && !(err = link_path_walk(text, nd))) {
		err = open_last_lookups(nd, op, &out->created, &text);
		if (err || !text)
			break;
	}
	if (!err && !out->created)
		err = complete_walk(nd);
	if (!err)
		err = check_opened(nd, op, out->created);
	if (!err) {
		out->path = nd->path;
		out->inode = nd->inode;
		nd->path = (struct path){0};
	}
	terminate_walk(nd);
	return err;
}

// A file without a name, below the directory that is found: *out stands on it.
static int vfs_tmpfile(const struct path *parent, const struct open_flags *op, struct open_path *out)
{
	struct inode *dir = d_inode(parent->dentry);
	struct qstr name = {.name = "/", .len = 1};
	struct dentry *child;
	mode_t mode;
	int err = inode_permission(mnt_idmap(parent->mnt), dir, MAY_WRITE | MAY_EXEC);

	if (err)
		return err;
	if (!dir->i_op->tmpfile)
		return -EOPNOTSUPP;
	d_hash_name(parent->dentry, &name);
	err = d_alloc(parent->dentry, &name, &child);
	if (err)
		return err;
	mode = vfs_prepare_mode(dir, op->mode, op->mode, op->mode);
	err = dir->i_op->tmpfile(mnt_idmap(parent->mnt), dir, child, mode);
	if (err) {
		dput(child);
		return err;
	}
	if (!(op->open_flag & O_EXCL))
		__atomic_fetch_or(&d_inode(child)->i_state, I_LINKABLE, __ATOMIC_RELAXED);
	out->path = (struct path){.mnt = mntget(parent->mnt), .dentry = child};
	out->inode = d_inode(child);
	out->created = true;
	return 0;
}

static int open_tmpfile(struct nameidata *nd, const struct open_flags *op, unsigned flags,
			struct open_path *out)
{
	struct path path;
	int err = path_lookupat(nd, flags | LOOKUP_DIRECTORY, &path);

	if (err)
		return err;
	err = mnt_want_write(path.mnt);
	if (!err) {
		cache_throttle(current->machine);
		err = vfs_tmpfile(&path, op, out);
		mnt_drop_write(path.mnt);
	}
	path_put(&path);
	return err;
}

// What is in the cache and is only to be opened. 1: to be done in general.
static int open_fast(int dfd, const char *name, const struct open_flags *op, struct open_path *out)
{
	struct fast_walk w;
	struct path path;
	bool taken;
	int err;

	if (unlikely(op->open_flag & (O_CREAT | O_TMPFILE_BIT)))
		return 1;
	err = fast_walk(&w, dfd, name, op->lookup_flags);
	if (unlikely(err)) {
		if (err < 0)
			rcu_read_unlock();
		return err;
	}
	path = (struct path){.mnt = w.mnt, .dentry = w.dentry};
	taken = __legitimize_path(&path, w.seq, w.m_seq);
	rcu_read_unlock();
	if (unlikely(!taken)) {
		path_put(&path);
		return 1;
	}
	if (unlikely(op->lookup_flags & LOOKUP_DIRECTORY) && !d_can_lookup(path.dentry)) {
		path_put(&path);
		return -ENOTDIR;
	}
	*out = (struct open_path){.path = path, .inode = w.inode};
	return 0;
}

int open_path_lookup(int dfd, const char *name, const struct open_flags *op, struct open_path *out)
{
	struct nameidata nd;
	int err;

	if (likely(name)) {
		err = open_fast(dfd, name, op, out);
		if (likely(err <= 0))
			return err;
	}
	err = check_name(name, op->lookup_flags);
	if (unlikely(err))
		return err;
	for (unsigned mode = LOOKUP_RCU;; mode = 0) {
		unsigned flags = op->lookup_flags | mode;

		nd_set(&nd, dfd, name);
		if (unlikely(op->open_flag & O_TMPFILE_BIT)) {
			err = open_tmpfile(&nd, op, flags, out);
		} else if (unlikely(op->open_flag & O_PATH)) {
			err = path_lookupat(&nd, flags, &out->path);
			out->created = false;
			if (!err)
				out->inode = d_inode(out->path.dentry);
		} else {
			err = walk_and_open(&nd, op, flags, out);
		}
		if (err != -ECHILD || !mode)
			return err;
	}
}
