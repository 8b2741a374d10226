/* SPDX-License-Identifier: MIT */
/*
 * What the files of the writing journal share: the journal, its transactions and the heads of its buffers.
 *
 * A transaction's states, and who moves it on:
 *
 *     T_RUNNING    handle.c makes it when a handle wants one and the log has room for the largest there is
 *     T_LOCKED     commit.c: lets no handle in, waits for those that are open
 *     T_FLUSH      it commits; the next may run. Data is written, then the log (commit_write.c)
 *     T_COMMIT     its commit block is on its way
 *     T_FINISHED   it is on the disk: only its checkpoint list is left, and it goes with that (checkpoint.c)
 *
 * A buffer's life: b_transaction is the transaction that holds it, running or committing; b_next_transaction
 * the running one, if that took it while the other commits; b_cp_transaction the last one that has committed
 * it and that the log has to be kept for until the buffer is written. Each of b_transaction and
 * b_cp_transaction is a reference to the head, the head is one to the buffer.
 *
 * Lock order: j_create_mutex, j_checkpoint_mutex, j_super_mutex; BH_Lock, b_state_lock, j_list_lock,
 * j_state_lock; and revoke table, head bucket: inside all of these.
 */
#ifndef SHALE_JBD2_JOURNAL_INTERNAL_H
#define SHALE_JBD2_JOURNAL_INTERNAL_H

#include "base/machine.h"
#include "base/mutex.h"
#include "base/pool.h"
#include "cache/cache.h"
#include "jbd2/jbd2_internal.h"
#include "jbd2/journal.h"

enum transaction_state { T_RUNNING, T_LOCKED, T_FLUSH, T_COMMIT, T_FINISHED };

struct transaction_s {
	journal_t *t_journal;
	tid_t t_tid;
	enum transaction_state t_state; /* j_state_lock */
	u32 t_log_start;                /* jblk; since T_FLUSH */
	u32 t_credits;                  /* blocks that it may have changed or revoked; since T_FLUSH */
	u32 t_log_blocks;               /* of the log: reserved for it; in the end, used */
	s64 t_expires;                  /* when it is old enough to commit, by ktime_get */
	atomic_t t_revokes;             /* that handles have made */
	unsigned t_revoke_table;        /* which of the journal's */
	/* j_list_lock guards these. */
	struct list_head t_buffers;         /* in it: by b_list; changed, if b_modified */
	struct list_head t_forget;          /* written to the log, or forgotten */
	struct list_head t_checkpoint_list; /* committed, not written to their places: by b_cplist */
	struct list_head t_inode_list;
	struct list_head t_callbacks;
	struct list_head t_cplist; /* in j_checkpoint_transactions */
};

enum jh_list { BJ_None, BJ_Metadata, BJ_Forget }; /* of b_transaction */

struct journal_head {
	struct buffer_head *b_bh; /* constant while it is that buffer's */
	unsigned b_jcount;        /* references, under the lock of the head bucket */
	spinlock_t b_state_lock;  /* guards all below, but for what j_list_lock does */
	bool b_modified;          /* by b_transaction */
	bool b_next_modified;     /* by b_next_transaction, */
	bool b_next_forget;       /* which has forgotten it */
	bool b_jdirty;            /* the content is not the device's, and must not be written yet */
	enum jh_list b_jlist;     /* and j_list_lock */
	transaction_t *b_transaction, *b_next_transaction; /* also read without locks: see jh_in() */
	void *b_frozen_data;                               /* as b_transaction goes into the log */
	void *b_committed_data;                            /* as of the last commit, for undo access */
	const struct jbd2_buffer_trigger_type *b_triggers;
	struct list_head b_list;         /* of b_transaction; j_list_lock */
	transaction_t *b_cp_transaction; /* and j_list_lock */
	struct list_head b_cplist;       /* j_list_lock */
};

/* The blocks on their way into the log: see log_write.c. */
#define JBD2_CHUNKS      4u
#define JBD2_CHUNK_BYTES (256u << 10) /* at most */
#define JBD2_MIN_CHUNK   16u          /* blocks */
struct jbd2_chunk {
	u8 *data;
	u32 jblk, len;  /* the run of log blocks that it holds, in the circle of the log */
	atomic_t bios;  /* not ended */
	bool in_flight; /* submitted and not waited for */
	int *err;
	struct completion done;
};

struct jbd2_log_writer {
	struct jbd2_chunk chunks[JBD2_CHUNKS];
	unsigned filling; /* which chunk */
	u32 chunk_blocks;
	int err; /* the first; atomic */
};

#define JBD2_REVOKE_BUCKETS 256u
struct jbd2_revoke_table {
	spinlock_t lock;
	atomic_t nr; /* changed under lock */
	struct hlist_head buckets[JBD2_REVOKE_BUCKETS];
};

struct jbd2_head_bucket {
	spinlock_t lock;
} __aligned_cacheline;
#define JBD2_HEAD_BUCKETS 16u

#define JBD2_ABORTED 0u /* bits of j_flags */
#define JBD2_FLUSHED 1u /* the super block says that the log is empty; j_state_lock */

/*
 * The door of the running transaction, one word: credits that are taken (bits 0..31), open handles (32..62),
 * closed. With one addition a handle enters and takes its credits; see handle.c.
 */
#define GATE_HANDLE (1ull << 32)
#define GATE_CLOSED (1ull << 63)

struct journal_s {
	atomic64_t j_gate;
	u32 j_max_credits; /* of a transaction */
	u32 j_max_blocks;  /* of the log that one can take, for its credits and all around them */
	struct shale *j_machine __aligned_cacheline;
	struct jbd2_journal *j_log; /* where the log lies, and its format */
	struct block_device *j_dev;
	const struct jbd2_journal_ops *j_ops;
	void *j_host;
	s64 j_commit_interval;
	bool j_barrier;
	bool j_can_revoke;
	u32 j_revokes_per_block;
	u32 j_tags_per_block;
	unsigned long j_flags;

	spinlock_t j_state_lock; /* guards down to j_checkpoint_transactions */
	transaction_t *j_running_transaction, *j_committing_transaction;
	tid_t j_transaction_sequence;     /* of the next transaction */
	tid_t j_commit_sequence;          /* the last that has committed; read relaxed */
	tid_t j_commit_request;           /* the last that is wanted */
	bool j_busy;                      /* somebody commits */
	unsigned j_barrier_count;         /* lock_updates */
	u32 j_reserved;                   /* credits of reserved handles, which are in j_gate, too */
	u32 j_gate_seq;                   /* moves when a handle that waits should look again */
	u32 j_head, j_tail, j_free;       /* of the log; j_free without what is reserved for a commit */
	tid_t j_tail_sequence;            /* the transaction at j_tail */
	int j_errno;                      /* that it was aborted with, or that the super block tells */
	wait_queue_head_t j_wait_gate;    /* j_gate_seq has moved */
	wait_queue_head_t j_wait_updates; /* the gate is closed and the last handle has left */
	wait_queue_head_t j_wait_done;    /* a commit has ended, j_busy is false */

	spinlock_t j_list_lock;                     /* lists of transactions, checkpoint lists */
	struct list_head j_checkpoint_transactions; /* committed ones, oldest first */
	atomic64_t j_checkpoint_heads;              /* on their lists; changed under j_list_lock */
	struct shrinker j_shrinker;
	struct mutex j_checkpoint_mutex; /* who writes checkpoints or moves the tail */
	struct mutex j_create_mutex;     /* who makes a transaction */

	struct mutex j_super_mutex; /* guards the super block's copy and its writing */
	u8 *j_super;                /* a block */

	struct workqueue_struct *j_wq;
	struct delayed_work j_commit_work;

	struct jbd2_log_writer j_writer;    /* of who commits */
	u8 *j_commit_block;                 /* the same */
	struct jbd2_revoke_table *j_revoke; /* two: of the running and the committing transaction */
	struct pool *j_heads, *j_handles, *j_transactions, *j_revoke_records;
	struct jbd2_head_bucket j_head_buckets[JBD2_HEAD_BUCKETS];
};

static inline bool journal_aborted(const journal_t *journal)
{
	return smp_load_acquire(&journal->j_flags) & (1ul << JBD2_ABORTED);
}
static inline u32 log_length(const journal_t *journal)
{
	return journal->j_log->last - journal->j_log->first;
}
/* The block `n` after jblk in the circle of the log. */
static inline u32 log_after(const journal_t *journal, u32 jblk, u32 n)
{
	u32 to = jblk + n;

	return to >= journal->j_log->last ? to - log_length(journal) : to;
}

/* handle.c */
/* A handle that waits should look again; under j_state_lock, waking comes after it: jbd2_gate_wake(). */
void jbd2_gate_update(journal_t *journal) __must_hold(&journal->j_state_lock);
void jbd2_gate_wake(journal_t *journal);
/* Waits until no handle is open; the gate is closed. */
void jbd2_gate_wait_empty(journal_t *journal);
/* No handle is open, the gate is closed: takes the credits out of it. False: somebody only looks in. */
bool jbd2_gate_take(journal_t *journal, u32 *credits) __must_hold(&journal->j_state_lock);

/* journal_head.c */
/* The head of a buffer, made if it has none: with a reference. -ENOMEM. */
int jbd2_head_get(journal_t *journal, struct buffer_head *bh, struct journal_head **out) __must_check;
struct journal_head *jbd2_head_find(journal_t *journal, struct buffer_head *bh); /* NULL: none */
void jbd2_head_hold(journal_t *journal, struct journal_head *jh);                /* one more */
void jbd2_head_put(journal_t *journal, struct journal_head *jh);                 /* not under b_state_lock */
void *jbd2_copy_alloc(journal_t *journal);                                       /* of a block; NULL */
void jbd2_copy_free(journal_t *journal, void *copy);
/* Is the block in transaction t, so that its head stays? Without a lock; t is the caller's, and runs. */
bool jbd2_buffer_in(struct buffer_head *bh, const transaction_t *t, bool modified);

/* transaction.c, under b_state_lock. */
void jbd2_file_buffer(struct journal_head *jh, transaction_t *t, enum jh_list list)
	__must_hold(&jh->b_state_lock);
/* b_transaction has nothing to do with it any more: on to the next, or to none. True: put the head. */
bool jbd2_refile_buffer(struct journal_head *jh) __must_check __must_hold(&jh->b_state_lock);

/* commit.c */
/* Commits the transaction if it runs and nobody else commits. False: not done. */
bool jbd2_try_commit(journal_t *journal, tid_t tid);
void jbd2_commit_work(struct work_struct *work);
/* commit_write.c: revokes and buffers of the transaction into the log, and waits for them. */
int jbd2_commit_write_log(journal_t *journal, transaction_t *t) __must_check;
int jbd2_commit_write_record(journal_t *journal, transaction_t *t) __must_check;

/* log_write.c */
int jbd2_writer_alloc(journal_t *journal) __must_check; /* its memory, if it has none */
void jbd2_writer_free(journal_t *journal);
void jbd2_writer_begin(journal_t *journal, u32 jblk);
u32 jbd2_writer_room(const journal_t *journal);        /* blocks that fit before it has to write; may be 0 */
u8 *jbd2_writer_next(journal_t *journal);              /* memory for the next block of the log */
void jbd2_writer_submit(journal_t *journal);           /* starts writing what it has */
int jbd2_writer_wait(journal_t *journal) __must_check; /* for all; the first error */
u32 jbd2_writer_head(const journal_t *journal);        /* jblk behind the last block */

/* revoke.c */
int jbd2_revoke_init(journal_t *journal) __must_check;
void jbd2_revoke_exit(journal_t *journal);
void jbd2_revoke_cancel(journal_t *journal, const transaction_t *t, u64 block);
/* Into the log, which has room; the table is empty afterwards. */
void jbd2_revoke_write(journal_t *journal, transaction_t *t);
void jbd2_revoke_drop(journal_t *journal, transaction_t *t);

/* checkpoint.c */
/* Until the log has room for `blocks` more. -EIO: aborted. */
int jbd2_log_wait_for_space(journal_t *journal, u32 blocks) __must_check;
int jbd2_checkpoint_all(journal_t *journal) __must_check; /* nothing runs or commits */
void jbd2_checkpoint_clean(journal_t *journal);           /* forgets what has been written meanwhile */
/* Both under j_list_lock. gone: gets a transaction that has no buffer left, for the caller to free. */
void jbd2_checkpoint_insert(struct journal_head *jh, transaction_t *t, struct list_head *gone);
void jbd2_checkpoint_remove(struct journal_head *jh, struct list_head *gone); /* then put the head */
unsigned long jbd2_checkpoint_count(struct shrinker *s, struct shale *machine);
unsigned long jbd2_checkpoint_shrink(struct shrinker *s, struct shale *machine, unsigned long nr);
void jbd2_checkpoint_drop_all(journal_t *journal); /* an aborted journal ends */

/* jinode.c: data of the transaction's inodes. */
int jbd2_submit_inode_data(journal_t *journal, transaction_t *t) __must_check;
int jbd2_finish_inode_data(journal_t *journal, transaction_t *t) __must_check;
void jbd2_end_inodes(journal_t *journal, transaction_t *t);

/* super.c */
int jbd2_write_block(journal_t *journal, u32 jblk, void *block, blk_opf_t flags) __must_check;
/* The log begins at jblk (0: it is empty) with this transaction, or the next one. */
int jbd2_write_tail(journal_t *journal, tid_t tid, u32 jblk, blk_opf_t flags) __must_check;
int jbd2_super_load(journal_t *journal, const struct jbd2_journal_options *options, tid_t next) __must_check;

/* load.c */
/* Blocks of the log that so many credits take at most. */
u32 jbd2_log_bound(const journal_t *journal, u32 credits);
void jbd2_transactions_free(journal_t *journal, struct list_head *gone); /* by t_cplist */

#endif
