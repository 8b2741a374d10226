/* SPDX-License-Identifier: MIT */
/*
 * How the check reads: whole runs of blocks at a time, into memory of the pass that asks, around the page
 * cache; what is read is read once.
 */
#include "fs/ext4/check/check_internal.h"

#define BUF_ALIGN 4096 /* what devices that are read directly may want */

static void *make_buf(struct check *c, u32 blocks)
{
	return kmalloc_aligned(c->machine, array_size(blocks, c->sbi->block_size), BUF_ALIGN);
}

void *check_run_buf(struct check *c)
{
	if (!c->run_buf)
		c->run_buf = make_buf(c, c->run_blocks);
	return c->run_buf;
}

void *check_block_buf(struct check *c, unsigned level)
{
	if (!c->block_bufs[level])
		c->block_bufs[level] = make_buf(c, 1);
	return c->block_bufs[level];
}

static int make_bio(struct check *c, u64 pblk, u32 count, void *buf, struct bio **out)
{
	int err = bio_alloc(c->sbi->bdev, 1, REQ_OP_READ | REQ_META | REQ_SYNC, out);

	if (err)
		return err;
	(*out)->bi_iter.bi_sector = pblk << (c->sbi->block_bits - SECTOR_SHIFT);
	(void)bio_add_mem(*out, buf, count << c->sbi->block_bits);
	return 0;
}

/* How many of the first blocks of the list lie one behind the other. */
static u32 run_length(const u64 *pblk, u32 count)
{
	u32 n = 1;

	while (n < count && pblk[n] == pblk[0] + n)
		n++;
	return n;
}

int check_read_list(struct check *c, const u64 *pblk, u32 count, void *buf)
{
	struct blk_plug plug;
	struct bio *first, *bio;
	u32 at;
	int err, read_err;

	if (c->stop)
		return -ECANCELED;
	if (!count)
		return 0;
	at = run_length(pblk, count);
	err = make_bio(c, pblk[0], at, buf, &first);
	if (err)
		return err;
	blk_start_plug(&plug);
	while (at < count) {
		u32 n = run_length(pblk + at, count - at);

		err = make_bio(c, pblk[at], n, (u8 *)buf + ((size_t)at << c->sbi->block_bits), &bio);
		if (err)
			break;
		bio_chain(bio, first); /* the first ends when all have */
		submit_bio(bio);
		at += n;
	}
	read_err = submit_bio_wait(first);
	blk_finish_plug(&plug);
	bio_put(first);
	return read_err ? read_err : err;
}

int check_read(struct check *c, u64 pblk, u32 count, void *buf)
{
	struct bio *bio;
	int err;

	if (c->stop)
		return -ECANCELED;
	err = make_bio(c, pblk, count, buf, &bio);
	if (err)
		return err;
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

int check_inode_read(struct check *c, u32 ino, const u8 **raw)
{
	u32 group = (ino - 1) / c->sbi->inodes_per_group, index = (ino - 1) % c->sbi->inodes_per_group;
	u32 block = index / c->sbi->inodes_per_block;
	u64 pblk;
	int err;

	if (c->groups[group].bad_table)
		return -EFSCORRUPTED;
	if (!c->inode_buf)
		c->inode_buf = make_buf(c, 1);
	if (!c->inode_buf)
		return -ENOMEM;
	*raw = (u8 *)c->inode_buf + (size_t)(index % c->sbi->inodes_per_block) * c->sbi->inode_size;
	pblk = c->groups[group].desc.inode_table + block;
	if (pblk == c->inode_buf_pblk)
		return 0;
	c->inode_buf_pblk = 0;
	err = check_read(c, pblk, 1, c->inode_buf);
	if (!err)
		c->inode_buf_pblk = pblk;
	return err;
}
