// Freezing a file system: nobody changes it until it is thawed, and what was changed before is on its disk.
//
// Who changes announces himself by level: a system call (SB_FREEZE_WRITE), a fault of a mapped page
// (SB_FREEZE_PAGEFAULT), the file system on its own account, inside either (SB_FREEZE_FS). Freezing closes
// one level after the other and waits each time until those who are inside have left. Counts are sharded; an
// announcement is written before `frozen` is looked at, and `frozen` before the counts are, so one of the two
// sees the other.
//
// A frozen super block has a use of its own, so that it stays until it is thawed also when it is unmounted.
// s_umount guards the steps.

#include "vfs/super_internal.h"

#include <errno.h>

static int frozen_level(const struct super_block *sb)
{
	return __atomic_load_n(&sb->s_writers.frozen, __ATOMIC_SEQ_CST);
}

void sb_writers_init(struct super_block *sb)
{
	init_waitqueue_head(&sb->s_writers.wait);
}

static void count(struct super_block *sb, int level, int n)
{
	__atomic_fetch_add(&sb->s_writers.shard[current->shard].n[level - 1], n, __ATOMIC_SEQ_CST);
}

static s64 writers(const struct super_block *sb, int level)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += __atomic_load_n(&sb->s_writers.shard[i].n[level - 1], __ATOMIC_SEQ_CST);
	return sum;
}

bool __sb_start_write_trylock(struct super_block *sb, int level)
{
	count(sb, level, 1);
	if (likely(frozen_level(sb) < level))
		return true;
	__sb_end_write(sb, level);
	return false;
}

void __sb_start_write(struct super_block *sb, int level)
{
	while (!__sb_start_write_trylock(sb, level))
		wait_event(sb->s_writers.wait, frozen_level(sb) < level);
}

void __sb_end_write(struct super_block *sb, int level)
{
	count(sb, level, -1);
	if (unlikely(frozen_level(sb)))
		wake_up_all(&sb->s_writers.wait);
}

static void set_frozen(struct super_block *sb, int level)
{
	__atomic_store_n(&sb->s_writers.frozen, level, __ATOMIC_SEQ_CST);
	wake_up_all(&sb->s_writers.wait);
}

static void close_level(struct super_block *sb, int level)
{
	set_frozen(sb, level);
	wait_event(sb->s_writers.wait, writers(sb, level) == 0);
}

// s_umount held exclusive, the first level closed.
static int freeze_rest(struct super_block *sb)
{
	int err;

	close_level(sb, SB_FREEZE_PAGEFAULT);
	err = sync_filesystem(sb);
	if (err)
		return err;
	close_level(sb, SB_FREEZE_FS);
	return sb->s_op->freeze_fs ? sb->s_op->freeze_fs(sb) : 0;
}

int freeze_super(struct super_block *sb) __no_lock_analysis
{
	int err = 0;

	down_write(&sb->s_umount);
	if (frozen_level(sb)) {
		up_write(&sb->s_umount);
		return -EBUSY;
	}
	atomic_inc(&sb->s_active);
	if (!sb_rdonly(sb)) {
		// Who is inside may want s_umount.
		set_frozen(sb, SB_FREEZE_WRITE);
		up_write(&sb->s_umount);
		wait_event(sb->s_writers.wait, writers(sb, SB_FREEZE_WRITE) == 0);
		down_write(&sb->s_umount);
		err = freeze_rest(sb);
	}
	set_frozen(sb, err ? SB_UNFROZEN : SB_FREEZE_COMPLETE);
	if (err)
		deactivate_locked_super(sb);
	else
		up_write(&sb->s_umount);
	return err;
}

int thaw_super(struct super_block *sb) __no_lock_analysis
{
	int err = 0;

	down_write(&sb->s_umount);
	if (frozen_level(sb) != SB_FREEZE_COMPLETE)
		err = -EINVAL;
	else if (!sb_rdonly(sb) && sb->s_op->unfreeze_fs)
		err = sb->s_op->unfreeze_fs(sb);
	if (err) {
		up_write(&sb->s_umount);
		return err;
	}
	set_frozen(sb, SB_UNFROZEN);
	deactivate_locked_super(sb);
	return 0;
}

static struct super_block *first_frozen(struct vfs_machine *vfs)
{
	struct super_block *sb, *found = NULL;

	spin_lock(&vfs->sb_lock);
	list_for_each_entry (sb, &vfs->super_blocks, s_list) {
		if (frozen_level(sb)) {
			found = sb;
			break;
		}
	}
	spin_unlock(&vfs->sb_lock);
	return found;
}

// The machine ends: nobody else is there.
void supers_thaw_all(struct shale *machine)
{
	struct super_block *sb;

	while ((sb = first_frozen(machine->vfs))) {
		if (thaw_super(sb)) {
			set_frozen(sb, SB_UNFROZEN);
			deactivate_super(sb);
		}
	}
}
