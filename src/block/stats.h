/* SPDX-License-Identifier: MIT */
/*
 * The counts of a block device: what /proc/diskstats shows, and histograms of latency.
 *
 * Sharded by thread; a line of counts is written by the threads of one shard with relaxed atomics, and summed
 * by who reads.
 */
#ifndef SHALE_BLOCK_STATS_H
#define SHALE_BLOCK_STATS_H

#include "base/compiler.h"
#include "base/current.h"
#include "block/blk_types.h"

enum stat_group { STAT_READ, STAT_WRITE, STAT_DISCARD, STAT_FLUSH, NR_STAT_GROUPS };

#define LATENCY_BUCKETS 40 /* bucket n: from 2^n to 2^(n+1) ns, the last all that is longer */

struct disk_stats_shard {
	u64 ios[NR_STAT_GROUPS], merges[NR_STAT_GROUPS], sectors[NR_STAT_GROUPS], nsecs[NR_STAT_GROUPS];
	u64 io_ticks;     /* ms in which something was in flight */
	s64 in_flight[2]; /* reads, all others */
	u32 latency[NR_STAT_GROUPS][LATENCY_BUCKETS];
} __aligned_cacheline;

struct disk_stats {
	struct disk_stats_shard shard[SHARDS];
};

/* The sums, as one shard. Needs no lock. */
void blk_stats_sum(const struct block_device *bdev, struct disk_stats_shard *sum);

#endif
