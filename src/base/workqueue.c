/* SPDX-License-Identifier: MIT */
/*
 * Work queues: items, queues, waiting for them (base/workqueue.h). Who runs the items is base/worker.c
 * (threads) or base/fiber.c (threads=0); both call work_begin and work_run.
 *
 * An item that waits is on its queue's list, or on the ready list (counted as active), or marked WORK_AGAIN
 * while its own run lasts. When it starts to run all marks are cleared and a struct work_running on the
 * runner's stack stands for it: so the function may free the item. Each queueing takes a number; flushing
 * waits until no item with a number up to the present one waits or runs, so it ends although items queue
 * themselves again.
 */
#include "base/workqueue_internal.h"

static struct machine_workers *workers_of(struct workqueue_struct *wq)
{
	return &wq->machine->workers;
}

void init_work(struct work_struct *work, work_func_t func)
{
	*work = (struct work_struct){.func = func};
	INIT_LIST_HEAD(&work->entry);
}

static void timer_queues_work(struct timer *timer)
{
	struct delayed_work *dwork = container_of(timer, struct delayed_work, timer);

	queue_work(READ_ONCE(dwork->wq), &dwork->work);
}

void init_delayed_work(struct shale *machine, struct delayed_work *dwork, work_func_t func)
{
	init_work(&dwork->work, func);
	timer_setup(machine, &dwork->timer, timer_queues_work);
	dwork->wq = NULL;
}

/* The run of this item that lasts, if any. The function is compared too: the item may be new in freed memory.
 */
static struct work_running *find_running(struct machine_workers *workers, const struct work_struct *work)
{
	struct work_running *run;

	list_for_each_entry (run, &workers->running, entry) {
		if (run->work == work && run->func == work->func)
			return run;
	}
	return NULL;
}

/* Moves what may start from the queue to the ready list. */
static void start_items(struct workqueue_struct *wq)
{
	struct machine_workers *workers = workers_of(wq);

	while (!list_empty(&wq->waiting) && wq->nr_active < wq->max_active) {
		struct work_struct *work = list_first_entry(&wq->waiting, struct work_struct, entry);

		list_move_tail(&work->entry, &workers->ready);
		WRITE_ONCE(work->state, work->state | WORK_READY);
		wq->nr_active++;
		workers->nr_ready++;
	}
}

static void item_gone(struct workqueue_struct *wq)
{
	wq->nr_items--;
	if (wq->max_active == 1)
		workers_of(wq)->nr_ordered--;
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	struct machine_workers *workers = workers_of(wq);
	struct work_running *run;
	bool spawn;

	spin_lock(&workers->lock);
	if (work->state & WORK_PENDING) {
		spin_unlock(&workers->lock);
		return false;
	}
	WRITE_ONCE(work->wq, wq);
	work->seq = ++workers->seq;
	wq->nr_items++;
	if (wq->max_active == 1)
		workers->nr_ordered++;
	run = find_running(workers, work);
	if (run) {
		run->again = true;
		WRITE_ONCE(work->state, WORK_PENDING | WORK_AGAIN);
	} else {
		WRITE_ONCE(work->state, WORK_PENDING);
		list_add_tail(&work->entry, &wq->waiting);
		start_items(wq);
	}
	spawn = worker_kick(wq->machine);
	spin_unlock(&workers->lock);
	if (spawn)
		worker_spawn(wq->machine);
	return true;
}

unsigned work_ready_count(struct shale *machine)
{
	return machine->workers.nr_ready;
}

void work_begin(struct shale *machine, unsigned nth, struct work_running *run)
{
	struct machine_workers *workers = &machine->workers;
	struct work_struct *work;

	list_for_each_entry (work, &workers->ready, entry) {
		if (nth-- == 0)
			break;
	}
	list_del_init(&work->entry);
	workers->nr_ready--;
	*run = (struct work_running){.work = work, .func = work->func, .wq = work->wq, .seq = work->seq};
	WRITE_ONCE(work->state, 0u);
	list_add_tail(&run->entry, &workers->running);
}

/* After the function: the item itself is touched only if it was queued again, hence exists. */
static void end_run(struct machine_workers *workers, struct work_running *run)
{
	struct workqueue_struct *wq = run->wq;

	list_del(&run->entry);
	wq->nr_active--;
	if (run->again) {
		struct work_struct *work = run->work;

		WRITE_ONCE(work->state, WORK_PENDING);
		list_add_tail(&work->entry, &work->wq->waiting);
		if (work->wq != wq)
			start_items(work->wq);
	}
	start_items(wq);
	item_gone(wq);
}

void work_run(struct shale *machine, struct work_running *run)
{
	struct machine_workers *workers = &machine->workers;
	bool flushers;

	run->func(run->work);
	BUG_ON(rcu_read_lock_held() || current->plug);
	spin_lock(&workers->lock);
	end_run(workers, run);
	flushers = workers->flushers != 0;
	spin_unlock(&workers->lock);
	if (flushers)
		wake_up_all(&workers->done);
}

/* Waiting. Each condition is looked at under the lock; a waiter runs items itself when there is no worker to
 * be had. */

struct flush_target {
	struct work_struct *work;    /* this item, or */
	struct workqueue_struct *wq; /* all of this queue, or (both NULL) everything */
	u64 seq;                     /* as queued up to this number */
};

static bool run_matches(const struct flush_target *t, const struct work_running *run)
{
	if (run->seq > t->seq)
		return false;
	if (t->work)
		return run->work == t->work && run->func == t->work->func;
	return !t->wq || run->wq == t->wq;
}

static bool again_matches(const struct flush_target *t, const struct work_running *run)
{
	return run->again && !t->work && run->work->seq <= t->seq && (!t->wq || run->work->wq == t->wq);
}

static bool list_matches(const struct flush_target *t, struct list_head *list)
{
	struct work_struct *work;

	list_for_each_entry (work, list, entry) {
		if (work->seq <= t->seq && (!t->wq || work->wq == t->wq))
			return true;
	}
	return false;
}

static bool busy_locked(struct machine_workers *workers, const struct flush_target *t)
{
	struct workqueue_struct *wq;
	struct work_running *run;

	if (t->work && (t->work->state & WORK_PENDING) && t->work->seq <= t->seq)
		return true;
	list_for_each_entry (run, &workers->running, entry) {
		if (run_matches(t, run) || again_matches(t, run))
			return true;
	}
	if (t->work)
		return false;
	if (list_matches(t, &workers->ready))
		return true;
	list_for_each_entry (wq, &workers->queues, link) {
		if ((!t->wq || wq == t->wq) && list_matches(t, &wq->waiting))
			return true;
	}
	return false;
}

static bool flushed(struct shale *machine, const struct flush_target *t)
{
	struct machine_workers *workers = &machine->workers;
	struct work_running run;
	bool busy, help;

	spin_lock(&workers->lock);
	busy = busy_locked(workers, t);
	help = busy && !machine->single && workers->nr_workers == 0 && workers->nr_ready;
	if (help)
		work_begin(machine, 0, &run);
	spin_unlock(&workers->lock);
	if (help) {
		waiter_set_running(waiter_current());
		work_run(machine, &run);
	}
	return !busy;
}

static void flush(struct shale *machine, const struct flush_target *t)
{
	struct machine_workers *workers = &machine->workers;
	struct current_saved saved;

	current_enter(machine, current->machine == machine ? current->task : NULL, &saved);
	spin_lock(&workers->lock);
	workers->flushers++;
	spin_unlock(&workers->lock);
	wait_event(workers->done, flushed(machine, t));
	spin_lock(&workers->lock);
	workers->flushers--;
	spin_unlock(&workers->lock);
	current_leave(&saved);
}

bool flush_work(struct work_struct *work)
{
	struct flush_target t = {.work = work};
	struct machine_workers *workers;
	struct workqueue_struct *wq = READ_ONCE(work->wq);
	struct shale *machine;
	bool busy;

	if (!wq)
		return false;
	machine = wq->machine;
	workers = &machine->workers;
	spin_lock(&workers->lock);
	t.seq = work->seq;
	busy = busy_locked(workers, &t);
	spin_unlock(&workers->lock);
	if (busy)
		flush(machine, &t);
	return busy;
}

bool work_busy(const struct work_struct *work)
{
	struct workqueue_struct *wq = READ_ONCE(work->wq);
	struct machine_workers *workers;
	bool busy;

	if (!wq)
		return false;
	workers = workers_of(wq);
	spin_lock(&workers->lock);
	busy = (work->state & WORK_PENDING) || find_running(workers, work);
	spin_unlock(&workers->lock);
	return busy;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	struct machine_workers *workers = workers_of(wq);
	struct flush_target t = {.wq = wq};

	spin_lock(&workers->lock);
	t.seq = workers->seq;
	spin_unlock(&workers->lock);
	flush(wq->machine, &t);
}

/* Takes a waiting item back; true when it was waiting. Lock held. */
static bool withdraw(struct machine_workers *workers, struct work_struct *work)
{
	u32 state = work->state;

	if (!(state & WORK_PENDING))
		return false;
	if (state & WORK_AGAIN) {
		find_running(workers, work)->again = false;
	} else {
		list_del_init(&work->entry);
		if (state & WORK_READY) {
			workers->nr_ready--;
			work->wq->nr_active--;
			start_items(work->wq);
		}
	}
	WRITE_ONCE(work->state, 0u);
	item_gone(work->wq);
	return true;
}

static bool try_withdraw(struct work_struct *work)
{
	struct workqueue_struct *wq = READ_ONCE(work->wq);
	struct machine_workers *workers;
	bool was, flushers;

	if (!wq)
		return false;
	workers = workers_of(wq);
	spin_lock(&workers->lock);
	was = withdraw(workers, work);
	flushers = was && workers->flushers;
	spin_unlock(&workers->lock);
	if (flushers)
		wake_up_all(&workers->done);
	return was;
}

bool cancel_work_sync(struct work_struct *work)
{
	bool was = false;

	do {
		was |= try_withdraw(work);
	} while (flush_work(work));
	return was;
}

/* Delayed work. */

static s64 when(struct delayed_work *dwork, s64 ns)
{
	s64 at;

	return __builtin_add_overflow(ktime_get(dwork->timer.machine), ns, &at) ? KTIME_MAX - 1 : at;
}

bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, s64 ns)
{
	if (work_pending(&dwork->work))
		return false;
	if (ns <= 0)
		return !timer_pending(&dwork->timer) && queue_work(wq, &dwork->work);
	WRITE_ONCE(dwork->wq, wq);
	return timer_start(&dwork->timer, when(dwork, ns));
}

bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, s64 ns)
{
	bool was;

	if (ns <= 0) {
		was = del_timer(&dwork->timer);
		return !queue_work(wq, &dwork->work) || was;
	}
	was = try_withdraw(&dwork->work);
	WRITE_ONCE(dwork->wq, wq);
	return mod_timer(&dwork->timer, when(dwork, ns)) || was;
}

bool flush_delayed_work(struct delayed_work *dwork)
{
	bool was = del_timer_sync(&dwork->timer);

	if (was)
		queue_work(READ_ONCE(dwork->wq), &dwork->work);
	return flush_work(&dwork->work) || was;
}

bool cancel_delayed_work(struct delayed_work *dwork)
{
	bool was = del_timer(&dwork->timer);

	return try_withdraw(&dwork->work) || was;
}

bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
	bool was = false;

	do {
		was |= del_timer_sync(&dwork->timer);
		was |= cancel_work_sync(&dwork->work);
	} while (timer_pending(&dwork->timer));
	return was;
}

/* Queues and the machine's part. */

int alloc_workqueue(struct shale *machine, const char *name, unsigned max_active,
		    struct workqueue_struct **out)
{
	struct machine_workers *workers = &machine->workers;
	struct workqueue_struct *wq = kzalloc(machine, sizeof(*wq));

	if (!wq)
		return -ENOMEM;
	wq->machine = machine;
	wq->name = name;
	wq->max_active = max_active ? max_active : UINT32_MAX;
	INIT_LIST_HEAD(&wq->waiting);
	spin_lock(&workers->lock);
	list_add_tail(&wq->link, &workers->queues);
	spin_unlock(&workers->lock);
	*out = wq;
	return 0;
}

static bool queue_has_items(struct workqueue_struct *wq)
{
	struct machine_workers *workers = workers_of(wq);
	bool any;

	spin_lock(&workers->lock);
	any = wq->nr_items != 0;
	spin_unlock(&workers->lock);
	return any;
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	struct machine_workers *workers;

	if (!wq)
		return;
	workers = workers_of(wq);
	while (queue_has_items(wq))
		flush_workqueue(wq);
	spin_lock(&workers->lock);
	list_del(&wq->link);
	spin_unlock(&workers->lock);
	kfree(wq);
}

int machine_workers_init(struct shale *machine)
{
	struct machine_workers *workers = &machine->workers;

	spin_lock_init(&workers->lock);
	INIT_LIST_HEAD(&workers->ready);
	INIT_LIST_HEAD(&workers->running);
	INIT_LIST_HEAD(&workers->queues);
	INIT_LIST_HEAD(&workers->workers);
	INIT_LIST_HEAD(&workers->idle);
	init_waitqueue_head(&workers->done);
	return alloc_workqueue(machine, "system", 0, &machine->system_wq);
}

void machine_workers_exit(struct shale *machine)
{
	destroy_workqueue(machine->system_wq);
	BUG_ON(!list_empty(&machine->workers.queues));
	workers_stop(machine);
}
