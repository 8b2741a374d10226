// One mount: making it, counting who uses and who writes through it, and its end; and the table that finds it
// by place.
//
// References are counted in shards. While a mount is in a namespace, which holds a reference, nobody needs
// the sum: a put only subtracts. When it leaves, mnt_ns is cleared and a grace period passes before that
// reference is put, so that later puts take mount_lock, sum, and find the last one. A lock-free walk takes
// its reference first and checks mount_lock's sequence after it (__legitimize_mnt); whoever unmounts changes
// the sequence first and sums later.

#include "vfs/mount_internal.h"

#include "base/alloc.h"
#include "vfs/super_internal.h"

#include <errno.h>

s64 mnt_get_count(struct mount *mnt)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += __atomic_load_n(&mnt->pcp[i].count, __ATOMIC_SEQ_CST);
	return sum;
}

static s64 mnt_get_writers(struct mount *mnt)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += __atomic_load_n(&mnt->pcp[i].writers, __ATOMIC_SEQ_CST);
	return sum;
}

int vfs_create_mount(struct dentry *root, const char *devname, u32 flags, struct mount **out)
{
	struct super_block *sb = root->d_sb;
	struct shale *machine = sb->s_machine;
	struct mount_machine *mm = &machine->vfs->mounts;
	struct mount *mnt = kmalloc_aligned(machine, sizeof(*mnt), 64);

	if (!mnt)
		return -ENOMEM;
	memset(mnt, 0, sizeof(*mnt));
	mnt->mnt_devname = kstrdup(machine, devname ?: "none");
	if (!mnt->mnt_devname) {
		kfree(mnt);
		return -ENOMEM;
	}
	mnt->mnt_id = (u64)atomic64_inc_return(&mm->next_id);
	mnt->pcp[0].count = 1;
	mnt->mnt_parent = mnt;
	mnt->mnt_mountpoint = root;
	INIT_LIST_HEAD(&mnt->mnt_mounts);
	INIT_LIST_HEAD(&mnt->mnt_child);
	INIT_LIST_HEAD(&mnt->mnt_list);
	atomic_inc(&sb->s_active);
	mnt->mnt.mnt_sb = sb;
	mnt->mnt.mnt_root = dget(root);
	mnt->mnt.mnt_flags = flags;
	read_seqlock_excl(&mm->mount_lock);
	list_add_tail(&mnt->mnt_instance, &sb->s_mounts);
	read_sequnlock_excl(&mm->mount_lock);
	*out = mnt;
	return 0;
}

static void free_vfsmnt_rcu(struct rcu_head *head)
{
	struct mount *mnt = container_of(head, struct mount, mnt_rcu);

	kfree(mnt->mnt_devname);
	kfree(mnt);
}

static void cleanup_mnt(struct mount *mnt)
{
	struct super_block *sb = mnt->mnt.mnt_sb;

	// Who writes has a reference, so nobody writes.
	WARN_ON(mnt_get_writers(mnt) != 0);
	dput(mnt->mnt.mnt_root);
	call_rcu(sb->s_machine, &mnt->mnt_rcu, free_vfsmnt_rcu);
	deactivate_super(sb);
}

struct vfsmount *mntget(struct vfsmount *mnt)
{
	if (mnt)
		mnt_add_count(real_mount(mnt), 1);
	return mnt;
}

static void mntput_slow(struct mount *mnt)
{
	struct mount_machine *mm = mounts_of(&mnt->mnt);
	bool last;

	read_seqlock_excl(&mm->mount_lock);
	mnt_add_count(mnt, -1);
	last = mnt_get_count(mnt) == 0 && !(mnt->mnt_state & MNT_DOOMED);
	if (last) {
		WRITE_ONCE(mnt->mnt_state, mnt->mnt_state | MNT_DOOMED);
		list_del(&mnt->mnt_instance);
	}
	read_sequnlock_excl(&mm->mount_lock);
	if (last)
		cleanup_mnt(mnt);
}

void mntput_no_expire(struct mount *mnt)
{
	rcu_read_lock();
	if (likely(smp_load_acquire(&mnt->mnt_ns))) {
		// The namespace's reference is put a grace period after it has let go: this is not the last.
		mnt_add_count(mnt, -1);
		rcu_read_unlock();
		return;
	}
	rcu_read_unlock();
	mntput_slow(mnt);
}

// NULL: nothing. May sleep.
void mntput(struct vfsmount *m)
{
	struct mount *mnt;

	if (!m)
		return;
	mnt = real_mount(m);
	if (unlikely(READ_ONCE(mnt->mnt_state) & MNT_EXPIRY_MARK))
		__atomic_fetch_and(&mnt->mnt_state, ~MNT_EXPIRY_MARK, __ATOMIC_RELAXED);
	mntput_no_expire(mnt);
}

int __legitimize_mnt(struct vfsmount *m, unsigned seq)
{
	struct mount_machine *mm;
	struct mount *mnt;
	bool step_back;

	if (!m)
		return 0;
	mm = mounts_of(m);
	mnt = real_mount(m);
	if (read_seqretry(&mm->mount_lock, seq))
		return 1;
	mnt_add_count(mnt, 1);
	// The addition is a full barrier: either this sees the new sequence, or who changed it sees the
	// addition.
	if (likely(!read_seqretry(&mm->mount_lock, seq)))
		return 0;
	read_seqlock_excl(&mm->mount_lock);
	step_back = mnt->mnt_state & (MNT_DOOMED | MNT_SYNC_UMOUNT);
	if (step_back)
		mnt_add_count(mnt, -1);
	read_sequnlock_excl(&mm->mount_lock);
	return step_back ? 1 : -1;
}

static bool legitimize_mnt(struct vfsmount *m, unsigned seq)
{
	int res = __legitimize_mnt(m, seq);

	if (likely(!res))
		return true;
	if (res < 0) {
		rcu_read_unlock();
		mntput(m);
		rcu_read_lock();
	}
	return false;
}

struct vfsmount *lookup_mnt(const struct path *path)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct mount *child;
	struct vfsmount *m;
	unsigned seq;

	rcu_read_lock();
	do {
		seq = read_seqbegin(&mm->mount_lock);
		child = __lookup_mnt(mm, path->mnt, path->dentry);
		m = child ? &child->mnt : NULL;
	} while (m ? !legitimize_mnt(m, seq) : read_seqretry(&mm->mount_lock, seq));
	rcu_read_unlock();
	return m;
}

u64 mnt_unique_id(const struct vfsmount *mnt)
{
	return real_mount(mnt)->mnt_id;
}

// Writing.

bool __mnt_is_readonly(const struct vfsmount *mnt)
{
	return mnt_flags(mnt) & MNT_READONLY || sb_rdonly(mnt->mnt_sb) ||
	       READ_ONCE(mnt->mnt_sb->s_readonly_remount);
}

static void mnt_add_writers(struct mount *mnt, int n)
{
	__atomic_fetch_add(&mnt->pcp[current->shard].writers, n, __ATOMIC_SEQ_CST);
}

int mnt_get_write_access(struct vfsmount *m)
{
	struct mount *mnt = real_mount(m);
	struct mount_machine *mm = mounts_of(m);

	mnt_add_writers(mnt, 1);
	// Announced: a change to read-only that begins now counts us. One that began before is waited for.
	while (unlikely(__atomic_load_n(&mnt->mnt_state, __ATOMIC_SEQ_CST) & MNT_WRITE_HOLD)) {
		read_seqlock_excl(&mm->mount_lock);
		read_sequnlock_excl(&mm->mount_lock);
	}
	if (unlikely(__mnt_is_readonly(m))) {
		mnt_add_writers(mnt, -1);
		return -EROFS;
	}
	return 0;
}

void mnt_put_write_access(struct vfsmount *m)
{
	mnt_add_writers(real_mount(m), -1);
}

int mnt_want_write(struct vfsmount *m)
{
	int err;

	sb_start_write(m->mnt_sb);
	err = mnt_get_write_access(m);
	if (unlikely(err))
		sb_end_write(m->mnt_sb);
	return err;
}

void mnt_drop_write(struct vfsmount *m)
{
	mnt_put_write_access(m);
	sb_end_write(m->mnt_sb);
}

static int mnt_hold_writers(struct mount *mnt)
{
	__atomic_fetch_or(&mnt->mnt_state, MNT_WRITE_HOLD, __ATOMIC_SEQ_CST);
	return mnt_get_writers(mnt) > 0 ? -EBUSY : 0;
}

static void mnt_unhold_writers(struct mount *mnt)
{
	__atomic_fetch_and(&mnt->mnt_state, ~MNT_WRITE_HOLD, __ATOMIC_SEQ_CST);
}

int mnt_make_readonly(struct mount *mnt)
{
	int err = mnt_hold_writers(mnt);

	if (!err)
		WRITE_ONCE(mnt->mnt.mnt_flags, mnt->mnt.mnt_flags | MNT_READONLY);
	mnt_unhold_writers(mnt);
	return err;
}

int sb_prepare_remount_readonly(struct super_block *sb)
{
	struct mount_machine *mm = &sb->s_machine->vfs->mounts;
	struct mount *mnt;
	int err = 0;

	lock_mount_tree(mm);
	list_for_each_entry (mnt, &sb->s_mounts, mnt_instance) {
		if (mnt->mnt.mnt_flags & MNT_READONLY)
			continue;
		err = mnt_hold_writers(mnt);
		if (err)
			break;
	}
	if (!err)
		__atomic_store_n(&sb->s_readonly_remount, 1, __ATOMIC_SEQ_CST);
	list_for_each_entry (mnt, &sb->s_mounts, mnt_instance)
		mnt_unhold_writers(mnt);
	unlock_mount_tree(mm);
	return err;
}

void sb_abort_remount_readonly(struct super_block *sb)
{
	__atomic_store_n(&sb->s_readonly_remount, 0, __ATOMIC_SEQ_CST);
}

int mounts_init(struct shale *machine)
{
	struct mount_machine *mm = &machine->vfs->mounts;
	unsigned bits = 8;

	seqlock_init(&mm->mount_lock);
	init_rwsem(&mm->namespace_sem);
	mm->hash_shift = 64 - bits;
	mm->mount_max = 100000;
	mm->hash = kcalloc(machine, 1u << bits, sizeof(*mm->hash));
	mm->mountpoints = kcalloc(machine, 1u << bits, sizeof(*mm->mountpoints));
	if (mm->hash && mm->mountpoints)
		return 0;
	kfree(mm->hash);
	kfree(mm->mountpoints);
	return -ENOMEM;
}

void mounts_exit(struct shale *machine)
{
	struct mount_machine *mm = &machine->vfs->mounts;

	kfree(mm->hash);
	kfree(mm->mountpoints);
}
