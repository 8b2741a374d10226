/* SPDX-License-Identifier: MIT */
/*
 * The free clusters of one group, as aligned chunks of 1, 2, 4, ... clusters: where a run of some length is
 * free is known without looking through the group's bitmap.
 *
 * Every free cluster lies in exactly one chunk, and two halves of a chunk are never both chunks of their own;
 * so a set of free clusters has one form only. The group's bitmap stays the truth; a buddy is made of it when
 * the group is first used, follows its changes, and may be thrown away at any time.
 *
 * Whoever has the group owns the buddy and guards it by the group's lock. Nothing here sleeps but
 * ext4_buddy_new().
 */
#ifndef SHALE_FS_EXT4_BUDDY_H
#define SHALE_FS_EXT4_BUDDY_H

#include "base/bitmap.h"

struct shale;

#define EXT4_BUDDY_ORDERS 20 /* a group has at most 8 * 65,536 clusters */

struct ext4_buddy {
	u32 clusters;                           /* of the group */
	u32 free;                               /* clusters, all chunks together */
	u8 orders;                              /* chunks are of 2^0 .. 2^(orders - 1) clusters */
	u32 chunks[EXT4_BUDDY_ORDERS];          /* how many of each order */
	unsigned long *maps[EXT4_BUDDY_ORDERS]; /* bit i: [i << order, (i + 1) << order) is a chunk */
	unsigned long words[];
};

/* Of a group with so many clusters, where everything is in use. Freed with kfree. NULL: no memory. */
struct ext4_buddy *ext4_buddy_new(struct shale *machine, u32 clusters) __must_check;
/* As the bitmap on disk says: a clear bit is a free cluster. */
void ext4_buddy_fill(struct ext4_buddy *buddy, const void *bitmap);

/* [start, start + count) is in use now. False, and nothing has changed: a part of it is already. */
bool ext4_buddy_take(struct ext4_buddy *buddy, u32 start, u32 count) __must_check;
/* [start, start + count) is free now. False, and nothing has changed: a part of it is already. */
bool ext4_buddy_give(struct ext4_buddy *buddy, u32 start, u32 count) __must_check;

/* The order of the largest chunk; -1: nothing is free. */
int ext4_buddy_largest(const struct ext4_buddy *buddy);
/*
 * A chunk of at least 2^order clusters, of the smallest order that has one; of these the first at or behind
 * `from`, or before it if none is behind. Returns its first cluster and its order; false: there is none.
 */
bool ext4_buddy_find(const struct ext4_buddy *buddy, unsigned order, u32 from, u32 *start,
		     unsigned *found) __must_check;
/* How many clusters from `start` on are free, at most `most`. */
u32 ext4_buddy_free_run(const struct ext4_buddy *buddy, u32 start, u32 most);

#endif
