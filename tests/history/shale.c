/* SPDX-License-Identifier: MIT */
/* shale's side: a file system of the wanted type on /mnt of a machine, which is the root of each task. */
#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <shale/shale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "vfs/vfs.h"

static struct shale *machine;
static struct shale_task *tasks[TASKS], *now;
static int fds[TASKS][SLOTS];

static long s_openat(int dfd, const char *path, int flags, mode_t mode)
{
	return shale_openat(now, dfd, path, flags, mode);
}
static long s_close(int fd)
{
	return shale_close(now, fd);
}
static long s_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	return shale_statx(now, dfd, path, flags, mask, stx);
}
static long s_readlinkat(int dfd, const char *path, char *buf, size_t size)
{
	return shale_readlinkat(now, dfd, path, buf, size);
}
static long s_faccessat(int dfd, const char *path, int mode, int flags)
{
	return shale_faccessat2(now, dfd, path, mode, flags);
}
static long s_getdents(int fd, void *buf, size_t size)
{
	return shale_getdents64(now, fd, buf, size);
}
static long s_pread(int fd, void *buf, size_t size, off_t at)
{
	return shale_pread(now, fd, buf, size, at);
}
static long s_pwrite(int fd, const void *buf, size_t size, off_t at)
{
	return shale_pwrite(now, fd, buf, size, at);
}
static long s_lseek(int fd, off_t offset, int whence)
{
	return shale_lseek(now, fd, offset, whence);
}
static long s_mkdirat(int dfd, const char *path, mode_t mode)
{
	return shale_mkdirat(now, dfd, path, mode);
}
static long s_mknodat(int dfd, const char *path, mode_t mode, dev_t dev)
{
	return shale_mknodat(now, dfd, path, mode, dev);
}
static long s_symlinkat(const char *target, int dfd, const char *path)
{
	return shale_symlinkat(now, target, dfd, path);
}
static long s_linkat(int odfd, const char *opath, int ndfd, const char *npath, int flags)
{
	return shale_linkat(now, odfd, opath, ndfd, npath, flags);
}
static long s_unlinkat(int dfd, const char *path, int flags)
{
	return shale_unlinkat(now, dfd, path, flags);
}
static long s_renameat2(int odfd, const char *opath, int ndfd, const char *npath, unsigned flags)
{
	return shale_renameat2(now, odfd, opath, ndfd, npath, flags);
}
static long s_umask(mode_t mask)
{
	return shale_umask(now, mask);
}
static long s_chdir(const char *path)
{
	return shale_chdir(now, path);
}
static long s_fchdir(int fd)
{
	return shale_fchdir(now, fd);
}
static long s_getcwd(char *buf, size_t size)
{
	return shale_getcwd(now, buf, size);
}
static long s_fcntl(int fd, int cmd, unsigned long arg)
{
	return shale_fcntl(now, fd, cmd, arg);
}
static long s_flock(int fd, int operation)
{
	return shale_flock(now, fd, operation);
}
static long s_ioctl(int fd, unsigned long request, void *arg)
{
	return shale_ioctl(now, fd, request, arg);
}
static long s_dup(int fd)
{
	return shale_dup(now, fd);
}
static long s_getxattr(const char *path, const char *name, void *value, size_t size)
{
	return shale_getxattr(now, path, name, value, size);
}
static long s_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	return shale_lgetxattr(now, path, name, value, size);
}
static long s_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	return shale_fgetxattr(now, fd, name, value, size);
}
static long s_llistxattr(const char *path, char *list, size_t size)
{
	return shale_llistxattr(now, path, list, size);
}
static long s_flistxattr(int fd, char *list, size_t size)
{
	return shale_flistxattr(now, fd, list, size);
}
static long s_fchmodat2(int dfd, const char *path, mode_t mode, int flags)
{
	return shale_fchmodat2(now, dfd, path, mode, flags);
}
static long s_fchmod(int fd, mode_t mode)
{
	return shale_fchmod(now, fd, mode);
}
static long s_fchownat(int dfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return shale_fchownat(now, dfd, path, uid, gid, flags);
}
static long s_fchown(int fd, uid_t uid, gid_t gid)
{
	return shale_fchown(now, fd, uid, gid);
}
static long s_utimensat(int dfd, const char *path, const struct timespec *times, int flags)
{
	return shale_utimensat(now, dfd, path, times, flags);
}
static long s_truncate(const char *path, off_t length)
{
	return shale_truncate(now, path, length);
}
static long s_ftruncate(int fd, off_t length)
{
	return shale_ftruncate(now, fd, length);
}
static long s_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return shale_setxattr(now, path, name, value, size, flags);
}
static long s_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return shale_lsetxattr(now, path, name, value, size, flags);
}
static long s_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return shale_fsetxattr(now, fd, name, value, size, flags);
}
static long s_setxattrat(int dfd, const char *path, int flags, const char *name, const void *args,
			 size_t size)
{
	return shale_setxattrat(now, dfd, path, flags, name, args, size);
}
static long s_removexattrat(int dfd, const char *path, int flags, const char *name)
{
	return shale_removexattrat(now, dfd, path, flags, name);
}
static long s_removexattr(const char *path, const char *name)
{
	return shale_removexattr(now, path, name);
}
static long s_lremovexattr(const char *path, const char *name)
{
	return shale_lremovexattr(now, path, name);
}
static long s_fremovexattr(int fd, const char *name)
{
	return shale_fremovexattr(now, fd, name);
}

const struct calls calls_shale = {
	.name = "shale",
	.openat = s_openat,
	.close = s_close,
	.statx = s_statx,
	.readlinkat = s_readlinkat,
	.faccessat = s_faccessat,
	.getdents = s_getdents,
	.pread = s_pread,
	.pwrite = s_pwrite,
	.lseek = s_lseek,
	.mkdirat = s_mkdirat,
	.mknodat = s_mknodat,
	.symlinkat = s_symlinkat,
	.linkat = s_linkat,
	.unlinkat = s_unlinkat,
	.renameat2 = s_renameat2,
	.umask = s_umask,
	.chdir = s_chdir,
	.fchdir = s_fchdir,
	.getcwd = s_getcwd,
	.fcntl = s_fcntl,
	.flock = s_flock,
	.ioctl = s_ioctl,
	.dup = s_dup,
	.getxattr = s_getxattr,
	.lgetxattr = s_lgetxattr,
	.fgetxattr = s_fgetxattr,
	.llistxattr = s_llistxattr,
	.flistxattr = s_flistxattr,
	.fchmodat2 = s_fchmodat2,
	.fchmod = s_fchmod,
	.fchownat = s_fchownat,
	.fchown = s_fchown,
	.utimensat = s_utimensat,
	.truncate = s_truncate,
	.ftruncate = s_ftruncate,
	.setxattr = s_setxattr,
	.lsetxattr = s_lsetxattr,
	.fsetxattr = s_fsetxattr,
	.setxattrat = s_setxattrat,
	.removexattrat = s_removexattrat,
	.removexattr = s_removexattr,
	.lremovexattr = s_lremovexattr,
	.fremovexattr = s_fremovexattr,
};

static void must(long err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror((int)-err));
	exit(1);
}

static void task_start(unsigned i)
{
	const struct user *u = &users[i];
	struct shale_cred cred = {
		.size = sizeof(cred),
		.uid = u->uid,
		.gid = u->gid,
		.ngroups = u->ngroups,
		.groups = u->groups,
		.caps = 1ull << 18, /* CAP_SYS_CHROOT, for its way to the root; no rights over files */
	};

	must(shale_task_new(machine, &cred, &tasks[i]), "shale_task_new");
	must(shale_chroot(tasks[i], "/mnt"), "shale_chroot");
	must(shale_chdir(tasks[i], "/"), "shale_chdir");
	memset(fds[i], -1, sizeof(fds[i]));
}

/* What the host has set is to hold here, too. */
static void copy_sysctls(void)
{
	static const char *const names[] = {"protected_symlinks", "protected_hardlinks", "protected_fifos",
					    "protected_regular"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];
		int value = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/sys/fs/%s", names[i]);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%d", &value) != 1)
			value = 0;
		if (f)
			fclose(f);
		must(vfs_sysctl_set(machine, names[i], value), names[i]);
	}
}

void shale_begin(const char *type, const char *options, unsigned threads, uint64_t seed)
{
	struct shale_options opts = SHALE_OPTIONS_INIT;
	struct shale_task *root;

	opts.threads = threads;
	opts.seed = seed;
	opts.epoch_ns = 1900000000ll * 1000000000; /* what run.c takes for times of the clock */
	must(shale_new(&opts, &machine), "shale_new");
	copy_sysctls();
	must(shale_task_new(machine, NULL, &root), "shale_task_new");
	must(shale_mount(root, "none", "/mnt", type, MS_NODEV, options), "shale_mount");
	shale_task_free(root);
	for (unsigned i = 0; i < TASKS; i++)
		task_start(i);
}

void shale_run(unsigned task, const struct op *ops, unsigned count, struct outcome *outs)
{
	now = tasks[task];
	for (unsigned i = 0; i < count; i++)
		run_op(&calls_shale, &ops[i], fds[task], &outs[i]);
}

void shale_tree(void (*fn)(void *arg), void *arg)
{
	now = tasks[0];
	fn(arg);
}

void shale_stop(void)
{
	for (unsigned i = 0; i < TASKS; i++)
		shale_task_free(tasks[i]);
	must(shale_free(machine), "shale_free");
}
