/* SPDX-License-Identifier: MIT */
/*
 * Disks by URI, claims, stacks of filters without recursion, capacity, removal: rows D5, B2.
 */
#include "block_mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/part_format.h"

static char buf[SZ_64K];

/*
 * "file" and "ram" of these tests: a memdisk; "thru": a filter that sends what it gets to what lies below, at
 * once and from queue_rq.
 */
static struct {
	char rest[128], image[SZ_64K], opts[256];
	unsigned flags, opened, closed, fail_open, depth;
} seen;

static int test_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		     const struct uri_options *options, unsigned flags, struct gendisk *lower,
		     struct gendisk **out)
{
	struct mem_params p = {.image = seen.image, .image_bytes = sizeof(seen.image), .depth = seen.depth};
	struct memdisk *mem;
	u64 size = 0;
	int ret;

	snprintf(seen.rest, sizeof(seen.rest), "%s", rest);
	snprintf(seen.opts, sizeof(seen.opts), "%s", uri_option(options, "direct") ?: "-");
	seen.flags = flags;
	ret = uri_option_size(options, "size", &size);
	if (ret && ret != -ENOENT)
		return ret;
	if (seen.fail_open)
		return disk_error(machine, -ENOENT, "%s: there is no such thing", rest);
	p.bytes = size;
	mem = mem_new(machine, &p);
	*out = mem->disk;
	seen.opened++;
	return 0;
}

static void test_close(struct gendisk *disk)
{
	struct memdisk *mem = disk_private(disk);

	cancel_work_sync(&mem->work);
	blk_mq_free_tag_set(&mem->set);
	free(mem->data);
	free(mem);
	seen.closed++;
}

struct thru {
	struct blk_mq_tag_set set;
	struct gendisk *lower;
	bool loud;
};

static void thru_end(struct bio *bio)
{
	struct request *rq = bio->bi_private;
	int status = bio->bi_status;

	bio_put(bio);
	blk_mq_end_request(rq, status);
}

static int thru_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct thru *thru = blk_mq_hctx_queuedata(hctx);
	struct request *rq = bd->rq;
	struct req_iterator it;
	struct bio_vec bv;
	struct bio *bio = bio_alloc_bioset(disk_part0(thru->lower), rq->nr_phys_segments, rq->cmd_flags,
					   blk_bio_set(disk_machine(thru->lower)));

	blk_mq_start_request(rq);
	bio->bi_iter.bi_sector = blk_rq_pos(rq);
	rq_for_each_segment(bv, rq, it)
		assert_int_equal(bio_add_mem(bio, bvec_virt(&bv), bv.bv_len), bv.bv_len);
	bio->bi_private = rq;
	bio->bi_end_io = thru_end;
	submit_bio(bio);
	return BLK_STS_OK;
}

static const struct blk_mq_ops thru_ops = {.queue_rq = thru_queue_rq};

static int thru_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		     const struct uri_options *options, unsigned flags, struct gendisk *lower,
		     struct gendisk **out)
{
	struct thru *thru = calloc(1, sizeof(*thru));
	struct queue_limits limits = *disk_limits(lower);
	bool loud = false;
	int ret = uri_option_bool(options, "loud", &loud);

	if (ret && ret != -ENOENT) {
		free(thru);
		return ret;
	}
	limits.max_sectors = 16;
	thru->loud = loud;
	thru->lower = lower;
	thru->set = (struct blk_mq_tag_set){.ops = &thru_ops,
					    .nr_hw_queues = 1,
					    .queue_depth = seen.depth ? seen.depth : 4,
					    .machine = machine};
	assert_int_equal(blk_mq_alloc_tag_set(&thru->set), 0);
	assert_int_equal(blk_mq_alloc_disk(&thru->set, &limits, thru, out), 0);
	set_capacity(*out, get_capacity(lower));
	seen.opened++;
	return 0;
}

static void thru_close(struct gendisk *disk)
{
	struct thru *thru = disk_private(disk);

	blk_mq_free_tag_set(&thru->set);
	free(thru);
	seen.closed++;
}

static int thru_show(struct gendisk *disk, struct seq_file *m)
{
	seq_puts(m, ((struct thru *)disk_private(disk))->loud ? "loud" : "quiet");
	return 0;
}

static int thru_store(struct gendisk *disk, const char *words)
{
	((struct thru *)disk_private(disk))->loud = !strcmp(words, "loud");
	return 0;
}

static const char *const base_options[] = {"direct", "size", NULL};
static const char *const thru_options[] = {"loud", NULL};
static const struct blk_driver drivers[] = {
	{.name = "file", .open = test_open, .close = test_close, .options = base_options},
	{.name = "ram", .open = test_open, .close = test_close, .options = base_options},
	{.name = "thru",
	 .is_filter = true,
	 .open = thru_open,
	 .close = thru_close,
	 .options = thru_options,
	 .show = thru_show,
	 .store = thru_store},
	{.name = "keep",
	 .is_filter = true,
	 .open = thru_open,
	 .close = thru_close,
	 .lower_flags = DISK_READ_ONLY},
};

static struct shale *start(struct test_machine *t)
{
	struct shale *machine = block_test_start(t, 0, 9);

	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		assert_int_equal(blk_driver_register(machine, &drivers[i]), 0);
	return machine;
}

static void stop(struct test_machine *t)
{
	disks_close_all(t->machine);
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		blk_driver_unregister(t->machine, &drivers[i]);
	assert_int_equal(seen.opened, seen.closed);
	block_test_stop(t);
}

static struct block_device *get(struct shale *machine, const char *name)
{
	struct block_device *bdev;
	dev_t dev;

	if (blkdev_lookup_name(machine, name, &dev) ||
	    blkdev_get_by_dev(machine, dev, BLK_OPEN_READ, NULL, NULL, &bdev))
		return NULL;
	return bdev;
}

static void refused(struct shale *machine, const char *uri, int error, const char *words)
{
	char text[256];

	assert_int_equal(disk_add(machine, "bad", uri, 0), error);
	disk_last_error(machine, text, sizeof(text));
	if (!strstr(text, words))
		print_message("%s: \"%s\" lacks \"%s\"\n", uri, text, words);
	assert_non_null(strstr(text, words));
	assert_null(get(machine, "bad"));
}

static void uris_reach_their_drivers(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	char path[] = "/tmp/shale-uri-XXXXXX", line[64];

	assert_int_equal(disk_add(machine, "a", "ram:64M", 0), 0);
	assert_string_equal(seen.rest, "64M");
	assert_int_equal(disk_add(machine, "b", "thru+file:/x/y?direct=auto&loud=1", 0), 0);
	assert_string_equal(seen.rest, "/x/y");
	assert_string_equal(seen.opts, "auto");
	assert_int_equal(disk_add(machine, "c", "keep+thru+ram:1?ro=0&thru.loud", 0), 0);
	assert_true(seen.flags & DISK_READ_ONLY);
	assert_int_equal(disk_add(machine, "d", "/no/such:file@x?ro", 0), 0);
	assert_string_equal(seen.rest, "/no/such:file@x");
	assert_true(seen.flags & DISK_READ_ONLY);
	assert_int_equal(disk_add(machine, "e", "thru+x:y", 0), 0); /* no scheme of the list: a path */
	assert_string_equal(seen.rest, "thru+x:y");
	/* A file that bears the full name is taken as it is. */
	close(mkstemp(path));
	snprintf(line, sizeof(line), "%s?ro=1@2", path);
	rename(path, line);
	assert_int_equal(disk_add(machine, "f", line, 0), 0);
	assert_string_equal(seen.rest, line);
	assert_false(seen.flags & DISK_READ_ONLY);
	unlink(line);

	refused(machine, "thru+ram:1?quiet=1", -EINVAL, "quiet");
	refused(machine, "ram:1?loud=1", -EINVAL, "loud");
	refused(machine, "ram:1?direct=1&direct=0", -EINVAL, "twice");
	refused(machine, "ram:1?size=many", -EINVAL, "many");
	refused(machine, "thru+ram:1?loud=perhaps", -EINVAL, "perhaps");
	refused(machine, "nosuch+ram:1", -ENODEV, "nosuch");
	refused(machine, "ram+ram:1", -EINVAL, "filter");
	refused(machine, "null:1", -ENODEV, "null");
	refused(machine, "", -EINVAL, "empty");
	refused(machine, "ram:1?part=0", -EINVAL, "part=0");
	refused(machine, "ram:1?part=3", -ENXIO, "partition");
	seen.fail_open = 1;
	refused(machine, "keep+thru+file:/gone", -ENOENT, "/gone: there is no such thing");
	seen.fail_open = 0;
	assert_int_equal(disk_add(machine, "a", "ram:1", 0), -EEXIST);
	assert_int_equal(disk_add(machine, "x/y", "ram:1", 0), -EINVAL);
	assert_int_equal(disk_add(machine, "x\ny", "ram:1", 0), -EINVAL);
	assert_int_equal(disk_add(machine, "a-name-that-is-longer-than-any-name-may-be", "ram:1", 0),
			 -EINVAL);
	stop(&t);
}

static void control_reaches_the_layer(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct seq_file m;

	assert_int_equal(disk_add(machine, "a", "keep+thru+ram:1", 0), 0);
	assert_int_equal(disk_control_store(machine, "a", "thru", "loud"), 0);
	seq_text_init(&m, machine);
	assert_int_equal(disk_control_show(machine, "a", NULL, &m), 0);
	assert_string_equal(seq_text(&m), "loud");
	assert_int_equal(disk_control_show(machine, "a", "keep", &m), -EOPNOTSUPP);
	assert_int_equal(disk_control_show(machine, "a", "log", &m), -ENOENT);
	assert_int_equal(disk_control_show(machine, "z", NULL, &m), -ENODEV);
	seq_text_free(&m);
	stop(&t);
}

static void put_mbr(unsigned slot, u32 first, u32 count)
{
	struct msdos_entry e = {.type = 0x83, .start = cpu_to_le32(first), .count = cpu_to_le32(count)};

	memcpy(seen.image + MSDOS_TABLE_OFFSET + slot * 16, &e, 16);
	memcpy(seen.image + 510, "\x55\xaa", 2);
}

static void part_option_shows_one_partition(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct block_device *bdev;

	put_mbr(1, 64, 32);
	memset(seen.image + 64 * 512, 'z', 512);
	assert_int_equal(disk_add(machine, "p", "thru+ram:1?part=2", 0), 0);
	bdev = get(machine, "p");
	assert_int_equal(bdev_nr_sectors(bdev), 32);
	assert_int_equal(do_bio(bdev, REQ_OP_READ, 0, buf, 1), 0);
	assert_int_equal(buf[0], 'z');
	assert_int_equal(do_bio(bdev, REQ_OP_READ, 31, buf, 2), -EIO);
	assert_null(get(machine, "p2"));
	blkdev_put(bdev, NULL);
	assert_int_equal(disk_add(machine, "q", "/no/such/image@2", 0), 0);
	assert_string_equal(seen.rest, "/no/such/image");
	bdev = get(machine, "q");
	assert_int_equal(bdev_nr_sectors(bdev), 32);
	blkdev_put(bdev, NULL);
	assert_int_equal(disk_add(machine, "r", "ram:1", 0), 0);
	bdev = get(machine, "r2");
	assert_int_equal(bdev_nr_sectors(bdev), 32);
	blkdev_put(bdev, NULL);
	stop(&t);
}

/* Three filters that send from queue_rq, one tag each, parts of many bios: no deadlock, the data is right. */
static void stacks_get_on_with_one_tag(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct block_device *bdev;
	struct bio_result r = {};
	struct blk_plug plug;

	for (unsigned plugged = 0; plugged < 2; plugged++) {
		seen.depth = 1;
		for (size_t i = 0; i < sizeof(seen.image); i++)
			seen.image[i] = (char)(i / 512);
		seen.image[510] = 0;
		assert_int_equal(disk_add(machine, "s", "thru+thru+thru+ram:1", 0), 0);
		bdev = get(machine, "s");
		atomic_set(&r.done, 0);
		if (plugged)
			blk_start_plug(&plug);
		for (unsigned i = 0; i < 8; i++) /* each is split in four by the first filter */
			send_bio(bdev, REQ_OP_READ, i % 2 * 64, buf + i % 2 * 32768, 64, &r);
		if (plugged)
			blk_finish_plug(&plug);
		for (unsigned i = 0; i < 1000 && atomic_read(&r.done) < 8; i++)
			sleep_ns(1000);
		assert_int_equal(atomic_read(&r.done), 8);
		assert_int_equal(r.status, 0);
		assert_memory_equal(buf, seen.image, sizeof(buf));
		blkdev_put(bdev, NULL);
		assert_int_equal(disk_remove(machine, "s"), 0);
	}
	stop(&t);
}

static int claim(struct shale *machine, const char *name, void *holder, struct block_device **out)
{
	dev_t dev;

	assert_int_equal(blkdev_lookup_name(machine, name, &dev), 0);
	return blkdev_get_by_dev(machine, dev, BLK_OPEN_READ, holder, NULL, out);
}

/* fs/block: whole disk against partitions, holder against holder. */
static void claims_exclude_as_in_linux(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct block_device *a, *b, *c, *none;
	int me, you;

	put_mbr(0, 8, 8);
	put_mbr(1, 16, 8);
	assert_int_equal(disk_add(machine, "d", "ram:1", 0), 0);
	assert_int_equal(claim(machine, "d", &me, &a), 0);
	assert_int_equal(claim(machine, "d", &you, &none), -EBUSY);
	assert_int_equal(claim(machine, "d1", &you, &none), -EBUSY);
	assert_int_equal(claim(machine, "d1", &me, &none), -EBUSY);
	assert_int_equal(claim(machine, "d", &me, &b), 0);   /* the same once more */
	assert_int_equal(claim(machine, "d1", NULL, &c), 0); /* without a claim */
	blkdev_put(c, NULL);
	blkdev_put(b, &me);
	assert_int_equal(claim(machine, "d1", &you, &none), -EBUSY);
	blkdev_put(a, &me);
	assert_int_equal(claim(machine, "d1", &me, &a), 0);
	assert_int_equal(claim(machine, "d2", &you, &b), 0);
	assert_int_equal(claim(machine, "d", &me, &none), -EBUSY);
	assert_int_equal(claim(machine, "d2", &me, &none), -EBUSY);
	blkdev_put(a, &me);
	assert_int_equal(claim(machine, "d", &me, &none), -EBUSY);
	assert_int_equal(disk_remove(machine, "d"), -EBUSY);
	blkdev_put(b, &you);
	assert_int_equal(claim(machine, "d", &me, &a), 0);
	blkdev_put(a, &me);
	assert_int_equal(disk_remove(machine, "d"), 0);
	assert_int_equal(disk_remove(machine, "d"), -ENODEV);
	stop(&t);
}

static unsigned added, removed, resized;
static int upper_added(struct block_device *bdev)
{
	added++;
	return 0;
}
static void upper_removed(struct block_device *bdev)
{
	removed++;
}
static void upper_resized(struct block_device *bdev)
{
	resized++;
}
static const struct blk_upper_ops upper = {upper_added, upper_removed, upper_resized};

static void upper_floor_hears_of_devices(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct block_device *bdev;

	added = removed = resized = 0;
	put_mbr(0, 8, 8);
	assert_int_equal(disk_add(machine, "early", "ram:1", 0), 0);
	blk_set_upper_ops(machine, &upper);
	assert_int_equal(added, 2);
	assert_int_equal(disk_add(machine, "late", "thru+ram:1", 0), 0);
	assert_int_equal(added, 4); /* hidden ones are not told of */
	bdev = get(machine, "late");
	set_capacity(bdev->bd_disk, 100);
	assert_int_equal(resized, 1);
	assert_int_equal(bdev_nr_sectors(bdev), 100);
	assert_int_equal(do_bio(bdev, REQ_OP_READ, 99, buf, 1), 0);
	assert_int_equal(do_bio(bdev, REQ_OP_READ, 100, buf, 1), -EIO);
	blkdev_put(bdev, NULL);
	assert_int_equal(disk_remove(machine, "late"), 0);
	assert_int_equal(removed, 2);
	blk_set_upper_ops(machine, NULL);
	assert_int_equal(removed, 4);
	stop(&t);
}

static void read_only_disks(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct block_device *bdev;
	dev_t dev;

	put_mbr(0, 8, 8);
	assert_int_equal(disk_add(machine, "d", "ram:1?ro=1", 0), 0);
	assert_int_equal(blkdev_lookup_name(machine, "d1", &dev), 0);
	assert_int_equal(blkdev_get_by_dev(machine, dev, BLK_OPEN_WRITE, NULL, NULL, &bdev), -EACCES);
	bdev = get(machine, "d1");
	assert_true(bdev_read_only(bdev));
	assert_int_equal(do_bio(bdev, REQ_OP_WRITE, 0, buf, 1), -EROFS);
	blkdev_put(bdev, NULL);
	stop(&t);
}

/* What /proc shows, and attributes. */
static void texts_are_linuxs(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	struct device *dev;
	struct seq_file m;

	put_mbr(0, 8, 8);
	assert_int_equal(disk_add(machine, "sda", "ram:1?size=64K", 0), 0);
	seq_text_init(&m, machine);
	partitions_show(machine, &m);
	assert_string_equal(seq_text(&m), "major minor  #blocks  name\n\n"
					  " 254        0         64 sda\n 254        1          4 sda1\n");
	seq_text_free(&m);
	seq_text_init(&m, machine);
	diskstats_show(machine, &m);
	assert_string_equal(seq_text(&m), " 254       0 sda 2 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
					  " 254       1 sda1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
	seq_text_free(&m);
	dev = device_find(machine, &block_class, "sda1");
	assert_non_null(dev);
	seq_text_init(&m, machine);
	assert_int_equal(device_attr_show(dev, NULL, "start", &m), 0);
	assert_int_equal(device_attr_show(dev, NULL, "size", &m), 0);
	assert_int_equal(device_attr_show(dev, NULL, "nothing", &m), -ENOENT);
	assert_int_equal(device_attr_store(dev, NULL, "size", "1"), -EACCES);
	assert_string_equal(seq_text(&m), "8\n8\n");
	seq_text_free(&m);
	put_device(dev);
	dev = device_find(machine, &block_class, "sda");
	seq_text_init(&m, machine);
	assert_int_equal(device_attr_show(dev, "queue", "scheduler", &m), 0);
	assert_int_equal(device_attr_show(dev, "queue", "logical_block_size", &m), 0);
	assert_int_equal(device_attr_store(dev, "queue", "scheduler", "bogus"), -EINVAL);
	assert_string_equal(seq_text(&m), "[none]\n512\n");
	seq_text_free(&m);
	put_device(dev);
	stop(&t);
}

/* Each allocation of a disk_add fails in turn: an error, and nothing is left behind. */
static void failing_allocations(void **state)
{
	struct test_machine t;
	struct shale *machine = start(&t);
	u64 n;

	/*
	 * The tests' drivers assert that their own allocations succeed: so the registry and the disk are what
	 * fails here.
	 */
	for (n = 1; n < 200; n++) {
		struct bio_set *set = NULL;
		struct blk_mq_tag_set tags = {
			.ops = &mem_ops, .nr_hw_queues = 2, .queue_depth = 4, .machine = machine};
		struct gendisk *disk = NULL;
		int ret;

		alloc_fail_set(machine, ALLOC_FAIL_NTH, n, 0);
		ret = blk_mq_alloc_tag_set(&tags);
		ret = ret ? ret : blk_mq_alloc_disk(&tags, NULL, NULL, &disk);
		if (!ret)
			set_capacity(disk, 0);
		ret = ret ? ret : device_add_disk(disk, "n", 0);
		ret = ret ? ret : bioset_create(machine, 2, &set);
		alloc_fail_clear(machine);
		bioset_destroy(set);
		if (disk) {
			del_gendisk(disk);
			blk_mq_free_tag_set(&tags);
			put_disk(disk);
		} else {
			blk_mq_free_tag_set(&tags);
		}
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
	}
	assert_true(n > 10 && n < 200);
	stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uris_reach_their_drivers),
		cmocka_unit_test(control_reaches_the_layer),
		cmocka_unit_test(part_option_shows_one_partition),
		cmocka_unit_test(stacks_get_on_with_one_tag),
		cmocka_unit_test(claims_exclude_as_in_linux),
		cmocka_unit_test(upper_floor_hears_of_devices),
		cmocka_unit_test(read_only_disks),
		cmocka_unit_test(texts_are_linuxs),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
