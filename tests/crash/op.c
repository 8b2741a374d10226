/* SPDX-License-Identifier: MIT */
/* Single operations: what they write, and how they are told. */
#include "crash/op.h"

#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

static u64 op_word(unsigned number, u64 word)
{
	return hash_mix64(((u64)number + 1) << 40 ^ word);
}

u8 op_byte(unsigned number, u64 offset)
{
	return op_word(number, offset / 8) >> (offset % 8 * 8);
}

void op_fill(unsigned number, u64 offset, void *data, size_t bytes)
{
	u8 *to = data;
	size_t i = 0;

	for (; i < bytes && (offset + i) % 8; i++)
		to[i] = op_byte(number, offset + i);
	for (; i + 8 <= bytes; i += 8) {
		u64 word = op_word(number, (offset + i) / 8);

		memcpy(to + i, &word, 8);
	}
	for (; i < bytes; i++)
		to[i] = op_byte(number, offset + i);
}

void op_target(const struct op *op, char *target)
{
	for (u64 i = 0; i < op->length; i++)
		target[i] = i % 40 == 39 ? '/' : 'a' + op_byte(op->number, i) % 26;
	target[op->length] = '\0';
}

static const char *const kind_words[] = {
	[OP_CREAT] = "creat",     [OP_MKDIR] = "mkdir",       [OP_LINK] = "link",
	[OP_SYMLINK] = "symlink", [OP_UNLINK] = "unlink",     [OP_RMDIR] = "rmdir",
	[OP_RENAME] = "rename",   [OP_TRUNCATE] = "truncate", [OP_FALLOCATE] = "fallocate",
	[OP_WRITE] = "write",     [OP_SETXATTR] = "setxattr", [OP_REMOVEXATTR] = "removexattr",
	[OP_CHMOD] = "chmod",     [OP_FSYNC] = "fsync",       [OP_FDATASYNC] = "fdatasync",
	[OP_SYNC] = "sync",
};

static const struct {
	enum op_kind kind;
	int flag;
	const char *word;
} flag_words[] = {
	{OP_RENAME, 1, " noreplace"},
	{OP_RENAME, 2, " exchange"},
	{OP_FALLOCATE, FALLOC_FL_KEEP_SIZE, " keep"},
	{OP_FALLOCATE, FALLOC_FL_PUNCH_HOLE, " punch"},
	{OP_FALLOCATE, FALLOC_FL_COLLAPSE_RANGE, " collapse"},
	{OP_FALLOCATE, FALLOC_FL_ZERO_RANGE, " zero"},
	{OP_FALLOCATE, FALLOC_FL_INSERT_RANGE, " insert"},
	{OP_WRITE, O_APPEND, " append"},
	{OP_WRITE, O_DSYNC, " dsync"},
	{OP_WRITE, O_SYNC & ~O_DSYNC, " sync"},
	{OP_WRITE, O_DIRECT, " direct"},
};

void op_print(const struct op *op, char *text, size_t size)
{
	int n = snprintf(text, size, "%s", kind_words[op->kind]);

	if (op->path[0])
		n += snprintf(text + n, size - n, " %s", op->path);
	if (op->path2[0])
		n += snprintf(text + n, size - n, " %s", op->path2);
	if (op->kind == OP_WRITE || op->kind == OP_FALLOCATE)
		n += snprintf(text + n, size - n, " at %llu", (unsigned long long)op->offset);
	if (op->length || op->kind == OP_TRUNCATE)
		n += snprintf(text + n, size - n, " of %llu", (unsigned long long)op->length);
	if (op->kind == OP_CHMOD)
		n += snprintf(text + n, size - n, " %o", op->flags);
	for (unsigned i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++)
		if (flag_words[i].kind == op->kind && op->flags & flag_words[i].flag)
			n += snprintf(text + n, size - n, "%s", flag_words[i].word);
}
