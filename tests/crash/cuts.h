/* SPDX-License-Identifier: MIT */
/*
 * All states in which a cut of the power may leave a disk, from the record of what it was asked to do.
 *
 * The disk has a cache that may write in any order and lose what it was not told to flush:
 * (1) when a flush has ended, everything that had ended before it was started is there, and stays;
 * (2) when a write with FUA has ended, it is there, and stays;
 * (3) of all other writes that were started before the cut, ended or not, any may be there, in any choice;
 *     where two overlap, the one that was started later lies over the other;
 * (4) a unit (record.h) is there whole or not at all; but the last one that was started before the cut, if it
 *     is of the journal or of a file, may be there in part, torn between two sectors.
 * Of a discard there may be all or nothing; what is discarded reads as zeroes.
 *
 * The cut moves from event to event. The states that are new at an event are those that have the unit just
 * started: every choice of the other optional ones while these are at most `all_up_to`; beyond, only the one
 * with all of them, and at the end of an epoch (a flush ends, or the workload is promised something) all
 * choices with at most two missing or at most two present, and `by_seed` others.
 *
 * A state that was visited is visited again only when more is promised by then.
 */
#ifndef SHALE_TESTS_CRASH_CUTS_H
#define SHALE_TESTS_CRASH_CUTS_H

#include "crash/record.h"
#include "crash/state.h"

struct cut {
	const char *id; /* which state it is: the same for the same record and options */
	/*
	 * Operations before this number had been begun when the state first could come to be, or have kept
	 * their promise since without writing.
	 */
	unsigned begun;
	int promised; /* the last operation that had returned with a promise, -1: none */
	bool first;   /* not seen before with a weaker promise */
};

struct cut_options {
	unsigned all_up_to;  /* 0: 10 */
	unsigned by_seed;    /* 0: 500 */
	unsigned most_pairs; /* of those that are missing, or present, at most so many, chosen by seed; 0: all
			      */
	u64 seed;
	const char *only; /* visit this state alone; NULL: all */
};

struct cut_counts {
	u64 made, visited; /* before and after merging equal ones */
};

/* Looks at the state, and may write to it: that is undone. Anything but 0 ends the enumeration. */
typedef int (*cut_visit_fn)(void *ctx, struct state *state, const struct cut *cut);

/* Over the state as it is, which is as it was before the record's first write. What the last visit returned.
 */
int cuts_visit(struct state *state, const struct record *record, const struct cut_options *options,
	       cut_visit_fn visit, void *ctx, struct cut_counts *counts);

#endif
