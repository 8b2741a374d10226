/* SPDX-License-Identifier: MIT */
/*
 * E4: the chunks of a group's free clusters, against a plain array of what is free: after any takes and gives
 * they cover just the free clusters, each once, and are the same as made anew from a bitmap; what is
 * already taken or free is refused and changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "fs/ext4/buddy.h"

#define MOST 70000

static u8 used[MOST], map[MOST / 8 + 1];

static u32 rnd(u64 *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(*state >> 33);
}

static void bitmap_of_used(u32 clusters)
{
	memset(map, 0xff, sizeof(map));
	for (u32 i = 0; i < clusters; i++)
		if (!used[i])
			__clear_bit_le(i, map);
}

static u32 run_at(u32 clusters, u32 start, u8 kind)
{
	u32 n = 0;

	while (start + n < clusters && used[start + n] == kind)
		n++;
	return n;
}

/* Against the array, and against one that is made from its bitmap. */
static void check(struct ext4_buddy *buddy, u32 clusters)
{
	struct ext4_buddy *anew = ext4_buddy_new(NULL, clusters);
	u32 free = 0;

	assert_non_null(anew);
	bitmap_of_used(clusters);
	ext4_buddy_fill(anew, map);
	for (u32 i = 0; i < clusters; i++)
		free += !used[i];
	assert_int_equal(buddy->free, free);
	assert_int_equal(anew->free, free);
	for (unsigned order = 0; order < buddy->orders; order++) {
		u32 found = 0;

		assert_int_equal(buddy->chunks[order], anew->chunks[order]);
		for (u32 i = 0; i < clusters >> order; i++) {
			assert_int_equal(__test_bit(i, buddy->maps[order]), __test_bit(i, anew->maps[order]));
			if (!__test_bit(i, buddy->maps[order]))
				continue;
			found++;
			free -= 1u << order;
			for (u32 k = i << order; k < (i + 1) << order; k++)
				assert_false(used[k]);
			/* No two halves. */
			if (i & 1 && (i | 1) < clusters >> order)
				assert_false(__test_bit(i - 1, buddy->maps[order]));
		}
		assert_int_equal(found, buddy->chunks[order]);
	}
	assert_int_equal(free, 0);
	kfree(anew);
}

static void histories(void **state)
{
	static const u32 sizes[] = {1, 8, 63, 64, 65, 1000, 8192, 32768, 65528, MOST};
	u64 seed = 7;

	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		u32 clusters = sizes[s];
		struct ext4_buddy *buddy = ext4_buddy_new(NULL, clusters);

		assert_non_null(buddy);
		memset(used, 1, sizeof(used));
		check(buddy, clusters);
		for (unsigned i = 0; i < 3000; i++) {
			u32 start = rnd(&seed) % clusters, room = clusters - start;
			u32 count = 1 + rnd(&seed) % min(room, 1u << rnd(&seed) % 13);
			bool take = rnd(&seed) % 2, ok = run_at(clusters, start, !take ? 1 : 0) >= count;

			assert_int_equal(ok, take ? ext4_buddy_take(buddy, start, count)
						  : ext4_buddy_give(buddy, start, count));
			if (ok)
				memset(used + start, take, count);
			if (i % 300 == 0)
				check(buddy, clusters);
		}
		check(buddy, clusters);
		kfree(buddy);
	}
}

static void finding(void **state)
{
	struct ext4_buddy *buddy = ext4_buddy_new(NULL, 32768);
	unsigned found;
	u32 start;

	assert_non_null(buddy);
	assert_int_equal(ext4_buddy_largest(buddy), -1);
	assert_false(ext4_buddy_find(buddy, 0, 0, &start, &found));
	assert_true(ext4_buddy_give(buddy, 0, 32768));
	assert_int_equal(ext4_buddy_largest(buddy), 15);
	/* 100 .. 8191 taken, and one in the middle of what is behind. */
	assert_true(ext4_buddy_take(buddy, 100, 8092));
	assert_true(ext4_buddy_take(buddy, 20000, 1));
	assert_int_equal(ext4_buddy_free_run(buddy, 0, 1000), 100);
	assert_int_equal(ext4_buddy_free_run(buddy, 8192, 32768), 20000 - 8192);
	assert_int_equal(ext4_buddy_free_run(buddy, 20001, 50), 50);
	assert_int_equal(ext4_buddy_free_run(buddy, 20000, 50), 0);
	/* 64 .. 95 is the only chunk of order 5 before 8192; the next one lies before 20000. */
	assert_true(ext4_buddy_find(buddy, 5, 0, &start, &found));
	assert_int_equal(found, 5);
	assert_int_equal(start, 64);
	assert_true(ext4_buddy_find(buddy, 5, 96, &start, &found));
	assert_int_equal(found, 5);
	assert_int_equal(start, 19968);
	/* None is behind: that before. */
	assert_true(ext4_buddy_find(buddy, 5, 20032, &start, &found));
	assert_int_equal(start, 64);
	assert_true(ext4_buddy_find(buddy, 13, 0, &start, &found));
	assert_int_equal(start, 8192);
	assert_false(ext4_buddy_find(buddy, 14, 0, &start, &found));
	kfree(buddy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories),
		cmocka_unit_test(finding),
	};

	return cmocka_run_group_tests_name("ext4_buddy", tests, NULL, NULL);
}
