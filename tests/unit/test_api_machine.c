/* SPDX-License-Identifier: MIT */
/*
 * Rows V6, V7, F1, F2, F7: machines come and go, tasks share or copy what clone says, descriptors are the
 * lowest free ones up to the limit, listings survive changes, disks appear under /dev and can be read, and a
 * child after fork is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <shale/shale.h>

struct world {
	struct shale *machine;
	struct shale_task *task;
};

static int setup_threads(void **state, unsigned threads)
{
	struct world *w = calloc(1, sizeof(*w));
	struct shale_options options = SHALE_OPTIONS_INIT;

	assert_non_null(w);
	options.threads = threads;
	options.seed = 7;
	assert_int_equal(shale_new(&options, &w->machine), 0);
	assert_int_equal(shale_task_new(w->machine, NULL, &w->task), 0);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_threads(state, 2);
}

static int setup_single(void **state)
{
	return setup_threads(state, 0);
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(shale_free(w->machine), 0); /* the tasks too */
	free(w);
	return 0;
}

static void test_options(void **state)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct shale *machine, *other;

	options.size = 3;
	assert_int_equal(shale_new(&options, &machine), -EINVAL);
	options.size = sizeof(options);
	options.flags = 0x8000;
	assert_int_equal(shale_new(&options, &machine), -EINVAL);
	options.flags = SHALE_NO_DEV;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_new(NULL, &other), 0);
	assert_int_equal(shale_free(machine), 0);
	assert_int_equal(shale_free(other), 0);
	assert_int_equal(shale_free(NULL), 0);
}

static void test_no_dev(void **state)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct shale_task *task;
	struct shale *machine;
	struct statfs st;

	options.flags = SHALE_NO_DEV;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	assert_int_equal(shale_statfs(task, "/dev", &st), 0);
	assert_int_equal(st.f_type, 0x858458f6); /* ramfs: the root's own directory */
	assert_int_equal(shale_free(machine), 0);
}

static void test_root_furniture(void **state)
{
	struct world *w = *state;
	struct statfs st;
	struct stat s;
	char buf[64];

	assert_int_equal(shale_stat(w->task, "/mnt", &s), 0);
	assert_int_equal(s.st_mode, S_IFDIR | 0755);
	assert_int_equal(shale_statfs(w->task, "/dev", &st), 0);
	assert_int_equal(st.f_type, 0x01021994);
	assert_int_equal(shale_getcwd(w->task, buf, sizeof(buf)), 2);
	assert_string_equal(buf, "/");
	assert_int_equal(shale_getcwd(w->task, buf, 1), -ERANGE);
	assert_int_equal(shale_chdir(w->task, "/mnt"), 0);
	assert_int_equal(shale_getcwd(w->task, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "/mnt");
}

static void test_lowest_descriptor(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;

	for (int i = 0; i < 300; i++)
		assert_int_equal(shale_open(t, "/", O_RDONLY, 0), i);
	assert_int_equal(shale_close(t, 64), 0);
	assert_int_equal(shale_close(t, 7), 0);
	assert_int_equal(shale_close(t, 299), 0);
	assert_int_equal(shale_close(t, 7), -EBADF);
	assert_int_equal(shale_dup(t, 3), 7);
	assert_int_equal(shale_open(t, "/", O_RDONLY, 0), 64);
	assert_int_equal(shale_dup(t, 3), 299);
	assert_int_equal(shale_dup(t, 3), 300);
	assert_int_equal(shale_dup2(t, 3, 5000), 5000);
	assert_int_equal(shale_dup(t, 5000), 301);
	/* a failed open gives its number back */
	assert_int_equal(shale_open(t, "/nothing", O_RDONLY, 0), -ENOENT);
	assert_int_equal(shale_dup(t, 5000), 302);
	assert_int_equal(shale_close_range(t, 0, ~0u, 0), 0);
	assert_int_equal(shale_open(t, "/", O_RDONLY, 0), 0);
}

static void test_descriptor_limit(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;
	struct rlimit limit;

	assert_int_equal(shale_getrlimit(t, RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 65536);
	assert_int_equal(shale_getrlimit(t, RLIMIT_STACK, &limit), -EINVAL);
	limit.rlim_cur = 100;
	assert_int_equal(shale_setrlimit(t, RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(shale_open(t, "/", O_RDONLY, 0), i);
	assert_int_equal(shale_open(t, "/", O_RDONLY, 0), -EMFILE);
	assert_int_equal(shale_dup(t, 0), -EMFILE);
	assert_int_equal(shale_dup2(t, 0, 100), -EBADF);
	assert_int_equal(shale_fcntl(t, 0, F_DUPFD, 100), -EINVAL);
	assert_int_equal(shale_fcntl(t, 0, F_DUPFD, 99), -EMFILE);
	assert_int_equal(shale_close(t, 50), 0);
	assert_int_equal(shale_fcntl(t, 0, F_DUPFD, 51), -EMFILE);
	assert_int_equal(shale_open(t, "/", O_RDONLY, 0), 50);
}

static void test_task_fork(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task, *shared, *copy;
	char buf[64];

	assert_int_equal(shale_open(t, "/mnt", O_RDONLY | O_CLOEXEC, 0), 0);
	assert_int_equal(shale_task_fork(t, CLONE_FILES | CLONE_FS, &shared), 0);
	assert_int_equal(shale_task_fork(t, 0, &copy), 0);
	assert_int_equal(shale_task_fork(t, CLONE_FS | CLONE_NEWNS, &copy), -EINVAL);
	assert_int_equal(shale_task_fork(t, CLONE_VM, &copy), -EINVAL);
	assert_int_equal(shale_fcntl(copy, 0, F_GETFD, 0), FD_CLOEXEC);
	assert_int_equal(shale_open(t, "/", O_RDONLY, 0), 1);
	assert_int_equal(shale_fcntl(shared, 1, F_GETFD, 0), 0);
	assert_int_equal(shale_fcntl(copy, 1, F_GETFD, 0), -EBADF);
	assert_int_equal(shale_chdir(shared, "/mnt"), 0);
	assert_int_equal(shale_getcwd(t, buf, sizeof(buf)), 5);
	assert_int_equal(shale_getcwd(copy, buf, sizeof(buf)), 2);
	assert_int_equal(shale_umask(t, 077), 022);
	assert_int_equal(shale_umask(shared, 027), 077);
	assert_int_equal(shale_umask(copy, 0), 022);
	/* a table of its own again */
	assert_int_equal(shale_close_range(shared, 0, ~0u, 2 /* CLOSE_RANGE_UNSHARE */), 0);
	assert_int_equal(shale_fcntl(shared, 0, F_GETFD, 0), -EBADF);
	assert_int_equal(shale_fcntl(t, 0, F_GETFD, 0), FD_CLOEXEC);
	shale_task_free(t);
	assert_int_equal(shale_fcntl(copy, 0, F_GETFD, 0), FD_CLOEXEC);
	shale_task_free(copy);
	shale_task_free(shared);
}

/* Names of one getdents64 call of at most `bytes`, counted; -errno. */
static long list(struct shale_task *t, int fd, size_t bytes, unsigned *seen, unsigned limit)
{
	char buf[4096];
	long n = shale_getdents64(t, fd, buf, bytes), entries = 0;

	for (long at = 0; at < n;) {
		struct dirent64 *d = (struct dirent64 *)(buf + at);
		unsigned number;

		assert_int_equal(d->d_reclen % 8, 0);
		if (sscanf(d->d_name, "f%u", &number) == 1) {
			assert_true(number < limit);
			seen[number]++;
		}
		entries++;
		at += d->d_reclen;
	}
	return n < 0 ? n : entries;
}

static void test_getdents_while_changing(void **state)
{
	enum { FILES = 500 };
	struct world *w = *state;
	struct shale_task *t = w->task;
	unsigned seen[2 * FILES] = {0};
	char name[32];
	long n;
	int fd;

	assert_int_equal(shale_mkdir(t, "/mnt/d", 0755), 0);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "/mnt/d/f%d", i);
		assert_int_equal(shale_mknod(t, name, S_IFREG | 0600, 0), 0);
	}
	fd = shale_open(t, "/mnt/d", O_RDONLY, 0);
	assert_int_equal(list(t, fd, 8, seen, 2 * FILES), -EINVAL);
	assert_int_equal(list(t, fd, 24, seen, 2 * FILES), 1); /* "." */
	for (int round = 0; (n = list(t, fd, 200, seen, 2 * FILES)) > 0; round++) {
		snprintf(name, sizeof(name), "/mnt/d/f%d", round);
		shale_unlink(t, name); /* those behind us go, new ones come */
		snprintf(name, sizeof(name), "/mnt/d/f%d", FILES + round);
		if (round < 50)
			assert_int_equal(shale_mkdir(t, name, 0700), 0);
	}
	assert_int_equal(n, 0);
	for (int i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(shale_lseek(t, fd, 0, SEEK_SET), 0);
	memset(seen, 0, sizeof(seen));
	while (list(t, fd, 4096, seen, 2 * FILES) > 0)
		;
	assert_int_equal(seen[FILES], 1);
	assert_int_equal(seen[0], 0);
	assert_int_equal(shale_rmdir(t, "/mnt/d"), -ENOTEMPTY);
	assert_int_equal(shale_close(t, fd), 0);
}

static void test_removed_directory(void **state)
{
	struct world *w = *state;
	char buf[256];
	int fd;

	assert_int_equal(shale_mkdir(w->task, "/mnt/d", 0755), 0);
	fd = shale_open(w->task, "/mnt/d", O_RDONLY, 0);
	assert_int_equal(shale_chdir(w->task, "/mnt/d"), 0);
	assert_int_equal(shale_rmdir(w->task, "/mnt/d"), 0);
	assert_int_equal(shale_getdents64(w->task, fd, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(shale_getcwd(w->task, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(shale_mkdirat(w->task, fd, "x", 0755), -ENOENT);
}

static void test_fork_is_refused(void **state)
{
	struct world *w = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct shale_task *task;
		struct stat st;
		int bad = 0;

		bad |= shale_stat(w->task, "/", &st) != -EOPNOTSUPP;
		bad |= shale_open(w->task, "/", O_RDONLY, 0) != -EOPNOTSUPP;
		bad |= shale_task_new(w->machine, NULL, &task) != -EOPNOTSUPP;
		bad |= shale_disk_add(w->machine, "d", "ram:1M", 0) != -EOPNOTSUPP;
		shale_task_free(w->task);
		bad |= shale_free(w->machine) != 0;
		_exit(bad);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(shale_access(w->task, "/mnt", F_OK), 0);
}

static void test_disk_under_dev(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;
	unsigned long long size;
	char buf[8192] __attribute__((aligned(4096)));
	struct stat st;
	int fd, sector;

	assert_int_equal(shale_disk_add(w->machine, "sda", "ram:1M", 0), 0);
	assert_int_equal(shale_disk_add(w->machine, "sda", "ram:1M", 0), -EEXIST);
	assert_int_equal(shale_stat(t, "/dev/sda", &st), 0);
	assert_int_equal(st.st_mode & S_IFMT, S_IFBLK);
	fd = shale_open(t, "/dev/sda", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_ioctl(t, fd, BLKGETSIZE64, &size), 0);
	assert_int_equal(size, 1 << 20);
	assert_int_equal(shale_ioctl(t, fd, BLKSSZGET, &sector), 0);
	assert_int_equal(sector, 512);
	assert_int_equal(shale_lseek(t, fd, 0, SEEK_END), 1 << 20);
	assert_int_equal(shale_lseek(t, fd, (1 << 20) + 1, SEEK_SET), -EINVAL);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(shale_pread(t, fd, buf, 8192, (1 << 20) - 4096), 4096);
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[4095], 0);
	assert_int_equal(buf[4096], 1);
	assert_int_equal(shale_pread(t, fd, buf, 10, 1 << 20), 0);
	assert_int_equal(shale_fcntl(t, fd, F_SETFL, O_DIRECT), 0);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(shale_pread(t, fd, buf, 4096, 512), 4096);
	assert_int_equal(buf[4095], 0);
	assert_int_equal(shale_pread(t, fd, buf, 100, 512), -EINVAL);
	assert_int_equal(shale_pread(t, fd, buf, 512, 100), -EINVAL);
	assert_int_equal(shale_disk_remove(w->machine, "sda"), -EBUSY);
	assert_int_equal(shale_close(t, fd), 0);
	assert_int_equal(shale_disk_remove(w->machine, "sda"), 0);
	assert_int_equal(shale_stat(t, "/dev/sda", &st), -ENOENT);
	assert_int_equal(shale_disk_remove(w->machine, "sda"), -ENODEV);
	assert_int_equal(shale_mknod(t, "/mnt/gone", S_IFBLK | 0600, st.st_rdev), 0);
	assert_int_equal(shale_open(t, "/mnt/gone", O_RDONLY, 0), -ENXIO);
}

/* Of kernels that the host need not have: no name (6.11), the unique number of a mount (6.8), RWF_NOSIGNAL
 * (6.18). */
static void test_newer_than_the_host(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;
	struct iovec iov = {(char[16]){0}, 16};
	struct statx stx;
	struct stat st;
	int fd;

	assert_int_equal(shale_disk_add(w->machine, "sda", "ram:1M", 0), 0);
	fd = shale_open(t, "/dev/sda", O_RDONLY, 0);
	assert_int_equal(shale_fstatat(t, fd, NULL, &st, AT_EMPTY_PATH), 0);
	assert_true(S_ISBLK(st.st_mode));
	assert_int_equal(shale_fstatat(t, AT_FDCWD, NULL, &st, AT_EMPTY_PATH), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(shale_fstatat(t, fd, NULL, &st, 0), -EFAULT);
	assert_int_equal(shale_fstatat(t, -1, NULL, &st, AT_EMPTY_PATH), -EBADF);
	assert_int_equal(shale_statx(t, fd, NULL, AT_EMPTY_PATH, 0x4000, &stx), 0);
	assert_true(S_ISBLK(stx.stx_mode));
	assert_int_equal(stx.stx_mask & (0x4000 | STATX_MNT_ID), 0x4000);
	assert_int_equal(shale_statx(t, fd, NULL, 0, STATX_BASIC_STATS, &stx), -EFAULT);
	assert_int_equal(shale_faccessat2(t, fd, NULL, R_OK, AT_EMPTY_PATH), -EFAULT);
	assert_int_equal(shale_readlinkat(t, fd, NULL, iov.iov_base, 16), -EFAULT);
	assert_int_equal(shale_preadv2(t, fd, &iov, 1, 0, 0x100), 16);
	assert_int_equal(shale_preadv2(t, fd, &iov, 1, 0, 0x200), -EOPNOTSUPP);
}

static void test_free_with_disk_and_files(void **state)
{
	struct world *w = *state;
	char buf[512];
	int fd;

	assert_int_equal(shale_disk_add(w->machine, "sda", "ram:1M", 0), 0);
	fd = shale_open(w->task, "/dev/sda", O_RDONLY, 0);
	assert_int_equal(shale_read(w->task, fd, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(shale_chdir(w->task, "/dev"), 0);
	assert_int_equal(shale_mount(w->task, "none", "/mnt", "ramfs", 0, "mode=700"), 0);
	assert_int_equal(shale_mkdir(w->task, "/mnt/x", 0755), 0);
	assert_true(shale_open(w->task, "/mnt/x", O_RDONLY, 0) >= 0);
}

static void test_credentials(void **state)
{
	struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	struct world *w = *state;
	struct shale_task *user;
	struct stat st;

	assert_int_equal(shale_task_new(w->machine, &cred, &user), 0);
	assert_int_equal(shale_mkdir(w->task, "/mnt/open", 01777), 0);
	assert_int_equal(shale_umask(w->task, 0), 022);
	assert_int_equal(shale_mkdir(w->task, "/mnt/all", 01777), 0);
	assert_int_equal(shale_mkdir(user, "/mnt/x", 0755), -EACCES);
	assert_int_equal(shale_mkdir(user, "/mnt/all/x", 0755), 0);
	assert_int_equal(shale_stat(user, "/mnt/all/x", &st), 0);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(shale_mkdir(w->task, "/mnt/all/roots", 0700), 0);
	assert_int_equal(shale_rmdir(user, "/mnt/all/roots"), -EPERM);
	assert_int_equal(shale_open(user, "/mnt/all/roots", O_RDONLY, 0), -EACCES);
	assert_int_equal(shale_access(user, "/mnt/all/roots", R_OK), -EACCES);
	assert_int_equal(shale_access(w->task, "/mnt/all/roots", R_OK | W_OK | X_OK), 0);
	assert_int_equal(shale_chroot(user, "/mnt"), -EPERM);
	assert_int_equal(shale_mknod(user, "/mnt/all/n", S_IFCHR | 0600, 259), -EPERM);
	cred.size = 1;
	assert_int_equal(shale_task_new(w->machine, &cred, &user), -EINVAL);
	/* access() asks for the real ids: capabilities do not help it, open they do */
	cred = (struct shale_cred){.size = sizeof(cred), .uid = 1000, .gid = 1000, .caps = 1u << 1};
	assert_int_equal(shale_task_new(w->machine, &cred, &user), 0);
	assert_int_equal(shale_access(user, "/mnt/all/roots", R_OK), -EACCES);
	assert_int_equal(shale_faccessat2(user, AT_FDCWD, "/mnt/all/roots", R_OK, AT_EACCESS), 0);
	assert_true(shale_open(user, "/mnt/all/roots", O_RDONLY, 0) >= 0);
}

static void test_text_of_the_machine(void **state)
{
	struct world *w = *state;
	char buf[16], *all;
	ssize_t n;

	assert_int_equal(shale_mount(w->task, "none", "/mnt", "nosuchfs", 0, NULL), -ENODEV);
	assert_int_equal(shale_mount(w->task, "none", "/mnt", "ramfs", 0, "mode=999"), -EINVAL);
	n = shale_mount_error(w->machine, buf, sizeof(buf));
	assert_true(n > 15);
	assert_int_equal(strlen(buf), 15);
	all = malloc((size_t)n + 1);
	assert_non_null(all);
	assert_int_equal(shale_mount_error(w->machine, all, (size_t)n + 1), n);
	assert_non_null(strstr(all, "mode"));
	free(all);
	assert_true(shale_vmstat(w->machine, buf, sizeof(buf)) > 0);
	assert_true(shale_log_read(w->machine, buf, sizeof(buf)) >= 0);
	assert_int_equal(shale_drop_caches(w->machine), 0);
}

#define BOTH(test)                                                                                           \
	cmocka_unit_test_setup_teardown(test, setup, teardown),                                              \
		cmocka_unit_test_setup_teardown(test, setup_single, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),      cmocka_unit_test(test_no_dev),
		BOTH(test_root_furniture),           BOTH(test_lowest_descriptor),
		BOTH(test_descriptor_limit),         BOTH(test_task_fork),
		BOTH(test_getdents_while_changing),  BOTH(test_removed_directory),
		BOTH(test_fork_is_refused),          BOTH(test_disk_under_dev),
		BOTH(test_free_with_disk_and_files), BOTH(test_credentials),
		BOTH(test_text_of_the_machine),      BOTH(test_newer_than_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
