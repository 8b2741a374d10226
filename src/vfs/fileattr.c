// File attributes as chattr(1) knows them: FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, with the rules that all file
// systems share. Which flags there are is the file system's.
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"

#include <errno.h>
#include <linux/fs.h>

long ioctl_getflags(struct file *file, unsigned *arg)
{
	struct inode *inode = file->f_inode;

	if (!arg)
		return -EFAULT;
	return inode->i_op->fileattr_get(file->f_path.dentry, arg);
}

// i_rwsem held exclusive.
static int fileattr_set(struct file *file, u32 flags)
{
	const u32 guarded = FS_APPEND_FL | FS_IMMUTABLE_FL;
	struct dentry *dentry = file->f_path.dentry;
	struct inode *inode = file->f_inode;
	u32 old;
	int err = inode->i_op->fileattr_get(dentry, &old);

	if (err)
		return err;
	if ((flags ^ old) & guarded && !capable(SHALE_CAP_LINUX_IMMUTABLE))
		return -EPERM;
	return inode->i_op->fileattr_set(mnt_idmap(file->f_path.mnt), dentry, flags);
}

long ioctl_setflags(struct file *file, const unsigned *arg)
{
	struct inode *inode = file->f_inode;
	int err;

	if (!arg)
		return -EFAULT;
	err = mnt_want_write(file->f_path.mnt);
	if (err)
		return err;
	if (!inode_owner_or_capable(NULL, inode)) {
		err = -EPERM;
	} else {
		inode_lock(inode);
		err = fileattr_set(file, *arg);
		inode_unlock(inode);
	}
	mnt_drop_write(file->f_path.mnt);
	return err;
}
