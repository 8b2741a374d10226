/* SPDX-License-Identifier: MIT */
/*
 * The room that the daemon of a mount reads volumes in (tools/sandbox.h): each thing that is not to be
 * possible in it is tried, by a child that went in. The list of system calls here is written from what
 * docs/architecture.md allows, not taken from the filter's: a filter that lets through one more fails.
 *
 * usage: room IMAGE [PATH]	(an ext4 volume, and a file in it to read: /file unless told)
 */
#include "../../tools/sandbox.c" /* its parts, one by one */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/machine.h"
#include "drivers/io_ring_internal.h"

const char *tool_verb = "room";

static unsigned passed, failed;
static const char *image, *path = "/file";

static void check(bool good, const char *what)
{
	if (good)
		passed++;
	else
		failed++;
	if (!good)
		printf("FAILED: %s\n", what);
}

static void check_good(int status, const char *what)
{
	check(status == 0, what);
	if (status)
		printf("\tended by %d, %d\n", WTERMSIG(status), WEXITSTATUS(status));
}

/* What became of a child that ran fn(arg). */
static int in_child(int (*fn)(long arg), long arg)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child) {
		alarm(20);
		_exit(fn(arg));
	}
	return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void go_in(void)
{
	if (sandbox_enter(SANDBOX_REQUIRED))
		_exit(99);
}

/* ---- Every system call */

/* Allowed whatever the arguments. */
static const char *const allowed[] = {
	"read",
	"preadv2",
	"write",
	"writev",
	"pwritev2",
	"fdatasync",
	"fallocate",
	"close",
	"io_uring_enter",
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"set_robust_list",
	"rseq",
	"sched_getaffinity",
	"sched_yield",
	"membarrier",
	"futex",
	"clock_nanosleep",
	"restart_syscall",
	"exit",
	"exit_group",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sigaltstack",
	"clock_gettime",
	"getpid",
	"gettid",
	"getrandom",
	"sysinfo",
	/* With some arguments only, but not forbidden by those that are tried here; more about them below. */
	"mprotect",
	"poll",
	"ppoll",
};

static const struct {
	const char *call;
	int error;
} refusals[] = {
	{"clone3", ENOSYS}, {"open", EACCES},     {"openat", EACCES},
#if SHALE_ASAN /* which has to make its report */
	{"ioctl", ENOTTY},  {"readlink", EACCES}, {"stat", EACCES},   {"pipe", EACCES},
#endif
};

static bool is_allowed(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(allowed); i++)
		if (!strcmp(name, allowed[i]))
			return true;
	return false;
}

static int refused_with(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(refusals); i++)
		if (!strcmp(name, refusals[i].call))
			return refusals[i].error;
	return 0;
}

/* Arguments that do no harm, should it be let through; PROT_EXEC is not among them. */
static int try_call(long nr)
{
	go_in();
	return syscall(nr, -1L, 0L, 0L, 0L, 0L, 0L) < 0 ? errno : 0;
}

/*
 * uretprobe and uprobe (Linux 6.11 and later) pass by all filters, since the kernel itself puts them into
 * programs that are traced; who calls them otherwise is ended by SIGILL or gets an error.
 */
static bool passes_filters(unsigned nr)
{
#ifdef __x86_64__
	return nr == 335 || nr == 336;
#else
	return false;
#endif
}

static bool is_stopped(int status, unsigned nr)
{
	return is_killed(status) ||
	       (passes_filters(nr) &&
		((WIFSIGNALED(status) && WTERMSIG(status) == SIGILL) || WEXITSTATUS(status)));
}

static void test_every_call(void)
{
	unsigned most = 520;

	for (unsigned nr = 0; nr < most; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)nr);
		int status, error = refused_with(name);
		char text[128];

		snprintf(text, sizeof(text), "call %u (%s)", nr, name ? name : "?");
		if (!is_allowed(name)) {
			status = in_child(try_call, nr);
			check(error ? WIFEXITED(status) && WEXITSTATUS(status) == error
				    : is_stopped(status, nr),
			      text);
		}
		free(name);
	}
	check(is_killed(in_child(try_call, 1000000)), "a call far beyond the last");
#ifdef __x86_64__
	check(is_killed(in_child(try_call, 0x40000000 + 39)), "getpid of x32");
#endif
}

/* ---- Calls by their arguments. Each returns when it was let through. */

static int try_map_code(long unused)
{
	go_in();
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 0;
}

static int try_map_file(long fd)
{
	go_in();
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, (int)fd, 0);
	return 0;
}

static int try_make_code(long unused)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	go_in();
	mprotect(p, 4096, PROT_READ | PROT_EXEC);
	return 0;
}

static int try_clone(long flags)
{
	go_in();
	if (syscall(SYS_clone, flags, NULL, NULL, NULL, NULL) == 0)
		_exit(0);
	return 0;
}

static int try_fcntl(long cmd)
{
	go_in();
	fcntl(0, (int)cmd, 0);
	return 0;
}

static int try_ioctl(long request)
{
	char byte = '\n';

	go_in();
	if (ioctl(0, (unsigned long)request, &byte) && errno == ENOTTY && SHALE_ASAN)
		raise(SIGSYS);
	return 0;
}

static int try_prctl(long option)
{
	go_in();
	prctl((int)option, 1, 0, 0, 0);
	return 0;
}

static int try_kill(long pid)
{
	go_in();
	kill((pid_t)pid, 0);
	return 0;
}

static int try_tgkill(long pid)
{
	go_in();
	syscall(SYS_tgkill, pid, pid, 0);
	return 0;
}

static int try_ring_register(long opcode)
{
	go_in();
	syscall(SYS_io_uring_register, -1, opcode, NULL, 0);
	return 0;
}

static int try_poll(long unused)
{
	struct pollfd fd = {.fd = 0, .events = POLLIN};

	go_in();
	return poll(&fd, 1, 0);
}

static int try_exec(long unused)
{
	char *argv[] = {"true", NULL};

	go_in();
	execv("/bin/true", argv);
	return 1;
}

static int try_connect(long fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};

	go_in();
	connect((int)fd, (struct sockaddr *)&address, sizeof(address));
	return 0;
}

static int try_system(long unused)
{
	go_in();
	return system("true");
}

#ifdef __x86_64__
/* Number 20 of the 32-bit calls is getpid, of the 64-bit ones writev, which is allowed. */
static int try_int80(long unused)
{
	long result;

	go_in();
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return 0;
}
#endif

/* What the daemon needs of these calls works. */
static int use_calls(long unused)
{
	char *p = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	sigset_t set;

	go_in();
	if (p == MAP_FAILED || mprotect(p, 8192, PROT_READ | PROT_WRITE))
		return 1;
	*p = 1;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (raise(SIGUSR1) || poll(NULL, 0, 1) || prctl(PR_SET_NAME, "room"))
		return 2;
	if (fcntl(0, F_OFD_SETLK, &lock))
		return 3;
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 4;
}

static void test_arguments(void)
{
	int file = open(image, O_RDONLY | O_CLOEXEC);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const long fcntls[] = {F_DUPFD,  F_DUPFD_CLOEXEC, F_SETFD,     F_SETFL,      F_SETOWN,
				      F_SETSIG, F_SETLEASE,      F_ADD_SEALS, F_SETPIPE_SZ, F_NOTIFY};
	static const long ioctls[] = {TIOCSTI, FIONREAD, TIOCLINUX, FIONBIO};
	static const long prctls[] = {PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_SECCOMP,        PR_SET_MM,
				      PR_SET_PTRACER,  PR_CAP_AMBIENT,   PR_SET_CHILD_SUBREAPER};
	static const long clones[] = {SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD, CLONE_NEWUSER | SIGCHLD,
				      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
					      CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
					      CLONE_CHILD_CLEARTID | CLONE_NEWNET};

	check(is_killed(in_child(try_map_code, 0)), "mmap of code");
	check(is_killed(in_child(try_map_file, file)), "mmap of a file");
	check(is_killed(in_child(try_make_code, 0)), "mprotect to code");
	for (size_t i = 0; i < ARRAY_SIZE(clones); i++)
		check(is_killed(in_child(try_clone, clones[i])), "clone of a process");
	for (size_t i = 0; i < ARRAY_SIZE(fcntls); i++)
		check(is_killed(in_child(try_fcntl, fcntls[i])), "fcntl");
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++)
		check(is_killed(in_child(try_ioctl, ioctls[i])), "ioctl");
	for (size_t i = 0; i < ARRAY_SIZE(prctls); i++)
		check(is_killed(in_child(try_prctl, prctls[i])), "prctl");
	check(is_killed(in_child(try_kill, getpid())), "kill of the parent");
	check(is_killed(in_child(try_kill, -1)), "kill of all");
	check(is_killed(in_child(try_kill, 0)), "kill of the group");
	check(is_killed(in_child(try_tgkill, getpid())), "tgkill of the parent");
	for (long opcode = 0; opcode < 40; opcode++)
		if (opcode != IORING_REGISTER_FILES_UPDATE)
			check(is_killed(in_child(try_ring_register, opcode)), "io_uring_register");
	check(is_killed(in_child(try_poll, 0)), "poll of a descriptor");
	check(is_killed(in_child(try_exec, 0)), "exec");
	check(is_killed(in_child(try_connect, tcp)), "connect");
	check(in_child(try_system, 0) != 0, "system");
#ifdef __x86_64__
	check(in_child(try_int80, 0) != 0, "a call by the 32-bit door");
#endif
	check_good(in_child(use_calls, 0), "what is needed of the calls");
	close(file);
	close(tcp);
}

/* ---- The other parts, without the filter */

static int landlock_alone(long parent)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    inherited = open(image, O_RDONLY | O_CLOEXEC);
	char byte;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (give_up_privileges() || enter_landlock())
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 3;
	if (truncate(image, 0) == 0 || errno != EACCES)
		return 4;
	if (unlink(image) == 0 || errno != EACCES)
		return 5;
	if (connect(tcp, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != EACCES)
		return 6;
	if (kill((pid_t)parent, 0) == 0 || errno != EPERM)
		return 7;
	return pread(inherited, &byte, 1, 0) == 1 ? 0 : 8;
}

static int capabilities_alone(long unused)
{
	if (drop_capabilities())
		return 1;
	return mount("x", "/mnt", "tmpfs", 0, NULL) && errno == EPERM ? 0 : 2;
}

static int limits_alone(long unused)
{
	if (set_limits())
		return 1;
	return dup(0) < 0 && errno == EMFILE ? 0 : 2;
}

static int privileges_alone(long unused)
{
	return give_up_privileges() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void test_parts(void)
{
	check_good(in_child(landlock_alone, getpid()), "landlock alone");
	check_good(in_child(capabilities_alone, 0), "no capabilities");
	check_good(in_child(limits_alone, 0), "no new descriptors");
	check_good(in_child(privileges_alone, 0), "no new privileges");
}

/* ---- Parts that are not to be had */

/* Makes landlock look as in a kernel that answers with that error. */
static void without_landlock(int error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error), SCMP_SYS(landlock_create_ruleset), 0) ||
	    seccomp_load(filter))
		_exit(98);
	seccomp_release(filter);
}

static int lacking_required(long error)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	without_landlock((int)error);
	dup2(null, 2);
	return sandbox_enter(SANDBOX_REQUIRED) == -error ? 0 : 1;
}

/* It is told, on standard error, and the rest holds. */
static int lacking_wished(long error)
{
	char text[512] = "";
	int ends[2];

	without_landlock((int)error);
	if (pipe(ends) || dup2(ends[1], 2) < 0 || sandbox_enter(SANDBOX_WISHED))
		return 1;
	if (read(ends[0], text, sizeof(text) - 1) <= 0 || !strstr(text, "sandbox: landlock: not to be had") ||
	    !strstr(text, error == ENOSYS ? "this kernel has none" : "turned off"))
		return 2;
	socket(AF_INET, SOCK_STREAM, 0);
	return 3;
}

static int off(long unused)
{
	return sandbox_enter(SANDBOX_OFF) || open("/etc/passwd", O_RDONLY) < 0;
}

static void *sleep_long(void *unused)
{
	sleep(100);
	return NULL;
}

static int with_thread(long unused)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pthread_t thread;

	dup2(null, 2);
	if (pthread_create(&thread, NULL, sleep_long, NULL))
		return 1;
	return sandbox_enter(SANDBOX_REQUIRED) == -EBUSY ? 0 : 2;
}

static void test_lacking(void)
{
	check_good(in_child(lacking_required, ENOSYS), "required, a kernel without landlock");
	check_good(in_child(lacking_required, EOPNOTSUPP), "required, landlock is off");
	check(is_killed(in_child(lacking_wished, ENOSYS)), "wished, a kernel without landlock");
	check(is_killed(in_child(lacking_wished, EOPNOTSUPP)), "wished, landlock is off");
	check_good(in_child(off, 0), "--no-sandbox");
	check_good(in_child(with_thread, 0), "not with a thread outside");
}

/* ---- A machine in the room */

struct furnished {
	struct shale *machine;
	struct shale_task *task;
};

static int furnish(struct furnished *f, const char *options)
{
	struct shale_options how = SHALE_OPTIONS_INIT;
	char uri[512];

	how.flags = SHALE_START_LATER;
	how.threads = 3;
	how.memory_limit = 16 << 20;
	snprintf(uri, sizeof(uri), "file:%s?%s", image, options);
	if (shale_new(&how, &f->machine) || shale_task_new(f->machine, NULL, &f->task))
		return 97;
	if (shale_disk_add(f->machine, "disk", uri, SHALE_DISK_READ_ONLY))
		return 96;
	go_in();
	return shale_start(f->machine) ? 95 : 0;
}

/* Reads a file through the machine, again and again. */
static void *reader(void *arg)
{
	struct furnished *f = arg;
	static _Thread_local char buf[1 << 16];
	char file[512];
	intptr_t bad = 0;

	snprintf(file, sizeof(file), "/mnt/%s", path);

	for (int round = 0; round < 3 && !bad; round++) {
		int fd = shale_open(f->task, file, O_RDONLY, 0);
		ssize_t n = 0;
		off_t at = 0;

		while (fd >= 0 && (n = shale_pread(f->task, fd, buf, sizeof(buf), at)) > 0) {
			at += n;
			free(malloc(1 << 20));
		}
		bad = fd < 0 || n < 0 || at == 0;
		if (fd >= 0)
			shale_close(f->task, fd);
		shale_drop_caches(f->machine);
	}
	return (void *)bad;
}

static int live(const char *options)
{
	pthread_t threads[4];
	struct furnished f;
	void *bad, *any = NULL;
	int err = furnish(&f, options);

	if (err)
		return err;
	if (shale_mount(f.task, "/dev/disk", "/mnt", "ext4", MS_RDONLY, NULL))
		return 94;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, reader, &f))
			return 93;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &bad);
		any = bad ? bad : any;
	}
	if (any)
		return 92;
	shale_task_free(f.task);
	return shale_free(f.machine) ? 91 : 0;
}

static int live_by_ring(long unused)
{
	return live("io=ring");
}

static int live_by_calls(long unused)
{
	return live("io=threads&direct=0");
}

/* What goes through the ring does not pass the filter: the ring itself refuses it. Returns its answer. */
static int ask_ring(struct io_uring *ring, void (*fill)(struct io_uring_sqe *sqe, long arg), long arg)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	fill(sqe, arg);
	if (io_uring_submit(ring) < 0 || io_uring_wait_cqe(ring, &cqe))
		return 1;
	return cqe->res;
}

static void fill_openat(struct io_uring_sqe *sqe, long flags)
{
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	sqe->flags |= (uint8_t)flags;
}

static void fill_opcode(struct io_uring_sqe *sqe, long opcode)
{
	io_uring_prep_nop(sqe);
	sqe->opcode = (uint8_t)opcode;
	sqe->flags = IOSQE_FIXED_FILE;
}

static void fill_read_by_fd(struct io_uring_sqe *sqe, long fd)
{
	static char byte;

	io_uring_prep_read(sqe, (int)fd, &byte, 1, 0);
}

static void fill_write(struct io_uring_sqe *sqe, long slot)
{
	io_uring_prep_write(sqe, (int)slot, "x", 1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
}

/* The image is open for reading only, whichever way it is written to. */
static int write_image(long by_ring)
{
	struct furnished f;
	char byte = 'x';
	struct iovec x = {.iov_base = &byte, .iov_len = 1};
	int err = furnish(&f, "io=ring&direct=0"), fd;

	if (err)
		return err;
	if (by_ring)
		return ask_ring(&f.machine->io->ring->uring, fill_write, 0) == -EBADF ? 0 : 1;
	/* The image was opened before the ring, and nothing between. */
	fd = f.machine->io->ring->uring.ring_fd - 1;
	return pwritev2(fd, &x, 1, 0, 0) < 0 && errno == EBADF && preadv2(fd, &x, 1, 0, 0) == 1 ? 0 : 2;
}

/* The operations that the library uses. */
static bool ring_takes(long opcode)
{
	return opcode == IORING_OP_NOP || opcode == IORING_OP_READ || opcode == IORING_OP_WRITE ||
	       opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV || opcode == IORING_OP_FSYNC ||
	       opcode == IORING_OP_FALLOCATE;
}

static int through_ring(long what)
{
	struct furnished f;
	struct io_uring *ring;
	int err = furnish(&f, "io=ring");

	if (err)
		return err;
	ring = &f.machine->io->ring->uring;
	if (what < 0)
		return ask_ring(ring, fill_openat, what == -1 ? 0 : IOSQE_FIXED_FILE) == -EACCES ? 0 : 1;
	if (what < 256)
		return ask_ring(ring, fill_opcode, what) == -EACCES ? 0 : 1;
	return ask_ring(ring, fill_read_by_fd, 3) == -EACCES ? 0 : 1;
}

static void test_machine(void)
{
	check_good(in_child(live_by_ring, 0), "a machine in the room, by the ring");
	check_good(in_child(live_by_calls, 0), "a machine in the room, by calls");
	check_good(in_child(through_ring, -1), "openat through the ring");
	check_good(in_child(through_ring, -2), "openat through the ring, with a registered file");
	check_good(in_child(through_ring, 256), "a file that is not registered with the ring");
	check_good(in_child(write_image, 1), "the image is not written by the ring");
	check_good(in_child(write_image, 0), "the image is not written by calls");
	for (long opcode = 0; opcode < IORING_OP_LAST; opcode++)
		if (!ring_takes(opcode))
			check_good(in_child(through_ring, opcode), "an operation of the ring");
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: room IMAGE [PATH]\n");
		return 2;
	}
	image = argv[1];
	path = argc == 3 ? argv[2] : path;
	test_every_call();
	test_arguments();
	test_parts();
	test_lacking();
	test_machine();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
