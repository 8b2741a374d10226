/* SPDX-License-Identifier: MIT */
/* Operations as system calls (side.h). */
#include "crash/side.h"

#include <errno.h>
#include <linux/falloc.h>

/* What is done to an open file. */
static long on_open(struct side *side, const struct op *op, int flags,
		    long (*act)(struct side *, const struct op *, int))
{
	long fd = side->calls->open(side, op->path, flags, 0), ret, err;

	if (fd < 0)
		return fd;
	ret = act(side, op, (int)fd);
	err = side->calls->close(side, (int)fd);
	return ret < 0 ? ret : err < 0 ? err : ret;
}

static long act_write(struct side *side, const struct op *op, int fd)
{
	/* Direct I/O wants whole pages in memory, too. */
	u8 *data = must_have(aligned_alloc(4096, (op->length + 4095) & ~4095ull));
	u64 offset = op->offset;
	struct stat st;
	long ret = 0;

	if (op->flags & O_APPEND) {
		ret = side->calls->lstat(side, op->path, &st);
		offset = (u64)st.st_size;
	}
	op_fill(op->number, offset, data, op->length);
	if (!ret)
		ret = side->calls->pwrite(side, fd, data, op->length, (off_t)offset);
	free(data);
	return ret;
}

static long act_truncate(struct side *side, const struct op *op, int fd)
{
	return side->calls->ftruncate(side, fd, (off_t)op->length);
}

static long act_fallocate(struct side *side, const struct op *op, int fd)
{
	return side->calls->fallocate(side, fd, op->flags, (off_t)op->offset, (off_t)op->length);
}

static long act_sync(struct side *side, const struct op *op, int fd)
{
	if (op->kind == OP_SYNC)
		return side->calls->syncfs(side, fd);
	return op->kind == OP_FSYNC ? side->calls->fsync(side, fd) : side->calls->fdatasync(side, fd);
}

static long do_creat(struct side *side, const struct op *op)
{
	long fd = side->calls->open(side, op->path, O_CREAT | O_EXCL | O_WRONLY, 0644);

	return fd < 0 ? fd : side->calls->close(side, (int)fd);
}

static long do_xattr(struct side *side, const struct op *op)
{
	u8 value[4096];

	if (op->kind == OP_REMOVEXATTR)
		return side->calls->removexattr(side, op->path, op->path2);
	op_fill(op->number, 0, value, op->length);
	return side->calls->setxattr(side, op->path, op->path2, value, op->length);
}

static long do_symlink(struct side *side, const struct op *op)
{
	char target[4096];

	op_target(op, target);
	return side->calls->symlink(side, target, op->path);
}

long side_do(struct side *side, const struct op *op)
{
	switch (op->kind) {
	case OP_CREAT:
		return do_creat(side, op);
	case OP_MKDIR:
		return side->calls->mkdir(side, op->path, 0755);
	case OP_LINK:
		return side->calls->link(side, op->path, op->path2);
	case OP_SYMLINK:
		return do_symlink(side, op);
	case OP_UNLINK:
		return side->calls->unlink(side, op->path, 0);
	case OP_RMDIR:
		return side->calls->unlink(side, op->path, AT_REMOVEDIR);
	case OP_RENAME:
		return side->calls->rename(side, op->path, op->path2, op->flags);
	case OP_TRUNCATE:
		return on_open(side, op, O_RDWR, act_truncate);
	case OP_FALLOCATE:
		return on_open(side, op, O_RDWR, act_fallocate);
	case OP_WRITE:
		return on_open(side, op, O_RDWR | op->flags, act_write);
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		return do_xattr(side, op);
	case OP_CHMOD:
		return side->calls->chmod(side, op->path, op->flags);
	case OP_FSYNC:
	case OP_FDATASYNC:
	case OP_SYNC:
		return on_open(side, op, O_RDONLY, act_sync);
	default:
		return -ENOSYS;
	}
}
