/* SPDX-License-Identifier: MIT */
/* The kernel's side (side.h): a directory of the host. */
#include "crash/side.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

struct at {
	char path[PATH_MAX];
};

static struct at at(struct side *side, const char *path)
{
	struct at at;

	snprintf(at.path, sizeof(at.path), "%s%s", side->top, path);
	return at;
}

static long said(long ret)
{
	return ret < 0 ? -errno : ret;
}

static long k_open(struct side *side, const char *path, int flags, mode_t mode)
{
	return said(open(at(side, path).path, flags, mode));
}
static long k_close(struct side *side, int fd)
{
	return said(close(fd));
}
static long k_pwrite(struct side *side, int fd, const void *data, size_t bytes, off_t offset)
{
	return said(pwrite(fd, data, bytes, offset));
}
static long k_pread(struct side *side, int fd, void *data, size_t bytes, off_t offset)
{
	return said(pread(fd, data, bytes, offset));
}
static long k_fsync(struct side *side, int fd)
{
	return said(fsync(fd));
}
static long k_fdatasync(struct side *side, int fd)
{
	return said(fdatasync(fd));
}
static long k_syncfs(struct side *side, int fd)
{
	return said(syncfs(fd));
}
static long k_ftruncate(struct side *side, int fd, off_t size)
{
	return said(ftruncate(fd, size));
}
static long k_fallocate(struct side *side, int fd, int mode, off_t offset, off_t bytes)
{
	return said(fallocate(fd, mode, offset, bytes));
}
static long k_mkdir(struct side *side, const char *path, mode_t mode)
{
	return said(mkdir(at(side, path).path, mode));
}
static long k_unlink(struct side *side, const char *path, int flags)
{
	return said(unlinkat(AT_FDCWD, at(side, path).path, flags));
}
static long k_link(struct side *side, const char *path, const char *path2)
{
	return said(link(at(side, path).path, at(side, path2).path));
}
static long k_symlink(struct side *side, const char *target, const char *path)
{
	return said(symlink(target, at(side, path).path));
}
static long k_rename(struct side *side, const char *path, const char *path2, unsigned flags)
{
	return said(renameat2(AT_FDCWD, at(side, path).path, AT_FDCWD, at(side, path2).path, flags));
}
static long k_chmod(struct side *side, const char *path, mode_t mode)
{
	return said(chmod(at(side, path).path, mode));
}
static long k_setxattr(struct side *side, const char *path, const char *name, const void *value, size_t size)
{
	return said(setxattr(at(side, path).path, name, value, size, 0));
}
static long k_removexattr(struct side *side, const char *path, const char *name)
{
	return said(removexattr(at(side, path).path, name));
}
static long k_lstat(struct side *side, const char *path, struct stat *st)
{
	return said(lstat(at(side, path).path, st));
}
static long k_readlink(struct side *side, const char *path, char *target, size_t size)
{
	return said(readlink(at(side, path).path, target, size));
}
static long k_getdents(struct side *side, int fd, void *entries, size_t size)
{
	return said(syscall(SYS_getdents64, fd, entries, size));
}
static long k_lgetxattr(struct side *side, const char *path, const char *name, void *value, size_t size)
{
	return said(lgetxattr(at(side, path).path, name, value, size));
}
static long k_llistxattr(struct side *side, const char *path, char *names, size_t size)
{
	return said(llistxattr(at(side, path).path, names, size));
}

static const struct side_calls kernel_calls = {
	.open = k_open,
	.close = k_close,
	.pwrite = k_pwrite,
	.pread = k_pread,
	.fsync = k_fsync,
	.fdatasync = k_fdatasync,
	.syncfs = k_syncfs,
	.ftruncate = k_ftruncate,
	.fallocate = k_fallocate,
	.mkdir = k_mkdir,
	.unlink = k_unlink,
	.link = k_link,
	.symlink = k_symlink,
	.rename = k_rename,
	.chmod = k_chmod,
	.setxattr = k_setxattr,
	.removexattr = k_removexattr,
	.lstat = k_lstat,
	.readlink = k_readlink,
	.getdents = k_getdents,
	.lgetxattr = k_lgetxattr,
	.llistxattr = k_llistxattr,
};

void side_kernel(struct side *side, const char *top)
{
	*side = (struct side){.calls = &kernel_calls};
	snprintf(side->top, sizeof(side->top), "%s", top);
}
