// The walk in its most common form, in one piece: from the root or the current directory, lock-free, over
// directories that are in the cache and that everybody may search, to a name that is in the cache too.
// Whatever else it meets it leaves, with the walk's state whole, to the general loop (link_path_walk), which
// takes the same steps.
#pragma once

#include "vfs/fs.h"
#include "vfs/namei_internal.h"

static inline void path_load(struct path *out, const struct path *from)
{
	out->mnt = rcu_dereference(from->mnt);
	out->dentry = rcu_dereference(from->dentry);
}

// Everybody may search it, and no list says otherwise.
static __always_inline bool may_lookup_all(const struct inode *inode)
{
	return READ_ONCE(inode->i_opflags) & IOP_FASTPERM && (READ_ONCE(inode->i_mode) & 0111) == 0111 &&
	       !READ_ONCE(inode->i_acl);
}

// Starts at the task's root or current directory, lock-free.
static __always_inline void start_rcu(struct nameidata *nd, unsigned flags, bool at_root)
{
	struct fs_struct *fs = current_fs();
	const struct path *from = at_root ? &fs->root : &fs->pwd;
	struct path path;
	unsigned seq;

	rcu_read_lock();
	nd->flags = flags;
	nd->state = ND_JUMPED;
	nd->m_seq = read_seqbegin(&nd->vfs->mounts.mount_lock);
	do {
		seq = read_seqcount_begin(&fs->seq);
		path_load(&path, from);
		nd->inode = rcu_dereference(path.dentry->d_inode);
		nd->seq = read_seqcount_begin(&path.dentry->d_seq);
	} while (read_seqcount_retry(&fs->seq, seq));
	nd->path = path;
	if (at_root) {
		nd->root = path;
		nd->root_seq = nd->seq;
	}
}

// Down over directories that are in the cache, as long as nothing is special: the same steps as in
// link_path_walk(), with the state in registers. Returns the name from the first component on that it leaves
// to that loop; NULL: it came to the last component, which is in nd->last.
static __always_inline const char *walk_down_rcu(struct nameidata *nd, const char *name)
{
	const u32 special = DCACHE_ENTRY_TYPE | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT |
			    DCACHE_OP_REVALIDATE | DCACHE_OP_HASH | DCACHE_OP_COMPARE;
	const struct dcache *dc = &nd->vfs->dcache;
	struct path path = nd->path, next = path;
	struct inode *inode = nd->inode, *next_inode;
	unsigned seq = nd->seq, next_seq;
	const char *rest;
	struct qstr last;
	u64 words[2];
	u32 flags;

	if (unlikely(READ_ONCE(path.dentry->d_flags) & (DCACHE_OP_HASH | DCACHE_OP_COMPARE)))
		return name;
	for (;;) {
		if (unlikely(!may_lookup_all(inode)) || unlikely(name[0] == '.'))
			break;
		last.hash_len = hash_name_words(path.dentry, name, words);
		last.name = name;
		rest = name + last.len;
		if (!*rest) {
			nd->last = last;
			nd->last_words[0] = words[0];
			nd->last_words[1] = words[1];
			nd->last_type = LAST_NORM;
			nd->state &= ~ND_JUMPED;
			nd->dir_uid = READ_ONCE(inode->i_uid);
			nd->dir_mode = READ_ONCE(inode->i_mode);
			nd->flags &= ~LOOKUP_PARENT;
			name = NULL;
			break;
		}
		while (*++rest == '/')
			;
		if (unlikely(!*rest))
			break;
		next.dentry = __d_lookup_rcu_plain(dc, path.dentry, &last, words, &next_seq);
		if (unlikely(!next.dentry) || read_seqcount_retry(&path.dentry->d_seq, seq))
			break;
		flags = READ_ONCE(next.dentry->d_flags);
		if (unlikely((flags & special) != DCACHE_DIRECTORY_TYPE))
			break;
		if (unlikely(flags & DCACHE_MOUNTED)) {
			nd->next_seq = next_seq;
			if (!__follow_mount_rcu(nd, &next) ||
			    (READ_ONCE(next.dentry->d_flags) & special) != DCACHE_DIRECTORY_TYPE)
				break;
			next_seq = nd->next_seq;
		}
		next_inode = rcu_dereference(next.dentry->d_inode);
		// Before anything is read from that inode: it was the dentry's, and a directory.
		if (read_seqcount_retry(&next.dentry->d_seq, next_seq))
			break;
		path = next;
		inode = next_inode;
		seq = next_seq;
		name = rest;
	}
	nd->path = path;
	nd->inode = inode;
	nd->seq = seq;
	return name;
}

// The last component, which walk_down_rcu() has left in nd->last. 0: nd stands on it; -ENOENT; 1: to be done
// in general.
static __always_inline int walk_last_rcu(struct nameidata *nd)
{
	const u32 special =
		DCACHE_MOUNTED | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_REVALIDATE;
	struct dentry *parent = nd->path.dentry, *dentry;
	struct inode *inode;
	unsigned seq;
	u32 flags;

	dentry = __d_lookup_rcu_plain(&nd->vfs->dcache, parent, &nd->last, nd->last_words, &seq);
	if (unlikely(!dentry) || read_seqcount_retry(&parent->d_seq, nd->seq))
		return 1;
	flags = READ_ONCE(dentry->d_flags);
	inode = rcu_dereference(dentry->d_inode);
	if (unlikely(flags & special || (flags & DCACHE_ENTRY_TYPE) == DCACHE_SYMLINK_TYPE) ||
	    read_seqcount_retry(&dentry->d_seq, seq))
		return 1;
	if (unlikely(!inode)) {
		d_mark_used(dentry);
		return -ENOENT;
	}
	nd->path.dentry = dentry;
	nd->inode = inode;
	nd->seq = seq;
	return 0;
}
