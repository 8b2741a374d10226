/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: outside of the sandbox, it knows nothing of the volume. It starts guard and daemon, mounts
 * when the daemon has the image, hands it /dev/fuse, waits, and sees to it that at the end nothing is left:
 * no mount, no process. It ends when the daemon does, whoever made it.
 */
#include "mount.h"

#include "mount_fds.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* How long the daemon may take to end before it is made to. */
#define END_MS 700
#ifdef __has_feature
#if __has_feature(thread_sanitizer) /* which takes its time */
#undef END_MS
#define END_MS 20000
#endif
#endif

/* So many may wait for our end at a time; others wait until we let them in. */
#define PEERS 64

struct supervisor {
	const struct mount_wish *wish;
	struct fuse_counters *counters;
	struct host_mount mount; /* number 0: there is none of ours */
	pid_t daemon;
	int guard;    /* a pipe: its end tells the guard of ours */
	int control;  /* to the daemon */
	int log;      /* from the daemon's standard error */
	int signals;  /* signalfd */
	int ready;    /* who waits for the mount; -1: nobody */
	int listener; /* those meet us here who wait for our end; -1: none */
	int peers[PEERS];
	unsigned n_peers;
	bool attached, answering, syslog, ending;
	int64_t end_by; /* when ending: then the daemon is killed, in ms of the monotonic clock */
	int exit;       /* of the daemon; -1: it runs */
	char line[1024];
	size_t line_bytes;
};

void fuse_counters_write(const struct fuse_counters *counters, int fd)
{
	static const char *const names[FUSE_COUNTED_OPS] = {
		[1] = "lookup",     [2] = "forget",        [3] = "getattr",      [4] = "setattr",
		[5] = "readlink",   [14] = "open",         [15] = "read",        [16] = "write",
		[17] = "statfs",    [18] = "release",      [20] = "fsync",       [21] = "setxattr",
		[22] = "getxattr",  [23] = "listxattr",    [25] = "flush",       [26] = "init",
		[27] = "opendir",   [28] = "readdir",      [29] = "releasedir",  [34] = "access",
		[36] = "interrupt", [37] = "bmap",         [38] = "destroy",     [39] = "ioctl",
		[40] = "poll",      [42] = "batch_forget", [44] = "readdirplus", [46] = "lseek",
		[52] = "statx"};
	char text[4096];
	size_t n = 0;

	for (unsigned op = 0; op < FUSE_COUNTED_OPS; op++) {
		uint64_t count = __atomic_load_n(&counters->op[op], __ATOMIC_RELAXED);

		if (names[op] && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %llu\n", names[op],
					      (unsigned long long)count);
		else if (count && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "op%u %llu\n", op,
					      (unsigned long long)count);
	}
	if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != (ssize_t)n)
		tool_error("--stats", errno);
}

void mount_meeting(const struct host_mount *mount, struct sockaddr_un *address, unsigned *bytes)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	*bytes = (unsigned)offsetof(struct sockaddr_un, sun_path) + 1;
	*bytes += (unsigned)snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
				     "shale-mount-%u:%u-%llu", mount->major, mount->minor,
				     (unsigned long long)(mount->unique ? mount->unique : mount->number));
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static void forget_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd < 3; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		close(null);
}

/* ---- The guard */

/* What the guard is told before there is something to tell of: a mount is being made. */
#define MOUNT_BEGUN UINT_MAX

/* Nobody answers there any more. */
static bool is_dead(const char *target)
{
	struct statfs fs;

	return statfs(target, &fs) && errno == ENOTCONN;
}

#define GUARD_TRIES 10
#define GUARD_PAUSE 100 /* ms */

/* A mount that others lie over cannot be taken away before these have gone: the table's changes are waited
 * for. Directories on the way may be renamed meanwhile, which it does not tell. */
static void guard_end(const struct host_mount *mine)
{
	struct pollfd table = {.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), .events = POLLPRI};

	for (int tries = 0; host_mount_end(mine) && table.fd >= 0; tries++)
		poll(&table, 1, tries < GUARD_TRIES ? GUARD_PAUSE : -1);
}

/*
 * Waits for the end of the supervisor, and of the fusermount3 that it may have started, who has the pipe,
 * too. If the mount that it was told of is still there by then, it goes; so does one that was being made, and
 * that is dead.
 */
_Noreturn static void guard_run(const struct mount_wish *wish, const struct host_mount *before, int pipe)
{
	struct host_mount mine = {0};

	setsid();
	(void)!chdir("/");
	for (int s = SIGHUP; s <= SIGTERM; s++)
		signal(s, SIG_IGN);
	while (read(pipe, &mine, sizeof(mine)) == sizeof(mine))
		;
	if (mine.number == MOUNT_BEGUN && host_mount_find(wish->target, &mine) &&
	    (host_mount_is(&mine, before) || !is_dead(wish->target)))
		mine.number = 0;
	if (mine.number)
		guard_end(&mine);
	_exit(0);
}

/* Descriptors that a child keeps become 3 and on; all others are closed. */
static void keep_only(int *kept)
{
	if (*kept != 3 && dup2(*kept, 3) < 0)
		_exit(TOOL_FAILED);
	*kept = 3;
	(void)close_range(4, ~0u, 0);
}

static int start_guard(struct supervisor *s)
{
	struct host_mount before;
	int ends[2];
	pid_t child;

	(void)host_mount_find(s->wish->target, &before);
	if (pipe(ends)) /* not closed by exec: see guard_run() */
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		forget_terminal();
		keep_only(&ends[0]);
		guard_run(s->wish, &before, ends[0]);
	}
	close(ends[0]);
	s->guard = ends[1];
	return 0;
}

/* ---- The daemon */

_Noreturn static void daemon_run(const struct supervisor *s, pid_t supervisor, int control, int log)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_IGN); /* the terminal's is the supervisor's affair */
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	forget_terminal();
	if (getppid() != supervisor || dup2(log, 2) < 0)
		_exit(TOOL_FAILED);
	keep_only(&control);
	exit(fuse_daemon(s->wish, s->counters, control));
}

static int start_daemon(struct supervisor *s)
{
	pid_t self = getpid();
	int sockets[2], log[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) || pipe2(log, O_CLOEXEC))
		return -errno;
	s->daemon = fork();
	if (s->daemon < 0)
		return -errno;
	if (!s->daemon)
		daemon_run(s, self, sockets[1], log[1]);
	close(sockets[1]);
	close(log[1]);
	s->control = sockets[0];
	s->log = log[0];
	return 0;
}

/* ---- What happens */

static void tell_line(struct supervisor *s)
{
	s->line[s->line_bytes] = '\0';
	if (s->syslog)
		syslog(LOG_WARNING, "%s: %s", s->wish->source, s->line);
	else
		fprintf(stderr, "%s\n", s->line);
	s->line_bytes = 0;
}

/* Lines of the daemon; false: it has closed its end. */
static bool take_log(struct supervisor *s)
{
	char text[4096];
	ssize_t n = read(s->log, text, sizeof(text));

	for (ssize_t i = 0; i < n; i++) {
		if (text[i] != '\n')
			s->line[s->line_bytes++] = text[i];
		if (text[i] == '\n' || s->line_bytes == sizeof(s->line) - 1)
			tell_line(s);
	}
	return n > 0;
}

/* false: who waited for it has gone. */
static bool tell_ready(struct supervisor *s, int status)
{
	const char word = (char)status;
	bool told;

	if (s->ready < 0)
		return true;
	told = write(s->ready, &word, 1) == 1;
	close(s->ready);
	s->ready = -1;
	openlog("shale", LOG_PID, LOG_DAEMON);
	s->syslog = true;
	forget_terminal();
	return told;
}

static void start_listening(struct supervisor *s)
{
	struct sockaddr_un address;
	unsigned bytes;

	mount_meeting(&s->mount, &address, &bytes);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Without it umount(1) works all the same; only nobody can wait for our end. */
	if (s->listener >= 0 &&
	    (bind(s->listener, (struct sockaddr *)&address, bytes) || listen(s->listener, 64))) {
		close(s->listener);
		s->listener = -1;
	}
}

static void tell_guard(const struct supervisor *s, struct host_mount mount)
{
	(void)!write(s->guard, &mount, sizeof(mount));
}

/* The daemon has the image: mounts and gives it the connection. */
static int make_mount(struct supervisor *s)
{
	int fd;

	tell_guard(s, (struct host_mount){.number = MOUNT_BEGUN});
	fd = host_mount(s->wish);
	if (fd < 0) {
		tell_guard(s, s->mount);
		return -EIO;
	}
	if (!host_mount_find(s->wish->target, &s->mount))
		tool_error_text(s->wish->target, "is not in the mount table");
	tell_guard(s, s->mount);
	host_mount_read_ahead(&s->mount);
	start_listening(s);
	return mount_fds_send(s->control, fd, s->wish->threads + 1);
}

/* Takes the mount away, if it is still there, and has the daemon end. */
static void end_mount(struct supervisor *s)
{
	/* Somebody may be using it: then the place is free at once, and they see the end. */
	if (s->mount.number && !host_mount_end(&s->mount))
		s->mount.number = 0;
	if (s->ending)
		return;
	if (s->exit < 0)
		kill(s->daemon, SIGTERM);
	s->ending = true;
	s->end_by = now_ms() + END_MS;
}

/* It may have been taken over by what it reads: it gets one mount, and that is all. */
static void end_unruly(struct supervisor *s)
{
	s->line_bytes =
		(size_t)snprintf(s->line, sizeof(s->line),
				 "shale mount: %s: the daemon asks for what it has had already: it is killed",
				 s->wish->source);
	tell_line(s);
	kill(s->daemon, SIGKILL);
	end_mount(s);
}

static void take_control(struct supervisor *s)
{
	char word;

	if (read(s->control, &word, 1) != 1) {
		close(s->control);
		s->control = -1;
	} else if (s->ending) {
		return; /* too late */
	} else if (word == MOUNT_ATTACHED && !s->attached) {
		s->attached = true;
		if (make_mount(s))
			end_mount(s);
	} else if (word == MOUNT_ANSWERING && s->attached && !s->answering) {
		s->answering = true;
		if (!tell_ready(s, 0))
			end_mount(s);
	} else {
		end_unruly(s);
	}
}

/* Who came stays as long as we do, or he likes. Strangers are turned away: they could take all places. */
static void take_peer(struct supervisor *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	    (peer.uid == 0 || peer.uid == s->wish->caller_uid)) {
		s->peers[s->n_peers++] = fd;
	} else if (fd >= 0) {
		close(fd);
	} else if (errno != EAGAIN && errno != ECONNABORTED) {
		close(s->listener);
		s->listener = -1;
	}
}

static void drop_peer(struct supervisor *s, unsigned i)
{
	close(s->peers[i]);
	s->peers[i] = s->peers[--s->n_peers];
}

static void take_child(struct supervisor *s)
{
	int status;
	pid_t child;

	while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
		if (child != s->daemon)
			continue;
		while (take_log(s))
			;
		s->exit = WIFEXITED(status) ? WEXITSTATUS(status) : TOOL_FAILED;
		if (WIFSIGNALED(status) && !s->ending) {
			s->line_bytes = (size_t)snprintf(
				s->line, sizeof(s->line),
				"shale mount: %s: the daemon was ended by signal %d (%s%s)", s->wish->source,
				WTERMSIG(status), strsignal(WTERMSIG(status)),
				WTERMSIG(status) == SIGSYS ? ": the sandbox forbids what it tried" : "");
			tell_line(s);
		}
	}
}

static void take_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		take_child(s);
	else if (info.ssi_signo == SIGUSR1 && s->wish->stats_fd >= 0)
		fuse_counters_write(s->counters, s->wish->stats_fd);
	else if (info.ssi_signo != SIGUSR1)
		end_mount(s);
}

/* Until the daemon is killed, which then takes its time; -1: it may run. */
static int ms_left(const struct supervisor *s)
{
	const int64_t left = s->end_by - now_ms();

	if (!s->ending)
		return -1;
	return left > 0 ? (int)left : END_MS;
}

#define FIRST_PEER 5

static void run(struct supervisor *s)
{
	while (s->exit < 0) {
		struct pollfd fds[FIRST_PEER + PEERS] = {
			{.fd = s->signals, .events = POLLIN},
			{.fd = s->control, .events = POLLIN},
			{.fd = s->log, .events = POLLIN},
			{.fd = s->ready, .events = 0},
			{.fd = s->n_peers < PEERS ? s->listener : -1, .events = POLLIN}};

		for (unsigned i = 0; i < s->n_peers; i++)
			fds[FIRST_PEER + i] = (struct pollfd){.fd = s->peers[i]};
		poll(fds, FIRST_PEER + s->n_peers, ms_left(s));
		if (s->ending && now_ms() >= s->end_by)
			kill(s->daemon, SIGKILL);
		if (fds[2].revents && !take_log(s)) {
			close(s->log);
			s->log = -1;
		}
		if (fds[1].revents)
			take_control(s);
		if (fds[0].revents)
			take_signal(s);
		if (fds[3].revents & POLLERR) /* who started us does not wait any more */
			end_mount(s);
		for (unsigned i = s->n_peers; i--;)
			if (fds[FIRST_PEER + i].revents)
				drop_peer(s, i);
		if (fds[4].revents)
			take_peer(s);
	}
}

static int signals_open(void)
{
	static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int mount_supervise(const struct mount_wish *wish, int ready)
{
	struct supervisor s = {
		.wish = wish, .ready = ready, .control = -1, .log = -1, .listener = -1, .exit = -1};
	int err;

	s.counters =
		mmap(NULL, sizeof(*s.counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.signals = signals_open();
	err = s.counters == MAP_FAILED || s.signals < 0 ? -errno : start_guard(&s);
	if (!err)
		err = start_daemon(&s);
	if (err) {
		tool_error("starting the daemon", err);
		tell_ready(&s, TOOL_FAILED);
		return TOOL_FAILED;
	}
	(void)!chdir("/"); /* the caller's directory is his */
	run(&s);
	end_mount(&s);
	/* Mostly nothing is ours any more; the guard stays with what could not be reached. */
	tell_guard(&s, s.mount);
	if (wish->stats_fd >= 0)
		fuse_counters_write(s.counters, wish->stats_fd);
	/* Ended before it answered: whatever it says, it is not mounted. */
	tell_ready(&s, TOOL_FAILED);
	return s.answering ? s.exit : TOOL_FAILED;
}
