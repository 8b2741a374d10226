/* SPDX-License-Identifier: MIT */
/*
 * N7: file handles of ext4. Their form and the errors are what Linux 6.18 gives for the same calls on a mount
 * of such a volume; numbers and generations are those that the volume holds. Directories that come by a
 * handle have their place in the tree; what is gone, or was never there, is ESTALE.
 */
#include "ext4_image.h"

#include <sys/stat.h>

#define CAP_READ_SEARCH (1ull << 2)

struct handle {
	struct file_handle fh;
	u32 ino, generation;
	char more[MAX_HANDLE_SZ];
};

static struct image image;
static struct mounted m;

static int setup(void **state)
{
	image_make(&image,
		   "mkdir -p tree/a/b/c/d; echo deep >tree/a/b/c/d/file; ln -s file tree/a/b/c/d/link; mkdir "
		   "tree/e\n"
		   "for i in $(seq 300); do : >tree/e/with-a-rather-long-name-$i; done; mkdir tree/e/last\n"
		   "mke2fs -q -t ext4 -b 1024 -O dir_index -d tree image 8M\n"
		   "debugfs -w -R 'sif /a/b/c/d/file generation 0x1234abcd' image\n"
		   "debugfs -w -R 'ea_set /a/b/c/d/link trusted.of the-link' image\n"
		   "debugfs -w -R 'ea_set /a/b/c/d/file user.of the-file' image");
	image_mount(&image, &m);
	return 0;
}

static int teardown(void **state)
{
	image_unmount(&m);
	image_remove(&image);
	return 0;
}

static struct handle get(const char *path)
{
	struct handle h = {.fh.handle_bytes = MAX_HANDLE_SZ};
	int id;

	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, path, &h.fh, &id, 0), 0);
	return h;
}

static int open_handle(struct handle *h, int flags)
{
	int dir = shale_open(m.task, "/mnt", O_RDONLY, 0);
	int fd = shale_open_by_handle_at(m.task, dir, &h->fh, flags);

	assert_true(dir >= 0);
	shale_close(m.task, dir);
	return fd;
}

static void form(void **state)
{
	struct handle h = get("/mnt/a/b/c/d/file");
	struct stat st;

	assert_int_equal(shale_stat(m.task, "/mnt/a/b/c/d/file", &st), 0);
	assert_int_equal(h.fh.handle_bytes, 8);
	assert_int_equal(h.fh.handle_type, 1);
	assert_int_equal(h.ino, st.st_ino);
	assert_int_equal(h.generation, 0x1234abcd);
	assert_int_equal(le32_to_cpu(image_inode(&image, st.st_ino)->i_generation), 0x1234abcd);
	h = get("/mnt");
	assert_int_equal(h.ino, 2);
}

static void too_small(void **state)
{
	struct handle h = {.fh.handle_bytes = 4};
	int id;

	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, "/mnt", &h.fh, &id, 0), -EOVERFLOW);
	assert_int_equal(h.fh.handle_bytes, 8);
	assert_int_equal(h.fh.handle_type, 255);
	h.fh.handle_bytes = MAX_HANDLE_SZ + 1;
	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, "/mnt", &h.fh, &id, 0), -EINVAL);
}

static void names(void **state)
{
	struct handle h = {.fh.handle_bytes = 8}, target;
	int id;

	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, "", &h.fh, &id, 0), -ENOENT);
	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, "/mnt", &h.fh, &id, 0x10), -EINVAL);
	/* ramfs gives none. */
	assert_int_equal(shale_name_to_handle_at(m.task, AT_FDCWD, "/", &h.fh, &id, 0), -EOPNOTSUPP);
	target = get("/mnt/a/b/c/d/file");
	assert_int_equal(
		shale_name_to_handle_at(m.task, AT_FDCWD, "/mnt/a/b/c/d/link", &h.fh, &id, AT_SYMLINK_FOLLOW),
		0);
	assert_int_equal(h.ino, target.ino);
	h = get("/mnt/a/b/c/d/link");
	assert_int_not_equal(h.ino, target.ino);
	assert_int_equal(open_handle(&h, O_RDONLY), -ELOOP);
	id = open_handle(&h, O_PATH);
	assert_true(id >= 0);
	shale_close(m.task, id);
}

static void expect_bad(struct handle h, int bytes, int type, int err)
{
	h.fh.handle_bytes = (unsigned)bytes;
	h.fh.handle_type = type;
	assert_int_equal(open_handle(&h, O_RDONLY), err);
}

static void bad_handles(void **state)
{
	struct handle h = get("/mnt/a/b/c"), other = h;
	int fd;

	expect_bad(h, 0, 1, -EINVAL);
	expect_bad(h, MAX_HANDLE_SZ + 1, 1, -EINVAL);
	expect_bad(h, 8, -1, -EINVAL);
	expect_bad(h, 4, 1, -ESTALE);
	expect_bad(h, 8, 77, -ESTALE);
	expect_bad(h, 8, 0, -ESTALE);
	other.generation ^= 1;
	expect_bad(other, 8, 1, -ESTALE);
	other.generation = 0; /* any */
	fd = open_handle(&other, O_RDONLY);
	assert_true(fd >= 0);
	shale_close(m.task, fd);
	/* The journal, a free inode, none at all. */
	for (u32 ino = 0; ino < 4; ino++) {
		const u32 numbers[] = {8, 2000, 0, 0xffffffff};

		other.ino = numbers[ino];
		expect_bad(other, 8, 1, -ESTALE);
	}
	assert_int_equal(shale_open_by_handle_at(m.task, 99, &h.fh, O_RDONLY), -EBADF);
	assert_int_equal(open_handle(&h, O_RDWR), -EISDIR);
	assert_int_equal(open_handle(&h, O_RDONLY | O_CREAT), -EISDIR);
	h = get("/mnt/a/b/c/d/file");
	assert_int_equal(open_handle(&h, O_RDONLY | O_DIRECTORY), -ENOTDIR);
	assert_int_equal(open_handle(&h, O_RDONLY | O_CREAT | O_EXCL), -EEXIST);
	assert_int_equal(open_handle(&h, O_RDWR), -EROFS);
}

static void rights(void **state)
{
	struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	struct handle h = get("/mnt/a/b/c");
	struct shale_task *task;

	assert_int_equal(shale_task_new(m.machine, &cred, &task), 0);
	assert_int_equal(shale_open_by_handle_at(task, AT_FDCWD, &h.fh, O_RDONLY), -EPERM);
	shale_task_free(task);
	cred.caps = CAP_READ_SEARCH;
	assert_int_equal(shale_task_new(m.machine, &cred, &task), 0);
	assert_int_equal(shale_chdir(task, "/mnt"), 0);
	assert_true(shale_open_by_handle_at(task, AT_FDCWD, &h.fh, O_RDONLY) >= 0);
	shale_task_free(task);
}

/* What the cache has forgotten is found again, with its content and its place. */
static void expect_place(const char *path, struct handle h)
{
	char cwd[256];
	struct stat st, up;
	int fd;

	assert_int_equal(shale_chdir(m.task, "/"), 0);
	assert_int_equal(shale_drop_caches(m.machine), 0);
	fd = open_handle(&h, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(shale_fstat(m.task, fd, &st), 0);
	assert_int_equal(st.st_ino, h.ino);
	assert_int_equal(shale_fchdir(m.task, fd), 0);
	assert_true(shale_getcwd(m.task, cwd, sizeof(cwd)) > 0);
	assert_string_equal(cwd, path);
	assert_int_equal(shale_fstatat(m.task, fd, "..", &up, 0), 0);
	assert_int_equal(shale_close(m.task, fd), 0);
	/* By name it is the same. */
	assert_int_equal(shale_stat(m.task, path, &st), 0);
	assert_int_equal(st.st_ino, h.ino);
	assert_int_equal(shale_chdir(m.task, "/"), 0);
}

static void reconnected(void **state)
{
	struct handle file = get("/mnt/a/b/c/d/file");
	char text[8];
	int fd;

	expect_place("/mnt/a/b/c/d", get("/mnt/a/b/c/d"));
	expect_place("/mnt/e/last", get("/mnt/e/last")); /* its parent is long */
	assert_int_equal(shale_drop_caches(m.machine), 0);
	fd = open_handle(&file, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(shale_pread(m.task, fd, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "deep\n", 5);
	assert_int_equal(shale_close(m.task, fd), 0);
}

/* ".." of a directory that leads nowhere, to itself, to a file, or to a directory that does not have it. */
static void lost(void **state)
{
	struct handle d = get("/mnt/a/b/c/d"), e = get("/mnt/e"), file = get("/mnt/a/b/c/d/file");
	const u32 parents[] = {1999, d.ino, file.ino, e.ino};
	const struct ext4_extent *ex;
	struct ext4_dir_entry_2 *dotdot;

	image_unmount(&m);
	ex = (const void *)((const struct ext4_extent_header *)image_inode(&image, d.ino)->i_block + 1);
	/* Without checksums. */
	image_super(&image)->s_feature_ro_compat =
		cpu_to_le32(le32_to_cpu(image_super(&image)->s_feature_ro_compat) & ~0x400u);
	dotdot = (void *)((u8 *)image_block(&image, le32_to_cpu(ex->ee_start_lo)) + 12);
	assert_int_equal(dotdot->name_len, 2);
	for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
		dotdot->inode = cpu_to_le32(parents[i]);
		image_mount(&image, &m);
		assert_int_equal(open_handle(&d, O_RDONLY), -ESTALE);
		image_unmount(&m);
	}
	image_mount(&image, &m);
}

/* getxattrat of Linux 6.13 (464): the errors that it gives there, and besides descriptors of O_PATH. */
static void attributes(void **state)
{
	struct {
		u64 value __attribute__((aligned(8)));
		u32 size, flags;
		u64 more;
	} args = {0};
	struct handle link = get("/mnt/a/b/c/d/link");
	int fd = open_handle(&link, O_PATH);
	char text[32] = "";

	args.value = (uintptr_t)text;
	args.size = sizeof(text);
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 16), 8);
	assert_string_equal(text, "the-link");
	assert_int_equal(shale_listxattrat(m.task, fd, "", AT_EMPTY_PATH, text, sizeof(text)),
			 sizeof("trusted.of"));
	assert_string_equal(text, "trusted.of");
	assert_int_equal(shale_getxattrat(m.task, fd, "", 0, "trusted.of", (void *)&args, 16), -ENOENT);
	assert_int_equal(shale_getxattrat(m.task, fd, "", 1, "trusted.of", (void *)&args, 16), -EINVAL);
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 15),
			 -EINVAL);
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 5000),
			 -E2BIG);
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 24), 8);
	args.more = 1;
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 24),
			 -E2BIG);
	args.flags = 1;
	assert_int_equal(shale_getxattrat(m.task, fd, "", AT_EMPTY_PATH, "trusted.of", (void *)&args, 16),
			 -EINVAL);
	shale_close(m.task, fd);
	/* By name, the symlink itself, or what it leads to. */
	args.flags = 0;
	assert_int_equal(shale_getxattrat(m.task, AT_FDCWD, "/mnt/a/b/c/d/link", AT_SYMLINK_NOFOLLOW,
					  "trusted.of", (void *)&args, 16),
			 8);
	assert_int_equal(
		shale_getxattrat(m.task, AT_FDCWD, "/mnt/a/b/c/d/link", 0, "trusted.of", (void *)&args, 16),
		-ENODATA);
	assert_int_equal(
		shale_getxattrat(m.task, AT_FDCWD, "/mnt/a/b/c/d/link", 0, "user.of", (void *)&args, 16), 8);
	assert_memory_equal(text, "the-file", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),        cmocka_unit_test(too_small), cmocka_unit_test(names),
		cmocka_unit_test(bad_handles), cmocka_unit_test(rights),    cmocka_unit_test(reconnected),
		cmocka_unit_test(attributes),  cmocka_unit_test(lost),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
