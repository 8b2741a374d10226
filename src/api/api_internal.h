// How a public call enters and leaves the library, and what the machine's public face keeps.
//
// The machine's memory is wiped by the host in a child made by fork, so one load tells a machine that may not
// be used there.
#pragma once

#include "base/current.h"
#include "base/machine.h"
#include "shale/shale.h"
#include "vfs/task.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct api_machine {
	struct shale machine; // first: its address is the caller's handle
	shale_log_fn log;
	void *log_arg;
	const struct cred *boot_cred; // the machine's own, for its start and its end
};

static inline struct task *api_task(struct shale_task *task)
{
	return (struct task *)task;
}

static inline bool api_forked(const struct shale *machine)
{
	return unlikely(READ_ONCE(machine->pid) == 0);
}

static __always_inline bool api_enter(struct shale *machine, struct task *task, struct current_saved *saved)
{
	if (likely(current_enter_plain(machine, task, saved)))
		return true;
	if (api_forked(machine))
		return false;
	current_enter(machine, task, saved);
	return true;
}

// Runs an expression (of type long) as the task (NULL: the machine's own) and yields its value.
#define api_call_as(its_machine, its_task, expr)                                                             \
	({                                                                                                   \
		struct current_saved api_call_saved;                                                         \
		long api_call_result = -EOPNOTSUPP;                                                          \
                                                                                                             \
		if (likely(api_enter((its_machine), (its_task), &api_call_saved))) {                         \
			api_call_result = (expr);                                                            \
			current_leave_plain(&api_call_saved);                                                \
		}                                                                                            \
		api_call_result;                                                                             \
	})
// NULL is no task and no machine.
#define api_call(public_task, expr)                                                                          \
	(likely(public_task) ? api_call_as(api_task(public_task)->machine, api_task(public_task), expr)      \
			     : -EINVAL)
#define api_machine_call(public_machine, expr)                                                               \
	(likely(public_machine) ? api_call_as((public_machine), NULL, expr) : -EINVAL)

// Text of the library into the caller's buffer: NUL-terminated, cut; its whole length.
ssize_t api_copy_text(const char *text, char *buf, size_t size);
