/* SPDX-License-Identifier: MIT */
/*
 * shale find: walks trees and prints the names for which an expression holds. An expression is a list of
 * tests that must all hold; it is read once, and asked of each name. Not argp: find's options have one dash
 * and stand behind the places.
 */
#include "tool.h"

#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum kind {
	T_NAME,
	T_INAME,
	T_PATH,
	T_TYPE,
	T_SIZE,
	T_LINKS,
	T_INUM,
	T_UID,
	T_GID,
	T_PERM,
	T_NEWER,
	T_EMPTY
};

struct test {
	enum kind kind;
	const char *text;
	int sign; /* of a number: -1 less, 0 equal, 1 more */
	uint64_t number;
	uint64_t unit;
	struct timespec time;
};

static struct test tests[64];
static unsigned test_count;
static int max_depth = INT_MAX, min_depth;
static bool print0, long_lines;

struct name {
	const struct place *place;
	const char *path, *last;
	struct stat st;
};

static void bad(const char *what, const char *arg)
{
	fprintf(stderr, "shale find: %s: %s\n", arg, what);
	exit(TOOL_USAGE);
}

static bool compare_number(const struct test *t, uint64_t value)
{
	return t->sign < 0 ? value < t->number : t->sign > 0 ? value > t->number : value == t->number;
}

static bool is_empty(const struct name *n)
{
	struct listing list;
	bool empty;

	if (S_ISREG(n->st.st_mode))
		return !n->st.st_size;
	if (!S_ISDIR(n->st.st_mode) || listing_read(n->place->image->task, n->path, BY_NAME, &list))
		return false;
	empty = !list.count;
	listing_free(&list);
	return empty;
}

static bool perm_holds(const struct test *t, mode_t mode)
{
	mode &= 07777;
	if (t->sign < 0) /* -MODE: all of them */
		return (mode & t->number) == t->number;
	if (t->sign > 0) /* /MODE: any of them */
		return !t->number || mode & t->number;
	return mode == t->number;
}

static bool newer(const struct test *t, const struct timespec *ts)
{
	return ts->tv_sec != t->time.tv_sec ? ts->tv_sec > t->time.tv_sec : ts->tv_nsec > t->time.tv_nsec;
}

static bool holds(const struct test *t, const struct name *n)
{
	const struct stat *st = &n->st;

	switch (t->kind) {
	case T_NAME:
		return !fnmatch(t->text, n->last, 0);
	case T_INAME:
		return !fnmatch(t->text, n->last, FNM_CASEFOLD);
	case T_PATH:
		return !fnmatch(t->text, n->path, 0);
	case T_TYPE:
		return strchr(t->text, type_letter(st->st_mode)) != NULL;
	case T_SIZE:
		return compare_number(t, ((uint64_t)st->st_size + t->unit - 1) / t->unit);
	case T_LINKS:
		return compare_number(t, st->st_nlink);
	case T_INUM:
		return compare_number(t, st->st_ino);
	case T_UID:
		return compare_number(t, st->st_uid);
	case T_GID:
		return compare_number(t, st->st_gid);
	case T_PERM:
		return perm_holds(t, st->st_mode);
	case T_NEWER:
		return newer(t, &st->st_mtim);
	case T_EMPTY:
		return is_empty(n);
	}
	return false;
}

static void print_long(const struct name *n)
{
	char mode[11], time[20], size[32];

	mode_text(n->st.st_mode, mode);
	time_text(n->st.st_mtime, time);
	if (S_ISCHR(n->st.st_mode) || S_ISBLK(n->st.st_mode))
		snprintf(size, sizeof(size), "%u, %u", major(n->st.st_rdev), minor(n->st.st_rdev));
	else
		snprintf(size, sizeof(size), "%lld", (long long)n->st.st_size);
	printf("%9llu %6llu %s %3lu %-8u %-8u %8s %s ", (unsigned long long)n->st.st_ino,
	       (unsigned long long)(n->st.st_blocks + 1) / 2, mode, (unsigned long)n->st.st_nlink,
	       n->st.st_uid, n->st.st_gid, size, time);
}

static void tell(const struct name *n)
{
	if (option_json) {
		json_object(NULL);
		json_string("disk", n->place->disk);
		json_string("path", n->path);
		json_stat(&n->st);
		json_end();
		return;
	}
	if (long_lines)
		print_long(n);
	if (print0) {
		fputs(n->path, stdout);
		putchar(0);
	} else {
		print_name(n->path);
		putchar('\n');
	}
}

static void walk(const struct place *place, const char *path, const char *last, int depth)
{
	struct name n = {.place = place, .path = path, .last = last};
	struct listing list;
	bool all = depth >= min_depth;
	int err = shale_lstat(place->image->task, path, &n.st);

	if (err) {
		tool_error(path, err);
		return;
	}
	for (unsigned i = 0; all && i < test_count; i++)
		all = holds(&tests[i], &n);
	if (all)
		tell(&n);
	if (!S_ISDIR(n.st.st_mode) || depth >= max_depth)
		return;
	err = listing_read(place->image->task, path, BY_NAME, &list);
	if (err) {
		tool_error(path, err);
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		char *below = path_join(path, list.entries[i].name);

		walk(place, below, list.entries[i].name, depth + 1);
		free(below);
	}
	listing_free(&list);
}

static void parse_number(struct test *t, const char *arg)
{
	char *end;

	t->sign = *arg == '-' ? -1 : *arg == '+';
	t->unit = 512;
	t->text = arg + (t->sign != 0);
	if (!isdigit((unsigned char)*t->text))
		bad("not a number", arg);
	t->number = strtoull(t->text, &end, 10);
	if (t->kind == T_SIZE && *end) {
		static const char units[] = "cwbkMG";
		static const uint64_t bytes[] = {1, 2, 512, 1 << 10, 1 << 20, 1 << 30};
		const char *u = strchr(units, *end);

		if (!u)
			bad("no such unit", arg);
		t->unit = bytes[u - units];
		end++;
	}
	if (*end)
		bad("not a number", arg);
}

static void parse_perm(struct test *t, const char *arg)
{
	char *end;

	t->sign = *arg == '-' ? -1 : *arg == '/';
	t->number = strtoull(arg + (t->sign != 0), &end, 8);
	if (*end || t->number > 07777)
		bad("not an octal mode", arg);
}

static void parse_newer(struct test *t, const char *arg)
{
	struct place place;
	struct stat st;
	int err;

	if (!place_open(arg, false, &place))
		exit(TOOL_FAILED);
	err = shale_lstat(place.image->task, place.path, &st);
	if (err) {
		tool_error(arg, err);
		exit(TOOL_FAILED);
	}
	t->time = st.st_mtim;
}

static const struct {
	const char *name;
	enum kind kind;
} known[] = {
	{"-name", T_NAME}, {"-iname", T_INAME}, {"-path", T_PATH},   {"-type", T_TYPE},
	{"-size", T_SIZE}, {"-links", T_LINKS}, {"-inum", T_INUM},   {"-uid", T_UID},
	{"-gid", T_GID},   {"-perm", T_PERM},   {"-newer", T_NEWER}, {"-empty", T_EMPTY},
};

/* A word of the expression with its argument; returns how many words were used, 0: not known. */
static int parse_test(char **argv)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct test *t = &tests[test_count];

		if (strcmp(*argv, known[i].name))
			continue;
		if (test_count + 1 == sizeof(tests) / sizeof(tests[0]))
			bad("too many tests", *argv);
		test_count++;
		t->kind = known[i].kind;
		if (t->kind == T_EMPTY)
			return 1;
		if (!argv[1])
			bad("needs an argument", *argv);
		t->text = argv[1];
		if (t->kind == T_TYPE && argv[1][strspn(argv[1], "bcdflps,")])
			bad("no such type", argv[1]);
		else if (t->kind == T_PERM)
			parse_perm(t, argv[1]);
		else if (t->kind == T_NEWER)
			parse_newer(t, argv[1]);
		else if (t->kind >= T_SIZE && t->kind <= T_GID)
			parse_number(t, argv[1]);
		return 2;
	}
	return 0;
}

static int parse_depth(char **argv, int *depth)
{
	char *end;

	if (!argv[1])
		bad("needs an argument", *argv);
	*depth = (int)strtol(argv[1], &end, 10);
	if (*end || *depth < 0)
		bad("not a depth", argv[1]);
	return 2;
}

static int parse_options(char **argv)
{
	if (!argv[1])
		bad("needs an argument", *argv);
	option_mount = argv[1];
	return 2;
}

static int parse_word(char **argv)
{
	static const struct {
		const char *name;
		bool *flag;
	} flags[] = {{"-print0", &print0},
		     {"-ls", &long_lines},
		     {"--json", &option_json},
		     {"--unlocked", &option_unlocked}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!strcmp(*argv, flags[i].name)) {
			*flags[i].flag = true;
			return 1;
		}
	}
	if (!strcmp(*argv, "-print"))
		return 1;
	if (!strcmp(*argv, "--options"))
		return parse_options(argv);
	if (!strcmp(*argv, "-maxdepth"))
		return parse_depth(argv, &max_depth);
	if (!strcmp(*argv, "-mindepth"))
		return parse_depth(argv, &min_depth);
	return parse_test(argv);
}

static void usage(FILE *out)
{
	fputs("Usage: shale find PLACE... [EXPRESSION]\nWalks trees and prints the names for which all tests "
	      "hold.\n\n"
	      "  -name PATTERN, -iname PATTERN, -path PATTERN\n  -type bcdflps\n  -size [+-]N[ckMG]\n"
	      "  -links, -inum, -uid, -gid [+-]N\n  -perm MODE, -MODE, /MODE\n  -newer PLACE\n  -empty\n  "
	      "-maxdepth N, -mindepth N\n"
	      "  -print0, -ls\n      --json                 answer in JSON\n"
	      "      --options OPTIONS      mount options for images, as sb=32768 or noload\n"
	      "      --unlocked             take no lock on the image\n"
	      "      --help                 show this\n",
	      out);
}

int verb_find(int argc, char **argv)
{
	char **places = tool_alloc((size_t)argc * sizeof(*places));
	int count = 0;

	/* All words are read before the first image is opened: --unlocked may stand anywhere. */
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--unlocked"))
			option_unlocked = true;
	}
	for (int i = 1; i < argc;) {
		int used = 1;

		if (!strcmp(argv[i], "--help")) {
			usage(stdout);
			return 0;
		}
		if (argv[i][0] != '-')
			places[count++] = argv[i];
		else
			used = parse_word(argv + i);
		if (!used)
			bad("no such test", argv[i]);
		i += used;
	}
	if (!count) {
		usage(stderr);
		return TOOL_USAGE;
	}
	if (option_json)
		json_array(NULL);
	for (int i = 0; i < count; i++) {
		struct place place;
		const char *last;

		if (!place_open(places[i], true, &place))
			continue;
		last = strrchr(place.path, '/');
		walk(&place, place.path, last[1] ? last + 1 : place.path, 0);
	}
	if (option_json)
		json_end();
	free(places);
	return 0;
}
