// Looking a name up in the file system: once, however many threads want it at the same time.
//
// The first to come puts its new dentry into a small table of names being looked up (DCACHE_PAR_LOOKUP) and
// asks the file system; others find it there, wait on the bucket, and take what came of it. The bucket's lock
// makes "not being looked up" and "not in the hash" one observation: a dentry enters the hash before it
// leaves this table. The directory's i_rwsem is held (shared or exclusive) by all, so that names do not come
// and go in other ways.

#include "vfs/dcache_internal.h"

static struct in_lookup_bucket *in_lookup_bucket(struct dcache *dc, u32 hash)
{
	return &dc->in_lookup[(hash * 0x9e3779b97f4a7c15ull) >> (64 - ilog2(IN_LOOKUP_BUCKETS))];
}

// Ends the lookup that d_alloc_parallel() gave to this thread; harmless when it has ended.
void d_lookup_done(struct dentry *dentry)
{
	struct in_lookup_bucket *b;

	if (!d_in_lookup(dentry))
		return;
	b = dentry->d_wait;
	spin_lock(&b->lock);
	hlist_del(&dentry->d_in_lookup_hash);
	dentry->d_wait = NULL;
	INIT_LIST_HEAD(&dentry->d_lru);
	__atomic_fetch_and(&dentry->d_flags, ~DCACHE_PAR_LOOKUP, __ATOMIC_RELEASE);
	spin_unlock(&b->lock);
	if (wq_has_sleeper(&b->wait))
		wake_up_all(&b->wait);
}

// The bucket's lock held. Referenced, or NULL.
static struct dentry *in_lookup_find(struct in_lookup_bucket *b, const struct dentry *parent,
				     const struct qstr *name)
{
	struct dentry *dentry;

	hlist_for_each_entry (dentry, &b->head, d_in_lookup_hash) {
		if (d_same_name(dentry, parent, name)) {
			// Its looker holds a reference until it has left the table.
			lockref_get(&dentry->d_lockref);
			return dentry;
		}
	}
	return NULL;
}

static bool still_there(struct dentry *dentry, const struct dentry *parent, const struct qstr *name)
{
	bool ok;

	spin_lock(&dentry->d_lock);
	ok = !d_unhashed(dentry) && d_same_name(dentry, parent, name);
	spin_unlock(&dentry->d_lock);
	return ok;
}

int d_alloc_parallel(struct dentry *parent, const struct qstr *name, struct dentry **out)
{
	struct dcache *dc = dentry_cache(parent);
	struct in_lookup_bucket *b = in_lookup_bucket(dc, name->hash);
	struct dentry *fresh, *found;
	int err = d_alloc(parent, name, &fresh);

	if (err)
		return err;
	for (;;) {
		spin_lock(&b->lock);
		found = in_lookup_find(b, parent, name);
		if (!found) {
			found = d_lookup(parent, name);
			if (found) {
				spin_unlock(&b->lock);
				break;
			}
			fresh->d_wait = b;
			d_flags_set(fresh, DCACHE_PAR_LOOKUP);
			hlist_add_head(&fresh->d_in_lookup_hash, &b->head);
			spin_unlock(&b->lock);
			*out = fresh;
			return 0;
		}
		spin_unlock(&b->lock);
		wait_event(b->wait, !(smp_load_acquire(&found->d_flags) & DCACHE_PAR_LOOKUP));
		if (still_there(found, parent, name))
			break;
		dput(found); // that lookup failed: one of those who waited tries again
	}
	dput(fresh);
	*out = found;
	return 0;
}
