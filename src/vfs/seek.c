// lseek: the whences, their limits, and setting the position.
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <unistd.h>

loff_t vfs_setpos(struct file *file, loff_t offset, loff_t maxsize)
{
	if (offset < 0 || offset > maxsize)
		return -EINVAL;
	file->f_pos = offset;
	return offset;
}

// eof: where SEEK_END counts from, and where the only hole of a file without holes is.
loff_t generic_file_llseek_size(struct file *file, loff_t offset, int whence, loff_t maxsize, loff_t eof)
{
	loff_t base = 0;

	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_END:
		base = eof;
		break;
	case SEEK_CUR:
		if (offset == 0) // a question, not a change
			return file->f_pos;
		base = file->f_pos;
		break;
	case SEEK_DATA:
		if ((u64)offset >= (u64)eof)
			return -ENXIO;
		break;
	case SEEK_HOLE:
		if ((u64)offset >= (u64)eof)
			return -ENXIO;
		offset = eof;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &offset))
		return -EINVAL;
	return vfs_setpos(file, offset, maxsize);
}

loff_t generic_file_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file->f_inode;

	return generic_file_llseek_size(file, offset, whence, (loff_t)inode->i_sb->s_maxbytes,
					(loff_t)i_size_read(inode));
}

long ksys_lseek(int fd, loff_t offset, int whence)
{
	struct fd f = fdget_pos(fd);
	long pos = -EINVAL;

	if (!f.file)
		return -EBADF;
	if (whence >= SEEK_SET && whence <= SEEK_HOLE)
		pos = f.file->f_mode & FMODE_LSEEK ? f.file->f_op->llseek(f.file, offset, whence) : -ESPIPE;
	fdput_pos(f);
	return pos;
}
