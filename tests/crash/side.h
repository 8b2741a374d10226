/* SPDX-License-Identifier: MIT */
/*
 * Where a workload runs: a directory of the kernel's, or of a shale machine. Results are those of the system
 * calls, negative errno on failure; paths begin at the directory.
 */
#ifndef SHALE_TESTS_CRASH_SIDE_H
#define SHALE_TESTS_CRASH_SIDE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "crash/op.h"
#include "crash/tree.h"

struct shale_task;

struct side {
	const struct side_calls *calls;
	char top[128];
	struct shale_task *task; /* of shale's side */
};

struct side_calls {
	long (*open)(struct side *side, const char *path, int flags, mode_t mode);
	long (*close)(struct side *side, int fd);
	long (*pwrite)(struct side *side, int fd, const void *data, size_t bytes, off_t at);
	long (*pread)(struct side *side, int fd, void *data, size_t bytes, off_t at);
	long (*fsync)(struct side *side, int fd);
	long (*fdatasync)(struct side *side, int fd);
	long (*syncfs)(struct side *side, int fd);
	long (*ftruncate)(struct side *side, int fd, off_t size);
	long (*fallocate)(struct side *side, int fd, int mode, off_t at, off_t bytes);
	long (*mkdir)(struct side *side, const char *path, mode_t mode);
	long (*unlink)(struct side *side, const char *path, int flags);
	long (*link)(struct side *side, const char *path, const char *path2);
	long (*symlink)(struct side *side, const char *target, const char *path);
	long (*rename)(struct side *side, const char *path, const char *path2, unsigned flags);
	long (*chmod)(struct side *side, const char *path, mode_t mode);
	long (*setxattr)(struct side *side, const char *path, const char *name, const void *value,
			 size_t size);
	long (*removexattr)(struct side *side, const char *path, const char *name);
	long (*lstat)(struct side *side, const char *path, struct stat *st);
	long (*readlink)(struct side *side, const char *path, char *target, size_t size);
	long (*getdents)(struct side *side, int fd, void *entries, size_t size);
	long (*lgetxattr)(struct side *side, const char *path, const char *name, void *value, size_t size);
	long (*llistxattr)(struct side *side, const char *path, char *names, size_t size);
};

void side_kernel(struct side *side, const char *top);
void side_shale(struct side *side, struct shale_task *task, const char *top);

/* Does the operation; what it returned. */
long side_do(struct side *side, const struct op *op);
/* Finds what there is. 0, or the negative errno of a call that must not fail; then `where` says which. */
int side_look(struct side *side, struct arena *arena, struct tree *out, char *where, size_t size);

#endif
