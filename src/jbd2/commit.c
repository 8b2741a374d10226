/* SPDX-License-Identifier: MIT */
/*
 * A commit, from the locking of the running transaction to its end; and who makes it.
 *
 * There is no thread for it: who waits for a commit makes it, if nobody else does; else the work item, when
 * the transaction is old or somebody asked without waiting. j_busy is the baton. Who has it is alone with
 * the committing transaction and the head of the log.
 *
 * The order on the disk: data of the transaction's inodes and the blocks of the log, in any order; a flush;
 * the commit block, itself on stable storage (PREFLUSH and FUA) before the transaction counts as committed.
 *
 * An aborted journal commits, too, so that everybody gets on: nothing is written, and what the transaction
 * has changed is never written to its place.
 */
#include "base/log.h"
#include "base/trace.h"
#include "jbd2/journal_internal.h"

/* No handle is open in it any more: it commits, and the next one may begin. */
static void commit_switch(journal_t *journal, transaction_t *t)
{
	bool done = false;

	spin_lock(&journal->j_state_lock);
	t->t_state = T_LOCKED;
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	while (!done) {
		jbd2_gate_wait_empty(journal);
		spin_lock(&journal->j_state_lock);
		done = jbd2_gate_take(journal, &t->t_credits);
		if (done) {
			t->t_state = T_FLUSH;
			t->t_log_start = journal->j_head;
			t->t_log_blocks = jbd2_log_bound(journal, t->t_credits);
			BUG_ON(t->t_log_blocks > journal->j_free);
			journal->j_free -= t->t_log_blocks;
			journal->j_committing_transaction = t;
			WRITE_ONCE(journal->j_running_transaction, NULL);
			jbd2_gate_update(journal);
		}
		spin_unlock(&journal->j_state_lock);
	}
	TRACE(jbd2_commit_flushing, journal, t->t_tid, t->t_credits);
	jbd2_gate_wake(journal);
}

/* The log was empty: its super block says where it begins before anything can be found in it. */
static int commit_unflush(journal_t *journal, const transaction_t *t)
{
	int err = 0;

	if (test_bit(JBD2_FLUSHED, &journal->j_flags))
		err = jbd2_write_tail(journal, t->t_tid, t->t_log_start, 0);
	if (!err)
		clear_bit(JBD2_FLUSHED, &journal->j_flags);
	return err;
}

static int commit_write(journal_t *journal, transaction_t *t)
{
	int err = journal_aborted(journal) ? -EIO : commit_unflush(journal, t), data_err;

	if (!err) {
		int wait_err;

		data_err = jbd2_submit_inode_data(journal, t);
		err = jbd2_commit_write_log(journal, t);
		wait_err = jbd2_finish_inode_data(journal, t);
		data_err = data_err ? data_err : wait_err;
		/* The file's own users are told; the metadata is right without the data. */
		if (data_err)
			shale_log_ratelimited(journal->j_machine, LOGLEVEL_WARNING,
					      "jbd2 (%s): data of transaction %u was not written: error %d",
					      journal->j_log->name, t->t_tid, -data_err);
	}
	if (!err && !journal_aborted(journal)) {
		WRITE_ONCE(t->t_state, T_COMMIT);
		err = jbd2_commit_write_record(journal, t);
	}
	if (err)
		jbd2_journal_abort(journal, err);
	return journal_aborted(journal) ? -EIO : 0;
}

/* The transaction has ended with `err`: what becomes of one of its buffers. */
static void commit_end_buffer(journal_t *journal, transaction_t *t, struct journal_head *jh, int err)
{
	bool put_cp = false, put;
	LIST_HEAD(gone);

	spin_lock(&jh->b_state_lock);
	BUG_ON(jh->b_transaction != t);
	if (!err && jh->b_jlist == BJ_Forget) {
		spin_lock(&journal->j_list_lock);
		if (jh->b_modified)
			jbd2_checkpoint_insert(jh, t, &gone);
		else if ((put_cp = jh->b_cp_transaction))
			jbd2_checkpoint_remove(jh, &gone);
		spin_unlock(&journal->j_list_lock);
	}
	/* What did not come into the log must not come to its place. */
	if (err)
		jh->b_jdirty = false;
	put = jbd2_refile_buffer(jh);
	spin_unlock(&jh->b_state_lock);
	if (put)
		jbd2_head_put(journal, jh);
	if (put_cp)
		jbd2_head_put(journal, jh);
	jbd2_transactions_free(journal, &gone);
}

static void commit_end_list(journal_t *journal, transaction_t *t, struct list_head *list, int err)
{
	for (;;) {
		struct journal_head *jh;

		/* Others do not touch what a committing transaction holds but under b_state_lock. */
		spin_lock(&journal->j_list_lock);
		jh = list_first_entry_or_null(list, struct journal_head, b_list);
		spin_unlock(&journal->j_list_lock);
		if (!jh)
			return;
		commit_end_buffer(journal, t, jh, err);
		cond_resched();
	}
}

static void commit_callbacks(journal_t *journal, transaction_t *t, int err)
{
	struct jbd2_commit_callback *callback, *next;

	list_for_each_entry_safe (callback, next, &t->t_callbacks, list) {
		list_del_init(&callback->list);
		callback->func(journal, callback, err);
	}
}

/* Nobody else sees the transaction after this, unless blocks are to be checkpointed for it. */
static void commit_finish(journal_t *journal, transaction_t *t, int err)
{
	u32 used = 0;
	bool empty;

	if (!err) {
		u32 head = log_after(journal, jbd2_writer_head(journal), 1); /* the commit block */

		used = head >= t->t_log_start ? head - t->t_log_start
					      : head + log_length(journal) - t->t_log_start;
		BUG_ON(used > t->t_log_blocks);
	}
	spin_lock(&journal->j_list_lock);
	empty = list_empty(&t->t_checkpoint_list);
	if (!empty)
		list_add_tail(&t->t_cplist, &journal->j_checkpoint_transactions);
	spin_lock(&journal->j_state_lock);
	t->t_state = T_FINISHED;
	journal->j_free += t->t_log_blocks - used;
	t->t_log_blocks = used;
	journal->j_head = log_after(journal, t->t_log_start, used);
	journal->j_committing_transaction = NULL;
	WRITE_ONCE(journal->j_commit_sequence, t->t_tid);
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	spin_unlock(&journal->j_list_lock);
	jbd2_gate_wake(journal);
	if (empty)
		pool_free(journal->j_transactions, t);
}

/* What it allocates, or the file system for it, must not wait for a page whose writing needs the journal. */
static void commit_transaction(journal_t *journal, transaction_t *t)
{
	unsigned nofs = memalloc_nofs_save();
	int err;

	TRACE(jbd2_start_commit, journal, t->t_tid);
	jbd2_checkpoint_clean(journal);
	commit_switch(journal, t);
	err = commit_write(journal, t);
	jbd2_revoke_drop(journal, t);
	jbd2_end_inodes(journal, t);
	commit_end_list(journal, t, &t->t_buffers, err);
	commit_end_list(journal, t, &t->t_forget, err);
	commit_callbacks(journal, t, err);
	TRACE(jbd2_end_commit, journal, t->t_tid, err);
	commit_finish(journal, t, err);
	memalloc_nofs_restore(nofs);
}

/* Under j_state_lock: has somebody asked for the running transaction, or is it old? */
static bool commit_wanted(journal_t *journal)
{
	const transaction_t *t = journal->j_running_transaction;

	return t && (tid_geq(journal->j_commit_request, t->t_tid) ||
		     ktime_get(journal->j_machine) >= t->t_expires);
}

static void commit_release(journal_t *journal)
{
	bool more;

	spin_lock(&journal->j_state_lock);
	WRITE_ONCE(journal->j_busy, false);
	more = commit_wanted(journal);
	spin_unlock(&journal->j_state_lock);
	wake_up_all(&journal->j_wait_done);
	if (more)
		mod_delayed_work(journal->j_wq, &journal->j_commit_work, 0);
}

bool jbd2_try_commit(journal_t *journal, tid_t tid)
{
	transaction_t *t;
	bool mine;

	BUG_ON(journal_current_handle());
	spin_lock(&journal->j_state_lock);
	t = journal->j_running_transaction;
	mine = t && t->t_tid == tid && !journal->j_busy;
	if (mine)
		WRITE_ONCE(journal->j_busy, true);
	spin_unlock(&journal->j_state_lock);
	if (!mine)
		return false;
	commit_transaction(journal, t);
	commit_release(journal);
	return true;
}

/* Whoever has the baton already looks for more when he lays it down; what is young is looked at later. */
void jbd2_commit_work(struct work_struct *work)
{
	journal_t *journal = container_of(to_delayed_work(work), journal_t, j_commit_work);
	bool wanted;
	s64 left = 0;
	tid_t tid = 0;

	spin_lock(&journal->j_state_lock);
	wanted = commit_wanted(journal);
	if (journal->j_running_transaction) {
		tid = journal->j_running_transaction->t_tid;
		left = journal->j_running_transaction->t_expires - ktime_get(journal->j_machine);
	}
	spin_unlock(&journal->j_state_lock);
	if (wanted)
		(void)jbd2_try_commit(journal, tid);
	else if (left > 0)
		queue_delayed_work(journal->j_wq, &journal->j_commit_work, left);
}

void jbd2_log_start_commit(journal_t *journal, tid_t tid)
{
	bool queue;

	spin_lock(&journal->j_state_lock);
	queue = journal->j_running_transaction && journal->j_running_transaction->t_tid == tid &&
		!tid_geq(journal->j_commit_request, tid);
	if (queue)
		journal->j_commit_request = tid;
	spin_unlock(&journal->j_state_lock);
	if (queue)
		mod_delayed_work(journal->j_wq, &journal->j_commit_work, 0);
}

static bool commit_done(journal_t *journal, tid_t tid)
{
	return tid_geq(READ_ONCE(journal->j_commit_sequence), tid);
}

/* Has the transaction ended, or was there never such a one? */
static bool commit_ended(journal_t *journal, tid_t tid)
{
	const transaction_t *running, *committing;

	if (commit_done(journal, tid))
		return true;
	scoped_spin_lock(&journal->j_state_lock);
	running = journal->j_running_transaction;
	committing = journal->j_committing_transaction;
	return !(running && running->t_tid == tid) && !(committing && committing->t_tid == tid);
}

int jbd2_log_wait_commit(journal_t *journal, tid_t tid)
{
	BUG_ON(journal_current_handle());
	while (!commit_ended(journal, tid)) {
		if (jbd2_try_commit(journal, tid))
			break;
		io_wait_event(journal->j_wait_done, commit_done(journal, tid) || !READ_ONCE(journal->j_busy));
	}
	return journal_aborted(journal) ? -EIO : 0;
}

int jbd2_complete_transaction(journal_t *journal, tid_t tid)
{
	spin_lock(&journal->j_state_lock);
	if (journal->j_running_transaction && journal->j_running_transaction->t_tid == tid &&
	    !tid_geq(journal->j_commit_request, tid))
		journal->j_commit_request = tid;
	spin_unlock(&journal->j_state_lock);
	return jbd2_log_wait_commit(journal, tid);
}

bool jbd2_transaction_committed(journal_t *journal, tid_t tid)
{
	return commit_done(journal, tid);
}

bool jbd2_journal_running_tid(journal_t *journal, tid_t *tid)
{
	const transaction_t *t;

	scoped_spin_lock(&journal->j_state_lock);
	t = journal->j_running_transaction ? journal->j_running_transaction
					   : journal->j_committing_transaction;
	if (t)
		*tid = t->t_tid;
	return t != NULL;
}

int jbd2_journal_force_commit(journal_t *journal)
{
	tid_t tid;

	if (jbd2_journal_running_tid(journal, &tid))
		return jbd2_complete_transaction(journal, tid);
	return journal_aborted(journal) ? -EIO : 0;
}

/* Until its commit block is on its way, whose flush covers what was written before. */
bool jbd2_trans_will_send_data_barrier(journal_t *journal, tid_t tid)
{
	const transaction_t *t;

	scoped_spin_lock(&journal->j_state_lock);
	if (!journal->j_barrier || commit_done(journal, tid))
		return false;
	t = journal->j_committing_transaction;
	return !t || t->t_tid != tid || t->t_state < T_COMMIT;
}
