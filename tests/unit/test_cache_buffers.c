/* SPDX-License-Identifier: MIT */
/*
 * Buffer heads over a disk in memory, and the device's page cache beside them: rows P2 and E1 (metadata
 * blocks are verified once).
 */
#include "drivers_machine.h"

#include "cache_fixture.h"

#include "cache/buffer_head.h"

#define DISK_BYTES (8u << 20)

/* The page cache of the one disk: what the bdev file system does in a whole machine. */
static struct address_space disk_mapping;

static int test_bdev_added(struct block_device *bdev)
{
	if (bdev_nr_bytes(bdev) != DISK_BYTES)
		return 0;
	address_space_init(&disk_mapping, bdev_machine(bdev), &blkdev_buffer_aops, NULL, bdev);
	disk_mapping.size = bdev_nr_bytes(bdev);
	bdev->bd_mapping = &disk_mapping;
	return 0;
}

static void test_bdev_removed(struct block_device *bdev)
{
	if (!bdev->bd_mapping)
		return;
	truncate_inode_pages_final(bdev->bd_mapping);
	address_space_destroy(bdev->bd_mapping);
	bdev->bd_mapping = NULL;
}

static const struct blk_upper_ops test_upper_ops = {
	.bdev_added = test_bdev_added,
	.bdev_removed = test_bdev_removed,
};

static u8 image[DISK_BYTES];

/* Every 512-byte sector says its number at its start. */
static struct block_device *start(struct drivers_machine *t, unsigned threads, const char *uri)
{
	struct shale *machine = drivers_start(t, threads, 3);
	struct block_device *bdev;

	machine->options.memory_limit = 16 << 20;
	assert_int_equal(cache_init(machine), 0);
	blk_set_upper_ops(machine, &test_upper_ops);
	bdev = disk_open(machine, "ram0", uri, 0);
	fill_pattern(image, sizeof(image), 9);
	for (u64 i = 0; i < DISK_BYTES / 512; i++)
		memcpy(image + i * 512, &i, 8);
	assert_int_equal(disk_write(bdev, 0, image, sizeof(image)), 0);
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

static atomic_t verified; /* how often the verifier ran */

static int number_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	u64 number;

	atomic_inc(&verified);
	memcpy(&number, bh->b_data, 8);
	if (number != bh->b_blocknr * (bh->b_size / 512))
		return -EUCLEAN;
	return owner == 13 ? -EBADMSG : 0;
}

static const struct buffer_verifier number_verifier = {"number", number_verify};

static void expect_block(struct block_device *bdev, u64 block, unsigned size)
{
	struct buffer_head *bh;

	assert_int_equal(bread(bdev, block, size, &number_verifier, NULL, block, &bh), 0);
	assert_int_equal(bh->b_size, size);
	assert_int_equal(bh->b_blocknr, block);
	assert_memory_equal(bh->b_data, image + block * size, size);
	brelse(bh);
}

static void test_block_sizes(void **state)
{
	for (unsigned threads = 0; threads < 3; threads += 2) {
		struct drivers_machine t;
		struct block_device *bdev = start(&t, threads, "ram:8M");
		struct buffer_head *bh;

		for (unsigned size = 512; size <= SZ_64K; size *= 2) {
			unsigned nr = DISK_BYTES / size;

			assert_int_equal(set_blocksize(bdev, size), 0);
			for (unsigned i = 0; i < nr; i += 1 + nr / 57)
				expect_block(bdev, i, size);
			expect_block(bdev, nr - 1, size);
			assert_int_equal(bread(bdev, nr, size, NULL, NULL, 0, &bh), -EIO);
			assert_int_equal(bread(bdev, ~0ull / size, size, NULL, NULL, 0, &bh), -EIO);
			assert_int_equal(bread(bdev, ~0ull, size, NULL, NULL, 0, &bh), -EIO);
			assert_int_equal(bread(bdev, 0, size == 512 ? 1024 : 512, NULL, NULL, 0, &bh),
					 -EINVAL);
		}
		assert_int_equal(set_blocksize(bdev, 256), -EINVAL);
		assert_int_equal(set_blocksize(bdev, SZ_128K), -EINVAL);
		assert_int_equal(set_blocksize(bdev, 3000), -EINVAL);
		stop(&t, bdev);
	}
}

static void test_verified_once(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:8M");
	struct buffer_head *bh, *again;

	assert_int_equal(set_blocksize(bdev, 1024), 0);
	atomic_set(&verified, 0);
	assert_int_equal(find_get_verified(bdev, 5, 1024, &number_verifier, 1, &bh), -ENOENT);
	assert_int_equal(bread(bdev, 5, 1024, &number_verifier, NULL, 1, &bh), 0);
	assert_int_equal(atomic_read(&verified), 1);
	assert_int_equal(bread(bdev, 5, 1024, &number_verifier, NULL, 1, &again), 0);
	assert_ptr_equal(bh, again);
	brelse(again);
	assert_int_equal(find_get_verified(bdev, 5, 1024, &number_verifier, 1, &again), 0);
	brelse(again);
	assert_int_equal(atomic_read(&verified), 1);
	/* Another owner: verified anew, and by its answer refused, also from the cache. */
	assert_int_equal(find_get_verified(bdev, 5, 1024, &number_verifier, 2, &again), -ENOENT);
	assert_int_equal(bread(bdev, 5, 1024, &number_verifier, NULL, 13, &again), -EBADMSG);
	assert_int_equal(bread(bdev, 5, 1024, &number_verifier, NULL, 13, &again), -EBADMSG);
	assert_int_equal(atomic_read(&verified), 3);
	/* Any content will do without a verifier. */
	assert_int_equal(find_get_verified(bdev, 5, 1024, NULL, 0, &again), 0);
	brelse(again);
	brelse(bh);
	stop(&t, bdev);
}

static void test_held_buffer_stays(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 2, "ram:8M");
	struct buffer_head *bh;

	assert_int_equal(set_blocksize(bdev, 1024), 0);
	assert_int_equal(bread(bdev, 77, 1024, NULL, NULL, 0, &bh), 0);
	expect_block(bdev, 1000, 1024);
	drop_caches(t.machine);
	assert_int_equal(disk_mapping.nrpages, 1);
	assert_memory_equal(bh->b_data, image + 77 * 1024, 1024);
	/* Another block size takes the folio out of the index; the holder keeps the memory. */
	assert_int_equal(set_blocksize(bdev, 4096), 0);
	assert_int_equal(disk_mapping.nrpages, 0);
	assert_memory_equal(bh->b_data, image + 77 * 1024, 1024);
	brelse(bh);
	stop(&t, bdev);
}

static void test_readahead_of_blocks(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 2, "ram:8M");
	struct buffer_head *bh;

	assert_int_equal(set_blocksize(bdev, 2048), 0);
	breadahead(bdev, 100, 64, 2048);
	breadahead(bdev, DISK_BYTES / 2048 - 3, 64, 2048); /* over the end */
	for (unsigned i = 100; i < 164; i++) {
		assert_int_equal(bread(bdev, i, 2048, NULL, NULL, 0, &bh), 0);
		assert_memory_equal(bh->b_data, image + i * 2048, 2048);
		brelse(bh);
		assert_int_equal(find_get_verified(bdev, i, 2048, NULL, 0, &bh), 0);
		brelse(bh);
	}
	stop(&t, bdev);
}

/* The device's file and its buffers are one cache. */
static void test_file_beside_buffers(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 2, "ram:8M");
	u8 *buf = malloc(DISK_BYTES);
	struct file_ra_state ra;
	struct iov_iter to;
	loff_t pos = 12345;

	assert_int_equal(set_blocksize(bdev, 1024), 0);
	for (unsigned i = 0; i < 2000; i += 3)
		expect_block(bdev, i, 1024);
	file_ra_state_init(&ra, &disk_mapping);
	iov_iter_ubuf(&to, ITER_DEST, buf, DISK_BYTES);
	assert_int_equal(filemap_read(&disk_mapping, &ra, &pos, &to, 0), DISK_BYTES - 12345);
	assert_memory_equal(buf, image + 12345, DISK_BYTES - 12345);
	for (unsigned i = 1; i < 8000; i += 37)
		expect_block(bdev, i, 1024);
	free(buf);
	stop(&t, bdev);
}

static void test_io_errors(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "fault+ram:8M");
	struct buffer_head *bh;
	char buf[512];
	struct file_ra_state ra;
	struct iov_iter to;
	loff_t pos = 0;

	assert_int_equal(set_blocksize(bdev, 1024), 0);
	assert_int_equal(
		disk_control_store(t.machine, "ram0", "fault", "add op=read start=10 end=11 error=EIO"), 0);
	assert_int_equal(bread(bdev, 5, 1024, NULL, NULL, 0, &bh), -EIO);
	assert_int_equal(bread(bdev, 5, 1024, NULL, NULL, 0, &bh), -EIO);
	expect_block(bdev, 4, 1024); /* its neighbour in the same page */
	iov_iter_ubuf(&to, ITER_DEST, buf, sizeof(buf));
	file_ra_state_init(&ra, &disk_mapping);
	pos = 4096;
	assert_int_equal(filemap_read(&disk_mapping, &ra, &pos, &to, 0), sizeof(buf)); /* block 4 is there */
	pos = 5 * 1024;
	iov_iter_ubuf(&to, ITER_DEST, buf, sizeof(buf));
	assert_int_equal(filemap_read(&disk_mapping, &ra, &pos, &to, 0), -EIO);
	assert_int_equal(disk_control_store(t.machine, "ram0", "fault", "clear"), 0);
	expect_block(bdev, 5, 1024);
	stop(&t, bdev);
}

static void test_every_allocation_fails(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:8M");
	u64 injected, n = 1;

	assert_int_equal(set_blocksize(bdev, 1024), 0);
	do {
		struct buffer_head *bh;
		int err;

		drop_caches(t.machine);
		alloc_fail_set(t.machine, ALLOC_FAIL_FROM, n++, 0);
		err = bread(bdev, 500, 1024, NULL, NULL, 0, &bh);
		injected = alloc_fail_injected(t.machine);
		alloc_fail_clear(t.machine);
		assert_true(err == 0 || err == -ENOMEM);
		if (!err)
			brelse(bh);
	} while (injected && n < 100);
	assert_true(n > 2 && n < 100);
	stop(&t, bdev);
}

struct readers {
	struct block_device *bdev;
	atomic_t n, bad;
};

static void buffer_reader(void *arg)
{
	struct readers *r = arg;
	u64 x = atomic_fetch_add(1, &r->n) * 1111 + 7;

	for (unsigned i = 0; i < 3000; i++) {
		struct buffer_head *bh;
		u64 block;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		block = (x >> 33) % (DISK_BYTES / 1024);
		if (i % 500 == 77)
			drop_caches(r->bdev->bd_mapping->machine);
		if (i % 50 == 3)
			breadahead(r->bdev, block, 16, 1024);
		if (bread(r->bdev, block, 1024, &number_verifier, NULL, block & 1, &bh)) {
			atomic_inc(&r->bad);
			continue;
		}
		if (memcmp(bh->b_data, image + block * 1024, 1024))
			atomic_inc(&r->bad);
		brelse(bh);
	}
}

static void test_readers_beside_reclaim(void **state)
{
	struct drivers_machine t;
	struct readers r = {.bdev = start(&t, 2, "ram:8M")};

	assert_int_equal(set_blocksize(r.bdev, 1024), 0);
	test_run_threads(t.machine, 4, buffer_reader, &r);
	assert_int_equal(atomic_read(&r.bad), 0);
	stop(&t, r.bdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_sizes),
		cmocka_unit_test(test_verified_once),
		cmocka_unit_test(test_held_buffer_stays),
		cmocka_unit_test(test_readahead_of_blocks),
		cmocka_unit_test(test_file_beside_buffers),
		cmocka_unit_test(test_io_errors),
		cmocka_unit_test(test_every_allocation_fails),
		cmocka_unit_test(test_readers_beside_reclaim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
