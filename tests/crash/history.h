/* SPDX-License-Identifier: MIT */
/*
 * What a program may rely on when the power was cut: given the operations of a workload, which of them had
 * been begun and which had returned with a promise, is this tree one that may be found?
 *
 * (1) Names, links, modes, attributes and sizes are those after a prefix of the operations. An operation that
 *     changes a size may stand in between, with a size in between.
 * (2) The prefix holds everything before a sync of all or of a directory; of a file that was synced, all that
 *     made it what it is (fdatasync: its size and what lies where). A write that syncs does so for its part.
 * (3) Each sector of a file holds what it held after some operation, from the last that synced the file's
 *     data to the last that was begun: never another file's bytes, nor what was cut off in the prefix, nor
 *     what was written to the blocks after the prefix had lost them.
 * (4) A file that was renamed over another one, or written after it was truncated to nothing, has its data as
 *     soon as the prefix holds that operation.
 * (5) In ordered mode data that made a file longer is there if the size is.
 */
#ifndef SHALE_TESTS_CRASH_HISTORY_H
#define SHALE_TESTS_CRASH_HISTORY_H

#include "crash/apply.h"

struct history {
	const struct op_world *world;
	const struct op *ops;
	unsigned nr_ops;
	bool ordered; /* (5) */
	struct arena arena;
	struct tree *trees; /* after so many operations: nr_ops + 1 */
	bool *failed;       /* an operation that did nothing */
	unsigned *least;    /* by operation: the prefix that is kept once it has returned with its promise */
};

/*
 * `start` is the tree before the first operation; results are what the operations returned. False: one is not
 * what the model says (a full disk is), which is told on stdout.
 */
bool history_make(struct history *h, const struct op_world *world, const struct tree *start,
		  const struct op *ops, const long *results, unsigned nr_ops);
void history_free(struct history *h);

/* Does the operation promise something when it returns? */
bool op_promises(const struct op *op);

/*
 * May `found` be there, when operations before `begun` had been begun, and `promised` (-1: none) was the last
 * to have returned with a promise? If not, `why` says what is wrong with it.
 */
bool history_allows(const struct history *h, const struct tree *found, int promised, unsigned begun,
		    char *why, size_t size);

#endif
