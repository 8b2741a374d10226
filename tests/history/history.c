/* SPDX-License-Identifier: MIT */
/*
 * usage: history [--seed S] [--ops N] [--each FROM] [--threads T] [--verbose]
 *
 * Runs one history on both sides. Each answer is compared; the trees are compared every 500 calls and at the
 * end, from call FROM on after each. A difference of trees is sought again with --each, so that what is told
 * is the first call that made one.
 */
#include "history.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST     16
#define TREE_EACH 500

const struct user users[TASKS] = {
	{0, 0, 0, {0}},
	{1000, 1000, 2, {1000, 2000}},
	{1001, 1001, 1, {2000}},
	{1000, 1002, 0, {0}},
};

static uint64_t seed = 1;
static unsigned long ops = 20000, each = ~0ul;
static unsigned threads;
static bool verbose;

static const char *words(long result)
{
	return result < 0 ? strerror((int)-result) : "";
}

static bool same(const struct outcome *k, const struct outcome *s)
{
	return k->result == s->result && k->len == s->len && !memcmp(k->data, s->data, k->len);
}

static void tell_outcome(const char *side, const struct outcome *out)
{
	printf("  %s: %ld %s %.*s\n", side, out->result, words(out->result), (int)out->len, out->data);
}

static void tell_repeat(const char *self, unsigned long at)
{
	printf("repeat with: %s --seed %llu --ops %lu\n", self, (unsigned long long)seed, at + 1);
}

static void kernel_text(void *arg)
{
	*(char **)arg = tree_text(&calls_kernel);
}
static void shale_text(void *arg)
{
	*(char **)arg = tree_text(&calls_shale);
}

/* Lines that only one of them has. */
static void tell_lines(const char *side, char *mine, const char *other)
{
	unsigned told = 0;

	for (char *line = mine, *end; (end = strchr(line, '\n')) && told < 20; line = end + 1) {
		*end = '\0';
		size_t len = strlen(line);
		const char *found = strstr(other, line);

		while (found && !((found == other || found[-1] == '\n') && found[len] == '\n'))
			found = strstr(found + 1, line);
		if (!found) {
			printf("  only %s: %s\n", side, line);
			told++;
		}
		*end = '\n';
	}
}

static bool same_trees(bool tell)
{
	char *k, *s;
	bool equal;

	kernel_tree(kernel_text, &k);
	shale_tree(shale_text, &s);
	equal = !strcmp(k, s);
	if (!equal && tell) {
		tell_lines("kernel", k, s);
		tell_lines("shale", s, k);
	}
	free(k);
	free(s);
	return equal;
}

/* The same history again, with trees compared after each call since they were last equal. */
static void seek_first(const char *self, unsigned long from)
{
	char args[4][32];

	snprintf(args[0], 32, "%llu", (unsigned long long)seed);
	snprintf(args[1], 32, "%lu", ops);
	snprintf(args[2], 32, "%lu", from);
	snprintf(args[3], 32, "%u", threads);
	fflush(stdout);
	shale_stop();
	kernel_stop();
	execl("/proc/self/exe", self, "--seed", args[0], "--ops", args[1], "--each", args[2], "--threads",
	      args[3], verbose ? "--verbose" : NULL, NULL);
	exit(1);
}

/* Up to BURST calls of one task. Returns how many. */
static unsigned generate_burst(struct generator *g, struct op *out, unsigned long most)
{
	static struct op kept;
	static bool have;
	unsigned n = 0;

	while (n < BURST && n < most) {
		if (!have)
			generate(g, &kept);
		have = n && kept.task != out[0].task;
		if (have)
			break;
		out[n++] = kept;
	}
	return n;
}

static void compare_burst(const char *self, const struct op *op, unsigned n, unsigned long at)
{
	static struct outcome k[BURST], s[BURST];

	kernel_run(op[0].task, op, n, k);
	shale_run(op[0].task, op, n, s);
	for (unsigned i = 0; i < n; i++) {
		bool equal = same(&k[i], &s[i]);

		if (verbose || !equal) {
			printf("%s%lu ", equal ? "" : "differs: ", at + i);
			op_print(&op[i]);
			printf(" = %ld %s\n", k[i].result, words(k[i].result));
		}
		if (equal)
			continue;
		tell_outcome("kernel", &k[i]);
		tell_outcome("shale", &s[i]);
		tell_repeat(self, at + i);
		exit(1);
	}
}

static void run_history(const char *self)
{
	struct generator g = {.state = seed};
	unsigned long checked = 0;
	struct op op[BURST];

	for (unsigned long at = 0; at < ops;) {
		unsigned n = generate_burst(&g, op, at >= each ? 1 : ops - at);

		compare_burst(self, op, n, at);
		at += n;
		if (at < ops && at - checked < TREE_EACH && at <= each)
			continue;
		if (!same_trees(at > each)) {
			if (at <= each)
				seek_first(self, checked);
			printf("trees differ after %lu ", at - 1);
			op_print(&op[n - 1]);
			printf("\n");
			tell_repeat(self, at - 1);
			exit(1);
		}
		checked = at;
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {{"seed", 1, NULL, 's'},    {"ops", 1, NULL, 'n'},
						{"each", 1, NULL, 'e'},    {"threads", 1, NULL, 't'},
						{"verbose", 0, NULL, 'v'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			ops = strtoul(optarg, NULL, 0);
			break;
		case 'e':
			each = strtoul(optarg, NULL, 0);
			break;
		case 't':
			threads = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			fprintf(stderr, "usage: history [--seed S] [--ops N] [--each FROM] [--threads T] "
					"[--verbose]\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	kernel_start("tmpfs", "mode=1777,size=256m");
	shale_begin("ramfs", "mode=1777", threads, seed);
	run_history(argv[0]);
	shale_stop();
	kernel_stop();
	printf("seed %llu: %lu calls, the same on both sides\n", (unsigned long long)seed, ops);
	return 0;
}
