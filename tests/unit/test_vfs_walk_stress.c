// Proves V4, V5, N1: the lock-free walk over dentries and inodes that are reclaimed, dropped and made anew
// under it finds what is there and nothing else; in a machine without threads the same seed does the same.
#include "vfs_synthfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <time.h>

struct stress {
	struct synth s;
	unsigned stop, failures;
	unsigned long walks;
	u64 seed;
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail_walk(struct stress *st, const char *path, long res, u64 ino, u64 want)
{
	fprintf(stderr, "%s: %ld, inode %llx, wanted %llx\n", path, res, (unsigned long long)ino,
		(unsigned long long)want);
	__atomic_fetch_add(&st->failures, 1, __ATOMIC_RELAXED);
}

// One random stat or open, checked.
static void walk_once(struct stress *st, struct shale_task *task, u64 *state)
{
	struct stat attr = {0};
	char path[256];
	u64 want;
	long res;

	// A small tree, walked often, or one that does not fit into the machine's memory.
	synth_random_path(state, synth_random(state) % 2 ? 4 : 10, path, &want);
	if (synth_random(state) % 8 == 0) {
		res = shale_open(task, path, O_PATH, 0);
		if (res >= 0) {
			int fd = (int)res;

			res = shale_fstat(task, fd, &attr);
			shale_close(task, fd);
		}
	} else {
		res = shale_stat(task, path, &attr);
	}
	if (res != (want ? 0 : -ENOENT) || (want && attr.st_ino != want))
		fail_walk(st, path, res, attr.st_ino, want);
}

static void *walker(void *arg)
{
	struct stress *st = arg;
	u64 state = __atomic_add_fetch(&st->seed, 1, __ATOMIC_RELAXED) * 77777;
	struct shale_task *task;
	unsigned long n = 0;

	assert_int_equal(shale_task_new(st->s.machine, NULL, &task), 0);
	for (; !READ_ONCE(st->stop); n++)
		walk_once(st, task, &state);
	shale_task_free(task);
	__atomic_fetch_add(&st->walks, n, __ATOMIC_RELAXED);
	return NULL;
}

// Drops caches, and single names while others walk over them.
static void shrink_once(struct stress *st, u64 *state)
{
	struct current_saved saved;
	struct path path;
	char name[256];
	u64 ino;

	synth_random_path(state, 4, name, &ino);
	current_enter(st->s.machine, NULL, &saved);
	if (!user_path_at(AT_FDCWD, name, 0, &path)) {
		if (path.dentry->d_parent != path.dentry)
			d_drop(path.dentry);
		path_put(&path);
	}
	current_leave(&saved);
	if (synth_random(state) % 16 == 0)
		shale_drop_caches(st->s.machine);
}

static void *shrinker(void *arg)
{
	struct stress *st = arg;
	u64 state = 4711;

	while (!READ_ONCE(st->stop))
		shrink_once(st, &state);
	return NULL;
}

// Makes and removes names in the root file system.
static void churn_once(struct shale_task *task, u64 *state)
{
	unsigned n = synth_random(state) % 4;
	char dir[64], file[64];

	sprintf(dir, "/churn%u", n);
	sprintf(file, "/churn%u/a-name-that-does-not-fit-into-its-dentry-%u", n, synth_random(state) % 3);
	switch (synth_random(state) % 6) {
	case 0:
		shale_mkdir(task, dir, 0755);
		break;
	case 1:
		shale_rmdir(task, dir);
		break;
	case 2:
		shale_mknod(task, file, S_IFREG | 0644, 0);
		break;
	case 3:
		shale_unlink(task, file);
		break;
	case 4:
		shale_symlink(task, dir, file);
		break;
	default:
		shale_mount(task, "none", dir, "synth", 0, NULL);
		shale_umount2(task, dir, synth_random(state) % 2 ? MNT_DETACH : 0);
	}
}

static void *churner(void *arg)
{
	struct stress *st = arg;
	u64 state = __atomic_add_fetch(&st->seed, 1, __ATOMIC_RELAXED) * 99;
	struct shale_task *task;
	struct stat attr;
	char name[64];

	assert_int_equal(shale_task_new(st->s.machine, NULL, &task), 0);
	while (!READ_ONCE(st->stop)) {
		churn_once(task, &state);
		for (unsigned i = 0; i < 8; i++) {
			sprintf(name, "/churn%u/d1/f1", synth_random(&state) % 4);
			shale_stat(task, name, &attr);
		}
	}
	shale_task_free(task);
	return NULL;
}

static void walk_under_reclaim(void **unused)
{
	void *(*const roles[])(void *) = {walker, walker, walker, shrinker, churner, churner};
	const char *env = getenv("SHALE_STRESS_SECONDS");
	double end = seconds() + (env ? atof(env) : 3);
	struct stress st = {.seed = 1};
	pthread_t threads[ARRAY_SIZE(roles)];

	synth_start(&st.s, 2, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(roles); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, roles[i], &st), 0);
	while (seconds() < end && !READ_ONCE(st.failures))
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	WRITE_ONCE(st.stop, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(roles); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(st.failures, 0);
	assert_true(st.walks > 100);
	assert_true(synth_lookups > 100);
	synth_stop(&st.s);
}

// Without threads: all in one, in an order that the seed gives.
static u64 run_single(u64 seed)
{
	struct stress st = {.seed = seed};
	u64 state = seed, digest = 0;
	char buf[65536];
	ssize_t n;

	synth_lookups = 0;
	synth_start(&st.s, 0, seed);
	for (unsigned i = 0; i < 20000; i++) {
		walk_once(&st, st.s.task, &state);
		if (i % 7 == 0)
			shrink_once(&st, &state);
		if (i % 5 == 0)
			churn_once(st.s.task, &state);
	}
	assert_int_equal(st.failures, 0);
	n = shale_vmstat(st.s.machine, buf, sizeof(buf));
	for (ssize_t i = 0; i < n; i++)
		digest = digest * 31 + (u8)buf[i];
	digest = digest * 31 + synth_lookups;
	synth_stop(&st.s);
	return digest;
}

static void single_repeats(void **unused)
{
	u64 first = run_single(5);

	assert_true(run_single(5) == first);
	assert_true(run_single(6) != first);
}

// Allocations fail here and there: a walk then says so, or does without.
static void walk_without_memory(void **unused)
{
	struct stress st = {.seed = 1};
	u64 state = 3, want, refused;
	unsigned short_of_memory = 0;

	synth_start(&st.s, 0, 1);
	alloc_fail_set(st.s.machine, ALLOC_FAIL_RANDOM, 7, 11);
	for (unsigned i = 0; i < 20000; i++) {
		struct stat attr = {0};
		char path[256];
		int res;

		synth_random_path(&state, 4, path, &want);
		res = shale_stat(st.s.task, path, &attr);
		if (res == -ENOMEM)
			short_of_memory++;
		else if (res != (want ? 0 : -ENOENT) || (want && attr.st_ino != want))
			fail_walk(&st, path, res, attr.st_ino, want);
		churn_once(st.s.task, &state);
		if (i % 16 == 0)
			shale_drop_caches(st.s.machine);
	}
	refused = alloc_fail_injected(st.s.machine);
	alloc_fail_clear(st.s.machine);
	assert_int_equal(st.failures, 0);
	assert_true(refused > 100);
	assert_true(short_of_memory > 10);
	synth_stop(&st.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_repeats),
		cmocka_unit_test(walk_without_memory),
		cmocka_unit_test(walk_under_reclaim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
