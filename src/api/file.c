// Opening, descriptors, data.
#include "api/api_internal.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/uio.h>

#define O_TMPFILE_BIT 020000000
#define OPENAT_FLAGS                                                                                         \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC |      \
	 O_ASYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

// openat is lax where openat2 is strict: flags that it does not know are dropped, and so is a mode that is
// not needed.
static struct open_how openat_how(int flags, mode_t mode)
{
	struct open_how how = {.flags = (unsigned)(flags & OPENAT_FLAGS)};

	if (flags & O_PATH)
		how.flags = (unsigned)flags & (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC);
	if (how.flags & (O_CREAT | O_TMPFILE_BIT))
		how.mode = mode & 07777;
	return how;
}

int shale_openat(struct shale_task *task, int dfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = openat_how(flags, mode);

	return (int)api_call(task, do_sys_openat2(dfd, path, &how, sizeof(how)));
}

int shale_open(struct shale_task *task, const char *path, int flags, mode_t mode)
{
	return shale_openat(task, AT_FDCWD, path, flags, mode);
}

int shale_openat2(struct shale_task *task, int dfd, const char *path, const struct open_how *how, size_t size)
{
	return how ? (int)api_call(task, do_sys_openat2(dfd, path, how, size)) : -EFAULT;
}

int shale_name_to_handle_at(struct shale_task *task, int dfd, const char *path, struct file_handle *handle,
			    int *mount_id, int at_flags)
{
	if (!handle || !mount_id)
		return -EFAULT;
	return (int)api_call(task, do_name_to_handle_at(dfd, path, handle, mount_id, at_flags));
}

int shale_open_by_handle_at(struct shale_task *task, int mount_fd, struct file_handle *handle, int flags)
{
	struct open_how how = openat_how(flags, 0);

	return handle ? (int)api_call(task, do_open_by_handle_at(mount_fd, handle, &how)) : -EFAULT;
}

int shale_close(struct shale_task *task, int fd)
{
	return (int)api_call(task, ksys_close(fd));
}

int shale_close_range(struct shale_task *task, unsigned first, unsigned last, unsigned flags)
{
	return (int)api_call(task, ksys_close_range(first, last, flags));
}

int shale_dup(struct shale_task *task, int fd)
{
	return (int)api_call(task, ksys_dup(fd));
}

int shale_dup2(struct shale_task *task, int oldfd, int newfd)
{
	return (int)api_call(task, ksys_dup2(oldfd, newfd));
}

int shale_dup3(struct shale_task *task, int oldfd, int newfd, int flags)
{
	return (int)api_call(task, ksys_dup3(oldfd, newfd, flags));
}

int shale_fcntl(struct shale_task *task, int fd, int cmd, unsigned long arg)
{
	return (int)api_call(task, ksys_fcntl(fd, (unsigned)cmd, arg));
}

int shale_flock(struct shale_task *task, int fd, int operation)
{
	return (int)api_call(task, ksys_flock(fd, (unsigned)operation));
}

int shale_ioctl(struct shale_task *task, int fd, unsigned long request, void *arg)
{
	return (int)api_call(task, ksys_ioctl(fd, (unsigned)request, arg));
}

ssize_t shale_read(struct shale_task *task, int fd, void *buf, size_t count)
{
	return api_call(task, ksys_read(fd, buf, count));
}

ssize_t shale_pread(struct shale_task *task, int fd, void *buf, size_t count, off_t offset)
{
	return api_call(task, ksys_pread64(fd, buf, count, offset));
}

ssize_t shale_readv(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt)
{
	return api_call(task, do_preadv(fd, iov, iovcnt, -1, 0));
}

ssize_t shale_preadv(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	return offset < 0 ? -EINVAL : api_call(task, do_preadv(fd, iov, iovcnt, offset, 0));
}

ssize_t shale_preadv2(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset,
		      int flags)
{
	return api_call(task, do_preadv(fd, iov, iovcnt, offset, flags));
}

off_t shale_lseek(struct shale_task *task, int fd, off_t offset, int whence)
{
	return api_call(task, ksys_lseek(fd, offset, whence));
}

int shale_fadvise(struct shale_task *task, int fd, off_t offset, off_t len, int advice)
{
	return (int)api_call(task, ksys_fadvise64(fd, offset, len, advice));
}

int shale_readahead(struct shale_task *task, int fd, off_t offset, size_t count)
{
	return (int)api_call(task, ksys_readahead(fd, offset, count));
}
