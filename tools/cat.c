/* SPDX-License-Identifier: MIT */
/* shale cat: files to standard output. */
#include "tool.h"

#include <stdlib.h>
#include <unistd.h>

#define CHUNK (1 << 20)

static bool write_all(const char *p, size_t left)
{
	while (left) {
		ssize_t n = write(STDOUT_FILENO, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			tool_error("standard output", errno);
			return false;
		}
		p += n;
		left -= (size_t)n;
	}
	return true;
}

/* False: standard output takes no more. */
static bool cat_place(const struct place *place, char *buffer)
{
	struct shale_task *task = place->image->task;
	int fd = shale_open(task, place->path, O_RDONLY, 0);
	bool goes_on = true;
	ssize_t n;

	if (fd < 0) {
		tool_error(place->text, fd);
		return true;
	}
	while (goes_on && (n = shale_read(task, fd, buffer, CHUNK)) > 0)
		goes_on = write_all(buffer, (size_t)n);
	if (goes_on && n < 0)
		tool_error(place->text, (int)n);
	shale_close(task, fd);
	return goes_on;
}

int verb_cat(int argc, char **argv)
{
	static const struct tool_options o = {
		.words = "PLACE...", .doc = "Writes files to standard output.", .least = 1};
	char **words = tool_parse(&o, argc, argv), *buffer = tool_alloc(CHUNK);

	for (; *words; words++) {
		struct place place;

		if (place_open(*words, false, &place) && !cat_place(&place, buffer))
			break;
	}
	free(buffer);
	return 0;
}
