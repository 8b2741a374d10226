/* SPDX-License-Identifier: MIT */
/*
 * usage: stress_read IMAGE SECONDS          threads that walk, open, list and read an ext4 image, and one
 * that drops caches, under a tiny limit stress_read IMAGE ROUNDS SEED      the same calls in a threads=0
 * machine; prints a digest that is the same for the same seed
 *
 * N1, V4, V5, P2: what is found is held against what was found at first (inode, size, sum of the data):
 * reclaim must not show. Meant for the thread sanitizer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include <shale/shale.h>

#define THREADS 4
#define FILES   4000
#define LIMIT   (6ull << 20)
#define DEEPEST 12

struct known {
	char *path;
	ino_t ino;
	mode_t mode;
	off_t size;
	uint64_t sum; /* of the first bytes */
};

static struct shale *machine;
static struct known known[FILES];
static unsigned known_count;
static bool stop; /* relaxed */

struct worker {
	struct shale_task *task;
	uint64_t state, digest, operations;
	char *buffer; /* 64 KiB */
};

static void fail(const char *what, const char *path, long result)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror((int)-result));
	exit(1);
}

static uint32_t rnd(struct worker *w, uint32_t below)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->state >> 33) % below;
}

static uint64_t add(uint64_t sum, const void *p, size_t n)
{
	const unsigned char *byte = p;

	while (n--)
		sum = (sum ^ *byte++) * 0x100000001b3ull;
	return sum;
}

/* Sum of the first 64 KiB of a regular file. */
static uint64_t read_sum(struct worker *w, const struct known *k)
{
	int fd = shale_openat(w->task, AT_FDCWD, k->path, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		fail("open", k->path, fd);
	n = shale_pread(w->task, fd, w->buffer, 65536, 0);
	if (n < 0)
		fail("pread", k->path, n);
	shale_close(w->task, fd);
	return add(0xcbf29ce484222325ull, w->buffer, (size_t)n);
}

static void learn(struct worker *w, const char *dir, int depth)
{
	char *entries = malloc(1 << 20);
	ssize_t used = 0, n;
	int fd = shale_openat(w->task, AT_FDCWD, *dir ? dir : "/", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		fail("open", dir, fd);
	while ((n = shale_getdents64(w->task, fd, entries + used, (1 << 20) - (size_t)used)) > 0)
		used += n;
	shale_close(w->task, fd);
	for (ssize_t at = 0; at < used && known_count < FILES;
	     at += ((struct dirent64 *)(entries + at))->d_reclen) {
		struct dirent64 *d = (struct dirent64 *)(entries + at);
		struct known *k = &known[known_count];
		struct stat st;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || !strcmp(d->d_name, "huge"))
			continue;
		if (asprintf(&k->path, "%s/%s", dir, d->d_name) < 0)
			exit(1);
		n = shale_lstat(w->task, k->path, &st);
		if (n)
			fail("lstat", k->path, n);
		known_count++;
		*k = (struct known){
			.path = k->path, .ino = st.st_ino, .mode = st.st_mode, .size = st.st_size};
		if (S_ISREG(st.st_mode))
			k->sum = read_sum(w, k);
		if (S_ISDIR(st.st_mode) && depth < DEEPEST)
			learn(w, k->path, depth + 1);
	}
	free(entries);
}

static void check_stat(struct worker *w, const struct known *k)
{
	struct stat st;
	int err = shale_lstat(w->task, k->path, &st);

	if (err || st.st_ino != k->ino || st.st_mode != k->mode || st.st_size != k->size)
		fail("lstat", k->path, err);
	w->digest = add(w->digest, &st.st_ino, sizeof(st.st_ino));
}

static void check_missing(struct worker *w, const struct known *k)
{
	char path[4096];
	struct stat st;
	int err;

	snprintf(path, sizeof(path), "%s-none-%u", k->path, rnd(w, 1000));
	err = shale_stat(w->task, path, &st);
	if (err != -ENOENT && err != -ENAMETOOLONG)
		fail("stat of a missing name", path, err);
}

static void check_list(struct worker *w, const struct known *k)
{
	int fd = shale_openat(w->task, AT_FDCWD, k->path, O_RDONLY | O_DIRECTORY, 0);
	ssize_t n;

	if (fd < 0)
		fail("open", k->path, fd);
	while ((n = shale_getdents64(w->task, fd, w->buffer, 4096)) > 0)
		w->digest = add(w->digest, w->buffer, (size_t)n);
	if (n < 0)
		fail("getdents64", k->path, n);
	shale_close(w->task, fd);
}

static void operate(struct worker *w)
{
	const struct known *k = &known[rnd(w, known_count)];

	w->operations++;
	switch (rnd(w, 8)) {
	case 0:
		if (S_ISREG(k->mode) && read_sum(w, k) != k->sum)
			fail("data of", k->path, 0);
		break;
	case 1:
		if (S_ISDIR(k->mode))
			check_list(w, k);
		break;
	case 2:
		check_missing(w, k);
		break;
	default:
		check_stat(w, k);
	}
}

static void worker_start(struct worker *w, uint64_t seed)
{
	int err = shale_task_new(machine, NULL, &w->task);

	*w = (struct worker){.task = w->task,
			     .state = seed * 2 + 1,
			     .digest = 0xcbf29ce484222325ull,
			     .buffer = malloc(65536)};
	if (!err)
		err = shale_chroot(w->task, "/mnt");
	if (!err)
		err = shale_chdir(w->task, "/");
	if (err || !w->buffer)
		fail("task", "", err);
}

static void worker_end(struct worker *w)
{
	shale_task_free(w->task);
	free(w->buffer);
}

static void *work(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		operate(arg);
	return NULL;
}

static void *shrink(void *arg)
{
	struct timespec pause = {.tv_nsec = 3000000};

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		shale_drop_caches(machine);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void run_threads(int seconds)
{
	struct timespec time = {.tv_sec = seconds};
	struct worker workers[THREADS];
	pthread_t threads[THREADS + 1];
	uint64_t operations = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		worker_start(&workers[i], i);
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			exit(1);
	}
	if (pthread_create(&threads[THREADS], NULL, shrink, NULL))
		exit(1);
	nanosleep(&time, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		operations += workers[i].operations;
		worker_end(&workers[i]);
	}
	printf("%llu operations in %u threads, nothing changed under them\n", (unsigned long long)operations,
	       THREADS);
}

/* One caller; the machine's own work (reclaim, completions) is ordered by the seed. */
static void run_single(unsigned rounds, uint64_t seed)
{
	char counters[16384];
	struct worker w;

	worker_start(&w, seed);
	for (unsigned i = 0; i < rounds; i++) {
		operate(&w);
		if (!rnd(&w, 500))
			shale_drop_caches(machine);
	}
	shale_vmstat(machine, counters, sizeof(counters));
	w.digest = add(w.digest, counters, strlen(counters));
	printf("digest %016llx after %llu operations\n", (unsigned long long)w.digest,
	       (unsigned long long)w.operations);
	worker_end(&w);
}

int main(int argc, char **argv)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct worker first;
	int err;

	if (argc < 3)
		return 2;
	options.memory_limit = LIMIT;
	options.threads = argc > 3 ? 0 : 2;
	options.seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	err = shale_new(&options, &machine);
	if (!err)
		err = shale_task_new(machine, NULL, &first.task);
	if (!err)
		err = shale_disk_add(machine, "d", argv[1], SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED);
	if (!err)
		err = shale_mount(first.task, "/dev/d", "/mnt", "ext4", MS_RDONLY, NULL);
	if (err)
		fail("start", argv[1], err);
	shale_task_free(first.task);
	worker_start(&first, 0);
	learn(&first, "", 0);
	worker_end(&first);
	if (argc > 3)
		run_single((unsigned)atoi(argv[2]), options.seed);
	else
		run_threads(atoi(argv[2]));
	for (unsigned i = 0; i < known_count; i++)
		free(known[i].path);
	err = shale_free(machine);
	if (err)
		fail("shale_free", "", err);
	return 0;
}
