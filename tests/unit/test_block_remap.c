/* SPDX-License-Identifier: MIT */
/*
 * A device with some blocks from elsewhere, beside a model of it in memory: row E1 (replay for reading).
 */
#include "drivers_machine.h"

#include "cache_fixture.h"

#include "block/remap.h"
#include "cache/buffer_head.h"

#define DISK_BYTES (4u << 20)

static int test_bdev_added(struct block_device *bdev)
{
	struct address_space *mapping = kzalloc(bdev_machine(bdev), sizeof(*mapping));

	if (!mapping)
		return -ENOMEM;
	address_space_init(mapping, bdev_machine(bdev), &blkdev_buffer_aops, NULL, bdev);
	mapping->size = bdev_nr_bytes(bdev);
	bdev->bd_mapping = mapping;
	return 0;
}

static void test_bdev_removed(struct block_device *bdev)
{
	truncate_inode_pages_final(bdev->bd_mapping);
	address_space_destroy(bdev->bd_mapping);
	kfree(bdev->bd_mapping);
	bdev->bd_mapping = NULL;
}

static const struct blk_upper_ops test_upper_ops = {
	.bdev_added = test_bdev_added,
	.bdev_removed = test_bdev_removed,
};

static u8 image[DISK_BYTES], model[DISK_BYTES], seen[DISK_BYTES];

static struct block_device *start(struct drivers_machine *t, unsigned threads, const char *uri)
{
	struct shale *machine = drivers_start(t, threads, 5);
	struct block_device *bdev;

	machine->options.memory_limit = 16 << 20;
	assert_int_equal(cache_init(machine), 0);
	blk_set_upper_ops(machine, &test_upper_ops);
	bdev = disk_open(machine, "ram0", uri, 0);
	fill_pattern(image, sizeof(image), 9);
	assert_int_equal(disk_write(bdev, 0, image, sizeof(image)), 0);
	memcpy(model, image, sizeof(model));
	return bdev;
}

static void stop(struct drivers_machine *t, struct block_device *bdev)
{
	struct shale *machine = t->machine;

	disk_close(machine, bdev);
	blk_set_upper_ops(machine, NULL);
	assert_int_equal(arena_in_folios(machine), 0);
	cache_exit(machine);
	drivers_stop(t);
}

/* Fills remap and model alike: additions, later ones over earlier ones, and copies that are changed. */
static void fill(struct shale *machine, struct blk_remap *remap, unsigned size, unsigned nr)
{
	u64 blocks = DISK_BYTES / size;

	for (unsigned i = 0; i < nr; i++) {
		u64 block = prandom_below(machine, blocks), from = prandom_below(machine, blocks);
		u64 run = prandom_below(machine, 4) ? 1 : prandom_below(machine, 20);
		void *data;

		if (i % 5 == 4) {
			assert_int_equal(blk_remap_copy(remap, block, &data), 0);
			assert_memory_equal(data, model + block * size, size);
			memcpy(data, &i, sizeof(i));
			memcpy(model + block * size, &i, sizeof(i));
			continue;
		}
		if (i % 11 == 10) {
			blk_remap_forget(remap, block);
			memcpy(model + block * size, image + block * size, size);
			continue;
		}
		for (; run && block < blocks && from < blocks; run--, block++, from++) {
			assert_int_equal(blk_remap_add(remap, block, from), 0);
			memcpy(model + block * size, image + from * size, size);
		}
	}
}

/* Random runs of sectors by bios, then everything by one bio. */
static void expect_model(struct shale *machine, struct block_device *bdev)
{
	for (unsigned i = 0; i < 300; i++) {
		u64 first = prandom_below(machine, DISK_BYTES / 512);
		u64 count = 1 + prandom_below(machine, min(DISK_BYTES / 512 - first, i % 3 ? 16ull : 600ull));

		assert_int_equal(disk_read(bdev, first, seen, count * 512), 0);
		assert_memory_equal(seen, model + first * 512, count * 512);
	}
	assert_int_equal(disk_read(bdev, 0, seen, DISK_BYTES), 0);
	assert_memory_equal(seen, model, DISK_BYTES);
}

static void expect_cached(struct shale *machine, struct block_device *bdev, unsigned size)
{
	assert_int_equal(set_blocksize(bdev, size), 0);
	for (unsigned i = 0; i < 300; i++) {
		u64 block = prandom_below(machine, DISK_BYTES / size);
		struct buffer_head *bh;

		assert_int_equal(bread(bdev, block, size, NULL, NULL, 0, &bh), 0);
		assert_memory_equal(bh->b_data, model + block * size, size);
		brelse(bh);
	}
}

static void test_shows_the_model(void **state)
{
	static const unsigned sizes[] = {512, 1024, 4096, SZ_64K};

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		unsigned size = sizes[i / 2];
		struct drivers_machine t;
		struct block_device *lower =
			start(&t, i % 2 * 2, i % 2 ? "delay+ram:4M?delay=1us" : "ram:4M");
		struct block_device *bdev, *same;
		struct blk_remap *remap;

		assert_int_equal(blk_remap_create(lower, size, &remap), 0);
		fill(t.machine, remap, size, 600);
		assert_int_equal(blk_remap_device(remap, &bdev), 0);
		assert_int_equal(blk_remap_device(remap, &same), 0);
		assert_ptr_equal(bdev, same);
		assert_int_equal(bdev_nr_sectors(bdev), bdev_nr_sectors(lower));
		expect_model(t.machine, bdev);
		expect_cached(t.machine, bdev, size);
		blk_remap_destroy(remap);
		/* The device below has not changed. */
		assert_int_equal(disk_read(lower, 0, seen, DISK_BYTES), 0);
		assert_memory_equal(seen, image, DISK_BYTES);
		stop(&t, lower);
	}
}

static void many_entries(bool reserve)
{
	struct drivers_machine t;
	struct block_device *lower = start(&t, 0, "ram:4M"), *bdev;
	u64 blocks = DISK_BYTES / 512, copies;
	struct blk_remap *remap;

	assert_int_equal(blk_remap_create(lower, 512, &remap), 0);
	if (reserve) {
		long before = machine_charged(t.machine);

		assert_int_equal(blk_remap_reserve(remap, blocks), 0);
		assert_in_range(machine_charged(t.machine) - before, blocks * 16, blocks * 22);
		/* Nothing more is taken. */
		alloc_fail_set(t.machine, ALLOC_FAIL_FROM, 1, 0);
	}
	for (u64 i = 0; i < blocks; i++)
		assert_int_equal(blk_remap_add(remap, i, blocks - 1 - i), 0);
	alloc_fail_clear(t.machine);
	assert_int_equal(blk_remap_count(remap, &copies), blocks);
	assert_int_equal(copies, 0);
	for (u64 i = 0; i < blocks; i++)
		memcpy(model + i * 512, image + (blocks - 1 - i) * 512, 512);
	assert_int_equal(blk_remap_device(remap, &bdev), 0);
	expect_model(t.machine, bdev);
	blk_remap_destroy(remap);
	stop(&t, lower);
}

static void test_many_entries(void **state)
{
	for (unsigned i = 0; i < 2; i++)
		many_entries(i);
}

static void test_refusals(void **state)
{
	struct drivers_machine t;
	struct block_device *lower = start(&t, 0, "ram:4M"), *bdev;
	u64 blocks = DISK_BYTES / 1024;
	struct blk_remap *remap;
	long before;
	void *data;

	assert_int_equal(blk_remap_create(lower, 256, &remap), -EINVAL);
	assert_int_equal(blk_remap_create(lower, 3000, &remap), -EINVAL);
	assert_int_equal(blk_remap_create(lower, SZ_128K, &remap), -EINVAL);
	before = machine_charged(t.machine);
	assert_int_equal(blk_remap_create(lower, 1024, &remap), 0);
	assert_int_equal(blk_remap_add(remap, blocks, 1), -EINVAL);
	assert_int_equal(blk_remap_add(remap, 1, blocks), -EINVAL);
	assert_int_equal(blk_remap_add(remap, ~0ull, 1), -EINVAL);
	assert_int_equal(blk_remap_copy(remap, blocks, &data), -EINVAL);
	blk_remap_forget(remap, blocks);
	assert_int_equal(blk_remap_copy(remap, 7, &data), 0);
	assert_true(machine_charged(t.machine) >= before + 1024);
	assert_int_equal(blk_remap_device(remap, &bdev), 0);
	assert_int_equal(disk_write(bdev, 0, seen, 512), -EROFS);
	assert_int_equal(blkdev_issue_discard(bdev, 0, 8), -EPERM);
	assert_int_equal(blkdev_issue_flush(bdev), 0);
	assert_int_equal(disk_read(bdev, DISK_BYTES / 512, seen, 512), -EIO);
	blk_remap_destroy(remap);
	blk_remap_destroy(NULL);
	assert_int_equal(machine_charged(t.machine), before);
	stop(&t, lower);
}

static void test_memory_is_bounded(void **state)
{
	struct drivers_machine t;
	struct block_device *lower = start(&t, 0, "ram:4M");
	struct blk_remap *remap;
	int err = 0;
	u64 nr = 0;
	void *data;

	t.machine->options.memory_limit = 2 << 20;
	assert_int_equal(blk_remap_create(lower, 4096, &remap), 0);
	for (; !err && nr < DISK_BYTES / 4096; nr++)
		err = blk_remap_copy(remap, nr, &data);
	assert_int_equal(err, -ENOMEM);
	assert_in_range(nr, 100, 260);
	t.machine->options.memory_limit = 16 << 20;
	blk_remap_destroy(remap);
	stop(&t, lower);
}

static void test_errors_come_through(void **state)
{
	struct drivers_machine t;
	struct block_device *lower = start(&t, 2, "fault+ram:4M?fault=op=read,start=800,end=801,error=EIO"),
			    *bdev;
	struct blk_remap *remap;
	void *data;

	assert_int_equal(blk_remap_create(lower, 1024, &remap), 0);
	assert_int_equal(blk_remap_add(remap, 10, 400), 0);
	assert_int_equal(blk_remap_copy(remap, 10, &data), -EIO);
	assert_int_equal(blk_remap_device(remap, &bdev), 0);
	assert_int_equal(disk_read(bdev, 0, seen, SZ_64K), -EIO);
	assert_int_equal(disk_read(bdev, 22, seen, SZ_64K), 0);
	blk_remap_destroy(remap);
	stop(&t, lower);
}

static void test_every_allocation_fails(void **state)
{
	struct drivers_machine t;
	struct block_device *lower = start(&t, 0, "ram:4M"), *bdev;
	struct blk_remap *remap;

	for (u64 nth = 1;; nth++) {
		void *data;
		int err;

		alloc_fail_set(t.machine, ALLOC_FAIL_NTH, nth, 0);
		err = blk_remap_create(lower, 1024, &remap);
		if (err)
			remap = NULL;
		for (u64 i = 0; !err && i < 1000; i++)
			err = blk_remap_add(remap, i, i + 1);
		if (!err)
			err = blk_remap_copy(remap, 5, &data);
		if (!err)
			err = blk_remap_device(remap, &bdev);
		alloc_fail_clear(t.machine);
		if (!err)
			assert_int_equal(disk_read(bdev, 0, seen, SZ_64K), 0);
		blk_remap_destroy(remap);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_in_range(nth, 1, 200);
	}
	stop(&t, lower);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shows_the_model),
		cmocka_unit_test(test_many_entries),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_errors_come_through),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
