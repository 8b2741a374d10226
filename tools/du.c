/* SPDX-License-Identifier: MIT */
/* shale du: how much space the files below directories take. A file with several names counts once. */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>

#include "seen.h"

static bool all, bytes, total, human;
static int max_depth = INT_MAX;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 'a':
		all = true;
		return 0;
	case 'b':
		bytes = true;
		return 0;
	case 'c':
		total = true;
		return 0;
	case 'h':
		human = true;
		return 0;
	case 's':
		max_depth = 0;
		return 0;
	case 'd':
		max_depth = (int)strtol(arg, &end, 10);
		if (*end || max_depth < 0)
			argp_error(state, "bad depth \"%s\"", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"all", 'a', NULL, 0, "files, too", 0},
	{"bytes", 'b', NULL, 0, "sizes in bytes instead of allocated blocks", 0},
	{"total", 'c', NULL, 0, "a total at the end", 0},
	{"max-depth", 'd', "DEPTH", 0, "print no deeper", 0},
	{"human-readable", 'h', NULL, 0, "with units", 0},
	{"summarize", 's', NULL, 0, "one line for each place", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void tell(const char *disk, const char *path, uint64_t n)
{
	char text[24];

	if (option_json) {
		json_object(NULL);
		json_string("disk", disk);
		json_string("path", path);
		json_number("bytes", n);
		json_end();
		return;
	}
	if (human)
		human_text(n, text);
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)(bytes ? n : (n + 1023) / 1024));
	printf("%s\t", text);
	if (*disk)
		printf("%s:", disk);
	print_name(path);
	putchar('\n');
}

/* Bytes of all at and below the path. */
static uint64_t walk(const struct place *place, const char *path, struct seen *seen, int depth)
{
	struct listing list;
	struct stat st;
	uint64_t sum;
	bool fresh = true;
	int err = shale_lstat(place->image->task, path, &st);

	if (err) {
		tool_error(path, err);
		return 0;
	}
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		seen_get(seen, st.st_ino, &fresh);
	if (!fresh)
		return 0;
	sum = bytes ? (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)
			       ? (uint64_t)st.st_size
			       : 0)
		    : (uint64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode)) {
		err = listing_read(place->image->task, path, BY_NAME, &list);
		if (err)
			tool_error(path, err);
		for (size_t i = 0; !err && i < list.count; i++) {
			char *below = path_join(path, list.entries[i].name);

			sum += walk(place, below, seen, depth + 1);
			free(below);
		}
		if (!err)
			listing_free(&list);
	}
	if (depth <= max_depth && (!depth || all || S_ISDIR(st.st_mode)))
		tell(place->disk, path, sum);
	return sum;
}

int verb_du(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Sums up the space that files take.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);
	uint64_t sum = 0;

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct seen seen = {0};
		struct place place;

		if (place_open(*words, true, &place))
			sum += walk(&place, place.path, &seen, 0);
		seen_free(&seen);
	}
	if (total)
		tell("", "total", sum);
	if (option_json)
		json_end();
	return 0;
}
