/* SPDX-License-Identifier: MIT */
/* Descriptors of /dev/fuse on their way from the supervisor, who opens them, to the daemon, who may not. */
#ifndef SHALE_TOOL_MOUNT_FDS_H
#define SHALE_TOOL_MOUNT_FDS_H

/* Sends `fd` and up to n - 1 clones of it, and closes all. 0, or negative errno. */
int mount_fds_send(int socket, int fd, unsigned n);
/* fds: MOUNT_MAX_FDS. How many came; 0: the other side ended; negative errno. */
int mount_fds_receive(int socket, int *fds);

#endif
