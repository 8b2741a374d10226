/* SPDX-License-Identifier: MIT */
/*
 * Writing out a range of a mapping and waiting for it; errors of writing, and who is told of them.
 *
 * An error is noted twice: in wb_err, from which each open file is told once, and as a flag, for those inside
 * who have no file. Notes are made by completions, before the folio's writeback ends.
 */
#include "cache/cache_internal.h"
#include "cache/filemap_internal.h"
#include "cache/writeback.h"

#include <errno.h>

void mapping_set_error(struct address_space *mapping, int err)
{
	const struct flusher_ops *flusher = mapping->machine->cache->flusher;

	if (likely(!err))
		return;
	errseq_set(&mapping->wb_err, err);
	if (flusher)
		flusher->error(mapping, err);
	set_bit(err == -ENOSPC ? AS_ENOSPC : AS_EIO, &mapping->flags);
}

int filemap_check_errors(struct address_space *mapping)
{
	int err = 0;

	if (test_bit(AS_ENOSPC, &mapping->flags) && test_and_clear_bit(AS_ENOSPC, &mapping->flags))
		err = -ENOSPC;
	if (test_bit(AS_EIO, &mapping->flags) && test_and_clear_bit(AS_EIO, &mapping->flags))
		err = -EIO;
	return err;
}

static int filemap_write_range(struct address_space *mapping, u64 start, u64 end,
			       enum writeback_sync_modes mode)
{
	struct writeback_control wbc = {
		.sync_mode = mode, .nr_to_write = INT64_MAX, .range_start = start, .range_end = end};

	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		return 0;
	return do_writepages(mapping, &wbc);
}

int filemap_fdatawrite_range(struct address_space *mapping, u64 start, u64 end)
{
	return filemap_write_range(mapping, start, end, WB_SYNC_ALL);
}

int filemap_flush_range(struct address_space *mapping, u64 start, u64 end)
{
	return filemap_write_range(mapping, start, end, WB_SYNC_NONE);
}

void filemap_fdatawait_keep_errors(struct address_space *mapping, u64 start, u64 end)
{
	pgoff_t index = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	while (index <= last && mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK)) {
		struct folio_batch batch;

		batch.nr = 0;
		filemap_get_folios_tag(mapping, &index, last, PAGECACHE_TAG_WRITEBACK, &batch);
		if (!batch.nr)
			return;
		for (unsigned i = 0; i < batch.nr; i++)
			folio_wait_writeback(batch.folios[i]);
		folio_batch_release(&batch);
		if (!index)
			return;
		cond_resched();
	}
}

int filemap_fdatawait_range(struct address_space *mapping, u64 start, u64 end)
{
	filemap_fdatawait_keep_errors(mapping, start, end);
	return filemap_check_errors(mapping);
}

int filemap_write_and_wait_range(struct address_space *mapping, u64 start, u64 end)
{
	int err = 0, err2;

	if (end < start)
		return 0;
	if (mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	    mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK)) {
		err = filemap_fdatawrite_range(mapping, start, end);
		// After EIO the device is gone, and there may be nothing that would end.
		if (err != -EIO)
			filemap_fdatawait_keep_errors(mapping, start, end);
	}
	err2 = filemap_check_errors(mapping);
	return err ? err : err2;
}

bool filemap_range_needs_writeback(struct address_space *mapping, u64 start, u64 end)
{
	pgoff_t last = end >> PAGE_SHIFT;
	unsigned long index = start >> PAGE_SHIFT;

	if (end < start)
		return false;
	if (mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) &&
	    xa_find(&mapping->i_pages, &index, last, PAGECACHE_TAG_DIRTY))
		return true;
	index = start >> PAGE_SHIFT;
	return mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK) &&
	       xa_find(&mapping->i_pages, &index, last, PAGECACHE_TAG_WRITEBACK);
}
