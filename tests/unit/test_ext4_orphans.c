/* SPDX-License-Identifier: MIT */
/*
 * Orphans: what recovery would free of them is free in statfs, each once, and a list or an orphan file that
 * makes no sense ends with one message. What is freed follows from i_blocks of the files that become orphans.
 */
#include "ext4_image.h"

#include <sys/statfs.h>

struct orphan_case {
	void (*damage)(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b);
	long blocks, inodes; /* more than before */
	const char *message; /* NULL: no "damaged", no "names inode" */
	long mount;          /* errno of the mount */
};

static void unlink_inode(struct ext4_inode *inode)
{
	inode->i_links_count = cpu_to_le16(0);
}

static void list_of_two(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	image_super(im)->s_last_orphan = cpu_to_le32(ino_a);
	a->i_dtime = cpu_to_le32(ino_b);
	b->i_dtime = cpu_to_le32(0);
	unlink_inode(a);
	unlink_inode(b);
}

static void list_loops(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	list_of_two(im, a, b, ino_a, ino_b);
	b->i_dtime = cpu_to_le32(ino_a);
}

static void list_ends_outside(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
			      u64 ino_b)
{
	list_of_two(im, a, b, ino_a, ino_b);
	a->i_dtime = cpu_to_le32(0xfffffff0);
}

static void list_names_root(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
			    u64 ino_b)
{
	image_super(im)->s_last_orphan = cpu_to_le32(EXT4_ROOT_INO);
}

static void list_names_free(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
			    u64 ino_b)
{
	image_super(im)->s_last_orphan = cpu_to_le32(60);
}

static void linked(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	list_of_two(im, a, b, ino_a, ino_b);
	b->i_links_count = cpu_to_le16(1);
}

static void truncated(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	linked(im, a, b, ino_a, ino_b);
	b->i_size_lo = cpu_to_le32(2000);
}

static void with_errors(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	list_of_two(im, a, b, ino_a, ino_b);
	image_super(im)->s_state = cpu_to_le16(EXT4_ERROR_FS);
}

/* The orphan file is of four blocks and more; b is named in the second. */
static le32 *orphan_file_block(struct image *im, unsigned lblk)
{
	struct ext4_inode *file = image_inode(im, le32_to_cpu(image_super(im)->s_orphan_file_inum));
	struct ext4_extent *ex = (void *)((u8 *)file->i_block + sizeof(struct ext4_extent_header));

	return image_block(im, le32_to_cpu(ex->ee_start_lo) + lblk);
}

static void in_file(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	unlink_inode(a);
	unlink_inode(b);
	orphan_file_block(im, 0)[7] = cpu_to_le32(ino_a);
	orphan_file_block(im, 1)[0] = cpu_to_le32(ino_b);
	image_super(im)->s_feature_ro_compat.v |= cpu_to_le32(EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT).v;
}

static void in_file_twice(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a, u64 ino_b)
{
	in_file(im, a, b, ino_a, ino_b);
	orphan_file_block(im, 0)[8] = cpu_to_le32(ino_a);
}

static void in_file_without_magic(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
				  u64 ino_b)
{
	in_file(im, a, b, ino_a, ino_b);
	orphan_file_block(im, 1)[254] = cpu_to_le32(0);
}

/* Without the flag that says so: Linux looks all the same. */
static void in_file_not_needed(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
			       u64 ino_b)
{
	in_file(im, a, b, ino_a, ino_b);
	image_super(im)->s_feature_ro_compat.v &= ~cpu_to_le32(EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT).v;
}

static void not_needed_without_magic(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
				     u64 ino_b)
{
	orphan_file_block(im, 1)[254] = cpu_to_le32(0);
}

static void in_file_too_long(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
			     u64 ino_b)
{
	struct ext4_inode *file = image_inode(im, le32_to_cpu(image_super(im)->s_orphan_file_inum));

	file->i_size_lo = cpu_to_le32(513 * 1024);
}

static void in_file_with_errors(struct image *im, struct ext4_inode *a, struct ext4_inode *b, u64 ino_a,
				u64 ino_b)
{
	in_file(im, a, b, ino_a, ino_b);
	image_super(im)->s_state = cpu_to_le16(EXT4_ERROR_FS);
}

/* What the mount said. */
static long statfs_of(struct image *im, struct statfs *out, char *log, size_t log_size)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct mounted m;
	long err;

	options.threads = 0;
	assert_int_equal(shale_new(&options, &m.machine), 0);
	assert_int_equal(shale_task_new(m.machine, NULL, &m.task), 0);
	assert_int_equal(shale_disk_add(m.machine, "a", im->path, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
			 0);
	err = shale_mount(m.task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL);
	if (!err)
		assert_int_equal(shale_statfs(m.task, "/mnt", out), 0);
	shale_log_read(m.machine, log, log_size);
	image_unmount(&m);
	return err;
}

static void test_ext4_orphans(void **state)
{
	/* a: 5 blocks; b: 20 in two extents that its root holds. */
	static const struct orphan_case cases[] = {
		{list_of_two, 25, 2, NULL},
		{list_loops, 25, 2, "the list of orphans is damaged at inode"},
		{list_ends_outside, 5, 1, "the list of orphans is damaged at inode 4294967280"},
		{list_names_root, 0, 0, "the list of orphans is damaged at inode 2"},
		{list_names_free, 0, 0, "the list of orphans is damaged at inode 60"},
		{linked, 5, 1, NULL},
		{truncated, 5 + 18, 1, NULL},
		{with_errors, 0, 0, NULL},
		{in_file, 25, 2, NULL},
		{in_file_twice, 25, 2, "the orphan file names inode"},
		{in_file_not_needed, 25, 2, NULL},
		{in_file_without_magic, 0, 0, "block of the orphan file has a wrong magic number", -EUCLEAN},
		{not_needed_without_magic, 0, 0, "block of the orphan file has a wrong magic number",
		 -EUCLEAN},
		{in_file_too_long, 0, 0, "cannot be the orphan file", -EUCLEAN},
		{in_file_with_errors, 0, 0, NULL},
	};
	static char log[1 << 16];
	struct statfs before, after;
	struct image im;
	u64 ino_a, ino_b;
	u8 *whole;

	image_make(&im, "mkdir t; head -c 5000 /dev/zero | tr '\\0' x >t/a; head -c 20480 /dev/zero | tr "
			"'\\0' y >t/b;"
			"mke2fs -q -F -t ext4 -O ^metadata_csum,^resize_inode,orphan_file -N 64 -b 1024 -d t "
			"image 4M");
	ino_a = image_ino(&im, "/mnt/a");
	ino_b = image_ino(&im, "/mnt/b");
	assert_int_equal(statfs_of(&im, &before, log, sizeof(log)), 0);
	whole = malloc(im.size);
	assert_non_null(whole);
	memcpy(whole, im.bytes, im.size);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct orphan_case *c = &cases[i];

		c->damage(&im, image_inode(&im, ino_a), image_inode(&im, ino_b), ino_a, ino_b);
		after = before;
		if (statfs_of(&im, &after, log, sizeof(log)) != c->mount ||
		    (long)(after.f_bfree - before.f_bfree) != c->blocks ||
		    (long)(after.f_ffree - before.f_ffree) != c->inodes ||
		    (c->message ? !strstr(log, c->message)
				: strstr(log, "damaged") || strstr(log, "names inode"))) {
			print_error("case %u: %ld blocks, %ld inodes; log:\n%s\n", i,
				    (long)(after.f_bfree - before.f_bfree),
				    (long)(after.f_ffree - before.f_ffree), log);
			fail();
		}
		memcpy(im.bytes, whole, im.size);
	}
	free(whole);
	image_remove(&im);
}

/* Linux refuses each of these ("get orphan inode failed", "bad magic"), whether the orphan file is needed or
 * not. */
static void test_no_orphan_file(void **state)
{
	static const u32 numbers[] = {0,  EXT4_BAD_INO, EXT4_ROOT_INO, EXT4_JOURNAL_INO, 11, 13,
				      64, 65,           0xffffffff};
	struct shale_options options = {.size = sizeof(options), .threads = 0, .seed = 1};
	struct image im;

	image_make(&im, "mke2fs -q -F -t ext4 -O orphan_file,^metadata_csum -N 64 -b 1024 image 4M");
	for (unsigned i = 0; i <= sizeof(numbers) / sizeof(numbers[0]); i++) {
		bool good = i == sizeof(numbers) / sizeof(numbers[0]);
		u32 was = le32_to_cpu(image_super(&im)->s_orphan_file_inum);
		struct shale_task *task;
		struct shale *machine;
		int err;

		if (!good)
			image_super(&im)->s_orphan_file_inum = cpu_to_le32(numbers[i]);
		assert_int_equal(shale_new(&options, &machine), 0);
		assert_int_equal(shale_task_new(machine, NULL, &task), 0);
		assert_int_equal(shale_disk_add(machine, "sda", im.path, SHALE_DISK_READ_ONLY), 0);
		err = shale_mount(task, "/dev/sda", "/mnt", "ext4", MS_RDONLY, NULL);
		if (good ? err != 0 : err == 0)
			fail_msg("orphan file %u: %d", good ? was : numbers[i], err);
		assert_int_equal(shale_free(machine), 0);
		image_super(&im)->s_orphan_file_inum = cpu_to_le32(was);
	}
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ext4_orphans),
					   cmocka_unit_test(test_no_orphan_file)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
