/* SPDX-License-Identifier: MIT */
/*
 * Tags of a hardware queue or of its scheduler: see tags_internal.h for the idea and the order of clearing
 * and waking.
 */
#include "block/blk_internal.h"

#include <string.h>

static int tags_alloc_words(struct blk_mq_tags *tags)
{
	/* Few bits in each word while there are few tags, so that threads do not all share one line. */
	tags->shift = tags->depth >= 64 * 4 ? 6 : tags->depth >= 32 ? 3 : 6;
	tags->nr_words = DIV_ROUND_UP(tags->depth, 1u << tags->shift);
	tags->words = kmalloc_aligned(tags->machine, tags->nr_words * sizeof(*tags->words), CACHELINE_SIZE);
	if (!tags->words)
		return -ENOMEM;
	memset(tags->words, 0, tags->nr_words * sizeof(*tags->words));
	for (unsigned i = 0; i < tags->nr_words; i++)
		tags->words[i].nr = min(1u << tags->shift, tags->depth - (i << tags->shift));
	return 0;
}

static int tags_alloc_requests(struct blk_mq_tags *tags, unsigned cmd_size)
{
	size_t size = round_up(sizeof(struct request), 16) + round_up((size_t)cmd_size, 16);

	size = round_up(size, CACHELINE_SIZE);
	tags->static_rqs = kcalloc(tags->machine, tags->depth, sizeof(*tags->static_rqs));
	tags->rqs = kcalloc(tags->machine, tags->depth, sizeof(*tags->rqs));
	tags->memory = kmalloc_aligned(tags->machine, tags->depth * size, CACHELINE_SIZE);
	if (!tags->static_rqs || !tags->rqs || !tags->memory)
		return -ENOMEM;
	memset(tags->memory, 0, tags->depth * size);
	for (unsigned i = 0; i < tags->depth; i++) {
		struct request *rq = (struct request *)(tags->memory + i * size);

		rq->driver_data = (char *)rq + round_up(sizeof(struct request), 16);
		INIT_LIST_HEAD(&rq->queuelist);
		INIT_LIST_HEAD(&rq->flush.list);
		tags->static_rqs[i] = rq;
	}
	return 0;
}

int blk_mq_tags_alloc(struct shale *machine, unsigned depth, unsigned cmd_size, struct blk_mq_tags **out)
{
	struct blk_mq_tags *tags = kzalloc(machine, sizeof(*tags));
	int ret;

	if (!tags)
		return -ENOMEM;
	tags->machine = machine;
	tags->depth = depth;
	init_waitqueue_head(&tags->wq);
	spin_lock_init(&tags->wait_lock);
	INIT_LIST_HEAD(&tags->waiting_hctxs);
	ret = tags_alloc_words(tags);
	ret = ret ? ret : tags_alloc_requests(tags, cmd_size);
	if (ret) {
		blk_mq_tags_free(tags);
		return ret;
	}
	*out = tags;
	return 0;
}

void blk_mq_tags_free(struct blk_mq_tags *tags)
{
	if (!tags)
		return;
	kfree(tags->memory);
	kfree(tags->rqs);
	kfree(tags->static_rqs);
	kfree(tags->words);
	kfree(tags);
}

static int tag_word_try(struct tag_word *word)
{
	unsigned long full = word->nr == BITS_PER_LONG ? ~0ul : (1ul << word->nr) - 1;
	unsigned long bits = READ_ONCE(word->bits);

	while (bits != full) {
		unsigned bit = ffz(bits);

		if (try_cmpxchg(&word->bits, &bits, bits | 1ul << bit))
			return (int)bit;
	}
	return -1;
}

int blk_mq_tag_try(struct blk_mq_tags *tags)
{
	unsigned at = current->shard % tags->nr_words;

	for (unsigned i = 0; i < tags->nr_words; i++) {
		int bit = tag_word_try(&tags->words[at]);

		if (bit >= 0)
			return (int)(at << tags->shift) + bit;
		if (++at == tags->nr_words)
			at = 0;
	}
	return -1;
}

/*
 * As blk_mq_tag_try, and ordered after the raise of `waiters` that came before: cmpxchg orders only when it
 * takes place, so each word is looked at by a read-modify-write.
 */
static int tag_try_ordered(struct blk_mq_tags *tags)
{
	for (unsigned i = 0; i < tags->nr_words; i++)
		(void)__atomic_fetch_or(&tags->words[i].bits, 0, __ATOMIC_SEQ_CST);
	return blk_mq_tag_try(tags);
}

int blk_mq_tag_get(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx)
{
	int tag = blk_mq_tag_try(tags);

	if (likely(tag >= 0))
		return tag;
	/* What this thread holds back may be what holds the tags. */
	if (current->plug)
		blk_flush_plug(current->plug, true);
	blk_mq_run_hw_queue(hctx, false);
	bio_punt_pending(tags->machine);
	__atomic_fetch_add(&tags->waiters, 1, __ATOMIC_SEQ_CST);
	___wait_event(tags->wq, (tag = tag_try_ordered(tags)) >= 0, prepare_to_wait_exclusive, io_schedule());
	/* The wake-up that came for this thread may have been meant for a second tag: pass it on. */
	if (__atomic_fetch_sub(&tags->waiters, 1, __ATOMIC_SEQ_CST) > 1)
		wake_up(&tags->wq);
	return tag;
}

static noinline void tags_wake(struct blk_mq_tags *tags)
{
	struct blk_mq_hw_ctx *hctx = NULL;

	spin_lock(&tags->wait_lock);
	if (!list_empty(&tags->waiting_hctxs)) {
		hctx = list_first_entry(&tags->waiting_hctxs, struct blk_mq_hw_ctx, tag_wait);
		list_del_init(&hctx->tag_wait);
		__atomic_fetch_sub(&tags->waiters, 1, __ATOMIC_SEQ_CST);
		blk_mq_run_hw_queue(hctx, true);
	}
	spin_unlock(&tags->wait_lock);
	wake_up(&tags->wq);
}

void blk_mq_tag_put(struct blk_mq_tags *tags, unsigned tag)
{
	struct tag_word *word = &tags->words[tag >> tags->shift];
	unsigned long bit = 1ul << (tag & ((1u << tags->shift) - 1));
	unsigned long old = __atomic_fetch_and(&word->bits, ~bit, __ATOMIC_SEQ_CST);

	BUG_ON(!(old & bit));
	if (unlikely(__atomic_load_n(&tags->waiters, __ATOMIC_SEQ_CST)))
		tags_wake(tags);
}

bool blk_mq_tags_busy(const struct blk_mq_tags *tags)
{
	for (unsigned i = 0; i < tags->nr_words; i++)
		if (READ_ONCE(tags->words[i].bits))
			return true;
	return false;
}

bool blk_mq_tag_wait_hctx(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx)
{
	spin_lock(&tags->wait_lock);
	if (list_empty(&hctx->tag_wait)) {
		list_add_tail(&hctx->tag_wait, &tags->waiting_hctxs);
		__atomic_fetch_add(&tags->waiters, 1, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&tags->wait_lock);
	for (unsigned i = 0; i < tags->nr_words; i++) {
		struct tag_word *word = &tags->words[i];
		unsigned long bits = __atomic_fetch_or(&word->bits, 0, __ATOMIC_SEQ_CST);

		if (hweight64(bits) < word->nr)
			return true;
	}
	return false;
}

void blk_mq_tag_unwait_hctx(struct blk_mq_tags *tags, struct blk_mq_hw_ctx *hctx)
{
	spin_lock(&tags->wait_lock);
	if (!list_empty(&hctx->tag_wait)) {
		list_del_init(&hctx->tag_wait);
		__atomic_fetch_sub(&tags->waiters, 1, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&tags->wait_lock);
}
