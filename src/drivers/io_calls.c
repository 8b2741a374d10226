/* SPDX-License-Identifier: MIT */
/*
 * Requests by plain calls, one after the other, in the thread that runs them: a worker of the engine's queue
 * or, with threads=0, whoever submits. Also the last resort of write-zeroes, where the host's file system has
 * no call for it.
 */
#include "drivers/io_engine_internal.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/machine.h"

#define ZEROES_BYTES SZ_64K

static s64 call_result(s64 ret)
{
	return ret < 0 ? -errno : ret;
}

/* Writes zeroes to all that remains, as plain data. 0 or negative errno. */
static s64 call_write_zeroes(struct io_req *req)
{
	static const char zeroes[ZEROES_BYTES];
	u64 done = 0;

	while (done < req->bytes) {
		struct iovec iov = {(void *)zeroes, min_t(u64, ZEROES_BYTES, req->bytes - done)};
		s64 n = call_result(
			pwritev2(req->file->fd, &iov, 1, req->offset + done, req->dsync ? RWF_DSYNC : 0));

		if (n < 0 && n != -EINTR && n != -EAGAIN)
			return n;
		if (n == 0)
			return -EIO;
		if (n > 0)
			done += n;
	}
	return 0;
}

static s64 call_fallocate(struct io_req *req, int mode)
{
	return call_result(fallocate(req->file->fd, mode | FALLOC_FL_KEEP_SIZE, req->offset, req->bytes));
}

static s64 call_zero(struct io_req *req)
{
	s64 result = call_fallocate(req, FALLOC_FL_ZERO_RANGE);

	if (result == -EOPNOTSUPP)
		result = call_fallocate(req, FALLOC_FL_PUNCH_HOLE);
	if (result == -EOPNOTSUPP)
		result = call_write_zeroes(req);
	return result;
}

static s64 call_once(struct io_req *req)
{
	switch (req->op) {
	case IO_READ:
		return call_result(preadv2(req->file->fd, req->iov, req->nr_iov, req->offset, 0));
	case IO_WRITE:
		return call_result(pwritev2(req->file->fd, req->iov, req->nr_iov, req->offset,
					    req->dsync ? RWF_DSYNC : 0));
	case IO_FSYNC:
		return call_result(fdatasync(req->file->fd));
	case IO_PUNCH:
		return call_fallocate(req, FALLOC_FL_PUNCH_HOLE);
	case IO_ZERO:
		return call_zero(req);
	}
	return -EOPNOTSUPP;
}

void io_req_call(struct io_req *req)
{
	struct shale *machine = req->file->engine->machine;
	s64 result;

	req->by_calls = true;
	/* A worker that blocks in the host does not count as running: others go on. */
	if (!machine_single(machine))
		worker_sleeping(machine);
	do
		result = call_once(req);
	while (io_req_again(req, result));
	if (!machine_single(machine))
		worker_waking(machine);
	io_req_end(req, result);
}
