/* SPDX-License-Identifier: MIT */
/*
 * Reading directories: here in order of their bytes, the position being the offset; dir_hashed.c tells those
 * that have an order of hash.
 */
#include <dirent.h>

#include "fs/ext4/ext4_internal.h"
#include "vfs/file.h"

#define AHEAD 16 /* directory blocks read ahead */

bool ext4_dir_emit(const struct inode *dir, struct dir_context *ctx, const struct ext4_hash *h,
		   const char *name, unsigned len, u32 ino, unsigned type)
{
	char text[EXT4_NOKEY_TEXT_MAX];

	if (ext4_name_is_encrypted(dir, name, len)) {
		len = ext4_nokey_encode(h, name, len, text);
		name = text;
	}
	return dir_emit(ctx, name, (int)len, ino, type);
}

struct tell {
	const struct inode *dir;
	struct dir_context *ctx;
	const struct ext4_sb_info *sbi;
	u64 base; /* offset of the block in the directory */
	bool full;
};

static bool tell_entry(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	struct tell *t = arg;
	struct ext4_hash h = {0};

	if (t->base + offset < (u64)t->ctx->pos)
		return true;
	t->ctx->pos = t->base + offset;
	if (ext4_hash_in_dirent(t->dir) && ext4_name_is_encrypted(t->dir, de->name, de->name_len))
		h = ext4_dirent_hash(de);
	if (!ext4_dir_emit(t->dir, t->ctx, &h, de->name, de->name_len, le32_to_cpu(de->inode),
			   ext4_dirent_type(t->sbi, de->file_type))) {
		t->full = true;
		return false;
	}
	t->ctx->pos = t->base + offset + ext4_rec_len(de, t->sbi->block_size);
	return true;
}

/* Starts reading the blocks of a directory from lblk on that lie together. */
static void blocks_readahead(struct inode *dir, u32 lblk)
{
	struct ext4_map map = {.lblk = lblk, .len = 2 * AHEAD};

	if (lblk % AHEAD == 0 && !ext4_map_blocks(dir, &map) && map.mapped)
		breadahead(EXT4_SB(dir->i_sb)->bdev, map.pblk, map.len, dir->i_sb->s_blocksize);
}

int ext4_dir_next_block(struct inode *dir, u64 *lblk, struct buffer_head **out)
{
	/* iget saw to it that there are no more than the volume has; the map counts in 32 bits. */
	u64 blocks = min_t(u64, i_size_read(dir) >> dir->i_blkbits, UINT32_MAX);

	*out = NULL;
	while (*lblk < blocks) {
		struct ext4_map map = {.lblk = *lblk, .len = blocks - *lblk};
		int err = ext4_map_blocks(dir, &map);

		if (err)
			return err;
		if (map.mapped) {
			blocks_readahead(dir, *lblk);
			return ext4_bread(dir, *lblk, &ext4_dir_verifier, out);
		}
		ext4_error_inode(dir, 0, "directory has a hole at block %u", map.lblk);
		*lblk += map.len;
	}
	return 0;
}

static int linear_readdir(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file->f_inode;
	unsigned bits = dir->i_blkbits;
	u64 size = i_size_read(dir);
	struct tell t = {.dir = dir, .ctx = ctx, .sbi = EXT4_SB(dir->i_sb)};

	while ((u64)ctx->pos < size && !t.full) {
		struct buffer_head *bh;
		u64 lblk = (u64)ctx->pos >> bits;
		int err = ext4_dir_next_block(dir, &lblk, &bh);

		if (err || !bh)
			return err;
		t.base = lblk << bits;
		(void)ext4_dirents_walk(bh->b_data, 0, bh->b_size, bh->b_size, tell_entry, &t);
		brelse(bh);
		if (!t.full)
			ctx->pos = t.base + dir->i_sb->s_blocksize;
	}
	return 0;
}

/* One of the dots that an inline directory does not store: at `at`, the next thing at `next`. What they are
 * is known also where entries have no types. */
static void tell_dot(struct tell *t, const char *name, u64 ino, loff_t at, loff_t next)
{
	if (t->full || t->ctx->pos > at)
		return;
	t->ctx->pos = at;
	t->full = !dir_emit(t->ctx, name, (int)at ? 2 : 1, ino, DT_DIR);
	if (!t->full)
		t->ctx->pos = next;
}

/* As Linux counts positions here: as if the entries of "." and ".." stood in front of the others. */
static int inline_readdir(struct file *file, struct dir_context *ctx)
{
	const struct inode *dir = file->f_inode;
	const loff_t dotdot = EXT4_DIR_REC_LEN(1), rest = dotdot + EXT4_DIR_REC_LEN(2);
	struct tell t = {
		.dir = dir, .ctx = ctx, .sbi = EXT4_SB(dir->i_sb), .base = rest - EXT4_INLINE_DIR_START};

	tell_dot(&t, ".", dir->i_ino, 0, dotdot);
	tell_dot(&t, "..", ext4_inline_parent(dir), dotdot, rest);
	if (!t.full)
		ext4_inline_dirents_walk(dir, tell_entry, &t);
	if (!t.full) /* behind all, also where the last entries are unused */
		ctx->pos = t.base + EXT4_I(dir)->i_body_bytes;
	return 0;
}

static int ext4_readdir(struct file *file, struct dir_context *ctx)
{
	if (ext4_is_dx(file->f_inode)) {
		int err = ext4_dx_readdir(file, ctx);

		if (err != -ENOENT)
			return err;
	}
	if (ext4_has_inline_data(file->f_inode))
		return inline_readdir(file, ctx);
	return linear_readdir(file, ctx);
}

static loff_t ext4_dir_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *dir = file->f_inode;

	if (ext4_is_dx(dir))
		return generic_file_llseek_size(file, offset, whence, EXT4_HTREE_EOF, EXT4_HTREE_EOF);
	return generic_file_llseek_size(file, offset, whence, dir->i_sb->s_maxbytes, i_size_read(dir));
}

const struct file_operations ext4_dir_operations = {
	.llseek = ext4_dir_llseek,
	.iterate_shared = ext4_readdir,
	.release = ext4_dx_release,
	.ioctl = ext4_ioctl,
};
