/* SPDX-License-Identifier: MIT */
/*
 * E5: a directory whose index has three levels, which only large_dir allows. The kernel would need long to
 * make one: here it is written into the blocks of a file that mke2fs made, from the format's description, and
 * e2fsck says that it is right. Then all names are told, and found.
 */
#include "ext4_image.h"

#include "fs/ext4/ext4_internal.h"

#define NAMES    50000u
#define NAME_LEN 250u /* three in a leaf of 1 KiB */
#define LEAVES   DIV_ROUND_UP(NAMES, 3u)
#define IN_NODE  127u
#define NODES    DIV_ROUND_UP(LEAVES, IN_NODE) /* more than the 124 that a root holds */
#define MIDDLES  DIV_ROUND_UP(NODES, IN_NODE)
#define BLOCK    1024u

struct item {
	u32 hash, number;
};

static void make_name(u32 number, char name[NAME_LEN + 1])
{
	snprintf(name, NAME_LEN + 1, "%0*u", (int)NAME_LEN, number);
}

static int by_hash(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static struct item *sorted_items(const struct image *im)
{
	struct item *items = malloc(NAMES * sizeof(*items));
	struct ext4_sb_info sbi = {0};
	char name[NAME_LEN + 1];
	struct ext4_hash h;

	assert_non_null(items);
	for (int i = 0; i < 4; i++)
		sbi.hash_seed[i] = le32_to_cpu(image_super(im)->s_hash_seed[i]);
	for (u32 i = 0; i < NAMES; i++) {
		make_name(i, name);
		assert_int_equal(ext4_dirhash(&sbi, DX_HASH_HALF_MD4, name, NAME_LEN, &h), 0);
		items[i] = (struct item){h.hash, i};
	}
	qsort(items, NAMES, sizeof(*items), by_hash);
	return items;
}

/* The directory's file, one extent after the other in order. */
static u8 *file_block(const struct image *im, const struct ext4_inode *inode, u32 lblk)
{
	const struct ext4_extent_header *eh = (const void *)inode->i_block;
	const struct ext4_extent_idx *ix = (const void *)(eh + 1);
	const struct ext4_extent *ex;

	if (le16_to_cpu(eh->eh_depth))
		eh = image_block(im, le32_to_cpu(ix->ei_leaf_lo));
	ex = (const void *)(eh + 1);
	for (u32 i = 0; i < le16_to_cpu(eh->eh_entries); i++)
		if (lblk - le32_to_cpu(ex[i].ee_block) < le16_to_cpu(ex[i].ee_len))
			return image_block(im, le32_to_cpu(ex[i].ee_start_lo) + lblk -
						       le32_to_cpu(ex[i].ee_block));
	fail_msg("block %u is not there", lblk);
	return NULL;
}

static void *put_entry(void *at, u32 ino, const char *name, unsigned name_len, unsigned rec_len, u8 type)
{
	struct ext4_dir_entry_2 *de = at;

	memset(de, 0, sizeof(*de));
	de->inode = cpu_to_le32(ino);
	de->rec_len = cpu_to_le16((u16)rec_len);
	de->name_len = (u8)name_len;
	de->file_type = type;
	memcpy(de->name, name, name_len);
	return (u8 *)at + rec_len;
}

/* Entries of an index: child i is block first + i; its hash is that of the first name below it. */
static void put_index(struct dx_entry *e, unsigned limit, u32 first, u32 children, const struct item *items,
		      u32 names_each)
{
	struct dx_countlimit *cl = (void *)e;

	for (u32 i = 0; i < children; i++) {
		const struct item *begin = &items[(size_t)i * names_each];

		/* Goes on with the hash of the leaf before? */
		e[i].hash = cpu_to_le32(begin->hash | (i && begin[-1].hash == begin->hash));
		e[i].block = cpu_to_le32(first + i);
	}
	cl->limit = cpu_to_le16((u16)limit);
	cl->count = cpu_to_le16((u16)children);
}

static void put_tree(const struct image *im, const struct ext4_inode *dir, u32 dir_ino, u32 file_ino,
		     const struct item *items)
{
	const u32 middle = 1, node = middle + MIDDLES, leaf = node + NODES;
	u8 *block = file_block(im, dir, 0), *at;
	struct dx_root_info *info = (void *)(block + DX_ROOT_INFO_OFFSET);
	char name[NAME_LEN + 1];

	memset(block, 0, BLOCK);
	put_entry(put_entry(block, dir_ino, ".", 1, 12, 2), EXT4_ROOT_INO, "..", 2, BLOCK - 12, 2);
	*info = (struct dx_root_info){
		.hash_version = DX_HASH_HALF_MD4, .info_length = sizeof(*info), .indirect_levels = 2};
	put_index((void *)(info + 1), 124, middle, MIDDLES, items, IN_NODE * IN_NODE * 3);
	for (u32 i = 0; i < MIDDLES + NODES; i++) {
		bool mid = i < MIDDLES;
		u32 each = mid ? IN_NODE * 3 : 3, n = mid ? i : i - MIDDLES;
		u32 below = mid ? NODES : LEAVES, begin = n * IN_NODE;

		block = file_block(im, dir, middle + i);
		memset(block, 0, BLOCK);
		put_entry(block, 0, "", 0, BLOCK, 0);
		put_index((void *)(block + DX_NODE_OFFSET), IN_NODE, (mid ? node : leaf) + begin,
			  min(IN_NODE, below - begin), items + (size_t)begin * each, each);
	}
	for (u32 i = 0; i < LEAVES; i++) {
		at = block = file_block(im, dir, leaf + i);
		memset(block, 0, BLOCK);
		for (u32 n = i * 3; n < min(NAMES, i * 3 + 3); n++) {
			bool last = n % 3 == 2 || n == NAMES - 1;

			make_name(items[n].number, name);
			at = put_entry(at, file_ino, name, NAME_LEN,
				       last ? (unsigned)(block + BLOCK - at) : EXT4_DIR_REC_LEN(NAME_LEN), 1);
		}
	}
}

/* Makes the file a directory, in its inode, in its parent, and in what is counted. */
static void become_directory(struct image *im, u32 dir_ino, u32 file_ino)
{
	struct ext4_inode *dir = image_inode(im, dir_ino), *root = image_inode(im, EXT4_ROOT_INO);
	struct ext4_group_desc *gd = image_block(im, le32_to_cpu(image_super(im)->s_first_data_block) + 1);
	u8 *names = file_block(im, root, 0);

	dir->i_mode = cpu_to_le16(S_IFDIR | 0755);
	dir->i_links_count = cpu_to_le16(2);
	dir->i_flags = cpu_to_le32(le32_to_cpu(dir->i_flags) | EXT4_INDEX_FL);
	root->i_links_count = cpu_to_le16(le16_to_cpu(root->i_links_count) + 1);
	image_inode(im, file_ino)->i_links_count = cpu_to_le16(NAMES + 1);
	gd->bg_used_dirs_count_lo = cpu_to_le16(le16_to_cpu(gd->bg_used_dirs_count_lo) + 1);
	for (unsigned at = 0; at < BLOCK;) {
		struct ext4_dir_entry_2 *de = (void *)(names + at);

		if (le32_to_cpu(de->inode) == dir_ino)
			de->file_type = 2;
		at += le16_to_cpu(de->rec_len);
	}
}

static void check_names(const struct image *im)
{
	char path[300] = "/mnt/d/";
	struct mounted m;

	image_mount(im, &m);
	assert_int_equal(image_do(&m, OP_LIST, "/mnt/d"), NAMES + 2);
	for (u32 i = 0; i < NAMES; i += 97) {
		make_name(i, path + 7);
		assert_int_equal(image_do(&m, OP_STAT, path), 0);
	}
	make_name(NAMES, path + 7);
	assert_int_equal(image_do(&m, OP_STAT, path), -ENOENT);
	image_unmount(&m);
}

static void test_ext4_large_dir_three_levels(void **state)
{
	u32 dir_ino, file_ino;
	struct item *items;
	char command[256];
	struct image im;

	snprintf(command, sizeof(command),
		 "mkdir t; : >t/file; yes 1234567 | head -c %u >t/d; mke2fs -q -F -t ext4 -b 1024 -N 64 "
		 "-O large_dir,^has_journal,^metadata_csum,^resize_inode -d t image 24M; rm -r t",
		 (1 + MIDDLES + NODES + LEAVES) * BLOCK);
	image_make(&im, command);
	dir_ino = (u32)image_ino(&im, "/mnt/d");
	file_ino = (u32)image_ino(&im, "/mnt/file");
	items = sorted_items(&im);
	put_tree(&im, image_inode(&im, dir_ino), dir_ino, file_ino, items);
	become_directory(&im, dir_ino, file_ino);
	snprintf(command, sizeof(command), "e2fsck -fn '%s' >/dev/null 2>&1", im.path);
	assert_int_equal(system(command), 0);
	check_names(&im);
	free(items);
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_large_dir_three_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
