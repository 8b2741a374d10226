/* SPDX-License-Identifier: MIT */
/* A set of inode numbers with a value each: open addressing, grown at half. For hard links, met under several
 * names. */
#include "seen.h"

#include <stdlib.h>

#include "tool.h"

static struct seen_entry *slot(struct seen *s, uint64_t ino)
{
	size_t at = (size_t)(ino * 0x9e3779b97f4a7c15ull >> 20) & (s->room - 1);

	while (s->entries[at].ino && s->entries[at].ino != ino)
		at = (at + 1) & (s->room - 1);
	return &s->entries[at];
}

struct seen_entry *seen_get(struct seen *s, uint64_t ino, bool *fresh)
{
	struct seen_entry *e;

	if ((s->count + 1) * 2 > s->room) {
		struct seen old = *s;

		s->room = s->room ? s->room * 2 : 256;
		s->entries = tool_alloc(s->room * sizeof(*s->entries));
		for (size_t i = 0; i < old.room; i++)
			if (old.entries[i].ino)
				*slot(s, old.entries[i].ino) = old.entries[i];
		free(old.entries);
	}
	e = slot(s, ino);
	*fresh = !e->ino;
	if (*fresh) {
		e->ino = ino;
		s->count++;
	}
	return e;
}

void seen_free(struct seen *s)
{
	for (size_t i = 0; i < s->room; i++)
		free(s->entries[i].name);
	free(s->entries);
	*s = (struct seen){0};
}
