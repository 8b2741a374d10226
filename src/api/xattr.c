// Extended attributes, by name and by descriptor.
#include "api/api_internal.h"

#include <fcntl.h>

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

// The struct as it is handed over: longer than it is known only with zeroes behind.
static int check_xattr_args(const struct xattr_args *args, size_t size)
{
	const unsigned char *tail = (const unsigned char *)args;

	if (size < XATTR_ARGS_SIZE)
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	if (!args)
		return -EFAULT;
	for (size_t i = XATTR_ARGS_SIZE; i < size; i++)
		if (tail[i])
			return -E2BIG;
	return 0;
}

ssize_t shale_getxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name,
			 struct xattr_args *args, size_t size)
{
	int err = check_xattr_args(args, size);
	unsigned lookup_flags;

	if (err)
		return err;
	if (!path || !name)
		return -EFAULT;
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

static int setxattr_of(struct shale_task *task, const char *path, bool follow, int fd, const char *name,
		       const void *value, size_t size, int flags)
{
	if (!name || (size && !value))
		return -EFAULT;
	return (int)api_call(
		task, do_setxattr(AT_FDCWD, path, follow ? LOOKUP_FOLLOW : 0, fd, name, value, size, flags));
}

int shale_setxattr(struct shale_task *task, const char *path, const char *name, const void *value,
		   size_t size, int flags)
{
	return path ? setxattr_of(task, path, true, -1, name, value, size, flags) : -EFAULT;
}

int shale_lsetxattr(struct shale_task *task, const char *path, const char *name, const void *value,
		    size_t size, int flags)
{
	return path ? setxattr_of(task, path, false, -1, name, value, size, flags) : -EFAULT;
}

int shale_fsetxattr(struct shale_task *task, int fd, const char *name, const void *value, size_t size,
		    int flags)
{
	return setxattr_of(task, NULL, false, fd, name, value, size, flags);
}

int shale_removexattr(struct shale_task *task, const char *path, const char *name)
{
	return path && name ? (int)api_call(task, do_removexattr(AT_FDCWD, path, LOOKUP_FOLLOW, -1, name))
			    : -EFAULT;
}

int shale_lremovexattr(struct shale_task *task, const char *path, const char *name)
{
	return path && name ? (int)api_call(task, do_removexattr(AT_FDCWD, path, 0, -1, name)) : -EFAULT;
}

int shale_fremovexattr(struct shale_task *task, int fd, const char *name)
{
	return name ? (int)api_call(task, do_removexattr(AT_FDCWD, NULL, 0, fd, name)) : -EFAULT;
}

int shale_setxattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name,
		     const struct xattr_args *args, size_t size)
{
	int err = check_xattr_args(args, size);
	unsigned lookup_flags;

	if (err)
		return err;
	if (!path || !name || (!args->value && args->size))
		return -EFAULT;
	if (xattrat_lookup(at_flags, &lookup_flags))
		return -EINVAL;
	return (int)api_call(task, do_setxattr(dfd, path, lookup_flags, -1, name,
					       (void *)(uintptr_t)args->value, args->size, (int)args->flags));
}

int shale_removexattrat(struct shale_task *task, int dfd, const char *path, int at_flags, const char *name)
{
	unsigned lookup_flags;

	if (xattrat_lookup(at_flags, &lookup_flags))
		return -EINVAL;
	if (!path || !name)
		return -EFAULT;
	return (int)api_call(task, do_removexattr(dfd, path, lookup_flags, -1, name));
}
