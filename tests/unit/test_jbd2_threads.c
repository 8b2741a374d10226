/* SPDX-License-Identifier: MIT */
/*
 * The writing journal under several threads, row J1: operations that change, free and take back shared
 * blocks, beside commits, flushes, writes of the device's page cache, reclaim and locked updates; then the
 * disk is what the threads left.
 */
#include "jbd2_client.h"

#include "base/mutex.h"
#include "cache/cache.h"

#define WORKERS 4u

struct shared {
	struct client c;
	struct mutex blocks[CLIENT_BLOCKS];
	u32 version[CLIENT_BLOCKS]; /* these two under the block's mutex */
	bool freed[CLIENT_BLOCKS];
	u32 rounds;
	atomic_t next_thread, running;
};

/* Changes the block, or takes it back if it was freed; now and then frees it. Its mutex is held. */
static int change_block(struct shared *s, handle_t *handle, u32 nr, u32 version, bool to_free)
{
	struct client *c = &s->c;
	struct buffer_head *bh;
	int err = s->freed[nr] ? getblk(c->bdev, CLIENT_FIRST + nr, c->block_size, &bh)
			       : bread(c->bdev, CLIENT_FIRST + nr, c->block_size, NULL, NULL, 0, &bh);

	if (err)
		return err;
	if (to_free && !s->freed[nr]) {
		err = jbd2_journal_revoke(handle, bh->b_blocknr, bh);
		s->freed[nr] = true;
		brelse(bh);
		return err;
	}
	err = s->freed[nr] ? jbd2_journal_get_create_access(handle, bh)
			   : jbd2_journal_get_write_access(handle, bh);
	if (!err) {
		client_stamp(bh->b_data, c->block_size, nr, version);
		buffer_set_uptodate(bh);
		err = jbd2_journal_dirty_metadata(handle, bh);
	}
	s->freed[nr] = false;
	s->version[nr] = version;
	brelse(bh);
	return err;
}

static void do_change(struct shared *s, u64 *random, u32 version)
{
	u32 first = splitmix64(random) % (CLIENT_BLOCKS - 4), nr = 1 + splitmix64(random) % 4;
	handle_t *handle;

	for (u32 i = first; i < first + nr; i++)
		mutex_lock(&s->blocks[i]);
	assert_int_equal(jbd2_journal_start(s->c.journal, nr, nr, 0, &handle), 0);
	for (u32 i = first; i < first + nr; i++)
		assert_int_equal(change_block(s, handle, i, version, splitmix64(random) % 8 == 0), 0);
	if (splitmix64(random) % 4 == 0)
		jbd2_journal_inode_ranged_write(handle, &s->c.inode, CLIENT_ORDERED * (u64)s->c.block_size,
						s->c.block_size);
	assert_int_equal(jbd2_journal_stop(handle), 0);
	for (u32 i = first; i < first + nr; i++)
		mutex_unlock(&s->blocks[i]);
}

static void work(struct shared *s, u32 thread)
{
	u64 random = thread;

	for (u32 i = 0; i < s->rounds; i++) {
		do_change(s, &random, thread << 20 | i);
		if (splitmix64(&random) % 16 == 0)
			assert_int_equal(jbd2_journal_force_commit(s->c.journal), 0);
	}
	atomic_dec(&s->running);
}

static void disturb(struct shared *s)
{
	journal_t *journal = s->c.journal;

	while (atomic_read(&s->running)) {
		jbd2_journal_lock_updates(journal);
		assert_int_equal(jbd2_journal_flush(journal), 0);
		jbd2_journal_unlock_updates(journal);
		assert_int_equal(filemap_write_and_wait(s->c.bdev->bd_mapping), 0);
		drop_caches(s->c.machine);
		sleep_ns(NSEC_PER_MSEC);
	}
}

static void thread_main(void *arg)
{
	struct shared *s = arg;
	u32 thread = (u32)atomic_fetch_add(1, &s->next_thread);

	if (thread < WORKERS)
		work(s, thread);
	else
		disturb(s);
}

static void test_threads(void **state)
{
	static struct shared s;
	u8 block[1024];

	client_machine(&s.c, 2, 5, 64 << 20);
	client_format(&s.c, "ram:%uK", 1024, JBD2_FEATURE_INCOMPAT_CSUM_V3);
	s.c.options.max_transaction = 60;
	s.c.options.commit_interval = NSEC_PER_MSEC;
	assert_int_equal(client_load(&s.c, 7), 0);
	for (u32 i = 0; i < CLIENT_BLOCKS; i++)
		mutex_init(&s.blocks[i]);
	s.rounds = getenv("SHALE_JBD2_ROUNDS") ? (u32)atoi(getenv("SHALE_JBD2_ROUNDS")) : 1500;
	atomic_set(&s.next_thread, 0);
	atomic_set(&s.running, WORKERS);
	test_run_threads(s.c.machine, WORKERS + 1, thread_main, &s);
	assert_int_equal(client_destroy(&s.c), 0);
	for (u32 i = 0; i < CLIENT_BLOCKS; i++) {
		if (s.freed[i])
			continue;
		assert_int_equal(disk_read(s.c.bdev, (CLIENT_FIRST + i) * 2, block, 1024), 0);
		assert_true(client_is(block, 1024, i, s.version[i]));
	}
	disk_close(s.c.machine, s.c.bdev);
	client_machine_stop(&s.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
