/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: the log may lose a transaction when each of its blocks has been written to its place, or is in
 * a later transaction that has committed, or was freed by one.
 *
 * b_cp_transaction and the lists change under b_state_lock and j_list_lock.
 *
 * A transaction that has committed keeps the buffers that wait for that on t_checkpoint_list and goes with
 * the last of them. Anybody may write a buffer that is BH_Dirty; here it is done when the log needs room.
 *
 * 	(1) A buffer leaves its list only if it is neither dirty, nor being written, nor in a transaction, all
 * 	    three seen under its b_state_lock: who gets access to it takes the dirt over under that lock.
 * 	(2) The super block moves the tail of the log after a flush of the device, and is itself on stable
 * 	    storage before blocks behind the old tail are used anew (PREFLUSH and FUA).
 * 	(3) A buffer that could not be written stays on its list, and the journal is aborted: the log is then
 * 	    the only place that has it.
 */
#include "base/trace.h"
#include "jbd2/journal_internal.h"

#define CHECKPOINT_BATCH 128u

void jbd2_checkpoint_remove(struct journal_head *jh, struct list_head *gone)
{
	transaction_t *t = jh->b_cp_transaction;

	list_del_init(&jh->b_cplist);
	jh->b_cp_transaction = NULL;
	atomic64_dec(&t->t_journal->j_checkpoint_heads);
	if (list_empty(&t->t_checkpoint_list) && READ_ONCE(t->t_state) == T_FINISHED)
		list_move(&t->t_cplist, gone);
}

void jbd2_checkpoint_insert(struct journal_head *jh, transaction_t *t, struct list_head *gone)
{
	if (jh->b_cp_transaction)
		jbd2_checkpoint_remove(jh, gone);
	else
		jbd2_head_hold(t->t_journal, jh);
	jh->b_cp_transaction = t;
	atomic64_inc(&t->t_journal->j_checkpoint_heads);
	list_add_tail(&jh->b_cplist, &t->t_checkpoint_list);
}

/* What a look at a transaction's list has found. */
struct checkpoint_scan {
	struct buffer_head *busy[CHECKPOINT_BATCH]; /* to be written, or waited for; with a reference */
	unsigned nr_busy, max_busy;
	struct journal_head *put[CHECKPOINT_BATCH]; /* taken off the list */
	unsigned nr_put;
	struct list_head gone;
	tid_t tid; /* of a transaction that holds one, */
	bool held;
	int err;
};

static void scan_begin(struct checkpoint_scan *scan, unsigned max_busy)
{
	scan->nr_busy = scan->nr_put = 0;
	scan->max_busy = max_busy;
	INIT_LIST_HEAD(&scan->gone);
	scan->held = false;
	scan->err = 0;
}

static bool scan_busy(struct buffer_head *bh, struct checkpoint_scan *scan)
{
	if (scan->nr_busy == scan->max_busy)
		return false;
	get_bh(bh);
	scan->busy[scan->nr_busy++] = bh;
	return true;
}

static bool scan_locked(struct journal_head *jh, struct checkpoint_scan *scan)
{
	unsigned long state = smp_load_acquire(&jh->b_bh->b_state);

	if (jh->b_transaction) {
		/* Which cannot end while we hold j_list_lock: see commit_end_buffer(). */
		scan->held = true;
		scan->tid = jh->b_transaction->t_tid;
		return true;
	}
	if (state & (1ul << BH_Dirty | 1ul << BH_Lock))
		return scan_busy(jh->b_bh, scan);
	if (state & 1ul << BH_Write_EIO) {
		scan->err = -EIO;
		return false;
	}
	if (scan->nr_put == CHECKPOINT_BATCH)
		return false;
	jbd2_checkpoint_remove(jh, &scan->gone);
	scan->put[scan->nr_put++] = jh;
	return true;
}

/* Under j_list_lock, which comes after b_state_lock. False: enough for one look. */
static bool scan_buffer(struct journal_head *jh, struct checkpoint_scan *scan) __no_lock_analysis
{
	bool more;

	if (!spin_trylock(&jh->b_state_lock))
		return scan_busy(jh->b_bh, scan);
	more = scan_locked(jh, scan);
	spin_unlock(&jh->b_state_lock);
	return more;
}

static void scan_list_locked(transaction_t *t, struct checkpoint_scan *scan)
{
	struct journal_head *jh, *next;

	list_for_each_entry_safe (jh, next, &t->t_checkpoint_list, b_cplist)
		if (!scan_buffer(jh, scan))
			return;
}

static void scan_end(journal_t *journal, struct checkpoint_scan *scan)
{
	for (unsigned i = 0; i < scan->nr_put; i++)
		jbd2_head_put(journal, scan->put[i]);
	jbd2_transactions_free(journal, &scan->gone);
}

static int by_block(const void *a, const void *b)
{
	const struct buffer_head *x = *(struct buffer_head *const *)a, *y = *(struct buffer_head *const *)b;

	return x->b_blocknr < y->b_blocknr ? -1 : x->b_blocknr > y->b_blocknr;
}

static void scan_write(struct checkpoint_scan *scan)
{
	struct blk_plug plug;

	qsort(scan->busy, scan->nr_busy, sizeof(scan->busy[0]), by_block);
	blk_start_plug(&plug);
	for (unsigned i = 0; i < scan->nr_busy; i++)
		write_dirty_buffer(scan->busy[i], 0);
	blk_finish_plug(&plug);
	for (unsigned i = 0; i < scan->nr_busy; i++) {
		wait_on_buffer(scan->busy[i]);
		brelse(scan->busy[i]);
	}
}

/* The oldest transaction that has something to write; NULL: none. Under j_list_lock. */
static transaction_t *oldest(journal_t *journal)
{
	return list_first_entry_or_null(&journal->j_checkpoint_transactions, transaction_t, t_cplist);
}

/*
 * Goes on with the oldest transaction: writes some of its buffers, or waits for who holds them. Under
 * j_checkpoint_mutex.
 */
static int checkpoint_step(journal_t *journal)
{
	struct checkpoint_scan scan;

	scan_begin(&scan, CHECKPOINT_BATCH);
	spin_lock(&journal->j_list_lock);
	if (oldest(journal))
		scan_list_locked(oldest(journal), &scan);
	spin_unlock(&journal->j_list_lock);
	TRACE(jbd2_checkpoint, journal, scan.nr_busy, scan.nr_put);
	scan_end(journal, &scan);
	scan_write(&scan);
	if (scan.err) {
		jbd2_journal_abort(journal, scan.err);
		return scan.err;
	}
	if (!scan.nr_busy && !scan.nr_put && scan.held)
		return jbd2_log_wait_commit(journal, scan.tid);
	return 0;
}

void jbd2_checkpoint_clean(journal_t *journal)
{
	for (;;) {
		struct checkpoint_scan scan;

		scan_begin(&scan, 0);
		spin_lock(&journal->j_list_lock);
		if (oldest(journal))
			scan_list_locked(oldest(journal), &scan);
		spin_unlock(&journal->j_list_lock);
		scan_end(journal, &scan);
		if (!scan.nr_put)
			return;
	}
}

unsigned long jbd2_checkpoint_count(struct shrinker *s, struct shale *machine)
{
	return (unsigned long)atomic64_read(&container_of(s, journal_t, j_shrinker)->j_checkpoint_heads);
}

/*
 * Memory is short: of `nr` buffers those that have been written are let go; what is dirty is for reclaim to
 * write, and goes behind.
 */
unsigned long jbd2_checkpoint_shrink(struct shrinker *s, struct shale *machine, unsigned long nr)
{
	journal_t *journal = container_of(s, journal_t, j_shrinker);
	struct checkpoint_scan scan;
	struct journal_head *jh, *next_jh;
	transaction_t *t, *next_t;

	scan_begin(&scan, 0);
	spin_lock(&journal->j_list_lock);
	list_for_each_entry_safe (t, next_t, &journal->j_checkpoint_transactions, t_cplist)
		list_for_each_entry_safe (jh, next_jh, &t->t_checkpoint_list, b_cplist) {
			if (!nr-- || scan.nr_put == CHECKPOINT_BATCH)
				goto out;
			if (!scan_buffer(jh, &scan))
				list_move_tail(&jh->b_cplist, &t->t_checkpoint_list);
		}
out:
	spin_unlock(&journal->j_list_lock);
	scan_end(journal, &scan);
	return scan.nr_put;
}

/* The first transaction that the log is needed for, and where it begins. */
static void log_tail(journal_t *journal, tid_t *tid, u32 *jblk)
{
	const transaction_t *t;

	scoped_spin_lock(&journal->j_list_lock);
	scoped_spin_lock(&journal->j_state_lock);
	t = oldest(journal);
	if (!t)
		t = journal->j_committing_transaction;
	if (t) {
		*tid = t->t_tid;
		*jblk = t->t_log_start;
		return;
	}
	t = journal->j_running_transaction;
	*tid = t ? t->t_tid : journal->j_transaction_sequence;
	*jblk = journal->j_head;
}

static u32 log_distance(const journal_t *journal, u32 from, u32 to)
{
	return to >= from ? to - from : to + log_length(journal) - from;
}

/* The room that the log would have if its tail were moved now. Under j_checkpoint_mutex. */
static u32 possible_room(journal_t *journal)
{
	tid_t tid;
	u32 jblk;

	log_tail(journal, &tid, &jblk);
	scoped_spin_lock(&journal->j_state_lock);
	return journal->j_free + log_distance(journal, journal->j_tail, jblk);
}

/* Under j_checkpoint_mutex. *moved: there is more room. */
static int update_log_tail(journal_t *journal, bool *moved)
{
	tid_t tid;
	u32 jblk;
	int err;

	log_tail(journal, &tid, &jblk);
	*moved = tid != journal->j_tail_sequence;
	if (!*moved)
		return 0;
	TRACE(jbd2_update_log_tail, journal, tid, jblk);
	err = jbd2_write_tail(journal, tid, jblk, REQ_PREFLUSH | REQ_FUA);
	if (err) {
		jbd2_journal_abort(journal, err);
		return err;
	}
	scoped_spin_lock(&journal->j_state_lock);
	journal->j_free += log_distance(journal, journal->j_tail, jblk);
	BUG_ON(journal->j_free > log_length(journal));
	journal->j_tail = jblk;
	journal->j_tail_sequence = tid;
	return 0;
}

static bool log_has_room(journal_t *journal, u32 blocks)
{
	scoped_spin_lock(&journal->j_state_lock);
	return journal->j_free >= blocks;
}

static bool committing_tid(journal_t *journal, tid_t *tid)
{
	scoped_spin_lock(&journal->j_state_lock);
	if (journal->j_committing_transaction)
		*tid = journal->j_committing_transaction->t_tid;
	return journal->j_committing_transaction != NULL;
}

static bool has_checkpoints(journal_t *journal)
{
	scoped_spin_lock(&journal->j_list_lock);
	return oldest(journal) != NULL;
}

/*
 * Nothing runs, so every round finds something to write, to wait for, or to give back. Moving the tail costs
 * two flushes, so more is made free than is needed: a quarter of the log.
 */
int jbd2_log_wait_for_space(journal_t *journal, u32 blocks)
{
	u32 enough = blocks + log_length(journal) / 4;
	int err = 0;

	if (log_has_room(journal, blocks))
		return 0;
	scoped_mutex_lock(&journal->j_checkpoint_mutex);
	while (!err && !log_has_room(journal, blocks)) {
		bool moved;
		tid_t tid;

		if (journal_aborted(journal))
			return -EROFS;
		if (has_checkpoints(journal) && possible_room(journal) < enough) {
			err = checkpoint_step(journal);
			continue;
		}
		err = update_log_tail(journal, &moved);
		if (!err && !moved && committing_tid(journal, &tid))
			err = jbd2_log_wait_commit(journal, tid);
	}
	return err;
}

/* Does nothing run or commit, so that the head of the log stands still? */
static bool journal_idle(journal_t *journal)
{
	scoped_spin_lock(&journal->j_state_lock);
	return !journal->j_running_transaction && !journal->j_committing_transaction;
}

/* Then the log is empty, and its super block says so. */
int jbd2_checkpoint_all(journal_t *journal)
{
	int err = 0;

	BUG_ON(!journal_idle(journal));
	scoped_mutex_lock(&journal->j_checkpoint_mutex);
	while (!err && has_checkpoints(journal))
		err = journal_aborted(journal) ? -EIO : checkpoint_step(journal);
	if (err || test_bit(JBD2_FLUSHED, &journal->j_flags))
		return err;
	if (journal_aborted(journal))
		return -EIO;
	err = jbd2_write_tail(journal, journal->j_transaction_sequence, 0, REQ_PREFLUSH | REQ_FUA);
	if (err) {
		jbd2_journal_abort(journal, err);
		return err;
	}
	scoped_spin_lock(&journal->j_state_lock);
	journal->j_tail = journal->j_head;
	journal->j_tail_sequence = journal->j_transaction_sequence;
	journal->j_free = log_length(journal);
	set_bit(JBD2_FLUSHED, &journal->j_flags);
	return 0;
}

void jbd2_checkpoint_drop_all(journal_t *journal)
{
	transaction_t *t;

	while ((t = oldest(journal))) {
		struct journal_head *jh =
			list_first_entry(&t->t_checkpoint_list, struct journal_head, b_cplist);
		LIST_HEAD(gone);

		spin_lock(&journal->j_list_lock);
		jbd2_checkpoint_remove(jh, &gone);
		spin_unlock(&journal->j_list_lock);
		jbd2_head_put(journal, jh);
		jbd2_transactions_free(journal, &gone);
	}
}
