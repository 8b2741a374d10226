/* SPDX-License-Identifier: MIT */
/*
 * The life of a request between a disk and the host, whichever way it goes; io_engine_internal.h has the
 *idea.
 *
 *	io_submit -> ring | calls -> io_req_again: no -> io_req_end -> done
 *	                     ^            | yes
 *	                     +-- work ----+  short, cancelled, interrupted, or refused for its alignment
 *
 * The engine hangs on machine->io; its mutex is taken only where files come and go.
 */
#include "drivers/io_engine_internal.h"

#include "base/alloc.h"
#include "base/machine.h"

/* How many calls block at a time. */
#define IO_POOL_THREADS 16

int io_engine_create(struct shale *machine)
{
	struct io_engine *engine = kzalloc(machine, sizeof(*engine));
	int err;

	if (!engine)
		return -ENOMEM;
	engine->machine = machine;
	mutex_init(&engine->lock);
	err = alloc_workqueue(machine, "io", IO_POOL_THREADS, &engine->wq);
	if (err) {
		kfree(engine);
		return err;
	}
	machine->io = engine;
	return 0;
}

void io_engine_destroy(struct shale *machine)
{
	struct io_engine *engine = machine->io;

	machine->io = NULL;
	destroy_workqueue(engine->wq);
	if (engine->ring)
		io_ring_destroy(engine->ring);
	kfree(engine);
}

/* A slot in the table of the ring, which is made for the first file; or negative errno. */
static int io_engine_slot(struct io_engine *engine, int fd)
{
	int slot;

	mutex_lock(&engine->lock);
	if (!engine->ring && !engine->ring_refused) {
		int err = io_ring_create(engine->machine, &engine->ring);

		engine->ring_refused = err && err != -ENOMEM; /* memory may be there for the next file */
	}
	slot = engine->ring ? io_ring_add_file(engine->ring, fd) : -EOPNOTSUPP;
	mutex_unlock(&engine->lock);
	return slot;
}

int io_file_register(struct shale *machine, int fd, enum io_way way, struct io_file *file)
{
	*file = (struct io_file){.engine = machine->io, .fd = fd, .slot = -1};
	if (way == IO_BY_CALLS)
		return 0;
	file->slot = io_engine_slot(machine->io, fd);
	if (file->slot >= 0 || way == IO_AUTO)
		return 0;
	file->engine = NULL;
	return -EOPNOTSUPP;
}

void io_file_unregister(struct io_file *file)
{
	if (file->engine && file->slot >= 0) {
		mutex_lock(&file->engine->lock);
		io_ring_remove_file(file->engine->ring, file->slot);
		mutex_unlock(&file->engine->lock);
	}
	file->engine = NULL;
}

static bool io_req_on_ring(const struct io_req *req)
{
	return req->file->slot >= 0 && !req->by_calls;
}

/* The work item of a request: it blocks in calls, or is sent to the ring again from a thread that stays. */
static void io_req_work(struct work_struct *work)
{
	struct io_req *req = container_of(work, struct io_req, work);
	struct io_engine *engine = req->file->engine;

	if (!io_req_on_ring(req)) {
		io_req_call(req);
		return;
	}
	io_ring_submit(engine->ring, req);
	io_ring_commit(engine->ring);
}

void io_submit(struct io_req *req)
{
	struct io_engine *engine = req->file->engine;

	req->by_calls = req->truncated = false;
	if (!req->work.func)
		INIT_WORK(&req->work, io_req_work);
	if (io_req_on_ring(req))
		io_ring_submit(engine->ring, req);
	else if (machine_single(engine->machine))
		io_req_call(req);
	else
		queue_work(engine->wq, &req->work);
}

void io_commit(struct io_engine *engine)
{
	if (engine->ring)
		io_ring_commit(engine->ring);
}

/* `bytes` of it are done. */
static void io_req_advance(struct io_req *req, u64 bytes)
{
	req->offset += bytes;
	req->bytes -= bytes;
	while (bytes && req->nr_iov) {
		size_t n = min_t(u64, bytes, req->iov->iov_len);

		req->iov->iov_base = (char *)req->iov->iov_base + n;
		req->iov->iov_len -= n;
		bytes -= n;
		if (!req->iov->iov_len) {
			req->iov++;
			req->nr_iov--;
		}
	}
}

/*
 * The host does not do this one here: is there another way? Calls know more ways to zero. And EFAULT is what
 * a ring says also when the thread that submitted has exited at a certain moment; a call tells whether the
 * memory is really bad.
 */
static bool io_req_other_way(struct io_req *req, s64 error)
{
	if (!req->by_calls && ((error == -EOPNOTSUPP && req->op == IO_ZERO) || error == -EFAULT)) {
		req->by_calls = true;
		return true;
	}
	if (error != -EINVAL || !req->fallback)
		return false;
	req->file = req->fallback;
	req->fallback = NULL;
	return true;
}

bool io_req_again(struct io_req *req, s64 result)
{
	bool data = req->op == IO_READ || req->op == IO_WRITE, again;

	if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
		again = true;
	} else if (result < 0) {
		again = io_req_other_way(req, result);
	} else {
		again = data && result > 0 && result < (s64)req->bytes;
		if (again) {
			io_req_advance(req, result);
			io_req_other_way(req, -EINVAL); /* the rest need not be aligned any more */
		}
	}
	if (again)
		__atomic_fetch_add(&req->file->engine->nr_again, 1, __ATOMIC_RELAXED);
	return again;
}

void io_req_end(struct io_req *req, s64 result)
{
	if (result == 0 && req->bytes && (req->op == IO_READ || req->op == IO_WRITE)) {
		req->truncated = true;
		result = -EIO;
	}
	req->done(req, min_t(s64, result, 0));
}
