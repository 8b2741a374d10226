/* SPDX-License-Identifier: MIT */
/*
 * The writing journal when things fail, row J1: each allocation, each write, each flush; and transactions
 * larger than a part of its memory for the log.
 */
#include "jbd2_client.h"

#include "base/seq_file.h"

/* A fixed run of operations, with syncs; goes on over errors. How many operations were done, and synced. */
struct run {
	struct model after[64];
	u32 nr, synced;
	int errors;
};

static void run_ops(struct client *c, struct run *run, u64 seed)
{
	u64 random = seed;

	memset(run, 0, sizeof(*run));
	run->after[0] = c->now;
	for (u32 i = 0; i < 24; i++) {
		struct change changes[CLIENT_CHANGES];
		u32 nr = 1 + splitmix64(&random) % CLIENT_CHANGES,
		    first = splitmix64(&random) % CLIENT_BLOCKS;
		bool sync = i % 5 == 4;
		int err;

		for (u32 j = 0; j < nr; j++)
			changes[j] = (struct change){(first + j * 5) % CLIENT_BLOCKS,
						     j && splitmix64(&random) % 4 == 0 ? FREED : META};
		for (u32 j = 0; j < nr; j++)
			if (c->now.kind[changes[j].nr] != META)
				changes[j].to = META;
		err = client_do(c, changes, nr, sync);
		run->errors += err != 0;
		run->after[++run->nr] = c->now;
		if (!err && sync)
			run->synced = run->nr;
		if (i % 7 == 6)
			sleep_ns(6 * NSEC_PER_SEC);
		if (i % 9 == 8 && jbd2_journal_flush(c->journal) == 0)
			run->synced = run->nr;
	}
}

static bool disk_is(struct client *c, const struct model *m)
{
	u8 *block = kmalloc(NULL, c->block_size);
	bool same = true;

	for (u32 nr = 0; same && nr < CLIENT_BLOCKS; nr++) {
		assert_int_equal(disk_read(c->bdev, (CLIENT_FIRST + nr) * (u64)(c->block_size / 512), block,
					   c->block_size),
				 0);
		same = m->kind[nr] != META || client_is(block, c->block_size, nr, m->version[nr]);
	}
	kfree(block);
	return same;
}

static void recover(struct client *c)
{
	struct jbd2_recovery found;
	struct jbd2_journal *log;
	char why[192] = "";

	assert_int_equal(client_open(c, c->bdev, &log), 0);
	if (jbd2_recover_device(log, &found, why, sizeof(why)))
		fail_msg("%s", why);
	jbd2_journal_close(log);
}

static void expect_prefix(struct client *c, const struct run *run, const char *what, u64 n)
{
	recover(c);
	for (u32 op = run->synced; op <= run->nr; op++)
		if (disk_is(c, &run->after[op]))
			return;
	fail_msg("%s %llu: not a state of the first %u operations or more", what, (unsigned long long)n,
		 run->synced);
}

static void test_every_allocation_fails(void **state)
{
	bool more = true;

	for (u64 n = 1; more; n += 1 + n / 40) {
		struct client c;
		struct run run;
		int err;

		client_machine(&c, 0, 5, 64 << 20);
		client_format(&c, "ram:%uK", 1024, JBD2_FEATURE_INCOMPAT_CSUM_V3);
		alloc_fail_set(c.machine, ALLOC_FAIL_NTH, n, 0);
		err = client_load(&c, 7);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			more = alloc_fail_injected(c.machine);
			alloc_fail_clear(c.machine);
			assert_int_equal(client_load(&c, 7), 0);
		}
		run_ops(&c, &run, 9);
		more = alloc_fail_injected(c.machine);
		alloc_fail_clear(c.machine);
		assert_true(run.errors <= 1);
		assert_false(is_journal_aborted(c.journal));
		assert_int_equal(client_destroy(&c), 0);
		run.synced = run.nr;
		expect_prefix(&c, &run, "allocation", n);
		disk_close(c.machine, c.bdev);
		client_machine_stop(&c);
	}
}

/* The nth request of that kind fails, once or from then on. */
static bool fail_request(const char *op, u32 n, bool once)
{
	struct client c;
	struct run run;
	struct seq_file m;
	char rule[96];
	bool hit;
	int err;

	client_machine(&c, 0, 5, 64 << 20);
	client_format(&c, "fault+ram:%uK", 1024, JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT);
	assert_int_equal(client_load(&c, 7), 0);
	snprintf(rule, sizeof(rule), "add op=%s,error=EIO,skip=%u,count=%d", op, n, once ? 1 : 0);
	for (char *p = rule + 4; *p; p++)
		if (*p == ',')
			*p = ' ';
	assert_int_equal(disk_control_store(c.machine, "d", "fault", rule), 0);
	run_ops(&c, &run, 9);
	err = client_destroy(&c);
	assert_true(err == 0 || err == -EIO || err == -EROFS);
	if (!err)
		run.synced = run.nr;
	seq_text_init(&m, c.machine);
	assert_int_equal(disk_control_show(c.machine, "d", "fault", &m), 0);
	hit = !strstr(seq_text(&m), "hits=0");
	seq_text_free(&m);
	assert_int_equal(disk_control_store(c.machine, "d", "fault", "clear"), 0);
	/* The device's page cache may be newer than what came to the disk. */
	expect_prefix(&c, &run, op, n);
	disk_close(c.machine, c.bdev);
	client_machine_stop(&c);
	return hit;
}

static void test_every_write_fails(void **state)
{
	for (u32 once = 0; once < 2; once++) {
		for (u32 n = 0; fail_request("write", n, once); n++)
			assert_true(n < 1000);
		for (u32 n = 0; fail_request("flush", n, once); n++)
			assert_true(n < 1000);
	}
}

/* Many blocks in one transaction, over several chunks and descriptors; then the log goes round. */
static void test_large_transactions(void **state)
{
	static const u32 sizes[] = {1024, 4096, 65536};

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct client c;
		u32 size = sizes[i];

		client_machine(&c, 0, 5, 256 << 20);
		client_format(&c, "ram:%uK", size, JBD2_FEATURE_INCOMPAT_CSUM_V3);
		assert_int_equal(client_load(&c, 7), 0);
		for (u32 round = 0; round < 60; round++) {
			for (u32 nr = 0; nr < CLIENT_BLOCKS; nr += CLIENT_CHANGES / 2) {
				struct change changes[CLIENT_CHANGES / 2];

				for (u32 j = 0; j < CLIENT_CHANGES / 2; j++)
					changes[j] = (struct change){nr + j, META};
				assert_int_equal(client_do(&c, changes, CLIENT_CHANGES / 2, false), 0);
			}
			assert_int_equal(jbd2_journal_force_commit(c.journal), 0);
		}
		assert_int_equal(client_destroy(&c), 0);
		assert_true(disk_is(&c, &c.now));
		disk_close(c.machine, c.bdev);
		client_machine_stop(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_transactions),
		cmocka_unit_test(test_every_allocation_fails),
		cmocka_unit_test(test_every_write_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
