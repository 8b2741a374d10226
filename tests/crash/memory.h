/* SPDX-License-Identifier: MIT */
/* Memory of the harness itself: without it the program ends. The library under test has its own
 * (base/alloc.h). */
#ifndef SHALE_TESTS_CRASH_MEMORY_H
#define SHALE_TESTS_CRASH_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *must_have(void *p)
{
	if (!p) {
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	return p;
}

/* Zeroed. */
static inline void *must_alloc(size_t bytes)
{
	return must_have(calloc(1, bytes ? bytes : 1));
}

/* Room for more of `size` bytes each: twice as many, at least 64. */
static inline void *must_grow(void *table, size_t *room, size_t size)
{
	*room = *room ? 2 * *room : 64;
	return must_have(realloc(table, *room * size));
}

static inline void *must_copy(const void *from, size_t bytes)
{
	return memcpy(must_alloc(bytes), from, bytes);
}

#endif
