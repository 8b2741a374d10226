/* SPDX-License-Identifier: MIT */
/*
 * shale_check in process: what it tells of a damaged volume and where, that it ends when it is told to, that
 * every allocation and every read may fail without a volume being called damaged for it, and its errors.
 */
#include "ext4_image.h"

#include "base/alloc.h"

static const char *const commands =
	"mkdir -p t/d/e; seq 20000 >t/big; for i in $(seq 60); do echo $i >t/d/name-number-$i; done;"
	"ln -s $(printf 'x%.0s' $(seq 90)) t/long; ln t/big t/d/link; echo tiny >t/tiny;"
	"mke2fs -q -t ext4 -b 1024 -O quota,project,orphan_file,inline_data,ea_inode"
	"  -E quotatype=usrquota:grpquota:prjquota -d t image 8M;"
	"head -c 3000 /dev/urandom >value; debugfs -w -R 'ea_set -f value /big user.large' image;"
	"debugfs -w -R 'ea_set /d user.small abc' image; debugfs -w -R 'ea_set /long user.other xyz' image;"
	"e2fsck -fy image || test $? = 1; e2fsck -fn image";

struct machine {
	struct shale *machine;
	struct shale_task *task;
};

/* The image through the host's cache, behind a filter ("fault+") or none (""). */
static void machine_start(struct machine *m, const struct image *im, const char *filter)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	char uri[128];

	snprintf(uri, sizeof(uri), "%sfile:%s?direct=0", filter, im->path);

	options.threads = 0;
	assert_int_equal(shale_new(&options, &m->machine), 0);
	assert_int_equal(shale_task_new(m->machine, NULL, &m->task), 0);
	assert_int_equal(shale_disk_add(m->machine, "a", uri, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED), 0);
}

static void machine_end(struct machine *m)
{
	shale_task_free(m->task);
	assert_int_equal(shale_free(m->machine), 0);
}

/* The problems that were told. */
struct told {
	unsigned count, most; /* ends the check when there are so many */
	struct shale_problem problems[32];
	char texts[32][200];
};

static int note(void *arg, const struct shale_problem *p)
{
	struct told *told = arg;

	if (told->count < 32) {
		told->problems[told->count] = *p;
		snprintf(told->texts[told->count], sizeof(told->texts[0]), "%s", p->text);
	}
	return ++told->count == told->most;
}

static int check(struct machine *m, struct told *told)
{
	told->count = 0;
	return shale_check(m->task, "/dev/a", NULL, NULL, 0, note, told);
}

static void test_problems_have_a_place_and_end_when_told(void **state)
{
	struct told told = {0};
	struct machine m;
	struct image im;
	int all;

	image_make(&im,
		   "mkdir -p t/d; seq 9 >t/file; mke2fs -q -t ext4 -b 1024 -O ^metadata_csum -d t image 8M");
	machine_start(&m, &im, "");
	assert_int_equal(check(&m, &told), 0);
	assert_int_equal(told.count, 0);
	machine_end(&m);

	/* The root has too many links, another inode too many blocks; e2fsck tells both, too. */
	image_inode(&im, EXT4_ROOT_INO)->i_links_count = cpu_to_le16(9);
	image_inode(&im, 13)->i_blocks_lo = cpu_to_le32(100);
	machine_start(&m, &im, "");
	all = check(&m, &told);
	assert_int_equal(all, 2);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.problems[0].code, "inode-blocks");
	assert_int_equal(told.problems[0].inode, 13);
	assert_string_equal(told.problems[1].code, "inode-links");
	assert_int_equal(told.problems[1].inode, EXT4_ROOT_INO);
	assert_int_equal(told.problems[1].group, -1);
	assert_int_equal(told.problems[1].severity, SHALE_PROBLEM_DAMAGE);
	assert_non_null(strstr(told.texts[1], "inode 2: "));
	told.most = 1;
	assert_int_equal(check(&m, &told), 1);
	assert_int_equal(told.count, 1);
	assert_int_equal(shale_check(m.task, "/dev/a", "ext2", NULL, 0, NULL, NULL), 2);
	machine_end(&m);
	image_remove(&im);
}

static void test_progress_is_told_to_who_asks(void **state)
{
	struct told told = {0};
	struct machine m;
	struct image im;

	image_make(&im, "mke2fs -q -t ext4 -b 1024 -g 256 -N 4096 image 8M");
	machine_start(&m, &im, "");
	assert_int_equal(shale_check(m.task, "/dev/a", NULL, NULL, SHALE_CHECK_PROGRESS, note, &told), 0);
	assert_true(told.count > 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(told.problems[i].severity, SHALE_PROBLEM_PROGRESS);
		assert_string_equal(told.problems[i].code, "progress");
	}
	assert_string_equal(told.texts[0], "inodes, 0%");
	assert_int_equal(check(&m, &told), 0);
	assert_int_equal(told.count, 0);
	machine_end(&m);
	image_remove(&im);
}

static void test_every_allocation_may_fail(void **state)
{
	struct told told = {0};
	struct machine m;
	struct image im;
	unsigned n = 1, failed = 0;
	u64 refused;

	image_make(&im, commands);
	machine_start(&m, &im, "");
	assert_int_equal(check(&m, &told), 0);
	do {
		int err;

		assert_int_equal(shale_drop_caches(m.machine), 0);
		alloc_fail_set(m.machine, ALLOC_FAIL_NTH, n++, 0);
		err = check(&m, &told);
		refused = alloc_fail_injected(m.machine);
		alloc_fail_clear(m.machine);
		if ((err != 0 && (err != -ENOMEM || !refused)) || told.count)
			fail_msg("allocation %u: %d, %s, %s", n, err, told.texts[0], told.texts[1]);
		failed += err != 0;
	} while (refused);
	assert_true(failed > 20);
	assert_int_equal(check(&m, &told), 0);
	machine_end(&m);
	image_remove(&im);
}

static void test_every_read_may_fail(void **state)
{
	struct told told = {0};
	struct machine m;
	struct image im;
	unsigned failed = 0;

	image_make(&im, commands);
	machine_start(&m, &im, "fault+");
	for (u64 sector = 0; sector < im.size >> 9; sector += sector < 1200 ? 2 : 64) {
		char words[96];
		int err;

		snprintf(words, sizeof(words), "add op=read start=%llu end=%llu error=EIO",
			 (unsigned long long)sector, (unsigned long long)sector + 1);
		assert_int_equal(shale_disk_store(m.machine, "a", "fault", "clear"), 0);
		assert_int_equal(shale_disk_store(m.machine, "a", "fault", words), 0);
		assert_int_equal(shale_drop_caches(m.machine), 0);
		err = check(&m, &told);
		if (err != 0 && err != -EIO)
			fail_msg("sector %llu: %d, %s", (unsigned long long)sector, err, told.texts[0]);
		assert_int_equal(told.count, 0);
		failed += err != 0;
	}
	assert_true(failed > 20);
	machine_end(&m);
	image_remove(&im);
}

static void test_errors(void **state)
{
	struct shale_cred nobody = {.size = sizeof(nobody), .uid = 1000, .gid = 1000};
	struct told told = {0};
	struct shale_task *other;
	struct machine m;
	struct image im;
	char words[200];

	image_make(&im, "mke2fs -q -t ext4 image 8M");
	machine_start(&m, &im, "");
	assert_int_equal(shale_check(m.task, NULL, NULL, NULL, 0, note, &told), -EFAULT);
	assert_int_equal(shale_check(m.task, "/dev/a", NULL, NULL, 2, note, &told), -EINVAL);
	assert_int_equal(shale_check(m.task, "/dev/a", "xfs", NULL, 0, note, &told), -ENODEV);
	assert_int_equal(shale_check(m.task, "/dev/a", "ramfs", NULL, 0, note, &told), -EOPNOTSUPP);
	assert_int_equal(shale_check(m.task, "/dev/b", NULL, NULL, 0, note, &told), -ENOENT);
	assert_int_equal(shale_check(m.task, "/dev/a", NULL, "nonsense", 0, note, &told), -EINVAL);
	assert_int_equal(shale_task_new(m.machine, &nobody, &other), 0);
	assert_int_equal(shale_check(other, "/dev/a", NULL, NULL, 0, note, &told), -EPERM);
	shale_task_free(other);
	assert_int_equal(shale_mount(m.task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL), 0);
	assert_int_equal(check(&m, &told), -EBUSY);
	assert_true(shale_mount_error(m.machine, words, sizeof(words)) > 0);
	assert_non_null(strstr(words, "mounted"));
	assert_int_equal(shale_umount2(m.task, "/mnt", 0), 0);
	assert_int_equal(check(&m, &told), 0);
	machine_end(&m);

	/* Nothing that says ext4; and a super block that does but makes no sense. */
	image_super(&im)->s_log_block_size = cpu_to_le32(99);
	machine_start(&m, &im, "");
	assert_int_equal(check(&m, &told), 1);
	assert_string_equal(told.problems[0].code, "super-block");
	machine_end(&m);
	image_super(&im)->s_magic = cpu_to_le16(0);
	machine_start(&m, &im, "");
	assert_int_equal(check(&m, &told), -EINVAL);
	assert_int_equal(told.count, 0);
	machine_end(&m);
	image_remove(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_problems_have_a_place_and_end_when_told),
		cmocka_unit_test(test_progress_is_told_to_who_asks),
		cmocka_unit_test(test_every_allocation_may_fail),
		cmocka_unit_test(test_every_read_may_fail),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
