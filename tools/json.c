/* SPDX-License-Identifier: MIT */
/*
 * JSON, written as it is told. Strings are UTF-8; a byte that is not part of valid UTF-8 is given as \udcXX,
 * a lone surrogate, as Python's "surrogateescape" reads it.
 */
#include "tool.h"

#include <sys/sysmacros.h>

#define DEPTH 4096

static struct {
	char close; /* what ends it */
	bool some;  /* something is in it already */
} stack[DEPTH];
static unsigned depth;

static void indent(void)
{
	putchar('\n');
	for (unsigned i = 0; i < depth; i++)
		fputs("  ", stdout);
}

/* Length of the valid UTF-8 sequence at p, 0: none. */
static unsigned utf8_len(const unsigned char *p, size_t left)
{
	unsigned n = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;

	if (!n || n > left)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies behind the last code point. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static void quoted(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;

	putchar('"');
	while (p < end) {
		unsigned n = utf8_len(p, (size_t)(end - p));

		if (!n)
			printf("\\udc%02x", *p++);
		else if (n == 1 && (*p == '"' || *p == '\\'))
			printf("\\%c", *p++);
		else if (n == 1 && (*p < 0x20 || *p == 0x7f))
			printf("\\u%04x", *p++);
		else
			for (; n; n--)
				putchar(*p++);
	}
	putchar('"');
}

static void begin(const char *key)
{
	if (depth) {
		if (stack[depth - 1].some)
			putchar(',');
		stack[depth - 1].some = true;
		indent();
	}
	if (key) {
		const char *end = key;

		while (*end)
			end++;
		quoted(key, (size_t)(end - key));
		fputs(": ", stdout);
	}
}

static void open_level(const char *key, char first, char last)
{
	begin(key);
	putchar(first);
	if (depth == DEPTH) {
		tool_error_text("standard output", "nested too deep for JSON");
		depth--;
	}
	stack[depth].close = last;
	stack[depth++].some = false;
}

void json_object(const char *key)
{
	open_level(key, '{', '}');
}

void json_array(const char *key)
{
	open_level(key, '[', ']');
}

void json_end(void)
{
	bool some = stack[--depth].some;

	if (some)
		indent();
	putchar(stack[depth].close);
	if (!depth)
		putchar('\n');
}

void json_bytes(const char *key, const char *value, size_t len)
{
	begin(key);
	quoted(value, len);
}

void json_string(const char *key, const char *value)
{
	size_t len = 0;

	while (value[len])
		len++;
	json_bytes(key, value, len);
}

void json_number(const char *key, uint64_t value)
{
	begin(key);
	printf("%llu", (unsigned long long)value);
}

void json_signed(const char *key, int64_t value)
{
	begin(key);
	printf("%lld", (long long)value);
}

void json_bool(const char *key, bool value)
{
	begin(key);
	fputs(value ? "true" : "false", stdout);
}

static void json_time(const char *key, const struct timespec *ts)
{
	begin(key);
	/* Seconds with nine digits; negative times count down from the next second, as timespec does. */
	if (ts->tv_sec < 0 && ts->tv_nsec)
		printf("%s%lld.%09ld", ts->tv_sec == -1 ? "-" : "", (long long)ts->tv_sec + 1,
		       1000000000 - ts->tv_nsec);
	else
		printf("%lld.%09ld", (long long)ts->tv_sec, ts->tv_nsec);
}

void json_stat(const struct stat *st)
{
	char mode[11];

	mode_text(st->st_mode, mode);
	json_string("type", type_text(st->st_mode));
	json_string("mode", mode);
	json_number("permissions", st->st_mode & 07777);
	json_number("inode", st->st_ino);
	json_number("links", st->st_nlink);
	json_number("uid", st->st_uid);
	json_number("gid", st->st_gid);
	json_number("size", (uint64_t)st->st_size);
	json_number("blocks", (uint64_t)st->st_blocks);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		json_number("major", major(st->st_rdev));
		json_number("minor", minor(st->st_rdev));
	}
	json_time("atime", &st->st_atim);
	json_time("mtime", &st->st_mtim);
	json_time("ctime", &st->st_ctim);
}
