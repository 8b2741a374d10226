/* SPDX-License-Identifier: MIT */
/*
 * Between buffer_head.c and blkdev_aops.c.
 */
#ifndef SHALE_CACHE_BUFFER_INTERNAL_H
#define SHALE_CACHE_BUFFER_INTERNAL_H

#include "cache/buffer_head.h"

int bh_read(struct buffer_head *bh) __must_check; // reads the block unless it is up to date, and waits
void buffer_set_uptodate(struct buffer_head *bh);

#endif
