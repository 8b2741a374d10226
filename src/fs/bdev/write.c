// Writing block special files: through the device's page cache or past it, syncing, and fallocate, which
// discards or zeroes sectors.
#include "base/uio.h"
#include "block/blk.h"
#include "cache/writeback.h"
#include "fs/bdev/bdev_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/falloc.h>

static ssize_t blkdev_buffered_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_bdev(iocb->ki_filp)->bd_inode;
	ssize_t n;

	inode_lock_shared(inode); // the size of blocks does not change meanwhile; folios keep writers apart
	n = generic_perform_write(iocb->ki_filp->f_mapping, (u64)iocb->ki_pos, from);
	inode_unlock_shared(inode);
	if (n > 0)
		iocb->ki_pos += n;
	return n;
}

// What went through the cache though it was to go directly is written out at once.
static ssize_t direct_write_fallback(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	u64 pos = (u64)iocb->ki_pos;
	ssize_t n = blkdev_buffered_write(iocb, from);
	int err;

	if (n <= 0)
		return n;
	err = filemap_write_and_wait_range(mapping, pos, pos + (u64)n - 1);
	if (err)
		return err;
	invalidate_mapping_pages(mapping, pos >> PAGE_SHIFT, (pos + (u64)n - 1) >> PAGE_SHIFT);
	return n;
}

ssize_t blkdev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct block_device *bdev = file_bdev(iocb->ki_filp);
	loff_t size = (loff_t)bdev_nr_bytes(bdev);
	ssize_t n;

	if (bdev_read_only(bdev))
		return -EPERM;
	if (!iov_iter_count(from))
		return 0;
	if (iocb->ki_pos >= size)
		return -ENOSPC;
	if ((iocb->ki_flags & (IOCB_NOWAIT | IOCB_DIRECT)) == IOCB_NOWAIT)
		return -EOPNOTSUPP;
	iov_iter_truncate(from, (u64)(size - iocb->ki_pos));
	n = file_update_time(iocb->ki_filp);
	if (n)
		return n;
	if (iocb->ki_flags & IOCB_DIRECT) {
		n = blkdev_direct_write(iocb, from);
		if (n == 0)
			n = direct_write_fallback(iocb, from);
	} else {
		n = blkdev_buffered_write(iocb, from);
	}
	return generic_write_sync(iocb, n);
}

int blkdev_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	int err = file_write_and_wait_range(file, start, end);

	if (err)
		return err;
	err = blkdev_issue_flush(file_bdev(file));
	return err == -EOPNOTSUPP ? 0 : err;
}

static int zero_sectors(struct block_device *bdev, int mode, u64 start, u64 len)
{
	unsigned flags = mode & FALLOC_FL_PUNCH_HOLE ? BLKDEV_ZERO_NOFALLBACK : 0;

	return blkdev_issue_zeroout(bdev, start >> SECTOR_SHIFT, len >> SECTOR_SHIFT, flags);
}

// The range is all of a file: nothing can be allocated, and it does not grow.
static int check_range(const struct block_device *bdev, int mode, u64 start, u64 *len)
{
	u64 size = bdev_nr_bytes(bdev), end = start + *len - 1;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (start >= size)
		return -EINVAL;
	if (end >= size) {
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			return -EINVAL;
		*len = size - start;
	}
	if ((start | *len) & (bdev_logical_block_size(bdev) - 1))
		return -EINVAL;
	return mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ? 0 : -EOPNOTSUPP;
}

long blkdev_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	struct address_space *mapping = file->f_mapping;
	struct block_device *bdev = file_bdev(file);
	u64 start = (u64)offset, len = (u64)length, end;
	int err = check_range(bdev, mode, start, &len);

	if (err)
		return err;
	end = start + len - 1;
	inode_lock(bdev->bd_inode);
	down_write(&mapping->invalidate_lock);
	// Blocks at the ends that share a folio with others are written, and then dropped.
	err = filemap_write_and_wait_range(mapping, start, end);
	if (!err && invalidate_inode_pages2_range(mapping, start >> PAGE_SHIFT, end >> PAGE_SHIFT))
		err = -EBUSY;
	if (!err)
		err = zero_sectors(bdev, mode, start, len);
	up_write(&mapping->invalidate_lock);
	inode_unlock(bdev->bd_inode);
	return err;
}
