// Unused dentries and how they go: the LRU lists, one for each super block, oldest first.
//
// A dentry comes onto the list when its count falls to 0 for the first time and stays there while it is used
// again; who scans takes the used ones off. One that was used since it came (DCACHE_REFERENCED) gets a second
// round. What shall go moves to a private list of the scanner (DCACHE_SHRINK_LIST), where it can still be
// taken into use again or be killed by another; it is the scanner who takes it off that list, and frees it if
// another killed it (DCACHE_MAY_FREE).
//
// The list's lock comes after d_lock; scanners, who begin with the list, only try d_lock.

#include "vfs/dcache_internal.h"
#include "vfs/super_internal.h"

void d_lru_add(struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;

	d_flags_set(dentry, DCACHE_LRU_LIST);
	spin_lock(&sb->s_dentry_lru_lock);
	list_add_tail(&dentry->d_lru, &sb->s_dentry_lru);
	WRITE_ONCE(sb->s_nr_dentry_unused, sb->s_nr_dentry_unused + 1);
	spin_unlock(&sb->s_dentry_lru_lock);
}

static void lru_isolate(struct super_block *sb, struct dentry *dentry)
{
	WRITE_ONCE(sb->s_nr_dentry_unused, sb->s_nr_dentry_unused - 1);
	list_del_init(&dentry->d_lru);
}

void d_lru_del(struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;

	d_flags_clear(dentry, DCACHE_LRU_LIST);
	spin_lock(&sb->s_dentry_lru_lock);
	lru_isolate(sb, dentry);
	spin_unlock(&sb->s_dentry_lru_lock);
}

// Off the private list; d_lock held.
static void d_shrink_del(struct dentry *dentry)
{
	list_del_init(&dentry->d_lru);
	d_flags_clear(dentry, DCACHE_SHRINK_LIST | DCACHE_LRU_LIST);
}

// Kills one dentry of the private list if it is still unused. True: it is gone (for good or by another).
static bool shrink_one(struct dentry *dentry) __no_lock_analysis
{
	bool dead;

	rcu_read_lock();
	spin_lock(&dentry->d_lock);
	if (!lock_for_kill(dentry)) {
		bool can_free;

		d_shrink_del(dentry);
		dead = lockref_read(&dentry->d_lockref) < 0;
		can_free = READ_ONCE(dentry->d_flags) & DCACHE_MAY_FREE;
		spin_unlock(&dentry->d_lock);
		rcu_read_unlock();
		if (can_free)
			dentry_free(dentry);
		return dead;
	}
	rcu_read_unlock();
	d_shrink_del(dentry);
	dput(dentry_kill(dentry));
	return true;
}

static unsigned long shrink_dentry_list(struct list_head *list)
{
	unsigned long freed = 0;

	while (!list_empty(list)) {
		freed += shrink_one(list_first_entry(list, struct dentry, d_lru));
		cond_resched();
	}
	return freed;
}

// Moves what may go from the first `nr` of the list to `dispose`. all: also what was used lately.
static void lru_walk(struct super_block *sb, unsigned long nr, bool all,
		     struct list_head *dispose) __no_lock_analysis
{
	spin_lock(&sb->s_dentry_lru_lock);
	while (nr-- && !list_empty(&sb->s_dentry_lru)) {
		struct dentry *dentry = list_first_entry(&sb->s_dentry_lru, struct dentry, d_lru);

		if (!spin_trylock(&dentry->d_lock)) {
			list_move_tail(&dentry->d_lru, &sb->s_dentry_lru);
			continue;
		}
		if (lockref_read(&dentry->d_lockref)) {
			lru_isolate(sb, dentry);
			d_flags_clear(dentry, DCACHE_LRU_LIST);
		} else if (!all && READ_ONCE(dentry->d_flags) & DCACHE_REFERENCED) {
			d_flags_clear(dentry, DCACHE_REFERENCED);
			list_move_tail(&dentry->d_lru, &sb->s_dentry_lru);
		} else {
			lru_isolate(sb, dentry);
			d_flags_set(dentry, DCACHE_SHRINK_LIST);
			list_add_tail(&dentry->d_lru, dispose);
		}
		spin_unlock(&dentry->d_lock);
	}
	spin_unlock(&sb->s_dentry_lru_lock);
}

// Looks at `nr` unused dentries of sb; returns how many went. s_umount held.
unsigned long prune_dcache_sb(struct super_block *sb, unsigned long nr)
{
	LIST_HEAD(dispose);

	lru_walk(sb, nr, false, &dispose);
	return shrink_dentry_list(&dispose);
}

// All unused dentries go; parents follow their children.
void shrink_dcache_sb(struct super_block *sb)
{
	LIST_HEAD(dispose);

	do {
		lru_walk(sb, 1024, true, &dispose);
		shrink_dentry_list(&dispose);
	} while (READ_ONCE(sb->s_nr_dentry_unused));
}

// The unused (negative) names in a directory that is being removed go.
void shrink_dcache_children(struct dentry *dir) __no_lock_analysis
{
	struct dentry *child;
	LIST_HEAD(dispose);

	spin_lock(&dir->d_lock);
	hlist_for_each_entry (child, &dir->d_children, d_sib) {
		spin_lock(&child->d_lock);
		if (lockref_read(&child->d_lockref) == 0 &&
		    !(READ_ONCE(child->d_flags) & DCACHE_SHRINK_LIST)) {
			if (READ_ONCE(child->d_flags) & DCACHE_LRU_LIST)
				d_lru_del(child);
			WARN_ON(!list_empty(&child->d_lru));
			d_flags_set(child, DCACHE_SHRINK_LIST | DCACHE_LRU_LIST);
			list_add_tail(&child->d_lru, &dispose);
		}
		spin_unlock(&child->d_lock);
	}
	spin_unlock(&dir->d_lock);
	shrink_dentry_list(&dispose);
}

// The whole tree goes: nobody uses the super block any more. s_umount held exclusive.
void shrink_dcache_for_umount(struct super_block *sb)
{
	struct dentry *root = sb->s_root;

	if (!root)
		return;
	shrink_dcache_sb(sb);
	sb->s_root = NULL;
	d_drop(root);
	WARN_ON(lockref_read(&root->d_lockref) != 1);
	dput(root);
}

static unsigned long dcache_count(struct shrinker *s, struct shale *machine)
{
	return supers_count_unused(machine, true);
}

static unsigned long dcache_scan(struct shrinker *s, struct shale *machine, unsigned long nr)
{
	return supers_prune(machine, true, nr);
}

void dcache_shrinker_register(struct shale *machine)
{
	struct shrinker *s = &machine->vfs->dcache.shrinker;

	s->name = "dentry";
	s->count_objects = dcache_count;
	s->scan_objects = dcache_scan;
	s->seeks = 2;
	shrinker_register(machine, s);
}
