/* SPDX-License-Identifier: MIT */
/* The body of kernel_log.h: a FUSE file system of one file. */
#define FUSE_USE_VERSION 34
#include "crash/kernel_log.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "crash/memory.h"

#define LOG_BYTES (256u << 20)
#define LOG_NAME  "disk"
#define LOG_INODE 2

struct log_entry {
	enum record_kind kind;
	enum record_mark mark;
	unsigned op;
	u64 started, ended;
	u64 offset, bytes; /* the data follows, up to the next multiple of 8 */
	u8 data[];
};

/* Shared by both processes. */
struct log_shared {
	u64 counter, used;
	u8 log[LOG_BYTES];
	u8 disk[];
};

struct kernel_log {
	struct log_shared *shared;
	u64 disk_bytes;
	char dir[128];
	pid_t server;
};

static void must(bool right, const char *what)
{
	if (!right) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

/* Only one writes at a time: who makes marks waits for what it asked the file system to do. */
static struct log_entry *log_add(struct log_shared *shared, const struct log_entry *what)
{
	u64 room = (sizeof(*what) + what->bytes + 7) & ~7ull;
	u64 at = __atomic_fetch_add(&shared->used, room, __ATOMIC_RELAXED);
	struct log_entry *e = (void *)(shared->log + at);

	must(at + room <= LOG_BYTES, "the kernel's log is full");
	*e = *what;
	e->started = __atomic_add_fetch(&shared->counter, 1, __ATOMIC_RELAXED);
	return e;
}

static void log_end(struct log_shared *shared, struct log_entry *e)
{
	e->ended = __atomic_add_fetch(&shared->counter, 1, __ATOMIC_RELAXED);
}

static struct stat disk_stat(const struct kernel_log *log, fuse_ino_t ino)
{
	struct stat st = {.st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2};

	if (ino == LOG_INODE) {
		st.st_mode = S_IFREG | 0600;
		st.st_nlink = 1;
		st.st_size = (off_t)log->disk_bytes;
	}
	return st;
}

static void disk_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = LOG_INODE, .attr_timeout = 1e6, .entry_timeout = 1e6};

	if (strcmp(name, LOG_NAME)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry.attr = disk_stat(fuse_req_userdata(req), LOG_INODE);
	fuse_reply_entry(req, &entry);
}

static void disk_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat st = disk_stat(fuse_req_userdata(req), ino);

	fuse_reply_attr(req, &st, 1e6);
}

static void disk_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which,
			 struct fuse_file_info *file)
{
	disk_getattr(req, ino, file);
}

static void disk_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	fuse_reply_open(req, file);
}

static void disk_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file)
{
	const struct kernel_log *log = fuse_req_userdata(req);
	u64 at = min((u64)offset, log->disk_bytes);

	fuse_reply_buf(req, (const char *)log->shared->disk + at, min((u64)size, log->disk_bytes - at));
}

static void disk_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		       struct fuse_file_info *file)
{
	struct kernel_log *log = fuse_req_userdata(req);
	struct log_entry *e;

	if ((u64)offset + size > log->disk_bytes) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	e = log_add(log->shared,
		    &(struct log_entry){.kind = RECORD_WRITE, .offset = (u64)offset, .bytes = size});
	memcpy(e->data, data, size);
	memcpy(log->shared->disk + offset, data, size);
	log_end(log->shared, e);
	fuse_reply_write(req, size);
}

static void disk_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file)
{
	struct kernel_log *log = fuse_req_userdata(req);

	log_end(log->shared, log_add(log->shared, &(struct log_entry){.kind = RECORD_FLUSH}));
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops disk_ops = {
	.lookup = disk_lookup,
	.getattr = disk_getattr,
	.setattr = disk_setattr,
	.open = disk_open,
	.read = disk_read,
	.write = disk_write,
	.fsync = disk_fsync,
};

static void serve(struct kernel_log *log, int ready)
{
	char *argv[] = {"disk", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session = fuse_session_new(&args, &disk_ops, sizeof(disk_ops), log);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(session && !fuse_session_mount(session, log->dir), "fuse");
	/* A server that had the last reference to what is mounted on its disk could not end. */
	must(!unshare(CLONE_NEWNS), "unshare");
	must(write(ready, "r", 1) == 1, "pipe");
	fuse_session_loop(session);
	fuse_session_unmount(session);
	_exit(0);
}

struct kernel_log *kernel_log_start(const char *dir, u64 bytes)
{
	struct kernel_log *log = must_alloc(sizeof(*log));
	int ready[2];
	char c;

	log->disk_bytes = bytes;
	snprintf(log->dir, sizeof(log->dir), "%s", dir);
	log->shared = mmap(NULL, sizeof(*log->shared) + bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(log->shared != MAP_FAILED && !pipe(ready), "kernel_log");
	log->server = fork();
	must(log->server >= 0, "fork");
	if (!log->server)
		serve(log, ready[1]);
	close(ready[1]);
	must(read(ready[0], &c, 1) == 1, "the server of the disk");
	close(ready[0]);
	return log;
}

void kernel_log_stop(struct kernel_log *log)
{
	kill(log->server, SIGTERM);
	waitpid(log->server, NULL, 0);
	munmap(log->shared, sizeof(*log->shared) + log->disk_bytes);
	free(log);
}

const void *kernel_log_disk(const struct kernel_log *log)
{
	return log->shared->disk;
}

void kernel_log_clear(struct kernel_log *log)
{
	memset(log->shared->log, 0, log->shared->used);
	log->shared->used = 0;
}

void kernel_log_mark(struct kernel_log *log, enum record_mark mark, unsigned op)
{
	log_end(log->shared,
		log_add(log->shared, &(struct log_entry){.kind = RECORD_MARK, .mark = mark, .op = op}));
}

void kernel_log_import(const struct kernel_log *log, struct record *record, const struct record_rules *rules)
{
	for (u64 at = 0; at < log->shared->used;) {
		const struct log_entry *from = (const void *)(log->shared->log + at);
		struct record_entry e = {
			.kind = from->kind,
			.mark = from->mark,
			.op = from->op,
			.started = from->started,
			.ended = from->ended,
			.sector = from->offset >> SECTOR_SHIFT,
			.nr = from->bytes >> SECTOR_SHIFT,
			.data = from->data,
		};

		if (e.kind == RECORD_WRITE)
			record_add_write(record, &e, rules, false);
		else
			record_add(record, &e);
		at += (sizeof(*from) + from->bytes + 7) & ~7ull;
	}
}
