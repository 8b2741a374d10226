// The registry of file system types. Types are constant and live as long as the machine; the list is read and
// changed under types_lock, by mounts and by modules that come and go.

#include "vfs/fs_context.h"
#include "vfs/vfs_internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

struct registered_type {
	struct list_head list;
	const struct file_system_type *type;
};

static struct registered_type *find_type(struct vfs_machine *vfs, const char *name, size_t len)
{
	struct registered_type *r;

	list_for_each_entry (r, &vfs->types, list)
		if (strlen(r->type->name) == len && !memcmp(r->type->name, name, len))
			return r;
	return NULL;
}

int register_filesystem(struct shale *machine, const struct file_system_type *type)
{
	struct vfs_machine *vfs = machine->vfs;
	struct registered_type *r = kmalloc(machine, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	r->type = type;
	mutex_lock(&vfs->types_lock);
	if (find_type(vfs, type->name, strlen(type->name)))
		err = -EBUSY;
	else
		list_add_tail(&r->list, &vfs->types);
	mutex_unlock(&vfs->types_lock);
	if (err)
		kfree(r);
	return err;
}

int unregister_filesystem(struct shale *machine, const struct file_system_type *type)
{
	struct vfs_machine *vfs = machine->vfs;
	struct registered_type *r;

	mutex_lock(&vfs->types_lock);
	list_for_each_entry (r, &vfs->types, list) {
		if (r->type != type)
			continue;
		list_del(&r->list);
		mutex_unlock(&vfs->types_lock);
		kfree(r);
		return 0;
	}
	mutex_unlock(&vfs->types_lock);
	return -EINVAL;
}

// "type" or, for types that know subtypes, "type.subtype". NULL: unknown.
const struct file_system_type *get_fs_type(struct shale *machine, const char *name)
{
	struct vfs_machine *vfs = machine->vfs;
	const char *dot = strchr(name, '.');
	const struct file_system_type *type = NULL;
	struct registered_type *r;

	mutex_lock(&vfs->types_lock);
	r = find_type(vfs, name, dot ? (size_t)(dot - name) : strlen(name));
	if (r && !(dot && !(r->type->fs_flags & FS_HAS_SUBTYPE)))
		type = r->type;
	mutex_unlock(&vfs->types_lock);
	return type;
}

// One line a type, as /proc/filesystems shows them.
void filesystems_show(struct shale *machine, struct seq_file *m)
{
	struct vfs_machine *vfs = machine->vfs;
	struct registered_type *r;

	mutex_lock(&vfs->types_lock);
	list_for_each_entry (r, &vfs->types, list)
		seq_printf(m, "%s\t%s\n", r->type->fs_flags & FS_REQUIRES_DEV ? "" : "nodev", r->type->name);
	mutex_unlock(&vfs->types_lock);
}

void filesystems_init(struct shale *machine)
{
	mutex_init(&machine->vfs->types_lock);
	INIT_LIST_HEAD(&machine->vfs->types);
}

void filesystems_exit(struct shale *machine)
{
	struct registered_type *r, *next;

	list_for_each_entry_safe (r, next, &machine->vfs->types, list)
		kfree(r);
}
