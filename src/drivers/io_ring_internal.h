/* SPDX-License-Identifier: MIT */
/*
 * The engine's ring, for io_ring.c and for tests that look inside. The engine owns it.
 */
#ifndef SHALE_DRIVERS_IO_RING_INTERNAL_H
#define SHALE_DRIVERS_IO_RING_INTERNAL_H

#include "base/wait.h"
#include "drivers/io_engine_internal.h"

#include <liburing.h> /* last: it brings <stdatomic.h>, whose macros would spoil base/atomic.h */

#define RING_FILES 256

struct io_ring {
	struct io_poller poller; /* first */
	struct io_uring uring;
	spinlock_t sq_lock;
	unsigned queued;            /* entries that no system call has taken yet; written under sq_lock */
	u64 submitted;              /* atomic; see above */
	u32 kicked;                 /* atomic: the next reap that blocks returns at once */
	struct list_head ordered;   /* threads=0: in flight, in order of submission */
	unsigned nr_unreaped;       /* threads=0: of these, without a result */
	bool slot_used[RING_FILES]; /* under the engine's mutex */
	struct work_struct commit_work;
};

#endif
