/* SPDX-License-Identifier: MIT */
/*
 * The thread's `current`: how it is filled and emptied. The plain way (a machine with threads, not nested) is
 * a few stores.
 */
#include <sys/syscall.h>
#include <unistd.h>
#include "base/machine.h"

__thread struct current_context current_tls;
static __thread struct waiter thread_waiter __attribute__((tls_model("initial-exec")));

/* Not inlined, so that the address is of the thread that runs now. */
static noinline struct waiter *own_waiter(void)
{
	__asm__ __volatile__("" : : : "memory");
	return &thread_waiter;
}

void current_register(void)
{
	struct current_context *c = current;

	if (c->waiter)
		return;
	c->waiter = own_waiter();
	INIT_LIST_HEAD(&c->waiter->io_list);
	c->thread_shard = (unsigned)syscall(SYS_gettid) % SHARDS;
	c->shard = c->thread_shard;
}

/* The thread's own identity, outside any machine's fibers. */
static void use_thread(struct current_context *c)
{
	c->fiber = NULL;
	c->waiter = own_waiter();
	c->shard = c->thread_shard;
}

static void current_enter_slow(struct current_context *c, struct shale *machine, struct task *task,
			       struct current_saved *saved)
{
	current_register();
	saved->nested = c->machine != NULL;
	if (saved->nested)
		saved->outer = *c;
	if (c->machine != machine) {
		c->plug = NULL;
		c->bio_list = NULL;
		c->journal_info = NULL;
		c->worker = NULL;
		c->alloc_flags = 0;
		use_thread(c);
		if (machine->single)
			fiber_enter_host(machine, c);
	}
	c->machine = machine;
	c->task = task;
}

void current_enter(struct shale *machine, struct task *task, struct current_saved *saved)
{
	struct current_context *c = current;

	saved->plain = false;
	if (unlikely(c->machine || !c->waiter || machine->single)) {
		current_enter_slow(c, machine, task, saved);
		return;
	}
	saved->nested = false;
	c->machine = machine;
	c->task = task;
}

static void current_leave_slow(struct current_context *c, struct current_saved *saved)
{
	unsigned thread_shard = c->thread_shard;
	struct shale *machine = c->machine;

	if (machine->single && (!saved->nested || saved->outer.machine != machine)) {
		if (!rcu_read_lock_held())
			rcu_run_single(machine);
		c = current;
		fiber_leave_host(machine, c);
	}
	if (!saved->nested) {
		c->machine = NULL;
		c->task = NULL;
		use_thread(c);
		return;
	}
	*c = saved->outer;
	c->thread_shard = thread_shard;
	if (!c->fiber)
		use_thread(c);
}

void current_leave(struct current_saved *saved)
{
	struct current_context *c = current;
	struct shale *machine = c->machine;

	if (unlikely(c->io_submitted)) {
		c->io_submitted = false;
		io_handover(machine);
	}
	if (unlikely(saved->nested || machine->single)) {
		current_leave_slow(c, saved);
		return;
	}
	BUG_ON(c->plug);
	c->machine = NULL;
	c->task = NULL;
}
