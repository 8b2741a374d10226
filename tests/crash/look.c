/* SPDX-License-Identifier: MIT */
/* Finds the tree that a side holds (side.h). Files of more than one name are known by their inode's number.
 */
#include <dirent.h>
#include <errno.h>

#include "crash/side.h"

#define NODES_MAX  256u
#define LISTED_MAX 65536u
#define BYTES_MAX  (4u << 20)

struct look {
	struct side *side;
	struct arena *arena;
	struct tree *tree;
	u64 ino[NODES_MAX];
	char *where;
	size_t size;
};

static int failed(struct look *look, const char *call, const char *path, long err)
{
	snprintf(look->where, look->size, "%s(%s): %s", call, *path ? path : "/", strerror((int)-err));
	return (int)err;
}

static int look_data(struct look *look, const char *path, struct tree_node *node)
{
	struct blob *blob;
	long fd, n;

	if (node->size > BYTES_MAX)
		return failed(look, "a file too large", path, -EFBIG);
	blob = blob_make(look->arena, NULL, node->size);
	fd = look->side->calls->open(look->side, path, O_RDONLY, 0);
	if (fd < 0)
		return failed(look, "open", path, fd);
	n = look->side->calls->pread(look->side, (int)fd, blob->data, node->size, 0);
	look->side->calls->close(look->side, (int)fd);
	if (n != (long)node->size)
		return failed(look, "pread", path, n < 0 ? n : -EIO);
	node->data = blob;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_xattr *)a)->name, ((const struct tree_xattr *)b)->name);
}

static int look_xattrs(struct look *look, const char *path, struct tree_node *node)
{
	const struct side_calls *calls = look->side->calls;
	char names[4096], value[4096];
	long n = calls->llistxattr(look->side, path, names, sizeof(names)), bytes;
	struct tree_xattr *xattrs;

	if (n < 0)
		return failed(look, "llistxattr", path, n);
	xattrs = arena_alloc(look->arena, (size_t)n * sizeof(*xattrs));
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		if (strncmp(name, "user.", 5))
			continue;
		bytes = calls->lgetxattr(look->side, path, name, value, sizeof(value));
		if (bytes < 0)
			return failed(look, "lgetxattr", path, bytes);
		xattrs[node->nr_xattrs++] = (struct tree_xattr){
			arena_copy(look->arena, name, strlen(name), strlen(name) + 1),
			blob_make(look->arena, value, (size_t)bytes),
		};
	}
	qsort(xattrs, node->nr_xattrs, sizeof(*xattrs), by_name);
	node->xattrs = xattrs;
	return 0;
}

static int look_node(struct look *look, const char *path, unsigned *out);

static int entry_by_name(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

/* All that getdents tells, by name. */
static int look_list(struct look *look, const char *path, struct tree_node *node)
{
	const struct side_calls *calls = look->side->calls;
	long fd = calls->open(look->side, path, O_RDONLY | O_DIRECTORY, 0), n;
	static u8 listed[LISTED_MAX] __attribute__((aligned(8)));
	struct tree_entry *entries;
	size_t bytes = 0;

	if (fd < 0)
		return failed(look, "open", path, fd);
	while ((n = calls->getdents(look->side, (int)fd, listed + bytes, sizeof(listed) - bytes)) > 0)
		bytes += (size_t)n;
	calls->close(look->side, (int)fd);
	if (n < 0)
		return failed(look, "getdents", path, n);
	entries = arena_alloc(look->arena, bytes / 24 * sizeof(*entries));
	for (size_t i = 0; i < bytes;) {
		const struct dirent64 *d = (const void *)(listed + i);
		const char *name = d->d_name;

		i += d->d_reclen;
		if (!strcmp(name, ".") || !strcmp(name, "..") || (!*path && !strcmp(name, "lost+found")))
			continue;
		entries[node->nr_entries++].name =
			arena_copy(look->arena, name, strlen(name), strlen(name) + 1);
	}
	qsort(entries, node->nr_entries, sizeof(*entries), entry_by_name);
	node->entries = entries;
	return 0;
}

static int look_directory(struct look *look, const char *path, unsigned at)
{
	struct tree_node *node = &look->tree->nodes[at];
	struct tree_entry *entries;
	char child[512];
	int err = look_list(look, path, node);

	entries = (struct tree_entry *)node->entries;
	for (unsigned i = 0; !err && i < node->nr_entries; i++) {
		snprintf(child, sizeof(child), "%s/%s", path, entries[i].name);
		err = look_node(look, child, &entries[i].node);
	}
	return err;
}

static int look_symlink(struct look *look, const char *path, struct tree_node *node)
{
	char target[4096];
	long n = look->side->calls->readlink(look->side, path, target, sizeof(target));

	if (n < 0)
		return failed(look, "readlink", path, n);
	node->data = blob_make(look->arena, target, (size_t)n);
	return 0;
}

static int look_node(struct look *look, const char *path, unsigned *out)
{
	struct tree_node *node;
	struct stat st;
	long err = look->side->calls->lstat(look->side, *path ? path : "/", &st);

	if (err < 0)
		return failed(look, "lstat", path, err);
	for (*out = 0; *out < look->tree->nr_nodes; ++*out)
		if (look->ino[*out] == st.st_ino)
			return S_ISDIR(st.st_mode) ? failed(look, "a directory with two names", path, -ELOOP)
						   : 0;
	if (look->tree->nr_nodes == NODES_MAX)
		return failed(look, "too many inodes", path, -ENFILE);
	look->ino[look->tree->nr_nodes++] = st.st_ino;
	node = &look->tree->nodes[*out];
	node->mode = st.st_mode;
	node->nlink = (unsigned)st.st_nlink;
	node->size = (u64)st.st_size;
	err = S_ISLNK(st.st_mode) ? look_symlink(look, path, node) : look_xattrs(look, path, node);
	if (!err && S_ISREG(st.st_mode))
		err = look_data(look, path, node);
	if (!err && S_ISDIR(st.st_mode))
		err = look_directory(look, path, *out);
	return (int)err;
}

int side_look(struct side *side, struct arena *arena, struct tree *out, char *where, size_t size)
{
	struct look look = {.side = side, .arena = arena, .tree = out, .where = where, .size = size};
	unsigned root;
	int err;

	*out = (struct tree){.nodes = arena_alloc(arena, NODES_MAX * sizeof(*out->nodes))};
	err = look_node(&look, "", &root);
	if (!err)
		tree_digest(out);
	return err;
}
