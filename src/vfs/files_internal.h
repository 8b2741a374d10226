// Files, descriptor tables and tasks as siblings in vfs see them: what the machine keeps for them, and the
// lock-free lookup of a descriptor.
//
// A descriptor table is read under RCU and changed under files->file_lock. Growing makes a new fdtable,
// copies, publishes it and frees the old one after a grace period. struct file is type-stable: a reader that
// finds one takes a reference unless the count is 0, then looks whether the table still holds it.
#pragma once

#include "base/machine.h"
#include "base/pool.h"
#include "vfs/file.h"
#include "vfs/task.h"
#include "vfs/vfs.h"

#define NR_OPEN_DEFAULT       64u        // descriptors in the table that is part of files_struct
#define NR_OPEN_MAX           (1u << 20) // /proc/sys/fs/nr_open
#define RLIMIT_NOFILE_DEFAULT 65536u

struct files_machine {
	struct pool *file_pool;
	s64 file_max; // open files, at most
	spinlock_t tasks_lock;
	struct list_head tasks;
	int last_pid;
};

struct fdtable {
	unsigned max_fds; // a multiple of 64
	struct file **fd;
	unsigned long *close_on_exec, *open_fds, *full_fds_bits; // full: one bit for each word of open_fds
	struct rcu_head rcu;
};

#define PINNED_CREDS 8

struct files_struct {
	struct fdtable *fdt; // RCU
	// Credentials that files of this table were opened with; counted here once instead of in each file.
	const struct cred *pinned[PINNED_CREDS];
	struct shale *machine;
	atomic_t count; // tasks that share it
	spinlock_t file_lock __aligned_cacheline;
	unsigned next_fd; // no free descriptor below it
	struct fdtable fdtab;
	unsigned long close_on_exec_init[1], open_fds_init[1], full_fds_bits_init[1];
	bool posix_locked; // may hold POSIX locks
	struct file *fd_array[NR_OPEN_DEFAULT];
};

int files_init(struct shale *machine) __must_check;
void files_exit(struct shale *machine);
struct files_machine *files_of(struct shale *machine);
s64 nr_open_files(struct shale *machine);

// Unreferenced, inside an RCU section: must be taken with file_get_live() or checked again with
// files_lookup_fd_raw().
static inline struct file *files_lookup_fd_raw(struct files_struct *files, unsigned fd)
{
	struct fdtable *fdt = rcu_dereference(files->fdt);

	return likely(fd < fdt->max_fds) ? rcu_dereference(fdt->fd[fd]) : NULL;
}

int files_alloc(struct shale *machine, struct files_struct **out) __must_check;
int files_dup(struct files_struct *old, struct files_struct **out) __must_check;
int files_dup_below(struct files_struct *old, unsigned below, struct files_struct **out) __must_check;
void files_put(struct files_struct *files);
bool files_pin_cred(struct files_struct *files,
		    const struct cred *cred); // false: no room, count it in the file

int get_unused_fd_flags(unsigned flags) __must_check;
void put_unused_fd(unsigned fd);
void fd_install(unsigned fd, struct file *file);                             // eats the reference
int fd_dupfd(struct file *file, unsigned from, unsigned flags) __must_check; // eats the reference
int fd_get_cloexec(unsigned fd);
int fd_set_cloexec(unsigned fd, bool on);
// What stands at a place, without a walk; eats the references of *path.
int file_open_path(const struct path *path, const struct open_how *how, struct file **out) __must_check;
// FMODE_FAST_READ and what goes with it, of a file whose data is plain: not where each read changes the
// access time.
unsigned file_fast_read_mode(const struct file *file);
int filp_close(struct file *file, struct files_struct *files); // of that table: flush and fput

ssize_t vfs_read(struct file *file, void *buf, size_t count, loff_t *pos);
ssize_t vfs_write(struct file *file, const void *buf, size_t count, loff_t *pos);
ssize_t vfs_readv(struct file *file, const struct iovec *iov, int iovcnt, loff_t *pos, int rwf_flags);
int vfs_getattr(const struct path *path, struct inode *inode, struct kstat *stat, u32 mask, unsigned flags);
long ioctl_fiemap(struct file *file, void *arg);
// Of a file system that has fileattr_get, and fileattr_set.
long ioctl_getflags(struct file *file, unsigned *arg);
long ioctl_setflags(struct file *file, const unsigned *arg);
