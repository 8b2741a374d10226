// Names that move: a dentry takes another's place in the tree, or two change places.
//
// Moves are made under rename_lock, so that whoever goes up the tree, or misses a name in the hash, can tell;
// and with d_seq of both dentries raised, so that a lock-free walk that has read half of the old and half of
// the new throws that away. A dentry leaves the hash before it changes and comes back after, so it is never
// found under a name and parent that do not belong together; when it is a directory, leaving the hash also
// ends all ways over it (dcache_ways.h).

#include "vfs/dcache_internal.h"

static struct external_name *external_name_of(const struct dentry *dentry)
{
	return dname_external(dentry) ? dname_to_external(dentry->d_name.name) : NULL;
}

static void iname_write(struct dentry *dentry, const u64 *words)
{
	u64 *to = (u64 *)dentry->d_iname;

	for (unsigned i = 0; i < DNAME_INLINE_LEN / 8; i++)
		WRITE_ONCE(to[i], words[i]);
}

// Gives the dentry a name: an external one, or one that fits in.
static void dname_assign(struct dentry *dentry, struct external_name *ext, const u64 *words, u64 hash_len)
{
	if (!ext)
		iname_write(dentry, words);
	rcu_assign_pointer(dentry->d_name.name, ext ? ext->name : (const char *)dentry->d_iname);
	WRITE_ONCE(dentry->d_name.hash_len, hash_len);
}

// Both under d_lock with d_seq raised: `dentry` gets target's name. Readers may be comparing the old one.
static void dname_copy(struct dentry *dentry, struct dentry *target)
{
	struct external_name *old = external_name_of(dentry), *ext = external_name_of(target);

	if (ext)
		refcount_inc(&ext->count);
	dname_assign(dentry, ext, (u64 *)target->d_iname, target->d_name.hash_len);
	if (old)
		external_name_put(dentry->d_sb->s_machine, old);
}

static void dname_swap(struct dentry *a, struct dentry *b)
{
	struct external_name *a_ext = external_name_of(a), *b_ext = external_name_of(b);
	u64 hash_len = a->d_name.hash_len, words[DNAME_INLINE_LEN / 8];

	memcpy(words, a->d_iname, sizeof(words));
	dname_assign(a, b_ext, (u64 *)b->d_iname, b->d_name.hash_len);
	dname_assign(b, a_ext, words, hash_len);
}

struct dentry *d_ancestor(struct dentry *ancestor, struct dentry *dentry)
{
	for (; !IS_ROOT(dentry); dentry = dentry->d_parent)
		if (dentry->d_parent == ancestor)
			return dentry;
	return NULL;
}

// The locks of a move, parents first. rename_lock excludes other moves, so the order between two that are not
// above one another does not matter.
static void move_lock(struct dentry *dentry, struct dentry *target) __no_lock_analysis
{
	struct dentry *from = dentry->d_parent, *to = target->d_parent;

	if (from == dentry || from == to) {
		spin_lock(&to->d_lock);
	} else if (d_ancestor(to, from)) {
		spin_lock(&to->d_lock);
		spin_lock(&from->d_lock);
	} else {
		spin_lock(&from->d_lock);
		spin_lock(&to->d_lock);
	}
	spin_lock(&dentry->d_lock);
	spin_lock(&target->d_lock);
}

static void move_unlock(struct dentry *dentry, struct dentry *target, struct dentry *from,
			struct dentry *to) __no_lock_analysis
{
	spin_unlock(&target->d_lock);
	spin_unlock(&dentry->d_lock);
	if (from != dentry && from != to)
		spin_unlock(&from->d_lock);
	spin_unlock(&to->d_lock);
}

static void set_parent(struct dentry *dentry, struct dentry *parent)
{
	hlist_del_init(&dentry->d_sib);
	hlist_add_head(&dentry->d_sib, &parent->d_children);
	rcu_assign_pointer(dentry->d_parent, parent);
}

struct dentry *__d_move(struct dentry *dentry, struct dentry *target) __no_lock_analysis
{
	struct dentry *from = dentry->d_parent, *to = target->d_parent;

	move_lock(dentry, target);
	__d_drop(dentry);
	__d_drop(target);
	write_seqcount_begin(&dentry->d_seq);
	write_seqcount_begin(&target->d_seq);
	dname_copy(dentry, target);
	if (from != to) {
		set_parent(dentry, to);
		WRITE_ONCE(to->d_lockref.count, lockref_read(&to->d_lockref) + 1);
	}
	d_flags_clear(dentry, DCACHE_DISCONNECTED);
	__d_rehash(dentry);
	write_seqcount_end(&target->d_seq);
	write_seqcount_end(&dentry->d_seq);
	move_unlock(dentry, target, from, to);
	return from != dentry && from != to ? from : NULL;
}

void d_move(struct dentry *dentry, struct dentry *target)
{
	struct dcache *dc = dentry_cache(dentry);
	struct dentry *left;

	write_seqlock(&dc->rename_lock);
	left = __d_move(dentry, target);
	write_sequnlock(&dc->rename_lock);
	dput(left);
}

void d_exchange(struct dentry *dentry1, struct dentry *dentry2) __no_lock_analysis
{
	struct dcache *dc = dentry_cache(dentry1);
	struct dentry *parent1, *parent2;

	write_seqlock(&dc->rename_lock);
	parent1 = dentry1->d_parent;
	parent2 = dentry2->d_parent;
	move_lock(dentry1, dentry2);
	__d_drop(dentry1);
	__d_drop(dentry2);
	write_seqcount_begin(&dentry1->d_seq);
	write_seqcount_begin(&dentry2->d_seq);
	dname_swap(dentry1, dentry2);
	if (parent1 != parent2) { // each has as many children as before
		set_parent(dentry1, parent2);
		set_parent(dentry2, parent1);
	}
	__d_rehash(dentry1);
	__d_rehash(dentry2);
	write_seqcount_end(&dentry2->d_seq);
	write_seqcount_end(&dentry1->d_seq);
	move_unlock(dentry1, dentry2, parent1, parent2);
	write_sequnlock(&dc->rename_lock);
}

void d_rehash(struct dentry *dentry)
{
	spin_lock(&dentry->d_lock);
	__d_rehash(dentry);
	spin_unlock(&dentry->d_lock);
}
