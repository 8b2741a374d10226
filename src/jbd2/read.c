/* SPDX-License-Identifier: MIT */
/*
 * Reading blocks of the journal, past all caches: what is read is needed once. One window of neighbours is
 * kept. Who reads on behind it gets a window twice as long, up to 1 MiB; who jumps gets a small one, since
 * looking for descriptors leaves out what lies between them.
 *
 * The window belongs to the journal and is changed by reading only.
 */
#include "base/machine.h"
#include "jbd2/jbd2_internal.h"

#define JUMP_BYTES (16u << 10)

int jbd2_read_device(struct jbd2_journal *journal, u64 pblk, u32 count, void *data)
{
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, journal->bdev, &vec, 1, REQ_OP_READ | REQ_META);
	bio.bi_iter.bi_sector = pblk << (journal->block_bits - SECTOR_SHIFT);
	bio_add_mem(&bio, data, count << journal->block_bits);
	return submit_bio_wait(&bio);
}

static int window_read(struct jbd2_journal *journal, u32 jblk, u32 len)
{
	return jbd2_read_device(journal, jbd2_runs_find(journal, jblk, NULL), len, journal->window);
}

/* How many blocks to read from jblk on. */
static u32 window_length(struct jbd2_journal *journal, u32 jblk)
{
	u32 len, max = JBD2_WINDOW_BYTES >> journal->block_bits;

	jbd2_runs_find(journal, jblk, &len);
	len = min(len, max);
	if (journal->window_len && jblk == journal->window_first + journal->window_len)
		return min(len, journal->window_len * 2);
	return min(len, max(JUMP_BYTES >> journal->block_bits, 1u));
}

int jbd2_read(struct jbd2_journal *journal, u32 jblk, const u8 **data)
{
	if (jblk - journal->window_first >= journal->window_len) {
		u32 len = window_length(journal, jblk);
		int err;

		journal->window_len = 0;
		err = window_read(journal, jblk, len);
		if (err && len > 1) {
			/* What was wrong may lie behind the block that is wanted. */
			len = 1;
			err = window_read(journal, jblk, len);
		}
		if (err)
			return jbd2_error(journal, err, "block %u of the journal cannot be read", jblk);
		journal->window_first = jblk;
		journal->window_len = len;
	}
	*data = journal->window + ((size_t)(jblk - journal->window_first) << journal->block_bits);
	return 0;
}

u32 jbd2_fc_blocks(const struct jbd2_journal *journal)
{
	return journal->fc_blocks;
}

int jbd2_fc_read(struct jbd2_journal *journal, u32 index, void *data)
{
	const u8 *block;
	int err;

	if (!journal->start || index >= journal->fc_blocks)
		return -EINVAL;
	err = jbd2_read(journal, journal->fc_first + index, &block);
	if (!err)
		memcpy(data, block, journal->block_size);
	return err;
}
