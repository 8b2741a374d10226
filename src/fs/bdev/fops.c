// Block special files: opening switches the file to the device's own page cache, so all nodes of one device,
// wherever they lie, show one content. private_data is the device; O_EXCL claims it with the file as holder.
#include "base/uio.h"
#include "block/blk.h"
#include "fs/bdev/bdev_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <unistd.h>

static int blkdev_open(struct inode *inode, struct file *file)
{
	unsigned mode = (file->f_mode & FMODE_READ ? BLK_OPEN_READ : 0) |
			(file->f_mode & FMODE_WRITE ? BLK_OPEN_WRITE : 0);
	void *holder = file->f_flags & O_EXCL ? file : NULL;
	struct block_device *bdev;
	int err = blkdev_get_by_dev(inode->i_sb->s_machine, inode->i_rdev, mode, holder, NULL, &bdev);

	if (err)
		return err;
	if (!bdev->bd_mapping) {
		blkdev_put(bdev, holder);
		return -ENXIO;
	}
	file->private_data = bdev;
	WRITE_ONCE(file->f_mapping, bdev->bd_mapping);
	WRITE_ONCE(file->f_mode, file->f_mode | FMODE_CAN_ODIRECT | FMODE_NOWAIT | (holder ? FMODE_EXCL : 0));
	return 0;
}

static int blkdev_release(struct inode *inode, struct file *file)
{
	struct block_device *bdev = file_bdev(file);

	// The last who can write: errors are told to who syncs, or at the end.
	if (file->f_mode & FMODE_WRITE && atomic_read(&bdev->bd_openers) == 1)
		(void)sync_blockdev(bdev);
	blkdev_put(bdev, file->f_mode & FMODE_EXCL ? file : NULL);
	return 0;
}

static loff_t blkdev_llseek(struct file *file, loff_t offset, int whence)
{
	loff_t size = (loff_t)bdev_nr_bytes(file_bdev(file));

	if (whence > SEEK_END) // no holes are known
		return -EINVAL;
	return generic_file_llseek_size(file, offset, whence, size, size);
}

static ssize_t blkdev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	loff_t size = (loff_t)bdev_nr_bytes(file_bdev(iocb->ki_filp));

	if (iocb->ki_pos >= size)
		return 0;
	if (iocb->ki_flags & IOCB_DIRECT) {
		iov_iter_truncate(to, (u64)(size - iocb->ki_pos));
		return blkdev_direct_read(iocb, to);
	}
	return generic_file_read_iter(iocb, to);
}

const struct file_operations def_blk_fops = {
	.fop_flags = FOP_BUFFERED_READ,
	.open = blkdev_open,
	.release = blkdev_release,
	.llseek = blkdev_llseek,
	.read_iter = blkdev_read_iter,
	.write_iter = blkdev_write_iter,
	.fsync = blkdev_fsync,
	.fallocate = blkdev_fallocate,
	.ioctl = blkdev_ioctl,
};
