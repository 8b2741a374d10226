/* SPDX-License-Identifier: MIT */
/*
 * A writing journal's beginning and end.
 *
 * It begins with an empty log, after recovery, and ends with one, unless it was aborted.
 */
#include "jbd2/journal_internal.h"

#define DEFAULT_COMMIT_INTERVAL (5 * NSEC_PER_SEC)
#define MIN_TRANSACTION_BLOCKS  200u
#define MAX_TRANSACTION_BLOCKS  (1u << 20) /* sums of credits fit the gate's word */

/* The type-safe pool's objects keep their lock. */
static void head_ctor(void *object)
{
	struct journal_head *jh = object;

	*jh = (struct journal_head){.b_bh = NULL};
	spin_lock_init(&jh->b_state_lock);
}

static int pools_create(journal_t *journal)
{
	struct shale *machine = journal->j_machine;
	int err = pool_create(machine, "jbd2_journal_head", sizeof(struct journal_head), POOL_TYPESAFE,
			      head_ctor, &journal->j_heads);

	if (!err)
		err = pool_create(machine, "jbd2_journal_handle", sizeof(handle_t), 0, NULL,
				  &journal->j_handles);
	if (!err)
		err = pool_create(machine, "jbd2_transaction_s", sizeof(transaction_t), 0, NULL,
				  &journal->j_transactions);
	return err ? err : jbd2_revoke_init(journal);
}

/* In all the chunks take a sixteenth of the machine's memory at most, unless blocks are large. */
static u32 chunk_blocks(const struct jbd2_journal *log)
{
	u64 bytes = min_t(u64, JBD2_CHUNK_BYTES, log->machine->options.memory_limit / (16 * JBD2_CHUNKS));

	return max_t(u32, (u32)(bytes >> log->block_bits), JBD2_MIN_CHUNK);
}

static void journal_init(journal_t *journal, struct jbd2_journal *log,
			 const struct jbd2_journal_options *options)
{
	journal->j_machine = log->machine;
	journal->j_log = log;
	journal->j_dev = log->bdev;
	journal->j_ops = options->ops;
	journal->j_host = options->host;
	journal->j_barrier = !options->nobarrier;
	journal->j_commit_interval =
		options->commit_interval ? options->commit_interval : DEFAULT_COMMIT_INTERVAL;
	journal->j_gate = (atomic64_t){(s64)GATE_CLOSED};
	spin_lock_init(&journal->j_state_lock);
	spin_lock_init(&journal->j_list_lock);
	init_waitqueue_head(&journal->j_wait_gate);
	init_waitqueue_head(&journal->j_wait_updates);
	init_waitqueue_head(&journal->j_wait_done);
	INIT_LIST_HEAD(&journal->j_checkpoint_transactions);
	mutex_init(&journal->j_checkpoint_mutex);
	mutex_init(&journal->j_create_mutex);
	mutex_init(&journal->j_super_mutex);
	for (unsigned i = 0; i < JBD2_HEAD_BUCKETS; i++)
		spin_lock_init(&journal->j_head_buckets[i].lock);
	INIT_DELAYED_WORK(journal->j_machine, &journal->j_commit_work, jbd2_commit_work);
	journal->j_writer.chunk_blocks = chunk_blocks(log);
}

/*
 * Descriptors for so many copies, one commit block, and what a chunk that revoke blocks have begun wastes.
 */
u32 jbd2_log_bound(const journal_t *journal, u32 credits)
{
	u32 chunk = journal->j_writer.chunk_blocks;
	u32 groups = DIV_ROUND_UP(chunk, min(journal->j_tags_per_block + 1, chunk));
	u32 copies = chunk - groups; /* that a chunk holds at least */

	return credits + (credits / copies + 2) * groups + 1;
}

/*
 * A transaction takes a quarter of the log at most, so that there is room for one that runs, one that commits
 * and some to be checkpointed; and its buffers, which cannot be reclaimed, an eighth of the machine's memory.
 */
static void set_limits(journal_t *journal, const struct jbd2_journal_options *options, tid_t next)
{
	u64 memory = (journal->j_machine->options.memory_limit / 8) >> journal->j_log->block_bits;
	u32 max_blocks = log_length(journal) / 4, credits;

	journal->j_revokes_per_block = jbd2_max_revokes(journal->j_log);
	journal->j_tags_per_block = jbd2_max_tags(journal->j_log);
	if (options->max_transaction)
		max_blocks = min(max_blocks, options->max_transaction);
	max_blocks = (u32)min3((u64)max_blocks, max_t(u64, memory, MIN_TRANSACTION_BLOCKS),
			       (u64)MAX_TRANSACTION_BLOCKS);
	for (credits = max_blocks; credits && jbd2_log_bound(journal, credits) > max_blocks;)
		credits--;
	journal->j_max_blocks = max_blocks;
	journal->j_max_credits = credits;
	journal->j_head = journal->j_tail = journal->j_log->first;
	journal->j_free = log_length(journal);
	journal->j_tail_sequence = journal->j_transaction_sequence = next;
	journal->j_commit_sequence = journal->j_commit_request = next - 1;
	journal->j_errno = jbd2_errno(journal->j_log);
	set_bit(JBD2_FLUSHED, &journal->j_flags);
}

static void journal_free(journal_t *journal)
{
	destroy_workqueue(journal->j_wq);
	jbd2_writer_free(journal);
	jbd2_revoke_exit(journal);
	pool_destroy(journal->j_heads);
	pool_destroy(journal->j_handles);
	pool_destroy(journal->j_transactions);
	kfree(journal->j_super);
	kfree(journal->j_commit_block);
	kfree(journal);
}

static int journal_make(journal_t *journal, const struct jbd2_journal_options *options, tid_t next)
{
	u32 block_size = journal->j_log->block_size;
	int err = pools_create(journal);

	if (!err)
		err = alloc_workqueue(journal->j_machine, "jbd2", 1, &journal->j_wq);
	if (err)
		return err;
	journal->j_super = kmalloc_aligned(journal->j_machine, block_size, 4096);
	journal->j_commit_block = kmalloc_aligned(journal->j_machine, block_size, 4096);
	if (!journal->j_super || !journal->j_commit_block)
		return -ENOMEM;
	err = jbd2_super_load(journal, options, next);
	if (!err)
		set_limits(journal, options, next);
	return err;
}

int jbd2_journal_load(struct jbd2_journal *log, const struct jbd2_journal_options *options, tid_t next,
		      journal_t **out)
{
	journal_t *journal;
	int err;

	BUG_ON(!log->nr_runs);
	if (bdev_read_only(log->bdev))
		return -EROFS;
	journal = kmalloc_aligned(log->machine, sizeof(*journal), CACHELINE_SIZE);
	if (!journal)
		return -ENOMEM;
	*journal = (journal_t){.j_errno = 0};
	journal_init(journal, log, options);
	err = journal_make(journal, options, next);
	if (err) {
		journal_free(journal);
		return err;
	}
	kfree(log->window);
	log->window = NULL;
	journal->j_shrinker = (struct shrinker){.name = "jbd2-journal",
						.count_objects = jbd2_checkpoint_count,
						.scan_objects = jbd2_checkpoint_shrink,
						.seeks = 2};
	shrinker_register(journal->j_machine, &journal->j_shrinker);
	*out = journal;
	return 0;
}

void jbd2_transactions_free(journal_t *journal, struct list_head *gone)
{
	transaction_t *t, *next;

	list_for_each_entry_safe (t, next, gone, t_cplist)
		pool_free(journal->j_transactions, t);
}

int jbd2_journal_flush(journal_t *journal)
{
	int err = jbd2_journal_force_commit(journal);

	return err ? err : jbd2_checkpoint_all(journal);
}

int jbd2_journal_destroy(journal_t *journal)
{
	struct jbd2_journal *log = journal->j_log;
	int err = jbd2_journal_flush(journal);

	BUG_ON(journal->j_running_transaction || journal->j_reserved);
	cancel_delayed_work_sync(&journal->j_commit_work);
	shrinker_unregister(journal->j_machine, &journal->j_shrinker);
	jbd2_checkpoint_drop_all(journal);
	journal_free(journal);
	jbd2_journal_close(log);
	return err;
}
