/* SPDX-License-Identifier: MIT */
/*
 * Readahead: reading what a sequential reader will want next, before it asks.
 *
 * The state of a file is its current window [start, start + size), in pages, of which the last async_size
 * are ahead of the reader. The folio where those begin bears PG_readahead: a reader who comes there starts
 * the next window, larger than the last, while it still has data to copy. So a steady reader never waits.
 *
 * ondemand_readahead decides what a miss means: the start of the file or a large read (first window), the
 * index that was expected (next window), a run of cached pages before it, which shows an interleaved stream
 * whose state was lost (a window by the length of that run), or none of these (a random read: just that).
 * page_cache_async_ra has met a marker, of this window (next window) or of another stream (what comes after
 * its cached run). page_cache_ra_order fills the window with folios, larger ones as the stream goes on,
 * aligned and within the file; read_pages hands them to the provider under a plug.
 *
 * The state belongs to the open file. Threads that share one race on it: each works on a copy, stored back
 * field by field; the worst is a poor guess. Folios are added and filled under invalidate_lock shared.
 * Nothing here fails: what cannot be had is read on demand.
 */
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"

#include "block/blk.h"

#define RA_CHUNK_PAGES 512 // forced readahead goes on in pieces of 2 MiB

static unsigned bdi_ra_pages(const struct address_space *mapping)
{
	return mapping->bdi ? READ_ONCE(mapping->bdi->ra_pages) : VM_READAHEAD_PAGES;
}

void bdi_init(struct backing_dev_info *bdi, const char *name)
{
	*bdi = (struct backing_dev_info){
		.name = name, .ra_pages = VM_READAHEAD_PAGES, .io_pages = BDI_IO_PAGES};
}

void file_ra_state_init(struct file_ra_state *ra, struct address_space *mapping)
{
	*ra = (struct file_ra_state){.ra_pages = bdi_ra_pages(mapping), .prev_pos = -1};
}

static struct file_ra_state ra_load(const struct file_ra_state *ra)
{
	return (struct file_ra_state){
		.start = READ_ONCE(ra->start),
		.size = READ_ONCE(ra->size),
		.async_size = READ_ONCE(ra->async_size),
		.ra_pages = READ_ONCE(ra->ra_pages),
		.order = READ_ONCE(ra->order),
		.prev_pos = READ_ONCE(ra->prev_pos),
	};
}

static void ra_store(struct file_ra_state *ra, const struct file_ra_state *now)
{
	WRITE_ONCE(ra->start, now->start);
	WRITE_ONCE(ra->size, now->size);
	WRITE_ONCE(ra->async_size, now->async_size);
	WRITE_ONCE(ra->order, now->order);
}

struct folio *readahead_folio(struct readahead_control *rac)
{
	struct folio *folio;

	rac->_nr_pages -= rac->_batch_count;
	rac->_index += rac->_batch_count;
	rac->_batch_count = 0;
	if (!rac->_nr_pages)
		return NULL;
	folio = xa_load(&rac->mapping->i_pages, rac->_index);
	rac->_batch_count = folio_nr_pages(folio);
	folio_put(folio);
	return folio;
}

// Hands the folios [_index, _index + _nr_pages) to the provider. Those that it leaves leave the cache.
static void read_pages(struct readahead_control *rac)
{
	struct address_space *mapping = rac->mapping;
	struct folio *folio;
	struct blk_plug plug;

	if (!rac->_nr_pages)
		return;
	blk_start_plug(&plug);
	if (mapping->a_ops->readahead) {
		mapping->a_ops->readahead(rac);
		while ((folio = readahead_folio(rac))) {
			folio_get(folio);
			filemap_remove_folio(folio);
			folio_unlock(folio);
			folio_put(folio);
		}
	} else {
		// An error shows as a folio that is not up to date; who wants it tries again and is told.
		while ((folio = readahead_folio(rac)))
			(void)mapping->a_ops->read_folio(mapping, folio);
	}
	blk_finish_plug(&plug);
}

// Adds one folio to those that rac is about to read. -EEXIST: something is there already.
static int ra_alloc_folio(struct readahead_control *rac, pgoff_t index, pgoff_t mark, unsigned order)
{
	struct folio *folio = folio_alloc(rac->mapping->machine->cache, order, false);
	int err;

	if (!folio)
		return -ENOMEM;
	if (mark - index < 1ul << order)
		folio_set_readahead(folio);
	err = filemap_add_folio(rac->mapping, folio, index);
	if (err) {
		folio_put(folio);
		return err;
	}
	rac->_nr_pages += 1u << order;
	return 0;
}

// The largest order at this index that is wanted, aligned, and does not reach past `limit`.
static unsigned ra_order_at(const struct address_space *mapping, pgoff_t index, pgoff_t limit, unsigned want)
{
	unsigned order = want;

	if (index)
		order = min_t(unsigned, order, __ffs(index));
	while (order > mapping->min_order && index + (1ul << order) - 1 > limit)
		order--;
	return max_t(unsigned, order, mapping->min_order);
}

// Reads [index, index + nr) without waiting, in folios of up to `order`; the one that holds page `mark` (~0:
// none) gets the marker.
static void page_cache_ra_order(struct readahead_control *rac, pgoff_t index, unsigned long nr, pgoff_t mark,
				unsigned order)
{
	struct address_space *mapping = rac->mapping;
	u64 size = mapping_size(mapping);
	unsigned nofs;
	pgoff_t limit;

	if (!size || !nr)
		return;
	// Folios that are locked and not yet asked for may be what writing needs.
	nofs = memalloc_nofs_save();
	limit = min(index + nr - 1, (pgoff_t)((size - 1) >> PAGE_SHIFT));
	index = round_down(index, 1ul << mapping->min_order);
	order = clamp_t(unsigned, order, mapping->min_order, mapping->max_order);
	rac->_nr_pages = rac->_batch_count = 0;
	rac->_index = index;
	down_read(&mapping->invalidate_lock);
	while (index <= limit) {
		unsigned o = ra_order_at(mapping, index, limit, order);
		int err = ra_alloc_folio(rac, index, mark, o);

		if (err && o > mapping->min_order) {
			o = mapping->min_order;
			err = ra_alloc_folio(rac, index, mark, o);
		}
		if (err && err != -EEXIST)
			break;
		index += 1ul << o;
		if (err == -EEXIST) {
			read_pages(rac);
			rac->_nr_pages = rac->_batch_count = 0;
			rac->_index = index;
		}
	}
	read_pages(rac);
	up_read(&mapping->invalidate_lock);
	memalloc_nofs_restore(nofs);
}

void force_page_cache_readahead(struct address_space *mapping, struct file_ra_state *ra, pgoff_t index,
				unsigned long nr_pages)
{
	u64 size = mapping_size(mapping);
	pgoff_t end = DIV_ROUND_UP(size, PAGE_SIZE);
	unsigned long most = mapping->machine->cache->limit_pages / 2;

	if (index >= end || (!mapping->a_ops->readahead && !mapping->a_ops->read_folio))
		return; // a directory has a size, but no pages
	nr_pages = min3(nr_pages, end - index, most);
	while (nr_pages) {
		struct readahead_control rac = {.mapping = mapping, .ra = ra};
		unsigned long nr =
			min(nr_pages, (unsigned long)RA_CHUNK_PAGES - (index & (RA_CHUNK_PAGES - 1)));

		page_cache_ra_order(&rac, index, nr, ~0ul, ilog2(nr));
		index += nr;
		nr_pages -= nr;
	}
}

// First window of a stream whose first read wants `req` pages: up to four times that.
static unsigned long get_init_ra_size(unsigned long req, unsigned long max)
{
	unsigned long size = roundup_pow_of_two(req);

	if (size <= max / 32)
		return size * 4;
	if (size <= max / 4)
		return size * 2;
	return max;
}

static unsigned long get_next_ra_size(unsigned long size, unsigned long max)
{
	if (size < max / 16)
		return size * 4;
	if (size <= max / 2)
		return size * 2;
	return max;
}

// The largest window now: the file's, or the whole of one large read as far as the device likes requests of
// that size.
static unsigned long ra_max_pages(const struct readahead_control *rac, const struct file_ra_state *ra,
				  unsigned long req)
{
	const struct address_space *mapping = rac->mapping;
	unsigned long io_pages = mapping->bdi ? READ_ONCE(mapping->bdi->io_pages) : BDI_IO_PAGES;
	unsigned long max = ra->ra_pages;

	if (req > max && io_pages > max)
		max = min(req, io_pages);
	return clamp_t(unsigned long, mapping->machine->cache->limit_pages / 8, 1, max);
}

// How many pages right before `index` are cached, up to `max`.
static unsigned long count_history_pages(struct address_space *mapping, pgoff_t index, unsigned long max)
{
	XA_STATE(xas, &mapping->i_pages, index - 1);
	unsigned long count = 0;

	scoped_rcu_read();
	while (count < max && count < index) {
		void *entry = xas_prev(&xas);

		if (!entry || xa_is_value(entry))
			break;
		count++;
	}
	return count;
}

// The first page at or after `index` that is not cached; false when there is none within `max`.
static bool next_miss(struct address_space *mapping, pgoff_t *index, unsigned long max)
{
	XA_STATE(xas, &mapping->i_pages, *index);

	scoped_rcu_read();
	for (unsigned long i = 0; i < max; i++) {
		void *entry = xas_next(&xas);

		if (!entry || xa_is_value(entry)) {
			*index += i;
			return true;
		}
	}
	return false;
}

static void ra_submit(struct readahead_control *rac, struct file_ra_state *now, unsigned order)
{
	now->order = order;
	ra_store(rac->ra, now);
	page_cache_ra_order(rac, now->start, now->size, now->start + now->size - now->async_size,
			    min_t(unsigned, order, ilog2(now->size)));
}

static void ra_first_window(struct file_ra_state *ra, pgoff_t index, unsigned long req, unsigned long max)
{
	ra->start = index;
	ra->size = get_init_ra_size(req, max);
	ra->async_size = ra->size > req ? ra->size - req : ra->size >> 1;
}

static void ra_next_window(struct file_ra_state *ra, unsigned long max)
{
	ra->start += ra->size;
	ra->size = get_next_ra_size(ra->size, max);
	ra->async_size = ra->size;
}

// The window by what is cached before `index`. False: nothing speaks for a stream.
static bool ra_context_window(struct readahead_control *rac, struct file_ra_state *ra, unsigned long req,
			      unsigned long max)
{
	pgoff_t index = rac->_index;
	unsigned long history = count_history_pages(rac->mapping, index, max);

	if (history <= req)
		return false;
	// Cached from the very beginning: surely a stream, and a long one.
	if (history >= index)
		history *= 2;
	ra->start = index;
	ra->size = min(history + req, max);
	ra->async_size = 1;
	return true;
}

static void ondemand_readahead(struct readahead_control *rac, unsigned long req)
{
	struct file_ra_state now = ra_load(rac->ra);
	unsigned long max = ra_max_pages(rac, &now, req);
	pgoff_t index = rac->_index, prev = (u64)now.prev_pos >> PAGE_SHIFT;
	// Who asks for much at once gets folios to match from the start.
	unsigned order = ilog2(req);

	if (now.size && (index == now.start + now.size || index == now.start + now.size - now.async_size) &&
	    index) {
		ra_next_window(&now, max);
		now.start = index;
		order = max_t(unsigned, order, now.order + 2u);
	} else if (!index || req > max || (now.prev_pos >= 0 && index - prev <= 1)) {
		ra_first_window(&now, index, req, max);
	} else if (!ra_context_window(rac, &now, req, max)) {
		page_cache_ra_order(rac, index, req, ~0ul, order);
		return;
	}
	// The reader would meet the marker at once: the next window joins this one.
	if (index == now.start && now.size == now.async_size) {
		unsigned long add = get_next_ra_size(now.size, max);

		if (now.size + add <= max) {
			now.async_size = add;
			now.size += add;
		} else {
			now.size = max;
			now.async_size = max >> 1;
		}
	}
	ra_submit(rac, &now, order);
}

void page_cache_sync_ra(struct readahead_control *rac, unsigned long req_count)
{
	if (!req_count)
		return;
	if (!rac->ra || !READ_ONCE(rac->ra->ra_pages)) {
		force_page_cache_readahead(rac->mapping, rac->ra, rac->_index,
					   min_t(unsigned long, req_count, RA_CHUNK_PAGES));
		return;
	}
	ondemand_readahead(rac, req_count);
}

void page_cache_async_ra(struct readahead_control *rac, struct folio *folio, unsigned long req_count)
{
	unsigned order = folio->order;
	pgoff_t index = folio->index, start = index + folio_nr_pages(folio);
	struct file_ra_state now;
	unsigned long max;

	folio_clear_readahead(folio);
	if (!rac->ra || !READ_ONCE(rac->ra->ra_pages) || folio_test_writeback(folio))
		return;
	now = ra_load(rac->ra);
	max = ra_max_pages(rac, &now, req_count);
	if (now.size && index == round_down(now.start + now.size - now.async_size, 1ul << order)) {
		ra_next_window(&now, max);
	} else {
		// Another stream's marker: go on where its cached run ends.
		if (!next_miss(rac->mapping, &start, max))
			return;
		now.start = start;
		now.size = get_next_ra_size(min(start - index + req_count, max), max);
		now.async_size = now.size;
	}
	ra_submit(rac, &now, order + 2);
}
