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

static ssize_t getxattr_by_name(struct shale_task *task, const char *path, bool follow, const char *name,
				void *value, size_t size)
{
	if (!path || !name || (size && !value))
		return -EFAULT;
	return api_call(task, do_getxattr(AT_FDCWD, path, follow ? LOOKUP_FOLLOW : 0, -1, name, value, size));
}

ssize_t shale_getxattr(struct shale_task *task, const char *path, const char *name, void *value, size_t size)
{
	return getxattr_by_name(task, path, true, name, value, size);
}

ssize_t shale_lgetxattr(struct shale_task *task, const char *path, const char *name, void *value, size_t size)
{
	return getxattr_by_name(task, path, false, name, value, size);
}

ssize_t shale_fgetxattr(struct shale_task *task, int fd, const char *name, void *value, size_t size)
{
	if (!name || (size && !value))
		return -EFAULT;
	return api_call(task, do_getxattr(AT_FDCWD, NULL, 0, fd, name, value, size));
}

static ssize_t listxattr_by_name(struct shale_task *task, const char *path, bool follow, char *list,
				 size_t size)
{
	if (!path || (size && !list))
		return -EFAULT;
	return api_call(task, do_listxattr(AT_FDCWD, path, follow ? LOOKUP_FOLLOW : 0, -1, list, size));
}

ssize_t shale_listxattr(struct shale_task *task, const char *path, char *list, size_t size)
{
	return listxattr_by_name(task, path, true, list, size);
}

ssize_t shale_llistxattr(struct shale_task *task, const char *path, char *list, size_t size)
{
	return listxattr_by_name(task, path, false, list, size);
}

ssize_t shale_flistxattr(struct shale_task *task, int fd, char *list, size_t size)
{
	if (size && !list)
		return -EFAULT;
	return api_call(task, do_listxattr(AT_FDCWD, NULL, 0, fd, list, size));
}

// What getxattrat(2) takes; the headers of older systems lack it.
#ifndef XATTR_ARGS_SIZE_VER0
struct xattr_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size, flags;
};
#endif
#define XATTR_ARGS_SIZE sizeof(struct xattr_args)

static int xattrat_lookup(int at_flags, unsigned *lookup_flags)
{
	if (at_flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	*lookup_flags = (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
			(at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	return 0;
}

ssize_t shale_getxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name,
			 struct xattr_args *args, size_t size)
{
	const unsigned char *tail = (const unsigned char *)args;
	unsigned lookup_flags;

	if (size < XATTR_ARGS_SIZE)
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	if (!args || !path || !name)
		return -EFAULT;
	for (size_t i = XATTR_ARGS_SIZE; i < size; i++)
		if (tail[i])
			return -E2BIG;
	if (args->flags || xattrat_lookup(at_flags, &lookup_flags))
		return -EINVAL;
	if (!args->value && args->size)
		return -EFAULT;
	return api_call(task, do_getxattr(dfd, path, lookup_flags, -1, name, (void *)(uintptr_t)args->value,
					  args->size));
}

ssize_t shale_listxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, char *list,
			  size_t size)
{
	unsigned lookup_flags;

	if (xattrat_lookup(at_flags, &lookup_flags))
		return -EINVAL;
	if (!path || (!list && size))
		return -EFAULT;
	return api_call(task, do_listxattr(dfd, path, lookup_flags, -1, list, size));
}
