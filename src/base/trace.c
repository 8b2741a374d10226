/* SPDX-License-Identifier: MIT */
/*
 * The recorder. Record number n lives in slot n modulo the ring's size. Its stamp tells its state: 2n+1 while
 * it is being written, 2n+2 when it is whole; all fields are relaxed atomics between the two, as under a
 * sequence count. A writer that is overtaken by a whole round of the ring leaves a record that mixes both;
 * its stamp then is one of the two numbers, so such a record may be read. That takes a writer that sleeps
 * while 2^order others write.
 *
 * machine->trace is replaced by trace_start only; writers use it inside a read section, so the old one is
 * freed after a grace period.
 */
#include <unistd.h>
#include "base/alloc.h"
#include "base/trace.h"

#define TRACE_ORDER_MAX 26

struct trace_slot {
	u64 stamp;
	const struct trace_point *point;
	s64 ns;
	u32 thread;
	u64 args[TRACE_ARGS_MAX];
};

struct machine_trace {
	u64 next __aligned_cacheline; /* number of the next record */
	u64 mask;
	struct trace_slot *slots;
};

static void trace_free(struct machine_trace *trace)
{
	if (trace)
		kfree(trace->slots);
	kfree(trace);
}

int trace_start(struct shale *machine, unsigned order)
{
	struct machine_trace *trace, *old;

	if (READ_ONCE(machine->trace_on))
		return -EBUSY;
	if (order > TRACE_ORDER_MAX)
		return -EINVAL;
	trace = kmalloc_aligned(machine, sizeof(*trace), CACHELINE_SIZE);
	if (!trace)
		return -ENOMEM;
	trace->next = 0;
	trace->mask = (1UL << order) - 1;
	trace->slots = kcalloc(machine, 1UL << order, sizeof(*trace->slots));
	if (!trace->slots) {
		trace_free(trace);
		return -ENOMEM;
	}
	old = rcu_replace_pointer(machine->trace, trace);
	WRITE_ONCE(machine->trace_on, true);
	if (old) {
		synchronize_rcu(machine);
		trace_free(old);
	}
	return 0;
}

void trace_stop(struct shale *machine)
{
	WRITE_ONCE(machine->trace_on, false);
}

void trace_exit(struct shale *machine)
{
	WRITE_ONCE(machine->trace_on, false);
	trace_free(machine->trace);
	machine->trace = NULL;
}

void trace_write(struct shale *machine, const struct trace_point *point, const u64 *args)
{
	struct machine_trace *trace;
	struct trace_slot *slot;
	u64 n;

	rcu_read_lock();
	trace = rcu_dereference(machine->trace);
	n = __atomic_fetch_add(&trace->next, 1, __ATOMIC_RELAXED);
	slot = &trace->slots[n & trace->mask];
	WRITE_ONCE(slot->stamp, 2 * n + 1);
	smp_wmb();
	WRITE_ONCE(slot->point, point);
	WRITE_ONCE(slot->ns, ktime_get(machine));
	WRITE_ONCE(slot->thread, (u32)gettid());
	for (int i = 0; i < TRACE_ARGS_MAX; i++)
		WRITE_ONCE(slot->args[i], args[i]);
	smp_store_release(&slot->stamp, 2 * n + 2);
	rcu_read_unlock();
}

u64 trace_count(const struct shale *machine)
{
	u64 count;

	rcu_read_lock();
	count = rcu_dereference(machine->trace) ? READ_ONCE(rcu_dereference(machine->trace)->next) : 0;
	rcu_read_unlock();
	return count;
}

int trace_read(const struct shale *machine, u64 n, struct trace_record *out)
{
	const struct machine_trace *trace;
	const struct trace_slot *slot;
	int err = -ENOENT;

	rcu_read_lock();
	trace = rcu_dereference(machine->trace);
	if (!trace)
		goto out;
	slot = &trace->slots[n & trace->mask];
	if (smp_load_acquire(&slot->stamp) != 2 * n + 2)
		goto out;
	out->point = READ_ONCE(slot->point);
	out->ns = READ_ONCE(slot->ns);
	out->thread = READ_ONCE(slot->thread);
	for (int i = 0; i < TRACE_ARGS_MAX; i++)
		out->args[i] = READ_ONCE(slot->args[i]);
	smp_rmb();
	if (READ_ONCE(slot->stamp) == 2 * n + 2)
		err = 0;
out:
	rcu_read_unlock();
	return err;
}
