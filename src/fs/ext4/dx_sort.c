/* SPDX-License-Identifier: MIT */
/*
 * Sorting the names of a leaf by hash. The hashes of a leaf are spread evenly over its part of the range, so
 * each name is put where its hash says, into one of as many buckets as there are names, and what is left out
 * of order stands next to its place: an insertion sort ends it. Hashes that an enemy chose could make that
 * quadratic, so many names (more than one leaf holds) are sorted the ordinary way.
 */
#include "fs/ext4/dx_sort.h"

#include <stdlib.h>
#include <string.h>

#define BUCKET_SORT_MAX 512

static int dx_order(const void *a, const void *b)
{
	const struct dx_name *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static u64 dx_key(const struct dx_name *name)
{
	return (u64)name->hash << 32 | name->minor;
}

/* Stable: names that came in order of seq stay so where their hashes are equal. */
static void insertion_sort(struct dx_name *names, u32 n)
{
	for (u32 i = 1; i < n; i++) {
		struct dx_name name = names[i];
		u64 key = dx_key(&name);
		u32 at = i;

		for (; at && dx_key(&names[at - 1]) > key; at--)
			names[at] = names[at - 1];
		names[at] = name;
	}
}

void dx_sort(struct dx_name *names, u32 n, void *spare)
{
	u32 *starts, low = ~0u, high = 0, sum = 0;
	struct dx_name *sorted = spare;
	u64 scale;

	/* For no names there may be no memory, either. */
	if (n < 2)
		return;
	starts = (u32 *)(sorted + n);
	if (n > BUCKET_SORT_MAX) {
		qsort(names, n, sizeof(*names), dx_order);
		return;
	}
	for (u32 i = 0; i < n; i++) {
		low = min(low, names[i].hash);
		high = max(high, names[i].hash);
	}
	/* hash → bucket without a division each: (hash - low) * n / (range), in 32.32 fixed point. */
	scale = ((u64)n << 32) / ((u64)high - low + 1);
	memset(starts, 0, n * sizeof(*starts));
	for (u32 i = 0; i < n; i++)
		starts[(names[i].hash - low) * scale >> 32]++;
	for (u32 i = 0; i < n; i++) {
		u32 count = starts[i];

		starts[i] = sum;
		sum += count;
	}
	for (u32 i = 0; i < n; i++)
		sorted[starts[(names[i].hash - low) * scale >> 32]++] = names[i];
	insertion_sort(sorted, n);
	memcpy(names, sorted, n * sizeof(*names));
}
