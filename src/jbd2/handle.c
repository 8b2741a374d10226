/* SPDX-License-Identifier: MIT */
/*
 * Handles, and the gate that they go through.
 *
 * A handle enters the running transaction by one addition to a word (j_gate) that holds the number of open
 * handles and the credits that are taken; it leaves by one subtraction, with what it did not need. So threads
 * on several processors meet in one cache line and in no lock.
 *
 * 	(1) The gate is closed while there is no running transaction, while that is locked for its commit, and
 * 	    while updates are locked out. What closes it sets a bit; who entered and finds the bit leaves
 * again. (2) Closed and without a handle in it, the word stands still but for those who only look in, who
 * count as handles as long as they do. Whoever closed it then takes the transaction's credits out. (3)
 * Credits of reserved handles are in the word as well, and stay in it from transaction to transaction: so a
 * reserved handle never waits for room. (4) A transaction is made only when the log has room for the largest
 * one, besides what the commit under way may take; so those in it need not ask.
 *
 * Who has to wait does so for j_gate_seq to move, and then tries again from the start.
 */
#include "cache/cache.h"
#include "jbd2/journal_internal.h"

static u32 gate_credits(u64 gate)
{
	return (u32)gate;
}

static u64 gate_handles(u64 gate)
{
	return gate & (GATE_CLOSED - GATE_HANDLE);
}

static u64 gate_read(journal_t *journal)
{
	return (u64)atomic64_read_acquire(&journal->j_gate);
}

static void gate_leave(journal_t *journal, u32 credits)
{
	u64 gate = (u64)atomic64_sub_return((s64)(GATE_HANDLE + credits), &journal->j_gate);

	if (unlikely(gate & GATE_CLOSED) && !gate_handles(gate))
		wake_up_all(&journal->j_wait_updates);
}

static bool gate_enter(journal_t *journal, u32 credits)
{
	u64 gate = (u64)atomic64_add_return((s64)(GATE_HANDLE + credits), &journal->j_gate);

	if (likely(!(gate & GATE_CLOSED) && gate_credits(gate) <= journal->j_max_credits))
		return true;
	gate_leave(journal, credits);
	return false;
}

void jbd2_gate_update(journal_t *journal)
{
	const transaction_t *t = journal->j_running_transaction;

	if (t && t->t_state == T_RUNNING && !journal->j_barrier_count)
		(void)__atomic_fetch_and(&journal->j_gate.counter, (s64)~GATE_CLOSED, __ATOMIC_SEQ_CST);
	else
		(void)__atomic_fetch_or(&journal->j_gate.counter, (s64)GATE_CLOSED, __ATOMIC_SEQ_CST);
	WRITE_ONCE(journal->j_gate_seq, journal->j_gate_seq + 1);
}

void jbd2_gate_wake(journal_t *journal)
{
	wake_up_all(&journal->j_wait_gate);
}

void jbd2_gate_wait_empty(journal_t *journal)
{
	io_wait_event(journal->j_wait_updates, !gate_handles(gate_read(journal)));
}

bool jbd2_gate_take(journal_t *journal, u32 *credits)
{
	s64 gate = atomic64_read_acquire(&journal->j_gate);

	if (gate_handles((u64)gate) ||
	    !atomic64_try_cmpxchg(&journal->j_gate, &gate, (s64)(GATE_CLOSED | journal->j_reserved)))
		return false;
	*credits = gate_credits((u64)gate) - journal->j_reserved;
	return true;
}

/*
 * A new running transaction, when there is none. Others wait for j_create_mutex meanwhile; 0 means to look
 * again.
 */
static int transaction_create(journal_t *journal)
{
	transaction_t *t;
	bool wanted;
	int err;

	scoped_mutex_lock(&journal->j_create_mutex);
	if (READ_ONCE(journal->j_running_transaction))
		return 0;
	err = jbd2_log_wait_for_space(journal, journal->j_max_blocks);
	if (!err)
		err = jbd2_writer_alloc(journal);
	if (err)
		return err;
	t = pool_alloc(journal->j_transactions);
	if (!t)
		return -ENOMEM;
	*t = (transaction_t){
		.t_journal = journal,
		.t_expires = ktime_get(journal->j_machine) + journal->j_commit_interval,
	};
	INIT_LIST_HEAD(&t->t_buffers);
	INIT_LIST_HEAD(&t->t_forget);
	INIT_LIST_HEAD(&t->t_checkpoint_list);
	INIT_LIST_HEAD(&t->t_inode_list);
	INIT_LIST_HEAD(&t->t_callbacks);
	INIT_LIST_HEAD(&t->t_cplist);
	spin_lock(&journal->j_state_lock);
	wanted = !journal->j_barrier_count && !journal_aborted(journal);
	if (wanted) {
		t->t_tid = journal->j_transaction_sequence++;
		t->t_revoke_table = t->t_tid & 1;
		WRITE_ONCE(journal->j_running_transaction, t);
		jbd2_gate_update(journal);
	}
	spin_unlock(&journal->j_state_lock);
	if (!wanted) {
		pool_free(journal->j_transactions, t);
		return 0;
	}
	jbd2_gate_wake(journal);
	mod_delayed_work(journal->j_wq, &journal->j_commit_work, journal->j_commit_interval);
	return 0;
}

/* The gate did not let in a handle of so many credits: does what helps, or waits. 0: try again. */
static int gate_wait(journal_t *journal, u32 credits)
{
	enum { AGAIN, WAIT, CREATE, COMMIT } what = AGAIN;
	const transaction_t *t;
	tid_t tid = 0;
	u32 seq;

	spin_lock(&journal->j_state_lock);
	t = journal->j_running_transaction;
	seq = journal->j_gate_seq;
	if (journal->j_barrier_count || (t && t->t_state != T_RUNNING) ||
	    (u64)journal->j_reserved + credits > journal->j_max_credits) {
		what = WAIT;
	} else if (!t) {
		what = CREATE;
	} else if ((u64)gate_credits(gate_read(journal)) + credits > journal->j_max_credits) {
		what = COMMIT;
		tid = journal->j_commit_request = t->t_tid;
	}
	spin_unlock(&journal->j_state_lock);
	if (journal_aborted(journal))
		return -EROFS;
	if (what == CREATE)
		return transaction_create(journal);
	if (what == WAIT || (what == COMMIT && !jbd2_try_commit(journal, tid)))
		io_wait_event(journal->j_wait_gate, READ_ONCE(journal->j_gate_seq) != seq);
	return 0;
}

static int start_this_handle(handle_t *handle, u32 credits)
{
	journal_t *journal = handle->h_journal;

	while (!gate_enter(journal, credits)) {
		int err = gate_wait(journal, credits);

		if (err)
			return err;
	}
	if (unlikely(journal_aborted(journal))) {
		gate_leave(journal, credits);
		return -EROFS;
	}
	handle->h_transaction = READ_ONCE(journal->j_running_transaction);
	handle->h_credits = credits;
	return 0;
}

/* Blocks for so many revokes. */
static u32 revoke_blocks(const journal_t *journal, u32 revokes)
{
	return likely(!revokes) ? 0 : DIV_ROUND_UP(revokes, journal->j_revokes_per_block);
}

/* What a handle of so many credits and revokes takes of a transaction; UINT32_MAX: more than there is. */
static u32 handle_credits(const journal_t *journal, u32 credits, u32 revokes)
{
	u64 all = (u64)credits + revoke_blocks(journal, revokes);

	return all > journal->j_max_credits ? UINT32_MAX : (u32)all;
}

static handle_t *handle_alloc(journal_t *journal)
{
	handle_t *handle = pool_alloc(journal->j_handles);

	if (handle)
		*handle = (handle_t){.h_journal = journal, .h_ref = 1};
	return handle;
}

/* The thread is inside the handle from now on. */
static void handle_attach(handle_t *handle)
{
	current->journal_info = handle;
	handle->h_nofs = memalloc_nofs_save();
}

static void handle_detach(const handle_t *handle)
{
	current->journal_info = NULL;
	memalloc_nofs_restore(handle->h_nofs);
}

static int reserve(handle_t *handle, u32 credits)
{
	journal_t *journal = handle->h_journal;
	handle_t *reserved;

	if (credits > journal->j_max_credits / 2)
		return -ENOSPC;
	reserved = handle_alloc(journal);
	if (!reserved)
		return -ENOMEM;
	reserved->h_credits = credits;
	handle->h_rsv_handle = reserved;
	return 0;
}

/* The handle has entered with the credits of the one that is reserved as well, and keeps its own. */
static void keep_reserved(handle_t *handle)
{
	journal_t *journal = handle->h_journal;

	if (!handle->h_rsv_handle)
		return;
	handle->h_credits -= handle->h_rsv_handle->h_credits;
	spin_lock(&journal->j_state_lock);
	journal->j_reserved += handle->h_rsv_handle->h_credits;
	spin_unlock(&journal->j_state_lock);
}

static int handle_start(handle_t *handle, u32 credits, u32 revokes, u32 reserved)
{
	u32 all = handle_credits(handle->h_journal, credits, revokes);
	int err = reserved ? reserve(handle, reserved) : 0;

	if (!err && (all == UINT32_MAX || reserved > handle->h_journal->j_max_credits - all))
		err = -ENOSPC;
	if (!err)
		err = start_this_handle(handle, all + reserved);
	if (err) {
		pool_free(handle->h_journal->j_handles, handle->h_rsv_handle);
		return err;
	}
	keep_reserved(handle);
	handle->h_revoke_credits = revokes;
	return 0;
}

int jbd2_journal_start(journal_t *journal, u32 credits, u32 revokes, u32 reserved, handle_t **out)
{
	handle_t *handle = journal_current_handle();
	int err;

	if (handle) {
		BUG_ON(handle->h_journal != journal);
		handle->h_ref++;
		*out = handle;
		return 0;
	}
	handle = handle_alloc(journal);
	if (!handle)
		return -ENOMEM;
	err = handle_start(handle, credits, revokes, reserved);
	if (err) {
		pool_free(journal->j_handles, handle);
		return err;
	}
	handle_attach(handle);
	*out = handle;
	return 0;
}

/*
 * A reserved handle's credits are in the gate already: it enters with none, and the reservation becomes part
 * of the transaction that it entered.
 */
int jbd2_journal_start_reserved(handle_t *handle)
{
	journal_t *journal = handle->h_journal;
	u32 credits = handle->h_credits;
	int err;

	BUG_ON(journal_current_handle() || handle->h_transaction);
	err = start_this_handle(handle, 0);
	handle->h_credits = credits;
	if (err) {
		jbd2_journal_free_reserved(handle);
		return err;
	}
	spin_lock(&journal->j_state_lock);
	journal->j_reserved -= credits;
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	jbd2_gate_wake(journal);
	handle_attach(handle);
	return 0;
}

void jbd2_journal_free_reserved(handle_t *handle)
{
	journal_t *journal = handle->h_journal;

	spin_lock(&journal->j_state_lock);
	journal->j_reserved -= handle->h_credits;
	atomic64_sub(handle->h_credits, &journal->j_gate);
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	jbd2_gate_wake(journal);
	pool_free(journal->j_handles, handle);
}

/* Blocks that the handle's revokes take in the transaction, beyond those that others have begun. */
static u32 revoke_cost(handle_t *handle)
{
	u32 nr = handle->h_revokes, before;

	if (!nr)
		return 0;
	before = (u32)atomic_fetch_add((int)nr, &handle->h_transaction->t_revokes);
	handle->h_revokes = 0;
	return revoke_blocks(handle->h_journal, before + nr) - revoke_blocks(handle->h_journal, before);
}

/* Leaves the transaction, with what the handle did not need. */
static void stop_this_handle(handle_t *handle)
{
	u32 cost = revoke_cost(handle);

	BUG_ON(handle->h_credits < cost);
	handle->h_transaction = NULL;
	gate_leave(handle->h_journal, handle->h_credits - cost);
	handle->h_credits = 0;
}

int jbd2_journal_stop(handle_t *handle)
{
	journal_t *journal = handle->h_journal;
	bool sync = handle->h_sync;
	int err = 0;
	tid_t tid;

	BUG_ON(journal_current_handle() != handle);
	if (--handle->h_ref)
		return is_handle_aborted(handle) ? -EROFS : 0;
	handle_detach(handle);
	if (handle->h_rsv_handle)
		jbd2_journal_free_reserved(handle->h_rsv_handle);
	if (!handle->h_transaction) {
		pool_free(journal->j_handles, handle);
		return -EROFS;
	}
	tid = handle->h_transaction->t_tid;
	stop_this_handle(handle);
	if (journal_aborted(journal))
		err = -EROFS;
	pool_free(journal->j_handles, handle);
	return !err && sync ? jbd2_complete_transaction(journal, tid) : err;
}

int jbd2_journal_extend(handle_t *handle, u32 credits, u32 revokes)
{
	journal_t *journal = handle->h_journal;
	u32 all, have;
	u64 gate;

	if (is_handle_aborted(handle))
		return -EROFS;
	/* Of the blocks for revokes, those that there were before are counted already. */
	have = revoke_blocks(journal, handle->h_revoke_credits + handle->h_revokes);
	revokes += handle->h_revoke_credits;
	all = handle_credits(journal, credits, revokes + handle->h_revokes);
	if (all == UINT32_MAX)
		return 1;
	all -= have;
	gate = (u64)atomic64_add_return(all, &journal->j_gate);
	if (gate & GATE_CLOSED || gate_credits(gate) > journal->j_max_credits) {
		atomic64_sub(all, &journal->j_gate);
		return 1;
	}
	handle->h_credits += all;
	handle->h_revoke_credits = revokes;
	return 0;
}

int jbd2_journal_restart(handle_t *handle, u32 credits, u32 revokes)
{
	journal_t *journal = handle->h_journal;
	u32 all = handle_credits(journal, credits, revokes);
	tid_t tid;
	int err;

	if (is_handle_aborted(handle))
		return -EROFS;
	if (all == UINT32_MAX)
		return -ENOSPC;
	/* While it has no transaction the thread is outside, and may commit. */
	tid = handle->h_transaction->t_tid;
	stop_this_handle(handle);
	handle_detach(handle);
	jbd2_log_start_commit(journal, tid);
	err = start_this_handle(handle, all);
	handle_attach(handle);
	handle->h_revoke_credits = revokes;
	return err;
}

u32 jbd2_handle_buffer_credits(const handle_t *handle)
{
	u32 revokes = revoke_blocks(handle->h_journal, handle->h_revoke_credits + handle->h_revokes);

	return handle->h_credits > revokes ? handle->h_credits - revokes : 0;
}

int jbd2_journal_ensure_credits(handle_t *handle, u32 credits, u32 revokes)
{
	u32 have = jbd2_handle_buffer_credits(handle), have_revokes = handle->h_revoke_credits;

	if (is_handle_aborted(handle))
		return -EROFS;
	if (have >= credits && have_revokes >= revokes)
		return 0;
	return jbd2_journal_extend(handle, credits > have ? credits - have : 0,
				   revokes > have_revokes ? revokes - have_revokes : 0);
}

bool is_handle_aborted(const handle_t *handle)
{
	return !handle->h_transaction || journal_aborted(handle->h_journal);
}

tid_t jbd2_handle_tid(const handle_t *handle)
{
	return handle->h_transaction->t_tid;
}

void jbd2_journal_lock_updates(journal_t *journal)
{
	BUG_ON(journal_current_handle());
	spin_lock(&journal->j_state_lock);
	journal->j_barrier_count++;
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	jbd2_gate_wake(journal);
	jbd2_gate_wait_empty(journal);
}

void jbd2_journal_unlock_updates(journal_t *journal)
{
	spin_lock(&journal->j_state_lock);
	BUG_ON(!journal->j_barrier_count);
	journal->j_barrier_count--;
	jbd2_gate_update(journal);
	spin_unlock(&journal->j_state_lock);
	jbd2_gate_wake(journal);
}

u32 jbd2_journal_max_credits(const journal_t *journal)
{
	return journal->j_max_credits;
}
