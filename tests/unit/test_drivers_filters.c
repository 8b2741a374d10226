/* SPDX-License-Identifier: MIT */
/*
 * Proves of D7 (test devices) and of the filters of D8: faults by operation, range, probability and count,
 * listed and changed while running; torn and misdirected writes; delays by the machine's clock; copy-on-write
 * over a disk that is never written; the log of writes with its order, data and replay.
 */
#include "drivers_machine.h"

#include "drivers/write_log.h"

static u8 in[16384], out[16384];

static void test_fault_error_by_op_and_range(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev =
		disk_open(machine, "d", "fault+ram:1M?fault=op=read,start=8,end=15,error=EIO", 0);

	fill_pattern(in, sizeof(in), 1);
	assert_int_equal(disk_write(bdev, 0, in, 8192), 0);
	assert_int_equal(disk_read(bdev, 0, out, 4096), 0);
	assert_memory_equal(in, out, 4096);
	assert_int_equal(disk_read(bdev, 8, out, 512), -EIO);
	assert_int_equal(disk_read(bdev, 15, out, 512), -EIO);
	assert_int_equal(disk_read(bdev, 16, out, 512), 0);
	assert_int_equal(disk_read(bdev, 0, out, 8 * 512 + 512), -EIO); /* touches it */
	assert_shows(machine, "d", "fault", "1: op=read start=8 end=15 error=EIO hits=3\n");
	assert_int_equal(disk_control_store(machine, "d", "fault", "del 2"), -ENOENT);
	assert_int_equal(disk_control_store(machine, "d", "fault", "del 1"), 0);
	assert_int_equal(disk_read(bdev, 8, out, 4096), 0);
	assert_memory_equal(in + 4096, out, 4096);
	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=flush error=ENOSPC"), 0);
	assert_int_equal(blkdev_issue_flush(bdev), -ENOSPC);
	assert_int_equal(disk_control_store(machine, "d", "fault", "clear"), 0);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_fault_skip_and_count(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "fault+ram:1M", 0);
	static const int want[] = {0, 0, -EIO, -EIO, -EIO, 0, 0};

	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=write skip=2 count=3 error=EIO"),
			 0);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(disk_write(bdev, i, in, 512), want[i]);
	assert_shows(machine, "d", "fault", "1: op=write skip=2 count=3 error=EIO hits=3\n");
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_fault_torn_and_shifted_writes(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "fault+ram:1M", 0);

	fill_pattern(in, sizeof(in), 2);
	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=write torn=3 count=1"), 0);
	assert_int_equal(disk_write(bdev, 0, in, 4096), 0); /* the disk lies */
	assert_int_equal(disk_read(bdev, 0, out, 4096), 0);
	assert_memory_equal(in, out, 3 * 512);
	assert_true(all_bytes(out + 3 * 512, 5 * 512, 0));
	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=write torn=0 error=EIO count=1"),
			 0);
	assert_int_equal(disk_write(bdev, 64, in, 4096), -EIO);
	assert_int_equal(disk_read(bdev, 64, out, 4096), 0);
	assert_true(all_bytes(out, 4096, 0));
	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=write shift=-8 count=1"), 0);
	assert_int_equal(disk_write(bdev, 128, in, 4096), 0);
	assert_int_equal(disk_read(bdev, 120, out, 8192), 0);
	assert_memory_equal(in, out, 4096);
	assert_true(all_bytes(out + 4096, 4096, 0));
	/* A shift that leads off the disk does nothing. */
	assert_int_equal(disk_control_store(machine, "d", "fault", "add op=write shift=-8 count=1"), 0);
	assert_int_equal(disk_write(bdev, 7, in, 512), 0);
	assert_int_equal(disk_read(bdev, 7, out, 512), 0);
	assert_memory_equal(in, out, 512);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

/* Which of 200 reads fail, by a seed, as a string of bits. */
static void failures_by_seed(u64 seed, char *bits)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, seed);
	struct block_device *bdev = disk_open(machine, "d", "fault+ram:1M?fault=prob=0.5,error=EIO", 0);

	for (unsigned i = 0; i < 200; i++)
		bits[i] = disk_read(bdev, i, out, 512) ? '1' : '0';
	bits[200] = '\0';
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_fault_probability_repeats_by_seed(void **state)
{
	char first[201], second[201], other[201];
	unsigned failed = 0;

	failures_by_seed(7, first);
	failures_by_seed(7, second);
	failures_by_seed(8, other);
	assert_string_equal(first, second);
	assert_string_not_equal(first, other);
	for (unsigned i = 0; i < 200; i++)
		failed += first[i] == '1';
	assert_in_range(failed, 60, 140);
}

static void test_fault_refuses_nonsense(void **state)
{
	static const char *const bad[] = {"",
					  "hello",
					  "add op=fly",
					  "add error=EVERYTHING",
					  "add prob=2",
					  "add prob=1.1",
					  "add prob=x",
					  "add start=9 end=8",
					  "add torn=-1",
					  "add delay=5 minutes",
					  "add nothing=here",
					  "add error",
					  "del",
					  "del x",
					  "clear all",
					  "add prob=0.1234567890"};
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "fault+ram:1M", 0);

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(disk_control_store(machine, "d", "fault", bad[i]), -EINVAL);
	assert_shows(machine, "d", "fault", "");
	disk_close(machine, bdev);
	assert_int_equal(disk_add(machine, "e", "fault+ram:1M?fault=op=fly", 0), -EINVAL);
	assert_int_equal(disk_add(machine, "e", "delay+ram:1M?delay=long", 0), -EINVAL);
	drivers_stop(&t);
}

static void test_delay_moves_the_clock_only(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "delay+ram:1M?read=1s&write=250ms", 0);
	s64 start = ktime_get(machine);

	fill_pattern(in, sizeof(in), 3);
	assert_int_equal(disk_write(bdev, 0, in, 4096), 0);
	assert_int_equal(ktime_get(machine) - start, 250 * NSEC_PER_MSEC);
	assert_int_equal(disk_read(bdev, 0, out, 4096), 0);
	assert_int_equal(ktime_get(machine) - start, 1250 * NSEC_PER_MSEC);
	assert_memory_equal(in, out, 4096);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	assert_int_equal(ktime_get(machine) - start, 1250 * NSEC_PER_MSEC);
	assert_shows(machine, "d", "delay", "read=1000000000 write=250000000 flush=0 discard=0\n");
	assert_int_equal(disk_control_store(machine, "d", "delay", "read=0 flush=3600s"), 0);
	assert_int_equal(disk_read(bdev, 0, out, 4096), 0);
	assert_int_equal(ktime_get(machine) - start, 1250 * NSEC_PER_MSEC);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	assert_int_equal(ktime_get(machine) - start, 1250 * NSEC_PER_MSEC + 3600 * NSEC_PER_SEC);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_delay_with_threads(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct block_device *bdev = disk_open(machine, "d", "delay+ram:1M?delay=20ms", 0);
	s64 start = ktime_get(machine);

	assert_int_equal(disk_read(bdev, 0, out, 4096), 0);
	assert_true(ktime_get(machine) - start >= 20 * NSEC_PER_MSEC);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void cow_check(unsigned threads)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, threads, 1);
	struct block_device *bdev;
	static u8 base[65536], now[65536];
	char path[128], uri[160];

	fill_pattern(base, sizeof(base), 5);
	host_make(&t, "image", base, sizeof(base), path);
	chmod(path, 0400);
	snprintf(uri, sizeof(uri), "cow+file:%s", path);
	bdev = disk_open(machine, "d", uri, 0);
	fill_pattern(in, sizeof(in), 6);
	assert_int_equal(disk_write(bdev, 3, in, 512 * 7), 0);
	assert_int_equal(blkdev_issue_zeroout(bdev, 32, 24, 0), 0);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	assert_int_equal(disk_read(bdev, 0, now, sizeof(now)), 0);
	assert_memory_equal(now, base, 3 * 512);
	assert_memory_equal(now + 3 * 512, in, 7 * 512);
	assert_memory_equal(now + 10 * 512, base + 10 * 512, 22 * 512);
	assert_true(all_bytes(now + 32 * 512, 24 * 512, 0));
	assert_memory_equal(now + 56 * 512, base + 56 * 512, sizeof(base) - 56 * 512);
	assert_int_equal(disk_read(bdev, 4, now, 512), 0); /* all of it changed */
	assert_memory_equal(now, in + 512, 512);
	disk_close(machine, bdev);
	host_read(path, 0, now, sizeof(now));
	assert_memory_equal(now, base, sizeof(base));
	unlink(path);
	drivers_stop(&t);
}

static void test_cow_leaves_the_lower_disk_alone(void **state)
{
	cow_check(0);
	cow_check(2);
}

static void test_log_records_order_data_and_kind(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "log+ram:1M?log=here", 0);
	struct write_log_entry e, flush;
	struct write_log *log;

	assert_int_equal(write_log_get(machine, "elsewhere", &log), -ENOENT);
	assert_int_equal(write_log_get(machine, "here", &log), 0);
	fill_pattern(in, sizeof(in), 7);
	assert_int_equal(disk_write(bdev, 8, in, 4096), 0);
	assert_int_equal(disk_read(bdev, 8, out, 4096), 0);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	assert_int_equal(write_log_mark(log, "after flush"), 0);
	assert_int_equal(disk_io(bdev, REQ_OP_WRITE | REQ_FUA | REQ_META, 100, in + 4096, 512), 0);
	assert_int_equal(blkdev_issue_discard(bdev, 8, 8), 0);
	assert_int_equal(write_log_count(log), 5);

	assert_int_equal(write_log_entry(log, 0, &e), 0);
	assert_int_equal(e.op, WRITE_LOG_WRITE);
	assert_false(e.fua || e.meta);
	assert_int_equal(e.sector, 8);
	assert_int_equal(e.bytes, 4096);
	assert_memory_equal(e.data, in, 4096);
	assert_int_equal(write_log_entry(log, 1, &flush), 0);
	assert_int_equal(flush.op, WRITE_LOG_FLUSH);
	assert_true(e.started < e.ended && e.ended < flush.started && flush.started < flush.ended);
	assert_int_equal(write_log_find_mark(log, "after flush", 0), 2);
	assert_int_equal(write_log_find_mark(log, "after flush", 3), -ENOENT);
	assert_int_equal(write_log_entry(log, 3, &e), 0);
	assert_true(e.op == WRITE_LOG_WRITE && e.fua && e.meta);
	assert_int_equal(write_log_entry(log, 4, &e), 0);
	assert_int_equal(e.op, WRITE_LOG_DISCARD);
	assert_int_equal(e.bytes, 4096);
	assert_int_equal(write_log_entry(log, 5, &e), -ENOENT);
	/* The record outlives its disk. */
	disk_close(machine, bdev);
	assert_int_equal(write_log_count(log), 5);
	write_log_put(log);
	drivers_stop(&t);
}

static void test_log_replays_prefixes(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "log+ram:1M", 0);
	struct block_device *copy = disk_open(machine, "copy", "ram:1M", 0);
	struct write_log *log;

	assert_int_equal(write_log_get(machine, NULL, &log), 0);
	memset(in, 1, 4096);
	assert_int_equal(disk_write(bdev, 0, in, 4096), 0);
	memset(in, 2, 4096);
	assert_int_equal(disk_write(bdev, 0, in, 4096), 0);
	assert_int_equal(write_log_replay(log, 0, 1, copy), 0);
	assert_int_equal(disk_read(copy, 0, out, 4096), 0);
	assert_true(all_bytes(out, 4096, 1));
	assert_int_equal(write_log_replay_part(log, 1, 2, copy), 0);
	assert_int_equal(disk_read(copy, 0, out, 4096), 0);
	assert_true(all_bytes(out, 1024, 2) && all_bytes(out + 1024, 3072, 1));
	assert_int_equal(write_log_replay(log, 1, 2, copy), -ENOENT); /* there is no third */
	assert_int_equal(disk_control_store(machine, "d", "log", "off"), 0);
	assert_int_equal(disk_write(bdev, 0, in, 4096), 0);
	assert_shows(machine, "d", "log", "off entries=2 bytes=8192 counter=4\n");
	assert_int_equal(disk_control_store(machine, "d", "log", "clear"), 0);
	assert_int_equal(disk_control_store(machine, "d", "log", "on"), 0);
	assert_int_equal(disk_control_store(machine, "d", "log", "mark start here"), 0);
	assert_int_equal(write_log_find_mark(log, "start here", 0), 0);
	write_log_put(log);
	disk_close(machine, copy);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void end_and_complete(struct bio *bio)
{
	complete(bio->bi_private);
}

/* The record is emptied while a write is on its way below it: the write ends, and is not in the record. */
static void test_log_cleared_in_flight(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "log+delay+ram:1M?delay=1s", 0);
	struct completion done;
	struct write_log *log;
	struct bio *bio;

	assert_int_equal(write_log_get(machine, NULL, &log), 0);
	init_completion(&done);
	assert_int_equal(bio_alloc(bdev, 1, REQ_OP_WRITE, &bio), 0);
	bio_add_mem(bio, in, 4096);
	bio->bi_private = &done;
	bio->bi_end_io = end_and_complete;
	submit_bio(bio);
	machine_run_pending(machine);
	assert_int_equal(write_log_count(log), 1);
	assert_false(completion_done(&done));
	write_log_clear(log);
	assert_int_equal(write_log_mark(log, "in its place"), 0);
	wait_for_completion_io(&done);
	assert_int_equal(bio->bi_status, 0);
	bio_put(bio);
	assert_shows(machine, "d", "log", "on entries=1 bytes=13 counter=3\n");
	write_log_put(log);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

/* A write that cannot be recorded does not reach the disk. */
static void test_log_without_memory(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "d", "log+ram:1M", 0);
	unsigned failures = 0;
	bool injected = true;

	memset(in, 7, 4096);
	for (unsigned nth = 1; injected; nth++) {
		struct bio *bio;
		int err;

		assert_int_equal(bio_alloc(bdev, 1, REQ_OP_WRITE, &bio), 0);
		bio->bi_iter.bi_sector = nth * 8;
		bio_add_mem(bio, in, 4096);
		alloc_fail_set(machine, ALLOC_FAIL_NTH, nth, 0);
		err = submit_bio_wait(bio);
		injected = alloc_fail_injected(machine);
		alloc_fail_clear(machine);
		bio_put(bio);
		failures += err != 0;
		if (err)
			assert_int_equal(err, -ENOMEM);
		assert_int_equal(disk_read(bdev, nth * 8, out, 4096), 0);
		assert_true(all_bytes(out, 4096, err ? 0 : 7));
	}
	assert_true(failures >= 2);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

/* A failed write is in the log with its error; the log above a fault sees what the disk told. */
static void stack_check(unsigned threads)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, threads, 1);
	struct block_device *bdev =
		disk_open(machine, "d",
			  "log+delay+fault+cow+ram:1M?fault=op=write,start=0,end=0,error=EIO&delay=1ms", 0);
	struct write_log_entry e;
	struct write_log *log;

	assert_int_equal(write_log_get(machine, NULL, &log), 0);
	assert_int_equal(disk_write(bdev, 0, in, 512), -EIO);
	assert_int_equal(disk_write(bdev, 1, in, 512), 0);
	assert_int_equal(write_log_entry(log, 0, &e), 0);
	assert_int_equal(e.status, -EIO);
	assert_int_equal(write_log_entry(log, 1, &e), 0);
	assert_int_equal(e.status, 0);
	write_log_put(log);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_filters_stack(void **state)
{
	for (unsigned threads = 0; threads <= 2; threads++)
		stack_check(threads);
}

struct crowd {
	struct block_device *bdev;
	atomic_t turn;
};

static void crowd_member(void *arg)
{
	struct crowd *crowd = arg;
	unsigned me = atomic_fetch_add(1, &crowd->turn);
	u8 mine[512], back[512];

	for (unsigned i = 0; i < 100; i++) {
		fill_pattern(mine, sizeof(mine), me * 1000 + i);
		assert_int_equal(disk_write(crowd->bdev, i * 4 + me, mine, 512), 0);
		assert_int_equal(disk_read(crowd->bdev, i * 4 + me, back, 512), 0);
		assert_memory_equal(mine, back, 512);
	}
}

static void test_filters_many_threads(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct crowd crowd = {
		.bdev = disk_open(machine, "d", "log+fault+cow+ram:1M?fault=prob=0.3,delay=10us", 0)};

	test_run_threads(machine, 4, crowd_member, &crowd);
	disk_close(machine, crowd.bdev);
	drivers_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_error_by_op_and_range),
		cmocka_unit_test(test_fault_skip_and_count),
		cmocka_unit_test(test_fault_torn_and_shifted_writes),
		cmocka_unit_test(test_fault_probability_repeats_by_seed),
		cmocka_unit_test(test_fault_refuses_nonsense),
		cmocka_unit_test(test_delay_moves_the_clock_only),
		cmocka_unit_test(test_delay_with_threads),
		cmocka_unit_test(test_cow_leaves_the_lower_disk_alone),
		cmocka_unit_test(test_log_records_order_data_and_kind),
		cmocka_unit_test(test_log_replays_prefixes),
		cmocka_unit_test(test_log_cleared_in_flight),
		cmocka_unit_test(test_log_without_memory),
		cmocka_unit_test(test_filters_stack),
		cmocka_unit_test(test_filters_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
