/* SPDX-License-Identifier: MIT */
/*
 * Two threads, each with its own task, on cached data, against what two spinning threads reach in the same
 * run: 1.0 is perfect.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define ROUNDS 15
/* Each part takes some 25 ms: the host needs a few to give both threads a processor. */
#define SPINS 600000

struct worker {
	struct bench_machine m;
	unsigned id, n;
	void (*body)(struct worker *w);
	int fd;
	char *buffer;
	uint64_t sink;
	pthread_barrier_t *barrier;
	double start, end; /* of its part; the thread that started it may be late on a busy machine */
};

static void spin(struct worker *w)
{
	uint64_t x = w->sink | 1;

	for (unsigned i = 0; i < w->n * 40; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	w->sink = x;
}

static void do_stat(struct worker *w)
{
	struct stat st;

	for (unsigned i = 0; i < w->n; i++)
		bench_check(shale_fstatat(w->m.task, AT_FDCWD, "a/b/c/d/file", &st, 0), "stat");
}

static void do_open(struct worker *w)
{
	char name[] = "a/b/c/d/file0";

	name[12] = (char)('0' + w->id);
	for (unsigned i = 0; i < w->n; i++) {
		int fd = shale_openat(w->m.task, AT_FDCWD, name, O_RDONLY, 0);

		bench_check(fd, "open");
		shale_close(w->m.task, fd);
	}
}

static void do_pread(struct worker *w)
{
	uint32_t x = w->id + 1;

	for (unsigned i = 0; i < w->n; i++) {
		x = x * 1664525 + 1013904223;
		bench_check(shale_pread(w->m.task, w->fd, w->buffer, 4096, (off_t)(x >> 16) << 12), "pread");
	}
}

static void *thread(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(w->barrier);
	w->start = bench_now();
	w->body(w);
	w->end = bench_now();
	return NULL;
}

/* Operations a ns that `count` threads do together. */
static double rate(struct worker *workers, unsigned count)
{
	pthread_t threads[2];
	pthread_barrier_t barrier;
	double start = 0, end = 0;

	pthread_barrier_init(&barrier, NULL, count);
	for (unsigned i = 0; i < count; i++) {
		workers[i].barrier = &barrier;
		if (pthread_create(&threads[i], NULL, thread, &workers[i]))
			exit(1);
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		start = !i || workers[i].start < start ? workers[i].start : start;
		end = workers[i].end > end ? workers[i].end : end;
	}
	pthread_barrier_destroy(&barrier);
	return (double)count * workers[0].n / (end - start);
}

static double scaling(struct worker *workers, void (*body)(struct worker *w), unsigned n)
{
	for (unsigned i = 0; i < 2; i++) {
		workers[i].body = body;
		workers[i].n = n;
	}
	return rate(workers, 2) / rate(workers, 1);
}

static void compare(const char *line, struct worker *workers, void (*body)(struct worker *w), unsigned n)
{
	double s[ROUNDS], p[ROUNDS];

	scaling(workers, body, n);
	for (unsigned i = 0; i < ROUNDS; i++) {
		s[i] = scaling(workers, body, n);
		p[i] = scaling(workers, spin, SPINS);
	}
	bench_report_at_least(line, "times one thread", bench_median(s, ROUNDS), bench_median(p, ROUNDS),
			      "spinning", 0.9);
}

int main(void)
{
	struct worker workers[2] = {{.id = 0}, {.id = 1}};
	struct bench_machine m;

	bench_machine_start(&m, bench_image("warm"), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct worker *w = &workers[i];

		w->m.machine = m.machine;
		w->buffer = aligned_alloc(4096, 1 << 20);
		bench_check(shale_task_new(m.machine, NULL, &w->m.task), "shale_task_new");
		bench_check(shale_chdir(w->m.task, "/mnt"), "shale_chdir");
		w->fd = shale_openat(w->m.task, AT_FDCWD, "data", O_RDONLY, 0);
		bench_check(w->fd, "open");
		for (off_t at = 0; at < 256 << 20; at += 1 << 20)
			bench_check(shale_pread(w->m.task, w->fd, w->buffer, 1 << 20, at), "pread");
	}
	compare("two threads: stat", workers, do_stat, 1000000);
	compare("two threads: open+close", workers, do_open, 250000);
	compare("two threads: pread 4 KiB", workers, do_pread, 60000);
	for (unsigned i = 0; i < 2; i++)
		shale_task_free(workers[i].m.task);
	bench_machine_stop(&m);
	return 0;
}
