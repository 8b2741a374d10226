/* SPDX-License-Identifier: MIT */
/*
 * Sequence counts: readers that write nothing. The count is odd while a writer is at work; a reader takes the
 * count, reads, and begins anew when the count is no longer the same.
 *
 * The fields so protected are read with READ_ONCE and written with WRITE_ONCE (the writer's own reads may be
 * plain); a pointer that the reader follows before it has checked the count is read with rcu_dereference and
 * written with rcu_assign_pointer. Order comes from an acquire load at the start, a release store at the end,
 * and smp_rmb/smp_wmb between (nothing but a compiler barrier on x86). The thread sanitizer does not follow
 * the latter, and need not: all accesses are atomic, so there is no race to report; it checks that they are.
 *
 * seqcount_t: writers exclude one another by a lock of the user's. seqlock_t: with a spinlock of its own.
 */
#ifndef SHALE_BASE_SEQLOCK_H
#define SHALE_BASE_SEQLOCK_H

#include "base/spinlock.h"

typedef struct seqcount {
	unsigned sequence;
} seqcount_t;

#define SEQCNT_ZERO                                                                                          \
	{                                                                                                    \
		0                                                                                            \
	}

void seqcount_wait(const seqcount_t *s);

static inline void seqcount_init(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, 0);
}

/* The count as it stands, odd while a writer is at work. */
static __always_inline unsigned raw_read_seqcount(const seqcount_t *s)
{
	return smp_load_acquire(&s->sequence);
}
/* The count with the lowest bit cleared: while a writer is at work, the check at the end is bound to fail. No
 * waiting. */
static __always_inline unsigned raw_seqcount_begin(const seqcount_t *s)
{
	return raw_read_seqcount(s) & ~1u;
}
/* Waits for a writer to end. */
static __always_inline unsigned read_seqcount_begin(const seqcount_t *s)
{
	unsigned seq;

	while (unlikely((seq = raw_read_seqcount(s)) & 1))
		seqcount_wait(s);
	return seq;
}
/* True when what was read since `start` may not be used. */
static __always_inline bool read_seqcount_retry(const seqcount_t *s, unsigned start)
{
	smp_rmb();
	return unlikely(READ_ONCE(s->sequence) != start);
}

static inline void write_seqcount_begin(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_wmb();
}
static inline void write_seqcount_end(seqcount_t *s)
{
	smp_store_release(&s->sequence, s->sequence + 1);
}
/* Readers that are under way fail their check; no section stays open. */
static inline void write_seqcount_invalidate(seqcount_t *s)
{
	smp_store_release(&s->sequence, s->sequence + 2);
	smp_wmb();
}
#define raw_write_seqcount_begin write_seqcount_begin
#define raw_write_seqcount_end   write_seqcount_end

typedef struct __lock_type("seqlock") seqlock
{
	seqcount_t seqcount;
	spinlock_t lock;
}
seqlock_t;

static inline void seqlock_init(seqlock_t *sl)
{
	seqcount_init(&sl->seqcount);
	spin_lock_init(&sl->lock);
}
static __always_inline unsigned read_seqbegin(const seqlock_t *sl)
{
	return read_seqcount_begin(&sl->seqcount);
}
static __always_inline bool read_seqretry(const seqlock_t *sl, unsigned start)
{
	return read_seqcount_retry(&sl->seqcount, start);
}
static inline void write_seqlock(seqlock_t *sl) __acquires(sl) __no_lock_analysis
{
	spin_lock(&sl->lock);
	write_seqcount_begin(&sl->seqcount);
}
static inline void write_sequnlock(seqlock_t *sl) __releases(sl) __no_lock_analysis
{
	write_seqcount_end(&sl->seqcount);
	spin_unlock(&sl->lock);
}
/* Excludes writers without disturbing readers. */
static inline void read_seqlock_excl(seqlock_t *sl) __acquires(sl) __no_lock_analysis
{
	spin_lock(&sl->lock);
}
static inline void read_sequnlock_excl(seqlock_t *sl) __releases(sl) __no_lock_analysis
{
	spin_unlock(&sl->lock);
}
/* First pass lock-free (*seq even), second pass with the lock (*seq odd): for loops that must end. */
static inline void read_seqbegin_or_lock(seqlock_t *sl, int *seq) __no_lock_analysis
{
	if (*seq & 1)
		spin_lock(&sl->lock);
	else
		*seq = (int)read_seqbegin(sl);
}
static inline bool need_seqretry(seqlock_t *sl, int seq)
{
	return !(seq & 1) && read_seqretry(sl, (unsigned)seq);
}
static inline void done_seqretry(seqlock_t *sl, int seq) __no_lock_analysis
{
	if (seq & 1)
		spin_unlock(&sl->lock);
}

#endif
