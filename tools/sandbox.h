/* SPDX-License-Identifier: MIT */
/*
 * An empty room for a process that reads what may be hostile. Who goes in has opened all that it needs; from
 * then on it can compute, have memory and threads, and read and write what is open, and nothing else: no
 * file, no program, no connection, no other process. Nobody comes out again.
 *
 * The parts, each of which the kernel may lack: no new privileges, landlock (sandbox.c), no capabilities, no
 * new descriptors, and a list of system calls beyond which the process is killed (sandbox_calls.c).
 */
#ifndef SHALE_TOOL_SANDBOX_H
#define SHALE_TOOL_SANDBOX_H

#include <stdbool.h>

enum sandbox_mode {
	SANDBOX_WISHED,   /* a part that is not to be had is told, and left out */
	SANDBOX_REQUIRED, /* ... is an error */
	SANDBOX_OFF,
};

/*
 * Locks the process in; it has one thread. Parts that are not to be had are told on standard error, each by
 * its reason. 0; negative errno only with SANDBOX_REQUIRED.
 */
int sandbox_enter(enum sandbox_mode mode);

/* The list of system calls; negative errno. */
int sandbox_calls_enter(void);

#endif
