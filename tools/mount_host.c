/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a mount: making it (libfuse's own way: mount(2) as root, fusermount3 otherwise), and
 * taking it away by its place.
 */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* What libfuse says, in our words' place: one line that names the mount point. */
static void tell_libfuse(enum fuse_log_level level, const char *fmt, va_list args)
{
	char text[512];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, args);
	len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	tool_error_text("fuse", !strncmp(text, "fuse: ", 6) ? text + 6 : text);
}

/* -oKERNEL,subtype=shale,fsname=SHOWN, whose own commas are no ends of words. */
static struct fuse_session *mount_session(const struct mount_wish *wish)
{
	static const struct fuse_lowlevel_ops none = {0};
	char program[] = "shale", dash_o[] = "-o", *options = NULL,
	     *name = tool_printf("fsname=%s", wish->shown);
	struct fuse_session *session;

	if (fuse_opt_add_opt(&options, wish->kernel) || fuse_opt_add_opt(&options, "subtype=shale") ||
	    fuse_opt_add_opt_escaped(&options, name))
		tool_no_memory();
	{
		char *argv[] = {program, dash_o, options, NULL};
		struct fuse_args args = FUSE_ARGS_INIT(3, argv);

		session = fuse_session_new(&args, &none, sizeof(none), NULL);
		fuse_opt_free_args(&args);
	}
	free(options);
	free(name);
	return session;
}

int host_mount(const struct mount_wish *wish)
{
	struct fuse_session *session;
	int fd = -1, err;

	fuse_set_log_func(tell_libfuse);
	session = mount_session(wish);
	if (session && !fuse_session_mount(session, wish->target)) {
		fd = fcntl(fuse_session_fd(session), F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			tool_error(wish->target, errno);
		/* Nobody has seen it yet: the daemon does not answer. */
		if (wish->nosymfollow && (err = host_mount_set_flags(wish))) {
			tool_error("nosymfollow", err);
			(void)host_umount(wish->target, true, true);
			close(fd);
			fd = -1;
		}
	} else if (!tool_status()) {
		tool_error_text(wish->target, "cannot be mounted on");
	}
	if (session)
		fuse_session_destroy(session);
	return fd;
}

void host_mount_read_ahead(const struct host_mount *mount)
{
	char path[64], kib[16];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", mount->major, mount->minor);
	snprintf(kib, sizeof(kib), "%u\n", FUSE_REPLY_BYTES / 1024);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, kib, strlen(kib));
	close(fd);
}

int host_mount_set_flags(const struct mount_wish *wish)
{
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV;

	if (mount_has_word(wish->kernel, "noexec"))
		flags |= MS_NOEXEC;
	if (wish->nosymfollow)
		flags |= MS_NOSYMFOLLOW;
	return mount(NULL, wish->target, NULL, MS_REMOUNT | MS_BIND | flags, NULL) ? -errno : 0;
}

/* For who may not do it himself. */
static int fusermount(const char *target, bool lazy, bool quiet)
{
	const char *argv[8] = {"fusermount3", "-u"};
	int n = 2, status;
	pid_t child;

	if (lazy)
		argv[n++] = "-z";
	if (quiet)
		argv[n++] = "-q";
	argv[n++] = "--";
	argv[n] = target;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

int host_umount(const char *target, bool lazy, bool quiet)
{
	if (geteuid() != 0)
		return fusermount(target, lazy, quiet);
	return umount2(target, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) ? -errno : 0;
}
