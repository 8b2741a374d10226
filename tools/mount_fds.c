/* SPDX-License-Identifier: MIT */
#include "mount_fds.h"

#include "mount.h"

#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

union fds_message {
	char bytes[CMSG_SPACE(sizeof(int) * MOUNT_MAX_FDS)];
	struct cmsghdr align;
};

/* Another way to the same connection, on which a thread has its requests for itself. */
static int clone_fd(int fd)
{
	int clone = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	uint32_t from = (uint32_t)fd;

	if (clone >= 0 && ioctl(clone, FUSE_DEV_IOC_CLONE, &from)) {
		close(clone);
		return -1;
	}
	return clone;
}

int mount_fds_send(int socket, int fd, unsigned n)
{
	union fds_message control = {0};
	char word = 0;
	struct iovec iov = {.iov_base = &word, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
	struct cmsghdr *c = (struct cmsghdr *)control.bytes;
	int fds[MOUNT_MAX_FDS] = {fd}, err;
	unsigned made = 1;

	/* Who cannot open /dev/fuse shares the one that fusermount3 gave him: a duplicate for each. */
	for (; made < n && made < MOUNT_MAX_FDS; made++) {
		fds[made] = clone_fd(fd);
		if (fds[made] < 0)
			fds[made] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fds[made] < 0)
			break;
	}
	message.msg_controllen = CMSG_SPACE(sizeof(int) * made);
	*c = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * made)};
	memcpy(CMSG_DATA(c), fds, sizeof(int) * made);
	err = sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
	while (made--)
		close(fds[made]);
	return err;
}

int mount_fds_receive(int socket, int *fds)
{
	union fds_message control;
	char word;
	struct iovec iov = {.iov_base = &word, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	size_t bytes;

	if (n < 0)
		return -errno;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = c->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(c), bytes);
	return (int)(bytes / sizeof(int));
}
