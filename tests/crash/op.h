/* SPDX-License-Identifier: MIT */
/*
 * Operations of a workload, and workloads: one list that is not cut (the setup, which ends with a sync), and
 * one that is. A workload follows from its number, or its seed, alone. Bytes that are written follow from the
 * operation's number and their place in the file, so that each byte found tells where it comes from.
 */
#ifndef SHALE_TESTS_CRASH_OP_H
#define SHALE_TESTS_CRASH_OP_H

#include <fcntl.h>

#include "base/types.h"

enum op_kind {
	OP_CREAT,
	OP_MKDIR,
	OP_LINK,
	OP_SYMLINK,
	OP_UNLINK,
	OP_RMDIR,
	OP_RENAME, /* flags: RENAME_* */
	OP_TRUNCATE,
	OP_FALLOCATE, /* flags: FALLOC_FL_* */
	OP_WRITE,     /* flags: O_APPEND, O_SYNC, O_DSYNC, O_DIRECT */
	OP_SETXATTR,  /* path2: the name; length: of the value */
	OP_REMOVEXATTR,
	OP_CHMOD, /* flags: the mode */
	OP_FSYNC, /* of a file or a directory */
	OP_FDATASYNC,
	OP_SYNC, /* syncfs */
	NR_OP_KINDS
};

struct op {
	enum op_kind kind;
	unsigned number; /* of those that write: what they write */
	char path[48], path2[48];
	int flags;
	u64 offset, length;
};

/* The byte that operation `number` writes at the offset of a file, or of an attribute's value. */
u8 op_byte(unsigned number, u64 offset);
void op_fill(unsigned number, u64 offset, void *data, size_t bytes);
/* Of a symlink: `length` bytes that name nothing. */
void op_target(const struct op *op, char *target);
/* In words. */
void op_print(const struct op *op, char *text, size_t size);

/* What a file system under test can do. */
struct op_world {
	unsigned block_bytes;
	bool ranges; /* fallocate with zeroing, collapsing and inserting */
	bool direct;
};

struct workload {
	struct op *setup, *ops;
	unsigned nr_setup, nr_ops, room_setup, room_ops;
	char name[64];
};

/* All of the bounded set: every operation by itself, followed by every kind of sync. */
unsigned workload_seq1_count(const struct op_world *world);
void workload_seq1(const struct op_world *world, unsigned index, struct workload *out);
/* Two operations and kinds of sync, by seed. */
void workload_seq2(const struct op_world *world, u64 seed, struct workload *out);
/* A random history of so many. */
void workload_random(const struct op_world *world, u64 seed, unsigned nr, struct workload *out);
void workload_free(struct workload *workload);

#endif
