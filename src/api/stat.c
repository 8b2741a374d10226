// Attributes of files, by name and by descriptor.
#include "api/api_internal.h"
#include "vfs/super.h"

#include <fcntl.h>
#include <sys/vfs.h>

int shale_fstatat(struct shale_task *task, int dfd, const char *path, struct stat *st, int at_flags)
{
	if (unlikely(!st))
		return -EFAULT;
	return (int)api_call(task, do_fstatat(dfd, path, st, at_flags));
}

int shale_stat(struct shale_task *task, const char *path, struct stat *st)
{
	return shale_fstatat(task, AT_FDCWD, path, st, 0);
}

int shale_lstat(struct shale_task *task, const char *path, struct stat *st)
{
	return shale_fstatat(task, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int shale_fstat(struct shale_task *task, int fd, struct stat *st)
{
	if (fd < 0) // AT_FDCWD is a place, not a descriptor
		return -EBADF;
	return shale_fstatat(task, fd, "", st, AT_EMPTY_PATH);
}

int shale_statx(struct shale_task *task, int dfd, const char *path, int at_flags, unsigned mask,
		struct statx *stx)
{
	if (unlikely(!stx))
		return -EFAULT;
	return (int)api_call(task, do_statx(dfd, path, at_flags, mask, stx));
}

ssize_t shale_readlinkat(struct shale_task *task, int dfd, const char *path, char *buf, size_t size)
{
	if ((int)size <= 0)
		return -EINVAL;
	if (!buf || !path)
		return -EFAULT;
	return api_call(task, do_readlinkat(dfd, path, buf, size));
}

ssize_t shale_readlink(struct shale_task *task, const char *path, char *buf, size_t size)
{
	return shale_readlinkat(task, AT_FDCWD, path, buf, size);
}

int shale_faccessat2(struct shale_task *task, int dfd, const char *path, int mode, int at_flags)
{
	return (int)api_call(task, do_faccessat(dfd, path, mode, at_flags));
}

int shale_faccessat(struct shale_task *task, int dfd, const char *path, int mode)
{
	return shale_faccessat2(task, dfd, path, mode, 0);
}

int shale_access(struct shale_task *task, const char *path, int mode)
{
	return shale_faccessat2(task, AT_FDCWD, path, mode, 0);
}

static int fill_statfs(struct statfs *to, const struct kstatfs *from)
{
	memset(to, 0, sizeof(*to));
	to->f_type = from->f_type;
	to->f_bsize = from->f_bsize;
	to->f_blocks = from->f_blocks;
	to->f_bfree = from->f_bfree;
	to->f_bavail = from->f_bavail;
	to->f_files = from->f_files;
	to->f_ffree = from->f_ffree;
	memcpy(&to->f_fsid, &from->f_fsid, sizeof(to->f_fsid));
	to->f_namelen = from->f_namelen;
	to->f_frsize = from->f_frsize;
	to->f_flags = from->f_flags;
	return 0;
}

int shale_statfs(struct shale_task *task, const char *path, struct statfs *buf)
{
	struct kstatfs st;
	int err;

	if (!buf || !path)
		return -EFAULT;
	err = (int)api_call(task, do_statfs(path, -1, &st));
	return err ?: fill_statfs(buf, &st);
}

int shale_fstatfs(struct shale_task *task, int fd, struct statfs *buf)
{
	struct kstatfs st;
	int err;

	if (!buf)
		return -EFAULT;
	err = (int)api_call(task, do_statfs(NULL, fd, &st));
	return err ?: fill_statfs(buf, &st);
}

int shale_fchmodat2(struct shale_task *task, int dfd, const char *path, mode_t mode, int at_flags)
{
	return (int)api_call(task, do_fchmodat(dfd, path, mode, at_flags));
}

int shale_fchmodat(struct shale_task *task, int dfd, const char *path, mode_t mode)
{
	return shale_fchmodat2(task, dfd, path, mode, 0);
}

int shale_chmod(struct shale_task *task, const char *path, mode_t mode)
{
	return shale_fchmodat2(task, AT_FDCWD, path, mode, 0);
}

int shale_fchmod(struct shale_task *task, int fd, mode_t mode)
{
	return (int)api_call(task, ksys_fchmod(fd, mode));
}

int shale_fchownat(struct shale_task *task, int dfd, const char *path, uid_t uid, gid_t gid, int at_flags)
{
	return (int)api_call(task, do_fchownat(dfd, path, uid, gid, at_flags));
}

int shale_chown(struct shale_task *task, const char *path, uid_t uid, gid_t gid)
{
	return shale_fchownat(task, AT_FDCWD, path, uid, gid, 0);
}

int shale_lchown(struct shale_task *task, const char *path, uid_t uid, gid_t gid)
{
	return shale_fchownat(task, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int shale_fchown(struct shale_task *task, int fd, uid_t uid, gid_t gid)
{
	return (int)api_call(task, ksys_fchown(fd, uid, gid));
}

int shale_utimensat(struct shale_task *task, int dfd, const char *path, const struct timespec times[2],
		    int at_flags)
{
	return (int)api_call(task, do_utimensat(dfd, path, times, at_flags));
}

int shale_futimens(struct shale_task *task, int fd, const struct timespec times[2])
{
	if (fd < 0) // AT_FDCWD is a place, not a descriptor
		return -EBADF;
	return shale_utimensat(task, fd, NULL, times, 0);
}

int shale_truncate(struct shale_task *task, const char *path, off_t length)
{
	return (int)api_call(task, do_sys_truncate(path, length));
}

int shale_ftruncate(struct shale_task *task, int fd, off_t length)
{
	return (int)api_call(task, ksys_ftruncate(fd, length));
}
