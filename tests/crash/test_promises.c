/* SPDX-License-Identifier: MIT */
/*
 * Proves what history.h allows and refuses after a cut, case by case: each case is a promise in words (those
 * of the numbered rules there), operations, and trees that keep it or break it. Trees are made by other
 * operations, and by changing sectors by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/falloc.h>

#include "base/compiler.h"
#include "crash/history.h"

#define FOO "/A/foo"
#define BAR "/A/bar"
#define OLD 900 /* number of the operation that wrote what was there at first */

static const struct op_world world = {.block_bytes = 4096, .ranges = true};

static const struct op before[] = {
	{.kind = OP_MKDIR, .path = "/A"},
	{.kind = OP_CREAT, .path = FOO},
	{.kind = OP_WRITE, .path = FOO, .length = 16384, .number = OLD},
};

struct promise {
	struct history h;
	struct arena arena;
	struct tree start, found;
	int promised;
	unsigned begun;
};

static void apply_all(struct arena *arena, struct tree *tree, const struct op *ops, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct tree next;

		assert_true(tree_apply(arena, &world, tree, &ops[i], &next) >= 0);
		*tree = next;
	}
}

/* What is found: the tree at the start, and after these operations. */
static void found_is(struct promise *p, const struct op *ops, unsigned nr)
{
	p->found = p->start;
	p->found.nodes = arena_copy(&p->arena, p->start.nodes, p->start.nr_nodes * sizeof(*p->start.nodes),
				    p->start.nr_nodes * sizeof(*p->start.nodes));
	apply_all(&p->arena, &p->found, ops, nr);
}

/* The workload; all of it was begun, and what it promises has been promised. */
static void promise_start(struct promise *p, const struct op *ops, unsigned nr)
{
	struct tree tree, next;
	long results[16];

	*p = (struct promise){.promised = -1, .begun = nr};
	tree_empty(&p->arena, &p->start);
	apply_all(&p->arena, &p->start, before, ARRAY_SIZE(before));
	tree = p->start;
	for (unsigned i = 0; i < nr; i++) {
		results[i] = tree_apply(&p->arena, &world, &tree, &ops[i], &next);
		assert_true(results[i] >= 0);
		tree = next;
		if (op_promises(&ops[i]))
			p->promised = (int)i;
	}
	assert_true(history_make(&p->h, &world, &p->start, ops, results, nr));
	found_is(p, NULL, 0);
}

static void promise_end(struct promise *p)
{
	history_free(&p->h);
	arena_free(&p->arena);
}

/* But sectors [from, to) of the file hold other bytes: what that operation writes, -1: zeroes. */
static void found_sectors(struct promise *p, const char *path, u64 from, u64 to, int number, u64 shift)
{
	struct tree_node *node = &p->found.nodes[tree_lookup(&p->found, path)];
	struct blob *blob = blob_make(&p->arena, node->data->data, node->data->size);

	for (u64 at = from * 512; at < to * 512; at++)
		blob->data[at] = number < 0 ? 0 : op_byte(number, at + shift);
	node->data = blob;
}

static bool allowed(struct promise *p)
{
	char why[4096];

	return history_allows(&p->h, &p->found, p->promised, p->begun, why, sizeof(why));
}

#define PROMISE(p, ...)                                                                                      \
	static const struct op ops[] = {__VA_ARGS__};                                                        \
	struct promise p;                                                                                    \
	promise_start(&p, ops, ARRAY_SIZE(ops))

static void test_metadata_is_a_prefix(void **unused)
{
	PROMISE(p, {.kind = OP_CREAT, .path = BAR}, {.kind = OP_CREAT, .path = "/B"},
		{.kind = OP_UNLINK, .path = FOO});

	for (unsigned k = 0; k <= 3; k++) {
		found_is(&p, ops, k);
		for (p.begun = 0; p.begun <= 3; p.begun++)
			assert_int_equal(allowed(&p), k <= p.begun);
	}
	p.begun = 3;
	found_is(&p, ops + 1, 1);
	assert_false(allowed(&p));
	found_is(&p, ops + 1, 2);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_fsync_keeps_a_new_name(void **unused)
{
	PROMISE(p, {.kind = OP_CREAT, .path = BAR}, {.kind = OP_LINK, .path = BAR, .path2 = "/B"},
		{.kind = OP_FSYNC, .path = BAR}, {.kind = OP_CREAT, .path = "/C"});

	for (unsigned k = 0; k <= 4; k++) {
		found_is(&p, ops, k);
		assert_int_equal(allowed(&p), k >= 2);
	}
	promise_end(&p);
}

static void test_fsync_of_one_file_need_not_keep_another(void **unused)
{
	PROMISE(p, {.kind = OP_CHMOD, .path = FOO, .flags = 0600}, {.kind = OP_CREAT, .path = BAR},
		{.kind = OP_FSYNC, .path = FOO});

	for (unsigned k = 0; k <= 2; k++) {
		found_is(&p, ops, k);
		assert_int_equal(allowed(&p), k >= 1);
	}
	promise_end(&p);
}

static void test_fsync_of_a_directory_keeps_all_before(void **unused)
{
	PROMISE(p, {.kind = OP_CREAT, .path = BAR}, {.kind = OP_FSYNC, .path = "/"});

	assert_false(allowed(&p));
	found_is(&p, ops, 1);
	assert_true(allowed(&p));
	promise_end(&p);
}

static void test_fdatasync_keeps_size_but_not_mode(void **unused)
{
	PROMISE(p, {.kind = OP_WRITE, .path = FOO, .offset = 16384, .length = 4096},
		{.kind = OP_CHMOD, .path = FOO, .flags = 0600}, {.kind = OP_FDATASYNC, .path = FOO});

	assert_false(allowed(&p));
	found_is(&p, ops, 1);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 32, 33, -1, 0);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_overwritten_data_is_any_mix(void **unused)
{
	PROMISE(p, {.kind = OP_WRITE, .path = FOO, .offset = 4096, .length = 4096});

	found_sectors(&p, FOO, 9, 11, 0, 0);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 12, 13, -1, 0);
	assert_false(allowed(&p));
	found_sectors(&p, FOO, 12, 13, OLD, 4096);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_synced_data_is_new(void **unused)
{
	static const struct op syncs[] = {
		{.kind = OP_FSYNC, .path = FOO}, {.kind = OP_FDATASYNC, .path = FOO}, {.kind = OP_SYNC}};

	for (unsigned i = 0; i < 5; i++) {
		struct op ops[2] = {{.kind = OP_WRITE, .path = FOO, .offset = 4096, .length = 4096}};
		struct promise p;

		if (i < 3)
			ops[1] = syncs[i];
		else
			ops[0].flags = i == 3 ? O_SYNC : O_DSYNC;
		promise_start(&p, ops, i < 3 ? 2 : 1);
		found_is(&p, ops, 1);
		assert_true(allowed(&p));
		found_sectors(&p, FOO, 15, 16, OLD, 0);
		assert_false(allowed(&p));
		p.promised = -1;
		assert_true(allowed(&p));
		promise_end(&p);
	}
}

static void test_a_write_syncs_its_own_part(void **unused)
{
	PROMISE(p, {.kind = OP_WRITE, .path = FOO, .length = 4096},
		{.kind = OP_WRITE, .path = FOO, .offset = 8192, .length = 512, .flags = O_SYNC, .number = 1});

	found_sectors(&p, FOO, 16, 17, 1, 0);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 1, 3, 0, 0);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 16, 17, OLD, 0);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_ordered_data_comes_before_its_size(void **unused)
{
	PROMISE(p, {.kind = OP_WRITE, .path = FOO, .offset = 16384, .length = 8192});

	found_is(&p, ops, 1);
	found_sectors(&p, FOO, 40, 41, -1, 0);
	assert_true(allowed(&p));
	p.h.ordered = true;
	assert_false(allowed(&p));
	found_sectors(&p, FOO, 40, 41, OLD, 0);
	p.h.ordered = false;
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_size_may_be_in_between(void **unused)
{
	PROMISE(p, {.kind = OP_WRITE, .path = FOO, .offset = 16384, .length = 8192},
		{.kind = OP_CHMOD, .path = FOO, .flags = 0600});
	struct op part = ops[0];

	part.length = 4096;
	found_is(&p, &part, 1);
	assert_true(allowed(&p));
	part.length = 8704;
	found_is(&p, &part, 1);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_rename_over_a_file_never_empties(void **unused)
{
	PROMISE(p, {.kind = OP_CREAT, .path = BAR}, {.kind = OP_WRITE, .path = BAR, .length = 8192},
		{.kind = OP_RENAME, .path = BAR, .path2 = FOO});

	for (unsigned k = 0; k <= 3; k++) {
		found_is(&p, ops, k);
		assert_true(allowed(&p));
	}
	found_sectors(&p, FOO, 0, 1, -1, 0);
	assert_false(allowed(&p));
	found_is(&p, ops, 2);
	found_sectors(&p, BAR, 0, 1, -1, 0);
	assert_true(allowed(&p));
	found_is(&p, ops, 2);
	p.found.nodes[TREE_ROOT + 1].nr_entries--; /* one of the names is gone */
	tree_digest(&p.found);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_truncation_and_writing_never_empty(void **unused)
{
	PROMISE(p, {.kind = OP_TRUNCATE, .path = FOO}, {.kind = OP_WRITE, .path = FOO, .length = 4096});

	for (unsigned k = 0; k <= 2; k++) {
		found_is(&p, ops, k);
		assert_true(allowed(&p));
	}
	found_sectors(&p, FOO, 0, 8, -1, 0);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_blocks_are_kept_until_their_loss_is_committed(void **unused)
{
	PROMISE(p, {.kind = OP_TRUNCATE, .path = FOO, .length = 6000},
		{.kind = OP_WRITE, .path = FOO, .offset = 8192, .length = 4096, .number = 1});

	/* The end of the block in which the file ends now may be zeroes already, or the new data is in its
	 * own. */
	found_sectors(&p, FOO, 13, 16, -1, 0);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 16, 17, -1, 0);
	assert_false(allowed(&p));
	found_is(&p, NULL, 0);
	found_sectors(&p, FOO, 16, 17, 1, 0);
	assert_false(allowed(&p));
	/* And what was cut off does not come back. */
	found_is(&p, ops, 2);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 15, 16, OLD, 0);
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_punched_blocks(void **unused)
{
	PROMISE(p,
		{.kind = OP_FALLOCATE,
		 .path = FOO,
		 .offset = 4096,
		 .length = 6000,
		 .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
		{.kind = OP_FSYNC, .path = FOO});

	assert_true(!allowed(&p)); /* fsync keeps the hole */
	p.promised = -1;
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 16, 19, -1, 0);
	assert_true(allowed(&p));
	found_sectors(&p, FOO, 8, 9, -1,
		      0); /* the size is the same, so this may be the tree after it, but for the rest */
	assert_false(allowed(&p));
	promise_end(&p);
}

static void test_shifted_blocks_take_their_data_along(void **unused)
{
	PROMISE(p,
		{.kind = OP_FALLOCATE,
		 .path = FOO,
		 .offset = 4096,
		 .length = 4096,
		 .flags = FALLOC_FL_COLLAPSE_RANGE},
		{.kind = OP_WRITE, .path = FOO, .offset = 4096, .length = 4096, .number = 1});

	/* Written after the shift, found before it: the bytes are where their block was then. */
	found_sectors(&p, FOO, 16, 17, 1, -4096ull);
	assert_true(allowed(&p));
	found_is(&p, NULL, 0);
	found_sectors(&p, FOO, 8, 9, 1, 0);
	assert_false(allowed(&p));
	found_is(&p, ops, 1);
	assert_true(allowed(&p));
	promise_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata_is_a_prefix),
		cmocka_unit_test(test_fsync_keeps_a_new_name),
		cmocka_unit_test(test_fsync_of_one_file_need_not_keep_another),
		cmocka_unit_test(test_fsync_of_a_directory_keeps_all_before),
		cmocka_unit_test(test_fdatasync_keeps_size_but_not_mode),
		cmocka_unit_test(test_overwritten_data_is_any_mix),
		cmocka_unit_test(test_synced_data_is_new),
		cmocka_unit_test(test_a_write_syncs_its_own_part),
		cmocka_unit_test(test_ordered_data_comes_before_its_size),
		cmocka_unit_test(test_size_may_be_in_between),
		cmocka_unit_test(test_rename_over_a_file_never_empties),
		cmocka_unit_test(test_truncation_and_writing_never_empty),
		cmocka_unit_test(test_blocks_are_kept_until_their_loss_is_committed),
		cmocka_unit_test(test_punched_blocks),
		cmocka_unit_test(test_shifted_blocks_take_their_data_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
