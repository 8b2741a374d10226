// Names: listing, making, removing.
#include "api/api_internal.h"

#include <fcntl.h>

ssize_t shale_getdents64(struct shale_task *task, int fd, void *dirents, size_t bytes)
{
	return dirents ? api_call(task, ksys_getdents64(fd, dirents, bytes)) : -EFAULT;
}

int shale_mkdirat(struct shale_task *task, int dfd, const char *path, mode_t mode)
{
	return (int)api_call(task, do_mkdirat(dfd, path, mode));
}

int shale_mkdir(struct shale_task *task, const char *path, mode_t mode)
{
	return shale_mkdirat(task, AT_FDCWD, path, mode);
}

int shale_mknodat(struct shale_task *task, int dfd, const char *path, mode_t mode, dev_t dev)
{
	return (int)api_call(task, do_mknodat(dfd, path, mode, dev));
}

int shale_mknod(struct shale_task *task, const char *path, mode_t mode, dev_t dev)
{
	return shale_mknodat(task, AT_FDCWD, path, mode, dev);
}

int shale_symlinkat(struct shale_task *task, const char *target, int dfd, const char *path)
{
	return (int)api_call(task, do_symlinkat(target, dfd, path));
}

int shale_symlink(struct shale_task *task, const char *target, const char *path)
{
	return shale_symlinkat(task, target, AT_FDCWD, path);
}

int shale_linkat(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath,
		 int at_flags)
{
	return (int)api_call(task, do_linkat(odfd, oldpath, ndfd, newpath, at_flags));
}

int shale_link(struct shale_task *task, const char *oldpath, const char *newpath)
{
	return shale_linkat(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}

int shale_unlinkat(struct shale_task *task, int dfd, const char *path, int at_flags)
{
	return (int)api_call(task, do_unlinkat(dfd, path, at_flags));
}

int shale_unlink(struct shale_task *task, const char *path)
{
	return shale_unlinkat(task, AT_FDCWD, path, 0);
}

int shale_rmdir(struct shale_task *task, const char *path)
{
	return shale_unlinkat(task, AT_FDCWD, path, AT_REMOVEDIR);
}

int shale_renameat2(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath,
		    unsigned flags)
{
	return (int)api_call(task, do_renameat2(odfd, oldpath, ndfd, newpath, flags));
}

int shale_renameat(struct shale_task *task, int odfd, const char *oldpath, int ndfd, const char *newpath)
{
	return shale_renameat2(task, odfd, oldpath, ndfd, newpath, 0);
}

int shale_rename(struct shale_task *task, const char *oldpath, const char *newpath)
{
	return shale_renameat2(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}
