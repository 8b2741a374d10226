/* SPDX-License-Identifier: MIT */
/*
 * Waiting for I/O: who waits reaps (decision 6 of the design; the rules are in base/wait.h).
 *
 * poller->busy is a lock that is only ever tried. A waiter first puts itself on machine->wait.io_waiters,
 * then tries; who gives the lock back does so first and then looks at the list. So either the waiter gets the
 * lock or the leaver sees the waiter. A waiter that is woken as the next reaper returns from io_schedule like
 * any that is woken early: its caller looks at the condition again and comes back, and if it does not come
 * back it has passed the turn on.
 *
 * The completion thread sleeps until a thread leaves requests in flight with nobody waiting (io_handover),
 * and reaps until none is in flight or somebody waits.
 */
#include <sched.h>
#include "base/machine.h"
#include "base/wait_internal.h"

struct io_completer {
	struct shale *machine;
	struct machine_thread *thread;
	wait_queue_head_t wq;
	bool wanted, stopping; /* under wq.lock or relaxed */
};

static bool poller_trylock(struct io_poller *poller)
{
	u32 free = 0;

	return READ_ONCE(poller->busy) == 0 && try_cmpxchg(&poller->busy, &free, 1u);
}

static void poller_unlock(struct io_poller *poller)
{
	xchg(&poller->busy, 0u);
}

/* Completions run here must not see what this thread holds back for itself: nobody would send it while we
 * block. */
static int reap(struct io_poller *poller, bool may_block)
{
	struct current_context kept = *current;
	struct current_context *c = current;
	int n;

	c->plug = NULL;
	c->bio_list = NULL;
	c->journal_info = NULL;
	n = poller->reap(poller, may_block);
	c = current;
	c->plug = kept.plug;
	c->bio_list = kept.bio_list;
	c->journal_info = kept.journal_info;
	return n;
}

static void io_waiter_add(struct machine_wait *mw, struct waiter *waiter)
{
	spin_lock(&mw->lock);
	waiter->io = true;
	list_add_tail(&waiter->io_list, &mw->io_waiters);
	WRITE_ONCE(mw->nr_io_waiters, mw->nr_io_waiters + 1);
	spin_unlock(&mw->lock);
}

static void io_waiter_del(struct machine_wait *mw, struct waiter *waiter)
{
	spin_lock(&mw->lock);
	waiter->io = false;
	list_del(&waiter->io_list);
	WRITE_ONCE(mw->nr_io_waiters, mw->nr_io_waiters - 1);
	spin_unlock(&mw->lock);
}

/* Wakes one that sleeps on something that only reaping will bring; false when nobody is on the list. */
static bool wake_next_reaper(struct machine_wait *mw)
{
	struct waiter *waiter;
	bool any;

	spin_lock(&mw->lock);
	any = !list_empty(&mw->io_waiters);
	list_for_each_entry (waiter, &mw->io_waiters, io_list) {
		if (waiter_wake(waiter))
			break;
	}
	spin_unlock(&mw->lock);
	return any;
}

/*
 * Until nothing is in flight, or somebody else sees to it: then `orphaned` tells them to call again when they
 * go. It is set before the last look at `busy`, as they unlock before they look at it.
 */
static void completer_reap(struct machine_wait *mw, struct io_poller *poller)
{
	xchg(&mw->orphaned, 0u);
	while (atomic_read(&poller->inflight) > 0) {
		if (READ_ONCE(mw->nr_io_waiters) == 0 && poller_trylock(poller)) {
			reap(poller, true);
			poller_unlock(poller);
			continue;
		}
		xchg(&mw->orphaned, 1u);
		if (__atomic_load_n(&poller->busy, __ATOMIC_SEQ_CST) != 0 || wake_next_reaper(mw))
			return;
	}
}

static void completer_main(void *arg)
{
	struct io_completer *completer = arg;
	struct machine_wait *mw = &completer->machine->wait;
	struct io_poller *poller;

	for (;;) {
		wait_event(completer->wq,
			   xchg(&completer->wanted, false) || smp_load_acquire(&completer->stopping));
		if (smp_load_acquire(&completer->stopping))
			return;
		poller = smp_load_acquire(&mw->poller);
		if (poller)
			completer_reap(mw, poller);
		current->io_submitted = false;
	}
}

/* Made by the first who needs it. Without memory for it, requests in flight wait for the next waiter. */
static __cold struct io_completer *completer_make(struct shale *machine)
{
	struct io_completer *completer = kzalloc(machine, sizeof(*completer));
	struct io_completer *expected = NULL;

	if (!completer)
		return NULL;
	completer->machine = machine;
	init_waitqueue_head(&completer->wq);
	if (!try_cmpxchg(&machine->wait.completer, &expected, completer)) {
		kfree(completer);
		return smp_load_acquire(&machine->wait.completer);
	}
	if (machine_thread_start(machine, "shale-io", completer_main, completer, &completer->thread) != 0)
		completer->thread = NULL;
	return completer;
}

static void completer_wake(struct shale *machine)
{
	struct io_completer *completer = smp_load_acquire(&machine->wait.completer);

	if (!completer)
		completer = completer_make(machine);
	if (!completer)
		return;
	smp_store_release(&completer->wanted, true);
	wake_up(&completer->wq);
}

/* Somebody has to reap what is in flight, if nobody does already; the completion thread only for orphans. */
static void pass_on(struct shale *machine, struct io_poller *poller)
{
	struct machine_wait *mw = &machine->wait;

	if (__atomic_load_n(&poller->inflight.counter, __ATOMIC_SEQ_CST) == 0 ||
	    __atomic_load_n(&poller->busy, __ATOMIC_SEQ_CST) != 0)
		return;
	if (!wake_next_reaper(mw) && __atomic_load_n(&mw->orphaned, __ATOMIC_SEQ_CST))
		completer_wake(machine);
}

static void hand_over(struct shale *machine, struct io_poller *poller)
{
	if (atomic_read(&poller->inflight) == 0)
		return;
	/* What has ended by now (a read that the host had in its cache) needs no thread to be woken. */
	if (poller_trylock(poller)) {
		int left;

		reap(poller, false);
		left = atomic_read(&poller->inflight);
		poller_unlock(poller);
		if (left == 0)
			return;
	}
	xchg(&machine->wait.orphaned, 1u);
	pass_on(machine, poller);
}

/* Whom unregistering waits for is counted before the poller is looked at: a worker comes here when its item
 * has ended. */
void io_handover(struct shale *machine)
{
	struct io_poller *poller;

	if (!machine || machine->single)
		return;
	__atomic_fetch_add(&machine->wait.handovers, 1u, __ATOMIC_SEQ_CST);
	poller = __atomic_load_n(&machine->wait.poller, __ATOMIC_SEQ_CST);
	if (poller)
		hand_over(machine, poller);
	__atomic_fetch_sub(&machine->wait.handovers, 1u, __ATOMIC_SEQ_CST);
}

/* Reaps until this waiter is woken. False when another has the lock, or nothing is in flight that we could
 * bring home. */
static bool reap_until_woken(struct io_poller *poller, struct waiter *waiter)
{
	if (atomic_read(&poller->inflight) == 0 || !poller_trylock(poller))
		return false;
	waiter->poller = poller;
	for (;;) {
		u32 state = WAITER_SLEEPING;

		if (!try_cmpxchg(&waiter->state, &state, (u32)WAITER_REAPING))
			break;
		if (reap(poller, true) < 0)
			sched_yield();
		state = WAITER_REAPING;
		if (!try_cmpxchg(&waiter->state, &state, (u32)WAITER_SLEEPING))
			break;
		/* With nothing in flight any more only another thread can wake us, and we need not be kicked.
		 */
		if (atomic_read(&poller->inflight) == 0) {
			poller_unlock(poller);
			return false;
		}
	}
	poller_unlock(poller);
	return true;
}

void io_schedule_at(const char *place)
{
	struct waiter *waiter = waiter_current();
	struct shale *machine = current->machine;
	struct io_poller *poller = machine ? smp_load_acquire(&machine->wait.poller) : NULL;
	struct machine_wait *mw;

	if (current->fiber || !poller) {
		schedule_at(place);
		return;
	}
	if (!sleep_begin(waiter, place))
		return;
	mw = &machine->wait;
	io_waiter_add(mw, waiter);
	if (current->worker)
		worker_sleeping(machine);
	if (!reap_until_woken(poller, waiter))
		waiter_block(waiter, KTIME_MAX);
	if (current->worker)
		worker_waking(machine);
	io_waiter_del(mw, waiter);
	pass_on(machine, poller);
}

int io_poller_register(struct shale *machine, struct io_poller *poller)
{
	struct io_poller *none = NULL;

	poller->machine = machine;
	atomic_set(&poller->inflight, 0);
	WRITE_ONCE(poller->busy, 0u);
	return try_cmpxchg(&machine->wait.poller, &none, poller) ? 0 : -EBUSY;
}

static void completer_stop(struct machine_wait *mw, struct io_poller *poller)
{
	struct io_completer *completer = mw->completer;

	if (!completer)
		return;
	smp_store_release(&completer->stopping, true);
	wake_up(&completer->wq);
	if (poller)
		poller->kick(poller);
	machine_thread_join(completer->thread);
	mw->completer = NULL;
	kfree(completer);
}

void io_poller_unregister(struct io_poller *poller)
{
	struct machine_wait *mw = &poller->machine->wait;

	__atomic_store_n(&mw->poller, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&mw->handovers, __ATOMIC_SEQ_CST) != 0)
		sched_yield();
	completer_stop(mw, poller);
	/* Who waited for a request may be here before its reaper has counted it and left. */
	while (!poller_trylock(poller))
		sched_yield();
	BUG_ON(atomic_read(&poller->inflight) != 0);
}

void io_poller_kick(struct shale *machine)
{
	struct io_poller *poller = smp_load_acquire(&machine->wait.poller);

	if (poller)
		poller->kick(poller);
}

/* threads=0: one blocking reap for the scheduler; false when nothing is in flight. */
bool io_reap_single(struct shale *machine)
{
	struct io_poller *poller = machine->wait.poller;

	if (!poller || atomic_read(&poller->inflight) == 0)
		return false;
	reap(poller, true);
	return true;
}

int machine_wait_init(struct shale *machine)
{
	struct machine_wait *mw = &machine->wait;

	for (unsigned i = 0; i < ARRAY_SIZE(mw->table); i++)
		init_waitqueue_head(&mw->table[i]);
	spin_lock_init(&mw->lock);
	INIT_LIST_HEAD(&mw->io_waiters);
	return 0;
}

void machine_wait_exit(struct shale *machine)
{
	completer_stop(&machine->wait, NULL);
}
