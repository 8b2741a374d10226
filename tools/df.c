/* SPDX-License-Identifier: MIT */
/* shale df: how full file systems are. */
#include "tool.h"

#include <sys/vfs.h>

static bool human, inodes;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'h':
		human = true;
		return 0;
	case 'i':
		inodes = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"human-readable", 'h', NULL, 0, "with units", 0},
	{"inodes", 'i', NULL, 0, "inodes instead of blocks", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void amount(uint64_t n, char out[24])
{
	if (human)
		human_text(n, out);
	else
		snprintf(out, 24, "%llu", (unsigned long long)(inodes ? n : n / 1024));
}

static void print_row(const char *name, uint64_t total, uint64_t used, uint64_t available)
{
	char t[24], u[24], a[24], percent[24] = "-";

	amount(total, t);
	amount(used, u);
	amount(available, a);
	/* Of what is used and what may still be, rounded up. */
	if (used + available)
		snprintf(percent, sizeof(percent), "%llu%%",
			 (unsigned long long)((used * 100 + used + available - 1) / (used + available)));
	printf("%-30s %12s %12s %12s %5s\n", name, t, u, a, percent);
}

static void json_row(const char *name, const struct statfs *fs)
{
	json_object(NULL);
	json_string("image", name);
	json_number("size", fs->f_blocks * (uint64_t)fs->f_bsize);
	json_number("used", (fs->f_blocks - fs->f_bfree) * (uint64_t)fs->f_bsize);
	json_number("available", fs->f_bavail * (uint64_t)fs->f_bsize);
	json_number("inodes", fs->f_files);
	json_number("inodes_used", fs->f_files - fs->f_ffree);
	json_end();
}

int verb_df(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "IMAGE...",
					      .doc = "Shows how full file systems are.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);
	bool head = false;

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct place place;
		struct statfs fs;
		uint64_t bsize;
		int err;

		if (!place_open(*words, true, &place))
			continue;
		err = shale_statfs(place.image->task, "/", &fs);
		if (err) {
			tool_error(*words, err);
			continue;
		}
		if (option_json) {
			json_row(*words, &fs);
			continue;
		}
		if (!head)
			printf("%-30s %12s %12s %12s %5s\n", "Image",
			       inodes  ? "Inodes"
			       : human ? "Size"
				       : "1K-blocks",
			       "Used", inodes ? "Free" : "Available", "Use%");
		head = true;
		bsize = (uint64_t)fs.f_bsize;
		if (inodes)
			print_row(place.disk, fs.f_files, fs.f_files - fs.f_ffree, fs.f_ffree);
		else
			print_row(place.disk, fs.f_blocks * bsize, (fs.f_blocks - fs.f_bfree) * bsize,
				  fs.f_bavail * bsize);
	}
	if (option_json)
		json_end();
	return 0;
}
