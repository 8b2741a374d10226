/* SPDX-License-Identifier: MIT */
/*
 * Workloads (op.h). The bounded set works on two directories with two names in each; before it begins, one
 * name in each is a file with data and an attribute, there is an empty directory, and all is synced.
 */
#include "crash/apply.h"

#include <linux/falloc.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/random.h"
#include "crash/memory.h"

#define FILE_BYTES 10000u

static struct op *op_add(struct op **ops, unsigned *nr, unsigned *room, struct op op)
{
	size_t more = *room;

	if (*nr == *room) {
		*ops = must_grow(*ops, &more, sizeof(**ops));
		*room = more;
	}
	(*ops)[*nr] = op;
	return &(*ops)[(*nr)++];
}

/* Numbers tell the setup's bytes from those of the operations. */
static void setup_add(struct workload *w, struct op op)
{
	op.number = 1000000 + w->nr_setup;
	op_add(&w->setup, &w->nr_setup, &w->room_setup, op);
}

static void ops_add(struct workload *w, struct op op)
{
	op.number = w->nr_ops;
	op_add(&w->ops, &w->nr_ops, &w->room_ops, op);
}

void workload_free(struct workload *workload)
{
	free(workload->setup);
	free(workload->ops);
	*workload = (struct workload){};
}

static void setup_tree(struct workload *w)
{
	static const char *const dirs[] = {"/A", "/B", "/A/dir"}, *const files[] = {"/A/foo", "/B/bar"};

	for (unsigned i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct op op = {.kind = OP_MKDIR};

		snprintf(op.path, sizeof(op.path), "%s", dirs[i]);
		setup_add(w, op);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		struct op op = {.kind = OP_CREAT};

		snprintf(op.path, sizeof(op.path), "%s", files[i]);
		setup_add(w, op);
		op.kind = OP_WRITE;
		op.length = FILE_BYTES;
		setup_add(w, op);
		op.kind = OP_SETXATTR;
		op.length = 20;
		snprintf(op.path2, sizeof(op.path2), "user.one");
		setup_add(w, op);
	}
	setup_add(w, (struct op){.kind = OP_SYNC});
}

/* The bounded set of single operations, by number. */
#define KEEP FALLOC_FL_KEEP_SIZE
static const struct op bounded[] = {
	{.kind = OP_CREAT, .path = "/A/bar"},
	{.kind = OP_CREAT, .path = "/B/foo"},
	{.kind = OP_MKDIR, .path = "/A/bar"},
	{.kind = OP_MKDIR, .path = "/A/dir/foo"},
	{.kind = OP_LINK, .path = "/A/foo", .path2 = "/A/bar"},
	{.kind = OP_LINK, .path = "/A/foo", .path2 = "/B/foo"},
	{.kind = OP_SYMLINK, .path = "/A/bar", .length = 20},
	{.kind = OP_SYMLINK, .path = "/B/foo", .length = 300},
	{.kind = OP_UNLINK, .path = "/A/foo"},
	{.kind = OP_UNLINK, .path = "/B/bar"},
	{.kind = OP_RMDIR, .path = "/A/dir"},
	{.kind = OP_RENAME, .path = "/A/foo", .path2 = "/A/bar"},
	{.kind = OP_RENAME, .path = "/A/foo", .path2 = "/B/foo"},
	{.kind = OP_RENAME, .path = "/A/foo", .path2 = "/B/bar"},
	{.kind = OP_RENAME, .path = "/A/foo", .path2 = "/B/bar", .flags = 2},
	{.kind = OP_RENAME, .path = "/A/dir", .path2 = "/B/foo"},
	{.kind = OP_RENAME, .path = "/A/dir", .path2 = "/B/bar", .flags = 2},
	{.kind = OP_TRUNCATE, .path = "/A/foo", .length = 0},
	{.kind = OP_TRUNCATE, .path = "/A/foo", .length = 5000},
	{.kind = OP_TRUNCATE, .path = "/A/foo", .length = 8192},
	{.kind = OP_TRUNCATE, .path = "/A/foo", .length = 30000},
	{.kind = OP_FALLOCATE, .path = "/A/foo", .offset = 0, .length = 40000},
	{.kind = OP_FALLOCATE, .path = "/A/foo", .offset = 8192, .length = 32768, .flags = KEEP},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 1000,
	 .length = 6000,
	 .flags = KEEP | FALLOC_FL_PUNCH_HOLE},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 4096,
	 .length = 4096,
	 .flags = KEEP | FALLOC_FL_PUNCH_HOLE},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 1000,
	 .length = 6000,
	 .flags = KEEP | FALLOC_FL_ZERO_RANGE},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 5000,
	 .length = 20000,
	 .flags = FALLOC_FL_ZERO_RANGE},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 4096,
	 .length = 4096,
	 .flags = FALLOC_FL_COLLAPSE_RANGE},
	{.kind = OP_FALLOCATE,
	 .path = "/A/foo",
	 .offset = 4096,
	 .length = 8192,
	 .flags = FALLOC_FL_INSERT_RANGE},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 0, .length = 4096},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 5000, .length = 1000},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 4000, .length = 5000},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 9000, .length = 5000},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 0, .length = 6000, .flags = O_APPEND},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 40000, .length = 3000},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 0, .length = 10000, .flags = O_SYNC},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 8192, .length = 9000, .flags = O_DSYNC},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 4096, .length = 4096, .flags = O_DIRECT},
	{.kind = OP_WRITE, .path = "/A/foo", .offset = 12288, .length = 8192, .flags = O_DIRECT | O_DSYNC},
	{.kind = OP_SETXATTR, .path = "/A/foo", .path2 = "user.two", .length = 10},
	{.kind = OP_SETXATTR, .path = "/A/foo", .path2 = "user.one", .length = 700},
	{.kind = OP_SETXATTR, .path = "/A", .path2 = "user.one", .length = 40},
	{.kind = OP_REMOVEXATTR, .path = "/A/foo", .path2 = "user.one"},
	{.kind = OP_CHMOD, .path = "/A/foo", .flags = 0600},
	{.kind = OP_CHMOD, .path = "/B", .flags = 0700},
};
#undef KEEP

/* What may follow: nothing, or a sync of what the operation was about, of its directory, of all. */
enum sync_kind { SYNC_NONE, SYNC_FSYNC, SYNC_FDATASYNC, SYNC_DIRECTORY, SYNC_ALL, NR_SYNC_KINDS };

static void sync_add(struct workload *w, const struct op *what, enum sync_kind kind)
{
	static const enum op_kind kinds[] = {NR_OP_KINDS, OP_FSYNC, OP_FDATASYNC, OP_FSYNC, OP_SYNC};
	const char *path = what->kind == OP_RENAME || what->kind == OP_LINK ? what->path2 : what->path;
	struct op op = {.kind = kinds[kind]};

	if (kind == SYNC_NONE)
		return;
	snprintf(op.path, sizeof(op.path), "%s", kind == SYNC_ALL ? "" : path);
	if (kind == SYNC_DIRECTORY)
		*strrchr(op.path, '/') = '\0';
	if (kind == SYNC_DIRECTORY && !op.path[0])
		snprintf(op.path, sizeof(op.path), "/");
	ops_add(w, op);
}

static bool op_possible(const struct op_world *world, const struct op *op)
{
	const int ranges = FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;

	if (op->kind == OP_FALLOCATE && op->flags & ranges)
		return world->ranges;
	return op->kind != OP_WRITE || !(op->flags & O_DIRECT) || world->direct;
}

static const struct op *bounded_possible(const struct op_world *world, unsigned index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(bounded); i++)
		if (op_possible(world, &bounded[i]) && !index--)
			return &bounded[i];
	return NULL;
}

static unsigned bounded_count(const struct op_world *world)
{
	unsigned nr = 0;

	while (bounded_possible(world, nr))
		nr++;
	return nr;
}

unsigned workload_seq1_count(const struct op_world *world)
{
	return bounded_count(world) * NR_SYNC_KINDS;
}

void workload_seq1(const struct op_world *world, unsigned index, struct workload *out)
{
	const struct op *op = bounded_possible(world, index / NR_SYNC_KINDS);

	*out = (struct workload){};
	snprintf(out->name, sizeof(out->name), "seq1 %u", index);
	setup_tree(out);
	ops_add(out, *op);
	sync_add(out, op, index % NR_SYNC_KINDS);
}

void workload_seq2(const struct op_world *world, u64 seed, struct workload *out)
{
	unsigned count = bounded_count(world);
	u64 rng = seed;

	*out = (struct workload){};
	snprintf(out->name, sizeof(out->name), "seq2 %llu", (unsigned long long)seed);
	setup_tree(out);
	for (unsigned i = 0; i < 2; i++) {
		const struct op *op = bounded_possible(world, splitmix64(&rng) % count);

		ops_add(out, *op);
		sync_add(out, op, splitmix64(&rng) % NR_SYNC_KINDS);
	}
}

/* Names of random histories: two levels of directories. Most often one is taken that is there. */
static const char *const random_dirs[] = {"", "/A", "/B", "/A/dir", "/B/sub"};
static const char *const random_names[] = {"foo", "bar", "dir", "sub", "a-name-that-is-rather-long"};

static void random_path(const struct tree *tree, u64 *rng, bool there, char *path, size_t size)
{
	for (unsigned tries = splitmix64(rng) % 8 ? 20 : 1; tries; tries--) {
		snprintf(path, size, "%s/%s", random_dirs[splitmix64(rng) % ARRAY_SIZE(random_dirs)],
			 random_names[splitmix64(rng) % ARRAY_SIZE(random_names)]);
		if ((tree_lookup(tree, path) >= 0) == there)
			break;
	}
}

static u64 random_size(const struct op_world *world, u64 *rng)
{
	u64 blocks = splitmix64(rng) % 12, bytes = blocks * world->block_bytes;

	return splitmix64(rng) % 2 ? bytes : bytes + splitmix64(rng) % world->block_bytes;
}

static struct op random_op(const struct op_world *world, const struct tree *tree, u64 *rng)
{
	static const u8 weights[NR_OP_KINDS] = {
		[OP_CREAT] = 16,    [OP_MKDIR] = 5,  [OP_LINK] = 5,      [OP_SYMLINK] = 4,
		[OP_UNLINK] = 6,    [OP_RMDIR] = 2,  [OP_RENAME] = 10,   [OP_TRUNCATE] = 8,
		[OP_FALLOCATE] = 8, [OP_WRITE] = 24, [OP_SETXATTR] = 6,  [OP_REMOVEXATTR] = 3,
		[OP_CHMOD] = 2,     [OP_FSYNC] = 5,  [OP_FDATASYNC] = 3, [OP_SYNC] = 1,
	};
	static const int modes[] = {0, 1, 3, 3, 8, 16, 16, 17, 32},
			 writes[] = {0, 0, 0, 0, O_APPEND, O_SYNC, O_DSYNC, O_DIRECT};
	struct op op = {.flags = 0};
	int at = splitmix64(rng) % 108;

	while ((at -= weights[op.kind]) >= 0)
		op.kind++;
	if (op.kind != OP_SYNC)
		random_path(tree, rng, op.kind != OP_CREAT && op.kind != OP_MKDIR && op.kind != OP_SYMLINK,
			    op.path, sizeof(op.path));
	if (op.kind == OP_LINK || op.kind == OP_RENAME)
		random_path(tree, rng, op.kind == OP_RENAME && splitmix64(rng) % 2, op.path2,
			    sizeof(op.path2));
	if (op.kind == OP_SETXATTR || op.kind == OP_REMOVEXATTR)
		snprintf(op.path2, sizeof(op.path2), "user.%llu", (unsigned long long)splitmix64(rng) % 3);
	op.offset = op.kind == OP_WRITE || op.kind == OP_FALLOCATE ? random_size(world, rng) : 0;
	op.length = random_size(world, rng);
	if (op.kind == OP_SETXATTR || op.kind == OP_SYMLINK)
		op.length = splitmix64(rng) % 4 ? op.length % 50 + 1 : op.length % 250 + 1;
	else if (op.kind != OP_TRUNCATE)
		op.length += !op.length;
	if (op.kind != OP_SETXATTR && op.kind != OP_SYMLINK && op.kind != OP_TRUNCATE &&
	    op.kind != OP_WRITE && op.kind != OP_FALLOCATE)
		op.length = 0;
	if (op.kind == OP_RENAME)
		op.flags = splitmix64(rng) % 6 < 4 ? 0 : splitmix64(rng) % 2 + 1;
	if (op.kind == OP_FALLOCATE)
		op.flags = modes[splitmix64(rng) % ARRAY_SIZE(modes)];
	if (op.kind == OP_WRITE)
		op.flags = writes[splitmix64(rng) % ARRAY_SIZE(writes)];
	if (op.kind == OP_CHMOD)
		op.flags = splitmix64(rng) % 0777 | 0600;
	return op;
}

void workload_random(const struct op_world *world, u64 seed, unsigned nr, struct workload *out)
{
	struct arena arena = {};
	struct tree tree, next;
	u64 rng = seed;

	*out = (struct workload){};
	snprintf(out->name, sizeof(out->name), "random %llu", (unsigned long long)seed);
	setup_tree(out);
	tree_empty(&arena, &tree);
	for (unsigned i = 0; i < out->nr_setup; i++) {
		tree_apply(&arena, world, &tree, &out->setup[i], &next);
		tree = next;
	}
	while (out->nr_ops < nr) {
		struct op op = random_op(world, &tree, &rng);

		/* Direct I/O and shifts are of whole blocks, mostly. */
		if (op.flags & O_DIRECT && op.kind == OP_WRITE) {
			op.offset -= op.offset % world->block_bytes;
			op.length += -op.length % world->block_bytes;
		}
		if (op.kind == OP_FALLOCATE && op.flags & (8 | 32) && splitmix64(&rng) % 8) {
			op.offset -= op.offset % world->block_bytes;
			op.length += -op.length % world->block_bytes;
		}
		if (!op_possible(world, &op))
			continue;
		ops_add(out, op);
		tree_apply(&arena, world, &tree, &op, &next);
		tree = next;
	}
	arena_free(&arena);
}
