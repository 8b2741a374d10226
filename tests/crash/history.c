/* SPDX-License-Identifier: MIT */
/* The body of history.h: the trees after each prefix, and what syncs make of them. data.c looks at bytes. */
#include "crash/history_internal.h"

#include <errno.h>

#include "base/compiler.h"
#include "base/hash.h"

bool op_promises(const struct op *op)
{
	switch (op->kind) {
	case OP_FSYNC:
	case OP_FDATASYNC:
	case OP_SYNC:
		return true;
	case OP_WRITE:
		return op->flags & O_DSYNC; /* which O_SYNC has, too */
	default:
		return false;
	}
}

/* All that fsync keeps of a node but its data: attributes, size, and each name that it has. */
static u64 node_hash(const struct tree *tree, unsigned at)
{
	const struct tree_node *node;
	u64 hash;

	if (at >= tree->nr_nodes)
		return 0;
	node = &tree->nodes[at];
	hash = hash_mix64(node->size) + hash_mix64(((u64)node->mode << 32 | node->nlink) + 1);
	for (unsigned i = 0; i < node->nr_xattrs; i++)
		hash = hash_mix64(hash + (u64)(uintptr_t)node->xattrs[i].value);
	for (unsigned dir = 0; dir < tree->nr_nodes; dir++)
		for (unsigned i = 0; tree->nodes[dir].nlink && i < tree->nodes[dir].nr_entries; i++)
			if (tree->nodes[dir].entries[i].node == at)
				hash += hash_mix64((u64)(uintptr_t)tree->nodes[dir].entries[i].name ^ dir);
	return hash;
}

int op_node(const struct history *h, unsigned op)
{
	return tree_lookup(&h->trees[op], h->ops[op].path);
}

bool op_is_on(const struct history *h, unsigned op, unsigned node)
{
	return !h->failed[op] && op_node(h, op) == (int)node;
}

/* The prefix up to the last operation before `end` that changed what fsync, or fdatasync, keeps of the node.
 */
static unsigned last_change(const struct history *h, unsigned node, unsigned end, bool data_only)
{
	for (unsigned i = end; i; i--) {
		const struct tree *before = &h->trees[i - 1], *after = &h->trees[i];

		if (h->failed[i - 1])
			continue;
		if (!data_only && node_hash(before, node) != node_hash(after, node))
			return i;
		if (node >= before->nr_nodes)
			return i; /* it was made */
		if (before->nodes[node].size != after->nodes[node].size)
			return i;
		if (h->ops[i - 1].kind == OP_FALLOCATE && op_is_on(h, i - 1, node))
			return i;
	}
	return 0;
}

/* The prefix that this operation keeps, by itself. */
static unsigned op_keeps(const struct history *h, unsigned i)
{
	const struct op *op = &h->ops[i];
	int node;

	if (h->failed[i] || !op_promises(op))
		return 0;
	if (op->kind == OP_SYNC)
		return i + 1;
	node = op_node(h, i);
	if (S_ISDIR(h->trees[i].nodes[node].mode))
		return op->kind == OP_FSYNC ? i + 1 : 0;
	return last_change(h, node, i + 1,
			   op->kind == OP_FDATASYNC ||
				   (op->kind == OP_WRITE && (op->flags & O_SYNC) != O_SYNC));
}

static bool result_is_right(const struct op *op, long want, long got)
{
	char text[256];

	if (want == got)
		return true;
	op_print(op, text, sizeof(text));
	printf("%s: %ld (%s), the model says %ld\n", text, got, got < 0 ? strerror((int)-got) : "", want);
	return false;
}

bool history_make(struct history *h, const struct op_world *world, const struct tree *start,
		  const struct op *ops, const long *results, unsigned nr_ops)
{
	*h = (struct history){.world = world, .ops = ops, .nr_ops = nr_ops};
	h->trees = arena_alloc(&h->arena, (nr_ops + 1) * sizeof(*h->trees));
	h->failed = arena_alloc(&h->arena, nr_ops * sizeof(*h->failed));
	h->least = arena_alloc(&h->arena, nr_ops * sizeof(*h->least));
	h->trees[0] = *start;
	for (unsigned i = 0; i < nr_ops; i++) {
		long want;

		h->failed[i] = results[i] < 0;
		if (results[i] == -ENOSPC) {
			h->trees[i + 1] = h->trees[i];
		} else {
			want = tree_apply(&h->arena, world, &h->trees[i], &ops[i], &h->trees[i + 1]);
			if (!result_is_right(&ops[i], want, results[i]))
				return false;
		}
		h->least[i] = op_keeps(h, i);
		if (i)
			h->least[i] = max(h->least[i], h->least[i - 1]);
	}
	return true;
}

void history_free(struct history *h)
{
	arena_free(&h->arena);
}

/* Is the file's size the only difference, and one on the way of operation k? */
static bool is_between(const struct history *h, const struct tree *found, unsigned k)
{
	const struct op *op = &h->ops[k];
	int node, there;
	u64 size, from, to;

	if (h->failed[k] || (op->kind != OP_WRITE && op->kind != OP_TRUNCATE && op->kind != OP_FALLOCATE))
		return false;
	node = op_node(h, k);
	there = tree_lookup(found, op->path);
	if (there < 0 || !S_ISREG(found->nodes[there].mode))
		return false;
	size = found->nodes[there].size;
	from = h->trees[k].nodes[node].size;
	to = h->trees[k + 1].nodes[node].size;
	if (size <= min(from, to) || size >= max(from, to))
		return false;
	return tree_digest_without_size(found, there) == tree_digest_without_size(&h->trees[k], node);
}

/* No prefix is right: says how the found tree differs. */
static void explain(const struct history *h, const struct tree *found, unsigned least, unsigned begun,
		    char *why, size_t size)
{
	FILE *to = fmemopen(why, size, "w");

	if (!to)
		return;
	fprintf(to, "not the tree after %u to %u operations; found:\n", least, begun);
	tree_print(found, to);
	for (unsigned k = 0; k <= h->nr_ops; k++)
		if (h->trees[k].digest == found->digest)
			fprintf(to, "which is that after %u\n", k);
	fprintf(to, "after %u:\n", least);
	tree_print(&h->trees[least], to);
	if (begun != least) {
		fprintf(to, "after %u:\n", begun);
		tree_print(&h->trees[begun], to);
	}
	fclose(to);
}

bool history_allows(const struct history *h, const struct tree *found, int promised, unsigned begun,
		    char *why, size_t size)
{
	unsigned least = promised < 0 ? 0 : h->least[promised];
	bool matched = false;

	for (unsigned k = begun + 1; k-- > least;) {
		if (h->trees[k].digest != found->digest && (k == begun || !is_between(h, found, k)))
			continue;
		matched = true;
		if (data_allowed(h, found, k, promised, begun, why, size))
			return true;
	}
	if (!matched)
		explain(h, found, least, begun, why, size);
	return false;
}
