// Writing through the public interface: memory stays bounded, errors are told by the rules, threads write,
// cut and sync at once: rows P3, V8, V9.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/falloc.h>
#include <linux/fs.h>
#include <shale/shale.h>

#define MIB (1u << 20)

static struct shale *machine;
static struct shale_task *task;

static void start(unsigned threads, uint64_t memory, const char *uri)
{
	struct shale_options options = SHALE_OPTIONS_INIT;

	options.threads = threads;
	options.seed = 5;
	options.memory_limit = memory;
	assert_int_equal(shale_new(&options, &machine), 0);
	assert_int_equal(shale_task_new(machine, NULL, &task), 0);
	if (uri)
		assert_int_equal(shale_disk_add(machine, "sda", uri, 0), 0);
}

static int stop(void)
{
	shale_task_free(task);
	return shale_free(machine);
}

static int must_open(const char *path, int flags)
{
	int fd = shale_open(task, path, flags, 0644);

	assert_true(fd >= 0);
	return fd;
}

static long vmstat(const char *name)
{
	char text[8192], *at;

	assert_true(shale_vmstat(machine, text, sizeof(text)) < (ssize_t)sizeof(text));
	at = strstr(text, name);
	assert_non_null(at);
	return atol(at + strlen(name));
}

static void fill(uint64_t *buf, size_t bytes, uint64_t pos)
{
	for (size_t i = 0; i < bytes / 8; i++)
		buf[i] = (pos / 8 + i) * 0x9e3779b97f4a7c15ull;
}

// Ten times as much as the machine may use goes to a device, in order and not, and is there afterwards.
static void test_bounded(void **state)
{
	static uint64_t buf[64 * 1024 / 8], want[64 * 1024 / 8];
	const unsigned pieces = 40 * MIB / sizeof(buf);

	(void)state;
	for (unsigned threads = 0; threads < 3; threads += 2) {
		int fd;

		start(threads, 4 * MIB, "delay+ram:40M?write=100us");
		fd = must_open("/dev/sda", O_RDWR);
		for (unsigned i = 0; i < pieces; i++) {
			uint64_t pos = (uint64_t)(i * 7 % pieces) * sizeof(buf);

			fill(buf, sizeof(buf), pos);
			assert_int_equal(shale_pwrite(task, fd, buf, sizeof(buf), (off_t)pos), sizeof(buf));
			// Writers wait from a fifth of the limit on.
			assert_true(vmstat("nr_dirty ") + vmstat("nr_writeback ") < 1024 / 2);
			assert_true(vmstat("nr_file_pages ") <= 1024 + 16);
		}
		assert_int_equal(shale_fdatasync(task, fd), 0);
		assert_int_equal(vmstat("nr_dirty "), 0);
		for (unsigned i = 0; i < pieces; i++) {
			fill(want, sizeof(want), (uint64_t)i * sizeof(buf));
			assert_int_equal(shale_pread(task, fd, buf, sizeof(buf), (off_t)(i * sizeof(buf))),
					 sizeof(buf));
			assert_memory_equal(buf, want, sizeof(buf));
		}
		assert_int_equal(shale_close(task, fd), 0);
		assert_int_equal(stop(), 0);
	}
}

// In memory only: at the limit a write is refused, what was written is there, and room comes back.
static void test_memory_full(void **state)
{
	static char buf[64 * 1024];
	off_t at = 0;
	ssize_t n;
	int fd;

	(void)state;
	start(0, 4 * MIB, NULL);
	fd = must_open("/file", O_RDWR | O_CREAT);
	memset(buf, 7, sizeof(buf));
	while ((n = shale_pwrite(task, fd, buf, sizeof(buf), at)) > 0)
		at += n;
	assert_int_equal(n, -ENOMEM);
	assert_true(at > 2 * MIB && at <= 4 * MIB + 64 * 1024);
	for (off_t i = 0; i < at; i += 4096) {
		assert_int_equal(shale_pread(task, fd, buf, 1, i), 1);
		assert_int_equal(buf[0], 7);
	}
	assert_int_equal(shale_fallocate(task, fd, 0, at + MIB, 4 * MIB), -ENOMEM);
	assert_int_equal(shale_fallocate(task, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, at), 0);
	assert_int_equal(shale_pwrite(task, fd, buf, sizeof(buf), 0), sizeof(buf));
	assert_int_equal(shale_close(task, fd), 0);
	assert_int_equal(stop(), 0);
}

// An error of writing: once to each descriptor that was open, to who opens later if nobody has heard of it,
// and to nobody twice.
static void test_errors(void **state)
{
	char buf[4096] = {1};
	int fd[3], root;

	(void)state;
	start(0, 8 * MIB, "fault+ram:4M");
	fd[0] = must_open("/dev/sda", O_RDWR);
	fd[1] = must_open("/dev/sda", O_RDONLY);
	assert_int_equal(shale_disk_store(machine, "sda", "fault", "add op=write error=EIO count=1"), 0);
	assert_int_equal(shale_pwrite(task, fd[0], buf, sizeof(buf), 8192), sizeof(buf));
	assert_int_equal(shale_sync(task), 0); // tells nobody
	fd[2] = must_open("/dev/sda", O_RDONLY);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(shale_fsync(task, fd[i]), -EIO);
		assert_int_equal(shale_fsync(task, fd[i]), 0);
	}
	assert_int_equal(shale_close(task, fd[2]), 0);
	fd[2] = must_open("/dev/sda", O_RDWR | O_DSYNC);
	assert_int_equal(shale_fdatasync(task, fd[2]), 0); // it has been told before this was opened
	assert_int_equal(shale_disk_store(machine, "sda", "fault", "add op=write error=EIO count=1"), 0);
	assert_int_equal(shale_pwrite(task, fd[2], buf, 512, 512), -EIO);
	assert_int_equal(shale_pwrite(task, fd[2], buf, 512, 512), 512);
	assert_int_equal(shale_sync_file_range(task, fd[0], 0, 0, 7), -EIO);
	assert_int_equal(shale_fsync(task, fd[0]), 0);
	assert_int_equal(shale_fsync(task, fd[1]), -EIO);
	root = must_open("/", O_RDONLY);
	assert_int_equal(shale_syncfs(task, root), 0); // of another file system
	assert_int_equal(shale_fsync(task, root), 0);
	// A direct write is told to its caller alone.
	assert_int_equal(shale_disk_store(machine, "sda", "fault", "add op=write error=EIO count=1"), 0);
	assert_int_equal(shale_close(task, fd[0]), 0);
	fd[0] = must_open("/dev/sda", O_RDWR | O_DIRECT);
	void *aligned = aligned_alloc(4096, 4096);
	memset(aligned, 2, 4096);
	assert_int_equal(shale_pwrite(task, fd[0], aligned, 4096, 0), -EIO);
	assert_int_equal(shale_fsync(task, fd[0]), 0);
	free(aligned);
	assert_int_equal(stop(), 0);
}

// What nobody was told is told at the end; what the last close wrote is on the disk.
static void test_untold(void **state)
{
	char buf[4096] = {1}, back[4096];
	int fd;

	(void)state;
	for (int told = 0; told < 2; told++) {
		start(0, 8 * MIB, "fault+ram:4M");
		fd = must_open("/dev/sda", O_RDWR);
		assert_int_equal(shale_disk_store(machine, "sda", "fault", "add op=write error=EIO"), 0);
		assert_int_equal(shale_pwrite(task, fd, buf, sizeof(buf), 0), sizeof(buf));
		if (told)
			assert_int_equal(shale_fsync(task, fd), -EIO);
		assert_int_equal(shale_close(task, fd), 0);
		assert_int_equal(stop(), told ? 0 : -EIO);
	}
	start(0, 8 * MIB, "ram:4M");
	fd = must_open("/dev/sda", O_RDWR);
	assert_int_equal(shale_pwrite(task, fd, buf, sizeof(buf), 4096), sizeof(buf));
	assert_int_equal(vmstat("nr_dirty "), 1);
	assert_int_equal(shale_close(task, fd), 0);
	assert_int_equal(vmstat("nr_dirty "), 0);
	fd = must_open("/dev/sda", O_RDONLY | O_DIRECT);
	assert_int_equal(shale_ioctl(task, fd, BLKFLSBUF, NULL), 0);
	assert_int_equal(shale_close(task, fd), 0);
	fd = must_open("/dev/sda", O_RDONLY);
	assert_int_equal(shale_pread(task, fd, back, sizeof(back), 4096), sizeof(back));
	assert_memory_equal(buf, back, sizeof(buf));
	assert_int_equal(stop(), 0);
}

// Writers, readers, who cuts and punches, and who syncs, on a file in memory and on a device.
#define AREA (256u << 10)
static int failed;

static void one_step(struct shale_task *t, int file, int disk, unsigned me, unsigned i, unsigned char *buf)
{
	off_t at = (off_t)((i * 7919u + me * 104729u) % (AREA - 20000));
	size_t len = 1 + i * 31 % 20000;
	int fd = i % 3 ? disk : file;
	ssize_t n;

	switch (me % 4) {
	case 0:
		memset(buf, (int)(me + 1), len);
		n = shale_pwrite(t, fd, buf, len, at);
		break;
	case 1:
		n = shale_pread(t, fd, buf, len, at);
		for (ssize_t j = 0; j < n; j++)
			if (buf[j] > 8)
				n = -1;
		break;
	case 2:
		n = i % 2 ? shale_ftruncate(t, file, at)
			  : shale_fallocate(t, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
					    (off_t)len);
		break;
	default:
		n = i % 4 == 0   ? shale_sync(t)
		    : i % 4 == 1 ? shale_ioctl(t, disk, BLKFLSBUF, NULL)
				 : shale_fsync(t, fd);
		break;
	}
	if (n < 0)
		__atomic_store_n(&failed, (int)n, __ATOMIC_RELAXED);
}

static void *stress_thread(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	unsigned char *buf = malloc(20000);
	struct shale_task *t;
	int file, disk;

	if (shale_task_new(machine, NULL, &t))
		abort();
	file = shale_open(t, "/file", O_RDWR, 0);
	disk = shale_open(t, "/dev/sda", O_RDWR, 0);
	for (unsigned i = 0; i < 300; i++)
		one_step(t, file, disk, me, i, buf);
	shale_task_free(t);
	free(buf);
	return NULL;
}

static void test_together(void **state)
{
	pthread_t threads[8];
	int fd;

	(void)state;
	start(2, 4 * MIB, "ram:1M");
	fd = must_open("/file", O_RDWR | O_CREAT);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stress_thread, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(failed, 0);
	assert_int_equal(shale_close(task, fd), 0);
	assert_int_equal(stop(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),  cmocka_unit_test(test_memory_full),
		cmocka_unit_test(test_errors),   cmocka_unit_test(test_untold),
		cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
