/* SPDX-License-Identifier: MIT */
/* Directories, read whole and put in order. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int by_inode(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Reads all entries as they come into one buffer. */
static ssize_t read_dirents(struct shale_task *task, const char *path, char **out)
{
	size_t used = 0, room = 0;
	char *buffer = NULL;
	ssize_t got;
	int fd = shale_open(task, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		return fd;
	do {
		if (room - used < 65536) {
			room = room ? room * 2 : 131072;
			buffer = tool_realloc(buffer, room);
		}
		got = shale_getdents64(task, fd, buffer + used, room - used);
		if (got > 0)
			used += (size_t)got;
	} while (got > 0);
	shale_close(task, fd);
	if (got < 0) {
		free(buffer);
		return got;
	}
	*out = buffer;
	return (ssize_t)used;
}

int listing_read(struct shale_task *task, const char *path, enum listing_order order, struct listing *list)
{
	size_t room = 0;
	ssize_t bytes;

	*list = (struct listing){0};
	bytes = read_dirents(task, path, &list->text);
	if (bytes < 0)
		return (int)bytes;
	for (ssize_t at = 0; at < bytes;) {
		struct dirent64 *d = (struct dirent64 *)(list->text + at);

		at += d->d_reclen;
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (list->count == room) {
			room = room ? room * 2 : 64;
			list->entries = tool_realloc(list->entries, room * sizeof(*list->entries));
		}
		list->entries[list->count++] =
			(struct entry){.name = d->d_name, .ino = d->d_ino, .type = d->d_type};
	}
	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries),
		      order == BY_INODE ? by_inode : by_name);
	return 0;
}

void listing_free(struct listing *list)
{
	free(list->entries);
	free(list->text);
}
