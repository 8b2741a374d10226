/* SPDX-License-Identifier: MIT */
/*
 * Proves the writing journal (row J1) against cuts: the client that has nothing but a journal
 * (unit/jbd2_client.h) does random operations on a disk whose requests take their time; each state that a cut
 * may leave is recovered and must be that after some operation, with none missing that was waited for, no
 * ordered block older than what tells of it, and no data overwritten that was written to blocks once freed.
 *
 * For states whose journals differ, recovery that writes is recorded too, with operations that follow it, and
 * cut in the same way: the second recovery must come to what the first did, or to what followed.
 *
 * test_journal [SEED [HISTORIES [STATE]]]: as many histories as follow from the seed (0: the day's), each
 * with another format; STATE: that one alone. With SHALE_CRASH_FULL in the
 * environment each journal that differs is recovered with cuts.
 */
#include "unit/jbd2_client.h"

#include <time.h>

#include "crash/cuts.h"
#include "crash/hash_set.h"
#include "crash/memory.h"
#include "drivers/write_log.h"

#define MAX_OPS      256u
#define HOT_BLOCKS   12u
#define RUN_OPS      50u
#define AGAIN_OPS    6u
#define AGAIN_MOST   8u /* journals of a history that are recovered with cuts */
#define MAX_DATA     1024u
#define MAX_FAILURES 5u

/* Requests take their time, and later ones may end first. */
#define SLOW_FILTERS "log+fault+delay+"
#define SLOW_OPTIONS "&delay=1ms&fault=op=write,prob=0.4,delay=4ms"

/* Operations from one start of a journal to its end. */
struct run {
	struct client c;
	struct write_log *log;
	struct record record;
	struct model after[MAX_OPS + 1]; /* [0]: at the start */
	u32 nr_ops;
	/* What has been promised, by the number in its mark. */
	struct {
		u32 op;      /* operations before this are on stable storage, */
		u32 nr_data; /* and so much data */
	} promises[2 * MAX_OPS];
	u32 nr_promises;
	/* Freed blocks that were used for data, which is there once it was written. */
	struct {
		u32 nr, version, op;
	} data[MAX_DATA];
	u32 nr_data;
};

struct journal_test {
	struct state state;
	u32 block_size, incompat, max_transaction;
	const char *repeat;
	struct cut_options cuts;
	struct client looker; /* looks at all states */
	struct hash_set journals;
	struct run run, again;
	unsigned again_each, again_left;
	u64 states, made, runs_again, states_again, failures;
	double seconds;
};

static void run_mark(struct run *run, enum record_mark mark, u32 number)
{
	char text[32];

	record_mark_text(mark, number, text, sizeof(text));
	assert_int_equal(write_log_mark(run->log, text), 0);
}

static void run_promise(struct run *run, u32 op)
{
	assert_true(run->nr_promises < ARRAY_SIZE(run->promises));
	run->promises[run->nr_promises].op = op;
	run->promises[run->nr_promises].nr_data = run->nr_data;
	run_mark(run, MARK_PROMISE, run->nr_promises++);
}

/* Most changes are of few blocks, so that others have their last copy far back in the log. */
static u32 pick_block(struct client *c, const struct change *changes, u32 taken)
{
	for (;;) {
		u32 nr = prandom_below(c->machine, prandom_below(c->machine, 8) ? HOT_BLOCKS : CLIENT_BLOCKS),
		    i;

		for (i = 0; i < taken && changes[i].nr != nr; i++)
			;
		if (i == taken)
			return nr;
	}
}

static void random_op(struct run *run, bool sync)
{
	struct client *c = &run->c;
	struct change changes[CLIENT_CHANGES];
	u32 nr = 1 + prandom_below(c->machine, CLIENT_CHANGES);

	for (u32 i = 0; i < nr; i++) {
		changes[i] = (struct change){.nr = pick_block(c, changes, i), .to = META};
		/* The first makes the operation different from all before. */
		if (i && c->now.kind[changes[i].nr] == META && !prandom_below(c->machine, 4))
			changes[i].to = FREED;
	}
	run_mark(run, MARK_BEGIN, run->nr_ops);
	assert_int_equal(client_do(c, changes, nr, sync), 0);
	run->after[++run->nr_ops] = c->now;
	run_mark(run, MARK_DONE, run->nr_ops - 1);
}

/* Blocks whose freeing is committed become data, written in place. */
static void use_as_data(struct run *run)
{
	struct client *c = &run->c;
	u8 block[4096];

	for (u32 nr = 0; nr < CLIENT_BLOCKS && run->nr_data < MAX_DATA; nr++) {
		if (c->now.kind[nr] != FREED || prandom_below(c->machine, 2))
			continue;
		c->now.kind[nr] = DATA;
		c->now.version[nr] = ++c->version;
		client_stamp(block, c->block_size, nr, c->version);
		assert_int_equal(disk_io(c->bdev, REQ_OP_WRITE | REQ_FUA,
					 (CLIENT_FIRST + nr) * (u64)(c->block_size / 512), block,
					 c->block_size),
				 0);
		run->data[run->nr_data].nr = nr;
		run->data[run->nr_data].version = c->version;
		run->data[run->nr_data++].op = run->nr_ops;
	}
}

/* Operations while a commit is under way: the next transaction takes buffers that it is writing. */
struct meanwhile {
	struct work_struct work;
	struct run *run;
};

static void meanwhile_work(struct work_struct *work)
{
	struct run *run = container_of(work, struct meanwhile, work)->run;

	for (u32 i = 1 + prandom_below(run->c.machine, 3); i && run->nr_ops < MAX_OPS; i--) {
		random_op(run, false);
		sleep_ns(prandom_below(run->c.machine, 3) * NSEC_PER_MSEC);
	}
}

static void commit_with_others(struct run *run)
{
	struct meanwhile m = {.run = run};
	u32 op = run->nr_ops;

	INIT_WORK(&m.work, meanwhile_work);
	queue_work(run->c.machine->system_wq, &m.work);
	assert_int_equal(jbd2_journal_force_commit(run->c.journal), 0);
	run_promise(run, op);
	flush_work(&m.work);
}

static void run_ops(struct run *run, u32 nr_ops)
{
	struct shale *machine = run->c.machine;

	while (run->nr_ops < nr_ops) {
		bool sync = prandom_below(machine, 6) == 0;

		random_op(run, sync);
		if (sync) {
			run_promise(run, run->nr_ops);
			use_as_data(run);
		}
		if (prandom_below(machine, 6) == 0)
			commit_with_others(run);
		if (prandom_below(machine, 8) == 0)
			sleep_ns(2 * NSEC_PER_SEC);
		if (prandom_below(machine, 20) == 0)
			assert_int_equal(filemap_write_and_wait(run->c.bdev->bd_mapping), 0);
	}
}

static enum record_use client_use(void *ctx, u64 sector, u64 nr, bool meta)
{
	const struct journal_test *t = ctx;
	u64 block = sector / (t->block_size / SECTOR_SIZE);
	u64 first = client_map_block(0), last = client_map_block(CLIENT_LOG - 1);

	return block >= first && block <= last ? RECORD_JOURNAL : RECORD_META;
}

static void run_finish(struct journal_test *t, struct run *run, size_t first)
{
	struct record_rules rules = {.block_bytes = t->block_size, .use = client_use, .ctx = t};

	assert_int_equal(client_destroy(&run->c), 0);
	run_promise(run, run->nr_ops);
	record_import(&run->record, run->log, first, &rules);
	write_log_put(run->log);
	disk_close(run->c.machine, run->c.bdev);
	client_machine_stop(&run->c);
}

static const char *disk_uri(const struct journal_test *t, const char *filters, const char *options, char *uri,
			    size_t size)
{
	snprintf(uri, size, "%sstate+null:%%uK?state=%p%s", filters, (void *)&t->state, options);
	return uri;
}

/* ---- Recovery */

/* Copies into a state, as far as they go to the client's blocks. */
struct replay {
	struct journal_test *t;
	struct state_sector before[(CLIENT_BLOCKS + 1) * 8];
	bool replayed[CLIENT_BLOCKS + 1];
};

static u32 block_sectors(const struct journal_test *t)
{
	return t->block_size / SECTOR_SIZE;
}

static int put_block(void *ctx, u64 block, u64 pblk, bool escaped)
{
	struct replay *r = ctx;
	struct journal_test *t = r->t;
	u8 data[4096];

	state_read(&t->state, pblk * t->block_size, data, t->block_size);
	if (escaped)
		put_unaligned_be32(JBD2_MAGIC, data);
	state_write(&t->state, block * block_sectors(t), block_sectors(t), data);
	if (block >= CLIENT_FIRST)
		r->replayed[block - CLIENT_FIRST] = true;
	return 0;
}

static int take_back(void *ctx, u64 block)
{
	struct replay *r = ctx;
	u32 nr = block_sectors(r->t);

	if (block < CLIENT_FIRST)
		return 0;
	r->replayed[block - CLIENT_FIRST] = false;
	for (u32 i = 0; i < nr; i++) {
		const struct state_sector *was = &r->before[(block - CLIENT_FIRST) * nr + i];

		state_put(&r->t->state, block * nr + i, 1, was->data, &was->hash);
	}
	return 0;
}

static const struct jbd2_recovery_ops replay_ops = {.replay = put_block, .revoke = take_back};

/* Recovers the state in place. *next: the transaction that comes then. False: it cannot be. */
static bool state_recover(struct journal_test *t, struct replay *r, u32 *next, char *why, size_t size)
{
	struct jbd2_recovery found;
	struct jbd2_journal *log;
	bool dirty;
	int err;

	*r = (struct replay){.t = t};
	memcpy(r->before, &t->state.sectors[CLIENT_FIRST * block_sectors(t)],
	       (CLIENT_BLOCKS + 1) * block_sectors(t) * sizeof(r->before[0]));
	err = client_open(&t->looker, t->looker.bdev, &log);
	if (err) {
		snprintf(why, size, "the journal's super block is refused: %d", err);
		return false;
	}
	dirty = jbd2_needs_recovery(log);
	err = jbd2_recover(log, &replay_ops, r, &found, why, size);
	jbd2_journal_close(log);
	*next = found.end_tid + dirty;
	return !err;
}

/* ---- What may be found */

struct found {
	u32 version[CLIENT_BLOCKS + 1];
	bool whole[CLIENT_BLOCKS + 1]; /* it is that version of that block */
};

static void state_find(struct journal_test *t, struct found *found)
{
	u8 block[4096];

	for (u32 nr = 0; nr <= CLIENT_BLOCKS; nr++) {
		state_read(&t->state, (u64)(CLIENT_FIRST + nr) * t->block_size, block, t->block_size);
		found->version[nr] = ((const u32 *)block)[2];
		found->whole[nr] = client_is(block, t->block_size, nr, found->version[nr]);
	}
}

static bool found_is(const struct run *run, const struct found *found, u32 op, u32 nr_data)
{
	const struct model *m = &run->after[op];

	if (!found->whole[CLIENT_BLOCKS] || found->version[CLIENT_BLOCKS] < m->ordered)
		return false;
	for (u32 nr = 0; nr < CLIENT_BLOCKS; nr++)
		if (m->kind[nr] == META && (!found->whole[nr] || found->version[nr] != m->version[nr]))
			return false;
	for (u32 i = 0; i < nr_data; i++) {
		u32 nr = run->data[i].nr, version = run->data[i].version;
		bool is = op == run->data[i].op || (m->kind[nr] == DATA && m->version[nr] == version);

		if (is && (!found->whole[nr] || found->version[nr] != version))
			return false;
	}
	return true;
}

/* After which operation is it? -1: none that is allowed. */
static int found_op(const struct run *run, const struct found *found, int promised)
{
	u32 least = promised < 0 ? 0 : run->promises[promised].op;
	u32 nr_data = promised < 0 ? 0 : run->promises[promised].nr_data;

	for (u32 op = least; op <= run->nr_ops; op++)
		if (found_is(run, found, op, nr_data))
			return (int)op;
	return -1;
}

static int state_failed(struct journal_test *t, const struct run *run, const struct cut *cut, const char *why)
{
	t->failures++;
	printf("failed: %s %s%s\n  %s; begun %u, promised %d of %u operations\n", t->repeat, cut->id,
	       run == &t->again ? " (while or after it was recovered)" : "", why, cut->begun,
	       cut->promised < 0 ? 0 : (int)run->promises[cut->promised].op, run->nr_ops);
	fflush(stdout);
	return t->failures >= MAX_FAILURES;
}

/* Recovers, compares. *op: after which operation it is; *next: as of state_recover. */
static int state_look(struct journal_test *t, const struct run *run, const struct cut *cut, struct replay *r,
		      struct found *found, u32 *next, int *op)
{
	char why[192] = "";

	t->states++;
	*op = -1;
	if (!state_recover(t, r, next, why, sizeof(why)))
		return state_failed(t, run, cut, why);
	state_find(t, found);
	*op = found_op(run, found, cut->promised);
	return *op >= 0 ? 0
			: state_failed(t, run, cut, "the blocks are as after no operation that is allowed");
}

/* ---- Recovery that writes, and what follows */

static int visit_again(void *ctx, struct state *state, const struct cut *cut)
{
	struct journal_test *t = ctx;
	struct state_mark mark = state_mark(state);
	struct found found;
	struct replay r;
	u32 next;
	int op, ret;

	t->states_again++;
	ret = state_look(t, &t->again, cut, &r, &found, &next, &op);
	state_rollback(state, &mark);
	return ret;
}

/* Writes what was recovered, in the state as it was cut, and goes on from there. */
static void again_record(struct journal_test *t, const struct replay *r, const u8 *blocks, u32 next)
{
	struct run *again = &t->again;
	char uri[128];

	snprintf(uri, sizeof(uri), SLOW_FILTERS "state+null:%uK?state=%p" SLOW_OPTIONS,
		 CLIENT_VOLUME * (t->block_size / 1024), (void *)&t->state);
	client_machine(&again->c, 0, next + 1, 64 << 20);
	again->c.block_size = t->block_size;
	again->c.incompat = t->incompat;
	again->c.options.max_transaction = t->max_transaction;
	again->c.bdev = disk_open(again->c.machine, "d", uri, 0);
	assert_int_equal(set_blocksize(again->c.bdev, t->block_size), 0);
	assert_int_equal(write_log_get(again->c.machine, NULL, &again->log), 0);
	for (u32 nr = 0; nr <= CLIENT_BLOCKS; nr++)
		if (r->replayed[nr])
			client_put(&again->c, CLIENT_FIRST + nr,
				   (void *)(blocks + (size_t)nr * t->block_size));
	assert_int_equal(client_load(&again->c, next), 0);
	again->c.now = again->after[0];
	again->c.version = 1000000; /* unlike all before */
	run_ops(again, AGAIN_OPS);
	run_finish(t, again, 0);
}

static int recover_again(struct journal_test *t, const struct replay *r, const struct found *found,
			 const u8 *blocks, int op, u32 next, struct run *from)
{
	struct run *again = &t->again;
	struct state_mark mark = state_mark(&t->state);
	struct cut_options options = {.all_up_to = 6, .by_seed = 10, .most_pairs = 20, .seed = t->cuts.seed};
	struct cut_counts counts = {};
	int ret;

	memset(again, 0, sizeof(*again));
	again->after[0] = from->after[op];
	again->after[0].ordered = found->version[CLIENT_BLOCKS];
	for (u32 nr = 0; nr < CLIENT_BLOCKS; nr++)
		if (again->after[0].kind[nr] == DATA)
			again->after[0].kind[nr] = FREED;
	again_record(t, r, blocks, next);
	state_rollback(&t->state, &mark);
	t->runs_again++;
	t->again_left--;
	ret = cuts_visit(&t->state, &again->record, &options, visit_again, t, &counts);
	t->made += counts.made;
	record_free(&again->record);
	return ret;
}

static u64 journal_hash(const struct journal_test *t)
{
	u64 hash = 0;

	for (u64 s = client_map_block(0) * block_sectors(t);
	     s < client_map_block(CLIENT_LOG) * block_sectors(t); s++)
		hash ^= t->state.sectors[s].hash;
	return hash;
}

static int visit(void *ctx, struct state *state, const struct cut *cut)
{
	struct journal_test *t = ctx;
	struct state_mark mark = state_mark(state);
	u64 hash = journal_hash(t);
	struct found found;
	struct replay r;
	bool known;
	u8 *blocks;
	u32 next;
	int op, ret;

	ret = state_look(t, &t->run, cut, &r, &found, &next, &op);
	hash_set_get(&t->journals, hash, &known);
	if (op < 0 || known || hash % t->again_each || !t->again_left) {
		state_rollback(state, &mark);
		return ret;
	}
	blocks = must_alloc((CLIENT_BLOCKS + 1) * (size_t)t->block_size);
	state_read(state, (u64)CLIENT_FIRST * t->block_size, blocks,
		   (CLIENT_BLOCKS + 1) * (size_t)t->block_size);
	state_rollback(state, &mark);
	ret = recover_again(t, &r, &found, blocks, op, next, &t->run);
	free(blocks);
	return ret;
}

/* ---- A history */

static const u32 formats[] = {
	0,
	JBD2_FEATURE_INCOMPAT_64BIT,
	JBD2_FEATURE_INCOMPAT_CSUM_V2,
	JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_64BIT,
	JBD2_FEATURE_INCOMPAT_CSUM_V3,
	JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT,
};

static void history_record(struct journal_test *t, u64 seed)
{
	struct run *run = &t->run;
	char uri[128];

	client_machine(&run->c, 0, seed, 64 << 20);
	client_format(&run->c, disk_uri(t, SLOW_FILTERS, SLOW_OPTIONS, uri, sizeof(uri)), t->block_size,
		      t->incompat);
	run->c.options.max_transaction = t->max_transaction;
	assert_int_equal(client_load(&run->c, 0xfffffff0u), 0);
	assert_int_equal(write_log_get(run->c.machine, NULL, &run->log), 0);
	/* Half of all histories begin where the log has gone round, so that it has to move its tail. */
	if (seed % 2) {
		for (u32 round = 0; round < 3; round++) {
			run->nr_ops = run->nr_promises = run->nr_data = 0;
			run_ops(run, 150);
			assert_int_equal(jbd2_journal_force_commit(run->c.journal), 0);
		}
		run->nr_ops = run->nr_promises = run->nr_data = 0;
	}
	write_log_clear(run->log);
	run->after[0] = run->c.now;
}

static void history_run(struct journal_test *t, u64 seed)
{
	struct cut_counts counts = {};
	struct state_mark start;
	struct timespec from, to;
	char uri[128];

	history_record(t, seed);
	start = state_mark(&t->state);
	run_ops(&t->run, RUN_OPS);
	run_finish(t, &t->run, 0);
	state_rollback(&t->state, &start);

	client_machine(&t->looker, 0, 1, 64 << 20);
	t->looker.block_size = t->block_size;
	snprintf(uri, sizeof(uri), "state+null:%uK?state=%p", CLIENT_VOLUME * (t->block_size / 1024),
		 (void *)&t->state);
	t->looker.bdev = disk_open(t->looker.machine, "s", uri, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	cuts_visit(&t->state, &t->run.record, &t->cuts, visit, t, &counts);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	t->seconds += (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	t->made += counts.made;
	disk_close(t->looker.machine, t->looker.bdev);
	client_machine_stop(&t->looker);
	record_free(&t->run.record);
}

int main(int argc, char **argv)
{
	static struct journal_test t;
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, rng;
	unsigned nr = argc > 2 ? strtoul(argv[2], NULL, 0) : 4;
	const char *only = argc > 3 ? argv[3] : NULL;
	bool all = getenv("SHALE_CRASH_FULL") != NULL;
	char repeat[64];

	seed = seed ? seed : (u64)time(NULL) / 86400;
	for (unsigned i = 0; i < nr && t.failures < MAX_FAILURES; i++) {
		void *image;

		rng = seed + i;
		memset(&t.run, 0, sizeof(t.run));
		t.again_each = all ? 1 : 40;
		t.again_left = all ? ~0u : AGAIN_MOST;
		t.block_size = splitmix64(&rng) % 2 ? 1024 : 4096;
		t.incompat = formats[(seed + i) % ARRAY_SIZE(formats)];
		t.max_transaction = splitmix64(&rng) % 2 ? 40 : 0;
		t.cuts = (struct cut_options){
			.all_up_to = 7, .by_seed = 30, .most_pairs = 100, .seed = seed + i, .only = only};
		t.repeat = repeat;
		snprintf(repeat, sizeof(repeat), "test_journal %llu 1", (unsigned long long)(seed + i));
		image = must_alloc((size_t)CLIENT_VOLUME * t.block_size);
		state_init(&t.state, image, (u64)CLIENT_VOLUME * t.block_size);
		history_run(&t, seed + i);
		state_destroy(&t.state);
		hash_set_free(&t.journals);
		free(image);
	}
	printf("seed %llu: %u histories of %u operations; %llu states, %llu after merging equal ones, of "
	       "these %llu in %llu recoveries; %.0f a "
	       "second; %llu failed\n",
	       (unsigned long long)seed, nr, RUN_OPS, (unsigned long long)t.made,
	       (unsigned long long)t.states, (unsigned long long)t.states_again,
	       (unsigned long long)t.runs_again, t.seconds ? (double)t.states / t.seconds : 0,
	       (unsigned long long)t.failures);
	return t.failures != 0;
}
