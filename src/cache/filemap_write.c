/* SPDX-License-Identifier: MIT */
/*
 * Writing through the page cache, for providers that prepare and finish a folio by write_begin and write_end.
 */
#include "cache/folio.h"
#include "cache/writeback.h"

ssize_t generic_perform_write(struct address_space *mapping, u64 pos, struct iov_iter *from)
{
	const struct address_space_operations *a_ops = mapping->a_ops;
	ssize_t done = 0;

	while (iov_iter_count(from)) {
		size_t len = iov_iter_count(from), copied;
		struct folio *folio;
		int err;

		balance_dirty_pages_ratelimited(mapping);
		err = a_ops->write_begin(mapping, pos, &len, &folio);
		if (err)
			return done ? done : err;
		copied = copy_from_iter((char *)folio_address(folio) + (pos - folio_pos(folio)), len, from);
		a_ops->write_end(mapping, pos, copied, folio);
		pos += copied;
		done += copied;
		cond_resched();
	}
	return done;
}
