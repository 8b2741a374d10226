/* SPDX-License-Identifier: MIT */
/*
 * E10, E11: inline data and values of attributes in inodes, as mke2fs and debugfs write them, and damaged one
 * structure at a time: each ends with an error that names what is wrong, or with what can still be read.
 */
#include "ext4_image.h"

static struct ext4_xattr_entry *first_attribute(struct ext4_inode *inode)
{
	return (void *)((u8 *)inode + EXT4_GOOD_OLD_INODE_SIZE + le16_to_cpu(inode->i_extra_isize) +
			sizeof(le32));
}

/* The second part of inline data. */
static u8 *inline_rest(struct ext4_inode *inode)
{
	return (u8 *)first_attribute(inode) + le16_to_cpu(first_attribute(inode)->e_value_offs);
}

static void add_flag(struct ext4_inode *inode, u32 flag)
{
	inode->i_flags = cpu_to_le32(le32_to_cpu(inode->i_flags) | flag);
}

static void with_extents(struct image *im, struct ext4_inode *inode)
{
	add_flag(inode, EXT4_EXTENTS_FL);
}

static void with_inline(struct image *im, struct ext4_inode *inode)
{
	add_flag(inode, EXT4_INLINE_DATA_FL);
}

static void too_large(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(60 + le32_to_cpu(first_attribute(inode)->e_value_size) + 1);
}

static void far_too_large_link(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(0x7fffffff);
}

static void without_magic(struct image *im, struct ext4_inode *inode)
{
	memset((u8 *)first_attribute(inode) - sizeof(le32), 0, sizeof(le32));
}

static void renamed(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_name[0] = 'x';
}

static void value_outside(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_value_offs = cpu_to_le16(500);
}

static void value_too_long(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_value_size = cpu_to_le32(0xffffffff);
}

static void value_on_list(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_value_offs = cpu_to_le16(4);
}

static void value_in_inode(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_value_inum = cpu_to_le32(12);
}

static void first_zero(struct image *im, struct ext4_inode *inode)
{
	((struct ext4_dir_entry_2 *)&inode->i_block[1])->rec_len = cpu_to_le16(0);
}

/* As if the entry went on in the second part. */
static void first_over(struct image *im, struct ext4_inode *inode)
{
	((struct ext4_dir_entry_2 *)&inode->i_block[1])->rec_len = cpu_to_le16(60);
}

static void first_slash(struct image *im, struct ext4_inode *inode)
{
	((struct ext4_dir_entry_2 *)&inode->i_block[1])->name[0] = '/';
}

static void second_over(struct image *im, struct ext4_inode *inode)
{
	((struct ext4_dir_entry_2 *)inline_rest(inode))->rec_len = cpu_to_le16(1024);
}

static void second_odd(struct image *im, struct ext4_inode *inode)
{
	((struct ext4_dir_entry_2 *)inline_rest(inode))->rec_len = cpu_to_le16(13);
}

/* Eight bytes hold no entry. */
static void second_short(struct image *im, struct ext4_inode *inode)
{
	first_attribute(inode)->e_value_size = cpu_to_le32(8);
	inode->i_size_lo = cpu_to_le32(68);
}

static void link_short(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(99);
}

static void nothing(struct image *im, struct ext4_inode *inode) {}

static void put_entry(void *at, u32 ino, const char *name, unsigned rec_len)
{
	struct ext4_dir_entry_2 *de = at;

	de->inode = cpu_to_le32(ino);
	de->rec_len = cpu_to_le16((u16)rec_len);
	de->name_len = (u8)strlen(name);
	de->file_type = 1;
	memcpy(de->name, name, strlen(name));
}

/* Turns an inline file of 100 bytes into an inline directory with an entry in each part; mke2fs makes none
 * with two. */
static void make_directory(struct image *im, struct ext4_inode *inode)
{
	u32 small = (u32)image_ino(im, "/mnt/small");

	inode->i_mode = cpu_to_le16(S_IFDIR | 0755);
	inode->i_links_count = cpu_to_le16(2);
	inode->i_block[0] = cpu_to_le32(EXT4_ROOT_INO);
	put_entry(&inode->i_block[1], small, "first", 56);
	put_entry(inline_rest(inode), small, "second", 40);
}

/* What is not kept is a hole up to the end, so that who copies data only copies all. */
static void check_seeks(const struct image *im)
{
	struct mounted m;
	int fd;

	image_mount(im, &m);
	fd = shale_openat(m.task, AT_FDCWD, "/mnt/zeroes", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_lseek(m.task, fd, 0, SEEK_HOLE), 60);
	assert_int_equal(shale_lseek(m.task, fd, 60, SEEK_DATA), -ENXIO);
	assert_int_equal(shale_lseek(m.task, fd, 100, SEEK_HOLE), 100);
	shale_close(m.task, fd);
	image_unmount(&m);
}

static void test_ext4_inline(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/small", nothing, OP_READ, 5, NULL, NULL},
		{"/mnt/mid", nothing, OP_READ, 100, NULL, NULL},
		{"/mnt/d", nothing, OP_LIST, 4, NULL, NULL},
		{"/mnt/d", nothing, OP_READ, 5, NULL, "/mnt/d/second"},
		{"/mnt/link", nothing, OP_LINK, 100, NULL, NULL},
		{"/mnt/mid", nothing, OP_LISTXATTR, 0, NULL, NULL},
		{"/mnt/mid", with_extents, OP_STAT, -EUCLEAN, "inline data together with extents", NULL},
		{"/mnt/fifo", with_inline, OP_STAT, -EUCLEAN, "inline data in a file of mode", NULL},
		{"/mnt/large", with_inline, OP_STAT, -EUCLEAN, "together with extents", NULL},
		{"/mnt/zeroes", nothing, OP_READ, 9000, NULL, NULL}, /* its blocks of zeroes are left out */
		{"/mnt/mid", too_large, OP_READ, 101, NULL, NULL},
		{"/mnt/d", too_large, OP_LIST, -EUCLEAN, "where less is kept", NULL},
		{"/mnt/link", far_too_large_link, OP_LINK, -EUCLEAN, "where less is kept", NULL},
		{"/mnt/mid", without_magic, OP_READ, -EUCLEAN, "without its attribute", NULL},
		{"/mnt/d", without_magic, OP_LIST, -EUCLEAN, "without its attribute", NULL},
		{"/mnt/mid", renamed, OP_READ, -EUCLEAN, "without its attribute", NULL},
		{"/mnt/mid", value_outside, OP_READ, -EUCLEAN, "attribute's value lies outside", NULL},
		{"/mnt/mid", value_too_long, OP_READ, -EUCLEAN, "attribute's value lies outside", NULL},
		{"/mnt/mid", value_on_list, OP_READ, -EUCLEAN, "attribute's value overlaps the list", NULL},
		{"/mnt/mid", value_in_inode, OP_READ, -EUCLEAN, "without the feature ea_inode", NULL},
		{"/mnt/d", first_zero, OP_LIST, -EUCLEAN, "inline directory, offset 4: entry is shorter",
		 NULL},
		{"/mnt/d", first_over, OP_LIST, -EUCLEAN, "offset 4: entry goes over the end", NULL},
		{"/mnt/d", first_slash, OP_LIST, -EUCLEAN, "offset 4: entry's name holds a slash", NULL},
		{"/mnt/d", second_over, OP_LIST, -EUCLEAN, "offset 60: entry goes over the end", NULL},
		{"/mnt/d", second_odd, OP_LIST, -EUCLEAN, "offset 60: entry's length is not", NULL},
		{"/mnt/d", second_short, OP_LIST, -EUCLEAN, "offset 60: no room for an entry", NULL},
		{"/mnt/link", link_short, OP_LINK, -EUCLEAN, "symlink of 99 bytes in the inode", NULL},
	};
	struct image im;

	image_make(&im,
		   "mkdir t; printf hello >t/small; seq 100 | head -c 100 >t/d; seq 100 | head -c 100 >t/mid;"
		   "seq 9000 | head -c 9000 >t/large; head -c 9000 /dev/zero >t/zeroes; mkfifo t/fifo;"
		   "ln -s $(printf '%0100d' 0) t/link;"
		   "mke2fs -q -F -t ext4 -O inline_data,^has_journal,^metadata_csum -I 512 -b 1024 -d t "
		   "image 2M");
	make_directory(&im, image_inode(&im, image_ino(&im, "/mnt/d")));
	image_crafts(&im, crafts);
	check_seeks(&im);
	image_remove(&im);
}

/* The entry of the attribute user.a, which is the only one of its file. */
static struct ext4_xattr_entry *entry(struct ext4_inode *inode)
{
	return first_attribute(inode);
}

static void to_itself(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_inum = cpu_to_le32((u32)image_ino(im, "/mnt/file"));
}

static void to_other(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_inum = cpu_to_le32((u32)image_ino(im, "/mnt/other"));
}

static void to_root(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_inum = cpu_to_le32(EXT4_ROOT_INO);
}

static void to_free(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_inum = image_super(im)->s_inodes_per_group;
}

static void to_nowhere(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_inum = cpu_to_le32(0xfffffff0);
}

static struct ext4_inode *value_inode(struct image *im, struct ext4_inode *inode)
{
	return image_inode(im, le32_to_cpu(entry(inode)->e_value_inum));
}

static void without_flag(struct image *im, struct ext4_inode *inode)
{
	struct ext4_inode *ea = value_inode(im, inode);

	ea->i_flags = cpu_to_le32(le32_to_cpu(ea->i_flags) & ~EXT4_EA_INODE_FL);
}

static void with_attributes(struct image *im, struct ext4_inode *inode)
{
	value_inode(im, inode)->i_file_acl_lo = cpu_to_le32(1500);
}

static void size_differs(struct image *im, struct ext4_inode *inode)
{
	value_inode(im, inode)->i_size_lo = cpu_to_le32(1023);
}

/* Agreeing with the entry, but with a hole where the value should be. */
static void hole(struct image *im, struct ext4_inode *inode)
{
	value_inode(im, inode)->i_size_lo = cpu_to_le32(50000);
	entry(inode)->e_value_size = cpu_to_le32(50000);
}

static void impossible_size(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_value_size = cpu_to_le32(EXT4_XATTR_SIZE_MAX + 1);
}

static void value_changed(struct image *im, struct ext4_inode *inode)
{
	const struct ext4_extent *ex =
		(void *)((u8 *)value_inode(im, inode)->i_block + sizeof(struct ext4_extent_header));

	*(u8 *)image_block(im, le32_to_cpu(ex->ee_start_lo)) ^= 1;
}

static void hash_changed(struct image *im, struct ext4_inode *inode)
{
	entry(inode)->e_hash = cpu_to_le32(le32_to_cpu(entry(inode)->e_hash) ^ 1);
}

/* A name for the inode that holds the value: the entry of "other" in the root directory. */
static void named(struct image *im, struct ext4_inode *inode)
{
	const struct ext4_inode *root = image_inode(im, EXT4_ROOT_INO);
	const struct ext4_extent *ex =
		(const void *)((const u8 *)root->i_block + sizeof(struct ext4_extent_header));
	u8 *block = image_block(im, le32_to_cpu(ex->ee_start_lo));

	for (unsigned at = 0; at < 1024;) {
		struct ext4_dir_entry_2 *de = (void *)(block + at);

		if (de->name_len == 5 && !memcmp(de->name, "other", 5))
			de->inode = entry(inode)->e_value_inum;
		at += le16_to_cpu(de->rec_len);
	}
}

static void test_ext4_ea_inode(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/file", nothing, OP_GETXATTR, 1024, NULL, NULL},
		{"/mnt/file", to_itself, OP_GETXATTR, -EUCLEAN, "named as an attribute's value, and is none",
		 NULL},
		{"/mnt/file", to_other, OP_GETXATTR, -EUCLEAN, "named as an attribute's value, and is none",
		 NULL},
		{"/mnt/file", to_root, OP_GETXATTR, -EUCLEAN, "named as an attribute's value, and is none",
		 NULL},
		{"/mnt/file", to_free, OP_GETXATTR, -EUCLEAN, "cannot be read", NULL},
		{"/mnt/file", to_nowhere, OP_GETXATTR, -EUCLEAN, "is not possible here", NULL},
		{"/mnt/file", without_flag, OP_GETXATTR, -EUCLEAN, "and is none", NULL},
		{"/mnt/file", with_attributes, OP_GETXATTR, -EUCLEAN, "and has attributes itself", NULL},
		{"/mnt/file", size_differs, OP_GETXATTR, -EUCLEAN, "its size is not the value's", NULL},
		{"/mnt/file", hole, OP_GETXATTR, -EUCLEAN, "a hole at block", NULL},
		{"/mnt/file", impossible_size, OP_GETXATTR, -EUCLEAN, "larger than any can be", NULL},
		{"/mnt/file", value_changed, OP_GETXATTR, -EUCLEAN, "checksum of the value differs", NULL},
		{"/mnt/file", hash_changed, OP_GETXATTR, -EUCLEAN, "the entry's hash differs", NULL},
		{"/mnt/file", named, OP_STAT, -EUCLEAN, "and has a name", "/mnt/other"},
		{"/mnt/file", hash_changed, OP_LISTXATTR, sizeof("user.a"), NULL, NULL},
	};
	struct image im;

	image_make(
		&im,
		"mkdir t; : >t/file; : >t/other; seq 2000 | head -c 1024 >value;"
		"mke2fs -q -F -t ext4 -O ea_inode,^has_journal,^metadata_csum -I 256 -b 1024 -d t image 2M;"
		"debugfs -w -R 'ea_set -f value /file user.a' image");
	image_crafts(&im, crafts);
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_inline),
		cmocka_unit_test(test_ext4_ea_inode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
