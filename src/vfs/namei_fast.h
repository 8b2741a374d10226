// The walk in its most common form, in one piece: lock-free, over directories that are in the cache and that
// everybody may search, to a name that is in the cache too. Its state is small enough to stay in registers.
// Whatever else it meets it leaves to the general walk (path_init, link_path_walk, walk_component), which
// takes the same steps.
#pragma once

#include "vfs/dcache_ways.h"
#include "vfs/files_internal.h"
#include "vfs/fs.h"
#include "vfs/namei_internal.h"

// Where it stands. Everything was read under RCU and counts as long as the sequences are what they were.
struct fast_walk {
	struct vfs_machine *vfs;
	struct vfsmount *mnt;
	struct dentry *dentry;
	struct inode *inode;
	unsigned seq, m_seq; // dentry's d_seq; mount_lock's
	const char *name;    // of the component in hand
	u64 hash_len, word0, word1;
};

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

// False: nothing stands there.
static __always_inline bool fast_stand_on(struct fast_walk *w, const struct path *at)
{
	w->mnt = rcu_dereference(at->mnt);
	w->dentry = rcu_dereference(at->dentry);
	if (unlikely(!w->dentry))
		return false;
	w->inode = rcu_dereference(w->dentry->d_inode);
	w->seq = read_seqcount_begin(&w->dentry->d_seq);
	return true;
}

// At a descriptor's directory, without a reference to the file. Its memory stays a file; f_gen tells whether
// it is the one that the table held all the time.
static __always_inline bool fast_start_at_fd(struct fast_walk *w, unsigned fd)
{
	struct files_struct *files = current->task->files;
	struct file *file = files_lookup_fd_raw(files, fd);
	u32 gen;

	if (unlikely(!file))
		return false;
	gen = smp_load_acquire(&file->f_gen);
	if (unlikely(files_lookup_fd_raw(files, fd) != file))
		return false;
	if (unlikely(!fast_stand_on(w, &file->f_path)))
		return false;
	smp_rmb();
	return likely(READ_ONCE(file->f_gen) == gen) && likely(d_can_lookup(w->dentry));
}

static __always_inline bool fast_start(struct fast_walk *w, int dfd, bool at_root)
{
	struct fs_struct *fs;
	unsigned seq;

	w->m_seq = read_seqbegin(&w->vfs->mounts.mount_lock);
	if (!at_root && dfd != AT_FDCWD)
		return fast_start_at_fd(w, (unsigned)dfd);
	fs = current_fs();
	do {
		seq = read_seqcount_begin(&fs->seq);
		if (unlikely(!fast_stand_on(w, at_root ? &fs->root : &fs->pwd)))
			return false;
	} while (read_seqcount_retry(&fs->seq, seq));
	return true;
}

// The child of the component in hand. Its d_seq goes to *seq. NULL: not known, or the parent has changed.
static __always_inline struct dentry *fast_lookup(const struct fast_walk *w, unsigned *seq)
{
	const struct qstr name = {.hash_len = w->hash_len, .name = w->name};
	const u64 words[2] = {w->word0, w->word1};
	struct dentry *dentry = __d_lookup_rcu_plain(&w->vfs->dcache, w->dentry, &name, words, seq);

	return unlikely(!dentry) || read_seqcount_retry(&w->dentry->d_seq, w->seq) ? NULL : dentry;
}

#define FAST_SPECIAL                                                                                         \
	(DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_REVALIDATE | DCACHE_OP_HASH |             \
	 DCACHE_OP_COMPARE)

static __always_inline bool fast_is_plain_dir(u32 d_flags)
{
	return (d_flags & (FAST_SPECIAL | DCACHE_ENTRY_TYPE)) == DCACHE_DIRECTORY_TYPE;
}

// Down one component.
static __always_inline bool fast_step(struct fast_walk *w)
{
	struct vfsmount *mnt = w->mnt;
	struct dentry *dentry;
	struct inode *inode;
	unsigned seq;
	u32 flags;

	dentry = fast_lookup(w, &seq);
	if (unlikely(!dentry))
		return false;
	flags = READ_ONCE(dentry->d_flags);
	if (unlikely(!fast_is_plain_dir(flags)))
		return false;
	if (unlikely(flags & DCACHE_MOUNTED)) {
		struct path path = {.mnt = mnt, .dentry = dentry};
		unsigned path_seq = seq;

		if (!__follow_mount_rcu(&w->vfs->mounts, w->m_seq, &path, &path_seq) ||
		    !fast_is_plain_dir(READ_ONCE(path.dentry->d_flags)))
			return false;
		mnt = path.mnt;
		dentry = path.dentry;
		seq = path_seq;
	}
	inode = rcu_dereference(dentry->d_inode);
	// Before anything is read from that inode: it was the dentry's, and a directory.
	if (read_seqcount_retry(&dentry->d_seq, seq))
		return false;
	w->mnt = mnt;
	w->dentry = dentry;
	w->inode = inode;
	w->seq = seq;
	return true;
}

// Takes all names before the last at once, if a way is known for them. Else `key` is for way_remember() when
// the walk has come to the last name.
static __always_inline void fast_take_way(struct fast_walk *w, struct way_key *key)
{
	const struct dcache *dc = &w->vfs->dcache;
	struct inode *inode;
	struct path to;
	unsigned seq;

	key->from = w->dentry;
	key->from_mnt = w->mnt;
	key->len = 0;
	if (!way_key_take(key, dc, w->name) || !way_find(dc, key, &to))
		return;
	seq = read_seqcount_begin(&to.dentry->d_seq);
	inode = rcu_dereference(to.dentry->d_inode);
	// It may have become negative just now, and that is counted afterwards.
	if (unlikely(!inode) || unlikely(!way_is_good(dc, key)))
		return;
	w->mnt = to.mnt;
	w->dentry = to.dentry;
	w->inode = inode;
	w->seq = seq;
	w->name += key->len + 1;
	key->len = 0;
}

static __always_inline void fast_remember_way(const struct fast_walk *w, const struct way_key *key)
{
	const struct path to = {.mnt = w->mnt, .dentry = w->dentry};
	const struct way_key kept = *key;

	if (w->name == key->text + key->len + 1)
		way_remember(&kept, &to);
}

// Down over directories that are in the cache, as long as nothing is special. True: it came to the last
// component. False: the one in hand is left to the general walk.
static __always_inline bool fast_walk_down(struct fast_walk *w)
{
	struct way_key key;
	const char *rest;
	u64 words[2];

	if (unlikely(READ_ONCE(w->dentry->d_flags) & (DCACHE_OP_HASH | DCACHE_OP_COMPARE)))
		return false;
	fast_take_way(w, &key);
	for (;;) {
		if (unlikely(!may_lookup_all(w->inode)) || unlikely(*w->name == '.'))
			return false;
		w->hash_len = hash_name_words(w->dentry, w->name, words);
		w->word0 = words[0];
		w->word1 = words[1];
		rest = w->name + hashlen_len(w->hash_len);
		if (!*rest)
			break;
		while (*++rest == '/')
			;
		if (unlikely(!*rest) || !fast_step(w))
			return false;
		w->name = rest;
	}
	if (unlikely(key.len))
		fast_remember_way(w, &key);
	return true;
}

// The last component. 0: w stands on it; -ENOENT; 1: to be done in general.
static __always_inline int fast_walk_last(struct fast_walk *w, unsigned lookup_flags)
{
	struct dentry *dentry;
	struct inode *inode;
	unsigned seq;
	u32 flags;

	dentry = fast_lookup(w, &seq);
	if (unlikely(!dentry))
		return 1;
	flags = READ_ONCE(dentry->d_flags);
	inode = rcu_dereference(dentry->d_inode);
	if (unlikely(flags & (DCACHE_MOUNTED | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT |
			      DCACHE_OP_REVALIDATE)) ||
	    ((flags & DCACHE_ENTRY_TYPE) == DCACHE_SYMLINK_TYPE && lookup_flags & LOOKUP_FOLLOW) ||
	    read_seqcount_retry(&dentry->d_seq, seq))
		return 1;
	if (unlikely(!inode)) {
		d_mark_used(dentry);
		return -ENOENT;
	}
	w->dentry = dentry;
	w->inode = inode;
	w->seq = seq;
	return 0;
}

// From dfd to `name`. 0: w stands there; -ENOENT; both inside the read section, which the caller leaves. 1:
// it has to be walked in general, and the section is left.
static __always_inline int fast_walk(struct fast_walk *w, int dfd, const char *name, unsigned lookup_flags)
{
	bool at_root = *name == '/';
	const char *text = name;
	int err = 1;

	if (unlikely(lookup_flags & ~(LOOKUP_FOLLOW | LOOKUP_DIRECTORY | LOOKUP_AUTOMOUNT | LOOKUP_EMPTY)))
		return 1;
	w->vfs = current->machine->vfs;
	rcu_read_lock();
	while (*text == '/')
		text++;
	if (likely(*text) && likely(fast_start(w, dfd, at_root))) {
		w->name = text;
		if (likely(fast_walk_down(w)))
			err = fast_walk_last(w, lookup_flags);
		// Where the name ends is known now; its length is judged before any other answer.
		if (likely(err <= 0) && unlikely(w->name + hashlen_len(w->hash_len) - name >= PATH_MAX_))
			err = 1;
	}
	if (unlikely(err > 0))
		rcu_read_unlock();
	return err;
}
