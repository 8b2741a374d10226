/* SPDX-License-Identifier: MIT */
/*
 * What base/workqueue.c (items and queues) and base/worker.c (threads that run them) share. All under
 * machine->workers.lock.
 */
#ifndef SHALE_BASE_WORKQUEUE_INTERNAL_H
#define SHALE_BASE_WORKQUEUE_INTERNAL_H

#include "base/machine.h"

struct workqueue_struct {
	struct shale *machine;
	const char *name;
	unsigned max_active;
	unsigned nr_active; /* items on the ready list or running */
	unsigned nr_items;  /* those and the waiting ones */
	struct list_head waiting;
	struct list_head link; /* machine_workers.queues */
};

/*
 * If there is work that may start and too few workers run, wakes an idle one; true when a new one is to be
 * made: then the caller calls worker_spawn after it has dropped the lock.
 */
bool worker_kick(struct shale *machine);
void worker_spawn(struct shale *machine);
void workers_stop(struct shale *machine);

#endif
