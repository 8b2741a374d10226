/* SPDX-License-Identifier: MIT */
/*
 * The journal's super block as the writing journal keeps it: a copy of its block in memory, changed and
 * written under j_super_mutex. All that changes lies in its first sector, so a cut leaves the old or the new.
 */
#include "base/crc.h"
#include "base/log.h"
#include "jbd2/journal_internal.h"

#include <string.h>

static struct jbd2_super_block *super_of(journal_t *journal)
{
	return (struct jbd2_super_block *)journal->j_super;
}

static int block_io(journal_t *journal, u32 jblk, void *block, blk_opf_t opf)
{
	unsigned bits = journal->j_log->block_bits;
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, journal->j_dev, &vec, 1, opf | REQ_META | REQ_SYNC);
	bio.bi_iter.bi_sector = jbd2_runs_find(journal->j_log, jblk, NULL) << (bits - SECTOR_SHIFT);
	bio_add_mem(&bio, block, 1u << bits);
	return submit_bio_wait(&bio);
}

int jbd2_write_block(journal_t *journal, u32 jblk, void *block, blk_opf_t flags)
{
	return block_io(journal, jblk, block, REQ_OP_WRITE | flags);
}

/* Under j_super_mutex. */
static int super_write(journal_t *journal, blk_opf_t flags)
{
	struct jbd2_super_block *sb = super_of(journal);

	if (journal->j_log->has_csum) {
		sb->s_checksum = cpu_to_be32(0);
		sb->s_checksum = cpu_to_be32(crc32c(~0u, sb, sizeof(*sb)));
	}
	return jbd2_write_block(journal, 0, journal->j_super, flags);
}

/*
 * If that fails, as little as its flush, the tail has not moved: whatever is written of the super block later
 * says what was true before.
 */
int jbd2_write_tail(journal_t *journal, tid_t tid, u32 jblk, blk_opf_t flags)
{
	struct jbd2_super_block *sb = super_of(journal);
	be32 sequence, start;
	int err;

	scoped_mutex_lock(&journal->j_super_mutex);
	sequence = sb->s_sequence;
	start = sb->s_start;
	sb->s_sequence = cpu_to_be32(tid);
	sb->s_start = cpu_to_be32(jblk);
	err = super_write(journal, journal->j_barrier ? flags : 0);
	if (err) {
		sb->s_sequence = sequence;
		sb->s_start = start;
	}
	return err;
}

/*
 * The features that this journal writes with. What the log was written with before may be taken away, since
 * nothing is in it.
 */
static int super_set_features(journal_t *journal, u32 incompat)
{
	const u32 keep = JBD2_FEATURE_INCOMPAT_REVOKE | JBD2_FEATURE_INCOMPAT_FAST_COMMIT;
	const u32 known =
		JBD2_FEATURE_INCOMPAT_64BIT | JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_CSUM_V3;
	struct jbd2_super_block *sb = super_of(journal);
	struct jbd2_journal *log = journal->j_log;

	journal->j_can_revoke = log->version_2;
	if (!log->version_2)
		return incompat ? -EINVAL : 0;
	log->compat &= ~(u32)JBD2_FEATURE_COMPAT_CHECKSUM;
	log->incompat = (log->incompat & keep) | (incompat & known) | JBD2_FEATURE_INCOMPAT_REVOKE;
	jbd2_set_format(log);
	sb->s_feature_compat = cpu_to_be32(log->compat);
	sb->s_feature_incompat = cpu_to_be32(log->incompat);
	sb->s_checksum_type = log->has_csum ? JBD2_CRC32C_CHKSUM : 0;
	return 0;
}

/* Whatever was recovered is on stable storage before the log forgets it. */
int jbd2_super_load(journal_t *journal, const struct jbd2_journal_options *options, tid_t next)
{
	int err = block_io(journal, 0, journal->j_super, REQ_OP_READ);

	if (!err)
		err = super_set_features(journal, options->incompat);
	return err ? err : jbd2_write_tail(journal, next, 0, REQ_PREFLUSH | REQ_FUA);
}

static int super_write_errno(journal_t *journal, int err)
{
	scoped_mutex_lock(&journal->j_super_mutex);
	super_of(journal)->s_errno = cpu_to_be32((u32)err);
	return super_write(journal, journal->j_barrier ? REQ_FUA : 0);
}

void jbd2_journal_abort(journal_t *journal, int err)
{
	bool first;

	spin_lock(&journal->j_state_lock);
	first = !test_and_set_bit(JBD2_ABORTED, &journal->j_flags);
	if (first && !journal->j_errno)
		journal->j_errno = err;
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	jbd2_gate_wake(journal);
	wake_up_all(&journal->j_wait_done);
	if (!first)
		return;
	pr_err(journal->j_machine, "jbd2 (%s): aborting the journal: error %d", journal->j_log->name, -err);
	(void)super_write_errno(journal, err);
	if (journal->j_ops && journal->j_ops->aborted)
		journal->j_ops->aborted(journal->j_host, err);
}

bool is_journal_aborted(const journal_t *journal)
{
	return journal_aborted(journal);
}

int jbd2_journal_errno(journal_t *journal)
{
	scoped_spin_lock(&journal->j_state_lock);
	return journal->j_errno;
}

int jbd2_journal_clear_err(journal_t *journal)
{
	if (journal_aborted(journal))
		return -EROFS;
	spin_lock(&journal->j_state_lock);
	journal->j_errno = 0;
	spin_unlock(&journal->j_state_lock);
	return super_write_errno(journal, 0);
}
