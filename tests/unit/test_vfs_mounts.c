// Proves V1, V2, V3, N4, N6: types and their names, options and errors in words, super blocks found again or
// made, mounts that are stacked, bound, changed and taken apart, and what stands in their way.
#include "vfs_synthfs.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

static struct synth s;

static int setup(void **unused)
{
	synth_start(&s, 0, 1);
	return 0;
}
static int teardown(void **unused)
{
	synth_stop(&s);
	return 0;
}

static int mount_at(const char *target, const char *type, unsigned long flags, const char *data)
{
	return shale_mount(s.task, "none", target, type, flags, data);
}

static ino_t ino_of(const char *path)
{
	struct stat st;

	assert_int_equal(shale_stat(s.task, path, &st), 0);
	return st.st_ino;
}

static dev_t dev_of(const char *path)
{
	struct stat st;

	assert_int_equal(shale_stat(s.task, path, &st), 0);
	return st.st_dev;
}

static void types(void **unused)
{
	struct current_saved saved;

	current_enter(s.machine, NULL, &saved);
	assert_int_equal(register_filesystem(s.machine, &synth_type), -EBUSY);
	assert_ptr_equal(get_fs_type(s.machine, "synth"), &synth_type);
	assert_null(get_fs_type(s.machine, "syn"));
	assert_null(get_fs_type(s.machine, "synth.sub")); // it knows no subtypes
	current_leave(&saved);
	assert_int_equal(mount_at("/mnt", "nothing", 0, NULL), -ENODEV);
	assert_int_equal(mount_at("/mnt", NULL, 0, NULL), -EINVAL);
}

static void errors_in_words(void **unused)
{
	char words[256];

	assert_int_equal(mount_at("/mnt", "synth", 0, "unheard_of"), -EINVAL);
	assert_true(shale_mount_error(s.machine, words, sizeof(words)) > 0);
	assert_non_null(strstr(words, "synth"));
	assert_non_null(strstr(words, "'unheard_of'"));
	assert_int_equal(mount_at("/mnt", "synth", 0, "ro,bad=1"), -EINVAL);
	shale_mount_error(s.machine, words, sizeof(words));
	assert_non_null(strstr(words, "'bad'"));
	assert_int_equal(mount_at("/mnt/d1", "synth", 0, "ro,sync,,dirsync"), 0);
	assert_int_equal(shale_mount_error(s.machine, words, sizeof(words)), 0);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1", 0), 0);
}

static void stacked(void **unused)
{
	dev_t first = dev_of("/mnt"), second;

	assert_int_equal(mount_at("/mnt", "synth", 0, NULL), 0);
	second = dev_of("/mnt");
	assert_true(first != second);
	assert_int_equal(shale_umount2(s.task, "/mnt", 0), 0);
	assert_true(dev_of("/mnt") == first);
	assert_int_equal(mount_at("/mnt/f1", "synth", 0, NULL), -ENOTDIR);
	assert_int_equal(mount_at("/mnt/missing", "synth", 0, NULL), -ENOENT);
}

static void umount_refused(void **unused)
{
	int fd;

	assert_int_equal(shale_umount2(s.task, "/mnt/d1", 0), -EINVAL); // no mount
	assert_int_equal(shale_umount2(s.task, "/mnt", 0x1000), -EINVAL);
	assert_int_equal(mount_at("/mnt/d1/d2", "synth", 0, NULL), 0);
	assert_int_equal(shale_umount2(s.task, "/mnt", 0), -EBUSY); // something below
	fd = shale_open(s.task, "/mnt/d1/d2/d3", O_PATH | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", 0), -EBUSY); // an open file
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", MNT_EXPIRE), -EBUSY);
	shale_close(s.task, fd);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", MNT_EXPIRE), -EAGAIN);
	assert_int_equal(ino_of("/mnt/d1/d2/d3") != 0, 1); // used: the mark goes
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", MNT_EXPIRE | MNT_DETACH), -EINVAL);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", 0), 0);
}

static void detached(void **unused)
{
	struct stat st, again;
	int fd;

	assert_int_equal(mount_at("/mnt/d1", "synth", 0, NULL), 0);
	assert_int_equal(mount_at("/mnt/d1/d2", "synth", 0, NULL), 0);
	fd = shale_open(s.task, "/mnt/d1/d5", O_PATH, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_fstat(s.task, fd, &st), 0);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1", MNT_DETACH), 0);
	// Gone from the tree, with what was below; what is open goes on.
	assert_true(dev_of("/mnt/d1") == dev_of("/mnt"));
	assert_int_equal(shale_fstatat(s.task, fd, "../d5/f1", &again, 0), 0);
	assert_true(again.st_dev == st.st_dev);
	assert_int_equal(shale_fstatat(s.task, fd, "../..", &again, 0), 0);
	assert_true(again.st_ino == SYNTH_ROOT_INO && again.st_dev == st.st_dev);
	shale_close(s.task, fd);
}

static void bound(void **unused)
{
	struct stat a, b;

	assert_int_equal(mount_at("/mnt/d1/d2", "synth", 0, NULL), 0);
	assert_int_equal(shale_mount(s.task, "/mnt/d1", "/mnt/d7", NULL, MS_BIND, NULL), 0);
	assert_int_equal(ino_of("/mnt/d7/f3"), ino_of("/mnt/d1/f3"));
	assert_true(dev_of("/mnt/d7/d2") == dev_of("/mnt")); // what is mounted below does not come along
	assert_int_equal(shale_stat(s.task, "/mnt/d7/..", &a), 0);
	assert_int_equal(shale_stat(s.task, "/mnt", &b), 0);
	assert_true(a.st_ino == b.st_ino);
	assert_int_equal(shale_umount2(s.task, "/mnt/d7", 0), 0);
	assert_int_equal(shale_mount(s.task, "/mnt/d1", "/mnt/d7", NULL, MS_BIND | MS_REC, NULL), 0);
	assert_true(dev_of("/mnt/d7/d2") == dev_of("/mnt/d1/d2"));
	assert_int_equal(shale_umount2(s.task, "/mnt/d7", 0), -EBUSY);
	assert_int_equal(shale_umount2(s.task, "/mnt/d7", MNT_DETACH), 0);
	// A file over a file.
	assert_int_equal(shale_mount(s.task, "/mnt/f1", "/mnt/f2", NULL, MS_BIND, NULL), 0);
	assert_int_equal(ino_of("/mnt/f2"), ino_of("/mnt/f1"));
	assert_int_equal(shale_mount(s.task, "/mnt/f1", "/mnt/d2", NULL, MS_BIND, NULL), -ENOTDIR);
	assert_int_equal(shale_umount2(s.task, "/mnt/f2", 0), 0);
	assert_int_equal(shale_umount2(s.task, "/mnt/d1/d2", 0), 0);
}

static void flags_of_mounts(void **unused)
{
	assert_int_equal(shale_mkdir(s.task, "/ro", 0755), 0);
	assert_int_equal(mount_at("/ro", "ramfs", 0, NULL), 0);
	assert_int_equal(shale_mkdir(s.task, "/ro/a", 0755), 0);
	assert_int_equal(shale_symlink(s.task, "a", "/ro/link"), 0);
	assert_int_equal(
		mount_at("/ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | 256 /* MS_NOSYMFOLLOW */, NULL), 0);
	assert_int_equal(shale_mkdir(s.task, "/ro/a", 0755), -EEXIST); // before EROFS
	assert_int_equal(shale_mkdir(s.task, "/ro/b", 0755), -EROFS);
	assert_int_equal(shale_rmdir(s.task, "/ro/a"), -EROFS);
	assert_int_equal(shale_chdir(s.task, "/ro/link"), -ELOOP);
	assert_int_equal(mount_at("/ro", NULL, MS_REMOUNT | MS_BIND, NULL), 0);
	assert_int_equal(shale_chdir(s.task, "/ro/link"), 0);
	assert_int_equal(shale_umount2(s.task, "/ro", 0), -EBUSY); // the current directory
	assert_int_equal(shale_chdir(s.task, "/"), 0);
	// The super block: seen by every mount of it.
	assert_int_equal(shale_mkdir(s.task, "/ro2", 0755), 0);
	assert_int_equal(shale_mount(s.task, "/ro", "/ro2", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount_at("/ro", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(shale_mkdir(s.task, "/ro2/b", 0755), -EROFS);
	assert_int_equal(mount_at("/ro", NULL, MS_REMOUNT, "unheard_of"), -EINVAL);
	assert_int_equal(mount_at("/ro", NULL, MS_REMOUNT, NULL), 0);
	assert_int_equal(shale_mkdir(s.task, "/ro2/b", 0755), 0);
	assert_int_equal(shale_rmdir(s.task, "/ro2"), -EBUSY);
	assert_int_equal(shale_umount2(s.task, "/ro2", 0), 0);
	assert_int_equal(shale_umount2(s.task, "/ro", 0), 0);
	assert_int_equal(shale_rmdir(s.task, "/ro2"), 0);
	assert_int_equal(mount_at("/mnt/d1", NULL, MS_REMOUNT, NULL), -EINVAL);
	assert_int_equal(mount_at("/mnt", NULL, MS_PRIVATE, NULL), 0);
	assert_int_equal(mount_at("/mnt", NULL, MS_SHARED, NULL), -EOPNOTSUPP);
}

static void who_may(void **unused)
{
	struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	struct shale_task *user;

	assert_int_equal(shale_task_new(s.machine, &cred, &user), 0);
	assert_int_equal(shale_mount(user, "none", "/mnt/d1", "synth", 0, NULL), -EPERM);
	assert_int_equal(shale_umount2(user, "/mnt", 0), -EPERM);
	assert_int_equal(shale_mount(user, "none", "/missing", "synth", 0, NULL), -ENOENT);
	assert_int_equal(shale_chroot(user, "/mnt"), -EPERM);
	shale_task_free(user);
}

static void namespaces(void **unused)
{
	struct shale_task *child;
	struct stat st;
	char cwd[64];

	assert_int_equal(shale_chdir(s.task, "/mnt/d1"), 0);
	assert_int_equal(shale_task_fork(s.task, CLONE_NEWNS, &child), 0);
	assert_int_equal(shale_mount(child, "none", "/mnt/d1/d2", "synth", 0, NULL), 0);
	assert_int_equal(shale_stat(child, "/mnt/d1/d2", &st), 0);
	assert_int_equal(st.st_ino, SYNTH_ROOT_INO);
	assert_int_equal(shale_stat(child, "d2", &st), 0); // its own current directory moved along
	assert_int_equal(st.st_ino, SYNTH_ROOT_INO);
	assert_true(ino_of("/mnt/d1/d2") != SYNTH_ROOT_INO);
	assert_int_equal(shale_umount2(child, "/mnt", MNT_DETACH), 0);
	assert_int_equal(shale_stat(child, "/mnt/d1", &st), -ENOENT);
	assert_true(ino_of("/mnt/d1") != 0);
	shale_task_free(child);
	assert_int_equal(shale_getcwd(s.task, cwd, sizeof(cwd)), 8);
	assert_string_equal(cwd, "/mnt/d1");
	assert_int_equal(shale_chdir(s.task, "/"), 0);
}

static void roots(void **unused)
{
	struct shale_task *child;
	struct stat st;
	char cwd[64];
	int fd;

	assert_int_equal(shale_task_fork(s.task, 0, &child), 0);
	fd = shale_open(child, "/mnt/d2", O_PATH, 0);
	assert_int_equal(shale_chroot(child, "/mnt/d1"), 0);
	assert_int_equal(shale_chdir(child, "/d3"), 0);
	assert_int_equal(shale_getcwd(child, cwd, sizeof(cwd)), 4);
	assert_string_equal(cwd, "/d3");
	assert_int_equal(shale_stat(child, "/../../..", &st), 0);
	assert_true(st.st_ino == synth_ino(SYNTH_ROOT_INO, 'd', 1));
	assert_int_equal(shale_fchdir(child, fd), 0);
	assert_true(shale_getcwd(child, cwd, sizeof(cwd)) > 0);
	assert_string_equal(cwd, "(unreachable)/mnt/d2");
	assert_int_equal(shale_getcwd(child, cwd, 3), -ERANGE);
	shale_task_free(child);
}

// Each allocation of a mount fails in turn: an error, and nothing is left behind.
static void out_of_memory(void **unused)
{
	bool done = false;

	for (u64 n = 1; !done; n++) {
		int err;

		alloc_fail_set(s.machine, ALLOC_FAIL_NTH, n, 0);
		err = mount_at("/mnt/d6", "synth", 0, "ro");
		done = alloc_fail_injected(s.machine) == 0;
		alloc_fail_clear(s.machine);
		if (!err)
			assert_int_equal(shale_umount2(s.task, "/mnt/d6", 0), 0);
		else
			assert_int_equal(err, -ENOMEM);
		shale_drop_caches(s.machine);
		assert_true(n < 1000);
	}
	for (u64 n = 1, failed = 1; failed; n++) {
		int err;

		alloc_fail_set(s.machine, ALLOC_FAIL_NTH, n, 0);
		err = shale_mount(s.task, "/mnt", "/mnt/d6", NULL, MS_BIND | MS_REC, NULL);
		failed = alloc_fail_injected(s.machine);
		alloc_fail_clear(s.machine);
		if (!err)
			assert_int_equal(shale_umount2(s.task, "/mnt/d6", MNT_DETACH), 0);
		else
			assert_int_equal(err, -ENOMEM);
		shale_drop_caches(s.machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types),           cmocka_unit_test(errors_in_words),
		cmocka_unit_test(stacked),         cmocka_unit_test(umount_refused),
		cmocka_unit_test(detached),        cmocka_unit_test(bound),
		cmocka_unit_test(flags_of_mounts), cmocka_unit_test(who_may),
		cmocka_unit_test(namespaces),      cmocka_unit_test(roots),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
