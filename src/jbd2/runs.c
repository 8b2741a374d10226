/* SPDX-License-Identifier: MIT */
/*
 * Where the journal's blocks lie. It is learnt once, when the journal is opened, as runs of neighbours; after
 * that the file that holds the journal is not asked again. Runs that share a block are refused, so that a
 * journal has no more content than it has blocks.
 *
 * The tables belong to the journal. A journal of so many pieces that they would take an eighth of the
 * machine's memory is refused.
 */
#include "base/machine.h"
#include "jbd2/jbd2_internal.h"

static int runs_grow(struct jbd2_journal *journal)
{
	u32 max = journal->max_runs ? journal->max_runs * 2 : 16;
	u64 bytes = (u64)max * (sizeof(struct jbd2_run) + sizeof(u32));
	struct jbd2_run *runs;

	if (bytes > journal->machine->options.memory_limit / 8)
		return jbd2_error(journal, -ENOMEM, "the journal lies in more than %u pieces",
				  journal->max_runs);
	runs = krealloc(journal->machine, journal->runs, max * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	journal->runs = runs;
	journal->max_runs = max;
	return 0;
}

static int runs_add(struct jbd2_journal *journal, struct jbd2_run run)
{
	struct jbd2_run *last = journal->nr_runs ? &journal->runs[journal->nr_runs - 1] : NULL;
	int err;

	if (run.pblk >= journal->volume_blocks || run.len > journal->volume_blocks - run.pblk)
		return jbd2_error(journal, -EFSCORRUPTED, "block %u of the journal lies outside the volume",
				  run.jblk);
	if (last && last->pblk + last->len == run.pblk) {
		last->len += run.len;
		return 0;
	}
	err = journal->nr_runs == journal->max_runs ? runs_grow(journal) : 0;
	if (!err)
		journal->runs[journal->nr_runs++] = run;
	return err;
}

static int by_pblk_order(const void *a, const void *b, void *arg)
{
	const struct jbd2_run *runs = arg, *x = &runs[*(const u32 *)a], *y = &runs[*(const u32 *)b];

	return x->pblk < y->pblk ? -1 : x->pblk > y->pblk;
}

static int runs_sort(struct jbd2_journal *journal)
{
	struct jbd2_run *runs = journal->runs;

	journal->by_pblk = kmalloc_array(journal->machine, journal->nr_runs, sizeof(u32));
	if (!journal->by_pblk)
		return -ENOMEM;
	for (u32 i = 0; i < journal->nr_runs; i++)
		journal->by_pblk[i] = i;
	qsort_r(journal->by_pblk, journal->nr_runs, sizeof(u32), by_pblk_order, runs);
	for (u32 i = 1; i < journal->nr_runs; i++) {
		const struct jbd2_run *a = &runs[journal->by_pblk[i - 1]], *b = &runs[journal->by_pblk[i]];

		if (b->pblk - a->pblk < a->len)
			return jbd2_error(journal, -EFSCORRUPTED,
					  "blocks %u and %u of the journal lie at the same place", a->jblk,
					  b->jblk);
	}
	return 0;
}

int jbd2_runs_learn(struct jbd2_journal *journal, const struct jbd2_place *place)
{
	u32 jblk = 0;

	while (jblk < journal->maxlen) {
		struct jbd2_run run = {.jblk = jblk};
		u32 max = journal->maxlen - jblk;
		int err = place->map(place->ctx, jblk, max, &run.pblk, &run.len);

		if (err)
			return jbd2_error(journal, err, "block %u of the journal cannot be found", jblk);
		if (!run.len || run.len > max)
			return -EINVAL;
		err = runs_add(journal, run);
		if (err)
			return err;
		jblk += run.len;
	}
	return runs_sort(journal);
}

void jbd2_runs_free(struct jbd2_journal *journal)
{
	kfree(journal->runs);
	kfree(journal->by_pblk);
}

u64 jbd2_runs_find(struct jbd2_journal *journal, u32 jblk, u32 *len)
{
	const struct jbd2_run *run = &journal->runs[READ_ONCE(journal->last_run)];
	u32 low = 0, high = journal->nr_runs - 1;

	BUG_ON(jblk >= journal->maxlen);
	if (jblk < run->jblk || jblk - run->jblk >= run->len) {
		while (low < high) {
			u32 middle = high - (high - low) / 2;

			if (journal->runs[middle].jblk <= jblk)
				low = middle;
			else
				high = middle - 1;
		}
		WRITE_ONCE(journal->last_run, low);
		run = &journal->runs[low];
	}
	if (len)
		*len = run->len - (jblk - run->jblk);
	return run->pblk + (jblk - run->jblk);
}

bool jbd2_runs_hold(const struct jbd2_journal *journal, u64 pblk)
{
	u32 low = 0, high = journal->nr_runs;

	/* The last run that begins at or before pblk. */
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (journal->runs[journal->by_pblk[middle]].pblk <= pblk)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	return pblk - journal->runs[journal->by_pblk[low - 1]].pblk <
	       journal->runs[journal->by_pblk[low - 1]].len;
}
