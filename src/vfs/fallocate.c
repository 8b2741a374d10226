// fallocate: what is checked for every file system.
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/falloc.h>

// Which mode goes with which flag.
static int check_mode(int mode)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_UNSHARE_RANGE:
	case FALLOC_FL_ZERO_RANGE:
		return 0;
	case FALLOC_FL_PUNCH_HOLE:
		return keep ? 0 : -EOPNOTSUPP;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		return keep ? -EOPNOTSUPP : 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int check_inode(const struct inode *inode, int mode)
{
	u32 flags = READ_ONCE(inode->i_flags);

	if (flags & S_APPEND && mode & ~FALLOC_FL_KEEP_SIZE) // an append-only file may get space
		return -EPERM;
	if (flags & S_IMMUTABLE)
		return -EPERM;
	if (S_ISFIFO(READ_ONCE(inode->i_mode)))
		return -ESPIPE;
	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return -EISDIR;
	return S_ISREG(READ_ONCE(inode->i_mode)) || S_ISBLK(READ_ONCE(inode->i_mode)) ? 0 : -ENODEV;
}

static long vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	const struct inode *inode = file->f_inode;
	loff_t end;
	int err;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	err = check_mode(mode);
	if (err)
		return err;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	err = check_inode(inode, mode);
	if (err)
		return err;
	if (__builtin_add_overflow(offset, len, &end) || (u64)end > inode->i_sb->s_maxbytes)
		return -EFBIG;
	if (!file->f_op->fallocate)
		return -EOPNOTSUPP;
	file_start_write(file);
	err = file->f_op->fallocate(file, mode, offset, len);
	file_end_write(file);
	return err;
}

long ksys_fallocate(int fd, int mode, loff_t offset, loff_t len)
{
	struct fd f = fdget(fd);
	long err = -EBADF;

	if (f.file)
		err = vfs_fallocate(f.file, mode, offset, len);
	fdput(f);
	return err;
}
