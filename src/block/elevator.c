/* SPDX-License-Identifier: MIT */
/*
 * Schedulers of a machine, and their change on a running queue.
 *
 * The list of types belongs to the machine, under its lock. A queue's scheduler is changed while the queue is
 * frozen and quiesced: nothing is in it, nobody dispatches, so that the requests of one never reach another.
 * Each hardware context gets tags of its own for a scheduler, twice the driver's, since a scheduler needs
 * requests to choose from.
 */
#include "block/blk_internal.h"

#include <string.h>

#include "base/parser.h"
#include "base/seq_file.h"

struct elevator_entry {
	struct list_head node;
	const struct elevator_type *type;
};

static const struct elevator_type *elevator_find(struct blk_machine *blk, const char *name)
{
	struct elevator_entry *e;

	list_for_each_entry (e, &blk->elevators, node)
		if (sysfs_streq(e->type->name, name))
			return e->type;
	return NULL;
}

int elevator_register(struct shale *machine, const struct elevator_type *type)
{
	struct blk_machine *blk = blk_machine(machine);
	struct elevator_entry *e = kzalloc(machine, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->type = type;
	mutex_lock(&blk->lock);
	list_add_tail(&e->node, &blk->elevators);
	mutex_unlock(&blk->lock);
	return 0;
}

void elevator_unregister(struct shale *machine, const struct elevator_type *type)
{
	struct blk_machine *blk = blk_machine(machine);
	struct elevator_entry *e, *next;
	scoped_mutex_lock(&blk->lock);

	list_for_each_entry_safe (e, next, &blk->elevators, node)
		if (e->type == type) {
			list_del(&e->node);
			kfree(e);
		}
}

struct elevator_queue *hctx_elevator(const struct blk_mq_hw_ctx *hctx)
{
	return hctx->queue->elevator;
}

static void sched_tags_free(struct request_queue *q)
{
	for (unsigned i = 0; i < q->nr_hw_queues; i++) {
		struct blk_mq_hw_ctx *hctx = q->hctxs[i];

		if (!hctx || !hctx->sched_tags)
			continue;
		/* The timeout scan must not find requests whose memory goes. */
		for (unsigned tag = 0; tag < hctx->tags->depth; tag++)
			smp_store_release(&hctx->tags->rqs[tag], NULL);
		blk_mq_tags_free(hctx->sched_tags);
		hctx->sched_tags = NULL;
	}
}

static int sched_tags_alloc(struct request_queue *q)
{
	for (unsigned i = 0; i < q->nr_hw_queues; i++) {
		int ret = blk_mq_tags_alloc(q->machine, q->set->queue_depth * 2, q->set->cmd_size,
					    &q->hctxs[i]->sched_tags);

		if (ret) {
			sched_tags_free(q);
			return ret;
		}
	}
	return 0;
}

void elevator_exit(struct request_queue *q)
{
	struct elevator_queue *eq = q->elevator;

	if (!eq)
		return;
	q->elevator = NULL;
	if (eq->type->exit_sched)
		eq->type->exit_sched(eq);
	sched_tags_free(q);
	kfree(eq);
}

static int elevator_start(struct request_queue *q, const struct elevator_type *type)
{
	struct elevator_queue *eq = kzalloc(q->machine, sizeof(*eq));
	int ret;

	if (!eq)
		return -ENOMEM;
	eq->type = type;
	eq->queue = q;
	ret = sched_tags_alloc(q);
	if (ret)
		goto out_free;
	ret = type->init_sched ? type->init_sched(q, eq) : 0;
	if (ret)
		goto out_tags;
	q->elevator = eq;
	return 0;

out_tags:
	sched_tags_free(q);
out_free:
	kfree(eq);
	return ret;
}

int elevator_switch(struct request_queue *q, const char *name)
{
	struct blk_machine *blk = blk_machine(q->machine);
	const struct elevator_type *type = NULL;
	int ret = 0;
	scoped_mutex_lock(&blk->lock);

	if (!sysfs_streq(name, "none")) {
		type = elevator_find(blk, name);
		if (!type)
			return -EINVAL;
	}
	if (type == (q->elevator ? q->elevator->type : NULL))
		return 0;
	blk_freeze_queue(q);
	blk_mq_quiesce_queue(q);
	elevator_exit(q);
	if (type)
		ret = elevator_start(q, type);
	blk_mq_unquiesce_queue(q);
	blk_unfreeze_queue(q);
	return ret;
}

int disk_set_scheduler(struct block_device *bdev, const char *name)
{
	return elevator_switch(bdev->bd_queue, name);
}

void disk_show_scheduler(struct block_device *bdev, struct seq_file *m)
{
	struct request_queue *q = bdev->bd_queue;
	struct blk_machine *blk = blk_machine(q->machine);
	struct elevator_entry *e;
	scoped_mutex_lock(&blk->lock);

	seq_puts(m, q->elevator ? "none" : "[none]");
	list_for_each_entry (e, &blk->elevators, node)
		seq_printf(m, q->elevator && q->elevator->type == e->type ? " [%s]" : " %s", e->type->name);
	seq_putc(m, '\n');
}
