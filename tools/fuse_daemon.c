/* SPDX-License-Identifier: MIT */
/*
 * The daemon's life: it opens and locks the image, gets the clones of /dev/fuse from the supervisor, reads
 * the volume, and serves. What goes wrong it tells on standard error, which the supervisor reads.
 */
#include "fuse.h"

#include "fs/ext4/ext4_format.h"
#include "mount_fds.h"

#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

/* How long a former daemon of the image may take to finish. */
#define BUSY_SECONDS  30
#define BUSY_PAUSE_MS 50

#define DEVICE    "disk"
#define LOG_LEVEL 4 /* warnings */

static void tell(const struct fuse_front *front, ssize_t (*words)(struct shale *, char *, size_t), int err)
{
	machine_error(front->machine, front->wish->source, "/dev/" DEVICE, words, err);
}

/* What the machine has to say, from warnings on, goes where the errors go. Of a mount that fails the error is
 * enough. */
static void log_line(void *arg, int level, const char *text)
{
	struct fuse_front *front = arg;

	if (front->serving)
		fprintf(stderr, "%s\n", text);
}

/* What it said behind the first `skip` bytes of its log. */
static void log_tell_kept(const struct fuse_front *front, ssize_t skip)
{
	static char text[16384];
	char *rest = text + skip, *line;

	if (shale_log_read(front->machine, text, sizeof(text)) <= skip || skip >= (ssize_t)sizeof(text))
		return;
	while ((line = strsep(&rest, "\n")))
		if (line[0] == '<' && line[1] <= '0' + LOG_LEVEL)
			fprintf(stderr, "%s\n", line);
}

static int machine_make(struct fuse_front *front)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	int err;

	options.memory_limit = front->wish->memory;
	options.log = log_line;
	options.log_arg = front;
	options.log_level = LOG_LEVEL;
	options.flags = SHALE_START_LATER;
	err = shale_new(&options, &front->machine);
	if (!err)
		err = shale_task_new(front->machine, NULL, &front->task);
	if (err)
		tool_error("starting the machine", err);
	return err;
}

/* It stays in use: by whom, if that can be told. */
static void tell_busy(const struct fuse_front *front)
{
	const char *source = front->wish->source;
	pid_t who = image_is_locked(source) ? image_locker(source) : 0;
	char *words;

	if (!who) {
		tell(front, shale_disk_error, -EBUSY);
		return;
	}
	words = tool_printf("is busy: process %d has it locked, still after %d seconds", (int)who,
			    BUSY_SECONDS);
	tool_error_text(source, words);
	free(words);
}

/* Opens and locks the image; waits for who has locked it, since he may be just about to end. */
static int image_open_locked(struct fuse_front *front)
{
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
	unsigned flags = SHALE_DISK_READ_ONLY | (option_unlocked ? SHALE_DISK_UNLOCKED : 0);
	char *uri = image_uri(front->wish->source);
	struct timespec now, start;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		err = shale_disk_add(front->machine, DEVICE, uri, flags);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (err == -EBUSY && now.tv_sec - start.tv_sec < BUSY_SECONDS &&
		 image_is_locked(front->wish->source) && !nanosleep(&pause, NULL));
	free(uri);
	if (err == -EBUSY)
		tell_busy(front);
	else if (err)
		tell(front, shale_disk_error, err);
	return err;
}

/* May there be files that are seen and that cannot be opened? Those of encrypted volumes, for lack of keys.
 */
static bool volume_opens_fail(const struct fuse_front *front)
{
	struct ext4_super_block es = {0};
	int fd = shale_open(front->task, "/dev/" DEVICE, O_RDONLY, 0);
	ssize_t n = fd < 0 ? fd : shale_pread(front->task, fd, &es, sizeof(es), EXT4_SUPER_OFFSET);

	if (fd >= 0)
		(void)shale_close(front->task, fd);
	return n != sizeof(es) || le16_to_cpu(es.s_magic) != EXT4_SUPER_MAGIC ||
	       le32_to_cpu(es.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_ENCRYPT;
}

/* Looks what handles the volume gives, which are to be the numbers of nodes. */
static int volume_handles(struct fuse_front *front)
{
	struct file_handle *root = tool_alloc(sizeof(*root) + NODE_BYTES);
	int err, mount_id;

	root->handle_bytes = NODE_BYTES;
	err = shale_name_to_handle_at(front->task, AT_FDCWD, "/", root, &mount_id, 0);
	if (err)
		tool_error_text(front->wish->source, "its files have no handles of 8 bytes");
	front->handle_type = root->handle_type;
	free(root);
	return err;
}

static int volume_mount(struct fuse_front *front)
{
	ssize_t said = shale_log_read(front->machine, NULL, 0);
	int err = shale_mount(front->task, "/dev/" DEVICE, "/mnt", front->wish->type, MS_RDONLY | MS_NOATIME,
			      front->wish->data);

	if (err == -ENODEV) {
		tool_error_text(front->wish->type, "no such type of file system");
		return err;
	}
	if (err) {
		tell(front, shale_mount_error, err);
		return err;
	}
	front->serving = true;
	log_tell_kept(front, said);
	front->opens_fail = volume_opens_fail(front);
	err = shale_chroot(front->task, "/mnt");
	if (!err)
		err = shale_chdir(front->task, "/");
	if (err)
		tool_error_text(front->wish->type, "has no directories to show");
	return err ?: volume_handles(front);
}

static void answering(void *arg)
{
	const char word = MOUNT_ANSWERING;

	(void)!write(*(int *)arg, &word, 1);
}

/* From here on nothing is opened any more, and only now is the volume looked at. */
static int volume_open(struct fuse_front *front)
{
	int err = sandbox_enter(front->wish->sandbox);

	if (err)
		return err;
	err = shale_start(front->machine);
	if (err)
		tell(front, shale_disk_error, err);
	return err ? err : volume_mount(front);
}

static int serve(struct fuse_front *front, int control)
{
	int fds[MOUNT_MAX_FDS], n, err;

	n = mount_fds_receive(control, fds);
	if (n <= 0)
		return -ECANCELED; /* the supervisor has told why */
	front->session = fuse_front_session(front, fds[0]);
	if (!front->session)
		tool_no_memory();
	err = volume_open(front);
	if (!err)
		err = fuse_serve(front, fds, (unsigned)n, answering, &control);
	fuse_session_destroy(front->session);
	return err;
}

int fuse_daemon(const struct mount_wish *wish, struct fuse_counters *counters, int control)
{
	struct fuse_front front = {.wish = wish, .counters = counters};
	const char attached = MOUNT_ATTACHED;
	int err = machine_make(&front);

	if (err)
		return TOOL_FAILED;
	err = image_open_locked(&front);
	if (!err && chdir("/")) /* no path is looked at any more; the caller's directory is his */
		err = -errno;
	if (!err && write(control, &attached, 1) == 1)
		err = serve(&front, control);
	shale_task_free(front.task);
	(void)shale_free(front.machine);
	return err ? TOOL_FAILED : 0;
}
