/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a process in the room (sandbox.h), as a seccomp filter. It is a closed list: any other
 * call, and any of these with arguments that are not its own, kills the process. docs/architecture.md says
 * what each is there for, and tests/sandbox/room.c holds a list of its own against this one.
 *
 * Three are answered by an error, since the C library lives with that: clone3, whose arguments a filter
 * cannot see (clone is taken instead), and open and openat (malloc asks for the number of processors, and how
 * memory may be given back, under /sys and /proc when it first wants to know).
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#define IO_URING_REGISTER_FILES_UPDATE 6

/* What pthread_create asks clone for; CLONE_DETACHED means nothing since long, and some libraries set it. */
#define THREAD_FLAGS                                                                                         \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |   \
	 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const int calls[] = {
	/* What is open. */
	SCMP_SYS(read),
	SCMP_SYS(preadv2),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
	SCMP_SYS(close),
	SCMP_SYS(io_uring_enter),
	/* Memory: see also `checked`. */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* Threads, and waiting. */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(membarrier),
	SCMP_SYS(futex),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* Signals to itself. */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	/* What time it is, who it is, and how much memory there is. */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),
};

static const struct refusal {
	int call, error;
} refused[] = {
	{SCMP_SYS(clone3), ENOSYS},
	{SCMP_SYS(open), EACCES},
	{SCMP_SYS(openat), EACCES},
#ifdef SANITIZED
	/* A sanitizer that has found something looks for more to tell, and can do without. */
	{SCMP_SYS(ioctl), ENOTTY},
	{SCMP_SYS(readlink), EACCES},
	{SCMP_SYS(stat), EACCES},
	{SCMP_SYS(pipe), EACCES},
#endif
};

#define MAX_CHECKS 2
static const struct checked_call {
	int call;
	unsigned checks;
	struct scmp_arg_cmp check[MAX_CHECKS];
} checked[] = {
	/* Memory that is of no file and is not code. */
	{SCMP_SYS(mmap),
	 2,
	 {SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
	  SCMP_A3_64(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)}},
	{SCMP_SYS(mprotect), 1, {SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
	{SCMP_SYS(clone), 1, {SCMP_A0_64(SCMP_CMP_MASKED_EQ, ~(uint64_t)CLONE_DETACHED, THREAD_FLAGS)}},
	/* Of no descriptor: so liburcu sleeps. */
	{SCMP_SYS(poll), 1, {SCMP_A1_64(SCMP_CMP_EQ, 0)}},
	{SCMP_SYS(ppoll), 1, {SCMP_A1_64(SCMP_CMP_EQ, 0)}},
	/* Files leave the ring, and their locks go, when a disk is removed. */
	{SCMP_SYS(io_uring_register), 1, {SCMP_A1_64(SCMP_CMP_EQ, IO_URING_REGISTER_FILES_UPDATE)}},
	{SCMP_SYS(fcntl), 1, {SCMP_A1_64(SCMP_CMP_EQ, F_OFD_SETLK)}},
	{SCMP_SYS(prctl), 1, {SCMP_A0_64(SCMP_CMP_EQ, PR_SET_NAME)}},
};

static int add_rules(scmp_filter_ctx filter)
{
	scmp_datum_t self = (scmp_datum_t)getpid();
	int err = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)refused[i].error), refused[i].call,
				       0);
	for (size_t i = 0; i < sizeof(checked) / sizeof(*checked) && !err; i++)
		err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, checked[i].call, checked[i].checks,
					     checked[i].check);
	/* Signals to itself. */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0_64(SCMP_CMP_EQ, self));
	return err;
}

int sandbox_calls_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!filter)
		return -ENOMEM;
	/* Calls of another machine's numbering, too. */
	err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list */
	if (!err)
		err = add_rules(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
