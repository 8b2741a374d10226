// The dentry cache: allocation, the hash, references and the way out.
//
// A dentry is found by (parent, name) in a hash whose chains are read under RCU. It owns a reference to its
// parent and, when positive, to its inode. The count of references and d_lock are one word (lockref). At
// count 0 a dentry that can be found again stays, on the LRU of its super block (dcache_lru.c); any other is
// killed: marked dead, unhashed, parted from inode and parent, and freed after a grace period, since a
// lock-free walk may stand on it.
//
// d_lock guards name, parent, inode, flags, children, LRU membership; name, parent, inode and hashing change
// with d_seq raised. Order: i_lock, d_lock of the parent, d_lock of the child, then bucket and LRU locks. A
// dentry on its way out is on nobody's list but its parent's, with a negative count, for a moment.

#include "vfs/dcache_internal.h"
#include "vfs/dcache_ways.h"

#include "base/alloc.h"
#include <sys/mman.h>

// A table of buckets that costs memory only when it is used.
static int hash_table_create(unsigned long buckets, struct hash_bucket **out)
{
	void *p = mmap(NULL, buckets * sizeof(**out), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	// A large one is touched all over as soon as it is used: a few large pages instead of thousands of
	// faults.
	(void)madvise(p, buckets * sizeof(**out), MADV_HUGEPAGE);
	*out = p;
	return 0;
}

// Chooses the size of a cache's table: one bucket for each `per` bytes of the machine's memory. Also for the
// inodes.
int vfs_hash_create(struct shale *machine, u64 per, struct hash_bucket **table, unsigned long *size,
		    unsigned *shift)
{
	u64 want = clamp_t(u64, machine->options.memory_limit / per, 1u << 10, 1u << 20);

	*size = roundup_pow_of_two(want);
	*shift = 64 - ilog2(*size);
	if (alloc_should_fail(machine))
		return -ENOMEM;
	return hash_table_create(*size, table);
}

void vfs_hash_destroy(struct hash_bucket *table, unsigned long size)
{
	if (table)
		munmap(table, size * sizeof(*table));
}

// Names.

static void external_name_free(struct rcu_head *head)
{
	kfree(container_of(head, struct external_name, rcu));
}

void external_name_put(struct shale *machine, struct external_name *name)
{
	if (!refcount_dec_and_test(&name->count))
		return;
	machine_uncharge(machine, name->bytes);
	call_rcu(machine, &name->rcu, external_name_free);
}

static int dname_set(struct dentry *dentry, struct shale *machine, const struct qstr *name)
{
	unsigned len = name->len;
	size_t padded = round_up((size_t)len + 1, 8);
	char *dname = dentry->d_iname;

	if (padded > DNAME_INLINE_LEN) {
		size_t bytes = sizeof(struct external_name) + padded;
		struct external_name *ext = kmalloc(machine, bytes);

		if (!ext)
			return -ENOMEM;
		refcount_set(&ext->count, 1);
		ext->bytes = bytes;
		machine_charge(machine, bytes);
		dname = ext->name;
	} else {
		padded = DNAME_INLINE_LEN;
	}
	memset(dname + len, 0, padded - len);
	memcpy(dname, name->name, len);
	dentry->d_name.hash_len = name->hash_len;
	dentry->d_name.name = dname;
	return 0;
}

void d_hash_name(const struct dentry *parent, struct qstr *name)
{
	name->hash = full_name_hash(parent, name->name, name->len);
}

// Is this dentry parent's child of that name? d_lock held, or d_seq checked afterwards.
bool d_same_name(const struct dentry *dentry, const struct dentry *parent, const struct qstr *name)
{
	if (READ_ONCE(dentry->d_parent) != parent)
		return false;
	if (unlikely(READ_ONCE(parent->d_flags) & DCACHE_OP_COMPARE))
		return READ_ONCE(dentry->d_name.hash) == name->hash &&
		       !parent->d_op->d_compare(dentry, READ_ONCE(dentry->d_name.len),
						rcu_dereference(dentry->d_name.name), name);
	return READ_ONCE(dentry->d_name.hash_len) == name->hash_len &&
	       dname_equal(rcu_dereference(dentry->d_name.name), name->name, name->len);
}

// The same as __d_lookup_rcu() for file systems that compare names by rules of their own.
struct dentry *__d_lookup_rcu_op_compare(const struct dcache *dc, const struct dentry *parent,
					 const struct qstr *name, unsigned *seqp)
{
	struct hlist_node *node;

	for (node = smp_load_acquire(&d_bucket(dc, name->hash)->head.first); node;
	     node = smp_load_acquire(&node->next)) {
		struct dentry *dentry = hlist_entry(node, struct dentry, d_hash);
		unsigned seq = raw_seqcount_begin(&dentry->d_seq), len;
		const char *dname;

		if (READ_ONCE(dentry->d_parent) != parent || hlist_unhashed_lockless(&dentry->d_hash) ||
		    READ_ONCE(dentry->d_name.hash) != name->hash)
			continue;
		len = READ_ONCE(dentry->d_name.len);
		dname = rcu_dereference(dentry->d_name.name);
		// The length and the text must belong together before anybody reads the text.
		if (read_seqcount_retry(&dentry->d_seq, seq) ||
		    parent->d_op->d_compare(dentry, len, dname, name))
			continue;
		*seqp = seq;
		return dentry;
	}
	return NULL;
}

// Allocation.

static void d_set_op(struct dentry *dentry, const struct dentry_operations *op)
{
	u32 flags = 0;

	dentry->d_op = op;
	if (!op)
		return;
	flags |= op->d_hash ? DCACHE_OP_HASH : 0;
	flags |= op->d_compare ? DCACHE_OP_COMPARE : 0;
	flags |= op->d_revalidate ? DCACHE_OP_REVALIDATE : 0;
	flags |= op->d_delete ? DCACHE_OP_DELETE : 0;
	flags |= op->d_real ? DCACHE_OP_REAL : 0;
	d_flags_set(dentry, flags);
}

// One that stands alone: its own parent, one reference, not hashed.
int __d_alloc(struct super_block *sb, const struct qstr *name, struct dentry **out)
{
	struct shale *machine = sb->s_machine;
	struct dcache *dc = &machine->vfs->dcache;
	struct dentry *dentry = pool_alloc(dc->pool);
	int err;

	if (!dentry)
		return -ENOMEM;
	err = dname_set(dentry, machine, name);
	if (err) {
		pool_free(dc->pool, dentry);
		return err;
	}
	dentry->d_flags = 0;
	seqcount_init(&dentry->d_seq);
	INIT_HLIST_NODE(&dentry->d_hash);
	dentry->d_parent = dentry;
	dentry->d_inode = NULL;
	lockref_init(&dentry->d_lockref, 1);
	dentry->d_sb = sb;
	dentry->d_fsdata = NULL;
	INIT_LIST_HEAD(&dentry->d_lru);
	INIT_HLIST_NODE(&dentry->d_sib);
	INIT_HLIST_HEAD(&dentry->d_children);
	INIT_HLIST_NODE(&dentry->d_alias);
	dentry->d_wait = NULL;
	d_set_op(dentry, sb->s_d_op);
	*out = dentry;
	return 0;
}

int d_alloc(struct dentry *parent, const struct qstr *name, struct dentry **out)
{
	struct dentry *dentry;
	int err = __d_alloc(parent->d_sb, name, &dentry);

	if (err)
		return err;
	// The caller holds a reference to the parent, so it is alive.
	spin_lock(&parent->d_lock);
	WRITE_ONCE(parent->d_lockref.count, lockref_read(&parent->d_lockref) + 1);
	dentry->d_parent = parent;
	hlist_add_head(&dentry->d_sib, &parent->d_children);
	spin_unlock(&parent->d_lock);
	*out = dentry;
	return 0;
}

static void dentry_free_rcu(struct rcu_head *head)
{
	struct dentry *dentry = container_of(head, struct dentry, d_rcu);

	pool_free(dentry->d_fsdata, dentry);
}

void dentry_free(struct dentry *dentry)
{
	struct shale *machine = dentry->d_sb->s_machine;

	if (dname_external(dentry))
		external_name_put(machine, dname_to_external(dentry->d_name.name));
	// The callback runs when the super block may be gone.
	dentry->d_fsdata = machine->vfs->dcache.pool;
	call_rcu(machine, &dentry->d_rcu, dentry_free_rcu);
}

// The hash.

void __d_drop(struct dentry *dentry)
{
	struct hash_bucket *b;

	if (d_unhashed(dentry))
		return;
	b = d_bucket(dentry_cache(dentry), dentry->d_name.hash);
	spin_lock(&b->lock);
	hlist_del_init_rcu(&dentry->d_hash);
	spin_unlock(&b->lock);
	// Who has found it lock-free may not use it as a name any more.
	write_seqcount_invalidate(&dentry->d_seq);
	if (d_is_dir(dentry))
		d_place_left(dentry_cache(dentry));
}

void __d_rehash(struct dentry *dentry)
{
	struct hash_bucket *b = d_bucket(dentry_cache(dentry), dentry->d_name.hash);

	spin_lock(&b->lock);
	hlist_add_head_rcu(&dentry->d_hash, &b->head);
	spin_unlock(&b->lock);
}

void d_drop(struct dentry *dentry)
{
	spin_lock(&dentry->d_lock);
	__d_drop(dentry);
	spin_unlock(&dentry->d_lock);
}

static struct dentry *__d_lookup(const struct dcache *dc, const struct dentry *parent,
				 const struct qstr *name)
{
	struct hlist_node *node;

	for (node = smp_load_acquire(&d_bucket(dc, name->hash)->head.first); node;
	     node = smp_load_acquire(&node->next)) {
		struct dentry *dentry = hlist_entry(node, struct dentry, d_hash);

		if (READ_ONCE(dentry->d_name.hash) != name->hash)
			continue;
		spin_lock(&dentry->d_lock);
		if (!d_unhashed(dentry) && d_same_name(dentry, parent, name)) {
			WRITE_ONCE(dentry->d_lockref.count, lockref_read(&dentry->d_lockref) + 1);
			spin_unlock(&dentry->d_lock);
			return dentry;
		}
		spin_unlock(&dentry->d_lock);
	}
	return NULL;
}

struct dentry *d_lookup(const struct dentry *parent, const struct qstr *name)
{
	struct dcache *dc = dentry_cache(parent);
	struct dentry *dentry;
	unsigned seq;

	do {
		seq = read_seqbegin(&dc->rename_lock);
		rcu_read_lock();
		dentry = __d_lookup(dc, parent, name);
		rcu_read_unlock();
		// A miss is believed only if nothing moved: the chain may have led astray.
	} while (!dentry && read_seqretry(&dc->rename_lock, seq));
	return dentry;
}

// References.

struct dentry *dget(struct dentry *dentry)
{
	if (dentry)
		lockref_get(&dentry->d_lockref);
	return dentry;
}

struct dentry *dget_parent(struct dentry *dentry)
{
	for (;;) {
		struct dentry *parent;
		bool got;

		rcu_read_lock();
		parent = rcu_dereference(dentry->d_parent);
		got = lockref_get_not_dead(&parent->d_lockref);
		rcu_read_unlock();
		if (!got)
			continue;
		if (likely(parent == READ_ONCE(dentry->d_parent)))
			return parent;
		dput(parent);
	}
}

// Shall a dentry that nobody uses stay in memory? d_lock held (or a guess).
static bool retain_dentry(struct dentry *dentry)
{
	u32 flags = READ_ONCE(dentry->d_flags);

	if (d_unhashed(dentry) || flags & (DCACHE_DISCONNECTED | DCACHE_DONTCACHE))
		return false;
	return !(flags & DCACHE_OP_DELETE && dentry->d_op->d_delete(dentry));
}

// Gives up one reference. True: all is done. False: it was the last one and d_lock is held with a count of 0.
static bool fast_dput(struct dentry *dentry) __no_lock_analysis
{
	const u32 stay = DCACHE_REFERENCED | DCACHE_LRU_LIST;
	const u32 special = DCACHE_DISCONNECTED | DCACHE_DONTCACHE | DCACHE_OP_DELETE;
	int count = lockref_put_return(&dentry->d_lockref);

	if (likely(count > 0))
		return true;
	if (count == 0) {
		// On the LRU and known to be in use already: nothing remains to be done.
		if (likely((READ_ONCE(dentry->d_flags) & (stay | special)) == stay && !d_unhashed(dentry)))
			return true;
		spin_lock(&dentry->d_lock);
		if (lockref_read(&dentry->d_lockref) == 0)
			return false;
		// Taken again, or killed by another, in between.
		spin_unlock(&dentry->d_lock);
		return true;
	}
	spin_lock(&dentry->d_lock);
	WRITE_ONCE(dentry->d_lockref.count, lockref_read(&dentry->d_lockref) - 1);
	if (lockref_read(&dentry->d_lockref) == 0)
		return false;
	spin_unlock(&dentry->d_lock);
	return true;
}

static void dentry_retain(struct dentry *dentry) __must_hold(dentry->d_lock)
{
	if (!(READ_ONCE(dentry->d_flags) & DCACHE_LRU_LIST))
		d_lru_add(dentry);
	else if (!(READ_ONCE(dentry->d_flags) & DCACHE_REFERENCED))
		d_flags_set(dentry, DCACHE_REFERENCED);
}

bool lock_for_kill(struct dentry *dentry)
{
	for (;;) {
		struct inode *inode = d_inode(dentry);

		if (lockref_read(&dentry->d_lockref) != 0)
			return false;
		if (!inode || spin_trylock(&inode->i_lock))
			return true;
		// i_lock comes first; the inode's memory stays, since this is a read section.
		spin_unlock(&dentry->d_lock);
		spin_lock(&inode->i_lock);
		spin_lock(&dentry->d_lock);
		if (d_inode(dentry) == inode && lockref_read(&dentry->d_lockref) == 0)
			return true;
		spin_unlock(&inode->i_lock);
	}
}

void dentry_unlink_inode(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	bool dir = d_is_dir(dentry);

	write_seqcount_begin(&dentry->d_seq);
	d_flags_clear(dentry, DCACHE_ENTRY_TYPE);
	WRITE_ONCE(dentry->d_inode, NULL);
	write_seqcount_end(&dentry->d_seq);
	if (dir && !d_unhashed(dentry))
		d_place_left(dentry_cache(dentry));
	hlist_del_init(&dentry->d_alias);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&inode->i_lock);
	if (dentry->d_op && dentry->d_op->d_iput)
		dentry->d_op->d_iput(dentry, inode);
	else
		iput(inode);
}

struct dentry *dentry_kill(struct dentry *dentry)
{
	struct dentry *parent = NULL;
	bool can_free;

	lockref_mark_dead(&dentry->d_lockref);
	d_flags_set(dentry, DCACHE_DENTRY_KILLED);
	if ((READ_ONCE(dentry->d_flags) & (DCACHE_LRU_LIST | DCACHE_SHRINK_LIST)) == DCACHE_LRU_LIST)
		d_lru_del(dentry);
	__d_drop(dentry);
	if (d_inode(dentry))
		dentry_unlink_inode(dentry);
	else
		spin_unlock(&dentry->d_lock);
	if (dentry->d_op && dentry->d_op->d_release)
		dentry->d_op->d_release(dentry);
	// Dead: nobody moves it, so the parent is what it is.
	if (!IS_ROOT(dentry)) {
		parent = dentry->d_parent;
		spin_lock(&parent->d_lock);
		hlist_del_init(&dentry->d_sib);
		spin_unlock(&parent->d_lock);
	}
	spin_lock(&dentry->d_lock);
	can_free = !(READ_ONCE(dentry->d_flags) & DCACHE_SHRINK_LIST);
	d_flags_set(dentry, DCACHE_MAY_FREE);
	spin_unlock(&dentry->d_lock);
	if (can_free)
		dentry_free(dentry);
	return parent;
}

// NULL: nothing. May sleep: the last name of an inode may be its end.
void dput(struct dentry *dentry) __no_lock_analysis
{
	while (dentry) {
		rcu_read_lock();
		if (likely(fast_dput(dentry))) {
			rcu_read_unlock();
			return;
		}
		if (retain_dentry(dentry)) {
			dentry_retain(dentry);
			spin_unlock(&dentry->d_lock);
			rcu_read_unlock();
			return;
		}
		if (!lock_for_kill(dentry)) {
			spin_unlock(&dentry->d_lock);
			rcu_read_unlock();
			return;
		}
		rcu_read_unlock();
		dentry = dentry_kill(dentry);
	}
}

// Is `dentry` at or below `ancestor`? Both referenced.
bool is_subdir(struct dentry *dentry, struct dentry *ancestor)
{
	struct dcache *dc = dentry_cache(ancestor);
	struct dentry *d;
	unsigned seq;

	do {
		seq = read_seqbegin(&dc->rename_lock);
		rcu_read_lock();
		for (d = dentry; d != ancestor && !IS_ROOT(d);)
			d = rcu_dereference(d->d_parent);
		rcu_read_unlock();
	} while (read_seqretry(&dc->rename_lock, seq));
	return d == ancestor;
}

int dcache_init(struct shale *machine)
{
	struct dcache *dc = &machine->vfs->dcache;
	int err;

	seqlock_init(&dc->rename_lock);
	for (unsigned i = 0; i < IN_LOOKUP_BUCKETS; i++) {
		spin_lock_init(&dc->in_lookup[i].lock);
		INIT_HLIST_HEAD(&dc->in_lookup[i].head);
		init_waitqueue_head(&dc->in_lookup[i].wait);
	}
	err = pool_create(machine, "dentry", sizeof(struct dentry), POOL_CACHELINE, NULL, &dc->pool);
	if (err)
		return err;
	err = vfs_hash_create(machine, 4096, &dc->hash, &dc->hash_size, &dc->hash_shift);
	dc->hash_shift -= 32; // of 32 bits
	if (err)
		goto pool;
	err = ways_init(machine);
	if (err)
		goto hash;
	dcache_shrinker_register(machine);
	return 0;
hash:
	vfs_hash_destroy(dc->hash, dc->hash_size);
pool:
	pool_destroy(dc->pool);
	return err;
}

// All super blocks are gone and all callbacks have run.
void dcache_exit(struct shale *machine)
{
	struct dcache *dc = &machine->vfs->dcache;

	shrinker_unregister(machine, &dc->shrinker);
	ways_exit(machine);
	vfs_hash_destroy(dc->hash, dc->hash_size);
	pool_destroy(dc->pool);
}
