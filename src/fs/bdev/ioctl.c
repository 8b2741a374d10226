// ioctls of block devices: sizes, limits, read-only, rereading the partition table.
#include "block/blk.h"
#include "fs/bdev/bdev_internal.h"
#include "vfs/cred.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/fs.h>

static long put_int(void *arg, int value)
{
	*(int *)arg = value;
	return 0;
}

static long blkdev_flush_cache(struct file *file)
{
	int err;

	if (!capable(SHALE_CAP_SYS_ADMIN))
		return -EACCES;
	err = sync_blockdev(file_bdev(file));
	invalidate_mapping_pages(file->f_mapping, 0, ~(pgoff_t)0);
	return err;
}

static long blkdev_ask(struct file *file, unsigned cmd, void *arg)
{
	struct block_device *bdev = file_bdev(file);

	switch (cmd) {
	case BLKGETSIZE64:
		*(u64 *)arg = bdev_nr_bytes(bdev);
		return 0;
	case BLKGETSIZE:
		*(unsigned long *)arg = bdev_nr_sectors(bdev);
		return 0;
	case BLKSSZGET:
		return put_int(arg, (int)bdev_logical_block_size(bdev));
	case BLKPBSZGET:
		return put_int(arg, (int)bdev_physical_block_size(bdev));
	case BLKIOOPT:
		return put_int(arg, (int)bdev_io_opt(bdev));
	case BLKBSZGET:
		return put_int(arg, 1 << file->f_mapping->blkbits);
	case BLKROGET:
		return put_int(arg, bdev_read_only(bdev));
	case BLKROTATIONAL:
		*(unsigned short *)arg = bdev_rotational(bdev);
		return 0;
	case BLKRAGET:
		*(long *)arg = (long)READ_ONCE(file->f_ra.ra_pages) * (long)(PAGE_SIZE / SECTOR_SIZE);
		return 0;
	default:
		return -ENOTTY;
	}
}

long blkdev_ioctl(struct file *file, unsigned cmd, void *arg)
{
	switch (cmd) {
	case BLKFLSBUF:
		return blkdev_flush_cache(file);
	case BLKRRPART:
		return bdev_is_partition(file_bdev(file)) ? -EINVAL : disk_rescan_partitions(file_bdev(file));
	default:
		return arg ? blkdev_ask(file, cmd, arg) : -EFAULT;
	}
}
