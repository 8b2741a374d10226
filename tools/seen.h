/* SPDX-License-Identifier: MIT */
/* See seen.c. */
#ifndef SHALE_TOOL_SEEN_H
#define SHALE_TOOL_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen_entry {
	uint64_t ino; /* 0: empty */
	char *name;   /* the user's; freed with the set */
};
struct seen {
	struct seen_entry *entries;
	size_t count, room;
};

/* The entry of the inode; *fresh: it was not there before. Stays good until the next call. */
struct seen_entry *seen_get(struct seen *s, uint64_t ino, bool *fresh);
void seen_free(struct seen *s);

#endif
