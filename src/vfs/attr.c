// Attributes change: may they, and what follows from it. See attr.h; the system calls are in attr_calls.c.
//
// What a task may set is Linux's: the owner (or CAP_FOWNER) mode and times, CAP_CHOWN the owner, a member the
// group. Set-id bits and capabilities of a file do not survive a change of its owner or content by others
// than the mighty.

#include "vfs/attr.h"

#include "vfs/cred.h"
#include "vfs/dcache_internal.h"
#include "vfs/dcache_ways.h"
#include "vfs/file.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/super.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

#include <errno.h>

static bool chown_ok(const struct inode *inode, uid_t uid)
{
	return (current_cred()->fsuid == inode->i_uid && uid == inode->i_uid) || capable(SHALE_CAP_CHOWN);
}

static bool chgrp_ok(const struct inode *inode, gid_t gid)
{
	const struct cred *cred = current_cred();

	if (cred->fsuid == inode->i_uid && (gid == inode->i_gid || in_group_p(cred, gid)))
		return true;
	return capable(SHALE_CAP_CHOWN);
}

int inode_newsize_ok(const struct inode *inode, u64 size)
{
	return size > i_size_read(inode) && size > inode->i_sb->s_maxbytes ? -EFBIG : 0;
}

static int check_who(const struct inode *inode, struct iattr *attr)
{
	u32 valid = attr->ia_valid;

	if (valid & ATTR_UID && !chown_ok(inode, attr->ia_uid))
		return -EPERM;
	if (valid & ATTR_GID && !chgrp_ok(inode, attr->ia_gid))
		return -EPERM;
	if (valid & ATTR_MODE) {
		if (!inode_owner_or_capable(NULL, inode))
			return -EPERM;
		if (!in_group_or_capable(inode, valid & ATTR_GID ? attr->ia_gid : inode->i_gid))
			attr->ia_mode &= ~(mode_t)S_ISGID;
	}
	if (valid & (ATTR_MTIME_SET | ATTR_ATIME_SET | ATTR_TIMES_SET) &&
	    !inode_owner_or_capable(NULL, inode))
		return -EPERM;
	return 0;
}

int setattr_prepare(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err = attr->ia_valid & ATTR_SIZE ? inode_newsize_ok(inode, attr->ia_size) : 0;

	if (!err && !(attr->ia_valid & ATTR_FORCE))
		err = check_who(inode, attr);
	if (!err && attr->ia_valid & ATTR_KILL_PRIV)
		err = inode_killpriv(dentry);
	return err;
}

static struct timespec timestamp_truncate(const struct inode *inode, struct timespec t)
{
	const struct super_block *sb = inode->i_sb;

	if (t.tv_sec <= sb->s_time_min)
		return (struct timespec){.tv_sec = sb->s_time_min};
	if (t.tv_sec >= sb->s_time_max)
		return (struct timespec){.tv_sec = sb->s_time_max};
	if (sb->s_time_gran > 1)
		t.tv_nsec -= t.tv_nsec % sb->s_time_gran;
	return t;
}

void setattr_copy(const struct mnt_idmap *idmap, struct inode *inode, const struct iattr *attr)
{
	u32 valid = attr->ia_valid;
	mode_t mode = attr->ia_mode;

	if (valid & ATTR_UID)
		WRITE_ONCE(inode->i_uid, attr->ia_uid);
	if (valid & ATTR_GID)
		WRITE_ONCE(inode->i_gid, attr->ia_gid);
	if (valid & ATTR_ATIME)
		inode_set_time(&inode->i_atime, attr->ia_atime);
	if (valid & ATTR_MTIME)
		inode_set_time(&inode->i_mtime, attr->ia_mtime);
	if (valid & ATTR_CTIME)
		inode_set_time(&inode->i_ctime, attr->ia_ctime);
	if (valid & ATTR_MODE) {
		if (!in_group_or_capable(inode, inode->i_gid))
			mode &= ~(mode_t)S_ISGID;
		inode_set_mode(inode, mode);
	}
}

// What lock-free walks may have remembered of a directory is over (dcache_ways.h).
void inode_set_mode(struct inode *inode, mode_t mode)
{
	WRITE_ONCE(inode->i_mode, mode);
	if (S_ISDIR(mode))
		d_place_left(&inode->i_sb->s_machine->vfs->dcache);
}

static int may_setattr(struct inode *inode, u32 valid)
{
	u32 flags = READ_ONCE(inode->i_flags);

	if (valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET) && flags & (S_IMMUTABLE | S_APPEND))
		return -EPERM;
	if (!(valid & ATTR_TOUCH))
		return 0;
	if (flags & S_IMMUTABLE)
		return -EPERM;
	return inode_owner_or_capable(NULL, inode) ? 0 : inode_permission(NULL, inode, MAY_WRITE);
}

static void complete_times(const struct inode *inode, struct iattr *attr)
{
	struct timespec now = current_time(inode);

	attr->ia_ctime = now;
	attr->ia_atime = attr->ia_valid & ATTR_ATIME_SET ? timestamp_truncate(inode, attr->ia_atime) : now;
	attr->ia_mtime = attr->ia_valid & ATTR_MTIME_SET ? timestamp_truncate(inode, attr->ia_mtime) : now;
}

// ATTR_KILL_* become a mode. False: nothing is left to be done.
static bool complete_mode(const struct inode *inode, struct iattr *attr)
{
	const u32 kill = ATTR_KILL_SUID | ATTR_KILL_SGID;
	u32 killed = attr->ia_valid & kill;
	mode_t gone = 0;

	BUG_ON(killed && attr->ia_valid & ATTR_MODE);
	if (killed & ATTR_KILL_SUID)
		gone |= inode->i_mode & S_ISUID;
	if (killed & ATTR_KILL_SGID)
		gone |= inode->i_mode & S_ISGID;
	if (gone) {
		attr->ia_valid |= ATTR_MODE;
		attr->ia_mode = inode->i_mode & ~gone;
	}
	return attr->ia_valid & ~kill;
}

int notify_change(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err = may_setattr(inode, attr->ia_valid);

	if (err)
		return err;
	if (attr->ia_valid & ATTR_MODE) {
		if (S_ISLNK(READ_ONCE(inode->i_mode)))
			return -EOPNOTSUPP;
		if (attr->ia_mode & (S_ISUID | S_ISGID))
			WRITE_ONCE(inode->i_flags, inode->i_flags & ~(u32)S_NOSEC);
	}
	complete_times(inode, attr);
	if (attr->ia_valid & ATTR_KILL_PRIV) {
		err = inode_need_killpriv(dentry);
		if (err < 0)
			return err;
		if (!err)
			attr->ia_valid &= ~ATTR_KILL_PRIV;
	}
	if (!complete_mode(inode, attr))
		return 0;
	if (inode->i_op->setattr)
		return inode->i_op->setattr(idmap, dentry, attr);
	return -EPERM;
}

// Of a file that may be executed by the group the bit means rights; else it once meant mandatory locks, and
// stays with members.
static u32 should_drop_sgid(const struct inode *inode)
{
	mode_t mode = READ_ONCE(inode->i_mode);

	if (!(mode & S_ISGID))
		return 0;
	return mode & S_IXGRP || !in_group_or_capable(inode, READ_ONCE(inode->i_gid)) ? ATTR_KILL_SGID : 0;
}

u32 setattr_chown_kills(const struct inode *inode)
{
	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return 0;
	return ATTR_KILL_SUID | ATTR_KILL_PRIV | should_drop_sgid(inode);
}

int dentry_needs_remove_privs(struct dentry *dentry)
{
	const struct inode *inode = d_inode(dentry);
	mode_t mode = READ_ONCE(inode->i_mode);
	u32 kill;
	int caps;

	if (READ_ONCE(inode->i_flags) & S_NOSEC)
		return 0;
	kill = (mode & S_ISUID ? ATTR_KILL_SUID : 0) | should_drop_sgid(inode);
	if (!S_ISREG(mode) || capable(SHALE_CAP_FSETID))
		kill = 0;
	caps = inode_need_killpriv(dentry);
	if (caps < 0)
		return caps;
	return (int)(kill | (caps ? ATTR_KILL_PRIV : 0));
}

// Before a write. Files that have nothing to lose are marked, so that each write need not look.
int file_remove_privs(struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;
	struct inode *inode = file->f_inode;
	int kill = dentry_needs_remove_privs(dentry);
	struct iattr attr = {.ia_valid = ATTR_FORCE | (u32)kill};

	if (kill < 0)
		return kill;
	if (kill)
		return notify_change(mnt_idmap(file->f_path.mnt), dentry, &attr);
	if (!(inode->i_mode & (S_ISUID | S_ISGID)))
		WRITE_ONCE(inode->i_flags, inode->i_flags | S_NOSEC);
	return 0;
}

int do_truncate(const struct mnt_idmap *idmap, struct dentry *dentry, u64 size, u32 time_attrs,
		struct file *file)
{
	struct inode *inode = d_inode(dentry);
	struct iattr attr = {.ia_size = size,
			     .ia_valid = ATTR_SIZE | time_attrs | (file ? ATTR_FILE : 0),
			     .ia_file = file};
	int err = dentry_needs_remove_privs(dentry);

	if (err < 0)
		return err;
	if (err)
		attr.ia_valid |= (u32)err | ATTR_FORCE;
	inode_lock(inode);
	err = notify_change(idmap, dentry, &attr);
	inode_unlock(inode);
	return err;
}
