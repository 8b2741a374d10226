/* SPDX-License-Identifier: MIT */
/*
 * Extent listing (FS_IOC_FIEMAP) over mappings. One extent is held back, since the last one bears a flag
 * that is known only then.
 */
#include "iomap/iomap.h"

#include <linux/fiemap.h>

static int iomap_to_fiemap(struct fiemap_extent_info *fi, const struct iomap *map, u32 flags)
{
	switch (map->type) {
	case IOMAP_HOLE:
		return 0;
	case IOMAP_DELALLOC:
		flags |= FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN;
		break;
	case IOMAP_UNWRITTEN:
		flags |= FIEMAP_EXTENT_UNWRITTEN;
		break;
	case IOMAP_INLINE:
		flags |= FIEMAP_EXTENT_DATA_INLINE;
		break;
	default:
		break;
	}
	if (map->flags & IOMAP_F_MERGED)
		flags |= FIEMAP_EXTENT_MERGED;
	if (map->flags & IOMAP_F_SHARED)
		flags |= FIEMAP_EXTENT_SHARED;
	return fiemap_fill_next_extent(fi, map->offset, map->addr != IOMAP_NULL_ADDR ? map->addr : 0,
				       map->length, flags);
}

int iomap_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len,
		 const struct iomap_ops *ops)
{
	struct iomap_iter iter = {.inode = inode, .pos = start, .flags = IOMAP_REPORT};
	struct iomap held = {.type = IOMAP_HOLE};
	int ret = fiemap_prep(inode, fi, start, &len, 0);

	if (ret)
		return ret;
	iter.len = len;
	while ((ret = iomap_iter(&iter, ops)) > 0) {
		if (iter.iomap.type != IOMAP_HOLE) {
			ret = iomap_to_fiemap(fi, &held, 0);
			held = iter.iomap;
			if (ret < 0)
				return ret;
			if (ret == 1)
				return 0;
		}
		iter.processed = iomap_length(&iter);
	}
	// A file without what was asked for (its attributes) has no extents.
	if (ret < 0 && ret != -ENOENT)
		return ret;
	ret = iomap_to_fiemap(fi, &held, FIEMAP_EXTENT_LAST);
	return ret < 0 ? ret : 0;
}
