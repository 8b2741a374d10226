/* SPDX-License-Identifier: MIT */
/*
 * Partition tables: those of sfdisk and sgdisk, and crafted ones: row D5.
 */
#include "block_mem.h"

#include <stdio.h>
#include <unistd.h>

#include "base/crc.h"
#include "block/part_format.h"

#define IMAGE_BYTES   (64u << 20)
#define IMAGE_SECTORS (IMAGE_BYTES >> 9)

struct image {
	char *data;
};

/*
 * Runs a shell command over a file of IMAGE_BYTES ("$IMG") and reads what came of it; false: the command is
 * missing or failed.
 */
static bool image_by_command(struct image *img, const char *command)
{
	char path[] = "/tmp/shale-part-XXXXXX", line[1024];
	int fd = mkstemp(path);
	bool ok;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_BYTES), 0);
	snprintf(line, sizeof(line), "PATH=$PATH:/sbin:/usr/sbin; IMG=%s; { %s; } >/dev/null 2>&1", path,
		 command);
	ok = system(line) == 0;
	img->data = calloc(1, IMAGE_BYTES);
	assert_non_null(img->data);
	assert_int_equal(pread(fd, img->data, IMAGE_BYTES, 0), IMAGE_BYTES);
	close(fd);
	unlink(path);
	return ok;
}

struct part {
	unsigned no;
	sector_t start, count;
};

static struct block_device *open_part(struct shale *machine, const char *name)
{
	struct block_device *bdev;
	dev_t dev;

	if (blkdev_lookup_name(machine, name, &dev))
		return NULL;
	assert_int_equal(blkdev_get_by_dev(machine, dev, BLK_OPEN_READ, NULL, NULL, &bdev), 0);
	return bdev;
}

/* The image as disk "pd" has exactly these partitions (ended by no 0). */
static void expect_parts_on(char *data, size_t bytes, unsigned block_size, const struct part *expected)
{
	struct test_machine t;
	struct mem_params p = {
		.name = "pd", .bytes = bytes, .borrowed = data, .limits = {.logical_block_size = block_size}};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &p);

	for (unsigned no = 1; no < DISK_MAX_PARTS; no++) {
		struct block_device *bdev;
		char name[16];

		snprintf(name, sizeof(name), "pd%u", no);
		bdev = open_part(t.machine, name);
		if (expected->no != no) {
			if (bdev)
				print_message("unexpected %s: %llu+%llu\n", name,
					      (unsigned long long)bdev->bd_start_sect,
					      (unsigned long long)bdev_nr_sectors(bdev));
			assert_null(bdev);
			continue;
		}
		assert_non_null(bdev);
		assert_int_equal(bdev->bd_start_sect, expected->start);
		assert_int_equal(bdev_nr_sectors(bdev), expected->count);
		blkdev_put(bdev, NULL);
		expected++;
	}
	assert_int_equal(expected->no, 0);
	mem_free(mem);
	block_test_stop(&t);
}

#define EXPECT_PARTS(img, ...)                                                                               \
	expect_parts_on((img)->data, IMAGE_BYTES, 512,                                                       \
			(const struct part[]){__VA_ARGS__ __VA_OPT__(, ){0, 0, 0}})

static void sfdisk_dos(void **state)
{
	struct image img;

	if (!image_by_command(
		    &img, "printf 'label: dos\\n2048,20480,83\\n22528,,5\\n24576,4096,83\\n32768,8192,82\\n' "
			  "| sfdisk -q --no-tell-kernel $IMG"))
		skip();
	EXPECT_PARTS(&img, {1, 2048, 20480}, {2, 22528, 2}, {5, 24576, 4096}, {6, 32768, 8192});
	free(img.data);
}

static void sfdisk_gpt(void **state)
{
	struct image img;

	if (!image_by_command(
		    &img, "printf 'label: gpt\\n2048,2048\\n8192,100\\n' | sfdisk -q --no-tell-kernel $IMG"))
		skip();
	EXPECT_PARTS(&img, {1, 2048, 2048}, {2, 8192, 100});
	free(img.data);
}

static const char sgdisk_command[] =
	"LD_PRELOAD=" NOSYNC " sgdisk -a 1 -n 3:4096:8191 -n 40:20480:20487 -n 1:64:127 $IMG";

static void sgdisk_gpt(void **state)
{
	struct image img;

	if (!image_by_command(&img, sgdisk_command))
		skip();
	EXPECT_PARTS(&img, {1, 64, 64}, {3, 4096, 4096}, {40, 20480, 8});
	free(img.data);
}

static void gpt_backup_is_used(void **state)
{
	struct image img;

	if (!image_by_command(&img, sgdisk_command))
		skip();
	img.data[512 + 20] ^= 1; /* the first header's checksum no longer holds */
	EXPECT_PARTS(&img, {1, 64, 64}, {3, 4096, 4096}, {40, 20480, 8});
	img.data[512 + 20] ^= 1;
	img.data[1024 + 200] ^= 1; /* nor that of the entries */
	EXPECT_PARTS(&img, {1, 64, 64}, {3, 4096, 4096}, {40, 20480, 8});
	img.data[IMAGE_BYTES - 512 + 60] ^= 1; /* and the copy is damaged as well */
	EXPECT_PARTS(&img);
	free(img.data);
}

/* A GPT made by hand, so that everything in it can be wrong. */
struct gpt_edit {
	struct gpt_header h;
	struct gpt_entry e[4];
};

static void gpt_edit_init(struct gpt_edit *g)
{
	*g = (struct gpt_edit){.h = {.magic = cpu_to_le64(GPT_MAGIC),
				     .revision = cpu_to_le32(0x10000),
				     .header_size = cpu_to_le32(92),
				     .my_lba = cpu_to_le64(1),
				     .alternate_lba = cpu_to_le64(IMAGE_SECTORS - 1),
				     .first_usable_lba = cpu_to_le64(34),
				     .last_usable_lba = cpu_to_le64(IMAGE_SECTORS - 34),
				     .entries_lba = cpu_to_le64(2),
				     .nr_entries = cpu_to_le32(4),
				     .entry_size = cpu_to_le32(128)}};
	memset(&g->e[0].type_guid, 0x11, 16);
	g->e[0].first_lba = cpu_to_le64(100);
	g->e[0].last_lba = cpu_to_le64(199);
}

/* Writes it with checksums that fit. */
static void gpt_edit_write(struct gpt_edit *g, char *data)
{
	struct msdos_entry pmbr = {.type = 0xee, .start = cpu_to_le32(1), .count = cpu_to_le32(0xffffffff)};

	g->h.entries_crc = cpu_to_le32(~crc32_le(~0u, g->e, sizeof(g->e)));
	g->h.header_crc = cpu_to_le32(0);
	g->h.header_crc = cpu_to_le32(~crc32_le(~0u, &g->h, 92));
	memset(data, 0, 4096);
	memcpy(data + MSDOS_TABLE_OFFSET, &pmbr, sizeof(pmbr));
	memcpy(data + 510, "\x55\xaa", 2);
	memcpy(data + 512, &g->h, sizeof(g->h));
	memcpy(data + 1024, g->e, sizeof(g->e));
}

static void crafted_gpt(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};
	struct gpt_edit g;

	gpt_edit_init(&g);
	gpt_edit_write(&g, img.data);
	EXPECT_PARTS(&img, {1, 100, 100});
	g.e[1] = g.e[0]; /* overlaps: kept, as in Linux */
	g.e[1].first_lba = cpu_to_le64(150);
	g.e[1].last_lba = cpu_to_le64(299);
	g.e[2] = g.e[0]; /* ends before it begins */
	g.e[2].first_lba = cpu_to_le64(500);
	g.e[2].last_lba = cpu_to_le64(400);
	g.e[3] = g.e[0]; /* beyond the end, with a length that overflows */
	g.e[3].first_lba = cpu_to_le64(0);
	g.e[3].last_lba = cpu_to_le64(~0ull);
	gpt_edit_write(&g, img.data);
	EXPECT_PARTS(&img, {1, 100, 100}, {2, 150, 150});
	free(img.data);
}

static void crafted_gpt_headers(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};
	struct gpt_edit g;

	for (unsigned i = 0; i < 11; i++) {
		gpt_edit_init(&g);
		switch (i) {
		case 0:
			g.h.header_size = cpu_to_le32(91);
			break;
		case 1:
			g.h.header_size = cpu_to_le32(0xffffffff);
			break;
		case 2:
			g.h.my_lba = cpu_to_le64(2);
			break;
		case 3:
			g.h.last_usable_lba = cpu_to_le64(IMAGE_SECTORS);
			break;
		case 4:
			g.h.first_usable_lba = cpu_to_le64(IMAGE_SECTORS);
			break;
		case 5:
			g.h.entry_size = cpu_to_le32(0);
			break;
		case 6:
			g.h.entry_size = cpu_to_le32(64);
			break;
		case 7:
			g.h.nr_entries = cpu_to_le32(0x02000000);
			break;
		case 8:
			g.h.entries_lba = cpu_to_le64(~0ull);
			break;
		case 9:
			g.h.entries_lba = cpu_to_le64(~0ull / 512);
			break;
		case 10:
			g.h.nr_entries = cpu_to_le32(0);
			break;
		}
		gpt_edit_write(&g, img.data);
		EXPECT_PARTS(&img);
	}
	free(img.data);
}

static void mbr_put(char *sector, unsigned slot, u8 type, u32 start, u32 count)
{
	struct msdos_entry e = {.type = type, .start = cpu_to_le32(start), .count = cpu_to_le32(count)};

	memcpy(sector + MSDOS_TABLE_OFFSET + slot * 16, &e, sizeof(e));
	memcpy(sector + 510, "\x55\xaa", 2);
}

static void crafted_mbr(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};

	EXPECT_PARTS(&img); /* no table */
	mbr_put(img.data, 0, 0x83, 63, 1000);
	mbr_put(img.data, 1, 0x83, 500, 1000);                      /* overlaps: kept */
	mbr_put(img.data, 2, 0x83, IMAGE_SECTORS - 10, 0xffffffff); /* too long: cut */
	mbr_put(img.data, 3, 0x83, IMAGE_SECTORS, 1);               /* beyond the end */
	EXPECT_PARTS(&img, {1, 63, 1000}, {2, 500, 1000}, {3, IMAGE_SECTORS - 10, 10});
	img.data[MSDOS_TABLE_OFFSET + 16] = 0x12; /* no boot flag: a boot sector of something else */
	EXPECT_PARTS(&img);
	free(img.data);
}

static void crafted_extended_chains(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};
	char *ebr0 = img.data + 1000 * 512, *ebr1 = img.data + 1200 * 512;

	/* A chain that goes back to its beginning. */
	mbr_put(img.data, 0, 0x05, 1000, 1000);
	mbr_put(ebr0, 0, 0x83, 10, 50);
	mbr_put(ebr0, 1, 0x05, 200, 100);
	mbr_put(ebr1, 0, 0x83, 10, 50);
	mbr_put(ebr1, 1, 0x05, 0, 100);
	EXPECT_PARTS(&img, {1, 1000, 2}, {5, 1010, 50}, {6, 1210, 50});
	/* One that contains itself. */
	mbr_put(ebr0, 1, 0x05, 0, 1000);
	EXPECT_PARTS(&img, {1, 1000, 2}, {5, 1010, 50});
	/* A link that leads out, and logical partitions that do. */
	mbr_put(ebr0, 1, 0x05, 5000, 100);
	mbr_put(ebr0, 2, 0x83, 900, 101);
	mbr_put(ebr0, 3, 0x83, 0, 10);
	EXPECT_PARTS(&img, {1, 1000, 2}, {5, 1010, 50});
	/* A link whose sum overflows 32 bits. */
	mbr_put(ebr0, 1, 0x05, 0xffffffff, 100);
	EXPECT_PARTS(&img, {1, 1000, 2}, {5, 1010, 50});
	free(img.data);
}

/* As many logical partitions as there is room for, and no more. */
static void long_extended_chain(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};
	struct part expected[DISK_MAX_PARTS + 1] = {{1, 1000, 2}};
	unsigned n = 1;

	mbr_put(img.data, 0, 0x0f, 1000, 100000);
	for (unsigned i = 0; i < 400; i++) {
		char *ebr = img.data + (1000 + i * 10) * 512;

		mbr_put(ebr, 0, 0x83, 1, 5);
		mbr_put(ebr, 1, 0x05, (i + 1) * 10, 6);
		if (5 + i < DISK_MAX_PARTS)
			expected[n++] = (struct part){5 + i, 1000 + i * 10 + 1, 5};
	}
	expect_parts_on(img.data, IMAGE_BYTES, 512, expected);
	free(img.data);
}

/* Blocks of 4096 bytes: numbers in the table count those. */
static void large_blocks(void **state)
{
	struct image img = {calloc(1, IMAGE_BYTES)};
	const struct part expected[] = {{1, 80, 160}, {}};

	mbr_put(img.data, 0, 0x83, 10, 20);
	expect_parts_on(img.data, IMAGE_BYTES, 4096, expected);
	free(img.data);
}

/* Tables on disks that are too small for them, and random ones: no crash, nothing beyond the end. */
static void random_tables(void **state)
{
	struct test_machine t;
	unsigned seed = 1;

	block_test_start(&t, 0, 1);
	for (unsigned round = 0; round < 300; round++) {
		size_t bytes = (1 + rand_r(&seed) % 64) * 512;
		char *data = calloc(1, bytes);
		struct memdisk *mem;
		struct gpt_edit g;

		for (size_t i = 0; i < bytes; i++)
			data[i] = (char)(rand_r(&seed) >> 8);
		for (size_t sector = 0; sector < bytes; sector += 512)
			for (unsigned slot = 0; slot < 4; slot++)
				mbr_put(data + sector, slot, rand_r(&seed) % 2 ? 0x05 : 0x83,
					rand_r(&seed) % 64, rand_r(&seed) % 64);
		if (round % 3 == 0 && bytes >= 4096) {
			gpt_edit_init(&g);
			g.h.last_usable_lba = cpu_to_le64(rand_r(&seed) % 64);
			g.h.first_usable_lba = cpu_to_le64(1);
			g.e[1] = g.e[0];
			g.e[1].last_lba = cpu_to_le64(rand_r(&seed) % 100);
			g.e[1].first_lba = cpu_to_le64(rand_r(&seed) % 64);
			gpt_edit_write(&g, data);
		}
		mem = mem_new(t.machine,
			      &(struct mem_params){
				      .name = "pd", .bytes = bytes, .image = data, .image_bytes = bytes});
		for (unsigned no = 1; no < DISK_MAX_PARTS; no++) {
			struct block_device *bdev;
			char name[16];

			snprintf(name, sizeof(name), "pd%u", no);
			bdev = open_part(t.machine, name);
			if (!bdev)
				continue;
			assert_true(bdev->bd_start_sect + bdev_nr_sectors(bdev) <= bytes >> 9);
			blkdev_put(bdev, NULL);
		}
		mem_free(mem);
		free(data);
	}
	block_test_stop(&t);
}

/* I/O to a partition goes to its place, not beyond it, and counts for both. */
static void partition_io(void **state)
{
	struct test_machine t;
	char image[512 * 4] = {};
	struct mem_params p = {.name = "nvme0", .image = image, .image_bytes = sizeof(image)};
	struct disk_stats_shard s;
	struct block_device *part;
	struct memdisk *mem;
	char buf[4096];

	mbr_put(image, 1, 0x83, 100, 16);
	mem = mem_new(block_test_start(&t, 0, 1), &p);
	part = open_part(t.machine, "nvme0p2");
	assert_non_null(part);
	memset(buf, 'p', sizeof(buf));
	assert_int_equal(do_bio(part, REQ_OP_WRITE, 8, buf, 8), 0);
	assert_int_equal(mem->data[108 * 512], 'p');
	assert_int_equal(mem->data[108 * 512 - 1], 0);
	assert_int_equal(mem->data[116 * 512], 0);
	assert_int_equal(do_bio(part, REQ_OP_WRITE, 9, buf, 8), -EIO);
	blk_stats_sum(part, &s);
	assert_int_equal(s.sectors[STAT_WRITE], 8);
	blk_stats_sum(disk_part0(mem->disk), &s);
	assert_int_equal(s.sectors[STAT_WRITE], 8);
	assert_true(s.ios[STAT_READ] > 0); /* of the scan */
	blkdev_put(part, NULL);
	mem_free(mem);
	block_test_stop(&t);
}

static void rescan(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){.name = "pd"});
	struct block_device *whole = disk_part0(mem->disk), *part;

	mbr_put(mem->data, 0, 0x83, 10, 20);
	assert_int_equal(disk_rescan_partitions(whole), 0);
	part = open_part(t.machine, "pd1");
	assert_non_null(part);
	mbr_put(mem->data, 0, 0x83, 10, 30);
	assert_int_equal(disk_rescan_partitions(whole), -EBUSY);
	assert_int_equal(bdev_nr_sectors(part), 20);
	blkdev_put(part, NULL);
	assert_int_equal(disk_rescan_partitions(whole), 0);
	part = open_part(t.machine, "pd1");
	assert_int_equal(bdev_nr_sectors(part), 30);
	blkdev_put(part, NULL);
	mem->fail_status = -EIO; /* a table that cannot be read */
	mem->fail_count = 1;
	assert_int_equal(disk_rescan_partitions(whole), -EIO);
	assert_null(open_part(t.machine, "pd1"));
	mem_free(mem);
	block_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sfdisk_dos),
		cmocka_unit_test(sfdisk_gpt),
		cmocka_unit_test(sgdisk_gpt),
		cmocka_unit_test(gpt_backup_is_used),
		cmocka_unit_test(crafted_gpt),
		cmocka_unit_test(crafted_gpt_headers),
		cmocka_unit_test(crafted_mbr),
		cmocka_unit_test(crafted_extended_chains),
		cmocka_unit_test(long_extended_chain),
		cmocka_unit_test(large_blocks),
		cmocka_unit_test(random_tables),
		cmocka_unit_test(partition_io),
		cmocka_unit_test(rescan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
