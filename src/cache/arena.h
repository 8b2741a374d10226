/* SPDX-License-Identifier: MIT */
/*
 * The arena: where the bytes of folios come from. Anonymous address space for the machine's memory limit is
 * reserved once; the descriptors (struct folio, one a page) lie in an array beside it and are type-stable:
 * they are never unmapped while the machine lives.
 *
 * A buddy allocator of orders 0..9 (4 KiB to 2 MiB, naturally aligned) under one lock, with small caches of
 * the lower orders for each shard in front of it, so that threads hardly meet. Free runs keep their memory
 * (they are "resident") until arena_trim() gives it back to the host, largest first.
 */
#ifndef SHALE_CACHE_ARENA_H
#define SHALE_CACHE_ARENA_H

#include "cache/folio.h"

struct arena;

// Reserves address space for nr_pages (rounded up to 2 MiB). -ENOMEM.
int arena_create(struct shale *machine, unsigned long nr_pages, struct arena **out) __must_check;
void arena_destroy(struct arena *arena); // every folio must be free

// A folio with one reference, no flags, no mapping (see folio_mapping), content undefined. NULL: none of that
// order, or failure injection.
struct folio *arena_alloc(struct arena *arena, unsigned order) __must_check;
void arena_free(struct arena *arena, struct folio *folio); // reference count 0
// Puts the shards' caches back, so that runs merge.
void arena_drain(struct arena *arena);

unsigned long arena_pages(const struct arena *arena);
unsigned long arena_used(const struct arena *arena);          // pages in folios and in the shards' caches
unsigned long arena_resident_free(const struct arena *arena); // free pages that the host may still hold
// Gives free memory back to the host until at most `keep` such pages are left, or no run is large enough.
void arena_trim(struct arena *arena, unsigned long keep);

// The arena of a folio that no mapping holds.
static inline struct arena *folio_arena(const struct folio *folio)
{
	uintptr_t m = (uintptr_t)READ_ONCE(folio->mapping);

	return m & 1 ? (struct arena *)(m & ~1ul) : NULL;
}
static inline void folio_set_arena(struct folio *folio, struct arena *arena)
{
	WRITE_ONCE(folio->mapping, (struct address_space *)((uintptr_t)arena | 1));
}
struct shale *arena_machine(const struct arena *arena);

#endif
