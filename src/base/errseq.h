/* SPDX-License-Identifier: MIT */
/*
 * errseq_t: an error, and a count of errors, in one word, so that each of many watchers learns once of each
 * error that came after it began to watch. Bits 0..11: the errno as a positive number; bit 12: somebody has
 * seen it; above: the count, which moves on only when the last error was seen.
 */
#ifndef SHALE_BASE_ERRSEQ_H
#define SHALE_BASE_ERRSEQ_H

#include "base/atomic.h"

typedef u32 errseq_t;

/* Records `err` (a negative errno). */
errseq_t errseq_set(errseq_t *eseq, int err);
/* The point from which a new watcher looks on: an error that nobody has seen yet will still be told to it. */
errseq_t errseq_sample(errseq_t *eseq);
/* The last error if nobody has seen it, or 0. */
int errseq_unseen(const errseq_t *eseq);
/* The last error since `since`, or 0; nothing moves. */
int errseq_check(errseq_t *eseq, errseq_t since);
/* The same, and moves *since (which the caller locks) so that it is told once. */
int errseq_check_and_advance(errseq_t *eseq, errseq_t *since);

#endif
