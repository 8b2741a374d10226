/* SPDX-License-Identifier: MIT */
/*
 * Proves of D6 (drivers): the I/O engine under file disks, by io_uring and by calls: threads that submit and
 * exit lose nothing, short results go on, files that shrink are an error, the ring does nothing but what it
 * is for.
 */
#include "base_machine.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/io_ring_internal.h"

#define NR_REQS  64
#define REQ_SIZE 16384

struct one {
	struct io_req io;
	struct iovec iov[2];
	struct completion done;
	int result;
	bool truncated;
	u8 data[REQ_SIZE];
};

struct setup {
	struct test_machine base;
	struct shale *machine;
	char path[64];
	int fd;
	struct io_file file;
	struct one *reqs;
};

static void one_done(struct io_req *io, int result)
{
	struct one *one = container_of(io, struct one, io);

	one->result = result;
	one->truncated = io->truncated;
	complete(&one->done);
}

static void one_prepare(struct setup *s, struct one *one, enum io_op op, u64 offset, u32 bytes)
{
	one->iov[0] = (struct iovec){one->data, bytes / 2};
	one->iov[1] = (struct iovec){one->data + bytes / 2, bytes - bytes / 2};
	one->io.file = &s->file;
	one->io.op = op;
	one->io.offset = offset;
	one->io.bytes = bytes;
	one->io.iov = one->iov;
	one->io.nr_iov = 2;
	one->io.done = one_done;
	one->result = 1;
	init_completion(&one->done);
}

static int one_run(struct setup *s, struct one *one)
{
	io_submit(&one->io);
	io_commit(s->machine->io);
	wait_for_completion_io(&one->done);
	return one->result;
}

static void setup_start(struct setup *s, unsigned threads, enum io_way way)
{
	s->machine = test_machine_start(&s->base, threads, 1);
	assert_int_equal(io_engine_create(s->machine), 0);
	strcpy(s->path, "/var/tmp/shale-io-XXXXXX");
	s->fd = mkstemp(s->path);
	assert_true(s->fd >= 0);
	assert_int_equal(ftruncate(s->fd, NR_REQS * REQ_SIZE), 0);
	assert_int_equal(io_file_register(s->machine, s->fd, way, &s->file), 0);
	assert_int_equal(s->file.slot >= 0, way == IO_BY_RING);
	s->reqs = calloc(NR_REQS, sizeof(*s->reqs));
	assert_non_null(s->reqs);
}

static void setup_stop(struct setup *s)
{
	io_file_unregister(&s->file);
	io_engine_destroy(s->machine);
	test_machine_stop(&s->base);
	close(s->fd);
	unlink(s->path);
	free(s->reqs);
}

static void round_trip(unsigned threads, enum io_way way)
{
	struct setup s;

	setup_start(&s, threads, way);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < NR_REQS; i++) {
			one_prepare(&s, &s.reqs[i], round ? IO_READ : IO_WRITE, (u64)i * REQ_SIZE, REQ_SIZE);
			memset(s.reqs[i].data, round ? 0 : i + 1, REQ_SIZE);
			s.reqs[i].io.dsync = i == 3;
			io_submit(&s.reqs[i].io);
		}
		io_commit(s.machine->io);
		for (unsigned i = 0; i < NR_REQS; i++) {
			wait_for_completion_io(&s.reqs[i].done);
			assert_int_equal(s.reqs[i].result, 0);
			for (unsigned j = 0; j < REQ_SIZE; j++)
				assert_int_equal(s.reqs[i].data[j], i + 1);
		}
	}
	one_prepare(&s, &s.reqs[0], IO_FSYNC, 0, 0);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	one_prepare(&s, &s.reqs[0], IO_PUNCH, REQ_SIZE, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	one_prepare(&s, &s.reqs[0], IO_ZERO, 3 * REQ_SIZE + 512, 1024);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	one_prepare(&s, &s.reqs[0], IO_READ, REQ_SIZE, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	for (unsigned j = 0; j < REQ_SIZE; j++)
		assert_int_equal(s.reqs[0].data[j], 0);
	one_prepare(&s, &s.reqs[0], IO_READ, 3 * REQ_SIZE, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	for (unsigned j = 0; j < REQ_SIZE; j++)
		assert_int_equal(s.reqs[0].data[j], j >= 512 && j < 1536 ? 0 : 4);
	setup_stop(&s);
}

static void test_io_round_trip_by_ring(void **state)
{
	round_trip(2, IO_BY_RING);
}
static void test_io_round_trip_by_ring_single(void **state)
{
	round_trip(0, IO_BY_RING);
}
static void test_io_round_trip_by_calls(void **state)
{
	round_trip(2, IO_BY_CALLS);
}
static void test_io_round_trip_by_calls_single(void **state)
{
	round_trip(0, IO_BY_CALLS);
}

static void *submit_and_exit(void *arg)
{
	struct setup *s = arg;
	struct current_saved saved;

	current_enter(s->machine, NULL, &saved);
	for (unsigned i = 0; i < NR_REQS; i++)
		io_submit(&s->reqs[i].io);
	io_commit(s->machine->io);
	current_leave(&saved);
	return NULL;
}

static void in_thread_that_exits(struct setup *s)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, submit_and_exit, s), 0);
	pthread_join(thread, NULL);
}

static void submitter_exits(enum io_way way)
{
	struct setup s;

	setup_start(&s, 2, way);
	for (unsigned i = 0; i < NR_REQS; i++) {
		memset(s.reqs[i].data, i + 1, REQ_SIZE);
		assert_int_equal(pwrite(s.fd, s.reqs[i].data, REQ_SIZE, i * REQ_SIZE), REQ_SIZE);
		memset(s.reqs[i].data, 0, REQ_SIZE);
		one_prepare(&s, &s.reqs[i], IO_READ, (u64)i * REQ_SIZE, REQ_SIZE);
	}
	fsync(s.fd);
	posix_fadvise(s.fd, 0, 0, POSIX_FADV_DONTNEED);
	in_thread_that_exits(&s);
	for (unsigned i = 0; i < NR_REQS; i++) {
		wait_for_completion_io(&s.reqs[i].done);
		assert_int_equal(s.reqs[i].result, 0);
		assert_int_equal(s.reqs[i].data[0], i + 1);
		assert_int_equal(s.reqs[i].data[REQ_SIZE - 1], i + 1);
	}
	setup_stop(&s);
}

static void test_io_survives_exit_of_submitter(void **state)
{
	submitter_exits(IO_BY_RING);
	submitter_exits(IO_BY_CALLS);
}

/*
 * Reads of an empty pipe are still waiting when their thread exits. When bytes come there is no thread any
 * more in which the kernel could go on, and it cancels them.
 */
static void test_io_cancelled_requests_go_again(void **state)
{
	struct setup s;
	int pipes[2];
	u8 byte = 7;

	setup_start(&s, 2, IO_BY_RING);
	io_file_unregister(&s.file);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(io_file_register(s.machine, pipes[0], IO_BY_RING, &s.file), 0);
	for (unsigned i = 0; i < NR_REQS; i++)
		one_prepare(&s, &s.reqs[i], IO_READ, 0, 1);
	in_thread_that_exits(&s);
	for (unsigned i = 0; i < NR_REQS; i++)
		assert_int_equal(write(pipes[1], &byte, 1), 1);
	for (unsigned i = 0; i < NR_REQS; i++) {
		wait_for_completion_io(&s.reqs[i].done);
		assert_int_equal(s.reqs[i].result, 0);
		assert_int_equal(s.reqs[i].data[0], 7);
	}
	assert_true(__atomic_load_n(&s.machine->io->nr_again, __ATOMIC_RELAXED) >
		    0); /* else nothing was shown */
	close(pipes[0]);
	close(pipes[1]);
	setup_stop(&s);
}

/* A pipe gives what there is: the rest is read on until the request is whole. */
static void test_io_short_results_go_on(void **state)
{
	struct setup s;
	int pipes[2];

	setup_start(&s, 2, IO_BY_RING);
	io_file_unregister(&s.file);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(io_file_register(s.machine, pipes[0], IO_BY_RING, &s.file), 0);
	one_prepare(&s, &s.reqs[0], IO_READ, 0, 1000);
	io_submit(&s.reqs[0].io);
	io_commit(s.machine->io);
	for (unsigned i = 0; i < 10; i++) {
		u8 piece[100];

		memset(piece, i + 1, sizeof(piece));
		assert_int_equal(write(pipes[1], piece, sizeof(piece)), sizeof(piece));
		sleep_ns(NSEC_PER_MSEC);
	}
	wait_for_completion_io(&s.reqs[0].done);
	assert_int_equal(s.reqs[0].result, 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(s.reqs[0].data[i], i / 100 + 1);
	close(pipes[0]);
	close(pipes[1]);
	setup_stop(&s);
}

static void file_shrinks(unsigned threads, enum io_way way)
{
	struct setup s;

	setup_start(&s, threads, way);
	assert_int_equal(ftruncate(s.fd, 3 * REQ_SIZE / 2), 0);
	one_prepare(&s, &s.reqs[0], IO_READ, 0, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	one_prepare(&s, &s.reqs[0], IO_READ, REQ_SIZE, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), -EIO);
	assert_true(s.reqs[0].truncated);
	one_prepare(&s, &s.reqs[0], IO_READ, 2 * REQ_SIZE, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), -EIO);
	setup_stop(&s);
}

static void test_io_shrunken_file_is_an_error(void **state)
{
	file_shrinks(0, IO_BY_RING);
	file_shrinks(2, IO_BY_RING);
	file_shrinks(0, IO_BY_CALLS);
	file_shrinks(2, IO_BY_CALLS);
}

/* -EINVAL of a file that wants alignment sends the request to the other one. */
static void test_io_falls_back_when_not_aligned(void **state)
{
	struct setup s;
	struct io_file direct;
	int fd;

	setup_start(&s, 2, IO_BY_RING);
	memset(s.reqs[0].data, 9, REQ_SIZE);
	assert_int_equal(pwrite(s.fd, s.reqs[0].data, REQ_SIZE, 0), REQ_SIZE);
	fd = open(s.path, O_RDWR | O_DIRECT);
	if (fd < 0)
		skip();
	assert_int_equal(io_file_register(s.machine, fd, IO_BY_RING, &direct), 0);
	one_prepare(&s, &s.reqs[0], IO_READ, 1, 1000);
	memset(s.reqs[0].data, 0, REQ_SIZE);
	s.reqs[0].io.file = &direct;
	s.reqs[0].io.fallback = &s.file;
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	assert_int_equal(s.reqs[0].data[999], 9);
	assert_int_equal(s.machine->io->nr_again, 1);
	io_file_unregister(&direct);
	close(fd);
	setup_stop(&s);
}

/* Opening a file, or using one that is not in the table, is refused by the kernel. */
static void test_ring_is_confined(void **state)
{
	struct setup s;
	struct io_uring *uring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	u8 byte;

	setup_start(&s, 2, IO_BY_RING);
	uring = &s.machine->io->ring->uring;
	sqe = io_uring_get_sqe(uring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(io_uring_submit(uring), 1);
	assert_int_equal(io_uring_wait_cqe(uring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(uring, cqe);
	sqe = io_uring_get_sqe(uring);
	io_uring_prep_read(sqe, s.fd, &byte, 1, 0);
	assert_int_equal(io_uring_submit(uring), 1);
	assert_int_equal(io_uring_wait_cqe(uring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(uring, cqe);
	setup_stop(&s);
}

/* In a process of its own, where a filter lets the kernel refuse io_uring with that error. */
static void without_ring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
	struct setup s;

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	setup_start(&s, 2, IO_AUTO);
	assert_null(s.machine->io->ring);
	one_prepare(&s, &s.reqs[0], IO_READ, 0, REQ_SIZE);
	assert_int_equal(one_run(&s, &s.reqs[0]), 0);
	io_file_unregister(&s.file);
	assert_int_equal(io_file_register(s.machine, s.fd, IO_BY_RING, &s.file), -EOPNOTSUPP);
	setup_stop(&s);
	_exit(0);
}

static void test_io_goes_by_calls_where_rings_are_refused(void **state)
{
	static const int errors[] = {EPERM, ENOSYS};

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		int status;

		if (fork() == 0)
			without_ring(errors[i]);
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_round_trip_by_ring),
		cmocka_unit_test(test_io_round_trip_by_ring_single),
		cmocka_unit_test(test_io_round_trip_by_calls),
		cmocka_unit_test(test_io_round_trip_by_calls_single),
		cmocka_unit_test(test_io_survives_exit_of_submitter),
		cmocka_unit_test(test_io_cancelled_requests_go_again),
		cmocka_unit_test(test_io_short_results_go_on),
		cmocka_unit_test(test_io_shrunken_file_is_an_error),
		cmocka_unit_test(test_io_falls_back_when_not_aligned),
		cmocka_unit_test(test_ring_is_confined),
		cmocka_unit_test(test_io_goes_by_calls_where_rings_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
