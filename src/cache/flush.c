/* SPDX-License-Identifier: MIT */
/*
 * Keeping dirty memory small: a work item that has dirty pages written, and who waits for it.
 *
 * Above the background mark the work item runs. Above the hard mark writers wait, before they take another
 * page, for what is being written; so reclaim nearly always finds clean pages. Where it does not, it starts
 * the work, too, and waits. The work acts by flusher_ops and holds nothing, so it may take any lock of a file
 * system; it and all that writes pages may use the last of the memory (PF_MEMALLOC), since it is what makes
 * memory free.
 */
#include "cache/cache_internal.h"
#include "cache/writeback.h"

#define FLUSH_PAGES   1024ul
#define THROTTLE_EACH 8u // folios written between two looks

static unsigned long background_pages(const struct cache_machine *cache)
{
	return cache->limit_pages / 10;
}

static unsigned long hard_pages(const struct cache_machine *cache)
{
	return cache->limit_pages / 5;
}

static unsigned long unwritten_pages(const struct cache_machine *cache)
{
	return vm_read(cache, VM_nr_dirty) + vm_read(cache, VM_nr_writeback);
}

static bool flush_wanted(struct cache_machine *cache)
{
	u64 dirty = vm_read(cache, VM_nr_dirty);

	return dirty > background_pages(cache) || (dirty && cache_pages_used(cache) > cache->high_pages);
}

static void flush_work_fn(struct work_struct *work)
{
	struct cache_machine *cache = container_of(work, struct cache_machine, flush);
	unsigned long chunk = clamp_t(unsigned long, cache->limit_pages / 16, 1, FLUSH_PAGES), wrote;
	unsigned reclaim = memalloc_noreclaim_save();

	do {
		wrote = cache->flusher->write_back(cache->machine, chunk);
		// More is begun when most of that has ended.
		io_wait_event(cache->writeback_wait, vm_read(cache, VM_nr_writeback) <= chunk);
		wake_up_all(&cache->reclaim_wait);
	} while (wrote && flush_wanted(cache));
	memalloc_noreclaim_restore(reclaim);
	WRITE_ONCE(cache->flushing, false);
	wake_up_all(&cache->writeback_wait);
	wake_up_all(&cache->reclaim_wait);
}

bool cache_start_flush(struct cache_machine *cache)
{
	if (!cache->flusher || !vm_read(cache, VM_nr_dirty))
		return false;
	if (!READ_ONCE(cache->flushing)) {
		WRITE_ONCE(cache->flushing, true);
		queue_work(cache->machine->system_wq, &cache->flush);
	}
	return true;
}

void balance_dirty_pages_ratelimited(struct address_space *mapping)
{
	struct cache_machine *cache = mapping->machine->cache;

	if (!mapping->a_ops->writepages || current->alloc_flags)
		return;
	if (atomic64_fetch_add(1, &cache->vm[current->shard].dirtied) % THROTTLE_EACH)
		return;
	if (unwritten_pages(cache) <= background_pages(cache) || !cache_start_flush(cache))
		return;
	io_wait_event(cache->writeback_wait,
		      unwritten_pages(cache) <= hard_pages(cache) || !READ_ONCE(cache->flushing));
}

void flush_init(struct cache_machine *cache)
{
	INIT_WORK(&cache->flush, flush_work_fn);
	init_waitqueue_head(&cache->writeback_wait);
}

void flush_exit(struct cache_machine *cache)
{
	cancel_work_sync(&cache->flush);
}
