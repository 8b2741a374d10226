/* SPDX-License-Identifier: MIT */
/*
 * Ordered data: inodes whose dirty pages have to be on the disk before the transaction that maps their blocks
 * commits. The lists and the fields of an inode are guarded by j_list_lock; while the file system is called
 * for one, JI_COMMIT_RUNNING keeps it.
 */
#include "jbd2/journal_internal.h"

#define JI_COMMIT_RUNNING 1u
#define JI_WRITE_DATA     2u
#define JI_WAIT_DATA      4u

void jbd2_journal_init_jbd_inode(struct jbd2_inode *jinode, void *host)
{
	*jinode = (struct jbd2_inode){.i_host = host};
	INIT_LIST_HEAD(&jinode->i_list);
}

static void file_inode(handle_t *handle, struct jbd2_inode *jinode, unsigned flags, u64 start, u64 length)
{
	transaction_t *t = handle->h_transaction;
	u64 end = start + length - 1;

	if (is_handle_aborted(handle) || !length)
		return;
	scoped_spin_lock(&handle->h_journal->j_list_lock);
	if (!jinode->i_transaction) {
		jinode->i_dirty_start = start;
		jinode->i_dirty_end = end;
	} else {
		jinode->i_dirty_start = min(jinode->i_dirty_start, start);
		jinode->i_dirty_end = max(jinode->i_dirty_end, end);
	}
	jinode->i_flags |= flags;
	if (jinode->i_transaction == t)
		return;
	if (jinode->i_transaction) {
		jinode->i_next_transaction = t;
		return;
	}
	jinode->i_transaction = t;
	list_add_tail(&jinode->i_list, &t->t_inode_list);
}

void jbd2_journal_inode_ranged_write(handle_t *handle, struct jbd2_inode *jinode, u64 start, u64 length)
{
	file_inode(handle, jinode, JI_WRITE_DATA | JI_WAIT_DATA, start, length);
}

void jbd2_journal_inode_ranged_wait(handle_t *handle, struct jbd2_inode *jinode, u64 start, u64 length)
{
	file_inode(handle, jinode, JI_WAIT_DATA, start, length);
}

typedef int (*inode_data_fn)(struct jbd2_inode *jinode, u64 start, u64 end);

/* Calls fn for those of the transaction's inodes that have `flag`. The first error. */
static int for_inodes(journal_t *journal, transaction_t *t, unsigned flag, inode_data_fn fn)
{
	struct jbd2_inode *jinode;
	int err = 0;

	spin_lock(&journal->j_list_lock);
	list_for_each_entry (jinode, &t->t_inode_list, i_list) {
		u64 start = jinode->i_dirty_start, end = jinode->i_dirty_end;
		int one;

		if (!(jinode->i_flags & flag))
			continue;
		jinode->i_flags |= JI_COMMIT_RUNNING;
		spin_unlock(&journal->j_list_lock);
		one = fn(jinode, start, end);
		err = err ? err : one;
		spin_lock(&journal->j_list_lock);
		WRITE_ONCE(jinode->i_flags, jinode->i_flags & ~JI_COMMIT_RUNNING);
		wake_up_var(&jinode->i_flags);
	}
	spin_unlock(&journal->j_list_lock);
	return err;
}

int jbd2_submit_inode_data(journal_t *journal, transaction_t *t)
{
	return journal->j_ops ? for_inodes(journal, t, JI_WRITE_DATA, journal->j_ops->submit_inode_data) : 0;
}

int jbd2_finish_inode_data(journal_t *journal, transaction_t *t)
{
	return journal->j_ops ? for_inodes(journal, t, JI_WAIT_DATA, journal->j_ops->finish_inode_data) : 0;
}

void jbd2_end_inodes(journal_t *journal, transaction_t *t)
{
	struct jbd2_inode *jinode, *tmp;

	scoped_spin_lock(&journal->j_list_lock);
	list_for_each_entry_safe (jinode, tmp, &t->t_inode_list, i_list) {
		transaction_t *next = jinode->i_next_transaction;

		list_del_init(&jinode->i_list);
		jinode->i_transaction = next;
		jinode->i_next_transaction = NULL;
		if (next)
			list_add_tail(&jinode->i_list, &next->t_inode_list);
		else
			WRITE_ONCE(jinode->i_flags, 0);
	}
}

void jbd2_journal_release_jbd_inode(journal_t *journal, struct jbd2_inode *jinode)
{
	for (;;) {
		spin_lock(&journal->j_list_lock);
		if (!(jinode->i_flags & JI_COMMIT_RUNNING)) {
			list_del_init(&jinode->i_list);
			jinode->i_transaction = jinode->i_next_transaction = NULL;
			spin_unlock(&journal->j_list_lock);
			return;
		}
		spin_unlock(&journal->j_list_lock);
		io_wait_var_event(&jinode->i_flags, !(READ_ONCE(jinode->i_flags) & JI_COMMIT_RUNNING));
	}
}

int jbd2_journal_begin_ordered_truncate(journal_t *journal, struct jbd2_inode *jinode, u64 new_size)
{
	bool committing;

	spin_lock(&journal->j_list_lock);
	spin_lock(&journal->j_state_lock);
	committing = jinode->i_transaction && jinode->i_transaction == journal->j_committing_transaction;
	spin_unlock(&journal->j_state_lock);
	spin_unlock(&journal->j_list_lock);
	if (!committing || !journal->j_ops)
		return 0;
	return journal->j_ops->submit_inode_data(jinode, new_size, (u64)INT64_MAX);
}
