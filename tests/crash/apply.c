/* SPDX-License-Identifier: MIT */
/*
 * The body of apply.h. The answers follow the manual pages of the calls, with the kernel's order of checks;
 * test_model holds them to those of the kernel.
 */
#include "crash/apply.h"

#include "base/compiler.h"

#include <errno.h>
#include <linux/falloc.h>

#define NO_NODE (-1)

struct change {
	struct arena *arena;
	const struct op_world *world;
	const struct op *op;
	struct tree *tree;
};

/* Where a path leads: the directory that has its last name, and what that is (NO_NODE: nothing). */
struct place {
	unsigned dir;
	const char *name;
	int node;
};

static int place_find(const struct tree *tree, const char *path, struct place *out)
{
	char name[48];
	size_t length;

	*out = (struct place){.dir = TREE_ROOT, .node = TREE_ROOT, .name = ""};
	while (*path) {
		const struct tree_entry *entry;

		path += *path == '/';
		if (!*path)
			break;
		if (out->node == NO_NODE || S_ISLNK(tree->nodes[out->node].mode))
			return -ENOENT;
		if (!S_ISDIR(tree->nodes[out->node].mode))
			return -ENOTDIR;
		length = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		out->dir = out->node;
		out->name = path;
		entry = tree_find(tree, out->dir, name);
		out->node = entry ? (int)entry->node : NO_NODE;
		path += length;
	}
	return 0;
}

int tree_lookup(const struct tree *tree, const char *path)
{
	struct place place;
	int err = place_find(tree, path, &place);

	return err ? err : place.node == NO_NODE ? -ENOENT : place.node;
}

/* A file or directory, where a symlink would be followed: they lead nowhere. */
static int existing(const struct change *c, const char *path)
{
	int at = tree_lookup(c->tree, path);

	return at >= 0 && S_ISLNK(c->tree->nodes[at].mode) ? -ENOENT : at;
}

/* One that is opened for writing. */
static int existing_file(const struct change *c, const char *path)
{
	int at = existing(c, path);

	return at >= 0 && S_ISDIR(c->tree->nodes[at].mode) ? -EISDIR : at;
}

static void entry_add(struct change *c, unsigned dir, const char *name, unsigned at)
{
	struct tree_node *node = &c->tree->nodes[dir];
	struct tree_entry *entries = arena_alloc(c->arena, (node->nr_entries + 1) * sizeof(*entries));
	unsigned i = 0;

	for (; i < node->nr_entries && strcmp(node->entries[i].name, name) < 0; i++)
		entries[i] = node->entries[i];
	entries[i] = (struct tree_entry){arena_copy(c->arena, name, strlen(name), strlen(name) + 1), at};
	if (node->nr_entries > i)
		memcpy(entries + i + 1, node->entries + i, (node->nr_entries - i) * sizeof(*entries));
	node->entries = entries;
	node->nr_entries++;
}

static void entry_remove(struct change *c, unsigned dir, const char *name)
{
	struct tree_node *node = &c->tree->nodes[dir];
	struct tree_entry *entries = arena_alloc(c->arena, node->nr_entries * sizeof(*entries));
	unsigned nr = 0;

	for (unsigned i = 0; i < node->nr_entries; i++)
		if (strcmp(node->entries[i].name, name))
			entries[nr++] = node->entries[i];
	node->entries = entries;
	node->nr_entries = nr;
}

static long make_node(struct change *c, mode_t mode)
{
	struct tree_node node = {.mode = mode, .nlink = S_ISDIR(mode) ? 2 : 1};
	unsigned at = c->tree->nr_nodes;
	struct place place;
	int err = place_find(c->tree, c->op->path, &place);
	char target[4096];

	if (err)
		return err;
	if (place.node != NO_NODE)
		return -EEXIST;
	if (S_ISLNK(mode)) {
		op_target(c->op, target);
		node.data = blob_make(c->arena, target, strlen(target));
		node.size = strlen(target);
	}
	c->tree->nodes[at] = node;
	c->tree->nr_nodes++;
	c->tree->nodes[place.dir].nlink += S_ISDIR(mode);
	entry_add(c, place.dir, place.name, at);
	return 0;
}

static long apply_link(struct change *c)
{
	int at = tree_lookup(c->tree, c->op->path), err;
	struct place to;

	if (at < 0)
		return at;
	err = place_find(c->tree, c->op->path2, &to);
	if (err)
		return err;
	if (to.node != NO_NODE)
		return -EEXIST;
	if (S_ISDIR(c->tree->nodes[at].mode))
		return -EPERM;
	c->tree->nodes[at].nlink++;
	entry_add(c, to.dir, to.name, at);
	return 0;
}

/* The name goes, and with it one link of what it means. */
static void drop_name(struct change *c, const struct place *place)
{
	struct tree_node *node = &c->tree->nodes[place->node];

	entry_remove(c, place->dir, place->name);
	if (S_ISDIR(node->mode)) {
		node->nlink = 0;
		c->tree->nodes[place->dir].nlink--;
	} else {
		node->nlink--;
	}
}

static long apply_remove(struct change *c, bool directory)
{
	const struct tree_node *node;
	struct place place;
	int err = place_find(c->tree, c->op->path, &place);

	if (err)
		return err;
	if (place.node == NO_NODE)
		return -ENOENT;
	node = &c->tree->nodes[place.node];
	if (directory && !S_ISDIR(node->mode))
		return -ENOTDIR;
	if (!directory && S_ISDIR(node->mode))
		return -EISDIR;
	if (directory && node->nr_entries)
		return -ENOTEMPTY;
	drop_name(c, &place);
	return 0;
}

/* Is directory `dir` the node, or somewhere below it? */
static bool is_below(const struct tree *tree, unsigned dir, unsigned at)
{
	const struct tree_node *node = &tree->nodes[at];

	if (dir == at)
		return true;
	for (unsigned i = 0; i < node->nr_entries; i++)
		if (S_ISDIR(tree->nodes[node->entries[i].node].mode) &&
		    is_below(tree, dir, node->entries[i].node))
			return true;
	return false;
}

static long rename_refused(const struct change *c, const struct place *from, const struct place *to)
{
	const struct tree_node *old, *new;

	if (from->node == NO_NODE)
		return -ENOENT;
	if (c->op->flags & 1 && to->node != NO_NODE)
		return -EEXIST;
	if (c->op->flags & 2 && to->node == NO_NODE)
		return -ENOENT;
	old = &c->tree->nodes[from->node];
	new = to->node == NO_NODE ? NULL : &c->tree->nodes[to->node];
	if (S_ISDIR(old->mode) && is_below(c->tree, to->dir, from->node))
		return -EINVAL;
	if (new &&S_ISDIR(new->mode) && is_below(c->tree, from->dir, to->node))
		return c->op->flags & 2 ? -EINVAL : -ENOTEMPTY;
	if (!new || old == new || c->op->flags & 2)
		return 0;
	if (S_ISDIR(old->mode) && !S_ISDIR(new->mode))
		return -ENOTDIR;
	if (!S_ISDIR(old->mode) && S_ISDIR(new->mode))
		return -EISDIR;
	return new->nr_entries ? -ENOTEMPTY : 0;
}

static long apply_rename(struct change *c)
{
	struct place from, to;
	int err = place_find(c->tree, c->op->path, &from);
	bool dir, other_dir;

	if (!err)
		err = place_find(c->tree, c->op->path2, &to);
	if (!err)
		err = rename_refused(c, &from, &to);
	if (err || from.node == to.node)
		return err;
	dir = S_ISDIR(c->tree->nodes[from.node].mode);
	other_dir = to.node != NO_NODE && S_ISDIR(c->tree->nodes[to.node].mode);
	entry_remove(c, from.dir, from.name);
	c->tree->nodes[from.dir].nlink -= dir;
	if (c->op->flags & 2) {
		entry_remove(c, to.dir, to.name);
		c->tree->nodes[to.dir].nlink -= other_dir;
		entry_add(c, from.dir, from.name, to.node);
		c->tree->nodes[from.dir].nlink += other_dir;
	} else if (to.node != NO_NODE) {
		drop_name(c, &to);
	}
	entry_add(c, to.dir, to.name, from.node);
	c->tree->nodes[to.dir].nlink += dir;
	return 0;
}

/* The file's bytes, to be changed, with its new size; what is new is zeroes. */
static u8 *file_change(struct change *c, int at, u64 size)
{
	struct tree_node *node = &c->tree->nodes[at];
	struct blob *blob = blob_make(c->arena, NULL, size);

	if (node->data)
		memcpy(blob->data, node->data->data, min((u64)node->data->size, size));
	node->data = blob;
	node->size = size;
	return blob->data;
}

static long apply_write(struct change *c)
{
	int at = existing_file(c, c->op->path);
	u64 offset = c->op->offset, size;

	if (at < 0)
		return at;
	size = c->tree->nodes[at].size;
	if (c->op->flags & O_APPEND)
		offset = size;
	op_fill(c->op->number, offset, file_change(c, at, max(size, offset + c->op->length)) + offset,
		c->op->length);
	return (long)c->op->length;
}

static long apply_truncate(struct change *c)
{
	int at = existing_file(c, c->op->path);

	if (at < 0)
		return at;
	file_change(c, at, c->op->length);
	return 0;
}

/* Collapsing and inserting. */
static long apply_shift(struct change *c, int at)
{
	u64 size = c->tree->nodes[at].size, offset = c->op->offset, length = c->op->length;
	const struct blob *old = c->tree->nodes[at].data;
	bool insert = c->op->flags & FALLOC_FL_INSERT_RANGE;
	u8 *data;

	if ((offset | length) % c->world->block_bytes)
		return -EINVAL;
	if (insert ? offset >= size : offset + length >= size)
		return -EINVAL;
	data = file_change(c, at, insert ? size + length : size - length);
	if (insert) {
		memset(data + offset, 0, length);
		memcpy(data + offset + length, old->data + offset, size - offset);
	} else {
		memcpy(data + offset, old->data + offset + length, size - offset - length);
	}
	return 0;
}

static long apply_fallocate(struct change *c)
{
	int at = existing_file(c, c->op->path), flags = c->op->flags;
	u64 size, end = c->op->offset + c->op->length;
	u8 *data;

	if (at < 0)
		return at;
	if (flags & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return apply_shift(c, at);
	size = c->tree->nodes[at].size;
	data = file_change(c, at, flags & FALLOC_FL_KEEP_SIZE ? size : max(size, end));
	if (flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && c->op->offset < size)
		memset(data + c->op->offset, 0, min(size, end) - c->op->offset);
	return 0;
}

static long apply_setxattr(struct change *c)
{
	int at = existing(c, c->op->path);
	struct tree_xattr *xattrs;
	struct tree_node *node;
	struct blob *value;
	unsigned i = 0, rest;

	if (at < 0)
		return at;
	node = &c->tree->nodes[at];
	xattrs = arena_alloc(c->arena, (node->nr_xattrs + 1) * sizeof(*xattrs));
	value = blob_make(c->arena, NULL, c->op->length);
	op_fill(c->op->number, 0, value->data, c->op->length);
	for (; i < node->nr_xattrs && strcmp(node->xattrs[i].name, c->op->path2) < 0; i++)
		xattrs[i] = node->xattrs[i];
	rest = i < node->nr_xattrs && !strcmp(node->xattrs[i].name, c->op->path2) ? i + 1 : i;
	xattrs[i++] = (struct tree_xattr){
		arena_copy(c->arena, c->op->path2, strlen(c->op->path2), sizeof(c->op->path2)), value};
	for (; rest < node->nr_xattrs; rest++)
		xattrs[i++] = node->xattrs[rest];
	node->xattrs = xattrs;
	node->nr_xattrs = i;
	return 0;
}

static long apply_removexattr(struct change *c)
{
	int at = existing(c, c->op->path);
	struct tree_xattr *xattrs;
	struct tree_node *node;
	unsigned nr = 0;

	if (at < 0)
		return at;
	node = &c->tree->nodes[at];
	xattrs = arena_alloc(c->arena, node->nr_xattrs * sizeof(*xattrs));
	for (unsigned i = 0; i < node->nr_xattrs; i++)
		if (strcmp(node->xattrs[i].name, c->op->path2))
			xattrs[nr++] = node->xattrs[i];
	if (nr == node->nr_xattrs)
		return -ENODATA;
	node->xattrs = xattrs;
	node->nr_xattrs = nr;
	return 0;
}

static long apply_chmod(struct change *c)
{
	int at = existing(c, c->op->path);

	if (at < 0)
		return at;
	c->tree->nodes[at].mode = (c->tree->nodes[at].mode & S_IFMT) | c->op->flags;
	return 0;
}

static long apply(struct change *c)
{
	switch (c->op->kind) {
	case OP_CREAT:
		return make_node(c, S_IFREG | 0644);
	case OP_MKDIR:
		return make_node(c, S_IFDIR | 0755);
	case OP_SYMLINK:
		return make_node(c, S_IFLNK | 0777);
	case OP_LINK:
		return apply_link(c);
	case OP_UNLINK:
	case OP_RMDIR:
		return apply_remove(c, c->op->kind == OP_RMDIR);
	case OP_RENAME:
		return apply_rename(c);
	case OP_TRUNCATE:
		return apply_truncate(c);
	case OP_FALLOCATE:
		return apply_fallocate(c);
	case OP_WRITE:
		return apply_write(c);
	case OP_SETXATTR:
		return apply_setxattr(c);
	case OP_REMOVEXATTR:
		return apply_removexattr(c);
	case OP_CHMOD:
		return apply_chmod(c);
	case OP_FSYNC:
	case OP_FDATASYNC:
		return min(existing(c, c->op->path), 0);
	default:
		return 0;
	}
}

long tree_apply(struct arena *arena, const struct op_world *world, const struct tree *from,
		const struct op *op, struct tree *to)
{
	struct change c = {arena, world, op, to};
	long ret;

	*to = *from;
	to->nodes = arena_copy(arena, from->nodes, from->nr_nodes * sizeof(*to->nodes),
			       (from->nr_nodes + 1) * sizeof(*to->nodes));
	ret = apply(&c);
	if (ret < 0)
		*to = *from;
	else
		tree_digest(to);
	return ret;
}

void tree_empty(struct arena *arena, struct tree *tree)
{
	tree->nodes = arena_alloc(arena, sizeof(*tree->nodes));
	tree->nodes[TREE_ROOT] = (struct tree_node){.mode = S_IFDIR | 0755, .nlink = 2};
	tree->nr_nodes = 1;
	tree_digest(tree);
}
