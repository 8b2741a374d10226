/* SPDX-License-Identifier: MIT */
/* A whole tree in words: names, attributes, contents, extended attributes, and which names are one file. */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKED_MOST 4096

struct walk {
	const struct calls *c;
	FILE *out;
	uint64_t linked[LINKED_MOST]; /* inode numbers of files with several names, in order of meeting */
	unsigned nr_linked;
	char path[8192];
};

static unsigned number_of(struct walk *w, uint64_t ino)
{
	for (unsigned i = 0; i < w->nr_linked; i++)
		if (w->linked[i] == ino)
			return i;
	if (w->nr_linked < LINKED_MOST)
		w->linked[w->nr_linked++] = ino;
	return w->nr_linked - 1;
}

static void tell_content(struct walk *w, const char *name)
{
	unsigned char buf[65536];
	uint64_t hash = 14695981039346656037ull;
	int64_t at = 0;
	long fd = w->c->openat(AT_FDCWD, name, O_RDONLY | O_NOATIME, 0), got;

	if (fd < 0) {
		fprintf(w->out, " content error %ld", fd);
		return;
	}
	while (at < (int64_t)(1 << 20) && (got = w->c->pread((int)fd, buf, sizeof(buf), at)) > 0) {
		for (long i = 0; i < got; i++)
			hash = (hash ^ buf[i]) * 1099511628211ull;
		at += got;
	}
	w->c->close((int)fd);
	fprintf(w->out, " content %lld %016llx", (long long)at, (unsigned long long)hash);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tell_xattrs(struct walk *w, const char *path)
{
	char list[4096], value[4096], *names[64];
	unsigned count = 0;
	long len = w->c->llistxattr(path, list, sizeof(list));

	if (len < 0) {
		fprintf(w->out, " attributes error %ld", len);
		return;
	}
	for (long at = 0; at < len && count < 64; at += (long)strlen(list + at) + 1)
		names[count++] = list + at;
	qsort(names, count, sizeof(*names), compare_names);
	for (unsigned i = 0; i < count; i++) {
		long n = w->c->lgetxattr(path, names[i], value, sizeof(value));

		fprintf(w->out, " %s=%ld:", names[i], n);
		for (long k = 0; k < n; k++)
			fprintf(w->out, "%02x", (unsigned char)value[k]);
	}
}

static void tell_entry(struct walk *w, const char *name, const struct statx *stx)
{
	char text[512];
	long len;

	stat_text(stx, text, sizeof(text));
	fprintf(w->out, "%s: %s", w->path, text);
	if (!S_ISDIR(stx->stx_mode) && stx->stx_nlink > 1)
		fprintf(w->out, " file %u", number_of(w, stx->stx_ino));
	if (S_ISREG(stx->stx_mode))
		tell_content(w, name);
	if (S_ISLNK(stx->stx_mode)) {
		len = w->c->readlinkat(AT_FDCWD, name, text, sizeof(text) - 1);
		text[len > 0 ? len : 0] = '\0';
		fprintf(w->out, " to %ld %s", len, text);
	}
	tell_xattrs(w, name);
	fputc('\n', w->out);
}

static void tell_directory(struct walk *w);

static void tell_below(struct walk *w, const char *name)
{
	long up = w->c->openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_NOATIME, 0);

	if (!w->c->chdir(name))
		tell_directory(w);
	w->c->fchdir((int)up);
	w->c->close((int)up);
}

/* The working directory. */
static void tell_directory(struct walk *w)
{
	size_t end = strlen(w->path);
	char *list = malloc(1 << 17), *line, *rest;
	long fd = w->c->openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
	long got = list_directory(w->c, (int)fd, list, 1 << 17);

	w->c->close((int)fd);
	if (got < 0)
		fprintf(w->out, "%s: listing error %ld\n", w->path, got);
	for (line = list; got > 0 && (rest = strchr(line, '\n')); line = rest + 1) {
		const char *name = strchr(line, ' ') + 1;
		struct statx stx;
		long err;

		*rest = '\0';
		if (!strcmp(name, ".") || !strcmp(name, "..") || end + strlen(name) + 2 > sizeof(w->path))
			continue;
		sprintf(w->path + end, "/%s", name);
		err = w->c->statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx);
		if (err) {
			fprintf(w->out, "%s: stat error %ld\n", w->path, err);
			continue;
		}
		tell_entry(w, name, &stx);
		if (S_ISDIR(stx.stx_mode))
			tell_below(w, name);
		w->path[end] = '\0';
	}
	free(list);
}

char *tree_text(const struct calls *c)
{
	struct walk *w = calloc(1, sizeof(*w));
	char *text = NULL;
	size_t size = 0;
	long back;

	w->c = c;
	w->out = open_memstream(&text, &size);
	back = c->openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
	c->chdir("/");
	tell_directory(w);
	c->fchdir((int)back);
	c->close((int)back);
	fclose(w->out);
	free(w);
	return text;
}
