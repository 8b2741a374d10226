/* SPDX-License-Identifier: MIT */
/*
 * Names that fast commits add and remove. A directory is read once, into a table from the hash of a name to
 * the block that holds it, so that no input takes longer than its size allows. A name goes into the leaf that
 * the index has for it; where that is full the index is given up, and the directory is a linear one from then
 * on: its names are the same, their order may differ from what Linux would make. A directory that lies in its
 * inode has no table (fast_commit_inline.c).
 */
#include <sys/stat.h>

#include "base/alloc.h"
#include "block/remap.h"
#include "fs/ext4/fast_commit_internal.h"

#define RESCANS 64 /* how often room is looked for from the start again */

struct name_at {
	u32 hash, lblk;
};
#define FREE UINT32_MAX /* in lblk */

static u32 blocks_of(const struct fc *fc, const struct fc_inode *dir)
{
	return min_t(u64, fc_inode_size(dir) >> fc->sbi->block_bits, UINT32_MAX - 1);
}

/* Bytes of a block that entries may take. */
static u32 entries_end(const struct fc *fc)
{
	return fc->sbi->block_size - (fc->sbi->has_csum ? sizeof(struct ext4_dir_entry_tail) : 0);
}

void fc_set_rec_len(const struct fc *fc, struct ext4_dir_entry_2 *de, u32 len)
{
	if (fc->sbi->block_size == 65536)
		len = len == 65536 ? 65535 : (len & 65532) | (len >> 16 & 3);
	de->rec_len = cpu_to_le16((u16)len);
}

/* The checksum of a block that holds names. */
static void block_seal(const struct fc *fc, const struct fc_inode *dir, void *data)
{
	struct ext4_dir_entry_tail *tail = (void *)((u8 *)data + entries_end(fc));

	if (!fc->sbi->has_csum)
		return;
	*tail = (struct ext4_dir_entry_tail){.det_rec_len = cpu_to_le16(sizeof(*tail)),
					     .det_reserved_ft = EXT4_FT_DIR_CSUM};
	tail->det_checksum = cpu_to_le32(ext4_chksum(fc_inode_seed(fc, dir), data, entries_end(fc)));
}

/* ---- The table */

static u32 name_hash(const struct fc *fc, const char *name, unsigned len)
{
	return (u32)siphash(name, len, &fc->key);
}

static int names_grow(struct fc *fc, struct fc_dir *d)
{
	u32 old_room = d->names.room, room = max(64u, old_room * 2);
	struct name_at *old = d->names.items, *items;
	int err = room <= old_room ? -ENOMEM : fc_charge(fc, room * sizeof(*items));

	if (err)
		return err;
	items = kvmalloc(fc->sb->s_machine, room * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (u32 i = 0; i < room; i++)
		items[i].lblk = FREE;
	for (u32 i = 0; i < old_room; i++) {
		u32 at = old[i].hash & (room - 1);

		if (old[i].lblk == FREE)
			continue;
		while (items[at].lblk != FREE)
			at = (at + 1) & (room - 1);
		items[at] = old[i];
	}
	kvfree(old);
	d->names.items = items;
	d->names.room = room;
	return 0;
}

/* Names stay in the table when they are removed: it says where to look, not what is there. */
static int names_add(struct fc *fc, struct fc_dir *d, const char *name, unsigned len, u32 lblk)
{
	struct name_at n = {name_hash(fc, name, len), lblk}, *items;
	int err = d->nr_names + 1 > d->names.room / 4 * 3 ? names_grow(fc, d) : 0;
	u32 at = n.hash;

	if (err)
		return err;
	items = d->names.items;
	for (at &= d->names.room - 1; items[at].lblk != FREE && !err; at = (at + 1) & (d->names.room - 1)) {
		if (items[at].hash == n.hash && items[at].lblk == lblk)
			return 0;
		err = fc_spend(fc, sizeof(n)); /* one name in all blocks makes long ways */
	}
	if (err)
		return err;
	items[at] = n;
	d->nr_names++;
	return 0;
}

/* ---- Blocks */

static int block_edit(struct fc *fc, const struct fc_inode *dir, u32 lblk, void **data)
{
	u64 pblk = fc_extents_find(dir, lblk);

	return pblk ? blk_remap_copy(fc->sbi->remap, pblk, data) : -EFSCORRUPTED;
}

struct add_names {
	struct fc *fc;
	struct fc_dir *d;
	u32 lblk;
	int err;
};

static bool add_name(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	struct add_names *a = arg;

	a->err = names_add(a->fc, a->d, de->name, de->name_len, a->lblk);
	return !a->err;
}

/* Reads a block of the directory into `data`, verifies it and takes its names. */
static int block_load(struct fc *fc, const struct fc_inode *dir, u32 lblk, u64 pblk, void *data)
{
	const struct buffer_head bh = {.b_blocknr = pblk, .b_size = fc->sbi->block_size, .b_data = data};
	struct fc_dir *d = dir->dir;
	struct add_names a = {fc, d, lblk, 0};
	int err = fc_spend(fc, bh.b_size);

	if (!err)
		err = blk_remap_read(fc->sbi->remap, pblk, data);
	if (!err)
		err = ext4_dir_verifier.verify(&bh, d->inode, ext4_owner(d->inode));
	if (err)
		return err;
	if (d->indexed && ext4_dx_offset(&bh)) {
		err = fc_array_reserve(fc, &d->index, sizeof(u32));
		if (!err)
			((u32 *)d->index.items)[d->index.count++] = lblk;
		return err;
	}
	(void)ext4_dirents_walk(data, 0, fc->sbi->block_size, fc->sbi->block_size, add_name, &a);
	return a.err;
}

static int dir_load(struct fc *fc, struct fc_inode *dir)
{
	u8 *data __free_kfree = kmalloc_aligned(fc->sb->s_machine, fc->sbi->block_size, 4096);
	const struct fc_extent *ex = dir->extents.items;
	u32 end = blocks_of(fc, dir);
	int err = data ? 0 : -ENOMEM;

	for (u32 i = 0; i < dir->extents.count && !err; i++)
		for (u32 j = 0; j < ex[i].len && ex[i].lblk + j < end && !ex[i].unwritten && !err; j++)
			err = block_load(fc, dir, ex[i].lblk + j, ex[i].pblk + j, data);
	return err;
}

/* The directory with its table. */
static int dir_get(struct fc *fc, struct fc_inode *dir, struct fc_dir **out)
{
	u32 flags = le32_to_cpu(dir->raw->i_flags);
	struct fc_dir *d = dir->dir;
	int err;

	*out = d;
	if (d)
		return 0;
	if (!S_ISDIR(le16_to_cpu(dir->raw->i_mode)))
		return fc_corrupted(fc, "names, without a directory,", dir->ino);
	err = fc_charge(fc, sizeof(*d));
	if (err)
		return err;
	d = kzalloc(fc->sb->s_machine, sizeof(*d));
	if (!d)
		return -ENOMEM;
	dir->dir = *out = d;
	d->indexed = flags & EXT4_INDEX_FL && !fc_is_inline(dir);
	err = ext4_iget(fc->sb, dir->ino, EXT4_IGET_SPECIAL, &d->inode);
	if (!err)
		err = fc_is_inline(dir) ? fc_inline_load(dir) : dir_load(fc, dir);
	return err;
}

void fc_dir_free(struct fc_inode *dir)
{
	if (!dir->dir)
		return;
	if (dir->dir->inode)
		iput(dir->dir->inode);
	kvfree(dir->dir->names.items);
	fc_array_free(&dir->dir->index);
	kfree(dir->dir);
	dir->dir = NULL;
}

/* One empty entry over the whole block. */
static void block_empty(const struct fc *fc, void *data)
{
	memset(data, 0, fc->sbi->block_size);
	fc_set_rec_len(fc, data, entries_end(fc));
}

/* Adds an empty block to the end. */
static int dir_append(struct fc *fc, struct fc_inode *dir, void **data)
{
	u32 lblk = blocks_of(fc, dir), within = lblk & ((1u << fc->sbi->cluster_bits) - 1);
	struct fc_extent ex = {.lblk = lblk, .len = 1};
	int err;

	/* A cluster of the file begins where a cluster of the volume does. */
	ex.pblk = within ? fc_extents_find(dir, lblk - 1) + 1 : 0;
	err = ex.pblk > 1 ? 0 : fc_block_alloc(fc, &ex.pblk);
	if (!err)
		err = fc_extents_add(fc, dir, ex);
	if (!err)
		err = blk_remap_copy(fc->sbi->remap, ex.pblk, data);
	if (err)
		return err;
	block_empty(fc, *data);
	block_seal(fc, dir, *data);
	fc_inode_set_size(dir, fc_inode_size(dir) + fc->sbi->block_size);
	return 0;
}

/* ---- Entries */

unsigned fc_file_type(const struct ext4_sb_info *sbi, u16 mode)
{
	static const u8 types[16] = {[S_IFREG >> 12] = 1, [S_IFDIR >> 12] = EXT4_FT_DIR, [S_IFCHR >> 12] = 3,
				     [S_IFBLK >> 12] = 4, [S_IFIFO >> 12] = 5,           [S_IFSOCK >> 12] = 6,
				     [S_IFLNK >> 12] = 7};

	return ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_FILETYPE) ? types[mode >> 12] : 0;
}

static void put_entry(struct ext4_dir_entry_2 *de, u32 ino, unsigned type, const char *name, unsigned len)
{
	de->inode = cpu_to_le32(ino);
	de->name_len = len;
	de->file_type = type;
	memcpy(de->name, name, len);
}

bool fc_entries_insert(const struct fc *fc, void *data, u32 end, u32 ino, unsigned type, const char *name,
		       unsigned len)
{
	u32 need = EXT4_DIR_REC_LEN(len);

	for (u32 at = 0, rec_len; at < end; at += rec_len) {
		struct ext4_dir_entry_2 *de = (void *)((u8 *)data + at);
		u32 used = le32_to_cpu(de->inode) ? EXT4_DIR_REC_LEN(de->name_len) : 0;

		rec_len = ext4_rec_len(de, fc->sbi->block_size);
		if (rec_len < used + need)
			continue;
		if (used) {
			fc_set_rec_len(fc, de, used);
			de = (void *)((u8 *)de + used);
			fc_set_rec_len(fc, de, rec_len - used);
		}
		put_entry(de, ino, type, name, len);
		return true;
	}
	return false;
}

struct ext4_dir_entry_2 *fc_entries_find(const struct fc *fc, void *data, u32 end, const char *name,
					 unsigned len, struct ext4_dir_entry_2 **before)
{
	*before = NULL;
	for (u32 at = 0; at < end;) {
		struct ext4_dir_entry_2 *de = (void *)((u8 *)data + at);

		if (le32_to_cpu(de->inode) && de->name_len == len && !memcmp(de->name, name, len))
			return de;
		*before = de;
		at += ext4_rec_len(de, fc->sbi->block_size);
	}
	return NULL;
}

/* Finds the name; *de NULL: it is not there. *data is the block, NULL in an inode. */
static int dir_find(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len,
		    struct ext4_dir_entry_2 **de, struct ext4_dir_entry_2 **before, void **data, u32 *lblk)
{
	struct fc_dir *d = dir->dir;
	const struct name_at *items = d->names.items;
	u32 hash = name_hash(fc, name, len);

	*data = NULL;
	*de = NULL;
	*lblk = 0;
	if (fc_is_inline(dir)) {
		*de = fc_inline_find(fc, dir, name, len, before);
		return fc_spend(fc, fc->sbi->inode_size);
	}
	for (u32 at = hash & (d->names.room - 1); d->names.room && items[at].lblk != FREE;
	     at = (at + 1) & (d->names.room - 1)) {
		int err;

		if (items[at].hash != hash)
			continue;
		*lblk = items[at].lblk;
		err = fc_spend(fc, fc->sbi->block_size);
		if (!err)
			err = block_edit(fc, dir, *lblk, data);
		if (err)
			return err;
		*de = fc_entries_find(fc, *data, entries_end(fc), name, len, before);
		if (*de)
			break;
	}
	return 0;
}

/* Makes leaves of the blocks of the index: the first still begins with the dots. */
static int index_drop(struct fc *fc, struct fc_inode *dir)
{
	struct fc_dir *d = dir->dir;
	const u32 *index = d->index.items;

	for (u32 i = 0; i < d->index.count; i++) {
		struct ext4_dir_entry_2 *de;
		void *data;
		int err = block_edit(fc, dir, index[i], &data);

		if (err)
			return err;
		if (index[i]) {
			block_empty(fc, data);
		} else {
			de = (void *)((u8 *)data + EXT4_DIR_REC_LEN(1));
			fc_set_rec_len(fc, de, entries_end(fc) - EXT4_DIR_REC_LEN(1));
		}
		block_seal(fc, dir, data);
	}
	d->indexed = false;
	dir->raw->i_flags = cpu_to_le32(le32_to_cpu(dir->raw->i_flags) & ~(u32)EXT4_INDEX_FL);
	return 0;
}

/* The leaf that the index has for the name; -ENOENT: the index is of no use. */
static int index_leaf(struct fc *fc, const struct fc_dir *d, const char *name, unsigned len, u32 *lblk)
{
	struct ext4_htree_path path;
	struct ext4_hash h;
	int err = EXT4_I(d->inode)->i_flags & EXT4_CASEFOLD_FL ? -ENOENT : ext4_htree_open(d->inode, &path);

	if (err)
		return err;
	err = ext4_dirhash(fc->sbi, path.hash_version, name, len, &h);
	ext4_htree_put(&path);
	if (!err)
		err = ext4_htree_find(d->inode, h.hash, &path);
	if (err)
		return err;
	*lblk = ext4_htree_leaf(&path);
	ext4_htree_put(&path);
	return 0;
}

static bool is_index(const struct fc_dir *d, u32 lblk)
{
	for (u32 i = 0; i < d->index.count; i++)
		if (((u32 *)d->index.items)[i] == lblk)
			return true;
	return false;
}

/* Tries one block. 1: the name is in it now. */
static int try_block(struct fc *fc, struct fc_inode *dir, u32 lblk, u32 ino, unsigned type, const char *name,
		     unsigned len)
{
	void *data;
	int err = fc_spend(fc, fc->sbi->block_size);

	if (!err)
		err = block_edit(fc, dir, lblk, &data);
	if (err)
		return err;
	if (!fc_entries_insert(fc, data, entries_end(fc), ino, type, name, len))
		return 0;
	block_seal(fc, dir, data);
	err = names_add(fc, dir->dir, name, len, lblk);
	return err ? err : 1;
}

int fc_dir_insert(struct fc *fc, struct fc_inode *dir, u32 ino, unsigned type, const char *name, unsigned len)
{
	struct fc_dir *d = dir->dir;
	int err = 0;
	void *data;
	u32 lblk;

	if (d->indexed) {
		err = fc_spend(fc, d->index.count * sizeof(u32));
		if (!err)
			err = index_leaf(fc, d, name, len, &lblk);
		if (!err && !is_index(d, lblk) && lblk < blocks_of(fc, dir))
			err = try_block(fc, dir, lblk, ino, type, name, len);
		if (err && err != -ENOENT)
			return min(err, 0);
		err = index_drop(fc, dir);
	}
	for (; !err && d->cursor < blocks_of(fc, dir); d->cursor++)
		if (fc_extents_find(dir, d->cursor))
			err = try_block(fc, dir, d->cursor, ino, type, name, len);
	if (err) {
		d->cursor -= d->cursor > 0; /* there may be more room where this one went */
		return min(err, 0);
	}
	err = dir_append(fc, dir, &data);
	if (!err)
		err = try_block(fc, dir, blocks_of(fc, dir) - 1, ino, type, name, len);
	return min(err, 0);
}

int fc_dir_add(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len,
	       const struct fc_inode *inode)
{
	unsigned type = fc_file_type(fc->sbi, le16_to_cpu(inode->raw->i_mode));
	struct ext4_dir_entry_2 *de, *before;
	struct fc_dir *d;
	void *data;
	u32 lblk;
	int err = dir_get(fc, dir, &d);

	if (!err)
		err = dir_find(fc, dir, name, len, &de, &before, &data, &lblk);
	if (err || de) /* it is there already */
		return err;
	if (ext4_hash_in_dirent(d->inode)) {
		ext4_msg(
			fc->sb, LOGLEVEL_ERR,
			"fast commits add a name to inode %u, whose names are encrypted and folded: its hash "
			"cannot be made without the key",
			dir->ino);
		return -EOPNOTSUPP;
	}
	if (fc_is_inline(dir)) {
		err = fc_inline_add(fc, dir, inode->ino, type, name, len);
		if (err != -ENOSPC)
			return err;
		err = fc_inline_leave(fc, dir);
		if (err)
			return err;
	}
	return fc_dir_insert(fc, dir, inode->ino, type, name, len);
}

int fc_dir_remove(struct fc *fc, struct fc_inode *dir, const char *name, unsigned len, u32 ino)
{
	struct ext4_dir_entry_2 *de, *before;
	struct fc_dir *d;
	void *data;
	u32 lblk;
	int err = dir_get(fc, dir, &d);

	if (!err)
		err = dir_find(fc, dir, name, len, &de, &before, &data, &lblk);
	/* Another inode has the name by now: it stays. */
	if (err || !de || le32_to_cpu(de->inode) != ino)
		return err;
	if (before)
		fc_set_rec_len(fc, before,
			       ext4_rec_len(before, fc->sbi->block_size) +
				       ext4_rec_len(de, fc->sbi->block_size));
	else
		de->inode = cpu_to_le32(0);
	if (data)
		block_seal(fc, dir, data);
	if (lblk < d->cursor && d->rescans < RESCANS) {
		d->rescans++;
		d->cursor = lblk;
	}
	return 0;
}

int fc_dir_begin(struct fc *fc, struct fc_inode *dir, u32 parent)
{
	const u32 size = EXT4_DIR_REC_LEN(1);
	struct ext4_dir_entry_2 *dot, *dotdot;
	unsigned type = fc_file_type(fc->sbi, S_IFDIR);
	void *data;
	int err;

	fc_inode_set_size(dir, 0);
	err = dir_append(fc, dir, &data);
	if (err)
		return err;
	dot = data;
	dotdot = (void *)((u8 *)data + size);
	fc_set_rec_len(fc, dot, size);
	put_entry(dot, dir->ino, type, ".", 1);
	fc_set_rec_len(fc, dotdot, entries_end(fc) - size);
	put_entry(dotdot, parent, type, "..", 2);
	block_seal(fc, dir, data);
	return 0;
}

int fc_dir_make(struct fc *fc, struct fc_inode *dir, u32 parent)
{
	/* It has a block already, or lies in its inode. */
	return dir->extents.count || fc_is_inline(dir) ? 0 : fc_dir_begin(fc, dir, parent);
}
