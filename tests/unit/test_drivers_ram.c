/* SPDX-License-Identifier: MIT */
/*
 * Proves of D6 (drivers): the memory and null disks: what is written is read, what never was is zero,
 * discards free, and many threads at once do not meet.
 */
#include "drivers_machine.h"

#include "drivers/sparse_internal.h"

static void test_ram_holds_what_is_written(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct block_device *bdev = disk_open(machine, "ram0", "ram:64M", 0);
	static u8 in[64 * 1024], out[64 * 1024];

	assert_int_equal(bdev_nr_sectors(bdev), (64 << 20) / 512);
	fill_pattern(in, sizeof(in), 1);
	/* Begins and ends inside pages, and lies across the border of two groups (2 MiB). */
	assert_int_equal(disk_write(bdev, 4096 - 13, in, sizeof(in)), 0);
	assert_int_equal(disk_read(bdev, 4096 - 13, out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(disk_read(bdev, 4096 - 14, out, 512), 0);
	assert_true(all_bytes(out, 512, 0));
	assert_int_equal(disk_read(bdev, (64 << 11) - 1, out, 512), 0);
	assert_true(all_bytes(out, 512, 0));
	assert_int_equal(disk_read(bdev, 64 << 11, out, 512), -EIO); /* past the end */
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_ram_discard_gives_zeroes(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct block_device *bdev = disk_open(machine, "ram0", "ram:16M", 0);
	static u8 in[32768], out[32768];

	fill_pattern(in, sizeof(in), 2);
	assert_int_equal(disk_write(bdev, 8, in, sizeof(in)), 0);
	assert_int_equal(blkdev_issue_discard(bdev, 16, 32), 0);
	assert_int_equal(disk_read(bdev, 8, out, sizeof(out)), 0);
	assert_memory_equal(out, in, 4096);
	assert_true(all_bytes(out + 4096, 32 * 512, 0));
	assert_memory_equal(out + 4096 + 32 * 512, in + 4096 + 32 * 512, sizeof(in) - 4096 - 32 * 512);
	assert_int_equal(blkdev_issue_zeroout(bdev, 8, 3, 0), 0); /* a part of a page */
	assert_int_equal(disk_read(bdev, 8, out, 4096), 0);
	assert_true(all_bytes(out, 3 * 512, 0));
	assert_memory_equal(out + 3 * 512, in + 3 * 512, 5 * 512);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_sparse_counts_and_frees_pages(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	struct sparse_memory mem;
	static u8 in[16384], out[16384];

	assert_int_equal(sparse_init(machine, &mem, SPARSE_MAX_BYTES + 1), -EFBIG);
	assert_int_equal(sparse_init(machine, &mem, 1ULL << 40), 0);
	fill_pattern(in, sizeof(in), 3);
	assert_int_equal(sparse_write(&mem, (1ULL << 39) + 512, in, 8192), 0);
	assert_int_equal(mem.nr_pages_used, 3);
	assert_false(sparse_covers(&mem, 1ULL << 39, 4096));
	assert_true(sparse_covers(&mem, (1ULL << 39) + 512, 8192));
	memset(out, 0x55, sizeof(out));
	sparse_overlay(&mem, 1ULL << 39, out, 12288);
	assert_true(all_bytes(out, 512, 0x55));
	assert_memory_equal(out + 512, in, 8192);
	assert_true(all_bytes(out + 8704, 12288 - 8704, 0x55));
	/* Zeroed as a whole: no memory, but written. */
	assert_int_equal(sparse_zero(&mem, 1ULL << 39, 4096), 0);
	assert_int_equal(mem.nr_pages_used, 2);
	assert_true(sparse_covers(&mem, 1ULL << 39, 4096));
	assert_int_equal(sparse_write(&mem, (1ULL << 39) + 1024, in, 512), 0);
	sparse_read(&mem, 1ULL << 39, out, 4096);
	assert_true(all_bytes(out, 1024, 0));
	assert_memory_equal(out + 1024, in, 512);
	assert_true(all_bytes(out + 1536, 4096 - 1536, 0));
	sparse_discard(&mem, 0, 1ULL << 40);
	assert_int_equal(mem.nr_pages_used, 0);
	assert_false(sparse_covers(&mem, 1ULL << 39, 512));
	rcu_barrier(machine);
	sparse_destroy(&mem);
	test_machine_stop(&t);
}

/* Each allocation of a write fails in turn: an error, and a second try succeeds. */
static void test_sparse_survives_failing_allocations(void **state)
{
	struct test_machine t;
	struct shale *machine = test_machine_start(&t, 0, 1);
	static u8 in[16384], out[16384];
	unsigned failures = 0;
	int err = -ENOMEM;

	fill_pattern(in, sizeof(in), 4);
	for (unsigned nth = 1; err; nth++) {
		struct sparse_memory mem;

		alloc_fail_set(machine, ALLOC_FAIL_NTH, nth, 0);
		err = sparse_init(machine, &mem, 1 << 20);
		if (!err) {
			err = sparse_write(&mem, 512, in, sizeof(in));
			alloc_fail_clear(machine);
			assert_int_equal(sparse_write(&mem, 512, in, sizeof(in)), 0);
			sparse_read(&mem, 512, out, sizeof(out));
			assert_memory_equal(in, out, sizeof(in));
			sparse_destroy(&mem);
		}
		alloc_fail_clear(machine);
		if (err)
			assert_int_equal(err, -ENOMEM);
		failures += err != 0;
	}
	assert_int_equal(failures, 2 + 1 + 5); /* table and zero page; group; pages */
	test_machine_stop(&t);
}

struct crowd {
	struct block_device *bdev;
	atomic_t turn;
};

/* Writes, reads back and discards sectors of its own, next to those of others in the same pages. */
static void crowd_member(void *arg)
{
	struct crowd *crowd = arg;
	unsigned me = atomic_fetch_add(1, &crowd->turn);
	u8 in[512], out[512];

	for (unsigned i = 0; i < 400; i++) {
		sector_t sector = (i % 97) * 8 + me;

		fill_pattern(in, sizeof(in), me * 1000 + i);
		assert_int_equal(disk_write(crowd->bdev, sector, in, 512), 0);
		assert_int_equal(disk_read(crowd->bdev, sector, out, 512), 0);
		assert_memory_equal(in, out, 512);
		if (i % 5 == 0) {
			assert_int_equal(blkdev_issue_zeroout(crowd->bdev, sector, 1, 0), 0);
			assert_int_equal(disk_read(crowd->bdev, sector, out, 512), 0);
			assert_true(all_bytes(out, 512, 0));
		}
	}
}

static void test_ram_many_threads(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct crowd crowd = {.bdev = disk_open(machine, "ram0", "ram:1M", 0)};

	test_run_threads(machine, 4, crowd_member, &crowd);
	disk_close(machine, crowd.bdev);
	drivers_stop(&t);
}

static void test_null_reads_zeroes(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev = disk_open(machine, "null0", "null:1T", 0);
	u8 buf[4096];

	assert_int_equal(bdev_nr_sectors(bdev), 1ULL << 31);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(disk_write(bdev, 1ULL << 30, buf, sizeof(buf)), 0);
	assert_int_equal(disk_read(bdev, 1ULL << 30, buf, sizeof(buf)), 0);
	assert_true(all_bytes(buf, sizeof(buf), 0));
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_bad_sizes_are_refused(void **state)
{
	static const char *const bad[] = {"ram:",    "ram:x",  "ram:0",   "ram:511",
					  "ram:17T", "ram:-1", "null:1Q", "null:0"};
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	char why[256];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(disk_add(machine, "bad", bad[i], 0), -EINVAL);
		disk_last_error(machine, why, sizeof(why));
		assert_non_null(strstr(why, bad[i]));
	}
	drivers_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ram_holds_what_is_written),
		cmocka_unit_test(test_ram_discard_gives_zeroes),
		cmocka_unit_test(test_sparse_counts_and_frees_pages),
		cmocka_unit_test(test_sparse_survives_failing_allocations),
		cmocka_unit_test(test_ram_many_threads),
		cmocka_unit_test(test_null_reads_zeroes),
		cmocka_unit_test(test_bad_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
