/* SPDX-License-Identifier: MIT */
/*
 * Revokes: blocks that were freed, so that copies of them in the log up to this transaction must not be
 * replayed over what they hold by then.
 *
 * The running transaction and the committing one have a table each (t_revoke_table); the tables belong to the
 * journal and their records come from a pool. A table's lock guards its chains. A commit writes its table
 * before anything else, when no handle can add to it.
 */
#include "base/hash.h"
#include "jbd2/journal_internal.h"

#include <string.h>

struct revoke_record {
	struct hlist_node node;
	u64 block;
};

int jbd2_revoke_init(journal_t *journal)
{
	int err = pool_create(journal->j_machine, "jbd2_revoke_record", sizeof(struct revoke_record), 0, NULL,
			      &journal->j_revoke_records);

	if (err)
		return err;
	journal->j_revoke = kcalloc(journal->j_machine, 2, sizeof(*journal->j_revoke));
	if (!journal->j_revoke)
		return -ENOMEM;
	spin_lock_init(&journal->j_revoke[0].lock);
	spin_lock_init(&journal->j_revoke[1].lock);
	return 0;
}

void jbd2_revoke_exit(journal_t *journal)
{
	kfree(journal->j_revoke);
	pool_destroy(journal->j_revoke_records);
}

static struct jbd2_revoke_table *table_of(journal_t *journal, const transaction_t *t)
{
	return &journal->j_revoke[t->t_revoke_table];
}

static struct revoke_record *find_locked(struct jbd2_revoke_table *table, u64 block, struct hlist_head **head)
{
	struct revoke_record *record;

	*head = &table->buckets[hash_64(block, ilog2(JBD2_REVOKE_BUCKETS))];
	hlist_for_each_entry (record, *head, node)
		if (record->block == block)
			return record;
	return NULL;
}

/* A block that is there already is one revoke. */
static int revoke_add(handle_t *handle, u64 block)
{
	journal_t *journal = handle->h_journal;
	struct jbd2_revoke_table *table = table_of(journal, handle->h_transaction);
	struct revoke_record *fresh = pool_alloc(journal->j_revoke_records);
	struct hlist_head *head;

	if (!fresh)
		return -ENOMEM;
	fresh->block = block;
	spin_lock(&table->lock);
	if (!find_locked(table, block, &head)) {
		hlist_add_head(&fresh->node, head);
		atomic_inc(&table->nr);
		handle->h_revokes++;
		handle->h_revoke_credits--;
		fresh = NULL;
	}
	spin_unlock(&table->lock);
	pool_free(journal->j_revoke_records, fresh);
	return 0;
}

int jbd2_journal_revoke(handle_t *handle, u64 block, struct buffer_head *bh)
{
	int err;

	if (is_handle_aborted(handle))
		return -EROFS;
	if (!handle->h_journal->j_can_revoke)
		return -EOPNOTSUPP;
	if (!handle->h_revoke_credits)
		return -ENOSPC;
	err = revoke_add(handle, block);
	return !err && bh ? jbd2_journal_forget(handle, bh) : err;
}

void jbd2_revoke_cancel(journal_t *journal, const transaction_t *t, u64 block)
{
	struct jbd2_revoke_table *table = table_of(journal, t);
	struct revoke_record *record;
	struct hlist_head *head;

	if (likely(!atomic_read(&table->nr)))
		return;
	spin_lock(&table->lock);
	record = find_locked(table, block, &head);
	if (record) {
		hlist_del(&record->node);
		atomic_dec(&table->nr);
	}
	spin_unlock(&table->lock);
	pool_free(journal->j_revoke_records, record);
}

struct revoke_writer {
	journal_t *journal;
	tid_t tid;
	u8 *block; /* NULL: none is open */
	u32 nr;
};

static void revoke_close(struct revoke_writer *w)
{
	if (w->block)
		jbd2_tail_csum_set(w->journal->j_log, w->block);
	w->block = NULL;
}

static void revoke_put(struct revoke_writer *w, u64 block)
{
	const struct jbd2_journal *log = w->journal->j_log;

	if (w->block && w->nr == w->journal->j_revokes_per_block)
		revoke_close(w);
	if (!w->block) {
		w->block = jbd2_writer_next(w->journal);
		w->nr = 0;
		memset(w->block, 0, log->block_size);
		jbd2_header_set(w->block, JBD2_REVOKE_BLOCK, w->tid);
	}
	jbd2_revoke_set(log, w->block, w->nr++, block);
}

/* Takes the records out of the table one by one, for *each (NULL: for nothing). */
static void table_empty(journal_t *journal, struct jbd2_revoke_table *table, struct revoke_writer *w)
{
	for (u32 i = 0; atomic_read(&table->nr) && i < JBD2_REVOKE_BUCKETS; i++) {
		struct revoke_record *record;

		while ((record = hlist_entry_safe(table->buckets[i].first, struct revoke_record, node))) {
			if (w)
				revoke_put(w, record->block);
			hlist_del(&record->node);
			atomic_dec(&table->nr);
			pool_free(journal->j_revoke_records, record);
		}
	}
}

void jbd2_revoke_write(journal_t *journal, transaction_t *t)
{
	struct revoke_writer w = {.journal = journal, .tid = t->t_tid};

	table_empty(journal, table_of(journal, t), &w);
	revoke_close(&w);
}

void jbd2_revoke_drop(journal_t *journal, transaction_t *t)
{
	table_empty(journal, table_of(journal, t), NULL);
}
