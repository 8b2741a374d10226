/* SPDX-License-Identifier: MIT */
/* N3, V8, V9, V11: each allocation of each change of names and attributes fails in turn: the call fails with
 * ENOMEM (locks: ENOLCK), or does without, and what failed has changed nothing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <cmocka.h>

#include <shale/shale.h>

#include "base/alloc.h"

#define LONG "a-name-that-is-much-too-long-for-a-dentry-of-its-own"

static struct shale *machine;
static struct shale_task *task;
static int file; /* /t/file, open for reading and writing */

static const uint8_t acl[] = {2, 0,    0,    0,    1,    0,    6,    0, 0xff, 0xff, 0xff, 0xff, 2,    0,    4,
			      0, 0xe8, 3,    0,    0,    4,    0,    4, 0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,
			      4, 0,    0xff, 0xff, 0xff, 0xff, 0x20, 0, 0,    0,    0xff, 0xff, 0xff, 0xff};

static long do_create(void)
{
	int fd = shale_open(task, "/t/" LONG, O_CREAT | O_RDWR, 0644);

	return fd < 0 ? fd : shale_close(task, fd);
}
static long do_tmpfile(void)
{
	int fd = shale_open(task, "/t", O_TMPFILE | O_RDWR, 0644);

	return fd < 0 ? fd : shale_close(task, fd);
}
static long do_mkdir(void)
{
	return shale_mkdir(task, "/t/new", 0755);
}
static long do_mkdir_inheriting(void)
{
	return shale_mkdir(task, "/t/listed/new", 0755);
}
static long do_symlink(void)
{
	return shale_symlink(task, "somewhere", "/t/new");
}
static long do_link(void)
{
	return shale_link(task, "/t/file", "/t/new");
}
static long do_rename(void)
{
	return shale_rename(task, "/t/file", "/t/listed/" LONG);
}
static long do_replace(void)
{
	return shale_rename(task, "/t/file", "/t/other");
}
static long do_exchange(void)
{
	return shale_renameat2(task, AT_FDCWD, "/t/file", AT_FDCWD, "/t/listed", RENAME_EXCHANGE);
}
static long do_whiteout(void)
{
	return shale_renameat2(task, AT_FDCWD, "/t/file", AT_FDCWD, "/t/listed/new", RENAME_WHITEOUT);
}
static long do_unlink(void)
{
	return shale_unlink(task, "/t/other");
}
static long do_chmod(void)
{
	return shale_chmod(task, "/t/listed", 0711);
}
static long do_setxattr(void)
{
	return shale_setxattr(task, "/t/file", "user.long", acl, sizeof(acl), 0);
}
static long do_change_xattr(void)
{
	return shale_setxattr(task, "/t/file", "user.a", acl, sizeof(acl), 0);
}
static long do_removexattr(void)
{
	return shale_removexattr(task, "/t/file", "user.a");
}
static long do_set_acl(void)
{
	return shale_setxattr(task, "/t/file", "system.posix_acl_access", acl, sizeof(acl), 0);
}
static long do_flock(void)
{
	return shale_flock(task, file, LOCK_EX);
}
static long do_setlk(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = 5, .l_len = 10};

	return shale_fcntl(task, file, F_SETLK, (unsigned long)&l);
}
static long do_truncate(void)
{
	return shale_truncate(task, "/t/file", 3);
}

static const struct {
	const char *name;
	long (*fn)(void);
} changes[] = {
#define CHANGE(name)                                                                                         \
	{                                                                                                    \
#name, name                                                                                  \
	}
	CHANGE(do_create),   CHANGE(do_tmpfile),      CHANGE(do_mkdir),       CHANGE(do_mkdir_inheriting),
	CHANGE(do_symlink),  CHANGE(do_link),         CHANGE(do_rename),      CHANGE(do_replace),
	CHANGE(do_exchange), CHANGE(do_whiteout),     CHANGE(do_unlink),      CHANGE(do_chmod),
	CHANGE(do_setxattr), CHANGE(do_change_xattr), CHANGE(do_removexattr), CHANGE(do_set_acl),
	CHANGE(do_flock),    CHANGE(do_setlk),        CHANGE(do_truncate),
};

static void start(void)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	int fd;

	options.threads = 0;
	options.flags = SHALE_NO_DEV;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	assert_int_equal(shale_mkdir(task, "/t", 0755), 0);
	assert_int_equal(shale_mkdir(task, "/t/listed", 0755), 0);
	assert_int_equal(shale_setxattr(task, "/t/listed", "system.posix_acl_default", acl, sizeof(acl), 0),
			 0);
	assert_int_equal(shale_setxattr(task, "/t/listed", "system.posix_acl_access", acl, sizeof(acl), 0),
			 0);
	file = shale_open(task, "/t/file", O_CREAT | O_RDWR, 0644);
	fd = shale_open(task, "/t/other", O_CREAT | O_RDWR, 0644);
	assert_true(file >= 0 && fd >= 0);
	assert_int_equal(shale_pwrite(task, file, "content", 7, 0), 7);
	assert_int_equal(shale_setxattr(task, "/t/file", "user.a", "value", 5, 0), 0);
}

static void stop(void)
{
	shale_task_free(task);
	assert_int_equal(shale_free(machine), 0);
}

static size_t tell(const char *path, char *text, size_t size)
{
	char list[512], value[512];
	struct stat st;
	ssize_t len = shale_llistxattr(task, path, list, sizeof(list));
	size_t used;

	if (shale_lstat(task, path, &st))
		return (size_t)snprintf(text, size, "%s: none\n", path);
	used = (size_t)snprintf(text, size, "%s: %lu %o %lu %ld", path, st.st_ino, st.st_mode, st.st_nlink,
				st.st_size);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		used += (size_t)snprintf(text + used, size - used, " %s %zd", list + at,
					 shale_lgetxattr(task, path, list + at, value, sizeof(value)));
	return used + (size_t)snprintf(text + used, size - used, "\n");
}

static void tell_all(char *text, size_t size)
{
	static const char *const names[] = {"/t",     "/t/listed",     "/t/file",         "/t/other",
					    "/t/new", "/t/listed/new", "/t/listed/" LONG, "/t/" LONG};
	size_t used = 0;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		used += tell(names[i], text + used, size - used);
}

/* One run: true when no allocation was left to fail. */
static bool fail_nth(const char *name, long (*fn)(void), uint64_t n)
{
	char before[4096], after[4096];
	bool injected;
	long result;

	start();
	tell_all(before, sizeof(before));
	alloc_fail_set(machine, ALLOC_FAIL_NTH, n, 0);
	result = fn();
	injected = alloc_fail_injected(machine);
	alloc_fail_clear(machine);
	if (injected && result) {
		if (result != -ENOMEM && result != -ENOLCK)
			fail_msg("%s, allocation %lu: %s", name, (unsigned long)n, strerror((int)-result));
		tell_all(after, sizeof(after));
		if (strcmp(before, after))
			fail_msg("%s, allocation %lu, changed:\n%s to\n%s", name, (unsigned long)n, before,
				 after);
	} else {
		assert_int_equal(result, 0);
	}
	stop();
	return !injected;
}

static void test_each_allocation_fails(void **state)
{
	unsigned runs = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		for (uint64_t n = 1; !fail_nth(changes[i].name, changes[i].fn, n); n++)
			runs++;
	printf("%u failures\n", runs);
	assert_true(runs > sizeof(changes) / sizeof(changes[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
