/* SPDX-License-Identifier: MIT */
/* Errors, memory, and the options that every verb has. */
#include "tool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *tool_verb = "";
bool option_json;
bool option_unlocked;
const char *option_mount;
static int status;

void tool_error_text(const char *object, const char *reason)
{
	status = TOOL_FAILED;
	fflush(stdout);
	progress_end();
	fprintf(stderr, "shale%s%s: %s: %s\n", *tool_verb ? " " : "", tool_verb, object, reason);
}

void tool_error(const char *object, int err)
{
	tool_error_text(object, strerror(abs(err)));
}

int tool_status(void)
{
	return status;
}

void tool_no_memory(void)
{
	tool_error("memory", ENOMEM);
	exit(TOOL_FAILED);
}

void *tool_realloc(void *p, size_t size)
{
	void *grown = realloc(p, size ? size : 1);

	if (!grown)
		tool_no_memory();
	return grown;
}

void *tool_alloc(size_t size)
{
	return memset(tool_realloc(NULL, size), 0, size);
}

char *tool_printf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		tool_no_memory();
	va_end(args);
	return text;
}

char *path_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	return tool_printf("%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case KEY_JSON:
		option_json = true;
		return 0;
	case KEY_UNLOCKED:
		option_unlocked = true;
		return 0;
	case KEY_OPTIONS:
		option_mount = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define COMMON_OPTIONS                                                                                       \
	{"options", KEY_OPTIONS, "OPTIONS", 0, "mount options for images, as sb=32768 or noload", 100},      \
		{"unlocked", KEY_UNLOCKED, NULL, 0, "take no lock on the image", 100},                       \
	{                                                                                                    \
		NULL, 0, NULL, 0, NULL, 0                                                                    \
	}
static const struct argp_option common_options[] = {COMMON_OPTIONS};
static const struct argp_option json_options[] = {{"json", KEY_JSON, NULL, 0, "answer in JSON", 99},
						  COMMON_OPTIONS};
const struct argp tool_common_argp = {.options = common_options, .parser = parse_common};
const struct argp tool_json_argp = {.options = json_options, .parser = parse_common};

struct parse {
	const struct tool_options *o;
	char **words;
	int count;
};

static error_t parse_verb(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = p;
		return 0;
	case ARGP_KEY_ARG:
		p->words[p->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (p->count < p->o->least)
			argp_usage(state);
		return 0;
	default:
		return p->o->parse ? p->o->parse(key, arg, state) : ARGP_ERR_UNKNOWN;
	}
}

char **tool_parse(const struct tool_options *o, int argc, char **argv)
{
	const struct argp_child children[] = {{o->json ? &tool_json_argp : &tool_common_argp, 0, NULL, 0},
					      {NULL, 0, NULL, 0}};
	const struct argp argp = {.options = o->options,
				  .parser = parse_verb,
				  .args_doc = o->words,
				  .doc = o->doc,
				  .children = children};
	struct parse p = {.o = o, .words = tool_alloc((size_t)(argc + 1) * sizeof(char *))};
	char *name = tool_printf("shale %s", argv[0]);

	argp_err_exit_status = TOOL_USAGE;
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	return p.words;
}
