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
};

static inline struct task *api_task(struct shale_task *task)
{
	return (struct task *)task;
}

static inline bool api_forked(const struct shale *machine)
{
	return unlikely(READ_ONCE(machine->pid) == 0);
}

// Runs an expression (of type long) as the task and yields its value.
#define api_call(public_task, expr)                                                                          \
	({                                                                                                   \
		struct task *api_call_task = api_task(public_task);                                          \
		struct current_saved api_call_saved;                                                         \
		long api_call_result = -EOPNOTSUPP;                                                          \
                                                                                                             \
		if (!api_forked(api_call_task->machine)) {                                                   \
			current_enter(api_call_task->machine, api_call_task, &api_call_saved);               \
			api_call_result = (expr);                                                            \
			current_leave(&api_call_saved);                                                      \
		}                                                                                            \
		api_call_result;                                                                             \
	})

// The same for the machine as a whole, without a task.
#define api_machine_call(public_machine, expr)                                                               \
	({                                                                                                   \
		struct shale *api_call_machine = (public_machine);                                           \
		struct current_saved api_call_saved;                                                         \
		long api_call_result = -EOPNOTSUPP;                                                          \
                                                                                                             \
		if (!api_forked(api_call_machine)) {                                                         \
			current_enter(api_call_machine, NULL, &api_call_saved);                              \
			api_call_result = (expr);                                                            \
			current_leave(&api_call_saved);                                                      \
		}                                                                                            \
		api_call_result;                                                                             \
	})

// Text of the library into the caller's buffer: NUL-terminated, cut; its whole length.
ssize_t api_copy_text(const char *text, char *buf, size_t size);
