// name_to_handle_at and open_by_handle_at.
//
// Order of the checks is that of Linux. A handle opens files past the directories above them, so opening by
// handle wants CAP_DAC_READ_SEARCH.
#include "base/current.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/exportfs.h"
#include "vfs/files_internal.h"
#include "vfs/fs.h"
#include "vfs/mount.h"
#include "vfs/super.h"

#include <errno.h>
#include <fcntl.h>

// Headers of older systems lack these.
#define AT_HANDLE_MNT_ID_UNIQUE_ 0x001
#define AT_HANDLE_CONNECTABLE_   0x002
#define AT_HANDLE_FID_           0x200
#define HANDLE_FLAGS                                                                                         \
	(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | AT_HANDLE_MNT_ID_UNIQUE_ | AT_HANDLE_CONNECTABLE_ |             \
	 AT_HANDLE_FID_)
#define HANDLE_TYPE_MOST 0xffff // above are marks that are not supported

static int path_to_handle(const struct path *path, struct file_handle *handle, void *mount_id, int at_flags)
{
	u64 id = mnt_unique_id(path->mnt);
	int err;

	if (!path->dentry->d_sb->s_export_op && !(at_flags & AT_HANDLE_FID_))
		return -EOPNOTSUPP;
	if (handle->handle_bytes > MAX_HANDLE_SZ)
		return -EINVAL;
	err = exportfs_encode_fh(d_inode(path->dentry), handle->f_handle, &handle->handle_bytes,
				 &handle->handle_type);
	if (at_flags & AT_HANDLE_MNT_ID_UNIQUE_)
		*(u64 *)mount_id = id;
	else
		*(int *)mount_id = (int)id;
	return err;
}

long do_name_to_handle_at(int dfd, const char *name, struct file_handle *handle, void *mount_id, int at_flags)
{
	struct path path;
	int err;

	if (at_flags & ~HANDLE_FLAGS)
		return -EINVAL;
	if (at_flags & AT_HANDLE_CONNECTABLE_)
		return at_flags & AT_HANDLE_FID_ ? -EINVAL : -EOPNOTSUPP;
	err = user_path_at(dfd, name,
			   (at_flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
				   (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
			   &path);
	if (err)
		return err;
	err = path_to_handle(&path, handle, mount_id, at_flags);
	path_put(&path);
	return err;
}

// The place whose tree the handle is of; referenced.
static int handle_anchor(int mount_fd, struct path *root)
{
	struct fd f;

	if (mount_fd == AT_FDCWD) {
		get_fs_pwd(current->task->fs, root);
		return 0;
	}
	f = fdget(mount_fd);
	if (!f.file)
		return -EBADF;
	*root = f.file->f_path;
	path_get(root);
	fdput(f);
	return 0;
}

static int handle_to_path(int mount_fd, const struct file_handle *handle, struct path *path)
{
	struct path root;
	int err;

	if (handle->handle_bytes > MAX_HANDLE_SZ || !handle->handle_bytes || handle->handle_type < 0 ||
	    handle->handle_type > HANDLE_TYPE_MOST)
		return -EINVAL;
	err = handle_anchor(mount_fd, &root);
	if (err)
		return err;
	if (!capable(SHALE_CAP_DAC_READ_SEARCH))
		err = -EPERM;
	else
		err = exportfs_decode_fh(&root, handle->f_handle, handle->handle_bytes, handle->handle_type,
					 path);
	path_put(&root);
	return err;
}

long do_open_by_handle_at(int mount_fd, const struct file_handle *handle, const struct open_how *how)
{
	struct file *file;
	struct path path;
	int fd, err = handle_to_path(mount_fd, handle, &path);

	if (err)
		return err;
	fd = get_unused_fd_flags(how->flags & O_CLOEXEC);
	if (fd < 0) {
		path_put(&path);
		return fd;
	}
	err = file_open_path(&path, how, &file);
	if (err) {
		put_unused_fd((unsigned)fd);
		return err;
	}
	fd_install((unsigned)fd, file);
	return fd;
}
