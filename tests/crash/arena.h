/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once: everything that belongs to one history. */
#ifndef SHALE_TESTS_CRASH_ARENA_H
#define SHALE_TESTS_CRASH_ARENA_H

#include "base/types.h"
#include "crash/memory.h"

struct arena_part {
	struct arena_part *older;
	size_t used, room;
	u8 data[] __attribute__((aligned(16)));
};

struct arena {
	struct arena_part *part;
};

/* Zeroed. */
static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
	struct arena_part *part = arena->part;

	bytes = (bytes + 15) & ~(size_t)15;
	if (!part || part->room - part->used < bytes) {
		size_t room = bytes > 65536 ? bytes : 65536;

		part = must_alloc(sizeof(*part) + room);
		part->older = arena->part;
		part->room = room;
		arena->part = part;
	}
	part->used += bytes;
	return part->data + part->used - bytes;
}

static inline void *arena_copy(struct arena *arena, const void *from, size_t bytes, size_t room)
{
	void *to = arena_alloc(arena, room);

	if (bytes)
		memcpy(to, from, bytes);
	return to;
}

/* Keeps one part for what comes next. */
static inline void arena_reset(struct arena *arena)
{
	while (arena->part && arena->part->older) {
		struct arena_part *part = arena->part;

		arena->part = part->older;
		free(part);
	}
	if (arena->part) {
		memset(arena->part->data, 0, arena->part->used);
		arena->part->used = 0;
	}
}

static inline void arena_free(struct arena *arena)
{
	arena_reset(arena);
	free(arena->part);
	arena->part = NULL;
}

#endif
