/* SPDX-License-Identifier: MIT */
/*
 * The arena, the memory limit, reclaim, refault detection, shrinkers: row P2.
 */
#include "cache_fixture.h"

#include "base/seq_file.h"

#include <sys/resource.h>

static void test_arena_runs(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct arena *arena = machine->cache->arena;
	struct folio *folios[512];
	unsigned n = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (n = 0; n < ARRAY_SIZE(folios); n++) {
			unsigned order = (n * 7 + round) % (MAX_FOLIO_ORDER + 1);

			folios[n] = arena_alloc(arena, order);
			if (!folios[n])
				break;
			assert_int_equal(folios[n]->order, order);
			assert_int_equal((uintptr_t)folio_address(folios[n]) & (folio_size(folios[n]) - 1),
					 0);
			memset(folio_address(folios[n]), n, folio_size(folios[n]));
		}
		assert_true(n > 50);
		for (unsigned i = 0; i < n; i++) {
			u8 *p = folio_address(folios[i]);

			// Nobody else wrote here: the runs do not overlap.
			assert_int_equal(p[0], (u8)i);
			assert_int_equal(p[folio_size(folios[i]) - 1], (u8)i);
			atomic_set(&folios[i]->_refcount, 0);
			arena_free(arena, folios[i]);
		}
		assert_int_equal(arena_in_folios(machine), 0);
	}
	// All of it has merged again: the whole arena can be had in largest runs, and no more.
	for (n = 0; n < ARRAY_SIZE(folios) && (folios[n] = arena_alloc(arena, MAX_FOLIO_ORDER)); n++)
		;
	assert_int_equal(n, arena_pages(arena) >> MAX_FOLIO_ORDER);
	assert_null(arena_alloc(arena, 0));
	while (n--) {
		atomic_set(&folios[n]->_refcount, 0);
		arena_free(arena, folios[n]);
	}
	assert_true(arena_resident_free(arena) > 0);
	arena_trim(arena, 0);
	assert_int_equal(arena_resident_free(arena), 0);
	cache_test_stop(&t);
}

static void read_pages_of(struct fake_file *f, u64 from, u64 to)
{
	char buf[PAGE_SIZE];

	for (u64 page = from; page < to; page++) {
		assert_int_equal(fake_pread(f, &f->ra, buf, PAGE_SIZE, page * PAGE_SIZE), PAGE_SIZE);
		assert_true(fake_matches(f, buf, PAGE_SIZE, page * PAGE_SIZE));
	}
}

// Far more is read than the limit allows to keep; used memory stays below it, and the process small.
static void test_limit_holds(void **state)
{
	for (unsigned threads = 0; threads < 2; threads++) {
		struct test_machine t;
		struct shale *machine = cache_test_start(&t, threads, 16 << 20);
		struct fake_file f;
		char *buf = malloc(1 << 20);

		for (unsigned order = 0; order <= MAX_FOLIO_ORDER; order += MAX_FOLIO_ORDER) {
			fake_file_open(&f, machine, 1, 256 << 20, order);
			for (u64 pos = 0; pos < 256 << 20; pos += 1 << 20) {
				assert_int_equal(fake_pread(&f, &f.ra, buf, 1 << 20, pos), 1 << 20);
				assert_true(cache_pages_used(machine->cache) <=
					    machine->cache->limit_pages + 64);
			}
			assert_true(fake_matches(&f, buf, 1 << 20, 255 << 20));
			assert_true(f.mapping.nrpages > machine->cache->limit_pages / 4);
			fake_file_close(&f);
		}
		assert_true(vm_read(machine->cache, VM_pgsteal_kswapd) +
				    vm_read(machine->cache, VM_pgsteal_direct) >
			    100000);
		assert_int_equal(arena_in_folios(machine), 0);
		cache_test_stop(&t);
		free(buf);
	}
}

// What is read again and again stays, while a long file streams by; what was lost too early comes back
// active.
static void test_working_set_survives_a_stream(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 16 << 20);
	struct fake_file hot, stream;
	unsigned singles;

	fake_file_open(&hot, machine, 1, 4 << 20, 0);
	fake_file_open(&stream, machine, 2, 512 << 20, 0);
	for (unsigned i = 0; i < 3; i++)
		read_pages_of(&hot, 0, 1024);
	singles = hot.nr_requests + hot.nr_single;
	for (u64 page = 0; page < 32768; page += 512) {
		read_pages_of(&stream, page, page + 512);
		read_pages_of(&hot, 0, 1024);
	}
	assert_int_equal(hot.nr_requests + hot.nr_single, singles);
	assert_true(READ_ONCE(machine->cache->nr_lru[LRU_ACTIVE_FILE]) >= 1024);
	fake_file_close(&stream);
	fake_file_close(&hot);
	cache_test_stop(&t);
}

static void test_refault_activates(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 16 << 20);
	struct fake_file old, a, b;

	// The active list is full of what nobody reads any more.
	fake_file_open(&old, machine, 1, 8 << 20, 0);
	for (unsigned i = 0; i < 3; i++)
		read_pages_of(&old, 0, 2048);
	fake_file_open(&b, machine, 3, 64 << 20, 0);
	read_pages_of(&b, 0, 4096);
	assert_true(READ_ONCE(machine->cache->nr_lru[LRU_ACTIVE_FILE]) > 1024);
	// A set a little larger than the inactive list, read in turns.
	fake_file_open(&a, machine, 2, 10 << 20, 0);
	for (unsigned i = 0; i < 4; i++)
		read_pages_of(&a, 0, 2560);
	assert_true(vm_read(machine->cache, VM_workingset_refault_file) > 0);
	assert_true(vm_read(machine->cache, VM_workingset_activate_file) > 0);
	fake_file_close(&a);
	fake_file_close(&b);
	fake_file_close(&old);
	cache_test_stop(&t);
}

// Shadows of a very long file do not pile up.
static void test_shadows_are_swept(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 8 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 2ull << 30, 0);
	for (u64 pos = 0; pos < 2ull << 30; pos += 1 << 20) {
		char buf[512];

		// Not the data, only the place: fill is cheap for single pages.
		f.ra.ra_pages = 16;
		assert_int_equal(fake_pread(&f, &f.ra, buf, sizeof(buf), pos), sizeof(buf));
		force_page_cache_readahead(&f.mapping, &f.ra, pos >> PAGE_SHIFT, 64);
	}
	assert_true(f.mapping.nrshadows < 4 * machine->cache->limit_pages);
	assert_true(vm_read(machine->cache, VM_workingset_nodereclaim) > 0);
	fake_file_close(&f);
	assert_int_equal(atomic64_read(&machine->cache->nr_shadows), 0);
	cache_test_stop(&t);
}

struct test_objects {
	struct shrinker shrinker;
	struct shale *machine;
	unsigned long nr;
};

static unsigned long objects_count(struct shrinker *s, struct shale *machine)
{
	return container_of(s, struct test_objects, shrinker)->nr;
}

static unsigned long objects_scan(struct shrinker *s, struct shale *machine, unsigned long nr)
{
	struct test_objects *o = container_of(s, struct test_objects, shrinker);

	nr = min(nr, o->nr);
	o->nr -= nr;
	machine_charge(machine, -(long)nr * 1024);
	return nr;
}

// Objects that count against the limit are shrunk when they grow, and dropped on demand.
static void test_shrinkers(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 16 << 20);
	struct test_objects o = {.shrinker = {"objects", objects_count, objects_scan, .seeks = 2}};
	struct fake_file f;

	shrinker_register(machine, &o.shrinker);
	fake_file_open(&f, machine, 1, 8 << 20, 0);
	read_pages_of(&f, 0, 2048);
	for (unsigned i = 0; i < 100000; i++) {
		cache_throttle(machine);
		o.nr++;
		machine_charge(machine, 1024);
		assert_true(cache_pages_used(machine->cache) <= machine->cache->limit_pages + 64);
	}
	assert_true(vm_read(machine->cache, VM_slabs_scanned) > 50000);
	drop_caches(machine);
	assert_int_equal(o.nr, 0);
	assert_int_equal(f.mapping.nrpages, 0);
	fake_file_close(&f);
	shrinker_unregister(machine, &o.shrinker);
	cache_test_stop(&t);
}

// When nothing can be freed, a read fails with -ENOMEM; afterwards all goes on.
static void test_exhaustion(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 8 << 20);
	struct fake_file f;
	char buf[512];

	fake_file_open(&f, machine, 1, 1 << 20, 0);
	machine_charge(machine, 8 << 20);
	assert_int_equal(fake_pread(&f, &f.ra, buf, sizeof(buf), 0), -ENOMEM);
	machine_charge(machine, -(8l << 20));
	assert_int_equal(fake_pread(&f, &f.ra, buf, sizeof(buf), 0), sizeof(buf));
	fake_file_close(&f);
	cache_test_stop(&t);
}

static void test_vmstat_names(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 8 << 20);
	struct fake_file f;
	struct seq_file m;

	fake_file_open(&f, machine, 1, 1 << 20, 0);
	read_pages_of(&f, 0, 256);
	seq_text_init(&m, machine);
	cache_show_vmstat(machine, &m);
	assert_non_null(strstr(seq_text(&m), "nr_file_pages 256\n"));
	assert_non_null(strstr(seq_text(&m), "\nworkingset_refault_file 0\n"));
	assert_non_null(strstr(seq_text(&m), "\npgscan_direct 0\n"));
	seq_text_free(&m);
	fake_file_close(&f);
	cache_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_runs),
		cmocka_unit_test(test_limit_holds),
		cmocka_unit_test(test_working_set_survives_a_stream),
		cmocka_unit_test(test_refault_activates),
		cmocka_unit_test(test_shadows_are_swept),
		cmocka_unit_test(test_shrinkers),
		cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_vmstat_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
