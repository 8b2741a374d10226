/* SPDX-License-Identifier: MIT */
/*
 * The journal: a circular log of copies of blocks, by which a volume that was cut off in the middle of a
 * write comes to a state in which it was whole. It knows nothing of the file system whose blocks it holds.
 * This is opening and recovery; writing is journal.h.
 *
 * A struct jbd2_journal is what the journal's super block says, verified, and where the journal's blocks lie.
 * One thread opens, recovers and closes it. Blocks of the journal are counted from its super block (`jblk`),
 * blocks of the volume from the volume's start (`block`, `pblk`); both have the volume's block size.
 *
 * Recovery does not write: it tells, in the order of the log, which blocks of the volume are replaced by
 * which blocks of the journal (jbd2_recovery_ops). What comes later overrides what came before, and a revoked
 * block is as it would be without what was told before. Who gathers that in a table can read the volume
 * through it, or write it out.
 */
#ifndef SHALE_JBD2_H
#define SHALE_JBD2_H

#include "base/compiler.h"
#include "block/blk.h"

struct jbd2_journal;

/* Where the journal is. */
struct jbd2_place {
	struct block_device *bdev;
	const char *name; /* of the volume, for messages; as long as the journal */
	u32 block_size;
	u32 nr_blocks;     /* of the file that holds the journal */
	u64 volume_blocks; /* what a block of the volume is below; the journal's own are, too */
	bool write;        /* it is going to be loaded (journal.h) */
	/*
	 * Where jblk lies; *len: how many more follow it without a gap, this one counted, from 1 to max. An
	 * error ends the opening. Only called from jbd2_journal_open().
	 */
	int (*map)(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len);
	void *ctx;
};

/*
 * Reads and verifies the journal's super block, and learns where its blocks lie. -EFSCORRUPTED (EUCLEAN),
 * -EFSBADCRC (EBADMSG), -EINVAL (geometry that Linux refuses so), -EOPNOTSUPP (an unknown feature), -EIO,
 * -ENOMEM. `why` (of why_size bytes) says it in words, without the volume's name; so does the machine's log.
 */
int jbd2_journal_open(const struct jbd2_place *place, char *why, size_t why_size,
		      struct jbd2_journal **out) __must_check;
void jbd2_journal_close(struct jbd2_journal *journal); /* NULL is fine */

/* What the super block says. */
bool jbd2_needs_recovery(const struct jbd2_journal *journal);    /* the log is not empty */
bool jbd2_may_have_features(const struct jbd2_journal *journal); /* false: of version 1 */
int jbd2_errno(const struct jbd2_journal *journal);              /* negative; 0: the journal had not failed */

struct jbd2_recovery_ops {
	/* Before all others: at most so many calls of `replay` will come. Optional. */
	int (*begin)(void *ctx, u64 max_blocks);
	/*
	 * `block` is what block `pblk` of the journal's device holds; escaped: but for its first four bytes,
	 * which are JBD2_MAGIC, big-endian. Both numbers are below volume_blocks, and no journal block is
	 * ever replaced. An error ends the recovery.
	 */
	int (*replay)(void *ctx, u64 block, u64 pblk, bool escaped);
	/* Whatever was replayed of this block so far does not count. */
	int (*revoke)(void *ctx, u64 block);
};

struct jbd2_recovery {
	u32 first_tid, end_tid; /* transactions [first, end) are in the log */
	u64 replayed, revoked;  /* calls of the operations */
};

/*
 * Finds the end of the log and replays it. -EFSBADCRC: a block of it is damaged; -EFSCORRUPTED: it makes no
 * sense; -EIO; or what an operation said. In words: `why`, as above. With an empty log nothing is told, and
 * end_tid is the next transaction.
 */
int jbd2_recover(struct jbd2_journal *journal, const struct jbd2_recovery_ops *ops, void *ctx,
		 struct jbd2_recovery *result, char *why, size_t why_size) __must_check;

/*
 * The same, told to a remap (block/remap.h) over the journal's device, through which the volume is then seen
 * as recovery leaves it.
 */
struct blk_remap;
int jbd2_recover_into(struct jbd2_journal *journal, struct blk_remap *remap, struct jbd2_recovery *result,
		      char *why, size_t why_size) __must_check;
/*
 * The same, written: each block to its place, without a flush. The log stays as it is, so a cut here means to
 * do it once more; jbd2_journal_load() ends it.
 */
int jbd2_recover_device(struct jbd2_journal *journal, struct jbd2_recovery *result, char *why,
			size_t why_size) __must_check;

/*
 * The fast-commit area, which lies behind the log: how many blocks it has (0: the feature is off), and the
 * index'th of them, to be read after recovery. Valid fast commits carry the number end_tid, begin with block
 * 0 and go on without a gap; where they end is for the file system to say. -EINVAL: no such block, or the
 * log was empty; -EIO.
 */
u32 jbd2_fc_blocks(const struct jbd2_journal *journal);
int jbd2_fc_read(struct jbd2_journal *journal, u32 index, void *data) __must_check;

#endif
