// What the files of the bdev file system share.
#pragma once

#include "vfs/file.h"

#ifndef BDEVFS_MAGIC
#define BDEVFS_MAGIC 0x62646576
#endif

extern const struct file_operations def_blk_fops;

// O_DIRECT (direct.c). -EINVAL: position, lengths or memory are not aligned to the logical block.
ssize_t blkdev_direct_read(struct kiocb *iocb, struct iov_iter *to);
// 0: a part of the range is in use in the cache, and all of it has to go through that.
ssize_t blkdev_direct_write(struct kiocb *iocb, struct iov_iter *from);
// Write out, and flush the device's own cache (write.c).
int blkdev_fsync(struct file *file, loff_t start, loff_t end, int datasync);
ssize_t blkdev_write_iter(struct kiocb *iocb, struct iov_iter *from);
long blkdev_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
// ioctls of block devices (ioctl.c); -ENOTTY.
long blkdev_ioctl(struct file *file, unsigned cmd, void *arg);

// The device behind an open special file.
static inline struct block_device *file_bdev(const struct file *file)
{
	return file->private_data;
}
