// Proves N1, N4, N6: walks over names that were walked before (dcache_ways.h) see every change of what lies
// on the way: directories removed and made again, closed and renamed, mounts that come and go, other starts,
// other tasks.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "shale/shale.h"

static struct shale *machine;
static struct shale_task *task;

static int setup(void **unused)
{
	struct shale_options options = SHALE_OPTIONS_INIT;

	return shale_new(&options, &machine) || shale_task_new(machine, NULL, &task);
}
static int teardown(void **unused)
{
	shale_task_free(task);
	return shale_free(machine);
}

// Often enough that a way is remembered, also where another one that is good stands in its place.
static ino_t ino_at(int dfd, const char *path)
{
	struct stat st = {0}, last;
	int err = shale_fstatat(task, dfd, path, &st, 0);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(shale_fstatat(task, dfd, path, &last, 0), err);
		if (!err)
			assert_int_equal(last.st_ino, st.st_ino);
	}
	if (err) {
		assert_int_equal(err, -ENOENT);
		return 0;
	}
	return st.st_ino;
}

static ino_t ino_of(const char *path)
{
	return ino_at(AT_FDCWD, path);
}

static ino_t make_file(const char *path)
{
	assert_int_equal(shale_mknod(task, path, S_IFREG | 0644, 0), 0);
	return ino_of(path);
}

static void make_dir(const char *path)
{
	assert_int_equal(shale_mkdir(task, path, 0755), 0);
}

static void removed_and_made_again(void **unused)
{
	ino_t first, second;

	make_dir("/r");
	make_dir("/r/a");
	make_dir("/r/a/b");
	first = make_file("/r/a/b/f");
	assert_int_equal(shale_unlink(task, "/r/a/b/f"), 0);
	assert_int_equal(ino_of("/r/a/b/f"), 0);
	assert_int_equal(shale_rmdir(task, "/r/a/b"), 0);
	assert_int_equal(ino_of("/r/a/b/f"), 0);
	assert_int_equal(shale_mknod(task, "/r/a/b", S_IFREG | 0644, 0), 0);
	assert_int_equal(shale_access(task, "/r/a/b/f", F_OK), -ENOTDIR);
	assert_int_equal(shale_unlink(task, "/r/a/b"), 0);
	make_dir("/r/a/b");
	second = make_file("/r/a/b/f");
	assert_true(second && second != first);
}

// A directory that is held open while its name goes to another.
static void held_open(void **unused)
{
	ino_t mine, other;
	int fd;

	make_dir("/h");
	make_dir("/h/a");
	make_dir("/h/a/b");
	make_dir("/h/a/b/c");
	mine = ino_of("/h/a/b/c");
	fd = shale_open(task, "/h/a/b", O_RDONLY | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_rmdir(task, "/h/a/b/c"), 0);
	assert_int_equal(shale_rmdir(task, "/h/a/b"), 0);
	assert_int_equal(ino_of("/h/a/b/c"), 0);
	make_dir("/h/a/b");
	make_dir("/h/a/b/c");
	other = ino_of("/h/a/b/c");
	assert_true(other && other != mine);
	assert_int_equal(ino_at(fd, "c"), 0);
	assert_int_equal(shale_close(task, fd), 0);
}

static int walked_by(struct shale_task *who, const char *path)
{
	struct stat st;
	int err = 0;

	for (int i = 0; i < 20; i++)
		err = shale_stat(who, path, &st);
	return err;
}

// What everybody could walk is walked no more when a directory on the way closes: by its mode, by a list, by
// a rename.
static void closed_and_renamed(void **unused)
{
	static const unsigned char nobody[] = {2,   0,   0,   0,   1,   0,   7,  0,   255, 255, 255,
					       255, 2,   0,   0,   0,   232, 3,  0,   0,   4,   0,
					       5,   0,   255, 255, 255, 255, 16, 0,   5,   0,   255,
					       255, 255, 255, 32,  0,   5,   0,  255, 255, 255, 255};
	const struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	const char *path = "/one/two/three/four";
	struct shale_task *user;

	assert_int_equal(shale_task_new(machine, &cred, &user), 0);
	make_dir("/one");
	make_dir("/one/two");
	make_dir("/one/two/three");
	make_dir("/one/two/three/four");
	assert_int_equal(walked_by(user, path), 0);
	assert_int_equal(shale_chmod(task, "/one/two", 0700), 0);
	assert_int_equal(walked_by(user, path), -EACCES);
	assert_int_equal(shale_chmod(task, "/one/two", 0755), 0);
	assert_int_equal(walked_by(user, path), 0);
	assert_int_equal(
		shale_setxattr(task, "/one/two", "system.posix_acl_access", nobody, sizeof(nobody), 0), 0);
	assert_int_equal(walked_by(user, path), -EACCES);
	assert_int_equal(shale_removexattr(task, "/one/two", "system.posix_acl_access"), 0);
	assert_int_equal(walked_by(user, path), 0);
	assert_int_equal(shale_rename(task, "/one/two", "/one/other"), 0);
	assert_int_equal(walked_by(user, path), -ENOENT);
	assert_int_equal(walked_by(user, "/one/other/three/four"), 0);
	shale_task_free(user);
}

static void mounts(void **unused)
{
	ino_t below, above;

	make_dir("/m");
	make_dir("/m/a");
	make_dir("/m/a/b");
	below = make_file("/m/a/b/f");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(shale_mount(task, "none", "/m/a", "ramfs", 0, NULL), 0);
		assert_int_equal(ino_of("/m/a/b/f"), 0);
		make_dir("/m/a/b");
		above = make_file("/m/a/b/f");
		assert_true(above != 0);
		assert_int_equal(shale_umount2(task, "/m/a", 0), 0);
		assert_int_equal(ino_of("/m/a/b/f"), below);
	}
}

// The same text from other places: the current directory, a root, a descriptor.
static void starts(void **unused)
{
	static const char *const place[] = {"/s1", "/s2"};
	ino_t file[2];
	int fd[2];

	for (int i = 0; i < 2; i++) {
		char path[32];

		make_dir(place[i]);
		for (int depth = 1; depth <= 2; depth++) {
			snprintf(path, sizeof(path), "%s%s", place[i], depth == 1 ? "/a" : "/a/b");
			make_dir(path);
		}
		snprintf(path, sizeof(path), "%s/a/b/f", place[i]);
		file[i] = make_file(path);
		fd[i] = shale_open(task, place[i], O_RDONLY | O_DIRECTORY, 0);
		assert_true(fd[i] >= 0);
	}
	assert_true(file[0] != file[1]);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(ino_at(fd[i % 2], "a/b/f"), file[i % 2]);
		assert_int_equal(shale_chdir(task, place[i % 2]), 0);
		assert_int_equal(ino_of("a/b/f"), file[i % 2]);
	}
	assert_int_equal(ino_of("/s1/a/b/f"), file[0]);
	assert_int_equal(shale_chroot(task, "/s2"), 0);
	assert_int_equal(ino_of("/s1/a/b/f"), 0);
	assert_int_equal(ino_of("/a/b/f"), file[1]);
	assert_int_equal(shale_fchdir(task, fd[0]), 0);
	assert_int_equal(ino_of("a/b/f"), file[0]);
	shale_close(task, fd[0]);
	shale_close(task, fd[1]);
}

// How the text may end, and how long it may be.
static void texts(void **unused)
{
	char path[256] = "/t";
	struct stat st;
	ino_t file;

	make_dir("/t");
	for (int i = 0; i < 30; i++) {
		char with_file[300];

		strcat(path, i % 3 ? "/x" : "/longer-name");
		make_dir(path);
		snprintf(with_file, sizeof(with_file), "%s/f", path);
		file = make_file(with_file);
		assert_true(file != 0);
		snprintf(with_file, sizeof(with_file), "%s//f", path);
		assert_int_equal(ino_of(with_file), file);
		snprintf(with_file, sizeof(with_file), "%s/./f", path);
		assert_int_equal(ino_of(with_file), file);
		snprintf(with_file, sizeof(with_file), "%s/../f", path);
		assert_true(ino_of(with_file) != file);
		snprintf(with_file, sizeof(with_file), "%s/f/", path);
		assert_int_equal(shale_stat(task, with_file, &st), -ENOTDIR);
		snprintf(with_file, sizeof(with_file), "%s/f/g", path);
		assert_int_equal(shale_stat(task, with_file, &st), -ENOTDIR);
		snprintf(with_file, sizeof(with_file), "%s/", path);
		assert_true(ino_of(with_file) == ino_of(path) && ino_of(path));
	}
}

#define ROUNDS 400

static ino_t threads_below;
static bool threads_done;

static void *walk_while_it_changes(void *unused)
{
	struct shale_task *mine;
	struct stat st;
	char *wrong = NULL;

	if (shale_task_new(machine, NULL, &mine))
		return "no task";
	while (!__atomic_load_n(&threads_done, __ATOMIC_ACQUIRE)) {
		int err = shale_stat(mine, "/c/a/b/f", &st);

		if (err ? err != -ENOENT : st.st_ino != threads_below)
			wrong = "a file that was never there";
		err = shale_stat(mine, "/c/d/e/f", &st);
		if (err != -ENOENT && err != 0)
			wrong = "an error that nothing explains";
	}
	shale_task_free(mine);
	return wrong;
}

static void by_threads(void **unused)
{
	pthread_t walkers[2];
	void *wrong;

	make_dir("/c");
	make_dir("/c/a");
	make_dir("/c/a/b");
	threads_below = make_file("/c/a/b/f");
	make_dir("/c/d");
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&walkers[i], NULL, walk_while_it_changes, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct stat st;
		int err;

		assert_int_equal(shale_mount(task, "none", "/c/a", "ramfs", 0, NULL), 0);
		assert_int_equal(shale_stat(task, "/c/a/b/f", &st), -ENOENT);
		// The walkers take no references, but may just be about to.
		err = shale_umount2(task, "/c/a", MNT_DETACH);
		assert_int_equal(err, 0);
		assert_int_equal(shale_stat(task, "/c/a/b/f", &st), 0);
		make_dir("/c/d/e");
		assert_int_equal(shale_mknod(task, "/c/d/e/f", S_IFREG, 0), 0);
		assert_int_equal(shale_stat(task, "/c/d/e/f", &st), 0);
		assert_int_equal(shale_unlink(task, "/c/d/e/f"), 0);
		assert_int_equal(shale_rmdir(task, "/c/d/e"), 0);
		assert_int_equal(shale_stat(task, "/c/d/e/f", &st), -ENOENT);
	}
	__atomic_store_n(&threads_done, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(walkers[i], &wrong), 0);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(removed_and_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(held_open, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_and_renamed, setup, teardown),
		cmocka_unit_test_setup_teardown(mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(starts, setup, teardown),
		cmocka_unit_test_setup_teardown(texts, setup, teardown),
		cmocka_unit_test_setup_teardown(by_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
