/* SPDX-License-Identifier: MIT */
/*
 * The LRU lists: inactive (seen once) and active (seen again) file pages, newest at the head.
 *
 * Folios come in through small batches, one for each shard, so that lru_lock is taken once for many.
 * PG_active says which list a folio belongs on; marking it accessed only sets bits, and reclaim moves the
 * folio when it meets it: so the hot path takes no lock and writes nothing at all to a folio that is
 * referenced and active. folio->lru_list says which list it is on, with PG_lru: both change under lru_lock.
 */
#include "cache/cache_internal.h"

#include <string.h>

void lru_init(struct cache_machine *cache)
{
	spin_lock_init(&cache->lru_lock);
	for (unsigned i = 0; i < NR_LRU_LISTS; i++)
		INIT_LIST_HEAD(&cache->lists[i]);
	for (unsigned i = 0; i < SHARDS; i++)
		spin_lock_init(&cache->lru_shards[i].lock);
}

static void lru_account(struct cache_machine *cache, struct folio *folio, enum lru_list list, long sign)
{
	WRITE_ONCE(cache->nr_lru[list], cache->nr_lru[list] + sign * (long)folio_nr_pages(folio));
}

static void lru_add_locked(struct cache_machine *cache, struct folio *folio)
{
	enum lru_list list = folio_test_active(folio) ? LRU_ACTIVE_FILE : LRU_INACTIVE_FILE;

	folio_set_lru(folio);
	folio->lru_list = list;
	list_add(&folio->lru, &cache->lists[list]);
	lru_account(cache, folio, list, 1);
}

static void lru_del_locked(struct cache_machine *cache, struct folio *folio)
{
	list_del_init(&folio->lru);
	lru_account(cache, folio, folio->lru_list, -1);
	folio->lru_list = LRU_NONE;
	folio_clear_lru(folio);
}

void lru_del_folio(struct cache_machine *cache, struct folio *folio)
{
	scoped_spin_lock(&cache->lru_lock);
	if (folio_test_lru(folio))
		lru_del_locked(cache, folio);
}

// Moves a batch that was taken out of its shard to the lists.
static void lru_add_batch(struct cache_machine *cache, struct folio **folios, unsigned nr)
{
	if (!nr)
		return;
	spin_lock(&cache->lru_lock);
	for (unsigned i = 0; i < nr; i++) {
		if (!folio_test_lru(folios[i]))
			lru_add_locked(cache, folios[i]);
	}
	spin_unlock(&cache->lru_lock);
	for (unsigned i = 0; i < nr; i++)
		folio_put(folios[i]);
}

void folio_add_lru(struct folio *folio)
{
	struct cache_machine *cache = folio_cache(folio);
	struct lru_shard *shard = &cache->lru_shards[current->shard];
	struct folio *full[FOLIO_BATCH_SIZE];
	unsigned nr = 0;

	folio_get(folio);
	spin_lock(&shard->lock);
	shard->folios[shard->nr++] = folio;
	// Large folios do not wait: a few of them would hide much memory from reclaim.
	if (shard->nr == FOLIO_BATCH_SIZE || folio->order >= 4) {
		nr = shard->nr;
		memcpy(full, shard->folios, nr * sizeof(full[0]));
		shard->nr = 0;
	}
	spin_unlock(&shard->lock);
	lru_add_batch(cache, full, nr);
}

void lru_add_drain_all(struct cache_machine *cache)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct lru_shard *shard = &cache->lru_shards[i];
		struct folio *batch[FOLIO_BATCH_SIZE];
		unsigned nr;

		spin_lock(&shard->lock);
		nr = shard->nr;
		memcpy(batch, shard->folios, nr * sizeof(batch[0]));
		shard->nr = 0;
		spin_unlock(&shard->lock);
		lru_add_batch(cache, batch, nr);
	}
}

unsigned lru_isolate(struct cache_machine *cache, enum lru_list list, struct list_head *out,
		     unsigned long *scanned)
{
	unsigned taken = 0, looked = 0;
	unsigned long pages = 0;

	scoped_spin_lock(&cache->lru_lock);
	while (pages < SWAP_CLUSTER_MAX && looked < 2 * SWAP_CLUSTER_MAX &&
	       !list_empty(&cache->lists[list])) {
		struct folio *folio = list_last_entry(&cache->lists[list], struct folio, lru);

		looked++;
		if (!folio_try_get(folio)) {
			// Being freed: its last user waits for our lock to take it off.
			list_move(&folio->lru, &cache->lists[list]);
			continue;
		}
		pages += folio_nr_pages(folio);
		lru_del_locked(cache, folio);
		list_add_tail(&folio->lru, out);
		taken++;
	}
	*scanned += pages;
	return taken;
}

void lru_putback(struct cache_machine *cache, struct list_head *folios)
{
	while (!list_empty(folios)) {
		struct folio *batch[FOLIO_BATCH_SIZE];
		unsigned nr = 0;

		while (nr < FOLIO_BATCH_SIZE && !list_empty(folios)) {
			batch[nr] = list_first_entry(folios, struct folio, lru);
			list_del_init(&batch[nr]->lru);
			nr++;
		}
		lru_add_batch(cache, batch, nr);
	}
}

void folio_mark_accessed(struct folio *folio)
{
	unsigned long flags = READ_ONCE(folio->flags);

	if (!(flags & (1ul << PG_referenced)))
		folio_set_referenced(folio);
	else if (!(flags & (1ul << PG_active)))
		folio_set_active(folio);
}
