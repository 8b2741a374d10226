// Super blocks: found or made by key, used, and killed when nobody uses them any more.
//
// s_active counts users (mounts, open configurations); the last one kills the super block. s_count counts who
// needs the memory only; it is freed after a grace period, since the lock-free walk looks at super blocks.
// s_umount is held exclusive while a super block is made (until SB_BORN) and killed, so who finds one waits
// on it, and then looks at s_state again. The list of super blocks and s_count are guarded by the machine's
// sb_lock, which is inside s_umount.

#include "vfs/super_internal.h"

#include "base/alloc.h"
#include "base/bitmap.h"
#include "base/log.h"
#include "block/blk.h"
#include "vfs/dcache_internal.h"
#include "vfs/fs_context.h"
#include "vfs/inode.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

static unsigned sb_state(const struct super_block *sb)
{
	return smp_load_acquire(&sb->s_state);
}

static int alloc_super(struct fs_context *fc, struct super_block **out)
{
	struct super_block *sb = kzalloc(fc->machine, sizeof(*sb));

	if (!sb)
		return -ENOMEM;
	sb->s_machine = fc->machine;
	INIT_LIST_HEAD(&sb->s_list);
	sb->s_type = fc->fs_type;
	sb->s_op = &default_super_operations;
	WRITE_ONCE(sb->s_flags, fc->sb_flags);
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = 0x7fffffff;
	sb->s_time_gran = 1;
	sb->s_time_min = INT64_MIN;
	sb->s_time_max = INT64_MAX;
	init_rwsem(&sb->s_umount);
	mutex_init(&sb->s_vfs_rename_mutex);
	sb_writers_init(sb);
	spin_lock_init(&sb->s_dirty_lock);
	INIT_LIST_HEAD(&sb->s_dirty);
	INIT_LIST_HEAD(&sb->s_io);
	mutex_init(&sb->s_sync_lock);
	sb->s_count = 1;
	atomic_set(&sb->s_active, 1);
	spin_lock_init(&sb->s_inode_list_lock);
	INIT_LIST_HEAD(&sb->s_inodes);
	spin_lock_init(&sb->s_dentry_lru_lock);
	INIT_LIST_HEAD(&sb->s_dentry_lru);
	spin_lock_init(&sb->s_inode_lru_lock);
	INIT_LIST_HEAD(&sb->s_inode_lru);
	INIT_LIST_HEAD(&sb->s_mounts);
	*out = sb;
	return 0;
}

static void free_super_rcu(struct rcu_head *head)
{
	kfree(container_of(head, struct super_block, s_rcu));
}

// sb_lock held.
static void __put_super(struct super_block *sb)
{
	if (--sb->s_count == 0)
		call_rcu(sb->s_machine, &sb->s_rcu, free_super_rcu);
}

static void put_super(struct super_block *sb)
{
	struct vfs_machine *vfs = sb->s_machine->vfs;

	spin_lock(&vfs->sb_lock);
	__put_super(sb);
	spin_unlock(&vfs->sb_lock);
}

// sb_lock held, given up: takes a use of a super block that the list shows. True: s_umount is held exclusive.
// False: it is gone now.
static bool grab_super(struct super_block *sb) __no_lock_analysis
{
	sb->s_count++;
	spin_unlock(&sb->s_machine->vfs->sb_lock);
	down_write(&sb->s_umount);
	if (sb_state(sb) == SB_BORN && atomic_inc_not_zero(&sb->s_active)) {
		put_super(sb);
		return true;
	}
	up_write(&sb->s_umount);
	put_super(sb);
	return false;
}

static struct super_block *sget_find(struct fs_context *fc,
				     int (*test)(struct super_block *, struct fs_context *))
{
	struct super_block *sb;

	list_for_each_entry (sb, &fc->machine->vfs->super_blocks, s_list)
		if (sb->s_type == fc->fs_type && test(sb, fc))
			return sb;
	return NULL;
}

// Finds the super block that `test` (NULL: none) accepts, or makes one and lets `set` give it its key (under
// sb_lock: must not sleep). *out has one more use and s_umount held exclusive; a new one has no s_root yet.
int sget_fc(struct fs_context *fc, int (*test)(struct super_block *, struct fs_context *),
	    int (*set)(struct super_block *, struct fs_context *),
	    struct super_block **out) __no_lock_analysis
{
	struct vfs_machine *vfs = fc->machine->vfs;
	struct super_block *old, *fresh;
	int err = alloc_super(fc, &fresh);

	if (err)
		return err;
	down_write(&fresh->s_umount);
	for (;;) {
		spin_lock(&vfs->sb_lock);
		old = test ? sget_find(fc, test) : NULL;
		if (!old)
			break;
		if (grab_super(old)) {
			up_write(&fresh->s_umount);
			kfree(fresh);
			*out = old;
			return 0;
		}
	}
	fresh->s_fs_info = fc->s_fs_info;
	err = set(fresh, fc);
	if (err) {
		spin_unlock(&vfs->sb_lock);
		up_write(&fresh->s_umount);
		kfree(fresh);
		return err;
	}
	fc->s_fs_info = NULL;
	list_add_tail(&fresh->s_list, &vfs->super_blocks);
	spin_unlock(&vfs->sb_lock);
	*out = fresh;
	return 0;
}

// The end.

// Everything below the super block goes. s_umount held exclusive, nobody uses it.
void generic_shutdown_super(struct super_block *sb)
{
	struct vfs_machine *vfs = sb->s_machine->vfs;

	if (sb->s_root) {
		shrink_dcache_for_umount(sb);
		note_lost_write(sb->s_machine, sync_filesystem(sb));
		if (evict_inodes(sb))
			pr_err(sb->s_machine, "%s: inodes are in use after the umount of %s", sb->s_id,
			       sb->s_type->name);
		if (sb->s_op->put_super)
			sb->s_op->put_super(sb);
	}
	spin_lock(&vfs->sb_lock);
	list_del_init(&sb->s_list);
	spin_unlock(&vfs->sb_lock);
}

// Gives up a use of a super block whose s_umount is held exclusive, and the lock.
void deactivate_locked_super(struct super_block *sb) __no_lock_analysis
{
	if (!atomic_dec_and_test(&sb->s_active)) {
		up_write(&sb->s_umount);
		return;
	}
	smp_store_release(&sb->s_state, sb_state(sb) | SB_DYING);
	sb->s_type->kill_sb(sb);
	up_write(&sb->s_umount);
	put_super(sb);
}

void deactivate_super(struct super_block *sb) __no_lock_analysis
{
	if (atomic_add_unless(&sb->s_active, -1, 1))
		return;
	down_write(&sb->s_umount);
	deactivate_locked_super(sb);
}

// Anonymous devices: numbers (0, minor) for file systems without a device.

int set_anon_super(struct super_block *sb, struct fs_context *fc)
{
	struct vfs_machine *vfs = sb->s_machine->vfs;
	unsigned long minor;

	minor = find_first_zero_bit(vfs->anon_devs, ANON_DEVS);
	if (minor >= ANON_DEVS)
		return -EMFILE;
	set_bit(minor, vfs->anon_devs);
	sb->s_dev = makedev(0, minor);
	snprintf(sb->s_id, sizeof(sb->s_id), "%s", sb->s_type->name);
	return 0;
}

void kill_anon_super(struct super_block *sb)
{
	unsigned minor_nr = minor(sb->s_dev);
	struct vfs_machine *vfs = sb->s_machine->vfs;

	generic_shutdown_super(sb);
	spin_lock(&vfs->sb_lock);
	clear_bit(minor_nr, vfs->anon_devs);
	spin_unlock(&vfs->sb_lock);
}

// File systems whose names live in the dentry cache hold a reference to each: given up here, leaves first.
static void d_genocide(struct dentry *root)
{
	struct dentry *dentry = root;

	shrink_dcache_sb(root->d_sb);
	for (;;) {
		struct dentry *parent;

		if (!hlist_empty(&dentry->d_children)) {
			dentry = hlist_entry(dentry->d_children.first, struct dentry, d_sib);
			continue;
		}
		if (dentry == root)
			return;
		if (WARN_ON(lockref_read(&dentry->d_lockref) != 1))
			return;
		parent = dentry->d_parent;
		d_drop(dentry);
		dput(dentry);
		dentry = parent;
	}
}

void kill_litter_super(struct super_block *sb)
{
	if (sb->s_root)
		d_genocide(sb->s_root);
	kill_anon_super(sb);
}

// Reconfiguration.

// Changes what fc tells of fc->root's super block; s_umount is held exclusive.
int reconfigure_super(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	u32 flags = READ_ONCE(sb->s_flags), fresh;
	int err;

	if (READ_ONCE(sb->s_writers.frozen))
		return -EBUSY;
	fresh = (flags & ~fc->sb_flags_mask) | (fc->sb_flags & fc->sb_flags_mask);
	if (fresh & SB_RDONLY && !(flags & SB_RDONLY)) {
		err = sb_prepare_remount_readonly(sb);
		if (err)
			return err;
		note_lost_write(sb->s_machine, sync_filesystem(sb));
	}
	if (!(fresh & SB_RDONLY) && flags & SB_RDONLY && sb->s_bdev && bdev_read_only(sb->s_bdev)) {
		errorfc(fc, "%s: the device is read-only", sb->s_id);
		return -EACCES;
	}
	if (fc->ops->reconfigure) {
		err = fc->ops->reconfigure(fc);
		if (err) {
			sb_abort_remount_readonly(sb);
			return err;
		}
	}
	WRITE_ONCE(sb->s_flags, fresh);
	sb_abort_remount_readonly(sb);
	return 0;
}

// All of them.

static void visit_super(struct super_block *sb, bool may_skip, void (*fn)(struct super_block *sb, void *arg),
			void *arg)
{
	if (!may_skip)
		down_read(&sb->s_umount);
	else if (!down_read_trylock(&sb->s_umount))
		return;
	if (sb_state(sb) == SB_BORN)
		fn(sb, arg);
	up_read(&sb->s_umount);
}

void iterate_supers(struct shale *machine, bool may_skip, void (*fn)(struct super_block *sb, void *arg),
		    void *arg)
{
	struct vfs_machine *vfs = machine->vfs;
	struct super_block *sb, *last = NULL;

	spin_lock(&vfs->sb_lock);
again:
	list_for_each_entry (sb, &vfs->super_blocks, s_list) {
		if (!sb_state(sb) || list_empty(&sb->s_list))
			continue;
		sb->s_count++;
		spin_unlock(&vfs->sb_lock);
		visit_super(sb, may_skip, fn, arg);
		spin_lock(&vfs->sb_lock);
		if (last)
			__put_super(last);
		last = sb;
		// Taken off the list while we were away: its neighbours are unknown, and nobody may be left
		// out.
		if (list_empty(&sb->s_list))
			goto again;
	}
	if (last)
		__put_super(last);
	spin_unlock(&vfs->sb_lock);
}

// Memory pressure.

unsigned long supers_count_unused(struct shale *machine, bool dentries)
{
	struct vfs_machine *vfs = machine->vfs;
	struct super_block *sb;
	unsigned long sum = 0;

	spin_lock(&vfs->sb_lock);
	list_for_each_entry (sb, &vfs->super_blocks, s_list)
		sum += dentries ? READ_ONCE(sb->s_nr_dentry_unused) : READ_ONCE(sb->s_nr_inodes_unused);
	spin_unlock(&vfs->sb_lock);
	return sum;
}

struct prune {
	bool dentries;
	unsigned long nr, total, freed;
};

static void super_prune(struct super_block *sb, void *arg)
{
	struct prune *p = arg;
	unsigned long mine =
		p->dentries ? READ_ONCE(sb->s_nr_dentry_unused) : READ_ONCE(sb->s_nr_inodes_unused);
	unsigned long share = min_t(unsigned long, p->nr *mine / p->total + 1, mine);

	if (share)
		p->freed += p->dentries ? prune_dcache_sb(sb, share) : prune_icache_sb(sb, share);
}

unsigned long supers_prune(struct shale *machine, bool dentries, unsigned long nr)
{
	struct prune p = {
		.dentries = dentries, .nr = nr, .total = supers_count_unused(machine, dentries) ?: 1};

	// Never waits: who holds a lock may be the one who wants memory.
	iterate_supers(machine, true, super_prune, &p);
	return p.freed;
}

struct super_block *super_of_type(struct shale *machine, const struct file_system_type *type)
{
	struct vfs_machine *vfs = machine->vfs;
	struct super_block *sb, *found = NULL;

	spin_lock(&vfs->sb_lock);
	list_for_each_entry (sb, &vfs->super_blocks, s_list)
		if (sb->s_type == type) {
			found = sb;
			break;
		}
	spin_unlock(&vfs->sb_lock);
	return found;
}

void supers_init(struct shale *machine)
{
	spin_lock_init(&machine->vfs->sb_lock);
	INIT_LIST_HEAD(&machine->vfs->super_blocks);
	// (0, 0) is no device.
	set_bit(0, machine->vfs->anon_devs);
}

void supers_exit(struct shale *machine)
{
	WARN_ON(!list_empty(&machine->vfs->super_blocks));
}

const struct super_operations default_super_operations = {0};
