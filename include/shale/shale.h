/*
 * shale: the Linux file and I/O stack as a library.
 *
 * One rule makes this interface: a Linux system call, with shale_ in front and a task as first argument.
 * Arguments, flags and structs are the system's own (O_*, MS_*, AT_*, struct stat, struct statx, struct
 * dirent64 ...), results are those of the kernel: zero or a count on success, a negative errno on failure;
 * errno itself is never touched. So "man 2 openat" documents shale_openat(); the comments here name the page
 * and say what the page cannot: what belongs to the library.
 *
 * A machine (struct shale) is a whole kernel: its registries, caches, disks, mounts and worker threads. A
 * process may have many. A task (struct shale_task) is what Linux calls a process as far as files go:
 * credentials, umask, root and working directory, descriptors, mount namespace. Any thread may use a machine;
 * a task may be used by one thread or, like a Linux process, by many at once.
 *
 * Errors that every call may return besides those of its page: -EOPNOTSUPP in a child after fork(2) (a
 * machine does not survive it; shale_free is a no-op there), -ENOMEM when the machine's memory limit or the
 * host's is reached, -EINVAL for a machine or a task that is NULL. Flags that are not supported yet give
 * -EOPNOTSUPP where Linux supports them, and -EINVAL where Linux refuses them.
 *
 * In a machine with threads == 0 only one host thread at a time may be inside a call.
 */
#ifndef SHALE_SHALE_H
#define SHALE_SHALE_H

#include <shale/version.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct iovec;       /* <sys/uio.h> */
struct statx;       /* <linux/stat.h>, or <sys/stat.h> with _GNU_SOURCE */
struct statfs;      /* <sys/vfs.h> */
struct open_how;    /* <linux/openat2.h> */
struct xattr_args;  /* <linux/xattr.h> of Linux 6.13 */
struct file_handle; /* <fcntl.h> with _GNU_SOURCE */
struct rlimit;      /* <sys/resource.h> */

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct shale;
struct shale_task;

/* ---- The machine
 * ------------------------------------------------------------------------------------------------- */

/* shale_options.flags */
#define SHALE_NO_DEV      0x1u /* do not mount devtmpfs on /dev (the directory is there) */
#define SHALE_START_LATER 0x2u /* no thread runs and no disk is read before shale_start() */

/* Levels of the log callback: those of syslog(2), 0 (emergency) to 7 (debug). */
typedef void (*shale_log_fn)(void *arg, int level, const char *text);

/*
 * How to make a machine. .size must be sizeof(struct shale_options); fields may be added at the end, and a
 * shorter struct gets their defaults. Zero is the default of every field but .threads; SHALE_OPTIONS_INIT
 * sets all defaults.
 */
struct shale_options {
	size_t size;
	unsigned threads; /* most worker threads for background work (they start on demand); 0: none at all,
			     deterministic by seed */
	unsigned flags;   /* SHALE_NO_DEV, SHALE_START_LATER */
	uint64_t seed;    /* of the machine's random numbers and, with threads == 0, of the order of work */
	uint64_t memory_limit; /* bytes for all caches together; 0: a quarter of the host's memory */
	int64_t epoch_ns;      /* threads == 0: what the machine's clock shows at first, ns since 1970; 0:
				  2000-01-01. Else unused */
	shale_log_fn log; /* told each kernel message; called by any thread, possibly with locks held: must
			     not call shale */
	void *log_arg;
	int log_level; /* most verbose level that .log is told; 0: 6 (informational) */
};
#define SHALE_THREADS_DEFAULT 0xffffffffu /* as many as the host has processors, at most 16 */
#define SHALE_OPTIONS_INIT                                                                                   \
	{                                                                                                    \
		.size = sizeof(struct shale_options), .threads = SHALE_THREADS_DEFAULT                       \
	}

/*
 * Makes a machine: a root file system (ramfs) with /mnt and /dev, and devtmpfs on /dev unless told otherwise.
 * options == NULL: the defaults of SHALE_OPTIONS_INIT. -EINVAL: .size is too small or unknown fields are set;
 * -ENOMEM; -EAGAIN: no thread could be made.
 */
int shale_new(const struct shale_options *options, struct shale **machine);
/*
 * Starts a machine that was made with SHALE_START_LATER. That flag is for programs that lock themselves in
 * before they look at a disk: the machine is made and shale_disk_add() opens, locks and measures what the
 * host has and makes the rings for it, but no thread is started and not one byte of a disk is read; opening
 * or mounting a disk is -EAGAIN. shale_start() then looks for the partitions. What a machine with disks asks
 * of the host afterwards is memory, threads, clocks and I/O on what is open; it opens nothing (shale_disk_add
 * does). Errors: -EINVAL: it is started; those of shale_disk_add() for a partition (part=N) that is not
 * there, with words in shale_disk_error(): then the machine is started, but without that disk. No other call
 * may be under way.
 */
int shale_start(struct shale *machine);
/*
 * Syncs, unmounts and removes everything, joins the threads, frees all memory. All tasks of the machine are
 * gone with it, other threads must have left it. Returns the first write error that no caller was told, else
 * 0; the machine is gone either way.
 */
int shale_free(struct shale *machine);
/* The machine's clock: ns of CLOCK_MONOTONIC kind. With threads == 0 it moves only by waiting. */
int64_t shale_clock(struct shale *machine);
/* Drops all clean cached pages, dentries and inodes that nobody uses, as "echo 3 >/proc/sys/vm/drop_caches"
 * does. */
int shale_drop_caches(struct shale *machine);
/*
 * Copies the kernel messages that the machine still remembers (oldest first, one a line, "<level>[seconds]
 * text") into buf, NUL-terminated and cut to size. Returns the length of all of it without the NUL. See
 * dmesg(1).
 */
ssize_t shale_log_read(struct shale *machine, char *buf, size_t size);
/*
 * Counters of caches and reclaim with the names of /proc/vmstat, one "name value" a line; form and result as
 * for shale_log_read().
 */
ssize_t shale_vmstat(struct shale *machine, char *buf, size_t size);

/* ---- Disks
 * ------------------------------------------------------------------------------------------------------- */

/* flags of shale_disk_add */
#define SHALE_DISK_READ_ONLY   0x1u /* the medium is opened for reading and refuses writes */
#define SHALE_DISK_NO_PARTSCAN 0x2u /* do not look for partitions */
#define SHALE_DISK_UNLOCKED    0x4u /* take no lock on the host's file */

/*
 * Attaches a disk, which becomes /dev/NAME, with /dev/NAMEn (or NAMEpn) for its partitions. uri: a host path,
 * or one of file:PATH, ram:SIZE, null:SIZE, with filters and ?options (README "Disks"). -EEXIST: the name is
 * taken; -EINVAL: bad name, URI or option; -EBUSY: another process holds a lock on the file; -ENOENT,
 * -EACCES, -EISDIR, ...: what the host says when the file is opened.
 */
int shale_disk_add(struct shale *machine, const char *name, const char *uri, unsigned flags);
/* Detaches the disk. -ENODEV: no such disk; -EBUSY: it is mounted or open. */
int shale_disk_remove(struct shale *machine, const char *name);
/* Why the machine's last shale_disk_add() failed, in words: form and result as for shale_mount_error(). */
ssize_t shale_disk_error(struct shale *machine, char *buf, size_t size);
/*
 * What the element `layer` ("fault", "delay", "log", ...; NULL: the outermost) of a disk's stack of filters
 * has to tell: text, NUL-terminated, cut to size. Returns the length of all of it without the NUL. -ENODEV:
 * no such disk; -ENOENT: no such layer; -EOPNOTSUPP: it tells nothing.
 */
ssize_t shale_disk_show(struct shale *machine, const char *name, const char *layer, char *buf, size_t size);
/*
 * Tells the element `layer` of a disk's stack what to do: fault rules ("add op=read range=... error=EIO
 * probability=..."), delays, the log's position; the words are those of the filter (README "Disks"). Errors
 * as for shale_disk_show, -EINVAL: words not understood.
 */
int shale_disk_store(struct shale *machine, const char *name, const char *layer, const char *words);

/* ---- Tasks
 * ------------------------------------------------------------------------------------------------------- */

#define SHALE_CAPS_DEFAULT 0u /* all for uid 0, none for others */

/* Who a task is. .size must be sizeof(struct shale_cred). */
struct shale_cred {
	size_t size;
	uid_t uid; /* real, effective, saved and file-system id */
	gid_t gid;
	unsigned ngroups; /* supplementary groups; at most 65536 */
	const gid_t *groups;
	uint64_t caps; /* effective capabilities, bits 1 << CAP_*, added to those that uid gives */
};

/*
 * Makes a task: root and working directory are the root of the machine's first namespace, umask 022, no open
 * file. cred == NULL: root with all capabilities. -EINVAL: .size or too many groups; -ENOMEM.
 */
int shale_task_new(struct shale *machine, const struct shale_cred *cred, struct shale_task **task);
/*
 * clone(2): flags CLONE_FILES (share the descriptor table), CLONE_FS (share root, working directory, umask),
 * CLONE_NEWNS (a copy of the mount namespace; not with CLONE_FS). What is not shared is copied. -EINVAL:
 * other flags or this pair; -EPERM: CLONE_NEWNS without CAP_SYS_ADMIN; -ENOMEM.
 */
int shale_task_fork(struct shale_task *task, unsigned clone_flags, struct shale_task **child);
/* Closes the task's descriptors and forgets it. Not while another thread is in a call with it. NULL is
 * allowed. */
void shale_task_free(struct shale_task *task);
/* umask(2): sets mask & 0777, returns the one before. */
int shale_umask(struct shale_task *task, mode_t mask);
/* getrlimit(2), setrlimit(2): RLIMIT_NOFILE, which bounds descriptor numbers (65536 at first); -EINVAL for
 * others. */
int shale_getrlimit(struct shale_task *task, int resource, struct rlimit *limit);
int shale_setrlimit(struct shale_task *task, int resource, const struct rlimit *limit);
/* chdir(2), fchdir(2), chroot(2). */
int shale_chdir(struct shale_task *task, const char *path);
int shale_fchdir(struct shale_task *task, int fd);
int shale_chroot(struct shale_task *task, const char *path);
/* getcwd(2), the system call: returns the length with its NUL. -ERANGE, -ENOENT when the directory was
 * removed. */
ssize_t shale_getcwd(struct shale_task *task, char *buf, size_t size);

/* ---- Mounts
 * ------------------------------------------------------------------------------------------------------ */

/* mount(2). ms_flags: MS_*; data: options "a=b,c" of the file system, or NULL. What was wrong in words:
 * shale_mount_error(). */
int shale_mount(struct shale_task *task, const char *source, const char *target, const char *fstype,
		unsigned long ms_flags, const char *data);
/* umount2(2). */
int shale_umount2(struct shale_task *task, const char *target, int flags);
/*
 * The words of the machine's last failed mount ("ext4: unknown mount option 'x'"), NUL-terminated and cut to
 * size. Returns their length; 0: the last mount left none.
 */
ssize_t shale_mount_error(struct shale *machine, char *buf, size_t size);

/* ---- Checking
 * ---------------------------------------------------------------------------------------------------- */

/* Severities: the volume is not as it has to be; worth to know, but no damage. */
#define SHALE_PROBLEM_DAMAGE 1
#define SHALE_PROBLEM_NOTE   2
/* No problem: .text says how far the check is ("inodes, 40%"). Only with SHALE_CHECK_PROGRESS. */
#define SHALE_PROBLEM_PROGRESS 3
/* flags of shale_check */
#define SHALE_CHECK_PROGRESS 0x1u

/* Something that is wrong with a volume. Fields may be added at the end. */
struct shale_problem {
	const char *code; /* stable name of the kind of problem, as "inode-checksum" */
	const char *text; /* one line of words that name the place */
	int severity;     /* SHALE_PROBLEM_* */
	int64_t group;    /* block group, -1: none */
	uint64_t inode;   /* 0: none */
	uint64_t block;   /* in blocks of the file system; 0: none */
};
/* Told each problem as it is found; the problem is gone when it returns. Anything but 0 ends the check. Must
 * not call shale. */
typedef int (*shale_check_fn)(void *arg, const struct shale_problem *problem);

/*
 * Checks the volume on the block device `source` ("/dev/NAME") without mounting it: what its journal holds is
 * replayed into memory, then everything is checked, as e2fsck -fn does; nothing is written. fstype: NULL for
 * "ext4", which stands for ext2 and ext3 too; data: options as for shale_mount(), or NULL; flags:
 * SHALE_CHECK_PROGRESS; report: may be NULL. Returns how many problems of severity SHALE_PROBLEM_DAMAGE were
 * found, 0: the volume is clean. -EBUSY: it is mounted; -EINVAL: no such file system on it; -EOPNOTSUPP: it
 * has features that are not supported; -EIO: the device failed; -EPERM: without CAP_SYS_ADMIN. Words for
 * these: shale_mount_error().
 */
int shale_check(struct shale_task *task, const char *source, const char *fstype, const char *data,
		unsigned flags, shale_check_fn report, void *arg);

/* ---- Opening and descriptors
 * ------------------------------------------------------------------------------------- */

/* open(2), openat(2), openat2(2) (size: sizeof(struct open_how)). dfd may be AT_FDCWD. Return the descriptor.
 */
int shale_open(struct shale_task *task, const char *path, int flags, mode_t mode);
int shale_openat(struct shale_task *task, int dfd, const char *path, int flags, mode_t mode);
int shale_openat2(struct shale_task *task, int dfd, const char *path, const struct open_how *how,
		  size_t size);
/*
 * name_to_handle_at(2), open_by_handle_at(2): file handles of ext4, of the form that Linux gives them. They
 * are good for as long as the file exists, also after another mount. AT_HANDLE_CONNECTABLE: -EOPNOTSUPP.
 */
int shale_name_to_handle_at(struct shale_task *task, int dfd, const char *path, struct file_handle *handle,
			    int *mount_id, int at_flags);
int shale_open_by_handle_at(struct shale_task *task, int mount_fd, struct file_handle *handle, int flags);
/*
 * close(2), close_range(2) (flags: CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE; the latter not while another
 * thread is in a call with the same task).
 */
int shale_close(struct shale_task *task, int fd);
int shale_close_range(struct shale_task *task, unsigned first, unsigned last, unsigned flags);
/* dup(2), dup2(2), dup3(2). */
int shale_dup(struct shale_task *task, int fd);
int shale_dup2(struct shale_task *task, int oldfd, int newfd);
int shale_dup3(struct shale_task *task, int oldfd, int newfd, int flags);
/*
 * fcntl(2): F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL; F_GETLK, F_SETLK, F_SETLKW,
 * F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW. arg: an integer or a pointer, as the command wants. POSIX locks
 * belong to the descriptor table, as in Linux: tasks that share it hold them together, and l_pid is of the
 * task that asked.
 */
int shale_fcntl(struct shale_task *task, int fd, int cmd, unsigned long arg);
/* flock(2). */
int shale_flock(struct shale_task *task, int fd, int operation);
/*
 * ioctl(2), ioctl_fs(2): FS_IOC_FIEMAP, FIGETBSZ, FIONREAD, FIOCLEX, FIONCLEX, FS_IOC_GETFLAGS,
 * FS_IOC_SETFLAGS, FIFREEZE, FITHAW, on block devices BLKGETSIZE64, BLKGETSIZE, BLKSSZGET, BLKPBSZGET,
 * BLKBSZGET, BLKROGET, BLKRAGET, BLKFLSBUF. -ENOTTY: not known for this file.
 */
int shale_ioctl(struct shale_task *task, int fd, unsigned long request, void *arg);

/* ---- Data
 * -------------------------------------------------------------------------------------------------------- */

/* read(2), pread(2), readv(2), preadv(2), preadv2(2) (flags: RWF_*; offset -1: the file's position). Return
 * bytes. */
ssize_t shale_read(struct shale_task *task, int fd, void *buf, size_t count);
ssize_t shale_pread(struct shale_task *task, int fd, void *buf, size_t count, off_t offset);
ssize_t shale_readv(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt);
ssize_t shale_preadv(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset);
ssize_t shale_preadv2(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset,
		      int flags);
/*
 * write(2), pwrite(2), writev(2), pwritev(2), pwritev2(2) (flags: RWF_*, among them RWF_APPEND, RWF_NOAPPEND,
 * RWF_DSYNC, RWF_SYNC; offset -1: the file's position). Return bytes. There is no RLIMIT_FSIZE.
 */
ssize_t shale_write(struct shale_task *task, int fd, const void *buf, size_t count);
ssize_t shale_pwrite(struct shale_task *task, int fd, const void *buf, size_t count, off_t offset);
ssize_t shale_writev(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt);
ssize_t shale_pwritev(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset);
ssize_t shale_pwritev2(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset,
		       int flags);
/* fallocate(2): FALLOC_FL_* as far as the file system knows them. */
int shale_fallocate(struct shale_task *task, int fd, int mode, off_t offset, off_t len);
/* copy_file_range(2). Returns bytes. */
ssize_t shale_copy_file_range(struct shale_task *task, int fd_in, off_t *off_in, int fd_out, off_t *off_out,
			      size_t count, unsigned flags);
/*
 * fsync(2), fdatasync(2), sync_file_range(2), syncfs(2), sync(2). An error of writing is told once to each
 * open file that was open when it happened: by fsync, fdatasync and sync_file_range those of the file, by
 * syncfs those of its file system. What nobody was told shale_free() tells.
 */
int shale_fsync(struct shale_task *task, int fd);
int shale_fdatasync(struct shale_task *task, int fd);
int shale_sync_file_range(struct shale_task *task, int fd, off_t offset, off_t count, unsigned flags);
int shale_syncfs(struct shale_task *task, int fd);
int shale_sync(struct shale_task *task);
/* lseek(2), also SEEK_DATA and SEEK_HOLE. Returns the position from the start of the file. */
off_t shale_lseek(struct shale_task *task, int fd, off_t offset, int whence);
/* posix_fadvise(2), but negative errno. */
int shale_fadvise(struct shale_task *task, int fd, off_t offset, off_t len, int advice);
/* readahead(2). */
int shale_readahead(struct shale_task *task, int fd, off_t offset, size_t count);

/* ---- Attributes
 * -------------------------------------------------------------------------------------------------- */

/* stat(2), lstat(2), fstat(2), fstatat(2). */
int shale_stat(struct shale_task *task, const char *path, struct stat *st);
int shale_lstat(struct shale_task *task, const char *path, struct stat *st);
int shale_fstat(struct shale_task *task, int fd, struct stat *st);
int shale_fstatat(struct shale_task *task, int dfd, const char *path, struct stat *st, int at_flags);
/* statx(2). */
int shale_statx(struct shale_task *task, int dfd, const char *path, int at_flags, unsigned mask,
		struct statx *stx);
/* readlink(2), readlinkat(2): not NUL-terminated; returns the bytes placed. */
ssize_t shale_readlink(struct shale_task *task, const char *path, char *buf, size_t size);
ssize_t shale_readlinkat(struct shale_task *task, int dfd, const char *path, char *buf, size_t size);
/* access(2), faccessat(2) without flags, faccessat2(2). */
int shale_access(struct shale_task *task, const char *path, int mode);
int shale_faccessat(struct shale_task *task, int dfd, const char *path, int mode);
int shale_faccessat2(struct shale_task *task, int dfd, const char *path, int mode, int at_flags);
/* statfs(2), fstatfs(2). */
int shale_statfs(struct shale_task *task, const char *path, struct statfs *buf);
int shale_fstatfs(struct shale_task *task, int fd, struct statfs *buf);
/* getxattr(2), listxattr(2) and their kin. size 0: returns the length that is needed. */
ssize_t shale_getxattr(struct shale_task *task, const char *path, const char *name, void *value, size_t size);
ssize_t shale_lgetxattr(struct shale_task *task, const char *path, const char *name, void *value,
			size_t size);
ssize_t shale_fgetxattr(struct shale_task *task, int fd, const char *name, void *value, size_t size);
ssize_t shale_listxattr(struct shale_task *task, const char *path, char *list, size_t size);
ssize_t shale_llistxattr(struct shale_task *task, const char *path, char *list, size_t size);
ssize_t shale_flistxattr(struct shale_task *task, int fd, char *list, size_t size);

/*
 * getxattrat, listxattrat, setxattrat, removexattrat of Linux 6.13 (size: sizeof(struct xattr_args)). With
 * AT_EMPTY_PATH dfd may be one of O_PATH, also that of a symlink.
 */
ssize_t shale_getxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name,
			 struct xattr_args *args, size_t size);
ssize_t shale_listxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, char *list,
			  size_t size);
int shale_setxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name,
		     const struct xattr_args *args, size_t size);
int shale_removexattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name);
/* setxattr(2), removexattr(2) and their kin. flags: XATTR_CREATE, XATTR_REPLACE. */
int shale_setxattr(struct shale_task *task, const char *path, const char *name, const void *value,
		   size_t size, int flags);
int shale_lsetxattr(struct shale_task *task, const char *path, const char *name, const void *value,
		    size_t size, int flags);
int shale_fsetxattr(struct shale_task *task, int fd, const char *name, const void *value, size_t size,
		    int flags);
int shale_removexattr(struct shale_task *task, const char *path, const char *name);
int shale_lremovexattr(struct shale_task *task, const char *path, const char *name);
int shale_fremovexattr(struct shale_task *task, int fd, const char *name);
/* chmod(2), fchmod(2), fchmodat(2) without flags, fchmodat2(2). */
int shale_chmod(struct shale_task *task, const char *path, mode_t mode);
int shale_fchmod(struct shale_task *task, int fd, mode_t mode);
int shale_fchmodat(struct shale_task *task, int dfd, const char *path, mode_t mode);
int shale_fchmodat2(struct shale_task *task, int dfd, const char *path, mode_t mode, int at_flags);
/* chown(2), lchown(2), fchown(2), fchownat(2). */
int shale_chown(struct shale_task *task, const char *path, uid_t uid, gid_t gid);
int shale_lchown(struct shale_task *task, const char *path, uid_t uid, gid_t gid);
int shale_fchown(struct shale_task *task, int fd, uid_t uid, gid_t gid);
int shale_fchownat(struct shale_task *task, int dfd, const char *path, uid_t uid, gid_t gid, int at_flags);
/* utimensat(2) (path NULL: of dfd, as the system call has it), futimens(3). times NULL: both now. */
int shale_utimensat(struct shale_task *task, int dfd, const char *path, const struct timespec times[2],
		    int at_flags);
int shale_futimens(struct shale_task *task, int fd, const struct timespec times[2]);
/* truncate(2), ftruncate(2). */
int shale_truncate(struct shale_task *task, const char *path, off_t length);
int shale_ftruncate(struct shale_task *task, int fd, off_t length);

/* ---- Names
 * ------------------------------------------------------------------------------------------------------- */

/*
 * getdents64(2): fills dirents with struct dirent64 (struct linux_dirent64 of the manual page), returns
 * bytes, 0 at the end. -EINVAL: too small for the next entry.
 */
ssize_t shale_getdents64(struct shale_task *task, int fd, void *dirents, size_t bytes);
/* mkdir(2), mkdirat(2), mknod(2), mknodat(2). */
int shale_mkdir(struct shale_task *task, const char *path, mode_t mode);
int shale_mkdirat(struct shale_task *task, int dfd, const char *path, mode_t mode);
int shale_mknod(struct shale_task *task, const char *path, mode_t mode, dev_t dev);
int shale_mknodat(struct shale_task *task, int dfd, const char *path, mode_t mode, dev_t dev);
/* symlink(2), symlinkat(2), link(2), linkat(2). */
int shale_symlink(struct shale_task *task, const char *target, const char *path);
int shale_symlinkat(struct shale_task *task, const char *target, int dfd, const char *path);
int shale_link(struct shale_task *task, const char *oldpath, const char *newpath);
int shale_linkat(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath,
		 int at_flags);
/* unlink(2), rmdir(2), unlinkat(2) (AT_REMOVEDIR). */
int shale_unlink(struct shale_task *task, const char *path);
int shale_rmdir(struct shale_task *task, const char *path);
/* rename(2), renameat(2), renameat2(2) (RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT). */
int shale_rename(struct shale_task *task, const char *oldpath, const char *newpath);
int shale_renameat(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath);
int shale_renameat2(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath,
		    unsigned flags);
int shale_unlinkat(struct shale_task *task, int dfd, const char *path, int at_flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
