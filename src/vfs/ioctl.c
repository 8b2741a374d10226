// ioctl: what all files answer, then what regular files do, then the file system or driver.
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static long driver_ioctl(struct file *file, unsigned cmd, void *arg)
{
	return file->f_op->ioctl ? file->f_op->ioctl(file, cmd, arg) : -ENOTTY;
}

static long set_status_flag(struct file *file, unsigned flag, const int *arg)
{
	if (!arg)
		return -EFAULT;
	if (*arg)
		__atomic_fetch_or(&file->f_flags, flag, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&file->f_flags, ~flag, __ATOMIC_RELAXED);
	return 0;
}

static long file_bytes_ahead(struct file *file, int *arg)
{
	s64 n = (s64)i_size_read(file->f_inode) - file->f_pos;

	if (!arg)
		return -EFAULT;
	*arg = n > INT_MAX ? INT_MAX : n < INT_MIN ? INT_MIN : (int)n;
	return 0;
}

static long ioctl_freeze(struct file *file, bool freeze)
{
	struct super_block *sb = file->f_inode->i_sb;

	if (!capable(SHALE_CAP_SYS_ADMIN))
		return -EPERM;
	if (!freeze)
		return thaw_super(sb);
	return sb->s_op->freeze_fs ? freeze_super(sb) : -EOPNOTSUPP;
}

static long do_vfs_ioctl(struct file *file, int fd, unsigned cmd, void *arg)
{
	struct inode *inode = file->f_inode;

	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec((unsigned)fd, true);
	case FIONCLEX:
		return fd_set_cloexec((unsigned)fd, false);
	case FIONBIO:
		return set_status_flag(file, O_NONBLOCK, arg);
	case FIGETBSZ:
		if (!arg)
			return -EFAULT;
		*(int *)arg = (int)inode->i_sb->s_blocksize;
		return 0;
	case FIOQSIZE:
		if (!S_ISREG(READ_ONCE(inode->i_mode)) && !S_ISDIR(READ_ONCE(inode->i_mode)) &&
		    !S_ISLNK(READ_ONCE(inode->i_mode)))
			return -ENOTTY;
		if (!arg)
			return -EFAULT;
		*(loff_t *)arg = (loff_t)inode->i_blocks * 512;
		return 0;
	case FIFREEZE:
	case FITHAW:
		return ioctl_freeze(file, cmd == FIFREEZE);
	case FS_IOC_GETFLAGS:
		return inode->i_op->fileattr_get ? ioctl_getflags(file, arg) : driver_ioctl(file, cmd, arg);
	case FS_IOC_SETFLAGS:
		return inode->i_op->fileattr_set ? ioctl_setflags(file, arg) : driver_ioctl(file, cmd, arg);
	case FS_IOC_FIEMAP:
		return ioctl_fiemap(file, arg);
	case FIONREAD:
		return S_ISREG(READ_ONCE(inode->i_mode)) ? file_bytes_ahead(file, arg)
							 : driver_ioctl(file, cmd, arg);
	default:
		return driver_ioctl(file, cmd, arg);
	}
}

long ksys_ioctl(int fd, unsigned cmd, void *arg)
{
	struct fd f = fdget(fd);
	long result;

	if (!f.file)
		return -EBADF;
	result = do_vfs_ioctl(f.file, fd, cmd, arg);
	fdput(f);
	return result;
}
