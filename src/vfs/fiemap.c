// FS_IOC_FIEMAP: where a file's data lies. The file system tells extents in order; here they are counted,
// clipped to what the caller has room for, and laid out.
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/fiemap.h>

#define SET_UNKNOWN_FLAGS      FIEMAP_EXTENT_DELALLOC
#define SET_NO_UNMOUNTED_FLAGS FIEMAP_EXTENT_DATA_ENCRYPTED
#define SET_NOT_ALIGNED_FLAGS  (FIEMAP_EXTENT_DATA_TAIL | FIEMAP_EXTENT_DATA_INLINE)

int fiemap_fill_next_extent(struct fiemap_extent_info *fi, u64 logical, u64 phys, u64 len, u32 flags)
{
	struct fiemap_extent *dest = fi->fi_extents_start;

	if (fi->fi_extents_max == 0) { // only counted
		fi->fi_extents_mapped++;
		return flags & FIEMAP_EXTENT_LAST ? 1 : 0;
	}
	if (fi->fi_extents_mapped >= fi->fi_extents_max)
		return 1;
	if (flags & SET_UNKNOWN_FLAGS)
		flags |= FIEMAP_EXTENT_UNKNOWN;
	if (flags & SET_NO_UNMOUNTED_FLAGS)
		flags |= FIEMAP_EXTENT_ENCODED;
	if (flags & SET_NOT_ALIGNED_FLAGS)
		flags |= FIEMAP_EXTENT_NOT_ALIGNED;
	dest[fi->fi_extents_mapped++] = (struct fiemap_extent){
		.fe_logical = logical,
		.fe_physical = phys,
		.fe_length = len,
		.fe_flags = flags,
	};
	if (fi->fi_extents_mapped == fi->fi_extents_max)
		return 1;
	return flags & FIEMAP_EXTENT_LAST ? 1 : 0;
}

int fiemap_prep(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 *len, u32 supported_flags)
{
	u64 maxbytes = inode->i_sb->s_maxbytes;
	u32 bad;

	if (*len == 0)
		return -EINVAL;
	if (start >= maxbytes)
		return -EFBIG;
	if (*len > maxbytes || maxbytes - *len < start)
		*len = maxbytes - start;
	bad = fi->fi_flags & ~(supported_flags | FIEMAP_FLAG_SYNC);
	if (bad) {
		fi->fi_flags = bad;
		return -EBADR;
	}
	return 0;
}

long ioctl_fiemap(struct file *file, void *arg)
{
	struct inode *inode = file->f_inode;
	struct fiemap *map = arg;
	struct fiemap_extent_info fi;
	int err;

	if (!inode->i_op->fiemap)
		return -EOPNOTSUPP;
	if (!map)
		return -EFAULT;
	if (map->fm_extent_count > UINT32_MAX / sizeof(struct fiemap_extent))
		return -EINVAL;
	fi = (struct fiemap_extent_info){
		.fi_flags = map->fm_flags,
		.fi_extents_max = map->fm_extent_count,
		.fi_extents_start = map->fm_extents,
	};
	err = inode->i_op->fiemap(inode, &fi, map->fm_start, map->fm_length);
	map->fm_flags = fi.fi_flags;
	map->fm_mapped_extents = fi.fi_extents_mapped;
	return err;
}
