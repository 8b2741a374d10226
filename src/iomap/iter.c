/* SPDX-License-Identifier: MIT */
/*
 * The iterator: asks the file system for one mapping after another until the range is done.
 */
#include "iomap/iomap.h"

u64 iomap_length(const struct iomap_iter *iter)
{
	return min(iter->len, iter->iomap.offset + iter->iomap.length - iter->pos);
}

// Ends the last mapping and moves on by what was done of it. 1: go on, 0: done.
static int iomap_iter_advance(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	s64 processed = iter->processed;

	if (!iter->iomap.length)
		return 1;
	if (ops->iomap_end) {
		int err = ops->iomap_end(iter->inode, iter->pos, iomap_length(iter), max_t(s64, processed, 0),
					 iter->flags, &iter->iomap);

		if (err < 0 && processed <= 0)
			return err;
	}
	if (!processed && iter->iomap.flags & IOMAP_F_STALE)
		return 1;
	if (processed <= 0)
		return (int)processed;
	iter->pos += processed;
	iter->len -= min_t(u64, processed, iter->len);
	return iter->len ? 1 : 0;
}

int iomap_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = iomap_iter_advance(iter, ops);

	if (ret <= 0)
		return ret;
	iter->iomap = iter->srcmap = (struct iomap){0};
	iter->processed = 0;
	if (!iter->len)
		return 0;
	ret = ops->iomap_begin(iter->inode, iter->pos, iter->len, iter->flags, &iter->iomap, &iter->srcmap);
	if (ret < 0)
		return ret;
	// The answer has to cover where it was asked for.
	if (WARN_ON(iter->iomap.offset > iter->pos || iter->iomap.offset + iter->iomap.length <= iter->pos))
		return -EIO;
	return 1;
}
