/* SPDX-License-Identifier: MIT */
/*
 * Reading through the page cache, readahead and its windows, invalidation, errors: rows P2 and P3.
 */
#include "cache_fixture.h"

static void expect_read(struct fake_file *f, u64 pos, size_t len)
{
	u64 size = mapping_size(&f->mapping);
	size_t want = pos >= size ? 0 : min(len, (size_t)(size - pos));
	u8 *buf = malloc(len + 1);

	buf[want] = 0xa5;
	assert_int_equal(fake_pread(f, &f->ra, buf, len, pos), want);
	assert_true(fake_matches(f, buf, want, pos));
	assert_int_equal(buf[want], 0xa5);
	free(buf);
}

static void test_read_sizes(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;

	for (int async = 0; async < 2; async++) {
		for (unsigned order = 0; order <= MAX_FOLIO_ORDER; order += 3) {
			fake_file_open(&f, machine, 3, 5000001, order);
			f.async = async;
			for (u64 pos = 0; pos < 5000001; pos += 99991)
				expect_read(&f, pos, 131072 + 17);
			expect_read(&f, 5000000, 100);
			expect_read(&f, 5000001, 100);
			expect_read(&f, 0, 5000100);
			expect_read(&f, 1, 1);
			fake_file_close(&f);
			assert_int_equal(arena_in_folios(machine), 0);
		}
	}
	cache_test_stop(&t);
}

// The windows of a reader of single pages, at Linux's default of 32 pages: 4, 8, 16, 32, 32, each asked for
// when the reader enters the part of the last window that was ahead of it.
static void test_windows_of_sequential_reader(void **state)
{
	static const struct fake_request want[] = {{0, 4}, {4, 8}, {12, 16}, {28, 32}, {60, 32}, {92, 32}};
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 4 << 20, 0);
	for (u64 page = 0; page < 80; page++)
		expect_read(&f, page * PAGE_SIZE, PAGE_SIZE);
	assert_true(f.nr_requests >= ARRAY_SIZE(want));
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(f.requests[i].index, want[i].index);
		assert_int_equal(f.requests[i].nr_pages, want[i].nr_pages);
	}
	// Nothing was read on demand, so the reader never waited after the first window.
	assert_int_equal(f.nr_single, 0);
	fake_file_close(&f);
	cache_test_stop(&t);
}

static void test_random_read_reads_only_what_it_wants(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 64 << 20, MAX_FOLIO_ORDER);
	expect_read(&f, 1000 * PAGE_SIZE, PAGE_SIZE);
	expect_read(&f, 9000 * PAGE_SIZE, PAGE_SIZE);
	expect_read(&f, 5000 * PAGE_SIZE, 2 * PAGE_SIZE);
	assert_int_equal(f.mapping.nrpages, 4);
	fake_file_close(&f);
	cache_test_stop(&t);
}

// Two readers in turns over one descriptor, so that each destroys the state of the other: both still get
// readahead, by markers and by what is cached.
static void test_interleaved_streams(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 64 << 20, 0);
	for (u64 page = 0; page < 256; page++) {
		expect_read(&f, page * PAGE_SIZE, PAGE_SIZE);
		expect_read(&f, (8192 + page) * PAGE_SIZE, PAGE_SIZE);
	}
	// Far fewer requests than pages.
	assert_true(f.nr_requests + f.nr_single < 80);
	fake_file_close(&f);
	cache_test_stop(&t);
}

// The state is lost (a new descriptor) but the cached run before it shows the stream.
static void test_context_after_lost_state(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;
	unsigned before;

	fake_file_open(&f, machine, 1, 64 << 20, 0);
	force_page_cache_readahead(&f.mapping, &f.ra, 0, 20);
	file_ra_state_init(&f.ra, &f.mapping);
	before = f.nr_requests;
	expect_read(&f, 20 * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(f.nr_requests, before + 1);
	assert_int_equal(f.requests[before].index, 20);
	assert_true(f.requests[before].nr_pages > 16);
	fake_file_close(&f);
	cache_test_stop(&t);
}

static void test_large_folios(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;
	unsigned largest = 0;

	fake_file_open(&f, machine, 1, 16 << 20, MAX_FOLIO_ORDER);
	for (u64 pos = 0; pos < 16 << 20; pos += 2 << 20)
		expect_read(&f, pos, 2 << 20);
	for (unsigned i = 0; i < f.nr_requests; i++)
		largest = max(largest, f.requests[i].largest);
	assert_int_equal(largest, MAX_FOLIO_ORDER);
	assert_int_equal(f.mapping.nrpages, (16 << 20) / PAGE_SIZE);
	fake_file_close(&f);
	// Never past the end: a file of 13 pages has 13.
	fake_file_open(&f, machine, 1, 13 * PAGE_SIZE - 5, MAX_FOLIO_ORDER);
	expect_read(&f, 0, 1 << 20);
	assert_int_equal(f.mapping.nrpages, 13);
	fake_file_close(&f);
	cache_test_stop(&t);
}

static void test_errors(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	char *buf = malloc(1 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 1 << 20, 0);
	f.error = -EIO;
	f.bad_from = 10 * PAGE_SIZE;
	// What comes before the bad place is given, then the error, again and again.
	assert_int_equal(fake_pread(&f, &f.ra, buf, 1 << 20, 100), 10 * PAGE_SIZE - 100);
	assert_true(fake_matches(&f, buf, 10 * PAGE_SIZE - 100, 100));
	assert_int_equal(fake_pread(&f, &f.ra, buf, 100, 10 * PAGE_SIZE), -EIO);
	assert_int_equal(fake_pread(&f, &f.ra, buf, 100, 10 * PAGE_SIZE), -EIO);
	// It heals.
	f.error = 0;
	expect_read(&f, 0, 1 << 20);
	fake_file_close(&f);
	cache_test_stop(&t);
	free(buf);
}

static ssize_t read_flags(struct fake_file *f, void *buf, size_t len, u64 pos, unsigned flags)
{
	struct iov_iter to;
	loff_t at = pos;

	iov_iter_ubuf(&to, ITER_DEST, buf, len);
	return filemap_read(&f->mapping, &f->ra, &at, &to, flags);
}

static void test_nowait(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	char *buf = malloc(1 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 1 << 20, 0);
	assert_int_equal(read_flags(&f, buf, 100, 0, IOCB_NOIO), -EAGAIN);
	assert_int_equal(f.mapping.nrpages, 0);
	expect_read(&f, 0, 100);
	assert_int_equal(read_flags(&f, buf, 100, 0, IOCB_NOIO), 100);
	// As much as is there.
	assert_int_equal(read_flags(&f, buf, 1 << 20, 0, IOCB_NOIO), f.mapping.nrpages * PAGE_SIZE);
	fake_file_close(&f);
	cache_test_stop(&t);
	free(buf);
}

static void test_truncate_and_invalidate(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;
	struct folio *folio;
	u8 byte;

	fake_file_open(&f, machine, 1, 1 << 20, 4);
	expect_read(&f, 0, 1 << 20);
	assert_int_equal(filemap_get_folio(&f.mapping, 200, &folio), 0);
	// Clean, unused folios go; one in use stays.
	assert_int_equal(invalidate_mapping_pages(&f.mapping, 0, ~0ul), 256 - folio_nr_pages(folio));
	assert_int_equal(f.mapping.nrpages, folio_nr_pages(folio));
	expect_read(&f, 0, 1 << 20);
	// A cut in the middle of a folio: zeroes behind it, whole folios gone, one in use no longer of the
	// file.
	WRITE_ONCE(f.mapping.size, 100 * PAGE_SIZE + 10);
	truncate_inode_pages_range(&f.mapping, 100 * PAGE_SIZE + 10, ~0ull);
	assert_null(folio_mapping(folio));
	assert_true(
		fake_matches(&f, folio_address(folio), folio_size(folio), (u64)folio->index << PAGE_SHIFT));
	folio_put(folio);
	assert_true(f.mapping.nrpages >= 101 && f.mapping.nrpages < 117);
	expect_read(&f, 100 * PAGE_SIZE, 10);
	WRITE_ONCE(f.mapping.size, 101 * PAGE_SIZE);
	assert_int_equal(fake_pread(&f, &f.ra, &byte, 1, 100 * PAGE_SIZE + 10), 1);
	assert_int_equal(byte, 0);
	fake_file_close(&f);
	assert_int_equal(arena_in_folios(machine), 0);
	cache_test_stop(&t);
}

static void test_seek_in_cache(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	struct fake_file f;

	fake_file_open(&f, machine, 1, 1 << 20, 0);
	f.ra.ra_pages = 0;
	expect_read(&f, 10 * PAGE_SIZE, 2 * PAGE_SIZE);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 0, 1 << 20, false), 0);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 0, 1 << 20, true), 10 * PAGE_SIZE);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 10 * PAGE_SIZE + 5, 1 << 20, true),
			 10 * PAGE_SIZE + 5);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 10 * PAGE_SIZE + 5, 1 << 20, false),
			 12 * PAGE_SIZE);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 12 * PAGE_SIZE, 1 << 20, true), -ENXIO);
	assert_int_equal(mapping_seek_hole_data(&f.mapping, 10 * PAGE_SIZE, 11 * PAGE_SIZE, false),
			 11 * PAGE_SIZE);
	fake_file_close(&f);
	cache_test_stop(&t);
}

// Each allocation of a read is made to fail in turn: the data is right or the read says -ENOMEM, and nothing
// is lost.
static void test_every_allocation_fails(void **state)
{
	struct test_machine t;
	struct shale *machine = cache_test_start(&t, 0, 64 << 20);
	char *buf = malloc(1 << 20);
	u64 n = 0, injected;
	struct fake_file f;

	do {
		ssize_t got;

		fake_file_open(&f, machine, 5, 1 << 20, 5);
		alloc_fail_set(machine, n & 1 ? ALLOC_FAIL_FROM : ALLOC_FAIL_NTH, n / 2 + 1, 0);
		got = fake_pread(&f, &f.ra, buf, 1 << 20, 0);
		injected = alloc_fail_injected(machine);
		alloc_fail_clear(machine);
		assert_true(got == -ENOMEM || got > 0);
		if (got > 0)
			assert_true(fake_matches(&f, buf, got, 0));
		expect_read(&f, 0, 1 << 20);
		fake_file_close(&f);
		assert_int_equal(arena_in_folios(machine), 0);
		n++;
	} while (injected);
	assert_true(n > 4);
	cache_test_stop(&t);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_sizes),
		cmocka_unit_test(test_windows_of_sequential_reader),
		cmocka_unit_test(test_random_read_reads_only_what_it_wants),
		cmocka_unit_test(test_interleaved_streams),
		cmocka_unit_test(test_context_after_lost_state),
		cmocka_unit_test(test_large_folios),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_nowait),
		cmocka_unit_test(test_truncate_and_invalidate),
		cmocka_unit_test(test_seek_in_cache),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
