/* SPDX-License-Identifier: MIT */
/*
 * The host's mounts, by /proc/self/mountinfo. A mount may move, with its directory or by itself, and others
 * may be laid over it; so it is known by its number and device, never by its place. Numbers and devices are
 * given again, soon after a mount has gone: since Linux 6.8 each has a number of its own besides.
 */
#include "mount.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#ifdef STATX_MNT_ID_UNIQUE
#define MNT_ID_UNIQUE STATX_MNT_ID_UNIQUE
#else
#define MNT_ID_UNIQUE 0x4000u
#endif

#define HANDLE_UNIQUE 1 /* since Linux 6.12: AT_HANDLE_MNT_ID_UNIQUE */

/* A path in the mount table: \040 for a blank. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* A mount of this tool in a line of the table, which is changed; its place, or NULL: another's. */
static char *take_line(char *line, struct host_mount *out)
{
	char *rest = strstr(line, " - "), *place, *user;
	int at = 0;

	*out = (struct host_mount){0};
	if (!rest || sscanf(line, "%u %*u %u:%u %*s %n", &out->number, &out->major, &out->minor, &at) != 3 ||
	    !at)
		return NULL;
	if (strncmp(rest + 3, "fuse.shale ", 11))
		return NULL;
	/* The type, the source, which may hold any words, and the options. */
	user = strchr(rest + 14, ' ');
	user = user ? strstr(user, "user_id=") : NULL;
	out->user = user ? (uid_t)strtoul(user + 8, NULL, 10) : 0;
	place = line + at;
	place[strcspn(place, " ")] = '\0';
	unescape(place);
	return place;
}

/* The mount of this tool that has the number; its place, to be freed, or NULL: there is none. */
static char *find_number(unsigned number, struct host_mount *out)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *place = NULL;
	size_t size = 0;

	while (table && !place && getline(&line, &size, table) > 0) {
		place = take_line(line, out);
		if (place)
			place = out->number == number ? tool_printf("%s", place) : NULL;
	}
	free(line);
	if (table)
		fclose(table);
	return place;
}

/* The topmost mount at a place, which stays as it is while the descriptor is open. The file system is not
 * asked. */
static int open_place(const char *place)
{
	return open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The number of the mount that a descriptor is in; 0: not told. With no room for a handle only it is told. */
static unsigned number_of(int fd)
{
	struct file_handle none = {0};
	int number = 0;

	if (!name_to_handle_at(fd, "", &none, &number, AT_EMPTY_PATH) || errno != EOVERFLOW)
		return 0;
	return (unsigned)number;
}

/* 0: not told. FUSE has no statx for others than who mounted, so the newer way comes first. */
static uint64_t unique_of(int fd)
{
	struct file_handle none = {0};
	uint64_t unique = 0;
	struct statx stx;

	if (name_to_handle_at(fd, "", &none, (int *)&unique, AT_EMPTY_PATH | HANDLE_UNIQUE) &&
	    errno == EOVERFLOW)
		return unique;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, MNT_ID_UNIQUE, &stx))
		return 0;
	return stx.stx_mask & MNT_ID_UNIQUE ? stx.stx_mnt_id : 0;
}

bool host_mount_find(const char *target, struct host_mount *out)
{
	int fd = open_place(target);
	unsigned number = fd < 0 ? 0 : number_of(fd);
	char *place = number ? find_number(number, out) : NULL;
	bool found = place && !strcmp(place, target);

	if (found)
		out->unique = unique_of(fd);
	else
		*out = (struct host_mount){0};
	free(place);
	if (fd >= 0)
		close(fd);
	return found;
}

bool host_mount_is(const struct host_mount *a, const struct host_mount *b)
{
	return a->number == b->number && a->major == b->major && a->minor == b->minor &&
	       (!a->unique || !b->unique || a->unique == b->unique);
}

/* Takes away the very mount that the descriptor is in, wherever it may be by now. */
static int end_opened(const char *place, int fd)
{
	char path[64];

	if (geteuid() != 0)
		return host_umount(place, true, true);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return umount2(path, MNT_DETACH) ? -errno : 0;
}

int host_mount_end(const struct host_mount *mount)
{
	struct host_mount now;
	char *place = find_number(mount->number, &now);
	int fd, err = 0;

	if (!place)
		return 0;
	fd = open_place(place);
	if (fd < 0)
		err = -errno;
	else if (number_of(fd) != mount->number)
		err = -EBUSY;
	else {
		now.unique = unique_of(fd);
		if (host_mount_is(mount, &now)) /* else it has gone, and another has its number */
			err = end_opened(place, fd);
	}
	free(place);
	if (fd >= 0)
		close(fd);
	return err;
}
