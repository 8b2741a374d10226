// May a name be made, removed, linked to here, and with which mode? The checks that all changes of names
// share, in Linux's order.
//
// The directory's i_rwsem is held exclusive, so that the answer stays true until the file system acts.

#include "vfs/namei_internal.h"

#include "vfs/fs.h"

#include <errno.h>

static bool is_deaddir(const struct inode *dir)
{
	return READ_ONCE(dir->i_flags) & S_DEAD;
}

int may_create(struct inode *dir, struct dentry *child)
{
	if (d_inode(child))
		return -EEXIST;
	if (is_deaddir(dir))
		return -ENOENT;
	return inode_permission(NULL, dir, MAY_WRITE | MAY_EXEC);
}

// In a sticky directory only the owner of the file or of the directory removes.
static bool check_sticky(const struct inode *dir, const struct inode *inode)
{
	uid_t fsuid = current_cred()->fsuid;

	if (!(READ_ONCE(dir->i_mode) & S_ISVTX) || READ_ONCE(inode->i_uid) == fsuid ||
	    READ_ONCE(dir->i_uid) == fsuid)
		return false;
	return !capable(SHALE_CAP_FOWNER);
}

int may_delete(struct inode *dir, struct dentry *victim, bool isdir)
{
	struct inode *inode = d_inode(victim);
	int err;

	if (!inode)
		return -ENOENT;
	err = inode_permission(NULL, dir, MAY_WRITE | MAY_EXEC);
	if (err)
		return err;
	if (READ_ONCE(dir->i_flags) & S_APPEND || check_sticky(dir, inode) ||
	    READ_ONCE(inode->i_flags) & (S_APPEND | S_IMMUTABLE))
		return -EPERM;
	if (isdir) {
		if (!d_is_dir(victim))
			return -ENOTDIR;
		if (IS_ROOT(victim))
			return -EBUSY;
	} else if (d_is_dir(victim)) {
		return -EISDIR;
	}
	return is_deaddir(dir) ? -ENOENT : 0;
}

// protected_hardlinks: no links to what the caller could not open for reading and writing, nor to special and
// set-id files, unless it is his.
int may_linkat(const struct path *link)
{
	struct vfs_machine *vfs = current->machine->vfs;
	struct inode *inode = d_inode(link->dentry);
	mode_t mode = READ_ONCE(inode->i_mode);

	if (!READ_ONCE(vfs->sysctl.protected_hardlinks) || inode_owner_or_capable(NULL, inode))
		return 0;
	if (!S_ISREG(mode) || mode & S_ISUID || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	    inode_permission(mnt_idmap(link->mnt), inode, MAY_READ | MAY_WRITE))
		return -EPERM;
	return 0;
}

bool in_group_or_capable(const struct inode *inode, gid_t gid)
{
	return in_group_p(current_cred(), gid) || capable(SHALE_CAP_FSETID);
}

// In a set-group-id directory the bit of an executable file stays only with who may act for that group.
static mode_t mode_strip_sgid(const struct inode *dir, mode_t mode)
{
	const mode_t both = S_ISGID | S_IXGRP;

	if ((mode & both) != both || S_ISDIR(mode) || !(READ_ONCE(dir->i_mode) & S_ISGID))
		return mode;
	return in_group_or_capable(dir, READ_ONCE(dir->i_gid)) ? mode : mode & ~(mode_t)S_ISGID;
}

// With a default list of the directory that takes the umask's place, it is posix_acl_create() that knows.
static mode_t mode_strip_umask(const struct inode *dir, mode_t mode)
{
	if (READ_ONCE(dir->i_sb->s_flags) & SB_POSIXACL)
		return mode;
	return mode & ~(mode_t)current_umask();
}

mode_t vfs_prepare_mode(const struct inode *dir, mode_t mode, mode_t mask, mode_t type)
{
	mode = mode_strip_umask(dir, mode_strip_sgid(dir, mode));
	return (mode & mask & ~(mode_t)S_IFMT) | (type & S_IFMT);
}
