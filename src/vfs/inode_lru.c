// Unused inodes without a name in memory: their LRU lists, one for each super block, and their end at umount.
//
// An inode comes onto the list when its count falls to 0 and is taken off by who scans, or when it is
// evicted. One that was used again since it came (I_REFERENCED) gets a second round. s_inode_lru_lock comes
// after i_lock; scanners, who begin with the list, only try i_lock.

#include "vfs/inode_internal.h"
#include "vfs/super_internal.h"

void inode_lru_add(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_inode_lru_lock);
	if (list_empty(&inode->i_lru)) {
		list_add_tail(&inode->i_lru, &sb->s_inode_lru);
		WRITE_ONCE(sb->s_nr_inodes_unused, sb->s_nr_inodes_unused + 1);
	} else {
		__atomic_fetch_or(&inode->i_state, I_REFERENCED, __ATOMIC_RELAXED);
	}
	spin_unlock(&sb->s_inode_lru_lock);
}

static void lru_isolate(struct super_block *sb, struct inode *inode)
{
	list_del_init(&inode->i_lru);
	WRITE_ONCE(sb->s_nr_inodes_unused, sb->s_nr_inodes_unused - 1);
}

void inode_lru_del(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_inode_lru_lock);
	if (!list_empty(&inode->i_lru))
		lru_isolate(sb, inode);
	spin_unlock(&sb->s_inode_lru_lock);
}

// Both locks held: takes one inode off the list for good, or to its end, or for another round.
static void lru_consider(struct super_block *sb, struct inode *inode, struct list_head *dispose)
{
	u32 state = READ_ONCE(inode->i_state);

	if (atomic_read(&inode->i_count) || state & ~I_REFERENCED) {
		lru_isolate(sb, inode);
	} else if (state & I_REFERENCED) {
		__atomic_fetch_and(&inode->i_state, ~I_REFERENCED, __ATOMIC_RELAXED);
		list_move_tail(&inode->i_lru, &sb->s_inode_lru);
	} else {
		__atomic_fetch_or(&inode->i_state, I_FREEING, __ATOMIC_RELAXED);
		lru_isolate(sb, inode);
		list_add_tail(&inode->i_lru, dispose);
	}
}

static unsigned long dispose_list(struct list_head *list)
{
	unsigned long freed = 0;

	while (!list_empty(list)) {
		struct inode *inode = list_first_entry(list, struct inode, i_lru);

		list_del_init(&inode->i_lru);
		evict(inode);
		freed++;
		cond_resched();
	}
	return freed;
}

// Looks at `nr` unused inodes of sb; returns how many went. s_umount held.
unsigned long prune_icache_sb(struct super_block *sb, unsigned long nr)
{
	LIST_HEAD(dispose);

	spin_lock(&sb->s_inode_lru_lock);
	while (nr-- && !list_empty(&sb->s_inode_lru)) {
		struct inode *inode = list_first_entry(&sb->s_inode_lru, struct inode, i_lru);

		if (!spin_trylock(&inode->i_lock)) {
			list_move_tail(&inode->i_lru, &sb->s_inode_lru);
			continue;
		}
		lru_consider(sb, inode, &dispose);
		spin_unlock(&inode->i_lock);
	}
	spin_unlock(&sb->s_inode_lru_lock);
	return dispose_list(&dispose);
}

int evict_inodes(struct super_block *sb)
{
	struct inode *inode;
	bool busy = false;
	LIST_HEAD(dispose);

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry (inode, &sb->s_inodes, i_sb_list) {
		spin_lock(&inode->i_lock);
		if (atomic_read(&inode->i_count)) {
			busy = true;
		} else if (!(READ_ONCE(inode->i_state) & I_FREEING)) {
			__atomic_fetch_or(&inode->i_state, I_FREEING, __ATOMIC_RELAXED);
			inode_lru_del(inode);
			list_add_tail(&inode->i_lru, &dispose);
		}
		spin_unlock(&inode->i_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	dispose_list(&dispose);
	return busy ? -EBUSY : 0;
}

static unsigned long icache_count(struct shrinker *s, struct shale *machine)
{
	return supers_count_unused(machine, false);
}

static unsigned long icache_scan(struct shrinker *s, struct shale *machine, unsigned long nr)
{
	return supers_prune(machine, false, nr);
}

void icache_shrinker_register(struct shale *machine)
{
	struct shrinker *s = &machine->vfs->icache.shrinker;

	s->name = "inode";
	s->count_objects = icache_count;
	s->scan_objects = icache_scan;
	s->seeks = 2;
	shrinker_register(machine, s);
}
