/* SPDX-License-Identifier: MIT */
/*
 * Between the files of iomap: what is known of the blocks of a folio.
 *
 * A folio of one block needs nothing but its flags. One of several gets a state on folio->private when its
 * blocks differ: which are up to date, which are dirty, and how many bytes are on their way in and out. A
 * dirty folio of several blocks always has one. The folio lock guards its making and freeing, and the dirty
 * bits; completions set bits of `uptodate` and count down without locks.
 */
#ifndef SHALE_IOMAP_INTERNAL_H
#define SHALE_IOMAP_INTERNAL_H

#include "iomap/iomap.h"

#include "base/bitmap.h"
#include "cache/folio.h"

struct iomap_folio_state {
	atomic_t pending;       // bytes being read, and one for who starts them
	atomic_t write_pending; // bytes being written, and one for who starts them
	unsigned nr_blocks, blkbits;
	unsigned long bits[]; // nr_blocks up to date, rounded up to whole words; then as many dirty
};

static inline unsigned long *ifs_uptodate(struct iomap_folio_state *ifs)
{
	return ifs->bits;
}
static inline unsigned long *ifs_dirty(struct iomap_folio_state *ifs)
{
	return ifs->bits + BITS_TO_LONGS(ifs->nr_blocks);
}
static inline bool ifs_fully_uptodate(struct iomap_folio_state *ifs)
{
	return bitmap_full(ifs_uptodate(ifs), ifs->nr_blocks);
}

// Under the folio lock. Blocks of a folio that is up to date are, and those of a dirty one are dirty. NULL:
// no memory.
struct iomap_folio_state *ifs_alloc(struct folio *folio, unsigned blkbits);
void ifs_free(struct folio *folio, struct shale *machine);
void ifs_set_range_uptodate(struct iomap_folio_state *ifs, size_t offset, size_t len);
// Bytes from `offset` on, up to `len`, that are alike: up to date (*uptodate) or not.
size_t ifs_run(struct iomap_folio_state *ifs, size_t offset, size_t len, bool *uptodate);
void ifs_set_range_dirty(struct iomap_folio_state *ifs, size_t offset, size_t len);
void ifs_clear_range_dirty(struct iomap_folio_state *ifs, size_t offset, size_t len);
// The next dirty run at or after *offset, below `end`: its bytes, and its begin in *offset. 0: none.
size_t ifs_next_dirty_run(struct iomap_folio_state *ifs, size_t *offset, size_t end);

static inline const struct iomap *iomap_iter_srcmap(const struct iomap_iter *iter)
{
	return iter->srcmap.type != IOMAP_HOLE ? &iter->srcmap : &iter->iomap;
}

#endif
