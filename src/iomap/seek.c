/* SPDX-License-Identifier: MIT */
/*
 * SEEK_HOLE and SEEK_DATA over mappings. What the file system reserved but never wrote (unwritten, delayed)
 * holds data as far as the page cache holds some.
 */
#include "iomap/iomap.h"

// In this mapping: *found and its offset, or the bytes to go on by.
static s64 iomap_seek_iter(const struct iomap_iter *iter, bool data, s64 *found)
{
	u64 len = iomap_length(iter);
	s64 at;

	switch (iter->iomap.type) {
	case IOMAP_HOLE:
		if (data)
			return len;
		*found = iter->pos;
		return 0;
	case IOMAP_UNWRITTEN:
		at = mapping_seek_hole_data(iter->inode->i_mapping, iter->pos, iter->pos + len, data);
		if (at < 0 || at >= (s64)(iter->pos + len))
			return len;
		*found = at;
		return 0;
	default:
		if (!data)
			return len;
		*found = iter->pos;
		return 0;
	}
}

static s64 iomap_seek(struct inode *inode, s64 offset, bool data, const struct iomap_ops *ops)
{
	u64 size = mapping_size(inode->i_mapping);
	struct iomap_iter iter = {.inode = inode, .pos = offset, .flags = IOMAP_REPORT};
	s64 found = -1;
	int ret;

	if (offset < 0 || (u64)offset >= size)
		return -ENXIO;
	iter.len = size - offset;
	while ((ret = iomap_iter(&iter, ops)) > 0)
		iter.processed = iomap_seek_iter(&iter, data, &found);
	if (ret < 0)
		return ret;
	if (found >= 0)
		return found;
	return data ? -ENXIO : (s64)size; // the end of the file is a hole
}

s64 iomap_seek_hole(struct inode *inode, s64 offset, const struct iomap_ops *ops)
{
	return iomap_seek(inode, offset, false, ops);
}

s64 iomap_seek_data(struct inode *inode, s64 offset, const struct iomap_ops *ops)
{
	return iomap_seek(inode, offset, true, ops);
}
