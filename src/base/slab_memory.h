/* SPDX-License-Identifier: MIT */
/*
 * Where the slabs of pools come from: 64 KiB, aligned to that. A machine with much memory cuts them from
 * chunks of 2 MiB that ask for huge pages, since walks over many small objects otherwise wait for address
 * translations about as long as for the objects. Slabs of all pools share the chunks.
 *
 * The machine owns the chunks; a chunk goes when its last slab does. What a chunk holds beyond its slabs is
 * not counted as the machine's memory.
 */
#ifndef SHALE_BASE_SLAB_MEMORY_H
#define SHALE_BASE_SLAB_MEMORY_H

#include "base/list.h"
#include "base/spinlock.h"

#define SLAB_BYTES ((size_t)SZ_64K)

struct shale;
struct slab_chunk;

struct machine_slabs {
	spinlock_t lock;         /* the list and the chunks' bits */
	struct list_head chunks; /* that have room */
};

void slab_memory_init(struct shale *machine);
/* Zeroed and present. *chunk is to be given back with it. NULL without memory. */
void *slab_memory_get(struct shale *machine, struct slab_chunk **chunk) __must_check;
void slab_memory_put(struct shale *machine, void *memory, struct slab_chunk *chunk);

#endif
