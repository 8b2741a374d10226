/* SPDX-License-Identifier: MIT */
/*
 * Proves of D6 (drivers): host files as disks, by io_uring and by calls, with and without direct I/O; locks
 * and refusals as the fixed interfaces say; bad host files, each with one clear line that names it.
 */
#include "drivers_machine.h"

#include <sys/file.h>
#include <sys/wait.h>

#define IMAGE_BYTES (1u << 20)

static const char *const ways[] = {
	"direct=0&io=ring",    "direct=1&io=ring",    "direct=0&io=threads",
	"direct=1&io=threads", "direct=auto&io=auto",
};

static u8 image[IMAGE_BYTES], buf[IMAGE_BYTES] __attribute__((aligned(4096)));

static struct block_device *open_way(struct drivers_machine *t, const char *path, const char *way,
				     unsigned flags)
{
	char uri[256];

	snprintf(uri, sizeof(uri), "file:%s?%s", path, way);
	return disk_open(t->machine, "d", uri, flags);
}

/* Reads and writes of every alignment of place, length and memory. */
static void exercise(struct block_device *bdev)
{
	for (unsigned i = 0; i < 60; i++) {
		unsigned sectors = 1 + i * 7 % 33, misalign = i % 3 * 4;
		sector_t sector = i * 29 % 1500;

		assert_int_equal(disk_read(bdev, sector, buf + misalign, sectors * 512), 0);
		assert_memory_equal(buf + misalign, image + sector * 512, sectors * 512);
		if (bdev_read_only(bdev))
			continue;
		fill_pattern(image + sector * 512, sectors * 512, i);
		memcpy(buf + misalign, image + sector * 512, sectors * 512);
		assert_int_equal(disk_io(bdev, REQ_OP_WRITE | (i % 4 ? 0 : REQ_FUA), sector, buf + misalign,
					 sectors * 512),
				 0);
	}
	assert_int_equal(disk_read(bdev, 0, buf, IMAGE_BYTES), 0);
	assert_memory_equal(buf, image, IMAGE_BYTES);
}

static void file_every_way(unsigned threads)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, threads, 1);
	char path[128];

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		struct block_device *bdev;

		fill_pattern(image, sizeof(image), i);
		host_make(&t, "image", image, sizeof(image), path);
		bdev = open_way(&t, path, ways[i], 0);
		assert_int_equal(bdev_nr_bytes(bdev), IMAGE_BYTES);
		exercise(bdev);
		assert_int_equal(blkdev_issue_flush(bdev), 0);
		assert_int_equal(blkdev_issue_discard(bdev, 64, 128), 0);
		memset(image + 64 * 512, 0, 128 * 512);
		assert_int_equal(blkdev_issue_zeroout(bdev, 301, 5, 0), 0);
		memset(image + 301 * 512, 0, 5 * 512);
		assert_int_equal(disk_read(bdev, 0, buf, IMAGE_BYTES), 0);
		assert_memory_equal(buf, image, IMAGE_BYTES);
		disk_close(machine, bdev);
		host_read(path, 0, buf, IMAGE_BYTES);
		assert_memory_equal(buf, image, IMAGE_BYTES);
		/* And again, to read only: nothing may change. */
		bdev = open_way(&t, path, ways[i], DISK_READ_ONLY);
		exercise(bdev);
		assert_int_equal(disk_write(bdev, 0, buf, 512), -EROFS);
		disk_close(machine, bdev);
	}
	unlink(path);
	drivers_stop(&t);
}

static void test_file_every_way(void **state)
{
	file_every_way(2);
}
static void test_file_every_way_single(void **state)
{
	file_every_way(0);
}

/* Many bios under one plug become few requests, in batches, and all arrive. */
static void test_file_plugged_batches(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	char path[128];

	fill_pattern(image, sizeof(image), 9);
	host_make(&t, "image", image, sizeof(image), path);
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		struct block_device *bdev = open_way(&t, path, ways[i], DISK_READ_ONLY);
		struct bio *bios[128], *parent;
		struct blk_plug plug;

		memset(buf, 0, sizeof(buf));
		assert_int_equal(bio_alloc(bdev, 1, REQ_OP_READ, &parent), 0);
		bio_add_mem(parent, buf, 4096);
		blk_start_plug(&plug);
		for (unsigned j = 1; j < 128; j++) {
			unsigned page = j * 2; /* not to be merged */

			assert_int_equal(bio_alloc(bdev, 1, REQ_OP_READ, &bios[j]), 0);
			bios[j]->bi_iter.bi_sector = page * 8;
			bio_add_mem(bios[j], buf + page * 4096, 4096);
			bio_chain(bios[j], parent);
			submit_bio(bios[j]);
		}
		blk_finish_plug(&plug);
		assert_int_equal(submit_bio_wait(parent), 0);
		bio_put(parent);
		for (unsigned page = 0; page < 256; page += 2)
			assert_memory_equal(buf + page * 4096, image + page * 4096, 4096);
		disk_close(machine, bdev);
	}
	unlink(path);
	drivers_stop(&t);
}

static void test_file_window(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev;
	char path[128], uri[200];

	fill_pattern(image, sizeof(image), 10);
	host_make(&t, "image", image, sizeof(image), path);
	bdev = open_way(&t, path, "offset=64K&size=1536", DISK_READ_ONLY);
	assert_int_equal(bdev_nr_sectors(bdev), 3);
	assert_int_equal(disk_read(bdev, 1, buf, 1024), 0);
	assert_memory_equal(buf, image + 65536 + 512, 1024);
	disk_close(machine, bdev);
	snprintf(uri, sizeof(uri), "file:%s?offset=100", path);
	assert_int_equal(disk_add(machine, "d", uri, 0), -EINVAL);
	snprintf(uri, sizeof(uri), "file:%s?offset=1M", path);
	assert_int_equal(disk_add(machine, "d", uri, 0), -EINVAL);
	snprintf(uri, sizeof(uri), "file:%s?size=2M", path);
	assert_int_equal(disk_add(machine, "d", uri, 0), -EINVAL);
	snprintf(uri, sizeof(uri), "file:%s?size=0", path);
	assert_int_equal(disk_add(machine, "d", uri, 0), -EINVAL);
	unlink(path);
	drivers_stop(&t);
}

/* Tries to add a disk; wants this error, and a line that has `words` and the path in it. */
static void refused(struct shale *machine, const char *path, const char *options, unsigned flags, int error,
		    const char *words)
{
	char uri[256], why[512];

	snprintf(uri, sizeof(uri), "file:%s%s", path, options);
	assert_int_equal(disk_add(machine, "bad", uri, flags), error);
	disk_last_error(machine, why, sizeof(why));
	if (!strstr(why, words) || !strstr(why, path))
		fail_msg("\"%s\" does not say \"%s\" of %s", why, words, path);
}

static void test_file_sectors(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	struct block_device *bdev;
	char path[128];

	fill_pattern(image, sizeof(image), 11);
	host_make(&t, "image", image, 3 * 4096 + 512, path);
	bdev = open_way(&t, path, "", DISK_READ_ONLY);
	assert_int_equal(bdev_logical_block_size(bdev), 512);
	assert_int_equal(bdev_nr_sectors(bdev), 25);
	disk_close(machine, bdev);
	bdev = open_way(&t, path, "sector=4096", DISK_READ_ONLY);
	assert_int_equal(bdev_logical_block_size(bdev), 4096);
	assert_int_equal(bdev_nr_sectors(bdev), 24);
	assert_int_equal(disk_read(bdev, 8, buf, 8192), 0);
	assert_memory_equal(buf, image + 4096, 8192);
	disk_close(machine, bdev);
	refused(machine, path, "?sector=1024", DISK_READ_ONLY, -EINVAL, "512 or 4096");
	refused(machine, path, "?sector=4096&offset=512", DISK_READ_ONLY, -EINVAL, "multiples of 4096");
	refused(machine, path, "?sector=4096&offset=12K", DISK_READ_ONLY, -EINVAL, "no sector");
	unlink(path);
	drivers_stop(&t);
}

static void test_bad_host_files(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	char path[128];

	snprintf(path, sizeof(path), "%s/missing", t.dir);
	refused(machine, path, "", 0, -ENOENT, "No such file");
	refused(machine, t.dir, "", 0, -EISDIR, "is a directory");
	host_make(&t, "empty", "", 0, path);
	refused(machine, path, "", DISK_READ_ONLY, -EINVAL, "is empty");
	unlink(path);
	host_make(&t, "short", image, 511, path);
	refused(machine, path, "", 0, -EINVAL, "511 bytes");
	unlink(path);
	snprintf(path, sizeof(path), "%s/fifo", t.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(machine, path, "", 0, -EINVAL, "is a fifo");
	refused(machine, path, "", DISK_READ_ONLY, -EINVAL, "is a fifo");
	unlink(path);
	refused(machine, "/dev/null", "", 0, -EINVAL, "is a character device");
	host_make(&t, "image", image, sizeof(image), path);
	refused(machine, path, "?io=magic", 0, -EINVAL, "io=magic");
	refused(machine, path, "?direct=maybe", 0, -EINVAL, "direct=maybe");
	unlink(path);
	drivers_stop(&t);
}

/* An ordinary text file is a disk, of its whole sectors. */
static void test_text_file_opens(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	struct block_device *bdev;
	char path[128];

	memset(image, 'x', 1300);
	host_make(&t, "text", image, 1300, path);
	bdev = open_way(&t, path, "", DISK_READ_ONLY);
	assert_int_equal(bdev_nr_sectors(bdev), 2);
	assert_int_equal(disk_read(bdev, 0, buf, 1024), 0);
	assert_true(all_bytes(buf, 1024, 'x'));
	disk_close(machine, bdev);
	unlink(path);
	drivers_stop(&t);
}

static void test_no_permission(void **state)
{
	struct drivers_machine t;
	char path[128];
	int status;

	if (geteuid() != 0)
		skip();
	/* As another user: a process of its own, as ids belong to all of it. */
	if (fork() == 0) {
		drivers_start(&t, 0, 1);
		host_make(&t, "image", image, sizeof(image), path);
		assert_int_equal(setresuid(65534, 65534, 0), 0);
		refused(t.machine, path, "", DISK_READ_ONLY, -EACCES, "Permission denied");
		assert_int_equal(setresuid(0, 0, 0), 0);
		unlink(path);
		drivers_stop(&t);
		_exit(0);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

/* The file is cut while the disk is in use: an error with words, and what is left can still be read. */
static void file_is_cut(unsigned threads, const char *way)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, threads, 1);
	struct block_device *bdev;
	char path[128];

	fill_pattern(image, sizeof(image), 11);
	host_make(&t, "image", image, sizeof(image), path);
	bdev = open_way(&t, path, way, DISK_READ_ONLY);
	assert_int_equal(truncate(path, IMAGE_BYTES / 2), 0);
	assert_int_equal(disk_read(bdev, IMAGE_BYTES / 1024 - 8, buf, 8192), -EIO);
	assert_int_equal(disk_read(bdev, IMAGE_BYTES / 1024, buf, 4096), -EIO);
	assert_int_equal(disk_read(bdev, IMAGE_BYTES / 1024 - 8, buf, 4096), 0);
	assert_memory_equal(buf, image + IMAGE_BYTES / 2 - 4096, 4096);
	unlink(path); /* vanished: what is open stays */
	assert_int_equal(disk_read(bdev, 0, buf, 4096), 0);
	assert_memory_equal(buf, image, 4096);
	disk_close(machine, bdev);
	drivers_stop(&t);
}

static void test_file_is_cut_while_in_use(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		file_is_cut(0, ways[i]);
		file_is_cut(2, ways[i]);
	}
}

static void test_locks(void **state)
{
	struct drivers_machine t, other;
	struct shale *machine = drivers_start(&t, 0, 1), *second = drivers_start(&other, 0, 1);
	struct block_device *bdev, *shared;
	char path[128], uri[160];

	host_make(&t, "image", image, sizeof(image), path);
	snprintf(uri, sizeof(uri), "file:%s", path);
	/* Readers share, and keep writers out. */
	bdev = disk_open(machine, "d", uri, DISK_READ_ONLY);
	shared = disk_open(second, "d", uri, DISK_READ_ONLY);
	disk_close(second, shared);
	refused(second, path, "", 0, -EBUSY, "in use");
	disk_close(machine, bdev);
	/* A writer keeps all others out, unless they do not care. */
	bdev = disk_open(machine, "d", uri, 0);
	refused(second, path, "", DISK_READ_ONLY, -EBUSY, "locked");
	refused(second, path, "", 0, -EBUSY, "locked");
	shared = disk_open(second, "d", uri, DISK_READ_ONLY | DISK_UNLOCKED);
	disk_close(second, shared);
	disk_close(machine, bdev);
	/* The lock goes with the disk. */
	bdev = disk_open(second, "d", uri, 0);
	disk_close(second, bdev);
	unlink(path);
	drivers_stop(&other);
	drivers_stop(&t);
}

static void test_loop_device_keeps_its_image(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	char path[128], command[256], device[64] = "";
	struct block_device *bdev;
	FILE *pipe;

	host_make(&t, "image", image, sizeof(image), path);
	snprintf(command, sizeof(command), "losetup --show -f %s 2>/dev/null", path);
	pipe = popen(command, "r");
	if (!pipe || !fgets(device, sizeof(device), pipe)) {
		if (pipe)
			pclose(pipe);
		unlink(path);
		drivers_stop(&t);
		skip();
	}
	pclose(pipe);
	device[strcspn(device, "\n")] = '\0';
	refused(machine, path, "", DISK_READ_ONLY, -EBUSY, device);
	refused(machine, path, "", DISK_UNLOCKED, -EBUSY, device);
	bdev = open_way(&t, path, "", DISK_READ_ONLY | DISK_UNLOCKED);
	disk_close(machine, bdev);
	/* The device itself is a disk like any other. */
	bdev = open_way(&t, device, "direct=0", 0);
	assert_int_equal(bdev_nr_bytes(bdev), IMAGE_BYTES);
	assert_int_equal(disk_read(bdev, 8, buf, 8192), 0);
	assert_memory_equal(buf, image + 4096, 8192);
	disk_close(machine, bdev);
	snprintf(command, sizeof(command), "losetup -d %s", device);
	assert_int_equal(system(command), 0);
	bdev = open_way(&t, path, "", 0);
	disk_close(machine, bdev);
	unlink(path);
	drivers_stop(&t);
}

/* A thread submits and exits; another gets the results. */
struct left_behind {
	struct shale *machine;
	struct block_device *bdev;
	struct bio *bios[64];
	struct completion done;
	atomic_t left;
	int error;
};

static void left_end_io(struct bio *bio)
{
	struct left_behind *l = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(l->error, bio->bi_status);
	bio_put(bio);
	if (atomic_dec_and_test(&l->left))
		complete(&l->done);
}

static void *leave_behind(void *arg)
{
	struct left_behind *l = arg;
	struct current_saved saved;

	current_enter(l->machine, NULL, &saved);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(bio_alloc(l->bdev, 1, REQ_OP_READ, &l->bios[i]), 0);
		l->bios[i]->bi_iter.bi_sector = (i * 37 % 64) * 32;
		bio_add_mem(l->bios[i], buf + (i * 37 % 64) * 16384, 16384);
		l->bios[i]->bi_end_io = left_end_io;
		l->bios[i]->bi_private = l;
		submit_bio(l->bios[i]);
	}
	current_leave(&saved);
	return NULL;
}

static void test_submitter_exits(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	char path[128];

	fill_pattern(image, sizeof(image), 12);
	for (unsigned i = 0; i < 3 * ARRAY_SIZE(ways); i++) {
		struct left_behind l = {.machine = machine, .left = ATOMIC_INIT(64)};
		pthread_t thread;
		int fd;

		host_make(&t, "image", image, sizeof(image), path);
		fd = open(path, O_RDONLY);
		fsync(fd);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		memset(buf, 0, sizeof(buf));
		init_completion(&l.done);
		l.bdev = open_way(&t, path, ways[i % ARRAY_SIZE(ways)], DISK_READ_ONLY);
		assert_int_equal(pthread_create(&thread, NULL, leave_behind, &l), 0);
		pthread_join(thread, NULL);
		wait_for_completion_io(&l.done);
		assert_int_equal(l.error, 0);
		assert_memory_equal(buf, image, IMAGE_BYTES);
		disk_close(machine, l.bdev);
		unlink(path);
	}
	drivers_stop(&t);
}

struct crowd {
	struct block_device *bdev;
	atomic_t turn;
};

static void crowd_member(void *arg)
{
	struct crowd *crowd = arg;
	unsigned me = atomic_fetch_add(1, &crowd->turn);
	u8 *mine = aligned_alloc(4096, 8192);

	for (unsigned i = 0; i < 150; i++) {
		sector_t sector = (i % 60) * 32 + me * 8;

		fill_pattern(mine, 4096, me * 1000 + i);
		assert_int_equal(disk_write(crowd->bdev, sector, mine, 4096), 0);
		assert_int_equal(disk_read(crowd->bdev, sector, mine + 4096, 4096), 0);
		assert_memory_equal(mine, mine + 4096, 4096);
	}
	free(mine);
}

static void test_file_many_threads(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 2, 1);
	char path[128];

	host_make(&t, "image", image, sizeof(image), path);
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		struct crowd crowd = {.bdev = open_way(&t, path, ways[i], 0)};

		test_run_threads(machine, 4, crowd_member, &crowd);
		disk_close(machine, crowd.bdev);
	}
	unlink(path);
	drivers_stop(&t);
}

/* Each allocation of opening a disk fails in turn: an error (or another way), nothing left behind, then
 * success. */
static void test_open_survives_failing_allocations(void **state)
{
	struct drivers_machine t;
	struct shale *machine = drivers_start(&t, 0, 1);
	char path[128], uri[200];
	unsigned nth, failures = 0;
	bool injected = true;

	host_make(&t, "image", image, sizeof(image), path);
	snprintf(uri, sizeof(uri), "log+fault+delay+cow+file:%s?fault=op=read,error=EIO", path);
	for (nth = 1; injected; nth++) {
		int err;

		alloc_fail_set(machine, ALLOC_FAIL_NTH, nth, 0);
		err = disk_add(machine, "d", uri, DISK_NO_PARTSCAN);
		injected = alloc_fail_injected(machine);
		alloc_fail_clear(machine);
		if (!err)
			assert_int_equal(disk_remove(machine, "d"), 0);
		else if (err != -ENOMEM)
			fail_msg("allocation %u: %d", nth, err);
		failures += err != 0;
	}
	assert_true(failures > 20);
	unlink(path);
	drivers_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_every_way),
		cmocka_unit_test(test_file_every_way_single),
		cmocka_unit_test(test_file_plugged_batches),
		cmocka_unit_test(test_file_window),
		cmocka_unit_test(test_file_sectors),
		cmocka_unit_test(test_bad_host_files),
		cmocka_unit_test(test_text_file_opens),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_file_is_cut_while_in_use),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_loop_device_keeps_its_image),
		cmocka_unit_test(test_submitter_exits),
		cmocka_unit_test(test_file_many_threads),
		cmocka_unit_test(test_open_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
