/* SPDX-License-Identifier: MIT */
/*
 * Between buffer_head.c, buffer_write.c and blkdev_aops.c.
 */
#ifndef SHALE_CACHE_BUFFER_INTERNAL_H
#define SHALE_CACHE_BUFFER_INTERNAL_H

#include "cache/buffer_head.h"

int bh_read(struct buffer_head *bh) __must_check; // reads the block unless it is up to date, and waits

void buffer_bio_fill(struct bio *bio, struct buffer_head *bh); // the bio is for this block

// Of a_ops, for a folio that has heads. The folio is locked, PG_dirty was taken away: writes its dirty
// blocks, as the folio's writeback, and gives the lock back. wait: also for the locks of blocks that others
// hold.
void folio_write_buffers(struct folio *folio, bool wait);
bool buffer_dirty_folio(struct address_space *mapping, struct folio *folio);

// What was verified of the block is not to be believed any more.
void buffer_forget_verified(struct buffer_head *bh);

// blkdev_write.c, of a_ops.
int blkdev_write_begin(struct address_space *mapping, u64 pos, size_t *len, struct folio **out);
void blkdev_write_end(struct address_space *mapping, u64 pos, size_t copied, struct folio *folio);
bool blkdev_release_folio(struct folio *folio); // false: a block is in use by a journal, dirty, or under I/O

#endif
