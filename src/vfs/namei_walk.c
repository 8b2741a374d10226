// The walk itself, component by component: this is the hottest code of the library.
//
// For each component: permission to search the directory, hash of the name, "." and "..", then the cache
// without locks (lookup_fast) and, when that does not know the name, the file system (lookup_slow); then what
// is mounted there, and symlinks (step_into). Lock-free, a component costs reads only: of the directory's
// inode, of the hash chain, of the child.
//
// A function that sets *text found a symlink: its text is to be walked before what follows.

#include "vfs/namei_fast.h"

#include <errno.h>

// May the directory in hand be searched?
static __always_inline int may_lookup(struct nameidata *nd)
{
	struct inode *inode = nd->inode;
	int err;

	if (likely(may_lookup_all(inode)))
		return 0;
	if (nd->flags & LOOKUP_RCU) {
		err = inode_permission(mnt_idmap(nd->path.mnt), inode, MAY_EXEC | MAY_NOT_BLOCK);
		if (!err)
			return 0;
		if (!try_to_unlazy(nd))
			return -ECHILD;
		if (err != -ECHILD)
			return err;
	}
	return inode_permission(mnt_idmap(nd->path.mnt), inode, MAY_EXEC);
}

// The dentry of nd->last from the cache alone; *out NULL: it is not there (and the walk has references).
// Lock-free, its d_seq goes to next_seq; else it is referenced.
static __always_inline int __lookup_fast(struct nameidata *nd, struct dentry **out)
{
	struct dentry *parent = nd->path.dentry, *dentry;
	int status;

	if (likely(nd->flags & LOOKUP_RCU)) {
		dentry = __d_lookup_rcu(&nd->vfs->dcache, parent, &nd->last, nd->last_words, &nd->next_seq);
		if (unlikely(!dentry)) {
			*out = NULL;
			return try_to_unlazy(nd) ? 0 : -ECHILD;
		}
		// The child was the parent's while the parent was what we take it for.
		if (read_seqcount_retry(&parent->d_seq, nd->seq))
			return -ECHILD;
		*out = dentry;
		status = d_revalidate(dentry, nd->flags);
		if (likely(status > 0))
			return 0;
		if (!try_to_unlazy_next(nd, dentry))
			return -ECHILD;
		if (status == -ECHILD)
			status = d_revalidate(dentry, nd->flags);
	} else {
		dentry = d_lookup(parent, &nd->last);
		*out = dentry;
		if (!dentry)
			return 0;
		status = d_revalidate(dentry, nd->flags);
	}
	if (likely(status > 0))
		return 0;
	if (!status)
		d_invalidate(dentry);
	dput(dentry);
	*out = NULL;
	return status;
}

int lookup_fast(struct nameidata *nd, struct dentry **out)
{
	return __lookup_fast(nd, out);
}

// The name through the cache and, when it is not there, the file system; once for all who want it at the same
// time. The directory's i_rwsem is held. *out is referenced and may be negative.
int lookup_in_dir(const struct qstr *name, struct dentry *dir, unsigned flags, struct dentry **out)
{
	struct inode *inode = d_inode(dir);
	struct dentry *dentry, *other = NULL;
	int err;

	if (unlikely(READ_ONCE(inode->i_flags) & S_DEAD))
		return -ENOENT;
	for (;;) {
		err = d_alloc_parallel(dir, name, &dentry);
		if (err)
			return err;
		if (d_in_lookup(dentry))
			break;
		err = d_revalidate(dentry, flags);
		if (likely(err > 0)) {
			*out = dentry;
			return 0;
		}
		if (!err)
			d_invalidate(dentry);
		dput(dentry);
		if (err)
			return err;
	}
	err = inode->i_op->lookup(inode, dentry, flags, &other);
	d_lookup_done(dentry);
	if (unlikely(err)) {
		dput(dentry);
		return err;
	}
	if (unlikely(other)) {
		dput(dentry);
		dentry = other;
	}
	*out = dentry;
	return 0;
}

static noinline int lookup_slow(struct nameidata *nd, struct dentry **out)
{
	struct inode *inode = d_inode(nd->path.dentry);
	int err;

	cache_throttle(current->machine);
	inode_lock_shared(inode);
	err = lookup_in_dir(&nd->last, nd->path.dentry, nd->flags, out);
	inode_unlock_shared(inode);
	return err;
}

// From a dentry just found to where it leads, over mounts. Lock-free: path follows next_seq. Else
// path->dentry is referenced, and path->mnt if it is not nd->path.mnt; after an error nothing is.
static __always_inline int __handle_mounts(struct nameidata *nd, struct dentry *dentry, struct path *path)
{
	int err;

	path->mnt = nd->path.mnt;
	path->dentry = dentry;
	if (likely(nd->flags & LOOKUP_RCU)) {
		unsigned seq = nd->next_seq;
		u32 special = DCACHE_MOUNTED | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT;

		if (likely(!(READ_ONCE(dentry->d_flags) & special)) || likely(follow_mount_rcu(nd, path)))
			return 0;
		*path = (struct path){.mnt = nd->path.mnt, .dentry = dentry};
		nd->next_seq = seq;
		if (!try_to_unlazy_next(nd, dentry))
			return -ECHILD;
	}
	err = traverse_mounts(nd, path);
	if (unlikely(err)) {
		dput(path->dentry);
		if (path->mnt != nd->path.mnt)
			mntput(path->mnt);
	}
	return err;
}

int handle_mounts(struct nameidata *nd, struct dentry *dentry, struct path *path)
{
	return __handle_mounts(nd, dentry, path);
}

static __always_inline int __step_into(struct nameidata *nd, unsigned flags, struct dentry *dentry,
				       const char **text)
{
	struct inode *inode;
	struct path path;
	bool symlink;
	int err = __handle_mounts(nd, dentry, &path);

	*text = NULL;
	if (unlikely(err))
		return err;
	symlink = d_entry_type(path.dentry) == DCACHE_SYMLINK_TYPE;
	inode = smp_load_acquire(&path.dentry->d_inode);
	if (likely(!symlink) || (flags & WALK_TRAILING && !(nd->flags & LOOKUP_FOLLOW)) ||
	    flags & WALK_NOFOLLOW) {
		if (likely(nd->flags & LOOKUP_RCU)) {
			if (read_seqcount_retry(&path.dentry->d_seq, nd->next_seq))
				return -ECHILD;
			if (unlikely(!inode)) {
				d_mark_used(path.dentry);
				return -ENOENT;
			}
		} else {
			dput(nd->path.dentry);
			if (nd->path.mnt != path.mnt)
				mntput(nd->path.mnt);
		}
		nd->path = path;
		nd->inode = inode;
		nd->seq = nd->next_seq;
		return 0;
	}
	if (nd->flags & LOOKUP_RCU) {
		// That it is a symlink, and which inode it has, was read from one state of the dentry.
		if (read_seqcount_retry(&path.dentry->d_seq, nd->next_seq))
			return -ECHILD;
	} else if (path.mnt == nd->path.mnt) {
		mntget(path.mnt);
	}
	return pick_link(nd, &path, inode, flags, text);
}

// Makes `dentry` (found lock-free, or referenced) where the walk stands, or its symlink the text to walk.
int step_into(struct nameidata *nd, unsigned flags, struct dentry *dentry, const char **text)
{
	return __step_into(nd, flags, dentry, text);
}

static __always_inline int __walk_component(struct nameidata *nd, unsigned flags, const char **text)
{
	struct dentry *dentry;
	int err;

	*text = NULL;
	if (unlikely(nd->last_type != LAST_NORM)) {
		if (unlikely(nd->depth) && !(flags & WALK_MORE))
			put_link(nd);
		return follow_dots(nd, nd->last_type);
	}
	err = __lookup_fast(nd, &dentry);
	if (unlikely(err))
		return err;
	if (unlikely(!dentry)) {
		err = lookup_slow(nd, &dentry);
		if (err)
			return err;
	}
	if (unlikely(nd->depth) && !(flags & WALK_MORE))
		put_link(nd);
	return __step_into(nd, flags, dentry, text);
}

int walk_component(struct nameidata *nd, unsigned flags, const char **text)
{
	return __walk_component(nd, flags, text);
}

// Takes the component at the start of `name` into nd->last.
static __always_inline int next_component(struct nameidata *nd, const char *name)
{
	struct dentry *parent = nd->path.dentry;
	u64 hash_len = hash_name_words(parent, name, nd->last_words);
	int type = LAST_NORM;

	nd->last.hash_len = hash_len;
	nd->last.name = name;
	if (unlikely(name[0] == '.')) {
		unsigned len = hashlen_len(hash_len);

		if (len == 1)
			type = LAST_DOT;
		else if (len == 2 && name[1] == '.')
			type = LAST_DOTDOT;
	}
	nd->last_type = type;
	if (likely(type == LAST_NORM)) {
		nd->state &= ~ND_JUMPED;
		if (unlikely(READ_ONCE(parent->d_flags) & DCACHE_OP_HASH))
			return parent->d_op->d_hash(parent, &nd->last);
	} else if (type == LAST_DOTDOT) {
		nd->state |= ND_JUMPED;
	}
	return 0;
}

// As far as the fast walk gets. Returns the name from which on it is to be walked in general; NULL: it came
// to the last component, which is in nd->last.
static const char *walk_down_rcu(struct nameidata *nd, const char *name)
{
	struct fast_walk w = {.vfs = nd->vfs,
			      .mnt = nd->path.mnt,
			      .dentry = nd->path.dentry,
			      .inode = nd->inode,
			      .seq = nd->seq,
			      .m_seq = nd->m_seq,
			      .name = name};
	bool at_last = fast_walk_down(&w);

	nd->path = (struct path){.mnt = w.mnt, .dentry = w.dentry};
	nd->inode = w.inode;
	nd->seq = w.seq;
	if (!at_last)
		return w.name;
	nd->last = (struct qstr){.hash_len = w.hash_len, .name = w.name};
	nd->last_words[0] = w.word0;
	nd->last_words[1] = w.word1;
	nd->last_type = LAST_NORM;
	nd->state &= ~ND_JUMPED;
	nd->dir_uid = READ_ONCE(w.inode->i_uid);
	nd->dir_mode = READ_ONCE(w.inode->i_mode);
	nd->flags &= ~LOOKUP_PARENT;
	return NULL;
}

// Walks all components but the last, which is left in nd->last; symlinks on the way are followed.
int link_path_walk(const char *name, struct nameidata *nd)
{
	unsigned depth = 0; // of texts entered here
	int err;

	nd->last_type = LAST_ROOT;
	nd->flags |= LOOKUP_PARENT;
	while (*name == '/')
		name++;
	if (!*name) {
		nd->dir_mode = 0;
		return 0;
	}
	if ((nd->flags & (LOOKUP_RCU | LOOKUP_NO_XDEV)) == LOOKUP_RCU) {
		name = walk_down_rcu(nd, name);
		if (!name)
			return 0;
	}
	for (;;) {
		const char *text;

		err = may_lookup(nd);
		if (unlikely(err))
			return err;
		err = next_component(nd, name);
		if (unlikely(err))
			return err;
		name += nd->last.len;
		while (*name == '/')
			name++;
		if (!*name) {
			if (!depth) {
				nd->dir_uid = READ_ONCE(nd->inode->i_uid);
				nd->dir_mode = READ_ONCE(nd->inode->i_mode);
				nd->flags &= ~LOOKUP_PARENT;
				return 0;
			}
			// The end of a symlink's text: back to what followed it.
			name = nd->stack[--depth].name;
			err = __walk_component(nd, 0, &text);
		} else {
			err = __walk_component(nd, WALK_MORE, &text);
		}
		if (unlikely(err))
			return err;
		if (unlikely(text)) {
			nd->stack[depth++].name = name;
			name = text;
			continue;
		}
		if (unlikely(!d_can_lookup(nd->path.dentry))) {
			if (nd->flags & LOOKUP_RCU && !try_to_unlazy(nd))
				return -ECHILD;
			return -ENOTDIR;
		}
	}
}
