/* SPDX-License-Identifier: MIT */
/*
 * Accounting: each request is counted when it is made, joined, completed and ended, at its partition and at
 * the whole disk. The counts are sharded (stats.h); only bd_stamp, which says up to when io_ticks are
 * counted, is shared, and it is written at most once in a millisecond.
 */
#include "block/blk_internal.h"

#include "base/seq_file.h"
#include "block/stats.h"

int blk_stats_alloc(struct block_device *bdev)
{
	bdev->bd_stats = kmalloc_aligned(bdev_machine(bdev), sizeof(*bdev->bd_stats), CACHELINE_SIZE);
	if (!bdev->bd_stats)
		return -ENOMEM;
	*bdev->bd_stats = (struct disk_stats){};
	return 0;
}

void blk_stats_free(struct block_device *bdev)
{
	kfree(bdev->bd_stats);
	bdev->bd_stats = NULL;
}

static enum stat_group op_group(enum req_op op)
{
	switch (op) {
	case REQ_OP_READ:
		return STAT_READ;
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
		return STAT_DISCARD;
	case REQ_OP_FLUSH:
		return STAT_FLUSH;
	default:
		return STAT_WRITE;
	}
}

static inline void stat_add(u64 *count, u64 n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

/* Runs `what` for the device's own shard and for that of its whole disk. */
#define for_part_and_disk(s, bdev, what)                                                                     \
	do {                                                                                                 \
		struct disk_stats_shard *s = &(bdev)->bd_stats->shard[current->shard];                       \
		what;                                                                                        \
		if (bdev_is_partition(bdev)) {                                                               \
			s = &(bdev)->bd_disk->part0->bd_stats->shard[current->shard];                        \
			what;                                                                                \
		}                                                                                            \
	} while (0)

static s64 stats_in_flight(const struct block_device *bdev)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += READ_ONCE(bdev->bd_stats->shard[i].in_flight[0]) +
		       READ_ONCE(bdev->bd_stats->shard[i].in_flight[1]);
	return sum;
}

/*
 * Brings io_ticks up to date: at a start the time since the last event counts only if something was in
 * flight.
 */
static void ticks_update_one(struct block_device *bdev, u64 now_ns, bool end)
{
	u64 now = now_ns / NSEC_PER_MSEC;
	u64 stamp = READ_ONCE(bdev->bd_stamp);

	if (likely(now <= stamp) || !try_cmpxchg_relaxed(&bdev->bd_stamp, &stamp, now))
		return;
	if (end || stats_in_flight(bdev) > 0)
		stat_add(&bdev->bd_stats->shard[current->shard].io_ticks, end ? now - stamp : 1);
}

static void ticks_update(struct block_device *bdev, u64 now_ns, bool end)
{
	ticks_update_one(bdev, now_ns, end);
	if (bdev_is_partition(bdev))
		ticks_update_one(bdev->bd_disk->part0, now_ns, end);
}

void blk_account_start(struct request *rq)
{
	struct block_device *bdev = rq->bio->bi_bdev;
	bool write = op_is_write(rq->cmd_flags);

	rq->start_time_ns = (u64)ktime_get(rq->q->machine);
	rq->bio->bi_issue_ns = rq->start_time_ns;
	rq->part = bdev;
	rq->rq_flags |= RQF_IO_STAT;
	ticks_update(bdev, rq->start_time_ns, false);
	for_part_and_disk(s, bdev, __atomic_fetch_add(&s->in_flight[write], 1, __ATOMIC_RELAXED));
}

void blk_account_completion(struct request *rq, u32 bytes)
{
	enum stat_group group = op_group(req_op(rq));

	if (rq->rq_flags & RQF_IO_STAT && bytes)
		for_part_and_disk(s, rq->part, stat_add(&s->sectors[group], bytes >> SECTOR_SHIFT));
}

static unsigned latency_bucket(u64 ns)
{
	return ns ? min_t(unsigned, ilog2(ns), LATENCY_BUCKETS - 1) : 0;
}

static void account_end(struct request *rq, enum stat_group group, u64 now_ns)
{
	u64 ns = now_ns > rq->start_time_ns ? now_ns - rq->start_time_ns : 0;
	unsigned bucket = latency_bucket(ns);

	for_part_and_disk(s, rq->part, {
		stat_add(&s->ios[group], 1);
		stat_add(&s->nsecs[group], ns);
		__atomic_fetch_add(&s->latency[group][bucket], 1, __ATOMIC_RELAXED);
	});
}

void blk_account_done(struct request *rq, u64 now_ns)
{
	bool write = op_is_write(rq->cmd_flags);

	if (!(rq->rq_flags & RQF_IO_STAT))
		return;
	ticks_update(rq->part, now_ns, true);
	account_end(rq, op_group(req_op(rq)), now_ns);
	for_part_and_disk(s, rq->part, __atomic_fetch_add(&s->in_flight[write], -1, __ATOMIC_RELAXED));
}

void blk_account_flush(struct request *flush_rq)
{
	if (flush_rq->part)
		account_end(flush_rq, STAT_FLUSH, (u64)ktime_get(flush_rq->q->machine));
}

void blk_account_merge(struct request *rq)
{
	enum stat_group group = op_group(req_op(rq));

	if (rq->rq_flags & RQF_IO_STAT)
		for_part_and_disk(s, rq->part, stat_add(&s->merges[group], 1));
}

void blk_stats_sum(const struct block_device *bdev, struct disk_stats_shard *sum)
{
	*sum = (struct disk_stats_shard){};
	for (unsigned i = 0; i < SHARDS; i++) {
		const struct disk_stats_shard *s = &bdev->bd_stats->shard[i];

		for (unsigned g = 0; g < NR_STAT_GROUPS; g++) {
			sum->ios[g] += READ_ONCE(s->ios[g]);
			sum->merges[g] += READ_ONCE(s->merges[g]);
			sum->sectors[g] += READ_ONCE(s->sectors[g]);
			sum->nsecs[g] += READ_ONCE(s->nsecs[g]);
			for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
				sum->latency[g][b] += READ_ONCE(s->latency[g][b]);
		}
		sum->io_ticks += READ_ONCE(s->io_ticks);
		sum->in_flight[0] += READ_ONCE(s->in_flight[0]);
		sum->in_flight[1] += READ_ONCE(s->in_flight[1]);
	}
	/* A request may end on another shard than it began on, between the reads of the two. */
	sum->in_flight[0] = max_t(s64, sum->in_flight[0], 0);
	sum->in_flight[1] = max_t(s64, sum->in_flight[1], 0);
}
