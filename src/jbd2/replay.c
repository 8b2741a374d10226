/* SPDX-License-Identifier: MIT */
/*
 * Recovery into a remap: which blocks come from the journal is gathered in a table, in which later copies
 * take the place of earlier ones, and revokes take them out. Reading sees the volume through it; writing
 * writes each block once, in the end, so that revoked copies never touch their places.
 */
#include "block/remap.h"
#include "jbd2/jbd2_internal.h"

static int replay_begin(void *ctx, u64 max_blocks)
{
	return blk_remap_reserve(ctx, max_blocks);
}

static int replay_block(void *ctx, u64 block, u64 pblk, bool escaped)
{
	struct blk_remap *remap = ctx;
	void *data;
	int err = blk_remap_add(remap, block, pblk);

	if (err || !escaped)
		return err;
	err = blk_remap_copy(remap, block, &data);
	if (!err)
		put_unaligned_be32(JBD2_MAGIC, data);
	return err;
}

static int replay_revoke(void *ctx, u64 block)
{
	blk_remap_forget(ctx, block);
	return 0;
}

static const struct jbd2_recovery_ops replay_ops = {
	.begin = replay_begin, .replay = replay_block, .revoke = replay_revoke};

int jbd2_recover_into(struct jbd2_journal *journal, struct blk_remap *remap, struct jbd2_recovery *result,
		      char *why, size_t why_size)
{
	return jbd2_recover(journal, &replay_ops, remap, result, why, why_size);
}

int jbd2_recover_device(struct jbd2_journal *journal, struct jbd2_recovery *result, char *why,
			size_t why_size)
{
	struct blk_remap *remap;
	int err = blk_remap_create(journal->bdev, journal->block_size, &remap);

	if (err)
		return err;
	err = jbd2_recover_into(journal, remap, result, why, why_size);
	if (!err)
		err = blk_remap_write(remap);
	blk_remap_destroy(remap);
	return err;
}
