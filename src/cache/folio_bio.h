/* SPDX-License-Identifier: MIT */
/*
 * A read of a run of folios: one bio for a range of a mapping that is contiguous on the device. The folios
 * are in the index, locked by the reader; when the bio ends, each is found again by its index and its
 * provider told which part of it has come, or not. Nobody but the completion touches a folio_bio after it
 * was submitted.
 */
#ifndef SHALE_CACHE_FOLIO_BIO_H
#define SHALE_CACHE_FOLIO_BIO_H

#include "block/blk.h"
#include "cache/folio.h"

struct folio_bio;
// Bytes [offset, offset + len) of the folio have been read (0) or not (negative errno). In completion
// context.
typedef void (*folio_bio_end_t)(struct folio *folio, size_t offset, size_t len, int status);

// For the file's bytes from `pos` on, which lie from `sector` of bdev on. max_vecs: folios that may come, at
// least 1. -ENOMEM.
int folio_bio_alloc(struct block_device *bdev, sector_t sector, blk_opf_t opf, unsigned max_vecs,
		    struct address_space *mapping, u64 pos, folio_bio_end_t end,
		    struct folio_bio **out) __must_check;
// Adds a part of a folio, if it follows in the file and on the device (`sector`) on what is there, and there
// is room.
bool folio_bio_add(struct folio_bio *fb, struct block_device *bdev, sector_t sector, struct folio *folio,
		   size_t offset, size_t len);
void folio_bio_submit(struct folio_bio *fb); // NULL: nothing

#endif
