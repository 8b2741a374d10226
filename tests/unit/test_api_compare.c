/* SPDX-License-Identifier: MIT */
/*
 * Rows V6, V7, N3, P1, F1: the same calls on a directory of the host (tmpfs) and on shale's rootfs give the
 * same results and the same errors: every combination of open flags over every kind of name, openat2's rules,
 * descriptors, seeks, reads, links and removals.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>
#include <shale/shale.h>

struct world {
	struct shale *machine;
	struct shale_task *task;
	int h, s; /* the directory: on the host, in shale */
	char dir[64];
};

static long host_result(long n)
{
	return n == -1 ? -errno : n;
}

static unsigned failures;

__attribute__((format(printf, 3, 4))) static void same(long host, long shale, const char *fmt, ...)
{
	va_list args;

	if (host == shale)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": host %ld, shale %ld\n", host, shale);
	failures++;
}

/* The answer of an open that made a descriptor is "yes". */
static long yes(long n)
{
	return n >= 0 ? 1 : n;
}

#define SAME(host, shale) same(host_result(host), (shale), "%s:%d %s", __FILE__, __LINE__, #shale)

static void make_tree(struct world *w)
{
	struct shale_task *t = w->task;

	SAME(mkdirat(w->h, "dir", 0755), shale_mkdirat(t, w->s, "dir", 0755));
	SAME(mkdirat(w->h, "dir/sub", 0700), shale_mkdirat(t, w->s, "dir/sub", 0700));
	SAME(close(openat(w->h, "file", O_CREAT | O_WRONLY, 0644)),
	     shale_close(t, shale_openat(t, w->s, "file", O_CREAT | O_WRONLY, 0644)));
	SAME(symlinkat("file", w->h, "lfile"), shale_symlinkat(t, "file", w->s, "lfile"));
	SAME(symlinkat("dir", w->h, "ldir"), shale_symlinkat(t, "dir", w->s, "ldir"));
	SAME(symlinkat("gone", w->h, "lgone"), shale_symlinkat(t, "gone", w->s, "lgone"));
	SAME(symlinkat("loop", w->h, "loop"), shale_symlinkat(t, "loop", w->s, "loop"));
	SAME(symlinkat("../file", w->h, "dir/up"), shale_symlinkat(t, "../file", w->s, "dir/up"));
	SAME(mknodat(w->h, "nodev", S_IFCHR | 0600, makedev(240, 77)),
	     shale_mknodat(t, w->s, "nodev", S_IFCHR | 0600, makedev(240, 77)));
	SAME(mknodat(w->h, "sock", S_IFSOCK | 0600, 0), shale_mknodat(t, w->s, "sock", S_IFSOCK | 0600, 0));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct shale_options options = SHALE_OPTIONS_INIT;

	assert_non_null(w);
	umask(022);
	strcpy(w->dir, "/dev/shm/shale-compare-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->h = open(w->dir, O_RDONLY | O_DIRECTORY);
	assert_true(w->h >= 0);
	options.threads = 1;
	assert_int_equal(shale_new(&options, &w->machine), 0);
	assert_int_equal(shale_task_new(w->machine, NULL, &w->task), 0);
	assert_int_equal(shale_mkdir(w->task, "/mnt/t", 0700), 0);
	w->s = shale_open(w->task, "/mnt/t", O_RDONLY | O_DIRECTORY, 0);
	assert_true(w->s >= 0);
	failures = 0;
	make_tree(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[128];

	close(w->h);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	shale_task_free(w->task);
	assert_int_equal(shale_free(w->machine), 0);
	free(w);
	return failures ? -1 : 0;
}

static const char *const names[] = {
	"file",  "dir",  "dir/",        "file/",    "lfile",  "ldir",     "ldir/",
	"lgone", "loop", "missing",     "missing/", "dir/up", "dir/..",   ".",
	"nodev", "sock", "dir/no/file", "file/x",   "",       "ldir/sub", "dir/sub/../../file",
	"lfile/"};
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

static const int flag_bits[] = {O_CREAT,    O_EXCL, O_TRUNC,  O_DIRECTORY,
				O_NOFOLLOW, O_PATH, O_APPEND, O_CLOEXEC};
#define NR_FLAGS (sizeof(flag_bits) / sizeof(flag_bits[0]))

/* What creating opens may have made. */
static void forget_made(struct world *w)
{
	unlinkat(w->h, "missing", 0);
	unlinkat(w->h, "gone", 0);
	shale_unlinkat(w->task, w->s, "missing", 0);
	shale_unlinkat(w->task, w->s, "gone", 0);
}

static void compare_opened(struct world *w, int h, int s, const char *name, int flags)
{
	struct stat hst, sst;

	same(host_result(fcntl(h, F_GETFL)), shale_fcntl(w->task, s, F_GETFL, 0), "F_GETFL %s %#o", name,
	     flags);
	same(host_result(fcntl(h, F_GETFD)), shale_fcntl(w->task, s, F_GETFD, 0), "F_GETFD %s %#o", name,
	     flags);
	same(host_result(fstat(h, &hst)), shale_fstat(w->task, s, &sst), "fstat %s %#o", name, flags);
	same(hst.st_mode, sst.st_mode, "mode %s %#o", name, flags);
	same((long)hst.st_nlink, (long)sst.st_nlink, "nlink %s %#o", name, flags);
}

static void close_both(struct world *w, long h, long s, const char *name, int flags)
{
	if (h >= 0 && s >= 0)
		compare_opened(w, (int)h, (int)s, name, flags);
	if (h >= 0)
		close((int)h);
	if (s >= 0)
		shale_close(w->task, (int)s);
}

static void test_openat_all_flags(void **state)
{
	struct world *w = *state;

	for (unsigned n = 0; n < NR_NAMES; n++) {
		for (unsigned bits = 0; bits < 1u << NR_FLAGS; bits++) {
			for (int mode = O_RDONLY; mode <= O_RDWR; mode++) {
				int flags = mode;
				long h, s;

				for (unsigned i = 0; i < NR_FLAGS; i++)
					flags |= bits >> i & 1 ? flag_bits[i] : 0;
				h = host_result(openat(w->h, names[n], flags, 0640));
				s = shale_openat(w->task, w->s, names[n], flags, 0640);
				same(yes(h), yes(s), "openat %s %#o", names[n], flags);
				close_both(w, h, s, names[n], flags);
				if (flags & O_CREAT)
					forget_made(w);
			}
		}
	}
	assert_int_equal(failures, 0);
}

static void compare_openat2(struct world *w, const char *name, struct open_how how, size_t size)
{
	long h = host_result(syscall(SYS_openat2, w->h, name, &how, size));
	long s = shale_openat2(w->task, w->s, name, &how, size);

	same(yes(h), yes(s), "openat2 %s flags %#llo mode %#llo resolve %#llx", name,
	     (unsigned long long)how.flags, (unsigned long long)how.mode, (unsigned long long)how.resolve);
	close_both(w, h, s, name, (int)how.flags);
	if (how.flags & O_CREAT)
		forget_made(w);
}

static void test_openat2_rules(void **state)
{
	static const unsigned long long flags[] = {O_RDONLY,
						   O_WRONLY | O_TRUNC,
						   O_RDONLY | O_CREAT,
						   O_PATH,
						   O_PATH | O_RDWR,
						   O_DIRECTORY | O_CREAT,
						   1ull << 40,
						   O_RDONLY | O_NOFOLLOW,
						   O_WRONLY | O_CREAT | O_EXCL,
						   O_PATH | O_DIRECTORY | O_NOFOLLOW};
	static const unsigned long long modes[] = {0, 0644, 010000};
	struct world *w = *state;

	for (unsigned n = 0; n < NR_NAMES; n++)
		for (unsigned f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
			for (unsigned m = 0; m < 3; m++)
				for (unsigned resolve = 0; resolve < 0x40; resolve++) {
					/* what is cached differs: only what must fail is compared */
					if (resolve & RESOLVE_CACHED && !(flags[f] & (O_CREAT | O_TRUNC)))
						continue;
					compare_openat2(w, names[n],
							(struct open_how){.flags = flags[f],
									  .mode = modes[m],
									  .resolve = resolve},
							sizeof(struct open_how));
				}
	assert_int_equal(failures, 0);
}

static void test_openat2_sizes(void **state)
{
	struct world *w = *state;
	char block[8192] = {0};
	struct open_how how = {.flags = O_RDONLY};

	memcpy(block, &how, sizeof(how));
	for (size_t size = 0; size <= 8192; size += size < 64 ? 1 : 1013)
		same(yes(host_result(syscall(SYS_openat2, w->h, "file", block, size))),
		     yes(shale_openat2(w->task, w->s, "file", (struct open_how *)block, size)), "size %zu",
		     size);
	block[100] = 1;
	same(yes(host_result(syscall(SYS_openat2, w->h, "file", block, (size_t)128))),
	     yes(shale_openat2(w->task, w->s, "file", (struct open_how *)block, 128)),
	     "a bit behind the struct");
	assert_int_equal(failures, 0);
}

static void test_reads_and_seeks(void **state)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_PATH};
	static const char *const what[] = {"file", "dir"};
	struct world *w = *state;
	struct shale_task *t = w->task;
	char buf[64];
	struct iovec iov = {buf, sizeof(buf)}, bad = {buf, (size_t)-1};
	struct iovec nowhere[] = {{buf, 10}, {(void *)-4096l, 10}};
	volatile size_t huge = (size_t)-1; /* volatile: the compiler would warn of what is tested */
	volatile int many = 1025, fewer = -1;

	for (unsigned m = 0; m < 4; m++) {
		for (unsigned n = 0; n < 2; n++) {
			int h = openat(w->h, what[n], modes[m]),
			    s = shale_openat(t, w->s, what[n], modes[m], 0);

			if (h < 0)
				continue;
			SAME(read(h, buf, 10), shale_read(t, s, buf, 10));
			SAME(read(h, buf, 0), shale_read(t, s, buf, 0));
			SAME(pread(h, buf, 10, -1), shale_pread(t, s, buf, 10, -1));
			SAME(pread(h, buf, 10, 5), shale_pread(t, s, buf, 10, 5));
			SAME(pread(h, buf, 10, INT64_MAX - 5), shale_pread(t, s, buf, 10, INT64_MAX - 5));
			SAME(pread(h, buf, huge, 0), shale_pread(t, s, buf, huge, 0));
			SAME(preadv(h, &iov, 1, 3), shale_preadv(t, s, &iov, 1, 3));
			SAME(preadv(h, &iov, fewer, 3), shale_preadv(t, s, &iov, fewer, 3));
			SAME(preadv(h, &iov, many, 3), shale_preadv(t, s, &iov, many, 3));
			SAME(preadv(h, &bad, 1, 3), shale_preadv(t, s, &bad, 1, 3));
			SAME(preadv(h, &iov, 1, -2), shale_preadv(t, s, &iov, 1, -2));
			SAME(preadv(h, nowhere, 2, 3), shale_preadv(t, s, nowhere, 2, 3));
			SAME(preadv2(h, &iov, 1, -1, 0), shale_preadv2(t, s, &iov, 1, -1, 0));
			SAME(preadv2(h, &iov, 1, 0, 1 << 20), shale_preadv2(t, s, &iov, 1, 0, 1 << 20));
			SAME(readv(h, &iov, 0), shale_readv(t, s, &iov, 0));
			for (int rwf = RWF_HIPRI; n == 1 && rwf <= RWF_NOWAIT; rwf <<= 1)
				SAME(preadv2(h, &iov, 1, 0, rwf), shale_preadv2(t, s, &iov, 1, 0, rwf));
			for (int whence = -1; whence <= 5; whence++)
				for (off_t off = -1; off <= 2; off++) {
					if (n == 1 &&
					    whence >= SEEK_END) /* a directory's end is its own business */
						continue;
					same(host_result(lseek(h, off, whence)),
					     shale_lseek(t, s, off, whence), "lseek %s %d %ld", what[n],
					     whence, (long)off);
				}
			same(-posix_fadvise(h, 0, 0, 99), shale_fadvise(t, s, 0, 0, 99), "fadvise 99");
			same(-posix_fadvise(h, 0, -1, 0), shale_fadvise(t, s, 0, -1, 0), "fadvise -1");
			same(-posix_fadvise(h, 0, 0, POSIX_FADV_DONTNEED),
			     shale_fadvise(t, s, 0, 0, POSIX_FADV_DONTNEED), "fadvise DONTNEED");
			SAME(syscall(SYS_readahead, h, 0l, 10ul), shale_readahead(t, s, 0, 10));
			close(h);
			shale_close(t, s);
		}
	}
	SAME(read(-1, buf, 1), shale_read(t, -1, buf, 1));
	SAME(read(100000, buf, 1), shale_read(t, 100000, buf, 1));
	SAME(pread(-1, buf, 1, -1), shale_pread(t, -1, buf, 1, -1));
	SAME(lseek(-1, 0, SEEK_SET), shale_lseek(t, -1, 0, SEEK_SET));
	assert_int_equal(failures, 0);
}

static void compare_stats(struct world *w, const char *name, int at_flags)
{
	struct stat hst, sst;
	struct statx hsx, ssx;
	char hbuf[64], sbuf[64];
	long h = host_result(fstatat(w->h, name, &hst, at_flags));
	long s = shale_fstatat(w->task, w->s, name, &sst, at_flags);

	same(h, s, "fstatat %s %#x", name, at_flags);
	if (!h && !s) {
		same(hst.st_mode, sst.st_mode, "st_mode %s", name);
		same((long)hst.st_rdev, (long)sst.st_rdev, "st_rdev %s", name);
		same(hst.st_uid, sst.st_uid, "st_uid %s", name);
		same(hst.st_blksize, sst.st_blksize, "st_blksize %s", name);
	}
	h = host_result(statx(w->h, name, at_flags, STATX_BASIC_STATS, &hsx));
	s = shale_statx(w->task, w->s, name, at_flags, STATX_BASIC_STATS, &ssx);
	same(h, s, "statx %s %#x", name, at_flags);
	if (!h && !s)
		same(hsx.stx_mode, ssx.stx_mode, "stx_mode %s", name);
	h = host_result(readlinkat(w->h, name, hbuf, sizeof(hbuf)));
	s = shale_readlinkat(w->task, w->s, name, sbuf, sizeof(sbuf));
	same(h, s, "readlinkat %s", name);
	if (h > 0 && h == s)
		same(0, memcmp(hbuf, sbuf, (size_t)h), "target %s", name);
	same(host_result(readlinkat(w->h, name, hbuf, 0)), shale_readlinkat(w->task, w->s, name, sbuf, 0),
	     "readlinkat %s 0", name);
	for (int mode = 0; mode <= 8; mode++)
		same(host_result(syscall(SYS_faccessat2, w->h, name, mode, at_flags)),
		     shale_faccessat2(w->task, w->s, name, mode, at_flags), "faccessat2 %s %d %#x", name,
		     mode, at_flags);
}

static void test_attributes(void **state)
{
	static const int flags[] = {0,
				    AT_SYMLINK_NOFOLLOW,
				    AT_EMPTY_PATH,
				    AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
				    AT_NO_AUTOMOUNT,
				    0x8000,
				    AT_EACCESS,
				    AT_SYMLINK_FOLLOW};
	struct world *w = *state;

	for (unsigned n = 0; n < NR_NAMES; n++)
		for (unsigned f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
			compare_stats(w, names[n], flags[f]);
	assert_int_equal(failures, 0);
}

static void test_changes_of_names(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;

	for (unsigned n = 0; n < NR_NAMES; n++) {
		same(host_result(mkdirat(w->h, names[n], 01777)), shale_mkdirat(t, w->s, names[n], 01777),
		     "mkdirat %s", names[n]);
		same(host_result(symlinkat("x", w->h, names[n])), shale_symlinkat(t, "x", w->s, names[n]),
		     "symlinkat %s", names[n]);
		same(host_result(linkat(w->h, "file", w->h, names[n], 0)),
		     shale_linkat(t, w->s, "file", w->s, names[n], 0), "linkat to %s", names[n]);
		same(host_result(linkat(w->h, names[n], w->h, "made", 0)),
		     shale_linkat(t, w->s, names[n], w->s, "made", 0), "linkat from %s", names[n]);
		same(host_result(unlinkat(w->h, "made", 0)), shale_unlinkat(t, w->s, "made", 0),
		     "unlinkat made");
		same(host_result(linkat(w->h, names[n], w->h, "made", AT_SYMLINK_FOLLOW)),
		     shale_linkat(t, w->s, names[n], w->s, "made", AT_SYMLINK_FOLLOW), "linkat through %s",
		     names[n]);
		same(host_result(unlinkat(w->h, "made", 0)), shale_unlinkat(t, w->s, "made", 0),
		     "unlinkat made");
		same(host_result(mknodat(w->h, names[n], S_IFREG | 0600, 0)),
		     shale_mknodat(t, w->s, names[n], S_IFREG | 0600, 0), "mknodat %s", names[n]);
		same(host_result(mknodat(w->h, names[n], S_IFDIR | 0600, 0)),
		     shale_mknodat(t, w->s, names[n], S_IFDIR | 0600, 0), "mknodat of a directory %s",
		     names[n]);
	}
	for (unsigned n = 0; n < NR_NAMES; n++) {
		same(host_result(unlinkat(w->h, names[n], 0x1)), shale_unlinkat(t, w->s, names[n], 0x1),
		     "flags %s", names[n]);
		same(host_result(unlinkat(w->h, names[n], AT_REMOVEDIR)),
		     shale_unlinkat(t, w->s, names[n], AT_REMOVEDIR), "rmdir %s", names[n]);
		same(host_result(unlinkat(w->h, names[n], 0)), shale_unlinkat(t, w->s, names[n], 0),
		     "unlink %s", names[n]);
	}
	SAME(unlinkat(w->h, "dir/up", 0), shale_unlinkat(t, w->s, "dir/up", 0));
	SAME(unlinkat(w->h, "dir/sub", AT_REMOVEDIR), shale_unlinkat(t, w->s, "dir/sub", AT_REMOVEDIR));
	SAME(unlinkat(w->h, "dir", AT_REMOVEDIR), shale_unlinkat(t, w->s, "dir", AT_REMOVEDIR));
	assert_int_equal(failures, 0);
}

static void test_descriptors(void **state)
{
	struct world *w = *state;
	struct shale_task *t = w->task;
	int h = openat(w->h, "file", O_RDONLY), s = shale_openat(t, w->s, "file", O_RDONLY, 0);
	int hp = openat(w->h, "file", O_PATH), sp = shale_openat(t, w->s, "file", O_PATH, 0);
	int n;

	SAME(dup3(h, h, 0), shale_dup3(t, s, s, 0));
	SAME(dup3(h, 700, O_CLOEXEC), shale_dup3(t, s, 700, O_CLOEXEC));
	SAME(fcntl(700, F_GETFD), shale_fcntl(t, 700, F_GETFD, 0));
	SAME(dup2(700, 701), shale_dup2(t, 700, 701));
	SAME(fcntl(701, F_GETFD), shale_fcntl(t, 701, F_GETFD, 0));
	SAME(dup2(701, 701), shale_dup2(t, 701, 701));
	SAME(dup2(999, 701), shale_dup2(t, 999, 701));
	SAME(dup2(999, 999), shale_dup2(t, 999, 999));
	SAME(dup3(701, 702, O_APPEND), shale_dup3(t, 701, 702, O_APPEND));
	SAME(dup2(701, -1), shale_dup2(t, 701, -1));
	SAME(fcntl(701, F_DUPFD, 700), shale_fcntl(t, 701, F_DUPFD, 700));
	SAME(fcntl(701, F_DUPFD_CLOEXEC, 700), shale_fcntl(t, 701, F_DUPFD_CLOEXEC, 700));
	SAME(fcntl(703, F_GETFD), shale_fcntl(t, 703, F_GETFD, 0));
	SAME(fcntl(703, F_SETFD, 0), shale_fcntl(t, 703, F_SETFD, 0));
	SAME(fcntl(703, F_GETFD), shale_fcntl(t, 703, F_GETFD, 0));
	SAME(ioctl(703, FIOCLEX), shale_ioctl(t, 703, FIOCLEX, NULL));
	SAME(fcntl(703, F_GETFD), shale_fcntl(t, 703, F_GETFD, 0));
	SAME(fcntl(703, F_SETFL, O_APPEND | O_NONBLOCK | O_RDWR),
	     shale_fcntl(t, 703, F_SETFL, O_APPEND | O_NONBLOCK | O_RDWR));
	SAME(fcntl(h, F_GETFL), shale_fcntl(t, s, F_GETFL, 0)); /* the file's, so all see it */
	SAME(fcntl(hp, F_GETFL), shale_fcntl(t, sp, F_GETFL, 0));
	SAME(fcntl(hp, F_SETFL, 0), shale_fcntl(t, sp, F_SETFL, 0));
	SAME(ioctl(hp, FIONREAD, &n), shale_ioctl(t, sp, FIONREAD, &n));
	SAME(ioctl(h, FIONREAD, &n), shale_ioctl(t, s, FIONREAD, &n));
	SAME(ioctl(h, FIGETBSZ, &n), shale_ioctl(t, s, FIGETBSZ, &n));
	SAME(ioctl(h, 0x12345, &n), shale_ioctl(t, s, 0x12345, &n));
	SAME(ioctl(999, FIONREAD, &n), shale_ioctl(t, 999, FIONREAD, &n));
	SAME(fcntl(h, 4711), shale_fcntl(t, s, 4711, 0));
	SAME(syscall(SYS_close_range, 701u, 700u, 0u), shale_close_range(t, 701, 700, 0));
	SAME(syscall(SYS_close_range, 700u, 701u, 64u), shale_close_range(t, 700, 701, 64));
	SAME(syscall(SYS_close_range, 700u, 701u, 0u), shale_close_range(t, 700, 701, 0));
	SAME(fcntl(700, F_GETFD), shale_fcntl(t, 700, F_GETFD, 0));
	SAME(fcntl(702, F_GETFD), shale_fcntl(t, 702, F_GETFD, 0));
	SAME(syscall(SYS_close_range, 700u, ~0u, 4u), shale_close_range(t, 700, ~0u, 4));
	SAME(fcntl(702, F_GETFD), shale_fcntl(t, 702, F_GETFD, 0));
	SAME(syscall(SYS_close_range, 700u, ~0u, 0u), shale_close_range(t, 700, ~0u, 0));
	SAME(close(702), shale_close(t, 702));
	close(h);
	close(hp);
	shale_close(t, s);
	shale_close(t, sp);
	assert_int_equal(failures, 0);
}

static void test_xattrs_of_nothing(void **state)
{
	struct world *w = *state;
	char name[300], buf[64];

	memset(name, 'x', sizeof(name));
	name[299] = '\0';
	assert_int_equal(shale_chdir(w->task, "/mnt/t"), 0);
	assert_int_equal(shale_getxattr(w->task, "file", name, buf, 64), -ERANGE);
	assert_int_equal(shale_getxattr(w->task, "file", "", buf, 64), -ERANGE);
	assert_int_equal(shale_getxattr(w->task, "file", "user.a", buf, 64), -ENODATA);
	assert_int_equal(shale_getxattr(w->task, "nowhere", "user.a", buf, 64), -ENOENT);
	assert_int_equal(shale_listxattr(w->task, "file", buf, 64), 0);
	assert_int_equal(shale_lgetxattr(w->task, "lfile", "user.a", buf, 64),
			 -ENODATA); /* no user.* on symlinks */
	assert_int_equal(shale_fgetxattr(w->task, 999, "user.a", buf, 64), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_openat_all_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_openat2_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_openat2_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_and_seeks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_of_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xattrs_of_nothing, setup, teardown),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: the host's side needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
