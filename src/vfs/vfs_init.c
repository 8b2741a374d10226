// The vfs of a machine as a whole: made before file systems register, emptied after their last mount.

#include "vfs/vfs.h"

#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/fs.h"
#include "vfs/fs_writeback.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <string.h>

static int caches_init(struct shale *machine)
{
	int err = dcache_init(machine);

	if (err)
		return err;
	err = icache_init(machine);
	if (err)
		goto dcache;
	err = mounts_init(machine);
	if (err)
		goto icache;
	return 0;
icache:
	icache_exit(machine);
dcache:
	dcache_exit(machine);
	return err;
}

static void caches_exit(struct shale *machine)
{
	mounts_exit(machine);
	icache_exit(machine);
	dcache_exit(machine);
}

int vfs_init(struct shale *machine)
{
	struct vfs_machine *vfs = kzalloc(machine, sizeof(*vfs));
	int err;

	if (!vfs)
		return -ENOMEM;
	machine->vfs = vfs;
	spin_lock_init(&vfs->error_lock);
	spin_lock_init(&vfs->blocked_lock);
	INIT_LIST_HEAD(&vfs->blocked_locks);
	supers_init(machine);
	filesystems_init(machine);
	fs_writeback_init(machine);
	err = caches_init(machine);
	if (err)
		goto free;
	err = cred_create(machine, NULL, &vfs->init_cred);
	if (err)
		goto caches;
	err = fs_struct_alloc(machine, &vfs->init_fs); // its root comes with vfs_mount_root()
	if (err)
		goto cred;
	vfs->init_fs->umask = 0; // who makes nodes for the machine says their modes
	err = files_init(machine);
	if (err)
		goto fs;
	return 0;
fs:
	put_fs_struct(vfs->init_fs);
cred:
	put_cred(vfs->init_cred);
caches:
	rcu_barrier(machine);
	caches_exit(machine);
free:
	kfree(vfs);
	machine->vfs = NULL;
	return err;
}

// All mounts are gone (vfs_umount_all) and all types have left.
void vfs_exit(struct shale *machine)
{
	struct vfs_machine *vfs = machine->vfs;

	cache_set_flusher(machine, NULL);
	files_exit(machine);
	put_fs_struct(vfs->init_fs);
	put_cred(vfs->init_cred);
	rcu_barrier(machine);
	supers_exit(machine);
	caches_exit(machine);
	filesystems_exit(machine);
	kfree(vfs);
	machine->vfs = NULL;
}

int vfs_sysctl_set(struct shale *machine, const char *name, int value)
{
	struct vfs_machine *vfs = machine->vfs;
	struct {
		const char *name;
		int *field;
		int max;
	} table[] = {
		{"protected_symlinks", &vfs->sysctl.protected_symlinks, 1},
		{"protected_hardlinks", &vfs->sysctl.protected_hardlinks, 1},
		{"protected_fifos", &vfs->sysctl.protected_fifos, 2},
		{"protected_regular", &vfs->sysctl.protected_regular, 2},
		{"mount-max", (int *)&vfs->mounts.mount_max, INT32_MAX},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].name, name))
			continue;
		if (value < 0 || value > table[i].max)
			return -EINVAL;
		WRITE_ONCE(*table[i].field, value);
		return 0;
	}
	return -ENOENT;
}
