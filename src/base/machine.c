/* SPDX-License-Identifier: MIT */
/*
 * Making and ending the base of a machine, and its threads.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "base/log.h"
#include "base/machine.h"
#include "base/trace.h"

struct machine_thread {
	pthread_t thread;
	struct shale *machine;
	void (*fn)(void *arg);
	void *arg;
	char name[16];
};

static void *thread_main(void *arg)
{
	struct machine_thread *thread = arg;
	struct current_saved saved;

	pthread_setname_np(pthread_self(), thread->name);
	current_enter(thread->machine, NULL, &saved);
	thread->fn(thread->arg);
	current_leave(&saved);
	return NULL;
}

int machine_thread_start(struct shale *machine, const char *name, void (*fn)(void *arg), void *arg,
			 struct machine_thread **out)
{
	struct machine_thread *thread;
	sigset_t all, old;
	int error;

	BUG_ON(machine->single);
	if (READ_ONCE(machine->held))
		return -EAGAIN;
	thread = kzalloc(machine, sizeof(*thread));
	if (!thread)
		return -ENOMEM;
	thread->machine = machine;
	thread->fn = fn;
	thread->arg = arg;
	for (size_t i = 0; i < sizeof(thread->name) - 1 && name[i]; i++)
		thread->name[i] = name[i];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread->thread, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		kfree(thread);
		return -error;
	}
	*out = thread;
	return 0;
}

void machine_release(struct shale *machine)
{
	WRITE_ONCE(machine->held, false);
	workers_kick(machine);
	if (timers_next(machine) != KTIME_MAX)
		timers_kick(machine);
}

void machine_thread_join(struct machine_thread *thread)
{
	if (!thread)
		return;
	pthread_join(thread->thread, NULL);
	kfree(thread);
}

static u64 default_memory_limit(void)
{
	struct sysinfo info;

	if (sysinfo(&info) != 0)
		return SZ_1G;
	return (u64)info.totalram * info.mem_unit / 4;
}

/* The parts in the order in which they come; they go in reverse. */
static const struct part {
	int (*init)(struct shale *machine);
	void (*exit)(struct shale *machine);
} parts[] = {
	{machine_clock_init, NULL},
	{log_init, log_exit},
	{NULL, trace_exit},
	{machine_wait_init, machine_wait_exit},
	{machine_fibers_init, machine_fibers_exit},
	{machine_rcu_init, machine_rcu_exit},
	{machine_timers_init, machine_timers_exit},
	{machine_workers_init, machine_workers_exit},
};

static void exit_parts(struct shale *machine, unsigned n)
{
	while (n--) {
		if (parts[n].exit)
			parts[n].exit(machine);
	}
}

int machine_init(struct shale *machine, const struct machine_options *options)
{
	int error;

	machine->options = *options;
	machine->single = options->threads == 0;
	machine->held = options->held;
	machine->pid = getpid();
	machine->plain = !machine->single;
	if (!machine->options.memory_limit)
		machine->options.memory_limit = default_memory_limit();
	machine_random_init(machine);
	slab_memory_init(machine);
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		error = parts[i].init ? parts[i].init(machine) : 0;
		if (error) {
			exit_parts(machine, i);
			return error;
		}
	}
	return 0;
}

void machine_exit(struct shale *machine)
{
	exit_parts(machine, ARRAY_SIZE(parts));
}
