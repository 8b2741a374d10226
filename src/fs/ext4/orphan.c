/* SPDX-License-Identifier: MIT */
/*
 * Orphans at mount: inodes that had no name left but were open when the volume was last in use, or that were
 * being truncated. Recovery deletes the former; nobody can find them anyway, so what is seen of that is free
 * space, and only that is counted: of the inode, its attributes' block, and the inodes that hold values for
 * it alone. The others are truncated to their size, in the remap.
 *
 * They are named by a list that begins in the super block and goes on through the inodes, or by the blocks of
 * the orphan file. Each number counts once, so that the list ends.
 */
#include "base/alloc.h"
#include "base/bitmap.h"
#include "base/xarray.h"
#include "fs/ext4/ext4_internal.h"

#define ORPHAN_FILE_MAX 512u /* blocks */

struct orphans {
	struct super_block *sb;
	unsigned long *seen;       /* a bit an inode */
	struct xarray attr_blocks; /* pblk → how many inodes that had it were deleted */
	struct xarray values;      /* inode that holds a value → how many of its entries went */
	u64 deleted;
	u32 *linked; /* those that have names: to be truncated */
	u32 nr_linked, room;
};

int ext4_inode_in_use(struct super_block *sb, u32 ino)
{
	const struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 bit = (ino - 1) % sbi->inodes_per_group;
	struct buffer_head *bh;
	struct ext4_group g;
	int err = ext4_group_get(sb, (ino - 1) / sbi->inodes_per_group, &g);

	if (err || ((sbi->has_csum || sbi->has_gdt_csum) && g.flags & EXT4_BG_INODE_UNINIT))
		return err;
	err = bread(sbi->bdev, g.inode_bitmap, sbi->block_size, NULL, NULL, 0, &bh);
	if (err)
		return err;
	err = test_bit_le(bit, bh->b_data);
	brelse(bh);
	return err;
}

/* True: nobody has this block of attributes any more, now that one more inode is gone. */
static int attributes_unused(struct orphans *o, const struct inode *inode, bool *unused)
{
	const struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	u64 pblk = EXT4_I(inode)->i_file_acl;
	const struct ext4_xattr_header *h;
	unsigned long gone = xa_to_value(xa_load(&o->attr_blocks, pblk)) + 1;
	struct buffer_head *bh;
	int err = bread(sbi->bdev, pblk, sbi->block_size, NULL, NULL, 0, &bh);

	if (err)
		return err;
	h = bh->b_data;
	*unused = gone >= le32_to_cpu(h->h_refcount);
	brelse(bh);
	return xa_err(xa_store(&o->attr_blocks, pblk, xa_mk_value(gone)));
}

static u64 clusters_of(const struct inode *inode)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);

	return inode->i_blocks >> (sbi->block_bits - 9 + sbi->cluster_bits);
}

static void count_free(struct ext4_sb_info *sbi, u64 clusters)
{
	sbi->free_clusters = min(sbi->free_clusters + clusters, sbi->blocks_count >> sbi->cluster_bits);
	sbi->free_inodes = min_t(u64, sbi->free_inodes + 1, le32_to_cpu(sbi->es.s_inodes_count));
}

/* An inode that is deleted, and what goes with it. */
struct deleting {
	struct orphans *o;
	u64 clusters;   /* its own; i_blocks counts those of its values as well */
	bool block_too; /* nobody else has its block of attributes */
};

/* An attribute whose value lies in an inode: that goes with the last entry that names it. */
static int value_delete(void *arg, const struct ext4_xattr_entry *e, bool in_block)
{
	struct deleting *d = arg;
	struct orphans *o = d->o;
	struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	u32 ino = le32_to_cpu(e->e_value_inum);
	u64 charged = DIV_ROUND_UP(le32_to_cpu(e->e_value_size), sbi->block_size << sbi->cluster_bits);
	unsigned long gone = xa_to_value(xa_load(&o->values, ino)) + 1;
	struct inode *value;
	u64 refs;
	int err;

	d->clusters -= min(charged, d->clusters);
	if (in_block && !d->block_too)
		return 0;
	err = xa_err(xa_store(&o->values, ino, xa_mk_value(gone)));
	if (!err)
		err = ext4_iget(o->sb, ino, EXT4_IGET_EA, &value);
	if (err)
		return err == -ENOMEM || err == -EIO ? err : 0; /* a damaged one stays */
	err = ext4_xattr_inode_refs(value, &refs);
	if (!err && gone == refs)
		count_free(sbi, clusters_of(value));
	iput(value);
	return err;
}

static int orphan_delete(struct orphans *o, struct inode *inode)
{
	struct deleting d = {.o = o, .clusters = clusters_of(inode), .block_too = true};
	int err = 0;

	if (EXT4_I(inode)->i_file_acl)
		err = attributes_unused(o, inode, &d.block_too);
	if (!err && ext4_has_incompat(EXT4_SB(o->sb), EXT4_FEATURE_INCOMPAT_EA_INODE))
		err = ext4_xattr_values_walk(inode, value_delete, &d);
	if (err)
		return err;
	if (!d.block_too && d.clusters)
		d.clusters--;
	count_free(EXT4_SB(o->sb), d.clusters);
	o->deleted++;
	return 0;
}

static int orphan_keep(struct orphans *o, u32 ino)
{
	if (o->nr_linked == o->room) {
		u32 room = max(o->room * 2, 16u);
		u32 *linked = krealloc(o->sb->s_machine, o->linked, array_size(room, sizeof(ino)));

		if (!linked)
			return -ENOMEM;
		o->linked = linked;
		o->room = room;
	}
	o->linked[o->nr_linked++] = ino;
	return 0;
}

/* Takes one orphan; *next: the number after it in the list. Anything wrong with it is -EFSCORRUPTED. */
static int orphan_take(struct orphans *o, u32 ino, u32 *next)
{
	const struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	struct inode *inode;
	struct buffer_head *bh;
	u8 *raw;
	int err;

	if (ino < sbi->first_ino || ino > le32_to_cpu(sbi->es.s_inodes_count) ||
	    __test_and_set_bit(ino - 1, o->seen))
		return -EFSCORRUPTED;
	err = ext4_inode_in_use(o->sb, ino);
	if (err <= 0)
		return err ? err : -EFSCORRUPTED;
	err = ext4_iget(o->sb, ino, EXT4_IGET_ORPHAN, &inode);
	if (err)
		return err;
	err = ext4_inode_block_get(o->sb, ino, &bh, &raw);
	if (!err) {
		*next = le32_to_cpu(((struct ext4_inode *)raw)->i_dtime);
		brelse(bh);
		err = inode->i_nlink ? orphan_keep(o, ino) : orphan_delete(o, inode);
	}
	iput(inode);
	return err;
}

/* As on Linux the list ends with the first number that makes no sense. */
static int orphan_list(struct orphans *o)
{
	u32 ino = le32_to_cpu(EXT4_SB(o->sb)->es.s_last_orphan);

	while (ino) {
		u32 next = 0;
		int err = orphan_take(o, ino, &next);

		if (err == -ENOMEM || err == -EIO)
			return err;
		if (err) {
			ext4_msg(o->sb, LOGLEVEL_ERR, "the list of orphans is damaged at inode %u", ino);
			return 0;
		}
		ino = next;
	}
	return 0;
}

/* A block of the orphan file: numbers, and a tail. */
static int orphan_block_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	const struct inode *inode = ctx;
	size_t bytes = bh->b_size - sizeof(struct ext4_orphan_block_tail);
	const struct ext4_orphan_block_tail *tail = (const void *)((const u8 *)bh->b_data + bytes);
	le64 number = cpu_to_le64(bh->b_blocknr);
	u32 crc;

	if (le32_to_cpu(tail->ob_magic) != EXT4_ORPHAN_BLOCK_MAGIC) {
		ext4_error_inode(inode, bh->b_blocknr, "block of the orphan file has a wrong magic number");
		return -EFSCORRUPTED;
	}
	if (!EXT4_SB(inode->i_sb)->has_csum)
		return 0;
	crc = ext4_chksum(EXT4_I(inode)->i_csum_seed, &number, sizeof(number));
	crc = ext4_chksum(crc, bh->b_data, bytes);
	if (crc == le32_to_cpu(tail->ob_checksum))
		return 0;
	ext4_error_inode(inode, bh->b_blocknr,
			 "block of the orphan file: checksum is %#010x, computed %#010x",
			 le32_to_cpu(tail->ob_checksum), crc);
	return -EFSBADCRC;
}

static const struct buffer_verifier orphan_verifier = {.name = "orphan file", .verify = orphan_block_verify};

/* Reads a block of the orphan file, and takes the orphans that it names if there is a list for them. */
static int orphan_file_block(struct orphans *o, struct inode *file, u32 lblk)
{
	struct buffer_head *bh;
	const le32 *numbers;
	int err = ext4_bread(file, lblk, &orphan_verifier, &bh);

	if (err)
		return err;
	numbers = bh->b_data;
	for (u32 i = 0; o->seen && i < (bh->b_size - sizeof(struct ext4_orphan_block_tail)) / sizeof(le32);
	     i++) {
		u32 ino = le32_to_cpu(numbers[i]), next;

		if (!ino)
			continue;
		err = orphan_take(o, ino, &next);
		if (err == -ENOMEM || err == -EIO)
			break;
		if (err)
			ext4_error_inode(file, bh->b_blocknr, "the orphan file names inode %u, which is none",
					 ino);
		err = 0;
	}
	brelse(bh);
	return err;
}

static int orphan_file_open(struct super_block *sb, struct inode **file)
{
	u32 ino = le32_to_cpu(EXT4_SB(sb)->es.s_orphan_file_inum);
	int err = ext4_iget(sb, ino, EXT4_IGET_SPECIAL, file);

	if (err && err != -ENOMEM && err != -EIO)
		ext4_msg(sb, LOGLEVEL_ERR,
			 "the super block says that inode %u is the orphan file, which is none", ino);
	return err;
}

/* As on Linux a volume is mounted only where every block of its orphan file is sound, needed or not. */
static int orphan_file(struct orphans *o)
{
	const struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	struct inode *file;
	u64 blocks;
	int err = orphan_file_open(o->sb, &file);

	if (err)
		return err;
	blocks = i_size_read(file) >> sbi->block_bits;
	if (!S_ISREG(file->i_mode) || ext4_has_inline_data(file) || blocks > ORPHAN_FILE_MAX) {
		ext4_error_inode(file, 0, "cannot be the orphan file");
		err = -EFSCORRUPTED;
	}
	for (u32 lblk = 0; !err && lblk < blocks;) {
		struct ext4_map map = {.lblk = lblk, .len = (u32)blocks - lblk};

		err = ext4_map_blocks(file, &map);
		if (!err && map.mapped)
			breadahead(sbi->bdev, map.pblk, map.len, sbi->block_size);
		for (u32 end = lblk + map.len; !err && lblk < end; lblk++)
			err = orphan_file_block(o, file, lblk);
	}
	iput(file);
	return err;
}

int ext4_orphans_load(struct super_block *sb)
{
	const struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct orphans o = {.sb = sb};
	bool file = ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE);
	int err;

	/* After an error nobody goes on with them, before the volume was checked. */
	if ((!le32_to_cpu(sbi->es.s_last_orphan) && !file) || sbi->journal_stopped ||
	    le16_to_cpu(sbi->es.s_state) & EXT4_ERROR_FS)
		return file ? orphan_file(&o) : 0;
	o.seen = kvcalloc(sb->s_machine, BITS_TO_LONGS(le32_to_cpu(sbi->es.s_inodes_count)), sizeof(long));
	if (!o.seen)
		return -ENOMEM;
	xa_init(&o.attr_blocks, sb->s_machine);
	xa_init(&o.values, sb->s_machine);
	err = orphan_list(&o);
	if (!err && file)
		err = orphan_file(&o);
	if (!err && o.nr_linked)
		err = ext4_fc_truncate(sb, o.linked, o.nr_linked);
	if (o.deleted || o.nr_linked)
		ext4_msg(sb, LOGLEVEL_INFO, "recovery in memory: %llu orphans deleted, %u truncated",
			 (unsigned long long)o.deleted, o.nr_linked);
	kfree(o.linked);
	xa_destroy(&o.attr_blocks);
	xa_destroy(&o.values);
	kvfree(o.seen);
	return err;
}
