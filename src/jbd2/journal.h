/* SPDX-License-Identifier: MIT */
/*
 * The writing journal: changes of many blocks that come to the disk as one. What a file system sees of it.
 *
 * A *handle* is one operation's part in the running *transaction*: it says beforehand how many blocks it will
 * change at most (credits), asks for access to each before changing it, and says when it has been changed.
 * Transactions take in handles until they are old or full, then they commit: all at once, or not at all.
 *
 *     jbd2_journal_start(journal, credits, revokes, 0, &handle)
 *       jbd2_journal_get_write_access(handle, bh)      for each block; then change bh->b_data
 *       jbd2_journal_dirty_metadata(handle, bh)
 *     jbd2_journal_stop(handle)
 *
 * There is one running transaction and at most one that commits; those that have committed are kept until
 * their blocks have been written to their places (checkpoint), since only then the log may lose them.
 *
 * Who owns what: the journal belongs to the mounted volume; handles to the thread that started them
 * (current->journal_info), which also makes nested starts one handle. A buffer in the journal is pinned by
 * it. Its content is guarded by the file system's own locks; all functions here may sleep unless they say
 * otherwise, and none may be called inside an RCU section or under a spinlock. A thread inside a handle must
 * not wait for a commit: it would wait for itself.
 *
 * Errors: a journal that cannot write its log, or a checkpoint, is aborted: from then on nothing is changed
 * on the disk any more, handles cannot be started (-EROFS), waiting for a commit tells -EIO, and the next
 * mount recovers what was committed.
 */
#ifndef SHALE_JBD2_JOURNAL_H
#define SHALE_JBD2_JOURNAL_H

#include "base/current.h"
#include "cache/buffer_head.h"
#include "jbd2/jbd2.h"

typedef u32 tid_t; /* number of a transaction; they wrap */
typedef struct journal_s journal_t;
typedef struct transaction_s transaction_t;
typedef struct handle_s handle_t;

static inline bool tid_gt(tid_t x, tid_t y)
{
	return (s32)(x - y) > 0;
}
static inline bool tid_geq(tid_t x, tid_t y)
{
	return (s32)(x - y) >= 0;
}

/* The thread's own. */
struct handle_s {
	journal_t *h_journal;
	transaction_t *h_transaction; /* NULL: reserved, not started; or stopped by a restart that failed */
	handle_t *h_rsv_handle;       /* what was reserved with it */
	u32 h_credits;                /* blocks of the log that it may still need */
	u32 h_revoke_credits;         /* blocks that it may still revoke, */
	u32 h_revokes;                /* and that it has revoked */
	unsigned h_ref;
	unsigned h_nofs; /* for memalloc_nofs_restore */
	bool h_sync;     /* stop waits for the commit */
	int h_err;       /* the file system's first error */
};

/* An inode whose data has to be on the disk before the transaction that maps it is. */
struct jbd2_inode {
	void *i_host;                                      /* the file system's */
	transaction_t *i_transaction, *i_next_transaction; /* these and below: the journal's */
	struct list_head i_list;
	unsigned i_flags;
	u64 i_dirty_start, i_dirty_end; /* bytes, end inclusive */
};

/* What the journal asks of the file system; without locks, where nothing else is said. */
struct jbd2_journal_ops {
	/* Starts writing data of the inode, dirty pages of [start, end] bytes, that has its blocks already.
	 */
	int (*submit_inode_data)(struct jbd2_inode *jinode, u64 start, u64 end);
	/* Waits for it; the error that it met. */
	int (*finish_inode_data)(struct jbd2_inode *jinode, u64 start, u64 end);
	/* The journal was aborted with this error; once. Optional. Under locks of the journal: only notes it.
	 */
	void (*aborted)(void *host, int err);
};

struct jbd2_journal_options {
	const struct jbd2_journal_ops *ops; /* NULL: no data is ordered */
	void *host;                         /* for ops */
	u32 incompat;        /* features that the log shall have: 64BIT and CSUM_V2 or CSUM_V3, or neither */
	s64 commit_interval; /* ns; 0: 5 seconds */
	bool nobarrier;      /* the device keeps the order of writes: no flushes */
	u32 max_transaction; /* blocks of the log; 0: a quarter of it */
};

/*
 * Makes the log of a journal that was opened with jbd2_place.write, and recovered, ready for writing. `next`
 * is the first transaction's number: jbd2_recovery.end_tid, or one more if the log was not empty, so that no
 * remains of a transaction that did not commit are taken for its own. The recovered blocks have been written;
 * here they are flushed before the log forgets them. On success the journal owns `log`. -EIO, -ENOMEM, -EROFS
 * (the device), -EINVAL (features that a journal of version 1 does not have).
 */
int jbd2_journal_load(struct jbd2_journal *log, const struct jbd2_journal_options *options, tid_t next,
		      journal_t **out) __must_check;
/* Commits, checkpoints, leaves an empty log, frees. -EIO: it was aborted (now or before), and needs recovery.
 */
int jbd2_journal_destroy(journal_t *journal);
/* The same without freeing: for freezing. No handle is open (jbd2_journal_lock_updates). */
int jbd2_journal_flush(journal_t *journal) __must_check;

/*
 * Starts a handle, or joins the thread's own. `credits`: blocks that it will change; `revokes`: that it will
 * revoke; `reserved`: credits for a handle to be started later by any thread (handle->h_rsv_handle), without
 * waiting for the log. Waits for room, so outside of locks that a handle takes. -EROFS: aborted; -ENOSPC:
 * more than a transaction holds; -ENOMEM; -EIO.
 */
int jbd2_journal_start(journal_t *journal, u32 credits, u32 revokes, u32 reserved,
		       handle_t **out) __must_check;
int jbd2_journal_start_reserved(handle_t *handle) __must_check; /* on error the handle is gone */
void jbd2_journal_free_reserved(handle_t *handle);
/* Ends it; with h_sync waits for its commit. -EIO, -EROFS: the journal was aborted. */
int jbd2_journal_stop(handle_t *handle);
/* More credits in the same transaction: 0, or 1 when it has no room for them; -EROFS. */
int jbd2_journal_extend(handle_t *handle, u32 credits, u32 revokes) __must_check;
/*
 * Goes on in another transaction if this one has no room for so many credits more than now: what was changed
 * so far may commit alone. On error the handle has no transaction, and only stop may follow.
 */
int jbd2_journal_restart(handle_t *handle, u32 credits, u32 revokes) __must_check;
/* Keeps what it has if that is enough, else extends, else says 1. */
int jbd2_journal_ensure_credits(handle_t *handle, u32 credits, u32 revokes) __must_check;
static inline handle_t *journal_current_handle(void)
{
	return current->journal_info;
}
bool is_handle_aborted(const handle_t *handle);

/*
 * Access to a block, before its content is changed; asked again in each handle. _create: for a block that is
 * new, so that its content does not count. _undo: as write, and keeps the content as it was committed last
 * (jbd2_committed_data), so that what was freed since can be told from what is free. -ENOMEM, -EROFS.
 */
int jbd2_journal_get_write_access(handle_t *handle, struct buffer_head *bh) __must_check;
int jbd2_journal_get_create_access(handle_t *handle, struct buffer_head *bh) __must_check;
int jbd2_journal_get_undo_access(handle_t *handle, struct buffer_head *bh) __must_check;
/*
 * The content of a block as of the last commit, or NULL when that is its content: to be looked at by `look`,
 * under a spinlock.
 */
void jbd2_journal_committed_data(struct buffer_head *bh, void (*look)(const void *data, void *ctx),
				 void *ctx);
/* The block, which is up to date, has been changed. -ENOSPC: more than the credits. */
int jbd2_journal_dirty_metadata(handle_t *handle, struct buffer_head *bh) __must_check;
/* The block has been freed: nothing of it needs to come to the disk. Before it is used anew. */
int jbd2_journal_forget(handle_t *handle, struct buffer_head *bh);
/*
 * The same, and no copy of it that the log holds may be replayed. bh: the block's, if it is cached. Costs a
 * revoke credit. Access to the block takes the revoke back. -ENOMEM, -ENOSPC, -EOPNOTSUPP (a journal of
 * version 1).
 */
int jbd2_journal_revoke(handle_t *handle, u64 block, struct buffer_head *bh) __must_check;

/*
 * What has to be done to a block's content before it goes into the log, as checksums over all changes: called
 * on the content, or a copy of it, under a spinlock. Set after access was got.
 */
struct jbd2_buffer_trigger_type {
	void (*t_frozen)(const struct jbd2_buffer_trigger_type *type, struct buffer_head *bh, void *data,
			 size_t size);
};
void jbd2_journal_set_triggers(struct buffer_head *bh, const struct jbd2_buffer_trigger_type *type);

/* Something to do when the handle's transaction has committed (err 0) or never will. Not under locks. */
struct jbd2_commit_callback {
	struct list_head list;
	void (*func)(journal_t *journal, struct jbd2_commit_callback *callback, int err);
};
void jbd2_journal_callback_add(handle_t *handle, struct jbd2_commit_callback *callback);

/* Ordered data: the range is written before the handle's transaction commits, or only waited for. */
void jbd2_journal_init_jbd_inode(struct jbd2_inode *jinode, void *host);
void jbd2_journal_inode_ranged_write(handle_t *handle, struct jbd2_inode *jinode, u64 start, u64 length);
void jbd2_journal_inode_ranged_wait(handle_t *handle, struct jbd2_inode *jinode, u64 start, u64 length);
/* The inode goes. */
void jbd2_journal_release_jbd_inode(journal_t *journal, struct jbd2_inode *jinode);
/*
 * Before pages from new_size on are dropped: those that the commit under way has to write are written first,
 * since their blocks are already in it. Not inside a handle.
 */
int jbd2_journal_begin_ordered_truncate(journal_t *journal, struct jbd2_inode *jinode,
					u64 new_size) __must_check;

/* Commits. The number of a transaction: of the handle; of the running one, or else of the last (0: none). */
tid_t jbd2_handle_tid(const handle_t *handle);
bool jbd2_journal_running_tid(journal_t *journal, tid_t *tid); /* false: none is running or committing */
void jbd2_log_start_commit(journal_t *journal, tid_t tid);     /* does not wait */
/* Waits until the transaction is on stable storage, committing it here if nobody does. -EIO: aborted. */
int jbd2_log_wait_commit(journal_t *journal, tid_t tid) __must_check;
int jbd2_complete_transaction(journal_t *journal, tid_t tid) __must_check; /* start and wait */
bool jbd2_transaction_committed(journal_t *journal, tid_t tid);
/* All that was changed so far. */
int jbd2_journal_force_commit(journal_t *journal) __must_check;
/* Does the commit of this transaction flush the device's cache, if a caller waits for it? (fsync asks.) */
bool jbd2_trans_will_send_data_barrier(journal_t *journal, tid_t tid);

/* Waits for all handles to end and lets nobody start one. Nests. Not inside a handle. */
void jbd2_journal_lock_updates(journal_t *journal);
void jbd2_journal_unlock_updates(journal_t *journal);

/* The journal's state. abort: err is negative; the first one counts, and is kept in the super block. */
void jbd2_journal_abort(journal_t *journal, int err);
bool is_journal_aborted(const journal_t *journal);
int jbd2_journal_errno(journal_t *journal);                  /* what the super block tells; 0 or negative */
int jbd2_journal_clear_err(journal_t *journal) __must_check; /* forgets it, also in the super block */
u32 jbd2_journal_max_credits(const journal_t *journal);      /* of one handle */
u32 jbd2_handle_buffer_credits(const handle_t *handle);      /* what it may still change */

#endif
