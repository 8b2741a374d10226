/* SPDX-License-Identifier: MIT */
/*
 * The daemon's threads. A worker reads a request from its own clone of /dev/fuse, answers it and reads the
 * next; libfuse's part is the protocol only, since its own loop opens clones when it starts threads, which
 * the sandbox forbids. The first thread answers the first request (INIT), starts the workers and waits: for
 * their end, when the file system is unmounted, or for SIGTERM, upon which it wakes them until they have
 * gone.
 */
#include "fuse.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct fuse_worker *fuse_self;

/* SIGTERM ends the daemon; SIGUSR2 only wakes a worker that waits for a request. */
#define END_SIGNAL  SIGTERM
#define WAKE_SIGNAL SIGUSR2

static bool ending; /* atomic */

static void woken(int signal) {}

static ssize_t self_read(int fd, void *buf, size_t bytes, void *userdata)
{
	return read(fuse_self->fd, buf, bytes);
}

static ssize_t self_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	return writev(fuse_self->fd, iov, count);
}

static const struct fuse_custom_io own_io = {.read = self_read, .writev = self_writev};

static void count_request(struct fuse_counters *counters, const struct fuse_in_header *in)
{
	if (in->opcode < FUSE_COUNTED_OPS)
		__atomic_fetch_add(&counters->op[in->opcode], 1, __ATOMIC_RELAXED);
}

/* One request; false: there will be no more. */
static bool serve_one(struct fuse_worker *w)
{
	struct fuse_buf buf = {.mem = w->request};
	ssize_t n;

	n = read(w->fd, w->request, FUSE_REPLY_BYTES + 4096);

	/* ENOENT: the request was taken back. */
	if (n < 0)
		return errno == EINTR || errno == EAGAIN || errno == ENOENT;
	if ((size_t)n < sizeof(struct fuse_in_header))
		return false;
	buf.size = (size_t)n;
	count_request(w->front->counters, (const void *)w->request);
	fuse_session_process_buf(w->front->session, &buf);
	return true;
}

static void *serve(void *arg)
{
	struct fuse_worker *w = arg;

	fuse_self = w;
	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED) && serve_one(w))
		;
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	pthread_kill(w->first, END_SIGNAL); /* one that has ended ends all */
	return NULL;
}

static int worker_init(struct fuse_worker *w, struct fuse_front *front, int fd)
{
	*w = (struct fuse_worker){.front = front, .fd = fd, .first = pthread_self()};
	/* Touched only as far as requests and replies are long. */
	w->request = malloc(FUSE_REPLY_BYTES + 4096);
	w->reply = malloc(FUSE_REPLY_BYTES);
	if (!w->request || !w->reply)
		return -ENOMEM;
	return shale_task_fork(front->task, 0, &w->task);
}

static void worker_end(struct fuse_worker *w)
{
	shale_task_free(w->task);
	free(w->request);
	free(w->reply);
}

static void signals_init(sigset_t *waited)
{
	struct sigaction wake = {.sa_handler = woken};

	sigemptyset(waited);
	sigaddset(waited, END_SIGNAL);
	pthread_sigmask(SIG_BLOCK, waited, NULL);
	sigaction(WAKE_SIGNAL, &wake, NULL);
}

/* Until it has ended: a signal may come just before it begins to wait. */
static void join_worker(const struct fuse_worker *w, pthread_t thread)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	while (!__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE)) {
		pthread_kill(thread, WAKE_SIGNAL);
		nanosleep(&pause, NULL);
	}
	pthread_join(thread, NULL);
}

static void *send_ahead(void *arg)
{
	fuse_self = arg;
	fuse_ahead_run(&fuse_self->front->ahead);
	return NULL;
}

/* The last of the workers sends ahead; without it, it works as well. */
static int run_workers(struct fuse_worker *workers, unsigned n, const sigset_t *waited)
{
	pthread_t *threads = tool_alloc(n * sizeof(*threads)), sender;
	struct fuse_ahead *ahead = &workers->front->ahead;
	bool sending = n > 1 && !pthread_create(&sender, NULL, send_ahead, &workers[n - 1]);
	unsigned started = 0;
	int signal, err = 0;

	while (started < n - sending && !err) {
		err = -pthread_create(&threads[started], NULL, serve, &workers[started]);
		started += !err;
	}
	/* Fewer than wished are slower, none is no mount. */
	if (started) {
		err = 0;
		sigwait(waited, &signal);
	}
	/* First, since it may be waiting for a page that a request holds. */
	fuse_ahead_end(ahead);
	if (sending)
		pthread_join(sender, NULL);
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < started; i++)
		join_worker(&workers[i], threads[i]);
	free(threads);
	return err;
}

int fuse_serve(struct fuse_front *front, const int *fds, unsigned n, void (*answering)(void *), void *arg)
{
	struct fuse_worker *workers = tool_alloc(n * sizeof(*workers));
	sigset_t waited;
	int err = 0;

	signals_init(&waited);
	fuse_ahead_init(&front->ahead, front->opens_fail ? 0 : front->wish->ahead);
	for (unsigned i = 0; i < n && !err; i++)
		err = worker_init(&workers[i], front, fds[i]);
	if (!err) {
		fuse_self = &workers[0];
		/* INIT; or the mount is gone already. */
		if (serve_one(&workers[0])) {
			answering(arg);
			err = run_workers(workers, n, &waited);
		}
	}
	for (unsigned i = 0; i < n; i++)
		worker_end(&workers[i]);
	free(workers);
	return err;
}

struct fuse_session *fuse_front_session(struct fuse_front *front, int fd)
{
	char name[] = "shale", *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), front);

	if (session && fuse_session_custom_io(session, &own_io, fd)) {
		fuse_session_destroy(session);
		return NULL;
	}
	return session;
}
