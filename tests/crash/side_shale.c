/* SPDX-License-Identifier: MIT */
/* A directory of a shale machine (side.h). */
#include "crash/side.h"

#include <limits.h>

#include <shale/shale.h>

struct at {
	char path[PATH_MAX];
};

static struct at at(struct side *side, const char *path)
{
	struct at at;

	snprintf(at.path, sizeof(at.path), "%s%s", side->top, path);
	return at;
}

static long s_open(struct side *side, const char *path, int flags, mode_t mode)
{
	return shale_open(side->task, at(side, path).path, flags, mode);
}
static long s_close(struct side *side, int fd)
{
	return shale_close(side->task, fd);
}
static long s_pread(struct side *side, int fd, void *data, size_t bytes, off_t offset)
{
	return shale_pread(side->task, fd, data, bytes, offset);
}
static long s_pwrite(struct side *side, int fd, const void *data, size_t bytes, off_t offset)
{
	return shale_pwrite(side->task, fd, data, bytes, offset);
}
static long s_fsync(struct side *side, int fd)
{
	return shale_fsync(side->task, fd);
}
static long s_fdatasync(struct side *side, int fd)
{
	return shale_fdatasync(side->task, fd);
}
static long s_syncfs(struct side *side, int fd)
{
	return shale_syncfs(side->task, fd);
}
static long s_ftruncate(struct side *side, int fd, off_t size)
{
	return shale_ftruncate(side->task, fd, size);
}
static long s_fallocate(struct side *side, int fd, int mode, off_t offset, off_t bytes)
{
	return shale_fallocate(side->task, fd, mode, offset, bytes);
}
static long s_mkdir(struct side *side, const char *path, mode_t mode)
{
	return shale_mkdir(side->task, at(side, path).path, mode);
}
static long s_unlink(struct side *side, const char *path, int flags)
{
	return shale_unlinkat(side->task, AT_FDCWD, at(side, path).path, flags);
}
static long s_link(struct side *side, const char *path, const char *path2)
{
	return shale_link(side->task, at(side, path).path, at(side, path2).path);
}
static long s_symlink(struct side *side, const char *target, const char *path)
{
	return shale_symlink(side->task, target, at(side, path).path);
}
static long s_rename(struct side *side, const char *path, const char *path2, unsigned flags)
{
	return shale_renameat2(side->task, AT_FDCWD, at(side, path).path, AT_FDCWD, at(side, path2).path,
			       flags);
}
static long s_chmod(struct side *side, const char *path, mode_t mode)
{
	return shale_chmod(side->task, at(side, path).path, mode);
}
static long s_setxattr(struct side *side, const char *path, const char *name, const void *value, size_t size)
{
	return shale_setxattr(side->task, at(side, path).path, name, value, size, 0);
}
static long s_removexattr(struct side *side, const char *path, const char *name)
{
	return shale_removexattr(side->task, at(side, path).path, name);
}
static long s_lstat(struct side *side, const char *path, struct stat *st)
{
	return shale_lstat(side->task, at(side, path).path, st);
}
static long s_readlink(struct side *side, const char *path, char *target, size_t size)
{
	return shale_readlink(side->task, at(side, path).path, target, size);
}
static long s_getdents(struct side *side, int fd, void *entries, size_t size)
{
	return shale_getdents64(side->task, fd, entries, size);
}
static long s_lgetxattr(struct side *side, const char *path, const char *name, void *value, size_t size)
{
	return shale_lgetxattr(side->task, at(side, path).path, name, value, size);
}
static long s_llistxattr(struct side *side, const char *path, char *names, size_t size)
{
	return shale_llistxattr(side->task, at(side, path).path, names, size);
}

static const struct side_calls shale_calls = {
	.open = s_open,
	.close = s_close,
	.pwrite = s_pwrite,
	.pread = s_pread,
	.fsync = s_fsync,
	.fdatasync = s_fdatasync,
	.syncfs = s_syncfs,
	.ftruncate = s_ftruncate,
	.fallocate = s_fallocate,
	.mkdir = s_mkdir,
	.unlink = s_unlink,
	.link = s_link,
	.symlink = s_symlink,
	.rename = s_rename,
	.chmod = s_chmod,
	.setxattr = s_setxattr,
	.removexattr = s_removexattr,
	.lstat = s_lstat,
	.readlink = s_readlink,
	.getdents = s_getdents,
	.lgetxattr = s_lgetxattr,
	.llistxattr = s_llistxattr,
};

void side_shale(struct side *side, struct shale_task *task, const char *top)
{
	*side = (struct side){.calls = &shale_calls, .task = task};
	snprintf(side->top, sizeof(side->top), "%s", top);
}
