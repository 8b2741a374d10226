/* SPDX-License-Identifier: MIT */
/* See base/slab_memory.h. */
#include "base/slab_memory.h"

#include <sys/mman.h>
#include "base/alloc.h"
#include "base/machine.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define CHUNK_BYTES ((size_t)SZ_2M)
#define CHUNK_SLABS (CHUNK_BYTES / SLAB_BYTES)
#define CHUNK_ALL   0xffffffffu
#define CHUNKS_FROM (256ull << 20) /* of the machine's memory */
BUILD_BUG_ON(CHUNK_SLABS != 32);

struct slab_chunk {
	struct list_head list; /* machine->slabs.chunks, while `free` is not 0 */
	char *base;
	u32 free; /* a bit for each slab */
};

void slab_memory_init(struct shale *machine)
{
	spin_lock_init(&machine->slabs.lock);
	INIT_LIST_HEAD(&machine->slabs.chunks);
}

/* Aligned to its size, a power of two. */
static void *map_aligned(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (p == MAP_FAILED || ((uintptr_t)p & (bytes - 1)) == 0)
		return p == MAP_FAILED ? NULL : p;
	munmap(p, bytes);
	p = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (bytes - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + bytes, bytes - head);
	return p + head;
}

/* Not one more allocation to fail on purpose: it is part of the one that a pool was asked for. */
static struct slab_chunk *chunk_make(void)
{
	struct slab_chunk *chunk = kmalloc(NULL, sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->base = map_aligned(CHUNK_BYTES);
	if (!chunk->base) {
		kfree(chunk);
		return NULL;
	}
	(void)madvise(chunk->base, CHUNK_BYTES, MADV_HUGEPAGE);
	chunk->free = CHUNK_ALL;
	return chunk;
}

static void *chunk_take(struct machine_slabs *slabs, struct slab_chunk *chunk) __must_hold(slabs->lock)
{
	unsigned at = (unsigned)__builtin_ctz(chunk->free);

	chunk->free &= chunk->free - 1;
	if (!chunk->free)
		list_del(&chunk->list);
	return chunk->base + at * SLAB_BYTES;
}

static void *get_from_chunk(struct shale *machine, struct slab_chunk **out)
{
	struct machine_slabs *slabs = &machine->slabs;
	struct slab_chunk *made = NULL;
	void *memory;

	spin_lock(&slabs->lock);
	if (list_empty(&slabs->chunks)) {
		spin_unlock(&slabs->lock);
		made = chunk_make();
		if (!made)
			return NULL;
		spin_lock(&slabs->lock);
		list_add(&made->list, &slabs->chunks);
	}
	*out = list_first_entry(&slabs->chunks, struct slab_chunk, list);
	memory = chunk_take(slabs, *out);
	spin_unlock(&slabs->lock);
	return memory;
}

void *slab_memory_get(struct shale *machine, struct slab_chunk **chunk)
{
	void *memory;

	*chunk = NULL;
	if (machine->options.memory_limit >= CHUNKS_FROM)
		memory = get_from_chunk(machine, chunk);
	else
		memory = map_aligned(SLAB_BYTES);
	/* Every page is touched at once: one call instead of sixteen faults. Where the host has no such call,
	 * they come. */
	if (memory)
		(void)madvise(memory, SLAB_BYTES, MADV_POPULATE_WRITE);
	return memory;
}

void slab_memory_put(struct shale *machine, void *memory, struct slab_chunk *chunk)
{
	struct machine_slabs *slabs = &machine->slabs;
	u32 bit, before;

	if (!chunk) {
		munmap(memory, SLAB_BYTES);
		return;
	}
	(void)madvise(memory, SLAB_BYTES, MADV_DONTNEED);
	bit = 1u << (unsigned)(((char *)memory - chunk->base) / SLAB_BYTES);
	spin_lock(&slabs->lock);
	before = chunk->free;
	chunk->free |= bit;
	if (chunk->free == CHUNK_ALL && before)
		list_del(&chunk->list);
	else if (!before)
		list_add_tail(&chunk->list, &slabs->chunks);
	spin_unlock(&slabs->lock);
	if ((before | bit) != CHUNK_ALL)
		return;
	munmap(chunk->base, CHUNK_BYTES);
	kfree(chunk);
}
