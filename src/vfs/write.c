// write and its kin: checks, positions, and the steps that every file system's write_iter shares.
//
// i_rwsem is held exclusive from the checks to the end of the copying, so writes to one file come one after
// the other and an append finds the end of file. Synchronous writes sync after it was given back.
#include "base/alloc.h"
#include "base/uio.h"
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/rw_internal.h"
#include "vfs/super.h"

#include <errno.h>
#include <limits.h>

static int check_writable(const struct file *file)
{
	if (unlikely(!(file->f_mode & FMODE_WRITE)))
		return -EBADF;
	return likely(file->f_mode & FMODE_CAN_WRITE) ? 0 : -EINVAL;
}

static bool inode_is_sync(const struct inode *inode)
{
	return S_ISREG(READ_ONCE(inode->i_mode)) &&
	       (READ_ONCE(inode->i_flags) & S_SYNC || READ_ONCE(inode->i_sb->s_flags) & SB_SYNCHRONOUS);
}

static void init_kiocb_write(struct kiocb *iocb, struct file *file, loff_t pos)
{
	unsigned flags = READ_ONCE(file->f_flags);

	init_kiocb(iocb, file, pos);
	if (flags & O_APPEND)
		iocb->ki_flags |= IOCB_APPEND;
	if (flags & O_DSYNC || inode_is_sync(file->f_inode))
		iocb->ki_flags |= IOCB_DSYNC;
	if ((flags & O_SYNC) == O_SYNC)
		iocb->ki_flags |= IOCB_SYNC;
}

void file_start_write(struct file *file)
{
	if (S_ISREG(READ_ONCE(file->f_inode->i_mode)))
		sb_start_write(file->f_inode->i_sb);
}

void file_end_write(struct file *file)
{
	if (S_ISREG(READ_ONCE(file->f_inode->i_mode)))
		sb_end_write(file->f_inode->i_sb);
}

static ssize_t call_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	ssize_t n;

	file_start_write(file);
	n = file->f_op->write_iter(iocb, from);
	file_end_write(file);
	return n;
}

ssize_t vfs_write(struct file *file, const void *buf, size_t count, loff_t *pos)
{
	struct kiocb iocb;
	struct iov_iter iter;
	ssize_t n = check_writable(file);

	if (unlikely(n))
		return n;
	if (unlikely(!access_ok(buf, count)))
		return -EFAULT;
	n = rw_verify_area(*pos, count);
	if (unlikely(n))
		return n;
	import_ubuf(ITER_SOURCE, (void *)(uintptr_t)buf, count, &iter);
	init_kiocb_write(&iocb, file, *pos);
	n = call_write_iter(&iocb, &iter);
	if (n > 0)
		*pos = iocb.ki_pos;
	return n;
}

long ksys_write(int fd, const void *buf, size_t count)
{
	struct fd f = fdget_pos(fd);
	loff_t pos = 0;
	long n;

	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_LSEEK)
		pos = f.file->f_pos;
	n = vfs_write(f.file, buf, count, &pos);
	if (n >= 0 && (f.file->f_mode & FMODE_LSEEK))
		f.file->f_pos = pos;
	fdput_pos(f);
	return n;
}

long ksys_pwrite64(int fd, const void *buf, size_t count, loff_t pos)
{
	struct fd f;
	long n = -ESPIPE;

	if (unlikely(pos < 0))
		return -EINVAL;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_PWRITE)
		n = vfs_write(f.file, buf, count, &pos);
	fdput(f);
	return n;
}

static ssize_t write_iovec(struct file *file, struct iov_iter *iter, loff_t *pos, int rwf_flags)
{
	struct kiocb iocb;
	ssize_t n = rw_verify_area(*pos, iov_iter_count(iter));

	if (n)
		return n;
	init_kiocb_write(&iocb, file, *pos);
	n = kiocb_set_rw_flags(&iocb, rwf_flags, WRITE);
	if (n)
		return n;
	n = call_write_iter(&iocb, iter);
	if (n > 0)
		*pos = iocb.ki_pos;
	return n;
}

static ssize_t vfs_writev(struct file *file, const struct iovec *iov, int iovcnt, loff_t *pos, int rwf_flags)
{
	struct iovec fast[UIO_FASTIOV], *owned;
	struct iov_iter iter;
	ssize_t n;

	n = check_writable(file);
	if (n)
		return n;
	n = import_iovec(file->f_machine, ITER_SOURCE, iov, (unsigned long)iovcnt, UIO_FASTIOV, fast, &owned,
			 &iter);
	if (n < 0)
		return n;
	if (!segments_ok(owned ?: fast, iovcnt))
		n = -EFAULT;
	else if (iov_iter_count(&iter))
		n = write_iovec(file, &iter, pos, rwf_flags);
	else
		n = 0;
	kfree(owned);
	return n;
}

static long do_writev_pos(int fd, const struct iovec *iov, int iovcnt, int rwf_flags)
{
	struct fd f = fdget_pos(fd);
	loff_t pos = 0;
	long n;

	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_LSEEK)
		pos = f.file->f_pos;
	n = vfs_writev(f.file, iov, iovcnt, &pos, rwf_flags);
	if (n >= 0 && (f.file->f_mode & FMODE_LSEEK))
		f.file->f_pos = pos;
	fdput_pos(f);
	return n;
}

long do_pwritev(int fd, const struct iovec *iov, int iovcnt, loff_t pos, int rwf_flags)
{
	struct fd f;
	long n = -ESPIPE;

	if (pos == -1)
		return do_writev_pos(fd, iov, iovcnt, rwf_flags);
	if (pos < 0)
		return -EINVAL;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_PWRITE)
		n = vfs_writev(f.file, iov, iovcnt, &pos, rwf_flags);
	fdput(f);
	return n;
}

// What write_iter functions are made of.

ssize_t generic_write_checks(struct kiocb *iocb, struct iov_iter *from)
{
	const struct file *file = iocb->ki_filp;
	u64 size = mapping_size(file->f_mapping), most = file->f_inode->i_sb->s_maxbytes;

	if (!iov_iter_count(from))
		return 0;
	if (iocb->ki_flags & IOCB_APPEND)
		iocb->ki_pos = (loff_t)size;
	if ((iocb->ki_flags & (IOCB_NOWAIT | IOCB_DIRECT)) == IOCB_NOWAIT &&
	    !(file->f_op->fop_flags & FOP_BUFFER_WASYNC))
		return -EINVAL;
	if ((u64)iocb->ki_pos >= most)
		return -EFBIG;
	iov_iter_truncate(from, most - (u64)iocb->ki_pos);
	return (ssize_t)iov_iter_count(from);
}

ssize_t generic_write_sync(struct kiocb *iocb, ssize_t count)
{
	int err;

	if (count <= 0 || !(iocb->ki_flags & IOCB_DSYNC))
		return count;
	err = vfs_fsync_range(iocb->ki_filp, iocb->ki_pos - count, iocb->ki_pos - 1,
			      !(iocb->ki_flags & IOCB_SYNC));
	return err ? err : count;
}

ssize_t generic_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	ssize_t n;

	inode_lock(inode);
	n = generic_write_checks(iocb, from);
	if (n > 0) {
		n = file_modified(iocb->ki_filp);
		if (!n)
			n = generic_perform_write(inode->i_mapping, (u64)iocb->ki_pos, from);
		if (n > 0)
			iocb->ki_pos += n;
	}
	inode_unlock(inode);
	return generic_write_sync(iocb, n);
}

int file_update_time(struct file *file)
{
	struct inode *inode = file->f_inode;
	struct timespec now = current_time(inode), mtime = timespec_read(&inode->i_mtime),
			ctime = timespec_read(&inode->i_ctime);

	if (timespec_equal(&mtime, &now) && timespec_equal(&ctime, &now))
		return 0;
	inode_set_time(&inode->i_mtime, now);
	inode_set_time(&inode->i_ctime, now);
	mark_inode_dirty(inode, READ_ONCE(inode->i_sb->s_flags) & SB_LAZYTIME ? I_DIRTY_TIME : I_DIRTY_SYNC);
	return 0;
}

int file_modified(struct file *file)
{
	int err = file_remove_privs(file);

	return err ? err : file_update_time(file);
}
