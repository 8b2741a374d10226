/* SPDX-License-Identifier: MIT */
/*
 * Proves the enumeration of crash states (cuts.h): against the rules themselves, spelled out as a loop over
 * every moment and every set of units for records made by seed; for long epochs by counts that follow from
 * arithmetic; that promises only grow; and that a state as a disk is the state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/fs.h>

#include <shale/shale.h>

#include "base/random.h"
#include "crash/cuts.h"
#include "crash/hash_set.h"
#include "crash/memory.h"

#define SECTORS 24u

static u8 image[SECTORS * SECTOR_SIZE];

static void fill(u8 *data, u64 nr, u64 seed)
{
	for (u64 i = 0; i < nr << SECTOR_SHIFT; i++)
		data[i] = splitmix64(&seed);
}

/* Up to six writes, flushes between them, each ended at some time or never; some overlap. */
static void make_record(struct record *record, u64 seed)
{
	struct record_entry made[16];
	unsigned nr = 0, writes = 0;
	u64 counter = 0;

	while (writes < 6 && nr < 12) {
		struct record_entry *e = &made[nr];
		unsigned what = splitmix64(&seed) % 8;

		if (what < 3 && nr) { /* something ends */
			e = &made[splitmix64(&seed) % nr];
			if (!e->ended && e->kind != RECORD_MARK)
				e->ended = ++counter;
			continue;
		}
		*e = (struct record_entry){.started = ++counter, .kind = RECORD_FLUSH};
		nr++;
		if (what == 3)
			continue;
		writes++;
		e->kind = RECORD_WRITE;
		e->use = splitmix64(&seed) % 3;
		e->fua = splitmix64(&seed) % 4 == 0;
		e->nr = splitmix64(&seed) % 3 + 1;
		e->sector = splitmix64(&seed) % (SECTORS - e->nr);
	}
	for (unsigned i = 0; i < nr; i++) {
		u8 data[3 * SECTOR_SIZE];

		fill(data, 3, seed + i);
		made[i].data = made[i].kind == RECORD_WRITE && i % 5 ? data : NULL;
		record_add(record, &made[i]);
	}
}

static bool is_safe(const struct record *record, const struct record_entry *e, u64 now)
{
	if (!e->ended || e->ended > now)
		return false;
	if (e->fua)
		return true;
	for (size_t i = 0; i < record->nr; i++) {
		const struct record_entry *f = &record->entries[i];

		if (f->kind == RECORD_FLUSH && f->ended && f->ended <= now && e->ended < f->started)
			return true;
	}
	return false;
}

/* The hash of the image with these writes (bits by entry), the last of them from sector `from` to `to`. */
static u64 oracle_hash(const struct record *record, u64 set, u64 from, u64 to)
{
	static u8 disk[sizeof(image)];
	u64 hash = 0;

	memcpy(disk, image, sizeof(image));
	for (size_t i = 0; i < record->nr; i++) {
		const struct record_entry *e = &record->entries[i];
		bool last = !(set >> i >> 1);

		if (!(set >> i & 1))
			continue;
		for (u64 s = last ? from : 0; s < (last ? to : e->nr); s++) {
			u8 *at = disk + ((e->sector + s) << SECTOR_SHIFT);

			if (e->data)
				memcpy(at, e->data + (s << SECTOR_SHIFT), SECTOR_SIZE);
			else
				memset(at, 0, SECTOR_SIZE);
		}
	}
	for (u64 s = 0; s < SECTORS; s++)
		hash ^= sector_hash(s, disk + (s << SECTOR_SHIFT));
	return hash;
}

static void oracle_torn(const struct record *record, u64 safe, u64 started, struct hash_set *want)
{
	unsigned last = 63 - __builtin_clzll(started);
	const struct record_entry *e = &record->entries[last];
	bool found;

	if (e->use == RECORD_META)
		return;
	for (u64 at = 1; at < e->nr; at++)
		for (unsigned others = 0; others < 2; others++) {
			u64 set = (others ? started : safe) | 1ull << last;

			hash_set_get(want, oracle_hash(record, set, 0, at), &found);
			hash_set_get(want, oracle_hash(record, set, at, e->nr), &found);
		}
}

/* The rules of cuts.h, moment by moment. */
static void oracle(const struct record *record, struct hash_set *want)
{
	u64 before = 0;
	bool found;

	for (u64 now = 0; now < 40; now++) {
		u64 started = 0, safe = 0;

		for (size_t i = 0; i < record->nr; i++) {
			const struct record_entry *e = &record->entries[i];

			if (e->kind == RECORD_WRITE && e->started <= now)
				started |= 1ull << i;
			if (e->kind == RECORD_WRITE && is_safe(record, e, now))
				safe |= 1ull << i;
		}
		for (u64 set = 0; set <= started; set++)
			if (!(set & ~started) && !(safe & ~set))
				hash_set_get(
					want,
					oracle_hash(record, set, 0,
						    set ? record->entries[63 - __builtin_clzll(set)].nr : 0),
					&found);
		if (started != before)
			oracle_torn(record, safe, started, want);
		before = started;
	}
}

static int remember(void *ctx, struct state *state, const struct cut *cut)
{
	struct hash_slot *slot;
	bool found;

	slot = hash_set_get(ctx, state->hash, &found);
	assert_true(found == !cut->first);
	slot->best = cut->promised;
	return 0;
}

static void test_cuts_are_those_of_the_rules(void **unused)
{
	for (u64 seed = 1; seed <= 300; seed++) {
		struct hash_set want = {}, got = {};
		struct record record = {};
		struct cut_counts counts = {};
		struct state state;
		u64 hash;

		fill(image, SECTORS, seed);
		make_record(&record, seed);
		state_init(&state, image, sizeof(image));
		hash = state.hash;
		assert_int_equal(
			cuts_visit(&state, &record, &(struct cut_options){}, remember, &got, &counts), 0);
		assert_int_equal(state.hash, hash);
		oracle(&record, &want);
		assert_int_equal(got.nr, want.nr);
		for (size_t i = 0; i < want.room; i++)
			if (want.slots[i].hash)
				assert_int_equal(hash_set_place(&got, want.slots[i].hash)->hash,
						 want.slots[i].hash);
		state_destroy(&state);
		record_free(&record);
		hash_set_free(&want);
		hash_set_free(&got);
	}
}

/* So many writes of one sector each, all ended, none flushed. */
static void make_epoch(struct record *record, unsigned nr)
{
	u8 data[SECTOR_SIZE];

	for (unsigned i = 0; i < nr; i++) {
		fill(data, 1, 1000 + i);
		record_add(record, &(struct record_entry){.kind = RECORD_WRITE,
							  .use = RECORD_META,
							  .started = 2 * i + 1,
							  .ended = 2 * i + 2,
							  .sector = i,
							  .nr = 1,
							  .data = data});
	}
}

static u64 visited(const struct record *record, const struct cut_options *options)
{
	struct cut_counts counts = {};
	struct hash_set got = {};
	struct state state;

	state_init(&state, image, sizeof(image));
	assert_int_equal(cuts_visit(&state, record, options, remember, &got, &counts), 0);
	assert_int_equal(counts.visited, got.nr);
	state_destroy(&state);
	hash_set_free(&got);
	return counts.visited;
}

static void test_cuts_of_long_epochs(void **unused)
{
	struct record record = {};
	u64 n;

	make_epoch(&record, 10);
	assert_int_equal(visited(&record, &(struct cut_options){}), 1024);
	record_free(&record);
	/*
	 * Of 20: every choice of the first 10; then all prefixes; of the whole, at most two missing and at
	 * most two present. What of these has only units of the first 10 is there already.
	 */
	make_epoch(&record, 20);
	n = visited(&record, &(struct cut_options){.by_seed = 1});
	assert_in_range(n, 1024 + 10 + (20 + 190 - 1) + (10 + 190 - 45),
			1024 + 10 + (20 + 190 - 1) + (10 + 190 - 45) + 1);
	assert_in_range(visited(&record, &(struct cut_options){.by_seed = 500}), n + 250, n + 500);
	assert_in_range(visited(&record, &(struct cut_options){.by_seed = 1, .most_pairs = 20}),
			1024 + 10 + 20, 1024 + 10 + 41);
	record_free(&record);
}

/* The same disk before and after a promise is looked at twice, and not a third time. */
static int promises(void *ctx, struct state *state, const struct cut *cut)
{
	int *seen = ctx;

	seen[cut->promised + 1]++;
	assert_true(cut->begun <= 2);
	return 0;
}

static void test_cuts_look_again_when_more_is_promised(void **unused)
{
	static const enum record_mark marks[] = {MARK_BEGIN, MARK_DONE,    MARK_PROMISE,
						 MARK_BEGIN, MARK_PROMISE, MARK_DONE};
	struct cut_counts counts = {};
	struct record record = {};
	struct state state;
	int seen[4] = {};

	make_epoch(&record, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++)
		record_add(&record,
			   &(struct record_entry){
				   .kind = RECORD_MARK, .started = 10 + i, .mark = marks[i], .op = i / 3});
	state_init(&state, image, sizeof(image));
	assert_int_equal(cuts_visit(&state, &record, &(struct cut_options){}, promises, seen, &counts), 0);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 2);
	assert_int_equal(seen[2], 2);
	state_destroy(&state);
	record_free(&record);
}

static int stop_at(void *ctx, struct state *state, const struct cut *cut)
{
	snprintf(ctx, 80, "%s", cut->id);
	return cut->id[0] == '3' ? -7 : 0;
}

static void test_cuts_can_be_repeated_by_id(void **unused)
{
	struct cut_counts counts = {};
	struct record record = {};
	struct state state;
	char id[80] = "", again[80] = "";

	make_record(&record, 5);
	state_init(&state, image, sizeof(image));
	assert_int_equal(cuts_visit(&state, &record, &(struct cut_options){}, stop_at, id, &counts), -7);
	assert_int_equal(
		cuts_visit(&state, &record, &(struct cut_options){.only = id}, stop_at, again, &counts), -7);
	assert_string_equal(id, again);
	state_destroy(&state);
	record_free(&record);
}

/* Bytes through the disk are the state's, also after it has changed below a page cache that was dropped. */
static void test_state_is_a_disk(void **unused)
{
	struct shale_options options = {.size = sizeof(options), .seed = 1};
	static u8 disk[SZ_64K], want[SZ_64K], got[SZ_64K];
	struct shale_task *task;
	struct shale *machine;
	struct state_mark mark;
	struct state state;
	char uri[64];
	int fd;

	fill(disk, sizeof(disk) / SECTOR_SIZE, 3);
	state_init(&state, disk, sizeof(disk));
	snprintf(uri, sizeof(uri), "state+null:64K?state=%p", (void *)&state);
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	assert_int_equal(shale_disk_add(machine, "d", uri, SHALE_DISK_NO_PARTSCAN), 0);
	fd = shale_open(task, "/dev/d", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_pread(task, fd, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, disk, sizeof(disk));
	mark = state_mark(&state);
	memcpy(want, disk, sizeof(disk));
	fill(want + 5 * SECTOR_SIZE, 9, 4);
	state_write(&state, 5, 9, want + 5 * SECTOR_SIZE);
	memset(want + 40 * SECTOR_SIZE, 0, 3 * SECTOR_SIZE);
	state_put(&state, 40, 3, NULL, NULL);
	assert_int_equal(shale_ioctl(task, fd, BLKFLSBUF, NULL), 0);
	assert_int_equal(shale_pread(task, fd, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
	state_rollback(&state, &mark);
	state_copy_out(&state, got);
	assert_memory_equal(got, disk, sizeof(disk));
	assert_int_equal(shale_free(machine), 0);
	state_destroy(&state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_are_those_of_the_rules),
		cmocka_unit_test(test_cuts_of_long_epochs),
		cmocka_unit_test(test_cuts_look_again_when_more_is_promised),
		cmocka_unit_test(test_cuts_can_be_repeated_by_id),
		cmocka_unit_test(test_state_is_a_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
