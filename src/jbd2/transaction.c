/* SPDX-License-Identifier: MIT */
/*
 * What a handle does with a buffer: gets access to it, says that it was changed, forgets it.
 *
 * The first access by a transaction files the buffer in it; after that a look without locks is enough. A
 * buffer that the committing transaction holds becomes the running one's as next; its content as the commit
 * needs it is copied aside (frozen) unless it is in the log's memory already (b_jlist is BJ_Forget).
 *
 * BH_Lock is held over the first access, so that a write of the buffer to its place has ended before it is
 * changed. From then on it is not BH_Dirty: what it still owes to its place is b_jdirty.
 */
#include "jbd2/journal_internal.h"

#include <string.h>

enum access { WRITE_ACCESS, CREATE_ACCESS, UNDO_ACCESS };

void jbd2_file_buffer(struct journal_head *jh, transaction_t *t, enum jh_list list)
{
	journal_t *journal = t->t_journal;

	if (!jh->b_transaction)
		jbd2_head_hold(journal, jh);
	spin_lock(&journal->j_list_lock);
	list_del_init(&jh->b_list);
	list_add_tail(&jh->b_list, list == BJ_Metadata ? &t->t_buffers : &t->t_forget);
	WRITE_ONCE(jh->b_jlist, list);
	spin_unlock(&journal->j_list_lock);
	smp_store_release(&jh->b_transaction, t);
}

/*
 * The transaction lets go of the buffer. What it has frozen is what was committed last, if somebody wants to
 * know that.
 */
static void rotate_copies(journal_t *journal, struct journal_head *jh)
{
	void *frozen = jh->b_frozen_data, *committed = jh->b_committed_data;
	bool keep = committed && jh->b_next_transaction && !jh->b_next_forget;

	jh->b_frozen_data = NULL;
	jh->b_committed_data = keep ? frozen : NULL;
	jbd2_copy_free(journal, committed);
	if (!keep)
		jbd2_copy_free(journal, frozen);
}

bool jbd2_refile_buffer(struct journal_head *jh)
{
	journal_t *journal = jh->b_transaction->t_journal;
	transaction_t *next = jh->b_next_transaction;

	rotate_copies(journal, jh);
	if (next) {
		WRITE_ONCE(jh->b_modified, jh->b_next_modified);
		if (jh->b_next_forget)
			jh->b_jdirty = false;
		jbd2_file_buffer(jh, next, jh->b_next_forget ? BJ_Forget : BJ_Metadata);
		WRITE_ONCE(jh->b_next_transaction, NULL);
		WRITE_ONCE(jh->b_next_modified, false);
		WRITE_ONCE(jh->b_next_forget, false);
		return false;
	}
	spin_lock(&journal->j_list_lock);
	list_del_init(&jh->b_list);
	WRITE_ONCE(jh->b_jlist, BJ_None);
	spin_unlock(&journal->j_list_lock);
	WRITE_ONCE(jh->b_transaction, NULL);
	WRITE_ONCE(jh->b_modified, false);
	jh->b_triggers = NULL;
	if (jh->b_jdirty) {
		jh->b_jdirty = false;
		mark_buffer_dirty(jh->b_bh);
	}
	return true;
}

/* Must the content that the committing transaction has of it be kept aside? */
static bool needs_frozen(const struct journal_head *jh, const transaction_t *t)
{
	if (!jh->b_transaction || jh->b_transaction == t || jh->b_frozen_data)
		return false;
	return jh->b_jlist == BJ_Metadata ? jh->b_modified : jh->b_committed_data != NULL;
}

static bool has_access(const struct journal_head *jh, const transaction_t *t)
{
	if (jh->b_transaction == t)
		return jh->b_jlist == BJ_Metadata;
	return jh->b_next_transaction == t && !jh->b_next_forget;
}

static void freeze(struct journal_head *jh, void *copy)
{
	memcpy(copy, jh->b_bh->b_data, jh->b_bh->b_size);
	if (jh->b_triggers)
		jh->b_triggers->t_frozen(jh->b_triggers, jh->b_bh, copy, jh->b_bh->b_size);
	jh->b_frozen_data = copy;
}

/* The buffer was dirty, or its last write failed: that is the journal's to remember now. */
static bool owes_write(struct buffer_head *bh)
{
	bool dirty = buffer_test_clear(bh, BH_Dirty), failed = buffer_test_clear(bh, BH_Write_EIO);

	return dirty || failed;
}

/* Under BH_Lock and b_state_lock: the buffer is t's from now on. */
static void join(struct journal_head *jh, transaction_t *t, enum access access) __must_hold(&jh->b_state_lock)
{
	struct buffer_head *bh = jh->b_bh;

	jbd2_revoke_cancel(t->t_journal, t, bh->b_blocknr);
	if (jh->b_transaction && jh->b_transaction != t) {
		BUG_ON(jh->b_next_transaction && jh->b_next_transaction != t);
		WRITE_ONCE(jh->b_next_forget, false);
		WRITE_ONCE(jh->b_next_modified, false);
		smp_store_release(&jh->b_next_transaction, t);
		return;
	}
	/* What a new block was dirty with before does not count, unless the log still needs it. */
	if (owes_write(bh) && (access != CREATE_ACCESS || jh->b_cp_transaction))
		jh->b_jdirty = true;
	WRITE_ONCE(jh->b_modified, false);
	jbd2_file_buffer(jh, t, BJ_Metadata);
}

/*
 * With memory for a copy if one is needed (then *copy is taken), else -EAGAIN. b_committed_data is what undo
 * access asks for: if the transaction changes the buffer for the first time, its content now.
 */
static int access_locked(struct journal_head *jh, transaction_t *t, enum access access, void **copy)
	__must_hold(&jh->b_state_lock)
{
	bool first = !has_access(jh, t), undo = access == UNDO_ACCESS && !jh->b_committed_data;

	if (first && needs_frozen(jh, t)) {
		if (!*copy)
			return -EAGAIN;
		freeze(jh, *copy);
		*copy = NULL;
		/* Once more for the other copy. */
	}
	if (undo) {
		if (!*copy)
			return -EAGAIN;
		memcpy(*copy, jh->b_bh->b_data, jh->b_bh->b_size);
		jh->b_committed_data = *copy;
		*copy = NULL;
	}
	if (first)
		join(jh, t, access);
	return 0;
}

static int do_get_access(handle_t *handle, struct journal_head *jh, enum access access)
{
	struct buffer_head *bh = jh->b_bh;
	void *copy = NULL;
	int err;

	for (;;) {
		lock_buffer(bh);
		spin_lock(&jh->b_state_lock);
		err = access_locked(jh, handle->h_transaction, access, &copy);
		spin_unlock(&jh->b_state_lock);
		unlock_buffer(bh);
		if (err != -EAGAIN)
			break;
		copy = jbd2_copy_alloc(handle->h_journal);
		if (!copy)
			return -ENOMEM;
	}
	jbd2_copy_free(handle->h_journal, copy);
	return err;
}

static int get_access(handle_t *handle, struct buffer_head *bh, enum access access)
{
	journal_t *journal = handle->h_journal;
	struct journal_head *jh;
	int err;

	if (is_handle_aborted(handle))
		return -EROFS;
	if (access == WRITE_ACCESS && jbd2_buffer_in(bh, handle->h_transaction, false))
		return 0;
	err = jbd2_head_get(journal, bh, &jh);
	if (err)
		return err;
	err = do_get_access(handle, jh, access);
	jbd2_head_put(journal, jh);
	return err;
}

int jbd2_journal_get_write_access(handle_t *handle, struct buffer_head *bh)
{
	return get_access(handle, bh, WRITE_ACCESS);
}

int jbd2_journal_get_create_access(handle_t *handle, struct buffer_head *bh)
{
	return get_access(handle, bh, CREATE_ACCESS);
}

int jbd2_journal_get_undo_access(handle_t *handle, struct buffer_head *bh)
{
	return get_access(handle, bh, UNDO_ACCESS);
}

/* The head of a buffer that is in the handle's transaction: it stays as long as that runs. */
static struct journal_head *handle_head(const handle_t *handle, struct buffer_head *bh)
{
	struct journal_head *jh = smp_load_acquire((struct journal_head **)&bh->b_private);

	BUG_ON(!jh);
	return jh;
}

void jbd2_journal_committed_data(struct buffer_head *bh, void (*look)(const void *data, void *ctx), void *ctx)
{
	struct journal_head *jh = handle_head(journal_current_handle(), bh);

	scoped_spin_lock(&jh->b_state_lock);
	look(jh->b_committed_data, ctx);
}

void jbd2_journal_set_triggers(struct buffer_head *bh, const struct jbd2_buffer_trigger_type *type)
{
	struct journal_head *jh = handle_head(journal_current_handle(), bh);

	scoped_spin_lock(&jh->b_state_lock);
	jh->b_triggers = type;
}

int jbd2_journal_dirty_metadata(handle_t *handle, struct buffer_head *bh)
{
	transaction_t *t = handle->h_transaction;
	struct journal_head *jh;

	if (is_handle_aborted(handle))
		return -EROFS;
	if (jbd2_buffer_in(bh, t, true))
		return 0;
	BUG_ON(!buffer_uptodate(bh));
	jh = handle_head(handle, bh);
	scoped_spin_lock(&jh->b_state_lock);
	BUG_ON(!has_access(jh, t));
	if (jh->b_transaction == t ? jh->b_modified : jh->b_next_modified)
		return 0;
	if (!jbd2_handle_buffer_credits(handle))
		return -ENOSPC;
	handle->h_credits--;
	jh->b_jdirty = true;
	if (jh->b_transaction == t)
		WRITE_ONCE(jh->b_modified, true);
	else
		WRITE_ONCE(jh->b_next_modified, true);
	return 0;
}

/* Under BH_Lock and b_state_lock. */
static void forget_locked(handle_t *handle, struct journal_head *jh) __must_hold(&jh->b_state_lock)
{
	transaction_t *t = handle->h_transaction;
	bool modified = false;

	if (jh->b_transaction == t) {
		modified = jh->b_modified;
		WRITE_ONCE(jh->b_modified, false);
		jh->b_jdirty = false;
		jbd2_file_buffer(jh, t, BJ_Forget);
	} else if (jh->b_transaction) {
		/* It is being committed; after that it is forgotten. */
		modified = jh->b_next_transaction && jh->b_next_modified;
		WRITE_ONCE(jh->b_next_forget, true);
		WRITE_ONCE(jh->b_next_modified, false);
		smp_store_release(&jh->b_next_transaction, t);
	} else if (owes_write(jh->b_bh) && jh->b_cp_transaction) {
		/* The log is kept for it until it is sure that it is not needed any more. */
		jbd2_file_buffer(jh, t, BJ_Forget);
	}
	if (modified)
		handle->h_credits++;
}

int jbd2_journal_forget(handle_t *handle, struct buffer_head *bh)
{
	journal_t *journal = handle->h_journal;
	struct journal_head *jh;

	if (is_handle_aborted(handle))
		return -EROFS;
	jh = jbd2_head_find(journal, bh);
	/* A write of it that is under way ends before the block can be another's. */
	lock_buffer(bh);
	if (jh) {
		spin_lock(&jh->b_state_lock);
		forget_locked(handle, jh);
		spin_unlock(&jh->b_state_lock);
	} else {
		buffer_clear(bh, BH_Dirty);
	}
	unlock_buffer(bh);
	if (jh)
		jbd2_head_put(journal, jh);
	return 0;
}

void jbd2_journal_callback_add(handle_t *handle, struct jbd2_commit_callback *callback)
{
	scoped_spin_lock(&handle->h_journal->j_list_lock);
	list_add_tail(&callback->list, &handle->h_transaction->t_callbacks);
}
