/* SPDX-License-Identifier: MIT */
/*
 * Ordered trees whose nodes live inside the objects: red-black, so no path is more than twice as long as
 * another. The tree owns nothing and compares nothing itself: who inserts walks down by the caller's order
 * (rb_add does both with a function). The caller's lock guards the tree, readers included.
 *
 * A node carries its parent and its colour in one word; a node that is in no tree carries itself
 * (RB_CLEAR_NODE).
 */
#ifndef SHALE_BASE_RBTREE_H
#define SHALE_BASE_RBTREE_H

#include "base/compiler.h"

struct rb_node {
	unsigned long parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

/* A root that also knows its first node. */
struct rb_root_cached {
	struct rb_root rb_root;
	struct rb_node *rb_leftmost;
};

#define RB_ROOT        ((struct rb_root){NULL})
#define RB_ROOT_CACHED ((struct rb_root_cached){{NULL}, NULL})

#define rb_parent(node)             ((struct rb_node *)((node)->parent_color & ~3UL))
#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member)                                                                     \
	({                                                                                                   \
		struct rb_node *rb_ptr = (ptr);                                                              \
		rb_ptr ? rb_entry(rb_ptr, type, member) : NULL;                                              \
	})

#define RB_EMPTY_ROOT(root) ((root)->rb_node == NULL)
#define RB_EMPTY_NODE(node) ((node)->parent_color == (unsigned long)(node))
#define RB_CLEAR_NODE(node) ((node)->parent_color = (unsigned long)(node))

/* Puts `node` into the empty place *link below `parent`; rb_insert_color must follow. */
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->parent_color = (unsigned long)parent;
	node->rb_left = node->rb_right = NULL;
	*link = node;
}
/* Restores the balance after rb_link_node. */
void rb_insert_color(struct rb_node *node, struct rb_root *root);
/* Takes the node out. It is not cleared. */
void rb_erase(struct rb_node *node, struct rb_root *root);
/* `node`, which has the same place in the order, takes the place of `victim`. */
void rb_replace_node(struct rb_node *victim, struct rb_node *node, struct rb_root *root);

/* In order; NULL at the end. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
/* Children before parents: for freeing all. */
struct rb_node *rb_first_postorder(const struct rb_root *root);
struct rb_node *rb_next_postorder(const struct rb_node *node);

static inline struct rb_node *rb_first_cached(const struct rb_root_cached *root)
{
	return root->rb_leftmost;
}
static inline void rb_insert_color_cached(struct rb_node *node, struct rb_root_cached *root, bool leftmost)
{
	if (leftmost)
		root->rb_leftmost = node;
	rb_insert_color(node, &root->rb_root);
}
static inline void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
	if (root->rb_leftmost == node)
		root->rb_leftmost = rb_next(node);
	rb_erase(node, &root->rb_root);
}
static inline void rb_replace_node_cached(struct rb_node *victim, struct rb_node *node,
					  struct rb_root_cached *root)
{
	if (root->rb_leftmost == victim)
		root->rb_leftmost = node;
	rb_replace_node(victim, node, &root->rb_root);
}

/* Inserts by `less`; equals come after those that are there. */
static __always_inline void rb_add(struct rb_node *node, struct rb_root *root,
				   bool (*less)(struct rb_node *a, const struct rb_node *b))
{
	struct rb_node **link = &root->rb_node;
	struct rb_node *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(node, parent) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, root);
}
static __always_inline void rb_add_cached(struct rb_node *node, struct rb_root_cached *root,
					  bool (*less)(struct rb_node *a, const struct rb_node *b))
{
	struct rb_node **link = &root->rb_root.rb_node;
	struct rb_node *parent = NULL;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (less(node, parent)) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			leftmost = false;
		}
	}
	rb_link_node(node, parent, link);
	rb_insert_color_cached(node, root, leftmost);
}
/* Inserts unless an equal (cmp 0) is there, which is returned then; NULL: inserted. */
static __always_inline struct rb_node *rb_find_add(struct rb_node *node, struct rb_root *root,
						   int (*cmp)(struct rb_node *a, const struct rb_node *b))
{
	struct rb_node **link = &root->rb_node;
	struct rb_node *parent = NULL;

	while (*link) {
		int c;

		parent = *link;
		c = cmp(node, parent);
		if (c == 0)
			return parent;
		link = c < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, root);
	return NULL;
}
/* Any node (rb_find), or the first in order (rb_find_first), whose cmp with the key is 0. NULL: none. */
static __always_inline struct rb_node *rb_find(const void *key, const struct rb_root *root,
					       int (*cmp)(const void *key, const struct rb_node *node))
{
	struct rb_node *node = root->rb_node;

	while (node) {
		int c = cmp(key, node);

		if (c == 0)
			return node;
		node = c < 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}
static __always_inline struct rb_node *rb_find_first(const void *key, const struct rb_root *root,
						     int (*cmp)(const void *key, const struct rb_node *node))
{
	struct rb_node *node = root->rb_node;
	struct rb_node *match = NULL;

	while (node) {
		int c = cmp(key, node);

		if (c == 0)
			match = node;
		node = c <= 0 ? node->rb_left : node->rb_right;
	}
	return match;
}
/* The last node that is not after the key: cmp(key, node) >= 0. NULL: none. */
static __always_inline struct rb_node *rb_find_floor(const void *key, const struct rb_root *root,
						     int (*cmp)(const void *key, const struct rb_node *node))
{
	struct rb_node *node = root->rb_node;
	struct rb_node *match = NULL;

	while (node) {
		if (cmp(key, node) >= 0) {
			match = node;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return match;
}

#define rb_for_each_entry(pos, root, member)                                                                 \
	for ((pos) = rb_entry_safe(rb_first(root), __typeof__(*(pos)), member); (pos);                       \
	     (pos) = rb_entry_safe(rb_next(&(pos)->member), __typeof__(*(pos)), member))
/* Children first; the body may free `pos` (but not rebalance: it must not erase others). */
#define rbtree_postorder_for_each_entry_safe(pos, n, root, member)                                           \
	for ((pos) = rb_entry_safe(rb_first_postorder(root), __typeof__(*(pos)), member);                    \
	     (pos) &&                                                                                        \
	     ((n) = rb_entry_safe(rb_next_postorder(&(pos)->member), __typeof__(*(pos)), member), 1);        \
	     (pos) = (n))

#endif
