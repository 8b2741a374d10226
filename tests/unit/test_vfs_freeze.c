// V3: freezing and thawing (fsfreeze(8)): what changes waits, what reads does not, and the file system is
// told when nobody is inside.
#include "vfs_synthfs.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

static unsigned frozen, thawed; // what the file system was told
static int freeze_result;

static int count_freeze(struct super_block *sb)
{
	frozen++;
	return freeze_result;
}
static int count_thaw(struct super_block *sb)
{
	thawed++;
	return 0;
}

// ramfs that can be frozen.
static struct super_operations freezable_ops;
static int freezable_fill_super(struct super_block *sb, struct fs_context *fc)
{
	int err = mem_tree_fill_super(sb, 1, 0755);

	freezable_ops = *sb->s_op;
	freezable_ops.freeze_fs = count_freeze;
	freezable_ops.unfreeze_fs = count_thaw;
	sb->s_op = &freezable_ops;
	return err;
}
static int freezable_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, freezable_fill_super);
}
static int freezable_init_fs_context(struct fs_context *fc)
{
	static const struct fs_context_operations ops = {.get_tree = freezable_get_tree};

	fc->ops = &ops;
	return 0;
}
static const struct file_system_type freezable_type = {
	.name = "freezable", .init_fs_context = freezable_init_fs_context, .kill_sb = kill_litter_super};

static struct synth s;
static int dir; // a descriptor on the file system

static int setup(void **unused)
{
	struct current_saved saved;

	synth_start(&s, 4, 1);
	current_enter(s.machine, NULL, &saved);
	assert_int_equal(register_filesystem(s.machine, &freezable_type), 0);
	current_leave(&saved);
	assert_int_equal(shale_mkdir(s.task, "/t", 0755), 0);
	assert_int_equal(shale_mount(s.task, "none", "/t", "freezable", 0, NULL), 0);
	dir = shale_open(s.task, "/t", O_RDONLY, 0);
	assert_true(dir >= 0);
	frozen = thawed = 0;
	freeze_result = 0;
	return 0;
}
static int teardown(void **unused)
{
	synth_stop(&s);
	return 0;
}

static int done; // atomic
static void *make_directory(void *unused)
{
	assert_int_equal(shale_mkdir(s.task, "/t/late", 0755), 0);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	return NULL;
}
static void *write_file(void *fd)
{
	assert_int_equal(shale_pwrite(s.task, (int)(intptr_t)fd, "x", 1, 0), 1);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void waits_for_thaw(void *(*change)(void *), void *arg)
{
	pthread_t thread;
	struct stat st;

	assert_int_equal(shale_ioctl(s.task, dir, FIFREEZE, NULL), 0);
	assert_int_equal(frozen, 1);
	done = 0;
	assert_int_equal(pthread_create(&thread, NULL, change, arg), 0);
	usleep(20000);
	assert_int_equal(__atomic_load_n(&done, __ATOMIC_ACQUIRE), 0);
	assert_int_equal(shale_stat(s.task, "/t", &st), 0); // who reads does not wait
	assert_int_equal(shale_ioctl(s.task, dir, FITHAW, NULL), 0);
	assert_int_equal(thawed, 1);
	pthread_join(thread, NULL);
}

static void names_wait(void **unused)
{
	waits_for_thaw(make_directory, NULL);
}

static void writes_wait_also_in_open_files(void **unused)
{
	int fd = shale_open(s.task, "/t/file", O_RDWR | O_CREAT, 0644);

	assert_true(fd >= 0);
	waits_for_thaw(write_file, (void *)(intptr_t)fd);
}

static void twice_and_without_right(void **unused)
{
	struct shale_cred cred = {.size = sizeof(cred), .uid = 1000, .gid = 1000};
	struct shale_task *user;
	int fd;

	assert_int_equal(shale_ioctl(s.task, dir, FITHAW, NULL), -EINVAL);
	assert_int_equal(shale_ioctl(s.task, dir, FIFREEZE, NULL), 0);
	assert_int_equal(shale_ioctl(s.task, dir, FIFREEZE, NULL), -EBUSY);
	assert_int_equal(shale_mount(s.task, "none", "/t", NULL, MS_REMOUNT | MS_RDONLY, NULL), -EBUSY);
	assert_int_equal(shale_task_new(s.machine, &cred, &user), 0);
	fd = shale_open(user, "/t", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(shale_ioctl(user, fd, FITHAW, NULL), -EPERM);
	shale_task_free(user);
	assert_int_equal(shale_ioctl(s.task, dir, FITHAW, NULL), 0);
}

static void what_cannot_be_frozen(void **unused)
{
	int fd = shale_open(s.task, "/", O_RDONLY, 0);

	assert_int_equal(shale_ioctl(s.task, fd, FIFREEZE, NULL), -EOPNOTSUPP);
	freeze_result = -EIO;
	assert_int_equal(shale_ioctl(s.task, dir, FIFREEZE, NULL), -EIO);
	assert_int_equal(shale_mkdir(s.task, "/t/a", 0755), 0); // it is not frozen
}

// A machine ends also when something is frozen, mounted or not.
static void frozen_to_the_end(void **unused)
{
	assert_int_equal(shale_ioctl(s.task, dir, FIFREEZE, NULL), 0);
	assert_int_equal(shale_close(s.task, dir), 0);
	assert_int_equal(shale_umount2(s.task, "/t", 0), 0);
	assert_int_equal(thawed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_wait),
		TEST(writes_wait_also_in_open_files),
		TEST(twice_and_without_right),
		TEST(what_cannot_be_frozen),
		TEST(frozen_to_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
