/* SPDX-License-Identifier: MIT */
/* A set of 64-bit hashes, each with two numbers that belong to who looks. */
#ifndef SHALE_TESTS_CRASH_HASH_SET_H
#define SHALE_TESTS_CRASH_HASH_SET_H

#include "base/types.h"
#include "crash/memory.h"

struct hash_slot {
	u64 hash; /* 0: free */
	unsigned first;
	int best;
};

struct hash_set {
	struct hash_slot *slots;
	size_t nr, room; /* room: a power of two, or 0 */
};

static inline struct hash_slot *hash_set_place(const struct hash_set *set, u64 hash)
{
	size_t i = hash & (set->room - 1);

	while (set->slots[i].hash && set->slots[i].hash != hash)
		i = (i + 1) & (set->room - 1);
	return &set->slots[i];
}

static inline void hash_set_enlarge(struct hash_set *set)
{
	struct hash_set larger = {.nr = set->nr, .room = set->room ? 2 * set->room : 1024};

	larger.slots = must_alloc(larger.room * sizeof(*larger.slots));
	for (size_t i = 0; i < set->room; i++)
		if (set->slots[i].hash)
			*hash_set_place(&larger, set->slots[i].hash) = set->slots[i];
	free(set->slots);
	*set = larger;
}

/* The slot of the hash, until the next call; *found: it was there. Else it is new and its numbers are 0. */
static inline struct hash_slot *hash_set_get(struct hash_set *set, u64 hash, bool *found)
{
	struct hash_slot *slot;

	if (2 * set->nr >= set->room)
		hash_set_enlarge(set);
	hash += !hash;
	slot = hash_set_place(set, hash);
	*found = slot->hash;
	if (!*found) {
		slot->hash = hash;
		set->nr++;
	}
	return slot;
}

static inline void hash_set_free(struct hash_set *set)
{
	free(set->slots);
	*set = (struct hash_set){};
}

#endif
