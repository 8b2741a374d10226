// chmod, chown, utimes, truncate: from what the caller names to notify_change().

#include "vfs/attr.h"

#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>

#define AT_WALK_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

static unsigned walk_flags(int at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	       (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

// With a right to write, under i_rwsem.
static int change_path(const struct path *path, struct iattr *attr, u32 (*kills)(const struct inode *inode))
{
	struct inode *inode = d_inode(path->dentry);
	int err = mnt_want_write(path->mnt);

	if (err)
		return err;
	inode_lock(inode);
	if (kills)
		attr->ia_valid |= kills(inode);
	if (attr->ia_valid & ATTR_MODE)
		attr->ia_mode = (attr->ia_mode & 07777) | (inode->i_mode & ~(mode_t)07777);
	err = notify_change(mnt_idmap(path->mnt), path->dentry, attr);
	inode_unlock(inode);
	mnt_drop_write(path->mnt);
	return err;
}

static int change_name(int dfd, const char *name, int at_flags, struct iattr *attr,
		       u32 (*kills)(const struct inode *inode))
{
	struct path path;
	int err = user_path_at(dfd, name, walk_flags(at_flags), &path);

	if (err)
		return err;
	err = change_path(&path, attr, kills);
	path_put(&path);
	return err;
}

static int change_fd(int fd, struct iattr *attr, u32 (*kills)(const struct inode *inode))
{
	struct fd f = fdget(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = change_path(&f.file->f_path, attr, kills);
	fdput(f);
	return err;
}

long do_fchmodat(int dfd, const char *name, mode_t mode, int at_flags)
{
	struct iattr attr = {.ia_valid = ATTR_MODE | ATTR_CTIME, .ia_mode = mode};

	if (at_flags & ~AT_WALK_FLAGS)
		return -EINVAL;
	return change_name(dfd, name, at_flags, &attr, NULL);
}

long ksys_fchmod(int fd, mode_t mode)
{
	struct iattr attr = {.ia_valid = ATTR_MODE | ATTR_CTIME, .ia_mode = mode};

	return change_fd(fd, &attr, NULL);
}

static struct iattr chown_attr(uid_t uid, gid_t gid)
{
	return (struct iattr){
		.ia_valid =
			ATTR_CTIME | (uid != (uid_t)-1 ? ATTR_UID : 0) | (gid != (gid_t)-1 ? ATTR_GID : 0),
		.ia_uid = uid,
		.ia_gid = gid,
	};
}

long do_fchownat(int dfd, const char *name, uid_t uid, gid_t gid, int at_flags)
{
	struct iattr attr = chown_attr(uid, gid);

	if (at_flags & ~AT_WALK_FLAGS)
		return -EINVAL;
	return change_name(dfd, name, at_flags, &attr, setattr_chown_kills);
}

long ksys_fchown(int fd, uid_t uid, gid_t gid)
{
	struct iattr attr = chown_attr(uid, gid);

	return change_fd(fd, &attr, setattr_chown_kills);
}

static bool nsec_valid(long nsec)
{
	return nsec == UTIME_OMIT || nsec == UTIME_NOW || (nsec >= 0 && nsec < 1000000000);
}

// times == NULL: both now. The checks come after the walk, as Linux has it.
static int times_attr(const struct timespec times[2], struct iattr *attr)
{
	*attr = (struct iattr){.ia_valid = ATTR_CTIME | ATTR_MTIME | ATTR_ATIME};
	if (times && (!nsec_valid(times[0].tv_nsec) || !nsec_valid(times[1].tv_nsec)))
		return -EINVAL;
	if (!times || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW)) {
		attr->ia_valid |= ATTR_TOUCH;
		return 0;
	}
	if (times[0].tv_nsec == UTIME_OMIT)
		attr->ia_valid &= ~ATTR_ATIME;
	else if (times[0].tv_nsec != UTIME_NOW)
		attr->ia_valid |= ATTR_ATIME_SET;
	if (times[1].tv_nsec == UTIME_OMIT)
		attr->ia_valid &= ~ATTR_MTIME;
	else if (times[1].tv_nsec != UTIME_NOW)
		attr->ia_valid |= ATTR_MTIME_SET;
	attr->ia_atime = times[0];
	attr->ia_mtime = times[1];
	attr->ia_valid |= ATTR_TIMES_SET;
	return 0;
}

static int utimes_path(const struct path *path, const struct timespec times[2])
{
	struct iattr attr;
	int err = times_attr(times, &attr);

	return err ? err : change_path(path, &attr, NULL);
}

static int utimes_fd(int fd, const struct timespec times[2], int at_flags)
{
	struct fd f;
	int err;

	if (at_flags)
		return -EINVAL;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	err = utimes_path(&f.file->f_path, times);
	fdput(f);
	return err;
}

long do_utimensat(int dfd, const char *name, const struct timespec times[2], int at_flags)
{
	struct path path;
	int err;

	if (times && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	if (!name && dfd != AT_FDCWD)
		return utimes_fd(dfd, times, at_flags);
	if (at_flags & ~AT_WALK_FLAGS)
		return -EINVAL;
	err = user_path_at(dfd, name, walk_flags(at_flags), &path);
	if (err)
		return err;
	err = utimes_path(&path, times);
	path_put(&path);
	return err;
}

static int vfs_truncate(const struct path *path, loff_t length)
{
	struct inode *inode = d_inode(path->dentry);
	const struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int err;

	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return -EISDIR;
	if (!S_ISREG(READ_ONCE(inode->i_mode)))
		return -EINVAL;
	err = mnt_want_write(path->mnt);
	if (err)
		return err;
	err = inode_permission(idmap, inode, MAY_WRITE);
	if (!err && READ_ONCE(inode->i_flags) & S_APPEND)
		err = -EPERM;
	if (!err)
		err = do_truncate(idmap, path->dentry, (u64)length, 0, NULL);
	mnt_drop_write(path->mnt);
	return err;
}

long do_sys_truncate(const char *name, loff_t length)
{
	struct path path;
	int err;

	if (length < 0)
		return -EINVAL;
	err = user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	err = vfs_truncate(&path, length);
	path_put(&path);
	return err;
}

// The file holds a right to write.
static int ftruncate_file(struct file *file, loff_t length)
{
	struct inode *inode = file->f_inode;
	int err;

	if (!S_ISREG(READ_ONCE(inode->i_mode)) || !(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	if (READ_ONCE(inode->i_flags) & S_APPEND)
		return -EPERM;
	file_start_write(file);
	err = do_truncate(mnt_idmap(file->f_path.mnt), file->f_path.dentry, (u64)length,
			  ATTR_MTIME | ATTR_CTIME, file);
	file_end_write(file);
	return err;
}

long ksys_ftruncate(int fd, loff_t length)
{
	struct fd f;
	int err;

	if (length < 0)
		return -EINVAL;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	err = ftruncate_file(f.file, length);
	fdput(f);
	return err;
}
