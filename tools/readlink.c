/* SPDX-License-Identifier: MIT */
/* shale readlink: the text of symbolic links, or where they lead in the end. */
#include "tool.h"

#include <limits.h>
#include <string.h>

static bool canonical, no_newline;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		canonical = true;
		return 0;
	case 'n':
		no_newline = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"canonicalize", 'f', NULL, 0, "follow all links; print the name where they end", 0},
	{"no-newline", 'n', NULL, 0, "no newline at the end", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* The name of a directory, as getcwd tells it. */
static int name_of_directory(struct shale_task *task, const char *path, char *out, size_t size)
{
	ssize_t n = shale_chdir(task, path);

	if (!n)
		n = shale_getcwd(task, out, size);
	(void)shale_chdir(task, "/");
	return n < 0 ? (int)n : 0;
}

/* Follows the last part by hand, and lets getcwd name the directory that it ends in. */
static int canonicalize(struct shale_task *task, const char *path, char *out, size_t size)
{
	char name[PATH_MAX], target[PATH_MAX], *last;
	struct stat st;
	int err;

	if (snprintf(name, sizeof(name), "%s", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	for (int i = 0; i < 41; i++) {
		size_t len = strlen(name);
		ssize_t n;

		while (len > 1 && name[len - 1] == '/')
			name[--len] = 0;
		err = shale_stat(task, name, &st);
		if (!err && S_ISDIR(st.st_mode))
			return name_of_directory(task, name, out, size);
		n = shale_readlink(task, name, target, sizeof(target) - 1);
		last = strrchr(name, '/');
		if (n == -EINVAL || n == -ENOENT) {
			char file[PATH_MAX];

			strcpy(file, last + 1);
			*last = 0;
			err = name_of_directory(task, *name ? name : "/", out, size);
			if (!err && strlen(out) + strlen(file) + 2 > size)
				err = -ENAMETOOLONG;
			if (!err)
				sprintf(out + strlen(out), "%s%s", out[1] ? "/" : "", file);
			return err;
		}
		if (n < 0)
			return (int)n;
		target[n] = 0;
		if (*target == '/')
			strcpy(name, target);
		else if ((size_t)(last + 1 - name) + (size_t)n + 1 > sizeof(name))
			return -ENAMETOOLONG;
		else
			strcpy(last + 1, target);
	}
	return -ELOOP;
}

int verb_readlink(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Prints what symbolic links hold.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		char text[PATH_MAX];
		struct place place;
		ssize_t n;

		if (!place_open(*words, false, &place))
			continue;
		if (canonical)
			n = canonicalize(place.image->task, place.path, text, sizeof(text));
		else
			n = shale_readlink(place.image->task, place.path, text, sizeof(text) - 1);
		if (n < 0) {
			tool_error(*words, (int)n);
			continue;
		}
		if (!canonical)
			text[n] = 0;
		if (option_json) {
			json_object(NULL);
			json_string("place", *words);
			json_string("target", text);
			json_end();
		} else {
			print_name(text);
			if (!no_newline || words[1])
				putchar('\n');
		}
	}
	if (option_json)
		json_end();
	return 0;
}
