/* SPDX-License-Identifier: MIT */
/* See xattrs.c. */
#ifndef SHALE_TOOL_XATTRS_H
#define SHALE_TOOL_XATTRS_H

#include <stddef.h>

struct shale_task;

/* Calls fn for each attribute of the file (symlinks are not followed). Negative errno when they cannot be
 * read. */
int xattrs_each(struct shale_task *task, const char *path,
		void (*fn)(void *arg, const char *name, const void *value, size_t size), void *arg);

#endif
