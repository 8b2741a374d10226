/* SPDX-License-Identifier: MIT */
/*
 * usage: compare_walk IMAGE EXTRA CALLS SEED [THREADS | DIRECTORY]
 *
 * N1, N2, V8: makes that many openat2, statx, access, readlink and chdir calls with generated paths,
 * directories and flags on both sides, as root and as others, and compares results, errno and what was found.
 * The same seed makes the same calls. With a directory (its name has a slash), shale's side are mounts of
 * copies there.
 */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EACH for (int s = 0; s < 2; s++)

static uint64_t state;
static bool mounted;

static uint32_t rnd(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % below;
}

#define PICK(array) array[rnd(sizeof(array) / sizeof(array[0]))]

static const char *const starts[] = {
	"/",  "",    "",   "walk/", "/walk/",    "permissions/", "/permissions/", "attributes/acl/",
	"./", "../", "//", "/mnt/", "mnt/walk/", "directories/", "/kinds/"};
static const char *const parts[] = {
	"a",
	"b",
	"c",
	"file",
	".",
	"..",
	"self",
	"one",
	"up",
	"upup",
	"dot",
	"root",
	"abs",
	"absfile",
	"rel",
	"relfile",
	"dangling",
	"slash",
	"fileslash",
	"long",
	"out",
	"mount",
	"throughmount",
	"empty-ish",
	"updown",
	"chain0",
	"chain38",
	"chain39",
	"chain40",
	"chain41",
	"chain44",
	"nest0",
	"nest3",
	"nest8",
	"nest11",
	"back",
	"none",
	"walk",
	"mnt",
	"permissions",
	"d0",
	"d1",
	"d2",
	"d3",
	"d4",
	"d5",
	"d6",
	"d7",
	"d8",
	"in",
	"link",
	"away",
	"m0644",
	"m0600",
	"m0444",
	"m0711",
	"m0000",
	"acl",
	"below",
	"inherits",
	"attributes",
	"kinds",
	"fifo",
	"null",
	"socket",
	"symlink60",
	"symlink1",
	"linked",
	"directories",
	"deep",
	"dir0",
	"times",
	"flags",
	"removed",
	"m0755",
	"m0100",
};
static const char *const wholes[] = {
	"",
	"/",
	".",
	"..",
	"/..",
	"//",
	"/.",
	"walk/chain39/",
	"walk/chain40",
	"a/",
	"/mnt/..",
	"/mnt/.",
	"/mnt/../mnt/walk/root",
	"walk/a/file/",
	"walk/a/file/.",
	"walk/a/file/..",
	"walk/dangling/",
	"permissions/d4/link",
	"permissions/d4/away",
};

/* A path of up to eight parts. */
static void make_path(char *path, size_t size)
{
	unsigned n = rnd(8);

	if (!rnd(12)) {
		snprintf(path, size, "%s", PICK(wholes));
		return;
	}
	if (!rnd(400)) { /* a name or a path that is too long */
		bool name = rnd(2);

		memset(path, 'x', name ? 256 : size - 1);
		path[name ? 256 : size - 1] = 0;
		for (size_t i = 100; !name && i < size - 1; i += 100)
			path[i] = '/';
		return;
	}
	snprintf(path, size, "%s", PICK(starts));
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(path);

		snprintf(path + len, size - len, "%s%s", PICK(parts),
			 i + 1 < n || !rnd(10) ? (rnd(15) ? "/" : "//") : "");
	}
}

static long dirs[2][16];
static unsigned ndirs;

static void open_dirs(void)
{
	static const char *const paths[] = {"/",
					    "/walk",
					    "/walk/a/b/c",
					    "/permissions",
					    "/permissions/d2",
					    "/permissions/d3",
					    "/walk/a/file",
					    "/attributes/acl",
					    "/mnt",
					    "/mnt/walk",
					    "/kinds/fifo",
					    "/walk/self"};

	ndirs = 0;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct open_how how = {.flags = O_PATH | (i == 11 ? O_NOFOLLOW : 0)};

		EACH dirs[s][ndirs] = sides[s]->openat2(AT_FDCWD, paths[i], &how);
		same("open", paths[i], dirs[0][ndirs] < 0 ? dirs[0][ndirs] : 0,
		     dirs[1][ndirs] < 0 ? dirs[1][ndirs] : 0);
		if (dirs[0][ndirs] >= 0 && dirs[1][ndirs] >= 0)
			ndirs++;
	}
}

static void close_dirs(void)
{
	while (ndirs--)
		EACH sides[s]->close((int)dirs[s][ndirs]);
}

/* Where relative names begin. */
static void pick_dir(long dfd[2])
{
	unsigned i = rnd(ndirs + 4);

	EACH dfd[s] = i < ndirs ? dirs[s][i] : AT_FDCWD;
	if (!rnd(200))
		EACH dfd[s] = rnd(2) ? -1 : 9999;
	if (dfd[0] != AT_FDCWD && dfd[0] < 0)
		dfd[1] = dfd[0];
}

/* Device numbers differ between the sides; whether something is on the root's device does not. */
static struct statx root_stx[2];

static bool on_root(const struct statx stx[2], int s)
{
	return stx[s].stx_dev_major == root_stx[s].stx_dev_major &&
	       stx[s].stx_dev_minor == root_stx[s].stx_dev_minor;
}

static void compare_found(const char *what, const char *path, const struct statx stx[2])
{
	same(what, path, (long)stx[0].stx_ino, (long)stx[1].stx_ino);
	same(what, path, stx[0].stx_mode, stx[1].stx_mode);
	same("device of", path, on_root(stx, 0), on_root(stx, 1));
	if (!mounted) /* but for those of the VFS itself, FUSE carries none */
		same(what, path, (long)stx[0].stx_attributes, (long)stx[1].stx_attributes);
}

/*
 * Linux counts on when a walk begins anew, as it does when somebody mounts meanwhile, and may find 40 links
 * too early: what one side alone calls a loop is asked again. `undo` is for what was asked in vain.
 */
#define EACH_OF_LOOPS(r, call, undo)                                                                         \
	for (unsigned asked = 0;; asked++) {                                                                 \
		EACH(r)[s] = (call);                                                                         \
		if (((r)[0] == -ELOOP) == ((r)[1] == -ELOOP) || asked == 20)                                 \
			break;                                                                               \
		EACH undo;                                                                                   \
	}

/* In the library, opening fifos and character devices is not there yet (docs/differences.md). */
static bool not_supported(const char *path, const long dfd[2], const long fd[2])
{
	struct stat st;

	return !mounted && (fd[1] == -EOPNOTSUPP || fd[1] == -ENXIO) && fd[0] != fd[1] &&
	       !sides[0]->fstatat((int)dfd[0], path, &st, 0) && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

static void try_openat2(void)
{
	static const uint64_t flags[] = {O_RDONLY,           O_RDONLY,
					 O_RDONLY,           O_PATH,
					 O_WRONLY,           O_RDWR,
					 O_RDONLY | O_TRUNC, O_RDWR | O_CREAT,
					 O_RDONLY | O_CREAT, O_CREAT | O_EXCL | O_WRONLY,
					 O_TMPFILE | O_RDWR, O_WRONLY | O_APPEND,
					 O_ACCMODE};
	static const uint64_t more[] = {
		0,         0,         0,          O_DIRECTORY, O_NOFOLLOW, O_DIRECTORY | O_NOFOLLOW,
		O_CLOEXEC, O_NOATIME, O_NONBLOCK, 1ull << 40,  O_DIRECT};
	static const uint64_t resolve[] = {0,
					   0,
					   0,
					   RESOLVE_BENEATH,
					   RESOLVE_IN_ROOT,
					   RESOLVE_NO_XDEV,
					   RESOLVE_NO_SYMLINKS,
					   RESOLVE_NO_MAGICLINKS,
					   RESOLVE_BENEATH | RESOLVE_IN_ROOT,
					   RESOLVE_BENEATH | RESOLVE_NO_XDEV,
					   RESOLVE_IN_ROOT | RESOLVE_NO_XDEV,
					   RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
					   1ull << 20};
	struct open_how how = {.flags = PICK(flags) | PICK(more) | O_NONBLOCK, .resolve = PICK(resolve)};
	char path[4200], what[128];
	struct statx stx[2];
	long dfd[2], fd[2], r[2];

	if (how.flags & O_CREAT || (how.flags & O_TMPFILE) == O_TMPFILE)
		how.mode = rnd(20) ? 0644 : 010000000;
	else if (!rnd(50))
		how.mode = 0600;
	make_path(path, sizeof(path));
	pick_dir(dfd);
	EACH_OF_LOOPS(fd, sides[s]->openat2((int)dfd[s], path, &how),
		      if (fd[s] >= 0) sides[s]->close((int)fd[s]));
	snprintf(what, sizeof(what), "openat2(dir %ld, flags %#llo, mode %#llo, resolve %#llx)", dfd[0],
		 (unsigned long long)how.flags, (unsigned long long)how.mode,
		 (unsigned long long)how.resolve);
	if (!not_supported(path, dfd, fd) && same(what, path, fd[0] < 0 ? fd[0] : 0, fd[1] < 0 ? fd[1] : 0) &&
	    fd[0] >= 0) {
		memset(stx, 0, sizeof(stx));
		EACH r[s] = sides[s]->statx((int)fd[s], "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx[s]);
		same("statx of what was opened", path, r[0], r[1]);
		compare_found(what, path, stx);
		EACH r[s] = sides[s]->fcntl((int)fd[s], F_GETFL, 0);
		same("F_GETFL", path, r[0], r[1]);
		EACH r[s] = sides[s]->fcntl((int)fd[s], F_GETFD, 0);
		same("F_GETFD", path, r[0], r[1]);
	}
	EACH if (fd[s] >= 0) sides[s]->close((int)fd[s]);
}

static void try_statx(void)
{
	static const int flags[] = {0,
				    0,
				    AT_SYMLINK_NOFOLLOW,
				    AT_SYMLINK_NOFOLLOW,
				    AT_EMPTY_PATH,
				    AT_NO_AUTOMOUNT,
				    AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
				    AT_STATX_DONT_SYNC,
				    AT_STATX_FORCE_SYNC,
				    0x4000000};
	int at_flags = PICK(flags);
	struct statx stx[2];
	char path[4200], what[64];
	long dfd[2], r[2];

	memset(stx, 0, sizeof(stx));
	make_path(path, sizeof(path));
	pick_dir(dfd);
	EACH_OF_LOOPS(r, sides[s]->statx((int)dfd[s], path, at_flags, STATX_BASIC_STATS, &stx[s]), (void)0);
	snprintf(what, sizeof(what), "statx(flags %#x)", at_flags);
	if (same(what, path, r[0], r[1]) && !r[0])
		compare_found(what, path, stx);
}

static void try_stat(void)
{
	static const int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x4000000};
	int at_flags = PICK(flags);
	struct stat st[2];
	char path[4200];
	long dfd[2], r[2];

	memset(st, 0, sizeof(st));
	make_path(path, sizeof(path));
	pick_dir(dfd);
	EACH_OF_LOOPS(r, sides[s]->fstatat((int)dfd[s], path, &st[s], at_flags), (void)0);
	if (same("fstatat", path, r[0], r[1]) && !r[0])
		same("fstatat, inode", path, (long)st[0].st_ino, (long)st[1].st_ino);
}

static void try_access(void)
{
	static const int flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x4000000};
	int mode = (int)rnd(9), at_flags = PICK(flags);
	char path[4200], what[64];
	long dfd[2], r[2];

	make_path(path, sizeof(path));
	pick_dir(dfd);
	EACH_OF_LOOPS(r, sides[s]->faccessat((int)dfd[s], path, mode, at_flags), (void)0);
	snprintf(what, sizeof(what), "faccessat2(mode %d, flags %#x)", mode, at_flags);
	same(what, path, r[0], r[1]);
}

static void try_readlink(void)
{
	char path[4200], target[2][4200];
	long dfd[2], r[2];
	size_t size = rnd(20) ? sizeof(target[0]) : rnd(5);

	make_path(path, sizeof(path));
	pick_dir(dfd);
	EACH_OF_LOOPS(r, sides[s]->readlinkat((int)dfd[s], path, target[s], size), (void)0);
	if (same("readlinkat", path, r[0], r[1]) && r[0] > 0 && memcmp(target[0], target[1], r[0]))
		differ("target of %s", path);
}

static void try_chdir(void)
{
	char path[4200];
	long r[2];

	make_path(path, sizeof(path));
	EACH r[s] = sides[s]->chdir(path);
	if (same("chdir", path, r[0], r[1]) && !r[0]) {
		struct statx stx[2];

		memset(stx, 0, sizeof(stx));
		EACH r[s] = sides[s]->statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS, &stx[s]);
		if (same("statx after chdir", path, r[0], r[1]) && !r[0])
			compare_found("chdir", path, stx);
	}
	if (!rnd(4))
		sides_chdir_root();
}

int main(int argc, char **argv)
{
	static const gid_t groups[] = {2000, 2001};
	static const struct {
		uid_t uid;
		gid_t gid;
		unsigned ngroups;
	} users[] = {{0, 0, 0}, {1000, 1000, 0}, {1001, 1001, 1}, {1002, 2000, 2}, {65534, 65534, 0}};
	static void (*const tries[])(void) = {try_openat2, try_openat2, try_openat2, try_openat2,  try_statx,
					      try_statx,   try_stat,    try_access,  try_readlink, try_chdir};
	unsigned long calls;

	if (argc < 5)
		return 2;
	calls = strtoul(argv[3], NULL, 0);
	state = strtoull(argv[4], NULL, 0) * 2 + 1;
	mounted = argc > 5 && strchr(argv[5], '/');
	if (mounted)
		sides_start_mounted(argv[1], argv[2], argv[5], 0, 0);
	else
		sides_start(argv[1], argv[2], argc > 5 ? (unsigned)atoi(argv[5]) : 0,
			    strtoull(argv[4], NULL, 0));
	EACH sides[s]->statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &root_stx[s]);
	for (unsigned u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		sides_become(users[u].uid, users[u].gid, groups, users[u].ngroups);
		open_dirs();
		for (unsigned long i = 0; i < calls / 5; i++)
			PICK(tries)();
		sides_chdir_root();
		close_dirs();
	}
	sides_become(0, 0, NULL, 0);
	sides_stop();
	printf("calls: %lu, seed %s\n", calls, argv[4]);
	return compare_end();
}
