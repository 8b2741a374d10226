/* SPDX-License-Identifier: MIT */
/*
 * Workloads of a file system under the harness: every state that a cut may leave is recovered, checked, and
 * held against what was promised (history.h). A state that breaks a promise is told with the words that
 * repeat it, and its disk is kept.
 */
#ifndef SHALE_TESTS_CRASH_HARNESS_H
#define SHALE_TESTS_CRASH_HARNESS_H

#include "crash/cuts.h"
#include "crash/history.h"
#include "crash/volume.h"

struct harness {
	struct cut_options cuts;
	unsigned e2fsck_each; /* one state in so many is checked by e2fsck, too; 0: none */
	const char *dir;      /* for files of the host */
	const char *repeat;   /* the words that repeat this workload */
	bool wanted;          /* failures are what is looked for: the first one is enough, and not told */

	u64 workloads, made, states, checked_by_e2fsck, failures, operations;
	double seconds; /* of the processor, in states */
};

/*
 * Goes through the states of a record over an image of `bytes`. The history is what was done; `h->failures`
 * counts.
 */
void harness_run(struct harness *h, const void *image, u64 bytes, const struct record *record,
		 const struct history *history);
/* The figures, a line or two. */
void harness_print(const struct harness *h, const char *what);

/* The journal of a volume that mke2fs made. */
struct journal_place {
	struct {
		u64 sector, nr;
	} runs[4];
	unsigned nr_runs;
};
bool journal_find(const void *image, u64 bytes, struct journal_place *out, unsigned *block_bytes);
/* record_rules.use with a struct journal_place: what is not the journal's, nor marked as metadata, is data.
 */
enum record_use journal_use(void *place, u64 sector, u64 nr, bool meta);

#endif
