/* SPDX-License-Identifier: MIT */
/* One call of a history on one side, and its answer in a form that both sides can give. */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_OPEN 9999 /* a descriptor that nobody has */

/*
 * Times that a call set are told as they are; what the clock gave is only told to be of the clock, so that it
 * shows whether a call changed a time, however fast calls follow one another. Calls set times of before 2020
 * or after 2090.
 */
static void time_text(const struct statx_timestamp *ts, char *buf, size_t size)
{
	if (ts->tv_sec > 1577836800ll && ts->tv_sec < 3786912000ll)
		snprintf(buf, size, "now");
	else
		snprintf(buf, size, "%lld.%09u", (long long)ts->tv_sec, ts->tv_nsec);
}

unsigned stat_text(const struct statx *stx, char *buf, size_t size)
{
	char times[3][32];
	/* A directory's size and blocks are each file system's own. */
	unsigned long long bytes = S_ISDIR(stx->stx_mode) ? 0 : stx->stx_size;

	time_text(&stx->stx_atime, times[0], sizeof(times[0]));
	time_text(&stx->stx_mtime, times[1], sizeof(times[1]));
	time_text(&stx->stx_ctime, times[2], sizeof(times[2]));
	return (unsigned)snprintf(buf, size,
				  "mode 0%o links %u ids %u:%u size %llu device %x:%x times %s %s %s",
				  stx->stx_mode, stx->stx_nlink, stx->stx_uid, stx->stx_gid, bytes,
				  stx->stx_rdev_major, stx->stx_rdev_minor, times[0], times[1], times[2]);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

long list_directory(const struct calls *c, int fd, char *buf, size_t size)
{
	char *lines[512], raw[8192];
	unsigned count = 0;
	size_t used = 0;
	long got;

	while ((got = c->getdents(fd, raw, sizeof(raw))) > 0) {
		for (long at = 0; at < got;) {
			const struct dirent64 *d = (const void *)(raw + at);

			if (count < 512 && asprintf(&lines[count], "%u %s", d->d_type, d->d_name) > 0)
				count++;
			at += d->d_reclen;
		}
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (unsigned i = 0; i < count; i++) {
		used += (size_t)snprintf(buf + used, used < size ? size - used : 0, "%s\n", lines[i]);
		if (used >= size)
			used = size - 1;
		free(lines[i]);
	}
	buf[used] = '\0';
	return got < 0 ? got : (long)used;
}

static void do_stat(const struct calls *c, int dfd, const char *path, int flags, struct outcome *out)
{
	struct statx stx;

	out->result = c->statx(dfd, path, flags, STATX_BASIC_STATS, &stx);
	if (!out->result)
		out->len = stat_text(&stx, out->data, sizeof(out->data));
}

static void do_list(const struct calls *c, int fd, struct outcome *out)
{
	out->result = c->lseek(fd, 0, SEEK_SET);
	if (out->result < 0)
		return;
	out->result = list_directory(c, fd, out->data, sizeof(out->data));
	if (out->result > 0)
		out->len = (unsigned)out->result;
}

/* Positions in directories are each file system's own. */
static void do_lseek(const struct calls *c, const struct op *op, int fd, struct outcome *out)
{
	struct statx stx;

	if (!c->statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) && S_ISDIR(stx.stx_mode))
		return;
	out->result = c->lseek(fd, op->offset, (int)op->flags);
}

static void put_fd(const struct calls *c, int *slot, long fd, struct outcome *out)
{
	if (fd >= 0) {
		if (*slot >= 0)
			c->close(*slot);
		*slot = (int)fd;
	}
	out->result = fd >= 0 ? 0 : fd;
}

/* The names of attributes come in each file system's own order. */
static void sort_names(struct outcome *out)
{
	char *names[64], copy[OUT_SIZE];
	unsigned count = 0, at = 0;

	memcpy(copy, out->data, out->len);
	for (unsigned i = 0; i < out->len && count < 64; i += (unsigned)strlen(copy + i) + 1)
		names[count++] = copy + i;
	qsort(names, count, sizeof(*names), compare_lines);
	for (unsigned i = 0; i < count; i++) {
		strcpy(out->data + at, names[i]);
		at += (unsigned)strlen(names[i]) + 1;
	}
}

static void do_pwrite(const struct calls *c, const struct op *op, int fd, struct outcome *out)
{
	char data[3000];

	memset(data, (int)op->flags + 1, sizeof(data));
	out->result = c->pwrite(fd, data, (size_t)op->length, op->offset);
}

/* The process that holds a lock is told by number, which is each side's own; only OFD's -1 is compared. */
static void do_record_lock(const struct calls *c, const struct op *op, int fd, struct outcome *out)
{
	static const int cmds[] = {F_SETLK, F_OFD_SETLK, F_GETLK, F_OFD_GETLK};
	struct flock l = {
		.l_type = (short)(op->mode % 4),
		.l_whence = (short)(op->flags % 4),
		.l_start = op->offset,
		.l_len = op->length,
		.l_pid = op->value_len ? 7 : 0,
	};
	bool get = op->kind == OP_getlk;
	struct statx stx;

	/* Positions in directories, and their sizes, are each file system's own. */
	if (!c->statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) && S_ISDIR(stx.stx_mode))
		l.l_whence = SEEK_SET;
	out->result = c->fcntl(fd, cmds[(get ? 2 : 0) + (op->dev & 1)], (unsigned long)&l);
	if (get && !out->result)
		out->len = (unsigned)snprintf(out->data, sizeof(out->data), "%d %d %lld %lld %d", l.l_type,
					      l.l_whence, (long long)l.l_start, (long long)l.l_len,
					      l.l_pid == -1);
}

/* Calls that answer with bytes. */
static void run_bytes(const struct calls *c, const struct op *op, int dfd, int fd, struct outcome *out)
{
	size_t size = (size_t)op->length;

	switch (op->kind) {
	case OP_readlink:
		out->result = c->readlinkat(dfd, op->path[0], out->data, 1000);
		break;
	case OP_pread:
		out->result = c->pread(fd, out->data, size, op->offset);
		break;
	case OP_getcwd:
		out->result = c->getcwd(out->data, sizeof(out->data));
		break;
	case OP_getxattr:
		out->result =
			(op->slot & 1 ? c->getxattr : c->lgetxattr)(op->path[0], op->name, out->data, size);
		break;
	case OP_fgetxattr:
		out->result = c->fgetxattr(fd, op->name, out->data, size);
		break;
	default:
		out->result = op->slot & 1 ? c->llistxattr(op->path[0], out->data, size)
					   : c->flistxattr(fd, out->data, size);
		break;
	}
	if (out->result > 0 && (size || op->kind == OP_readlink || op->kind == OP_getcwd))
		out->len = (unsigned)out->result;
	if (op->kind == OP_listxattr)
		sort_names(out);
}

static void run_names(const struct calls *c, const struct op *op, int dfd, int dfd2, struct outcome *out)
{
	const char *path = op->path[0];

	switch (op->kind) {
	case OP_mkdir:
		out->result = c->mkdirat(dfd, path, op->mode);
		break;
	case OP_mknod:
		out->result = c->mknodat(dfd, path, op->mode, op->dev);
		break;
	case OP_symlink:
		out->result = c->symlinkat(op->path[1], dfd, path);
		break;
	case OP_link:
		out->result = c->linkat(dfd, path, dfd2, op->path[1], (int)op->flags);
		break;
	case OP_rename:
		out->result = c->renameat2(dfd, path, dfd2, op->path[1], op->flags);
		break;
	case OP_unlink:
		out->result = c->unlinkat(dfd, path, (int)op->flags);
		break;
	case OP_rmdir:
		out->result = c->unlinkat(dfd, path, AT_REMOVEDIR);
		break;
	default:
		abort();
	}
}

/* Calls about the task and its descriptors. False: it is none of them. */
static bool run_task(const struct calls *c, const struct op *op, int fd, struct outcome *out)
{
	int flags = (int)op->flags;

	switch (op->kind) {
	case OP_umask:
		out->result = c->umask(op->mode);
		break;
	case OP_chdir:
		out->result = c->chdir(op->path[0]);
		break;
	case OP_fchdir:
		out->result = c->fchdir(fd);
		break;
	case OP_setflags:
		out->result = c->ioctl(fd, FS_IOC_SETFLAGS, &flags);
		break;
	case OP_getflags:
		out->result = c->ioctl(fd, FS_IOC_GETFLAGS, &flags);
		out->result = out->result ?: flags;
		break;
	case OP_getfl:
		out->result = c->fcntl(fd, F_GETFL, 0);
		break;
	default:
		return false;
	}
	return true;
}

/* By name, by the way that the slot tells. */
static void change_xattr(const struct calls *c, const struct op *op, int dfd, struct outcome *out)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args = {(uintptr_t)op->value, op->value_len, op->flags};
	const char *path = op->path[0];
	bool set = op->kind == OP_setxattr, follow = op->slot & 1;
	int at_flags = (follow ? 0 : AT_SYMLINK_NOFOLLOW) | (op->mode & 1 ? AT_EMPTY_PATH : 0);

	/* shale takes descriptors of O_PATH there (docs/differences.md). */
	if (op->slot >= SLOTS / 2 && !*path && dfd >= 0 && c->fcntl(dfd, F_GETFL, 0) & O_PATH)
		return;
	if (op->slot >= SLOTS / 2 && set)
		out->result = c->setxattrat(dfd, path, at_flags, op->name, &args, sizeof(args));
	else if (op->slot >= SLOTS / 2)
		out->result = c->removexattrat(dfd, path, at_flags, op->name);
	else if (set)
		out->result = (follow ? c->setxattr : c->lsetxattr)(path, op->name, op->value, op->value_len,
								    (int)op->flags);
	else
		out->result = (follow ? c->removexattr : c->lremovexattr)(path, op->name);
}

/* Calls that change attributes. False: it is none of them. */
static bool run_attributes(const struct calls *c, const struct op *op, int dfd, int fd, struct outcome *out)
{
	const char *path = op->path[0];

	switch (op->kind) {
	case OP_setxattr:
	case OP_removexattr:
		change_xattr(c, op, dfd, out);
		break;
	case OP_fsetxattr:
		out->result = c->fsetxattr(fd, op->name, op->value, op->value_len, (int)op->flags);
		break;
	case OP_fremovexattr:
		out->result = c->fremovexattr(fd, op->name);
		break;
	case OP_chmod:
		out->result = c->fchmodat2(dfd, path, op->mode, (int)op->flags);
		break;
	case OP_fchmod:
		out->result = c->fchmod(fd, op->mode);
		break;
	case OP_chown:
		out->result = c->fchownat(dfd, path, op->uid, op->gid, (int)op->flags);
		break;
	case OP_fchown:
		out->result = c->fchown(fd, op->uid, op->gid);
		break;
	case OP_utimens:
		out->result = c->utimensat(dfd, path, op->value_len ? NULL : op->times, (int)op->flags);
		break;
	case OP_futimens:
		out->result = c->utimensat(fd, NULL, op->value_len ? NULL : op->times, (int)op->flags);
		break;
	case OP_truncate:
		out->result = c->truncate(path, op->length);
		break;
	case OP_ftruncate:
		out->result = c->ftruncate(fd, op->length);
		break;
	default:
		return false;
	}
	return true;
}

void run_op(const struct calls *c, const struct op *op, int fds[SLOTS], struct outcome *out)
{
	int fd = fds[op->slot] >= 0 ? fds[op->slot] : NOT_OPEN, dfd[2];

	for (unsigned i = 0; i < 2; i++) {
		dfd[i] = op->dfd[i] == DFD_CWD ? AT_FDCWD : fds[op->dfd[i]];
		if (dfd[i] == -1)
			dfd[i] = NOT_OPEN;
	}
	out->len = 0;
	out->result = 0;
	switch (op->kind) {
	case OP_open:
	case OP_tmpfile:
		put_fd(c, &fds[op->slot], c->openat(dfd[0], op->path[0], (int)op->flags, op->mode), out);
		break;
	case OP_close:
		out->result = c->close(fd);
		fds[op->slot] = -1;
		break;
	case OP_dup:
		put_fd(c, &fds[op->mode % SLOTS], c->dup(fd), out);
		break;
	case OP_stat:
		do_stat(c, dfd[0], op->path[0], (int)op->flags, out);
		break;
	case OP_fstat:
		do_stat(c, fd, "", AT_EMPTY_PATH, out);
		break;
	case OP_access:
		out->result = c->faccessat(dfd[0], op->path[0], (int)op->mode, (int)op->flags);
		break;
	case OP_list:
		do_list(c, fd, out);
		break;
	case OP_lseek:
		do_lseek(c, op, fd, out);
		break;
	case OP_flock:
		out->result = c->flock(fd, (int)op->flags);
		break;
	case OP_setlk:
	case OP_getlk:
		do_record_lock(c, op, fd, out);
		break;
	case OP_pwrite:
		do_pwrite(c, op, fd, out);
		break;
	case OP_readlink:
	case OP_pread:
	case OP_getcwd:
	case OP_getxattr:
	case OP_fgetxattr:
	case OP_listxattr:
		run_bytes(c, op, dfd[0], fd, out);
		break;
	default:
		if (!run_attributes(c, op, dfd[0], fd, out) && !run_task(c, op, fd, out))
			run_names(c, op, dfd[0], dfd[1], out);
		break;
	}
}
