/* SPDX-License-Identifier: MIT */
/* The free clusters of one group, as aligned chunks: buddy.h. */
#include "fs/ext4/buddy.h"

#include <string.h>

#include "base/alloc.h"

static u32 chunks_most(const struct ext4_buddy *buddy, unsigned order)
{
	return buddy->clusters >> order;
}

struct ext4_buddy *ext4_buddy_new(struct shale *machine, u32 clusters)
{
	unsigned orders = (unsigned)ilog2(clusters) + 1;
	struct ext4_buddy *buddy;
	unsigned long *words;
	size_t all = 0;

	for (unsigned order = 0; order < orders; order++)
		all += BITS_TO_LONGS(clusters >> order);
	buddy = kzalloc(machine, sizeof(*buddy) + all * sizeof(*words));
	if (!buddy)
		return NULL;
	buddy->clusters = clusters;
	buddy->orders = (u8)orders;
	words = buddy->words;
	for (unsigned order = 0; order < orders; order++) {
		buddy->maps[order] = words;
		words += BITS_TO_LONGS(clusters >> order);
	}
	return buddy;
}

static bool is_chunk(const struct ext4_buddy *buddy, unsigned order, u32 index)
{
	return index < chunks_most(buddy, order) && __test_bit(index, buddy->maps[order]);
}

static void add_chunk(struct ext4_buddy *buddy, unsigned order, u32 index)
{
	__set_bit(index, buddy->maps[order]);
	buddy->chunks[order]++;
	buddy->free += 1u << order;
}

static void remove_chunk(struct ext4_buddy *buddy, unsigned order, u32 index)
{
	__clear_bit(index, buddy->maps[order]);
	buddy->chunks[order]--;
	buddy->free -= 1u << order;
}

/* The order of the largest aligned chunk that begins at `start` and ends at `end` or before. */
static unsigned order_at(const struct ext4_buddy *buddy, u32 start, u32 end)
{
	unsigned order = (unsigned)ilog2(end - start);

	return start ? min(order, (unsigned)__builtin_ctz(start)) : order;
}

/* As chunks that nothing stands beside that they could be joined with. */
static void add_alone(struct ext4_buddy *buddy, u32 start, u32 end)
{
	while (start < end) {
		unsigned order = order_at(buddy, start, end);

		add_chunk(buddy, order, start >> order);
		start += 1u << order;
	}
}

void ext4_buddy_fill(struct ext4_buddy *buddy, const void *bitmap)
{
	u32 start, end;

	for (unsigned order = 0; order < buddy->orders; order++)
		bitmap_zero(buddy->maps[order], chunks_most(buddy, order));
	memset(buddy->chunks, 0, sizeof(buddy->chunks));
	buddy->free = 0;
	for (start = 0;; start = end) {
		start = (u32)find_next_zero_bit_le(bitmap, buddy->clusters, start);
		if (start >= buddy->clusters)
			break;
		end = (u32)find_next_bit_le(bitmap, buddy->clusters, start);
		add_alone(buddy, start, end);
	}
}

/* The order of the chunk that the cluster lies in; -1: it is in use. */
static int chunk_of(const struct ext4_buddy *buddy, u32 cluster)
{
	for (unsigned order = 0; order < buddy->orders; order++)
		if (is_chunk(buddy, order, cluster >> order))
			return (int)order;
	return -1;
}

u32 ext4_buddy_free_run(const struct ext4_buddy *buddy, u32 start, u32 most)
{
	u32 at = start;

	most = min(most, buddy->clusters - start);
	while (at - start < most) {
		int order = chunk_of(buddy, at);

		if (order < 0)
			break;
		at = ((at >> order) + 1) << order;
	}
	return min(at - start, most);
}

bool ext4_buddy_take(struct ext4_buddy *buddy, u32 start, u32 count)
{
	u32 end = start + count;

	if (ext4_buddy_free_run(buddy, start, count) < count)
		return false;
	while (start < end) {
		unsigned order = (unsigned)chunk_of(buddy, start);
		u32 from = start >> order << order, to = from + (1u << order);

		remove_chunk(buddy, order, start >> order);
		add_alone(buddy, from, start);
		add_alone(buddy, min(end, to), to);
		start = to;
	}
	return true;
}

static bool is_used(const struct ext4_buddy *buddy, u32 start, u32 count)
{
	/* A chunk that the range lies in, or one that begins inside it. */
	for (unsigned order = 0; order < buddy->orders; order++) {
		u32 last = min((start + count - 1) >> order, chunks_most(buddy, order) - 1);

		if (buddy->chunks[order] && start >> order <= last &&
		    find_next_bit(buddy->maps[order], last + 1, start >> order) <= last)
			return false;
	}
	return true;
}

bool ext4_buddy_give(struct ext4_buddy *buddy, u32 start, u32 count)
{
	u32 end = start + count;

	if (!is_used(buddy, start, count))
		return false;
	while (start < end) {
		unsigned order = order_at(buddy, start, end);
		u32 index = start >> order;

		start += 1u << order;
		/* Its other half, as long as that is free: together they are a chunk of the next order. */
		while (is_chunk(buddy, order, index ^ 1) && index >> 1 < chunks_most(buddy, order + 1)) {
			remove_chunk(buddy, order, index ^ 1);
			index >>= 1;
			order++;
		}
		add_chunk(buddy, order, index);
	}
	return true;
}

int ext4_buddy_largest(const struct ext4_buddy *buddy)
{
	for (int order = buddy->orders - 1; order >= 0; order--)
		if (buddy->chunks[order])
			return order;
	return -1;
}

bool ext4_buddy_find(const struct ext4_buddy *buddy, unsigned order, u32 from, u32 *start, unsigned *found)
{
	for (; order < buddy->orders; order++) {
		u32 most = chunks_most(buddy, order), index;

		if (!buddy->chunks[order])
			continue;
		index = (u32)find_next_bit(buddy->maps[order], most, min(from >> order, most));
		if (index >= most)
			index = (u32)find_next_bit(buddy->maps[order], most, 0);
		*start = index << order;
		*found = order;
		return true;
	}
	return false;
}
