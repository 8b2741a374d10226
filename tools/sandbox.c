/* SPDX-License-Identifier: MIT */
/*
 * The parts of the room, from the first to the last; what each is good for, when the last of them holds
 * already, is that a hole in one is no way out.
 */
#include "sandbox.h"

#include "tool.h"

#include <execinfo.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What the C library would open when it is first asked: it has to be there before the door is shut. */
static void load_what_comes_late(void)
{
	void *frame;
	time_t now = 0;
	struct tm tm;

	(void)backtrace(&frame, 1);   /* libgcc_s, for pthread_cancel and the like */
	(void)strerror(EIO);          /* messages in the user's language */
	(void)localtime_r(&now, &tm); /* the time zone */
}

/* The room is for threads that are made in it. -EBUSY: there is another. */
static int check_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 && st.st_nlink > 3 ? -EBUSY : 0;
}

static int give_up_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

/* Of Linux 6.7 and 6.12, newer than the C library's headers may be. Older kernels take the part they know. */
struct landlock_all {
	uint64_t fs;     /* actions on files: none is allowed anywhere */
	uint64_t net;    /* TCP: 1 bind, 2 connect */
	uint64_t scoped; /* 1 abstract UNIX sockets, 2 signals, of processes outside */
};

static int enter_landlock(void)
{
	/* By version: how many kinds of actions on files it knows. */
	static const unsigned char fs_actions[] = {0, 13, 14, 15, 15, 16};
	struct landlock_all all = {0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int fd, err = 0;

	if (abi < 1)
		return abi ? -errno : -ENOSYS;
	all.fs = (1u << fs_actions[abi < 5 ? abi : 5]) - 1;
	all.net = abi >= 4 ? 3 : 0;
	all.scoped = abi >= 6 ? 3 : 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		err = -errno;
	close(fd);
	return err;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

/* No descriptor beyond those that are open, and no core: it would hold what others have in their files. */
static int set_limits(void)
{
	struct rlimit none = {0}, files = {0};
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	files.rlim_cur = files.rlim_max = (rlim_t)fd; /* the lowest that is free */
	return setrlimit(RLIMIT_CORE, &none) || setrlimit(RLIMIT_NOFILE, &files) ? -errno : 0;
}

static const struct part {
	const char *name;
	int (*enter)(void);
} parts[] = {
	{"giving up new privileges", give_up_privileges},
	{"landlock", enter_landlock},
	{"dropping capabilities", drop_capabilities},
	{"limits", set_limits},
	{"seccomp", sandbox_calls_enter},
};

static const char *reason(int err)
{
	switch (err) {
	case -ENOSYS:
		return "this kernel has none";
	case -EOPNOTSUPP:
		return "it is turned off in this kernel (lsm=)";
	case -EBUSY:
		return "there are threads already";
	default:
		return strerror(-err);
	}
}

static void tell(const char *part, int err, enum sandbox_mode mode)
{
	fprintf(stderr, "shale %s: sandbox: %s: not to be had: %s%s\n", tool_verb, part, reason(err),
		mode == SANDBOX_REQUIRED ? "" : "; going on without");
}

int sandbox_enter(enum sandbox_mode mode)
{
	int err, first = 0;

	if (mode == SANDBOX_OFF)
		return 0;
	load_what_comes_late();
	err = check_threads();
	if (err) {
		tell("all of it", err, mode);
		return mode == SANDBOX_REQUIRED ? err : 0;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		err = parts[i].enter();
		if (!err)
			continue;
		tell(parts[i].name, err, mode);
		first = first ? first : err;
	}
	return mode == SANDBOX_REQUIRED ? first : 0;
}
