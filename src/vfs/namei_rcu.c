// Between the two modes of the walk: from lock-free to referenced, and the end of either.
//
// Taking references: first the mount (checked against mount_lock's sequence), then the dentry unless it is
// dead, then its d_seq must be what it was when the walk came by. What was taken before something failed
// stays in nd for terminate_walk() to put, outside the read section.

#include "vfs/namei_internal.h"

#include <errno.h>

static void do_delayed_call(struct delayed_call *call)
{
	if (call->fn)
		call->fn(call->arg);
	call->fn = NULL;
}

static void drop_links(struct nameidata *nd)
{
	for (unsigned i = nd->depth; i--;)
		do_delayed_call(&nd->stack[i].done);
}

void put_link(struct nameidata *nd)
{
	struct saved_link *last = &nd->stack[--nd->depth];

	do_delayed_call(&last->done);
	if (!(nd->flags & LOOKUP_RCU))
		path_put(&last->link);
}

void terminate_walk(struct nameidata *nd)
{
	drop_links(nd);
	if (nd->flags & LOOKUP_RCU) {
		leave_rcu(nd);
	} else {
		path_put(&nd->path);
		for (unsigned i = 0; i < nd->depth; i++)
			path_put(&nd->stack[i].link);
		if (nd->state & ND_ROOT_GRABBED) {
			path_put(&nd->root);
			nd->state &= ~ND_ROOT_GRABBED;
		}
	}
	nd->depth = 0;
	nd->path = (struct path){0};
}

// In the read section. False: path holds what has to be put.
bool __legitimize_path(struct path *path, unsigned seq, unsigned mseq)
{
	int res = __legitimize_mnt(path->mnt, mseq);

	if (unlikely(res)) {
		if (res > 0)
			path->mnt = NULL;
		path->dentry = NULL;
		return false;
	}
	if (unlikely(!lockref_get_not_dead(&path->dentry->d_lockref))) {
		path->dentry = NULL;
		return false;
	}
	return !read_seqcount_retry(&path->dentry->d_seq, seq);
}

static bool legitimize_links(struct nameidata *nd)
{
	if (unlikely(nd->flags & LOOKUP_CACHED)) {
		drop_links(nd);
		nd->depth = 0;
		return false;
	}
	for (unsigned i = 0; i < nd->depth; i++) {
		struct saved_link *last = &nd->stack[i];

		if (unlikely(!__legitimize_path(&last->link, last->seq, nd->m_seq))) {
			drop_links(nd);
			nd->depth = i + 1;
			return false;
		}
	}
	return true;
}

static bool legitimize_root(struct nameidata *nd)
{
	if (!nd->root.mnt || nd->state & ND_ROOT_PRESET)
		return true;
	nd->state |= ND_ROOT_GRABBED;
	return __legitimize_path(&nd->root, nd->root_seq, nd->m_seq);
}

// From lock-free to referenced where it stands. False: the walk has ended (-ECHILD); the read section too.
bool try_to_unlazy(struct nameidata *nd)
{
	if (unlikely(!legitimize_links(nd)))
		nd->path = (struct path){0};
	else if (likely(__legitimize_path(&nd->path, nd->seq, nd->m_seq)) && likely(legitimize_root(nd))) {
		leave_rcu(nd);
		return true;
	}
	leave_rcu(nd);
	return false;
}

// The same, and a reference to `dentry`, which was found below it with d_seq next_seq.
bool try_to_unlazy_next(struct nameidata *nd, struct dentry *dentry)
{
	unsigned next_seq = nd->next_seq;
	int res;

	if (unlikely(!legitimize_links(nd)))
		goto nothing;
	res = __legitimize_mnt(nd->path.mnt, nd->m_seq);
	if (unlikely(res)) {
		if (res > 0)
			nd->path.mnt = NULL;
		nd->path.dentry = NULL;
		goto failed;
	}
	if (unlikely(!lockref_get_not_dead(&nd->path.dentry->d_lockref))) {
		nd->path.dentry = NULL;
		goto failed;
	}
	// The child: that it is not dead and its d_seq is the same says that its parent has not changed
	// either.
	if (unlikely(!lockref_get_not_dead(&dentry->d_lockref)))
		goto failed;
	if (unlikely(read_seqcount_retry(&dentry->d_seq, next_seq)) || unlikely(!legitimize_root(nd))) {
		leave_rcu(nd);
		dput(dentry);
		return false;
	}
	leave_rcu(nd);
	return true;
nothing:
	nd->path = (struct path){0};
failed:
	leave_rcu(nd);
	return false;
}

static bool path_is_under(const struct path *path, const struct path *root)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct mount *mnt;
	struct dentry *dentry = path->dentry;
	bool res;

	read_seqlock_excl(&mm->mount_lock);
	for (mnt = real_mount(path->mnt); &mnt->mnt != root->mnt && mnt_has_parent(mnt);
	     mnt = mnt->mnt_parent)
		dentry = mnt->mnt_mountpoint;
	res = &mnt->mnt == root->mnt && is_subdir(dentry, root->dentry);
	read_sequnlock_excl(&mm->mount_lock);
	return res;
}

// The walk is done: what it stands on is referenced from here on. -ECHILD; -EXDEV: not below the root that it
// was bound to.
int complete_walk(struct nameidata *nd)
{
	if (nd->flags & LOOKUP_RCU) {
		// A root that is only for ".." is of no use any more.
		if (!(nd->state & ND_ROOT_PRESET) && !(nd->flags & LOOKUP_IS_SCOPED))
			nd->root.mnt = NULL;
		nd->flags &= ~LOOKUP_CACHED;
		if (!try_to_unlazy(nd))
			return -ECHILD;
	}
	if (unlikely(nd->flags & LOOKUP_IS_SCOPED) && unlikely(!path_is_under(&nd->path, &nd->root)))
		return -EXDEV;
	return 0;
}
