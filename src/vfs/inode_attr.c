// What inodes are apart from the cache: kinds and what is known of them in advance, attributes for stat,
// owners, times.
//
// Attributes are read without locks (stat in the lock-free walk) and changed under i_rwsem with WRITE_ONCE.

#include "vfs/inode_internal.h"

#include "base/clock.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/file.h"
#include "vfs/mount.h"

#include <errno.h>
#include <linux/stat.h>
#include <sys/sysmacros.h>

static int no_open(struct inode *inode, struct file *file)
{
	return -ENXIO;
}

const struct file_operations no_open_fops = {.open = no_open};
const struct inode_operations empty_inode_operations = {0};
const struct address_space_operations empty_aops = {0};

void vfs_set_special_fops(struct shale *machine, mode_t type, const struct file_operations *fops)
{
	machine->vfs->icache.special_fops[(type & S_IFMT) >> 12] = fops;
}

void init_special_inode(struct inode *inode, mode_t mode, dev_t rdev)
{
	const struct file_operations *fops =
		inode->i_sb->s_machine->vfs->icache.special_fops[(mode & S_IFMT) >> 12];

	inode->i_mode = mode;
	inode->i_fop = fops ?: &no_open_fops;
	inode->i_rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0;
}

void inode_set_opflags(struct inode *inode)
{
	const struct inode_operations *op = inode->i_op;
	u16 flags = 0;

	if (!op->permission)
		flags |= IOP_FASTPERM;
	if (S_ISDIR(READ_ONCE(inode->i_mode)) && op->lookup)
		flags |= IOP_LOOKUP;
	if (!S_ISLNK(READ_ONCE(inode->i_mode)))
		flags |= IOP_NOFOLLOW;
	if (inode->i_sb->s_xattr)
		flags |= IOP_XATTR;
	if (!op->getattr)
		flags |= IOP_FASTSTAT;
	WRITE_ONCE(inode->i_opflags, flags);
}

void generic_fillattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat)
{
	struct super_block *sb = inode->i_sb;
	u8 blkbits = READ_ONCE(inode->i_blkbits);

	stat->result_mask = STATX_BASIC_STATS;
	stat->blksize = 1u << blkbits;
	stat->attributes = 0;
	stat->attributes_mask = 0;
	stat->dev = sb->s_dev;
	stat->ino = inode->i_ino;
	stat->mode = READ_ONCE(inode->i_mode);
	stat->nlink = READ_ONCE(inode->i_nlink);
	stat->uid = READ_ONCE(inode->i_uid);
	stat->gid = READ_ONCE(inode->i_gid);
	stat->rdev = READ_ONCE(inode->i_rdev);
	stat->size = i_size_read(inode);
	stat->blocks = READ_ONCE(inode->i_blocks);
	stat->atime = timespec_read(&inode->i_atime);
	stat->mtime = timespec_read(&inode->i_mtime);
	stat->ctime = timespec_read(&inode->i_ctime);
	stat->change_cookie = READ_ONCE(inode->i_version);
	stat->dio_mem_align = 0;
	stat->dio_offset_align = 0;
	stat->btime = timespec_read(&inode->i_btime);
	if (stat->btime.tv_nsec >= 0)
		stat->result_mask |= STATX_BTIME;
	else
		stat->btime = (struct timespec){0};
}

void inode_init_owner(const struct mnt_idmap *idmap, struct inode *inode, const struct inode *dir,
		      mode_t mode)
{
	const struct cred *cred = current_cred();

	inode->i_uid = cred->fsuid;
	inode->i_gid = cred->fsgid;
	if (dir && READ_ONCE(dir->i_mode) & S_ISGID) {
		inode->i_gid = READ_ONCE(dir->i_gid);
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	inode->i_mode = mode;
}

struct timespec current_time(const struct inode *inode)
{
	u32 gran = inode->i_sb->s_time_gran;
	struct timespec now;

	ktime_get_coarse_real_ts64(inode->i_sb->s_machine, &now);
	if (gran > 1)
		now.tv_nsec -= now.tv_nsec % gran;
	return now;
}

// relatime: the access time is to be later than the last change, and no more than a day old.
static bool relatime_need_update(struct inode *inode, const struct timespec *now)
{
	return inode_atime_behind(inode) || now->tv_sec - READ_ONCE(inode->i_atime.tv_sec) >= 24 * 60 * 60;
}

bool atime_needs_update(const struct path *path, struct inode *inode)
{
	u32 mflags = mnt_flags(path->mnt);
	struct timespec now, atime;

	if (READ_ONCE(inode->i_flags) & S_NOATIME || mflags & MNT_NOATIME ||
	    (mflags & MNT_NODIRATIME && S_ISDIR(READ_ONCE(inode->i_mode))) || __mnt_is_readonly(path->mnt))
		return false;
	now = current_time(inode);
	if (mflags & MNT_RELATIME && !relatime_need_update(inode, &now))
		return false;
	atime = timespec_read(&inode->i_atime);
	return timespec_compare(&now, &atime) != 0;
}

void touch_atime(const struct path *path)
{
	struct inode *inode = d_inode(path->dentry);
	struct super_block *sb = inode->i_sb;

	// Reading does not wait for a thaw.
	if (!atime_needs_update(path, inode) || !__sb_start_write_trylock(sb, SB_FREEZE_WRITE))
		return;
	if (!mnt_get_write_access(path->mnt)) {
		inode_set_time(&inode->i_atime, current_time(inode));
		mark_inode_dirty(inode, READ_ONCE(sb->s_flags) & SB_LAZYTIME ? I_DIRTY_TIME : I_DIRTY_SYNC);
		mnt_put_write_access(path->mnt);
	}
	sb_end_write(sb);
}
