/* SPDX-License-Identifier: MIT */
/*
 * What a commit writes into the log: revoke blocks, then descriptors, each followed by the copies that it
 * lists, then the commit block.
 *
 * A buffer is copied under its b_state_lock into the log's memory (and then stands on the transaction's
 * t_forget list), from what was frozen of it, or else as it is: from then on the next transaction may change
 * it freely. A descriptor and its copies lie in one chunk of the writer, so it is complete when that is
 * submitted.
 */
#include "jbd2/journal_internal.h"

#include <string.h>

/* The descriptor that is being filled. */
struct group {
	u8 *block;      /* NULL: none */
	u32 next, last; /* offsets of tags */
	u32 nr, max;    /* copies */
};

static void group_close(journal_t *journal, struct group *g)
{
	if (!g->block)
		return;
	jbd2_tag_end(journal->j_log, g->block, g->last);
	jbd2_tail_csum_set(journal->j_log, g->block);
	g->block = NULL;
}

static void group_open(journal_t *journal, struct group *g, tid_t tid)
{
	if (jbd2_writer_room(journal) < 2)
		jbd2_writer_submit(journal);
	*g = (struct group){.block = jbd2_writer_next(journal), .next = sizeof(struct jbd2_header)};
	g->max = min(journal->j_tags_per_block, jbd2_writer_room(journal));
	memset(g->block, 0, journal->j_log->block_size);
	jbd2_header_set(g->block, JBD2_DESCRIPTOR_BLOCK, tid);
}

/* The content of the buffer as this transaction leaves it. */
static void stage_locked(journal_t *journal, transaction_t *t, struct journal_head *jh, u8 *copy)
	__must_hold(&jh->b_state_lock)
{
	struct buffer_head *bh = jh->b_bh;

	if (jh->b_frozen_data) {
		memcpy(copy, jh->b_frozen_data, bh->b_size);
		if (!jh->b_committed_data) {
			jbd2_copy_free(journal, jh->b_frozen_data);
			jh->b_frozen_data = NULL;
		}
	} else {
		if (jh->b_triggers)
			jh->b_triggers->t_frozen(jh->b_triggers, bh, bh->b_data, bh->b_size);
		memcpy(copy, bh->b_data, bh->b_size);
	}
	jbd2_file_buffer(jh, t, BJ_Forget);
}

/* A copy that begins like a block of the log itself would be taken for one. */
static bool escape(u8 *copy)
{
	if (get_unaligned_be32(copy) != JBD2_MAGIC)
		return false;
	put_unaligned_be32(0, copy);
	return true;
}

static void write_buffer(journal_t *journal, transaction_t *t, struct journal_head *jh, struct group *g)
{
	u64 blocknr = jh->b_bh->b_blocknr;
	u32 flags;
	u8 *copy;

	if (!g->block || g->nr == g->max) {
		group_close(journal, g);
		group_open(journal, g, t->t_tid);
	}
	copy = jbd2_writer_next(journal);
	spin_lock(&jh->b_state_lock);
	stage_locked(journal, t, jh, copy);
	spin_unlock(&jh->b_state_lock);
	flags = (escape(copy) ? JBD2_FLAG_ESCAPE : 0) | (g->nr ? JBD2_FLAG_SAME_UUID : 0);
	g->last = g->next;
	g->next = jbd2_tag_add(journal->j_log, g->block, g->last, blocknr, flags, t->t_tid, copy);
	g->nr++;
}

/* Was only looked at: goes on to the next transaction, or to nobody. */
static void skip_buffer(journal_t *journal, struct journal_head *jh)
{
	bool put;

	spin_lock(&jh->b_state_lock);
	put = jbd2_refile_buffer(jh);
	spin_unlock(&jh->b_state_lock);
	if (put)
		jbd2_head_put(journal, jh);
}

int jbd2_commit_write_log(journal_t *journal, transaction_t *t)
{
	struct group g = {NULL};

	jbd2_writer_begin(journal, t->t_log_start);
	jbd2_revoke_write(journal, t);
	for (;;) {
		struct journal_head *jh;

		spin_lock(&journal->j_list_lock);
		jh = list_first_entry_or_null(&t->t_buffers, struct journal_head, b_list);
		spin_unlock(&journal->j_list_lock);
		if (!jh)
			break;
		if (READ_ONCE(jh->b_modified))
			write_buffer(journal, t, jh, &g);
		else
			skip_buffer(journal, jh);
	}
	group_close(journal, &g);
	jbd2_writer_submit(journal);
	return jbd2_writer_wait(journal);
}

/* On stable storage when it returns, and everything before it as well. */
int jbd2_commit_write_record(journal_t *journal, transaction_t *t)
{
	const struct jbd2_journal *log = journal->j_log;
	struct jbd2_commit_header header = {0};
	u8 *block = journal->j_commit_block;
	u32 jblk = jbd2_writer_head(journal);
	s64 now = ktime_get_real(journal->j_machine);

	memset(block, 0, log->block_size);
	header.h_commit_sec = cpu_to_be64((u64)(now / NSEC_PER_SEC));
	header.h_commit_nsec = cpu_to_be32((u32)(now % NSEC_PER_SEC));
	memcpy(block, &header, sizeof(header));
	jbd2_header_set(block, JBD2_COMMIT_BLOCK, t->t_tid);
	jbd2_commit_csum_set(log, block);
	return jbd2_write_block(journal, jblk, block, journal->j_barrier ? REQ_PREFLUSH | REQ_FUA : 0);
}
