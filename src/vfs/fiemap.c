// FS_IOC_FIEMAP: where a file's data lies. The file system tells extents in order; here they are counted,
// clipped to what the caller has room for, and laid out.
#include "cache/writeback.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/fiemap.h>

// What a flag says besides itself (fiemap documentation): delayed data has no place yet, encrypted data
// cannot be read off the device, and data packed into metadata is not aligned to blocks.
static const struct {
	u32 flag, implies;
} implied[] = {
	{FIEMAP_EXTENT_DELALLOC, FIEMAP_EXTENT_UNKNOWN},
	{FIEMAP_EXTENT_DATA_ENCRYPTED, FIEMAP_EXTENT_ENCODED},
	{FIEMAP_EXTENT_DATA_TAIL, FIEMAP_EXTENT_NOT_ALIGNED},
	{FIEMAP_EXTENT_DATA_INLINE, FIEMAP_EXTENT_NOT_ALIGNED},
};

int fiemap_fill_next_extent(struct fiemap_extent_info *fi, u64 logical, u64 phys, u64 len, u32 flags)
{
	struct fiemap_extent *dest = fi->fi_extents_start;

	if (fi->fi_extents_max == 0) { // only counted
		fi->fi_extents_mapped++;
		return flags & FIEMAP_EXTENT_LAST ? 1 : 0;
	}
	if (fi->fi_extents_mapped >= fi->fi_extents_max)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(implied); i++)
		if (flags & implied[i].flag)
			flags |= implied[i].implies;
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
	return fi->fi_flags & FIEMAP_FLAG_SYNC ? filemap_write_and_wait(inode->i_mapping) : 0;
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
