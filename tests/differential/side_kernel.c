/* SPDX-License-Identifier: MIT */
/* The kernel's side: system calls, with errno turned into a negative result. */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sides.h"

static long result(long r)
{
	return r == -1 ? -errno : r;
}

static long k_openat2(int dfd, const char *path, const struct open_how *how)
{
	long r;

	// A scoped walk over ".." says EAGAIN when anything was renamed or mounted meanwhile, anywhere.
	do
		r = result(syscall(SYS_openat2, dfd, path, how, sizeof(*how)));
	while (r == -EAGAIN && !(how->resolve & RESOLVE_CACHED) &&
	       how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	return r;
}
static long k_close(int fd)
{
	return result(close(fd));
}
static long k_fstatat(int dfd, const char *path, struct stat *st, int flags)
{
	return result(syscall(SYS_newfstatat, dfd, path, st, flags));
}
static long k_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	return result(syscall(SYS_statx, dfd, path, flags, mask, stx));
}
static long k_readlinkat(int dfd, const char *path, char *buf, size_t size)
{
	return result(syscall(SYS_readlinkat, dfd, path, buf, size));
}
static long k_faccessat(int dfd, const char *path, int mode, int flags)
{
	return result(syscall(SYS_faccessat2, dfd, path, mode, flags));
}
/* The kernel stops early when the thread has something to do for io_uring, which is shale's on the other
 * side: so it is asked until the buffer is full. */
static long k_getdents(int fd, void *buf, size_t size)
{
	long sum = 0, got;

	do {
		got = result(syscall(SYS_getdents64, fd, (char *)buf + sum, size - sum));
		sum += got > 0 ? got : 0;
	} while (got > 0 && size - sum >= 24);
	return sum ? sum : got;
}
static long k_pread(int fd, void *buf, size_t size, off_t at)
{
	return result(pread(fd, buf, size, at));
}
static long k_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return result(preadv2(fd, iov, count, at, flags));
}
static long k_read(int fd, void *buf, size_t size)
{
	return result(read(fd, buf, size));
}
static long k_lseek(int fd, off_t offset, int whence)
{
	return result(lseek(fd, offset, whence));
}
static long k_statfs(const char *path, struct statfs *buf)
{
	return result(statfs(path, buf));
}
static long k_fstatfs(int fd, struct statfs *buf)
{
	return result(fstatfs(fd, buf));
}
static long k_getxattr(const char *path, bool follow, const char *name, void *value, size_t size)
{
	return result(follow ? getxattr(path, name, value, size) : lgetxattr(path, name, value, size));
}
static long k_listxattr(const char *path, bool follow, char *list, size_t size)
{
	return result(follow ? listxattr(path, list, size) : llistxattr(path, list, size));
}
static long k_ioctl(int fd, unsigned long request, void *arg)
{
	return result(ioctl(fd, request, arg));
}
static long k_chdir(const char *path)
{
	return result(chdir(path));
}
static long k_may_exec(int dfd, const char *path)
{
	static char *const none[] = {"", NULL};

	return result(syscall(SYS_execveat, dfd, path, none, none, AT_EXECVE_CHECK));
}
static long k_dup3(int oldfd, int newfd, int flags)
{
	return result(dup3(oldfd, newfd, flags));
}
static long k_fadvise(int fd, off_t offset, off_t len, int advice)
{
	return -posix_fadvise(fd, offset, len, advice);
}

static long k_fcntl(int fd, int cmd, unsigned long arg)
{
	return result(fcntl(fd, cmd, arg));
}

const struct side side_kernel = {
	.name = "kernel",
	.openat2 = k_openat2,
	.close = k_close,
	.fstatat = k_fstatat,
	.statx = k_statx,
	.readlinkat = k_readlinkat,
	.faccessat = k_faccessat,
	.getdents = k_getdents,
	.pread = k_pread,
	.preadv2 = k_preadv2,
	.read = k_read,
	.lseek = k_lseek,
	.fadvise = k_fadvise,
	.statfs = k_statfs,
	.fstatfs = k_fstatfs,
	.getxattr = k_getxattr,
	.listxattr = k_listxattr,
	.ioctl = k_ioctl,
	.chdir = k_chdir,
	.dup3 = k_dup3,
	.fcntl = k_fcntl,
	.may_exec = k_may_exec,
};
