/* SPDX-License-Identifier: MIT */
/* shale ls: what is in directories. */
#include "tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum sort { SORT_NAME, SORT_SIZE, SORT_TIME };

static struct {
	bool all, almost_all, directory, classify, human, inode, lines, recursive, reverse, blocks;
	enum sort sort;
} opt;

/* A name to print, with what is known of it. */
struct item {
	const char *name;
	char *target; /* of a symlink, in long form */
	struct stat st;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'a':
		opt.all = true;
		return 0;
	case 'A':
		opt.almost_all = true;
		return 0;
	case 'd':
		opt.directory = true;
		return 0;
	case 'F':
		opt.classify = true;
		return 0;
	case 'h':
		opt.human = true;
		return 0;
	case 'i':
		opt.inode = true;
		return 0;
	case 'l':
	case 'n':
		opt.lines = true;
		return 0;
	case 'R':
		opt.recursive = true;
		return 0;
	case 'r':
		opt.reverse = true;
		return 0;
	case 'S':
		opt.sort = SORT_SIZE;
		return 0;
	case 's':
		opt.blocks = true;
		return 0;
	case 't':
		opt.sort = SORT_TIME;
		return 0;
	case '1':
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"all", 'a', NULL, 0, "also names that begin with a dot", 0},
	{"almost-all", 'A', NULL, 0, "the same without . and ..", 0},
	{"directory", 'd', NULL, 0, "directories themselves", 0},
	{"classify", 'F', NULL, 0, "a mark behind each name", 0},
	{"human-readable", 'h', NULL, 0, "sizes with units", 0},
	{"inode", 'i', NULL, 0, "inode numbers", 0},
	{NULL, 'l', NULL, 0, "one line a file", 0},
	{"numeric-uid-gid", 'n', NULL, 0, "as -l", 0},
	{"recursive", 'R', NULL, 0, "all directories below, too", 0},
	{"reverse", 'r', NULL, 0, "in the opposite order", 0},
	{NULL, 'S', NULL, 0, "by size, the largest first", 0},
	{"size", 's', NULL, 0, "allocated blocks of 1024 bytes", 0},
	{NULL, 't', NULL, 0, "by time of change, the newest first", 0},
	{NULL, '1', NULL, 0, "one name a line", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static int compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = 0;

	if (opt.sort == SORT_SIZE)
		order = x->st.st_size > y->st.st_size ? -1 : x->st.st_size < y->st.st_size;
	else if (opt.sort == SORT_TIME && x->st.st_mtim.tv_sec != y->st.st_mtim.tv_sec)
		order = x->st.st_mtim.tv_sec > y->st.st_mtim.tv_sec ? -1 : 1;
	else if (opt.sort == SORT_TIME)
		order = x->st.st_mtim.tv_nsec > y->st.st_mtim.tv_nsec
				? -1
				: x->st.st_mtim.tv_nsec < y->st.st_mtim.tv_nsec;
	if (!order)
		order = strcmp(x->name, y->name);
	return opt.reverse ? -order : order;
}

static char mark(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return '/';
	case S_IFLNK:
		return '@';
	case S_IFIFO:
		return '|';
	case S_IFSOCK:
		return '=';
	case S_IFREG:
		return mode & 0111 ? '*' : 0;
	default:
		return 0;
	}
}

static void size_text(const struct stat *st, char out[32])
{
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(out, 32, "%u, %u", major(st->st_rdev), minor(st->st_rdev));
	else if (opt.human)
		human_text((uint64_t)st->st_size, out);
	else
		snprintf(out, 32, "%lld", (long long)st->st_size);
}

static void blocks_text(const struct stat *st, char out[32])
{
	if (opt.human)
		human_text((uint64_t)st->st_blocks * 512, out);
	else
		snprintf(out, 32, "%llu", (unsigned long long)(st->st_blocks + 1) / 2);
}

static void print_item(const struct item *item)
{
	char text[32], mode[11];

	if (opt.inode)
		printf("%7llu ", (unsigned long long)item->st.st_ino);
	if (opt.blocks) {
		blocks_text(&item->st, text);
		printf("%5s ", text);
	}
	if (opt.lines) {
		mode_text(item->st.st_mode, mode);
		size_text(&item->st, text);
		printf("%s %2lu %u %u %9s ", mode, (unsigned long)item->st.st_nlink, item->st.st_uid,
		       item->st.st_gid, text);
		time_text(item->st.st_mtime, text);
		printf("%s ", text);
	}
	print_name(item->name);
	if (opt.lines && item->target) {
		fputs(" -> ", stdout);
		print_name(item->target);
	} else if (opt.classify && mark(item->st.st_mode)) {
		putchar(mark(item->st.st_mode));
	}
	putchar('\n');
}

static void json_item(const struct item *item)
{
	json_object(NULL);
	json_string("name", item->name);
	if (item->target)
		json_string("target", item->target);
	json_stat(&item->st);
	json_end();
}

/* Fills in what the options need to know of the file at `path`. */
static bool look(struct shale_task *task, const char *path, struct item *item)
{
	char target[PATH_MAX];
	int err = shale_lstat(task, path, &item->st);
	ssize_t n;

	if (err) {
		tool_error(path, err);
		return false;
	}
	if (S_ISLNK(item->st.st_mode) && (opt.lines || option_json)) {
		n = shale_readlink(task, path, target, sizeof(target) - 1);
		if (n >= 0)
			item->target = tool_printf("%.*s", (int)n, target);
	}
	return true;
}

static bool shown(const char *name)
{
	return *name != '.' || opt.all || opt.almost_all;
}

static void list_directory(const struct place *place, const char *path);

/* The directories among the items, one after another. */
static void descend(const struct place *place, const char *path, const struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *below;

		if (!S_ISDIR(items[i].st.st_mode) || !strcmp(items[i].name, ".") ||
		    !strcmp(items[i].name, ".."))
			continue;
		below = path_join(path, items[i].name);
		if (!option_json) {
			printf("\n%s:", place->disk);
			print_name(below);
			puts(":");
		}
		list_directory(place, below);
		free(below);
	}
}

static void list_directory(const struct place *place, const char *path)
{
	struct listing list;
	struct item *items;
	size_t n = 0;
	uint64_t blocks = 0;
	int err = listing_read(place->image->task, path, BY_NAME, &list);

	if (err) {
		tool_error(path, err);
		return;
	}
	items = tool_alloc((list.count + 2) * sizeof(*items));
	for (size_t i = 0; i < list.count + (opt.all ? 2 : 0); i++) {
		const char *name = i < list.count ? list.entries[i].name : i == list.count ? "." : "..";
		char *below = path_join(path, name);

		items[n].name = name;
		if (shown(name) && look(place->image->task, below, &items[n]))
			blocks += (uint64_t)items[n++].st.st_blocks;
		free(below);
	}
	qsort(items, n, sizeof(*items), compare);
	if (!option_json && (opt.lines || opt.blocks)) {
		const struct stat total = {.st_blocks = (blkcnt_t)blocks};
		char text[32];

		blocks_text(&total, text);
		printf("total %s\n", text);
	}
	if (option_json && opt.recursive) {
		json_object(NULL);
		json_string("directory", path);
		json_array("entries");
	}
	for (size_t i = 0; i < n; i++)
		option_json ? json_item(&items[i]) : print_item(&items[i]);
	if (option_json && opt.recursive) {
		json_end();
		json_end();
	}
	if (opt.recursive)
		descend(place, path, items, n);
	for (size_t i = 0; i < n; i++)
		free(items[i].target);
	free(items);
	listing_free(&list);
}

int verb_ls(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Lists directories.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);
	bool many = words[1] != NULL, first = true;

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct item item = {.name = *words};
		struct place place;
		struct stat st;
		int err;

		if (!place_open(*words, true, &place))
			continue;
		/* A symlink that was named is followed, unless it is to be told of itself. */
		err = opt.directory || opt.lines ? shale_lstat(place.image->task, place.path, &st)
						 : shale_stat(place.image->task, place.path, &st);
		if (err) {
			tool_error(*words, err);
			continue;
		}
		if (S_ISDIR(st.st_mode) && !opt.directory) {
			if (!option_json && (many || opt.recursive)) {
				printf("%s%s:\n", first ? "" : "\n", *words);
			}
			list_directory(&place, place.path);
		} else if (look(place.image->task, place.path, &item)) {
			option_json ? json_item(&item) : print_item(&item);
			free(item.target);
		}
		first = false;
	}
	if (option_json)
		json_end();
	return 0;
}
