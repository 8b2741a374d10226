/* SPDX-License-Identifier: MIT */
/* shale check: is the file system of an image as it has to be? */
#include "tool.h"

#include <errno.h>
#include <string.h>

#define CHECK_DAMAGED 4

static bool quiet;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'o':
		option_mount = arg;
		return 0;
	case 'q':
		quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{NULL, 'o', "OPTIONS", 0, "the same as --options", 0},
	{"quiet", 'q', NULL, 0, "only tell by the exit status", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static int report(void *arg, const struct shale_problem *p)
{
	const char *disk = arg;

	if (p->severity == SHALE_PROBLEM_PROGRESS) {
		progress_text(disk, p->text);
		return 0;
	}
	progress_end();
	if (!option_json) {
		print_name(disk);
		printf(": %s%s\n", p->severity == SHALE_PROBLEM_NOTE ? "note: " : "", p->text);
		return 0;
	}
	json_object(NULL);
	json_string("code", p->code);
	json_string("severity", p->severity == SHALE_PROBLEM_NOTE ? "note" : "damage");
	if (p->group >= 0)
		json_number("group", (uint64_t)p->group);
	if (p->inode)
		json_number("inode", p->inode);
	if (p->block)
		json_number("block", p->block);
	json_string("text", p->text);
	json_end();
	return 0;
}

/* Ends the check at the first damage. */
static int first_damage(void *arg, const struct shale_problem *p)
{
	return p->severity == SHALE_PROBLEM_DAMAGE;
}

/* Why it could not be checked, as a member. */
static void tell_error(ssize_t (*words)(struct shale *, char *, size_t), int err)
{
	char why[512];

	json_string("error", words(tool_machine(), why, sizeof(why)) > 0 ? why : strerror(-err));
}

/* True: damaged. */
static bool check(const char *disk)
{
	struct image *image = image_attach(disk);
	bool silent = quiet && !option_json;
	int damages = -ENODEV;

	if (option_json) {
		json_object(NULL);
		json_string("image", disk);
		json_array("problems");
	}
	if (image)
		damages = shale_check(tool_root_task(), image->device, NULL, option_mount,
				      !quiet && progress_is_wanted() ? SHALE_CHECK_PROGRESS : 0,
				      silent ? first_damage : report, (void *)disk);
	progress_end();
	if (option_json) {
		json_end();
		json_bool("checked", damages >= 0);
		if (damages < 0)
			tell_error(image ? shale_mount_error : shale_disk_error, damages);
		json_bool("clean", damages == 0);
		json_end();
	} else if (!quiet && damages >= 0) {
		print_name(disk);
		if (damages)
			printf(": %d problem%s\n", damages, damages == 1 ? "" : "s");
		else
			puts(": clean");
	}
	if (image && damages < 0) /* else image_attach() has told why */
		image_error(disk, shale_mount_error, damages);
	return damages > 0;
}

int verb_check(int argc, char **argv)
{
	static const struct tool_options o = {
		.options = options,
		.parse = parse,
		.words = "IMAGE...",
		.doc = "Checks file systems, as e2fsck -fn does; what a journal holds is "
		       "replayed into memory first.",
		.json = true,
		.least = 1};
	char **words = tool_parse(&o, argc, argv);
	bool damaged = false;

	tool_threads = 0;
	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct place place;

		place_parse(*words, &place);
		damaged |= check(place.disk ? place.disk : *words);
	}
	if (option_json)
		json_end();
	return damaged && !tool_status() ? CHECK_DAMAGED : 0;
}
