/* SPDX-License-Identifier: MIT */
/*
 * What a disk was asked to do, as the enumeration reads it: the record of a log filter
 * (drivers/write_log.h), taken apart into blocks, with hashes of their sectors, and the workload's marks.
 *
 * A write becomes one unit if it is file data, and one unit for each block of the file system else: the block
 * layer joins neighbours as it likes, but a disk promises nothing about more than one block. The owner of a
 * record frees it; it has copies of everything.
 */
#ifndef SHALE_TESTS_CRASH_RECORD_H
#define SHALE_TESTS_CRASH_RECORD_H

#include "block/blk_types.h"

struct write_log;

enum record_kind { RECORD_WRITE, RECORD_FLUSH, RECORD_MARK };

/* What a write is for. Metadata is atomic block by block; the journal's blocks and file data may tear. */
enum record_use { RECORD_DATA, RECORD_META, RECORD_JOURNAL };

/* The workload's marks: "begin N" before operation N, "done N" after it, "promise N" after one that syncs. */
enum record_mark { MARK_BEGIN, MARK_DONE, MARK_PROMISE };

struct record_entry {
	enum record_kind kind;
	/* Readings of the log's counter: see write_log.h. ended 0: never, or it failed. */
	u64 started, ended;
	/* Of writes; discards and zeroes are writes of zeroes. */
	enum record_use use;
	bool fua;
	u64 sector, nr;
	const u8 *data; /* NULL: zeroes */
	u64 *hashes;
	/* Of marks. */
	enum record_mark mark;
	unsigned op;
};

struct record {
	struct record_entry *entries;
	size_t nr, room;
};

struct record_rules {
	unsigned block_bytes; /* of the file system, at most the disk's physical block */
	/* What the write of these sectors is for; `meta`: it was marked as metadata. */
	enum record_use (*use)(void *ctx, u64 sector, u64 nr, bool meta);
	void *ctx;
};

/* Adds what the log holds from entry `first` on. */
void record_import(struct record *record, struct write_log *log, size_t first,
		   const struct record_rules *rules);
/* Adds one as it is. A write's data is copied. */
void record_add(struct record *record, const struct record_entry *entry);
/* Adds a write in units, as record_import does. */
void record_add_write(struct record *record, const struct record_entry *write,
		      const struct record_rules *rules, bool meta);
void record_free(struct record *record);

/* The mark's text, for write_log_mark. */
void record_mark_text(enum record_mark mark, unsigned op, char *text, size_t size);

#endif
