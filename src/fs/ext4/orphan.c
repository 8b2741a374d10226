/* SPDX-License-Identifier: MIT */
/*
 * Orphans at mount: inodes that had no name left but were open when the volume was last in use, or that were
 * being truncated. Recovery deletes the former; nobody can find them anyway, so what is seen of that is free
 * space, and only that is counted. The others are truncated to their size, in the remap.
 *
 * They are named by a list that begins in the super block and goes on through the inodes, or by the blocks of
 * the orphan file. Each number counts once, so that the list ends.
 */
#include "base/alloc.h"
#include "base/bitmap.h"
#include "base/xarray.h"
#include "fs/ext4/ext4_internal.h"

#define ORPHAN_FILE_MAX (8u << 20) /* bytes */

struct orphans {
	struct super_block *sb;
	unsigned long *seen;       /* a bit an inode */
	struct xarray attr_blocks; /* pblk → how many inodes that had it were deleted */
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

static int orphan_delete(struct orphans *o, const struct inode *inode)
{
	struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	u64 clusters = inode->i_blocks >> (sbi->block_bits - 9 + sbi->cluster_bits);
	bool unused = true;

	if (EXT4_I(inode)->i_file_acl) {
		int err = attributes_unused(o, inode, &unused);

		if (err)
			return err;
	}
	if (!unused && clusters)
		clusters--;
	sbi->free_clusters = min(sbi->free_clusters + clusters, sbi->blocks_count >> sbi->cluster_bits);
	sbi->free_inodes = min_t(u64, sbi->free_inodes + 1, le32_to_cpu(sbi->es.s_inodes_count));
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

static int orphan_file_block(struct orphans *o, struct inode *file, u32 lblk)
{
	struct buffer_head *bh;
	const le32 *numbers;
	int err = ext4_bread(file, lblk, &orphan_verifier, &bh);

	if (err)
		return err;
	numbers = bh->b_data;
	for (u32 i = 0; i < (bh->b_size - sizeof(struct ext4_orphan_block_tail)) / sizeof(le32); i++) {
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

/* A volume that has an orphan file is mounted only where it is there, needed or not. */
static int orphan_file_probe(struct super_block *sb)
{
	struct inode *file;
	int err;

	if (!ext4_has_compat(EXT4_SB(sb), EXT4_FEATURE_COMPAT_ORPHAN_FILE))
		return 0;
	err = orphan_file_open(sb, &file);
	if (!err)
		iput(file);
	return err;
}

static int orphan_file(struct orphans *o)
{
	const struct ext4_sb_info *sbi = EXT4_SB(o->sb);
	struct inode *file;
	u64 size;
	int err = orphan_file_open(o->sb, &file);

	if (err)
		return err;
	size = i_size_read(file);
	if (!S_ISREG(file->i_mode) || ext4_has_inline_data(file) || size > ORPHAN_FILE_MAX) {
		ext4_error_inode(file, 0, "cannot be the orphan file");
		err = -EFSCORRUPTED;
	}
	for (u32 lblk = 0; !err && lblk < size >> sbi->block_bits; lblk++)
		err = orphan_file_block(o, file, lblk);
	iput(file);
	return err == -ENOMEM || err == -EIO ? err : 0;
}

int ext4_orphans_load(struct super_block *sb)
{
	const struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct orphans o = {.sb = sb};
	bool file = ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_ORPHAN_FILE) &&
		    ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT);
	int err = orphan_file_probe(sb);

	if (err)
		return err;
	/* After an error nobody goes on with them, before the volume was checked. */
	if ((!le32_to_cpu(sbi->es.s_last_orphan) && !file) || sbi->journal_stopped ||
	    le16_to_cpu(sbi->es.s_state) & EXT4_ERROR_FS)
		return 0;
	o.seen = kvcalloc(sb->s_machine, BITS_TO_LONGS(le32_to_cpu(sbi->es.s_inodes_count)), sizeof(long));
	if (!o.seen)
		return -ENOMEM;
	xa_init(&o.attr_blocks, sb->s_machine);
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
	kvfree(o.seen);
	return err;
}
