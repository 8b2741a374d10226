// Ways: what a walk over several names has led to, remembered for the next walk over the same names.
//
// A way is "from this directory over these names to that directory". Most walks begin with one that was
// walked a moment ago, and then one look finds it instead of one for each name. Only what any task may walk
// is remembered: directories in the cache that everybody may search, and mounts on them; no symlinks, no
// dots.
//
// A way holds no references. It is good as long as nothing has left its place: dcache->moves counts each
// directory that is unhashed or becomes negative, and each change of the mount tree (d_place_left()). A way
// is used if that count is still what it was before the walk that found it began. The count grows before the
// memory of what left is given to RCU, so in a read section all that a good way names is there. Whoever lets
// the mode or the access list of a directory in use change has to count that too.
//
// The machine owns the slots. Who gets a slot's lock at once writes it; readers check its sequence.
#pragma once

#include "vfs/dcache.h"
#include "vfs/vfs_internal.h"

#define WAY_BITS  8
#define WAY_BYTES PATH_SCAN_BYTES // of names, as they stand in the path, and at least one zero

struct way {
	seqlock_t seq;
	u64 moves; // dcache->moves before it was walked; 0: an empty slot
	const struct dentry *from;
	const struct vfsmount *from_mnt;
	struct path to;
	u64 text[WAY_BYTES / 8]; // filled up with zeroes
} __attribute__((aligned(128)));

// The names of a walk but its last, as they are looked for and remembered.
struct way_key {
	const struct dentry *from;
	const struct vfsmount *from_mnt;
	const char *text;
	unsigned len; // 0: nothing to look for
	u64 moves;
	struct way *slot;
};

// The bytes of the names from `at` on, as they stand in way->text.
static __always_inline u64 way_word(const struct way_key *key, unsigned at)
{
	unsigned n = key->len - at;
	u64 w = 0;

#if SHALE_ASAN || SHALE_TSAN
	__builtin_memcpy(&w, key->text + at, n < 8 ? n : 8);
	return w;
#else
	__builtin_memcpy(&w, key->text + at, 8); // within the bytes that path_slashes() looked at
	return n < 8 ? w & ((1ull << 8 * n) - 1) : w;
#endif
}

// Takes the names before the last, if they are two or more.
static __always_inline bool way_key_take(struct way_key *key, const struct dcache *dc, const char *path)
{
	u64 nul = 0, slashes = path_slashes(path, &nul), hash = (uintptr_t)key->from;
	unsigned len;

	slashes &= (nul & -nul) - 1;
	if (!(slashes & (slashes - 1)))
		return false;
	len = 63 - (unsigned)__builtin_clzll(slashes);
	if (unlikely(!path[len + 1]))
		return false;
	key->text = path;
	key->len = len;
	for (unsigned at = 0; at <= key->len; at += 8)
		hash = __hash_name_next(hash, way_word(key, at));
	key->slot = &dc->ways[hash >> (64 - WAY_BITS)];
	return true;
}

static __always_inline bool way_is(const struct way *way, const struct way_key *key)
{
	if (READ_ONCE(way->moves) != key->moves || READ_ONCE(way->from) != key->from ||
	    READ_ONCE(way->from_mnt) != key->from_mnt)
		return false;
	for (unsigned at = 0; at <= key->len; at += 8)
		if (READ_ONCE(way->text[at / 8]) != way_word(key, at))
			return false;
	return true;
}

// In a read section: true if a way is known, and *to is where it leads. The caller samples d_seq there and
// then asks way_is_good().
static __always_inline bool way_find(const struct dcache *dc, struct way_key *key, struct path *to)
{
	const struct way *way = key->slot;
	unsigned seq = raw_seqcount_begin(&way->seq.seqcount);

	key->moves = smp_load_acquire(&dc->moves);
	if (!way_is(way, key))
		return false;
	to->mnt = READ_ONCE(way->to.mnt);
	to->dentry = READ_ONCE(way->to.dentry);
	return !read_seqcount_retry(&way->seq.seqcount, seq);
}

static __always_inline bool way_is_good(const struct dcache *dc, const struct way_key *key)
{
	smp_rmb();
	return likely(READ_ONCE(dc->moves) == key->moves);
}

// What way_find() did not find has led to `to`, every step checked.
void way_remember(const struct way_key *key, const struct path *to);

// A directory has left its place, or the mount tree has changed.
static inline void d_place_left(struct dcache *dc)
{
	__atomic_fetch_add(&dc->moves, 1, __ATOMIC_ACQ_REL);
}

int ways_init(struct shale *machine) __must_check;
void ways_exit(struct shale *machine);
