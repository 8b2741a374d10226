/* SPDX-License-Identifier: MIT */
/*
 * Fibers and their scheduler (base/fiber.h). A fiber is one of: running; parked (its waiter not RUNNING, or a
 * deadline before it); runnable (on the list); idle (without an item, on the idle list).
 *
 * There is no scheduler fiber: whoever parks runs pick_next on its own stack and switches to what was picked,
 * which may be itself. Each pick is one number of the seeded generator over a list in order, so equal runs
 * pick equally; the decisions are hashed into fibers.trace.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "base/machine.h"
#include "base/wait_internal.h"
#if SHALE_ASAN
#include <sanitizer/common_interface_defs.h>
#elif SHALE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define FIBER_STACK_BYTES ((size_t)(SHALE_ASAN || SHALE_TSAN ? SZ_1M : SZ_256K))
#define FIBERS_KEPT       16

struct fiber {
	struct waiter waiter;
	ucontext_t context;
	struct shale *machine;
	struct list_head all;        /* machine_fibers.all; not for the host's */
	struct list_head list;       /* runnable or idle */
	struct current_context kept; /* `current` while it does not run */
	struct work_running run;     /* its item */
	bool parked, inside;
	void *stack; /* mapping, with a guard page at its low end */
	/* For the sanitizers. */
	const void *stack_low;
	size_t stack_bytes;
	void *fake_stack, *tsan;
};

/* Switching. */

static void switch_begin(struct fiber *from, struct fiber *to)
{
#if SHALE_ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->stack_low, to->stack_bytes);
#elif SHALE_TSAN
	from->tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* First thing on the new stack: tells the sanitizer, which gives the bounds of the stack that was left (the
 * host's). */
static void switch_end(struct fiber *self)
{
#if SHALE_ASAN
	struct fiber *prev = self->machine->fibers.prev;

	__sanitizer_finish_switch_fiber(self->fake_stack, &prev->stack_low, &prev->stack_bytes);
#endif
}

static void load_current(struct fiber *to)
{
	struct current_context *c = current;
	unsigned thread_shard = c->thread_shard;

	*c = to->kept;
	c->thread_shard = thread_shard;
}

static noinline void fiber_switch(struct fiber *from, struct fiber *to)
{
	from->kept = *current;
	from->machine->fibers.prev = from;
	load_current(to);
	switch_begin(from, to);
	swapcontext(&from->context, &to->context);
	switch_end(from);
}

static struct fiber *pick_next(struct shale *machine);
static void retire(struct machine_fibers *fibers, struct fiber *self);

/* What each made fiber does for ever: its item, then whoever is next. */
static void fiber_main(unsigned low, unsigned high)
{
	struct fiber *self = (struct fiber *)(((uintptr_t)high << 32) | low);
	struct shale *machine = self->machine;

	switch_end(self);
	for (;;) {
		struct fiber *next;

		work_run(machine, &self->run);
		retire(&machine->fibers, self);
		next = pick_next(machine);
		if (next != self)
			fiber_switch(self, next);
	}
}

/* Making and freeing. */

static void fiber_free(struct fiber *fiber)
{
#if SHALE_TSAN
	if (fiber->tsan)
		__tsan_destroy_fiber(fiber->tsan);
#endif
	list_del(&fiber->all);
	munmap(fiber->stack, FIBER_STACK_BYTES + PAGE_SIZE);
	free(fiber);
}

static noinline void init_context(struct fiber *fiber)
{
	uintptr_t address = (uintptr_t)fiber;

	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = (char *)fiber->stack + PAGE_SIZE;
	fiber->context.uc_stack.ss_size = FIBER_STACK_BYTES;
	makecontext(&fiber->context, (void (*)(void))fiber_main, 2, (unsigned)address,
		    (unsigned)(address >> 32));
}

/* Not subject to failure injection: without it the machine could not go on at all. */
static struct fiber *fiber_make(struct shale *machine)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));
	void *stack = mmap(NULL, FIBER_STACK_BYTES + PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (!fiber || stack == MAP_FAILED) {
		if (stack != MAP_FAILED)
			munmap(stack, FIBER_STACK_BYTES + PAGE_SIZE);
		free(fiber);
		return NULL;
	}
	mprotect(stack, PAGE_SIZE, PROT_NONE);
	fiber->machine = machine;
	fiber->stack = stack;
	fiber->stack_low = (char *)stack + PAGE_SIZE;
	fiber->stack_bytes = FIBER_STACK_BYTES;
	fiber->waiter.fiber = fiber;
	INIT_LIST_HEAD(&fiber->waiter.io_list);
	fiber->kept = (struct current_context){.machine = machine, .fiber = fiber, .waiter = &fiber->waiter};
#if SHALE_TSAN
	fiber->tsan = __tsan_create_fiber(0);
#endif
	init_context(fiber);
	list_add_tail(&fiber->all, &machine->fibers.all);
	return fiber;
}

/* Its item has ended: it waits for the next one; of those that already wait, the surplus is freed. */
static void retire(struct machine_fibers *fibers, struct fiber *self)
{
	if (fibers->nr_idle >= FIBERS_KEPT) {
		struct fiber *surplus = list_first_entry(&fibers->idle, struct fiber, list);

		list_del(&surplus->list);
		fibers->nr_idle--;
		fiber_free(surplus);
	}
	self->waiter.state = WAITER_RUNNING;
	list_add_tail(&self->list, &fibers->idle);
	fibers->nr_idle++;
}

static struct fiber *fiber_for_item(struct shale *machine, unsigned nth)
{
	struct machine_fibers *fibers = &machine->fibers;
	struct fiber *fiber;

	if (fibers->nr_idle) {
		fiber = list_last_entry(&fibers->idle, struct fiber, list);
		list_del(&fiber->list);
		fibers->nr_idle--;
	} else {
		fiber = fiber_make(machine);
		BUG_ON(!fiber);
	}
	work_begin(machine, nth, &fiber->run);
	return fiber;
}

/* The scheduler. */

static void make_runnable(struct fiber *fiber)
{
	struct machine_fibers *fibers = &fiber->machine->fibers;

	fiber->parked = false;
	list_add_tail(&fiber->list, &fibers->runnable);
	fibers->nr_runnable++;
}

void fiber_wake(struct fiber *fiber)
{
	if (fiber->parked)
		make_runnable(fiber);
}

static void print_sleeper(const struct fiber *fiber, const char *kind)
{
	if (fiber->parked)
		fprintf(stderr, "  %s fiber %p sleeps in %s\n", kind, (const void *)fiber,
			fiber->waiter.place ? fiber->waiter.place : "?");
}

static __cold __noreturn void deadlock(struct shale *machine)
{
	struct fiber *fiber;

	fprintf(stderr, "shale: deadlock: nothing can run, no timer is armed, no request is in flight\n");
	print_sleeper(machine->fibers.host, "calling");
	list_for_each_entry (fiber, &machine->fibers.all, all)
		print_sleeper(fiber, "work");
	fflush(stderr);
	abort();
}

/* Nothing can run now: waits for I/O, or moves the clock. */
static void idle_step(struct shale *machine)
{
	s64 next;

	if (io_reap_single(machine))
		return;
	next = timers_next(machine);
	if (next == KTIME_MAX)
		deadlock(machine);
	if (next > machine->clock.virtual_ns)
		WRITE_ONCE(machine->clock.virtual_ns, next);
}

static struct fiber *take_runnable(struct machine_fibers *fibers, unsigned nth)
{
	struct fiber *fiber;

	list_for_each_entry (fiber, &fibers->runnable, list) {
		if (nth-- == 0)
			break;
	}
	list_del(&fiber->list);
	fibers->nr_runnable--;
	return fiber;
}

static struct fiber *pick_next(struct shale *machine)
{
	struct machine_fibers *fibers = &machine->fibers;
	unsigned nr_work, n;

	for (;;) {
		rcu_run_single(machine);
		timers_run(machine, machine->clock.virtual_ns);
		nr_work = work_ready_count(machine);
		if (fibers->nr_runnable + nr_work)
			break;
		idle_step(machine);
	}
	n = (unsigned)(splitmix64(&fibers->rng) % (fibers->nr_runnable + nr_work));
	fibers->switches++;
	fibers->trace =
		(fibers->trace ^ (((u64)(fibers->nr_runnable + nr_work) << 32) | n)) * 0x100000001b3ull;
	if (n < fibers->nr_runnable)
		return take_runnable(fibers, n);
	return fiber_for_item(machine, n - fibers->nr_runnable);
}

static void run_others(struct shale *machine, struct fiber *self)
{
	struct fiber *next = pick_next(machine);

	if (next != self)
		fiber_switch(self, next);
}

struct sleep_timer {
	struct timer timer;
	struct waiter *waiter;
};

static void sleep_timer_fn(struct timer *timer)
{
	waiter_wake(container_of(timer, struct sleep_timer, timer)->waiter);
}

void fiber_schedule(struct shale *machine, s64 deadline)
{
	struct fiber *self = current->fiber;
	struct sleep_timer limit;

	if (deadline != KTIME_MAX) {
		timer_setup(machine, &limit.timer, sleep_timer_fn);
		limit.waiter = &self->waiter;
		mod_timer(&limit.timer, deadline);
	}
	self->parked = true;
	run_others(machine, self);
	if (deadline != KTIME_MAX)
		del_timer(&limit.timer);
}

void fiber_yield(struct shale *machine)
{
	struct fiber *self = current->fiber;

	if (machine->fibers.nr_runnable + work_ready_count(machine) == 0)
		return;
	make_runnable(self);
	run_others(machine, self);
}

bool machine_run_pending(struct shale *machine)
{
	struct current_saved saved;
	bool any = false;

	BUG_ON(!machine->single);
	current_enter(machine, NULL, &saved);
	rcu_run_single(machine);
	while (timers_run(machine, machine->clock.virtual_ns) ||
	       machine->fibers.nr_runnable + work_ready_count(machine) > 0) {
		fiber_yield(machine);
		any = true;
	}
	current_leave(&saved);
	return any;
}

/* The caller from outside. */

void fiber_enter_host(struct shale *machine, struct current_context *c)
{
	struct fiber *host = machine->fibers.host;

	/* A second thread inside, or a nested entry from another machine that this one had entered. */
	BUG_ON(xchg(&host->inside, true));
	c->fiber = host;
	c->waiter = &host->waiter;
	c->shard = 0;
}

void fiber_leave_host(struct shale *machine, struct current_context *c)
{
	BUG_ON(c->fiber != machine->fibers.host);
	smp_store_release(&machine->fibers.host->inside, false);
}

int machine_fibers_init(struct shale *machine)
{
	struct machine_fibers *fibers = &machine->fibers;
	struct fiber *host;

	INIT_LIST_HEAD(&fibers->all);
	INIT_LIST_HEAD(&fibers->runnable);
	INIT_LIST_HEAD(&fibers->idle);
	fibers->rng = machine->options.seed ^ 0x5eedf1be5eedf1beull;
	if (!machine->single)
		return 0;
	host = kzalloc(machine, sizeof(*host));
	if (!host)
		return -ENOMEM;
	host->machine = machine;
	host->waiter.fiber = host;
	INIT_LIST_HEAD(&host->waiter.io_list);
	fibers->host = host;
	return 0;
}

void machine_fibers_exit(struct shale *machine)
{
	struct machine_fibers *fibers = &machine->fibers;
	struct fiber *fiber, *next;

	list_for_each_entry_safe (fiber, next, &fibers->idle, list)
		fiber_free(fiber);
	BUG_ON(!list_empty(&fibers->all));
	kfree(fibers->host);
}
