// The dentry cache: names in memory, positive and negative, hashed by (parent, name), found without locks.
//
// A dentry's name, parent and inode change only under d_lock with d_seq raised; the lock-free walk samples
// d_seq, reads, and checks it again. References are lockrefs. Unused dentries stay on an LRU until memory is
// short. A dentry pins its parent and its inode. Freed after a grace period. Lock order: see docs/locking.md.
#pragma once

#include "base/hash.h"
#include "vfs/types.h"

struct qstr {
	union {
		u64 hash_len; // hashlen_hash(), hashlen_len()
		struct {
			u32 hash, len;
		};
	};
	const char *name;
};

#define DNAME_INLINE_LEN 40

// d_flags: type of the inode (0: negative), then state.
#define DCACHE_ENTRY_TYPE     0x7u
#define DCACHE_MISS_TYPE      0u
#define DCACHE_WHITEOUT_TYPE  1u
#define DCACHE_DIRECTORY_TYPE 2u
#define DCACHE_AUTODIR_TYPE   3u
#define DCACHE_REGULAR_TYPE   4u
#define DCACHE_SPECIAL_TYPE   5u
#define DCACHE_SYMLINK_TYPE   6u
#define DCACHE_OP_HASH        (1u << 4)
#define DCACHE_OP_COMPARE     (1u << 5)
#define DCACHE_OP_REVALIDATE  (1u << 6)
#define DCACHE_OP_DELETE      (1u << 7)
#define DCACHE_OP_REAL        (1u << 8)
#define DCACHE_MOUNTED        (1u << 9) // something may be mounted here
#define DCACHE_NEED_AUTOMOUNT (1u << 10)
#define DCACHE_MANAGE_TRANSIT (1u << 11)
#define DCACHE_LRU_LIST       (1u << 12)
#define DCACHE_SHRINK_LIST    (1u << 13)
#define DCACHE_REFERENCED     (1u << 14)
#define DCACHE_PAR_LOOKUP     (1u << 15)
#define DCACHE_DISCONNECTED   (1u << 16)
#define DCACHE_CANT_MOUNT     (1u << 17)
#define DCACHE_DENTRY_KILLED  (1u << 18)
#define DCACHE_DONTCACHE      (1u << 19)
#define DCACHE_MAY_FREE       (1u << 20) // killed while on a shrink list: who empties that list frees it

struct dentry {
	// Read by every walk: the first cache line.
	u32 d_flags; // changed by atomic read-modify-writes (mostly under d_lock), read relaxed
	seqcount_t d_seq;
	struct hlist_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	char d_iname[DNAME_INLINE_LEN]; // padded with zeroes to words, as are longer names elsewhere
	const struct dentry_operations *d_op;
	struct lockref d_lockref; // d_lockref.lock is d_lock
	struct super_block *d_sb;
	void *d_fsdata;
	union {
		struct list_head d_lru;
		struct hlist_node d_in_lookup_hash; // while DCACHE_PAR_LOOKUP
	};
	struct hlist_node d_sib;      // in d_parent->d_children
	struct hlist_head d_children; // d_lock
	union {
		struct hlist_node d_alias; // in d_inode->i_dentry
		struct rcu_head d_rcu;
	};
	struct in_lookup_bucket *d_wait; // while DCACHE_PAR_LOOKUP: where others wait
};
#define d_lock d_lockref.lock

struct dentry_operations {
	int (*d_revalidate)(struct dentry *dentry, unsigned flags); // 1 valid, 0 not, negative errno
	int (*d_hash)(const struct dentry *parent, struct qstr *name);
	int (*d_compare)(const struct dentry *dentry, unsigned len, const char *str, const struct qstr *name);
	int (*d_delete)(const struct dentry *dentry);
	void (*d_release)(struct dentry *dentry);
	void (*d_iput)(struct dentry *dentry, struct inode *inode);
	int (*d_real)(struct dentry *dentry, int type, struct dentry **out);
};

int d_alloc(struct dentry *parent, const struct qstr *name, struct dentry **out) __must_check;
int d_make_root(struct inode *root_inode,
		struct dentry **out) __must_check; // eats the inode reference, also on failure
void d_instantiate(struct dentry *dentry, struct inode *inode);
void d_add(struct dentry *dentry, struct inode *inode); // inode NULL: negative
// For lookup: attaches the inode (eats its reference), reusing an existing alias of a directory: *out is
// that, or NULL.
int d_splice_alias(struct inode *inode, struct dentry *dentry, struct dentry **out) __must_check;
int d_obtain_alias(struct inode *inode, struct dentry **out) __must_check;
struct dentry *d_lookup(const struct dentry *parent, const struct qstr *name); // referenced, or NULL
void dput(struct dentry *dentry);
struct dentry *dget(struct dentry *dentry); // NULL stays NULL
struct dentry *dget_parent(struct dentry *dentry);
void d_drop(struct dentry *dentry);
// The names of files that were renamed: `dentry` takes the place of target, which is unhashed; or both change
// places. i_rwsem of the parents are held exclusive, s_vfs_rename_mutex if they are two.
void d_move(struct dentry *dentry, struct dentry *target);
void d_exchange(struct dentry *dentry1, struct dentry *dentry2);
void d_rehash(struct dentry *dentry);
// Names a file that has no name (O_TMPFILE) for messages only; eats the inode's reference, takes a link away.
void d_tmpfile(struct dentry *dentry, struct inode *inode);
// The child of `ancestor` at or above `dentry`; NULL: it is not above it. Nothing may move meanwhile.
struct dentry *d_ancestor(struct dentry *ancestor, struct dentry *dentry);
void d_delete(struct dentry *dentry);
void shrink_dcache_children(struct dentry *dir); // unused names right below it
void shrink_dcache_sb(struct super_block *sb);
void shrink_dcache_for_umount(struct super_block *sb);
// For lookup: d_splice_alias() and d_add() may also be given a dentry of d_alloc_parallel(). A name that is
// not hashed and not being looked up by another: the caller looks it up (DCACHE_PAR_LOOKUP set, end with
// d_lookup_done()); else the dentry that another thread's lookup made. *out is referenced.
int d_alloc_parallel(struct dentry *parent, const struct qstr *name, struct dentry **out) __must_check;
void d_lookup_done(struct dentry *dentry);
static inline bool d_in_lookup(const struct dentry *dentry)
{
	return READ_ONCE(dentry->d_flags) & DCACHE_PAR_LOOKUP;
}
static inline bool d_unhashed(const struct dentry *dentry)
{
	return hlist_unhashed_lockless(&dentry->d_hash);
}
static inline bool IS_ROOT(const struct dentry *dentry)
{
	return READ_ONCE(dentry->d_parent) == dentry;
}
bool is_subdir(struct dentry *dentry, struct dentry *ancestor); // or the same
// Fills name->hash_len from name->name and len, for children of parent.
void d_hash_name(const struct dentry *parent, struct qstr *name);
struct dentry *
d_find_alias(struct inode *inode);        // some hashed name, or of a directory any; referenced, or NULL
void d_invalidate(struct dentry *dentry); // the name is no longer true: unhashed with all below
int d_path(const struct path *path, char *buf, size_t size,
	   char **out); // into the tail of buf, from the current root
static inline unsigned d_entry_type(const struct dentry *d)
{
	return READ_ONCE(d->d_flags) & DCACHE_ENTRY_TYPE;
}
static inline bool d_is_negative(const struct dentry *d)
{
	return d_entry_type(d) == DCACHE_MISS_TYPE;
}
static inline bool d_is_dir(const struct dentry *d)
{
	return d_entry_type(d) == DCACHE_DIRECTORY_TYPE || d_entry_type(d) == DCACHE_AUTODIR_TYPE;
}
static inline struct inode *d_inode(const struct dentry *d)
{
	return rcu_dereference(d->d_inode); // with all that was written to it before it got a name
}
