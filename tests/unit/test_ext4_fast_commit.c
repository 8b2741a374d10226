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

	*a = (struct area){.im = im, .tid = 77};
	js = journal_block(im, 0);
	js->s_start = cpu_to_be32(1);
	js->s_sequence = cpu_to_be32(a->tid);
	js->s_feature_incompat = cpu_to_be32(JBD2_FEATURE_INCOMPAT_FAST_COMMIT);
	image_super(im)->s_feature_incompat.v |= cpu_to_le32(EXT4_FEATURE_INCOMPAT_RECOVER).v;
	js->s_num_fc_blks = cpu_to_be32(be32_to_cpu(js->s_maxlen) - FC_FIRST + 1);
}

static u8 *area_at(struct area *a)
{
	return (u8 *)journal_block(a->im, FC_FIRST + a->at / BLOCK) + a->at % BLOCK;
}

static void tag(struct area *a, u16 number, const void *value, u32 len, const void *more, u32 more_len)
{
	struct ext4_fc_tl tl = {cpu_to_le16(number), cpu_to_le16((u16)(len + more_len))};
	u32 room = BLOCK - a->at % BLOCK;
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
				cpu_to_le16((u16)(BLOCK - a->at % BLOCK - sizeof(tl)))};
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

static void made_directory(struct area *a, u32 dir, u32 file)
{
	head(a, a->tid);
	inode_tag(a, 60, S_IFDIR | 0755, 2, BLOCK);
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
		{many_names, 0, NULL, "/mnt/d", OP_LIST, 253},
		{many_names, 0, NULL, "/mnt/d/a name of some length 499", OP_READ, 5000},
		{many_names, 0, NULL, "/mnt/d/a name of some length 498", OP_READ, -ENOENT},
		{made_directory, 0, NULL, "/mnt/d/new/in it", OP_READ, 5000},
		{made_directory, 0, NULL, "/mnt/d/new", OP_LIST, 3},
		{removed_directory, 0, NULL, "/mnt/d", OP_STAT, -ENOENT},
		{removed_directory, 0, NULL, "/mnt", OP_LIST, 3},
		{many_extents, 0, NULL, "/mnt/d/new", OP_READ, 200 * BLOCK},
		{truncated, 0, NULL, "/mnt/d/file", OP_READ, 100},
		{range_outside, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{range_in_tables, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{range_too_far, -EUCLEAN, "impossible range of inode", NULL, OP_STAT, 0},
		{inode_outside, -EUCLEAN, "impossible number of inode 4294967295", NULL, OP_STAT, 0},
		{inode_reserved, -EUCLEAN, "impossible number of inode 8", NULL, OP_STAT, 0},
		{directory_in_itself, -EUCLEAN, "a name that cannot be, of inode", NULL, OP_STAT, 0},
		{name_in_file, -EOPNOTSUPP, "which is no directory of blocks", NULL, OP_STAT, 0},
		{name_with_slash, -EUCLEAN, "an impossible name of inode", NULL, OP_STAT, 0},
	};
	static char log[1 << 16];
	struct image im;
	u32 dir, file;
	u8 *whole;

	image_make(
		&im,
		"mkdir -p t/d; head -c 5000 /dev/zero | tr '\\0' x >t/d/file;"
		"mke2fs -q -F -t ext4 -O ^metadata_csum,^64bit,^resize_inode -I 256 -N 64 -b 1024 -J size=2 "
		"-d t image 8M");
	dir = image_ino(&im, "/mnt/d");
	file = image_ino(&im, "/mnt/d/file");
	whole = malloc(im.size);
	assert_non_null(whole);
	memcpy(whole, im.bytes, im.size);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
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
		memcpy(im.bytes, whole, im.size);
	}
	free(whole);
	image_remove(&im);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ext4_fast_commit),
					   cmocka_unit_test(test_ext4_fast_commit_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
