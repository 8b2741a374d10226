/* SPDX-License-Identifier: MIT */
/*
 * E4, E5: directories and their index, damaged one structure at a time: what is wrong in a block is an error;
 * an index that makes no sense is left aside, so that all names are still told and found. Directories whose
 * hashes shale cannot compute: folded names, and names that are folded and encrypted.
 */
#include "ext4_image.h"

#define NAMES 620

static void nothing(struct image *im, struct ext4_inode *inode) {}

/* Block lblk of a directory with an extent tree of at most two levels. */
static void *dir_block(struct image *im, const struct ext4_inode *inode, u32 lblk)
{
	const struct ext4_extent_header *eh = (const void *)inode->i_block;
	const struct ext4_extent_idx *ix = (const void *)(eh + 1);
	const struct ext4_extent *ex;

	if (le16_to_cpu(eh->eh_depth)) {
		assert_int_equal(le16_to_cpu(eh->eh_entries), 1);
		eh = image_block(im, le32_to_cpu(ix->ei_leaf_lo));
	}
	ex = (const void *)(eh + 1);
	for (unsigned i = 0; i < le16_to_cpu(eh->eh_entries); i++)
		if (lblk - le32_to_cpu(ex[i].ee_block) < le16_to_cpu(ex[i].ee_len))
			return image_block(im, le32_to_cpu(ex[i].ee_start_lo) + lblk -
						       le32_to_cpu(ex[i].ee_block));
	fail_msg("block %u of a directory is not there", lblk);
	return NULL;
}

/* ---- Entries of a block: the third, behind the dots */

static struct ext4_dir_entry_2 *third(struct image *im, struct ext4_inode *inode)
{
	return (void *)((u8 *)dir_block(im, inode, 0) + 24);
}

static void rec_len_zero(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->rec_len = cpu_to_le16(0);
}

static void rec_len_odd(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->rec_len = cpu_to_le16(18);
}

static void rec_len_over(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->rec_len = cpu_to_le16(1004);
}

static void rec_len_close(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->rec_len = cpu_to_le16(992);
}

static void name_too_long(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->name_len = 255;
}

static void name_empty(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->name_len = 0;
}

static void name_slash(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->name[1] = '/';
}

static void inode_beyond(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->inode = cpu_to_le32(le32_to_cpu(image_super(im)->s_inodes_count) + 1);
}

static void inode_reserved(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->inode = cpu_to_le32(EXT4_JOURNAL_INO);
}

static void inode_itself(struct image *im, struct ext4_inode *inode)
{
	third(im, inode)->inode = cpu_to_le32((u32)image_ino(im, "/mnt/flat"));
}

/* On a volume with block maps. */
static void hole(struct image *im, struct ext4_inode *inode)
{
	inode->i_block[1] = cpu_to_le32(0);
}

/* ---- The index: a root and nodes below it */

static struct dx_root_info *info(struct image *im, struct ext4_inode *inode)
{
	return (void *)((u8 *)dir_block(im, inode, 0) + DX_ROOT_INFO_OFFSET);
}

static struct dx_entry *root_entries(struct image *im, struct ext4_inode *inode)
{
	return (void *)(info(im, inode) + 1);
}

static struct dx_countlimit *root_counts(struct image *im, struct ext4_inode *inode)
{
	return (void *)root_entries(im, inode);
}

static struct dx_entry *node(struct image *im, struct ext4_inode *inode, unsigned i)
{
	return (void *)((u8 *)dir_block(im, inode, le32_to_cpu(root_entries(im, inode)[i].block)) +
			DX_NODE_OFFSET);
}

static void levels_many(struct image *im, struct ext4_inode *inode)
{
	info(im, inode)->indirect_levels = 2;
}

static void levels_few(struct image *im, struct ext4_inode *inode)
{
	info(im, inode)->indirect_levels = 0;
}

static void hash_unknown(struct image *im, struct ext4_inode *inode)
{
	info(im, inode)->hash_version = 9;
}

static void hash_sip(struct image *im, struct ext4_inode *inode)
{
	info(im, inode)->hash_version = DX_HASH_SIPHASH;
}

static void info_long(struct image *im, struct ext4_inode *inode)
{
	info(im, inode)->info_length = 16;
}

static void limit_large(struct image *im, struct ext4_inode *inode)
{
	root_counts(im, inode)->limit = cpu_to_le16(0xffff);
}

static void count_zero(struct image *im, struct ext4_inode *inode)
{
	root_counts(im, inode)->count = cpu_to_le16(0);
}

static void count_large(struct image *im, struct ext4_inode *inode)
{
	root_counts(im, inode)->count = cpu_to_le16(0xffff);
}

static void node_count(struct image *im, struct ext4_inode *inode)
{
	((struct dx_countlimit *)node(im, inode, 0))->count = cpu_to_le16(0xffff);
}

static void second_node_count(struct image *im, struct ext4_inode *inode)
{
	((struct dx_countlimit *)node(im, inode, 1))->count = cpu_to_le16(0);
}

static void node_disordered(struct image *im, struct ext4_inode *inode)
{
	node(im, inode, 0)[2].hash = cpu_to_le32(0);
}

static void node_is_root(struct image *im, struct ext4_inode *inode)
{
	root_entries(im, inode)[0].block = cpu_to_le32(0);
}

static void node_is_leaf(struct image *im, struct ext4_inode *inode)
{
	root_entries(im, inode)[0].block = node(im, inode, 0)[0].block;
}

static void node_outside(struct image *im, struct ext4_inode *inode)
{
	root_entries(im, inode)[0].block = cpu_to_le32(0x0ffffff0);
}

/* One node at two places: its hashes fit only one of them. */
static void node_twice(struct image *im, struct ext4_inode *inode)
{
	root_entries(im, inode)[1].block = root_entries(im, inode)[0].block;
}

/* All leaves say that they go on from the one before. */
static void all_go_on(struct image *im, struct ext4_inode *inode)
{
	for (unsigned n = 0; n < 2; n++) {
		struct dx_entry *e = node(im, inode, n);

		for (unsigned i = 1; i < le16_to_cpu(((struct dx_countlimit *)e)->count); i++)
			e[i].hash = cpu_to_le32(le32_to_cpu(e[i].hash) | 1);
	}
	root_entries(im, inode)[1].hash = cpu_to_le32(le32_to_cpu(root_entries(im, inode)[1].hash) | 1);
}

static void test_ext4_directories_damaged(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/flat", nothing, OP_LIST, 2 + 6, NULL, NULL},
		{"/mnt/flat", rec_len_zero, OP_LIST, -EUCLEAN, "offset 24: entry is shorter", NULL},
		{"/mnt/flat", rec_len_odd, OP_LIST, -EUCLEAN, "not a multiple of 4", NULL},
		{"/mnt/flat", rec_len_over, OP_LIST, -EUCLEAN, "entry goes over the end", NULL},
		{"/mnt/flat", rec_len_close, OP_STAT, -EUCLEAN, "too close to the end", "/mnt/flat/name3"},
		{"/mnt/flat", name_too_long, OP_LIST, -EUCLEAN, "too short for its name", NULL},
		{"/mnt/flat", name_empty, OP_LIST, -EUCLEAN, "name is empty", NULL},
		{"/mnt/flat", name_slash, OP_LIST, -EUCLEAN, "holds a slash", NULL},
		{"/mnt/flat", inode_beyond, OP_LIST, -EUCLEAN, "names an inode that cannot be", NULL},
		{"/mnt/flat", inode_reserved, OP_STAT, -EUCLEAN, "inode number 8 is not possible",
		 "/mnt/flat/name1"},
		{"/mnt/flat", inode_itself, OP_STAT, -EUCLEAN, "directory holds itself", "/mnt/flat/name1"},
		{"/mnt/d", nothing, OP_LIST, 2 + NAMES, NULL, NULL},
		{"/mnt/d", levels_many, OP_LIST, 2 + NAMES, "directory index: hash 1, 2 levels", NULL},
		{"/mnt/d", levels_few, OP_LIST, 2, NULL, NULL},
		{"/mnt/d", hash_unknown, OP_LIST, 2 + NAMES, "directory index: hash 9", NULL},
		{"/mnt/d", hash_unknown, OP_STAT, 0, "directory index: hash 9", "/mnt/d/found"},
		{"/mnt/d", hash_sip, OP_STAT, 0, "directory index: hash 6", "/mnt/d/found"},
		{"/mnt/d", info_long, OP_LIST, 2 + NAMES, "directory's index is none", NULL},
		{"/mnt/d", limit_large, OP_LIST, 2 + NAMES, "where 124 fit", NULL},
		{"/mnt/d", count_zero, OP_LIST, 2 + NAMES, "counts 0 entries", NULL},
		{"/mnt/d", count_large, OP_LIST, 2 + NAMES, "counts 65535 entries", NULL},
		{"/mnt/d", node_count, OP_LIST, 2 + NAMES, "counts 65535 entries of 127", NULL},
		{"/mnt/d", node_disordered, OP_LIST, 2 + NAMES, "out of order at entry 2", NULL},
		{"/mnt/d", node_is_root, OP_LIST, 2 + NAMES, "does not fit its place", NULL},
		{"/mnt/d", node_is_leaf, OP_LIST, 2 + NAMES, "directory's index is none", NULL},
		{"/mnt/d", node_outside, OP_LIST, 2 + NAMES, "a hole at block 268435440", NULL},
		/* Found when some names were told already. */
		{"/mnt/d", second_node_count, OP_LIST, -EUCLEAN, "counts 0 entries", NULL},
		{"/mnt/d", node_twice, OP_LIST, -EUCLEAN, "does not fit its place", NULL},
		{"/mnt/d", all_go_on, OP_LIST, 2 + NAMES, NULL, NULL},
		{"/mnt/d", all_go_on, OP_STAT, 0, NULL, "/mnt/d/found"},
	};
	struct image im;

	/* Long names: few in a leaf, so that two levels of index are needed. */
	image_make(&im, "mkdir -p t/d t/flat; : >t/d/found; : >t/f;"
			"for i in $(seq 619); do ln t/f t/d/$(printf '%0230d' $i); done;"
			"for i in $(seq 6); do ln t/f t/flat/name$i; done;"
			"mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum,^resize_inode -I 256 -b 1024 -d "
			"t image 2M;"
			"e2fsck -fyD image || [ $? = 1 ]");
	image_crafts(&im, crafts);
	image_remove(&im);
}

/* So long that no gap in an earlier block takes it. */
#define Z40  "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
#define LAST Z40 Z40 Z40 Z40 Z40

static void test_ext4_directories_hole(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/d", nothing, OP_LIST, 2 + 60, NULL, NULL},
		{"/mnt/d", hole, OP_LIST, 2 + 60 - 9, "directory has a hole at block 1", NULL},
		{"/mnt/d", hole, OP_STAT, 0, "directory has a hole at block 1", "/mnt/d/" LAST},
	};
	struct image im;

	image_make(&im, "mkdir -p t/d; : >t/f; for i in $(seq 59); do ln t/f t/d/$(printf '%0100d' $i); done;"
			"mke2fs -q -F -t ext2 -O ^dir_index -b 1024 -d t image 2M;"
			"debugfs -w -R 'ln /f /d/" LAST "' image");
	image_crafts(&im, crafts);
	image_remove(&im);
}

/*
 * Folded names: e2fsck orders the index by them. Names are found as they are stored, whatever their case;
 * another case is another name.
 */
static void test_ext4_directories_folded(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/d", nothing, OP_LIST, 2 + 301, NULL, NULL},
		{"/mnt/d", nothing, OP_STAT, 0, NULL, "/mnt/d/found"},
		{"/mnt/d", nothing, OP_STAT, 0, NULL, "/mnt/d/LARGE-and-small-name-number-123"},
		{"/mnt/d", nothing, OP_STAT, -ENOENT, NULL, "/mnt/d/large-and-small-name-number-123"},
	};
	struct image im;

	image_make(
		&im,
		"mkdir -p t/d; : >t/f; ln t/f t/d/found;"
		"for i in $(seq 300); do ln t/f t/d/LARGE-and-small-name-number-$i; done;"
		"mke2fs -q -F -t ext4 -O casefold -E encoding=utf8 -b 1024 -d t image 4M;"
		"debugfs -w -R 'set_inode_field /d flags 0x40080000' image; e2fsck -fyD image || [ $? = 1 ];"
		"debugfs -R 'htree /d' image | grep 'Hash Version'");
	image_crafts(&im, crafts);
	image_remove(&im);
}

/* ---- Names that are both folded and encrypted: each entry ends with its hash */

static struct ext4_dir_entry_2 *crypt_entry(struct image *im, struct ext4_inode *inode)
{
	struct ext4_dir_entry_2 *de = third(im, inode);
	const le32 hash[2] = {cpu_to_le32(0x11223344), cpu_to_le32(0x55667788)};

	inode->i_flags = cpu_to_le32(le32_to_cpu(inode->i_flags) | EXT4_ENCRYPT_FL | EXT4_CASEFOLD_FL);
	de->name_len = 16;
	for (int i = 0; i < 16; i++)
		de->name[i] = (char)(240 + i);
	memcpy(de->name + 16, hash, sizeof(hash));
	return de;
}

static void crypt_whole(struct image *im, struct ext4_inode *inode)
{
	crypt_entry(im, inode);
}

/* The entry fills its block but for another one, which begins where the hash would go on. */
static void crypt_no_room(struct image *im, struct ext4_inode *inode)
{
	struct ext4_dir_entry_2 *de = crypt_entry(im, inode), *next = (void *)((u8 *)de + 28);

	*next = (struct ext4_dir_entry_2){.rec_len = cpu_to_le16((u16)(le16_to_cpu(de->rec_len) - 28))};
	de->rec_len = cpu_to_le16(28);
}

static void crypt_short(struct image *im, struct ext4_inode *inode)
{
	crypt_entry(im, inode)->name_len = 15;
}

/* base64url of 44332211 88776655 f0f1..ff, by Python's base64. */
#define SHOWN "/mnt/d/RDMiEYh3ZlXw8fLz9PX29_j5-vv8_f7_"

static void test_ext4_directories_folded_and_encrypted(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/d", crypt_whole, OP_LIST, 3, NULL, NULL},
		{"/mnt/d", crypt_whole, OP_STAT, 0, NULL, SHOWN},
		{"/mnt/d", crypt_whole, OP_STAT, -ENOENT, NULL, "/mnt/d/RDMiEYh3ZlXw8fLz9PX29_j5-vv8_f7-"},
		{"/mnt/d", crypt_whole, OP_STAT, -ENOENT, NULL, "/mnt/d/found"},
		{"/mnt/d", crypt_no_room, OP_LIST, -EUCLEAN, "no room for its hash", NULL},
		{"/mnt/d", crypt_short, OP_LIST, -EUCLEAN, "shorter than an encrypted one", NULL},
	};
	struct image im;

	image_make(&im, "mkdir -p t/d; : >t/d/found; mke2fs -q -F -t ext4 -O casefold,encrypt,^metadata_csum "
			"-E encoding=utf8 -b 1024 -d t image 4M");
	image_crafts(&im, crafts);
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_directories_damaged),
		cmocka_unit_test(test_ext4_directories_hole),
		cmocka_unit_test(test_ext4_directories_folded),
		cmocka_unit_test(test_ext4_directories_folded_and_encrypted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
