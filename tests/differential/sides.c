/* SPDX-License-Identifier: MIT */
/* Starting both sides, changing the user on both, and counting what was compared. */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shale/shale.h>

#include "sides.h"

const struct side *sides[2] = {&side_kernel, &side_shale};
unsigned long compared;
static unsigned long differences;
static char top[32]; /* where the kernel has the image */
static int old_root; /* the way out of the chroot: what checks for leaks at the end needs /proc */
static struct shale *machine;
static struct shale_task *root_task;
/* Made as needed, kept. Descriptors belong to a user: tests open their own after sides_become(). */
static struct shale_task *user_tasks[8];
static uid_t user_ids[8];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void run(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void must_shale(int err, const char *what)
{
	char words[512] = "";

	if (err >= 0)
		return;
	if (machine)
		shale_mount_error(machine, words, sizeof(words));
	fprintf(stderr, "%s: %s %s\n", what, strerror(-err), words);
	exit(1);
}

static void start_shale(const char *image, const char *extra, unsigned threads, uint64_t seed)
{
	struct shale_options options = SHALE_OPTIONS_INIT;

	options.threads = threads;
	options.seed = seed;
	must_shale(shale_new(&options, &machine), "shale_new");
	must_shale(shale_task_new(machine, NULL, &root_task), "shale_task_new");
	must_shale(shale_disk_add(machine, "a", image, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED), image);
	must_shale(shale_mount(root_task, "/dev/a", "/mnt", "ext4", MS_RDONLY, NULL), "shale_mount");
	if (extra) {
		must_shale(shale_disk_add(machine, "b", extra, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED),
			   extra);
		must_shale(shale_mount(root_task, "/dev/b", "/mnt/mnt", "ext4", MS_RDONLY, NULL),
			   "shale_mount");
	}
	must_shale(shale_chroot(root_task, "/mnt"), "shale_chroot");
	must_shale(shale_chdir(root_task, "/"), "shale_chdir");
	side_task = root_task;
}

/* Whether the kernel's side has the right to see trusted attributes. */
static void set_sys_admin(bool on)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint32_t bit = 1u << CAP_SYS_ADMIN;

	must(!syscall(SYS_capget, &head, data), "capget");
	data[0].effective = on ? data[0].effective | bit : data[0].effective & ~bit;
	must(!syscall(SYS_capset, &head, data), "capset");
}

static void need_root(void)
{
	if (geteuid()) {
		fprintf(stderr, "needs root, for the kernel's mount\n");
		exit(77);
	}
}

static void start_kernel(const char *image, const char *extra, const char *options)
{
	static const char template[] = "/tmp/shale-diff.XXXXXX";

	memcpy(top, template, sizeof(template));
	/* A mount namespace of our own: the mounts, and their loop devices, go when the process does. */
	must(!unshare(CLONE_NEWNS), "unshare");
	must(mkdtemp(top) != NULL, top);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		/* EINVAL: in a chroot, / is no mount. Then a private one is made for what follows. */
		must(errno == EINVAL && !mount(top, top, NULL, MS_BIND, NULL) &&
			     !mount(NULL, top, NULL, MS_PRIVATE, NULL),
		     "private mount");
	}
	run("mount -o %s,loop '%s' '%s'", options, image, top);
	if (extra)
		run("mount -o %s,loop '%s' '%s/mnt'", options, extra, top);
	old_root = open("/", O_PATH | O_DIRECTORY);
	must(old_root >= 0 && !chroot(top) && !chdir("/"), "chroot");
}

void sides_start_two(const char *kernel_image, const char *shale_image, const char *extra, unsigned threads,
		     uint64_t seed)
{
	need_root();
	umask(0);
	start_shale(shale_image, extra, threads, seed);
	start_kernel(kernel_image, extra, "ro");
}

void sides_start(const char *image, const char *extra, unsigned threads, uint64_t seed)
{
	sides_start_two(image, image, extra, threads, seed);
}

void sides_start_mounted(const char *image, const char *extra, const char *directory, uid_t uid, gid_t gid)
{
	need_root();
	umask(0);
	sides[SHALE] = &side_directory;
	directory_start(directory, uid, gid);
	start_kernel(image, extra, "ro,nosuid,nodev");
	if (uid)
		set_sys_admin(false);
}

void sides_start_debugfs(const char *image, const char *directory)
{
	sides[KERNEL] = &side_debugfs;
	if (directory) {
		sides[SHALE] = &side_directory;
		directory_start(directory, 0, 0);
	} else {
		start_shale(image, NULL, 0, 1);
	}
	debugfs_start(image);
}

static void stop_shale(void)
{
	int err;

	for (unsigned i = 0; i < 8 && user_tasks[i]; i++)
		shale_task_free(user_tasks[i]);
	shale_task_free(root_task);
	err = shale_free(machine);
	if (err)
		differ("shale_free: %s", strerror(-err));
}

void sides_stop(void)
{
	if (machine)
		stop_shale();
	else
		set_sys_admin(true);
	if (sides[KERNEL] != &side_kernel)
		return;
	must(!fchdir(old_root) && !chroot("."), "chroot back");
	must(!umount2(top, MNT_DETACH), "umount");
	(void)rmdir(top);
}

static void become_kernel(uid_t uid, gid_t gid, const gid_t *groups, unsigned ngroups)
{
	/* The calls of the kernel, not of libc: only this thread changes. The saved id stays root's, for the
	 * way back. */
	must(!syscall(SYS_setresuid, -1, 0, -1), "setresuid");
	must(!syscall(SYS_setgroups, ngroups, groups) && !syscall(SYS_setresgid, gid, gid, -1) &&
		     !syscall(SYS_setresuid, uid, uid, 0),
	     "setresuid");
}

void sides_become(uid_t uid, gid_t gid, const gid_t *groups, unsigned ngroups)
{
	struct shale_cred cred = {
		.size = sizeof(cred),
		.uid = uid,
		.gid = gid,
		.ngroups = ngroups,
		.groups = groups,
		/* For its way to the root of the image; no rights over files come with it. */
		.caps = 1ull << 18 /* CAP_SYS_CHROOT */};
	unsigned i = 0;

	become_kernel(uid, gid, groups, ngroups);
	if (!machine) {
		directory_become(uid, gid, groups, ngroups);
		return;
	}
	while (i < 8 && user_tasks[i] && user_ids[i] != uid)
		i++;
	if (i == 8)
		abort();
	if (!user_tasks[i]) {
		must_shale(shale_task_new(machine, &cred, &user_tasks[i]), "shale_task_new");
		must_shale(shale_chroot(user_tasks[i], "/mnt"), "shale_chroot");
		must_shale(shale_chdir(user_tasks[i], "/"), "shale_chdir");
		user_ids[i] = uid;
	}
	side_task = user_tasks[i];
}

void sides_chdir_root(void)
{
	sides[KERNEL]->chdir("/");
	sides[SHALE]->chdir("/");
}

struct shale *sides_machine(void)
{
	return machine;
}

void differ(const char *fmt, ...)
{
	va_list args;

	if (differences++ >= 50)
		return;
	va_start(args, fmt);
	printf("differs: ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
}

bool same(const char *what, const char *object, long kernel, long shale)
{
	compared++;
	if (kernel == shale)
		return true;
	differ("%s %s: %s %ld (%s), %s %ld (%s)", what, object, sides[KERNEL]->name, kernel,
	       kernel < 0 ? strerror((int)-kernel) : "", sides[SHALE]->name, shale,
	       shale < 0 ? strerror((int)-shale) : "");
	return false;
}

int compare_end(void)
{
	printf("%lu passed, %lu failed, 0 skipped\n", compared - differences, differences);
	return differences ? 1 : 0;
}
