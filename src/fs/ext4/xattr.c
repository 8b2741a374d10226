/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, for reading: a list of entries behind the inode's fields (ibody), and one in a block
 * of its own. Both have the same shape: entries grow up from the start, values down from the end; an entry
 * names its value by offset, or by an inode that holds nothing else (xattr_inode.c). In the inode offsets
 * count from the first entry, in the block from its first byte.
 *
 * The block has a verifier as all blocks; the inode's list is verified each time, since its block was not
 * verified as a whole.
 */
#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"
#include "iomap/iomap.h"
#include "vfs/dcache.h"
#include "vfs/task.h"
#include "vfs/xattr.h"

/* A list of attributes that was verified: `base` is what offsets of values count from. */
struct xattr_area {
	struct buffer_head *bh;
	const u8 *base, *end;
	const struct ext4_xattr_entry *first;
};

static bool is_last(const struct ext4_xattr_entry *e)
{
	return get_unaligned_le32(e) == 0;
}

static const struct ext4_xattr_entry *entry_next(const struct ext4_xattr_entry *e)
{
	return (const void *)((const u8 *)e + EXT4_XATTR_LEN(e->e_name_len));
}

/* What is wrong with the place of a value, or NULL. `list_end`: where values may begin. */
static const char *value_verify(const struct ext4_sb_info *sbi, const struct ext4_xattr_entry *e,
				const u8 *base, const u8 *list_end, const u8 *end)
{
	u32 size = le32_to_cpu(e->e_value_size), offs = le16_to_cpu(e->e_value_offs);

	if (le32_to_cpu(e->e_value_inum)) {
		if (!ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EA_INODE))
			return "attribute's value lies in an inode, without the feature ea_inode";
		return size > EXT4_XATTR_SIZE_MAX ? "attribute's value is larger than any can be" : NULL;
	}
	if (!size)
		return NULL;
	if (size > (size_t)(end - base) || offs > (size_t)(end - base) - size)
		return "attribute's value lies outside";
	return base + offs < list_end ? "attribute's value overlaps the list" : NULL;
}

/* Verifies the list that begins at `first`, with everything inside [base, end). NULL or what is wrong. */
static const char *entries_verify(const struct ext4_sb_info *sbi, const struct ext4_xattr_entry *first,
				  const u8 *base, const u8 *end)
{
	const struct ext4_xattr_entry *e = first;
	const char *why = NULL;
	const u8 *list_end;

	/* The list first: values may not lie below its end, which is known only then. */
	for (;; e = entry_next(e)) {
		if ((const u8 *)e + sizeof(le32) > end)
			return "list of attributes has no end";
		if (is_last(e))
			break;
		if ((const u8 *)e + sizeof(*e) > end || (const u8 *)entry_next(e) + sizeof(le32) > end)
			return "attribute entry goes over the end";
		if (memchr(e->e_name, 0, e->e_name_len))
			return "attribute's name holds a zero";
	}
	list_end = (const u8 *)e + sizeof(le32);
	for (e = first; !is_last(e) && !why; e = entry_next(e))
		why = value_verify(sbi, e, base, list_end, end);
	return why;
}

static int block_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	const struct inode *inode = ctx;
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	const struct ext4_xattr_header *h = bh->b_data;
	const u8 *base = bh->b_data;
	const size_t at = offsetof(struct ext4_xattr_header, h_checksum);
	const char *why;
	le64 number = cpu_to_le64(bh->b_blocknr);
	const le32 zero = {0};
	u32 crc;

	if (le32_to_cpu(h->h_magic) != EXT4_XATTR_MAGIC || le32_to_cpu(h->h_blocks) != 1) {
		ext4_error_inode(inode, bh->b_blocknr, "attribute block has a wrong header");
		return -EFSCORRUPTED;
	}
	why = entries_verify(sbi, (const void *)(h + 1), base, base + bh->b_size);
	if (why) {
		ext4_error_inode(inode, bh->b_blocknr, "%s", why);
		return -EFSCORRUPTED;
	}
	if (!sbi->has_csum)
		return 0;
	/* Blocks of attributes are shared by inodes, so their own place stands in for an owner. */
	crc = ext4_chksum(sbi->csum_seed, &number, sizeof(number));
	crc = ext4_chksum(crc, base, at);
	crc = ext4_chksum(crc, &zero, sizeof(zero));
	crc = ext4_chksum(crc, base + at + sizeof(zero), bh->b_size - at - sizeof(zero));
	if (crc == le32_to_cpu(h->h_checksum))
		return 0;
	ext4_error_inode(inode, bh->b_blocknr, "attribute block: checksum is %#010x, computed %#010x",
			 le32_to_cpu(h->h_checksum), crc);
	return -EFSBADCRC;
}

static const struct buffer_verifier xattr_verifier = {.name = "attribute block", .verify = block_verify};

/* The list in the inode; -ENODATA: there is none. */
static int ibody_get(struct inode *inode, struct xattr_area *area)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	const struct ext4_inode_info *ei = EXT4_I(inode);
	const char *why;
	u8 *raw;
	int err;

	if (!ei->has_ibody_xattr)
		return -ENODATA;
	err = ext4_inode_block_get(inode->i_sb, inode->i_ino, &area->bh, &raw);
	if (err)
		return err;
	/* Where the list begins was verified with the inode and is taken from that copy. */
	area->first = (const void *)(raw + EXT4_GOOD_OLD_INODE_SIZE + ei->i_extra_isize + sizeof(le32));
	area->base = (const u8 *)area->first;
	area->end = raw + sbi->inode_size;
	why = entries_verify(sbi, area->first, area->base, area->end);
	if (!why)
		return 0;
	ext4_error_inode(inode, 0, "%s", why);
	brelse(area->bh);
	return -EFSCORRUPTED;
}

static int block_get(struct inode *inode, struct xattr_area *area)
{
	struct super_block *sb = inode->i_sb;
	u64 pblk = EXT4_I(inode)->i_file_acl;
	int err;

	if (!pblk)
		return -ENODATA;
	/* One verification serves all inodes that share the block. */
	err = bread(EXT4_SB(sb)->bdev, pblk, sb->s_blocksize, &xattr_verifier, inode, 0, &area->bh);
	if (err)
		return err;
	area->base = area->bh->b_data;
	area->end = area->base + sb->s_blocksize;
	area->first = (const void *)(area->base + sizeof(struct ext4_xattr_header));
	return 0;
}

static const struct ext4_xattr_entry *area_find(const struct xattr_area *area, int index, const char *name)
{
	size_t len = strlen(name);

	for (const struct ext4_xattr_entry *e = area->first; !is_last(e); e = entry_next(e))
		if (e->e_name_index == index && e->e_name_len == len && !memcmp(e->e_name, name, len))
			return e;
	return NULL;
}

/* The value's length, and the value itself where there is a buffer for it. */
static ssize_t value_get(struct inode *inode, const struct xattr_area *area, const struct ext4_xattr_entry *e,
			 void *buffer, size_t size)
{
	u32 bytes = le32_to_cpu(e->e_value_size);

	if (!buffer)
		return bytes;
	if (bytes > size)
		return -ERANGE;
	if (le32_to_cpu(e->e_value_inum))
		return ext4_xattr_inode_read(inode, e, buffer);
	if (bytes)
		memcpy(buffer, area->base + le16_to_cpu(e->e_value_offs), bytes);
	return bytes;
}

/* buffer NULL: only the length. -ENODATA, -ERANGE. */
ssize_t ext4_xattr_get(struct inode *inode, int index, const char *name, void *buffer, size_t size)
{
	int (*const areas[])(struct inode *, struct xattr_area *) = {ibody_get, block_get};
	ssize_t got = -ENODATA;

	if (strlen(name) > 255)
		return -ERANGE;
	for (size_t i = 0; i < ARRAY_SIZE(areas) && got == -ENODATA; i++) {
		const struct ext4_xattr_entry *e;
		struct xattr_area area;

		got = areas[i](inode, &area);
		if (got)
			continue;
		e = area_find(&area, index, name);
		got = e ? value_get(inode, &area, e, buffer, size) : -ENODATA;
		brelse(area.bh);
	}
	return got;
}

ssize_t ext4_xattr_inline_data(struct inode *inode, void *buffer, size_t size)
{
	const struct ext4_xattr_entry *e;
	struct xattr_area area;
	ssize_t got = ibody_get(inode, &area);

	if (got)
		return got;
	e = area_find(&area, EXT4_XATTR_INDEX_SYSTEM, "data");
	if (!e)
		got = -ENODATA;
	else if (le32_to_cpu(e->e_value_inum)) /* it would not be inline */
		got = -EFSCORRUPTED;
	else
		got = value_get(inode, &area, e, buffer, size);
	brelse(area.bh);
	return got;
}

int ext4_xattr_inline_place(struct inode *inode, u32 *at, u32 *bytes)
{
	const struct ext4_xattr_entry *e;
	struct xattr_area area;
	int err = ibody_get(inode, &area);

	if (err)
		return err;
	e = area_find(&area, EXT4_XATTR_INDEX_SYSTEM, "data");
	if (e) {
		*bytes = le32_to_cpu(e->e_value_size);
		*at = EXT4_GOOD_OLD_INODE_SIZE + EXT4_I(inode)->i_extra_isize + sizeof(le32) +
		      (*bytes ? le16_to_cpu(e->e_value_offs) : 0);
	}
	brelse(area.bh);
	return e ? 0 : -ENODATA;
}

static int xattr_iomap_begin(struct inode *inode, u64 pos, u64 length, unsigned flags, struct iomap *iomap,
			     struct iomap *srcmap)
{
	const struct ext4_inode_info *ei = EXT4_I(inode);
	size_t list = EXT4_GOOD_OLD_INODE_SIZE + ei->i_extra_isize;
	int err = 0;

	iomap->bdev = EXT4_SB(inode->i_sb)->bdev;
	if (ei->has_ibody_xattr) {
		iomap->type = IOMAP_INLINE;
		iomap->length = EXT4_SB(inode->i_sb)->inode_size - list;
		err = ext4_inode_place(inode, list, &iomap->addr);
	} else if (ei->i_file_acl) {
		iomap->type = IOMAP_MAPPED;
		iomap->length = inode->i_sb->s_blocksize;
		iomap->addr = ei->i_file_acl << inode->i_blkbits;
	}
	if (err)
		return err;
	return pos < iomap->length ? 0 : -ENOENT;
}

const struct iomap_ops ext4_xattr_iomap_ops = {.iomap_begin = xattr_iomap_begin};

static const struct {
	const char *prefix;
	bool whole; /* the prefix is the name */
} index_names[] = {
	[EXT4_XATTR_INDEX_USER] = {"user.", false},
	[EXT4_XATTR_INDEX_POSIX_ACL_ACCESS] = {"system.posix_acl_access", true},
	[EXT4_XATTR_INDEX_POSIX_ACL_DEFAULT] = {"system.posix_acl_default", true},
	[EXT4_XATTR_INDEX_TRUSTED] = {"trusted.", false},
	[EXT4_XATTR_INDEX_SECURITY] = {"security.", false},
	[EXT4_XATTR_INDEX_HURD] = {"gnu.", false},
};

/* The prefix under which attributes of this index are listed to the caller; NULL: not at all. */
static const char *listed_prefix(const struct inode *inode, int index)
{
	const struct ext4_options *opt = &EXT4_SB(inode->i_sb)->opt;

	if (index < 0 || index >= (int)ARRAY_SIZE(index_names))
		return NULL;
	if ((index == EXT4_XATTR_INDEX_USER || index == EXT4_XATTR_INDEX_HURD) && !opt->user_xattr)
		return NULL;
	if (index == EXT4_XATTR_INDEX_TRUSTED && !cred_has_cap(current_cred(), SHALE_CAP_SYS_ADMIN))
		return NULL;
	if (index_names[index].prefix && index_names[index].whole && !opt->posix_acl)
		return NULL;
	return index_names[index].prefix;
}

static ssize_t area_list(const struct inode *inode, const struct xattr_area *area, char *buffer, size_t size,
			 size_t used)
{
	for (const struct ext4_xattr_entry *e = area->first; !is_last(e); e = entry_next(e)) {
		const char *prefix = listed_prefix(inode, e->e_name_index);
		size_t head, need;

		if (!prefix)
			continue;
		head = strlen(prefix);
		need = head + e->e_name_len + 1;
		if (buffer) {
			if (need > size - used)
				return -ERANGE;
			memcpy(buffer + used, prefix, head);
			memcpy(buffer + used + head, e->e_name, e->e_name_len);
			buffer[used + need - 1] = 0;
		}
		used += need;
	}
	return used;
}

ssize_t ext4_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);
	int (*const areas[])(struct inode *, struct xattr_area *) = {ibody_get, block_get};
	ssize_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		struct xattr_area area;
		int err = areas[i](inode, &area);

		if (err == -ENODATA)
			continue;
		if (err)
			return err;
		used = area_list(inode, &area, buffer, size, used);
		brelse(area.bh);
		if (used < 0)
			break;
	}
	return used;
}

int ext4_xattr_values_walk(struct inode *inode,
			   int (*fn)(void *arg, const struct ext4_xattr_entry *e, bool in_block), void *arg)
{
	int (*const areas[])(struct inode *, struct xattr_area *) = {ibody_get, block_get};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(areas) && !err; i++) {
		struct xattr_area area;

		err = areas[i](inode, &area);
		if (err == -ENODATA) {
			err = 0;
			continue;
		}
		if (err)
			return err;
		for (const struct ext4_xattr_entry *e = area.first; !is_last(e) && !err; e = entry_next(e))
			if (le32_to_cpu(e->e_value_inum))
				err = fn(arg, e, i);
		brelse(area.bh);
	}
	return err;
}

static ssize_t handler_get(const struct xattr_handler *h, struct dentry *dentry, struct inode *inode,
			   const char *name, void *buffer, size_t size)
{
	if ((h->flags == EXT4_XATTR_INDEX_USER || h->flags == EXT4_XATTR_INDEX_HURD) &&
	    !EXT4_SB(inode->i_sb)->opt.user_xattr)
		return -EOPNOTSUPP;
	return ext4_xattr_get(inode, h->flags, name, size ? buffer : NULL, size);
}

static const struct xattr_handler user_handler = {
	.prefix = "user.", .flags = EXT4_XATTR_INDEX_USER, .get = handler_get};
static const struct xattr_handler trusted_handler = {
	.prefix = "trusted.", .flags = EXT4_XATTR_INDEX_TRUSTED, .get = handler_get};
static const struct xattr_handler security_handler = {
	.prefix = "security.", .flags = EXT4_XATTR_INDEX_SECURITY, .get = handler_get};

static const struct xattr_handler hurd_handler = {
	.prefix = "gnu.", .flags = EXT4_XATTR_INDEX_HURD, .get = handler_get};

const struct xattr_handler *const ext4_xattr_handlers[] = {
	&user_handler, &trusted_handler, &security_handler, &hurd_handler, NULL,
};
