/* SPDX-License-Identifier: MIT */
/*
 * Readers beside truncation, invalidation and reclaim under a tiny limit, on threads and, repeatably, on
 * fibers: row P2 ("up-to-date and truncation races"). SHALE_STRESS_SECONDS makes the threads go on for
 * longer than the second that they take by default.
 */
#include "cache_fixture.h"

#include "base/hash.h"
#include "base/random.h"

#include <time.h>

#define NR_FILES  3
#define FILE_SIZE (12u << 20)
#define CUT       (2u << 20) // truncation cuts at whole folios, so that what is read is always the file's

struct stress {
	struct shale *machine;
	struct fake_file files[NR_FILES];
	atomic64_t reads, bytes, seed;
	atomic_t failed;
	double until; // seconds; 0: by count
	unsigned rounds;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static u64 next_random(u64 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static bool stress_over(const struct stress *s, unsigned round)
{
	return s->until ? now() >= s->until : round >= s->rounds;
}

static void read_one(struct stress *s, struct file_ra_state *ra, u64 *rnd, char *buf)
{
	unsigned nr = next_random(rnd) % NR_FILES;
	struct fake_file *f = &s->files[nr];
	u64 pos = next_random(rnd) % FILE_SIZE;
	size_t len = next_random(rnd) % 5 ? 4096 : 300000;
	ssize_t got = fake_pread(f, &ra[nr], buf, len, pos);

	if (got < 0 || !fake_matches(f, buf, got, pos))
		atomic_inc(&s->failed);
	atomic64_inc(&s->reads);
	atomic64_add(got, &s->bytes);
}

static void truncate_one(struct stress *s, u64 *rnd)
{
	struct fake_file *f = &s->files[next_random(rnd) % NR_FILES];
	u64 cut = next_random(rnd) % (FILE_SIZE / CUT) * CUT;

	down_write(&f->mapping.invalidate_lock);
	WRITE_ONCE(f->mapping.size, cut);
	truncate_inode_pages_range(&f->mapping, cut, ~0ull);
	WRITE_ONCE(f->mapping.size, FILE_SIZE);
	up_write(&f->mapping.invalidate_lock);
}

static void disturb_one(struct stress *s, u64 *rnd)
{
	struct fake_file *f = &s->files[next_random(rnd) % NR_FILES];

	switch (next_random(rnd) % 8) {
	case 0:
		drop_caches(s->machine);
		break;
	case 1:
		invalidate_mapping_pages(&f->mapping, next_random(rnd) % 1000, 2000);
		break;
	case 2:
		truncate_one(s, rnd);
		break;
	case 3:
		(void)mapping_seek_hole_data(&f->mapping, 0, FILE_SIZE, next_random(rnd) & 1);
		break;
	default:
		try_to_free_pages(s->machine, 100);
		break;
	}
}

static void reader(struct stress *s, u64 rnd)
{
	char *buf = malloc(300000);
	struct file_ra_state ra[NR_FILES];

	for (unsigned i = 0; i < NR_FILES; i++)
		file_ra_state_init(&ra[i], &s->files[i].mapping);
	for (unsigned round = 0; !stress_over(s, round); round++)
		read_one(s, ra, &rnd, buf);
	free(buf);
}

static void disturber(struct stress *s, u64 rnd)
{
	for (unsigned round = 0; !stress_over(s, round); round++) {
		disturb_one(s, &rnd);
		cond_resched();
	}
}

static void actor(void *arg)
{
	struct stress *s = arg;
	u64 n = atomic64_fetch_add(1, &s->seed);

	if (n % 4 == 3)
		disturber(s, n * 77 + 1);
	else
		reader(s, n * 99 + 5);
}

static void stress_start(struct stress *s, struct shale *machine)
{
	memset(s, 0, sizeof(*s));
	s->machine = machine;
	for (unsigned i = 0; i < NR_FILES; i++) {
		fake_file_open(&s->files[i], machine, i, FILE_SIZE, i * 4);
		s->files[i].async = i != 1;
	}
}

static void stress_stop(struct stress *s)
{
	flush_workqueue(s->machine->system_wq);
	for (unsigned i = 0; i < NR_FILES; i++)
		fake_file_close(&s->files[i]);
	assert_int_equal(atomic_read(&s->failed), 0);
	assert_int_equal(arena_in_folios(s->machine), 0);
}

static void test_threads(void **state)
{
	const char *seconds = getenv("SHALE_STRESS_SECONDS");
	static struct stress s;
	struct test_machine t;

	stress_start(&s, cache_test_start(&t, 2, 8 << 20));
	s.until = now() + (seconds ? atof(seconds) : 1);
	test_run_threads(s.machine, 4, actor, &s);
	assert_true(atomic64_read(&s.reads) > 100);
	stress_stop(&s);
	cache_test_stop(&t);
}

struct fiber_actor {
	struct work_struct work;
	struct stress *stress;
};

static void fiber_actor_fn(struct work_struct *work)
{
	actor(container_of(work, struct fiber_actor, work)->stress);
}

// What a run did, in one number.
static u64 run_fibers(u64 seed)
{
	static struct stress s;
	struct fiber_actor actors[5];
	struct test_machine t;
	u64 digest = 0;

	test_machine_start(&t, 0, seed);
	t.machine->options.memory_limit = 8 << 20;
	assert_int_equal(cache_init(t.machine), 0);
	stress_start(&s, t.machine);
	s.rounds = 150;
	for (unsigned i = 0; i < ARRAY_SIZE(actors); i++) {
		actors[i].stress = &s;
		INIT_WORK(&actors[i].work, fiber_actor_fn);
		queue_work(t.machine->system_wq, &actors[i].work);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(actors); i++)
		flush_work(&actors[i].work);
	for (unsigned i = 0; i < NR_VM_COUNTERS; i++)
		digest = hash_64(digest ^ vm_read(t.machine->cache, i), 64);
	digest = hash_64(digest ^ atomic64_read(&s.bytes), 64);
	stress_stop(&s);
	cache_test_stop(&t);
	return digest;
}

static void test_fibers_repeat_by_seed(void **state)
{
	u64 first = run_fibers(11);

	assert_int_equal(run_fibers(11), first);
	assert_int_not_equal(run_fibers(12), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_fibers_repeat_by_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
