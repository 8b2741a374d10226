// Writing data, and bringing it to the disk.
#include "api/api_internal.h"

#include <sys/uio.h>

ssize_t shale_write(struct shale_task *task, int fd, const void *buf, size_t count)
{
	return api_call(task, ksys_write(fd, buf, count));
}

ssize_t shale_pwrite(struct shale_task *task, int fd, const void *buf, size_t count, off_t offset)
{
	return api_call(task, ksys_pwrite64(fd, buf, count, offset));
}

ssize_t shale_writev(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt)
{
	return api_call(task, do_pwritev(fd, iov, iovcnt, -1, 0));
}

ssize_t shale_pwritev(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	return offset < 0 ? -EINVAL : api_call(task, do_pwritev(fd, iov, iovcnt, offset, 0));
}

ssize_t shale_pwritev2(struct shale_task *task, int fd, const struct iovec *iov, int iovcnt, off_t offset,
		       int flags)
{
	return api_call(task, do_pwritev(fd, iov, iovcnt, offset, flags));
}

int shale_fallocate(struct shale_task *task, int fd, int mode, off_t offset, off_t len)
{
	return (int)api_call(task, ksys_fallocate(fd, mode, offset, len));
}

ssize_t shale_copy_file_range(struct shale_task *task, int fd_in, off_t *off_in, int fd_out, off_t *off_out,
			      size_t count, unsigned flags)
{
	return api_call(task, ksys_copy_file_range(fd_in, off_in, fd_out, off_out, count, flags));
}

int shale_fsync(struct shale_task *task, int fd)
{
	return (int)api_call(task, ksys_fsync(fd, 0));
}

int shale_fdatasync(struct shale_task *task, int fd)
{
	return (int)api_call(task, ksys_fsync(fd, 1));
}

int shale_sync_file_range(struct shale_task *task, int fd, off_t offset, off_t count, unsigned flags)
{
	return (int)api_call(task, ksys_sync_file_range(fd, offset, count, flags));
}

int shale_syncfs(struct shale_task *task, int fd)
{
	return (int)api_call(task, ksys_syncfs(fd));
}

int shale_sync(struct shale_task *task)
{
	return (int)api_call(task, ksys_sync());
}
