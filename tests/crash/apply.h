/* SPDX-License-Identifier: MIT */
/* The model: what an operation, by root, does to a tree. */
#ifndef SHALE_TESTS_CRASH_APPLY_H
#define SHALE_TESTS_CRASH_APPLY_H

#include "crash/op.h"
#include "crash/tree.h"

/*
 * The tree after the operation, and what it returns: 0, bytes, or negative errno (then both trees are the
 * same). Nodes that stay keep their numbers; new ones come behind.
 */
long tree_apply(struct arena *arena, const struct op_world *world, const struct tree *from,
		const struct op *op, struct tree *to);
/* The empty tree. */
void tree_empty(struct arena *arena, struct tree *tree);
/* The node that a path means, without following its last name; negative errno. */
int tree_lookup(const struct tree *tree, const char *path);

#endif
