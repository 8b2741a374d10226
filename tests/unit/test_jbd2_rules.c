/* SPDX-License-Identifier: MIT */
/*
 * The rules of the writing journal's functions, row J1: credits, undo access, triggers, callbacks, errors
 * that are kept, ordered data and truncation, and memory that is short.
 */
#include "jbd2_client.h"

#include "cache/cache.h"
#include "drivers/write_log.h"

static void rules_start(struct client *c)
{
	client_machine(c, 0, 5, 64 << 20);
	client_format(c, "ram:%uK", 1024, 0);
	assert_int_equal(client_load(c, 7), 0);
}

static void rules_stop(struct client *c)
{
	disk_close(c->machine, c->bdev);
	client_machine_stop(c);
}

static void test_credits(void **state)
{
	struct client c;
	struct buffer_head *bh[3];
	handle_t *handle, *nested, *reserved;
	u32 most;

	rules_start(&c);
	most = jbd2_journal_max_credits(c.journal);
	assert_true(most > 200 && most < 256);
	assert_int_equal(jbd2_journal_start(c.journal, most + 1, 0, 0, &handle), -ENOSPC);
	assert_int_equal(jbd2_journal_start(c.journal, most, 1, 0, &handle), -ENOSPC);
	assert_int_equal(jbd2_journal_start(c.journal, most, 0, 1, &handle), -ENOSPC);
	assert_int_equal(jbd2_journal_start(c.journal, 2, 0, 0, &handle), 0);
	assert_int_equal(jbd2_journal_start(c.journal, 99, 0, 0, &nested), 0);
	assert_ptr_equal(nested, handle);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(bread(c.bdev, CLIENT_FIRST + i, 1024, NULL, NULL, 0, &bh[i]), 0);
		assert_int_equal(jbd2_journal_get_write_access(handle, bh[i]), 0);
	}
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh[0]), 0);
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh[0]), 0);
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh[1]), 0);
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh[2]), -ENOSPC);
	/* What is forgotten gives its credit back. */
	assert_int_equal(jbd2_journal_forget(handle, bh[0]), 0);
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh[2]), 0);
	assert_int_equal(jbd2_journal_revoke(handle, 9, NULL), -ENOSPC);
	assert_int_equal(jbd2_journal_stop(nested), 0);
	assert_int_equal(jbd2_journal_extend(handle, most, 0), 1);
	assert_int_equal(jbd2_journal_extend(handle, 5, 3), 0);
	assert_int_equal(jbd2_handle_buffer_credits(handle), 5);
	assert_int_equal(jbd2_journal_revoke(handle, 9, NULL), 0);
	assert_int_equal(jbd2_journal_restart(handle, most - 1, 0), 0);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	for (u32 i = 0; i < 3; i++)
		brelse(bh[i]);
	/* Reserved credits keep others from filling the transaction, and go on to the next. */
	assert_int_equal(jbd2_journal_start(c.journal, 1, 0, most / 2, &handle), 0);
	reserved = handle->h_rsv_handle;
	handle->h_rsv_handle = NULL;
	assert_int_equal(jbd2_journal_stop(handle), 0);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	assert_int_equal(jbd2_journal_start(c.journal, most - most / 2, 0, 0, &handle), 0);
	assert_int_equal(jbd2_journal_extend(handle, 1, 0), 1);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	assert_int_equal(jbd2_journal_start_reserved(reserved), 0);
	assert_int_equal(jbd2_handle_buffer_credits(reserved), most / 2);
	assert_int_equal(jbd2_journal_stop(reserved), 0);
	assert_int_equal(jbd2_journal_start(c.journal, most, 0, 0, &handle), 0);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	assert_int_equal(client_destroy(&c), 0);
	rules_stop(&c);
}

struct seen {
	bool none;
	u8 first;
};

static void look(const void *data, void *ctx)
{
	struct seen *seen = ctx;

	seen->none = !data;
	seen->first = data ? *(const u8 *)data : 0;
}

static u8 committed_first(struct buffer_head *bh)
{
	struct seen seen;

	jbd2_journal_committed_data(bh, look, &seen);
	assert_false(seen.none);
	return seen.first;
}

static void undo_change(struct client *c, struct buffer_head *bh, u8 value, u8 committed)
{
	handle_t *handle;

	assert_int_equal(jbd2_journal_start(c->journal, 1, 0, 0, &handle), 0);
	assert_int_equal(jbd2_journal_get_undo_access(handle, bh), 0);
	assert_int_equal(committed_first(bh), committed);
	*(u8 *)bh->b_data = value;
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh), 0);
	assert_int_equal(committed_first(bh), committed);
	assert_int_equal(jbd2_journal_stop(handle), 0);
}

/* Undo access keeps what was committed last, whatever was changed since. */
static void test_undo(void **state)
{
	struct client c;
	struct buffer_head *bh;
	u8 first;

	rules_start(&c);
	assert_int_equal(bread(c.bdev, CLIENT_FIRST, 1024, NULL, NULL, 0, &bh), 0);
	first = *(u8 *)bh->b_data;
	undo_change(&c, bh, 1, first);
	undo_change(&c, bh, 2, first);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	undo_change(&c, bh, 3, 2);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	brelse(bh);
	assert_int_equal(client_destroy(&c), 0);
	rules_stop(&c);
}

static unsigned nr_triggered;

/* A checksum over the rest, in the last word. */
static void trigger(const struct jbd2_buffer_trigger_type *type, struct buffer_head *bh, void *data,
		    size_t size)
{
	u32 crc = crc32c(0, data, size - 4);

	memcpy((u8 *)data + size - 4, &crc, 4);
	nr_triggered++;
}

static const struct jbd2_buffer_trigger_type trigger_type = {.t_frozen = trigger};

static void change_byte(struct client *c, struct buffer_head *bh, u8 value)
{
	handle_t *handle;

	assert_int_equal(jbd2_journal_start(c->journal, 1, 0, 0, &handle), 0);
	assert_int_equal(jbd2_journal_get_write_access(handle, bh), 0);
	jbd2_journal_set_triggers(bh, &trigger_type);
	((u8 *)bh->b_data)[100] = value;
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh), 0);
	assert_int_equal(jbd2_journal_stop(handle), 0);
}

/* However often a block is changed, its trigger runs once for each commit; and the place gets what it made.
 */
static void test_triggers(void **state)
{
	struct client c;
	struct buffer_head *bh;
	u8 block[1024];
	u32 crc;

	rules_start(&c);
	nr_triggered = 0;
	assert_int_equal(bread(c.bdev, CLIENT_FIRST, 1024, NULL, NULL, 0, &bh), 0);
	for (u8 i = 0; i < 9; i++) {
		change_byte(&c, bh, i);
		if (i % 3 == 2)
			assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	}
	assert_int_equal(nr_triggered, 3);
	brelse(bh);
	assert_int_equal(client_destroy(&c), 0);
	assert_int_equal(disk_read(c.bdev, CLIENT_FIRST * 2, block, 1024), 0);
	memcpy(&crc, block + 1020, 4);
	assert_int_equal(block[100], 8);
	assert_int_equal(crc, crc32c(0, block, 1020));
	rules_stop(&c);
}

struct noted {
	struct jbd2_commit_callback callback;
	int called, err;
};

static void note(journal_t *journal, struct jbd2_commit_callback *callback, int err)
{
	struct noted *noted = container_of(callback, struct noted, callback);

	noted->called++;
	noted->err = err;
}

static void add_callback(struct client *c, struct noted *noted)
{
	handle_t *handle;

	*noted = (struct noted){.callback = {.func = note}};
	assert_int_equal(jbd2_journal_start(c->journal, 1, 0, 0, &handle), 0);
	jbd2_journal_callback_add(handle, &noted->callback);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	assert_int_equal(noted->called, 0);
}

/* An abort is told to callbacks and to everybody after it, and is kept on the disk until it is cleared. */
static void test_abort(void **state)
{
	struct client c;
	struct noted good, bad;
	handle_t *handle;

	rules_start(&c);
	add_callback(&c, &good);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	assert_int_equal(good.called, 1);
	assert_int_equal(good.err, 0);
	add_callback(&c, &bad);
	assert_int_equal(jbd2_journal_start(c.journal, 1, 0, 0, &handle), 0);
	assert_false(is_handle_aborted(handle));
	jbd2_journal_abort(c.journal, -EBADMSG);
	jbd2_journal_abort(c.journal, -EIO);
	assert_true(is_handle_aborted(handle));
	assert_int_equal(jbd2_journal_extend(handle, 1, 0), -EROFS);
	assert_int_equal(jbd2_journal_restart(handle, 1, 0), -EROFS);
	assert_int_equal(jbd2_journal_stop(handle), -EROFS);
	assert_int_equal(jbd2_journal_start(c.journal, 1, 0, 0, &handle), -EROFS);
	assert_int_equal(jbd2_journal_force_commit(c.journal), -EIO);
	assert_int_equal(bad.called, 1);
	assert_int_equal(bad.err, -EIO);
	assert_int_equal(jbd2_journal_clear_err(c.journal), -EROFS);
	assert_int_equal(client_destroy(&c), -EIO);
	assert_int_equal(client_load(&c, 9), 0);
	assert_int_equal(jbd2_journal_errno(c.journal), -EBADMSG);
	assert_int_equal(jbd2_journal_clear_err(c.journal), 0);
	assert_int_equal(client_destroy(&c), 0);
	assert_int_equal(client_load(&c, 9), 0);
	assert_int_equal(jbd2_journal_errno(c.journal), 0);
	assert_int_equal(client_destroy(&c), 0);
	rules_stop(&c);
}

/* Calls of the file system for ordered data, which take a while; and a truncation meanwhile. */
static struct ordered {
	struct jbd2_inode inode;
	journal_t *journal;
	struct work_struct truncate;
	u32 nr_submit, nr_finish;
	u64 start, end;
	int err;
} ordered;

static int ordered_submit(struct jbd2_inode *jinode, u64 start, u64 end)
{
	ordered.nr_submit++;
	ordered.start = start;
	ordered.end = end;
	if (ordered.nr_submit == 1) {
		assert_int_equal(start, 100);
		assert_int_equal(end, 8192 + 4096 - 1);
		queue_work(current->machine->system_wq, &ordered.truncate);
		sleep_ns(NSEC_PER_MSEC);
	}
	return ordered.err;
}

static int ordered_finish(struct jbd2_inode *jinode, u64 start, u64 end)
{
	ordered.nr_finish++;
	return 0;
}

static const struct jbd2_journal_ops ordered_ops = {ordered_submit, ordered_finish, NULL};

static void ordered_truncate(struct work_struct *work)
{
	assert_int_equal(ordered.nr_submit, 1);
	assert_int_equal(jbd2_journal_begin_ordered_truncate(ordered.journal, &ordered.inode, 5000), 0);
	assert_int_equal(ordered.nr_submit, 2);
	assert_int_equal(ordered.start, 5000);
	assert_int_equal(ordered.end, INT64_MAX);
}

static void add_ordered(journal_t *journal, u64 start, u64 length)
{
	handle_t *handle;

	assert_int_equal(jbd2_journal_start(journal, 1, 0, 0, &handle), 0);
	jbd2_journal_inode_ranged_write(handle, &ordered.inode, start, length);
	assert_int_equal(jbd2_journal_stop(handle), 0);
}

/*
 * Data of all ranges of a transaction is written before it commits; a truncation that comes meanwhile has the
 * rest written first. Data that cannot be written does not keep the metadata from the disk.
 */
static void test_ordered_data(void **state)
{
	struct client c;

	client_machine(&c, 0, 5, 64 << 20);
	client_format(&c, "ram:%uK", 1024, 0);
	c.ops = &ordered_ops;
	assert_int_equal(client_load(&c, 7), 0);
	memset(&ordered, 0, sizeof(ordered));
	ordered.journal = c.journal;
	jbd2_journal_init_jbd_inode(&ordered.inode, &ordered);
	INIT_WORK(&ordered.truncate, ordered_truncate);
	add_ordered(c.journal, 8192, 4096);
	add_ordered(c.journal, 100, 10);
	assert_int_equal(jbd2_journal_begin_ordered_truncate(c.journal, &ordered.inode, 0), 0);
	assert_int_equal(ordered.nr_submit, 0);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	flush_work(&ordered.truncate);
	assert_int_equal(ordered.nr_submit, 2);
	assert_int_equal(ordered.nr_finish, 1);
	ordered.err = -EIO;
	add_ordered(c.journal, 7, 7);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	assert_int_equal(ordered.nr_submit, 3);
	assert_int_equal(ordered.start, 7);
	assert_int_equal(ordered.end, 13);
	/* An inode that has gone is not asked for. */
	add_ordered(c.journal, 7, 7);
	jbd2_journal_release_jbd_inode(c.journal, &ordered.inode);
	assert_int_equal(client_destroy(&c), 0);
	assert_int_equal(ordered.nr_submit, 3);
	rules_stop(&c);
}

/* A buffer in the journal stays in memory; once it is written to its place, nothing keeps it. */
static void test_written_buffers_go(void **state)
{
	const struct change changes[] = {{0, META}, {40, META}};
	struct client c;

	rules_start(&c);
	drop_caches(c.machine);
	assert_int_equal(c.bdev->bd_mapping->nrpages, 0);
	assert_int_equal(client_do(&c, changes, 2, false), 0);
	drop_caches(c.machine);
	assert_int_equal(c.bdev->bd_mapping->nrpages, 2);
	assert_int_equal(filemap_write_and_wait(c.bdev->bd_mapping), 0);
	assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
	drop_caches(c.machine);
	assert_int_equal(c.bdev->bd_mapping->nrpages, 2);
	assert_int_equal(filemap_write_and_wait(c.bdev->bd_mapping), 0);
	drop_caches(c.machine);
	assert_int_equal(c.bdev->bd_mapping->nrpages, 0);
	assert_int_equal(client_destroy(&c), 0);
	rules_stop(&c);
}

/* A commit is one flush and one FUA write; moving the tail, lap after lap, adds little to that. */
static void test_few_flushes(void **state)
{
	const struct change change = {7, META};
	struct write_log_entry e;
	struct write_log *log;
	struct client c;
	u32 flushes = 0, fua = 0;

	client_machine(&c, 0, 5, 64 << 20);
	client_format(&c, "log+ram:%uK", 1024, 0);
	assert_int_equal(client_load(&c, 7), 0);
	assert_int_equal(write_log_get(c.machine, NULL, &log), 0);
	write_log_clear(log);
	for (u32 i = 0; i < 2000; i++)
		assert_int_equal(client_do(&c, &change, 1, true), 0);
	for (size_t i = 0; write_log_entry(log, i, &e) == 0; i++) {
		flushes += e.op == WRITE_LOG_FLUSH;
		fua += e.op == WRITE_LOG_WRITE && e.fua;
	}
	assert_in_range(flushes, 2000, 2040);
	assert_in_range(fua, 2000, 2040);
	write_log_put(log);
	assert_int_equal(client_destroy(&c), 0);
	rules_stop(&c);
}

#define MANY_LOG    4096u
#define MANY_BLOCKS 6000u

static int many_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	*pblk = jblk;
	*len = max;
	return 0;
}

static struct address_space *flushed;

static void flush_dirtied(struct address_space *mapping)
{
	flushed = mapping;
}

static void flush_error(struct address_space *mapping, int err) {}

static unsigned long flush_write(struct shale *machine, unsigned long nr_pages)
{
	struct writeback_control wbc = {.nr_to_write = (long)nr_pages, .range_end = (u64)INT64_MAX};

	(void)do_writepages(flushed, &wbc);
	return nr_pages - (unsigned long)max(wbc.nr_to_write, 0l);
}

static const struct flusher_ops flush_ops = {flush_dirtied, flush_error, flush_write};

static void many_change(struct client *c, u32 block)
{
	struct buffer_head *bh;
	handle_t *handle;

	assert_int_equal(jbd2_journal_start(c->journal, 1, 0, 0, &handle), 0);
	assert_int_equal(bread(c->bdev, MANY_LOG + block, 4096, NULL, NULL, 0, &bh), 0);
	assert_int_equal(jbd2_journal_get_write_access(handle, bh), 0);
	client_stamp(bh->b_data, 4096, block, block + 1);
	assert_int_equal(jbd2_journal_dirty_metadata(handle, bh), 0);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	brelse(bh);
}

/* Six times as many blocks are changed as the machine has memory for: it stays within its limit. */
static void test_short_memory(void **state)
{
	struct jbd2_super_block sb = {
		.s_header = {cpu_to_be32(JBD2_MAGIC), cpu_to_be32(JBD2_SUPERBLOCK_V2), cpu_to_be32(0)},
		.s_blocksize = cpu_to_be32(4096),
		.s_maxlen = cpu_to_be32(MANY_LOG),
		.s_first = cpu_to_be32(1),
	};
	struct jbd2_place place = {.name = "d",
				   .block_size = 4096,
				   .nr_blocks = MANY_LOG,
				   .volume_blocks = MANY_LOG + MANY_BLOCKS,
				   .write = true,
				   .map = many_map};
	const struct jbd2_journal_options options = {.ops = NULL};
	struct client c;
	struct jbd2_journal *log;
	u8 block[4096] = {0};
	char why[192];

	client_machine(&c, 0, 5, 4 << 20);
	cache_set_flusher(c.machine, &flush_ops);
	place.bdev = c.bdev = disk_open(c.machine, "d", "ram:40M", 0);
	assert_int_equal(set_blocksize(c.bdev, 4096), 0);
	memcpy(block, &sb, sizeof(sb));
	assert_int_equal(disk_write(c.bdev, 0, block, 4096), 0);
	assert_int_equal(jbd2_journal_open(&place, why, sizeof(why), &log), 0);
	assert_int_equal(jbd2_journal_load(log, &options, 1, &c.journal), 0);
	for (u32 i = 0; i < MANY_BLOCKS; i++) {
		many_change(&c, i);
		/* Pools take their slabs without asking. */
		assert_true(cache_pages_used(c.machine->cache) <= (4 << 20 >> PAGE_SHIFT) * 105 / 100);
	}
	assert_int_equal(jbd2_journal_destroy(c.journal), 0);
	for (u32 i = 0; i < MANY_BLOCKS; i++) {
		assert_int_equal(disk_read(c.bdev, (MANY_LOG + i) * 8ull, block, 4096), 0);
		assert_true(client_is(block, 4096, i, i + 1));
	}
	rules_stop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credits),      cmocka_unit_test(test_undo),
		cmocka_unit_test(test_triggers),     cmocka_unit_test(test_abort),
		cmocka_unit_test(test_ordered_data), cmocka_unit_test(test_written_buffers_go),
		cmocka_unit_test(test_few_flushes),  cmocka_unit_test(test_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
