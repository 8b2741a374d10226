/* SPDX-License-Identifier: MIT */
/* shale tree: directory trees, drawn. */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool all, directories_only, full, human, sizes, modes;
static int max_depth = INT_MAX;
static uint64_t directories, files;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 'a':
		all = true;
		return 0;
	case 'd':
		directories_only = true;
		return 0;
	case 'f':
		full = true;
		return 0;
	case 'h':
		human = sizes = true;
		return 0;
	case 's':
		sizes = true;
		return 0;
	case 'p':
		modes = true;
		return 0;
	case 'L':
		max_depth = (int)strtol(arg, &end, 10);
		if (*end || max_depth < 1)
			argp_error(state, "bad depth \"%s\"", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{NULL, 'a', NULL, 0, "also names that begin with a dot", 0},
	{NULL, 'd', NULL, 0, "directories only", 0},
	{NULL, 'f', NULL, 0, "whole names", 0},
	{NULL, 'h', NULL, 0, "sizes with units", 0},
	{NULL, 'L', "DEPTH", 0, "no deeper", 0},
	{NULL, 'p', NULL, 0, "type and mode", 0},
	{NULL, 's', NULL, 0, "sizes", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void print_facts(const struct stat *st)
{
	char mode[11], size[16];

	if (!modes && !sizes)
		return;
	mode_text(st->st_mode, mode);
	if (human)
		human_text((uint64_t)st->st_size, size);
	else
		snprintf(size, sizeof(size), "%lld", (long long)st->st_size);
	printf("[%s%s%*s]  ", modes ? mode : "", modes && sizes ? " " : "", sizes ? 11 : 0,
	       sizes ? size : "");
}

static void print_entry(struct shale_task *task, const char *path, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n;

	print_facts(st);
	print_name(full ? path : name);
	if (S_ISLNK(st->st_mode) && (n = shale_readlink(task, path, target, sizeof(target) - 1)) > 0) {
		target[n] = 0;
		fputs(" -> ", stdout);
		print_name(target);
	}
	putchar('\n');
}

static void draw(const struct place *place, const char *path, char *prefix, size_t used, int depth)
{
	struct shale_task *task = place->image->task;
	struct listing list;
	size_t last = 0;
	int err = listing_read(task, path, BY_NAME, &list);

	if (err) {
		tool_error(path, err);
		return;
	}
	for (size_t i = 0; i < list.count; i++)
		if ((all || *list.entries[i].name != '.') &&
		    (!directories_only || list.entries[i].type == DT_DIR))
			last = i;
	for (size_t i = 0; i < list.count; i++) {
		const char *name = list.entries[i].name;
		char *below = path_join(path, name);
		struct stat st;
		bool shown = (all || *name != '.') && (!directories_only || list.entries[i].type == DT_DIR);

		err = shown ? shale_lstat(task, below, &st) : 0;
		if (err)
			tool_error(below, err);
		if (shown && !err) {
			*(S_ISDIR(st.st_mode) ? &directories : &files) += 1;
			if (option_json) {
				json_object(NULL);
				json_string("name", name);
				json_stat(&st);
				if (S_ISDIR(st.st_mode))
					json_array("contents");
			} else {
				printf("%s%s", prefix, i == last ? "└── " : "├── ");
				print_entry(task, below, name, &st);
			}
			if (S_ISDIR(st.st_mode) && depth < max_depth && used + 8 < PATH_MAX * 4) {
				strcpy(prefix + used, i == last ? "    " : "│   ");
				draw(place, below, prefix, used + strlen(prefix + used), depth + 1);
				prefix[used] = 0;
			}
			if (option_json) {
				if (S_ISDIR(st.st_mode))
					json_end();
				json_end();
			}
		}
		free(below);
	}
	listing_free(&list);
}

int verb_tree(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Draws directory trees.",
					      .json = true,
					      .least = 1};
	static char prefix[PATH_MAX * 4 + 16];
	char **words = tool_parse(&o, argc, argv);

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct place place;

		if (!place_open(*words, true, &place))
			continue;
		if (option_json) {
			json_object(NULL);
			json_string("name", *words);
			json_array("contents");
		} else {
			puts(*words);
		}
		prefix[0] = 0;
		draw(&place, place.path, prefix, 0, 1);
		if (option_json) {
			json_end();
			json_end();
		}
	}
	if (option_json)
		json_end();
	else if (directories_only)
		printf("\n%llu directories\n", (unsigned long long)directories);
	else
		printf("\n%llu directories, %llu files\n", (unsigned long long)directories,
		       (unsigned long long)files);
	return 0;
}
