/* SPDX-License-Identifier: MIT */
/*
 * Sparse memory: the bytes of a disk, in pages that come when they are first written. Under the RAM disk, and
 * under the copy-on-write filter, which also asks which sectors were ever written (`valid`, one bit for each
 * of a page's eight).
 *
 * Two levels: a table of groups, each a table of 512 pages (2 MiB). Slots go from NULL to an object by
 * compare-and-swap; a group stays to the end, a page that is discarded is freed after a grace period. So
 * there is no lock: every access is inside an RCU read section. Who reads what another writes at the same
 * time gets any mix of both, as on a real disk.
 */
#ifndef SHALE_DRIVERS_SPARSE_INTERNAL_H
#define SHALE_DRIVERS_SPARSE_INTERNAL_H

#include "base/compiler.h"
#include "base/rcu.h"

struct shale;

#define SPARSE_PAGE_BYTES  4096u
#define SPARSE_GROUP_PAGES 512u
/* The largest disk: 16 TiB, for which the table of groups takes 64 MiB of address space. */
#define SPARSE_MAX_BYTES (1ULL << 44)

struct sparse_page {
	struct rcu_head rcu;
	u32 valid; /* atomic: bit n stands for sector n of the page */
	u8 data[SPARSE_PAGE_BYTES] __attribute__((aligned(8)));
};

struct sparse_group {
	struct sparse_page *page[SPARSE_GROUP_PAGES];
};

struct sparse_memory {
	struct shale *machine;
	u64 nr_groups;
	u64 nr_pages_used; /* atomic */
	struct sparse_group **group;
	struct sparse_page *zeroes; /* stands for every page that was zeroed as a whole; see sparse_zero */
};

/* -ENOMEM; -EFBIG above SPARSE_MAX_BYTES. */
int sparse_init(struct shale *machine, struct sparse_memory *mem, u64 bytes) __must_check;
/* Nobody uses it any more. */
void sparse_destroy(struct sparse_memory *mem);

/* Offsets and lengths are in bytes, inside the disk; writes and zeroing begin and end at sectors. */
int sparse_write(struct sparse_memory *mem, u64 offset, const void *from,
		 size_t bytes) __must_check; /* -ENOMEM */
/* What was never written reads as zeroes. */
void sparse_read(struct sparse_memory *mem, u64 offset, void *to, size_t bytes);
/* Copies only the sectors that were written or zeroed, and leaves the others of `to` alone. */
void sparse_overlay(struct sparse_memory *mem, u64 offset, void *to, size_t bytes);
/* Does the range hold every sector? */
bool sparse_covers(struct sparse_memory *mem, u64 offset, u64 bytes);
/* The range reads as zeroes and counts as written; whole pages cost no memory. -ENOMEM. */
int sparse_zero(struct sparse_memory *mem, u64 offset, u64 bytes) __must_check;
/* The range reads as zeroes; whole pages are freed and count as never written. Never fails. */
void sparse_discard(struct sparse_memory *mem, u64 offset, u64 bytes);

#endif
