/* SPDX-License-Identifier: MIT */
/*
 * Proves recovery, and the harness itself, against the kernel: its ext4 runs workloads on a disk that is
 * recorded (kernel_log.h), and each state that a cut may leave is recovered by shale, is clean, and keeps
 * what the kernel has promised. With the flushes taken out of a record it does not, and that is found.
 *
 * test_kernel [SEED [WORKLOADS]]; seed 0 is the day's. What the kernel writes does not follow from the seed
 * alone, so a state that fails is kept as a file.
 */
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/harness.h"
#include "crash/kernel_log.h"

#define DISK_BYTES (16u << 20)
#define RANDOM_OPS 60

struct client {
	char dir[64], top[80], repeat[128];
	struct op_world world;
	struct kernel_log *log;
	struct side side;
	struct journal_place journal;
	struct record_rules rules;
	struct arena arena;
	struct harness harness;
	bool no_flushes;
};

static void __attribute__((format(printf, 1, 2))) must_run(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

/* Nothing in the kernel's record tells metadata from data: all is taken for metadata, which does not tear. */
static enum record_use kernel_use(void *place, u64 sector, u64 nr, bool meta)
{
	return journal_use(place, sector, nr, true);
}

static void client_mount(struct client *c)
{
	must_run("mke2fs -q -F -t ext4 -b %u -N 256 -J size=%u -O ^resize_inode %s/fuse/disk >/dev/null 2>&1",
		 c->world.block_bytes, c->world.block_bytes / 1024, c->dir);
	must_run("mount -o loop,nodelalloc %s/fuse/disk %s", c->dir, c->top);
}

/* The workload on the kernel's side: what it returned, and what was written meanwhile. */
static void client_run(struct client *c, const struct workload *w, long *results, struct record *record)
{
	for (unsigned i = 0; i < w->nr_ops; i++) {
		kernel_log_mark(c->log, MARK_BEGIN, i);
		results[i] = side_do(&c->side, &w->ops[i]);
		kernel_log_mark(c->log, MARK_DONE, i);
		if (results[i] >= 0 && op_promises(&w->ops[i]))
			kernel_log_mark(c->log, MARK_PROMISE, i);
	}
	must_run("umount %s", c->top);
	kernel_log_import(c->log, record, &c->rules);
}

/* As a disk would do that says it has flushed and has not. */
static void drop_flushes(struct record *record)
{
	for (size_t i = 0; i < record->nr; i++)
		if (record->entries[i].kind == RECORD_FLUSH)
			record->entries[i].ended = 0;
}

static void workload_cut(struct client *c, const struct workload *w)
{
	long *results = must_alloc(w->nr_ops * sizeof(*results));
	struct record record = {};
	struct history history;
	struct tree start;
	char where[256];
	unsigned block_bytes;
	void *image;

	client_mount(c);
	for (unsigned i = 0; i < w->nr_setup; i++)
		side_do(&c->side, &w->setup[i]);
	arena_reset(&c->arena);
	if (side_look(&c->side, &c->arena, &start, where, sizeof(where))) {
		fprintf(stderr, "%s\n", where);
		exit(1);
	}
	image = must_copy(kernel_log_disk(c->log), DISK_BYTES);
	kernel_log_clear(c->log);
	if (!journal_find(image, DISK_BYTES, &c->journal, &block_bytes)) {
		fprintf(stderr, "where is the journal?\n");
		exit(1);
	}
	client_run(c, w, results, &record);
	if (c->no_flushes)
		drop_flushes(&record);
	if (history_make(&history, &c->world, &start, w->ops, results, w->nr_ops)) {
		history.ordered = true;
		harness_run(&c->harness, image, DISK_BYTES, &record, &history);
	} else {
		c->harness.failures++;
	}
	history_free(&history);
	record_free(&record);
	free(results);
	free(image);
}

static void client_start(struct client *c, const char *dir, unsigned block_bytes, u64 seed)
{
	*c = (struct client){.world = {.block_bytes = block_bytes, .ranges = true, .direct = true}};
	snprintf(c->dir, sizeof(c->dir), "%s", dir);
	snprintf(c->top, sizeof(c->top), "%s/mnt", dir);
	snprintf(c->repeat, sizeof(c->repeat), "test_kernel %llu, blocks of %u", (unsigned long long)seed,
		 block_bytes);
	must_run("mkdir -p %s/fuse %s", dir, c->top);
	c->log = kernel_log_start(strcat(strcpy(c->side.top, dir), "/fuse"), DISK_BYTES);
	c->rules = (struct record_rules){.block_bytes = block_bytes, .use = kernel_use, .ctx = &c->journal};
	c->harness =
		(struct harness){.dir = c->dir,
				 .repeat = c->repeat,
				 .cuts = {.all_up_to = 8, .by_seed = 50, .most_pairs = 100, .seed = seed},
				 .e2fsck_each = 500};
	side_kernel(&c->side, c->top);
}

static void client_end(struct client *c)
{
	must_run("umount %s/fuse", c->dir);
	kernel_log_stop(c->log);
	arena_free(&c->arena);
}

static void kernel_workloads(struct client *c, u64 seed, unsigned nr)
{
	struct workload w;
	u64 rng = seed;

	for (unsigned i = 0; i < nr; i++) {
		workload_seq1(&c->world, splitmix64(&rng) % workload_seq1_count(&c->world), &w);
		workload_cut(c, &w);
		workload_free(&w);
		workload_seq2(&c->world, splitmix64(&rng), &w);
		workload_cut(c, &w);
		workload_free(&w);
		if (i % 4)
			continue;
		workload_random(&c->world, splitmix64(&rng), RANDOM_OPS, &w);
		workload_cut(c, &w);
		workload_free(&w);
	}
}

/* What is wrong: nothing on a disk that keeps its word, something on one that does not. */
static u64 kernel_slice(const char *dir, unsigned block_bytes, u64 seed, unsigned nr)
{
	struct client c;
	u64 failures;

	client_start(&c, dir, block_bytes, seed);
	kernel_workloads(&c, seed, nr);
	harness_print(&c.harness, c.repeat);
	failures = c.harness.failures;
	c.harness = (struct harness){
		.dir = c.dir, .repeat = "no flushes", .cuts = c.harness.cuts, .wanted = true};
	c.no_flushes = true;
	for (unsigned i = 0; i < 10 && !c.harness.failures; i++)
		kernel_workloads(&c, seed + i, 1);
	printf("without flushes: %s after %llu states\n", c.harness.failures ? "found" : "NOT FOUND",
	       (unsigned long long)c.harness.states);
	failures += !c.harness.failures;
	client_end(&c);
	return failures;
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	unsigned nr = argc > 2 ? strtoul(argv[2], NULL, 0) : 5;
	char dir[] = "/var/tmp/shale-crash.XXXXXX";
	u64 failures;

	seed = seed ? seed : (u64)time(NULL) / 86400;
	if (geteuid()) {
		printf("needs root\n");
		return 77;
	}
	if (!mkdtemp(dir) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror(dir);
		return 1;
	}
	umask(022);
	failures = kernel_slice(dir, 1024, seed, nr);
	failures += kernel_slice(dir, 4096, seed, nr);
	printf("%d passed, %d failed, 0 skipped\n", 4 - (int)min(failures, 4ull), (int)min(failures, 4ull));
	must_run("rm -rf %s/fuse %s/mnt; rmdir %s 2>/dev/null || true", dir, dir, dir);
	return failures != 0;
}
