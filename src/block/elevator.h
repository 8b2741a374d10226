/* SPDX-License-Identifier: MIT */
/*
 * What a scheduler is: a table of functions between the insertion of requests and their dispatch. A queue
 * without one ("none") has its software queues in this place. A scheduler is chosen while running: the queue
 * is frozen for the switch, so that the functions below never meet requests of another.
 *
 * Insertions and dispatches come from many threads at once; the scheduler has its own lock. Requests under a
 * scheduler carry an internal tag of sched_tags; the driver's tag is taken at dispatch.
 */
#ifndef SHALE_BLOCK_ELEVATOR_H
#define SHALE_BLOCK_ELEVATOR_H

#include "block/blk_types.h"

struct request;
struct request_queue;
struct blk_mq_hw_ctx;
struct elevator_queue;
struct device_attribute;

enum elv_merge { ELEVATOR_NO_MERGE, ELEVATOR_FRONT_MERGE, ELEVATOR_BACK_MERGE, ELEVATOR_DISCARD_MERGE };

struct elevator_type {
	const char *name;
	int (*init_sched)(struct request_queue *q, struct elevator_queue *eq); /* sets eq->data */
	void (*exit_sched)(struct elevator_queue *eq);
	/* Takes the requests of `list` (by queuelist). */
	void (*insert_requests)(struct blk_mq_hw_ctx *hctx, struct list_head *list, bool at_head);
	struct request *(*dispatch_request)(struct blk_mq_hw_ctx *hctx); /* the next one; NULL: none now */
	bool (*has_work)(struct blk_mq_hw_ctx *hctx);
	/* Optional: merges the bio into a request that it holds, by blk_elv_try_merge(); true when it did. */
	bool (*bio_merge)(struct request_queue *q, struct bio *bio, unsigned nr_segs);
	void (*requeue_request)(struct request *rq);
	void (*completed_request)(struct request *rq, u64 now_ns);
	void (*finish_request)(struct request *rq);  /* it is freed */
	void (*prepare_request)(struct request *rq); /* it was allocated */
	const struct device_attribute *const *attrs; /* queue/iosched */
};

struct elevator_queue {
	const struct elevator_type *type;
	struct request_queue *queue;
	void *data;
};

int elevator_register(struct shale *machine, const struct elevator_type *type) __must_check;
void elevator_unregister(struct shale *machine, const struct elevator_type *type);
int elevator_switch(struct request_queue *q, const char *name) __must_check;
void elevator_exit(struct request_queue *q);
static inline void *elevator_data(const struct elevator_queue *eq)
{
	return eq->data;
}
/* The scheduler of the queue of this context, for its own functions. */
struct elevator_queue *hctx_elevator(const struct blk_mq_hw_ctx *hctx);

/* Tries to join the bio to the request; says how it was done, or not. */
enum elv_merge blk_elv_try_merge(struct request *rq, struct bio *bio, unsigned nr_segs);

#endif
