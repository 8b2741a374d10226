/* SPDX-License-Identifier: MIT */
/*
 * Reads of files whose mappings are made up (mapped in pieces anywhere on a disk in memory, holes, unwritten,
 * inline), through the page cache and direct, and seeks for holes and data: rows P5 and P6.
 */
#include "drivers_machine.h"

#include "cache_fixture.h"

#include "iomap/iomap.h"

#define DISK_BYTES (16u << 20)
#define MAX_PIECES 512

struct piece {
	u64 offset, length, addr;
	u16 type;
};

/* A file as a table of pieces; `expected` is what a read has to show. */
struct test_file {
	struct inode inode;
	struct block_device *bdev;
	struct piece pieces[MAX_PIECES];
	unsigned nr;
	u8 inline_data[512];
	u8 *expected;
	int error;      /* of iomap_begin, */
	u64 error_from; /* from here on */
};

static u8 image[DISK_BYTES];

static int table_begin(struct inode *inode, u64 pos, u64 length, unsigned flags, struct iomap *iomap,
		       struct iomap *srcmap)
{
	struct test_file *f = container_of(inode, struct test_file, inode);

	if (f->error && pos >= f->error_from)
		return f->error;
	for (unsigned i = 0; i < f->nr; i++) {
		const struct piece *p = &f->pieces[i];

		if (p->offset > pos)
			length = min(length, p->offset - pos); /* a hole goes up to here */
		if (pos < p->offset || pos >= p->offset + p->length)
			continue;
		*iomap = (struct iomap){.addr = p->addr,
					.offset = p->offset,
					.length = p->length,
					.type = p->type,
					.bdev = f->bdev,
					.inline_data = f->inline_data};
		return 0;
	}
	*iomap = (struct iomap){.addr = IOMAP_NULL_ADDR, .offset = pos, .length = length, .type = IOMAP_HOLE};
	return 0;
}

static const struct iomap_ops table_ops = {.iomap_begin = table_begin};

static int table_read_folio(struct address_space *mapping, struct folio *folio)
{
	return iomap_read_folio(folio, mapping->host, &table_ops);
}

static void table_readahead(struct readahead_control *rac)
{
	iomap_readahead(rac, rac->mapping->host, &table_ops);
}

static const struct address_space_operations table_aops = {
	.read_folio = table_read_folio,
	.readahead = table_readahead,
	.is_partially_uptodate = iomap_is_partially_uptodate,
	.invalidate_folio = iomap_invalidate_folio,
	.release_folio = iomap_release_folio,
};

static void file_start(struct test_file *f, struct shale *machine, struct block_device *bdev, u64 size,
		       unsigned blkbits, unsigned max_order)
{
	memset(f, 0, sizeof(*f));
	f->bdev = bdev;
	f->inode.i_blkbits = blkbits;
	f->inode.i_mapping = &f->inode.i_data;
	address_space_init(&f->inode.i_data, machine, &table_aops, NULL, &f->inode);
	f->inode.i_data.size = size;
	f->inode.i_data.blkbits = blkbits;
	f->inode.i_data.max_order = max_order;
	f->expected = calloc(1, size + 65536);
}

static void file_end(struct test_file *f)
{
	truncate_inode_pages_final(&f->inode.i_data);
	address_space_destroy(&f->inode.i_data);
	free(f->expected);
}

static void file_add(struct test_file *f, u64 offset, u64 length, u16 type, u64 addr)
{
	f->pieces[f->nr++] = (struct piece){offset, length, addr, type};
	if (type == IOMAP_MAPPED)
		memcpy(f->expected + offset, image + addr, length);
}

/* Pieces of random kinds, lengths and places; runs that are contiguous on the disk too, so that bios join
 * them. */
static void file_add_random(struct test_file *f, u64 size, unsigned blkbits, u64 *rnd)
{
	u64 block = 1u << blkbits, pos = 0, addr = 0;

	while (pos < size && f->nr < MAX_PIECES) {
		u64 len = (1 + splitmix64(rnd) % (f->nr % 3 ? 5 : 60)) << blkbits;
		unsigned kind = splitmix64(rnd) % 8;

		if (kind > 4)
			addr = splitmix64(rnd) % ((DISK_BYTES - len) / block) * block;
		len = min(len, round_up(size, block) - pos);
		if (addr + len > DISK_BYTES)
			addr = 0;
		if (kind == 0)
			file_add(f, pos, len, IOMAP_UNWRITTEN, addr);
		else if (kind != 1)
			file_add(f, pos, len, IOMAP_MAPPED, addr);
		pos += len;
		addr += len;
	}
}

static ssize_t file_read(struct test_file *f, struct file_ra_state *ra, void *buf, size_t len, u64 pos)
{
	struct iov_iter to;
	loff_t at = pos;

	iov_iter_ubuf(&to, ITER_DEST, buf, len);
	return filemap_read(f->inode.i_mapping, ra, &at, &to, 0);
}

static void expect_file(struct test_file *f, u64 pos, size_t len)
{
	u64 size = mapping_size(f->inode.i_mapping);
	u8 *buf = malloc(len);
	struct file_ra_state ra;
	u64 end = min(size, pos + len);

	file_ra_state_init(&ra, f->inode.i_mapping);
	while (pos < end) {
		ssize_t got = file_read(f, &ra, buf, len, pos);

		assert_true(got > 0);
		assert_memory_equal(buf, f->expected + pos, got);
		pos += got;
	}
	free(buf);
}

static struct block_device *start(struct drivers_machine *t, unsigned threads, const char *uri)
{
	struct shale *machine = drivers_start(t, threads, 3);
	struct block_device *bdev;

	machine->options.memory_limit = 16 << 20;
	assert_int_equal(cache_init(machine), 0);
	bdev = disk_open(machine, "ram0", uri, 0);
	fill_pattern(image, sizeof(image), 9);
	assert_int_equal(disk_write(bdev, 0, image, sizeof(image)), 0);
	return bdev;
}

static void stop(struct drivers_machine *t, struct block_device *bdev)
{
	disk_close(t->machine, bdev);
	assert_int_equal(arena_in_folios(t->machine), 0);
	cache_exit(t->machine);
	drivers_stop(t);
}

static void test_buffered(void **state)
{
	for (unsigned threads = 0; threads < 3; threads += 2) {
		struct drivers_machine t;
		struct block_device *bdev = start(&t, threads, "ram:16M");
		u64 rnd = 5;

		for (unsigned i = 0; i < 40; i++) {
			static struct test_file f;
			unsigned blkbits = 10 + i % 3, order = i / 3 % 4 * 3;
			u64 size = 1 + splitmix64(&rnd) % (3 << 20);

			file_start(&f, t.machine, bdev, size, blkbits, order);
			file_add_random(&f, size, blkbits, &rnd);
			for (unsigned j = 0; j < 20; j++)
				expect_file(&f, splitmix64(&rnd) % size, 1 + splitmix64(&rnd) % 9000);
			expect_file(&f, 0, 1 << 20);
			drop_caches(t.machine);
			expect_file(&f, 0, 8192);
			file_end(&f);
		}
		assert_int_equal(machine_charged(t.machine) > 1 << 20, 0);
		stop(&t, bdev);
	}
}

static void test_inline(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:16M");
	static struct test_file f;

	file_start(&f, t.machine, bdev, 60, 12, 3);
	memcpy(f.inline_data, "sixty bytes of inline data, that stand in the inode itself.", 60);
	memcpy(f.expected, f.inline_data, 60);
	file_add(&f, 0, 60, IOMAP_INLINE, IOMAP_NULL_ADDR);
	expect_file(&f, 0, 100);
	expect_file(&f, 30, 100);
	file_end(&f);
	stop(&t, bdev);
}

/* A bad sector fails its folio's reads; other folios come, and all of it once the sector is good again. */
static void test_errors(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "fault+ram:16M");
	static struct test_file f;
	static u8 buf[1 << 20];
	struct file_ra_state ra;

	file_start(&f, t.machine, bdev, 1 << 20, 12, 4);
	file_add(&f, 0, 300 << 10, IOMAP_MAPPED, 0);
	file_add(&f, 300 << 10, 724 << 10, IOMAP_MAPPED, 8 << 20);
	assert_int_equal(
		disk_control_store(t.machine, "ram0", "fault", "add op=read start=400 end=400 error=EIO"), 0);
	file_ra_state_init(&ra, f.inode.i_mapping);
	assert_true(file_read(&f, &ra, buf, sizeof(buf), 0) >= 128 << 10);
	assert_int_equal(file_read(&f, &ra, buf, 4096, 200 << 10), -EIO);
	assert_int_equal(file_read(&f, &ra, buf, 4096, 400 << 10), 4096);
	assert_int_equal(disk_control_store(t.machine, "ram0", "fault", "clear"), 0);
	expect_file(&f, 0, 1 << 20);
	file_end(&f);
	/* The file system's own error (a corrupt extent) comes out as it is. */
	file_start(&f, t.machine, bdev, 1 << 20, 12, 4);
	file_add(&f, 0, 1 << 20, IOMAP_MAPPED, 0);
	f.error = -EUCLEAN;
	f.error_from = 0;
	file_ra_state_init(&ra, f.inode.i_mapping);
	assert_int_equal(file_read(&f, &ra, buf, 4096, 0), -EUCLEAN);
	f.error = 0;
	expect_file(&f, 0, 1 << 20);
	file_end(&f);
	stop(&t, bdev);
}

static void test_every_allocation_fails(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:16M");
	static struct test_file f;
	static u8 buf[256 << 10];
	u64 injected, n = 0, rnd;

	do {
		struct file_ra_state ra;
		ssize_t got;

		rnd = 77;
		file_start(&f, t.machine, bdev, 256 << 10, 10, 4);
		file_add_random(&f, 256 << 10, 10, &rnd);
		file_ra_state_init(&ra, f.inode.i_mapping);
		alloc_fail_set(t.machine, n & 1 ? ALLOC_FAIL_FROM : ALLOC_FAIL_NTH, n / 2 + 1, 0);
		got = file_read(&f, &ra, buf, sizeof(buf), 0);
		injected = alloc_fail_injected(t.machine);
		alloc_fail_clear(t.machine);
		assert_true(got == -ENOMEM || got > 0);
		if (got > 0)
			assert_memory_equal(buf, f.expected, got);
		expect_file(&f, 0, 256 << 10);
		file_end(&f);
		n++;
	} while (injected && n < 2000);
	assert_true(n > 8 && n < 2000);
	stop(&t, bdev);
}

static ssize_t dio_read(struct test_file *f, void *buf, size_t len, u64 pos)
{
	struct file file = {.f_inode = &f->inode, .f_mapping = f->inode.i_mapping};
	struct kiocb iocb = {.ki_filp = &file, .ki_pos = pos, .ki_flags = IOCB_DIRECT};
	struct iovec iov[3] = {{buf, 512}, {(char *)buf + 512, min(len - 512, (size_t)8192)}, {0}};
	struct iov_iter to;
	ssize_t got;

	iov[2] = (struct iovec){(char *)buf + 512 + iov[1].iov_len, len - 512 - iov[1].iov_len};
	iov_iter_init(&to, ITER_DEST, iov, 3, len);
	got = iomap_dio_read(&iocb, &to, &table_ops);
	if (got >= 0) {
		assert_int_equal(iocb.ki_pos, pos + got);
		assert_int_equal(iov_iter_count(&to), len - got);
	}
	return got;
}

static void test_direct(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 2, "fault+ram:16M");
	u8 *buf = aligned_alloc(4096, 4 << 20);
	static struct test_file f;
	u64 rnd = 8;

	for (unsigned i = 0; i < 20; i++) {
		u64 size = 4096 + splitmix64(&rnd) % (3 << 20);

		file_start(&f, t.machine, bdev, size, 10 + i % 3, 0);
		file_add_random(&f, size, 10 + i % 3, &rnd);
		for (unsigned j = 0; j < 20; j++) {
			u64 pos = splitmix64(&rnd) % size & ~511ull;
			size_t len = 1024 + (splitmix64(&rnd) % (1 << 20) & ~511ull);
			ssize_t got = dio_read(&f, buf, len, pos);

			assert_int_equal(got, min(len, (size_t)(size - pos)));
			assert_memory_equal(buf, f.expected + pos, got);
		}
		assert_int_equal(dio_read(&f, buf, 1024, round_up(size, 512)), 0);
		assert_int_equal(f.inode.i_mapping->nrpages, 0);
		file_end(&f);
	}
	/* Position, length and memory each have to be aligned where the device is read. */
	file_start(&f, t.machine, bdev, 1 << 20, 12, 0);
	file_add(&f, 0, 1 << 20, IOMAP_MAPPED, 0);
	assert_int_equal(dio_read(&f, buf, 1024, 100), -EINVAL);
	assert_int_equal(dio_read(&f, buf, 1024 + 100, 0), -EINVAL);
	assert_int_equal(dio_read(&f, buf + 8, 1024, 0), -EINVAL);
	assert_int_equal(
		disk_control_store(t.machine, "ram0", "fault", "add op=read start=100 end=100 error=EIO"), 0);
	assert_int_equal(dio_read(&f, buf, 1 << 20, 0), -EIO);
	file_end(&f);
	free(buf);
	stop(&t, bdev);
}

static void test_seek(void **state)
{
	struct drivers_machine t;
	struct block_device *bdev = start(&t, 0, "ram:16M");
	static struct test_file f;

	file_start(&f, t.machine, bdev, 1 << 20, 12, 0);
	file_add(&f, 64 << 10, 64 << 10, IOMAP_MAPPED, 0);
	file_add(&f, 256 << 10, 64 << 10, IOMAP_UNWRITTEN, 1 << 20);
	assert_int_equal(iomap_seek_hole(&f.inode, 0, &table_ops), 0);
	assert_int_equal(iomap_seek_data(&f.inode, 0, &table_ops), 64 << 10);
	assert_int_equal(iomap_seek_data(&f.inode, 70000, &table_ops), 70000);
	assert_int_equal(iomap_seek_hole(&f.inode, 70000, &table_ops), 128 << 10);
	assert_int_equal(iomap_seek_data(&f.inode, 128 << 10, &table_ops), -ENXIO);
	assert_int_equal(iomap_seek_hole(&f.inode, 1 << 20, &table_ops), -ENXIO);
	assert_int_equal(iomap_seek_data(&f.inode, -1, &table_ops), -ENXIO);
	/* Unwritten, but read: the cache holds it. */
	expect_file(&f, 260 << 10, 4096);
	assert_int_equal(iomap_seek_data(&f.inode, 128 << 10, &table_ops), 260 << 10);
	file_end(&f);
	file_start(&f, t.machine, bdev, 10000, 12, 0);
	file_add(&f, 0, 12288, IOMAP_MAPPED, 0);
	assert_int_equal(iomap_seek_hole(&f.inode, 5, &table_ops), 10000);
	file_end(&f);
	stop(&t, bdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffered), cmocka_unit_test(test_inline),
		cmocka_unit_test(test_errors),   cmocka_unit_test(test_every_allocation_fails),
		cmocka_unit_test(test_direct),   cmocka_unit_test(test_seek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
