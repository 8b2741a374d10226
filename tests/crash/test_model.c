/* SPDX-License-Identifier: MIT */
/*
 * Proves the model (apply.h): random histories and the bounded set, on the kernel's tmpfs, on its ext4 and on
 * shale's ramfs;
 * every result is as the model says, and so is the tree. A difference is told with the seed that repeats it:
 * test_model SEED.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <shale/shale.h>

#include "crash/apply.h"
#include "crash/side.h"

static unsigned long compared, failures;

struct run {
	struct side *side;
	const struct op_world *world;
	struct arena arena, found_arena;
	struct tree tree;
};

static int same_data(void *ctx, unsigned a, unsigned b, const char *path)
{
	const struct tree *const *trees = ctx;
	const struct tree_node *one = &trees[0]->nodes[a], *other = &trees[1]->nodes[b];

	if (!S_ISREG(one->mode) || !one->size)
		return 0;
	if (!one->data || !memcmp(one->data->data, other->data->data, one->size))
		return 0;
	printf("%s has other bytes\n", path);
	return 1;
}

static bool tree_is_right(struct run *run)
{
	const struct tree *trees[2];
	struct tree found;
	char where[256];

	arena_reset(&run->found_arena);
	if (side_look(run->side, &run->found_arena, &found, where, sizeof(where))) {
		printf("%s\n", where);
		return false;
	}
	trees[0] = &run->tree;
	trees[1] = &found;
	if (run->tree.digest == found.digest)
		return !tree_pairs(&run->tree, &found, same_data, trees);
	printf("the model's tree:\n");
	tree_print(&run->tree, stdout);
	printf("found:\n");
	tree_print(&found, stdout);
	return false;
}

static bool op_is_right(struct run *run, const struct op *op, bool look)
{
	struct tree next;
	long want = tree_apply(&run->arena, run->world, &run->tree, op, &next), got = side_do(run->side, op);
	char text[256];

	op_print(op, text, sizeof(text));
	compared++;
	run->tree = next;
	if (want != got) {
		printf("%s: %ld (%s), the model says %ld (%s)\n", text, got, strerror(got < 0 ? -got : 0),
		       want, strerror(want < 0 ? -want : 0));
		return false;
	}
	if (look && !tree_is_right(run)) {
		printf("after %s\n", text);
		return false;
	}
	return true;
}

/* Everything that a look finds goes. */
static void clear(struct side *side, const struct tree *tree, unsigned at, const char *path)
{
	const struct tree_node *node = &tree->nodes[at];
	char child[512];

	for (unsigned i = 0; i < node->nr_entries; i++) {
		bool dir = S_ISDIR(tree->nodes[node->entries[i].node].mode);

		snprintf(child, sizeof(child), "%s/%s", path, node->entries[i].name);
		if (dir)
			clear(side, tree, node->entries[i].node, child);
		side->calls->unlink(side, child, dir ? AT_REMOVEDIR : 0);
	}
}

static void workload_run(struct side *side, const struct op_world *world, const struct workload *w)
{
	struct run run = {.side = side, .world = world};
	bool right = true;

	tree_empty(&run.arena, &run.tree);
	for (unsigned i = 0; right && i < w->nr_setup; i++)
		right = op_is_right(&run, &w->setup[i], false);
	for (unsigned i = 0; right && i < w->nr_ops; i++)
		right = op_is_right(&run, &w->ops[i], i % 8 == 0 || i + 1 == w->nr_ops);
	if (!right) {
		printf("failed: %s\n", w->name);
		failures++;
	}
	clear(side, &run.tree, TREE_ROOT, "");
	arena_free(&run.arena);
	arena_free(&run.found_arena);
}

static void side_run(struct side *side, const struct op_world *world, u64 seed, unsigned nr_random)
{
	struct workload w;

	for (unsigned i = 0; i < workload_seq1_count(world); i++) {
		workload_seq1(world, i, &w);
		workload_run(side, world, &w);
		workload_free(&w);
	}
	for (unsigned i = 0; i < nr_random; i++) {
		workload_seq2(world, seed + i, &w);
		workload_run(side, world, &w);
		workload_free(&w);
		workload_random(world, seed + i, 100, &w);
		workload_run(side, world, &w);
		workload_free(&w);
	}
}

static void must_run(const char *command)
{
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

/* The root of a machine, which is a ramfs. */
static void shale_run(const struct op_world *world, u64 seed)
{
	struct shale_options options = {.size = sizeof(options), .seed = seed};
	struct shale_task *task;
	struct shale *machine;
	struct side side;

	if (shale_new(&options, &machine) || shale_task_new(machine, NULL, &task)) {
		fprintf(stderr, "no machine\n");
		exit(1);
	}
	side_shale(&side, task, "/mnt");
	side_run(&side, world, seed, 100);
	failures += shale_free(machine) != 0;
}

int main(int argc, char **argv)
{
	static const struct op_world tmpfs = {.block_bytes = 4096},
				     ext4 = {.block_bytes = 1024, .ranges = true, .direct = true};
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	char dir[] = "/var/tmp/shale-model.XXXXXX", command[512];
	struct side side;

	if (geteuid()) {
		printf("needs root\n");
		return 77;
	}
	if (!mkdtemp(dir) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, NULL)) {
		perror(dir);
		return 1;
	}
	umask(022);
	snprintf(command, sizeof(command),
		 "cd %s && mkdir t e && truncate -s 16M i && mke2fs -q -F -t ext4 -b 1024 i && mount -o loop "
		 "i e",
		 dir);
	must_run(command);
	side_kernel(&side, dir);
	strcat(side.top, "/t");
	side_run(&side, &tmpfs, seed, 100);
	side_kernel(&side, dir);
	strcat(side.top, "/e");
	side_run(&side, &ext4, seed, 100);
	shale_run(&tmpfs, seed);
	snprintf(command, sizeof(command), "umount %s/e && umount %s && rmdir %s", dir, dir, dir);
	must_run(command);
	printf("%lu operations compared\n", compared);
	printf("%lu passed, %lu failed, 0 skipped\n", compared - failures, failures);
	return failures != 0;
}
