// Checking a volume that is not mounted: a mount's configuration, handed to the type's check instead of its
// get_tree.

#include "vfs/vfs.h"

#include "base/current.h"
#include "vfs/cred.h"
#include "vfs/fs_context.h"

#include <errno.h>
#include <limits.h>

long do_check(const char *source, const char *fstype, const char *data, struct fs_check *check)
{
	const struct file_system_type *type;
	struct fs_context *fc;
	int err;

	if (!capable(SHALE_CAP_SYS_ADMIN))
		return -EPERM;
	type = get_fs_type(current->machine, fstype);
	if (!type)
		return -ENODEV;
	if (!type->check)
		return -EOPNOTSUPP;
	vfs_mount_error_clear(current->machine);
	err = fs_context_for_mount(current->machine, type, SB_RDONLY, &fc);
	if (err)
		return err;
	fc->check = check;
	err = vfs_parse_fs_param(fc, "source", source);
	if (!err)
		err = vfs_parse_monolithic(fc, data);
	if (!err)
		err = type->check(fc);
	put_fs_context(fc);
	return err ? err : (long)min_t(u64, check->damages, INT_MAX);
}
