/* SPDX-License-Identifier: MIT */
/*
 * Rows V6, V7, F1, F2: each allocation of opening, duplicating, forking, making names and adding a disk is
 * made to fail in turn: the call says so or succeeds, and afterwards no file, number or name is left over.
 * And ENFILE for who is not mighty.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/machine.h"
#include "vfs/files_internal.h"
#include <shale/shale.h>

static void remove_names(struct shale_task *task)
{
	shale_unlink(task, "/mnt/d/link");
	shale_unlink(task, "/mnt/d/file");
	shale_rmdir(task, "/mnt/d");
}

static void attempt(struct shale *machine, struct shale_task *task)
{
	struct shale_task *child, *fresh;
	int fd = shale_open(task, "/mnt", O_RDONLY, 0);

	if (fd >= 0) {
		assert_int_equal(fd, 0);
		shale_dup2(task, fd, 1000); /* grows the table */
		if (!shale_task_fork(task, 0, &child))
			shale_task_free(child);
		if (!shale_task_fork(task, CLONE_NEWNS, &child))
			shale_task_free(child);
		shale_close_range(task, 0, ~0u, 0);
	}
	if (!shale_task_new(machine, NULL, &fresh))
		shale_task_free(fresh);
	shale_mkdir(task, "/mnt/d", 0755);
	shale_symlink(task, "to", "/mnt/d/link");
	shale_close(task, shale_open(task, "/mnt/d/file", O_CREAT | O_WRONLY, 0600));
	remove_names(task);
}

/* A full run, checked, when no allocation fails. */
static void complete_run(struct shale_task *task)
{
	remove_names(task); /* what a failed removal left */
	assert_int_equal(shale_access(task, "/mnt/d", F_OK), -ENOENT);
	assert_int_equal(shale_open(task, "/mnt", O_RDONLY, 0), 0);
	assert_int_equal(shale_close(task, 0), 0);
}

static void test_each_allocation_fails(void **state)
{
	struct shale_options options = {.size = sizeof(options), .threads = 0, .seed = 3};
	u64 injected = 1;

	(void)state;
	for (u64 n = 1; injected; n++) {
		struct shale_task *task;
		struct shale *machine;

		assert_int_equal(shale_new(&options, &machine), 0);
		assert_int_equal(shale_task_new(machine, NULL, &task), 0);
		alloc_fail_set(machine, ALLOC_FAIL_NTH, n, 0);
		attempt(machine, task);
		injected = alloc_fail_injected(machine);
		alloc_fail_clear(machine);
		assert_int_equal(nr_open_files(machine), 0);
		complete_run(task);
		assert_int_equal(shale_free(machine), 0);
		assert_true(n < 2000);
	}
}

static void test_disk_add_fails(void **state)
{
	struct shale_options options = {.size = sizeof(options), .threads = 0, .seed = 3};
	u64 injected = 1;

	(void)state;
	for (u64 n = 1; injected; n++) {
		struct shale_task *task;
		struct shale *machine;
		int err;

		assert_int_equal(shale_new(&options, &machine), 0);
		assert_int_equal(shale_task_new(machine, NULL, &task), 0);
		alloc_fail_set(machine, ALLOC_FAIL_NTH, n, 0);
		err = shale_disk_add(machine, "sda", "ram:1M", 0);
		injected = alloc_fail_injected(machine);
		alloc_fail_clear(machine);
		if (!err)
			assert_int_equal(shale_disk_remove(machine, "sda"), 0);
		assert_int_equal(shale_access(task, "/dev/sda", F_OK), -ENOENT);
		assert_int_equal(shale_disk_add(machine, "sda", "ram:1M", 0), 0);
		assert_int_equal(shale_free(machine), 0);
		assert_true(n < 2000);
	}
}

static void test_file_max(void **state)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	struct shale_task *task, *root;
	struct shale *machine;
	int fd = 0, opened = 0;

	(void)state;
	options.memory_limit = 16 << 20; /* file-max is then the least: 8192 */
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, &cred, &task), 0);
	assert_int_equal(shale_task_new(machine, NULL, &root), 0);
	while ((fd = shale_open(task, "/", O_RDONLY, 0)) >= 0)
		assert_int_equal(fd, opened++);
	assert_int_equal(fd, -ENFILE);
	assert_int_equal(opened, 8192);
	assert_int_equal(shale_open(root, "/", O_RDONLY, 0), 0); /* CAP_SYS_ADMIN may */
	assert_int_equal(shale_close(root, 0), 0);
	assert_int_equal(shale_close(task, 17), 0);
	assert_int_equal(shale_open(task, "/", O_RDONLY, 0), 17);
	assert_int_equal(shale_free(machine), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_disk_add_fails),
		cmocka_unit_test(test_file_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
