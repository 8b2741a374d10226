/* SPDX-License-Identifier: MIT */
/*
 * Names that fast commits add to and remove from a directory that lies in its inode: entries behind the
 * number of its parent in the place of the block map, and more in the attribute "system.data" (inline.c).
 * That grows at once to what room the inode has, as on Linux; where it is too small the directory gets a
 * block.
 *
 * The inode was verified when it was read, and what is changed here is the copy of its bytes that the remap
 * holds; changes keep it as verified.
 */
#include "base/alloc.h"
#include "fs/ext4/fast_commit_internal.h"

#define MAP_AT    ((u32)offsetof(struct ext4_inode, i_block))
#define MAP_BYTES ((u32)sizeof(((struct ext4_inode *)NULL)->i_block))

bool fc_is_inline(const struct fc_inode *fi)
{
	return le32_to_cpu(fi->raw->i_flags) & EXT4_INLINE_DATA_FL;
}

static u8 *part_of(const struct fc_inode *dir, unsigned i)
{
	return (u8 *)dir->raw + dir->dir->parts[i].at;
}

int fc_inline_load(struct fc_inode *dir)
{
	struct fc_dir *d = dir->dir;

	d->parts[0].at = MAP_AT + EXT4_INLINE_DIR_START;
	d->parts[0].bytes = MAP_BYTES - EXT4_INLINE_DIR_START;
	return ext4_xattr_inline_place(d->inode, &d->parts[1].at, &d->parts[1].bytes);
}

struct ext4_dir_entry_2 *fc_inline_find(const struct fc *fc, const struct fc_inode *dir, const char *name,
					unsigned len, struct ext4_dir_entry_2 **before)
{
	struct ext4_dir_entry_2 *de = NULL;

	for (unsigned i = 0; i < 2 && !de; i++)
		de = fc_entries_find(fc, part_of(dir, i), dir->dir->parts[i].bytes, name, len, before);
	return de;
}

/* ---- The attributes */

/* The list of attributes in the inode, from its first entry to the inode's end. */
struct attr_list {
	u8 *base;
	u32 bytes;
};

static struct attr_list attrs_of(const struct fc *fc, const struct fc_inode *dir)
{
	u32 at = EXT4_GOOD_OLD_INODE_SIZE + EXT4_I(dir->dir->inode)->i_extra_isize + sizeof(le32);

	return (struct attr_list){(u8 *)dir->raw + at, fc->sbi->inode_size - at};
}

/* Those of an entry's bytes behind the list that its value takes. */
static u32 value_room(const struct ext4_xattr_entry *e)
{
	return le32_to_cpu(e->e_value_inum) ? 0 : round_up(le32_to_cpu(e->e_value_size), 4u);
}

static bool is_data(const struct ext4_xattr_entry *e)
{
	return e->e_name_index == EXT4_XATTR_INDEX_SYSTEM && e->e_name_len == 4 &&
	       !memcmp(e->e_name, "data", 4);
}

static struct ext4_xattr_entry *entry_next(struct ext4_xattr_entry *e)
{
	return (void *)((u8 *)e + EXT4_XATTR_LEN(e->e_name_len));
}

/* The most bytes that "system.data" can have beside the other attributes. */
static u32 data_room(struct attr_list list)
{
	u32 taken = sizeof(le32);

	for (struct ext4_xattr_entry *e = (void *)list.base; get_unaligned_le32(e); e = entry_next(e))
		taken += EXT4_XATTR_LEN(e->e_name_len) + (is_data(e) ? 0 : value_room(e));
	return (list.bytes - min(taken, list.bytes)) & ~3u;
}

/* Copies an entry and its value behind those that are there; values grow down from *value. */
static struct ext4_xattr_entry *attr_put(struct attr_list to, struct ext4_xattr_entry *at, u32 *value,
					 const struct ext4_xattr_entry *e, const void *bytes, u32 size)
{
	memcpy(at, e, EXT4_XATTR_LEN(e->e_name_len));
	if (is_data(e)) {
		at->e_value_size = cpu_to_le32(size);
		at->e_hash = cpu_to_le32(0);
	}
	if (value_room(at)) {
		*value -= value_room(at);
		at->e_value_offs = cpu_to_le16((u16)*value);
		memcpy(to.base + *value, bytes, size);
	}
	return entry_next(at);
}

/* The list anew, with "system.data" of `bytes` bytes, for which there is room; NULL: without it. */
static int attrs_rewrite(const struct fc *fc, struct fc_inode *dir, const u8 *data, u32 bytes)
{
	struct attr_list old, list = attrs_of(fc, dir);
	u8 *copy __free_kfree = kmalloc(fc->sb->s_machine, list.bytes);
	struct ext4_xattr_entry *at = (void *)list.base;
	struct fc_part *part = &dir->dir->parts[1];
	u32 value = list.bytes;

	if (!copy)
		return -ENOMEM;
	old = (struct attr_list){memcpy(copy, list.base, list.bytes), list.bytes};
	memset(list.base, 0, list.bytes);
	for (struct ext4_xattr_entry *e = (void *)old.base; get_unaligned_le32(e); e = entry_next(e)) {
		if (!is_data(e)) {
			at = attr_put(list, at, &value, e, old.base + le16_to_cpu(e->e_value_offs),
				      le32_to_cpu(e->e_value_size));
		} else if (data) {
			at = attr_put(list, at, &value, e, data, bytes);
			*part = (struct fc_part){(u32)(list.base - (u8 *)dir->raw) + value, bytes};
		}
	}
	/* As on Linux: what holds nothing is no list, which FIEMAP_FLAG_XATTR shows. */
	put_unaligned_le32((u8 *)at == list.base ? 0 : EXT4_XATTR_MAGIC, list.base - sizeof(le32));
	return 0;
}

/* ---- Growing */

/* Gives the second part all the room that the inode has. -ENOSPC: it has that already. */
static int part_grow(struct fc *fc, struct fc_inode *dir)
{
	u32 room = data_room(attrs_of(fc, dir)), old = dir->dir->parts[1].bytes;
	u8 *data __free_kfree = NULL;
	struct ext4_dir_entry_2 *last;
	int err;

	if (room < old + EXT4_DIR_REC_LEN(1))
		return -ENOSPC;
	data = kzalloc(fc->sb->s_machine, room);
	if (!data)
		return -ENOMEM;
	memcpy(data, part_of(dir, 1), old);
	last = (void *)data;
	for (u32 at = 0; at < old; at += ext4_rec_len(last, fc->sbi->block_size))
		last = (void *)(data + at);
	fc_set_rec_len(fc, last, (old ? ext4_rec_len(last, fc->sbi->block_size) : 0) + room - old);
	err = attrs_rewrite(fc, dir, data, room);
	if (err)
		return err;
	fc_inode_set_size(dir, MAP_BYTES + room);
	return 0;
}

int fc_inline_add(struct fc *fc, struct fc_inode *dir, u32 ino, unsigned type, const char *name, unsigned len)
{
	const struct fc_part *parts = dir->dir->parts;
	int err = 0;

	for (unsigned i = 0; i < 2; i++)
		if (fc_entries_insert(fc, part_of(dir, i), parts[i].bytes, ino, type, name, len))
			return 0;
	err = part_grow(fc, dir);
	if (err)
		return err;
	return fc_entries_insert(fc, part_of(dir, 1), parts[1].bytes, ino, type, name, len) ? 0 : -ENOSPC;
}

void fc_inode_leave(const struct fc *fc, struct fc_inode *fi)
{
	u32 flags = le32_to_cpu(fi->raw->i_flags) & ~(u32)(EXT4_INLINE_DATA_FL | EXT4_INDEX_FL);

	if (ext4_has_incompat(fc->sbi, EXT4_FEATURE_INCOMPAT_EXTENTS))
		flags |= EXT4_EXTENTS_FL;
	fi->raw->i_flags = cpu_to_le32(flags);
	fc_extents_none(fi);
}

struct inserting {
	struct fc *fc;
	struct fc_inode *dir;
	int err;
};

static bool insert_entry(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	struct inserting *in = arg;

	in->err =
		fc_dir_insert(in->fc, in->dir, le32_to_cpu(de->inode), de->file_type, de->name, de->name_len);
	return !in->err;
}

int fc_inline_leave(struct fc *fc, struct fc_inode *dir)
{
	struct inserting in = {fc, dir, 0};
	u32 parent = get_unaligned_le32((u8 *)dir->raw + MAP_AT);
	struct fc_part parts[2] = {dir->dir->parts[0], dir->dir->parts[1]};
	u8 *copy __free_kfree = kmalloc(fc->sb->s_machine, fc->sbi->inode_size);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, dir->raw, fc->sbi->inode_size);
	err = attrs_rewrite(fc, dir, NULL, 0);
	if (err)
		return err;
	fc_inode_leave(fc, dir);
	err = fc_dir_begin(fc, dir, parent);
	for (unsigned i = 0; i < 2 && !err; i++) {
		(void)ext4_dirents_walk(copy + parts[i].at, 0, parts[i].bytes, fc->sbi->block_size,
					insert_entry, &in);
		err = in.err;
	}
	return err;
}
