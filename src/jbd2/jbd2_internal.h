/* SPDX-License-Identifier: MIT */
/*
 * What the files of jbd2 share: the journal in memory.
 *
 * All of it is one thread's, which opens, recovers and closes the journal.
 */
#ifndef SHALE_JBD2_INTERNAL_H
#define SHALE_JBD2_INTERNAL_H

#include "base/alloc.h"
#include "base/compiler.h"
#include "jbd2/jbd2.h"
#include "jbd2/jbd2_format.h"

#include <errno.h>

#define EFSCORRUPTED EUCLEAN
#define EFSBADCRC    EBADMSG

/* Blocks of the journal that lie one behind the other. */
struct jbd2_run {
	u64 pblk;
	u32 jblk, len;
};

struct jbd2_journal {
	struct shale *machine;
	struct block_device *bdev;
	const char *name;
	u32 block_size;
	unsigned block_bits;
	u64 volume_blocks;

	/* Of the super block. The log is a circle of the blocks [first, last). */
	u32 maxlen, first, last;
	u32 start, sequence;
	u32 fc_first, fc_blocks;
	int error;
	bool version_2; /* has features at all */
	u32 compat, incompat;
	bool has_csum; /* v2 or v3: each block has a checksum */
	u32 csum_seed;
	u32 tag_bytes;
	u8 uuid[JBD2_UUID_BYTES];

	/* runs.c: by jblk; and their indices by pblk. last_run is a guess, the rest does not change. */
	struct jbd2_run *runs;
	u32 *by_pblk;
	u32 nr_runs, max_runs, last_run;

	/* Where the log is empty there is no window, and without jbd2_place.write there are no runs. */
	/* read.c: the blocks [window_first, window_first + window_len) of the journal. */
	u8 *window;
	u32 window_first, window_len;

	/* Where the words of an error go; NULL between calls. */
	char *why;
	size_t why_size;
};

static inline bool jbd2_has_incompat(const struct jbd2_journal *journal, u32 bits)
{
	return journal->incompat & bits;
}

/* Says what is wrong, to the log and to the caller's `why`; returns err. journal.c */
int jbd2_error(struct jbd2_journal *journal, int err, const char *fmt, ...) __printf(3, 4);

/* Takes the features of the log as they are in compat and incompat. */
void jbd2_set_format(struct jbd2_journal *journal);

/* runs.c */
int jbd2_runs_learn(struct jbd2_journal *journal, const struct jbd2_place *place) __must_check;
void jbd2_runs_free(struct jbd2_journal *journal);
/* Where jblk lies, which is below maxlen; *len (if not NULL): the blocks that follow, this one counted. */
u64 jbd2_runs_find(struct jbd2_journal *journal, u32 jblk, u32 *len);
/* Is this block of the volume one of the journal's own? */
bool jbd2_runs_hold(const struct jbd2_journal *journal, u64 pblk);

/* read.c */
#define JBD2_WINDOW_BYTES (1u << 20)
int jbd2_read_device(struct jbd2_journal *journal, u64 pblk, u32 count, void *data) __must_check;
/* The block, which lies in a run; *data stays until the next read. Neighbours are read with it. */
int jbd2_read(struct jbd2_journal *journal, u32 jblk, const u8 **data) __must_check;

/* log_block.c: what the blocks of the log say, and how they are made to say it. */
struct jbd2_tag_info {
	u64 block;
	u32 flags;
	u32 checksum; /* what is stored: 32 bits with CSUM_V3, else 16 */
};
/*
 * The tag at *offset, which is 0 for the first; moves it on. False: there is none. The block is one of
 * block_size bytes.
 */
bool jbd2_next_tag(const struct jbd2_journal *journal, const u8 *block, u32 *offset,
		   struct jbd2_tag_info *tag);
u32 jbd2_count_tags(const struct jbd2_journal *journal, const u8 *block);
bool jbd2_tag_csum_ok(const struct jbd2_journal *journal, const struct jbd2_tag_info *tag, u32 tid,
		      const u8 *copy);
/* Of a descriptor or revoke block; true where blocks have no checksums. */
bool jbd2_tail_csum_ok(const struct jbd2_journal *journal, const u8 *block);
/* Of a commit block itself (CSUM_V2, CSUM_V3). */
bool jbd2_commit_csum_ok(const struct jbd2_journal *journal, const u8 *block);
/* Of the transaction: crc is crc32_be of its descriptors and copies (COMPAT_CHECKSUM). */
bool jbd2_commit_v1_ok(const u8 *block, u32 crc);
/*
 * The nth number of a revoke block. False: there is no such. jbd2_revoke_ok: the count fits the block.
 */
bool jbd2_revoke_ok(const struct jbd2_journal *journal, const u8 *block);
bool jbd2_revoke_get(const struct jbd2_journal *journal, const u8 *block, u32 n, u64 *out);
void jbd2_header_set(u8 *block, u32 type, u32 tid);
/* How many tags, or revokes, a block has room for. */
u32 jbd2_max_tags(const struct jbd2_journal *journal);
u32 jbd2_max_revokes(const struct jbd2_journal *journal);
/*
 * A tag at offset `at`, for the first behind the block's header and without SAME_UUID; returns where the next
 * goes. There are fewer than jbd2_max_tags() already. _end: the one at `at` was the last.
 */
u32 jbd2_tag_add(const struct jbd2_journal *journal, u8 *block, u32 at, u64 blocknr, u32 flags, u32 tid,
		 const u8 *copy);
void jbd2_tag_end(const struct jbd2_journal *journal, u8 *block, u32 at);
/* The nth number, which is the last for now. */
void jbd2_revoke_set(const struct jbd2_journal *journal, u8 *block, u32 n, u64 blocknr);
void jbd2_tail_csum_set(const struct jbd2_journal *journal, u8 *block);
void jbd2_commit_csum_set(const struct jbd2_journal *journal, u8 *block);

#endif
