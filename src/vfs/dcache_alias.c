// Names and inodes joined: instantiating dentries, and the aliases of an inode.
//
// An inode knows its dentries (i_dentry, under i_lock); a directory has one at most that is connected. A file
// system that finds a directory by lookup which is known under another name already gets that dentry moved
// here (d_splice_alias).

#include "vfs/dcache_internal.h"

#include "base/log.h"

static u32 d_flags_for_inode(const struct inode *inode)
{
	switch (READ_ONCE(inode->i_mode) & S_IFMT) {
	case S_IFDIR:
		return inode->i_op->lookup ? DCACHE_DIRECTORY_TYPE : DCACHE_AUTODIR_TYPE;
	case S_IFLNK:
		return DCACHE_SYMLINK_TYPE;
	case S_IFREG:
		return DCACHE_REGULAR_TYPE;
	default:
		return DCACHE_SPECIAL_TYPE;
	}
}

// i_lock and d_lock held; the inode's reference passes to the dentry.
static void __d_instantiate(struct dentry *dentry, struct inode *inode)
{
	u32 type = d_flags_for_inode(inode);

	hlist_add_head(&dentry->d_alias, &inode->i_dentry);
	write_seqcount_begin(&dentry->d_seq);
	rcu_assign_pointer(dentry->d_inode, inode);
	d_flags_set(dentry, type);
	write_seqcount_end(&dentry->d_seq);
}

// Makes a negative dentry positive; eats the inode's reference.
void d_instantiate(struct dentry *dentry, struct inode *inode)
{
	if (!inode)
		return;
	BUG_ON(d_inode(dentry));
	spin_lock(&inode->i_lock);
	spin_lock(&dentry->d_lock);
	__d_instantiate(dentry, inode);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&inode->i_lock);
}

// i_lock held when there is an inode; given up.
static void __d_add(struct dentry *dentry, struct inode *inode) __no_lock_analysis
{
	spin_lock(&dentry->d_lock);
	if (inode)
		__d_instantiate(dentry, inode);
	__d_rehash(dentry);
	spin_unlock(&dentry->d_lock);
	if (inode)
		spin_unlock(&inode->i_lock);
	d_lookup_done(dentry);
}

void d_add(struct dentry *dentry, struct inode *inode) __no_lock_analysis
{
	if (inode)
		spin_lock(&inode->i_lock);
	__d_add(dentry, inode);
}

int d_make_root(struct inode *root_inode, struct dentry **out)
{
	static const char slash[] = "/";
	struct qstr name = {.hash_len = hashlen_create(0, 1), .name = slash};
	int err = __d_alloc(root_inode->i_sb, &name, out);

	if (err) {
		iput(root_inode);
		return err;
	}
	d_instantiate(*out, root_inode);
	return 0;
}

// i_lock held. What is on the list is not dead: killing takes it off under i_lock.
static struct dentry *__d_find_any_alias(struct inode *inode)
{
	struct dentry *alias;

	if (hlist_empty(&inode->i_dentry))
		return NULL;
	alias = hlist_entry(inode->i_dentry.first, struct dentry, d_alias);
	lockref_get(&alias->d_lockref);
	return alias;
}

struct dentry *d_find_alias(struct inode *inode)
{
	struct dentry *found = NULL, *alias;

	spin_lock(&inode->i_lock);
	if (S_ISDIR(READ_ONCE(inode->i_mode))) {
		found = __d_find_any_alias(inode);
	} else {
		hlist_for_each_entry (alias, &inode->i_dentry, d_alias) {
			if (d_unhashed(alias))
				continue;
			lockref_get(&alias->d_lockref);
			found = alias;
			break;
		}
	}
	spin_unlock(&inode->i_lock);
	return found;
}

int d_obtain_alias(struct inode *inode, struct dentry **out)
{
	struct qstr name = {.hash_len = hashlen_create(0, 1), .name = "/"};
	struct dentry *dentry, *alias;
	int err;

	*out = d_find_alias(inode);
	if (*out) {
		iput(inode);
		return 0;
	}
	err = __d_alloc(inode->i_sb, &name, &dentry);
	if (err) {
		iput(inode);
		return err;
	}
	d_flags_set(dentry, DCACHE_DISCONNECTED);
	spin_lock(&inode->i_lock);
	alias = __d_find_any_alias(inode);
	if (alias) {
		spin_unlock(&inode->i_lock);
		dput(dentry);
		iput(inode);
		*out = alias;
		return 0;
	}
	spin_lock(&dentry->d_lock);
	__d_instantiate(dentry, inode);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&inode->i_lock);
	*out = dentry;
	return 0;
}

// Moves the connected alias of a directory to where lookup has found it now. rename_lock held. *left: for
// dput().
static int d_unalias(struct dentry *dentry, struct dentry *alias, struct dentry **left) __no_lock_analysis
{
	struct inode *old_dir;

	struct mutex *rename_mutex = &dentry->d_sb->s_vfs_rename_mutex;

	if (alias->d_parent == dentry->d_parent) {
		*left = __d_move(alias, dentry);
		return 0;
	}
	// A rename that has one of these locks may want the other.
	if (!mutex_trylock(rename_mutex))
		return -ESTALE;
	old_dir = d_inode(alias->d_parent);
	if (!down_read_trylock(&old_dir->i_rwsem)) {
		mutex_unlock(rename_mutex);
		return -ESTALE;
	}
	*left = __d_move(alias, dentry);
	up_read(&old_dir->i_rwsem);
	mutex_unlock(rename_mutex);
	return 0;
}

static int d_splice_moved(struct inode *inode, struct dentry *dentry, struct dentry *alias,
			  struct dentry **out)
{
	struct dcache *dc = dentry_cache(dentry);
	struct dentry *left = NULL;
	int err = 0;

	write_seqlock(&dc->rename_lock);
	if (unlikely(alias == dentry->d_parent || d_ancestor(alias, dentry))) {
		err = -ELOOP;
	} else if (IS_ROOT(alias)) {
		if (alias == alias->d_sb->s_root)
			err = -ELOOP;
		else
			left = __d_move(alias, dentry);
	} else {
		err = d_unalias(dentry, alias, &left);
	}
	write_sequnlock(&dc->rename_lock);
	if (err == -ELOOP)
		pr_warn_ratelimited(dentry->d_sb->s_machine,
				    "%s: directory %lu found in itself, below name '%s'", dentry->d_sb->s_id,
				    (unsigned long)inode->i_ino, dentry->d_name.name);
	dput(left);
	iput(inode);
	if (err) {
		dput(alias);
		return err;
	}
	d_lookup_done(dentry);
	*out = alias;
	return 0;
}

int d_splice_alias(struct inode *inode, struct dentry *dentry, struct dentry **out) __no_lock_analysis
{
	struct dentry *alias;

	*out = NULL;
	if (inode) {
		spin_lock(&inode->i_lock);
		if (S_ISDIR(READ_ONCE(inode->i_mode))) {
			alias = __d_find_any_alias(inode);
			if (unlikely(alias)) {
				spin_unlock(&inode->i_lock);
				return d_splice_moved(inode, dentry, alias, out);
			}
		}
	}
	__d_add(dentry, inode);
	return 0;
}

// The name's file was removed: a dentry that only the caller uses becomes negative, any other is unhashed.
void d_delete(struct dentry *dentry) __no_lock_analysis
{
	struct inode *inode = d_inode(dentry);

	spin_lock(&inode->i_lock);
	spin_lock(&dentry->d_lock);
	if (lockref_read(&dentry->d_lockref) == 1) {
		d_flags_clear(dentry, DCACHE_CANT_MOUNT);
		dentry_unlink_inode(dentry);
		return;
	}
	__d_drop(dentry);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&inode->i_lock);
}

void d_tmpfile(struct dentry *dentry, struct inode *inode)
{
	drop_nlink(inode);
	d_instantiate(dentry, inode);
}

void d_invalidate(struct dentry *dentry)
{
	d_drop(dentry);
	shrink_dcache_sb(dentry->d_sb);
}
