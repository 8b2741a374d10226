/* SPDX-License-Identifier: MIT */
/*
 * I/O on files of the host. One engine a machine (machine->io), with two ways to do the same work: a ring
 * (io_ring.c: io_uring, batches, reaped by whoever waits) and a pool of threads that make plain calls
 * (io_calls.c). A file that could be put into the ring's table goes by the ring, any other by calls; a
 * request may change from one to the other.
 *
 * A request belongs to the engine from io_submit until it calls req->done, in completion context. What the
 * host does not finish at once never shows: results that are short, and ECANCELED (the thread that submitted
 * has exited), EINTR and EAGAIN, send the rest again from a work item of the machine.
 *
 * In a threads=0 machine no thread is started: calls are made at once, inside io_submit; the ring is reaped
 * where somebody waits, always until nothing is in flight, and completes in order of submission, so that runs
 * repeat.
 */
#ifndef SHALE_DRIVERS_IO_ENGINE_INTERNAL_H
#define SHALE_DRIVERS_IO_ENGINE_INTERNAL_H

#include <sys/uio.h>

#include "base/mutex.h"
#include "base/workqueue.h"

struct io_ring;

struct io_engine {
	struct shale *machine;
	struct mutex lock;           /* guards the making of the ring and its table of files */
	struct io_ring *ring;        /* NULL: none yet, or refused by the host */
	bool ring_refused;           /* it was tried */
	struct workqueue_struct *wq; /* the pool of the calls; requests that are sent again */
	u64 nr_again;                /* atomic: how often one was */
};

struct io_file {
	struct io_engine *engine;
	int fd;   /* stays the caller's */
	int slot; /* in the ring's table; negative: by calls */
};

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_FSYNC, /* fdatasync */
	IO_PUNCH, /* a hole */
	IO_ZERO,  /* zeroes, by whatever the host can */
};

struct io_req {
	struct io_file *file;     /* where it goes */
	struct io_file *fallback; /* where the rest goes if that refuses its alignment; may be NULL */
	enum io_op op;
	bool dsync;        /* writes: on stable storage before it ends */
	u64 offset, bytes; /* of what remains; 0 bytes for IO_FSYNC */
	struct iovec *iov; /* of what remains; changed on the way */
	unsigned nr_iov;
	void (*done)(struct io_req *req, int result); /* 0 or negative errno; must not sleep */

	/* Of the engine. The caller zeroes these when the memory is new and then leaves them alone. */
	bool by_calls;  /* the rest goes by calls */
	bool truncated; /* the file ended inside the request: result is -EIO. For messages. */
	bool reaped;    /* threads=0: its result has come */
	int result;
	struct list_head entry; /* threads=0: on the ring's list, in order of submission */
	struct work_struct work;
};

int io_engine_create(struct shale *machine) __must_check;
void io_engine_destroy(struct shale *machine);

/* How a file is to be worked on; IO_AUTO: by the ring if the host lets us. */
enum io_way { IO_AUTO, IO_BY_RING, IO_BY_CALLS };
/* -EOPNOTSUPP: IO_BY_RING, and there is no ring or no room in it. Sleeps. */
int io_file_register(struct shale *machine, int fd, enum io_way way, struct io_file *file) __must_check;
/* No request on it is in flight. A file that was never registered (engine NULL) is left alone. */
void io_file_unregister(struct io_file *file);

/* Gives a request to the engine; io_commit has to follow, once for any number of them. Never sleeps, never
 * fails. */
void io_submit(struct io_req *req);
void io_commit(struct io_engine *engine);

/* Between the files of the engine. A result came, bytes or negative errno: has it only put off the request
 * (or a rest)? Then it was made ready to go again. */
bool io_req_again(struct io_req *req, s64 result);
/* If not: calls done. */
void io_req_end(struct io_req *req, s64 result);
/* Does what remains by calls, to its end. */
void io_req_call(struct io_req *req);

int io_ring_create(struct shale *machine, struct io_ring **out) __must_check;
void io_ring_destroy(struct io_ring *ring);
int io_ring_add_file(struct io_ring *ring, int fd) __must_check; /* the slot, or -ENFILE */
void io_ring_remove_file(struct io_ring *ring, int slot);
void io_ring_submit(struct io_ring *ring, struct io_req *req);
void io_ring_commit(struct io_ring *ring);

#endif
