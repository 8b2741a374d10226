/* SPDX-License-Identifier: MIT */
/*
 * The cache of one machine: its arena, its memory limit, the LRU lists, reclaim. What other floors need of
 * it as a whole.
 *
 * Everything that grows with use counts against the machine's limit: folios by the arena, slab objects by
 * base/alloc.h. Over the low mark a work item reclaims in the background; at the limit callers reclaim
 * themselves, then wait; nothing is lost.
 */
#ifndef SHALE_CACHE_CACHE_H
#define SHALE_CACHE_CACHE_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/current.h"
#include "base/list.h"

struct shale;
struct seq_file;

int cache_init(struct shale *machine)
	__must_check; // machine->cache; the limit is machine->options.memory_limit
void cache_exit(struct shale *machine);

// A cache of objects that can shrink: dentries, inodes, extent status. count: how many could go; scan: free
// up to nr, return how many went. Called without locks, possibly from an allocation: must not take locks that
// are held over allocations; skips what is locked.
struct shrinker {
	const char *name;
	unsigned long (*count_objects)(struct shrinker *s, struct shale *machine);
	unsigned long (*scan_objects)(struct shrinker *s, struct shale *machine, unsigned long nr);
	unsigned seeks; // cost to make one again, 2 is usual
	// Of vmscan.c:
	long nr_deferred; // what was too little to scan, for the next time
	struct list_head list;
};
void shrinker_register(struct shale *machine, struct shrinker *s);
void shrinker_unregister(struct shale *machine, struct shrinker *s);

// Who knows the owners of mappings (the inodes of vfs); set once, before the first page gets dirty.
struct address_space;
struct flusher_ops {
	void (*dirtied)(struct address_space
				*mapping); // a folio of it became dirty; may hold its lock. Must not sleep
	void (*error)(struct address_space *mapping, int err); // a write failed; in completion context
	// Starts writing about so many pages of whatever is dirty; returns how many. Called with nothing
	// held.
	unsigned long (*write_back)(struct shale *machine, unsigned long nr_pages);
};
void cache_set_flusher(struct shale *machine, const struct flusher_ops *ops);

// For those who make many objects that count against the limit (inodes, dentries): call it, without locks,
// before making one. Usually a counter; now and then it looks at the limit, starts background reclaim, or
// reclaims.
void cache_throttle(struct shale *machine);
unsigned long try_to_free_pages(struct shale *machine,
				unsigned long nr_pages); // direct reclaim; returns pages freed
// What a thread allocates between these must not write out dirty pages, nor wait for who does: it holds
// something that writing may need (an open transaction, locks of folios or of the file system). Nests.
#define PF_MEMALLOC_NOFS 2u // in current->alloc_flags
// What it allocates between these frees memory in the end: it may use what is left, and waits for nobody.
#define PF_MEMALLOC 1u
static inline unsigned memalloc_noreclaim_save(void)
{
	unsigned flags = current->alloc_flags;

	current->alloc_flags |= PF_MEMALLOC;
	return flags & PF_MEMALLOC;
}
static inline void memalloc_noreclaim_restore(unsigned saved)
{
	current->alloc_flags = (current->alloc_flags & ~PF_MEMALLOC) | saved;
}
static inline unsigned memalloc_nofs_save(void)
{
	unsigned flags = current->alloc_flags;

	current->alloc_flags |= PF_MEMALLOC_NOFS;
	return flags & PF_MEMALLOC_NOFS;
}
static inline void memalloc_nofs_restore(unsigned saved)
{
	current->alloc_flags = (current->alloc_flags & ~PF_MEMALLOC_NOFS) | saved;
}
// Everything clean and unused goes: /proc/sys/vm/drop_caches 3.
void drop_caches(struct shale *machine);
void cache_show_vmstat(
	struct shale *machine,
	struct seq_file *m); // counters with Linux's names: workingset_refault_file, pgscan_direct, ...

#endif
