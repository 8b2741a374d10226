/* SPDX-License-Identifier: MIT */
/*
 * What the tests of drivers share: a machine up to its drivers, disks in it, and plain reads and writes on
 * them.
 */
#ifndef SHALE_TEST_DRIVERS_MACHINE_H
#define SHALE_TEST_DRIVERS_MACHINE_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_machine.h"

#include "base/seq_file.h"
#include "block/blk.h"
#include "block/driver.h"
#include "device/device.h"
#include "device/module.h"

struct drivers_machine {
	struct test_machine base;
	struct shale *machine;
	char dir[64]; /* for files of the host */
};

static inline struct shale *drivers_start(struct drivers_machine *t, unsigned threads, u64 seed)
{
	t->machine = test_machine_start(&t->base, threads, seed);
	assert_int_equal(device_init(t->machine), 0);
	assert_int_equal(blk_init(t->machine), 0);
	assert_int_equal(modules_init(t->machine, MODULE_SUBSYS), 0);
	assert_int_equal(modules_init(t->machine, MODULE_DRIVER), 0);
	snprintf(t->dir, sizeof(t->dir), "/var/tmp/shale-test-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	return t->machine;
}

static inline void drivers_stop(struct drivers_machine *t)
{
	modules_exit(t->machine, MODULE_DRIVER);
	modules_exit(t->machine, MODULE_SUBSYS);
	blk_exit(t->machine);
	device_exit(t->machine);
	test_machine_stop(&t->base);
	rmdir(t->dir);
}

/* Adds a disk and opens it. */
static inline struct block_device *disk_open(struct shale *machine, const char *name, const char *uri,
					     unsigned flags)
{
	struct block_device *bdev;
	char why[512];
	dev_t dev;
	int err = disk_add(machine, name, uri, flags | DISK_NO_PARTSCAN);

	if (err) {
		disk_last_error(machine, why, sizeof(why));
		fail_msg("%s: %d %s", uri, err, why);
	}
	assert_int_equal(blkdev_lookup_name(machine, name, &dev), 0);
	assert_int_equal(blkdev_get_by_dev(machine, dev, BLK_OPEN_READ, NULL, NULL, &bdev), 0);
	return bdev;
}

static inline void disk_close(struct shale *machine, struct block_device *bdev)
{
	char name[64];

	snprintf(name, sizeof(name), "%s", bdev_name(bdev));
	blkdev_put(bdev, NULL);
	assert_int_equal(disk_remove(machine, name), 0);
}

/* One request of whole sectors; the disk's error. */
static inline int disk_io(struct block_device *bdev, blk_opf_t opf, sector_t sector, void *buf, u32 bytes)
{
	struct bio *bio;
	int err;

	assert_int_equal(bio_alloc(bdev, 1, opf, &bio), 0);
	bio->bi_iter.bi_sector = sector;
	assert_int_equal(bio_add_mem(bio, buf, bytes), bytes);
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

static inline int disk_read(struct block_device *bdev, sector_t sector, void *buf, u32 bytes)
{
	memset(buf, 0xee, bytes);
	return disk_io(bdev, REQ_OP_READ, sector, buf, bytes);
}

static inline int disk_write(struct block_device *bdev, sector_t sector, void *buf, u32 bytes)
{
	return disk_io(bdev, REQ_OP_WRITE, sector, buf, bytes);
}

/* Bytes that say where they belong. */
static inline void fill_pattern(void *buf, size_t bytes, u64 seed)
{
	u64 state = seed, word = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (i % 8 == 0)
			word = splitmix64(&state);
		((u8 *)buf)[i] = word >> (i % 8 * 8);
	}
}

static inline bool all_bytes(const void *buf, size_t bytes, u8 value)
{
	for (size_t i = 0; i < bytes; i++)
		if (((const u8 *)buf)[i] != value)
			return false;
	return true;
}

/* A file of the host with that content; its path in `path` (of 128 bytes). */
static inline void host_make(const struct drivers_machine *t, const char *name, const void *data,
			     size_t bytes, char *path)
{
	int fd;

	snprintf(path, 128, "%s/%s", t->dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static inline void host_read(const char *path, off_t offset, void *data, size_t bytes)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, bytes, offset), bytes);
	close(fd);
}

/* What the driver shows of itself, to be compared with `want`. */
static inline void assert_shows(struct shale *machine, const char *disk, const char *layer, const char *want)
{
	struct seq_file m;

	seq_text_init(&m, machine);
	assert_int_equal(disk_control_show(machine, disk, layer, &m), 0);
	assert_string_equal(seq_text(&m), want);
	seq_text_free(&m);
}

#endif
