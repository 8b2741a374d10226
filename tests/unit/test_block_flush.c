/* SPDX-License-Identifier: MIT */
/*
 * Flushes: which steps a request with PREFLUSH or FUA takes on which device, their order, and that waiters
 * share them: row B6.
 */
#include "block_mem.h"

static char buf[SZ_64K];

static struct block_device *dev_of(struct memdisk *mem)
{
	return disk_part0(mem->disk);
}

/* What the driver saw, as letters: F flush, W write, A write with FUA, R read. */
static const char *steps(struct memdisk *mem)
{
	static char text[64];
	unsigned n = 0;

	for (unsigned i = 0; i < mem->nr_seen && n < sizeof(text) - 1; i++) {
		const struct seen_request *s = &mem->seen[i];

		assert_false(s->op == REQ_OP_WRITE && s->flags & REQ_PREFLUSH);
		text[n++] = s->op == REQ_OP_FLUSH  ? 'F'
			    : s->op == REQ_OP_READ ? 'R'
			    : s->flags & REQ_FUA   ? 'A'
						   : 'W';
	}
	text[n] = '\0';
	mem->nr_seen = 0;
	return text;
}

struct expected {
	bool cache, fua;
	const char *plain, *preflush, *fua_write, *both, *empty;
};

/* Documentation/block/writeback_cache_control: the steps for every kind of device. */
static void steps_depend_on_the_device(void **state)
{
	static const struct expected table[] = {
		{false, false, "W", "W", "W", "W", ""},
		{true, false, "W", "FW", "WF", "FWF", "F"},
		{true, true, "W", "FW", "A", "FA", "F"},
	};
	struct test_machine t;

	block_test_start(&t, 0, 5);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		const struct expected *e = &table[i];
		struct mem_params p = {.limits = {.write_cache = e->cache, .fua = e->fua}, .depth = 4};
		struct memdisk *mem = mem_new(t.machine, &p);
		struct block_device *dev = dev_of(mem);

		assert_int_equal(do_bio(dev, REQ_OP_WRITE, 0, buf, 8), 0);
		assert_string_equal(steps(mem), e->plain);
		assert_int_equal(do_bio(dev, REQ_OP_WRITE | REQ_PREFLUSH, 0, buf, 8), 0);
		assert_string_equal(steps(mem), e->preflush);
		assert_int_equal(do_bio(dev, REQ_OP_WRITE | REQ_FUA, 0, buf, 8), 0);
		assert_string_equal(steps(mem), e->fua_write);
		assert_int_equal(do_bio(dev, REQ_OP_WRITE | REQ_FUA | REQ_PREFLUSH, 0, buf, 8), 0);
		assert_string_equal(steps(mem), e->both);
		assert_int_equal(blkdev_issue_flush(dev), 0);
		assert_string_equal(steps(mem), e->empty);
		mem_free(mem);
	}
	block_test_stop(&t);
}

/* The bio ends after the last step, not before. */
static void bio_ends_with_its_sequence(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result r = {};

	mem->hold = true;
	memset(buf, 'q', 4096);
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA | REQ_PREFLUSH, 0, buf, 8, &r);
	for (unsigned i = 0; i < 3; i++) {
		sleep_ns(1);
		assert_int_equal(mem->nr_seen, i + 1);
		assert_int_equal(atomic_read(&r.done), 0);
		assert_int_equal(mem_release(mem, 1), 1);
	}
	assert_int_equal(atomic_read(&r.done), 1);
	assert_string_equal(steps(mem), "FWF");
	assert_int_equal(mem->data[4095], 'q');
	mem_free(mem);
	block_test_stop(&t);
}

/* All that come while a flush is on its way share the next one. */
static void waiters_share_a_flush(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}, .depth = 32};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result r = {};

	mem->hold = true;
	for (unsigned i = 0; i < 10; i++)
		send_bio(dev_of(mem), REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0, &r);
	sleep_ns(1);
	assert_string_equal(steps(mem), "F"); /* for the first alone */
	mem_release(mem, 1);
	assert_int_equal(atomic_read(&r.done), 1);
	sleep_ns(1);
	assert_string_equal(steps(mem), "F"); /* for the other nine */
	mem_release(mem, 1);
	assert_int_equal(atomic_read(&r.done), 10);
	sleep_ns(1);
	assert_string_equal(steps(mem), "");
	mem_free(mem);
	block_test_stop(&t);
}

/*
 * A flush that came before a write ended does not count for that write's POSTFLUSH; and flushes wait for data
 * that is on its way, so that the POSTFLUSH is shared.
 */
static void postflush_follows_the_data(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}, .depth = 32};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result fua = {}, flush = {};

	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA, 0, buf, 8, &fua);
	sleep_ns(1);
	assert_string_equal(steps(mem), "W");
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0, &flush);
	sleep_ns(1);
	assert_string_equal(steps(mem), ""); /* held back while the data is on its way */
	mem_release(mem, 1);
	sleep_ns(1);
	assert_string_equal(steps(mem), "F"); /* one for both */
	assert_int_equal(atomic_read(&fua.done), 0);
	mem_release(mem, 1);
	assert_int_equal(atomic_read(&fua.done), 1);
	assert_int_equal(atomic_read(&flush.done), 1);
	mem_free(mem);
	block_test_stop(&t);
}

/* But not for ever: after five seconds the pending one goes out although data is still on its way. */
static void flush_does_not_starve(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}, .depth = 32};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result fua = {}, flush = {};

	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA, 0, buf, 8, &fua);
	sleep_ns(1);
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0, &flush);
	clock_advance(t.machine, 6 * NSEC_PER_SEC);
	assert_string_equal(steps(mem), "W");
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0,
		 &flush); /* an event at which it is looked at */
	sleep_ns(1);
	assert_string_equal(steps(mem), "F");
	mem_release(mem, 0);
	sleep_ns(1);
	mem_release(mem, 0);
	sleep_ns(1);
	mem_release(mem, 0);
	assert_int_equal(atomic_read(&fua.done), 1);
	assert_int_equal(atomic_read(&flush.done), 2);
	mem_free(mem);
	block_test_stop(&t);
}

static void failed_steps_end_the_sequence(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);

	mem->fail_status = -EIO;
	mem->fail_count = 1;
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_WRITE | REQ_PREFLUSH, 0, buf, 8), -EIO);
	assert_string_equal(steps(mem), "F"); /* the data must not be written */
	mem->fail_count = 1;
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA, 0, buf, 8), -EIO);
	assert_string_equal(steps(mem), "W");
	mem->fail_count = 1;
	assert_int_equal(blkdev_issue_flush(dev_of(mem)), -EIO);
	assert_int_equal(blkdev_issue_flush(dev_of(mem)), 0);
	assert_int_equal(do_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA, 0, buf, 8), 0);
	mem_free(mem);
	block_test_stop(&t);
}

/* A FUA write that is cut into parts is FUA in each, and no part is written before a flush has ended. */
static void split_write_flushes_first(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true, .fua = true, .max_sectors = 16}, .depth = 8};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result r = {};

	mem->hold = true;
	send_bio(dev_of(mem), REQ_OP_WRITE | REQ_FUA | REQ_PREFLUSH, 0, buf, 64, &r);
	sleep_ns(1);
	assert_string_equal(steps(mem), "F");
	mem->hold = false;
	mem_release(mem, 0);
	sleep_ns(1);
	assert_string_equal(steps(mem), "AFAAA"); /* the other three had come while the first flush ran */
	assert_int_equal(atomic_read(&r.done), 1);
	mem_free(mem);
	block_test_stop(&t);
}

/* With one tag and a busy driver the machinery gets on, also under a plug. */
static void one_tag_is_enough(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.write_cache = true}, .depth = 1};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 5), &p);
	struct bio_result r = {};
	struct blk_plug plug;

	mem->by_work = true;
	mem->busy_next = 4;
	blk_start_plug(&plug);
	for (unsigned i = 0; i < 8; i++)
		send_bio(dev_of(mem), REQ_OP_WRITE | (i & 1 ? REQ_FUA | REQ_PREFLUSH : 0), i * 16, buf, 8,
			 &r);
	blk_finish_plug(&plug);
	blk_freeze_queue(mem->disk->queue);
	blk_unfreeze_queue(mem->disk->queue);
	assert_int_equal(atomic_read(&r.done), 8);
	assert_int_equal(r.status, 0);
	mem_free(mem);
	block_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_depend_on_the_device), cmocka_unit_test(bio_ends_with_its_sequence),
		cmocka_unit_test(waiters_share_a_flush),      cmocka_unit_test(postflush_follows_the_data),
		cmocka_unit_test(flush_does_not_starve),      cmocka_unit_test(failed_steps_end_the_sequence),
		cmocka_unit_test(split_write_flushes_first),  cmocka_unit_test(one_tag_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
