/* SPDX-License-Identifier: MIT */
/*
 * One list of attributes, in an inode or in a block: entries one behind the other up to a zero word, values
 * anywhere behind them. Nothing may lie on anything else (a map with a bit for each byte of the area tells),
 * values are padded to 4 bytes, and an entry's hash goes with its name and value. In an inode the hash may
 * be missing.
 */
#include "fs/ext4/check/check_internal.h"

#define INDEX_ENCRYPTION 9

static void tell(struct check *c, const struct check_xattrs *list, const char *code, u32 at, const char *what)
{
	check_problem(c, code, list->ci->ino, list->pblk, "attributes, offset %u: %s", at, what);
}

static const struct ext4_xattr_entry *entry_at(const struct check_xattrs *list, u32 at)
{
	return (const void *)(list->base + at);
}

static bool is_last(const struct check_xattrs *list, u32 at)
{
	return !get_unaligned_le32(list->base + at);
}

/* Finds the word that ends the list; false: it does not end in its area. */
static bool find_end(const struct check_xattrs *list, u32 *end)
{
	for (u32 at = list->first, next; list->end - at >= sizeof(le32); at = next) {
		*end = at;
		if (is_last(list, at))
			return true;
		next = at + EXT4_XATTR_LEN(entry_at(list, at)->e_name_len);
		if (list->end - at < sizeof(struct ext4_xattr_entry) || next > list->end)
			return false;
	}
	return false;
}

static bool take_bytes(struct check *c, const struct check_xattrs *list, u32 offs, u32 size)
{
	if (offs > list->end || size > list->end - offs ||
	    find_next_bit(c->value_map, offs + size, offs) < offs + size)
		return false;
	bitmap_set(c->value_map, offs, size);
	return true;
}

/* Offsets that nobody uses must make sense where the content of the file is an attribute, too. */
static bool is_strict(const struct check_xattrs *list)
{
	return list->pblk || list->ci->flags & EXT4_INLINE_DATA_FL;
}

/* Whether the value is there; the hash may be wrong. */
static bool check_value(struct check *c, const struct check_xattrs *list, u32 at)
{
	const struct ext4_xattr_entry *e = entry_at(list, at);
	u32 size = le32_to_cpu(e->e_value_size), offs = le16_to_cpu(e->e_value_offs);
	u32 padded = size <= list->end ? (size + 3) & ~3u : list->end + 1;

	if (size && !take_bytes(c, list, offs, padded)) {
		tell(c, list, "xattr-value", at, "value lies outside, or on something else");
		return false;
	}
	if (!size && is_strict(list) && offs > list->end)
		tell(c, list, "xattr-value", at, "empty value lies outside");
	else if ((list->pblk || le32_to_cpu(e->e_hash)) &&
		 !ext4_xattr_hash_valid(e, list->base + offs, padded / sizeof(le32)))
		tell(c, list, "xattr-hash", at, "hash does not fit name and value");
	return true;
}

/* A name ends with its first zero, whatever its length. */
static bool has_name(const struct ext4_xattr_entry *e, u8 index, const char *name)
{
	size_t len = strnlen(e->e_name, e->e_name_len);

	return e->e_name_index == index && len == strlen(name) && !memcmp(e->e_name, name, len);
}

static int check_entry(struct check *c, struct check_xattrs *list, u32 at)
{
	const struct ext4_xattr_entry *e = entry_at(list, at);

	if (list->pblk && !e->e_name_index)
		tell(c, list, "xattr-name", at, "name of no kind");
	if (le32_to_cpu(e->e_value_inum)) {
		if (list->ci->flags & EXT4_INLINE_DATA_FL && le16_to_cpu(e->e_value_offs))
			tell(c, list, "xattr-value", at, "value lies in an inode and has an offset");
		return check_xattr_inode(c, list, e);
	}
	if (has_name(e, EXT4_XATTR_INDEX_SYSTEM, "data"))
		list->inline_bytes = min(le32_to_cpu(e->e_value_size), list->end);
	if (check_value(c, list, at) && has_name(e, INDEX_ENCRYPTION, "c"))
		check_policy_take(&list->policy, list->base + le16_to_cpu(e->e_value_offs),
				  le32_to_cpu(e->e_value_size));
	return 0;
}

int check_xattr_list(struct check *c, struct check_xattrs *list)
{
	u32 end;
	int err = 0;

	list->inline_bytes = -1;
	if (!find_end(list, &end)) {
		tell(c, list, "xattr-list", list->first, "list has no end");
		return 0;
	}
	if (!c->value_map)
		c->value_map = kcalloc(c->machine, BITS_TO_LONGS(c->sbi->block_size), sizeof(long));
	if (!c->value_map)
		return -ENOMEM;
	bitmap_clear(c->value_map, 0, list->end);
	bitmap_set(c->value_map, 0, end + sizeof(le32));
	for (u32 at = list->first; at < end && !err; at += EXT4_XATTR_LEN(entry_at(list, at)->e_name_len))
		err = check_entry(c, list, at);
	return err;
}
