/* SPDX-License-Identifier: MIT */
/*
 * E5: the order in which names of a leaf are told, against the definition: by hash, minor hash, order of
 * coming; for hashes that are spread, equal, clustered as an enemy would, and for more names than a leaf
 * holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/ext4/dx_sort.h"

static u32 rnd(u64 *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(*state >> 33) << 1;
}

static bool in_order(const struct dx_name *a, const struct dx_name *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash;
	return a->minor != b->minor ? a->minor < b->minor : a->seq < b->seq;
}

static void sort_and_check(u32 n, u32 (*hash)(u64 *state, u32 i), u32 minors)
{
	struct dx_name *names = calloc(n + 1, sizeof(*names));
	void *spare = malloc(DX_SORT_SPARE(n + 1));
	u64 state = n, sum = 0;

	for (u32 i = 0; i < n; i++) {
		names[i] = (struct dx_name){
			.hash = hash(&state, i), .minor = rnd(&state) % minors, .seq = i, .ino = i + 1};
		sum += names[i].ino;
	}
	dx_sort(names, n, spare);
	for (u32 i = 0; i < n; i++) {
		sum -= names[i].ino;
		if (i)
			assert_true(in_order(&names[i - 1], &names[i]));
	}
	assert_int_equal(sum, 0);
	free(names);
	free(spare);
}

static u32 spread(u64 *state, u32 i)
{
	return rnd(state);
}

static u32 equal(u64 *state, u32 i)
{
	return 0x1234;
}

/* All in one bucket but one. */
static u32 clustered(u64 *state, u32 i)
{
	return i ? rnd(state) % 4096 : 0xfffffffc;
}

static void test_ext4_sort_orders(void **state)
{
	static const u32 counts[] = {0, 1, 2, 3, 100, 340, 511, 512, 513, 5000};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		sort_and_check(counts[i], spread, 1000);
		sort_and_check(counts[i], equal, 2);
		sort_and_check(counts[i], equal, 100000);
		sort_and_check(counts[i], clustered, 3);
	}
}

/* A directory without names has no memory for them. */
static void test_ext4_sort_nothing(void **state)
{
	struct dx_name *none = NULL;
	void *spare = NULL;

	dx_sort(none, 0, spare);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ext4_sort_orders),
		cmocka_unit_test(test_ext4_sort_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
