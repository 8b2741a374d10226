/* SPDX-License-Identifier: MIT */
/*
 * What all filters share. A filter is a driver whose backing store is another, hidden disk; delay.c is the
 *one to read first.
 *
 * queue_rq must not sleep, and submitting to the disk below may (it can wait for a tag). So every request is
 *an item of work: queue_rq calls filter_queue, which starts the request and lets the filter's `serve` run,
 *now or later, in a context that may sleep. One item runs at a time, in the order of queue_rq. `serve` ends
 *with one of filter_pass(frq)            send it to the lower disk as it is; it ends when the lower one does
 *	filter_clone(frq) ... filter_submit(frq, done)   the same, with a change to frq->bio, or work when it
 *is done blk_mq_end_request(frq->rq, status)
 *
 * A request goes down as one bio, which lives with the request (like its table of vectors), so nothing is
 *allocated on the way. The filter owns its struct; the registry owns the lower disk and outlives the filter
 *with it.
 */
#ifndef SHALE_DRIVERS_FILTER_INTERNAL_H
#define SHALE_DRIVERS_FILTER_INTERNAL_H

#include "base/workqueue.h"
#include "block/blk.h"
#include "block/driver.h"

#define FILTER_SEGMENTS 128

struct filter_rq;

struct filter {
	struct shale *machine;
	struct gendisk *lower;
	struct workqueue_struct *wq; /* ordered */
	struct blk_mq_tag_set set;
	void (*serve)(struct filter_rq *frq); /* may sleep */
};

/* What stands behind each request, and behind it what the filter itself keeps (filter_priv). */
struct filter_rq {
	struct request *rq;
	struct filter *filter;
	struct delayed_work work;
	void (*done)(struct filter_rq *frq, int status); /* the lower bio has ended; must not sleep */
	struct bio_vec vecs[FILTER_SEGMENTS];
	struct bio bio; /* for the lower disk */
};

struct filter_shape {
	const char *name; /* of the work queue */
	const struct blk_mq_ops *ops;
	size_t priv_bytes; /* of what the filter keeps with each request */
	void (*serve)(struct filter_rq *frq);
	bool keeps_writes; /* nothing changes the lower disk: writable over a read-only one, zeroes are taken
			    */
};

/*
 * Makes the disk of a filter: limits and size of the lower disk, write cache and FUA on, so that every flush
 * comes by. disk_private is `filter`, which the driver embeds as the first member of its own struct. Undone
 * by filter_destroy.
 */
int filter_create(struct filter *filter, struct shale *machine, struct gendisk *lower,
		  const struct filter_shape *shape, struct gendisk **out) __must_check;
/* From close(): nothing is in flight any more. */
void filter_destroy(struct filter *filter);

/* From queue_rq: starts the request and has `serve` called in `ns` nanoseconds (0: as soon as possible). */
int filter_queue(struct request *rq, s64 ns);
/* From serve: have it called again, later. */
void filter_requeue(struct filter_rq *frq, s64 ns);
/* Makes frq->bio the same I/O to the lower disk. -EIO when the request has more segments than it may have. */
int filter_clone(struct filter_rq *frq) __must_check;
/* Sends frq->bio; then done(frq, status) is called, or, with NULL, the request ends with that status. */
void filter_submit(struct filter_rq *frq, void (*done)(struct filter_rq *frq, int status));
void filter_pass(struct filter_rq *frq);

/* Zero at first, then as the last request left it. */
static inline void *filter_priv(struct filter_rq *frq)
{
	return frq + 1;
}

static inline struct block_device *filter_bdev(const struct filter *filter)
{
	return disk_part0(filter->lower);
}

/* A time in words, as "5ms" or "250us" or "100" (ns); at most an hour. -EINVAL. */
int filter_parse_time(const char *text, s64 *ns) __must_check;

#endif
