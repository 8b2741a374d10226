/* SPDX-License-Identifier: MIT */
/* shale stat: what an inode, or the file system, says. */
#include "tool.h"

#include <limits.h>
#include <string.h>
#include <linux/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static bool dereference, file_system;
static const char *format;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'c':
		format = arg;
		return 0;
	case 'f':
		file_system = true;
		return 0;
	case 'L':
		dereference = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"format", 'c', "FORMAT", 0, "what to print, as stat(1)", 0},
	{"file-system", 'f', NULL, 0, "the file system instead of the file", 0},
	{"dereference", 'L', NULL, 0, "what a symbolic link leads to", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

struct facts {
	const struct place *place;
	char target[PATH_MAX]; /* of a symlink, else "" */
	struct stat st;
	struct timespec birth; /* tv_nsec -1: unknown */
};

static void print_time(const struct timespec *ts, bool seconds)
{
	char text[48];

	if (ts->tv_nsec < 0) {
		putchar(seconds ? '0' : '-');
	} else if (seconds) {
		printf("%lld", (long long)ts->tv_sec);
	} else {
		time_text_full(ts, text);
		fputs(text, stdout);
	}
}

/* The directives that stand for a decimal number. */
static bool number_of(char c, const struct stat *st, long long *value)
{
	const struct {
		char c;
		long long value;
	} numbers[] = {
		{'b', st->st_blocks},
		{'B', 512},
		{'g', st->st_gid},
		{'G', st->st_gid},
		{'h', (long long)st->st_nlink},
		{'i', (long long)st->st_ino},
		{'o', st->st_blksize},
		{'s', st->st_size},
		{'u', st->st_uid},
		{'U', st->st_uid},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].c == c) {
			*value = numbers[i].value;
			return true;
		}
	}
	return false;
}

/* The directives that stand for a time: lower case in words, upper case in seconds. */
static bool time_of(char c, const struct facts *f, const struct timespec **ts)
{
	static const char letters[] = "wWxXyYzZ";
	const struct timespec *times[] = {&f->birth, &f->st.st_atim, &f->st.st_mtim, &f->st.st_ctim};
	const char *at = strchr(letters, c);

	if (at)
		*ts = times[(at - letters) / 2];
	return at != NULL;
}

static void print_quoted(const struct facts *f)
{
	putchar('\'');
	print_name(f->place->path);
	putchar('\'');
	if (*f->target) {
		fputs(" -> '", stdout);
		print_name(f->target);
		putchar('\'');
	}
}

static void print_directive(char c, const struct facts *f)
{
	const struct stat *st = &f->st;
	const struct timespec *ts;
	long long number;
	char mode[11];

	if (number_of(c, st, &number)) {
		printf("%lld", number);
	} else if (time_of(c, f, &ts)) {
		print_time(ts, c < 'a');
	} else if (c == 'A') {
		mode_text(st->st_mode, mode);
		fputs(mode, stdout);
	} else if (c == 'a' || c == 'f') {
		printf(c == 'a' ? "%o" : "%x", c == 'a' ? st->st_mode & 07777 : st->st_mode);
	} else if (c == 'F') {
		fputs(S_ISREG(st->st_mode) && !st->st_size ? "regular empty file" : type_text(st->st_mode),
		      stdout);
	} else if (c == 'n') {
		print_name(f->place->path);
	} else if (c == 'N') {
		print_quoted(f);
	} else if (c == 't' || c == 'T') {
		printf("%x", c == 't' ? major(st->st_rdev) : minor(st->st_rdev));
	} else if (c == '%') {
		putchar('%');
	} else {
		printf("%%%c", c);
	}
}

static void print_format(const struct facts *f)
{
	for (const char *p = format; *p; p++) {
		if (*p == '%' && p[1])
			print_directive(*++p, f);
		else
			putchar(*p);
	}
	putchar('\n');
}

static void print_plain(const struct facts *f)
{
	static const char with_device[] =
		"  Size: %s\tBlocks: %b\tIO Block: %o\t%F\n Inode: %i\tLinks: %h\tDevice type: %t,%T",
			  without[] = "  Size: %s\tBlocks: %b\tIO Block: %o\t%F\n Inode: %i\tLinks: %h";
	const char *kept = format;

	format = "  File: %N";
	print_format(f);
	format = S_ISCHR(f->st.st_mode) || S_ISBLK(f->st.st_mode) ? with_device : without;
	print_format(f);
	format = "Access: (%a/%A)\tUid: %u\tGid: %g\nAccess: %x\nModify: %y\nChange: %z\n Birth: %w";
	print_format(f);
	format = kept;
}

static void stat_file(const struct place *place)
{
	struct facts f = {.place = place, .birth = {.tv_nsec = -1}};
	struct shale_task *task = place->image->task;
	int flags = dereference ? 0 : AT_SYMLINK_NOFOLLOW;
	int err = shale_fstatat(task, AT_FDCWD, place->path, &f.st, flags);
	struct statx stx;

	if (err) {
		tool_error(place->text, err);
		return;
	}
	if (S_ISLNK(f.st.st_mode)) {
		ssize_t n = shale_readlink(task, place->path, f.target, sizeof(f.target) - 1);

		f.target[n > 0 ? n : 0] = 0;
	}
	if (!shale_statx(task, AT_FDCWD, place->path, flags, STATX_BTIME, &stx) && stx.stx_mask & STATX_BTIME)
		f.birth = (struct timespec){.tv_sec = stx.stx_btime.tv_sec, .tv_nsec = stx.stx_btime.tv_nsec};
	if (option_json) {
		json_object(NULL);
		json_string("place", place->text);
		if (*f.target)
			json_string("target", f.target);
		json_stat(&f.st);
		json_end();
	} else if (format) {
		print_format(&f);
	} else {
		print_plain(&f);
	}
}

static void stat_file_system(const struct place *place)
{
	struct statfs fs;
	int err = shale_statfs(place->image->task, place->path, &fs);

	if (err) {
		tool_error(place->text, err);
		return;
	}
	if (option_json) {
		json_object(NULL);
		json_string("place", place->text);
		json_number("type", (uint64_t)fs.f_type);
		json_number("block_size", (uint64_t)fs.f_bsize);
		json_number("blocks", fs.f_blocks);
		json_number("blocks_free", fs.f_bfree);
		json_number("blocks_available", fs.f_bavail);
		json_number("inodes", fs.f_files);
		json_number("inodes_free", fs.f_ffree);
		json_number("name_length", (uint64_t)fs.f_namelen);
		json_end();
		return;
	}
	printf("  File: \"%s\"\n    ID: %08x%08x Namelen: %ld Type: %#lx\n", place->text,
	       (unsigned)fs.f_fsid.__val[0], (unsigned)fs.f_fsid.__val[1], (long)fs.f_namelen,
	       (unsigned long)fs.f_type);
	printf("Block size: %ld Blocks: Total: %llu Free: %llu Available: %llu\nInodes: Total: %llu Free: "
	       "%llu\n",
	       (long)fs.f_bsize, (unsigned long long)fs.f_blocks, (unsigned long long)fs.f_bfree,
	       (unsigned long long)fs.f_bavail, (unsigned long long)fs.f_files,
	       (unsigned long long)fs.f_ffree);
}

int verb_stat(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Shows what inodes say.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);

	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct place place;

		if (!place_open(*words, file_system, &place))
			continue;
		if (file_system)
			stat_file_system(&place);
		else
			stat_file(&place);
	}
	if (option_json)
		json_end();
	return 0;
}
