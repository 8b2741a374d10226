/* SPDX-License-Identifier: MIT */
/*
 * shale mount: shows a volume to all programs. Starts the supervisor, which is another process unless -f is
 * given, and returns when the mount answers. Called as mount.fuse.shale it takes the words that mount(8)
 * gives to its helpers.
 */
#include "mount.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mount_wish wish;
static bool wrong, fake;

#define KEY_STATS   0x20001
#define KEY_THREADS 0x20002
#define KEY_NO_BOX  0x20003
#define KEY_BOX     0x20004

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 't':
		wish.type = arg;
		return 0;
	case 'o':
		wrong |= mount_wish_parse(&wish, arg, false) != 0;
		return 0;
	case 'f':
		wish.foreground = true;
		return 0;
	case KEY_NO_BOX:
		wish.sandbox = SANDBOX_OFF;
		return 0;
	case KEY_BOX:
		wish.sandbox = SANDBOX_REQUIRED;
		return 0;
	case KEY_STATS:
		wish.stats_fd = open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (wish.stats_fd < 0)
			tool_error(arg, errno), wrong = true;
		return 0;
	case KEY_THREADS:
		wish.threads = (unsigned)strtoul(arg, &end, 10);
		if (*end || !wish.threads || wish.threads >= MOUNT_MAX_FDS)
			argp_error(state, "--threads: 1 to %d", MOUNT_MAX_FDS - 1);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{NULL, 't', "TYPE", 0, "type of the volume: ext4 (which reads ext2 and ext3, too)", 0},
	{NULL, 'o', "OPTIONS", 0, "options, with commas between them", 0},
	{"foreground", 'f', NULL, 0, "stay: this process is the daemon's supervisor", 0},
	{"stats", KEY_STATS, "FILE", 0, "write there what the kernel asked for: at the end, and on SIGUSR1",
	 0},
	{"no-sandbox", KEY_NO_BOX, NULL, 0, "let the daemon, which reads the volume, run unconfined", 0},
	{"require-sandbox", KEY_BOX, NULL, 0, "do not mount where a part of the sandbox is not to be had", 0},
	{"threads", KEY_THREADS, "N", 0, "threads that answer the kernel", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* The mount answers, or has failed: the status that the supervisor tells. */
static int wait_for_supervisor(int ready)
{
	char status = TOOL_FAILED;

	return read(ready, &status, 1) == 1 ? status : TOOL_FAILED;
}

/* What stays behind keeps nothing of its caller's, who may wait for the end of it, but standard error for a
 * while. */
static void forget_callers_files(int kept, int also)
{
	const unsigned low = (unsigned)(also < 0 || kept < also ? kept : also);
	const unsigned high = (unsigned)(also < 0 || kept > also ? kept : also);

	if (low > 3)
		(void)close_range(3, low - 1, 0);
	if (high > low + 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0u, 0);
}

static int supervise_behind(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC)) {
		tool_error("pipe", errno);
		return TOOL_FAILED;
	}
	child = fork();
	if (child < 0) {
		tool_error("fork", errno);
		return TOOL_FAILED;
	}
	if (child) {
		close(ends[1]);
		return wait_for_supervisor(ends[0]);
	}
	setsid();
	forget_callers_files(ends[1], wish.stats_fd);
	_exit(mount_supervise(&wish, ends[1]));
}

/* What the mount table says of its connection. */
static char *options_of(const struct host_mount *mount)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *options = NULL;
	unsigned major, minor;
	size_t size = 0;

	while (table && !options && getline(&line, &size, table) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2 && major == mount->major &&
		    minor == mount->minor)
			options = tool_printf("%s", strrchr(line, ' ') + 1);
	}
	free(line);
	if (table)
		fclose(table);
	return options ? options : tool_printf("%s", "");
}

/* New flags for the mount that is there: all else it keeps. */
static int remount(void)
{
	struct host_mount now;
	char *has;
	int err;

	if (!host_mount_find(wish.target, &now)) {
		tool_error_text(wish.target, "nothing of shale is mounted there");
		return TOOL_FAILED;
	}
	has = options_of(&now);
	err = mount_wish_remounts(&wish, has) ? 0 : TOOL_USAGE;
	free(has);
	if (err)
		return err;
	err = host_mount_set_flags(&wish);
	if (err) {
		tool_error(wish.target, err);
		return TOOL_FAILED;
	}
	return 0;
}

/* What making and ending a mount goes through: if it were below the mount, they would wait for themselves. */
static bool place_is_needed(const char *target)
{
	struct statfs fs;

	if (!strcmp(target, "/") || !strcmp(target, "/dev"))
		return true;
	return !statfs(target, &fs) && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC);
}

static int mount_as_wished(void)
{
	const char *place = wish.target;
	struct stat st;

	if (wrong)
		return TOOL_USAGE;
	wish.target = realpath(place, NULL);
	if (!wish.target || stat(wish.target, &st) || (!S_ISDIR(st.st_mode) && (errno = ENOTDIR))) {
		tool_error(place, errno);
		return TOOL_FAILED;
	}
	if (wish.remount)
		return remount();
	if (place_is_needed(wish.target)) {
		tool_error_text(wish.target, "cannot be mounted on: the mount itself needs what is there");
		return TOOL_FAILED;
	}
	mount_wish_finish(&wish);
	if (fake)
		return 0;
	return wish.foreground ? mount_supervise(&wish, -1) : supervise_behind();
}

int verb_mount(int argc, char **argv)
{
	const struct tool_options o = {
		.options = options,
		.parse = parse,
		.words = "SOURCE MOUNTPOINT",
		.doc = "Show the volume on SOURCE at MOUNTPOINT, read-only, to all programs.",
		.least = 2};
	char **words;

	mount_wish_init(&wish);
	words = tool_parse(&o, argc, argv);
	if (option_mount)
		wrong |= mount_wish_parse(&wish, tool_printf("%s", option_mount), false) != 0;
	if (words[2]) {
		fprintf(stderr, "shale mount: one source and one mount point\n");
		return TOOL_USAGE;
	}
	wish.source = words[0];
	wish.target = words[1];
	return mount_as_wished();
}

/* mount.fuse.shale SOURCE MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE], as mount(8) calls it. */
int mount_helper(int argc, char **argv)
{
	int c;

	tool_verb = "mount";
	mount_wish_init(&wish);
	while ((c = getopt(argc, argv, "sfnvN:o:t:")) != -1) {
		if (c == '?')
			return TOOL_USAGE;
		if (c == 'o')
			wrong |= mount_wish_parse(&wish, optarg, true) != 0;
		fake |= c == 'f';
	}
	if (argc - optind != 2) {
		fprintf(stderr, "mount.fuse.shale: one source and one mount point\n");
		return TOOL_USAGE;
	}
	wish.source = argv[optind];
	wish.target = argv[optind + 1];
	return mount_as_wished();
}
