/* SPDX-License-Identifier: MIT */
/*
 * The counters of the cache, and the machine's part as a whole: made by cache_init, freed by cache_exit.
 *
 * Each shard of threads adds to counters of its own; a reader sums them up. Owner: the machine.
 */
#include "cache/cache_internal.h"

#include "base/seq_file.h"

#include <string.h>
#include <unistd.h>

#define CACHE_MIN_BYTES (4ul << 20) // a limit below this is taken as this

u64 vm_read(const struct cache_machine *cache, enum vm_counter which)
{
	s64 sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += atomic64_read(&cache->vm[i].count[which]);
	return sum > 0 ? sum : 0;
}

void cache_show_vmstat(struct shale *machine, struct seq_file *m)
{
	static const char *const names[] = {
#define X(name) #name,
		VM_COUNTERS(X)
#undef X
	};
	struct cache_machine *cache = machine->cache;
	unsigned long used = cache_pages_used(cache);

	seq_printf(m, "nr_free_pages %lu\n", used < cache->limit_pages ? cache->limit_pages - used : 0);
	for (unsigned i = 0; i < NR_VM_COUNTERS; i++) {
		u64 value = vm_read(cache, i);

		if (i == VM_nr_inactive_file)
			value = READ_ONCE(cache->nr_lru[LRU_INACTIVE_FILE]);
		else if (i == VM_nr_active_file)
			value = READ_ONCE(cache->nr_lru[LRU_ACTIVE_FILE]);
		else if (i == VM_workingset_nodes)
			value = atomic64_read(&cache->nr_shadows);
		seq_printf(m, "%s %llu\n", names[i], (unsigned long long)value);
	}
}

static void cache_set_limit(struct cache_machine *cache, u64 bytes)
{
	cache->limit_pages = max_t(u64, bytes, CACHE_MIN_BYTES) >> PAGE_SHIFT;
	cache->high_pages = cache->limit_pages - cache->limit_pages / 16;
	cache->low_pages = cache->limit_pages - cache->limit_pages / 8;
}

static u64 default_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (u64)pages * size / 4 : 256ul << 20;
}

int cache_init(struct shale *machine)
{
	struct cache_machine *cache = kmalloc_aligned(machine, sizeof(*cache), CACHELINE_SIZE);
	u64 limit = machine->options.memory_limit;
	int err;

	if (!cache)
		return -ENOMEM;
	memset(cache, 0, sizeof(*cache));
	cache->machine = machine;
	cache_set_limit(cache, limit ? limit : default_limit());
	lru_init(cache);
	vmscan_init(cache);
	flush_init(cache);
	workingset_init(cache);
	// A little more than the limit: reclaim itself, and runs that are lost to fragments, need some.
	err = arena_create(machine, cache->limit_pages + cache->limit_pages / 64, &cache->arena);
	if (err)
		goto free_cache;
	err = buffer_init(cache);
	if (err)
		goto free_arena;
	machine->cache = cache;
	return 0;
free_arena:
	arena_destroy(cache->arena);
free_cache:
	kfree(cache);
	return err;
}

void cache_exit(struct shale *machine)
{
	struct cache_machine *cache = machine->cache;

	if (!cache)
		return;
	vmscan_exit(cache);
	flush_exit(cache);
	lru_add_drain_all(cache);
	arena_destroy(cache->arena);
	buffer_exit(cache);
	machine->cache = NULL;
	kfree(cache);
}
