/* SPDX-License-Identifier: MIT */
/*
 * The engine's io_uring, and the machine's I/O poller (base/wait.h: who waits reaps).
 *
 * The ring is made disabled and then confined to the operations below and to files of its table, since a
 * seccomp filter does not see what goes through a ring. Any thread submits, under sq_lock, which also covers
 * the system call: the kernel has a lock of its own there. Requests are only put into the queue by
 * io_ring_submit; io_ring_commit makes the system call for all of them. Reaping takes no lock: base/wait.h
 * lets one thread in at a time.
 *
 * The thread sanitizer does not see that a completion follows its submission, as that goes through the
 * kernel; the counter `submitted` (release there, acquire here) says it.
 */
#include "drivers/io_ring_internal.h"

#include <linux/falloc.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/machine.h"

#define RING_ENTRIES     256
#define RING_COMPLETIONS 4096
#define REAP_BATCH       32

static const u8 ring_ops[] = {IORING_OP_NOP,    IORING_OP_READ,  IORING_OP_WRITE,    IORING_OP_READV,
			      IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};

/* Confines a ring that is still disabled, and lets it run. */
static int ring_confine(struct io_uring *uring)
{
	struct io_uring_restriction rules[ARRAY_SIZE(ring_ops) + 3] = {};
	unsigned n = 0;
	int err;

	for (; n < ARRAY_SIZE(ring_ops); n++) {
		rules[n].opcode = IORING_RESTRICTION_SQE_OP;
		rules[n].sqe_op = ring_ops[n];
	}
	rules[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[n++].sqe_flags = IOSQE_FIXED_FILE;
	rules[n].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[n++].register_op = IORING_REGISTER_FILES_UPDATE;
	rules[n].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[n++].register_op = IORING_REGISTER_ENABLE_RINGS;
	/* liburing 2.3 has functions for these two, which its shared object forgot to export. */
	err = io_uring_register(uring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules, n);
	return err ? err : io_uring_register(uring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* An entry to fill; NULL: the queue is full and the kernel takes nothing now. */
static struct io_uring_sqe *ring_entry(struct io_ring *ring) __must_hold(&ring->sq_lock)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe) {
		io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	if (sqe)
		WRITE_ONCE(ring->queued, ring->queued + 1);
	return sqe;
}

static void ring_fill(struct io_uring_sqe *sqe, struct io_req *req)
{
	int slot = req->file->slot, mode;

	switch (req->op) {
	case IO_READ:
		if (req->nr_iov == 1)
			io_uring_prep_read(sqe, slot, req->iov->iov_base, req->iov->iov_len, req->offset);
		else
			io_uring_prep_readv(sqe, slot, req->iov, req->nr_iov, req->offset);
		break;
	case IO_WRITE:
		if (req->nr_iov == 1)
			io_uring_prep_write(sqe, slot, req->iov->iov_base, req->iov->iov_len, req->offset);
		else
			io_uring_prep_writev(sqe, slot, req->iov, req->nr_iov, req->offset);
		sqe->rw_flags = req->dsync ? RWF_DSYNC : 0;
		break;
	case IO_FSYNC:
		io_uring_prep_fsync(sqe, slot, IORING_FSYNC_DATASYNC);
		break;
	case IO_PUNCH:
	case IO_ZERO:
		mode = req->op == IO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
		io_uring_prep_fallocate(sqe, slot, mode | FALLOC_FL_KEEP_SIZE, req->offset, req->bytes);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, req);
}

void io_ring_submit(struct io_ring *ring, struct io_req *req)
{
	struct io_uring_sqe *sqe;

	io_poller_inflight_inc(&ring->poller);
	spin_lock(&ring->sq_lock);
	sqe = ring_entry(ring);
	if (sqe) {
		ring_fill(sqe, req);
		if (machine_single(ring->poller.machine)) {
			req->reaped = false;
			list_add_tail(&req->entry, &ring->ordered);
			ring->nr_unreaped++;
		}
		__atomic_fetch_add(&ring->submitted, 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&ring->sq_lock);
	if (!sqe) {
		io_poller_inflight_dec(&ring->poller);
		queue_work(req->file->engine->wq, &req->work);
	}
}

/* 0 when the kernel has taken all; -EAGAIN, -EBUSY: it is short of memory or of room for results. */
static int ring_commit(struct io_ring *ring)
{
	int taken = 0;

	spin_lock(&ring->sq_lock);
	while (ring->queued && taken >= 0) {
		taken = io_uring_submit(&ring->uring);
		if (taken == -EINTR)
			taken = 0;
		else if (taken > 0)
			WRITE_ONCE(ring->queued, io_uring_sq_ready(&ring->uring));
		else if (taken == 0)
			WRITE_ONCE(ring->queued, 0);
	}
	spin_unlock(&ring->sq_lock);
	return min(taken, 0);
}

void io_ring_commit(struct io_ring *ring)
{
	if (READ_ONCE(ring->queued) && ring_commit(ring))
		queue_work(ring->poller.machine->io->wq, &ring->commit_work);
}

static void ring_commit_work(struct work_struct *work)
{
	struct io_ring *ring = container_of(work, struct io_ring, commit_work);

	while (ring_commit(ring))
		sleep_ns(NSEC_PER_MSEC);
}

/* One result, of a request that was in flight. */
static void ring_end(struct io_ring *ring, struct io_req *req, s64 result)
{
	if (io_req_again(req, result))
		queue_work(req->file->engine->wq, &req->work);
	else
		io_req_end(req, result);
	io_poller_inflight_dec(&ring->poller);
}

/* Takes what results there are. Returns their number; with threads=0 they are only noted. */
static int ring_take(struct io_ring *ring)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	struct {
		struct io_req *req;
		int result;
	} ended[REAP_BATCH];
	unsigned n = io_uring_peek_batch_cqe(&ring->uring, cqes, REAP_BATCH);
	int nr_ended = 0;

	smp_load_acquire(&ring->submitted);
	for (unsigned i = 0; i < n; i++) {
		ended[i].req = io_uring_cqe_get_data(cqes[i]);
		ended[i].result = cqes[i]->res;
	}
	io_uring_cq_advance(&ring->uring, n);
	for (unsigned i = 0; i < n; i++) {
		struct io_req *req = ended[i].req;

		if (!req) /* a kick */
			continue;
		nr_ended++;
		if (machine_single(ring->poller.machine)) {
			req->reaped = true;
			req->result = ended[i].result;
			ring->nr_unreaped--;
		} else {
			ring_end(ring, req, ended[i].result);
		}
	}
	return nr_ended;
}

/* Waits until something is there to take; 0 or -EINTR. */
static int ring_wait(struct io_ring *ring)
{
	struct io_uring_cqe *cqe;

	if (READ_ONCE(ring->queued) && ring_commit(ring)) {
		struct timespec ms = {.tv_nsec = NSEC_PER_MSEC};

		nanosleep(&ms, NULL);
		return 0;
	}
	return io_uring_wait_cqe(&ring->uring, &cqe);
}

/* threads=0: only where nothing else can run, and then all that is in flight, in order: so that runs repeat.
 */
static int ring_reap_single(struct io_ring *ring)
{
	LIST_HEAD(batch);
	struct io_req *req;
	int n = 0, err;

	while (ring->nr_unreaped) {
		err = ring_wait(ring);
		if (err && err != -EINTR)
			return err;
		ring_take(ring);
	}
	list_splice_init(&ring->ordered, &batch);
	while (!list_empty(&batch)) {
		req = list_first_entry(&batch, struct io_req, entry);
		list_del_init(&req->entry);
		ring_end(ring, req, req->result);
		n++;
	}
	return n;
}

static int ring_reap(struct io_poller *poller, bool may_block)
{
	struct io_ring *ring = container_of(poller, struct io_ring, poller);
	int n, err;

	if (machine_single(poller->machine))
		return may_block && !xchg(&ring->kicked, 0u) ? ring_reap_single(ring) : 0;
	n = ring_take(ring);
	if (n || !may_block || xchg(&ring->kicked, 0u))
		return n;
	err = ring_wait(ring);
	if (err && err != -EINTR)
		return err;
	n = ring_take(ring);
	if (!n)
		xchg(&ring->kicked, 0u);
	return n;
}

/* A reaper that blocks is woken by an entry that does nothing. */
static void ring_kick(struct io_poller *poller)
{
	struct io_ring *ring = container_of(poller, struct io_ring, poller);
	struct io_uring_sqe *sqe;

	if (xchg(&ring->kicked, 1u) || machine_single(poller->machine))
		return;
	spin_lock(&ring->sq_lock);
	sqe = ring_entry(ring);
	if (sqe) {
		io_uring_prep_nop(sqe);
		sqe->flags |= IOSQE_FIXED_FILE;
		io_uring_sqe_set_data(sqe, NULL);
	}
	spin_unlock(&ring->sq_lock);
	io_ring_commit(ring);
}

int io_ring_create(struct shale *machine, struct io_ring **out)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = RING_COMPLETIONS,
	};
	struct io_ring *ring = kzalloc(machine, sizeof(*ring));
	int err;

	if (!ring)
		return -ENOMEM;
	err = io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &params);
	if (err)
		goto free_ring;
	err = io_uring_register_files_sparse(&ring->uring, RING_FILES);
	if (!err)
		err = ring_confine(&ring->uring);
	if (err)
		goto exit_ring;
	spin_lock_init(&ring->sq_lock);
	INIT_LIST_HEAD(&ring->ordered);
	INIT_WORK(&ring->commit_work, ring_commit_work);
	ring->poller.reap = ring_reap;
	ring->poller.kick = ring_kick;
	err = io_poller_register(machine, &ring->poller);
	if (err)
		goto exit_ring;
	*out = ring;
	return 0;

exit_ring:
	io_uring_queue_exit(&ring->uring);
free_ring:
	kfree(ring);
	pr_info(machine, "io_uring is not to be had here (%s): host files are read and written by calls",
		strerror(-err));
	return err;
}

void io_ring_destroy(struct io_ring *ring)
{
	io_poller_unregister(&ring->poller);
	io_uring_queue_exit(&ring->uring);
	kfree(ring);
}

int io_ring_add_file(struct io_ring *ring, int fd)
{
	for (int slot = 0; slot < RING_FILES; slot++) {
		int n;

		if (ring->slot_used[slot])
			continue;
		n = io_uring_register_files_update(&ring->uring, slot, &fd, 1);
		if (n != 1)
			return n < 0 ? n : -EIO;
		ring->slot_used[slot] = true;
		return slot;
	}
	return -ENFILE;
}

void io_ring_remove_file(struct io_ring *ring, int slot)
{
	int none = -1;

	io_uring_register_files_update(&ring->uring, slot, &none, 1);
	ring->slot_used[slot] = false;
}
