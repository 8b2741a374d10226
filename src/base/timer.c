/* SPDX-License-Identifier: MIT */
/*
 * Timers in a pairing heap: the root is due next; arming links two heaps, taking the root merges its children
 * pairwise. All links and `running` are guarded by machine->timers.lock, which is not held while a function
 * runs.
 */
#include "base/machine.h"

static bool before(const struct timer *a, const struct timer *b)
{
	return a->expires != b->expires ? a->expires < b->expires : a->order < b->order;
}

/* Links two heaps (either may be NULL), each without siblings. */
static struct timer *heap_link(struct timer *a, struct timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (before(b, a))
		swap(a, b);
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* One heap of a list of siblings: linked in pairs, then the pairs from last to first. */
static struct timer *heap_merge(struct timer *first)
{
	struct timer *pairs = NULL, *heap = NULL;

	while (first) {
		struct timer *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		pair = heap_link(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct timer *next = pairs->next;

		pairs->next = NULL;
		heap = heap_link(heap, pairs);
		pairs = next;
	}
	return heap;
}

static void heap_remove(struct machine_timers *timers, struct timer *t)
{
	struct timer *below = heap_merge(t->child);

	t->child = NULL;
	if (t == timers->root) {
		timers->root = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		timers->root = heap_link(timers->root, below);
	}
	t->next = t->prev = NULL;
	t->armed = false;
}

void timer_setup(struct shale *machine, struct timer *timer, void (*fn)(struct timer *timer))
{
	*timer = (struct timer){.machine = machine, .fn = fn};
}

static void timer_main(void *arg)
{
	struct shale *machine = arg;
	struct machine_timers *timers = &machine->timers;
	DEFINE_WAIT(entry);

	while (!smp_load_acquire(&timers->stopping)) {
		s64 now = ktime_get(machine), next;

		if (timers_run(machine, now))
			continue;
		prepare_to_wait(&timers->wake, &entry);
		next = timers_next(machine);
		if (next > now && !smp_load_acquire(&timers->stopping))
			schedule_timeout(next == KTIME_MAX ? KTIME_MAX : next - now);
		finish_wait(&timers->wake, &entry);
	}
}

/* Arms the timer; true when it is now the first. Lock held. */
static bool arm_locked(struct machine_timers *timers, struct timer *timer, s64 expires_ns)
{
	timer->expires = expires_ns;
	timer->order = timers->order++;
	timer->armed = true;
	timers->root = heap_link(timers->root, timer);
	return timers->root == timer;
}

/* Without memory for a thread, the next timer that is armed tries again. */
void timers_kick(struct shale *machine)
{
	struct machine_timers *timers = &machine->timers;
	struct machine_thread *thread;

	if (machine->single)
		return;
	if (unlikely(!READ_ONCE(timers->starting)) && xchg(&timers->starting, 1u) == 0) {
		if (machine_thread_start(machine, "shale-timer", timer_main, machine, &thread) == 0)
			smp_store_release(&timers->thread, thread);
		else
			WRITE_ONCE(timers->starting, 0u);
	}
	wake_up(&timers->wake);
}

bool mod_timer(struct timer *timer, s64 expires_ns)
{
	struct machine_timers *timers = &timer->machine->timers;
	bool was, first;

	spin_lock(&timers->lock);
	was = timer->armed;
	if (was)
		heap_remove(timers, timer);
	first = arm_locked(timers, timer, expires_ns);
	spin_unlock(&timers->lock);
	if (first)
		timers_kick(timer->machine);
	return was;
}

bool timer_start(struct timer *timer, s64 expires_ns)
{
	struct shale *machine = timer->machine;
	struct machine_timers *timers = &machine->timers;
	bool was, first = false;

	spin_lock(&timers->lock);
	was = timer->armed;
	if (!was)
		first = arm_locked(timers, timer, expires_ns);
	spin_unlock(&timers->lock);
	if (first)
		timers_kick(machine);
	return !was;
}

bool del_timer(struct timer *timer)
{
	struct machine_timers *timers = &timer->machine->timers;
	bool was;

	spin_lock(&timers->lock);
	was = timer->armed;
	if (was)
		heap_remove(timers, timer);
	spin_unlock(&timers->lock);
	return was;
}

static bool timer_idle(struct machine_timers *timers, struct timer *timer)
{
	bool idle;

	spin_lock(&timers->lock);
	idle = timers->running != timer;
	spin_unlock(&timers->lock);
	return idle;
}

bool del_timer_sync(struct timer *timer)
{
	struct machine_timers *timers = &timer->machine->timers;
	bool was = del_timer(timer);

	while (!timer_idle(timers, timer)) {
		BUG_ON(timer->machine->single);
		wait_event(timers->done, timer_idle(timers, timer));
		was |= del_timer(timer);
	}
	return was;
}

bool timer_pending(struct timer *timer)
{
	struct machine_timers *timers = &timer->machine->timers;
	bool armed;

	spin_lock(&timers->lock);
	armed = timer->armed;
	spin_unlock(&timers->lock);
	return armed;
}

s64 timers_next(struct shale *machine)
{
	struct machine_timers *timers = &machine->timers;
	s64 next;

	spin_lock(&timers->lock);
	next = timers->root ? timers->root->expires : KTIME_MAX;
	spin_unlock(&timers->lock);
	return next;
}

bool timers_run(struct shale *machine, s64 now)
{
	struct machine_timers *timers = &machine->timers;
	struct timer *timer;
	bool any = false;

	spin_lock(&timers->lock);
	while ((timer = timers->root) && timer->expires <= now) {
		heap_remove(timers, timer);
		timers->running = timer;
		spin_unlock(&timers->lock);
		timer->fn(timer);
		spin_lock(&timers->lock);
		timers->running = NULL;
		any = true;
		if (wq_has_sleeper(&timers->done))
			wake_up_all(&timers->done);
	}
	spin_unlock(&timers->lock);
	return any;
}

int machine_timers_init(struct shale *machine)
{
	struct machine_timers *timers = &machine->timers;

	spin_lock_init(&timers->lock);
	init_waitqueue_head(&timers->done);
	init_waitqueue_head(&timers->wake);
	return 0;
}

void machine_timers_exit(struct shale *machine)
{
	struct machine_timers *timers = &machine->timers;

	smp_store_release(&timers->stopping, true);
	wake_up_all(&timers->wake);
	machine_thread_join(smp_load_acquire(&timers->thread));
	BUG_ON(timers->root);
}
