/* SPDX-License-Identifier: MIT */
/*
 * The index of a mapping: finding, adding and removing folios.
 *
 * Lookup is lock-free: under RCU the entry is loaded, a reference taken if the count is not zero, and the
 * entry loaded again; a folio that left the index in between is dropped and the lookup repeated. Changes
 * hold i_pages.xa_lock. The index holds one reference for each folio; who evicts must freeze the count at
 * "index and me", so that a concurrent lookup either came first and makes the freeze fail, or fails itself.
 */
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"

#include <string.h>

void address_space_init(struct address_space *mapping, struct shale *machine,
			const struct address_space_operations *a_ops, struct backing_dev_info *bdi,
			void *host)
{
	*mapping = (struct address_space){
		.machine = machine, .a_ops = a_ops, .bdi = bdi, .host = host, .blkbits = PAGE_SHIFT};
	xa_init(&mapping->i_pages, machine);
	init_rwsem(&mapping->invalidate_lock);
	INIT_LIST_HEAD(&mapping->shadow_list);
}

void address_space_destroy(struct address_space *mapping)
{
	BUG_ON(READ_ONCE(mapping->nrpages));
	workingset_mapping_exit(mapping);
	xa_destroy(&mapping->i_pages);
}

struct folio *filemap_get_entry(struct address_space *mapping, pgoff_t index)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
	for (;; xas_reset(&xas)) {
		folio = xas_load(&xas);
		if (!folio || xa_is_value(folio)) {
			folio = NULL;
			break;
		}
		if (!folio_try_get(folio))
			continue;
		if (likely(folio == xas_reload(&xas)))
			break;
		folio_put(folio);
	}
	rcu_read_unlock();
	return folio;
}

int filemap_get_folio(struct address_space *mapping, pgoff_t index, struct folio **out)
{
	struct folio *folio = filemap_get_entry(mapping, index);

	if (!folio)
		return -ENOENT;
	*out = folio;
	return 0;
}

void filemap_get_read_batch(struct address_space *mapping, pgoff_t index, pgoff_t max,
			    struct folio_batch *batch)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
	for (folio = xas_load(&xas); folio; folio = xas_next(&xas)) {
		if (xas.xa_index > max || xa_is_value(folio))
			break;
		if (xas_retry(&xas, folio))
			continue;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (unlikely(folio != xas_reload(&xas))) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		batch->folios[batch->nr++] = folio;
		if (batch->nr == FOLIO_BATCH_MOST || !folio_test_uptodate(folio) ||
		    folio_test_readahead(folio))
			break;
		xas_advance(&xas, folio->index + folio_nr_pages(folio) - 1);
	}
	rcu_read_unlock();
}

void filemap_get_folios(struct address_space *mapping, pgoff_t *start, pgoff_t end, struct folio_batch *batch)
{
	XA_STATE(xas, &mapping->i_pages, *start);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, end)
	{
		if (xa_is_value(folio))
			continue;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (unlikely(folio != xas_reload(&xas))) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		batch->folios[batch->nr++] = folio;
		*start = folio->index + folio_nr_pages(folio);
		if (batch->nr == FOLIO_BATCH_MOST || *start > end || !*start)
			break;
	}
	rcu_read_unlock();
}

void filemap_get_folios_tag(struct address_space *mapping, pgoff_t *start, pgoff_t end, xa_mark_t tag,
			    struct folio_batch *batch)
{
	XA_STATE(xas, &mapping->i_pages, *start);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each_marked(&xas, folio, end, tag)
	{
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (unlikely(folio != xas_reload(&xas))) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		batch->folios[batch->nr++] = folio;
		*start = folio->index + folio_nr_pages(folio);
		if (batch->nr == FOLIO_BATCH_MOST || *start > end || !*start)
			break;
	}
	rcu_read_unlock();
}

void folio_batch_release(struct folio_batch *batch)
{
	for (unsigned i = 0; i < batch->nr; i++)
		folio_put(batch->folios[i]);
	batch->nr = 0;
}

static void mapping_add_pages(struct address_space *mapping, long nr)
{
	__atomic_fetch_add(&mapping->nrpages, nr, __ATOMIC_RELAXED);
	vm_count(mapping->machine->cache, VM_nr_file_pages, nr);
}

// Stores the folio if only shadows are where it goes. *shadow: the last of them.
static int filemap_store_folio(struct address_space *mapping, struct folio *folio, void **shadow)
{
	XA_STATE_ORDER(xas, &mapping->i_pages, folio->index, folio->order);
	long nr_shadows = 0;
	void *entry;

	scoped_spin_lock(&mapping->i_pages.xa_lock);
	xas_for_each_conflict(&xas, entry)
	{
		if (!xa_is_value(entry))
			return -EEXIST;
		*shadow = entry;
		nr_shadows++;
	}
	xas_set_order(&xas, folio->index, folio->order);
	xas_store(&xas, folio);
	if (xas_error(&xas))
		return xas_error(&xas);
	workingset_add_shadows(mapping, -nr_shadows);
	mapping_add_pages(mapping, folio_nr_pages(folio));
	return 0;
}

int filemap_add_folio(struct address_space *mapping, struct folio *folio, pgoff_t index)
{
	struct cache_machine *cache = mapping->machine->cache;
	struct arena *arena = folio_arena(folio);
	void *shadow = NULL;
	int err;

	folio->index = index;
	folio_set_locked(folio);
	folio_get(folio);
	WRITE_ONCE(folio->mapping, mapping);
	err = filemap_store_folio(mapping, folio, &shadow);
	if (err) {
		folio_set_arena(folio, arena);
		folio_clear_locked(folio);
		folio_put(folio);
		return err;
	}
	if (shadow)
		workingset_refault(cache, folio, shadow);
	if (!test_bit(AS_UNEVICTABLE, &mapping->flags))
		folio_add_lru(folio);
	return 0;
}

// Takes the folio out of the index and leaves `shadow` there, NULL or a value. It belongs to the arena
// afterwards.
static void page_cache_delete_locked(struct address_space *mapping, struct folio *folio, void *shadow)
	__must_hold(&mapping->i_pages.xa_lock)
{
	XA_STATE_ORDER(xas, &mapping->i_pages, folio->index, folio->order);

	folio_clear_tags_locked(mapping, folio);
	// An entry of the same order takes the place of the other: that needs no memory.
	xas_store(&xas, shadow);
	BUG_ON(xas_error(&xas));
	if (shadow)
		workingset_add_shadows(mapping, 1);
	mapping_add_pages(mapping, -(long)folio_nr_pages(folio));
	folio_set_arena(folio, mapping->machine->cache->arena);
}

void filemap_remove_folio(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);
	void (*free_folio)(struct folio *) = mapping->a_ops->free_folio;

	xa_lock(&mapping->i_pages);
	page_cache_delete_locked(mapping, folio, NULL);
	xa_unlock(&mapping->i_pages);
	if (free_folio)
		free_folio(folio);
	folio_put(folio);
}

bool filemap_evict_folio(struct address_space *mapping, struct folio *folio, bool remember)
{
	struct cache_machine *cache = mapping->machine->cache;
	void (*free_folio)(struct folio *) = mapping->a_ops->free_folio;
	void *shadow = NULL;

	xa_lock(&mapping->i_pages);
	if (!folio_ref_freeze(folio, 2)) {
		xa_unlock(&mapping->i_pages);
		return false;
	}
	if (folio_test_dirty(folio)) {
		folio_ref_unfreeze(folio, 2);
		xa_unlock(&mapping->i_pages);
		return false;
	}
	if (remember && !test_bit(AS_EXITING, &mapping->flags))
		shadow = workingset_eviction(cache, folio);
	page_cache_delete_locked(mapping, folio, shadow);
	xa_unlock(&mapping->i_pages);
	// Nobody can wait for the lock of a folio without holding a reference, so it needs no unlocking.
	if (free_folio)
		free_folio(folio);
	if (folio_test_lru(folio))
		lru_del_folio(cache, folio);
	folio_free_frozen(folio);
	return true;
}

int filemap_grab_folio(struct address_space *mapping, pgoff_t index, unsigned order, struct folio **out)
{
	struct cache_machine *cache = mapping->machine->cache;

	order = clamp_t(unsigned, order, mapping->min_order, mapping->max_order);
	for (;;) {
		struct folio *folio = filemap_get_entry(mapping, index);
		int err;

		if (folio) {
			folio_lock(folio);
			if (likely(folio_mapping(folio) == mapping)) {
				*out = folio;
				return 0;
			}
			folio_unlock(folio);
			folio_put(folio);
			continue;
		}
		folio = folio_alloc(cache, order, true);
		if (!folio)
			return -ENOMEM;
		err = filemap_add_folio(mapping, folio, round_down(index, 1ul << order));
		if (!err) {
			*out = folio;
			return 0;
		}
		folio_put(folio);
		if (err == -EEXIST && order > mapping->min_order)
			order = mapping->min_order;
		else if (err != -EEXIST)
			return err;
	}
}
