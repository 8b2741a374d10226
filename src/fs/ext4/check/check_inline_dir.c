/* SPDX-License-Identifier: MIT */
/*
 * Directories that lie in their inodes: the number of the parent and a chain of entries take the place of the
 * block map, a second chain is the value of the attribute "system.data". There are no "." and "..", but they
 * count as names.
 */
#include "fs/ext4/check/check_dirs_internal.h"

#define FIRST_BYTES (EXT4_N_BLOCKS * (u32)sizeof(le32))

/* The value of "system.data" behind the inode's fields; what is wrong with attributes was told by the inode
 * pass. */
static const u8 *find_data(const u8 *raw, u32 inode_size, u32 *bytes)
{
	u32 at = EXT4_GOOD_OLD_INODE_SIZE, first;

	*bytes = 0;
	if (inode_size == at)
		return NULL;
	at += get_unaligned_le16(raw + offsetof(struct ext4_inode, i_extra_isize));
	first = at + (u32)sizeof(le32);
	if (first > inode_size || at & 3 || get_unaligned_le32(raw + at) != EXT4_XATTR_MAGIC)
		return NULL;
	for (at = first;
	     at + sizeof(struct ext4_xattr_entry) <= inode_size && get_unaligned_le32(raw + at);) {
		const struct ext4_xattr_entry *e = (const void *)(raw + at);
		u32 offset = first + le16_to_cpu(e->e_value_offs), size = le32_to_cpu(e->e_value_size);

		at += EXT4_XATTR_LEN(e->e_name_len);
		if (at > inode_size)
			return NULL;
		if (e->e_name_index != EXT4_XATTR_INDEX_SYSTEM || e->e_name_len != 4 ||
		    memcmp(e->e_name, "data", 4))
			continue;
		if (offset > inode_size || size > inode_size - offset)
			return NULL;
		*bytes = size;
		return raw + offset;
	}
	return NULL;
}

int check_inline_dir(struct check_dir_state *s)
{
	le32 map[EXT4_N_BLOCKS];
	const u8 *raw, *data;
	u8 *copy;
	u32 bytes;
	int err = check_inode_read(s->c, s->dir->ino, &raw);

	if (err)
		return err == -EFSCORRUPTED ? 0 : err;
	memcpy(map, raw + offsetof(struct ext4_inode, i_block), sizeof(map));
	s->entries = 2;
	s->dir->dotdot = get_unaligned_le32(map);
	check_dir_count_link(s, s->dir->ino, false);
	if (check_ino_valid(s->c, s->dir->dotdot))
		check_dir_count_link(s, s->dir->dotdot, false);
	check_dirents(s, (const u8 *)map + EXT4_INLINE_DIR_START, FIRST_BYTES - EXT4_INLINE_DIR_START, 0,
		      NULL);
	data = find_data(raw, s->c->sbi->inode_size, &bytes);
	if (!bytes)
		return 0;
	/* A value may lie at any offset. */
	copy = check_block_buf(s->c, 0);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, bytes);
	check_dirents(s, copy, bytes, 0, NULL);
	return 0;
}
