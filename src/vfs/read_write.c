// read and its kin (write.c has those that write): limits, positions, vectors; and the lock-free pread of
// what is cached.
//
// A plain pread of cached data takes no reference on the file: inside one RCU section it finds the file,
// notes its mapping, checks that the descriptor still holds the file, and copies what the cache has without
// I/O. (Inodes, and so mappings, outlive a grace period.) What is missing then is done with a referenced
// file. So threads that read one file share no line that they write but the folios'.
#include "base/alloc.h"
#include "base/current.h"
#include "base/uio.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/rw_internal.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <limits.h>
#include <sys/uio.h>

#define FAST_READ_MOST (64u << 10) // longer ones do not hold up grace periods

int rw_verify_area(loff_t pos, size_t count)
{
	if (unlikely((ssize_t)count < 0 || pos < 0))
		return -EINVAL;
	return unlikely((u64)pos + count > (u64)INT64_MAX) ? -EINVAL : 0;
}

static int check_readable(const struct file *file)
{
	if (unlikely(!(file->f_mode & FMODE_READ)))
		return -EBADF;
	if (unlikely(!(file->f_mode & FMODE_CAN_READ)) && !S_ISDIR(READ_ONCE(file->f_inode->i_mode)))
		return -EINVAL;
	return 0;
}

// A directory is refused here, after all that is wrong with the arguments.
static ssize_t call_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;

	return likely(file->f_mode & FMODE_CAN_READ) ? file->f_op->read_iter(iocb, iter) : -EISDIR;
}

int kiocb_set_rw_flags(struct kiocb *iocb, int rwf, unsigned direction)
{
	const struct file *file = iocb->ki_filp;

	if (rwf & ~RWF_SUPPORTED)
		return -EOPNOTSUPP;
	if (rwf & RWF_APPEND && rwf & RWF_NOAPPEND)
		return -EINVAL;
	if (rwf & ~RWF_HIPRI && direction == READ && !(file->f_mode & FMODE_CAN_READ)) // a directory
		return -EOPNOTSUPP;
	if (rwf & RWF_NOWAIT) {
		if (!(file->f_mode & FMODE_NOWAIT))
			return -EOPNOTSUPP;
		iocb->ki_flags |= IOCB_NOWAIT | IOCB_NOIO;
	}
	if (rwf & RWF_HIPRI)
		iocb->ki_flags |= IOCB_HIPRI;
	if (rwf & (RWF_DSYNC | RWF_SYNC))
		iocb->ki_flags |= IOCB_DSYNC;
	if (rwf & RWF_SYNC)
		iocb->ki_flags |= IOCB_SYNC;
	if (rwf & RWF_APPEND)
		iocb->ki_flags |= IOCB_APPEND;
	if (rwf & RWF_NOAPPEND && iocb->ki_flags & IOCB_APPEND) {
		if (READ_ONCE(file->f_inode->i_flags) & S_APPEND)
			return -EPERM;
		iocb->ki_flags &= ~IOCB_APPEND;
	}
	return 0;
}

void init_kiocb(struct kiocb *iocb, struct file *file, loff_t pos)
{
	*iocb = (struct kiocb){.ki_filp = file, .ki_pos = pos};
	if (unlikely(READ_ONCE(file->f_flags) & O_DIRECT))
		iocb->ki_flags |= IOCB_DIRECT;
}

ssize_t vfs_read(struct file *file, void *buf, size_t count, loff_t *pos)
{
	struct kiocb iocb;
	struct iov_iter iter;
	ssize_t n = check_readable(file);

	if (unlikely(n))
		return n;
	if (unlikely(!access_ok(buf, count)))
		return -EFAULT;
	n = rw_verify_area(*pos, count);
	if (unlikely(n))
		return n;
	if (count > MAX_RW_COUNT)
		count = MAX_RW_COUNT;
	iov_iter_ubuf(&iter, ITER_DEST, buf, count);
	init_kiocb(&iocb, file, *pos);
	n = call_read_iter(&iocb, &iter);
	if (n > 0)
		*pos = iocb.ki_pos;
	return n;
}

long ksys_read(int fd, void *buf, size_t count)
{
	struct fd f = fdget_pos(fd);
	loff_t pos = 0;
	long n;

	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_LSEEK)
		pos = f.file->f_pos;
	n = vfs_read(f.file, buf, count, &pos);
	if (n >= 0 && (f.file->f_mode & FMODE_LSEEK))
		f.file->f_pos = pos;
	fdput_pos(f);
	return n;
}

static __always_inline bool may_read_fast(unsigned mode, const struct inode *inode)
{
	if (unlikely(mode & FMODE_CHECK_ATIME) && inode_atime_behind(inode))
		return false;
	return mode & FMODE_FAST_READ;
}

// What the cache holds of the range, without a reference to the file. 0 also when the file is not for that.
static size_t read_cached(int fd, struct iov_iter *iter, loff_t pos)
{
	struct files_struct *files = current->task->files;
	struct address_space *mapping;
	struct inode *inode;
	struct file *file;
	size_t n = 0;

	rcu_read_lock();
	file = files_lookup_fd_raw(files, (unsigned)fd);
	// The mode is looked at twice: the file may be closed and opened anew between the two looks at the
	// table.
	if (likely(file && (smp_load_acquire(&file->f_mode) & FMODE_FAST_READ))) {
		mapping = smp_load_acquire(&file->f_mapping);
		inode = READ_ONCE(file->f_inode);
		if (likely(mapping && files_lookup_fd_raw(files, (unsigned)fd) == file &&
			   may_read_fast(READ_ONCE(file->f_mode), inode))) {
			n = filemap_read_hit(mapping, &file->f_ra, (u64)pos, iter);
			if (n)
				WRITE_ONCE(file->f_ra.prev_pos, pos + (loff_t)n - 1);
		}
	}
	rcu_read_unlock();
	return n;
}

// Reads on behind `done` bytes that the cache had.
static long pread_rest(int fd, void *buf, size_t count, loff_t pos, ssize_t done)
{
	struct fd f = fdget(fd);
	long n;

	if (!f.file)
		return done ? done : -EBADF;
	if (!(f.file->f_mode & FMODE_PREAD)) {
		n = -ESPIPE;
	} else {
		pos += done;
		n = vfs_read(f.file, (char *)buf + done, count - (size_t)done, &pos);
	}
	fdput(f);
	if (n < 0)
		return done ? done : n;
	return done + n;
}

long ksys_pread64(int fd, void *buf, size_t count, loff_t pos)
{
	size_t done = 0;

	if (unlikely(pos < 0))
		return -EINVAL;
	if (likely(count && count <= FAST_READ_MOST && buf && !rw_verify_area(pos, count))) {
		struct iov_iter iter;

		iov_iter_ubuf(&iter, ITER_DEST, buf, count);
		done = read_cached(fd, &iter, pos);
		if (likely(done == count))
			return (long)done;
	}
	return pread_rest(fd, buf, count, pos, (ssize_t)done);
}

bool segments_ok(const struct iovec *iov, int iovcnt)
{
	for (int i = 0; i < iovcnt; i++)
		if (unlikely(!access_ok(iov[i].iov_base, iov[i].iov_len)))
			return false;
	return true;
}

ssize_t vfs_readv(struct file *file, const struct iovec *iov, int iovcnt, loff_t *pos, int rwf_flags)
{
	struct iovec fast[UIO_FASTIOV], *owned;
	struct iov_iter iter;
	struct kiocb iocb;
	ssize_t n;

	n = check_readable(file);
	if (n)
		return n;
	n = import_iovec(file->f_machine, ITER_DEST, iov, (unsigned long)iovcnt, UIO_FASTIOV, fast, &owned,
			 &iter);
	if (n < 0)
		return n;
	if (!segments_ok(owned ?: fast, iovcnt)) {
		n = -EFAULT;
	} else if (iov_iter_count(&iter)) {
		n = rw_verify_area(*pos, iov_iter_count(&iter));
		init_kiocb(&iocb, file, *pos);
		if (!n)
			n = kiocb_set_rw_flags(&iocb, rwf_flags, READ);
		if (!n) {
			n = call_read_iter(&iocb, &iter);
			if (n > 0)
				*pos = iocb.ki_pos;
		}
	} else {
		n = 0;
	}
	kfree(owned);
	return n;
}

static long do_readv_pos(int fd, const struct iovec *iov, int iovcnt, int rwf_flags)
{
	struct fd f = fdget_pos(fd);
	loff_t pos = 0;
	long n;

	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_LSEEK)
		pos = f.file->f_pos;
	n = vfs_readv(f.file, iov, iovcnt, &pos, rwf_flags);
	if (n >= 0 && (f.file->f_mode & FMODE_LSEEK))
		f.file->f_pos = pos;
	fdput_pos(f);
	return n;
}

long do_preadv(int fd, const struct iovec *iov, int iovcnt, loff_t pos, int rwf_flags)
{
	struct fd f;
	long n = -ESPIPE;

	if (pos == -1)
		return do_readv_pos(fd, iov, iovcnt, rwf_flags);
	if (pos < 0)
		return -EINVAL;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	if (f.file->f_mode & FMODE_PREAD)
		n = vfs_readv(f.file, iov, iovcnt, &pos, rwf_flags);
	fdput(f);
	return n;
}

ssize_t generic_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	ssize_t n;

	if (!iov_iter_count(to))
		return 0;
	n = filemap_read(file->f_mapping, &file->f_ra, &iocb->ki_pos, to,
			 iocb->ki_flags & (IOCB_NOWAIT | IOCB_NOIO));
	file_accessed(file);
	return n;
}

void file_accessed(struct file *file)
{
	if (!(READ_ONCE(file->f_flags) & O_NOATIME))
		touch_atime(&file->f_path);
}
