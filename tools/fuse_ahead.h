/* SPDX-License-Identifier: MIT */
/*
 * Small files that are read one after the other in the order in which their directory was listed (tar, cp -r,
 * grep -r) come before they are asked for: a thread of its own puts the next ones into the kernel's cache, so
 * that reading them costs no round trip. The kernel does not ask for what it has; so from time to time a file
 * is asked for that has not been sent yet, and then the next window is longer.
 *
 * What was listed is a ring of nodes under one lock, as is the window. Only the sending thread waits for
 * pages that a request may hold, never a worker: so a request that holds them is answered.
 */
#ifndef SHALE_TOOL_FUSE_AHEAD_H
#define SHALE_TOOL_FUSE_AHEAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define AHEAD_LISTED (1u << 14) /* nodes that are remembered */

struct fuse_ahead {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t most_bytes; /* of a window; 0: nothing is sent. Constant */
	uint64_t node[AHEAD_LISTED];
	uint32_t bytes[AHEAD_LISTED];
	/* Counts of nodes since the beginning. */
	uint64_t end;        /* listed */
	uint64_t at;         /* behind the last that was read in order */
	uint64_t sent, goal; /* behind the last that was sent, and that is to be */
	unsigned streak;     /* how many were read in order */
	uint64_t window;     /* bytes */
	bool ending;
};

void fuse_ahead_init(struct fuse_ahead *ahead, uint64_t most_bytes);
/* The kernel was told of the node. */
void fuse_ahead_listed(struct fuse_ahead *ahead, uint64_t node, const struct stat *st);
/* The kernel has read the node's beginning. */
void fuse_ahead_read(struct fuse_ahead *ahead, uint64_t node);
/* The thread: sends until the end. fuse_self is set. */
void fuse_ahead_run(struct fuse_ahead *ahead);
void fuse_ahead_end(struct fuse_ahead *ahead);

#endif
