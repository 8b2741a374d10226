/* SPDX-License-Identifier: MIT */
/*
 * The writing journal, row J1 (transactions, commit, checkpoint, revoke): random operations over a log that
 * is cut off at every write, with what was not flushed there or not, and then recovered: the blocks must be
 * as after some operation, none that was waited for missing, and what was freed and used as data untouched.
 */
#include "jbd2_client.h"

#include "drivers/write_log.h"

#define MAX_OPS 700u

struct history {
	struct client c;
	struct write_log *log;
	u32 nr_ops;
	struct model after[MAX_OPS + 1]; /* [0]: before the first */
	struct {
		size_t entry; /* of the write log: all before it had ended when it was seen */
		u32 op;       /* operations [0, op) are on stable storage */
	} synced[MAX_OPS];
	u32 nr_synced;
	/* Blocks that were freed, committed, and written in place. */
	struct {
		u32 nr, version, op; /* since this operation, until it is changed by a later one */
		size_t entry;
	} data[MAX_OPS];
	u32 nr_data;
};

static struct history the_history;

static void note_sync(struct history *h)
{
	h->synced[h->nr_synced].entry = write_log_count(h->log);
	h->synced[h->nr_synced++].op = h->nr_ops;
}

static u32 pick_block(struct client *c, u32 taken, const struct change *changes)
{
	for (;;) {
		u32 nr = prandom_below(c->machine, CLIENT_BLOCKS), i;

		for (i = 0; i < taken && changes[i].nr != nr; i++)
			;
		if (i == taken)
			return nr;
	}
}

static void random_op(struct history *h, bool sync)
{
	struct client *c = &h->c;
	struct change changes[CLIENT_CHANGES];
	u32 nr = 1 + prandom_below(c->machine, CLIENT_CHANGES);

	for (u32 i = 0; i < nr; i++) {
		changes[i].nr = pick_block(c, i, changes);
		changes[i].to = c->now.kind[changes[i].nr] == META && prandom_below(c->machine, 6) == 0
					? FREED
					: META;
		/* The first makes the operation different from all before. */
		if (!i)
			changes[i].to = META;
	}
	assert_int_equal(client_do(c, changes, nr, sync), 0);
	h->after[++h->nr_ops] = c->now;
}

/* Blocks whose freeing is committed become data, written in place. */
static void use_as_data(struct history *h)
{
	struct client *c = &h->c;
	u8 *block = kmalloc(NULL, c->block_size);

	for (u32 nr = 0; nr < CLIENT_BLOCKS; nr++) {
		if (c->now.kind[nr] != FREED || prandom_below(c->machine, 2))
			continue;
		c->now.kind[nr] = DATA;
		c->now.version[nr] = ++c->version;
		client_stamp(block, c->block_size, nr, c->version);
		assert_int_equal(disk_io(c->bdev, REQ_OP_WRITE | REQ_FUA,
					 (CLIENT_FIRST + nr) * (u64)(c->block_size / 512), block,
					 c->block_size),
				 0);
		h->data[h->nr_data].nr = nr;
		h->data[h->nr_data].version = c->version;
		h->data[h->nr_data].op = h->nr_ops;
		h->data[h->nr_data++].entry = write_log_count(h->log);
	}
	kfree(block);
}

/* Operations while a commit is under way: the next transaction takes buffers that it is writing. */
struct meanwhile {
	struct work_struct work;
	struct history *h;
};

static void meanwhile_work(struct work_struct *work)
{
	struct history *h = container_of(work, struct meanwhile, work)->h;

	for (u32 i = 1 + prandom_below(h->c.machine, 3); i && h->nr_ops < MAX_OPS; i--) {
		random_op(h, false);
		cond_resched();
	}
}

static void commit_with_others(struct history *h)
{
	struct meanwhile m = {.h = h};
	u32 op = h->nr_ops;

	INIT_WORK(&m.work, meanwhile_work);
	queue_work(h->c.machine->system_wq, &m.work);
	assert_int_equal(jbd2_journal_force_commit(h->c.journal), 0);
	h->synced[h->nr_synced].entry = write_log_count(h->log);
	h->synced[h->nr_synced++].op = op;
	flush_work(&m.work);
}

static void random_history(struct history *h, u32 nr_ops)
{
	struct client *c = &h->c;

	while (h->nr_ops < nr_ops) {
		bool sync = prandom_below(c->machine, 8) == 0;

		random_op(h, sync);
		if (!sync && prandom_below(c->machine, 10) == 0) {
			sync = true;
			assert_int_equal(jbd2_journal_force_commit(c->journal), 0);
		}
		if (sync) {
			note_sync(h);
			if (h->nr_data + CLIENT_BLOCKS < MAX_OPS)
				use_as_data(h);
		}
		if (prandom_below(c->machine, 6) == 0)
			commit_with_others(h);
		if (prandom_below(c->machine, 12) == 0)
			sleep_ns(2 * NSEC_PER_SEC);
		if (prandom_below(c->machine, 30) == 0)
			assert_int_equal(filemap_write_and_wait(c->bdev->bd_mapping), 0);
	}
}

static void history_begin(struct history *h, const char *uri, u64 seed, u32 block_size, u32 incompat,
			  u32 max_transaction)
{
	memset(h, 0, sizeof(*h));
	client_machine(&h->c, 0, seed, 64 << 20);
	client_format(&h->c, uri, block_size, incompat);
	h->c.options.max_transaction = max_transaction;
	assert_int_equal(client_load(&h->c, 0xfffffff0u), 0);
	assert_int_equal(write_log_get(h->c.machine, NULL, &h->log), 0);
	write_log_clear(h->log);
	h->after[0] = h->c.now;
}

static void history_end(struct history *h)
{
	write_log_put(h->log);
	disk_close(h->c.machine, h->c.bdev);
	client_machine_stop(&h->c);
}

/*
 * The states that a cut may leave. `sure` is what is on stable storage; of the writes in `maybe`, oldest
 * first, any may be there.
 */
struct states {
	struct history *h;
	u8 *sure, *state;
	size_t *maybe;
	size_t nr_maybe, bytes;
	struct block_device *bdev; /* where a state is put, to be recovered */
	u64 nr_states;
};

static void apply(u8 *image, const struct write_log_entry *e)
{
	if (e->op == WRITE_LOG_WRITE)
		memcpy(image + e->sector * 512, e->data, e->bytes);
}

static struct write_log_entry entry_of(struct history *h, size_t i)
{
	struct write_log_entry e;

	assert_int_equal(write_log_entry(h->log, i, &e), 0);
	return e;
}

static bool overlap(const struct write_log_entry *a, const struct write_log_entry *b)
{
	return a->sector < b->sector + b->bytes / 512 && b->sector < a->sector + a->bytes / 512;
}

/* A write that is sure takes the place of older ones that are not. */
static size_t drop_older(struct states *s, size_t kept, const struct write_log_entry *sure)
{
	size_t left = 0;

	for (size_t i = 0; i < kept; i++) {
		struct write_log_entry e = entry_of(s->h, s->maybe[i]);

		if (!overlap(&e, sure))
			s->maybe[left++] = s->maybe[i];
	}
	return left;
}

/* A counter reading `now` has been reached: moves to `sure` what a flush that ended before promises. */
static void settle(struct states *s, size_t upto)
{
	struct history *h = s->h;
	u64 now = entry_of(h, upto).started, promised = 0;
	size_t kept = 0;

	for (size_t i = 0; i < upto; i++) {
		struct write_log_entry e = entry_of(h, i);

		if (e.op == WRITE_LOG_FLUSH && e.ended && e.ended < now && !e.status)
			promised = max(promised, e.started);
	}
	for (size_t i = 0; i < s->nr_maybe; i++) {
		struct write_log_entry e = entry_of(h, s->maybe[i]);

		if (e.ended && (e.ended < promised || (e.fua && e.ended < now && !e.status))) {
			apply(s->sure, &e);
			kept = drop_older(s, kept, &e);
		} else
			s->maybe[kept++] = s->maybe[i];
	}
	s->nr_maybe = kept;
}

static int put_replayed(void *ctx, u64 block, u64 pblk, bool escaped)
{
	struct states *s = ctx;
	u32 size = s->h->c.block_size;

	memcpy(s->state + block * size, s->state + pblk * size, size);
	if (escaped)
		put_unaligned_be32(JBD2_MAGIC, s->state + block * size);
	return 0;
}

/* The blocks before the recovery, for those that are revoked. */
struct undo {
	struct states *s;
	u8 *before;
};

static int undo_replay(void *ctx, u64 block, u64 pblk, bool escaped)
{
	return put_replayed(((struct undo *)ctx)->s, block, pblk, escaped);
}

static int undo_revoke(void *ctx, u64 block)
{
	struct undo *u = ctx;
	u32 size = u->s->h->c.block_size;

	memcpy(u->s->state + block * size, u->before + block * size, size);
	return 0;
}

static const struct jbd2_recovery_ops undo_ops = {.replay = undo_replay, .revoke = undo_revoke};

static void recover_state(struct states *s)
{
	struct client *c = &s->h->c;
	struct undo u = {.s = s, .before = kmemdup(NULL, s->state, s->bytes)};
	struct jbd2_recovery found;
	struct jbd2_journal *log;
	char why[192] = "";

	assert_int_equal(disk_write(s->bdev, 0, s->state, s->bytes), 0);
	assert_int_equal(client_open(c, s->bdev, &log), 0);
	if (jbd2_recover(log, &undo_ops, &u, &found, why, sizeof(why)))
		fail_msg("%s", why);
	jbd2_journal_close(log);
	kfree(u.before);
}

/* Are the blocks as after `op` operations? */
static bool state_is(struct states *s, u32 op)
{
	const struct model *m = &s->h->after[op];
	u32 size = s->h->c.block_size;

	for (u32 nr = 0; nr < CLIENT_BLOCKS; nr++)
		if (m->kind[nr] == META &&
		    !client_is(s->state + (CLIENT_FIRST + nr) * (size_t)size, size, nr, m->version[nr]))
			return false;
	return true;
}

/* The ordered block is whole, and not older than the metadata. */
static bool ordered_is(struct states *s, u32 op)
{
	const u8 *block = s->state + CLIENT_ORDERED * (size_t)s->h->c.block_size;
	u32 version = ((const u32 *)block)[2];

	return client_is(block, s->h->c.block_size, CLIENT_BLOCKS, version) &&
	       version >= s->h->after[op].ordered;
}

/* Data that was written before this entry is there, if the block is that data after `op` operations. */
static bool data_is(struct states *s, size_t entry, u32 op)
{
	struct history *h = s->h;
	u32 size = h->c.block_size;

	for (u32 i = 0; i < h->nr_data; i++) {
		u32 nr = h->data[i].nr, version = h->data[i].version;
		bool is = op == h->data[i].op ||
			  (h->after[op].kind[nr] == DATA && h->after[op].version[nr] == version);

		if (h->data[i].entry > entry || !is)
			continue;
		if (!client_is(s->state + (CLIENT_FIRST + nr) * (size_t)size, size, nr, version))
			return false;
	}
	return true;
}

static void check_state(struct states *s, size_t entry)
{
	struct history *h = s->h;
	u32 least = 0;

	recover_state(s);
	s->nr_states++;
	for (u32 i = 0; i < h->nr_synced; i++)
		if (h->synced[i].entry <= entry)
			least = h->synced[i].op;
	for (u32 op = least; op <= h->nr_ops; op++)
		if (state_is(s, op) && data_is(s, entry, op) && ordered_is(s, op))
			return;
	fail_msg("cut at entry %zu: no state of the first %u operations or more", entry, least);
}

/* Cuts at every nth entry and at the last: all there, nothing there, and some of it. */
static void check_cuts(struct history *h, const u8 *start, size_t bytes, u32 nth)
{
	struct states s = {.h = h, .bytes = bytes};
	size_t n = write_log_count(h->log);
	char uri[32];

	snprintf(uri, sizeof(uri), "ram:%zu", bytes);
	write_log_enable(h->log, false);
	s.bdev = disk_open(h->c.machine, "s", uri, 0);
	s.sure = kmemdup(NULL, start, bytes);
	s.state = kmalloc(NULL, bytes);
	s.maybe = kmalloc_array(NULL, n, sizeof(size_t));
	for (size_t i = 0; i < n; i++) {
		if (entry_of(h, i).op == WRITE_LOG_WRITE)
			s.maybe[s.nr_maybe++] = i;
		settle(&s, i);
		if (i + 1 < n && prandom_below(h->c.machine, nth))
			continue;
		for (u32 way = 0; way < 4; way++) {
			memcpy(s.state, s.sure, bytes);
			for (size_t j = 0; j < s.nr_maybe; j++) {
				struct write_log_entry e = entry_of(h, s.maybe[j]);

				if (way == 0 || (way > 1 && prandom_below(h->c.machine, way)))
					apply(s.state, &e);
			}
			check_state(&s, i);
		}
	}
	disk_close(h->c.machine, s.bdev);
	kfree(s.sure);
	kfree(s.state);
	kfree(s.maybe);
}

static u8 *read_disk(struct client *c, size_t bytes)
{
	u8 *image = kmalloc(NULL, bytes);

	assert_int_equal(disk_read(c->bdev, 0, image, bytes), 0);
	return image;
}

/* What begins like a block of the log is one. */
static void expect_escaped(const u8 *image, u32 block_size)
{
	for (u32 jblk = 1; jblk < CLIENT_LOG; jblk++) {
		const u8 *block = image + client_map_block(jblk) * block_size;
		u32 type = get_unaligned_be32(block + 4);

		if (get_unaligned_be32(block) == JBD2_MAGIC)
			assert_true(type == JBD2_DESCRIPTOR_BLOCK || type == JBD2_COMMIT_BLOCK ||
				    type == JBD2_REVOKE_BLOCK);
	}
}

static void expect_final(struct client *c)
{
	size_t bytes = (size_t)CLIENT_VOLUME * c->block_size;
	u8 *image = read_disk(c, bytes);
	const struct jbd2_super_block *sb = (void *)(image + client_map_block(0) * c->block_size);

	assert_int_equal(be32_to_cpu(sb->s_start), 0);
	expect_escaped(image, c->block_size);
	for (u32 nr = 0; nr < CLIENT_BLOCKS; nr++)
		if (c->now.kind[nr] != FREED)
			assert_true(client_is(image + (CLIENT_FIRST + nr) * (size_t)c->block_size,
					      c->block_size, nr, c->now.version[nr]));
	kfree(image);
}

static const u32 formats[] = {
	0,
	JBD2_FEATURE_INCOMPAT_64BIT,
	JBD2_FEATURE_INCOMPAT_CSUM_V2,
	JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_64BIT,
	JBD2_FEATURE_INCOMPAT_CSUM_V3,
	JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT,
};

static void test_every_cut(void **state)
{
	const char *more = getenv("SHALE_JBD2_SEEDS");
	u32 rounds = ARRAY_SIZE(formats) * (more ? (u32)strtoul(more, NULL, 0) : 1);

	for (u32 i = 0; i < rounds; i++) {
		struct history *h = &the_history;
		size_t bytes;
		u8 *start;

		history_begin(h, "log+ram:%uK", 1000 + i, i % 3 ? 1024 : 4096,
			      formats[i % ARRAY_SIZE(formats)], 40);
		bytes = (size_t)CLIENT_VOLUME * h->c.block_size;
		start = read_disk(&h->c, bytes);
		write_log_clear(h->log);
		random_history(h, i % 2 ? 450 : 150);
		assert_int_equal(client_destroy(&h->c), 0);
		note_sync(h);
		expect_final(&h->c);
		check_cuts(h, start, bytes, i % 2 ? 16 : 6);
		kfree(start);
		history_end(h);
	}
}

/*
 * The nth flush fails, which aborts the journal; then the power is cut. What is told by the journal's last
 * words on the disk must not rest on that flush.
 */
static bool flush_fails(u32 n)
{
	struct history *h = &the_history;
	size_t bytes = CLIENT_VOLUME * (size_t)1024;
	char rule[64];
	bool failed = false;
	u8 *start;

	history_begin(h, "log+fault+ram:%uK", 77, 1024, JBD2_FEATURE_INCOMPAT_CSUM_V3, 100);
	start = read_disk(&h->c, bytes);
	write_log_clear(h->log);
	snprintf(rule, sizeof(rule), "add op=flush error=EIO skip=%u count=1", n);
	assert_int_equal(disk_control_store(h->c.machine, "d", "fault", rule), 0);
	/* All blocks but the last are changed once, so that the log's tail moves over the only copy of each.
	 */
	while (h->nr_ops < 400 && !failed) {
		struct change change = {min(h->nr_ops, CLIENT_BLOCKS - 1), META};

		failed = client_do(&h->c, &change, 1, true) != 0;
		h->after[++h->nr_ops] = h->c.now;
		if (!failed)
			note_sync(h);
	}
	failed |= client_destroy(&h->c) != 0;
	if (failed)
		check_cuts(h, start, bytes, 100);
	kfree(start);
	history_end(h);
	return failed;
}

static void test_flush_fails_and_cut(void **state)
{
	u32 failed = 0;

	/* Each operation flushes once, until at the end of the first lap the tail moves. */
	for (u32 n = 300; n < 320; n++)
		failed += flush_fails(n);
	assert_int_equal(failed, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_flush_fails_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
