// The common ways to a tree for a mount: by block device, without a device, and one for all mounts of a type.
//
// Each finds or makes a super block with sget_fc(), lets fill_super() fill a new one, and leaves its root in
// fc->root with one use of the super block and s_umount held exclusive; vfs_get_tree() gives the lock up.

#include "vfs/super_internal.h"

#include "block/blk.h"
#include "cache/buffer_head.h"
#include "vfs/dcache.h"
#include "vfs/fs_context.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

static int test_single_super(struct super_block *sb, struct fs_context *fc)
{
	return 1;
}

static int fill_new_super(struct fs_context *fc, struct super_block *sb,
			  int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	int err;

	if (sb->s_root) {
		fc->root = dget(sb->s_root);
		return 0;
	}
	err = fill_super(sb, fc);
	if (err) {
		deactivate_locked_super(sb);
		return err;
	}
	fc->root = dget(sb->s_root);
	return 0;
}

static int get_tree_anon(struct fs_context *fc, int (*test)(struct super_block *, struct fs_context *),
			 int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	struct super_block *sb;
	int err = sget_fc(fc, test, set_anon_super, &sb);

	return err ?: fill_new_super(fc, sb, fill_super);
}

int get_tree_nodev(struct fs_context *fc, int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	return get_tree_anon(fc, NULL, fill_super);
}

int get_tree_single(struct fs_context *fc, int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	return get_tree_anon(fc, test_single_super, fill_super);
}

// The device that fc->source names: a block special file in the task's tree.
static int lookup_bdev(struct fs_context *fc, dev_t *out)
{
	struct inode *inode;
	struct path path;
	int err;

	if (!fc->source)
		return invalfc(fc, "No source specified");
	err = user_path_at(AT_FDCWD, fc->source, LOOKUP_FOLLOW, &path);
	if (err) {
		errorfc(fc, "%s: Can't lookup blockdev", fc->source);
		return err;
	}
	inode = d_inode(path.dentry);
	if (!S_ISBLK(READ_ONCE(inode->i_mode))) {
		errorfc(fc, "%s: not a block device", fc->source);
		err = -ENOTBLK;
	} else if (mnt_flags(path.mnt) & MNT_NODEV) {
		errorfc(fc, "%s: devices may not be used on this mount (nodev)", fc->source);
		err = -EACCES;
	} else {
		*out = inode->i_rdev;
	}
	path_put(&path);
	return err;
}

static int test_bdev_super(struct super_block *sb, struct fs_context *fc)
{
	return sb->s_dev == *(dev_t *)fc->sget_key;
}

static int set_bdev_super(struct super_block *sb, struct fs_context *fc)
{
	sb->s_dev = *(dev_t *)fc->sget_key;
	return 0;
}

// Claims the device for a new super block.
static int setup_bdev_super(struct super_block *sb, struct fs_context *fc)
{
	unsigned mode = BLK_OPEN_READ | (fc->sb_flags & SB_RDONLY ? 0 : BLK_OPEN_WRITE);
	struct block_device *bdev;
	int err = blkdev_get_by_dev(sb->s_machine, sb->s_dev, mode, sb, NULL, &bdev);

	if (err) {
		errorfc(fc, "%s: Can't open blockdev", fc->source);
		return err == -EROFS ? -EACCES : err;
	}
	if (mode & BLK_OPEN_WRITE && bdev_read_only(bdev)) {
		errorfc(fc, "%s: the device is read-only", fc->source);
		blkdev_put(bdev, sb);
		return -EACCES;
	}
	sb->s_bdev = bdev;
	snprintf(sb->s_id, sizeof(sb->s_id), "%s", bdev_name(bdev));
	if (!sb_set_blocksize(sb, max_t(unsigned, bdev_logical_block_size(bdev), 1024)))
		return -EINVAL;
	return 0;
}

int get_tree_bdev(struct fs_context *fc, int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	struct super_block *sb;
	dev_t dev;
	int err = lookup_bdev(fc, &dev);

	if (err)
		return err;
	fc->sget_key = &dev;
	err = sget_fc(fc, test_bdev_super, set_bdev_super, &sb);
	fc->sget_key = NULL;
	if (err)
		return err;
	if (sb->s_root) {
		// One volume is either read-only or not, however often it is mounted.
		if ((fc->sb_flags ^ READ_ONCE(sb->s_flags)) & SB_RDONLY) {
			errorfc(fc, "%s: Can't mount, would change RO state", fc->source);
			deactivate_locked_super(sb);
			return -EBUSY;
		}
	} else {
		err = setup_bdev_super(sb, fc);
		if (err) {
			deactivate_locked_super(sb);
			return err;
		}
	}
	return fill_new_super(fc, sb, fill_super);
}

void kill_block_super(struct super_block *sb)
{
	struct block_device *bdev = sb->s_bdev;

	generic_shutdown_super(sb);
	if (bdev) {
		(void)sync_blockdev(bdev); // told by the mapping's errseq, or at the end of the machine
		blkdev_put(bdev, sb);
	}
}

// The block size of the super block and of its device's cached blocks: a power of two from the device's
// logical block on. Returns it, or 0 when it cannot be.
unsigned sb_set_blocksize(struct super_block *sb, unsigned size)
{
	if (set_blocksize(sb->s_bdev, size))
		return 0;
	sb->s_blocksize = size;
	sb->s_blocksize_bits = ilog2(size);
	return size;
}

unsigned sb_min_blocksize(struct super_block *sb, unsigned size)
{
	return sb_set_blocksize(sb, max(size, bdev_logical_block_size(sb->s_bdev)));
}
