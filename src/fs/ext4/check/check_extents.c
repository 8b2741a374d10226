/* SPDX-License-Identifier: MIT */
/*
 * Extent trees of inodes, node by node from the root in the inode: headers, checksums, order and overlap of
 * entries, that an index entry begins where its child does, and that no leaf maps what lies behind its
 * parent's next entry. A node lies one level below its parent whatever it says, so the walk ends.
 */
#include "fs/ext4/check/check_internal.h"

struct extent_walk {
	struct check *c;
	struct check_inode *ci;
	u64 next_lblk; /* the first that the next extent may have */
};

/* A node as it lies on the disk, and where its parent says it begins. */
struct extent_node {
	const struct ext4_extent_header *eh;
	u32 room; /* bytes */
	unsigned depth;
	u64 pblk;  /* 0: the root in the inode */
	s64 first; /* lblk, -1: the root */
};

static int walk_node(struct extent_walk *w, const struct extent_node *node);

static void tell(struct extent_walk *w, const struct extent_node *node, const char *code, u32 entry,
		 const char *what)
{
	w->ci->bad_map = true;
	check_problem(w->c, code, w->ci->ino, node->pblk, "extent tree, entry %u: %s", entry, what);
}

/* Of what is to be deleted nobody compares what parents say with what their children do. */
static bool is_gone(const struct extent_walk *w)
{
	return !le16_to_cpu(w->ci->raw->i_links_count) && check_is_orphan(w->c, w->ci->ino);
}

/* NULL, or what is wrong. Everything that is shifted or taken later is bounded here. */
static const char *extent_check(const struct extent_walk *w, u64 lblk, u64 len, u64 start)
{
	const struct check_inode *ci = w->ci;

	if (!len)
		return "maps no blocks";
	if (lblk < w->next_lblk)
		return "overlaps what is before it, or is out of order";
	if (lblk + len > 1ull << 32)
		return "ends behind the last possible block";
	if (!check_pblk_valid(w->c, start, len))
		return "lies outside the volume";
	if (S_ISDIR(ci->mode) && lblk + len > ci->size >> w->c->sbi->block_bits)
		return "lies behind the end of the directory";
	return NULL;
}

static int walk_leaf(struct extent_walk *w, const struct extent_node *node)
{
	const struct ext4_extent *ex = (const void *)(node->eh + 1);
	int err = 0;

	for (u32 i = 0; i < le16_to_cpu(node->eh->eh_entries) && !err; i++, ex++) {
		u64 lblk = le32_to_cpu(ex->ee_block), len = le16_to_cpu(ex->ee_len);
		u64 start = le32_to_cpu(ex->ee_start_lo) | (u64)le16_to_cpu(ex->ee_start_hi) << 32;
		bool written = len <= EXT_INIT_MAX_LEN;
		const char *why;

		len -= written ? 0 : EXT_INIT_MAX_LEN;
		why = extent_check(w, lblk, len, start);
		if (why) {
			tell(w, node, "extent", i, why);
			continue;
		}
		if (S_ISDIR(w->ci->mode) && !written)
			tell(w, node, "extent-unwritten", i, "blocks of a directory marked as never written");
		w->next_lblk = lblk + len;
		err = check_take_data(w->c, w->ci, lblk, start, len, written);
	}
	return err;
}

static void check_node_checksum(struct extent_walk *w, const struct extent_node *node)
{
	u32 at = sizeof(*node->eh) + le16_to_cpu(node->eh->eh_max) * sizeof(struct ext4_extent);
	const struct ext4_extent_tail *tail = (const void *)((const u8 *)node->eh + at);
	u32 crc;

	if (!w->c->sbi->has_csum || !node->pblk)
		return;
	crc = ext4_chksum(check_csum_seed(w->c, w->ci), node->eh, at);
	if (crc != le32_to_cpu(tail->et_checksum))
		check_problem(w->c, "extent-checksum", w->ci->ino, node->pblk,
			      "extent tree: checksum is %#010x, computed %#010x",
			      le32_to_cpu(tail->et_checksum), crc);
}

static int walk_child(struct extent_walk *w, u64 pblk, u32 first, unsigned depth)
{
	struct check *c = w->c;
	struct extent_node child = {.room = c->sbi->block_size, .depth = depth, .pblk = pblk, .first = first};
	void *buf = check_block_buf(c, depth);
	int err;

	if (!check_take_run(c, w->ci, pblk, 1))
		return 0;
	if (!buf)
		return -ENOMEM;
	err = check_read(c, pblk, 1, buf);
	child.eh = buf;
	return err ? err : walk_node(w, &child);
}

static int walk_index(struct extent_walk *w, const struct extent_node *node)
{
	const struct ext4_extent_idx *ix = (const void *)(node->eh + 1);
	int err = 0;

	for (u32 i = 0; i < le16_to_cpu(node->eh->eh_entries) && !err && !w->c->stop; i++, ix++) {
		u64 leaf = le32_to_cpu(ix->ei_leaf_lo) | (u64)le16_to_cpu(ix->ei_leaf_hi) << 32;

		if (le32_to_cpu(ix->ei_block) < w->next_lblk) {
			tell(w, node, "extent-order", i, "overlaps what is before it, or is out of order");
			continue;
		}
		err = walk_child(w, leaf, le32_to_cpu(ix->ei_block), node->depth - 1);
	}
	return err;
}

/* Two entries less than fit are as good: some writers keep room for more than the checksum. */
static bool header_good(const struct extent_node *node)
{
	u32 most = (node->room - sizeof(*node->eh)) / sizeof(struct ext4_extent);
	u32 max = le16_to_cpu(node->eh->eh_max), entries = le16_to_cpu(node->eh->eh_entries);

	return le16_to_cpu(node->eh->eh_magic) == EXT4_EXT_MAGIC && entries <= max && max <= most &&
	       max + 2 >= most && (entries || node->first < 0);
}

static int walk_node(struct extent_walk *w, const struct extent_node *node)
{
	const struct ext4_extent_header *eh = node->eh;
	u32 entries = le16_to_cpu(eh->eh_entries), depth = le16_to_cpu(eh->eh_depth);

	if (!header_good(node)) {
		w->ci->bad_map = true;
		check_problem(w->c, "extent-header", w->ci->ino, node->pblk,
			      "extent tree: magic %#06x, %u of %u entries", le16_to_cpu(eh->eh_magic),
			      entries, le16_to_cpu(eh->eh_max));
		return 0;
	}
	check_node_checksum(w, node);
	if (depth != node->depth)
		check_note(w->c, "extent-depth", w->ci->ino, node->pblk,
			   "extent tree: depth %u where %u is expected", depth, node->depth);
	/* The first block of an entry, whatever its kind, comes first. */
	if (node->first >= 0 && get_unaligned_le32(eh + 1) != node->first)
		(is_gone(w) ? check_note : check_problem)(w->c, "extent-order", w->ci->ino, node->pblk,
							  "extent tree: begins at %u, its parent says %lld",
							  get_unaligned_le32(eh + 1), (long long)node->first);
	if (!entries)
		return 0;
	return node->depth ? walk_index(w, node) : walk_leaf(w, node);
}

int check_extents(struct check *c, struct check_inode *ci)
{
	struct extent_walk w = {.c = c, .ci = ci};
	struct extent_node root = {
		.eh = (const void *)ci->raw->i_block, .room = sizeof(ci->raw->i_block), .first = -1};

	root.depth = le16_to_cpu(root.eh->eh_depth);
	if (root.depth <= EXT4_MAX_EXTENT_DEPTH || !le16_to_cpu(root.eh->eh_entries))
		return walk_node(&w, &root);
	ci->bad_map = true;
	check_problem(c, "extent-header", ci->ino, 0, "extent tree of depth %u", root.depth);
	return 0;
}
