/* SPDX-License-Identifier: MIT */
/* V11: locks that wait: who gets them when, circles of waiters, and what closing gives up (fcntl(2),
 * flock(2)). What does not wait is held against the kernel by tests/history. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include <shale/shale.h>

struct world {
	struct shale *machine;
	struct shale_task *task[2];
	int fd[2];
};

static int setup(void **state)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	static struct world w;

	options.threads = 4;
	assert_int_equal(shale_new(&options, &w.machine), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(shale_task_new(w.machine, NULL, &w.task[i]), 0);
		w.fd[i] = shale_open(w.task[i], "/file", O_RDWR | O_CREAT, 0644);
		assert_true(w.fd[i] >= 0);
	}
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 2; i++)
		shale_task_free(w->task[i]);
	return shale_free(w->machine);
}

static int lock_byte(struct world *w, unsigned i, int cmd, short type, off_t at)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return shale_fcntl(w->task[i], w->fd[i], cmd, (unsigned long)&l);
}

struct waiter {
	struct world *w;
	int cmd, result;
	unsigned who;
	off_t at;
	int done; /* atomic */
};

static void *wait_for_byte(void *arg)
{
	struct waiter *t = arg;

	if (t->cmd == LOCK_EX)
		t->result = shale_flock(t->w->task[t->who], t->w->fd[t->who], LOCK_EX);
	else
		t->result = lock_byte(t->w, t->who, t->cmd, F_WRLCK, t->at);
	if (t->result == -EDEADLK)
		lock_byte(t->w, t->who, F_SETLK, F_UNLCK, 0);
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void a_while(void)
{
	usleep(20000);
}

/* Waits while another holds it, and has it when that is given up by `give_up`. */
static void check_handover(struct world *w, int cmd, void (*take)(struct world *w),
			   void (*give_up)(struct world *w))
{
	struct waiter t = {.w = w, .cmd = cmd, .who = 1, .at = 5};
	pthread_t thread;

	take(w);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_byte, &t), 0);
	a_while();
	assert_int_equal(__atomic_load_n(&t.done, __ATOMIC_ACQUIRE), 0);
	give_up(w);
	pthread_join(thread, NULL);
	assert_int_equal(t.result, 0);
}

static void take_posix(struct world *w)
{
	assert_int_equal(lock_byte(w, 0, F_SETLK, F_RDLCK, 5), 0);
}
static void take_ofd(struct world *w)
{
	assert_int_equal(lock_byte(w, 0, F_OFD_SETLK, F_WRLCK, 5), 0);
}
static void take_flock(struct world *w)
{
	assert_int_equal(shale_flock(w->task[0], w->fd[0], LOCK_SH), 0);
}
static void unlock_posix(struct world *w)
{
	assert_int_equal(lock_byte(w, 0, F_SETLK, F_UNLCK, 5), 0);
}
static void unlock_flock(struct world *w)
{
	assert_int_equal(shale_flock(w->task[0], w->fd[0], LOCK_UN), 0);
}
static void close_fd(struct world *w)
{
	assert_int_equal(shale_close(w->task[0], w->fd[0]), 0);
}
/* Any descriptor of the file, opened by the same table. */
static void close_another(struct world *w)
{
	int fd = shale_open(w->task[0], "/file", O_RDONLY, 0);

	assert_int_equal(shale_close(w->task[0], fd), 0);
}
static void free_task(struct world *w)
{
	shale_task_free(w->task[0]);
	w->task[0] = NULL;
}

static void test_posix_unlock_wakes(void **state)
{
	check_handover(*state, F_SETLKW, take_posix, unlock_posix);
}
static void test_posix_goes_with_any_close(void **state)
{
	check_handover(*state, F_SETLKW, take_posix, close_another);
}
static void test_posix_goes_with_the_task(void **state)
{
	check_handover(*state, F_SETLKW, take_posix, free_task);
}
static void test_ofd_goes_with_the_file(void **state)
{
	check_handover(*state, F_OFD_SETLKW, take_ofd, close_fd);
}
static void test_flock_unlock_wakes(void **state)
{
	check_handover(*state, LOCK_EX, take_flock, unlock_flock);
}
static void test_flock_goes_with_the_file(void **state)
{
	check_handover(*state, LOCK_EX, take_flock, close_fd);
}

static void test_ofd_stays_at_another_close(void **state)
{
	struct world *w = *state;

	take_ofd(w);
	close_another(w);
	assert_int_equal(lock_byte(w, 1, F_OFD_SETLK, F_WRLCK, 5), -EAGAIN);
}

/* A copy of the descriptor keeps what belongs to the open file. */
static void test_flock_stays_while_a_copy_is_open(void **state)
{
	struct world *w = *state;

	take_flock(w);
	assert_true(shale_dup(w->task[0], w->fd[0]) >= 0);
	close_fd(w);
	assert_int_equal(shale_flock(w->task[1], w->fd[1], LOCK_EX | LOCK_NB), -EWOULDBLOCK);
}

/* Each holds what the other wants: exactly one of them is told. */
static void test_circle_is_found(void **state)
{
	struct world *w = *state;
	struct waiter t = {.w = w, .cmd = F_SETLKW, .who = 0, .at = 1};
	pthread_t thread;
	int err;

	assert_int_equal(lock_byte(w, 0, F_SETLK, F_WRLCK, 0), 0);
	assert_int_equal(lock_byte(w, 1, F_SETLK, F_WRLCK, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_byte, &t), 0);
	a_while();
	err = lock_byte(w, 1, F_SETLKW, F_WRLCK, 0);
	if (err)
		assert_int_equal(lock_byte(w, 1, F_SETLK, F_UNLCK, 1), 0);
	pthread_join(thread, NULL);
	assert_true((err == -EDEADLK && t.result == 0) || (err == 0 && t.result == -EDEADLK));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_posix_unlock_wakes),
		TEST(test_posix_goes_with_any_close),
		TEST(test_posix_goes_with_the_task),
		TEST(test_ofd_goes_with_the_file),
		TEST(test_flock_unlock_wakes),
		TEST(test_flock_goes_with_the_file),
		TEST(test_ofd_stays_at_another_close),
		TEST(test_flock_stays_while_a_copy_is_open),
		TEST(test_circle_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
