/* SPDX-License-Identifier: MIT */
/*
 * A tree of files: what a volume holds, as the model says it (apply.c) or as it was found (look.c). A node is
 * an inode; its number in the table says nothing, except that in the trees of one history it stays the same.
 * Everything that a tree points to is constant, and in an arena, so that trees share it.
 *
 * Not part of it: times, numbers of inodes, sizes of directories, the root's links (lost+found is one).
 */
#ifndef SHALE_TESTS_CRASH_TREE_H
#define SHALE_TESTS_CRASH_TREE_H

#include <sys/stat.h>

#include "crash/arena.h"

struct blob {
	size_t size;
	u8 data[];
};

struct tree_entry {
	const char *name;
	unsigned node;
};

struct tree_xattr {
	const char *name;
	const struct blob *value;
};

struct tree_node {
	mode_t mode;    /* type and permissions */
	unsigned nlink; /* 0: it is gone */
	u64 size;
	const struct blob *data;          /* a file's bytes, or a symlink's target; NULL: none */
	const struct tree_entry *entries; /* of a directory, by name */
	unsigned nr_entries;
	const struct tree_xattr *xattrs; /* by name */
	unsigned nr_xattrs;
};

#define TREE_ROOT 0u

struct tree {
	struct tree_node *nodes;
	unsigned nr_nodes;
	u64 digest; /* over everything but the data of files; tree_digest */
};

struct blob *blob_make(struct arena *arena, const void *data, size_t size);
/* The entry of a directory; NULL: none. */
const struct tree_entry *tree_find(const struct tree *tree, unsigned dir, const char *name);
void tree_digest(struct tree *tree);
/* The digest with the size of one file left out. */
u64 tree_digest_without_size(const struct tree *tree, unsigned node);
/*
 * Calls `pair` for each node of both trees, which have the same digest but for sizes; until it returns
 * something else than 0, which is returned.
 */
int tree_pairs(const struct tree *a, const struct tree *b,
	       int (*pair)(void *ctx, unsigned a, unsigned b, const char *path), void *ctx);
/* In words, a line a name. */
void tree_print(const struct tree *tree, FILE *to);

#endif
