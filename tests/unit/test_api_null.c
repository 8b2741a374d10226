// A call without a machine or without a task is refused; one that is freed without memory is gone all the
// same.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cmocka.h>
#include <shale/shale.h>

#include "base/alloc.h"

#define REFUSED(call) assert_int_equal(call, -EINVAL)

static char buf[64];

static void test_no_machine(void **state)
{
	struct shale_task *task;

	(void)state;
	assert_int_equal(shale_free(NULL), 0);
	REFUSED(shale_clock(NULL));
	REFUSED(shale_drop_caches(NULL));
	REFUSED(shale_log_read(NULL, buf, sizeof(buf)));
	REFUSED(shale_vmstat(NULL, buf, sizeof(buf)));
	REFUSED(shale_disk_add(NULL, "sda", "ram:1M", 0));
	REFUSED(shale_disk_remove(NULL, "sda"));
	REFUSED(shale_disk_error(NULL, buf, sizeof(buf)));
	REFUSED(shale_disk_show(NULL, "sda", "log", buf, sizeof(buf)));
	REFUSED(shale_disk_store(NULL, "sda", "log", "clear"));
	REFUSED(shale_task_new(NULL, NULL, &task));
	REFUSED(shale_mount_error(NULL, buf, sizeof(buf)));
}

static void test_no_task(void **state)
{
	struct shale_task *child;
	struct rlimit limit = {1024, 1024};

	(void)state;
	shale_task_free(NULL);
	REFUSED(shale_task_fork(NULL, CLONE_FS, &child));
	REFUSED(shale_umask(NULL, 022));
	REFUSED(shale_getrlimit(NULL, RLIMIT_NOFILE, &limit));
	REFUSED(shale_setrlimit(NULL, RLIMIT_NOFILE, &limit));
	REFUSED(shale_chdir(NULL, "/"));
	REFUSED(shale_fchdir(NULL, 0));
	REFUSED(shale_chroot(NULL, "/"));
	REFUSED(shale_getcwd(NULL, buf, sizeof(buf)));
	REFUSED(shale_mount(NULL, "none", "/mnt", "ramfs", 0, NULL));
	REFUSED(shale_umount2(NULL, "/mnt", 0));
	REFUSED(shale_check(NULL, "/dev/sda", NULL, NULL, 0, NULL, NULL));
}

static void test_no_task_for_a_descriptor(void **state)
{
	struct iovec iov = {buf, sizeof(buf)};
	struct open_how how = {.flags = O_RDONLY};

	(void)state;
	REFUSED(shale_open(NULL, "/", O_RDONLY, 0));
	REFUSED(shale_openat(NULL, AT_FDCWD, "/", O_RDONLY, 0));
	REFUSED(shale_openat2(NULL, AT_FDCWD, "/", &how, sizeof(how)));
	REFUSED(shale_close(NULL, 0));
	REFUSED(shale_close_range(NULL, 0, 1, 0));
	REFUSED(shale_dup(NULL, 0));
	REFUSED(shale_dup2(NULL, 0, 1));
	REFUSED(shale_dup3(NULL, 0, 1, 0));
	REFUSED(shale_fcntl(NULL, 0, F_GETFD, 0));
	REFUSED(shale_ioctl(NULL, 0, 0, NULL));
	REFUSED(shale_read(NULL, 0, buf, 1));
	REFUSED(shale_pread(NULL, 0, buf, 1, 0));
	REFUSED(shale_readv(NULL, 0, &iov, 1));
	REFUSED(shale_preadv(NULL, 0, &iov, 1, 0));
	REFUSED(shale_preadv2(NULL, 0, &iov, 1, 0, 0));
	REFUSED(shale_lseek(NULL, 0, 0, SEEK_SET));
	REFUSED(shale_fadvise(NULL, 0, 0, 0, POSIX_FADV_NORMAL));
	REFUSED(shale_readahead(NULL, 0, 0, 1));
	REFUSED(shale_getdents64(NULL, 0, buf, sizeof(buf)));
	REFUSED(shale_write(NULL, 0, buf, 1));
	REFUSED(shale_pwrite(NULL, 0, buf, 1, 0));
	REFUSED(shale_writev(NULL, 0, &iov, 1));
	REFUSED(shale_pwritev(NULL, 0, &iov, 1, 0));
	REFUSED(shale_pwritev2(NULL, 0, &iov, 1, 0, 0));
	REFUSED(shale_fallocate(NULL, 0, 0, 0, 1));
	REFUSED(shale_copy_file_range(NULL, 0, NULL, 1, NULL, 1, 0));
	REFUSED(shale_fsync(NULL, 0));
	REFUSED(shale_fdatasync(NULL, 0));
	REFUSED(shale_sync_file_range(NULL, 0, 0, 1, 0));
	REFUSED(shale_syncfs(NULL, 0));
	REFUSED(shale_sync(NULL));
}

static void test_no_task_for_a_name(void **state)
{
	struct statfs fs;
	struct statx stx;
	struct stat st;

	(void)state;
	REFUSED(shale_stat(NULL, "/", &st));
	REFUSED(shale_lstat(NULL, "/", &st));
	REFUSED(shale_fstat(NULL, 0, &st));
	REFUSED(shale_fstatat(NULL, AT_FDCWD, "/", &st, 0));
	REFUSED(shale_statx(NULL, AT_FDCWD, "/", 0, STATX_BASIC_STATS, &stx));
	REFUSED(shale_readlink(NULL, "/", buf, sizeof(buf)));
	REFUSED(shale_readlinkat(NULL, AT_FDCWD, "/", buf, sizeof(buf)));
	REFUSED(shale_access(NULL, "/", F_OK));
	REFUSED(shale_faccessat(NULL, AT_FDCWD, "/", F_OK));
	REFUSED(shale_faccessat2(NULL, AT_FDCWD, "/", F_OK, 0));
	REFUSED(shale_statfs(NULL, "/", &fs));
	REFUSED(shale_fstatfs(NULL, 0, &fs));
	REFUSED(shale_getxattr(NULL, "/", "user.a", buf, 1));
	REFUSED(shale_lgetxattr(NULL, "/", "user.a", buf, 1));
	REFUSED(shale_fgetxattr(NULL, 0, "user.a", buf, 1));
	REFUSED(shale_listxattr(NULL, "/", buf, 1));
	REFUSED(shale_llistxattr(NULL, "/", buf, 1));
	REFUSED(shale_flistxattr(NULL, 0, buf, 1));
	REFUSED(shale_mkdir(NULL, "/x", 0755));
	REFUSED(shale_mkdirat(NULL, AT_FDCWD, "/x", 0755));
	REFUSED(shale_mknod(NULL, "/x", S_IFREG, 0));
	REFUSED(shale_mknodat(NULL, AT_FDCWD, "/x", S_IFREG, 0));
	REFUSED(shale_symlink(NULL, "x", "/y"));
	REFUSED(shale_symlinkat(NULL, "x", AT_FDCWD, "/y"));
	REFUSED(shale_link(NULL, "/x", "/y"));
	REFUSED(shale_linkat(NULL, AT_FDCWD, "/x", AT_FDCWD, "/y", 0));
	REFUSED(shale_unlink(NULL, "/x"));
	REFUSED(shale_unlinkat(NULL, AT_FDCWD, "/x", 0));
	REFUSED(shale_rmdir(NULL, "/x"));
}

static void test_free_without_memory(void **state)
{
	static const unsigned threads[] = {0, 2};
	struct shale_options options = SHALE_OPTIONS_INIT;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct shale_task *task;
		struct shale *machine;

		options.threads = threads[i];
		assert_int_equal(shale_new(&options, &machine), 0);
		assert_int_equal(shale_task_new(machine, NULL, &task), 0);
		assert_int_equal(shale_disk_add(machine, "sda", "ram:1M", 0), 0);
		assert_int_equal(shale_mkdir(task, "/mnt/x", 0755), 0);
		assert_true(shale_open(task, "/dev/sda", O_RDONLY, 0) >= 0);
		alloc_fail_set(machine, ALLOC_FAIL_FROM, 1, 0);
		assert_int_equal(shale_free(machine), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_machine),
		cmocka_unit_test(test_no_task),
		cmocka_unit_test(test_no_task_for_a_descriptor),
		cmocka_unit_test(test_no_task_for_a_name),
		cmocka_unit_test(test_free_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
