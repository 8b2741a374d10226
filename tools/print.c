/* SPDX-License-Identifier: MIT */
/* Names, modes, sizes and times as people read them, and the progress of long work. */
#include "tool.h"

#include <ctype.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void print_name(const char *name)
{
	static int terminal = -1;

	if (terminal < 0)
		terminal = isatty(STDOUT_FILENO);
	if (!terminal) {
		fputs(name, stdout);
		return;
	}
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p < 0x20 || *p == 0x7f ||
		    (*p >= 0x80 && *p < 0xa0 && p > (const unsigned char *)name && p[-1] < 0x80))
			printf("\\%03o", *p);
		else
			putchar(*p);
	}
}

static const struct kind {
	mode_t fmt;
	char ls, find;
	const char *text;
} kinds[] = {
	{S_IFREG, '-', 'f', "regular file"},
	{S_IFDIR, 'd', 'd', "directory"},
	{S_IFLNK, 'l', 'l', "symbolic link"},
	{S_IFCHR, 'c', 'c', "character special file"},
	{S_IFBLK, 'b', 'b', "block special file"},
	{S_IFIFO, 'p', 'p', "fifo"},
	{S_IFSOCK, 's', 's', "socket"},
	{0, '?', '?', "weird file"},
};

static const struct kind *kind_of(mode_t mode)
{
	const struct kind *k = kinds;

	while (k->fmt && k->fmt != (mode & S_IFMT))
		k++;
	return k;
}

const char *type_text(mode_t mode)
{
	return kind_of(mode)->text;
}

char type_letter(mode_t mode)
{
	return kind_of(mode)->find;
}

void mode_text(mode_t mode, char out[11])
{
	static const char bits[] = "rwxrwxrwx";

	out[0] = kind_of(mode)->ls;
	for (int i = 0; i < 9; i++)
		out[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & 0100 ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & 0010 ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & 0001 ? 't' : 'T';
	out[10] = 0;
}

void human_text(uint64_t bytes, char out[16])
{
	static const char units[] = "KMGTPE";
	uint64_t unit = 1024;
	int i = 0;

	if (bytes < 1024) {
		snprintf(out, 16, "%llu", (unsigned long long)bytes);
		return;
	}
	while (i < 5 && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	/* One digit behind the point below 10; always rounded up, as ls does. */
	if (bytes / unit < 10 && (bytes * 10 + unit - 1) / unit < 100 && bytes < UINT64_MAX / 10) {
		uint64_t tenths = (bytes * 10 + unit - 1) / unit;

		snprintf(out, 16, "%llu.%llu%c", (unsigned long long)(tenths / 10),
			 (unsigned long long)(tenths % 10), units[i]);
	} else {
		uint64_t whole = bytes / unit + (bytes % unit != 0);

		if (whole == 1024 && i < 5)
			snprintf(out, 16, "1.0%c", units[i + 1]);
		else
			snprintf(out, 16, "%llu%c", (unsigned long long)whole, units[i]);
	}
}

void time_text(int64_t seconds, char out[20])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, 20, "%Y-%m-%d %H:%M", &tm))
		snprintf(out, 20, "%lld", (long long)seconds);
}

void time_text_full(const struct timespec *ts, char out[48])
{
	char zone[8] = "", date[24] = "";
	struct tm tm;

	if (localtime_r(&ts->tv_sec, &tm)) {
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
		strftime(zone, sizeof(zone), "%z", &tm);
	}
	snprintf(out, 48, "%s.%09ld %s", date, ts->tv_nsec, zone);
}

static bool progress_shown;

/* True: a line may be shown now. */
static bool progress_is_due(void)
{
	static struct timespec last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if ((now.tv_sec - last.tv_sec) * 1000000000 + now.tv_nsec - last.tv_nsec < 100000000)
		return false;
	last = now;
	return progress_shown = true;
}

bool progress_is_wanted(void)
{
	return isatty(STDERR_FILENO);
}

void progress_text(const char *what, const char *text)
{
	if (progress_is_due())
		fprintf(stderr, "\r%s: %s\033[K", what, text);
}

void progress(const char *what, uint64_t files, uint64_t bytes)
{
	static int terminal = -1;
	char size[16];

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	if (!terminal || !progress_is_due())
		return;
	human_text(bytes, size);
	fprintf(stderr, "\r%s: %llu files, %sB\033[K", what, (unsigned long long)files, size);
}

void progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}
