/* SPDX-License-Identifier: MIT */
/*
 * shale umount: takes a mount away and returns when its daemon has gone, that is, when all is done with the
 * image. The supervisor is met at its socket before, and its end is the end of the connection.
 */
#include "mount.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool lazy;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'l':
		lazy = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"lazy", 'l', NULL, 0, "also while it is used: the place is free at once", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* -1: nobody is there, or somebody else than who mounted. */
static int meet(const struct host_mount *mount)
{
	struct sockaddr_un address;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	unsigned bytes;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mount_meeting(mount, &address, &bytes);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, bytes) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == mount->user)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void umount_one(const char *place)
{
	char *target = realpath(place, NULL), c;
	struct host_mount mount;
	int supervisor, err;

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
	supervisor = meet(&mount);
	err = host_umount(target, lazy, false);
	if (err)
		tool_error(place, err);
	else if (supervisor >= 0 && !lazy)
		(void)!read(supervisor, &c, 1);
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
