/* SPDX-License-Identifier: MIT */
/*
 * Random histories: a seed makes a sequence of system calls by several users over a few names; each call is
 * made in a directory of the kernel's and on shale, and everything it answers is compared; now and then the
 * whole trees are.
 *
 * A history is made without looking at results: a descriptor is named by a slot of its task, and a call on a
 * slot that is closed is a call on a wrong descriptor. So a history's first N calls are the same whatever
 * comes after them.
 */
#ifndef SHALE_TESTS_HISTORY_H
#define SHALE_TESTS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define TASKS     4
#define SLOTS     6
#define PATH_SIZE 640
#define OUT_SIZE  4096
#define DFD_CWD   (-1)

enum op_kind {
#define OP(name, weight) OP_##name,
#include "ops.h"
#undef OP
	OP_KINDS
};

struct op {
	enum op_kind kind;
	unsigned task;
	int dfd[2]; /* slots, or DFD_CWD */
	int slot;   /* the descriptor that it is about */
	unsigned flags;
	mode_t mode;
	dev_t dev;
	uid_t uid;
	gid_t gid;
	int64_t offset, length;
	struct timespec times[2];
	char path[2][PATH_SIZE];
	char name[300]; /* of an attribute */
	char value[256];
	unsigned value_len;
};

/* What a call answered, in a form that is the same on both sides. */
struct outcome {
	long result;
	unsigned len;
	char data[OUT_SIZE];
};

/* The system calls of one side, as the task that runs. Results are negative errno. */
struct calls {
	const char *name;
	long (*openat)(int dfd, const char *path, int flags, mode_t mode);
	long (*close)(int fd);
	long (*statx)(int dfd, const char *path, int flags, unsigned mask, struct statx *stx);
	long (*readlinkat)(int dfd, const char *path, char *buf, size_t size);
	long (*faccessat)(int dfd, const char *path, int mode, int flags);
	long (*getdents)(int fd, void *buf, size_t size);
	long (*pread)(int fd, void *buf, size_t size, off_t at);
	long (*pwrite)(int fd, const void *buf, size_t size, off_t at);
	long (*lseek)(int fd, off_t offset, int whence);
	long (*mkdirat)(int dfd, const char *path, mode_t mode);
	long (*mknodat)(int dfd, const char *path, mode_t mode, dev_t dev);
	long (*symlinkat)(const char *target, int dfd, const char *path);
	long (*linkat)(int odfd, const char *opath, int ndfd, const char *npath, int flags);
	long (*unlinkat)(int dfd, const char *path, int flags);
	long (*renameat2)(int odfd, const char *opath, int ndfd, const char *npath, unsigned flags);
	long (*umask)(mode_t mask);
	long (*chdir)(const char *path);
	long (*fchdir)(int fd);
	long (*getcwd)(char *buf, size_t size);
	long (*fcntl)(int fd, int cmd, unsigned long arg);
	long (*flock)(int fd, int operation);
	long (*ioctl)(int fd, unsigned long request, void *arg);
	long (*dup)(int fd);
	long (*getxattr)(const char *path, const char *name, void *value, size_t size);
	long (*lgetxattr)(const char *path, const char *name, void *value, size_t size);
	long (*fgetxattr)(int fd, const char *name, void *value, size_t size);
	long (*llistxattr)(const char *path, char *list, size_t size);
	long (*flistxattr)(int fd, char *list, size_t size);
	long (*fchmodat2)(int dfd, const char *path, mode_t mode, int flags);
	long (*fchmod)(int fd, mode_t mode);
	long (*fchownat)(int dfd, const char *path, uid_t uid, gid_t gid, int flags);
	long (*fchown)(int fd, uid_t uid, gid_t gid);
	long (*utimensat)(int dfd, const char *path, const struct timespec *times, int flags);
	long (*truncate)(const char *path, off_t length);
	long (*ftruncate)(int fd, off_t length);
	long (*setxattr)(const char *path, const char *name, const void *value, size_t size, int flags);
	long (*lsetxattr)(const char *path, const char *name, const void *value, size_t size, int flags);
	long (*fsetxattr)(int fd, const char *name, const void *value, size_t size, int flags);
	long (*setxattrat)(int dfd, const char *path, int flags, const char *name, const void *args,
			   size_t size);
	long (*removexattrat)(int dfd, const char *path, int flags, const char *name);
	long (*removexattr)(const char *path, const char *name);
	long (*lremovexattr)(const char *path, const char *name);
	long (*fremovexattr)(int fd, const char *name);
};
extern const struct calls calls_kernel, calls_shale;

/* A user: the first is root. */
struct user {
	uid_t uid;
	gid_t gid;
	unsigned ngroups;
	gid_t groups[4];
};
extern const struct user users[TASKS];

/* generate.c: the next call of the history. */
struct generator {
	uint64_t state;
	unsigned task;
};
void generate(struct generator *g, struct op *op);
const char *op_name(enum op_kind kind);
void op_print(const struct op *op);

/* run.c: makes one call; fds are the task's slots. */
void run_op(const struct calls *c, const struct op *op, int fds[SLOTS], struct outcome *out);
/* What statx tells of a file, in a form that both sides can give; bytes written. */
unsigned stat_text(const struct statx *stx, char *buf, size_t size);
/* Entries of a directory, sorted: "type name\n" ...; negative errno. */
long list_directory(const struct calls *c, int fd, char *buf, size_t size);

/* kernel.c: its side: one thread a task, in a root of its own. */
void kernel_start(const char *type, const char *options);
void kernel_run(unsigned task, const struct op *ops, unsigned count, struct outcome *outs);
void kernel_tree(void (*fn)(void *arg), void *arg); /* runs fn as root's task */
void kernel_stop(void);

/* shale.c */
void shale_begin(const char *type, const char *options, unsigned threads, uint64_t seed);
void shale_run(unsigned task, const struct op *ops, unsigned count, struct outcome *outs);
void shale_tree(void (*fn)(void *arg), void *arg);
void shale_stop(void);

/* tree.c: everything below the root in words, one line for each thing; malloc'ed. */
char *tree_text(const struct calls *c);

#endif
