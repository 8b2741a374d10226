/* SPDX-License-Identifier: MIT */
/*
 * Tags: the numbers under which requests are known to a device, and the requests themselves, one per tag,
 * made once.
 *
 * A tag is taken by setting a bit and given back by clearing it; each word of bits has a cache line of its
 * own, and threads start looking at different words. Who finds none sleeps on `wq`: it raises `waiters`
 * before it looks again, and who clears a bit looks at `waiters` afterwards (both fully ordered), so that no
 * wake-up is lost. Hardware contexts that lack a tag for a request of a scheduler wait in waiting_hctxs.
 */
#ifndef SHALE_BLOCK_TAGS_INTERNAL_H
#define SHALE_BLOCK_TAGS_INTERNAL_H

#include "base/wait.h"
#include "block/driver.h"

struct tag_word {
	unsigned long bits;
	unsigned nr;
} __aligned_cacheline;

struct blk_mq_tags {
	struct shale *machine;
	unsigned depth, nr_words, shift; /* bits in a word: 1 << shift */
	struct tag_word *words;
	struct request **static_rqs; /* by tag of this map */
	struct request **rqs; /* whose tag it is now; for driver tags of a scheduler another than static_rqs
				 has; atomic */
	char *memory;         /* of the requests */
	int waiters;          /* sleepers and waiting contexts; seq_cst */
	wait_queue_head_t wq;
	spinlock_t wait_lock;
	struct list_head waiting_hctxs __guarded_by(wait_lock);
};

int blk_mq_tags_alloc(struct shale *machine, unsigned depth, unsigned cmd_size,
		      struct blk_mq_tags **out) __must_check;
void blk_mq_tags_free(struct blk_mq_tags *tags);
int blk_mq_tag_try(struct blk_mq_tags *tags);                             /* a tag, or -1 */
int blk_mq_tag_get(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx); /* sleeps until there is one */
void blk_mq_tag_put(struct blk_mq_tags *tags, unsigned tag);
bool blk_mq_tags_busy(const struct blk_mq_tags *tags);
/*
 * The context is run again when a tag comes back; true when one is there already (then it has it not: look
 * again).
 */
bool blk_mq_tag_wait_hctx(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx);
void blk_mq_tag_unwait_hctx(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx);

#endif
