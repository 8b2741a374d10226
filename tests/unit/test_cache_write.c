/* SPDX-License-Identifier: MIT */
/*
 * Dirty folios: flags, tags and counts; the loop that writes them; syncs that end; errors that are told once;
 * truncation and invalidation beside writing: row P3.
 */
#include "cache_fixture.h"

#include "cache/writeback.h"

#include <errno.h>

#define FILE_PAGES 64
#define FILE_SIZE  ((u64)FILE_PAGES << PAGE_SHIFT)

/* A file whose writepages copies to `disk`, at once or later from a work item. */
struct store {
	struct fake_file file;
	u8 disk[FILE_SIZE];
	bool async, dirty_again;
	int error; /* writes fail with this */
	atomic_t writes;
};

struct store_work {
	struct work_struct work;
	struct store *store;
	struct folio *folio;
};

static void store_end(struct store *s, struct folio *folio)
{
	if (s->error)
		mapping_set_error(&s->file.mapping, s->error);
	else
		memcpy(s->disk + folio_pos(folio), folio_address(folio), folio_size(folio));
	atomic_inc(&s->writes);
	folio_end_writeback(folio);
}

static void store_work_fn(struct work_struct *work)
{
	struct store_work *w = container_of(work, struct store_work, work);

	if (machine_single(w->store->file.mapping.machine))
		sleep_ns(NSEC_PER_MSEC); /* the disk takes its time */
	store_end(w->store, w->folio);
	free(w);
}

static int store_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct store *s = container_of(mapping, struct store, file.mapping);
	struct folio *folio = NULL;
	int err = 0;

	while ((folio = writeback_iter(mapping, wbc, folio, &err))) {
		struct store_work *w = s->async ? malloc(sizeof(*w)) : NULL;

		folio_start_writeback(folio);
		if (s->dirty_again)
			folio_mark_dirty(folio);
		folio_unlock(folio);
		if (!w) {
			store_end(s, folio);
			continue;
		}
		w->store = s;
		w->folio = folio;
		INIT_WORK(&w->work, store_work_fn);
		queue_work(mapping->machine->system_wq, &w->work);
	}
	return err;
}

static int store_read_folio(struct address_space *mapping, struct folio *folio)
{
	struct store *s = container_of(mapping, struct store, file.mapping);

	memcpy(folio_address(folio), s->disk + folio_pos(folio), folio_size(folio));
	folio_end_read(folio, true);
	return 0;
}

static const struct address_space_operations store_aops = {
	.read_folio = store_read_folio,
	.writepages = store_writepages,
};

static struct store *store_open(struct shale *machine, unsigned max_order)
{
	struct store *s = calloc(1, sizeof(*s));

	fake_file_open(&s->file, machine, 1, FILE_SIZE, max_order);
	s->file.mapping.a_ops = &store_aops;
	return s;
}

static void store_close(struct store *s)
{
	fake_file_close(&s->file);
	free(s);
}

/* Fills the folio at the page with `byte` and makes it dirty. */
static struct folio *store_put(struct store *s, pgoff_t index, unsigned order, u8 byte)
{
	struct folio *folio;

	assert_int_equal(filemap_grab_folio(&s->file.mapping, index, order, &folio), 0);
	folio_wait_writeback(folio); /* the disk is to have a page as it once was */
	memset(folio_address(folio), byte, folio_size(folio));
	folio_mark_uptodate(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	return folio;
}

static void store_fill(struct store *s, pgoff_t index, unsigned order, u8 byte)
{
	folio_put(store_put(s, index, order, byte));
}

static void expect_counts(struct store *s, long dirty, long writeback)
{
	struct cache_machine *cache = s->file.mapping.machine->cache;

	assert_int_equal(vm_read(cache, VM_nr_dirty), dirty);
	assert_int_equal(vm_read(cache, VM_nr_writeback), writeback);
	assert_int_equal(atomic64_read(&s->file.bdi.nr_dirty), dirty);
	assert_int_equal(atomic64_read(&s->file.bdi.nr_writeback), writeback);
	assert_int_equal(mapping_tagged(&s->file.mapping, PAGECACHE_TAG_DIRTY), dirty != 0);
	assert_int_equal(mapping_tagged(&s->file.mapping, PAGECACHE_TAG_WRITEBACK), writeback != 0);
}

static void expect_disk(const struct store *s, pgoff_t index, unsigned pages, u8 byte)
{
	for (u64 i = (u64)index << PAGE_SHIFT; i < (u64)(index + pages) << PAGE_SHIFT; i++)
		assert_int_equal(s->disk[i], byte);
}

static void test_write_out(void **state)
{
	for (unsigned async = 0; async < 2; async++) {
		struct test_machine t;
		struct store *s = store_open(cache_test_start(&t, 0, 4 << 20), 4);
		struct address_space *m = &s->file.mapping;

		s->async = async;
		expect_counts(s, 0, 0);
		store_fill(s, 3, 0, 0x11);
		store_fill(s, 3, 0, 0x12); /* once more: counted once */
		store_fill(s, 16, 4, 0x22);
		store_fill(s, 63, 0, 0x33);
		expect_counts(s, 18, 0);
		assert_true(filemap_range_needs_writeback(m, 17 << PAGE_SHIFT, 18 << PAGE_SHIFT));
		assert_false(filemap_range_needs_writeback(m, 4 << PAGE_SHIFT, (16 << PAGE_SHIFT) - 1));
		/* Part of it: what the range touches. */
		assert_int_equal(filemap_fdatawrite_range(m, 20 << PAGE_SHIFT, 40 << PAGE_SHIFT), 0);
		expect_counts(s, 2, async ? 16 : 0);
		assert_int_equal(filemap_fdatawait_range(m, 0, FILE_SIZE), 0);
		expect_counts(s, 2, 0);
		expect_disk(s, 16, 16, 0x22);
		expect_disk(s, 3, 1, 0);
		assert_int_equal(filemap_write_and_wait(m), 0);
		expect_counts(s, 0, 0);
		expect_disk(s, 3, 1, 0x12);
		expect_disk(s, 63, 1, 0x33);
		assert_int_equal(atomic_read(&s->writes), 3);
		store_close(s);
		cache_test_stop(&t);
	}
}

/* A sync writes what was dirty when it began and ends, although each page gets dirty again on its way;
 * without integrity, at most as many pages as asked for. */
static void test_sync_ends(void **state)
{
	struct test_machine t;
	struct store *s = store_open(cache_test_start(&t, 0, 4 << 20), 0);
	struct writeback_control wbc = {.nr_to_write = 5, .range_end = FILE_SIZE};

	s->async = true;
	s->dirty_again = true;
	for (pgoff_t i = 0; i < FILE_PAGES; i++)
		store_fill(s, i, 0, i + 1);
	assert_int_equal(filemap_write_and_wait(&s->file.mapping), 0);
	assert_int_equal(atomic_read(&s->writes), FILE_PAGES);
	expect_counts(s, FILE_PAGES, 0);
	for (pgoff_t i = 0; i < FILE_PAGES; i++)
		expect_disk(s, i, 1, i + 1);
	s->dirty_again = false;
	assert_int_equal(do_writepages(&s->file.mapping, &wbc), 0);
	assert_int_equal(wbc.nr_to_write, 0);
	expect_counts(s, FILE_PAGES - 5, 5);
	assert_int_equal(filemap_write_and_wait(&s->file.mapping), 0);
	expect_counts(s, 0, 0);
	store_close(s);
	cache_test_stop(&t);
}

static void test_errors(void **state)
{
	struct test_machine t;
	struct store *s = store_open(cache_test_start(&t, 0, 4 << 20), 0);
	struct address_space *m = &s->file.mapping;
	errseq_t first = errseq_sample(&m->wb_err), second;

	s->error = -EIO;
	store_fill(s, 1, 0, 1);
	store_fill(s, 2, 0, 2);
	assert_int_equal(filemap_write_and_wait(m), -EIO);
	assert_int_equal(filemap_write_and_wait(m), 0); /* told once, and what failed is not dirty any more */
	expect_counts(s, 0, 0);
	second = errseq_sample(&m->wb_err); /* nobody has seen it yet: who comes now is told */
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &first), -EIO);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &first), 0);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &second), -EIO);
	second = errseq_sample(&m->wb_err);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &second), 0);
	s->error = -ENOSPC;
	store_fill(s, 1, 0, 1);
	assert_int_equal(filemap_fdatawrite_range(m, 0, FILE_SIZE), 0);
	assert_int_equal(filemap_fdatawait_range(m, 0, FILE_SIZE), -ENOSPC);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &first), -ENOSPC);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &second), -ENOSPC);
	s->error = 0;
	store_close(s);
	cache_test_stop(&t);
}

/* Truncation drops what is dirty, keeps and zeroes parts, and waits for what is under way. */
static void test_truncate(void **state)
{
	struct test_machine t;
	struct store *s = store_open(cache_test_start(&t, 0, 4 << 20), 4);
	struct address_space *m = &s->file.mapping;

	s->async = true;
	store_fill(s, 0, 0, 1);
	store_fill(s, 16, 4, 2);
	store_fill(s, 40, 0, 3);
	truncate_inode_pages_range(m, (20 << PAGE_SHIFT) + 100, ~0ull);
	expect_counts(s, 17, 0);
	assert_int_equal(filemap_write_and_wait(m), 0);
	expect_disk(s, 16, 4, 2);
	expect_disk(s, 21, 20, 0);
	assert_int_equal(s->disk[(20 << PAGE_SHIFT) + 99], 2);
	assert_int_equal(s->disk[(20 << PAGE_SHIFT) + 100], 0);
	store_fill(s, 0, 0, 4);
	assert_int_equal(filemap_fdatawrite_range(m, 0, FILE_SIZE), 0);
	expect_counts(s, 0, 1);
	truncate_inode_pages_range(m, 0, ~0ull);
	expect_counts(s, 0, 0);
	assert_int_equal(READ_ONCE(m->nrpages), 0);
	expect_disk(s, 0, 1, 4);
	store_close(s);
	cache_test_stop(&t);
}

static void test_invalidate(void **state)
{
	struct test_machine t;
	struct store *s = store_open(cache_test_start(&t, 0, 4 << 20), 0);
	struct address_space *m = &s->file.mapping;
	struct folio *held;

	s->async = true;
	for (pgoff_t i = 0; i < 4; i++)
		store_fill(s, i, 0, i + 1);
	assert_int_equal(filemap_fdatawrite_range(m, 0, PAGE_SIZE - 1), 0);
	/* Dirty or under writeback: both stay for who only drops what is unused. */
	assert_int_equal(invalidate_mapping_pages(m, 0, 3), 0);
	assert_int_equal(invalidate_inode_pages2_range(m, 0, 3), -EBUSY);
	expect_disk(s, 0, 1, 1); /* was waited for */
	expect_counts(s, 3, 0);
	assert_int_equal(READ_ONCE(m->nrpages), 3);
	assert_int_equal(filemap_write_and_wait(m), 0);
	/* Somebody holds one: it goes from the file all the same. */
	assert_int_equal(filemap_get_folio(m, 2, &held), 0);
	assert_int_equal(invalidate_inode_pages2_range(m, 0, 3), 0);
	assert_int_equal(READ_ONCE(m->nrpages), 0);
	assert_null(folio_mapping(held));
	folio_put(held);
	store_close(s);
	cache_test_stop(&t);
}

struct stress {
	struct store *s;
	atomic_t next, failed;
};

static void stress_thread(void *arg)
{
	struct stress *x = arg;
	struct address_space *m = &x->s->file.mapping;
	unsigned me = atomic_fetch_add(1, &x->next);

	for (unsigned i = 0; i < 400; i++) {
		pgoff_t index = (i * 7 + me * 13) % FILE_PAGES;
		u8 buf[64];

		switch (me % 4) {
		case 0:
		case 1:
			store_fill(x->s, index, 0, index + 1);
			break;
		case 2:
			if (filemap_write_and_wait_range(m, index << PAGE_SHIFT, FILE_SIZE))
				atomic_inc(&x->failed);
			break;
		case 3:
			down_write(&m->invalidate_lock);
			truncate_inode_pages_range(m, index << PAGE_SHIFT, ((index + 3) << PAGE_SHIFT) - 1);
			up_write(&m->invalidate_lock);
			if (fake_pread(&x->s->file, &x->s->file.ra, buf, sizeof(buf), index << PAGE_SHIFT) <
			    0)
				atomic_inc(&x->failed);
			break;
		}
	}
}

static void test_threads(void **state)
{
	struct test_machine t;
	struct store *s = store_open(cache_test_start(&t, 2, 4 << 20), 0);
	struct stress x = {.s = s};

	s->async = true;
	test_run_threads(t.machine, 8, stress_thread, &x);
	assert_int_equal(atomic_read(&x.failed), 0);
	assert_int_equal(filemap_write_and_wait(&s->file.mapping), 0);
	expect_counts(s, 0, 0);
	for (pgoff_t i = 0; i < FILE_PAGES; i++)
		assert_true(s->disk[i << PAGE_SHIFT] == 0 || s->disk[i << PAGE_SHIFT] == i + 1);
	store_close(s);
	cache_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_out),  cmocka_unit_test(test_sync_ends),
		cmocka_unit_test(test_errors),     cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_invalidate), cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
