/* SPDX-License-Identifier: MIT */
/*
 * E1: every word of the super block and of the group descriptors on which geometry rests, set to what makes
 * no sense, with the checksum repaired: the mount fails with Linux's errno and one line that names the word.
 * What Linux 6.18 mounts with such a word is mounted. Expectations are those of that kernel's mount, word by
 * word.
 */
#include "ext4_image.h"

#include "base/crc.h"

/* What a volume is made of, and what is changed of it. */
enum volume { PLAIN, BIGALLOC, META_BG, OLD, NR_VOLUMES };
static const char *const made[NR_VOLUMES] = {
	[PLAIN] = "mkdir t; echo x >t/file; mke2fs -q -t ext4 -b 1024 -O ^resize_inode -d t image 20M",
	[BIGALLOC] = "mke2fs -q -t ext4 -b 1024 -O bigalloc -C 16384 image 20M",
	[META_BG] = "mke2fs -q -t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode image 20M",
	[OLD] = "mke2fs -q -t ext2 -b 1024 -r 0 -g 8192 image 20M",
};

struct word {
	size_t at, size; /* in the super block */
	u64 value;
	bool or ; /* value is or'ed to what is there */
	int err;
	const char *names; /* what the line has to say */
};
#define SET(field, v, e, n)                                                                                  \
	{                                                                                                    \
		offsetof(struct ext4_super_block, field), sizeof(((struct ext4_super_block *)0)->field), v,  \
			false, e, n                                                                          \
	}
#define ADD(field, v, e, n)                                                                                  \
	{                                                                                                    \
		offsetof(struct ext4_super_block, field), sizeof(((struct ext4_super_block *)0)->field), v,  \
			true, e, n                                                                           \
	}
#define BAD(field, v)  SET(field, v, -EINVAL, #field)
#define GOOD(field, v) SET(field, v, 0, "")

static void repair_super(struct image *im)
{
	struct ext4_super_block *es = image_super(im);

	if (le32_to_cpu(es->s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)
		es->s_checksum = cpu_to_le32(crc32c(~0u, es, offsetof(struct ext4_super_block, s_checksum)));
}

/* What the mount says of the volume as it is: errno, and the words. */
static int try_mount(const struct image *im, char *why, size_t size)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct shale_task *task;
	struct shale *machine;
	int err;

	options.threads = 0;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	assert_int_equal(shale_disk_add(machine, "a", im->path, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
			 0);
	err = shale_mount(task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL);
	*why = 0;
	if (err)
		shale_mount_error(machine, why, size);
	shale_task_free(task);
	assert_int_equal(shale_free(machine), 0);
	return err;
}

static void try_word(struct image *im, const struct word *w, unsigned number)
{
	u8 whole[1024], *at = (u8 *)image_super(im);
	char why[512];
	int err;

	memcpy(whole, at, sizeof(whole));
	for (size_t i = 0; i < w->size; i++) {
		u8 byte = i < 8 ? w->value >> (8 * i) : 0;

		at[w->at + i] = w->or ? at[w->at + i] | byte : byte;
	}
	repair_super(im);
	err = try_mount(im, why, sizeof(why));
	if (err != w->err || !strstr(why, w->names) || strchr(why, '\n')) {
		print_error("case %u (offset %zu): %d instead of %d; wanted: %s; said: %s\n", number, w->at,
			    err, w->err, w->names, why);
		fail();
	}
	memcpy(at, whole, sizeof(whole));
}

static void try_words(enum volume volume, const struct word *words, unsigned count)
{
	struct image im;

	image_make(&im, made[volume]);
	for (unsigned i = 0; i < count; i++)
		try_word(&im, &words[i], i);
	image_remove(&im);
}

static void test_ext4_super_words(void **state)
{
	static const struct word words[] = {
		GOOD(s_state, 1),
		BAD(s_magic, 0xEF54),
		BAD(s_log_block_size, 7),
		BAD(s_log_block_size, 32),
		BAD(s_log_block_size, 0xffffffff),
		BAD(s_log_cluster_size, 1),
		BAD(s_log_cluster_size, 21),
		BAD(s_log_cluster_size, 0xffffffff),
		BAD(s_blocks_per_group, 0),
		BAD(s_blocks_per_group, 8191),
		BAD(s_blocks_per_group, 8200),
		BAD(s_blocks_per_group, 0xffffffff),
		BAD(s_clusters_per_group, 0),
		BAD(s_clusters_per_group, 0xffffffff),
		BAD(s_inodes_per_group, 0),
		BAD(s_inodes_per_group, 3),
		BAD(s_inodes_per_group, 8193),
		BAD(s_inodes_per_group, 0xffffffff),
		BAD(s_inode_size, 0),
		BAD(s_inode_size, 64),
		BAD(s_inode_size, 192),
		BAD(s_inode_size, 2048),
		BAD(s_inode_size, 0x8000),
		BAD(s_first_ino, 0),
		BAD(s_first_ino, 10),
		BAD(s_first_ino, 0x80000000),
		BAD(s_inodes_count, 0),
		BAD(s_inodes_count, 5121),
		BAD(s_inodes_count, 0xffffffff),
		BAD(s_first_data_block, 0),
		BAD(s_first_data_block, 20480),
		BAD(s_first_data_block, 0xffffffff),
		SET(s_blocks_count_lo, 20481, -EINVAL, "s_blocks_count"),
		SET(s_blocks_count_lo, 0, -EINVAL, "s_first_data_block"),
		SET(s_blocks_count_lo, 1, -EINVAL, "s_first_data_block"),
		SET(s_blocks_count_hi, 1, -EINVAL, "s_blocks_count"),
		SET(s_blocks_count_hi, 0xffffffff, -EINVAL, "s_blocks_count"),
		BAD(s_reserved_gdt_blocks, 257),
		BAD(s_reserved_gdt_blocks, 0xffff),
		BAD(s_desc_size, 0),
		BAD(s_desc_size, 32),
		BAD(s_desc_size, 63),
		BAD(s_desc_size, 96),
		BAD(s_desc_size, 2048),
		BAD(s_desc_size, 0x8000),
		BAD(s_checksum_type, 0),
		BAD(s_checksum_type, 2),
		BAD(s_log_groups_per_flex, 32),
		BAD(s_log_groups_per_flex, 255),
		GOOD(s_log_groups_per_flex, 31),
		GOOD(s_log_groups_per_flex, 0),
		BAD(s_min_extra_isize, 129),
		BAD(s_min_extra_isize, 0xffff),
		GOOD(s_min_extra_isize, 128),
		BAD(s_want_extra_isize, 129),
		BAD(s_creator_os, EXT4_OS_HURD),
		GOOD(s_creator_os, 2),
		GOOD(s_rev_level, 2),
		GOOD(s_rev_level, 0xffffffff),
		GOOD(s_encryption_level, 9),
		/* Descriptors where there are none, or that run into what follows them */
		SET(s_desc_size, 1024, -EFSCORRUPTED, "group descriptors"),
		SET(s_reserved_gdt_blocks, 256, -EFSCORRUPTED, "group descriptors"),
	};

	try_words(PLAIN, words, ARRAY_SIZE(words));
}

static void test_ext4_kind_words(void **state)
{
	static const struct word words[] = {
		GOOD(s_def_hash_version, 5),
		BAD(s_def_hash_version, 6),
		BAD(s_def_hash_version, 7),
		BAD(s_def_hash_version, 255),
		ADD(s_feature_compat, 0xffff0000, 0, ""),
		ADD(s_feature_ro_compat, 0x7ffe5000, 0, ""),
		ADD(s_feature_ro_compat, EXT4_FEATURE_RO_COMPAT_GDT_CSUM, 0, ""),
		ADD(s_feature_incompat, EXT4_FEATURE_INCOMPAT_MMP, 0, ""),
		ADD(s_feature_incompat, EXT4_FEATURE_INCOMPAT_COMPRESSION, -EOPNOTSUPP, " compression"),
		ADD(s_feature_incompat, EXT4_FEATURE_INCOMPAT_DIRDATA, -EOPNOTSUPP, " dirdata"),
		ADD(s_feature_incompat, EXT4_FEATURE_INCOMPAT_JOURNAL_DEV, -EOPNOTSUPP, "journal_dev"),
		ADD(s_feature_incompat, 0x40000001, -EOPNOTSUPP,
		    " compression unknown (incompat 0x40000000)"),
	};

	try_words(PLAIN, words, ARRAY_SIZE(words));
}

static void test_ext4_super_words_of_clusters(void **state)
{
	static const struct word words[] = {
		SET(s_log_cluster_size, 5, -EINVAL, "s_clusters_per_group"),
		SET(s_log_cluster_size, 1, -EINVAL, "s_clusters_per_group"),
		SET(s_log_cluster_size, 20, -EINVAL, "s_clusters_per_group"),
		BAD(s_log_cluster_size, 21),
		BAD(s_clusters_per_group, 0),
		BAD(s_clusters_per_group, 1),
		BAD(s_clusters_per_group, 8193),
		BAD(s_clusters_per_group, 0x10002000), /* its product with 16 is that of 0x2000, in 32 bits */
		BAD(s_blocks_per_group, 131073),
		GOOD(s_first_data_block, 1),
		BAD(s_creator_os, EXT4_OS_HURD),
		GOOD(s_overhead_blocks, 0xffffffff),
	};

	try_words(BIGALLOC, words, ARRAY_SIZE(words));
}

static void test_ext4_super_words_of_meta_bg(void **state)
{
	static const struct word words[] = {
		SET(s_first_meta_bg, 3, -EINVAL, "s_first_meta_bg"),
		SET(s_first_meta_bg, 0xffffffff, -EINVAL, "s_first_meta_bg"),
		SET(s_first_meta_bg, 2, -EFSCORRUPTED, "group descriptors"),
		GOOD(s_reserved_gdt_blocks, 10),
	};

	try_words(META_BG, words, ARRAY_SIZE(words));
}

/* Revision 0: what came later counts for nothing, but features do. */
static void test_ext4_super_words_of_old(void **state)
{
	static const struct word words[] = {
		GOOD(s_inode_size, 256),
		GOOD(s_first_ino, 5),
		GOOD(s_desc_size, 7),
		GOOD(s_blocks_count_hi, 1),
		ADD(s_feature_ro_compat, EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE, 0, ""),
		ADD(s_feature_incompat, 0x40000000, -EOPNOTSUPP, "unknown (incompat 0x40000000)"),
		ADD(s_feature_incompat, EXT4_FEATURE_INCOMPAT_64BIT, -EINVAL, "s_desc_size"),
	};

	try_words(OLD, words, ARRAY_SIZE(words));
}

static void test_ext4_super_checksum(void **state)
{
	struct image im;
	char why[512];

	image_make(&im, made[PLAIN]);
	image_super(&im)->s_mnt_count = cpu_to_le16(77);
	assert_int_equal(try_mount(&im, why, sizeof(why)), -EFSBADCRC);
	assert_non_null(strstr(why, "s_checksum"));
	image_remove(&im);
}

/* ---- Descriptors: wrong places are refused, wrong checksums alone are not */

static struct ext4_group_desc *desc(const struct image *im, unsigned group)
{
	u8 *table = image_block(im, le32_to_cpu(image_super(im)->s_first_data_block) + 1);
	bool wide = le32_to_cpu(image_super(im)->s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT;

	return (void *)(table + (size_t)group * (wide ? le16_to_cpu(image_super(im)->s_desc_size) : 32));
}

struct place {
	unsigned group;
	size_t at; /* of a word in the descriptor */
	u32 value;
	int err;
};
#define PLACE(group, field, v, e)                                                                            \
	{                                                                                                    \
		group, offsetof(struct ext4_group_desc, field), v, e                                         \
	}

static void try_places(const char *commands, const struct place *places, unsigned count)
{
	struct image im;
	char why[512];

	image_make(&im, commands);
	for (unsigned i = 0; i < count; i++) {
		u8 *at = (u8 *)desc(&im, places[i].group) + places[i].at;
		u32 was = get_unaligned_le32(at), value = places[i].value;
		int err;

		*(le32 *)at = cpu_to_le32(value);
		err = try_mount(&im, why, sizeof(why));
		if (err != places[i].err)
			print_error("case %u: %d instead of %d; %s\n", i, err, places[i].err, why);
		assert_int_equal(err, places[i].err);
		*(le32 *)at = cpu_to_le32(was);
	}
	image_remove(&im);
}

static void test_ext4_descriptors(void **state)
{
	/* Groups of 8192 blocks from 1 on, 20480 in all; the tables of all groups stand in the first. */
	static const struct place flex[] = {
		PLACE(0, bg_checksum, 0, 0),
		PLACE(1, bg_block_bitmap_lo, 0, -EFSCORRUPTED),
		PLACE(1, bg_block_bitmap_lo, 1, -EFSCORRUPTED), /* the super block's */
		PLACE(1, bg_block_bitmap_lo, 2, -EFSCORRUPTED), /* the descriptors' */
		PLACE(1, bg_block_bitmap_lo, 20479, 0),
		PLACE(1, bg_block_bitmap_lo, 20480, -EFSCORRUPTED),
		PLACE(1, bg_block_bitmap_hi, 1, -EFSCORRUPTED),
		PLACE(2, bg_inode_bitmap_lo, 20480, -EFSCORRUPTED),
		PLACE(2, bg_inode_bitmap_hi, 0xffffffff, -EFSCORRUPTED),
		PLACE(2, bg_inode_table_lo, 20480, -EFSCORRUPTED),
		PLACE(2, bg_inode_table_lo, 20479, -EFSCORRUPTED), /* its last block lies outside */
		PLACE(2, bg_inode_table_hi, 1, -EFSCORRUPTED),
		PLACE(2, bg_inode_table_lo, 8193, -EFSCORRUPTED), /* a copy of the super block */
	};
	static const struct place fixed[] = {
		PLACE(1, bg_block_bitmap_lo, 8192, -EFSCORRUPTED), /* the group before */
		PLACE(1, bg_block_bitmap_lo, 16384, 0),
		PLACE(1, bg_block_bitmap_lo, 16385, -EFSCORRUPTED),
		PLACE(1, bg_inode_bitmap_lo, 16385, -EFSCORRUPTED),
		PLACE(1, bg_inode_table_lo, 16384, -EFSCORRUPTED),
		PLACE(1, bg_inode_table_lo, 8000, -EFSCORRUPTED),
	};

	try_places(made[PLAIN], flex, ARRAY_SIZE(flex));
	try_places("mke2fs -q -t ext2 -b 1024 -O ^resize_inode image 20M", fixed, ARRAY_SIZE(fixed));
}

/* ---- Files that claim what is the volume's own */

static void claim(struct ext4_inode *inode, u32 pblk)
{
	((struct ext4_extent *)((struct ext4_extent_header *)inode->i_block + 1))->ee_start_lo =
		cpu_to_le32(pblk);
}

static void claims_super(struct image *im, struct ext4_inode *inode)
{
	claim(inode, 8193);
}
static void claims_bitmap(struct image *im, struct ext4_inode *inode)
{
	claim(inode, le32_to_cpu(desc(im, 1)->bg_block_bitmap_lo));
}
static void claims_table(struct image *im, struct ext4_inode *inode)
{
	claim(inode, le32_to_cpu(desc(im, 2)->bg_inode_table_lo) + 1);
}
static void claims_journal(struct image *im, struct ext4_inode *inode)
{
	struct ext4_extent *e = (void *)((struct ext4_extent_header *)image_inode(im, 8)->i_block + 1);

	claim(inode, le32_to_cpu(e->ee_start_lo) + 10);
}
static void attributes_in_table(struct image *im, struct ext4_inode *inode)
{
	inode->i_file_acl_lo = desc(im, 0)->bg_inode_table_lo;
}

static void test_ext4_own_blocks(void **state)
{
	static const struct craft crafts[] = {
		{"/mnt/file", claims_super, OP_STAT, -EFSCORRUPTED, "extent lies", NULL},
		{"/mnt/file", claims_bitmap, OP_STAT, -EFSCORRUPTED, "extent lies", NULL},
		{"/mnt/file", claims_table, OP_STAT, -EFSCORRUPTED, "extent lies", NULL},
		{"/mnt/file", claims_journal, OP_STAT, -EFSCORRUPTED, "extent lies", NULL},
		{"/mnt/file", attributes_in_table, OP_STAT, -EFSCORRUPTED, "attribute block", NULL},
	};
	struct image im;

	image_make(&im, "mkdir t; echo x >t/file; "
			"mke2fs -q -t ext4 -b 1024 -O ^resize_inode,^metadata_csum -d t image 20M");
	image_crafts(&im, crafts);
	image_remove(&im);
}

/* A map of the journal that names the same blocks again and again: 2 TiB of them, met at once. */
static void test_ext4_journal_repeats(void **state)
{
	struct ext4_inode *journal;
	struct image im;
	char why[512];
	le32 *dind;

	image_make(&im, "mke2fs -q -t ext3 -b 1024 image 20M");
	journal = image_inode(&im, EXT4_JOURNAL_INO);
	dind = image_block(&im, le32_to_cpu(journal->i_block[EXT4_DIND_BLOCK]));
	for (unsigned i = 0; i < 256; i++)
		dind[i] = journal->i_block[EXT4_IND_BLOCK];
	journal->i_size_high = cpu_to_le32(512);
	assert_int_equal(try_mount(&im, why, sizeof(why)), -EFSCORRUPTED);
	assert_non_null(strstr(why, "journal"));
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_super_words),
		cmocka_unit_test(test_ext4_kind_words),
		cmocka_unit_test(test_ext4_super_words_of_clusters),
		cmocka_unit_test(test_ext4_super_words_of_meta_bg),
		cmocka_unit_test(test_ext4_super_words_of_old),
		cmocka_unit_test(test_ext4_super_checksum),
		cmocka_unit_test(test_ext4_descriptors),
		cmocka_unit_test(test_ext4_own_blocks),
		cmocka_unit_test(test_ext4_journal_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
