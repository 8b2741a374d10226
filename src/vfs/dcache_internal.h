// What the files of the dentry cache and the path walk share: the lock-free lookup itself, and the steps of
// killing.
#pragma once

#include "vfs/dcache.h"
#include "vfs/inode.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

// A name that does not fit into its dentry. Shared by dentries after a move; freed after a grace period.
struct external_name {
	struct rcu_head rcu;
	refcount_t count;
	u32 bytes;
	char name[] __attribute__((aligned(8)));
};

static inline struct external_name *dname_to_external(const char *name)
{
	return (struct external_name *)(name - offsetof(struct external_name, name));
}

static inline struct dcache *dentry_cache(const struct dentry *dentry)
{
	return &dentry->d_sb->s_machine->vfs->dcache;
}

static __always_inline struct hash_bucket *d_bucket(const struct dcache *dc, u32 hash)
{
	return &dc->hash[hash >> dc->hash_shift]; // a name's hash is well mixed
}

static __always_inline u64 name_load64(const char *s)
{
	u64 v;

	__builtin_memcpy(&v, s, 8);
	return v;
}
static __always_inline u32 name_load32(const char *s)
{
	u32 v;

	__builtin_memcpy(&v, s, 4);
	return v;
}

// Is the cached name (zero-padded to words, word-aligned) the `len` bytes at `s`? Reads the cached one word
// by word, since a move may change it meanwhile, and never beyond the end of `s`.
static __always_inline bool dname_equal(const char *cached, const char *s, unsigned len)
{
	const u64 *word = (const u64 *)cached;
	const char *end = s + len;

	if (len >= 8) {
		for (; end - s >= 8; s += 8)
			if (READ_ONCE(*word) != name_load64(s))
				return false;
			else
				word++;
		if (s == end)
			return true;
		return READ_ONCE(*word) == name_load64(end - 8) >> (8 * (8 - (end - s)));
	}
	if (len >= 4)
		return READ_ONCE(*word) == (name_load32(s) | (u64)name_load32(end - 4) << (8 * (len - 4)));
	unsigned mid = len >> 1;

	return READ_ONCE(*word) ==
	       ((u64)(u8)s[0] | (u64)(u8)s[mid] << (8 * mid) | (u64)(u8)end[-1] << (8 * (len - 1)));
}

struct dentry *__d_lookup_rcu_op_compare(const struct dcache *dc, const struct dentry *parent,
					 const struct qstr *name, unsigned *seqp);

// Finds a child by name without locks: under rcu_read_lock, the parent being known to be what it was when its
// own d_seq was sampled. *seqp is the child's d_seq: whatever is read from the child counts only if that is
// still its value. NULL may be wrong while something is being moved: the counted walk then looks again.
// `words` are the first of the name (hash_name_words()): most names end in them. The parent's file system has
// no rules of its own for names (DCACHE_OP_COMPARE).
static __always_inline struct dentry *__d_lookup_rcu_plain(const struct dcache *dc,
							   const struct dentry *parent,
							   const struct qstr *name, const u64 words[2],
							   unsigned *seqp)
{
	u64 hash_len = name->hash_len;
	struct hlist_node *node;

	for (node = smp_load_acquire(&d_bucket(dc, hashlen_hash(hash_len))->head.first); node;
	     node = smp_load_acquire(&node->next)) {
		struct dentry *dentry = hlist_entry(node, struct dentry, d_hash);
		unsigned len = hashlen_len(hash_len), seq = raw_seqcount_begin(&dentry->d_seq);
		const char *dname;

		if (READ_ONCE(dentry->d_name.hash_len) != hash_len || READ_ONCE(dentry->d_parent) != parent ||
		    hlist_unhashed_lockless(&dentry->d_hash))
			continue;
		dname = rcu_dereference(dentry->d_name.name);
		if (READ_ONCE(*(const u64 *)dname) != words[0])
			continue;
		if (unlikely(len > 8)) {
			if (READ_ONCE(*(const u64 *)(dname + 8)) != words[1] ||
			    (len > 16 && !dname_equal(dname + 16, name->name + 16, len - 16)))
				continue;
		}
		*seqp = seq;
		return dentry;
	}
	return NULL;
}

static __always_inline struct dentry *__d_lookup_rcu(const struct dcache *dc, const struct dentry *parent,
						     const struct qstr *name, const u64 words[2],
						     unsigned *seqp)
{
	if (unlikely(READ_ONCE(parent->d_flags) & DCACHE_OP_COMPARE))
		return __d_lookup_rcu_op_compare(dc, parent, name, seqp);
	return __d_lookup_rcu_plain(dc, parent, name, words, seqp);
}

static inline void d_flags_set(struct dentry *dentry, u32 bits)
{
	__atomic_fetch_or(&dentry->d_flags, bits, __ATOMIC_RELAXED);
}
static inline void d_flags_clear(struct dentry *dentry, u32 bits)
{
	__atomic_fetch_and(&dentry->d_flags, ~bits, __ATOMIC_RELAXED);
}

// A lock-free walk ended here and left no reference that would tell: keeps the dentry from being the next to
// go.
static __always_inline void d_mark_used(struct dentry *dentry)
{
	if (unlikely(!(READ_ONCE(dentry->d_flags) & DCACHE_REFERENCED)))
		d_flags_set(dentry, DCACHE_REFERENCED);
}

bool d_same_name(const struct dentry *dentry, const struct dentry *parent, const struct qstr *name);
int __d_alloc(struct super_block *sb, const struct qstr *name, struct dentry **out) __must_check;
void __d_drop(struct dentry *dentry) __must_hold(dentry->d_lock); // off the hash, with d_seq raised
void __d_rehash(struct dentry *dentry) __must_hold(dentry->d_lock);
void external_name_put(struct shale *machine, struct external_name *name);
static inline bool dname_external(const struct dentry *dentry)
{
	return dentry->d_name.name != dentry->d_iname;
}

// dcache_move.c: `dentry` takes the place and name of `target`, which is unhashed. rename_lock held; both
// referenced. The parent that is left behind loses a reference: returned for dput().
struct dentry *__d_move(struct dentry *dentry, struct dentry *target) __must_check;

// dcache_lru.c. d_lock held.
void d_lru_add(struct dentry *dentry) __must_hold(dentry->d_lock);
void d_lru_del(struct dentry *dentry) __must_hold(dentry->d_lock);

// dcache.c: the way out. lock_for_kill: d_lock held, inside a read section; true: i_lock of the inode is held
// too and the count is 0. dentry_kill: with both; gives both up, returns the parent, whose reference passes
// to the caller.
bool lock_for_kill(struct dentry *dentry) __no_lock_analysis;
struct dentry *dentry_kill(struct dentry *dentry) __no_lock_analysis;
void dentry_free(struct dentry *dentry);
// Makes it negative. i_lock and d_lock held, both given up; the inode's reference is put.
void dentry_unlink_inode(struct dentry *dentry) __no_lock_analysis;

void dcache_shrinker_register(struct shale *machine);
unsigned long prune_dcache_sb(struct super_block *sb, unsigned long nr);
int vfs_hash_create(struct shale *machine, u64 per, struct hash_bucket **table, unsigned long *size,
		    unsigned *shift) __must_check;
void vfs_hash_destroy(struct hash_bucket *table, unsigned long size);
