/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a comparison: the same calls on the kernel and on shale, both with the image at the root
 * of their names. Results are those of the kernel's system calls: negative errno on failure. A test makes
 * each call on both sides and compares everything.
 */
#ifndef SHALE_TESTS_SIDE_H
#define SHALE_TESTS_SIDE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>

struct side {
	const char *name;
	long (*openat2)(int dfd, const char *path, const struct open_how *how);
	long (*close)(int fd);
	long (*fstatat)(int dfd, const char *path, struct stat *st, int flags);
	long (*statx)(int dfd, const char *path, int flags, unsigned mask, struct statx *stx);
	long (*readlinkat)(int dfd, const char *path, char *buf, size_t size);
	long (*faccessat)(int dfd, const char *path, int mode, int flags);
	long (*getdents)(int fd, void *buf, size_t size);
	long (*pread)(int fd, void *buf, size_t size, off_t at);
	long (*preadv2)(int fd, const struct iovec *iov, int count, off_t at, int flags);
	long (*read)(int fd, void *buf, size_t size);
	long (*lseek)(int fd, off_t offset, int whence);
	long (*fadvise)(int fd, off_t offset, off_t len, int advice);
	long (*statfs)(const char *path, struct statfs *buf);
	long (*fstatfs)(int fd, struct statfs *buf);
	long (*getxattr)(const char *path, bool follow, const char *name, void *value, size_t size);
	long (*listxattr)(const char *path, bool follow, char *list, size_t size);
	long (*ioctl)(int fd, unsigned long request, void *arg);
	long (*chdir)(const char *path);
	long (*dup3)(int oldfd, int newfd, int flags);
	long (*fcntl)(int fd, int cmd, unsigned long arg);
	long (*may_exec)(int dfd, const char *path); /* execveat that only asks (Linux 6.14) */
};

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000
#endif

#define KERNEL 0
#define SHALE  1
extern const struct side *sides[2];

/*
 * Mounts `image` read-only on both sides and makes it the root of both (the kernel's by chroot: there is no
 * way back in this process). extra, if not NULL, is a second image that comes on the directory /mnt of the
 * first. threads: of the machine. Exits with 77 without root.
 */
void sides_start(const char *image, const char *extra, unsigned threads, uint64_t seed);
/* The same with debugfs in the kernel's place; paths stay absolute on both. directory, if not NULL: where the
 * image is mounted, as below. */
void sides_start_debugfs(const char *image, const char *directory);
/* The same with an image for each, of which they are copies. */
void sides_start_two(const char *kernel_image, const char *shale_image, const char *extra, unsigned threads,
		     uint64_t seed);
/*
 * The same with a directory, where a copy of the image (and of extra, on its /mnt) is mounted through FUSE,
 * in shale's place. uid and gid: who may use that mount, if it is not root's; then everything there is asked
 * as he, and by the kernel as root without CAP_SYS_ADMIN.
 */
void sides_start_mounted(const char *image, const char *extra, const char *directory, uid_t uid, gid_t gid);
/* Ends shale's side; the kernel's mounts go with the process's mount namespace. */
void sides_stop(void);
/* Everything on both sides goes on as that user. */
void sides_become(uid_t uid, gid_t gid, const gid_t *groups, unsigned ngroups);
void sides_chdir_root(void);
struct shale *sides_machine(void);

/* What a test counts. differ() tells a difference (the first 50 of them) and makes the program fail. */
void differ(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Last line "N passed, N failed, 0 skipped"; returns the exit status. */
int compare_end(void);
extern unsigned long compared;
/* Counts one comparison; false, with both values told, when they are not equal. */
bool same(const char *what, const char *object, long kernel, long shale);

#endif
