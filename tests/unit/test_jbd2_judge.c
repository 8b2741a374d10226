/* SPDX-License-Identifier: MIT */
/*
 * The writing journal before its judges, row J1: a log written into a volume of mke2fs, cut off, is read by
 * debugfs, recovered by e2fsck and, for root, by the kernel; each finds the same contents.
 */
#include "jbd2_client.h"

#include <errno.h>
#include <sys/mount.h>

#define FILE_BLOCKS 96u

struct volume {
	char dir[64];
	u32 block_size;
	u64 log[1024], file[FILE_BLOCKS]; /* where their blocks lie */
	u32 nr_log, nr_file;
	u32 version[FILE_BLOCKS]; /* as it must be after recovery */
};

static int __printf(2, 3) run(const struct volume *v, const char *fmt, ...)
{
	char script[1024], command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	snprintf(script, sizeof(script), "cd '%s' && { %s; } >>log 2>&1", v->dir, command);
	return WEXITSTATUS(system(script));
}

static u32 read_numbers(const struct volume *v, const char *name, u64 *out, u32 max)
{
	char path[96];
	u32 nr = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", v->dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	while (nr < max && fscanf(f, "%lu", &out[nr]) == 1)
		nr++;
	fclose(f);
	return nr;
}

static void volume_make(struct volume *v, u32 block_size, const char *options)
{
	char path[96];
	u8 *block = kmalloc(NULL, block_size);
	FILE *f;

	memset(v, 0, sizeof(*v));
	v->block_size = block_size;
	snprintf(v->dir, sizeof(v->dir), "/var/tmp/shale-judge-XXXXXX");
	assert_non_null(mkdtemp(v->dir));
	snprintf(path, sizeof(path), "%s/data", v->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	for (u32 i = 0; i < FILE_BLOCKS; i++) {
		client_stamp(block, block_size, i, 0);
		assert_int_equal(fwrite(block, block_size, 1, f), 1);
	}
	fclose(f);
	kfree(block);
	assert_int_equal(run(v, "mke2fs -q -F -t ext4 -b %u -J size=%u %s image %uk", block_size,
			     block_size / 1024, options, block_size / 1024 * 4096),
			 0);
	assert_int_equal(run(v, "debugfs -w -R 'write data f' image"), 0);
	assert_int_equal(run(v, "debugfs -R 'blocks f' image >file-blocks"), 0);
	assert_int_equal(run(v, "debugfs -R 'blocks <8>' image >log-blocks"), 0);
	v->nr_file = read_numbers(v, "file-blocks", v->file, FILE_BLOCKS);
	v->nr_log = read_numbers(v, "log-blocks", v->log, ARRAY_SIZE(v->log));
	assert_int_equal(v->nr_file, FILE_BLOCKS);
	assert_int_equal(v->nr_log, 1024);
}

static void volume_remove(struct volume *v)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r '%s'", v->dir);
	assert_int_equal(system(command), 0);
}

static int volume_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	const struct volume *v = ctx;

	*pblk = v->log[jblk];
	*len = 1;
	return 0;
}

static journal_t *volume_load(struct volume *v, struct client *c, u32 incompat)
{
	struct jbd2_journal_options options = {.incompat = incompat};
	struct jbd2_place place = {
		.bdev = c->bdev,
		.name = "d",
		.block_size = v->block_size,
		.nr_blocks = v->nr_log,
		.volume_blocks = 4096,
		.write = true,
		.map = volume_map,
		.ctx = v,
	};
	struct jbd2_journal *log;
	journal_t *journal;
	char why[192];

	assert_int_equal(jbd2_journal_open(&place, why, sizeof(why), &log), 0);
	assert_int_equal(jbd2_journal_load(log, &options, 5, &journal), 0);
	return journal;
}

/* Transactions over the file's blocks: some change them, some free them, and then they are data. */
static void volume_write(struct volume *v, struct client *c, journal_t *journal)
{
	for (u32 version = 1; version <= 30; version++) {
		handle_t *handle;

		assert_int_equal(jbd2_journal_start(journal, 20, 4, 0, &handle), 0);
		for (u32 i = version; i < FILE_BLOCKS; i += 7) {
			struct buffer_head *bh;

			assert_int_equal(bread(c->bdev, v->file[i], v->block_size, NULL, NULL, 0, &bh), 0);
			if (i % 10 == 3) {
				assert_int_equal(jbd2_journal_revoke(handle, v->file[i], bh), 0);
			} else {
				assert_int_equal(jbd2_journal_get_create_access(handle, bh), 0);
				client_stamp(bh->b_data, v->block_size, i, version);
				assert_int_equal(jbd2_journal_dirty_metadata(handle, bh), 0);
				v->version[i] = version;
			}
			brelse(bh);
			if (i % 10 == 3)
				break;
		}
		handle->h_sync = version % 3 == 0;
		assert_int_equal(jbd2_journal_stop(handle), 0);
	}
	assert_int_equal(jbd2_journal_force_commit(journal), 0);
	/* What is freed now was in the log before; then it is data. */
	for (u32 i = 5; i < FILE_BLOCKS; i += 10) {
		struct buffer_head *bh;
		handle_t *handle;
		u8 *block = kmalloc(NULL, v->block_size);

		assert_int_equal(jbd2_journal_start(journal, 0, 1, 0, &handle), 0);
		assert_int_equal(bread(c->bdev, v->file[i], v->block_size, NULL, NULL, 0, &bh), 0);
		assert_int_equal(jbd2_journal_revoke(handle, v->file[i], bh), 0);
		brelse(bh);
		handle->h_sync = true;
		assert_int_equal(jbd2_journal_stop(handle), 0);
		v->version[i] = 1000 + i;
		client_stamp(block, v->block_size, i, v->version[i]);
		assert_int_equal(
			disk_write(c->bdev, v->file[i] * (v->block_size / 512), block, v->block_size), 0);
		kfree(block);
	}
}

static void expect_contents(struct volume *v, const char *name)
{
	u8 *block = kmalloc(NULL, v->block_size);
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", v->dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	for (u32 i = 0; i < FILE_BLOCKS; i++) {
		assert_int_equal(fread(block, v->block_size, 1, f), 1);
		if (!client_is(block, v->block_size, i, v->version[i]))
			fail_msg("%s: block %u is not of version %u", name, i, v->version[i]);
	}
	fclose(f);
	kfree(block);
}

static void judge(struct volume *v)
{
	/* Transactions 5 to the end, each with its commit block. */
	assert_int_equal(run(v, "debugfs -R 'logdump -a' cut >dump && grep -q 'Journal starts at block 1, "
				"transaction 5' dump && grep -c 'type 2 (commit block)' dump >commits"),
			 0);
	assert_int_equal(run(v, "cp cut e && e2fsck -fy e"), 0);
	assert_int_equal(run(v, "e2fsck -fn e && debugfs -R 'dump f e-data' e"), 0);
	expect_contents(v, "e-data");
	if (geteuid()) {
		print_message("not root: the kernel does not judge\n");
		return;
	}
	assert_int_equal(run(v,
			     "mkdir m && unshare -m sh -c 'mount -o loop cut m && cp m/f k-data && umount m' "
			     "&& e2fsck -fn cut"),
			 0);
	expect_contents(v, "k-data");
}

static void check(u32 block_size, const char *options, u32 incompat)
{
	struct volume v;
	struct client c;
	journal_t *journal;
	char path[96];

	volume_make(&v, block_size, options);
	client_machine(&c, 0, 5, 64 << 20);
	snprintf(path, sizeof(path), "%s/image?direct=0", v.dir);
	c.bdev = disk_open(c.machine, "d", path, 0);
	c.block_size = block_size;
	assert_int_equal(set_blocksize(c.bdev, block_size), 0);
	journal = volume_load(&v, &c, incompat);
	volume_write(&v, &c, journal);
	assert_int_equal(run(&v, "cp image cut && debugfs -w -R 'feature needs_recovery' cut"), 0);
	assert_int_equal(jbd2_journal_destroy(journal), 0);
	disk_close(c.machine, c.bdev);
	client_machine_stop(&c);
	assert_int_equal(run(&v, "e2fsck -fn image && debugfs -R 'dump f s-data' image"), 0);
	expect_contents(&v, "s-data");
	judge(&v);
	volume_remove(&v);
}

static void test_csum_v3_64bit(void **state)
{
	check(4096, "-O 64bit,metadata_csum", JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT);
}

static void test_csum_v3(void **state)
{
	check(1024, "-O ^64bit,metadata_csum", JBD2_FEATURE_INCOMPAT_CSUM_V3);
}

static void test_csum_v2(void **state)
{
	check(1024, "-O 64bit,metadata_csum", JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_64BIT);
}

static void test_plain(void **state)
{
	check(1024, "-O ^64bit,^metadata_csum", 0);
}

static void test_plain_64bit(void **state)
{
	check(4096, "-O 64bit,^metadata_csum", JBD2_FEATURE_INCOMPAT_64BIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csum_v3_64bit), cmocka_unit_test(test_csum_v3),
		cmocka_unit_test(test_csum_v2),       cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_64bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
