/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees. What holds between calls: (1) the root is black; (2) a red node has black children; (3)
 * every way from a node down to an empty place meets the same number of black nodes. Insertion can break (2)
 * in one place, deletion (3) in one place; both move that place up until it can be mended by at most three
 * rotations. `side` (0 left, 1 right) folds the mirror images into one.
 */
#include "base/rbtree.h"

#define RB_BLACK 1UL

static inline bool is_red(const struct rb_node *node)
{
	return node && !(node->parent_color & RB_BLACK);
}

static inline void set_black(struct rb_node *node)
{
	node->parent_color |= RB_BLACK;
}

static inline void set_red(struct rb_node *node)
{
	node->parent_color &= ~RB_BLACK;
}

static inline void set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_color = (unsigned long)parent | (node->parent_color & RB_BLACK);
}

static inline struct rb_node **child(struct rb_node *node, int side)
{
	return side ? &node->rb_right : &node->rb_left;
}

static inline int side_of(const struct rb_node *node, const struct rb_node *parent)
{
	return parent->rb_right == node;
}

/* `node` stands below `parent` where `old` stood. */
static void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old,
			  struct rb_node *node)
{
	if (!parent)
		root->rb_node = node;
	else
		*child(parent, side_of(old, parent)) = node;
}

/* The child on the other side rises into the place of `node`, which sinks to `side`. Colours stay with the
 * nodes. */
static struct rb_node *rotate(struct rb_root *root, struct rb_node *node, int side)
{
	struct rb_node *riser = *child(node, !side);
	struct rb_node *inner = *child(riser, side);
	struct rb_node *parent = rb_parent(node);

	replace_child(root, parent, node, riser);
	set_parent(riser, parent);
	*child(riser, side) = node;
	set_parent(node, riser);
	*child(node, !side) = inner;
	if (inner)
		set_parent(inner, node);
	return riser;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	set_red(node);
	for (;;) {
		struct rb_node *parent = rb_parent(node);
		struct rb_node *grand, *uncle;
		int side;

		if (!parent) {
			set_black(node);
			return;
		}
		if (!is_red(parent))
			return;
		grand = rb_parent(parent);
		side = side_of(parent, grand);
		uncle = *child(grand, !side);
		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			node = grand;
			continue;
		}
		if (side_of(node, parent) != side)
			parent = rotate(root, parent, side);
		set_black(parent);
		set_red(grand);
		rotate(root, grand, !side);
		return;
	}
}

/* Below `parent`, on `side`, every way down has one black node too few. */
static void mend_erase(struct rb_root *root, struct rb_node *parent, int side)
{
	for (;;) {
		struct rb_node *sibling = *child(parent, !side);

		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			rotate(root, parent, side);
			sibling = *child(parent, !side);
		}
		if (!is_red(sibling->rb_left) && !is_red(sibling->rb_right)) {
			struct rb_node *node = parent;

			set_red(sibling);
			if (is_red(node)) {
				set_black(node);
				return;
			}
			parent = rb_parent(node);
			if (!parent)
				return;
			side = side_of(node, parent);
			continue;
		}
		if (!is_red(*child(sibling, !side))) {
			set_black(*child(sibling, side));
			set_red(sibling);
			sibling = rotate(root, sibling, !side);
		}
		if (is_red(parent))
			set_red(sibling);
		else
			set_black(sibling);
		set_black(parent);
		set_black(*child(sibling, !side));
		rotate(root, parent, side);
		return;
	}
}

/* Takes out a node with at most one child, and mends. */
static void erase_simple(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *below = node->rb_left ? node->rb_left : node->rb_right;
	struct rb_node *parent = rb_parent(node);
	int side = parent ? side_of(node, parent) : 0;

	replace_child(root, parent, node, below);
	if (below) {
		/* By (3) a single child is red and has none itself. */
		set_parent(below, parent);
		set_black(below);
	} else if (!is_red(node) && parent) {
		mend_erase(root, parent, side);
	}
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *next = node->rb_right;

	if (!node->rb_left || !node->rb_right) {
		erase_simple(node, root);
		return;
	}
	while (next->rb_left)
		next = next->rb_left;
	erase_simple(next, root);
	rb_replace_node(node, next, root);
}

void rb_replace_node(struct rb_node *victim, struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent = rb_parent(victim);

	*node = *victim;
	replace_child(root, parent, victim, node);
	if (node->rb_left)
		set_parent(node->rb_left, node);
	if (node->rb_right)
		set_parent(node->rb_right, node);
}

static struct rb_node *outermost(struct rb_node *node, int side)
{
	while (node && *child(node, side))
		node = *child(node, side);
	return node;
}

static struct rb_node *step(const struct rb_node *node, int side)
{
	struct rb_node *at = (struct rb_node *)node;
	struct rb_node *parent;

	if (RB_EMPTY_NODE(node))
		return NULL;
	if (*child(at, side))
		return outermost(*child(at, side), !side);
	for (parent = rb_parent(at); parent && side_of(at, parent) == side; parent = rb_parent(at))
		at = parent;
	return parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return outermost(root->rb_node, 0);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return outermost(root->rb_node, 1);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return step(node, 1);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return step(node, 0);
}

/* The node without children that comes first below and with `node`. */
static struct rb_node *deepest(struct rb_node *node)
{
	while (node && (node->rb_left || node->rb_right))
		node = node->rb_left ? node->rb_left : node->rb_right;
	return node;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return deepest(root->rb_node);
}

struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *parent = rb_parent(node);

	if (parent && node == parent->rb_left && parent->rb_right)
		return deepest(parent->rb_right);
	return parent;
}
