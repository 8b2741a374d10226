/* SPDX-License-Identifier: MIT */
/*
 * A small volume that mke2fs and debugfs make and a test damages: its bytes are mapped, single structures are
 * found and changed in place, and shale mounts the file and does one thing with it. The machine has no
 * threads.
 */
#ifndef SHALE_TESTS_EXT4_IMAGE_H
#define SHALE_TESTS_EXT4_IMAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <shale/shale.h>

#include "fs/ext4/ext4_format.h"

struct image {
	char dir[64], path[80];
	u8 *bytes;
	size_t size;
};

/* Runs shell commands in a new directory; they make the file "image", and may leave others beside it. */
static inline void image_make(struct image *im, const char *commands)
{
	const char *top = getenv("TMPDIR");
	char script[4096];
	struct stat st;
	int fd;

	snprintf(im->dir, sizeof(im->dir), "%s/shale-image.XXXXXX", top ? top : "/var/tmp");
	assert_non_null(mkdtemp(im->dir));
	snprintf(im->path, sizeof(im->path), "%s/image", im->dir);
	snprintf(script, sizeof(script), "set -e; cd '%s'; { %s\n} >log 2>&1 || { cat log; exit 1; }",
		 im->dir, commands);
	assert_int_equal(system(script), 0);
	fd = open(im->path, O_RDWR);
	assert_true(fd >= 0 && !fstat(fd, &st));
	im->size = (size_t)st.st_size;
	im->bytes = mmap(NULL, im->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(im->bytes != MAP_FAILED);
	close(fd);
}

static inline void image_remove(struct image *im)
{
	char command[128];

	munmap(im->bytes, im->size);
	snprintf(command, sizeof(command), "rm -r '%s'", im->dir);
	assert_int_equal(system(command), 0);
}

static inline struct ext4_super_block *image_super(const struct image *im)
{
	return (void *)(im->bytes + EXT4_SUPER_OFFSET);
}

static inline void *image_block(const struct image *im, u64 pblk)
{
	u64 at = pblk << (10 + le32_to_cpu(image_super(im)->s_log_block_size));

	assert_true(at < im->size);
	return im->bytes + at;
}

/* Of the first group only. */
static inline struct ext4_inode *image_inode(const struct image *im, u64 ino)
{
	const struct ext4_group_desc *gd =
		image_block(im, le32_to_cpu(image_super(im)->s_first_data_block) + 1);
	u8 *table = image_block(im, le32_to_cpu(gd->bg_inode_table_lo));

	assert_true(ino && ino <= le32_to_cpu(image_super(im)->s_inodes_per_group));
	return (void *)(table + (ino - 1) * le16_to_cpu(image_super(im)->s_inode_size));
}

/* A machine with the volume on /mnt. */
struct mounted {
	struct shale *machine;
	struct shale_task *task;
};

static inline void image_mount(const struct image *im, struct mounted *m)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	char why[512] = "";
	int err;

	options.threads = 0;
	assert_int_equal(shale_new(&options, &m->machine), 0);
	assert_int_equal(shale_task_new(m->machine, NULL, &m->task), 0);
	assert_int_equal(
		shale_disk_add(m->machine, "a", im->path, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED), 0);
	err = shale_mount(m->task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL);
	if (err) {
		shale_mount_error(m->machine, why, sizeof(why));
		print_error("%s\n", why);
	}
	assert_int_equal(err, 0);
}

static inline void image_unmount(struct mounted *m)
{
	shale_task_free(m->task);
	assert_int_equal(shale_free(m->machine), 0);
}

/* What is done with a file; negative errno, or what it tells: bytes read, names listed, length. */
enum op { OP_STAT, OP_READ, OP_LIST, OP_LINK, OP_GETXATTR, OP_LISTXATTR };

static inline long read_all(struct shale_task *task, int fd)
{
	char buf[4096];
	long got, sum = 0;

	while ((got = shale_pread(task, fd, buf, sizeof(buf), sum)) > 0)
		sum += got;
	return got < 0 ? got : sum;
}

static inline long list_all(struct shale_task *task, int fd)
{
	char buf[32768];
	long got, names = 0;

	while ((got = shale_getdents64(task, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < got; at += ((struct dirent64 *)(buf + at))->d_reclen)
			names++;
	return got < 0 ? got : names;
}

static inline long image_do(struct mounted *m, enum op op, const char *path)
{
	char buf[65536];
	struct stat st;
	long got;
	int fd;

	switch (op) {
	case OP_STAT:
		return shale_fstatat(m->task, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
	case OP_LINK:
		return shale_readlinkat(m->task, AT_FDCWD, path, buf, sizeof(buf));
	case OP_GETXATTR:
		return shale_lgetxattr(m->task, path, "user.a", buf, sizeof(buf));
	case OP_LISTXATTR:
		return shale_llistxattr(m->task, path, buf, sizeof(buf));
	default:
		break;
	}
	fd = shale_openat(m->task, AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	got = op == OP_LIST ? list_all(m->task, fd) : read_all(m->task, fd);
	shale_close(m->task, fd);
	return got;
}

static inline u64 image_ino(const struct image *im, const char *path)
{
	struct mounted m;
	struct stat st;

	image_mount(im, &m);
	assert_int_equal(shale_fstatat(m.task, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	image_unmount(&m);
	return st.st_ino;
}

/* One way to damage a volume: what of `path` is changed, what is done then, what must come of it. */
struct craft {
	const char *path; /* under /mnt */
	void (*damage)(struct image *im, struct ext4_inode *inode);
	enum op op;
	long expect;
	const char *message; /* a part of what the log says; NULL: nothing is asked of it */
	const char *on;      /* what `op` is done with; NULL: path */
};

static inline void image_craft(struct image *im, const struct craft *c, unsigned number)
{
	static char log[1 << 17];
	u8 *whole = malloc(im->size);
	struct mounted m;
	long got;

	assert_non_null(whole);
	memcpy(whole, im->bytes, im->size);
	c->damage(im, image_inode(im, image_ino(im, c->path)));
	image_mount(im, &m);
	got = image_do(&m, c->op, c->on ? c->on : c->path);
	shale_log_read(m.machine, log, sizeof(log));
	if (got != c->expect || (c->message && !strstr(log, c->message))) {
		print_error("case %u, %s: %ld instead of %ld; message wanted: %s; log:\n%s\n", number,
			    c->path, got, c->expect, c->message ? c->message : "", log);
		fail();
	}
	image_unmount(&m);
	memcpy(im->bytes, whole, im->size);
	free(whole);
}

#define image_crafts(im, table)                                                                              \
	do {                                                                                                 \
		for (unsigned craft_i = 0; craft_i < sizeof(table) / sizeof((table)[0]); craft_i++)          \
			image_craft(im, &(table)[craft_i], craft_i);                                         \
	} while (0)

#endif
