/* SPDX-License-Identifier: MIT */
/* Between history.c (trees) and data.c (bytes). */
#ifndef SHALE_TESTS_CRASH_HISTORY_INTERNAL_H
#define SHALE_TESTS_CRASH_HISTORY_INTERNAL_H

#include "crash/history.h"

/* The node that operation number `op` is about, before it. */
int op_node(const struct history *h, unsigned op);
/* Did it succeed, and is it about that node? */
bool op_is_on(const struct history *h, unsigned op, unsigned node);

/* Do the files hold bytes that they may, if the tree is that after k operations? (3) to (5) */
bool data_allowed(const struct history *h, const struct tree *found, unsigned k, int promised, unsigned begun,
		  char *why, size_t size);

#endif
