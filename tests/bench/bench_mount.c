/* SPDX-License-Identifier: MIT */
/*
 * `shale mount` beside the kernel's mount and fuse2fs of the same image, by the host's own calls: tar with
 * cold caches (the host file's too), then calls on what is cached, then how much memory the daemon has taken.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS      5
#define MEMORY_MIB  128 /* the daemon's limit */
#define MANY        10000
#define SMALL_FILES 500
#define DATA_BYTES  (256u << 20)

static char fuse_mount[64];
static char buffer[1 << 16];

static void run(const char *command)
{
	if (!system(command))
		return;
	fprintf(stderr, "failed: %s\n", command);
	exit(1);
}

static void fuse_umount(void)
{
	char command[512 + sizeof(BENCH_TOOL)];

	if (!*fuse_mount)
		return;
	/* The second is for fuse2fs, whose end nobody tells; it holds the image until then. */
	snprintf(command, sizeof(command), "'%s' umount '%s' 2>/dev/null || umount '%s'; rmdir '%s'",
		 BENCH_TOOL, fuse_mount, fuse_mount, fuse_mount);
	*fuse_mount = 0;
	run(command);
}

/* Mounts by that command, to which image and directory are added. */
static const char *mount_by(const char *command, const char *image)
{
	static bool once;
	char line[2048];

	fuse_umount();
	if (!once)
		atexit(fuse_umount);
	once = true;
	strcpy(fuse_mount, "/tmp/shale-bench.XXXXXX");
	if (!mkdtemp(fuse_mount))
		exit(1);
	snprintf(line, sizeof(line), "%s '%s' '%s'", command, image, fuse_mount);
	run(line);
	return fuse_mount;
}

static const char *shale_mount_bench(const char *image)
{
	char command[1024];

	snprintf(command, sizeof(command), "'%s' mount -o memory=%uM", BENCH_TOOL, MEMORY_MIB);
	return mount_by(command, image);
}

/* For the peers: fuse2fs mounts for writing unless told, and what has a loop device may not be mounted by
 * shale. */
static const char *copy_of(const char *image)
{
	static char copy[512];
	char command[2048];

	snprintf(copy, sizeof(copy), "%s.copy", image);
	snprintf(command, sizeof(command), "test -s '%s' || cp --sparse=always '%s' '%s'", copy, image, copy);
	run(command);
	return copy;
}

enum who { KERNEL, SHALE, FUSE2FS };

/* Mounts an image that nothing has cached, and reads all of it. */
static double cold_tar(enum who who, const char *image)
{
	const char *directory;
	char command[256];
	double start;

	bench_make_cold(image);
	directory = who == KERNEL  ? bench_kernel_mount(image)
		    : who == SHALE ? shale_mount_bench(image)
				   : mount_by("fuse2fs", image);
	snprintf(command, sizeof(command), "tar -C '%s' -c . | cat >/dev/null", directory);
	start = bench_now();
	run(command);
	return (bench_now() - start) / 1e6;
}

static void bench_tar(void)
{
	const char *image = bench_image("tree"), *copy = copy_of(image);
	double s[ROUNDS], k[ROUNDS], f[ROUNDS], ours;

	for (unsigned i = 0; i < ROUNDS; i++) {
		k[i] = cold_tar(KERNEL, copy);
		bench_kernel_umount();
		s[i] = cold_tar(SHALE, image);
		fuse_umount();
		f[i] = cold_tar(FUSE2FS, copy);
		fuse_umount();
	}
	ours = bench_median(s, ROUNDS);
	bench_report("cold tar of 20,000 files, 240 MB", "ms", ours, bench_median(k, ROUNDS), "kernel", 1.8);
	bench_report("cold tar of 20,000 files, 240 MB, beside fuse2fs", "ms", ours, bench_median(f, ROUNDS),
		     "fuse2fs", 0.25);
}

/* The same calls in both mounts, from a directory that is open. */
struct place {
	int top, data;
};

static void open_place(struct place *p, const char *top)
{
	p->top = open(top, O_RDONLY | O_DIRECTORY);
	bench_check(p->top < 0 ? -1 : 0, "open");
	p->data = openat(p->top, "data", O_RDONLY);
	while (p->data >= 0 && read(p->data, buffer, sizeof(buffer)) > 0)
		; /* into the cache */
}

static void close_place(struct place *p)
{
	close(p->data);
	close(p->top);
}

static void do_stat(void *arg, unsigned n)
{
	struct place *p = arg;
	struct stat st;

	while (n--)
		if (fstatat(p->top, "a/b/c/d/file", &st, 0))
			exit(1);
}

static void do_pread(void *arg, unsigned n)
{
	static uint64_t state = 1;
	struct place *p = arg;

	while (n--) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		if (pread(p->data, buffer, 4096, (off_t)((state >> 33) % (DATA_BYTES / 4096)) * 4096) != 4096)
			exit(1);
	}
}

/* n entries, and one more listing for what is left of them. */
static void do_stat_all(void *arg, unsigned n)
{
	struct place *p = arg;
	struct stat st;

	while (n) {
		int fd = openat(p->top, "many", O_RDONLY | O_DIRECTORY);
		long got;

		if (fd < 0)
			exit(1);
		while (n && (got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
			for (char *at = buffer; n && at < buffer + got;
			     at += ((struct dirent64 *)at)->d_reclen) {
				if (fstatat(fd, ((struct dirent64 *)at)->d_name, &st, AT_SYMLINK_NOFOLLOW))
					exit(1);
				n--;
			}
		close(fd);
	}
}

static void do_read_small(void *arg, unsigned n)
{
	struct place *p = arg;

	while (n--) {
		char name[64];
		int fd;

		snprintf(name, sizeof(name), "part%u/dir%u/a-file-%u", n % SMALL_FILES % 10, n % 20,
			 n % SMALL_FILES);
		fd = openat(p->top, name, O_RDONLY);
		if (fd < 0 || read(fd, buffer, sizeof(buffer)) < 0)
			exit(1);
		close(fd);
	}
}

static void bench_calls(const char *kind, const char *line, bench_fn fn, unsigned n, unsigned rounds,
			double want)
{
	const char *image = bench_image(kind);
	struct place s, k;
	double ours, kernel;

	open_place(&k, bench_kernel_mount(copy_of(image)));
	open_place(&s, shale_mount_bench(image));
	bench_compare(fn, &s, fn, &k, n, rounds, &ours, &kernel);
	bench_report(line, "ns", ours, kernel, "kernel", want);
	close_place(&s);
	close_place(&k);
}

/* Resident memory of who holds /dev/fuse for our mount: the only such process with that directory among its
 * words. */
static double daemon_mib(void)
{
	char command[512], answer[64] = "";
	FILE *out;

	snprintf(command, sizeof(command),
		 "for p in $(pgrep -f -- '%s'); do ls -l /proc/$p/fd 2>/dev/null | grep -q /dev/fuse && "
		 "sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$p/status; done | sort -n | tail -n 1",
		 fuse_mount);
	out = popen(command, "r");
	if (!out || !fgets(answer, sizeof(answer), out))
		exit(1);
	pclose(out);
	return atof(answer) / 1024;
}

/* Everything above on one mount, one after the other. */
static void bench_memory(void)
{
	struct place p;

	cold_tar(SHALE, bench_image("files"));
	bench_report_limit("memory of the daemon after tar of 50,000 files, 1 GiB; limit 128 MiB", "MiB",
			   daemon_mib(), MEMORY_MIB + 16);
	open_place(&p, shale_mount_bench(bench_image("warm")));
	do_stat(&p, 1000);
	do_stat_all(&p, 2 * MANY);
	do_pread(&p, 100000);
	close_place(&p);
	bench_report_limit("memory of the daemon after warm calls, 256 MiB of data; limit 128 MiB", "MiB",
			   daemon_mib(), MEMORY_MIB + 16);
}

int main(void)
{
	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		fprintf(stderr, "needs root and /dev/fuse\n");
		return 77;
	}
	bench_tar();
	bench_calls("warm", "warm getdents+stat of 10,000 files, an entry", do_stat_all, MANY, 9, 1.3);
	bench_calls("warm", "warm stat, 4 deep", do_stat, 20000, 15, 1.2);
	bench_calls("warm", "warm pread 4 KiB, random in 256 MiB", do_pread, 2 * DATA_BYTES / 4096, 7, 1.2);
	bench_calls("small", "warm open+read+close of small files", do_read_small, 4 * SMALL_FILES, 15, 4);
	bench_memory();
	return 0;
}
