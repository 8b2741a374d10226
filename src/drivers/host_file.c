/* SPDX-License-Identifier: MIT */
/*
 * The steps of opening, in order: look (what kind of thing is it), open, look again at what was opened, lock,
 * ask the loop devices, measure, direct I/O. The lock is an open-file-description lock on the whole file,
 * shared for reading and exclusive for writing. A block device is opened with O_EXCL, so that neither the
 * host mounts it nor we what it has mounted.
 *
 * The host lets go of a file that was registered with a ring only some time after the ring was closed or its
 * program has ended. So a lock is given back in so many words when a file is closed, and what is in use is
 * asked for again, for a moment, before it is refused.
 */
#include "drivers/host_file_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "block/driver.h"

/* How often, and how many milliseconds apart, the host is asked for a file that is in use. */
#define BUSY_TRIES    40
#define BUSY_PAUSE_MS 5

/* To be asked when a file is in use: waits a moment and says whether to try again. */
static bool busy_wait_a_moment(unsigned *tries)
{
	struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};

	if (++*tries > BUSY_TRIES)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int check_kind(struct shale *machine, const char *path, const struct stat *st)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode))
		return disk_error(machine, -EISDIR, "%s: is a directory, not a disk image", path);
	return disk_error(machine, -EINVAL, "%s: is a %s, not a disk image", path,
			  S_ISFIFO(st->st_mode)   ? "fifo"
			  : S_ISSOCK(st->st_mode) ? "socket"
						  : "character device");
}

/* The descriptor, of the file that `st` describes. */
static int open_checked(struct shale *machine, const struct host_file_request *how, struct stat *st)
{
	int flags = (how->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	unsigned tries = 0;
	struct stat now;
	int fd, err;

	if (stat(how->path, st))
		return disk_error(machine, -errno, "%s: %s", how->path, strerror(errno));
	err = check_kind(machine, how->path, st);
	if (err)
		return err;
	if (S_ISBLK(st->st_mode) && !(how->unlocked && how->read_only))
		flags |= O_EXCL;
	do
		fd = open(how->path, flags);
	while (fd < 0 && errno == EBUSY && busy_wait_a_moment(&tries));
	if (fd < 0 && errno == EBUSY)
		return disk_error(machine, -EBUSY, "%s: is in use by the host (mounted or claimed)",
				  how->path);
	if (fd < 0)
		return disk_error(machine, -errno, "%s: %s", how->path, strerror(errno));
	if (fstat(fd, &now) || now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
		close(fd);
		return disk_error(machine, -EBUSY, "%s: was replaced while it was being opened", how->path);
	}
	/* O_NONBLOCK was for a fifo that might have come between; on a ring it means EAGAIN instead of
	 * waiting. */
	if (fcntl(fd, F_SETFL, 0)) {
		err = -errno;
		close(fd);
		return disk_error(machine, err, "%s: %s", how->path, strerror(-err));
	}
	return fd;
}

static int lock_file(struct shale *machine, const struct host_file_request *how, int fd)
{
	struct flock lock = {.l_type = how->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	unsigned tries = 0;

	do
		if (how->unlocked || fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 0;
	while ((errno == EAGAIN || errno == EACCES) && busy_wait_a_moment(&tries));
	if (errno == EAGAIN || errno == EACCES)
		return disk_error(machine, -EBUSY, "%s: is in use: another program has locked it for %s",
				  how->path, how->read_only ? "writing" : "reading or writing");
	return disk_error(machine, -errno, "%s: cannot be locked: %s", how->path, strerror(errno));
}

/* Is the file behind the loop device `name` ("loop0")? */
static bool loop_has_file(const char *name, const struct stat *st)
{
	char path[300], backing[4096];
	struct stat other;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, backing, sizeof(backing) - 1);
	close(fd);
	if (len <= 0)
		return false;
	backing[len] = '\0';
	backing[strcspn(backing, "\n")] = '\0';
	return stat(backing, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* Is the file behind a loop device? Then `name` is the device's. */
static bool find_loop(const struct stat *st, char *name, size_t size)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false; /* no sysfs: nothing to ask */
	while (!found && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "loop", 4))
			continue;
		found = loop_has_file(entry->d_name, st);
		snprintf(name, size, "%s", entry->d_name);
	}
	closedir(dir);
	return found;
}

static int check_loops(struct shale *machine, const struct host_file_request *how, const struct stat *st)
{
	unsigned tries = 0;
	char name[256];
	bool found;

	if (!S_ISREG(st->st_mode) || (how->unlocked && how->read_only))
		return 0;
	do
		found = find_loop(st, name, sizeof(name));
	while (found && busy_wait_a_moment(&tries));
	if (found)
		return disk_error(machine, -EBUSY, "%s: is in use by the host as /dev/%s", how->path, name);
	return 0;
}

static int measure(struct shale *machine, const struct host_file_request *how, const struct stat *st,
		   struct host_file *file)
{
	file->block_device = S_ISBLK(st->st_mode);
	file->bytes = st->st_size;
	file->sector_bytes = SECTOR_SIZE;
	if (file->block_device &&
	    (ioctl(file->fd, BLKGETSIZE64, &file->bytes) || ioctl(file->fd, BLKSSZGET, &file->sector_bytes)))
		return disk_error(machine, -errno, "%s: its size is not to be had: %s", how->path,
				  strerror(errno));
	if (file->bytes == 0)
		return disk_error(machine, -EINVAL, "%s: is empty", how->path);
	if (file->bytes < SECTOR_SIZE)
		return disk_error(machine, -EINVAL,
				  "%s: is too short for a disk: %llu bytes, less than one sector", how->path,
				  (unsigned long long)file->bytes);
	if (file->bytes % SECTOR_SIZE)
		pr_notice(machine, "%s: the last %llu bytes are no whole sector and are left alone",
			  how->path, (unsigned long long)(file->bytes % SECTOR_SIZE));
	file->bytes = round_down(file->bytes, (u64)SECTOR_SIZE);
	return 0;
}

int host_file_open(struct shale *machine, const struct host_file_request *how, struct host_file *out)
{
	struct stat st;
	int err;

	*out = (struct host_file){.fd = -1, .direct_fd = -1};
	err = open_checked(machine, how, &st);
	if (err < 0)
		return err;
	out->fd = err;
	err = lock_file(machine, how, out->fd);
	if (!err)
		err = check_loops(machine, how, &st);
	if (!err)
		err = measure(machine, how, &st, out);
	if (!err)
		err = host_direct_open(machine, how, out);
	if (err)
		host_file_close(out);
	return err;
}

void host_file_close(struct host_file *file)
{
	struct flock unlock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (file->direct_fd >= 0)
		close(file->direct_fd);
	if (file->fd >= 0) {
		fcntl(file->fd, F_OFD_SETLK, &unlock);
		close(file->fd);
	}
	file->fd = file->direct_fd = -1;
}
