/* SPDX-License-Identifier: MIT */
/*
 * The worker threads of a machine.
 *
 * A worker is idle (on the list), running, or asleep inside an item. nr_running counts the running ones and
 * those that were just woken or are being made; it is kept at or below options.threads when a worker is
 * started or woken. A worker that takes an item wakes the next if there is more (so one queue_work wakes at
 * most one thread), and one that falls asleep inside an item gives its place away.
 *
 * While ordered queues have items, a worker that takes one while nobody is idle first makes a spare. If that
 * fails, the last worker that is free takes items of ordered queues only.
 */
#include "base/workqueue_internal.h"

struct worker {
	struct shale *machine;
	struct machine_thread *thread;
	struct waiter *waiter;
	bool is_idle;
	struct list_head all, idle;
};

bool worker_kick(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;

	if (machine->single || !workers->nr_ready || workers->nr_running >= machine->options.threads)
		return false;
	workers->nr_running++;
	if (workers->nr_idle) {
		struct worker *worker = list_first_entry(&workers->idle, struct worker, idle);

		list_del(&worker->idle);
		worker->is_idle = false;
		workers->nr_idle--;
		waiter_wake(worker->waiter);
		return false;
	}
	workers->nr_workers++;
	return true;
}

static bool is_ordered(const struct work_struct *work)
{
	return work->wq->max_active == 1;
}

/* Begins the run of the next item for this worker; false when there is none. Lock held. */
static bool next_item(struct shale *machine, struct work_running *run)
{
	struct machine_workers *workers = &machine->workers;
	struct work_struct *work;
	unsigned nth = 0;

	if (!workers->nr_ready || workers->nr_running > machine->options.threads)
		return false;
	if (!workers->spawn_failed || workers->nr_idle || workers->nr_workers == 1 || !workers->nr_ordered) {
		work_begin(machine, 0, run);
		return true;
	}
	list_for_each_entry (work, &workers->ready, entry) {
		if (is_ordered(work)) {
			work_begin(machine, nth, run);
			return true;
		}
		nth++;
	}
	return false;
}

/* Lock held, dropped while the item runs. */
static void run_item(struct shale *machine, struct work_running *run) __no_lock_analysis
{
	struct machine_workers *workers = &machine->workers;
	bool spawn = worker_kick(machine);

	if (!spawn && workers->nr_ordered && !workers->nr_idle) {
		spawn = true; /* the spare */
		workers->nr_workers++;
		workers->nr_running++;
	}
	spin_unlock(&workers->lock);
	if (spawn)
		worker_spawn(machine);
	work_run(machine, run);
	if (unlikely(current->io_submitted)) {
		current->io_submitted = false;
		io_handover(machine);
	}
	spin_lock(&workers->lock);
}

/* Sleeps on the idle list until worker_kick takes it off. Lock held, dropped meanwhile. */
static void go_idle(struct worker *worker) __no_lock_analysis
{
	struct machine_workers *workers = &worker->machine->workers;

	workers->nr_running--;
	workers->nr_idle++;
	worker->is_idle = true;
	list_add(&worker->idle, &workers->idle);
	while (worker->is_idle) {
		waiter_set_sleeping(worker->waiter);
		spin_unlock(&workers->lock);
		schedule_at("idle worker");
		spin_lock(&workers->lock);
	}
}

static void worker_main(void *arg) __no_lock_analysis
{
	struct worker *worker = arg;
	struct shale *machine = worker->machine;
	struct machine_workers *workers = &machine->workers;

	worker->waiter = waiter_current();
	spin_lock(&workers->lock);
	while (!workers->stopping) {
		struct work_running run;

		if (!next_item(machine, &run)) {
			go_idle(worker);
			continue;
		}
		current->worker = worker;
		run_item(machine, &run);
		current->worker = NULL;
	}
	workers->nr_running--;
	spin_unlock(&workers->lock);
}

void worker_spawn(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;
	struct worker *worker = kzalloc(machine, sizeof(*worker));
	bool failed = !worker;

	if (worker) {
		worker->machine = machine;
		/* On the list before it runs, so that workers_stop finds it; the join waits for `thread` by
		 * the lock. */
		spin_lock(&workers->lock);
		list_add(&worker->all, &workers->workers);
		failed = machine_thread_start(machine, "shale-worker", worker_main, worker,
					      &worker->thread) != 0;
		if (failed)
			list_del(&worker->all);
		spin_unlock(&workers->lock);
	}
	spin_lock(&workers->lock);
	workers->spawn_failed = failed;
	if (failed) {
		workers->nr_workers--;
		workers->nr_running--;
	}
	spin_unlock(&workers->lock);
	if (failed) {
		kfree(worker);
		/* Who flushes will run the items itself if there is no worker at all. */
		wake_up_all(&workers->done);
	}
}

void workers_kick(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;
	bool spawn;

	spin_lock(&workers->lock);
	spawn = worker_kick(machine);
	spin_unlock(&workers->lock);
	if (spawn)
		worker_spawn(machine);
}

void worker_sleeping(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;
	bool spawn;

	spin_lock(&workers->lock);
	workers->nr_running--;
	spawn = worker_kick(machine);
	spin_unlock(&workers->lock);
	if (spawn)
		worker_spawn(machine);
}

void worker_waking(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;

	spin_lock(&workers->lock);
	workers->nr_running++;
	spin_unlock(&workers->lock);
}

void workers_stop(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;
	struct worker *worker, *next;

	spin_lock(&workers->lock);
	workers->stopping = true;
	while (workers->nr_idle) {
		worker = list_first_entry(&workers->idle, struct worker, idle);
		list_del(&worker->idle);
		worker->is_idle = false;
		workers->nr_idle--;
		workers->nr_running++;
		waiter_wake(worker->waiter);
	}
	spin_unlock(&workers->lock);
	list_for_each_entry_safe (worker, next, &workers->workers, all) {
		machine_thread_join(worker->thread);
		kfree(worker);
	}
}
