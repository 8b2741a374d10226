// vfs as a whole: initialisation, and what the public interface calls: one function a system call, working on
// current->task.
#pragma once

#include "vfs/types.h"

#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/resource.h>

struct linux_dirent64;

int vfs_init(struct shale *machine) __must_check; // caches and tables (vfs_caches_init of flows.md)
// When the file systems are registered: rootfs (type "ramfs") as the root of init's namespace.
int vfs_mount_root(struct shale *machine) __must_check;
void vfs_umount_all(struct shale *machine); // every mount goes; before file systems leave. Tasks must be gone
void vfs_exit(struct shale *machine);
// Why the last mount failed, in words, with the parameter's name; "" if nothing is known.
void vfs_mount_error_get(struct shale *machine, char *buf, size_t size);
// Settings of /proc/sys/fs: protected_symlinks, protected_hardlinks, protected_fifos, protected_regular,
// mount-max. -ENOENT: no such name; -EINVAL: value out of range.
int vfs_sysctl_set(struct shale *machine, const char *name, int value);

// Names (namei.c). Results are those of the kernel's system calls.
#define LOOKUP_FOLLOW        0x0001u
#define LOOKUP_DIRECTORY     0x0002u
#define LOOKUP_AUTOMOUNT     0x0004u
#define LOOKUP_EMPTY         0x4000u
#define LOOKUP_LINKAT_EMPTY  0x8000u // the descriptor must be one that the caller opened
#define LOOKUP_RCU           0x0040u
#define LOOKUP_PARENT        0x0010u
#define LOOKUP_NO_SYMLINKS   0x010000u
#define LOOKUP_NO_MAGICLINKS 0x020000u
#define LOOKUP_NO_XDEV       0x040000u
#define LOOKUP_BENEATH       0x080000u
#define LOOKUP_IN_ROOT       0x100000u
#define LOOKUP_CACHED        0x200000u
int user_path_at(int dfd, const char *name, unsigned lookup_flags,
		 struct path *out) __must_check; // referenced; path_put()
void path_get(const struct path *path);
void path_put(const struct path *path);

int inode_permission(const struct mnt_idmap *idmap, struct inode *inode, int mask);
int generic_permission(const struct mnt_idmap *idmap, struct inode *inode, int mask);

struct file_handle;
long do_name_to_handle_at(int dfd, const char *name, struct file_handle *handle, void *mount_id,
			  int at_flags); // mount_id: int, or with AT_HANDLE_MNT_ID_UNIQUE u64
long do_open_by_handle_at(int mount_fd, const struct file_handle *handle,
			  const struct open_how *how);                                   // descriptor
long do_sys_openat2(int dfd, const char *name, const struct open_how *how, size_t size); // descriptor
long do_fstatat(int dfd, const char *name, struct stat *st, int at_flags);
long do_statx(int dfd, const char *name, int at_flags, unsigned mask, struct statx *stx);
long do_readlinkat(int dfd, const char *name, char *buf, size_t size);
long do_faccessat(int dfd, const char *name, int mode, int at_flags);
long do_statfs(const char *name, int fd, struct kstatfs *buf); // name or fd
long do_mkdirat(int dfd, const char *name, mode_t mode);
long do_mknodat(int dfd, const char *name, mode_t mode, dev_t dev);
long do_symlinkat(const char *target, int dfd, const char *name);
long do_unlinkat(int dfd, const char *name, int at_flags);
long do_renameat2(int odfd, const char *oname, int ndfd, const char *nname, unsigned flags);
long do_linkat(int odfd, const char *oname, int ndfd, const char *nname, int at_flags);
long do_fchmodat(int dfd, const char *name, mode_t mode, int at_flags);
long ksys_fchmod(int fd, mode_t mode);
long do_fchownat(int dfd, const char *name, uid_t uid, gid_t gid, int at_flags);
long ksys_fchown(int fd, uid_t uid, gid_t gid);
long do_utimensat(int dfd, const char *name, const struct timespec times[2],
		  int at_flags); // name NULL: of dfd
long do_sys_truncate(const char *name, loff_t length);
long ksys_ftruncate(int fd, loff_t length);
long do_mount(const char *source, const char *target, const char *fstype, unsigned long ms_flags,
	      const char *data);
long do_umount(const char *target, int flags);
// Checks the volume on the device `source`. Returns how many damages were found.
struct fs_check;
long do_check(const char *source, const char *fstype, const char *data, struct fs_check *check);
long do_chdir(const char *name);
long do_fchdir(int fd);
long do_chroot(const char *name);
long do_getcwd(char *buf, size_t size);
// Files (open.c, read_write.c, readdir.c, ...).
long ksys_close(int fd);
long ksys_lseek(int fd, loff_t offset, int whence);
long ksys_read(int fd, void *buf, size_t count);
long ksys_pread64(int fd, void *buf, size_t count, loff_t pos);
long ksys_write(int fd, const void *buf, size_t count);
long ksys_pwrite64(int fd, const void *buf, size_t count, loff_t pos);
long do_pwritev(int fd, const struct iovec *iov, int iovcnt, loff_t pos, int rwf_flags); // pos -1: f_pos
long ksys_fsync(int fd, int datasync);
long ksys_sync_file_range(int fd, loff_t offset, loff_t count, unsigned flags);
long ksys_syncfs(int fd);
long ksys_sync(void);
long ksys_fallocate(int fd, int mode, loff_t offset, loff_t len);
long ksys_copy_file_range(int fd_in, loff_t *off_in, int fd_out, loff_t *off_out, size_t count,
			  unsigned flags);
long do_preadv(int fd, const struct iovec *iov, int iovcnt, loff_t pos, int rwf_flags); // pos -1: f_pos
long ksys_getdents64(int fd, void *dirents, size_t bytes);
// Of the open file `fd` when name is NULL.
long do_getxattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr, void *value,
		 size_t size);
long do_listxattr(int dfd, const char *name, unsigned lookup_flags, int fd, char *list, size_t size);
long do_setxattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr,
		 const void *value, size_t size, int flags);
long do_removexattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr);
long ksys_dup(int fd);
long ksys_dup2(int oldfd, int newfd);
long ksys_dup3(int oldfd, int newfd, int flags);
long ksys_flock(int fd, unsigned cmd);
long ksys_fcntl(int fd, unsigned cmd, unsigned long arg);
long ksys_ioctl(int fd, unsigned cmd, void *arg);
long ksys_fadvise64(int fd, loff_t offset, loff_t len, int advice);
long ksys_readahead(int fd, loff_t offset, size_t count);
long do_umask(int mask);
long do_prlimit_nofile(const struct rlimit *new, struct rlimit *old);
long ksys_close_range(unsigned first, unsigned last, unsigned flags);
