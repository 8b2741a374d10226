// Mounting and unmounting.
#include "api/api_internal.h"

int shale_mount(struct shale_task *task, const char *source, const char *target, const char *fstype,
		unsigned long ms_flags, const char *data)
{
	return (int)api_call(task, do_mount(source, target, fstype, ms_flags, data));
}

int shale_umount2(struct shale_task *task, const char *target, int flags)
{
	return (int)api_call(task, do_umount(target, flags));
}

static long mount_error(struct shale *machine, char *buf, size_t size)
{
	char text[512];

	vfs_mount_error_get(machine, text, sizeof(text));
	return api_copy_text(text, buf, size);
}

ssize_t shale_mount_error(struct shale *machine, char *buf, size_t size)
{
	return api_machine_call(machine, mount_error(machine, buf, size));
}
