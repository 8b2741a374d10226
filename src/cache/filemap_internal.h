/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the data path: looking up folios one by one and in batches.
 */
#ifndef SHALE_CACHE_FILEMAP_INTERNAL_H
#define SHALE_CACHE_FILEMAP_INTERNAL_H

#include "cache/folio.h"

// The folio at the index with a reference, or NULL. Lock-free.
struct folio *filemap_get_entry(struct address_space *mapping, pgoff_t index);
// Adds the folios that cover `index` and what follows without a gap, up to `max`; the last one may be one
// that is not up to date, or the one with the readahead mark.
void filemap_get_read_batch(struct address_space *mapping, pgoff_t index, pgoff_t max,
			    struct folio_batch *batch);
// Adds the folios from *start to end, gaps or not, and moves *start past the last.
void filemap_get_folios(struct address_space *mapping, pgoff_t *start, pgoff_t end,
			struct folio_batch *batch);

// The same, only those that bear the tag.
void filemap_get_folios_tag(struct address_space *mapping, pgoff_t *start, pgoff_t end, xa_mark_t tag,
			    struct folio_batch *batch);

#endif
