/* SPDX-License-Identifier: MIT */
/*
 * The bytes of files (history.h, (3) to (5)). For each sector of a file in the tree after k operations there
 * is a first operation from which on its content counts, and it may hold what it held after that or after any
 * later one, until its block was given up.
 */
#include <linux/falloc.h>

#include "base/compiler.h"
#include "block/blk_types.h"
#include "crash/history_internal.h"

#define GONE (UINT64_MAX / 2)

struct data_check {
	const struct history *h;
	const struct tree *found;
	unsigned k, begun;
	int promised;
	bool between; /* operation k has begun to make a file longer */
	char *why;
	size_t size;
};

/* The prefix after which the file's data was synced last: all of it, or also the part that a write syncs. */
static unsigned synced(const struct data_check *c, unsigned node, bool parts)
{
	for (int i = c->promised; i >= 0; i--) {
		const struct op *op = &c->h->ops[i];

		if (c->h->failed[i] || !op_promises(op) || (op->kind == OP_WRITE && !parts))
			continue;
		if (op->kind == OP_SYNC || op_is_on(c->h, i, node))
			return i + 1;
	}
	return 0;
}

/* Does operation m put the node over another file? */
static bool replaces(const struct history *h, unsigned m, unsigned node)
{
	return h->ops[m].kind == OP_RENAME && !h->ops[m].flags && op_is_on(h, m, node) &&
	       tree_lookup(&h->trees[m], h->ops[m].path2) >= 0 &&
	       tree_lookup(&h->trees[m], h->ops[m].path2) != (int)node;
}

/* The bytes [*from, *to) of the file that operation m decides, if the tree has it: nothing older is there. */
static void decided(const struct history *h, unsigned m, unsigned node, bool emptied, u64 *from, u64 *to)
{
	const struct op *op = &h->ops[m];
	u64 old, new;

	*from = *to = 0;
	if (replaces(h, m, node))
		*to = GONE;
	if (!op_is_on(h, m, node))
		return;
	old = h->trees[m].nodes[node].size;
	new = h->trees[m + 1].nodes[node].size;
	if (op->kind == OP_TRUNCATE && new < old) {
		*from = new;
		*to = GONE;
	} else if (op->kind == OP_FALLOCATE && op->flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		*from = op->offset;
		*to = op->offset + op->length;
	} else if (op->kind == OP_FALLOCATE &&
		   op->flags & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		*to = GONE;
	} else if (op->kind == OP_WRITE && emptied) {
		*to = GONE;
	} else if (op->kind == OP_WRITE && h->ordered && new > old) {
		*from = round_up(old, (u64)h->world->block_bytes);
		*to = max(*from, new);
	}
}

static u64 write_offset(const struct history *h, unsigned op, unsigned node)
{
	return h->ops[op].flags & O_APPEND ? h->trees[op].nodes[node].size : h->ops[op].offset;
}

/* The sectors of these bytes are at least as after `prefix`. */
static void raise_first(unsigned *first, u64 sectors, u64 from, u64 bytes, unsigned prefix)
{
	for (u64 s = from / SECTOR_SIZE; s < sectors && s * SECTOR_SIZE < from + bytes; s++)
		first[s] = max(first[s], prefix);
}

/* For each sector of the node in the tree after k operations, the first prefix whose content counts. */
static void find_first(const struct data_check *c, unsigned node, unsigned *first, u64 sectors)
{
	unsigned least = synced(c, node, false);
	bool emptied = false, reserved = false;

	for (u64 s = 0; s < sectors; s++)
		first[s] = least;
	for (int i = least; i <= c->promised; i++)
		if (c->h->ops[i].kind == OP_WRITE && op_promises(&c->h->ops[i]) && op_is_on(c->h, i, node))
			raise_first(first, sectors, write_offset(c->h, i, node), c->h->ops[i].length, i + 1);
	for (unsigned m = 0; m < c->k + c->between; m++) {
		u64 from, to;

		if (node >= c->h->trees[m].nr_nodes)
			continue;
		reserved |= op_is_on(c->h, m, node) && c->h->ops[m].kind == OP_FALLOCATE;
		decided(c->h, m, node, emptied, &from, &to);
		if (op_is_on(c->h, m, node) && c->h->ops[m].kind == OP_TRUNCATE) {
			emptied = !c->h->ops[m].length && c->h->trees[m].nodes[node].size;
			reserved &= c->h->ops[m].length > 0;
		} else if (op_is_on(c->h, m, node) && c->h->ops[m].kind == OP_WRITE) {
			if (reserved && !emptied)
				continue; /* into blocks that were unwritten before */
			emptied = false;
		}
		raise_first(first, sectors, from, to - from, m + 1);
	}
}

/*
 * Where the bytes at `at` of the file are after operation m; GONE: their block is the file's no more, so that
 * nothing that comes later can be in it.
 */
static u64 moved(const struct history *h, unsigned m, unsigned node, u64 at)
{
	const struct op *op = &h->ops[m];
	u64 block = at - at % h->world->block_bytes, end = block + h->world->block_bytes;

	if (!h->trees[m + 1].nodes[node].nlink)
		return GONE;
	if (!op_is_on(h, m, node))
		return at;
	if (op->kind == OP_TRUNCATE)
		return op->length <= block && op->length < h->trees[m].nodes[node].size ? GONE : at;
	if (op->kind != OP_FALLOCATE)
		return at;
	if (op->flags & FALLOC_FL_PUNCH_HOLE)
		return op->offset <= block && op->offset + op->length >= end ? GONE : at;
	if (op->flags & FALLOC_FL_INSERT_RANGE)
		return at >= op->offset ? at + op->length : at;
	if (op->flags & FALLOC_FL_COLLAPSE_RANGE && at >= op->offset)
		return at < op->offset + op->length ? GONE : at - op->length;
	return at;
}

/* Are these bytes those of the node after j operations? What lies behind its end is zeroes. */
static bool is_version(const struct history *h, unsigned j, unsigned node, u64 at, const u8 *bytes, u64 nr)
{
	const struct tree_node *then;
	u64 have = 0;

	if (node >= h->trees[j].nr_nodes)
		return false;
	then = &h->trees[j].nodes[node];
	if (then->data && at < then->data->size)
		have = min(nr, then->data->size - at);
	if (have && memcmp(bytes, then->data->data + at, have))
		return false;
	for (u64 i = have; i < nr; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool sector_allowed(const struct data_check *c, unsigned node, unsigned first, u64 sector,
			   const u8 *bytes, u64 nr)
{
	u64 at = sector * SECTOR_SIZE;

	for (unsigned j = min(first, c->k); j <= c->k; j++)
		if (j >= first && is_version(c->h, j, node, at, bytes, nr))
			return true;
	for (unsigned j = c->k + 1; j <= c->begun; j++) {
		at = moved(c->h, j - 1, node, at);
		if (at == GONE)
			return false;
		if (j >= first && is_version(c->h, j, node, at, bytes, nr))
			return true;
	}
	return false;
}

/* Whose bytes are they? For the words of an error. */
static void tell_whose(const struct history *h, const u8 *bytes, char *text, size_t size)
{
	snprintf(text, size, "of nobody");
	for (unsigned j = 0; j <= h->nr_ops; j++)
		for (unsigned node = 0; node < h->trees[j].nr_nodes; node++) {
			const struct blob *data = h->trees[j].nodes[node].data;

			for (u64 at = 0; data && at + SECTOR_SIZE <= data->size; at += SECTOR_SIZE)
				if (!memcmp(bytes, data->data + at, SECTOR_SIZE)) {
					snprintf(text, size,
						 "as after %u operations in inode %u of the model at %llu", j,
						 node, (unsigned long long)at);
					return;
				}
		}
}

static int file_allowed(void *ctx, unsigned node, unsigned there, const char *path)
{
	struct data_check *c = ctx;
	const struct tree_node *is = &c->found->nodes[there], *want = &c->h->trees[c->k].nodes[node];
	u64 sectors = DIV_ROUND_UP(is->size, SECTOR_SIZE);
	unsigned *first;
	char whose[80];
	u64 s;

	if (!S_ISREG(is->mode) || !is->size)
		return 0;
	if (is->size == want->size && c->k >= synced(c, node, true) &&
	    !memcmp(is->data->data, want->data->data, is->size))
		return 0;
	first = must_alloc(sectors * sizeof(*first));
	find_first(c, node, first, sectors);
	for (s = 0; s < sectors; s++) {
		u64 nr = min((u64)SECTOR_SIZE, is->size - s * SECTOR_SIZE);

		if (!sector_allowed(c, node, first[s], s, is->data->data + s * SECTOR_SIZE, nr))
			break;
	}
	if (s < sectors) {
		tell_whose(c->h, is->data->data + s * SECTOR_SIZE, whose, sizeof(whose));
		snprintf(c->why, c->size,
			 "the tree after %u operations (of %u; promised %d), but %s has at %llu bytes %s; it "
			 "may be as after %u to %u\n",
			 c->k, c->begun, c->promised, path, (unsigned long long)s * SECTOR_SIZE,
			 s + 1 < sectors ? whose : "of its end", first[s], c->begun);
	}
	free(first);
	return s < sectors;
}

bool data_allowed(const struct history *h, const struct tree *found, unsigned k, int promised, unsigned begun,
		  char *why, size_t size)
{
	struct data_check c = {
		.h = h,
		.found = found,
		.k = k,
		.begun = begun,
		.promised = promised,
		.between = found->digest != h->trees[k].digest && h->ops[k].kind == OP_WRITE,
		.why = why,
		.size = size,
	};

	return !tree_pairs(&h->trees[k], found, file_allowed, &c);
}
