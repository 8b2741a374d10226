// The bdev file system: the inode and the page cache of every block device. No path leads to it; block
// special files of any file system open onto it (fops.c).
//
// A device's inode comes to be when the block layer says that the device is there (bdev_added) and is
// referenced by the device until bdev_removed; the device is the way to it. Its mapping's host is the
// block_device; its pages hold file systems' metadata (buffer heads) and what is read through the special
// file.
#include "base/alloc.h"
#include "base/machine.h"
#include "block/blk.h"
#include "cache/bdi.h"
#include "cache/buffer_head.h"
#include "device/module.h"
#include "fs/bdev/bdev_internal.h"
#include "vfs/dcache.h"
#include "vfs/fs_context.h"
#include "vfs/inode.h"
#include "vfs/mount.h"

#include <errno.h>
#include <linux/magic.h>

struct bdev_inode {
	struct inode vfs_inode;
	struct backing_dev_info bdi;
};

static struct bdev_inode *BDEV_I(struct inode *inode)
{
	return container_of(inode, struct bdev_inode, vfs_inode);
}

static int bdev_alloc_inode(struct super_block *sb, struct inode **out)
{
	struct bdev_inode *bi = kzalloc(sb->s_machine, sizeof(*bi));

	if (!bi)
		return -ENOMEM;
	*out = &bi->vfs_inode;
	return 0;
}

static void bdev_free_inode(struct inode *inode)
{
	kfree(BDEV_I(inode));
}

static int bdev_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	buf->f_type = BDEVFS_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	return 0;
}

static const struct super_operations bdev_super_ops = {
	.alloc_inode = bdev_alloc_inode,
	.free_inode = bdev_free_inode,
	.drop_inode = generic_drop_inode,
	.statfs = bdev_statfs,
};
static const struct inode_operations bdev_inode_operations;

static int bdev_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;
	int err;

	sb->s_magic = BDEVFS_MAGIC;
	sb->s_op = &bdev_super_ops;
	sb->s_maxbytes = INT64_MAX;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	err = new_inode(sb, &root);
	if (err)
		return err;
	root->i_mode = S_IFDIR | 0555;
	root->i_op = &bdev_inode_operations;
	set_nlink(root, 2);
	inode_set_opflags(root);
	return d_make_root(root, &sb->s_root);
}

static int bdev_get_tree(struct fs_context *fc)
{
	return get_tree_single(fc, bdev_fill_super);
}

static const struct fs_context_operations bdev_context_ops = {.get_tree = bdev_get_tree};

static int bdev_init_fs_context(struct fs_context *fc)
{
	fc->ops = &bdev_context_ops;
	fc->sb_flags |= SB_NOUSER;
	return 0;
}

static const struct file_system_type bdev_type = {
	.name = "bdev",
	.init_fs_context = bdev_init_fs_context,
	.kill_sb = kill_anon_super,
};

static void bdev_inode_fill(struct inode *inode, struct block_device *bdev)
{
	struct bdev_inode *bi = BDEV_I(inode);
	struct address_space *mapping = &inode->i_data;

	inode->i_mode = S_IFBLK | 0600;
	inode->i_op = &bdev_inode_operations;
	inode->i_rdev = bdev->bd_dev;
	inode->i_bdev = bdev;
	set_nlink(inode, 1);
	bdi_init(&bi->bdi, bdev_name(bdev));
	mapping->a_ops = &blkdev_buffer_aops;
	mapping->bdi = &bi->bdi;
	mapping->host = bdev;
	mapping->blkbits = PAGE_SHIFT;
	i_size_write(inode, bdev_nr_bytes(bdev));
	inode->i_blkbits = PAGE_SHIFT;
	inode_set_opflags(inode);
}

static int bdev_added(struct block_device *bdev)
{
	struct inode *inode;
	int err = new_inode(super_of_type(bdev_machine(bdev), &bdev_type), &inode);

	if (err)
		return err;
	bdev_inode_fill(inode, bdev);
	bdev->bd_mapping = &inode->i_data;
	bdev->bd_inode = inode;
	return 0;
}

// Nobody has it open any more: what is cached goes with the inode.
static void bdev_removed(struct block_device *bdev)
{
	struct inode *inode = bdev->bd_inode;

	if (!inode)
		return;
	bdev->bd_mapping = NULL;
	bdev->bd_inode = NULL;
	truncate_inode_pages_final(&inode->i_data);
	set_nlink(inode, 0);
	iput(inode);
}

static void bdev_resized(struct block_device *bdev)
{
	if (bdev->bd_inode)
		i_size_write(bdev->bd_inode, bdev_nr_bytes(bdev));
}

static const struct blk_upper_ops bdev_upper_ops = {
	.bdev_added = bdev_added,
	.bdev_removed = bdev_removed,
	.bdev_resized = bdev_resized,
};

static int bdev_fs_init(struct shale *machine)
{
	struct vfsmount *mnt;
	int err = register_filesystem(machine, &bdev_type);

	if (err)
		return err;
	err = kern_mount(machine, &bdev_type, &mnt);
	if (err) {
		unregister_filesystem(machine, &bdev_type);
		return err;
	}
	mnt->mnt_sb->s_fs_info = mnt; // kept until the end: the tree stays
	vfs_set_special_fops(machine, S_IFBLK, &def_blk_fops);
	blk_set_upper_ops(machine, &bdev_upper_ops);
	return 0;
}

static void bdev_fs_exit(struct shale *machine)
{
	blk_set_upper_ops(machine, NULL);
	mntput(super_of_type(machine, &bdev_type)->s_fs_info);
	unregister_filesystem(machine, &bdev_type);
}

SHALE_MODULE(bdev, MODULE_FS, bdev_fs_init, bdev_fs_exit);
