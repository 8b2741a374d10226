/* SPDX-License-Identifier: MIT */
/*
 * Timeouts: requests that the driver has had for too long. Only for drivers with a timeout function.
 *
 * Each request gets a deadline when it is started; one delayed work per queue looks at all that are in flight
 * and is armed for the earliest deadline. It takes a reference on each request that it looks at, so that the
 * tag is not used anew meanwhile; whoever drops the last reference, the completion or the scan, frees the
 * request.
 */
#include "block/blk_internal.h"

void blk_add_timer(struct request *rq)
{
	struct request_queue *q = rq->q;

	WRITE_ONCE(rq->deadline_ns, (u64)ktime_get(q->machine) + q->timeout_ns);
	/* Later deadlines are found by the scan; one that runs early costs one look. */
	queue_delayed_work(blk_machine(q->machine)->wq, &q->timeout_work, (s64)q->timeout_ns);
}

static void request_put_ref(struct request *rq)
{
	if (!refcount_dec_and_test(&rq->ref))
		return;
	if (rq->end_io == NULL) {
		blk_mq_free_request(rq);
		return;
	}
	/* The flush request: its end waited for this reference. */
	refcount_set(&rq->ref, 1);
	rq->end_io(rq, 0);
}

void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *set, bool (*fn)(struct request *rq, void *data),
			     void *data)
{
	for (unsigned i = 0; i < set->nr_hw_queues; i++) {
		struct blk_mq_tags *tags = set->tags[i];

		for (unsigned tag = 0; tag < tags->depth; tag++) {
			struct request *rq = smp_load_acquire(&tags->rqs[tag]);
			bool go_on = true;

			if (!rq || !refcount_inc_not_zero(&rq->ref))
				continue;
			if (smp_load_acquire(&rq->state) == MQ_RQ_IN_FLIGHT)
				go_on = fn(rq, data);
			request_put_ref(rq);
			if (!go_on)
				return;
		}
	}
}

struct timeout_scan {
	struct request_queue *q;
	u64 now, next;
};

static bool timeout_look(struct request *rq, void *data)
{
	struct timeout_scan *scan = data;
	u64 deadline = READ_ONCE(rq->deadline_ns);

	if (rq->q != scan->q)
		return true;
	if (deadline <= scan->now) {
		if (rq->q->ops->timeout(rq) == BLK_EH_DONE)
			return true;
		deadline = scan->now + rq->q->timeout_ns;
		WRITE_ONCE(rq->deadline_ns, deadline);
	}
	scan->next = min_not_zero(scan->next, deadline);
	return true;
}

void blk_timeout_work(struct work_struct *work)
{
	struct request_queue *q = container_of(to_delayed_work(work), struct request_queue, timeout_work);
	struct timeout_scan scan = {.q = q, .now = (u64)ktime_get(q->machine)};

	blk_mq_tagset_busy_iter(q->set, timeout_look, &scan);
	if (scan.next)
		queue_delayed_work(blk_machine(q->machine)->wq, &q->timeout_work,
				   max_t(s64, (s64)(scan.next - scan.now), NSEC_PER_MSEC));
}
