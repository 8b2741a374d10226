/* SPDX-License-Identifier: MIT */
/*
 * Recovery: walks over the log, twice.
 *
 * The first walk finds where the log ends: at the first block that does not carry the number of the
 * transaction that is expected, or at a commit that its checksum refuses. What was not committed does not
 * count. A transaction with a damaged block makes the journal unusable, unless its commit is older than the
 * one before: then these are remains of an earlier lap, and the log has ended before them.
 *
 * The second walk tells the transactions one by one: first the blocks that each replaces, then those that it
 * revokes, since a revoke counts for what its own transaction and those before it hold. So no table of
 * revokes is needed.
 *
 * Every step moves on by at least one block, and no walk goes further than once around the log; so time is
 * bounded by the journal's size, and memory by a block and a handful of numbers.
 */
#include "base/crc.h"
#include "base/log.h"
#include "jbd2/jbd2_internal.h"

#define MAX_DAMAGED 16u

struct recovery {
	struct jbd2_journal *journal;
	const struct jbd2_recovery_ops *ops;
	void *ctx;
	struct jbd2_recovery *result;
	u32 next; /* jblk */
	u32 tid;  /* of the transaction that is expected there */
	u32 left; /* blocks of the log that this walk has not passed */

	/* Of the first walk. */
	bool doubtful;   /* the transaction has a block with a wrong checksum */
	bool ended;      /* at result->end_tid; going on only to see what comes */
	u64 commit_time; /* of the last good commit, in seconds */
	u32 crc;         /* crc32_be of the transaction so far (COMPAT_CHECKSUM) */
	u64 copies;      /* in all descriptors */

	/* Of the second walk. */
	u8 *descriptor;           /* a copy of the one whose blocks are told */
	u64 damaged[MAX_DAMAGED]; /* blocks whose copy has a wrong checksum, if nothing revokes them */
	u32 nr_damaged;
};

/* Passes `count` blocks; false: the log is not so long. */
static bool pass_blocks(struct recovery *r, u32 count)
{
	struct jbd2_journal *journal = r->journal;

	if (count > r->left)
		return false;
	r->left -= count;
	r->next += count;
	if (r->next >= journal->last)
		r->next -= journal->last - journal->first;
	return true;
}

/* The next block, and its kind; 0: it is none of the expected transaction. */
static int next_block(struct recovery *r, const u8 **block, u32 *type)
{
	const struct jbd2_header *header;
	int err;

	*type = 0;
	if (!r->left)
		return 0;
	err = jbd2_read(r->journal, r->next, block);
	if (err)
		return err;
	header = (const struct jbd2_header *)*block;
	if (be32_to_cpu(header->h_magic) != JBD2_MAGIC || be32_to_cpu(header->h_sequence) != r->tid)
		return 0;
	*type = be32_to_cpu(header->h_blocktype);
	(void)pass_blocks(r, 1);
	return 0;
}

static void walk_begin(struct recovery *r)
{
	r->next = r->journal->start;
	r->tid = r->journal->sequence;
	r->left = r->journal->last - r->journal->first;
}

/*
 * Passes a descriptor's copies, which the transaction's checksum covers in the order of the log. *end: they
 * do not fit, so the transaction cannot have been committed.
 */
static int scan_descriptor(struct recovery *r, const u8 *block, bool *end)
{
	struct jbd2_journal *journal = r->journal;
	u32 count = jbd2_count_tags(journal, block), at = r->next;
	int err = 0;

	if (!jbd2_tail_csum_ok(journal, block))
		r->doubtful = true;
	r->copies += count;
	*end = !pass_blocks(r, count);
	if (!(journal->compat & JBD2_FEATURE_COMPAT_CHECKSUM) || r->ended || *end)
		return 0;
	r->crc = crc32_be(r->crc, block, journal->block_size);
	for (; !err && count; count--) {
		err = jbd2_read(journal, at, &block);
		if (!err)
			r->crc = crc32_be(r->crc, block, journal->block_size);
		at = at + 1 < journal->last ? at + 1 : journal->first;
	}
	return err;
}

static bool commit_ok(const struct recovery *r, const u8 *block)
{
	if (r->journal->compat & JBD2_FEATURE_COMPAT_CHECKSUM)
		return jbd2_commit_v1_ok(block, r->crc);
	return !r->journal->has_csum || jbd2_commit_csum_ok(r->journal, block);
}

/* Ends the transaction. *end: the log has ended before it. */
static int scan_commit(struct recovery *r, const u8 *block, bool *end)
{
	struct jbd2_journal *journal = r->journal;
	u64 time = get_unaligned_be64(block + offsetof(struct jbd2_commit_header, h_commit_sec));
	bool async = jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT);

	if (r->doubtful) {
		if (time >= r->commit_time)
			return jbd2_error(journal, -EFSBADCRC,
					  "a block of transaction %u has a wrong checksum", r->tid);
		*end = true;
		return 0;
	}
	if (r->ended && journal->compat & JBD2_FEATURE_COMPAT_CHECKSUM)
		return jbd2_error(journal, -EFSCORRUPTED, "transaction %u is damaged, and others follow it",
				  r->result->end_tid);
	if (!commit_ok(r, block)) {
		if (time < r->commit_time) {
			*end = true;
			return 0;
		}
		/*
		 * An asynchronous commit may have come to the disk before its transaction did: it was not
		 * finished. One that waited for it was, and has been damaged since.
		 */
		if (!async)
			return jbd2_error(journal, -EFSCORRUPTED, "the commit of transaction %u is damaged",
					  r->tid);
		if (!r->ended)
			r->result->end_tid = r->tid;
		r->ended = true;
	}
	r->commit_time = time;
	r->crc = ~0u;
	r->tid++;
	return 0;
}

/* Finds the end of the log. */
static int scan(struct recovery *r)
{
	const u8 *block;
	bool end = false;
	u32 type;
	int err;

	walk_begin(r);
	r->crc = ~0u;
	do {
		err = next_block(r, &block, &type);
		if (err)
			return err;
		switch (type) {
		case JBD2_DESCRIPTOR_BLOCK:
			err = scan_descriptor(r, block, &end);
			break;
		case JBD2_REVOKE_BLOCK:
			if (!jbd2_tail_csum_ok(r->journal, block))
				r->doubtful = true;
			break;
		case JBD2_COMMIT_BLOCK:
			err = scan_commit(r, block, &end);
			break;
		default:
			end = true;
		}
	} while (!err && !end);
	if (!r->ended)
		r->result->end_tid = r->tid;
	return err;
}

/* What the first walk found is not there any more. */
static int replay_changed(struct recovery *r)
{
	return jbd2_error(r->journal, -EIO, "the journal has changed while it was read");
}

static int replay_damaged(struct recovery *r, u64 block, u32 jblk)
{
	if (r->nr_damaged == MAX_DAMAGED)
		return jbd2_error(r->journal, -EFSBADCRC,
				  "copies of more than %u blocks have wrong checksums", MAX_DAMAGED);
	shale_log_ratelimited(
		r->journal->machine, LOGLEVEL_ERR,
		"jbd2 (%s): the copy of block %llu in block %u of the journal has a wrong checksum",
		r->journal->name, (unsigned long long)block, jblk);
	r->damaged[r->nr_damaged++] = block;
	return 0;
}

static int replay_tag(struct recovery *r, const struct jbd2_tag_info *tag)
{
	struct jbd2_journal *journal = r->journal;
	u32 at = r->next;
	const u8 *copy;
	int err;

	if (!pass_blocks(r, 1))
		return replay_changed(r);
	if (tag->block >= journal->volume_blocks || jbd2_runs_hold(journal, tag->block))
		return jbd2_error(journal, -EFSCORRUPTED, "transaction %u holds block %llu, which %s", r->tid,
				  (unsigned long long)tag->block,
				  tag->block >= journal->volume_blocks ? "lies outside the volume"
								       : "is the journal's own");
	if (journal->has_csum) {
		err = jbd2_read(journal, at, &copy);
		if (err)
			return err;
		if (!jbd2_tag_csum_ok(journal, tag, r->tid, copy))
			return replay_damaged(r, tag->block, at);
	}
	r->result->replayed++;
	return r->ops->replay(r->ctx, tag->block, jbd2_runs_find(journal, at, NULL),
			      tag->flags & JBD2_FLAG_ESCAPE);
}

static int replay_descriptor(struct recovery *r, const u8 *block)
{
	struct jbd2_tag_info tag;
	u32 offset = 0;
	int err = 0;

	/* The copies are read through the same window. */
	memcpy(r->descriptor, block, r->journal->block_size);
	while (!err && jbd2_next_tag(r->journal, r->descriptor, &offset, &tag))
		err = replay_tag(r, &tag);
	return err;
}

static int revoke_one(struct recovery *r, u64 block)
{
	for (u32 i = 0; i < r->nr_damaged;)
		if (r->damaged[i] == block)
			r->damaged[i] = r->damaged[--r->nr_damaged];
		else
			i++;
	if (block >= r->journal->volume_blocks)
		return 0;
	r->result->revoked++;
	return r->ops->revoke(r->ctx, block);
}

static int replay_revokes(struct recovery *r, const u8 *block)
{
	u64 revoked;
	int err = 0;

	if (!jbd2_revoke_ok(r->journal, block))
		return jbd2_error(r->journal, -EFSCORRUPTED, "a revoke block of transaction %u is overfull",
				  r->tid);
	for (u32 n = 0; !err && jbd2_revoke_get(r->journal, block, n, &revoked); n++)
		err = revoke_one(r, revoked);
	return err;
}

/* Tells the transaction's blocks, or its revokes. *revokes: it has some. */
static int replay_transaction(struct recovery *r, bool want_revokes, bool *revokes)
{
	for (;;) {
		const u8 *block;
		u32 type;
		int err = next_block(r, &block, &type);

		if (err)
			return err;
		if (type == JBD2_COMMIT_BLOCK)
			return 0;
		if (type != JBD2_DESCRIPTOR_BLOCK && type != JBD2_REVOKE_BLOCK)
			return replay_changed(r);
		if (!jbd2_tail_csum_ok(r->journal, block))
			return jbd2_error(r->journal, -EFSBADCRC,
					  "a block of transaction %u has a wrong checksum", r->tid);
		if (type == JBD2_REVOKE_BLOCK) {
			*revokes = true;
			err = want_revokes ? replay_revokes(r, block) : 0;
		} else if (!want_revokes) {
			err = replay_descriptor(r, block);
		} else if (!pass_blocks(r, jbd2_count_tags(r->journal, block))) {
			err = replay_changed(r);
		}
		if (err)
			return err;
	}
}

static int replay(struct recovery *r)
{
	walk_begin(r);
	for (; r->tid != r->result->end_tid; r->tid++) {
		u32 next = r->next, left = r->left;
		bool revokes = false;
		int err = replay_transaction(r, false, &revokes);

		if (!err && revokes) {
			r->next = next;
			r->left = left;
			err = replay_transaction(r, true, &revokes);
		}
		if (err)
			return err;
	}
	if (r->nr_damaged)
		return jbd2_error(r->journal, -EFSBADCRC, "the copy of block %llu has a wrong checksum",
				  (unsigned long long)r->damaged[0]);
	return 0;
}

int jbd2_recover(struct jbd2_journal *journal, const struct jbd2_recovery_ops *ops, void *ctx,
		 struct jbd2_recovery *result, char *why, size_t why_size)
{
	struct recovery r = {.journal = journal, .ops = ops, .ctx = ctx, .result = result};
	int err;

	*result = (struct jbd2_recovery){.first_tid = journal->sequence, .end_tid = journal->sequence};
	if (!jbd2_needs_recovery(journal))
		return 0;
	r.descriptor = kmalloc(journal->machine, journal->block_size);
	if (!r.descriptor)
		return -ENOMEM;
	journal->why = why;
	journal->why_size = why_size;
	err = scan(&r);
	if (!err && ops->begin)
		err = ops->begin(ctx, r.copies);
	if (!err)
		err = replay(&r);
	journal->why = NULL;
	kfree(r.descriptor);
	return err;
}
