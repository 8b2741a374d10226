/* SPDX-License-Identifier: MIT */
/*
 * A directory of the host as a side: a mount through FUSE that is compared with the kernel's own. The calls
 * are system calls as on the kernel's side; a thread with a root, a working directory and credentials of its
 * own makes those that have names, one at a time, when it is handed one. Descriptors belong to the whole
 * process.
 */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sides.h"

static struct {
	const char *top;
	uid_t uid;
	gid_t gid;
	sem_t asked, answered;
	long nr, args[6], result; /* of the call that is handed over */
} there;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_capabilities(uint32_t effective, uint32_t permitted)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = effective, .permitted = permitted}};

	must(!syscall(SYS_capset, &head, data), "capset");
}

/* A mount without allow_other is for one user alone, whatever his rights: so who enters it is that user
 * before he does, and gives up all rights after. */
static void enter(void)
{
	bool other = there.uid;

	must(!unshare(CLONE_FS), "unshare");
	if (other) {
		must(!prctl(PR_SET_KEEPCAPS, 1), "prctl");
		must(!syscall(SYS_setgroups, 0, NULL) &&
			     !syscall(SYS_setresgid, there.gid, there.gid, there.gid) &&
			     !syscall(SYS_setresuid, there.uid, there.uid, there.uid),
		     "setresuid");
		set_capabilities(1 << CAP_SYS_CHROOT, 1 << CAP_SYS_CHROOT);
	}
	must(!chdir(there.top) && !chroot(".") && !chdir("/"), there.top);
	if (other)
		set_capabilities(0, 0);
}

static void *serve(void *unused)
{
	(void)unused;
	enter();
	for (;;) {
		long r;

		sem_post(&there.answered);
		while (sem_wait(&there.asked))
			;
		r = syscall(there.nr, there.args[0], there.args[1], there.args[2], there.args[3],
			    there.args[4], there.args[5]);
		there.result = r == -1 ? -errno : r;
	}
	return NULL;
}

static long hand_over(long nr, long a, long b, long c, long d, long e)
{
	there.nr = nr;
	there.args[0] = a;
	there.args[1] = b;
	there.args[2] = c;
	there.args[3] = d;
	there.args[4] = e;
	sem_post(&there.asked);
	while (sem_wait(&there.answered))
		;
	return there.result;
}

static long d_openat2(int dfd, const char *path, const struct open_how *how)
{
	long r;

	do /* as on the kernel's side */
		r = hand_over(SYS_openat2, dfd, (long)path, (long)how, sizeof(*how), 0);
	while (r == -EAGAIN && !(how->resolve & RESOLVE_CACHED) &&
	       how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	return r;
}

static long d_fstatat(int dfd, const char *path, struct stat *st, int flags)
{
	return hand_over(SYS_newfstatat, dfd, (long)path, (long)st, flags, 0);
}

static long d_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	return hand_over(SYS_statx, dfd, (long)path, flags, mask, (long)stx);
}

static long d_readlinkat(int dfd, const char *path, char *buf, size_t size)
{
	return hand_over(SYS_readlinkat, dfd, (long)path, (long)buf, (long)size, 0);
}

static long d_faccessat(int dfd, const char *path, int mode, int flags)
{
	return hand_over(SYS_faccessat2, dfd, (long)path, mode, flags, 0);
}

static long d_statfs(const char *path, struct statfs *buf)
{
	return hand_over(SYS_statfs, (long)path, (long)buf, 0, 0, 0);
}

static long d_getxattr(const char *path, bool follow, const char *name, void *value, size_t size)
{
	return hand_over(follow ? SYS_getxattr : SYS_lgetxattr, (long)path, (long)name, (long)value,
			 (long)size, 0);
}

static long d_listxattr(const char *path, bool follow, char *list, size_t size)
{
	return hand_over(follow ? SYS_listxattr : SYS_llistxattr, (long)path, (long)list, (long)size, 0, 0);
}

static long d_chdir(const char *path)
{
	return hand_over(SYS_chdir, (long)path, 0, 0, 0, 0);
}

static long d_may_exec(int dfd, const char *path)
{
	static char *const none[] = {"", NULL};

	return hand_over(SYS_execveat, dfd, (long)path, (long)none, (long)none, AT_EXECVE_CHECK);
}

struct side side_directory;

static void take_calls(void)
{
	side_directory = side_kernel; /* what works on descriptors */
	side_directory.name = "mount";
	side_directory.openat2 = d_openat2;
	side_directory.fstatat = d_fstatat;
	side_directory.statx = d_statx;
	side_directory.readlinkat = d_readlinkat;
	side_directory.faccessat = d_faccessat;
	side_directory.statfs = d_statfs;
	side_directory.getxattr = d_getxattr;
	side_directory.listxattr = d_listxattr;
	side_directory.chdir = d_chdir;
	side_directory.may_exec = d_may_exec;
}

void directory_start(const char *top, uid_t uid, gid_t gid)
{
	pthread_t thread;

	take_calls();
	there.top = top;
	there.uid = uid;
	there.gid = gid;
	must(!sem_init(&there.asked, 0, 0) && !sem_init(&there.answered, 0, 0), "semaphores");
	errno = pthread_create(&thread, NULL, serve, NULL);
	must(!errno, "thread");
	pthread_detach(thread);
	while (sem_wait(&there.answered))
		;
}

void directory_become(uid_t uid, gid_t gid, const gid_t *groups, unsigned ngroups)
{
	long failed = hand_over(SYS_setresuid, -1, 0, -1, 0, 0);

	failed |= hand_over(SYS_setgroups, ngroups, (long)groups, 0, 0, 0);
	failed |= hand_over(SYS_setresgid, gid, gid, -1, 0, 0);
	failed |= hand_over(SYS_setresuid, uid, uid, 0, 0, 0);
	must(!failed, "setresuid");
}
