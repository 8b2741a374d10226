// Bringing to the disk: one file, one super block, everything.
//
// Each open file is told of a write error once: f_wb_err is how far it has heard of its mapping's, f_sb_err
// of its super block's. Both move under the inode's i_lock.
#include "block/blk.h"
#include "cache/writeback.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/fs_writeback.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

#include <errno.h>

static int check_and_advance(struct file *file, errseq_t *eseq, errseq_t *since)
{
	int err = 0;

	if (!errseq_check(eseq, READ_ONCE(*since)))
		return 0;
	spin_lock(&file->f_inode->i_lock);
	err = errseq_check_and_advance(eseq, since);
	spin_unlock(&file->f_inode->i_lock);
	return err;
}

int file_check_and_advance_wb_err(struct file *file)
{
	struct address_space *mapping = file->f_mapping;
	int err = check_and_advance(file, &mapping->wb_err, &file->f_wb_err);

	// Told: those who ask without a file need not hear of it.
	(void)filemap_check_errors(mapping);
	return err;
}

int file_write_and_wait_range(struct file *file, loff_t start, loff_t end)
{
	struct address_space *mapping = file->f_mapping;
	int err = 0, err2;

	if (end < start)
		return 0;
	err = filemap_fdatawrite_range(mapping, (u64)start, (u64)end);
	if (err != -EIO)
		filemap_fdatawait_keep_errors(mapping, (u64)start, (u64)end);
	err2 = file_check_and_advance_wb_err(file);
	return err ? err : err2;
}

int noop_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return 0;
}

int vfs_fsync_range(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file->f_mapping ? file->f_inode : NULL;

	if (!file->f_op->fsync)
		return -EINVAL;
	if (inode && !datasync && READ_ONCE(inode->i_state) & I_DIRTY_TIME)
		mark_inode_dirty(inode, I_DIRTY_SYNC);
	return file->f_op->fsync(file, start, end, datasync);
}

long ksys_fsync(int fd, int datasync)
{
	struct fd f = fdget(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = vfs_fsync_range(f.file, 0, INT64_MAX, datasync);
	fdput(f);
	return err;
}

#define SYNC_FILE_RANGE_ALL (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

static int sync_file_range_steps(struct file *file, u64 start, u64 end, unsigned flags)
{
	struct address_space *mapping = file->f_mapping;
	bool all = (flags & SYNC_FILE_RANGE_ALL) == SYNC_FILE_RANGE_ALL;
	int err = 0;

	if (flags & SYNC_FILE_RANGE_WAIT_BEFORE) {
		filemap_fdatawait_keep_errors(mapping, start, end);
		err = file_check_and_advance_wb_err(file);
	}
	if (!err && flags & SYNC_FILE_RANGE_WRITE)
		err = all ? filemap_fdatawrite_range(mapping, start, end)
			  : filemap_flush_range(mapping, start, end);
	if (!err && flags & SYNC_FILE_RANGE_WAIT_AFTER) {
		filemap_fdatawait_keep_errors(mapping, start, end);
		err = file_check_and_advance_wb_err(file);
	}
	return err;
}

static int sync_file_range_check(const struct file *file, loff_t offset, loff_t count, unsigned flags)
{
	mode_t mode = file->f_inode->i_mode;

	if (flags & ~(unsigned)SYNC_FILE_RANGE_ALL)
		return -EINVAL;
	if (offset < 0 || count < 0 || offset + (u64)count > (u64)INT64_MAX)
		return -EINVAL;
	return S_ISREG(mode) || S_ISBLK(mode) || S_ISDIR(mode) || S_ISLNK(mode) ? 0 : -ESPIPE;
}

long ksys_sync_file_range(int fd, loff_t offset, loff_t count, unsigned flags)
{
	struct fd f = fdget(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = sync_file_range_check(f.file, offset, count, flags);
	if (!err)
		err = sync_file_range_steps(f.file, (u64)offset,
					    count ? (u64)offset + (u64)count - 1 : (u64)INT64_MAX, flags);
	fdput(f);
	return err;
}

int sync_blockdev(struct block_device *bdev)
{
	return bdev && bdev->bd_mapping ? filemap_write_and_wait(bdev->bd_mapping) : 0;
}

static void keep_first(int *err, int next)
{
	if (!*err)
		*err = next;
}

int sync_filesystem(struct super_block *sb)
{
	struct blk_plug plug;
	long all = INT64_MAX;
	int err = 0;

	if (sb_rdonly(sb))
		return 0;
	// Everything is on its way before the first is waited for.
	blk_start_plug(&plug);
	(void)writeback_inodes_sb(sb, WB_SYNC_NONE, &all);
	blk_finish_plug(&plug);
	all = INT64_MAX;
	keep_first(&err, writeback_inodes_sb(sb, WB_SYNC_ALL, &all));
	if (sb->s_op->sync_fs)
		keep_first(&err, sb->s_op->sync_fs(sb, 1));
	keep_first(&err, sync_blockdev(sb->s_bdev));
	return err;
}

long ksys_syncfs(int fd)
{
	struct fd f = fdget(fd);
	struct super_block *sb;
	int err, err2;

	if (!f.file)
		return -EBADF;
	sb = f.file->f_path.dentry->d_sb;
	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);
	err2 = check_and_advance(f.file, &sb->s_wb_err, &f.file->f_sb_err);
	fdput(f);
	return err ? err : err2;
}

static void sync_one(struct super_block *sb, void *arg)
{
	(void)sync_filesystem(sb);
}

long ksys_sync(void)
{
	iterate_supers(current->machine, false, sync_one, NULL);
	return 0;
}
