/* SPDX-License-Identifier: MIT */
/*
 * usage: compare_debugfs IMAGE [DIRECTORY]
 *
 * X4, E1-E5, E8: walks a volume that this kernel does not mount and compares with debugfs what both tell of
 * it: names, inodes, data, the places of data, symlinks and attributes. With a directory: it is mounted
 * there, by shale.
 */
#include "side.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EACH    for (int s = 0; s < 2; s++)
#define DEBUGFS 0
#define CHUNK   (1 << 20)
#define EXTENTS 2000

static char *data[2];
static bool mounted;

static int open_both(const char *path, uint64_t flags, long fd[2])
{
	struct open_how how = {.flags = flags};

	EACH fd[s] = sides[s]->openat2(AT_FDCWD, path, &how);
	if (same("open", path, fd[0] < 0 ? fd[0] : 0, fd[1] < 0 ? fd[1] : 0) && fd[0] >= 0)
		return 0;
	EACH if (fd[s] >= 0) sides[s]->close((int)fd[s]);
	return -1;
}

static void compare_time(const char *what, const char *path, const struct statx_timestamp t[2])
{
	same(what, path, t[0].tv_sec, t[1].tv_sec);
	same(what, path, t[0].tv_nsec, t[1].tv_nsec);
}

static bool compare_inode(const char *path, struct statx *out)
{
	struct statx stx[2];
	long r[2];

	EACH r[s] = sides[s]->statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
				    &stx[s]);
	if (!same("statx", path, r[0], r[1]) || r[0])
		return false;
#define FIELD(f) same(#f, path, (long)stx[0].f, (long)stx[1].f)
	FIELD(stx_ino);
	FIELD(stx_mode);
	FIELD(stx_nlink);
	FIELD(stx_uid);
	FIELD(stx_gid);
	FIELD(stx_size);
	FIELD(stx_blocks);
	FIELD(stx_rdev_major);
	FIELD(stx_rdev_minor);
#undef FIELD
#define TIME(f) compare_time(#f, path, (struct statx_timestamp[]){stx[0].f, stx[1].f})
	TIME(stx_atime);
	TIME(stx_mtime);
	TIME(stx_ctime);
	if (stx[SHALE].stx_mask & STATX_BTIME)
		TIME(stx_btime);
#undef TIME
	*out = stx[0];
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void compare_attributes(const char *path)
{
	static char list[2][65536], value[2][65536];
	const char *names[2][1000];
	long n[2], v[2];
	int count[2] = {0, 0};

	EACH n[s] = sides[s]->listxattr(path, false, list[s], sizeof(list[s]));
	if (!same("llistxattr", path, n[0], n[1]) || n[0] <= 0)
		return;
	EACH
	{
		for (char *at = list[s]; at < list[s] + n[s] && count[s] < 1000; at += strlen(at) + 1)
			names[s][count[s]++] = at;
		qsort(names[s], count[s], sizeof(names[s][0]), by_text);
	}
	if (!same("number of attributes", path, count[0], count[1]))
		return;
	for (int i = 0; i < count[0]; i++) {
		if (strcmp(names[0][i], names[1][i]))
			differ("%s: attribute %s, shale has %s", path, names[0][i], names[1][i]);
		EACH v[s] = sides[s]->getxattr(path, false, names[0][i], value[s], sizeof(value[s]));
		if (same("lgetxattr", names[0][i], v[0], v[1]) && v[0] > 0 &&
		    memcmp(value[0], value[1], v[0]))
			differ("attribute %s of %s", names[0][i], path);
	}
}

static void compare_link(const char *path)
{
	char target[2][PATH_MAX];
	long n[2];

	EACH n[s] = sides[s]->readlinkat(AT_FDCWD, path, target[s], sizeof(target[s]));
	if (same("readlink", path, n[0], n[1]) && n[0] > 0 && memcmp(target[0], target[1], n[0]))
		differ("target of %s", path);
}

/* Runs of blocks, whatever extents they come in. */
static unsigned join_extents(struct fiemap_extent *e, unsigned n)
{
	unsigned last = 0;

	for (unsigned i = 0; i < n; i++) {
		e[i].fe_flags &= FIEMAP_EXTENT_UNWRITTEN;
		if (i && e[last].fe_logical + e[last].fe_length == e[i].fe_logical &&
		    e[last].fe_physical + e[last].fe_length == e[i].fe_physical &&
		    e[last].fe_flags == e[i].fe_flags)
			e[last].fe_length += e[i].fe_length;
		else if (i)
			e[++last] = e[i];
	}
	return n ? last + 1 : 0;
}

static void compare_places(const char *path, const long fd[2])
{
	static char room[2][sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)]
		__attribute__((aligned(8)));
	const struct fiemap_extent *e[2];
	unsigned n[2];
	long r[2];

	EACH
	{
		struct fiemap *f = (struct fiemap *)room[s];

		*f = (struct fiemap){.fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = EXTENTS};
		r[s] = sides[s]->ioctl((int)fd[s], FS_IOC_FIEMAP, f);
		if (!r[s] && f->fm_mapped_extents && f->fm_extents[0].fe_flags & FIEMAP_EXTENT_DATA_INLINE)
			f->fm_mapped_extents = 0; /* of which debugfs does not speak */
		n[s] = r[s] ? 0 : join_extents(f->fm_extents, f->fm_mapped_extents);
		e[s] = f->fm_extents;
	}
	if (!same("fiemap", path, r[0], r[1]) || !same("fiemap, runs", path, n[0], n[1]))
		return;
	for (unsigned i = 0; i < n[0]; i++) {
		if (!same("run's offset", path, (long)e[0][i].fe_logical, (long)e[1][i].fe_logical) ||
		    !same("run's place", path, (long)e[0][i].fe_physical, (long)e[1][i].fe_physical) ||
		    !same("run's length", path, (long)e[0][i].fe_length, (long)e[1][i].fe_length) ||
		    !same("run's flags", path, e[0][i].fe_flags, e[1][i].fe_flags))
			break;
	}
}

static void compare_file(const char *path)
{
	long fd[2], r[2];
	off_t at = 0;

	if (open_both(path, O_RDONLY, fd))
		return;
	do {
		EACH r[s] = sides[s]->pread((int)fd[s], data[s], CHUNK, at);
		if (!same("pread", path, r[0], r[1]))
			break;
		if (r[0] > 0 && memcmp(data[0], data[1], r[0])) {
			differ("data of %s at %lld", path, (long long)at);
			break;
		}
		at += r[0];
	} while (r[0] > 0);
	if (!mounted) /* FUSE carries no such question */
		compare_places(path, fd);
	EACH sides[s]->close((int)fd[s]);
}

struct names {
	char *text;
	struct name {
		char *name;
		unsigned long ino;
		unsigned type;
	} * of;
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static void read_names(const struct side *side, int fd, const char *path, struct names *names)
{
	size_t used = 0, room = 16 << 20;
	long got;

	*names = (struct names){.text = malloc(room)};
	while (names->text && used + 65536 < room &&
	       (got = side->getdents(fd, names->text + used, 65536)) > 0)
		used += got;
	names->of = calloc(used / sizeof(struct dirent64) + used / 24 + 1, sizeof(*names->of));
	if (!names->text || !names->of)
		abort();
	if (got < 0)
		differ("getdents64 of %s by %s: %s", path, side->name, strerror((int)-got));
	for (size_t at = 0; at < used;) {
		struct dirent64 *d = (void *)(names->text + at);

		names->of[names->count++] =
			(struct name){.name = d->d_name, .ino = d->d_ino, .type = d->d_type};
		at += d->d_reclen;
	}
	qsort(names->of, names->count, sizeof(names->of[0]), by_name);
}

static void compare_path(const char *path);

static void compare_directory(const char *path)
{
	struct names names[2];
	long fd[2];

	if (open_both(path, O_RDONLY | O_DIRECTORY, fd))
		return;
	EACH
	{
		read_names(sides[s], (int)fd[s], path, &names[s]);
		sides[s]->close((int)fd[s]);
	}
	if (same("number of names", path, (long)names[0].count, (long)names[1].count))
		for (size_t i = 0; i < names[0].count; i++) {
			const struct name *k = &names[0].of[i], *t = &names[1].of[i];
			char below[PATH_MAX];

			if (strcmp(k->name, t->name)) {
				differ("name in %s: debugfs %s, shale %s", path, k->name, t->name);
				break;
			}
			same("d_ino", k->name, (long)k->ino, (long)t->ino);
			if (t->type != DT_UNKNOWN)
				same("d_type", k->name, k->type, t->type);
			snprintf(below, sizeof(below), "%s%s%s", path, path[1] ? "/" : "", k->name);
			if (strcmp(k->name, ".") && strcmp(k->name, ".."))
				compare_path(below);
		}
	EACH
	{
		free(names[s].text);
		free(names[s].of);
	}
}

static void compare_path(const char *path)
{
	struct statx stx;

	if (!compare_inode(path, &stx))
		return;
	compare_attributes(path);
	if (S_ISLNK(stx.stx_mode))
		compare_link(path);
	if (S_ISREG(stx.stx_mode))
		compare_file(path);
	if (S_ISDIR(stx.stx_mode))
		compare_directory(path);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3)
		return 2;
	mounted = argc == 3;
	EACH
	{
		data[s] = malloc(CHUNK);
		if (!data[s])
			return 1;
	}
	sides_start_debugfs(argv[1], argv[2]);
	compare_path("/");
	sides_stop();
	return compare_end();
}
