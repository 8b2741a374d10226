/* SPDX-License-Identifier: MIT */
/*
 * Reading through the page cache: filemap_read and what it does for folios that are missing or not filled
 * yet.
 *
 * A folio that is in the index and up to date is copied from under a reference alone; the size is read after
 * the flag, so that what lies past the end of file is never shown. Filling holds the mapping's
 * invalidate_lock shared, so that nothing fills behind a truncation, and the folio lock, which the end of
 * the read gives back.
 */
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"

#define FOLIO_GONE 1 // the folio was truncated meanwhile, or another thread has filled it: look again

struct read_request {
	struct address_space *mapping;
	struct file_ra_state *ra;
	u64 pos;
	size_t count;
	unsigned flags; // IOCB_*
};

// Is what the request wants of this (locked) folio there?
static bool filemap_range_uptodate(const struct read_request *req, struct folio *folio)
{
	const struct address_space_operations *a_ops = req->mapping->a_ops;
	u64 start = max(req->pos, folio_pos(folio)),
	    end = min(req->pos + req->count, folio_pos(folio) + folio_size(folio));

	if (folio_test_uptodate(folio))
		return true;
	if (!a_ops->is_partially_uptodate || start >= end)
		return false;
	return a_ops->is_partially_uptodate(folio, start - folio_pos(folio), end - start);
}

// Fills a locked folio and waits for it. Gives the lock back.
static int filemap_read_folio(struct address_space *mapping, struct folio *folio)
{
	int err = mapping->a_ops->read_folio(mapping, folio);

	if (err)
		return err;
	folio_wait_locked(folio);
	return folio_test_uptodate(folio) ? 0 : -EIO;
}

static int filemap_update_locked(const struct read_request *req, struct folio *folio)
{
	if (folio_mapping(folio) != req->mapping) {
		folio_unlock(folio);
		return FOLIO_GONE;
	}
	if (filemap_range_uptodate(req, folio)) {
		folio_unlock(folio);
		return 0;
	}
	if (req->flags & (IOCB_NOIO | IOCB_NOWAIT)) {
		folio_unlock(folio);
		return -EAGAIN;
	}
	return filemap_read_folio(req->mapping, folio);
}

// Makes a folio of the index ready for the request: waits for its read, or starts one.
static int filemap_update_page(const struct read_request *req, struct folio *folio)
{
	struct rw_semaphore *lock = &req->mapping->invalidate_lock;
	bool nowait = req->flags & (IOCB_NOIO | IOCB_NOWAIT);
	int err;

	if (!nowait)
		down_read(lock);
	else if (!down_read_trylock(lock))
		return -EAGAIN;
	if (!folio_trylock(folio)) {
		up_read(lock);
		if (nowait)
			return -EAGAIN;
		folio_wait_locked(folio);
		return FOLIO_GONE;
	}
	err = filemap_update_locked(req, folio);
	up_read(lock);
	return err;
}

// Readahead brought nothing (it is off, or memory is short): one folio, now.
static int filemap_create_folio(const struct read_request *req, struct folio_batch *batch)
{
	struct address_space *mapping = req->mapping;
	unsigned order = mapping->min_order;
	pgoff_t index = round_down(req->pos >> PAGE_SHIFT, 1ul << order);
	struct folio *folio;
	int err;

	if (req->flags & (IOCB_NOWAIT | IOCB_NOIO))
		return -EAGAIN;
	folio = folio_alloc(mapping->machine->cache, order, true);
	if (!folio)
		return -ENOMEM;
	down_read(&mapping->invalidate_lock);
	err = filemap_add_folio(mapping, folio, index);
	if (!err)
		err = filemap_read_folio(mapping, folio);
	else if (err == -EEXIST)
		err = FOLIO_GONE;
	up_read(&mapping->invalidate_lock);
	if (err)
		folio_put(folio);
	else
		batch->folios[batch->nr++] = folio;
	return err;
}

static void filemap_start_readahead(const struct read_request *req, struct folio *marked)
{
	pgoff_t index = req->pos >> PAGE_SHIFT;
	pgoff_t last = DIV_ROUND_UP(req->pos + req->count, PAGE_SIZE);
	struct readahead_control rac = {.mapping = req->mapping, .ra = req->ra, ._index = index};

	if (marked) {
		rac._index = marked->index;
		page_cache_async_ra(&rac, marked, last > marked->index ? last - marked->index : 1);
	} else {
		page_cache_sync_ra(&rac, last - index);
	}
}

// The last folio of the batch is the only one that can lack something.
static int filemap_finish_batch(const struct read_request *req, struct folio_batch *batch)
{
	struct folio *folio = batch->folios[batch->nr - 1];
	int err = 0;

	if (folio_test_readahead(folio) && !(req->flags & IOCB_NOIO))
		filemap_start_readahead(req, folio);
	if (folio_test_uptodate(folio))
		return 0;
	if (batch->nr > 1 && req->flags & (IOCB_NOWAIT | IOCB_NOIO))
		err = -EAGAIN;
	else
		err = filemap_update_page(req, folio);
	if (!err)
		return 0;
	folio_put(folio);
	batch->nr--;
	// What comes before it can be read anyway; the next round meets it, or its error, again.
	return batch->nr ? 0 : err;
}

// At least one folio that the request can read from, the first covering its position; or an error.
static int filemap_get_pages(const struct read_request *req, struct folio_batch *batch)
{
	pgoff_t index = req->pos >> PAGE_SHIFT, last = (req->pos + req->count - 1) >> PAGE_SHIFT;
	int err;

	do {
		filemap_get_read_batch(req->mapping, index, last, batch);
		if (!batch->nr) {
			if (req->flags & IOCB_NOIO)
				return -EAGAIN;
			filemap_start_readahead(req, NULL);
			filemap_get_read_batch(req->mapping, index, last, batch);
		}
		if (batch->nr)
			err = filemap_finish_batch(req, batch);
		else
			err = filemap_create_folio(req, batch);
	} while (err == FOLIO_GONE);
	return err;
}

// Copies from `pos` what the folio has of it up to `end`. Returns the bytes.
static size_t copy_folio_to_iter(struct folio *folio, u64 pos, u64 end, struct iov_iter *to)
{
	size_t offset = pos - folio_pos(folio);
	size_t bytes = min(end - pos, folio_size(folio) - offset);

	return copy_to_iter((char *)folio_address(folio) + offset, bytes, to);
}

// Copies from the batch; returns the bytes. A reader that goes on within the folio where it was does not mark
// it again.
static size_t filemap_copy_batch(const struct read_request *req, const struct folio_batch *batch,
				 u64 last_pos, struct iov_iter *to)
{
	u64 end = min(req->pos + req->count, mapping_size(req->mapping)), pos = req->pos;

	for (unsigned i = 0; i < batch->nr && pos < end; i++) {
		struct folio *folio = batch->folios[i];
		size_t copied;

		if (i || last_pos - folio_pos(folio) >= folio_size(folio))
			folio_mark_accessed(folio);
		copied = copy_folio_to_iter(folio, pos, end, to);
		if (!copied)
			break;
		pos += copied;
	}
	return pos - req->pos;
}

// The common case: everything wanted lies in one folio that is there. Returns the bytes, 0 when the long way
// has to be taken.
size_t filemap_read_hit(struct address_space *mapping, struct file_ra_state *ra, u64 pos, struct iov_iter *to)
{
	struct folio *folio = filemap_get_entry(mapping, pos >> PAGE_SHIFT);
	size_t copied = 0;
	u64 end;

	if (!folio)
		return 0;
	if (likely(folio_test_uptodate(folio) && !folio_test_readahead(folio))) {
		end = min(pos + iov_iter_count(to), mapping_size(mapping));
		if (likely(end > pos && end - folio_pos(folio) <= folio_size(folio))) {
			u64 last_pos = READ_ONCE(ra->prev_pos);

			if (last_pos - folio_pos(folio) >= folio_size(folio))
				folio_mark_accessed(folio);
			copied = copy_folio_to_iter(folio, pos, end, to);
		}
	}
	folio_put(folio);
	return copied;
}

static ssize_t filemap_read_batches(struct read_request *req, struct iov_iter *to)
{
	ssize_t done = 0;
	int err = 0;

	while (iov_iter_count(to)) {
		u64 size = mapping_size(req->mapping);
		struct folio_batch batch;
		size_t copied;

		if (req->pos >= size)
			break;
		batch.nr = 0;
		// Nothing is asked for past the end: readahead is told what is really wanted.
		req->count = min(iov_iter_count(to), size - req->pos);
		err = filemap_get_pages(req, &batch);
		if (err)
			break;
		copied = filemap_copy_batch(req, &batch, READ_ONCE(req->ra->prev_pos), to);
		folio_batch_release(&batch);
		if (!copied)
			break;
		req->pos += copied;
		done += copied;
		WRITE_ONCE(req->ra->prev_pos, req->pos - 1);
		// What was there is given; more only if it is there too.
		if (req->flags & IOCB_NOWAIT)
			req->flags |= IOCB_NOIO;
	}
	return done ? done : err;
}

ssize_t filemap_read(struct address_space *mapping, struct file_ra_state *ra, loff_t *pos,
		     struct iov_iter *to, unsigned iocb_flags)
{
	struct read_request req = {.mapping = mapping, .ra = ra, .pos = *pos, .flags = iocb_flags};
	size_t copied;
	ssize_t ret;

	if (unlikely(*pos < 0))
		return -EINVAL;
	if (unlikely(!iov_iter_count(to) || req.pos >= mapping_size(mapping)))
		return 0;
	copied = filemap_read_hit(mapping, ra, req.pos, to);
	if (likely(copied)) {
		*pos += copied;
		WRITE_ONCE(ra->prev_pos, *pos - 1);
		return copied;
	}
	ret = filemap_read_batches(&req, to);
	*pos = req.pos;
	return ret;
}

int read_mapping_folio(struct address_space *mapping, pgoff_t index, struct folio **out)
{
	struct folio *folio;
	int err;

	for (;;) {
		folio = filemap_get_entry(mapping, index);
		if (folio && folio_test_uptodate(folio))
			break;
		if (folio)
			folio_put(folio);
		err = filemap_grab_folio(mapping, index, mapping->min_order, &folio);
		if (err)
			return err;
		if (folio_test_uptodate(folio)) {
			folio_unlock(folio);
			break;
		}
		err = filemap_read_folio(mapping, folio);
		if (!err)
			break;
		folio_put(folio);
		return err;
	}
	folio_mark_accessed(folio);
	*out = folio;
	return 0;
}
