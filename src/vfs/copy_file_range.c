// copy_file_range: from one file to another of the same file system, by the file system where it can, else
// through a buffer.
#include "base/alloc.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/rw_internal.h"
#include "vfs/super.h"

#include <errno.h>

#define COPY_CHUNK (128u << 10)

struct copy_range {
	struct file *in, *out;
	loff_t pos_in, pos_out;
	size_t count;
};

static int check_files(const struct file *in, const struct file *out)
{
	if (S_ISDIR(READ_ONCE(in->f_inode->i_mode)) || S_ISDIR(READ_ONCE(out->f_inode->i_mode)))
		return -EISDIR;
	if (!S_ISREG(READ_ONCE(in->f_inode->i_mode)) || !S_ISREG(READ_ONCE(out->f_inode->i_mode)))
		return -EINVAL;
	if (!(in->f_mode & FMODE_READ) || !(out->f_mode & FMODE_WRITE) || READ_ONCE(out->f_flags) & O_APPEND)
		return -EBADF;
	if (out->f_op->copy_file_range)
		return in->f_op->copy_file_range == out->f_op->copy_file_range ? 0 : -EXDEV;
	return in->f_inode->i_sb == out->f_inode->i_sb ? 0 : -EXDEV;
}

// Checks the range, and cuts it at the end of the file and at what the other may hold.
static int check_range(struct copy_range *c)
{
	const struct inode *in = c->in->f_inode, *out = c->out->f_inode;
	u64 size = i_size_read(in);
	loff_t most = (loff_t)out->i_sb->s_maxbytes;

	if (READ_ONCE(out->i_flags) & S_IMMUTABLE)
		return -EPERM;
	if ((u64)c->pos_in + c->count < (u64)c->pos_in || (u64)c->pos_out + c->count < (u64)c->pos_out)
		return -EOVERFLOW;
	c->count = (u64)c->pos_in >= size ? 0 : min_t(u64, c->count, size - (u64)c->pos_in);
	if (c->pos_out >= most)
		return -EFBIG;
	c->count = min_t(u64, c->count, (u64)most - (u64)c->pos_out);
	if (in == out && (u64)c->pos_out + c->count > (u64)c->pos_in &&
	    (u64)c->pos_out < (u64)c->pos_in + c->count)
		return -EINVAL;
	if (rw_verify_area(c->pos_in, c->count) || rw_verify_area(c->pos_out, c->count))
		return -EINVAL;
	c->count = min_t(size_t, c->count, MAX_RW_COUNT);
	return 0;
}

static ssize_t copy_by_buffer(struct copy_range *c)
{
	void *buf = kmalloc(c->out->f_machine, min_t(size_t, c->count, COPY_CHUNK));
	ssize_t done = 0, n = 0;

	if (!buf)
		return -ENOMEM;
	while ((size_t)done < c->count) {
		ssize_t got =
			vfs_read(c->in, buf, min_t(size_t, c->count - (size_t)done, COPY_CHUNK), &c->pos_in);

		n = got;
		if (got > 0)
			n = vfs_write(c->out, buf, (size_t)got, &c->pos_out);
		if (n <= 0)
			break;
		done += n;
		if (n < got)
			break;
	}
	kfree(buf);
	return done ? done : n;
}

static ssize_t vfs_copy_file_range(struct copy_range *c)
{
	int err = check_files(c->in, c->out);

	if (!err)
		err = check_range(c);
	if (err || !c->count)
		return err;
	if (c->out->f_op->copy_file_range) {
		ssize_t n = c->out->f_op->copy_file_range(c->in, c->pos_in, c->out, c->pos_out, c->count, 0);

		if (n != -EOPNOTSUPP)
			return n;
	}
	return copy_by_buffer(c);
}

// off_in, off_out: NULL: the file's own position.
static long copy_at(struct file *in, loff_t *off_in, struct file *out, loff_t *off_out, size_t count,
		    unsigned flags)
{
	struct copy_range c = {.in = in,
			       .out = out,
			       .pos_in = off_in ? *off_in : in->f_pos,
			       .pos_out = off_out ? *off_out : out->f_pos,
			       .count = count};
	loff_t pos_in = c.pos_in, pos_out = c.pos_out;
	long n;

	if (flags)
		return -EINVAL;
	n = vfs_copy_file_range(&c);
	if (n <= 0)
		return n;
	*(off_in ?: &in->f_pos) = pos_in + n;
	*(off_out ?: &out->f_pos) = pos_out + n;
	return n;
}

long ksys_copy_file_range(int fd_in, loff_t *off_in, int fd_out, loff_t *off_out, size_t count,
			  unsigned flags)
{
	struct fd in = fdget(fd_in), out = fdget(fd_out);
	long n = -EBADF;

	if (in.file && out.file)
		n = copy_at(in.file, off_in, out.file, off_out, count, flags);
	fdput(in);
	fdput(out);
	return n;
}
