/* SPDX-License-Identifier: MIT */
/*
 * E2-E5, E8: inodes, extent trees, block maps, directories, their index, symlinks and attributes, damaged one
 * structure at a time on volumes without checksums, as an enemy would who repairs those: each ends with an
 * error that names what is wrong, or with what can still be read. None ends otherwise, and each soon.
 */
#include "ext4_image.h"

static void nothing(struct image *im, struct ext4_inode *inode) {}

static void add_flag(struct ext4_inode *inode, u32 flag)
{
	inode->i_flags = cpu_to_le32(le32_to_cpu(inode->i_flags) | flag);
}

/* ---- The inode itself */

static void extra_size_odd(struct image *im, struct ext4_inode *inode)
{
	inode->i_extra_isize = cpu_to_le16(30);
}

static void extra_size_large(struct image *im, struct ext4_inode *inode)
{
	inode->i_extra_isize = cpu_to_le16(132);
}

static void size_negative(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_high = cpu_to_le32(0x80000000);
}

static void mode_unknown(struct image *im, struct ext4_inode *inode)
{
	inode->i_mode = cpu_to_le16(0x3000);
}

static void deleted(struct image *im, struct ext4_inode *inode)
{
	inode->i_links_count = cpu_to_le16(0);
}

static void attributes_outside(struct image *im, struct ext4_inode *inode)
{
	inode->i_file_acl_lo = cpu_to_le32(2048);
}

static void directory_huge(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(0xfffffc00);
}

static void with_casefold(struct image *im, struct ext4_inode *inode)
{
	add_flag(inode, EXT4_CASEFOLD_FL);
}

static void with_encryption(struct image *im, struct ext4_inode *inode)
{
	add_flag(inode, EXT4_ENCRYPT_FL);
}

/* Not damage: the file reads as any other. */
static void with_verity(struct image *im, struct ext4_inode *inode)
{
	add_flag(inode, EXT4_VERITY_FL);
}

/* ---- Extents: "many" has a tree of depth 1, others only a root */

static struct ext4_extent_header *root(struct ext4_inode *inode)
{
	return (void *)inode->i_block;
}

static struct ext4_extent_idx *index_entry(struct ext4_inode *inode, unsigned i)
{
	return (struct ext4_extent_idx *)(root(inode) + 1) + i;
}

static struct ext4_extent_header *leaf(struct image *im, struct ext4_inode *inode)
{
	return image_block(im, le32_to_cpu(index_entry(inode, 0)->ei_leaf_lo));
}

static struct ext4_extent *extent(struct ext4_extent_header *eh, unsigned i)
{
	return (struct ext4_extent *)(eh + 1) + i;
}

static void root_magic(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_magic = cpu_to_le16(0);
}

static void root_deep(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_depth = cpu_to_le16(6);
}

/* One level more than there is: where the leaf should be an index. */
static void root_deeper(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_depth = cpu_to_le16(2);
}

static void root_roomy(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_max = cpu_to_le16(5);
}

static void root_crowded(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_entries = cpu_to_le16(5);
}

static void index_empty(struct image *im, struct ext4_inode *inode)
{
	root(inode)->eh_entries = cpu_to_le16(0);
}

static void index_outside(struct image *im, struct ext4_inode *inode)
{
	index_entry(inode, 0)->ei_leaf_hi = cpu_to_le16(1);
}

static void index_disordered(struct image *im, struct ext4_inode *inode)
{
	*index_entry(inode, 1) = *index_entry(inode, 0);
	root(inode)->eh_entries = cpu_to_le16(2);
}

/* A second entry in the root: what the leaf holds from there on is not its own any more. */
static void leaf_over_next(struct image *im, struct ext4_inode *inode)
{
	*index_entry(inode, 1) = *index_entry(inode, 0);
	index_entry(inode, 1)->ei_block = cpu_to_le32(5);
	root(inode)->eh_entries = cpu_to_le16(2);
}

static void leaf_before_place(struct image *im, struct ext4_inode *inode)
{
	index_entry(inode, 0)->ei_block = cpu_to_le32(1);
}

static void leaf_magic(struct image *im, struct ext4_inode *inode)
{
	leaf(im, inode)->eh_magic = cpu_to_le16(0x0af3);
}

static void leaf_crowded(struct image *im, struct ext4_inode *inode)
{
	leaf(im, inode)->eh_entries = cpu_to_le16(0xffff);
}

/* An index that names itself, at each depth that it may claim. */
static void leaf_cycle(struct image *im, struct ext4_inode *inode)
{
	struct ext4_extent_header *eh = leaf(im, inode);

	eh->eh_depth = cpu_to_le16(1);
	eh->eh_entries = cpu_to_le16(1);
	*(struct ext4_extent_idx *)(eh + 1) = *index_entry(inode, 0);
	root(inode)->eh_depth = cpu_to_le16(2);
}

static void extent_empty(struct image *im, struct ext4_inode *inode)
{
	extent(leaf(im, inode), 1)->ee_len = cpu_to_le16(0);
}

static void extent_overlap(struct image *im, struct ext4_inode *inode)
{
	extent(leaf(im, inode), 0)->ee_len = cpu_to_le16(3);
}

static void extent_order(struct image *im, struct ext4_inode *inode)
{
	extent(leaf(im, inode), 2)->ee_block = cpu_to_le32(0);
}

static void extent_outside(struct image *im, struct ext4_inode *inode)
{
	extent(leaf(im, inode), 2)->ee_start_lo = cpu_to_le32(2047);
	extent(leaf(im, inode), 2)->ee_len = cpu_to_le16(2);
}

static void extent_super(struct image *im, struct ext4_inode *inode)
{
	extent(leaf(im, inode), 2)->ee_start_lo = cpu_to_le32(1);
}

static void extent_last(struct image *im, struct ext4_inode *inode)
{
	struct ext4_extent *last = extent(leaf(im, inode), le16_to_cpu(leaf(im, inode)->eh_entries) - 1u);

	last->ee_block = cpu_to_le32(0xffffffff);
}

/* ---- Symlinks: "short" lies in its inode */

static void link_empty(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(0);
}

static void link_longer(struct image *im, struct ext4_inode *inode)
{
	inode->i_size_lo = cpu_to_le32(11);
}

static void link_unending(struct image *im, struct ext4_inode *inode)
{
	memset(inode->i_block, 'x', sizeof(inode->i_block));
	inode->i_size_lo = cpu_to_le32(60);
}

/* ---- Attributes in a block: "attributes" has user.a with 400 bytes there */

static struct ext4_xattr_header *attribute_block(struct image *im, struct ext4_inode *inode)
{
	return image_block(im, le32_to_cpu(inode->i_file_acl_lo));
}

static struct ext4_xattr_entry *attribute(struct image *im, struct ext4_inode *inode)
{
	return (void *)(attribute_block(im, inode) + 1);
}

static void block_magic(struct image *im, struct ext4_inode *inode)
{
	attribute_block(im, inode)->h_magic = cpu_to_le32(0);
}

static void block_count(struct image *im, struct ext4_inode *inode)
{
	attribute_block(im, inode)->h_blocks = cpu_to_le32(2);
}

static void list_endless(struct image *im, struct ext4_inode *inode)
{
	memset(attribute(im, inode), 0x11, 1024 - sizeof(struct ext4_xattr_header));
}

/* By the longest names from entry to entry, over the end. */
static void name_long(struct image *im, struct ext4_inode *inode)
{
	memset(attribute(im, inode), 255, 1024 - sizeof(struct ext4_xattr_header));
}

static void name_zero(struct image *im, struct ext4_inode *inode)
{
	attribute(im, inode)->e_name[0] = 0;
}

static void value_outside(struct image *im, struct ext4_inode *inode)
{
	attribute(im, inode)->e_value_offs = cpu_to_le16(1024 - 399);
}

static void value_wraps(struct image *im, struct ext4_inode *inode)
{
	attribute(im, inode)->e_value_size = cpu_to_le32(0xffffff00);
}

static void value_overlap(struct image *im, struct ext4_inode *inode)
{
	attribute(im, inode)->e_value_offs = cpu_to_le16(32);
}

static void test_ext4_crafted_inodes(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/file", nothing, OP_READ, 3000, NULL, NULL},
		{"/mnt/file", extra_size_odd, OP_STAT, -EUCLEAN, "extra size of 30 bytes", NULL},
		{"/mnt/file", extra_size_large, OP_STAT, -EUCLEAN,
		 "extra size of 132 bytes in an inode of 256", NULL},
		{"/mnt/file", size_negative, OP_STAT, -EUCLEAN, "size of 0x8000000000000bb8 bytes", NULL},
		{"/mnt/file", mode_unknown, OP_STAT, -EUCLEAN, "names no kind of file", NULL},
		{"/mnt/file", deleted, OP_STAT, -EUCLEAN, "which is deleted", NULL},
		{"/mnt/file", attributes_outside, OP_STAT, -EUCLEAN,
		 "attribute block at 2048, which no file can have", NULL},
		{"/mnt/file", with_casefold, OP_STAT, -EUCLEAN, "flags 0x40000000 need a feature", NULL},
		{"/mnt/file", with_encryption, OP_STAT, -EUCLEAN, "flags 0x800 need a feature", NULL},
		{"/mnt/file", with_verity, OP_READ, 3000, NULL, NULL},
		{"/mnt/d", directory_huge, OP_LIST, -EUCLEAN, "is larger than the volume", NULL},
		{"/mnt/many", nothing, OP_READ, 19 * 2048 + 1, NULL, NULL},
		{"/mnt/many", root_magic, OP_STAT, -EUCLEAN, "extent header has a wrong magic", NULL},
		{"/mnt/many", root_deep, OP_STAT, -EUCLEAN, "extent tree is too deep", NULL},
		{"/mnt/many", root_deeper, OP_READ, -EUCLEAN, "extent block of depth 0 where 1 is expected",
		 NULL},
		{"/mnt/many", root_roomy, OP_STAT, -EUCLEAN, "impossible capacity", NULL},
		{"/mnt/many", root_crowded, OP_STAT, -EUCLEAN, "more entries than fit", NULL},
		{"/mnt/many", index_empty, OP_STAT, -EUCLEAN, "extent index is empty", NULL},
		{"/mnt/many", index_outside, OP_STAT, -EUCLEAN, "index entry points outside", NULL},
		{"/mnt/many", index_disordered, OP_STAT, -EUCLEAN, "index entries are out of order", NULL},
		{"/mnt/many", leaf_over_next, OP_READ, -EUCLEAN, "does not fit its place", NULL},
		{"/mnt/many", leaf_before_place, OP_READ, -EUCLEAN, "does not fit its place", NULL},
		{"/mnt/many", leaf_magic, OP_READ, -EUCLEAN, "extent header has a wrong magic", NULL},
		{"/mnt/many", leaf_crowded, OP_READ, -EUCLEAN, "more entries than fit", NULL},
		{"/mnt/many", leaf_cycle, OP_READ, -EUCLEAN, "extent block of depth 1 where 0", NULL},
		{"/mnt/many", extent_empty, OP_READ, -EUCLEAN, "extent of no blocks", NULL},
		{"/mnt/many", extent_overlap, OP_READ, -EUCLEAN, "extents overlap", NULL},
		{"/mnt/many", extent_order, OP_READ, -EUCLEAN, "extents overlap", NULL},
		{"/mnt/many", extent_outside, OP_READ, -EUCLEAN, "extent lies outside", NULL},
		{"/mnt/many", extent_super, OP_READ, -EUCLEAN, "extent lies outside", NULL},
		{"/mnt/many", extent_last, OP_READ, -EUCLEAN, "behind the last possible block", NULL},
		{"/mnt/short", nothing, OP_LINK, 10, NULL, NULL},
		{"/mnt/short", link_empty, OP_LINK, -EUCLEAN, "symlink of 0 bytes", NULL},
		{"/mnt/short", link_longer, OP_LINK, -EUCLEAN, "symlink of 11 bytes", NULL},
		{"/mnt/short", link_unending, OP_LINK, -EUCLEAN, "symlink of 60 bytes", NULL},
		{"/mnt/attributes", nothing, OP_GETXATTR, 400, NULL, NULL},
		{"/mnt/attributes", block_magic, OP_GETXATTR, -EUCLEAN, "attribute block has a wrong header",
		 NULL},
		{"/mnt/attributes", block_count, OP_LISTXATTR, -EUCLEAN, "attribute block has a wrong header",
		 NULL},
		{"/mnt/attributes", list_endless, OP_LISTXATTR, -EUCLEAN, "goes over the end", NULL},
		{"/mnt/attributes", name_long, OP_LISTXATTR, -EUCLEAN, "goes over the end", NULL},
		{"/mnt/attributes", name_zero, OP_LISTXATTR, -EUCLEAN, "name holds a zero", NULL},
		{"/mnt/attributes", value_outside, OP_GETXATTR, -EUCLEAN, "value lies outside", NULL},
		{"/mnt/attributes", value_wraps, OP_GETXATTR, -EUCLEAN, "value lies outside", NULL},
		{"/mnt/attributes", value_overlap, OP_GETXATTR, -EUCLEAN, "value overlaps the list", NULL},
	};
	struct image im;

	image_make(&im,
		   "mkdir -p t/d; seq 9999 | head -c 3000 >t/file; ln -s 0123456789 t/short; : >t/attributes;"
		   "for i in $(seq 0 19); do echo $i | dd of=t/many bs=2048 seek=$i count=1; done;"
		   "truncate -s $((19 * 2048 + 1)) t/many; seq 999 | head -c 400 >value;"
		   "mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum,^resize_inode -I 256 -b 1024 -d t "
		   "image 2M;"
		   "debugfs -w -R 'ea_set -f value /attributes user.a' image");
	image_crafts(&im, crafts);
	image_remove(&im);
}

/* ---- Block maps: "file" has an indirect and a double indirect block */

static void reference_outside(struct image *im, struct ext4_inode *inode)
{
	inode->i_block[3] = cpu_to_le32(0xffffffff);
}

static void indirect_outside(struct image *im, struct ext4_inode *inode)
{
	le32 *refs = image_block(im, le32_to_cpu(inode->i_block[EXT4_IND_BLOCK]));

	refs[7] = cpu_to_le32(2048);
}

/* The double indirect block names itself, on both levels: such a file can be read, and ends where its size
 * says. */
static void indirect_cycle(struct image *im, struct ext4_inode *inode)
{
	u32 dind = le32_to_cpu(inode->i_block[EXT4_DIND_BLOCK]);
	le32 *refs = image_block(im, dind);

	for (unsigned i = 0; i < 256; i++)
		refs[i] = cpu_to_le32(dind);
}

static void test_ext4_crafted_block_map(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/file", nothing, OP_READ, 300000, NULL, NULL},
		{"/mnt/file", reference_outside, OP_STAT, -EUCLEAN,
		 "names block 4294967295, which no file can have", NULL},
		{"/mnt/file", indirect_outside, OP_READ, -EUCLEAN, "names block 2048, which no file can have",
		 NULL},
		{"/mnt/file", indirect_cycle, OP_READ, 300000, NULL, NULL},
	};
	struct image im;

	image_make(&im, "mkdir t; seq 99999 | head -c 300000 >t/file;"
			"mke2fs -q -F -t ext2 -b 1024 -d t image 2M");
	image_crafts(&im, crafts);
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_crafted_inodes),
		cmocka_unit_test(test_ext4_crafted_block_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
