// Disks of a machine: attached by URI, told what to do, detached.
#include "api/api_internal.h"
#include "base/seq_file.h"
#include "block/blk.h"

int shale_disk_add(struct shale *machine, const char *name, const char *uri, unsigned flags)
{
	unsigned known = SHALE_DISK_READ_ONLY | SHALE_DISK_NO_PARTSCAN | SHALE_DISK_UNLOCKED;
	unsigned disk_flags = (flags & SHALE_DISK_READ_ONLY ? DISK_READ_ONLY : 0) |
			      (flags & SHALE_DISK_NO_PARTSCAN ? DISK_NO_PARTSCAN : 0) |
			      (flags & SHALE_DISK_UNLOCKED ? DISK_UNLOCKED : 0);

	if (!name || !uri)
		return -EFAULT;
	if (flags & ~known)
		return -EINVAL;
	return (int)api_machine_call(machine, disk_add(machine, name, uri, disk_flags));
}

int shale_disk_remove(struct shale *machine, const char *name)
{
	if (!name)
		return -EFAULT;
	return (int)api_machine_call(machine, disk_remove(machine, name));
}

static long last_error(struct shale *machine, char *buf, size_t size)
{
	char text[512];

	disk_last_error(machine, text, sizeof(text));
	return api_copy_text(text, buf, size);
}

ssize_t shale_disk_error(struct shale *machine, char *buf, size_t size)
{
	return api_machine_call(machine, last_error(machine, buf, size));
}

static long disk_show(struct shale *machine, const char *name, const char *layer, char *buf, size_t size)
{
	struct seq_file m;
	const char *text;
	long n;

	seq_text_init(&m, machine);
	n = disk_control_show(machine, name, layer, &m);
	if (!n) {
		text = seq_text(&m);
		n = text ? api_copy_text(text, buf, size) : -ENOMEM;
	}
	seq_text_free(&m);
	return n;
}

ssize_t shale_disk_show(struct shale *machine, const char *name, const char *layer, char *buf, size_t size)
{
	if (!name)
		return -EFAULT;
	return api_machine_call(machine, disk_show(machine, name, layer, buf, size));
}

int shale_disk_store(struct shale *machine, const char *name, const char *layer, const char *words)
{
	if (!name || !words)
		return -EFAULT;
	return (int)api_machine_call(machine, disk_control_store(machine, name, layer, words));
}
