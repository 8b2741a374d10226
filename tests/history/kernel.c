/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side: a file system of the wanted type, and one thread for each task with credentials,
 * descriptors, working directory and umask of its own. Only one thread runs at a time: the baton is handed
 * over and back.
 */
#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

struct kernel_task {
	pthread_t thread;
	unsigned index;
	int fds[SLOTS];
	pthread_cond_t wake;
	/* The work, under the lock: ops == NULL and fn == NULL: none. */
	const struct op *ops;
	unsigned count;
	struct outcome *outs;
	void (*fn)(void *arg);
	void *arg;
	bool end;
};
static struct kernel_task tasks[TASKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static char top[40];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static long result(long r)
{
	return r == -1 ? -errno : r;
}
/* shale has no pipes yet: opening one is what it is there. */
static long k_openat(int dfd, const char *path, int flags, mode_t mode)
{
	long fd = result(syscall(SYS_openat, dfd, path, flags, mode));
	struct stat st;

	if (fd >= 0 && !(flags & O_PATH) && !fstat((int)fd, &st) && S_ISFIFO(st.st_mode)) {
		close((int)fd);
		return -EOPNOTSUPP;
	}
	if (fd == -ENXIO && !fstatat(dfd, path, &st, 0) && S_ISFIFO(st.st_mode))
		return -EOPNOTSUPP;
	return fd;
}
static long k_close(int fd)
{
	return result(syscall(SYS_close, fd));
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
static long k_getdents(int fd, void *buf, size_t size)
{
	return result(syscall(SYS_getdents64, fd, buf, size));
}
static long k_pread(int fd, void *buf, size_t size, off_t at)
{
	return result(syscall(SYS_pread64, fd, buf, size, at));
}
static long k_pwrite(int fd, const void *buf, size_t size, off_t at)
{
	return result(syscall(SYS_pwrite64, fd, buf, size, at));
}
static long k_lseek(int fd, off_t offset, int whence)
{
	return result(syscall(SYS_lseek, fd, offset, whence));
}
static long k_mkdirat(int dfd, const char *path, mode_t mode)
{
	return result(syscall(SYS_mkdirat, dfd, path, mode));
}
static long k_mknodat(int dfd, const char *path, mode_t mode, dev_t dev)
{
	return result(syscall(SYS_mknodat, dfd, path, mode, dev));
}
static long k_symlinkat(const char *target, int dfd, const char *path)
{
	return result(syscall(SYS_symlinkat, target, dfd, path));
}
static long k_linkat(int odfd, const char *opath, int ndfd, const char *npath, int flags)
{
	return result(syscall(SYS_linkat, odfd, opath, ndfd, npath, flags));
}
static long k_unlinkat(int dfd, const char *path, int flags)
{
	return result(syscall(SYS_unlinkat, dfd, path, flags));
}
static long k_renameat2(int odfd, const char *opath, int ndfd, const char *npath, unsigned flags)
{
	return result(syscall(SYS_renameat2, odfd, opath, ndfd, npath, flags));
}
static long k_umask(mode_t mask)
{
	return result(syscall(SYS_umask, mask));
}
static long k_chdir(const char *path)
{
	return result(syscall(SYS_chdir, path));
}
static long k_fchdir(int fd)
{
	return result(syscall(SYS_fchdir, fd));
}
static long k_getcwd(char *buf, size_t size)
{
	return result(syscall(SYS_getcwd, buf, size));
}
static long k_fcntl(int fd, int cmd, unsigned long arg)
{
	return result(syscall(SYS_fcntl, fd, cmd, arg));
}
static long k_flock(int fd, int operation)
{
	return result(syscall(SYS_flock, fd, operation));
}
static long k_ioctl(int fd, unsigned long request, void *arg)
{
	return result(syscall(SYS_ioctl, fd, request, arg));
}
static long k_dup(int fd)
{
	return result(syscall(SYS_dup, fd));
}
static long k_getxattr(const char *path, const char *name, void *value, size_t size)
{
	return result(getxattr(path, name, value, size));
}
static long k_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	return result(lgetxattr(path, name, value, size));
}
static long k_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	return result(fgetxattr(fd, name, value, size));
}
static long k_llistxattr(const char *path, char *list, size_t size)
{
	return result(llistxattr(path, list, size));
}
static long k_flistxattr(int fd, char *list, size_t size)
{
	return result(flistxattr(fd, list, size));
}

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long k_fchmodat2(int dfd, const char *path, mode_t mode, int flags)
{
	return result(syscall(SYS_fchmodat2, dfd, path, mode, flags));
}
static long k_fchmod(int fd, mode_t mode)
{
	return result(syscall(SYS_fchmod, fd, mode));
}
static long k_fchownat(int dfd, const char *path, uid_t uid, gid_t gid, int flags)
{
	return result(syscall(SYS_fchownat, dfd, path, uid, gid, flags));
}
static long k_fchown(int fd, uid_t uid, gid_t gid)
{
	return result(syscall(SYS_fchown, fd, uid, gid));
}
static long k_utimensat(int dfd, const char *path, const struct timespec *times, int flags)
{
	return result(syscall(SYS_utimensat, dfd, path, times, flags));
}
static long k_truncate(const char *path, off_t length)
{
	return result(syscall(SYS_truncate, path, length));
}
static long k_ftruncate(int fd, off_t length)
{
	return result(syscall(SYS_ftruncate, fd, length));
}
static long k_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return result(syscall(SYS_setxattr, path, name, value, size, flags));
}
static long k_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return result(syscall(SYS_lsetxattr, path, name, value, size, flags));
}
static long k_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return result(syscall(SYS_fsetxattr, fd, name, value, size, flags));
}
/* Linux 6.13. */
static long k_setxattrat(int dfd, const char *path, int flags, const char *name, const void *args,
			 size_t size)
{
	return result(syscall(463, dfd, path, flags, name, args, size));
}
static long k_removexattrat(int dfd, const char *path, int flags, const char *name)
{
	return result(syscall(466, dfd, path, flags, name));
}
static long k_removexattr(const char *path, const char *name)
{
	return result(syscall(SYS_removexattr, path, name));
}
static long k_lremovexattr(const char *path, const char *name)
{
	return result(syscall(SYS_lremovexattr, path, name));
}
static long k_fremovexattr(int fd, const char *name)
{
	return result(syscall(SYS_fremovexattr, fd, name));
}

const struct calls calls_kernel = {
	.name = "kernel",
	.openat = k_openat,
	.close = k_close,
	.statx = k_statx,
	.readlinkat = k_readlinkat,
	.faccessat = k_faccessat,
	.getdents = k_getdents,
	.pread = k_pread,
	.pwrite = k_pwrite,
	.lseek = k_lseek,
	.mkdirat = k_mkdirat,
	.mknodat = k_mknodat,
	.symlinkat = k_symlinkat,
	.linkat = k_linkat,
	.unlinkat = k_unlinkat,
	.renameat2 = k_renameat2,
	.umask = k_umask,
	.chdir = k_chdir,
	.fchdir = k_fchdir,
	.getcwd = k_getcwd,
	.fcntl = k_fcntl,
	.flock = k_flock,
	.ioctl = k_ioctl,
	.dup = k_dup,
	.getxattr = k_getxattr,
	.lgetxattr = k_lgetxattr,
	.fgetxattr = k_fgetxattr,
	.llistxattr = k_llistxattr,
	.flistxattr = k_flistxattr,
	.fchmodat2 = k_fchmodat2,
	.fchmod = k_fchmod,
	.fchownat = k_fchownat,
	.fchown = k_fchown,
	.utimensat = k_utimensat,
	.truncate = k_truncate,
	.ftruncate = k_ftruncate,
	.setxattr = k_setxattr,
	.lsetxattr = k_lsetxattr,
	.fsetxattr = k_fsetxattr,
	.setxattrat = k_setxattrat,
	.removexattrat = k_removexattrat,
	.removexattr = k_removexattr,
	.lremovexattr = k_lremovexattr,
	.fremovexattr = k_fremovexattr,
};

/* The thread gets what a process of that user would have. */
static void become(const struct user *u)
{
	must(!unshare(CLONE_FS | CLONE_FILES), "unshare");
	must(!chroot(top) && !chdir("/"), "chroot");
	umask(022);
	must(!syscall(SYS_setgroups, u->ngroups, u->groups) &&
		     !syscall(SYS_setresgid, u->gid, u->gid, u->gid) &&
		     !syscall(SYS_setresuid, u->uid, u->uid, u->uid),
	     "setresuid");
}

static void *task_main(void *arg)
{
	struct kernel_task *t = arg;

	become(&users[t->index]);
	pthread_mutex_lock(&lock);
	while (!t->end) {
		if (t->ops)
			for (unsigned i = 0; i < t->count; i++)
				run_op(&calls_kernel, &t->ops[i], t->fds, &t->outs[i]);
		if (t->fn)
			t->fn(t->arg);
		t->ops = NULL;
		t->fn = NULL;
		pthread_cond_signal(&done);
		while (!t->ops && !t->fn && !t->end)
			pthread_cond_wait(&t->wake, &lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Lock held. */
static void hand_over(struct kernel_task *t)
{
	pthread_cond_signal(&t->wake);
	while (t->ops || t->fn)
		pthread_cond_wait(&done, &lock);
}

void kernel_run(unsigned task, const struct op *ops, unsigned count, struct outcome *outs)
{
	struct kernel_task *t = &tasks[task];

	pthread_mutex_lock(&lock);
	t->ops = ops;
	t->count = count;
	t->outs = outs;
	hand_over(t);
	pthread_mutex_unlock(&lock);
}

void kernel_tree(void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	tasks[0].fn = fn;
	tasks[0].arg = arg;
	hand_over(&tasks[0]);
	pthread_mutex_unlock(&lock);
}

/* However the process ends. */
static void leave_nothing(void)
{
	(void)umount2(top, MNT_DETACH);
	(void)rmdir(top);
}

void kernel_start(const char *type, const char *options)
{
	if (geteuid()) {
		fprintf(stderr, "needs root, for the kernel's side\n");
		exit(77);
	}
	strcpy(top, "/tmp/shale-history.XXXXXX");
	must(!unshare(CLONE_NEWNS), "unshare");
	must(mkdtemp(top) != NULL, top);
	atexit(leave_nothing);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		/* EINVAL: in a chroot, / is no mount. Then a private one is made for what follows. */
		must(errno == EINVAL && !mount(top, top, NULL, MS_BIND, NULL) &&
			     !mount(NULL, top, NULL, MS_PRIVATE, NULL),
		     "private mount");
	}
	must(!mount("none", top, type, MS_NODEV, options), "mount");
	for (unsigned i = 0; i < TASKS; i++) {
		tasks[i].index = i;
		memset(tasks[i].fds, -1, sizeof(tasks[i].fds));
		pthread_cond_init(&tasks[i].wake, NULL);
		must(!pthread_create(&tasks[i].thread, NULL, task_main, &tasks[i]), "thread");
	}
}

void kernel_stop(void)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < TASKS; i++) {
		tasks[i].end = true;
		pthread_cond_signal(&tasks[i].wake);
	}
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < TASKS; i++)
		pthread_join(tasks[i].thread, NULL);
	leave_nothing();
}
