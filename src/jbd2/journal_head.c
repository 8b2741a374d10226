/* SPDX-License-Identifier: MIT */
/*
 * Journal heads: what the journal keeps of a buffer beside it, from the first access by a transaction until
 * the buffer is neither in one nor has to be checkpointed. bh->b_private points to it, and it holds one
 * reference to the buffer, so that reclaim leaves that alone.
 *
 * b_private and the count of references are guarded by the lock of a bucket, chosen by the buffer. The pool
 * is type-safe: jbd2_buffer_in() looks at a head that may be going, without any lock.
 */
#include "base/hash.h"
#include "jbd2/journal_internal.h"

#include <string.h>

static spinlock_t *head_lock(journal_t *journal, const struct buffer_head *bh)
{
	return &journal->j_head_buckets[((uintptr_t)bh / sizeof(*bh)) % JBD2_HEAD_BUCKETS].lock;
}

struct journal_head *jbd2_head_find(journal_t *journal, struct buffer_head *bh)
{
	struct journal_head *jh;

	if (!READ_ONCE(bh->b_private))
		return NULL;
	scoped_spin_lock(head_lock(journal, bh));
	jh = bh->b_private;
	if (jh)
		jh->b_jcount++;
	return jh;
}

/* The memory of a head holds its lock already. */
static void head_init(struct journal_head *jh, struct buffer_head *bh)
{
	WRITE_ONCE(jh->b_bh, bh);
	jh->b_jcount = 1;
	WRITE_ONCE(jh->b_modified, false);
	jh->b_next_modified = jh->b_next_forget = jh->b_jdirty = false;
	jh->b_jlist = BJ_None;
	jh->b_triggers = NULL;
	INIT_LIST_HEAD(&jh->b_list);
	INIT_LIST_HEAD(&jh->b_cplist);
}

int jbd2_head_get(journal_t *journal, struct buffer_head *bh, struct journal_head **out)
{
	struct journal_head *jh = jbd2_head_find(journal, bh), *fresh;
	spinlock_t *lock = head_lock(journal, bh);

	*out = jh;
	if (jh)
		return 0;
	fresh = pool_alloc(journal->j_heads);
	if (!fresh)
		return -ENOMEM;
	head_init(fresh, bh);
	spin_lock(lock);
	jh = bh->b_private;
	if (!jh) {
		get_bh(bh);
		smp_store_release(&bh->b_private, (void *)fresh);
		*out = fresh;
		fresh = NULL;
	} else {
		jh->b_jcount++;
		*out = jh;
	}
	spin_unlock(lock);
	pool_free(journal->j_heads, fresh);
	return 0;
}

void jbd2_head_hold(journal_t *journal, struct journal_head *jh)
{
	scoped_spin_lock(head_lock(journal, jh->b_bh));
	jh->b_jcount++;
}

void jbd2_head_put(journal_t *journal, struct journal_head *jh)
{
	struct buffer_head *bh = jh->b_bh;
	spinlock_t *lock = head_lock(journal, bh);
	bool last;

	spin_lock(lock);
	last = --jh->b_jcount == 0;
	if (last)
		WRITE_ONCE(bh->b_private, NULL);
	spin_unlock(lock);
	if (!last)
		return;
	BUG_ON(jh->b_transaction || jh->b_next_transaction || jh->b_cp_transaction || jh->b_frozen_data ||
	       jh->b_committed_data);
	WRITE_ONCE(jh->b_bh, NULL);
	pool_free(journal->j_heads, jh);
	brelse(bh);
}

void *jbd2_copy_alloc(journal_t *journal)
{
	void *copy = kmalloc(journal->j_machine, journal->j_log->block_size);

	if (copy)
		machine_charge(journal->j_machine, journal->j_log->block_size);
	return copy;
}

void jbd2_copy_free(journal_t *journal, void *copy)
{
	if (!copy)
		return;
	machine_uncharge(journal->j_machine, journal->j_log->block_size);
	kfree(copy);
}

/*
 * A head that is in a running transaction stays the buffer's while that runs; so if it says that it is this
 * buffer's and in t, it was so when it was looked at, and still is.
 */
static bool head_in(const struct journal_head *jh, const transaction_t *t, bool modified)
{
	if (smp_load_acquire(&jh->b_transaction) == t)
		return READ_ONCE(jh->b_jlist) == BJ_Metadata && (!modified || READ_ONCE(jh->b_modified));
	return smp_load_acquire(&jh->b_next_transaction) == t && !READ_ONCE(jh->b_next_forget) &&
	       (!modified || READ_ONCE(jh->b_next_modified));
}

bool jbd2_buffer_in(struct buffer_head *bh, const transaction_t *t, bool modified)
{
	const struct journal_head *jh;

	scoped_rcu_read();
	jh = smp_load_acquire(&bh->b_private);
	return jh && head_in(jh, t, modified) && READ_ONCE(jh->b_bh) == bh;
}
