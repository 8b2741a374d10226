/* SPDX-License-Identifier: MIT */
/*
 * Where an inode's attributes are: a list behind its extra fields, and an attribute block that inodes may
 * share. A block is read once, at the first inode that names it, and what the inode needs to know of it is
 * kept; its reference count is compared when all inodes have been seen.
 */
#include "fs/ext4/check/check_internal.h"

struct xattr_block {
	u64 pblk;
	u64 ea_clusters;
	u32 stored, found; /* references */
	struct check_policy policy;
};

static void check_block_checksum(struct check *c, const struct check_inode *ci, u64 pblk, const u8 *block)
{
	const struct ext4_xattr_header *h = (const void *)block;
	const size_t at = offsetof(struct ext4_xattr_header, h_checksum), behind = at + sizeof(le32);
	le64 number = cpu_to_le64(pblk);
	const le32 zero = {0};
	u32 crc;

	if (!c->sbi->has_csum)
		return;
	crc = ext4_chksum(c->sbi->csum_seed, &number, sizeof(number));
	crc = ext4_chksum(crc, block, at);
	crc = ext4_chksum(crc, &zero, sizeof(zero));
	crc = ext4_chksum(crc, block + behind, c->sbi->block_size - behind);
	if (crc != le32_to_cpu(h->h_checksum))
		check_problem(c, "xattr-checksum", ci->ino, pblk,
			      "attribute block: checksum is %#010x, computed %#010x",
			      le32_to_cpu(h->h_checksum), crc);
}

static int check_block(struct check *c, struct check_inode *ci, struct xattr_block *b, const u8 *block)
{
	const struct ext4_xattr_header *h = (const void *)block;
	struct check_xattrs list = {
		.ci = ci, .base = block, .first = sizeof(*h), .end = c->sbi->block_size, .pblk = b->pblk};
	int err;

	if (le32_to_cpu(h->h_magic) != EXT4_XATTR_MAGIC || le32_to_cpu(h->h_blocks) != 1) {
		check_problem(c, "xattr-header", ci->ino, b->pblk, "attribute block: magic %#010x, %u blocks",
			      le32_to_cpu(h->h_magic), le32_to_cpu(h->h_blocks));
		return 0;
	}
	check_block_checksum(c, ci, b->pblk, block);
	b->stored = le32_to_cpu(h->h_refcount);
	err = check_xattr_list(c, &list);
	b->ea_clusters = list.ea_clusters;
	b->policy = list.policy;
	return err;
}

/* The first inode that names it. The block is told as a whole where it belongs to somebody else. */
static int add_block(struct check *c, struct check_inode *ci, struct xattr_block *b)
{
	void *buf = check_block_buf(c, 0);
	int err;

	if (!check_claim(c, ci->ino, b->pblk, 1, NULL)) {
		ci->bad_map = true;
		return 0;
	}
	if (!buf)
		return -ENOMEM;
	err = check_read(c, b->pblk, 1, buf);
	if (!err)
		err = check_block(c, ci, b, buf);
	if (!err)
		err = xa_err(xa_store(&c->xattr_index, b->pblk, xa_mk_value(c->xattr_blocks.count)));
	return err ? err : check_array_add(c, &c->xattr_blocks, b, sizeof(*b));
}

static int take_block(struct check *c, struct check_inode *ci)
{
	struct xattr_block *b, new = {.pblk = ci->acl, .found = 1};
	const void *known;
	int err = 0;

	if (!ci->acl)
		return 0;
	if (!ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_EXT_ATTR)) {
		check_problem(c, "xattr-feature", ci->ino, ci->acl,
			      "attribute block, but the volume has no attributes");
		return 0;
	}
	if (!check_pblk_valid(c, ci->acl, 1)) {
		if (ci->named || ci->acl <= c->sbi->first_data_block)
			check_problem(c, "xattr-place", ci->ino, ci->acl,
				      "attribute block is not in the volume");
		return 0;
	}
	known = xa_load(&c->xattr_index, ci->acl);
	if (known) {
		b = (struct xattr_block *)c->xattr_blocks.items + xa_to_value(known);
		b->found++;
	} else {
		b = &new;
		err = add_block(c, ci, b);
	}
	ci->clusters += 1 + b->ea_clusters;
	if (b->policy.state)
		ci->policy = b->policy;
	return err;
}

static int take_inode_list(struct check *c, struct check_inode *ci)
{
	u32 at = EXT4_GOOD_OLD_INODE_SIZE + ci->extra_isize + sizeof(le32), end = c->sbi->inode_size;
	struct check_xattrs list = {.ci = ci, .base = ci->bytes + at, .end = end - at};
	int err;

	/* Without room for the word that ends a list there is none. */
	if (at + sizeof(le32) > end || get_unaligned_le32(ci->bytes + at - sizeof(le32)) != EXT4_XATTR_MAGIC)
		return 0;
	err = check_xattr_list(c, &list);
	ci->clusters += list.ea_clusters;
	ci->policy = list.policy;
	ci->inline_bytes = list.inline_bytes;
	return err;
}

int check_inode_xattrs(struct check *c, struct check_inode *ci)
{
	int err = take_inode_list(c, ci);

	return err ? err : take_block(c, ci);
}

void check_xattrs_end(struct check *c)
{
	const struct xattr_block *b = c->xattr_blocks.items;

	for (size_t i = 0; i < c->xattr_blocks.count; i++)
		if (b[i].stored != b[i].found)
			check_problem(c, "xattr-references", 0, b[i].pblk,
				      "attribute block: %u references, counted %u", b[i].stored, b[i].found);
	check_xattr_inodes_end(c);
}
