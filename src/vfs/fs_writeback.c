// Dirty inodes: which there are, and writing them.
//
// An inode with any of I_DIRTY_* is on its super block's s_dirty, by the time it became dirty. Who writes
// holds s_sync_lock, sets what is there aside (s_io), and takes one inode after the other off: with a
// reference, and I_SYNC so that marking it dirty leaves it alone. Afterwards it goes back to s_dirty if it is
// dirty again, or if anything of it is still on its way; so an inode that is on no list has nothing under
// way, and a sync that goes over the lists waits for everything. An inode that is being freed takes itself
// off.
//
// Order: s_sync_lock, then i_lock, then s_dirty_lock; who comes from the list tries i_lock.
#include "vfs/fs_writeback.h"

#include "block/blk.h"
#include "cache/cache.h"
#include "cache/writeback.h"
#include "vfs/inode_internal.h"

#include <errno.h>

static u32 inode_state(const struct inode *inode)
{
	return READ_ONCE(inode->i_state);
}

// i_lock held.
static void inode_io_list_add(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_dirty_lock);
	if (list_empty(&inode->i_io_list))
		list_add_tail(&inode->i_io_list, &sb->s_dirty);
	spin_unlock(&sb->s_dirty_lock);
}

void inode_io_list_del(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_dirty_lock);
	list_del_init(&inode->i_io_list);
	spin_unlock(&sb->s_dirty_lock);
}

// Tells the file system of changed attributes. Returns what is left to be noted.
static u32 tell_dirty_inode(struct inode *inode, u32 flags)
{
	const struct super_operations *op = inode->i_sb->s_op;

	if (flags & I_DIRTY_INODE && inode_state(inode) & I_DIRTY_TIME) {
		__atomic_fetch_and(&inode->i_state, ~I_DIRTY_TIME, __ATOMIC_RELAXED);
		flags |= I_DIRTY_TIME;
	}
	if (flags & I_DIRTY_INODE && op->dirty_inode)
		op->dirty_inode(inode, flags & (I_DIRTY_INODE | I_DIRTY_TIME));
	if (flags & I_DIRTY_INODE)
		flags &= ~I_DIRTY_TIME;
	return op->write_inode ? flags : flags & I_DIRTY_PAGES;
}

void mark_inode_dirty(struct inode *inode, u32 flags)
{
	if (flags & (I_DIRTY_INODE | I_DIRTY_TIME))
		flags = tell_dirty_inode(inode, flags);
	// Read by a change of nothing: if that comes before the state is taken away, who took it sees what
	// became dirty.
	if ((__atomic_fetch_or(&inode->i_state, 0, __ATOMIC_SEQ_CST) & flags) == flags)
		return;
	spin_lock(&inode->i_lock);
	__atomic_fetch_or(&inode->i_state, flags, __ATOMIC_RELAXED);
	if (!(inode_state(inode) & (I_SYNC | I_FREEING)))
		inode_io_list_add(inode);
	spin_unlock(&inode->i_lock);
}

// The next one that was set aside, with a reference, off the list and I_SYNC; *dirty is what it had. NULL: no
// more.
static struct inode *writeback_take(struct super_block *sb, u32 *dirty) __no_lock_analysis
{
	for (;;) {
		struct inode *inode;

		spin_lock(&sb->s_dirty_lock);
		if (list_empty(&sb->s_io)) {
			spin_unlock(&sb->s_dirty_lock);
			return NULL;
		}
		inode = list_first_entry(&sb->s_io, struct inode, i_io_list);
		if (!spin_trylock(&inode->i_lock)) {
			spin_unlock(&sb->s_dirty_lock);
			cpu_relax();
			cond_resched();
			continue;
		}
		list_del_init(&inode->i_io_list);
		spin_unlock(&sb->s_dirty_lock);
		if (inode_state(inode) & I_FREEING) {
			spin_unlock(&inode->i_lock);
			continue;
		}
		atomic_inc(&inode->i_count);
		*dirty = __atomic_fetch_and(&inode->i_state, ~I_DIRTY_ALL, __ATOMIC_SEQ_CST) & I_DIRTY_ALL;
		__atomic_fetch_or(&inode->i_state, I_SYNC, __ATOMIC_RELAXED);
		spin_unlock(&inode->i_lock);
		return inode;
	}
}

static bool pages_to_write(const struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

void inode_forget_clean(struct inode *inode)
{
	if ((inode_state(inode) & (I_DIRTY_ALL | I_SYNC)) != I_DIRTY_PAGES || pages_to_write(&inode->i_data))
		return;
	__atomic_fetch_and(&inode->i_state, ~I_DIRTY_PAGES, __ATOMIC_SEQ_CST);
	inode_io_list_del(inode);
}

static void writeback_give_back(struct inode *inode)
{
	bool pages = pages_to_write(&inode->i_data);

	spin_lock(&inode->i_lock);
	__atomic_fetch_and(&inode->i_state, ~I_SYNC, __ATOMIC_RELAXED);
	if (pages)
		__atomic_fetch_or(&inode->i_state, I_DIRTY_PAGES, __ATOMIC_RELAXED);
	if (inode_state(inode) & I_DIRTY_ALL)
		inode_io_list_add(inode);
	spin_unlock(&inode->i_lock);
	iput(inode);
}

static int writeback_single_inode(struct inode *inode, u32 dirty, struct writeback_control *wbc)
{
	const struct super_operations *op = inode->i_sb->s_op;
	struct address_space *mapping = &inode->i_data;

	(void)do_writepages(mapping, wbc); // what fails is noted in the mapping and in the super block
	if (wbc->sync_mode == WB_SYNC_ALL)
		filemap_fdatawait_keep_errors(mapping, 0, (u64)INT64_MAX);
	if (dirty & I_DIRTY_TIME && op->dirty_inode)
		op->dirty_inode(inode, I_DIRTY_SYNC | I_DIRTY_TIME);
	if (dirty & (I_DIRTY_INODE | I_DIRTY_TIME) && op->write_inode)
		return op->write_inode(inode, wbc);
	return 0;
}

int writeback_inodes_sb(struct super_block *sb, enum writeback_sync_modes mode, long *nr_pages)
{
	struct inode *inode;
	int err = 0;
	u32 dirty;

	mutex_lock(&sb->s_sync_lock);
	spin_lock(&sb->s_dirty_lock);
	list_splice_tail_init(&sb->s_dirty, &sb->s_io);
	spin_unlock(&sb->s_dirty_lock);
	while (*nr_pages > 0 && (inode = writeback_take(sb, &dirty))) {
		struct writeback_control wbc = {
			.sync_mode = mode, .nr_to_write = *nr_pages, .range_end = (u64)INT64_MAX};
		int this_err = writeback_single_inode(inode, dirty, &wbc);

		if (mode == WB_SYNC_NONE)
			*nr_pages = wbc.nr_to_write;
		if (!err)
			err = this_err;
		writeback_give_back(inode);
		cond_resched();
	}
	spin_lock(&sb->s_dirty_lock);
	list_splice_init(&sb->s_io, &sb->s_dirty);
	spin_unlock(&sb->s_dirty_lock);
	mutex_unlock(&sb->s_sync_lock);
	return err;
}

// What the cache asks for.

static struct inode *mapping_inode(struct address_space *mapping)
{
	return container_of(mapping, struct inode, i_data);
}

static void mapping_dirtied(struct address_space *mapping)
{
	mark_inode_dirty(mapping_inode(mapping), I_DIRTY_PAGES);
}

static void mapping_error(struct address_space *mapping, int err)
{
	errseq_set(&mapping_inode(mapping)->i_sb->s_wb_err, err);
}

static void write_some(struct super_block *sb, void *arg)
{
	long *nr_pages = arg;

	if (*nr_pages > 0)
		(void)writeback_inodes_sb(sb, WB_SYNC_NONE, nr_pages);
}

// Called by a work item of the cache, so nothing is held.
static unsigned long write_back(struct shale *machine, unsigned long nr_pages)
{
	struct blk_plug plug;
	long left = (long)nr_pages;

	blk_start_plug(&plug);
	iterate_supers(machine, true, write_some, &left);
	blk_finish_plug(&plug);
	return nr_pages - (unsigned long)left;
}

static const struct flusher_ops vfs_flusher_ops = {
	.dirtied = mapping_dirtied,
	.error = mapping_error,
	.write_back = write_back,
};

void fs_writeback_init(struct shale *machine)
{
	cache_set_flusher(machine, &vfs_flusher_ops);
}

void note_lost_write(struct shale *machine, int err)
{
	if (err)
		(void)cmpxchg(&machine->lost_write, 0, err);
}
