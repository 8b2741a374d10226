/* SPDX-License-Identifier: MIT */
/* The body of tree.h. A digest goes through the names in order and numbers the nodes as it meets them. */
#include "crash/tree.h"

#include "base/hash.h"

#define PATH_BYTES 512
#define NO_NODE    (~0u)

struct blob *blob_make(struct arena *arena, const void *data, size_t size)
{
	struct blob *blob = arena_alloc(arena, sizeof(*blob) + size);

	blob->size = size;
	if (data && size)
		memcpy(blob->data, data, size);
	return blob;
}

const struct tree_entry *tree_find(const struct tree *tree, unsigned dir, const char *name)
{
	const struct tree_node *node = &tree->nodes[dir];

	for (unsigned i = 0; i < node->nr_entries; i++)
		if (!strcmp(node->entries[i].name, name))
			return &node->entries[i];
	return NULL;
}

struct digest {
	const struct tree *tree;
	unsigned *number; /* by node; 0: not met yet */
	unsigned met;
	unsigned without_size;
	u64 hash;
};

static void digest_word(struct digest *d, u64 word)
{
	d->hash = hash_mix64(d->hash * 31 + word);
}

static void digest_bytes(struct digest *d, const void *data, size_t size)
{
	const u8 *from = data;
	u64 word;

	digest_word(d, size);
	for (size_t i = 0; i < size; i += 8) {
		word = 0;
		memcpy(&word, from + i, size - i < 8 ? size - i : 8);
		digest_word(d, word);
	}
}

static void digest_node(struct digest *d, unsigned at)
{
	const struct tree_node *node = &d->tree->nodes[at];

	if (d->number[at]) {
		digest_word(d, d->number[at]);
		return;
	}
	d->number[at] = ++d->met;
	digest_word(d, node->mode);
	digest_word(d, at == TREE_ROOT ? 0 : node->nlink);
	for (unsigned i = 0; i < node->nr_xattrs; i++) {
		digest_bytes(d, node->xattrs[i].name, strlen(node->xattrs[i].name));
		digest_bytes(d, node->xattrs[i].value->data, node->xattrs[i].value->size);
	}
	if (S_ISREG(node->mode))
		digest_word(d, at == d->without_size ? 0 : node->size);
	if (S_ISLNK(node->mode) && node->data)
		digest_bytes(d, node->data->data, node->data->size);
	digest_word(d, node->nr_entries);
	for (unsigned i = 0; i < node->nr_entries; i++) {
		digest_bytes(d, node->entries[i].name, strlen(node->entries[i].name));
		digest_node(d, node->entries[i].node);
	}
}

u64 tree_digest_without_size(const struct tree *tree, unsigned node)
{
	struct digest d = {.tree = tree, .without_size = node};

	d.number = must_alloc(tree->nr_nodes * sizeof(*d.number));
	digest_node(&d, TREE_ROOT);
	free(d.number);
	return d.hash;
}

void tree_digest(struct tree *tree)
{
	tree->digest = tree_digest_without_size(tree, NO_NODE);
}

struct pairs {
	const struct tree *a, *b;
	u8 *seen;
	int (*pair)(void *ctx, unsigned a, unsigned b, const char *path);
	void *ctx;
	char path[PATH_BYTES];
};

static int pairs_walk(struct pairs *p, unsigned a, unsigned b, size_t length)
{
	const struct tree_node *one = &p->a->nodes[a], *other = &p->b->nodes[b];
	int ret;

	if (p->seen[a])
		return 0;
	p->seen[a] = true;
	ret = p->pair(p->ctx, a, b, length ? p->path : "/");
	for (unsigned i = 0; !ret && i < one->nr_entries && i < other->nr_entries; i++) {
		int n = snprintf(p->path + length, sizeof(p->path) - length, "/%s", one->entries[i].name);

		ret = pairs_walk(p, one->entries[i].node, other->entries[i].node, length + n);
		p->path[length] = '\0';
	}
	return ret;
}

int tree_pairs(const struct tree *a, const struct tree *b,
	       int (*pair)(void *ctx, unsigned a, unsigned b, const char *path), void *ctx)
{
	struct pairs p = {.a = a, .b = b, .pair = pair, .ctx = ctx};
	int ret;

	p.seen = must_alloc(a->nr_nodes);
	ret = pairs_walk(&p, TREE_ROOT, TREE_ROOT, 0);
	free(p.seen);
	return ret;
}

static void print_node(const struct tree *tree, unsigned at, const char *path, FILE *to)
{
	const struct tree_node *node = &tree->nodes[at];
	char child[PATH_BYTES];

	fprintf(to, "  %06o %3u %7llu %s", node->mode, node->nlink, (unsigned long long)node->size,
		*path ? path : "/");
	if (S_ISLNK(node->mode) && node->data)
		fprintf(to, " -> %.*s", (int)node->data->size, (const char *)node->data->data);
	for (unsigned i = 0; i < node->nr_xattrs; i++)
		fprintf(to, " %s=%zu bytes", node->xattrs[i].name, node->xattrs[i].value->size);
	fputc('\n', to);
	for (unsigned i = 0; i < node->nr_entries; i++) {
		snprintf(child, sizeof(child), "%s/%s", path, node->entries[i].name);
		print_node(tree, node->entries[i].node, child, to);
	}
}

void tree_print(const struct tree *tree, FILE *to)
{
	print_node(tree, TREE_ROOT, "", to);
}
