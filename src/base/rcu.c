/* SPDX-License-Identifier: MIT */
/*
 * Grace periods and callbacks of a machine (base/rcu.h says how).
 *
 * A batch is: take the whole list, wait for one grace period, run it oldest first. It is done under
 * machine->rcu.batch by the callback thread or by rcu_barrier, whoever comes; so having held that mutex with
 * the list empty means that all has run. The thread pauses a millisecond between batches (not when somebody
 * waits in rcu_barrier), since a grace period interrupts all cores.
 */
#include "base/futex.h"
#include "base/machine.h"
#include "base/mutex.h"
#include "base/rcu_internal.h"

#define BATCH_PAUSE_NS (1 * NSEC_PER_MSEC)

/* Takes all that is queued; the oldest first. */
static struct rcu_head *take_pending(struct machine_rcu *rcu)
{
	struct rcu_head *newest = __atomic_exchange_n(&rcu->pending, NULL, __ATOMIC_ACQ_REL);
	struct rcu_head *list = NULL;

	while (newest) {
		struct rcu_head *next = newest->next;

		newest->next = list;
		list = newest;
		newest = next;
	}
	return list;
}

static void run_callbacks(struct rcu_head *list)
{
	while (list) {
		struct rcu_head *next = list->next;

		list->func(list);
		list = next;
	}
}

static bool run_batch(struct shale *machine)
{
	struct rcu_head *list;

	scoped_mutex_lock(machine->rcu.batch);
	list = take_pending(&machine->rcu);
	if (!list)
		return false;
	rcu_wait_for_readers();
	run_callbacks(list);
	return true;
}

static void rcu_thread(void *arg)
{
	struct shale *machine = arg;
	struct machine_rcu *rcu = &machine->rcu;

	while (!smp_load_acquire(&rcu->stopping)) {
		if (run_batch(machine)) {
			if (!READ_ONCE(rcu->hurry))
				futex_wait(&rcu->hurry, 0, ktime_get(machine) + BATCH_PAUSE_NS);
			continue;
		}
		smp_store_mb(rcu->awake, 0u);
		if (!READ_ONCE(rcu->pending) && !smp_load_acquire(&rcu->stopping))
			futex_wait(&rcu->awake, 0, KTIME_MAX);
		WRITE_ONCE(rcu->awake, 1u);
	}
}

static void wake_thread(struct machine_rcu *rcu)
{
	if (xchg(&rcu->awake, 1u) == 0)
		futex_wake(&rcu->awake, 1);
}

/* Without memory for a thread the callbacks wait for the next call_rcu, or rcu_barrier. */
static __cold void start_thread(struct shale *machine)
{
	struct machine_rcu *rcu = &machine->rcu;
	struct machine_thread *thread;

	if (xchg(&rcu->starting, 1u))
		return;
	if (machine_thread_start(machine, "shale-rcu", rcu_thread, machine, &thread) == 0)
		smp_store_release(&rcu->thread, thread);
	else
		WRITE_ONCE(rcu->starting, 0u);
}

void call_rcu(struct shale *machine, struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct machine_rcu *rcu = &machine->rcu;
	struct rcu_head *first = READ_ONCE(rcu->pending);

	head->func = func;
	do {
		head->next = first;
	} while (!try_cmpxchg(&rcu->pending, &first, head));
	if (machine->single)
		return;
	if (unlikely(!READ_ONCE(rcu->starting)))
		start_thread(machine);
	if (READ_ONCE(rcu->awake) == 0)
		wake_thread(rcu);
}

void synchronize_rcu(struct shale *machine)
{
	struct current_context *c = current;

	BUG_ON(rcu_read_lock_held());
	if (c->plug)
		c->plug_flush(c->plug, true);
	if (!machine->single)
		rcu_wait_for_readers();
}

void rcu_barrier(struct shale *machine)
{
	struct current_saved saved;

	BUG_ON(rcu_read_lock_held());
	current_enter(machine, NULL, &saved);
	if (machine->single) {
		rcu_run_single(machine);
	} else {
		WRITE_ONCE(machine->rcu.hurry, 1u);
		futex_wake(&machine->rcu.hurry, 1);
		while (run_batch(machine))
			;
		WRITE_ONCE(machine->rcu.hurry, 0u);
	}
	current_leave(&saved);
}

void rcu_run_single(struct shale *machine)
{
	struct rcu_head *list;

	while (READ_ONCE(machine->rcu.pending) && (list = take_pending(&machine->rcu)))
		run_callbacks(list);
}

static void free_head(struct rcu_head *head)
{
	kfree(head);
}

void kfree_rcu_head(struct shale *machine, struct rcu_head *head)
{
	call_rcu(machine, head, free_head);
}

int machine_rcu_init(struct shale *machine)
{
	struct machine_rcu *rcu = &machine->rcu;

	rcu->batch = kmalloc(machine, sizeof(*rcu->batch));
	if (!rcu->batch)
		return -ENOMEM;
	mutex_init(rcu->batch);
	rcu->awake = 1;
	return 0;
}

void machine_rcu_exit(struct shale *machine)
{
	struct machine_rcu *rcu = &machine->rcu;

	rcu_barrier(machine);
	smp_store_release(&rcu->stopping, true);
	WRITE_ONCE(rcu->hurry, 1u);
	futex_wake(&rcu->hurry, 1);
	wake_thread(rcu);
	machine_thread_join(smp_load_acquire(&rcu->thread));
	kfree(rcu->batch);
}
