/* SPDX-License-Identifier: MIT */
/*
 * Refault detection. When reclaim takes a folio, a value entry (shadow) stays at its place in the index: the
 * time of eviction, on a clock that counts pages evicted and activated (nonresident_age). When the folio is
 * read again, the difference of the clock is the number of pages that a longer inactive list would have had
 * to hold; if that is at most the active list, the folio would have been used again while the active pages
 * were not: it becomes active at once.
 *
 * Shadows cost index nodes. One that is older than all memory can never activate anything; reclaim sweeps
 * such away (a shrinker's work, here for the cache's own mappings): mappings that have shadows stand on a
 * list of the machine, and are visited in turns, a piece at a time.
 *
 * Locks: i_pages.xa_lock guards a mapping's shadows, their count and cursor; shadow_lock, inside it, the
 * list of mappings and `sweeping`. A mapping is not destroyed while it is being swept.
 */
#include "cache/cache_internal.h"

#define SWEEP_SLOTS 1024 // entries looked at in one hold of the xa_lock

void *workingset_eviction(struct cache_machine *cache, struct folio *folio)
{
	u64 age = atomic64_fetch_add(folio_nr_pages(folio), &cache->nonresident_age);

	return xa_mk_value((age << 1 | folio_test_workingset(folio)) & (~0ul >> 1));
}

// How far the clock has gone since the shadow was made, in pages.
static u64 shadow_distance(struct cache_machine *cache, void *shadow)
{
	u64 mask = ~0ul >> 2, then = xa_to_value(shadow) >> 1;

	return ((u64)atomic64_read(&cache->nonresident_age) - then) & mask;
}

void workingset_refault(struct cache_machine *cache, struct folio *folio, void *shadow)
{
	unsigned long nr = folio_nr_pages(folio);

	vm_count(cache, VM_workingset_refault_file, nr);
	if (shadow_distance(cache, shadow) > READ_ONCE(cache->nr_lru[LRU_ACTIVE_FILE]))
		return;
	folio_set_active(folio);
	atomic64_add(nr, &cache->nonresident_age);
	vm_count(cache, VM_workingset_activate_file, nr);
	if (xa_to_value(shadow) & 1) {
		folio_set_workingset(folio);
		vm_count(cache, VM_workingset_restore_file, nr);
	}
}

void workingset_add_shadows(struct address_space *mapping, long nr)
{
	struct cache_machine *cache = mapping->machine->cache;

	if (!nr)
		return;
	mapping->nrshadows += nr;
	atomic64_add(nr, &cache->nr_shadows);
	if (nr > 0 && !mapping->shadow_listed) {
		mapping->shadow_listed = true;
		scoped_spin_lock(&cache->shadow_lock);
		list_add_tail(&mapping->shadow_list, &cache->shadow_mappings);
	}
}

void workingset_mapping_exit(struct address_space *mapping)
{
	struct cache_machine *cache = mapping->machine->cache;

	for (;;) {
		bool swept;

		spin_lock(&cache->shadow_lock);
		swept = cache->sweeping == mapping;
		if (!swept && !list_empty(&mapping->shadow_list))
			list_del_init(&mapping->shadow_list);
		spin_unlock(&cache->shadow_lock);
		if (!swept)
			return;
		wait_event(cache->sweep_wait, READ_ONCE(cache->sweeping) != mapping);
	}
}

// Erases the old shadows among the next entries of the mapping, and moves its cursor. Returns how many went.
static unsigned long sweep_mapping(struct cache_machine *cache, struct address_space *mapping)
{
	u64 too_old = cache->limit_pages;
	unsigned long gone = 0;
	unsigned looked = 0;
	void *entry;

	scoped_spin_lock(&mapping->i_pages.xa_lock);
	XA_STATE(xas, &mapping->i_pages, mapping->shadow_cursor);
	mapping->shadow_cursor = 0;
	xas_for_each(&xas, entry, ~0ul)
	{
		if (++looked > SWEEP_SLOTS) {
			mapping->shadow_cursor = xas.xa_index;
			break;
		}
		if (!xa_is_value(entry) || shadow_distance(cache, entry) <= too_old)
			continue;
		xas_store(&xas, NULL);
		gone++;
	}
	workingset_add_shadows(mapping, -(long)gone);
	return gone;
}

// The mapping whose turn it is, marked as being swept; it moves to the end of the list.
static struct address_space *sweep_begin(struct cache_machine *cache)
{
	struct address_space *mapping;

	scoped_spin_lock(&cache->shadow_lock);
	if (cache->sweeping || list_empty(&cache->shadow_mappings))
		return NULL;
	mapping = list_first_entry(&cache->shadow_mappings, struct address_space, shadow_list);
	WRITE_ONCE(cache->sweeping, mapping);
	return mapping;
}

static void sweep_end(struct cache_machine *cache, struct address_space *mapping)
{
	spin_lock(&cache->shadow_lock);
	// A mapping with a large rest stays first, so that its sweep comes to an end.
	if (!READ_ONCE(mapping->shadow_cursor))
		list_move_tail(&mapping->shadow_list, &cache->shadow_mappings);
	WRITE_ONCE(cache->sweeping, NULL);
	spin_unlock(&cache->shadow_lock);
	wake_up_all(&cache->sweep_wait);
}

/*
 * A sweep goes over about as many entries as there are shadows and folios; the next one waits until a quarter
 * of all memory has been evicted, so that each eviction pays for a few entries only.
 */
void workingset_shrink(struct cache_machine *cache)
{
	s64 shadows = atomic64_read(&cache->nr_shadows), at = atomic64_read(&cache->sweep_at);
	unsigned long nr = shadows + cache->limit_pages, gone = 0;

	if (shadows < at || !atomic64_try_cmpxchg(&cache->sweep_at, &at, INT64_MAX))
		return;
	for (unsigned long looked = 0; looked < nr; looked += SWEEP_SLOTS) {
		struct address_space *mapping = sweep_begin(cache);

		if (!mapping)
			break;
		gone += sweep_mapping(cache, mapping);
		sweep_end(cache, mapping);
	}
	vm_count(cache, VM_workingset_nodereclaim, gone);
	atomic64_set(&cache->sweep_at, atomic64_read(&cache->nr_shadows) + cache->limit_pages / 4);
}

void workingset_init(struct cache_machine *cache)
{
	spin_lock_init(&cache->shadow_lock);
	INIT_LIST_HEAD(&cache->shadow_mappings);
	init_waitqueue_head(&cache->sweep_wait);
	atomic64_set(&cache->sweep_at, cache->limit_pages / 4);
}
