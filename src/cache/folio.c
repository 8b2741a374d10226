/* SPDX-License-Identifier: MIT */
/*
 * Folios: getting and freeing them, their lock, and waiting for it.
 *
 * The lock is a bit of `flags`; who has to wait sets PG_waiters first and sleeps on the machine's hashed
 * queue for the flags word, so that unlocking a folio that nobody waits for touches no queue. PG_waiters
 * stays set once it was needed: it costs a look at the queue, and goes when the folio is freed.
 */
#include "cache/cache_internal.h"

struct folio *folio_alloc(struct cache_machine *cache, unsigned order, bool may_wait)
{
	struct folio *folio;

	if (!cache_reserve(cache, 1ul << order, may_wait))
		return NULL;
	folio = arena_alloc(cache->arena, order);
	if (!folio && may_wait) {
		// No run of that order: merge what is free, then take from the lists.
		arena_drain(cache->arena);
		folio = arena_alloc(cache->arena, order);
		if (!folio && try_to_free_pages(cache->machine, max(1ul << order, 2ul * SWAP_CLUSTER_MAX))) {
			arena_drain(cache->arena);
			folio = arena_alloc(cache->arena, order);
		}
	}
	if (folio)
		vm_count(cache, VM_pgalloc_normal, 1l << order);
	return folio;
}

void folio_free_frozen(struct folio *folio)
{
	struct arena *arena = folio_arena(folio);
	struct cache_machine *cache = arena_machine(arena)->cache;

	if (folio_test_private(folio))
		folio_free_buffers(folio);
	vm_count(cache, VM_pgfree, folio_nr_pages(folio));
	arena_free(arena, folio);
}

void folio_free(struct folio *folio)
{
	struct arena *arena = folio_arena(folio);

	BUG_ON(!arena); // a folio in a mapping has the index's reference
	if (folio_test_lru(folio))
		lru_del_folio(arena_machine(arena)->cache, folio);
	folio_free_frozen(folio);
}

void folio_mark_uptodate(struct folio *folio)
{
	// Release: what was filled in is seen by who sees the flag.
	__atomic_fetch_or(&folio->flags, 1ul << PG_uptodate, __ATOMIC_RELEASE);
}

bool folio_trylock(struct folio *folio)
{
	return !test_and_set_bit_lock(PG_locked, folio_flags_word(folio));
}

void folio_lock(struct folio *folio)
{
	if (folio_trylock(folio))
		return;
	set_bit(PG_waiters, folio_flags_word(folio));
	wait_on_bit_lock_io(folio_flags_word(folio), PG_locked);
}

void folio_wake_bit(struct folio *folio, unsigned long old, unsigned bit)
{
	if (old & (1ul << PG_waiters))
		wake_up_bit(folio_flags_word(folio), bit);
}

// The caller, or for a read that ends the index, holds a reference that outlasts this call: see
// folio_end_read.
void folio_unlock(struct folio *folio)
{
	folio_wake_bit(folio, clear_bit_unlock_return(PG_locked, folio_flags_word(folio)), PG_locked);
}

void folio_wait_locked(struct folio *folio)
{
	if (!folio_test_locked(folio))
		return;
	set_bit(PG_waiters, folio_flags_word(folio));
	wait_on_bit_io(folio_flags_word(folio), PG_locked);
}

void folio_end_read(struct folio *folio, bool success)
{
	if (success)
		folio_mark_uptodate(folio);
	// The folio may leave its mapping and be freed as soon as it is unlocked; its flags word stays memory
	// of this kind, so that waking by its address is harmless then.
	folio_unlock(folio);
}
