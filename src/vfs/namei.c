// Whole walks from a name to a place: with references (user_path_at), to the parent of what is to be made or
// removed, and with a lock-free end (lookup_then). Each tries lock-free first, then with references.

#include "vfs/namei_fast.h"

#include <errno.h>
#include <string.h>

static bool name_too_long(const char *name)
{
	return strnlen(name, PATH_MAX_) == PATH_MAX_;
}

static __always_inline int check_name_start(const char *name, unsigned flags)
{
	if (unlikely(!name))
		return -EFAULT;
	return likely(*name) || flags & LOOKUP_EMPTY ? 0 : -ENOENT;
}

// What every name must be before it is walked. The whole text is looked at, as the kernel does by copying it.
int check_name(const char *name, unsigned flags)
{
	int err = check_name_start(name, flags);

	return !err && unlikely(name_too_long(name)) ? -ENAMETOOLONG : err;
}

// From `text` on, symlinks at the end followed.
static int walk_rest(struct nameidata *nd, const char *text)
{
	int err;

	for (;;) {
		err = link_path_walk(text, nd);
		if (err)
			return err;
		// "name/" must be a directory, and a symlink there is followed.
		if (nd->last_type == LAST_NORM && nd->last.name[nd->last.len])
			nd->flags |= LOOKUP_FOLLOW | LOOKUP_DIRECTORY;
		err = walk_component(nd, WALK_TRAILING, &text);
		if (err || !text)
			return err;
	}
}

// The whole walk: afterwards nd stands on the result, in either mode.
static int walk_to_end(struct nameidata *nd, unsigned flags)
{
	const char *text;
	int err;

	if (unlikely(name_too_long(nd->name)))
		return -ENAMETOOLONG;
	err = path_init(nd, flags, &text);
	return err ? err : walk_rest(nd, text);
}

// On success *path is referenced.
int path_lookupat(struct nameidata *nd, unsigned flags, struct path *path)
{
	int err = walk_to_end(nd, flags);

	if (!err)
		err = complete_walk(nd);
	if (!err && nd->flags & LOOKUP_DIRECTORY && !d_can_lookup(nd->path.dentry))
		err = -ENOTDIR;
	if (!err) {
		*path = nd->path;
		nd->path = (struct path){0};
	}
	terminate_walk(nd);
	return err;
}

static int filename_lookup(int dfd, const char *name, unsigned flags, const struct path *root,
			   struct path *path)
{
	struct nameidata nd;
	int err = check_name(name, flags);

	if (err)
		return err;
	for (unsigned mode = LOOKUP_RCU;; mode = 0) {
		nd_set(&nd, dfd, name);
		if (root) {
			nd.root = *root;
			nd.state = ND_ROOT_PRESET;
		}
		err = path_lookupat(&nd, flags | mode, path);
		if (err != -ECHILD || !mode)
			return err;
	}
}

int user_path_at(int dfd, const char *name, unsigned lookup_flags, struct path *out)
{
	return filename_lookup(dfd, name, lookup_flags, NULL, out);
}

int vfs_path_lookup(const struct path *root, const char *name, unsigned lookup_flags, struct path *out)
{
	return filename_lookup(AT_FDCWD, name, lookup_flags, root, out);
}

int lookup_one_unlocked(struct dentry *base, const char *name, size_t len, struct dentry **out)
{
	struct qstr this = {.name = name, .len = (u32)len};
	struct inode *dir = d_inode(base);
	int err;

	if (!len || memchr(name, '/', len) || (len <= 2 && !memcmp(name, "..", len)))
		return -EACCES;
	err = inode_permission(NULL, dir, MAY_EXEC);
	if (err)
		return err;
	d_hash_name(base, &this);
	if (READ_ONCE(base->d_flags) & DCACHE_OP_HASH) {
		err = base->d_op->d_hash(base, &this);
		if (err)
			return err;
	}
	inode_lock_shared(dir);
	err = lookup_in_dir(&this, base, 0, out);
	inode_unlock_shared(dir);
	return err;
}

int filename_parentat(struct nameidata *nd, int dfd, const char *name, unsigned flags, struct path *path)
{
	int err = check_name(name, 0);

	if (err)
		return err;
	for (unsigned mode = LOOKUP_RCU;; mode = 0) {
		const char *text;

		nd_set(nd, dfd, name);
		err = path_init(nd, flags | mode, &text);
		if (!err)
			err = link_path_walk(text, nd);
		if (!err)
			err = complete_walk(nd);
		if (!err) {
			*path = nd->path;
			nd->path = (struct path){0};
		}
		terminate_walk(nd);
		if (err != -ECHILD || !mode)
			return err;
	}
}

// Does what `end` did lock-free on a dentry count? The world is to be the same after it.
static __always_inline bool end_counts(const struct vfs_machine *vfs, struct dentry *dentry, unsigned seq,
				       unsigned m_seq)
{
	if (read_seqcount_retry(&dentry->d_seq, seq) || read_seqretry(&vfs->mounts.mount_lock, m_seq))
		return false;
	d_mark_used(dentry);
	return true;
}

static int end_lock_free(struct nameidata *nd, walk_end_fn end, void *arg)
{
	struct dentry *dentry = nd->path.dentry;
	int err;

	if (nd->flags & LOOKUP_DIRECTORY && !d_can_lookup(dentry))
		return -ECHILD; // the counted walk says what it is
	err = end(&nd->path, nd->inode, true, arg);
	return end_counts(nd->vfs, dentry, nd->seq, nd->m_seq) ? err : -ECHILD;
}

static int end_referenced(struct nameidata *nd, walk_end_fn end, void *arg)
{
	int err = complete_walk(nd);

	if (!err && nd->flags & LOOKUP_DIRECTORY && !d_can_lookup(nd->path.dentry))
		err = -ENOTDIR;
	if (!err)
		err = end(&nd->path, nd->inode, false, arg);
	return err;
}

static noinline int lookup_then_general(int dfd, const char *name, unsigned lookup_flags, walk_end_fn end,
					void *arg)
{
	struct nameidata nd;
	int err;

	for (unsigned mode = LOOKUP_RCU;; mode = 0) {
		nd_set(&nd, dfd, name);
		err = walk_to_end(&nd, lookup_flags | mode);
		if (!err) {
			err = -ECHILD;
			if ((nd.flags & (LOOKUP_RCU | LOOKUP_IS_SCOPED)) == LOOKUP_RCU)
				err = end_lock_free(&nd, end, arg);
			if (err == -ECHILD)
				err = end_referenced(&nd, end, arg);
		}
		terminate_walk(&nd);
		if (err != -ECHILD || !mode)
			return err;
	}
}

int lookup_then(int dfd, const char *name, unsigned lookup_flags, walk_end_fn end, void *arg)
{
	struct fast_walk w;
	int err = check_name_start(name, lookup_flags);

	if (unlikely(err))
		return err;
	err = fast_walk(&w, dfd, name, lookup_flags);
	if (likely(err <= 0)) {
		if (likely(!err)) {
			const struct path path = {.mnt = w.mnt, .dentry = w.dentry};

			err = end(&path, w.inode, true, arg);
			if (unlikely(!end_counts(w.vfs, w.dentry, w.seq, w.m_seq)))
				err = -ECHILD;
		}
		rcu_read_unlock();
		if (likely(err != -ECHILD))
			return err;
	}
	return lookup_then_general(dfd, name, lookup_flags, end, arg);
}
