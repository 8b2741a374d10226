// fcntl: duplicates, flags of the descriptor and of the file; locks are in locks.c.
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/locks.h"
#include "vfs/mount.h"

#include <errno.h>

// Not O_ASYNC: only a file that can send signals takes it, and there is none yet.
#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static long setfl(struct file *file, unsigned arg)
{
	struct inode *inode = file->f_inode;
	unsigned old = READ_ONCE(file->f_flags);

	if (((arg ^ old) & O_APPEND) && (READ_ONCE(inode->i_flags) & S_APPEND))
		return -EPERM;
	if ((arg & O_NOATIME) && !(old & O_NOATIME) &&
	    !inode_owner_or_capable(mnt_idmap(file->f_path.mnt), inode))
		return -EPERM;
	if ((arg & O_DIRECT) && !(file->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;
	// What is cached may be read without looking at O_DIRECT only while that is off.
	__atomic_fetch_and(&file->f_mode, ~(FMODE_FAST_READ | FMODE_CHECK_ATIME), __ATOMIC_RELAXED);
	WRITE_ONCE(file->f_flags, (arg & SETFL_MASK) | (old & ~(unsigned)SETFL_MASK));
	if (!(arg & O_DIRECT) && (file->f_mode & FMODE_CAN_READ) &&
	    (file->f_op->fop_flags & FOP_BUFFERED_READ))
		__atomic_fetch_or(&file->f_mode, file_fast_read_mode(file), __ATOMIC_RELAXED);
	return 0;
}

static bool cmd_for_o_path(unsigned cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_SETFD || cmd == F_GETFL;
}

static bool cmd_of_leases_and_signals(unsigned cmd)
{
	return (cmd >= F_SETOWN && cmd <= F_GETSIG) || (cmd >= F_SETLEASE && cmd <= F_NOTIFY) ||
	       (cmd >= F_SETPIPE_SZ && cmd <= F_SET_FILE_RW_HINT);
}

static long do_fcntl(int fd, struct file *file, unsigned cmd, unsigned long arg)
{
	switch (cmd) {
	case F_DUPFD:
		return fd_dupfd(get_file(file), (unsigned)arg, 0);
	case F_DUPFD_CLOEXEC:
		return fd_dupfd(get_file(file), (unsigned)arg, O_CLOEXEC);
	case F_GETFD: {
		int on = fd_get_cloexec((unsigned)fd);

		return on < 0 ? on : on ? FD_CLOEXEC : 0;
	}
	case F_SETFD:
		return fd_set_cloexec((unsigned)fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return (long)READ_ONCE(file->f_flags);
	case F_SETFL:
		return setfl(file, (unsigned)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(fd, file, cmd, (struct flock *)arg);
	default:
		return cmd_of_leases_and_signals(cmd) ? -EOPNOTSUPP : -EINVAL;
	}
}

long ksys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
	struct fd f = fdget_raw(fd);
	long result = -EBADF;

	if (!f.file)
		return -EBADF;
	if (!(f.file->f_mode & FMODE_PATH) || cmd_for_o_path(cmd))
		result = do_fcntl(fd, f.file, cmd, arg);
	fdput(f);
	return result;
}
