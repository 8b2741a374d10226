// Making and removing names: the checks in Linux's order, then the file system's operation, with the
// directory's i_rwsem held exclusive.
//
// What is to be made is looked up first, so that EEXIST comes before EROFS; removal holds the i_rwsem of what
// goes, too.

#include "vfs/namei_internal.h"

#include "vfs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int vfs_create(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
	       bool excl)
{
	int err = may_create(dir, dentry);

	if (err)
		return err;
	if (!dir->i_op->create)
		return -EACCES;
	mode = vfs_prepare_mode(dir, mode, 07777, S_IFREG);
	return dir->i_op->create(idmap, dir, dentry, mode, excl);
}

int vfs_mkdir(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode)
{
	int err = may_create(dir, dentry);

	if (err)
		return err;
	if (!dir->i_op->mkdir)
		return -EPERM;
	if (dir->i_sb->s_max_links && READ_ONCE(dir->i_nlink) >= dir->i_sb->s_max_links)
		return -EMLINK;
	return dir->i_op->mkdir(idmap, dir, dentry, vfs_prepare_mode(dir, mode, 0777 | S_ISVTX, 0));
}

int vfs_mknod(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode, dev_t dev)
{
	bool whiteout = S_ISCHR(mode) && dev == 0;
	int err = may_create(dir, dentry);

	if (err)
		return err;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !whiteout && !capable(SHALE_CAP_MKNOD))
		return -EPERM;
	if (!dir->i_op->mknod)
		return -EPERM;
	return dir->i_op->mknod(idmap, dir, dentry, vfs_prepare_mode(dir, mode, mode, mode), dev);
}

int vfs_symlink(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, const char *target)
{
	int err = may_create(dir, dentry);

	if (err)
		return err;
	if (!dir->i_op->symlink)
		return -EPERM;
	return dir->i_op->symlink(idmap, dir, dentry, target);
}

int vfs_link(struct dentry *old, const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	int err;

	if (!inode)
		return -ENOENT;
	err = may_create(dir, dentry);
	if (err)
		return err;
	if (dir->i_sb != inode->i_sb)
		return -EXDEV;
	if (inode->i_flags & (S_APPEND | S_IMMUTABLE) || !dir->i_op->link ||
	    S_ISDIR(READ_ONCE(inode->i_mode)))
		return -EPERM;
	inode_lock(inode);
	if (inode->i_nlink == 0 && !(READ_ONCE(inode->i_state) & I_LINKABLE))
		err = -ENOENT;
	else if (inode->i_sb->s_max_links && inode->i_nlink >= inode->i_sb->s_max_links)
		err = -EMLINK;
	else
		err = dir->i_op->link(old, dir, dentry);
	if (!err)
		__atomic_fetch_and(&inode->i_state, ~I_LINKABLE, __ATOMIC_RELAXED);
	inode_unlock(inode);
	return err;
}

int vfs_unlink(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int err = may_delete(dir, dentry, false);

	if (err)
		return err;
	if (!dir->i_op->unlink)
		return -EPERM;
	ihold(inode);
	inode_lock(inode);
	if (d_mountpoint(dentry)) {
		err = -EBUSY;
	} else {
		err = dir->i_op->unlink(dir, dentry);
		if (!err)
			d_flags_set(dentry, DCACHE_CANT_MOUNT);
	}
	inode_unlock(inode);
	if (!err)
		d_delete(dentry);
	iput(inode);
	return err;
}

int vfs_rmdir(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int err = may_delete(dir, dentry, true);

	if (err)
		return err;
	if (!dir->i_op->rmdir)
		return -EPERM;
	ihold(inode);
	inode_lock(inode);
	if (d_mountpoint(dentry)) {
		err = -EBUSY;
	} else {
		err = dir->i_op->rmdir(dir, dentry);
		if (!err) {
			WRITE_ONCE(inode->i_flags, inode->i_flags | S_DEAD);
			d_flags_set(dentry, DCACHE_CANT_MOUNT);
		}
	}
	inode_unlock(inode);
	if (!err) {
		shrink_dcache_children(dentry);
		d_delete(dentry);
	}
	iput(inode);
	return err;
}

// The system calls. A name to be made: the locked parent, with the right to write, and a negative dentry.

struct creation {
	struct path parent;
	struct dentry *dentry;
};

int lookup_last_name(struct nameidata *nd, const struct path *parent, unsigned flags, struct dentry **out)
{
	if (unlikely(READ_ONCE(parent->dentry->d_flags) & DCACHE_OP_HASH)) {
		int err = parent->dentry->d_op->d_hash(parent->dentry, &nd->last);

		if (err)
			return err;
	}
	return lookup_in_dir(&nd->last, parent->dentry, flags, out);
}

static int filename_create(int dfd, const char *name, bool want_dir, struct creation *c) __no_lock_analysis
{
	struct nameidata nd;
	struct inode *dir;
	int readonly, err = filename_parentat(&nd, dfd, name, 0, &c->parent);

	if (err)
		return err;
	err = -EEXIST;
	if (nd.last_type != LAST_NORM)
		goto put_parent;
	readonly = mnt_want_write(c->parent.mnt);
	dir = d_inode(c->parent.dentry);
	inode_lock(dir);
	err = lookup_last_name(&nd, &c->parent, LOOKUP_CREATE | LOOKUP_EXCL, &c->dentry);
	if (!err) {
		if (!d_is_negative(c->dentry))
			err = -EEXIST;
		else if (nd.last.name[nd.last.len] && !want_dir)
			err = -ENOENT; // "name/" of what does not exist, and will not be a directory
		else
			err = readonly;
		if (!err)
			return 0;
		dput(c->dentry);
	}
	inode_unlock(dir);
	if (!readonly)
		mnt_drop_write(c->parent.mnt);
put_parent:
	path_put(&c->parent);
	return err;
}

static void end_creation(struct creation *c) __no_lock_analysis
{
	inode_unlock(d_inode(c->parent.dentry));
	mnt_drop_write(c->parent.mnt);
	dput(c->dentry);
	path_put(&c->parent);
}

long do_mkdirat(int dfd, const char *name, mode_t mode)
{
	struct creation c;
	struct inode *dir;
	int err = filename_create(dfd, name, true, &c);

	if (err)
		return err;
	dir = d_inode(c.parent.dentry);
	err = vfs_mkdir(mnt_idmap(c.parent.mnt), dir, c.dentry, mode);
	end_creation(&c);
	return err;
}

static int may_mknod(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
	case 0:
		return 0;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long do_mknodat(int dfd, const char *name, mode_t mode, dev_t dev)
{
	struct creation c;
	struct inode *dir;
	int err = may_mknod(mode);

	if (err)
		return err;
	err = filename_create(dfd, name, false, &c);
	if (err)
		return err;
	dir = d_inode(c.parent.dentry);
	if (S_ISREG(mode) || !(mode & S_IFMT))
		err = vfs_create(mnt_idmap(c.parent.mnt), dir, c.dentry, mode, true);
	else
		err = vfs_mknod(mnt_idmap(c.parent.mnt), dir, c.dentry, mode,
				S_ISCHR(mode) || S_ISBLK(mode) ? dev : 0);
	end_creation(&c);
	return err;
}

long do_symlinkat(const char *target, int dfd, const char *name)
{
	struct creation c;
	int err = check_name(target, 0);

	if (err)
		return err;
	err = filename_create(dfd, name, false, &c);
	if (err)
		return err;
	err = vfs_symlink(mnt_idmap(c.parent.mnt), d_inode(c.parent.dentry), c.dentry, target);
	end_creation(&c);
	return err;
}

long do_linkat(int odfd, const char *oname, int ndfd, const char *nname, int at_flags)
{
	unsigned how = 0;
	struct creation c;
	struct path old;
	int err;

	if (at_flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (at_flags & AT_EMPTY_PATH)
		how |= LOOKUP_EMPTY | LOOKUP_LINKAT_EMPTY;
	if (at_flags & AT_SYMLINK_FOLLOW)
		how |= LOOKUP_FOLLOW;
	err = user_path_at(odfd, oname, how, &old);
	if (err)
		return err;
	err = filename_create(ndfd, nname, false, &c);
	if (err)
		goto put_old;
	err = old.mnt != c.parent.mnt ? -EXDEV : may_linkat(&old);
	if (!err)
		err = vfs_link(old.dentry, mnt_idmap(c.parent.mnt), d_inode(c.parent.dentry), c.dentry);
	end_creation(&c);
put_old:
	path_put(&old);
	return err;
}

static int remove_last(struct nameidata *nd, const struct path *parent, bool dir) __no_lock_analysis
{
	struct inode *inode = d_inode(parent->dentry);
	struct dentry *dentry = NULL;
	int err = mnt_want_write(parent->mnt);

	if (err)
		return err;
	inode_lock(inode);
	err = lookup_last_name(nd, parent, 0, &dentry);
	if (!err) {
		if (d_is_negative(dentry))
			err = -ENOENT;
		else if (dir)
			err = vfs_rmdir(mnt_idmap(parent->mnt), inode, dentry);
		else if (nd->last.name[nd->last.len])
			err = d_is_dir(dentry) ? -EISDIR : -ENOTDIR;
		else
			err = vfs_unlink(mnt_idmap(parent->mnt), inode, dentry);
	}
	inode_unlock(inode);
	dput(dentry);
	mnt_drop_write(parent->mnt);
	return err;
}

long do_unlinkat(int dfd, const char *name, int at_flags)
{
	static const int rmdir_errors[] = {
		[LAST_ROOT] = -EBUSY, [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY};
	bool dir = at_flags & AT_REMOVEDIR;
	struct nameidata nd;
	struct path parent;
	int err;

	if (at_flags & ~AT_REMOVEDIR)
		return -EINVAL;
	err = filename_parentat(&nd, dfd, name, 0, &parent);
	if (err)
		return err;
	if (nd.last_type != LAST_NORM)
		err = dir ? rmdir_errors[nd.last_type] : -EISDIR;
	else
		err = remove_last(&nd, &parent, dir);
	path_put(&parent);
	return err;
}
