/* SPDX-License-Identifier: MIT */
/*
 * Fast commits, written tag by tag into the journal of a volume without checksums of metadata: what they make
 * of the volume, and that those which make no sense end with an error that says so, or are passed over as
 * Linux does. The log before them is empty, so that they carry the journal's own next number.
 */
#include "ext4_image.h"

#include "base/alloc.h"
#include "base/crc.h"
#include "jbd2/jbd2_format.h"

#define BLOCK    1024u
#define FC_FIRST (1024u + 1) /* block of the journal: the area lies behind its log */

struct area {
	struct image *im;
	u32 block;        /* bytes */
	u32 tid, at, crc; /* at: bytes into the area */
};

/* A block of the journal, whose extents the inode holds. */
static void *journal_block(struct image *im, u32 jblk)
{
	const struct ext4_inode *inode = image_inode(im, EXT4_JOURNAL_INO);
	const struct ext4_extent_header *eh = (const void *)inode->i_block;
	const struct ext4_extent *ex = (const void *)(eh + 1);

	for (unsigned i = 0; i < le16_to_cpu(eh->eh_entries); i++)
		if (jblk - le32_to_cpu(ex[i].ee_block) < le16_to_cpu(ex[i].ee_len))
			return image_block(im, le32_to_cpu(ex[i].ee_start_lo) + jblk -
						       le32_to_cpu(ex[i].ee_block));
	fail();
	return NULL;
}

static void area_begin(struct area *a, struct image *im)
{
	struct jbd2_super_block *js;

	*a = (struct area){
		.im = im, .tid = 77, .block = 1024u << le32_to_cpu(image_super(im)->s_log_block_size)};
	js = journal_block(im, 0);
	js->s_start = cpu_to_be32(1);
	js->s_sequence = cpu_to_be32(a->tid);
	js->s_feature_incompat = cpu_to_be32(JBD2_FEATURE_INCOMPAT_FAST_COMMIT);
	image_super(im)->s_feature_incompat.v |= cpu_to_le32(EXT4_FEATURE_INCOMPAT_RECOVER).v;
	js->s_num_fc_blks = cpu_to_be32(be32_to_cpu(js->s_maxlen) - FC_FIRST + 1);
}

static u8 *area_at(struct area *a)
{
	return (u8 *)journal_block(a->im, FC_FIRST + a->at / a->block) + a->at % a->block;
}

static void tag(struct area *a, u16 number, const void *value, u32 len, const void *more, u32 more_len)
{
	struct ext4_fc_tl tl = {cpu_to_le16(number), cpu_to_le16((u16)(len + more_len))};
	u32 room = a->block - a->at % a->block;
	u8 *to;

	/* A tag lies in one block. */
	if (sizeof(tl) + len + more_len > room - sizeof(tl) && number != EXT4_FC_TAG_PAD &&
	    number != EXT4_FC_TAG_TAIL)
		tag(a, EXT4_FC_TAG_PAD, NULL, 0, NULL, room - sizeof(tl));
	to = area_at(a);
	memcpy(to, &tl, sizeof(tl));
	if (len)
		memcpy(to + sizeof(tl), value, len);
	if (more)
		memcpy(to + sizeof(tl) + len, more, more_len);
	a->crc = crc32c(a->crc, to, sizeof(tl) + len + more_len);
	a->at += sizeof(tl) + len + more_len;
}

static void head(struct area *a, u32 tid)
{
	struct ext4_fc_head h = {.fc_tid = cpu_to_le32(tid)};

	tag(a, EXT4_FC_TAG_HEAD, &h, sizeof(h), NULL, 0);
}

static void tail(struct area *a, u32 crc_wrong)
{
	struct ext4_fc_tl tl = {cpu_to_le16(EXT4_FC_TAG_TAIL),
				cpu_to_le16((u16)(a->block - a->at % a->block - sizeof(tl)))};
	struct ext4_fc_tail t = {.fc_tid = cpu_to_le32(a->tid)};
	u8 *to = area_at(a);

	memcpy(to, &tl, sizeof(tl));
	memcpy(to + sizeof(tl), &t.fc_tid, sizeof(t.fc_tid));
	t.fc_crc = cpu_to_le32(crc32c(a->crc, to, sizeof(tl) + sizeof(t.fc_tid)) ^ crc_wrong);
	memcpy(to + sizeof(tl), &t, sizeof(t));
	a->at += sizeof(tl) + le16_to_cpu(tl.fc_len);
	a->crc = 0;
}

static void name(struct area *a, u16 number, u32 parent, u32 ino, const char *text)
{
	struct ext4_fc_dentry_info d = {cpu_to_le32(parent), cpu_to_le32(ino)};

	tag(a, number, &d, sizeof(d), text, (u32)strlen(text));
}

static void inode_tag(struct area *a, u32 ino, u16 mode, u16 links, u32 size)
{
	struct ext4_inode in = {.i_mode = cpu_to_le16(mode),
				.i_links_count = cpu_to_le16(links),
				.i_size_lo = cpu_to_le32(size),
				.i_flags = cpu_to_le32(EXT4_EXTENTS_FL),
				.i_extra_isize = cpu_to_le16(32)};
	le32 number = cpu_to_le32(ino);

	tag(a, EXT4_FC_TAG_INODE, &number, sizeof(number), &in, sizeof(in));
}

static void add_range(struct area *a, u32 ino, u32 lblk, u32 pblk, u16 len)
{
	struct ext4_fc_add_range r = {
		cpu_to_le32(ino), {cpu_to_le32(lblk), cpu_to_le16(len), cpu_to_le16(0), cpu_to_le32(pblk)}};

	tag(a, EXT4_FC_TAG_ADD_RANGE, &r, sizeof(r), NULL, 0);
}

static void del_range(struct area *a, u32 ino, u32 lblk, u32 len)
{
	struct ext4_fc_del_range r = {cpu_to_le32(ino), cpu_to_le32(lblk), cpu_to_le32(len)};

	tag(a, EXT4_FC_TAG_DEL_RANGE, &r, sizeof(r), NULL, 0);
}

/* What is done: `dir` and `file` are inodes of the volume, 60 a free one. */
struct fc_case {
	void (*fill)(struct area *a, u32 dir, u32 file);
	int mount; /* errno of the mount */
	const char *message;
	const char *path; /* one path, and what image_do says of it */
	enum op op;
	long expect;
	bool clean; /* a check of what was made finds nothing */
};

static void nothing(struct area *a, u32 dir, u32 file) {}

static void other_tid(struct area *a, u32 dir, u32 file)
{
	head(a, 76);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	tail(a, 0);
}

static void unlinked(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	tail(a, 0);
}

static void first_damaged(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	tail(a, 1);
}

static void second_damaged(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, dir, file, "second");
	tail(a, 0);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	tail(a, 1);
}

static void no_tail(struct area *a, u32 dir, u32 file)
{
	second_damaged(a, dir, file);
	memset((u8 *)journal_block(a->im, FC_FIRST + 1), 0, BLOCK);
}

static void created(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, 60, S_IFREG | 0644, 1, 3000);
	add_range(a, 60, 0, 4000, 2);
	add_range(a, 60, 2, 4010, 1);
	name(a, EXT4_FC_TAG_CREAT, dir, 60, "new");
	tail(a, 0);
}

/* So many names that the directory grows from one block to many, over many blocks of the area. */
static void many_names(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	for (unsigned i = 0; i < 500; i++) {
		char text[32];

		snprintf(text, sizeof(text), "a name of some length %u", i);
		name(a, EXT4_FC_TAG_LINK, dir, file, text);
	}
	for (unsigned i = 0; i < 500; i += 2) {
		char text[32];

		snprintf(text, sizeof(text), "a name of some length %u", i);
		name(a, EXT4_FC_TAG_UNLINK, dir, file, text);
	}
	tail(a, 0);
}

/* More than one block of 64 KiB holds, and more than one of them in the area. */
static void names_in_64k(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	for (unsigned i = 0; i < 3000; i++) {
		char text[64];

		snprintf(text, sizeof(text), "a name that is somewhat longer than others %u", i);
		name(a, EXT4_FC_TAG_LINK, dir, file, text);
	}
	tail(a, 0);
}

static void made_directory(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, 60, S_IFDIR | 0755, 2, a->block);
	name(a, EXT4_FC_TAG_CREAT, dir, 60, "new");
	name(a, EXT4_FC_TAG_LINK, 60, file, "in it");
	tail(a, 0);
}

static void removed_directory(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	name(a, EXT4_FC_TAG_UNLINK, EXT4_ROOT_INO, dir, "d");
	tail(a, 0);
}

/* Every second block of 200 goes: the tree needs a block of its own. */
static void many_extents(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, 60, S_IFREG | 0644, 1, 200 * BLOCK);
	add_range(a, 60, 0, 4000, 200);
	for (u32 i = 0; i < 200; i += 2)
		del_range(a, 60, i, 1);
	name(a, EXT4_FC_TAG_CREAT, dir, 60, "new");
	tail(a, 0);
}

static void truncated(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, file, S_IFREG | 0644, 1, 100);
	del_range(a, file, 1, 0x7fffffff);
	del_range(a, file, 0x80000000, 0x7fffffff);
	tail(a, 0);
}

static void range_outside(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	add_range(a, file, 0, 0xfffffff0, 8);
	tail(a, 0);
}

static void range_in_tables(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	add_range(a, file, 0, 2, 1);
	tail(a, 0);
}

static void range_too_far(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	add_range(a, file, 0xfffffff0, 4000, 100);
	tail(a, 0);
}

static void inode_outside(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, 0xffffffff, S_IFREG, 1, 0);
	tail(a, 0);
}

static void inode_reserved(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, EXT4_JOURNAL_INO, S_IFREG, 1, 0);
	tail(a, 0);
}

static void directory_in_itself(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_CREAT, dir, dir, "loop");
	tail(a, 0);
}

static void name_in_file(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, file, file, "below");
	tail(a, 0);
}

static void name_with_slash(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, dir, file, "a/b");
	tail(a, 0);
}

static void tag_too_long(struct area *a, u32 dir, u32 file)
{
	second_damaged(a, dir, file);
	((struct ext4_fc_tl *)journal_block(a->im, FC_FIRST + 1))->fc_len = cpu_to_le16(0xffff);
}

/* ---- Directories and files of other kinds */

/* The inode has a block map of at most twelve blocks instead of its extents. */
static void to_map(struct area *a, u32 ino)
{
	struct ext4_inode *in = image_inode(a->im, ino);
	const struct ext4_extent_header *eh = (const void *)in->i_block;
	le32 map[EXT4_N_BLOCKS] = {0};

	assert_int_equal(le16_to_cpu(eh->eh_depth), 0);
	for (unsigned i = 0; i < le16_to_cpu(eh->eh_entries); i++) {
		const struct ext4_extent *ex = (const struct ext4_extent *)(eh + 1) + i;

		for (u32 k = 0; k < le16_to_cpu(ex->ee_len); k++)
			map[le32_to_cpu(ex->ee_block) + k] = cpu_to_le32(le32_to_cpu(ex->ee_start_lo) + k);
	}
	memcpy(in->i_block, map, sizeof(map));
	in->i_flags = cpu_to_le32(le32_to_cpu(in->i_flags) & ~(u32)EXT4_EXTENTS_FL);
}

static void map_dir_grown(struct area *a, u32 dir, u32 file)
{
	to_map(a, dir);
	many_names(a, dir, file);
}

static void map_inode_tag(struct area *a, u32 ino, u32 blocks)
{
	struct ext4_inode in = *image_inode(a->im, ino);
	le32 number = cpu_to_le32(ino);

	in.i_size_lo = cpu_to_le32(blocks * BLOCK);
	tag(a, EXT4_FC_TAG_INODE, &number, sizeof(number), &in, sizeof(in));
}

/* 300 blocks need an indirect block, and two for the second level. */
static void map_file_grown(struct area *a, u32 dir, u32 file)
{
	to_map(a, file);
	head(a, a->tid);
	add_range(a, file, 5, 4000, 295);
	map_inode_tag(a, file, 300);
	tail(a, 0);
}

static void map_file_cut(struct area *a, u32 dir, u32 file)
{
	to_map(a, file);
	head(a, a->tid);
	add_range(a, file, 5, 4000, 295);
	del_range(a, file, 200, 0x7fffffff);
	map_inode_tag(a, file, 200);
	tail(a, 0);
}

static void map_file_unwritten(struct area *a, u32 dir, u32 file)
{
	to_map(a, file);
	head(a, a->tid);
	add_range(a, file, 5, 4000, EXT_INIT_MAX_LEN + 1);
	tail(a, 0);
}

static void map_file_too_far(struct area *a, u32 dir, u32 file)
{
	to_map(a, file);
	head(a, a->tid);
	add_range(a, file, 12 + 256 + 256 * 256 + 256 * 256 * 256, 4000, 1);
	tail(a, 0);
}

static u32 first_free(struct area *a)
{
	struct ext4_super_block *es = image_super(a->im);
	const struct ext4_group_desc *gd = image_block(a->im, le32_to_cpu(es->s_first_data_block) + 1);
	const u8 *map = image_block(a->im, le32_to_cpu(gd->bg_block_bitmap_lo));
	u32 bit = 0;

	while (map[bit / 8] >> bit % 8 & 1)
		bit++;
	return le32_to_cpu(es->s_first_data_block) + bit;
}

/* The first blocks that are free belong to a file whose record comes last: none of them may go to the
 * directory that grows. */
static void range_where_free(struct area *a, u32 dir, u32 file)
{
	many_names(a, dir, file);
	head(a, a->tid);
	inode_tag(a, 60, S_IFREG | 0644, 1, 3 * BLOCK);
	add_range(a, 60, 0, first_free(a), 3);
	name(a, EXT4_FC_TAG_CREAT, dir, 60, "new");
	tail(a, 0);
}

/* A new directory, and a name in it. */
static void made_secret(struct area *a, u32 file, u32 flags, const char *text)
{
	struct ext4_inode in = {.i_mode = cpu_to_le16(S_IFDIR | 0755),
				.i_links_count = cpu_to_le16(2),
				.i_flags = cpu_to_le32(EXT4_EXTENTS_FL | flags),
				.i_extra_isize = cpu_to_le16(32)};
	le32 number = cpu_to_le32(60);

	image_super(a->im)->s_feature_incompat.v |=
		cpu_to_le32(EXT4_FEATURE_INCOMPAT_ENCRYPT | EXT4_FEATURE_INCOMPAT_CASEFOLD).v;
	image_super(a->im)->s_encoding = cpu_to_le16(1); /* UTF-8 */
	head(a, a->tid);
	tag(a, EXT4_FC_TAG_INODE, &number, sizeof(number), &in, sizeof(in));
	name(a, EXT4_FC_TAG_CREAT, EXT4_ROOT_INO, 60, "new");
	name(a, EXT4_FC_TAG_LINK, 60, file, text);
	tail(a, 0);
}

static void encrypted_name(struct area *a, u32 dir, u32 file)
{
	made_secret(a, file, EXT4_ENCRYPT_FL, "16 bytes \x01\xff/ ...");
}

static void encrypted_too_short(struct area *a, u32 dir, u32 file)
{
	made_secret(a, file, EXT4_ENCRYPT_FL, "only 15 bytes..");
}

static void encrypted_and_folded(struct area *a, u32 dir, u32 file)
{
	made_secret(a, file, EXT4_ENCRYPT_FL | EXT4_CASEFOLD_FL, "16 bytes and more");
}

static void folded_name(struct area *a, u32 dir, u32 file)
{
	made_secret(a, file, EXT4_CASEFOLD_FL, "Name");
}

/* ---- On a volume with inline data, where /d has a file, and an inode room for 68 bytes of names more. */

static void inline_name(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, dir, file, "second");
	tail(a, 0);
}

/* 56 bytes hold "file" and one of these, 68 hold three more. */
static void inline_full(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, dir, file, "second");
	name(a, EXT4_FC_TAG_LINK, dir, file, "of the third");
	name(a, EXT4_FC_TAG_LINK, dir, file, "of the fourth");
	name(a, EXT4_FC_TAG_LINK, dir, file, "of the fifth");
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "file");
	tail(a, 0);
}

static void inline_removed(struct area *a, u32 dir, u32 file)
{
	inline_full(a, dir, file);
	head(a, a->tid);
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "second");
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "of the fourth");
	name(a, EXT4_FC_TAG_UNLINK, dir, file, "of the fifth");
	tail(a, 0);
}

/* An index where there is no block that could be one. */
static void inline_indexed(struct area *a, u32 dir, u32 file)
{
	struct ext4_inode *in = image_inode(a->im, dir);

	in->i_flags = cpu_to_le32(le32_to_cpu(in->i_flags) | EXT4_INDEX_FL);
	many_names(a, dir, file);
}

/* The ranges come first, as Linux writes them. */
static void inline_file_left(struct area *a, u32 dir, u32 file)
{
	u32 small = image_ino(a->im, "/mnt/small");

	area_begin(a, a->im);
	head(a, a->tid);
	add_range(a, small, 0, 4000, 3);
	inode_tag(a, small, S_IFREG | 0644, 1, 3000);
	tail(a, 0);
}

static void names_of_dots(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	name(a, EXT4_FC_TAG_LINK, dir, file, "..");
	tail(a, 0);
}

static long mount_with(struct image *im, const struct fc_case *c, char *log, size_t log_size, long *got)
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
	*got = err ? 0 : image_do(&m, c->op, c->path);
	shale_log_read(m.machine, log, log_size);
	if (err)
		shale_mount_error(m.machine, log + strlen(log), log_size - strlen(log));
	image_unmount(&m);
	return err;
}

/* What is told, but for notes, fails the test. */
static int tell_problem(void *arg, const struct shale_problem *p)
{
	if (p->severity == SHALE_PROBLEM_DAMAGE)
		print_error("case %u: %s\n", *(unsigned *)arg, p->text);
	return 0;
}

static void check_finds_nothing(const struct image *im, unsigned number)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct mounted m;

	options.threads = 0;
	assert_int_equal(shale_new(&options, &m.machine), 0);
	assert_int_equal(shale_task_new(m.machine, NULL, &m.task), 0);
	assert_int_equal(shale_disk_add(m.machine, "a", im->path, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
			 0);
	assert_int_equal(shale_check(m.task, "/dev/a", NULL, NULL, 0, tell_problem, &number), 0);
	image_unmount(&m);
}

#define VOLUME(features)                                                                                     \
	"mkdir -p t/d; head -c 5000 /dev/zero | tr '\\0' x >t/d/file; echo small >t/small;"                  \
	"mke2fs -q -F -t ext4 -O ^metadata_csum,^64bit,^resize_inode," features                              \
	" -I 256 -N 64 -b 1024 -J size=2 -d t image 8M"

static void run_cases(const char *volume, const struct fc_case *cases, size_t nr)
{
	static char log[1 << 16];
	struct image im;
	u32 dir, file;
	u8 *whole;

	image_make(&im, volume);
	dir = image_ino(&im, "/mnt/d");
	file = image_ino(&im, "/mnt/d/file");
	whole = malloc(im.size);
	assert_non_null(whole);
	memcpy(whole, im.bytes, im.size);
	for (unsigned i = 0; i < nr; i++) {
		const struct fc_case *c = &cases[i];
		struct area a;
		long err, got;

		area_begin(&a, &im);
		c->fill(&a, dir, file);
		err = mount_with(&im, c, log, sizeof(log), &got);
		if (err != c->mount || got != c->expect || (c->message && !strstr(log, c->message))) {
			print_error("case %u: mount %ld, %ld instead of %ld; log:\n%s\n", i, err, got,
				    c->expect, log);
			fail();
		}
		if (c->clean)
			check_finds_nothing(&im, i);
		if (i + 1 < nr)
			memcpy(im.bytes, whole, im.size);
	}
	free(whole);
	image_remove(&im);
}

static void test_ext4_fast_commit(void **state)
{
	static const struct fc_case cases[] = {
		{nothing, 0, "recovery in memory", "/mnt/d/file", OP_READ, 5000},
		{other_tid, 0, NULL, "/mnt/d/file", OP_READ, 5000},
		{unlinked, 0, NULL, "/mnt/d/file", OP_STAT, -ENOENT},
		{first_damaged, -EBADMSG, "the first fast commit is damaged", NULL, OP_STAT, 0},
		{second_damaged, 0, NULL, "/mnt/d/second", OP_READ, 5000},
		{second_damaged, 0, NULL, "/mnt/d/file", OP_READ, 5000},
		{no_tail, 0, NULL, "/mnt/d/file", OP_READ, 5000},
		{tag_too_long, 0, NULL, "/mnt/d/file", OP_READ, 5000},
		{created, 0, NULL, "/mnt/d/new", OP_READ, 3000},
		{many_names, 0, NULL, "/mnt/d", OP_LIST, 253, true},
		{many_names, 0, NULL, "/mnt/d/a name of some length 499", OP_READ, 5000},
		{many_names, 0, NULL, "/mnt/d/a name of some length 498", OP_READ, -ENOENT},
		{made_directory, 0, NULL, "/mnt/d/new/in it", OP_READ, 5000},
		{made_directory, 0, NULL, "/mnt/d/new", OP_LIST, 3},
		{removed_directory, 0, NULL, "/mnt/d", OP_STAT, -ENOENT},
		{removed_directory, 0, NULL, "/mnt", OP_LIST, 4},
		{many_extents, 0, NULL, "/mnt/d/new", OP_READ, 200 * BLOCK},
		{truncated, 0, NULL, "/mnt/d/file", OP_READ, 100},
		{range_outside, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{range_in_tables, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{range_too_far, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{inode_outside, -EUCLEAN, "impossible number of inode 4294967295", NULL, OP_STAT, 0},
		{inode_reserved, -EUCLEAN, "impossible number of inode 8", NULL, OP_STAT, 0},
		{directory_in_itself, -EUCLEAN, "a name that cannot be, of inode", NULL, OP_STAT, 0},
		{name_in_file, -EUCLEAN, "names, without a directory, of inode", NULL, OP_STAT, 0},
		{names_of_dots, -EUCLEAN, "an impossible name of inode", NULL, OP_STAT, 0},
		{map_dir_grown, 0, NULL, "/mnt/d", OP_LIST, 253, true},
		{map_dir_grown, 0, NULL, "/mnt/d/a name of some length 499", OP_READ, 5000},
		{map_file_grown, 0, NULL, "/mnt/d/file", OP_READ, 300 * BLOCK, true},
		{map_file_cut, 0, NULL, "/mnt/d/file", OP_READ, 200 * BLOCK, true},
		{map_file_unwritten, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{map_file_too_far, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{range_where_free, 0, NULL, "/mnt/d/new", OP_READ, 3 * BLOCK, true},
		{encrypted_name, 0, NULL, "/mnt/new", OP_LIST, 3},
		{encrypted_too_short, -EUCLEAN, "an impossible name of inode", NULL, OP_STAT, 0},
		{encrypted_and_folded, -EOPNOTSUPP, "cannot be made without the key", NULL, OP_STAT, 0},
		{folded_name, 0, NULL, "/mnt/new/Name", OP_READ, 5000, true},
		{name_with_slash, -EUCLEAN, "an impossible name of inode", NULL, OP_STAT, 0},
	};

	run_cases(VOLUME("^inline_data"), cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_ext4_fast_commit_inline(void **state)
{
	static const struct fc_case cases[] = {
		{nothing, 0, NULL, "/mnt/d", OP_LIST, 3, true},
		{inline_name, 0, NULL, "/mnt/d", OP_LIST, 4},
		{inline_name, 0, NULL, "/mnt/d/second", OP_READ, 5000},
		{inline_full, 0, NULL, "/mnt/d", OP_LIST, 6},
		{inline_full, 0, NULL, "/mnt/d/of the fifth", OP_READ, 5000},
		{inline_full, 0, NULL, "/mnt/d/file", OP_STAT, -ENOENT},
		{inline_removed, 0, NULL, "/mnt/d", OP_LIST, 3},
		{inline_removed, 0, NULL, "/mnt/d/of the third", OP_READ, 5000},
		{many_names, 0, NULL, "/mnt/d", OP_LIST, 253, true},
		{many_names, 0, NULL, "/mnt/d/file", OP_READ, 5000},
		{many_names, 0, NULL, "/mnt/d/a name of some length 499", OP_READ, 5000},
		{inline_indexed, 0, NULL, "/mnt/d", OP_LIST, 253, true},
		{inline_file_left, 0, NULL, "/mnt/small", OP_READ, 3000, true},
	};

	run_cases(VOLUME("inline_data"), cases, sizeof(cases) / sizeof(cases[0]));
}

/* Blocks that no length of an entry and of a tag can count. */
static void test_ext4_fast_commit_64k(void **state)
{
	static const struct fc_case names[] = {{names_in_64k, 0, NULL, "/mnt/d", OP_LIST, 2 + 1 + 3000,
						true}},
				    made[] = {{made_directory, 0, NULL, "/mnt/d/new/in it", OP_READ, 5000}};
	const char *volume = "mkdir -p t/d; head -c 5000 /dev/zero | tr '\\0' x >t/d/file;"
			     "mke2fs -q -F -t ext4 -O ^metadata_csum,^resize_inode -I 256 -N 64 -b 65536 -J "
			     "size=80 -d t image 200M";

	run_cases(volume, names, 1);
	run_cases(volume, made, 1);
}

/* Each allocation of a mount fails once: it ends with that, or does without. */
static void test_ext4_fast_commit_memory(void **state)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct image im;
	struct area a;
	bool injected = true;

	image_make(
		&im,
		"mkdir -p t/d; head -c 5000 /dev/zero | tr '\\0' x >t/d/file;"
		"mke2fs -q -F -t ext4 -O ^metadata_csum,^64bit,^resize_inode -I 256 -N 64 -b 1024 -J size=2 "
		"-d t image 8M");
	area_begin(&a, &im);
	many_extents(&a, image_ino(&im, "/mnt/d"), 0);
	options.threads = 0;
	for (u64 nth = 1; injected; nth++) {
		struct mounted m;
		int err;

		assert_int_equal(shale_new(&options, &m.machine), 0);
		assert_int_equal(shale_task_new(m.machine, NULL, &m.task), 0);
		assert_int_equal(
			shale_disk_add(m.machine, "a", im.path, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
			0);
		alloc_fail_set(m.machine, ALLOC_FAIL_NTH, nth, 0);
		err = shale_mount(m.task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL);
		injected = alloc_fail_injected(m.machine);
		alloc_fail_clear(m.machine);
		if (err != -ENOMEM && err) {
			print_error("allocation %llu: %d\n", (unsigned long long)nth, err);
			fail();
		}
		if (!err)
			assert_int_equal(image_do(&m, OP_READ, "/mnt/d/new"), 200 * BLOCK);
		image_unmount(&m);
	}
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_fast_commit), cmocka_unit_test(test_ext4_fast_commit_inline),
		cmocka_unit_test(test_ext4_fast_commit_64k), cmocka_unit_test(test_ext4_fast_commit_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
