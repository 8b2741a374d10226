/* SPDX-License-Identifier: MIT */
/*
 * Writes of a file whose blocks are made when they are written, anywhere on a disk full of garbage: buffered
 * and direct, zeroed, truncated, punched, written out, against a model of its bytes: rows P5 and P6.
 */
#include "drivers_machine.h"

#include "cache_fixture.h"

#include "base/alloc.h"
#include "cache/writeback.h"
#include "iomap/iomap.h"

#include <errno.h>

#define DISK_BYTES  (4u << 20)
#define FILE_MOST   (600u << 10)
#define BLOCKS_MOST 600 /* of 1 KiB */

/* Each block of the file is a hole, unwritten or written, at a place of the disk. */
struct test_file {
	struct inode inode;
	struct file file;
	struct block_device *bdev;
	struct file_ra_state ra;
	u64 place[BLOCKS_MOST]; /* bytes; 0: a hole */
	bool written[BLOCKS_MOST];
	bool unwritten_first; /* new blocks are unwritten until end_io; else new and mapped */
	u64 next;             /* place of the next block */
	u64 model_size;
	u8 model[FILE_MOST];
	spinlock_t lock; /* guards place, written, generation */
	u64 generation;
	u64 rnd;
	atomic_t conversions;
	int fail_map; /* map_blocks and iomap_begin for writing fail with this */
};

static unsigned block_size(const struct test_file *f)
{
	return 1u << f->inode.i_blkbits;
}

static struct test_file *file_of(struct inode *inode)
{
	return container_of(inode, struct test_file, inode);
}

/* Mostly behind the last one, so that bios join runs. */
static u64 new_place(struct test_file *f)
{
	u64 at = f->next;

	if (splitmix64(&f->rnd) % 8 == 0)
		at += block_size(f) * (splitmix64(&f->rnd) % 5);
	f->next = at + block_size(f);
	assert_true(f->next <= DISK_BYTES);
	return at;
}

static u16 block_type(const struct test_file *f, u64 i)
{
	return !f->place[i] ? IOMAP_HOLE : f->written[i] ? IOMAP_MAPPED : IOMAP_UNWRITTEN;
}

static void map_run(struct test_file *f, u64 pos, u64 length, struct iomap *map)
{
	u64 size = block_size(f), first = pos / size, last = (pos + length - 1) / size, i = first;
	u16 type = block_type(f, first);

	while (i < last && block_type(f, i + 1) == type &&
	       (type == IOMAP_HOLE || f->place[i + 1] == f->place[i] + size))
		i++;
	*map = (struct iomap){.addr = type == IOMAP_HOLE ? IOMAP_NULL_ADDR : f->place[first],
			      .offset = first * size,
			      .length = (i + 1 - first) * size,
			      .type = type,
			      .bdev = f->bdev,
			      .private = (void *)(uintptr_t)f->generation};
}

static int test_begin(struct inode *inode, u64 pos, u64 length, unsigned flags, struct iomap *map,
		      struct iomap *srcmap)
{
	struct test_file *f = file_of(inode);
	u64 size = block_size(f), first = pos / size;
	scoped_spin_lock(&f->lock);

	length = min_t(u64, length, (u64)BLOCKS_MOST * size - pos);
	map_run(f, pos, length, map);
	if (!(flags & IOMAP_WRITE) || flags & IOMAP_ZERO || map->type != IOMAP_HOLE)
		return 0;
	if (f->fail_map)
		return f->fail_map;
	/* One run: what is told as new now is not when it is asked for again. */
	for (u64 i = first; i < first + map->length / size; i++) {
		u64 at = f->next;

		if (i == first)
			at = new_place(f);
		else
			f->next += size;
		f->place[i] = at;
		f->written[i] = !f->unwritten_first;
	}
	map_run(f, pos, map->offset + map->length - pos, map);
	if (!f->unwritten_first)
		map->flags |= IOMAP_F_NEW;
	return 0;
}

static bool test_valid(struct inode *inode, const struct iomap *map)
{
	return READ_ONCE(file_of(inode)->generation) == (uintptr_t)map->private;
}

static const struct iomap_ops test_ops = {.iomap_begin = test_begin, .iomap_valid = test_valid};

static int test_map_blocks(struct inode *inode, u64 pos, u64 len, struct iomap *map)
{
	struct test_file *f = file_of(inode);
	scoped_spin_lock(&f->lock);

	if (f->fail_map)
		return f->fail_map;
	map_run(f, pos, len, map);
	assert_int_not_equal(map->type, IOMAP_HOLE);
	return 0;
}

static void mark_written(struct test_file *f, u64 pos, u64 len)
{
	scoped_spin_lock(&f->lock);
	for (u64 i = pos / block_size(f); i <= (pos + len - 1) / block_size(f); i++)
		f->written[i] = true;
	WRITE_ONCE(f->generation, f->generation + 1);
}

static int test_end_io(struct inode *inode, u64 pos, u64 len, unsigned type)
{
	assert_int_equal(type, IOMAP_UNWRITTEN);
	atomic_inc(&file_of(inode)->conversions);
	mark_written(file_of(inode), pos, len);
	return 0;
}

static const struct iomap_writeback_ops test_writeback = {
	.map_blocks = test_map_blocks, .iomap_valid = test_valid, .end_io = test_end_io};

static int test_dio_end_io(struct kiocb *iocb, s64 size, int error, unsigned flags)
{
	struct test_file *f = file_of(iocb->ki_filp->f_inode);

	if (error || !size)
		return error;
	mark_written(f, (u64)iocb->ki_pos, (u64)size);
	if ((u64)iocb->ki_pos + (u64)size > i_size_read(&f->inode))
		i_size_write(&f->inode, (u64)iocb->ki_pos + (u64)size);
	return 0;
}
static const struct iomap_dio_ops test_dio_ops = {.end_io = test_dio_end_io};

static int test_read_folio(struct address_space *mapping, struct folio *folio)
{
	return iomap_read_folio(folio, mapping->host, &test_ops);
}
static void test_readahead(struct readahead_control *rac)
{
	iomap_readahead(rac, rac->mapping->host, &test_ops);
}
static int test_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	return iomap_writepages(mapping, wbc, mapping->host, &test_writeback);
}
static const struct address_space_operations test_aops = {
	.read_folio = test_read_folio,
	.readahead = test_readahead,
	.writepages = test_writepages,
	.is_partially_uptodate = iomap_is_partially_uptodate,
	.invalidate_folio = iomap_invalidate_folio,
	.release_folio = iomap_release_folio,
};

static struct test_file *file_start(struct shale *machine, struct block_device *bdev, unsigned blkbits,
				    unsigned max_order, bool unwritten_first, u64 seed)
{
	struct test_file *f = calloc(1, sizeof(*f));

	f->bdev = bdev;
	f->rnd = seed;
	f->next = 1u << blkbits;
	f->unwritten_first = unwritten_first;
	spin_lock_init(&f->lock);
	f->inode.i_blkbits = blkbits;
	f->inode.i_mapping = &f->inode.i_data;
	init_rwsem(&f->inode.i_rwsem);
	address_space_init(&f->inode.i_data, machine, &test_aops, NULL, &f->inode);
	f->inode.i_data.blkbits = blkbits;
	f->inode.i_data.max_order = max_order;
	f->file.f_inode = &f->inode;
	f->file.f_mapping = &f->inode.i_data;
	f->file.f_machine = machine;
	file_ra_state_init(&f->ra, &f->inode.i_data);
	return f;
}

static void file_end(struct test_file *f)
{
	truncate_inode_pages_final(&f->inode.i_data);
	address_space_destroy(&f->inode.i_data);
	free(f);
}

/* Beyond the old end a write begins in zeroes. */
static void extend_to(struct test_file *f, u64 pos)
{
	u64 size = i_size_read(&f->inode);

	if (pos > size)
		assert_int_equal(iomap_zero_range(&f->inode, size, pos - size, NULL, &test_ops), 0);
}

static void do_write(struct test_file *f, u64 pos, size_t len)
{
	struct kiocb iocb = {.ki_filp = &f->file, .ki_pos = (loff_t)pos};
	u8 *buf = malloc(len);
	struct iov_iter from;

	for (size_t i = 0; i < len; i++)
		buf[i] = (u8)splitmix64(&f->rnd);
	memcpy(f->model + pos, buf, len);
	f->model_size = max(f->model_size, pos + len);
	iov_iter_ubuf(&from, ITER_SOURCE, buf, len);
	extend_to(f, pos);
	assert_int_equal(iomap_file_buffered_write(&iocb, &from, &test_ops), len);
	assert_int_equal(iocb.ki_pos, pos + len);
	assert_int_equal(i_size_read(&f->inode), f->model_size);
	free(buf);
}

static void do_direct(struct test_file *f, u64 pos, size_t len)
{
	struct kiocb iocb = {.ki_filp = &f->file, .ki_pos = (loff_t)pos, .ki_flags = IOCB_DIRECT};
	struct iov_iter from;
	u8 *buf;

	pos = iocb.ki_pos = (loff_t)round_down(pos, (u64)512);
	len = round_up(len, (size_t)512);
	if (pos + len > FILE_MOST)
		return;
	buf = aligned_alloc(4096, round_up(len, (size_t)4096));
	for (size_t i = 0; i < len; i++)
		buf[i] = (u8)splitmix64(&f->rnd);
	memcpy(f->model + pos, buf, len);
	f->model_size = max(f->model_size, pos + len);
	iov_iter_ubuf(&from, ITER_SOURCE, buf, len);
	extend_to(f, pos);
	assert_int_equal(iomap_dio_write(&iocb, &from, &test_ops, &test_dio_ops), len);
	free(buf);
}

static void free_blocks(struct test_file *f, u64 first, u64 end)
{
	scoped_spin_lock(&f->lock);
	for (u64 i = first; i < end; i++)
		f->place[i] = f->written[i] = 0;
	WRITE_ONCE(f->generation, f->generation + 1);
}

static void do_truncate(struct test_file *f, u64 size)
{
	struct address_space *m = &f->inode.i_data;

	if (size > f->model_size) {
		extend_to(f, size);
	} else {
		assert_int_equal(iomap_truncate_page(&f->inode, size, NULL, &test_ops), 0);
		/* What lies past the end is not written: now it is on the disk while it still is in the file.
		 */
		assert_int_equal(filemap_write_and_wait(m), 0);
		memset(f->model + size, 0, FILE_MOST - size);
	}
	down_write(&m->invalidate_lock);
	i_size_write(&f->inode, size);
	truncate_pagecache(m, size);
	free_blocks(f, DIV_ROUND_UP(size, block_size(f)), BLOCKS_MOST);
	up_write(&m->invalidate_lock);
	f->model_size = size;
}

static void do_punch(struct test_file *f, u64 pos, u64 len)
{
	struct address_space *m = &f->inode.i_data;
	u64 size = block_size(f), end = min(pos + len, f->model_size), first, last;

	if (pos >= end)
		return;
	memset(f->model + pos, 0, end - pos);
	first = round_up(pos, size);
	last = end == f->model_size ? round_up(end, size) : round_down(end, size);
	if (first >= last) {
		assert_int_equal(iomap_zero_range(&f->inode, pos, end - pos, NULL, &test_ops), 0);
		return;
	}
	if (pos < first)
		assert_int_equal(iomap_zero_range(&f->inode, pos, first - pos, NULL, &test_ops), 0);
	if (last < end)
		assert_int_equal(iomap_zero_range(&f->inode, last, end - last, NULL, &test_ops), 0);
	down_write(&m->invalidate_lock);
	truncate_inode_pages_range(m, first, last - 1);
	free_blocks(f, first / size, last / size);
	up_write(&m->invalidate_lock);
}

static void expect_read(struct test_file *f, u64 pos, size_t len)
{
	u8 *buf = malloc(len + 1);
	struct iov_iter to;
	loff_t at = (loff_t)pos;
	ssize_t got;

	iov_iter_ubuf(&to, ITER_DEST, buf, len);
	got = filemap_read(f->inode.i_mapping, &f->ra, &at, &to, 0);
	assert_int_equal(got, pos >= f->model_size ? 0 : min_t(u64, len, f->model_size - pos));
	for (ssize_t i = 0; i < got; i++)
		if (buf[i] != f->model[pos + i])
			fail_msg("byte %llu is %#x, not %#x", (unsigned long long)(pos + i), buf[i],
				 f->model[pos + i]);
	free(buf);
}

/* Past the cache: what the blocks hold, after everything was written out. */
static void expect_disk(struct test_file *f)
{
	u64 size = block_size(f);
	u8 *buf = malloc(size);

	assert_int_equal(filemap_write_and_wait(f->inode.i_mapping), 0);
	for (u64 i = 0; i * size < f->model_size; i++) {
		size_t len = min_t(u64, size, f->model_size - i * size);

		memset(buf, 0, size);
		if (block_type(f, i) == IOMAP_MAPPED)
			assert_int_equal(disk_read(f->bdev, f->place[i] / 512, buf, (unsigned)size), 0);
		if (memcmp(buf, f->model + i * size, len))
			fail_msg("block %llu on the disk is not what the file has", (unsigned long long)i);
	}
	free(buf);
}

static struct block_device *start(struct drivers_machine *t, unsigned threads, const char *uri, u64 limit)
{
	struct shale *machine = drivers_start(t, threads, 3);
	struct block_device *bdev;
	u8 *garbage = malloc(DISK_BYTES);

	machine->options.memory_limit = limit;
	assert_int_equal(cache_init(machine), 0);
	bdev = disk_open(machine, "ram0", uri, 0);
	fill_pattern(garbage, DISK_BYTES, 9);
	assert_int_equal(disk_write(bdev, 0, garbage, DISK_BYTES), 0);
	free(garbage);
	return bdev;
}

static void stop(struct drivers_machine *t, struct block_device *bdev)
{
	struct cache_machine *cache = t->machine->cache;

	assert_int_equal(vm_read(cache, VM_nr_dirty), 0);
	assert_int_equal(vm_read(cache, VM_nr_writeback), 0);
	disk_close(t->machine, bdev);
	assert_int_equal(arena_in_folios(t->machine), 0);
	cache_exit(t->machine);
	drivers_stop(t);
}

static void random_op(struct test_file *f, u64 *rnd)
{
	u64 at = splitmix64(rnd) % (FILE_MOST - 70000),
	    len = 1 + splitmix64(rnd) % (splitmix64(rnd) % 4 ? 5000 : 66000);

	if (splitmix64(rnd) % 3 == 0)
		at = round_down(at, (u64)4096);
	switch (splitmix64(rnd) % 16) {
	case 0:
		do_truncate(f, splitmix64(rnd) % 3 ? at : f->model_size / 2);
		break;
	case 1:
		do_punch(f, at, len);
		break;
	case 2:
	case 3:
		do_direct(f, at, len);
		break;
	case 4:
		(void)filemap_flush_range(f->inode.i_mapping, at, at + len);
		break;
	case 5:
		assert_int_equal(filemap_write_and_wait_range(f->inode.i_mapping, at, at + len), 0);
		break;
	case 6:
		drop_caches(f->inode.i_data.machine);
		break;
	case 7:
	case 8:
	case 9:
		expect_read(f, at, len);
		break;
	default:
		do_write(f, at, len);
	}
}

static void test_histories(void **state)
{
	unsigned rounds = getenv("IOMAP_ROUNDS") ? (unsigned)atoi(getenv("IOMAP_ROUNDS")) : 24;

	for (unsigned i = 0; i < rounds; i++) {
		struct drivers_machine t;
		struct block_device *bdev =
			start(&t, i % 4 == 3 ? 2 : 0, i % 2 ? "delay+ram:4M?delay=1ms" : "ram:4M", 8 << 20);
		unsigned blkbits = i % 3 ? 10 + i % 3 : 12;
		struct test_file *f = file_start(t.machine, bdev, blkbits, i / 3 % 3 * 3, i & 1, i);
		u64 rnd = i * 77 + 1;

		/* Places are used once: so many operations as the disk has room for. */
		for (unsigned j = 0; j < 150 && f->next < DISK_BYTES - FILE_MOST - (128 << 10); j++)
			random_op(f, &rnd);
		expect_read(f, 0, FILE_MOST);
		expect_disk(f);
		file_end(f);
		stop(&t, bdev);
	}
}

/* Only what was written gets blocks: a small write in a large cached folio dirties its own blocks. */
static void test_blocks(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:4M", 8 << 20);
	struct test_file *f = file_start(t.machine, bdev, 10, 4, true, 1);
	unsigned blocks = 0;

	do_truncate(f, 200 << 10);
	expect_read(f, 0, 200 << 10); /* large folios, up to date, holes */
	do_write(f, 70000, 10);
	do_write(f, 100 << 10, 2048);
	assert_int_equal(filemap_write_and_wait(f->inode.i_mapping), 0);
	for (unsigned i = 0; i < BLOCKS_MOST; i++)
		blocks += f->place[i] != 0;
	assert_int_equal(blocks, 3);
	assert_int_equal(atomic_read(&f->conversions), 2);
	expect_disk(f);
	/* Data and holes: unwritten blocks are data as far as the cache has some. */
	assert_int_equal(iomap_seek_data(&f->inode, 0, &test_ops), 68 << 10);
	assert_int_equal(iomap_seek_hole(&f->inode, 68 << 10, &test_ops), 69 << 10);
	file_end(f);
	stop(&t, bdev);
}

/* Writes that fail are told; for want of memory nothing is lost. */
static void test_failures(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "fault+ram:4M", 8 << 20);
	struct test_file *f = file_start(t.machine, bdev, 12, 2, false, 1);
	struct address_space *m = f->inode.i_mapping;
	errseq_t since = errseq_sample(&m->wb_err);

	do_write(f, 0, 30000);
	f->fail_map = -ENOMEM;
	assert_int_equal(filemap_write_and_wait(m), -ENOMEM);
	assert_int_equal(errseq_check(&m->wb_err, since), 0);
	f->fail_map = 0;
	expect_disk(f);
	do_write(f, 5000, 9000);
	assert_int_equal(disk_control_store(t.machine, "ram0", "fault", "add op=write error=EIO count=1"), 0);
	assert_int_equal(filemap_write_and_wait(m), -EIO);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &since), -EIO);
	assert_int_equal(filemap_write_and_wait(m), 0);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &since), 0);
	do_write(f, 0, 30000);
	f->fail_map = -ENOSPC;
	assert_int_equal(filemap_write_and_wait(m), -ENOSPC);
	assert_int_equal(errseq_check_and_advance(&m->wb_err, &since), -ENOSPC);
	f->fail_map = 0;
	file_end(f);
	stop(&t, bdev);
}

/* A direct write failed: each byte is as it was or as it was to be. */
static void expect_mixed(struct test_file *f, u64 pos, u8 *buf, size_t len)
{
	u8 *now = malloc(len);
	struct iov_iter to;
	loff_t at = (loff_t)pos;

	iov_iter_ubuf(&to, ITER_DEST, now, len);
	assert_int_equal(filemap_read(f->inode.i_mapping, &f->ra, &at, &to, 0), len);
	for (size_t i = 0; i < len; i++)
		assert_true(now[i] == buf[i] || now[i] == f->model[pos + i]);
	memcpy(f->model + pos, now, len);
	free(now);
	free(buf);
}

/* A write that may fail: what it says it wrote is there. A direct one that failed returns what it was to
 * write. */
static u8 *try_write(struct test_file *f, u64 pos, size_t len, bool direct)
{
	struct kiocb iocb = {.ki_filp = &f->file, .ki_pos = (loff_t)pos};
	u8 *buf = aligned_alloc(4096, round_up(len, (size_t)4096));
	struct iov_iter from;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = (u8)splitmix64(&f->rnd);
	iov_iter_ubuf(&from, ITER_SOURCE, buf, len);
	n = direct ? iomap_dio_write(&iocb, &from, &test_ops, &test_dio_ops)
		   : iomap_file_buffered_write(&iocb, &from, &test_ops);
	if (n < 0)
		assert_int_equal(n, -ENOMEM);
	else
		memcpy(f->model + pos, buf, (size_t)n);
	if (n < 0 && direct)
		return buf;
	free(buf);
	return NULL;
}

/* Each allocation fails in turn: calls fail with ENOMEM, and afterwards nothing is lost. */
static void test_no_memory(void **state)
{
	unsigned long n = 1;
	u64 injected;

	do {
		struct drivers_machine t;
		struct block_device *bdev = start(&t, 0, "ram:4M", 8 << 20);
		struct test_file *f = file_start(t.machine, bdev, 10, 2, true, n);
		u8 *mixed;
		int err;

		do_write(f, 0, 100000);
		assert_int_equal(filemap_write_and_wait(f->inode.i_mapping), 0);
		drop_caches(t.machine);
		alloc_fail_set(t.machine, ALLOC_FAIL_NTH, n, 0);
		(void)try_write(f, 20001, 30000, false);
		err = filemap_write_and_wait(f->inode.i_mapping);
		assert_true(err == 0 || err == -ENOMEM);
		mixed = try_write(f, 10240, 20480, true);
		(void)try_write(f, 60001, 10, false);
		injected = alloc_fail_injected(t.machine);
		alloc_fail_clear(t.machine);
		if (mixed)
			expect_mixed(f, 10240, mixed, 20480);
		expect_read(f, 0, FILE_MOST);
		expect_disk(f);
		file_end(f);
		stop(&t, bdev);
		n++;
	} while (injected);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
