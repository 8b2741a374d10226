/* SPDX-License-Identifier: MIT */
/*
 * A block device that shows another one with some of its blocks taken from elsewhere: from other places of
 * the same device, or from copies in memory. So a file system can be read as its journal would leave it, and
 * not a byte is written; or, when all is gathered, it is written as it is seen.
 *
 * The remap is made and filled by one thread; then its device is read by many. What is filled in later is for
 * who knows that nobody reads those blocks at that time, and that they are not in the device's page cache.
 */
#ifndef SHALE_BLOCK_REMAP_H
#define SHALE_BLOCK_REMAP_H

#include "block/blk.h"

struct blk_remap;

/*
 * Over `lower`, which the caller keeps open until blk_remap_destroy(). Blocks are of `block_size` bytes, a
 * power of two from lower's logical block up to 64 KiB: -EINVAL.
 */
int blk_remap_create(struct block_device *lower, unsigned block_size, struct blk_remap **out) __must_check;
/* Makes room for `nr` more blocks at once: 22 bytes each, where growing takes up to 64. -ENOMEM, as below. */
int blk_remap_reserve(struct blk_remap *remap, u64 nr) __must_check;
/*
 * `block` shows what `elsewhere`, a block of lower, holds; the last addition counts. -EINVAL: one of them
 * lies behind the end of lower. -ENOMEM also when the table and the copies would take more than half of the
 * machine's memory limit.
 */
int blk_remap_add(struct blk_remap *remap, u64 block, u64 elsewhere) __must_check;
/* `block` is lower's own again. */
void blk_remap_forget(struct blk_remap *remap, u64 block);
/*
 * A copy of the block, as it is seen now, which from now on is what is seen: *data, block_size bytes that
 * the caller may change. The same memory when the block has a copy already. -EIO too.
 */
int blk_remap_copy(struct blk_remap *remap, u64 block, void **data) __must_check;
/* Reads the block as it is seen now, not through any cache. */
int blk_remap_read(struct blk_remap *remap, u64 block, void *data) __must_check;
/*
 * Writes each block that comes from elsewhere to its place in lower, in rising order, as it is seen; the same
 * again gives the same, as long as no block is the source of another that stands in the table, too. It
 * neither flushes nor changes what is seen. -EIO, -ENOMEM.
 */
int blk_remap_write(struct blk_remap *remap) __must_check;
/*
 * The device to read from: hidden, read-only, as long as lower, with a page cache of its own. It lives until
 * the remap is destroyed; a second call gives the same.
 */
int blk_remap_device(struct blk_remap *remap, struct block_device **out) __must_check;
/* How many blocks come from elsewhere, and how many of these from copies. */
u64 blk_remap_count(const struct blk_remap *remap, u64 *copies);
/* Nobody reads any more. NULL is fine. */
void blk_remap_destroy(struct blk_remap *remap);

#endif
