// Remembering ways (dcache_ways.h).
#include "vfs/dcache_ways.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

// A way that is still good makes room for one in so many others, so that ways which share a slot, walked in
// turns by several threads, do not write it all the time.
#define WAY_TENACITY 8

void way_remember(const struct way_key *key, const struct path *to)
{
	struct way *way = key->slot;

	if (READ_ONCE(way->moves) == key->moves && ++current->ways_missed % WAY_TENACITY)
		return;
	if (!spin_trylock(&way->seq.lock))
		return;
	write_seqcount_begin(&way->seq.seqcount);
	WRITE_ONCE(way->moves, key->moves);
	WRITE_ONCE(way->from, key->from);
	WRITE_ONCE(way->from_mnt, key->from_mnt);
	WRITE_ONCE(way->to.mnt, to->mnt);
	WRITE_ONCE(way->to.dentry, to->dentry);
	for (unsigned at = 0; at <= key->len; at += 8)
		WRITE_ONCE(way->text[at / 8], way_word(key, at));
	write_seqcount_end(&way->seq.seqcount);
	spin_unlock(&way->seq.lock);
}

int ways_init(struct shale *machine)
{
	struct dcache *dc = &machine->vfs->dcache;

	dc->ways = kmalloc_aligned(machine, sizeof(struct way) << WAY_BITS, __alignof__(struct way));
	if (!dc->ways)
		return -ENOMEM;
	memset(dc->ways, 0, sizeof(struct way) << WAY_BITS);
	for (unsigned i = 0; i < 1u << WAY_BITS; i++)
		seqlock_init(&dc->ways[i].seq);
	dc->moves = 1;
	return 0;
}

void ways_exit(struct shale *machine)
{
	kfree(machine->vfs->dcache.ways);
}
