/* SPDX-License-Identifier: MIT */
/*
 * The record of a log filter (log+DISK), for who asks what a disk may hold after the power was cut: every
 * write, flush and discard in the order in which the filter got them, with data, and marks set by the caller.
 *
 * Each entry carries two readings of one counter, which goes up by one at every start and every end: when it
 * was started, and when it was ended. What a flush F promises is then plain: every write W with W.ended != 0
 * and W.ended < F.started is on stable storage once F has ended; a write with FUA is so by itself once it has
 * ended; of all others any part may be there, in any order. A write that ended with an error promises
 * nothing.
 *
 * The record belongs to the disk; write_log_get takes a reference which outlives it. Entries are only ever
 * added (up to write_log_clear), and one that was given out by write_log_entry stays valid until then; its
 * `ended` and `status` are written when it ends, which write_log_entry reads safely.
 */
#ifndef SHALE_DRIVERS_WRITE_LOG_H
#define SHALE_DRIVERS_WRITE_LOG_H

#include "base/compiler.h"
#include "base/types.h"

struct shale;
struct block_device;
struct write_log;

enum write_log_op { WRITE_LOG_WRITE, WRITE_LOG_FLUSH, WRITE_LOG_DISCARD, WRITE_LOG_ZEROES, WRITE_LOG_MARK };

struct write_log_entry {
	enum write_log_op op;
	bool fua;
	bool meta;       /* marked as metadata (REQ_META) */
	sector_t sector; /* of writes, discards, zeroes */
	u64 bytes;
	const void *data;   /* `bytes` of a write; the text of a mark, with a NUL */
	u64 started, ended; /* readings of the counter, from 1; ended 0: it has not */
	int status;         /* 0 or negative errno, once it has ended */
};

/* The record of the log filter that was opened with ?log=LABEL, or with NULL of the one opened last. -ENOENT.
 */
int write_log_get(struct shale *machine, const char *label, struct write_log **out) __must_check;
void write_log_put(struct write_log *log);

/* How many entries there are; they are numbered from 0. */
size_t write_log_count(struct write_log *log);
/* -ENOENT: no such. */
int write_log_entry(struct write_log *log, size_t index, struct write_log_entry *entry) __must_check;
/* Adds a mark with a text. -ENOMEM. */
int write_log_mark(struct write_log *log, const char *text) __must_check;
/* The entry number of the first mark with that text at or after `from`; -ENOENT. */
ssize_t write_log_find_mark(struct write_log *log, const char *text, size_t from);
/* Forgets all entries. Requests in flight at that time are not recorded. */
void write_log_clear(struct write_log *log);

/* Stops and starts recording; it begins with recording on. */
void write_log_enable(struct write_log *log, bool on);

/* Does entries [first, first + nr) again on another disk, in order, without the flushes. The disk's error. */
int write_log_replay(struct write_log *log, size_t first, size_t nr,
		     struct block_device *target) __must_check;
/* The same for one entry, of which only the first `sectors` arrive (a torn write). */
int write_log_replay_part(struct write_log *log, size_t index, u64 sectors,
			  struct block_device *target) __must_check;

#endif
