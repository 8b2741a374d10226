/* SPDX-License-Identifier: MIT */
/*
 * shale umount: takes a mount away and returns when its daemon has gone, that is, when all is done with the
 * image. The supervisor is met at its socket before, and its end is the end of the connection. Whoever waits
 * for it is told after a second why, and does not wait forever: a file system that is mounted at another
 * place, too, lives on.
 */
#include "mount.h"

#include <ctype.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE 30 /* seconds */

static bool lazy;
static unsigned patience = PATIENCE;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 'l':
		lazy = true;
		return 0;
	case 'w':
		patience = (unsigned)strtoul(arg, &end, 10);
		if (!isdigit((unsigned char)*arg) || *end || patience > INT_MAX / 1000)
			argp_error(state, "--wait: a number of seconds");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"lazy", 'l', NULL, 0, "also while it is used: the place is free at once", 0},
	{"wait", 'w', "SECONDS", 0, "how long to wait for the daemon's end, 30 unless told", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* -1: nobody is there, or somebody else than who mounted. */
static int meet(const struct host_mount *mount, pid_t *supervisor)
{
	struct sockaddr_un address;
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	unsigned bytes;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mount_meeting(mount, &address, &bytes);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, bytes) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == mount->user) {
		*supervisor = peer.pid;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Where a process sees the file system mounted; NULL: nowhere. */
static char *place_seen_by(const char *process, const struct host_mount *mount)
{
	char *path = tool_printf("/proc/%s/mountinfo", process), *line = NULL, *found = NULL;
	FILE *table = fopen(path, "re");
	unsigned major, minor;
	size_t size = 0;
	int at;

	while (table && !found && getline(&line, &size, table) > 0)
		if (sscanf(line, "%*u %*u %u:%u %*s %n", &major, &minor, &at) == 2 && major == mount->major &&
		    minor == mount->minor)
			found = tool_printf("%.*s", (int)strcspn(line + at, " "), line + at);
	free(line);
	free(path);
	if (table)
		fclose(table);
	return found;
}

/* What keeps a supervisor from ending: mounts of the same file system here or in another namespace; or else
 * its daemon does not end. */
static char *what_keeps(const struct host_mount *mount, pid_t supervisor)
{
	char *place = place_seen_by("self", mount), *words;
	DIR *proc = place ? NULL : opendir("/proc");
	const struct dirent *d = NULL;

	while (proc && !place && (d = readdir(proc)))
		if (isdigit((unsigned char)*d->d_name))
			place = place_seen_by(d->d_name, mount);
	if (place && d)
		words = tool_printf("is still mounted at %s for process %s", place, d->d_name);
	else if (place)
		words = tool_printf("is still mounted at %s", place);
	else
		words = tool_printf("the daemon of process %d has not ended", (int)supervisor);
	if (proc)
		closedir(proc);
	free(place);
	return words;
}

static void wait_for_end(const char *place, const struct host_mount *mount, int fd, pid_t supervisor)
{
	const unsigned first = patience ? 1 : 0;
	struct pollfd end = {.fd = fd, .events = POLLIN};
	char *words;

	if (poll(&end, 1, (int)first * 1000))
		return;
	words = what_keeps(mount, supervisor);
	if (patience > first) {
		fprintf(stderr, "shale umount: %s: %s; waiting\n", place, words);
		free(words);
		if (poll(&end, 1, (int)(patience - first) * 1000))
			return;
		words = what_keeps(mount, supervisor);
	}
	tool_error_text(place, words);
	free(words);
}

static void umount_one(const char *place)
{
	char *target = realpath(place, NULL);
	struct host_mount mount;
	int supervisor, err;
	pid_t pid = 0;

	if (!target) {
		tool_error(place, errno);
		return;
	}
	if (!host_mount_find(target, &mount)) {
		tool_error_text(place, "nothing of shale is mounted there");
		free(target);
		return;
	}
	if (geteuid() != 0 && mount.user != getuid()) {
		tool_error(place, EPERM);
		free(target);
		return;
	}
	supervisor = meet(&mount, &pid);
	err = host_umount(target, lazy, false);
	if (err)
		tool_error(place, err);
	else if (supervisor >= 0 && !lazy)
		wait_for_end(place, &mount, supervisor, pid);
	if (supervisor >= 0)
		close(supervisor);
	free(target);
}

int verb_umount(int argc, char **argv)
{
	const struct tool_options o = {.options = options,
				       .parse = parse,
				       .words = "MOUNTPOINT...",
				       .doc = "Take mounts away; returns when their daemons have gone.",
				       .least = 1};
	char **words = tool_parse(&o, argc, argv);

	for (; *words; words++)
		umount_one(*words);
	return 0;
}
