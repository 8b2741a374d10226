/* SPDX-License-Identifier: MIT */
/*
 * usage: compare_tree IMAGE [SHALE-IMAGE [names] | DIRECTORY [UID GID]]
 *
 * With two images the kernel reads the first and shale the second. `names`: of directories only what names
 * they hold, not how or since when; nor how many blocks there are to hold them, nor times of change, which
 * recovery itself makes.
 *
 * With a directory: a copy of the image is mounted there, by shale. What FUSE does not carry is left out
 * (birth time and flags, ioctls, extents, which filesystem it is). UID GID: whose mount that is (-o owner):
 * he is there what root is in the image.
 *
 * X4, E1-E5, E8, P1, P5, V9: walks the whole volume on the kernel's mount and on shale and compares all that
 * can be read of it: directory entries in their order with their positions, statx, symlinks, attributes,
 * access, data by several ways of reading, holes and extents, statfs.
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
#include <unistd.h>

#define EACH  for (int s = 0; s < 2; s++)
#define CHUNK (1 << 20)

static char *data[2];
static bool names_only, mounted;
static uid_t owner_uid; /* who is shown in root's place, through a mount */
static gid_t owner_gid;

static int open_both(const char *path, uint64_t flags, long fd[2])
{
	struct open_how how = {.flags = flags};

	EACH fd[s] = sides[s]->openat2(AT_FDCWD, path, &how);
	same("open", path, fd[0] < 0 ? fd[0] : 0, fd[1] < 0 ? fd[1] : 0);
	if (fd[0] >= 0 && fd[1] >= 0)
		return 0;
	EACH if (fd[s] >= 0) sides[s]->close((int)fd[s]);
	return -1;
}

static void close_both(const long fd[2])
{
	EACH sides[s]->close((int)fd[s]);
}

static void compare_time(const char *what, const char *path, const struct statx_timestamp *k,
			 const struct statx_timestamp *t)
{
	same(what, path, k->tv_sec, t->tv_sec);
	same(what, path, k->tv_nsec, t->tv_nsec);
}

/* What is told only to those who ask. */
static void compare_statx_masks(const char *path, int flags)
{
	static const unsigned masks[] = {STATX_BASIC_STATS, STATX_BASIC_STATS | STATX_DIOALIGN};

	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		struct statx stx[2];

		memset(stx, 0, sizeof(stx));
		EACH sides[s]->statx(AT_FDCWD, path, flags, masks[i], &stx[s]);
		same("stx_mask as asked", path, stx[0].stx_mask, stx[1].stx_mask);
		same("stx_btime not asked", path, (long)stx[0].stx_btime.tv_sec,
		     (long)stx[1].stx_btime.tv_sec);
		same("stx_dio_mem_align", path, stx[0].stx_dio_mem_align, stx[1].stx_dio_mem_align);
		same("stx_dio_offset_align", path, stx[0].stx_dio_offset_align, stx[1].stx_dio_offset_align);
	}
}

static uint32_t as_owner(uint32_t id, uint32_t owner)
{
	return id ? id : owner;
}

/* Leaves out what FUSE does not carry. */
static void as_mounted(struct statx *stx)
{
	stx->stx_mask &= STATX_BASIC_STATS;
	stx->stx_attributes = stx->stx_attributes_mask = 0;
	memset(&stx->stx_btime, 0, sizeof(stx->stx_btime));
}

static bool compare_statx(const char *path, int flags, struct statx *out)
{
	struct statx stx[2];
	long r[2];

	memset(stx, 0, sizeof(stx));
	EACH r[s] = sides[s]->statx(AT_FDCWD, path, flags, STATX_BASIC_STATS | STATX_BTIME, &stx[s]);
	if (!same("statx", path, r[0], r[1]) || r[0])
		return false;
	if (mounted) {
		EACH as_mounted(&stx[s]);
		stx[KERNEL].stx_uid = as_owner(stx[KERNEL].stx_uid, owner_uid);
		stx[KERNEL].stx_gid = as_owner(stx[KERNEL].stx_gid, owner_gid);
	}
#define FIELD(f) same(#f, path, (long)stx[0].f, (long)stx[1].f)
	FIELD(stx_mask);
	FIELD(stx_blksize);
	FIELD(stx_attributes);
	FIELD(stx_attributes_mask);
	FIELD(stx_nlink);
	FIELD(stx_uid);
	FIELD(stx_gid);
	FIELD(stx_mode);
	FIELD(stx_ino);
	if (!names_only || !S_ISDIR(stx[0].stx_mode)) {
		FIELD(stx_size);
		FIELD(stx_blocks);
	}
	FIELD(stx_rdev_major);
	FIELD(stx_rdev_minor);
#undef FIELD
	if (!mounted)
		compare_statx_masks(path, flags);
	compare_time("atime", path, &stx[0].stx_atime, &stx[1].stx_atime);
	if (names_only && S_ISDIR(stx[0].stx_mode)) {
		*out = stx[0];
		return true;
	}
	compare_time("mtime", path, &stx[0].stx_mtime, &stx[1].stx_mtime);
	if (!names_only)
		compare_time("ctime", path, &stx[0].stx_ctime, &stx[1].stx_ctime);
	compare_time("btime", path, &stx[0].stx_btime, &stx[1].stx_btime);
	*out = stx[0];
	return true;
}

static void compare_stat(const char *path)
{
	struct stat st[2];
	long r[2];

	memset(st, 0, sizeof(st));
	EACH r[s] = sides[s]->fstatat(AT_FDCWD, path, &st[s], AT_SYMLINK_NOFOLLOW);
	if (!same("fstatat", path, r[0], r[1]) || r[0])
		return;
	if (names_only && S_ISDIR(st[0].st_mode))
		return;
	EACH st[s].st_dev = 0;
	st[KERNEL].st_uid = as_owner(st[KERNEL].st_uid, owner_uid);
	st[KERNEL].st_gid = as_owner(st[KERNEL].st_gid, owner_gid);
	if (names_only)
		st[0].st_ctim = st[1].st_ctim;
	if (memcmp(&st[0], &st[1], sizeof(st[0])))
		differ("struct stat of %s", path);
	compared++;
}

static void compare_attributes(const char *path)
{
	static char list[2][65536], value[2][65536];
	long n[2], v[2];

	EACH n[s] = sides[s]->listxattr(path, false, list[s], sizeof(list[s]));
	if (!same("llistxattr", path, n[0], n[1]) || n[0] <= 0)
		return;
	if (memcmp(list[0], list[1], n[0]))
		differ("list of attributes of %s", path);
	EACH v[s] = sides[s]->listxattr(path, false, list[s], n[0] - 1);
	same("llistxattr, too short", path, v[0], v[1]);
	EACH v[s] = sides[s]->listxattr(path, false, list[s], 0);
	same("llistxattr, no size", path, v[0], v[1]);
	for (char *name = list[0]; name < list[0] + n[0]; name += strlen(name) + 1) {
		EACH v[s] = sides[s]->getxattr(path, false, name, NULL, 0);
		same("lgetxattr, size", name, v[0], v[1]);
		EACH v[s] = sides[s]->getxattr(path, false, name, value[s], 1);
		same("lgetxattr, too short", name, v[0], v[1]);
		EACH v[s] = sides[s]->getxattr(path, false, name, value[s], sizeof(value[s]));
		if (same("lgetxattr", name, v[0], v[1]) && v[0] > 0 && memcmp(value[0], value[1], v[0]))
			differ("attribute %s of %s", name, path);
	}
	EACH v[s] = sides[s]->getxattr(path, false, "user.not-there", value[s], sizeof(value[s]));
	same("lgetxattr, missing", path, v[0], v[1]);
}

static void compare_link(const char *path)
{
	char target[2][PATH_MAX];
	long n[2];

	EACH n[s] = sides[s]->readlinkat(AT_FDCWD, path, target[s], sizeof(target[s]));
	if (same("readlink", path, n[0], n[1]) && n[0] > 0 && memcmp(target[0], target[1], n[0]))
		differ("target of %s", path);
	EACH n[s] = sides[s]->readlinkat(AT_FDCWD, path, target[s], 3);
	same("readlink, cut", path, n[0], n[1]);
}

static void compare_holes(const char *path, const long fd[2], off_t size)
{
	off_t at = 0;
	long r[2];

	for (int i = 0; i < 1000 && at <= size; i++) {
		EACH r[s] = sides[s]->lseek((int)fd[s], at, i % 2 ? SEEK_HOLE : SEEK_DATA);
		if (r[KERNEL] == -ENOENT) /* inline data that ends early: docs/differences.md */
			break;
		if (!same(i % 2 ? "SEEK_HOLE" : "SEEK_DATA", path, r[0], r[1]) || r[0] < 0)
			break;
		at = r[0];
	}
	EACH r[s] = sides[s]->lseek((int)fd[s], size, SEEK_DATA);
	same("SEEK_DATA at the end", path, r[0], r[1]);
	EACH r[s] = sides[s]->lseek((int)fd[s], 0, SEEK_END);
	same("SEEK_END", path, r[0], r[1]);
}

/* Flags, version and project, of whatever can be opened. */
static void compare_ioctls(const char *path, const long fd[2])
{
	static const struct {
		const char *name;
		unsigned long request;
	} asks[] = {{"FS_IOC_GETFLAGS", FS_IOC_GETFLAGS},
		    {"FS_IOC_GETVERSION", FS_IOC_GETVERSION},
		    {"FS_IOC_FSGETXATTR", FS_IOC_FSGETXATTR}};

	for (unsigned i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct fsxattr answer[2];
		long r[2];

		memset(answer, 0, sizeof(answer));
		EACH r[s] = sides[s]->ioctl((int)fd[s], asks[i].request, &answer[s]);
		if (same(asks[i].name, path, r[0], r[1]) && memcmp(&answer[0], &answer[1], sizeof(answer[0])))
			differ("%s of %s", asks[i].name, path);
		EACH r[s] = sides[s]->ioctl((int)fd[s], asks[i].request, NULL);
		same("ioctl, nowhere", path, r[0], r[1]);
	}
}

#define EXTENTS 600

static void compare_extents(const char *path, const long fd[2], uint32_t flags)
{
	static char room[2][sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)]
		__attribute__((aligned(8)));
	const struct fiemap_extent *e[2];
	struct fiemap *f[2];
	long r[2];

	memset(room, 0, sizeof(room));
	EACH
	{
		f[s] = (struct fiemap *)room[s];
		f[s]->fm_length = FIEMAP_MAX_OFFSET;
		f[s]->fm_flags = flags;
		f[s]->fm_extent_count = EXTENTS;
		r[s] = sides[s]->ioctl((int)fd[s], FS_IOC_FIEMAP, f[s]);
		e[s] = f[s]->fm_extents;
	}
	if (!same("fiemap", path, r[0], r[1]) || r[0])
		return;
	if (!same("fiemap, extents", path, f[0]->fm_mapped_extents, f[1]->fm_mapped_extents))
		return;
	for (unsigned i = 0; i < f[0]->fm_mapped_extents; i++) {
		/* The kernel leaves out where in its block the inode lies. */
		bool misplaced = flags & FIEMAP_FLAG_XATTR && e[0][i].fe_flags & FIEMAP_EXTENT_DATA_INLINE;

		if (!same("extent's offset", path, (long)e[0][i].fe_logical, (long)e[1][i].fe_logical) ||
		    (!misplaced &&
		     !same("extent's place", path, (long)e[0][i].fe_physical, (long)e[1][i].fe_physical)) ||
		    !same("extent's length", path, (long)e[0][i].fe_length, (long)e[1][i].fe_length) ||
		    !same("extent's flags", path, e[0][i].fe_flags, e[1][i].fe_flags))
			break;
	}
}

/* What a listing asks for, and where it ends. */
static void compare_extent_requests(const char *path, const long fd[2])
{
	static const uint32_t flags[] = {0, FIEMAP_FLAG_SYNC, FIEMAP_FLAG_CACHE, 0x80};
	static const uint64_t starts[] = {0, 1, UINT32_MAX * 4096ull, INT64_MAX, UINT64_MAX};
	struct fiemap f[2];
	long r[2];

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (unsigned j = 0; j < 4; j++) {
			EACH f[s] = (struct fiemap){
				.fm_start = starts[i], .fm_length = j ? 4096 : 0, .fm_flags = flags[j]};
			EACH r[s] = sides[s]->ioctl((int)fd[s], FS_IOC_FIEMAP, &f[s]);
			same("fiemap, odd", path, r[0], r[1]);
			same("fiemap, flags", path, f[0].fm_flags, f[1].fm_flags);
		}
	}
	EACH r[s] = sides[s]->fcntl((int)fd[s], F_SETFL, O_ASYNC);
	same("F_SETFL O_ASYNC", path, r[0], r[1]);
	EACH r[s] = sides[s]->fcntl((int)fd[s], F_GETFL, 0);
	same("F_GETFL", path, r[0], r[1]);
}

static bool same_bytes(const char *what, const char *path, off_t at, long kernel, long shale)
{
	if (!same(what, path, kernel, shale))
		return false;
	if (kernel > 0 && memcmp(data[0], data[1], kernel)) {
		differ("%s %s: data at %lld", what, path, (long long)at);
		return false;
	}
	return kernel > 0;
}

/* Sequential read of all data, holes jumped over where they are large; then reads at odd places, vectors, and
 * past the end. */
static void compare_data(const char *path, off_t size)
{
	static const struct {
		off_t at;
		size_t bytes;
	} odd[] = {{1, 1}, {4095, 2}, {4096, 4096}, {511, 70000}, {60000, 300000}, {-1, 10}, {1 << 30, 4096}};
	long fd[2], r[2];
	off_t at = 0;

	if (open_both(path, O_RDONLY, fd))
		return;
	do {
		long next = sides[KERNEL]->lseek((int)fd[0], at, SEEK_DATA);

		if (next > at + (16 << 20))
			at = next - 5000;
		EACH r[s] = sides[s]->pread((int)fd[s], data[s], CHUNK, at);
		if (next == -ENXIO && size - at > (16 << 20))
			break;
		at += r[0];
	} while (same_bytes("pread", path, at, r[0], r[1]));
	EACH sides[s]->lseek((int)fd[s], 0, SEEK_SET); /* the position that preadv2 takes at -1 */
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		EACH r[s] = sides[s]->pread((int)fd[s], data[s], odd[i].bytes, odd[i].at);
		same_bytes("pread, odd", path, odd[i].at, r[0], r[1]);
		EACH
		{
			struct iovec iov[3] = {
				{data[s], 100}, {data[s] + 100, 0}, {data[s] + 100, odd[i].bytes}};

			r[s] = sides[s]->preadv2((int)fd[s], iov, 3, odd[i].at, 0);
		}
		same_bytes("preadv2", path, odd[i].at, r[0], r[1]);
	}
	EACH r[s] = sides[s]->pread((int)fd[s], data[s], 10, size > 5 ? size - 5 : 0);
	same_bytes("pread, end", path, size, r[0], r[1]);
	compare_holes(path, fd, size);
	if (!mounted) {
		compare_extents(path, fd, 0);
		compare_extents(path, fd, FIEMAP_FLAG_XATTR);
		compare_extent_requests(path, fd);
		compare_ioctls(path, fd);
	}
	EACH sides[s]->lseek((int)fd[s], 3, SEEK_SET);
	for (int i = 0; i < 3; i++) {
		EACH r[s] = sides[s]->read((int)fd[s], data[s], 1001);
		same_bytes("read", path, i, r[0], r[1]);
	}
	close_both(fd);
}

static void compare_direct(const char *path)
{
	static const struct {
		off_t at;
		size_t bytes;
	} tries[] = {{0, 4096}, {4096, 65536},    {512, 512}, {100, 4096},
		     {0, 100},  {1 << 20, CHUNK}, {0, CHUNK}};
	long fd[2], r[2];

	if (open_both(path, O_RDONLY | O_DIRECT, fd))
		return;
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		if (mounted && (tries[i].at | (off_t)tries[i].bytes) % 4096)
			continue; /* FUSE takes any place */
		EACH r[s] = sides[s]->pread((int)fd[s], data[s], tries[i].bytes, tries[i].at);
		same_bytes("pread, O_DIRECT", path, tries[i].at, r[0], r[1]);
	}
	close_both(fd);
}

static void compare_path(const char *path);

struct found {
	uint64_t ino;
	unsigned char type;
	char name[256];
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* All names of a directory on one side, in order; the caller frees them. */
static long sorted_names(int s, int fd, struct found **out)
{
	long n = 0, room = 0, got;

	*out = NULL;
	while ((got = sides[s]->getdents(fd, data[s], 32768)) > 0) {
		for (long at = 0; at < got; at += ((struct dirent64 *)(data[s] + at))->d_reclen) {
			const struct dirent64 *de = (void *)(data[s] + at);

			if (n == room) {
				room = room ? room * 2 : 64;
				*out = realloc(*out, (size_t)room * sizeof(**out));
				if (!*out)
					abort();
			}
			(*out)[n].ino = de->d_ino;
			(*out)[n].type = de->d_type;
			snprintf((*out)[n++].name, sizeof((*out)->name), "%s", de->d_name);
		}
	}
	if (got < 0)
		differ("listing: %ld", got);
	if (n)
		qsort(*out, (size_t)n, sizeof(**out), by_name);
	return n;
}

/* Compares the names whatever their order, and goes on with each. */
static void compare_names(const char *path)
{
	struct found *names[2];
	long fd[2], n[2];

	if (open_both(path, O_RDONLY | O_DIRECTORY, fd))
		return;
	EACH n[s] = sorted_names(s, (int)fd[s], &names[s]);
	close_both(fd);
	same("names", path, n[0], n[1]);
	for (long i = 0; i < n[0] && i < n[1]; i++) {
		const char *name = names[0][i].name;
		char below[PATH_MAX];

		if (strcmp(name, names[1][i].name)) {
			differ("name in %s: kernel %s, shale %s", path, name, names[1][i].name);
			break;
		}
		same("d_ino", name, (long)names[0][i].ino, (long)names[1][i].ino);
		same("d_type", name, names[0][i].type, names[1][i].type);
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s%s%s", path, path[1] ? "/" : "", name);
		compare_path(below);
	}
	EACH free(names[s]);
}

/* Compares the listing, and goes on with each name. */
static void compare_directory(const char *path)
{
	static const size_t sizes[] = {32768, 300, 24, 0};
	size_t names_size = 0, names_room = 1 << 20;
	char *names = malloc(names_room);
	long fd[2], r[2];

	if (open_both(path, O_RDONLY | O_DIRECTORY, fd)) {
		free(names);
		return;
	}
	if (!mounted) {
		compare_extent_requests(path, fd);
		compare_extents(path, fd, FIEMAP_FLAG_XATTR);
		compare_ioctls(path, fd);
	}
	/* Not of a file: what ends later in the ring counts as a signal, which cuts the kernel's listings. */
	EACH r[s] = sides[s]->fadvise((int)fd[s], 0, 0, POSIX_FADV_WILLNEED);
	same("fadvise", path, r[0], r[1]);
	for (unsigned i = 0; sizes[i]; i++) {
		int rounds = 0;

		EACH r[s] = sides[s]->lseek((int)fd[s], 0, SEEK_SET);
		same("lseek", path, r[0], r[1]);
		do {
			memset(data[0], 0, sizes[i]);
			memset(data[1], 0, sizes[i]);
			EACH r[s] = sides[s]->getdents((int)fd[s], data[s], sizes[i]);
			if (!same("getdents64", path, r[0], r[1]) || r[0] <= 0)
				break;
			for (long at = 0; at < r[0];) {
				struct dirent64 *k = (void *)(data[0] + at), *t = (void *)(data[1] + at);

				if (!same("d_reclen", path, k->d_reclen, t->d_reclen) ||
				    !same("d_ino", path, k->d_ino, t->d_ino) ||
				    !same("d_off", path, k->d_off, t->d_off))
					break;
				/* FUSE takes it from the inode where it tells attributes with names. */
				if (!(mounted && k->d_type == DT_UNKNOWN) &&
				    !same("d_type", path, k->d_type, t->d_type))
					break;
				if (strcmp(k->d_name, t->d_name))
					differ("name in %s: kernel %s, shale %s", path, k->d_name, t->d_name);
				if (!i) {
					size_t len = strlen(k->d_name) + 1;

					if (names_size + len > names_room)
						abort();
					memcpy(names + names_size, k->d_name, len);
					names_size += len;
				}
				at += k->d_reclen;
			}
		} while (++rounds < 400);
	}
	close_both(fd);
	for (char *name = names; name < names + names_size; name += strlen(name) + 1) {
		char below[PATH_MAX];

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s%s%s", path, path[1] ? "/" : "", name);
		compare_path(below);
	}
	free(names);
}

static void compare_path(const char *path)
{
	struct statx stx;
	long r[2];

	if (!compare_statx(path, AT_SYMLINK_NOFOLLOW, &stx))
		return;
	compare_stat(path);
	compare_attributes(path);
	for (int mode = 0; mode < 8; mode++) {
		EACH r[s] = sides[s]->faccessat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
		same("faccessat2", path, r[0], r[1]);
	}
	if (S_ISLNK(stx.stx_mode))
		compare_link(path);
	if (S_ISREG(stx.stx_mode)) {
		compare_data(path, stx.stx_size);
		compare_direct(path);
	}
	if (S_ISDIR(stx.stx_mode) && names_only)
		compare_names(path);
	else if (S_ISDIR(stx.stx_mode))
		compare_directory(path);
}

static void compare_statfs(void)
{
	struct statfs f[2];
	long r[2];

	memset(f, 0, sizeof(f));
	EACH r[s] = sides[s]->statfs("/", &f[s]);
	if (!same("statfs", "/", r[0], r[1]) || r[0])
		return;
#define FIELD(x) same(#x, "/", (long)f[0].x, (long)f[1].x)
	if (!mounted) {
		FIELD(f_type);
		FIELD(f_fsid.__val[0]);
		FIELD(f_fsid.__val[1]);
	}
	FIELD(f_bsize);
	FIELD(f_blocks);
	if (!names_only) {
		FIELD(f_bfree);
		FIELD(f_bavail);
	}
	FIELD(f_files);
	FIELD(f_ffree);
	FIELD(f_namelen);
	FIELD(f_frsize);
	FIELD(f_flags);
#undef FIELD
}

/* Whose mount the directory is may follow. */
static void start_mounted(int argc, char **argv)
{
	mounted = true;
	if (argc == 5) {
		owner_uid = (uid_t)strtoul(argv[3], NULL, 0);
		owner_gid = (gid_t)strtoul(argv[4], NULL, 0);
	}
	sides_start_mounted(argv[1], NULL, argv[2], owner_uid, owner_gid);
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc < 2 || argc > 5)
		return 2;
	EACH
	{
		data[s] = aligned_alloc(4096, CHUNK);
		if (!data[s])
			return 1;
	}
	/* Into another one's mount even root cannot look. */
	if (argc == 5 || (argc > 2 && !stat(argv[2], &st) && S_ISDIR(st.st_mode))) {
		start_mounted(argc, argv);
	} else {
		names_only = argc == 4;
		sides_start_two(argv[1], argv[argc > 2 ? 2 : 1], NULL, 0, 1);
	}
	compare_statfs();
	compare_path("/");
	sides_stop();
	return compare_end();
}
