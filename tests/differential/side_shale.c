/* SPDX-License-Identifier: MIT */
/* shale's side: the public calls, on the task of the user that the test is at the moment. */
#include "side.h"

#include <shale/shale.h>

#include "sides.h"

struct shale_task *side_task;

static long s_openat2(int dfd, const char *path, const struct open_how *how)
{
	return shale_openat2(side_task, dfd, path, how, sizeof(*how));
}
static long s_close(int fd)
{
	return shale_close(side_task, fd);
}
static long s_fstatat(int dfd, const char *path, struct stat *st, int flags)
{
	return shale_fstatat(side_task, dfd, path, st, flags);
}
static long s_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	return shale_statx(side_task, dfd, path, flags, mask, stx);
}
static long s_readlinkat(int dfd, const char *path, char *buf, size_t size)
{
	return shale_readlinkat(side_task, dfd, path, buf, size);
}
static long s_faccessat(int dfd, const char *path, int mode, int flags)
{
	return shale_faccessat2(side_task, dfd, path, mode, flags);
}
static long s_getdents(int fd, void *buf, size_t size)
{
	return shale_getdents64(side_task, fd, buf, size);
}
static long s_pread(int fd, void *buf, size_t size, off_t at)
{
	return shale_pread(side_task, fd, buf, size, at);
}
static long s_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return shale_preadv2(side_task, fd, iov, count, at, flags);
}
static long s_read(int fd, void *buf, size_t size)
{
	return shale_read(side_task, fd, buf, size);
}
static long s_lseek(int fd, off_t offset, int whence)
{
	return shale_lseek(side_task, fd, offset, whence);
}
static long s_statfs(const char *path, struct statfs *buf)
{
	return shale_statfs(side_task, path, buf);
}
static long s_fstatfs(int fd, struct statfs *buf)
{
	return shale_fstatfs(side_task, fd, buf);
}
static long s_getxattr(const char *path, bool follow, const char *name, void *value, size_t size)
{
	return follow ? shale_getxattr(side_task, path, name, value, size)
		      : shale_lgetxattr(side_task, path, name, value, size);
}
static long s_listxattr(const char *path, bool follow, char *list, size_t size)
{
	return follow ? shale_listxattr(side_task, path, list, size)
		      : shale_llistxattr(side_task, path, list, size);
}
static long s_ioctl(int fd, unsigned long request, void *arg)
{
	return shale_ioctl(side_task, fd, request, arg);
}
static long s_chdir(const char *path)
{
	return shale_chdir(side_task, path);
}
static long s_dup3(int oldfd, int newfd, int flags)
{
	return shale_dup3(side_task, oldfd, newfd, flags);
}
static long s_fadvise(int fd, off_t offset, off_t len, int advice)
{
	return shale_fadvise(side_task, fd, offset, len, advice);
}

static long s_fcntl(int fd, int cmd, unsigned long arg)
{
	return shale_fcntl(side_task, fd, cmd, arg);
}

const struct side side_shale = {
	.name = "shale",
	.openat2 = s_openat2,
	.close = s_close,
	.fstatat = s_fstatat,
	.statx = s_statx,
	.readlinkat = s_readlinkat,
	.faccessat = s_faccessat,
	.getdents = s_getdents,
	.pread = s_pread,
	.preadv2 = s_preadv2,
	.read = s_read,
	.lseek = s_lseek,
	.fadvise = s_fadvise,
	.statfs = s_statfs,
	.fstatfs = s_fstatfs,
	.getxattr = s_getxattr,
	.listxattr = s_listxattr,
	.ioctl = s_ioctl,
	.chdir = s_chdir,
	.dup3 = s_dup3,
	.fcntl = s_fcntl,
};
