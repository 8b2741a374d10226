/* SPDX-License-Identifier: MIT */
/*
 * Who has an image locked: a former daemon that is still finishing is worth waiting for, a loop device is
 * not. The host does not say whose an open-file-description lock is, so the descriptors of all processes are
 * looked through.
 */
#include "mount.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The host's file behind a disk as the user wrote it; -1: there is none to be opened. */
static int open_host_file(const char *disk)
{
	char *path = tool_printf("%s", strncmp(disk, "file:", 5) ? disk : disk + 5), *end;
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);

	end = strchr(path, '?');
	if (fd < 0 && end) {
		*end = '\0';
		fd = open(path, flags);
	}
	end = strrchr(path, '@');
	if (fd < 0 && end) {
		*end = '\0';
		fd = open(path, flags);
	}
	free(path);
	return fd;
}

bool image_is_locked(const char *disk)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int fd = open_host_file(disk);
	bool locked = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

/* Is the descriptor /proc/PID/fd/FD of the file, with a lock? */
static bool holds_lock(const char *pid, const char *fd, const struct stat *image)
{
	char path[600], line[256];
	struct stat st;
	bool found = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	if (stat(path, &st) || st.st_dev != image->st_dev || st.st_ino != image->st_ino)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	info = fopen(path, "re");
	while (info && !found && fgets(line, sizeof(line), info))
		found = !strncmp(line, "lock:", 5);
	if (info)
		fclose(info);
	return found;
}

static bool process_holds_lock(const char *pid, const struct stat *image)
{
	char path[300];
	const struct dirent *d;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && !found && (d = readdir(fds)))
		found = d->d_name[0] != '.' && holds_lock(pid, d->d_name, image);
	if (fds)
		closedir(fds);
	return found;
}

pid_t image_locker(const char *disk)
{
	int fd = open_host_file(disk);
	const struct dirent *d;
	pid_t found = 0;
	struct stat st;
	DIR *proc;

	if (fd < 0)
		return 0;
	proc = fstat(fd, &st) ? NULL : opendir("/proc");
	while (proc && !found && (d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]) && process_holds_lock(d->d_name, &st))
			found = (pid_t)atoi(d->d_name);
	if (proc)
		closedir(proc);
	close(fd);
	return found;
}
