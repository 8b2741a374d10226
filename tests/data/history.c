/* SPDX-License-Identifier: MIT */
/*
 * Random histories of one file's data: the same calls on a kernel file and on shale, same answers, and now
 * and then the same content, size, blocks, data and holes. Pairs: the kernel's tmpfs beside ramfs, and a loop
 * device beside a block device over a host file.
 *
 * usage: history --pair tmpfs|loop [--seed S] [--ops N] [--threads T] DIRECTORY
 * DIRECTORY is for the images, or is the tmpfs. A difference prints the seed and the number of calls that
 * repeat it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <shale/shale.h>

#define MOST     (600u << 10) /* of a file, but for a few bytes far away */
#define BUF_SIZE (160u << 10)
#define FDS      4 /* read and write, append, read only, O_DIRECT */

struct side {
	const char *name;
	long (*pwrite)(int fd, const void *buf, size_t n, off_t at);
	long (*write)(int fd, const void *buf, size_t n);
	long (*pwritev2)(int fd, const struct iovec *iov, int n, off_t at, int flags);
	long (*pread)(int fd, void *buf, size_t n, off_t at);
	long (*read)(int fd, void *buf, size_t n);
	long (*lseek)(int fd, off_t at, int whence);
	long (*fallocate)(int fd, int mode, off_t at, off_t n);
	long (*copy)(int in, off_t *at_in, int out, off_t *at_out, size_t n, unsigned flags);
	long (*fsync)(int fd, bool data);
	long (*sync_range)(int fd, off_t at, off_t n, unsigned flags);
	long (*fstat)(int fd, struct stat *st);
	long (*ioctl)(int fd, unsigned long request);
	long (*ftruncate)(int fd, off_t size);
	int fds[FDS + 1]; /* the last is no descriptor */
};

static long sys(long n)
{
	return n < 0 ? -errno : n;
}
static long k_pwrite(int fd, const void *b, size_t n, off_t at)
{
	return sys(pwrite(fd, b, n, at));
}
static long k_write(int fd, const void *b, size_t n)
{
	return sys(write(fd, b, n));
}
static long k_pwritev2(int fd, const struct iovec *v, int n, off_t at, int f)
{
	return sys(pwritev2(fd, v, n, at, f));
}
static long k_pread(int fd, void *b, size_t n, off_t at)
{
	return sys(pread(fd, b, n, at));
}
static long k_read(int fd, void *b, size_t n)
{
	return sys(read(fd, b, n));
}
static long k_lseek(int fd, off_t at, int w)
{
	return sys(lseek(fd, at, w));
}
static long k_fallocate(int fd, int m, off_t at, off_t n)
{
	return sys(fallocate(fd, m, at, n));
}
static long k_copy(int in, off_t *ai, int out, off_t *ao, size_t n, unsigned f)
{
	return sys(copy_file_range(in, ai, out, ao, n, f));
}
static long k_fsync(int fd, bool data)
{
	return sys(data ? fdatasync(fd) : fsync(fd));
}
static long k_sync_range(int fd, off_t at, off_t n, unsigned f)
{
	return sys(sync_file_range(fd, at, n, f));
}
static long k_fstat(int fd, struct stat *st)
{
	return sys(fstat(fd, st));
}
static long k_ioctl(int fd, unsigned long request)
{
	return sys(ioctl(fd, request));
}

static long k_ftruncate(int fd, off_t size)
{
	return sys(ftruncate(fd, size));
}

static struct shale *machine;
static struct shale_task *task;
static long s_pwrite(int fd, const void *b, size_t n, off_t at)
{
	return shale_pwrite(task, fd, b, n, at);
}
static long s_write(int fd, const void *b, size_t n)
{
	return shale_write(task, fd, b, n);
}
static long s_pwritev2(int fd, const struct iovec *v, int n, off_t at, int f)
{
	return shale_pwritev2(task, fd, v, n, at, f);
}
static long s_pread(int fd, void *b, size_t n, off_t at)
{
	return shale_pread(task, fd, b, n, at);
}
static long s_read(int fd, void *b, size_t n)
{
	return shale_read(task, fd, b, n);
}
static long s_lseek(int fd, off_t at, int w)
{
	return shale_lseek(task, fd, at, w);
}
static long s_fallocate(int fd, int m, off_t at, off_t n)
{
	return shale_fallocate(task, fd, m, at, n);
}
static long s_copy(int in, off_t *ai, int out, off_t *ao, size_t n, unsigned f)
{
	return shale_copy_file_range(task, in, ai, out, ao, n, f);
}
static long s_fsync(int fd, bool data)
{
	return data ? shale_fdatasync(task, fd) : shale_fsync(task, fd);
}
static long s_sync_range(int fd, off_t at, off_t n, unsigned f)
{
	return shale_sync_file_range(task, fd, at, n, f);
}
static long s_fstat(int fd, struct stat *st)
{
	return shale_fstat(task, fd, st);
}
static long s_ioctl(int fd, unsigned long request)
{
	return shale_ioctl(task, fd, request, NULL);
}

static long s_ftruncate(int fd, off_t size)
{
	return shale_ftruncate(task, fd, size);
}

static struct side sides[2] = {
	{"Linux",
	 k_pwrite,
	 k_write,
	 k_pwritev2,
	 k_pread,
	 k_read,
	 k_lseek,
	 k_fallocate,
	 k_copy,
	 k_fsync,
	 k_sync_range,
	 k_fstat,
	 k_ioctl,
	 k_ftruncate,
	 {0}},
	{"shale",
	 s_pwrite,
	 s_write,
	 s_pwritev2,
	 s_pread,
	 s_read,
	 s_lseek,
	 s_fallocate,
	 s_copy,
	 s_fsync,
	 s_sync_range,
	 s_fstat,
	 s_ioctl,
	 s_ftruncate,
	 {0}},
};

static uint64_t seed = 1, state;
static unsigned long nr_ops = 3000, op_nr;
static bool device;

static uint64_t rnd(uint64_t most)
{
	uint64_t x = state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % most;
}

__attribute__((format(printf, 1, 2), noreturn)) static void differ(const char *words, ...)
{
	va_list args;

	va_start(args, words);
	printf("differs: ");
	vprintf(words, args);
	va_end(args);
	printf("\n  repeat with --seed %llu --ops %lu\n", (unsigned long long)seed, op_nr);
	exit(1);
}

/* Places: near pages mostly, now and then wrong or far away. */
static off_t place(void)
{
	off_t at = (off_t)rnd(MOST);

	switch (rnd(16)) {
	case 0:
		return -1 - (off_t)rnd(3);
	case 1:
		return INT64_MAX - (off_t)rnd(9000);
	case 2:
	case 3:
	case 4:
	case 5:
		return at & ~4095l;
	case 6:
	case 7:
		return (at & ~4095l) + (off_t)rnd(7) - 3;
	case 8:
		return (off_t)rnd(64);
	default:
		return at;
	}
}

static size_t length(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1:
		return rnd(BUF_SIZE);
	case 2:
	case 3:
		return 4096 * (1 + rnd(8));
	case 4:
		return 1 + rnd(8);
	default:
		return 1 + rnd(9000);
	}
}

struct op {
	unsigned kind, fd, fd2, flags;
	off_t at, at2;
	size_t len;
	unsigned char byte;
};
static const char *const kinds[] = {"pwrite", "write",           "pwritev2",  "pread",
				    "read",   "lseek",           "fallocate", "copy",
				    "fsync",  "sync_file_range", "truncate",  "direct"};
enum {
	PWRITE,
	WRITE,
	PWRITEV2,
	PREAD,
	READ,
	LSEEK,
	FALLOCATE,
	COPY,
	FSYNC,
	SYNC_RANGE,
	TRUNCATE,
	DIRECT,
	KINDS
};

static void make_op(struct op *op)
{
	static const unsigned char weights[KINDS] = {10, 4, 4, 8, 3, 5, 6, 2, 1, 1, 2, 4};
	static const int modes[] = {0,
				    FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE,
				    FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE,
				    0x4000};
	static const int rwf[] = {0,    RWF_APPEND, RWF_DSYNC,         RWF_SYNC,
				  0x20, RWF_NOWAIT, 0x20 | RWF_APPEND, 0x40000};
	unsigned n = (unsigned)rnd(50), w = 0;

	memset(op, 0, sizeof(*op));
	while (op->kind < KINDS - 1 && (w += weights[op->kind]) <= n)
		op->kind++;
	op->fd = rnd(12) ? rnd(8) ? 0 : 1 : (unsigned)rnd(FDS + 1);
	if (op->fd == 3) /* O_DIRECT only where it is meant */
		op->fd = 4;
	op->fd2 = rnd(8) ? 0 : (unsigned)rnd(3);
	op->at = place();
	op->at2 = place();
	op->len = length();
	op->byte = (unsigned char)(1 + rnd(255));
	switch (op->kind) {
	case WRITE:
		if (device && op->fd == 1)
			op->fd = 0;
		break;
	case LSEEK:
		op->flags = (unsigned)rnd(6);
		break;
	case FALLOCATE:
		op->flags = (unsigned)modes[rnd(7)];
		if (op->at > MOST)
			op->at = (off_t)rnd(MOST);
		break;
	case PWRITEV2:
		op->flags = (unsigned)rwf[rnd(8)];
		break;
	case SYNC_RANGE:
		op->flags = (unsigned)rnd(9);
		break;
	case DIRECT:
		op->at = (off_t)(rnd(MOST) & ~511ul);
		op->len = (op->len & ~511ul) % BUF_SIZE;
		if (!rnd(8))
			op->at += (off_t)rnd(512);
		break;
	default:
		break;
	}
	/* Far away is for being refused: the last page of all is where Linux's own sums overflow. */
	if (op->kind <= PWRITEV2 && op->at > MOST)
		op->len = 9001 + rnd(9000);
	if (op->at2 > MOST)
		op->at2 = INT64_MAX;
	if (op->kind == LSEEK && op->at > MOST)
		op->at = INT64_MAX;
}

/* What a write puts there tells the call and the place. */
static void fill(unsigned char *buf, const struct op *op)
{
	for (size_t i = 0; i < op->len; i++)
		buf[i] = (unsigned char)(op->byte + i * 7);
}

static long run(struct side *s, const struct op *op, unsigned char *buf)
{
	struct iovec iov[3] = {
		{buf, op->len / 3}, {buf + op->len / 3, 0}, {buf + op->len / 3, op->len - op->len / 3}};
	off_t in = op->at, out = op->at2;
	int fd = s->fds[op->fd];
	long n;

	switch (op->kind) {
	case PWRITE:
		return s->pwrite(fd, buf, op->len, op->at);
	case WRITE:
		return s->write(fd, buf, op->len);
	case PWRITEV2:
		return s->pwritev2(fd, iov, 3, op->at, (int)op->flags);
	case PREAD:
		return s->pread(fd, buf, op->len, op->at);
	case READ:
		return s->read(fd, buf, op->len);
	case LSEEK:
		return s->lseek(fd, op->at, (int)op->flags);
	case FALLOCATE:
		return s->fallocate(fd, (int)op->flags, op->at, (off_t)op->len);
	case COPY:
		n = s->copy(s->fds[op->fd2], &in, fd, &out, op->len, op->byte == 1);
		if (n >= 0 && (in != op->at + n || out != op->at2 + n))
			differ("%s: copy of %ld bytes leaves positions %ld and %ld", s->name, n, (long)in,
			       (long)out);
		return n;
	case FSYNC:
		return device && op->byte % 4 == 0 ? s->ioctl(fd, BLKFLSBUF) : s->fsync(fd, op->byte & 1);
	case SYNC_RANGE:
		return s->sync_range(fd, op->at, (off_t)op->len, op->flags);
	case TRUNCATE:
		return s->ftruncate(fd, op->at > MOST ? MOST : op->at);
	default:
		return op->byte & 1 ? s->pwrite(s->fds[3], buf, op->len, op->at)
				    : s->pread(s->fds[3], buf, op->len, op->at);
	}
}

static void compare_op(const struct op *op)
{
	static unsigned char bufs[2][BUF_SIZE] __attribute__((aligned(4096)));
	long n[2];

	for (int i = 0; i < 2; i++) {
		fill(bufs[i], op);
		n[i] = run(&sides[i], op, bufs[i]);
	}
	if (n[0] != n[1])
		differ("%s fd %u at %ld (%ld) length %zu flags %#x: Linux %ld, shale %ld", kinds[op->kind],
		       op->fd, (long)op->at, (long)op->at2, op->len, op->flags, n[0], n[1]);
	if (memcmp(bufs[0], bufs[1], op->len))
		differ("%s at %ld length %zu: other bytes", kinds[op->kind], (long)op->at, op->len);
}

static void compare_maps(off_t size)
{
	off_t at = 0;

	while (at < size) {
		for (int whence = SEEK_DATA; whence <= SEEK_HOLE; whence++) {
			long a = sides[0].lseek(sides[0].fds[2], at, whence);
			long b = sides[1].lseek(sides[1].fds[2], at, whence);

			if (a != b)
				differ("lseek %s from %ld: Linux %ld, shale %ld",
				       whence == SEEK_DATA ? "SEEK_DATA" : "SEEK_HOLE", (long)at, a, b);
		}
		at += 4096;
	}
}

static void compare_files(void)
{
	static unsigned char bufs[2][BUF_SIZE];
	struct stat st[2];

	for (int i = 0; i < 2; i++)
		if (sides[i].fstat(sides[i].fds[0], &st[i]))
			differ("%s: fstat", sides[i].name);
	if (!device && (st[0].st_size != st[1].st_size || st[0].st_blocks != st[1].st_blocks))
		differ("size %ld, %ld; blocks %ld, %ld", (long)st[0].st_size, (long)st[1].st_size,
		       (long)st[0].st_blocks, (long)st[1].st_blocks);
	for (off_t at = 0; at < MOST + 2 * BUF_SIZE; at += BUF_SIZE) {
		long a = sides[0].pread(sides[0].fds[2], bufs[0], BUF_SIZE, at);
		long b = sides[1].pread(sides[1].fds[2], bufs[1], BUF_SIZE, at);

		if (a != b)
			differ("reading at %ld: Linux %ld, shale %ld", (long)at, a, b);
		for (long i = 0; i < a; i++)
			if (bufs[0][i] != bufs[1][i])
				differ("byte %ld: Linux %#x, shale %#x", (long)at + i, bufs[0][i],
				       bufs[1][i]);
	}
	if (!device)
		compare_maps(st[0].st_size < MOST ? st[0].st_size : MOST);
}

static void must(long n, const char *what)
{
	if (n >= 0)
		return;
	printf("%s: %s\n", what, strerror(n == -1 ? errno : (int)-n));
	exit(1);
}

/* Both files, each by four descriptors. */
static void open_files(const char *kernel_path, const char *shale_path)
{
	static const int flags[FDS] = {O_RDWR, O_RDWR | O_APPEND, O_RDONLY, O_RDWR | O_DIRECT};

	for (int i = 0; i < FDS; i++) {
		int f = flags[i];

		if (i == 3 && !device)
			f = O_RDWR;
		must(sides[0].fds[i] = open(kernel_path, f), kernel_path);
		must(sides[1].fds[i] = shale_open(task, shale_path, f, 0), shale_path);
	}
	sides[0].fds[FDS] = sides[1].fds[FDS] = 999;
}

static void start(const char *dir, unsigned threads)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	char path[512], uri[600];
	int fd;

	options.threads = threads;
	options.seed = seed;
	options.memory_limit =
		device ? 2 << 20 : 32 << 20; /* a device's pages have to be written and read again */
	must(shale_new(&options, &machine), "shale_new");
	must(shale_task_new(machine, NULL, &task), "shale_task_new");
	if (!device) {
		snprintf(path, sizeof(path), "%s/file", dir);
		must(fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), path);
		close(fd);
		must(fd = shale_open(task, "/file", O_RDWR | O_CREAT, 0644), "/file");
		shale_close(task, fd);
		open_files(path, "/file");
		return;
	}
	snprintf(uri, sizeof(uri), "file:%s/shale.img", dir);
	must(shale_disk_add(machine, "sda", uri, 0), uri);
	open_files(getenv("LOOP_DEVICE"), "/dev/sda");
}

static void stop(void)
{
	for (int i = 0; i < FDS; i++) {
		must(shale_close(task, sides[1].fds[i]), "close");
		must(close(sides[0].fds[i]), "close");
	}
	shale_task_free(task);
	must(shale_free(machine), "shale_free");
}

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *dir = NULL;
	unsigned threads = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--pair"))
			device = !strcmp(argv[++i], "loop");
		else if (!strcmp(argv[i], "--seed"))
			seed = number(argv[++i]);
		else if (!strcmp(argv[i], "--ops"))
			nr_ops = number(argv[++i]);
		else if (!strcmp(argv[i], "--threads"))
			threads = (unsigned)number(argv[++i]);
		else
			dir = argv[i];
	}
	state = seed * 7919;
	start(dir, threads);
	for (op_nr = 1; op_nr <= nr_ops; op_nr++) {
		struct op op;

		make_op(&op);
		compare_op(&op);
		if (op_nr % 64 == 0 || op_nr == nr_ops)
			compare_files();
	}
	stop();
	printf("%s: seed %llu: %lu calls, the same answers\n", device ? "loop" : "tmpfs",
	       (unsigned long long)seed, nr_ops);
	return 0;
}
