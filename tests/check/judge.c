/* SPDX-License-Identifier: MIT */
/*
 * usage: judge [OPTIONS] --seeds FIRST COUNT VOLUME..    damages volumes by seed and judges each
 *
 *        judge [OPTIONS] --as-is IMAGE..                 judges volumes as they are
 *
 * Compares what shale says of volumes with what e2fsck -fn says (verdict.h). Each disagreement is told with
 * all that is needed to repeat it; in the end a table by kind of damaged structure. A volume on which shale
 * dies or takes more than 20 s counts as a disagreement. Options:
 *
 *   -j JOBS   at a time (2)
 *
 *   -o KIND   damages only structures of that kind, by its name in the table; may be given several times
 *
 *   -k DIR    keeps volumes on which they disagree
 *
 *   -q        tells each disagreement in one line
 *
 *   -t N      tolerates so many disagreements, but none where shale dies
 *
 * Exit status: 0, they agree; 1, not so; 2, usage.
 *
 * Jobs are processes: JOBS of them share the items by their numbers, each with files of its own. The counts
 * are in memory that all share, each job adds to its own.
 */
#include "verdict.h"
#include "volume.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 64
#define SECONDS  20

struct job {
	uint64_t item; /* at work on this one; the next one, where it died */
	uint64_t counts[AGREEMENTS];
	uint64_t kinds[PLACE_KINDS][AGREEMENTS];
	uint64_t verdicts[4], decided, died, e2fsck_ns, shale_ns;
	char what[1200]; /* about the item */
};

struct run {
	char **images;
	unsigned image_count, jobs;
	uint64_t first, count;
	uint32_t only; /* kinds of places */
	uint64_t tolerated;
	bool seeds, quiet;
	const char *keep;
	char folder[64];
	struct job *job; /* shared memory, one for each job */
};

/* A volume of a job's own that is damaged and made good again. */
struct victim {
	char path[128];
	uint8_t *bytes;
	const uint8_t *good;
	size_t size;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *map_file(const char *path, int flags, int protection, int kind, size_t *size)
{
	struct stat st;
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	*size = st.st_size;
	void *bytes = mmap(NULL, *size, protection, kind, fd, 0);
	if (bytes == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return bytes;
}

static void make_victim(struct run *run, unsigned number, unsigned image, struct victim *victim)
{
	static const uint8_t zeroes[4096];
	size_t size;

	victim->good = map_file(run->images[image], O_RDONLY, PROT_READ, MAP_PRIVATE, &victim->size);
	snprintf(victim->path, sizeof(victim->path), "%s/%u-%u.img", run->folder, number, image);
	int fd = open(victim->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, victim->size))
		err(1, "%s", victim->path);
	for (size_t at = 0; at < victim->size; at += 4096)
		if (memcmp(victim->good + at, zeroes, 4096) &&
		    pwrite(fd, victim->good + at, 4096, at) != 4096)
			err(1, "%s", victim->path);
	close(fd);
	victim->bytes = map_file(victim->path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, &size);
}

static void heal(struct victim *victim)
{
	for (size_t at = 0; at < victim->size; at += 4096)
		if (memcmp(victim->bytes + at, victim->good + at, 4096))
			memcpy(victim->bytes + at, victim->good + at, 4096);
}

static void tell(struct run *run, const char *what, const struct opinion *e2fsck, const struct opinion *shale,
		 enum agreement agreement)
{
	if (run->quiet)
		printf("%s: %s\n", agreement == TOO_STRICT ? "TOO STRICT" : "TOO LAX", what);
	else
		printf("---- %s: %s\ne2fsck: %s (%d)\n%s\nshale: %s (%d)\n%s\n",
		       agreement == TOO_STRICT ? "TOO STRICT" : "TOO LAX", what,
		       verdict_names[e2fsck->verdict], e2fsck->status, e2fsck->text,
		       verdict_names[shale->verdict], shale->status, shale->text);
	fflush(stdout);
}

static void count(struct job *job, uint32_t kinds, enum agreement agreement)
{
	job->counts[agreement]++;
	for (unsigned kind = 0; kind < PLACE_KINDS; kind++)
		if (kinds >> kind & 1)
			job->kinds[kind][agreement]++;
}

static void keep(struct run *run, const struct job *job, const char *path)
{
	char command[PATH_MAX + 300];

	if (!run->keep)
		return;
	snprintf(command, sizeof(command), "cp --sparse=always %s %s/%llu.img", path, run->keep,
		 (unsigned long long)job->item);
	if (system(command))
		warnx("cannot keep %s", path);
}

static void judge_one(struct run *run, struct job *job, const char *path, uint32_t kinds)
{
	static struct opinion e2fsck, shale;
	char scratch[128];

	snprintf(scratch, sizeof(scratch), "%s/%u-replayed", run->folder, (unsigned)(job - run->job));
	uint64_t start = now_ns();
	ask_e2fsck(path, scratch, &e2fsck);
	uint64_t middle = now_ns();
	alarm(SECONDS);
	ask_shale(path, &shale);
	job->shale_ns += now_ns() - middle;
	job->e2fsck_ns += middle - start;
	alarm(0);

	enum agreement agreement = compare_opinions(&e2fsck, &shale);
	if ((agreement == TOO_STRICT || agreement == TOO_LAX) &&
	    linux_decides(path, scratch, &e2fsck, &shale)) {
		agreement = AGREE;
		job->decided++;
	}
	job->verdicts[e2fsck.verdict]++;
	count(job, kinds, agreement);
	if (agreement == TOO_STRICT || agreement == TOO_LAX) {
		tell(run, job->what, &e2fsck, &shale, agreement);
		keep(run, job, path);
	}
}

static void work(struct run *run, unsigned number)
{
	struct job *job = &run->job[number];
	struct victim *victims = calloc(run->image_count, sizeof(*victims));

	if (!victims)
		err(1, "victims");
	for (; job->item < run->first + run->count; job->item += run->jobs) {
		uint32_t kinds = 0;
		if (!run->seeds) {
			snprintf(job->what, sizeof(job->what), "%s", run->images[job->item]);
			judge_one(run, job, run->images[job->item], 0);
			continue;
		}
		unsigned image = job->item % run->image_count;
		struct victim *victim = &victims[image];
		struct volume volume;
		if (!victim->bytes)
			make_victim(run, number, image, victim);
		heal(victim);
		volume_open(&volume, victim->bytes, victim->size);
		int n = snprintf(job->what, sizeof(job->what),
				 "seed %llu of %s: ", (unsigned long long)job->item, run->images[image]);
		kinds = volume_damage(&volume, job->item, run->only ? run->only : ~0u, job->what + n,
				      sizeof(job->what) - n);
		volume_close(&volume);
		judge_one(run, job, victim->path, kinds);
	}
	exit(0);
}

static void start(struct run *run, unsigned number, pid_t *pids)
{
	fflush(stdout);
	pids[number] = fork();
	if (pids[number] < 0)
		err(1, "fork");
	if (!pids[number])
		work(run, number);
}

/* One that died has met something that kills: counted, and the job goes on behind it. */
static void run_jobs(struct run *run)
{
	pid_t pids[MAX_JOBS];
	unsigned running = run->jobs;
	int status;

	for (unsigned i = 0; i < run->jobs; i++) {
		run->job[i].item = run->first + i;
		start(run, i, pids);
	}
	while (running) {
		pid_t pid = wait(&status);
		if (pid < 0)
			err(1, "wait");
		unsigned i = 0;
		while (i < run->jobs && pids[i] != pid)
			i++;
		if (i == run->jobs)
			continue;
		if (!status) {
			running--;
			continue;
		}
		printf("---- DIED (%s %d): %s\n", WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), run->job[i].what);
		run->job[i].counts[TOO_LAX]++;
		run->job[i].died++;
		run->job[i].item += run->jobs;
		start(run, i, pids);
	}
}

static bool report(struct run *run)
{
	struct job sum = {0};

	for (unsigned i = 0; i < run->jobs; i++) {
		for (unsigned a = 0; a < AGREEMENTS; a++) {
			sum.counts[a] += run->job[i].counts[a];
			for (unsigned k = 0; k < PLACE_KINDS; k++)
				sum.kinds[k][a] += run->job[i].kinds[k][a];
		}
		for (unsigned v = 0; v < 4; v++)
			sum.verdicts[v] += run->job[i].verdicts[v];
		sum.died += run->job[i].died;
		sum.decided += run->job[i].decided;
		sum.e2fsck_ns += run->job[i].e2fsck_ns;
		sum.shale_ns += run->job[i].shale_ns;
	}
	if (run->seeds)
		printf("%-16s %8s %10s %8s\n", "damaged", "agree", "too strict", "too lax");
	for (unsigned k = 0; run->seeds && k < PLACE_KINDS; k++)
		printf("%-16s %8llu %10llu %8llu\n", place_names[k], (unsigned long long)sum.kinds[k][AGREE],
		       (unsigned long long)sum.kinds[k][TOO_STRICT],
		       (unsigned long long)sum.kinds[k][TOO_LAX]);
	printf("e2fsck: %llu clean, %llu damaged, %llu gave up, %llu without verdict; e2fsck %.1f s, shale "
	       "%.1f s\n",
	       (unsigned long long)sum.verdicts[CLEAN], (unsigned long long)sum.verdicts[DAMAGED],
	       (unsigned long long)sum.verdicts[GAVE_UP], (unsigned long long)sum.verdicts[NO_VERDICT],
	       sum.e2fsck_ns / 1e9, sum.shale_ns / 1e9);
	printf("%llu volumes: %llu agree (%llu by the word of Linux), shale too strict on %llu, too lax "
	       "on %llu\n",
	       (unsigned long long)run->count, (unsigned long long)sum.counts[AGREE],
	       (unsigned long long)sum.decided, (unsigned long long)sum.counts[TOO_STRICT],
	       (unsigned long long)sum.counts[TOO_LAX]);
	return !sum.died && sum.counts[TOO_STRICT] + sum.counts[TOO_LAX] <= run->tolerated;
}

static uint32_t kind_named(const char *name)
{
	for (unsigned kind = 0; kind < PLACE_KINDS; kind++)
		if (!strcmp(name, place_names[kind]))
			return 1u << kind;
	errx(2, "no kind %s", name);
}

static void parse(struct run *run, int argc, char **argv)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-' && argv[at][1] != '-'; at++) {
		if (!strcmp(argv[at], "-q"))
			run->quiet = true;
		else if (!strcmp(argv[at], "-j") && at + 1 < argc)
			run->jobs = strtoul(argv[++at], NULL, 0);
		else if (!strcmp(argv[at], "-k") && at + 1 < argc)
			run->keep = argv[++at];
		else if (!strcmp(argv[at], "-t") && at + 1 < argc)
			run->tolerated = strtoull(argv[++at], NULL, 0);
		else if (!strcmp(argv[at], "-o") && at + 1 < argc)
			run->only |= kind_named(argv[++at]);
	}
	run->seeds = at < argc && !strcmp(argv[at], "--seeds");
	if (run->jobs < 1 || run->jobs > MAX_JOBS || at + (run->seeds ? 3 : 1) >= argc ||
	    (!run->seeds && strcmp(argv[at], "--as-is")))
		errx(2,
		     "usage: judge [-q] [-j JOBS] [-k DIR] [-o KIND].. [-t N] --seeds FIRST COUNT VOLUME.. | "
		     "--as-is IMAGE..");
	if (run->seeds) {
		run->first = strtoull(argv[at + 1], NULL, 0);
		run->count = strtoull(argv[at + 2], NULL, 0);
		at += 2;
	}
	run->images = argv + at + 1;
	run->image_count = argc - at - 1;
	if (!run->seeds)
		run->count = run->image_count;
}

int main(int argc, char **argv)
{
	struct run run = {.jobs = 2, .folder = "/dev/shm/shale-judge.XXXXXX"};
	char command[128];

	parse(&run, argc, argv);
	if (!mkdtemp(run.folder))
		err(1, "%s", run.folder);
	run.job = mmap(NULL, run.jobs * sizeof(*run.job), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (run.job == MAP_FAILED)
		err(1, "jobs");
	run_jobs(&run);
	snprintf(command, sizeof(command), "rm -rf %s", run.folder);
	if (system(command))
		warnx("%s is left", run.folder);
	return report(&run) ? 0 : 1;
}
