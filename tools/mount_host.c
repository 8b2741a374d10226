/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a mount: making it (libfuse's own way: mount(2) as root, fusermount3 otherwise), finding
 * it in the mount table, and taking it away.
 */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef STATX_MNT_ID_UNIQUE
#define MNT_ID_UNIQUE STATX_MNT_ID_UNIQUE
#else
#define MNT_ID_UNIQUE 0x4000u
#endif

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

/* A line of /proc/self/mountinfo. */
static bool line_is(char *line, const char *target, struct host_mount *out)
{
	char *rest = strstr(line, " - "), *place = NULL, *user;
	unsigned long long id;
	int at = 0;

	if (!rest || sscanf(line, "%llu %*u %u:%u %*s %n", &id, &out->major, &out->minor, &at) != 3 || !at)
		return false;
	if (strncmp(rest + 3, "fuse.shale ", 11))
		return false;
	place = line + at;
	place[strcspn(place, " ")] = '\0';
	unescape(place);
	/* The type, the source, which may hold any words, and the options. */
	user = strchr(rest + 14, ' ');
	user = user ? strstr(user, "user_id=") : NULL;
	out->id = id;
	out->user = user ? (uid_t)strtoul(user + 8, NULL, 10) : 0;
	return !strcmp(place, target);
}

/* Numbers of mounts are given again soon; since Linux 6.8 there is one that is not. The daemon is not asked.
 */
static uint64_t unique_id(const char *target, uint64_t otherwise)
{
	struct statx stx;

	if (statx(AT_FDCWD, target, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, MNT_ID_UNIQUE,
		  &stx))
		return otherwise;
	return stx.stx_mask & MNT_ID_UNIQUE ? stx.stx_mnt_id : otherwise;
}

bool host_mount_find(const char *target, struct host_mount *out)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	struct host_mount found;
	char *line = NULL;
	size_t size = 0;

	*out = (struct host_mount){0};
	while (table && getline(&line, &size, table) > 0)
		if (line_is(line, target, &found))
			*out = found; /* the last is the topmost */
	free(line);
	if (table)
		fclose(table);
	if (out->id)
		out->id = unique_id(target, out->id);
	return out->id != 0;
}

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
