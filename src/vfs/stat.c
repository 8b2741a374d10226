// What programs ask about a file: stat, statx, access, readlink, statfs. By name they end the lock-free walk:
// what is copied there counts only when the walk says so, so each body fills its answer whole and may run
// several times.
#include "base/current.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/namei.h"
#include "vfs/super.h"

#include <errno.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

int vfs_getattr(const struct path *path, struct inode *inode, struct kstat *stat, u32 mask, unsigned flags)
{
	const struct mnt_idmap *idmap = mnt_idmap(path->mnt);

	if (inode->i_op->getattr)
		return inode->i_op->getattr(idmap, inode, stat, mask, flags);
	generic_fillattr(idmap, inode, stat);
	return 0;
}

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

struct getattr_end {
	struct kstat stat;
	u32 mask;
	unsigned flags;
	u64 mnt_id;
	bool mount_root;
};

static int getattr_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct getattr_end *g = arg;

	if (unlikely(rcu && !(inode->i_opflags & IOP_FASTSTAT)))
		return -ECHILD;
	return vfs_getattr(path, inode, &g->stat, g->mask, g->flags);
}

static int statx_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct getattr_end *g = arg;

	g->mnt_id = mnt_unique_id(path->mnt);
	g->mount_root = path_is_mount_root(path);
	return getattr_end(path, inode, rcu, arg);
}

static void fill_stat(struct stat *st, const struct kstat *stat)
{
	*st = (struct stat){
		.st_dev = stat->dev,
		.st_ino = stat->ino,
		.st_nlink = stat->nlink,
		.st_mode = stat->mode,
		.st_uid = stat->uid,
		.st_gid = stat->gid,
		.st_rdev = stat->rdev,
		.st_size = (off_t)stat->size,
		.st_blksize = stat->blksize,
		.st_blocks = (blkcnt_t)stat->blocks,
		.st_atim = stat->atime,
		.st_mtim = stat->mtime,
		.st_ctim = stat->ctime,
	};
}

// The same from the inode itself.
static void inode_fill_stat(struct stat *st, const struct inode *inode)
{
	*st = (struct stat){
		.st_dev = inode->i_sb->s_dev,
		.st_ino = inode->i_ino,
		.st_nlink = READ_ONCE(inode->i_nlink),
		.st_mode = READ_ONCE(inode->i_mode),
		.st_uid = READ_ONCE(inode->i_uid),
		.st_gid = READ_ONCE(inode->i_gid),
		.st_rdev = READ_ONCE(inode->i_rdev),
		.st_size = (off_t)i_size_read(inode),
		.st_blksize = 1 << READ_ONCE(inode->i_blkbits),
		.st_blocks = (blkcnt_t)READ_ONCE(inode->i_blocks),
		.st_atim = timespec_read(&inode->i_atime),
		.st_mtim = timespec_read(&inode->i_mtime),
		.st_ctim = timespec_read(&inode->i_ctime),
	};
}

static int stat_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct kstat stat;
	int err;

	if (likely(READ_ONCE(inode->i_opflags) & IOP_FASTSTAT)) {
		inode_fill_stat(arg, inode);
		return 0;
	}
	if (rcu)
		return -ECHILD;
	err = vfs_getattr(path, inode, &stat, STATX_BASIC_STATS, 0);
	if (!err)
		fill_stat(arg, &stat);
	return err;
}

static unsigned at_lookup_flags(int at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	       (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0) |
	       (at_flags & AT_NO_AUTOMOUNT ? 0 : LOOKUP_AUTOMOUNT);
}

static int stat_by_fd(int fd, walk_end_fn end, void *arg)
{
	struct fd f = fdget_raw(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = end(&f.file->f_path, f.file->f_inode, false, arg);
	fdput(f);
	return err;
}

// "" or NULL with AT_EMPTY_PATH: what dfd stands for.
static int stat_by_name(int dfd, const char *name, int at_flags, walk_end_fn end, void *arg)
{
	if (unlikely(at_flags & AT_EMPTY_PATH)) {
		name = name ?: "";
		if (!*name && dfd >= 0)
			return stat_by_fd(dfd, end, arg);
	}
	return lookup_then(dfd, name, at_lookup_flags(at_flags), end, arg);
}

long do_fstatat(int dfd, const char *name, struct stat *st, int at_flags)
{
	if (at_flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	return stat_by_name(dfd, name, at_flags, stat_end, st);
}

static struct statx_timestamp statx_time(const struct timespec *ts)
{
	return (struct statx_timestamp){.tv_sec = ts->tv_sec, .tv_nsec = (u32)ts->tv_nsec};
}

static void fill_statx(struct statx *stx, const struct getattr_end *g)
{
	const struct kstat *stat = &g->stat;

	*stx = (struct statx){
		.stx_mask = stat->result_mask |
			    (g->mask & STATX_MNT_ID_UNIQUE ? STATX_MNT_ID_UNIQUE : STATX_MNT_ID),
		.stx_blksize = stat->blksize,
		.stx_attributes = stat->attributes | (g->mount_root ? STATX_ATTR_MOUNT_ROOT : 0),
		.stx_nlink = stat->nlink,
		.stx_uid = stat->uid,
		.stx_gid = stat->gid,
		.stx_mode = (u16)stat->mode,
		.stx_ino = stat->ino,
		.stx_size = stat->size,
		.stx_blocks = stat->blocks,
		.stx_attributes_mask = stat->attributes_mask | STATX_ATTR_MOUNT_ROOT | STATX_ATTR_AUTOMOUNT |
				       STATX_ATTR_DAX, // known, never set
		.stx_atime = statx_time(&stat->atime),
		.stx_btime = stat->result_mask & STATX_BTIME ? statx_time(&stat->btime)
							     : (struct statx_timestamp){0},
		.stx_ctime = statx_time(&stat->ctime),
		.stx_mtime = statx_time(&stat->mtime),
		.stx_rdev_major = major(stat->rdev),
		.stx_rdev_minor = minor(stat->rdev),
		.stx_dev_major = major(stat->dev),
		.stx_dev_minor = minor(stat->dev),
		.stx_mnt_id = g->mnt_id,
		.stx_dio_mem_align = stat->dio_mem_align,
		.stx_dio_offset_align = stat->dio_offset_align,
	};
}

long do_statx(int dfd, const char *name, int at_flags, unsigned mask, struct statx *stx)
{
	struct getattr_end g;
	int err;

	if (mask & STATX__RESERVED)
		return -EINVAL;
	if ((at_flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (at_flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	g.mask = mask;
	g.flags = (unsigned)at_flags;
	err = stat_by_name(dfd, name, at_flags, statx_end, &g);
	if (unlikely(err))
		return err;
	if (!(mask & STATX_BTIME))
		g.stat.result_mask &= ~STATX_BTIME;
	fill_statx(stx, &g);
	return 0;
}

struct readlink_end {
	char *buf;
	size_t size;
	bool empty;
	long result;
};

static int readlink_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct readlink_end *r = arg;

	if (!S_ISLNK(READ_ONCE(inode->i_mode)))
		return r->empty ? -ENOENT : -EINVAL;
	if (rcu) // sets the access time, may sleep
		return -ECHILD;
	touch_atime(path);
	r->result = vfs_readlink(path->dentry, inode, r->buf, r->size);
	return r->result < 0 ? (int)r->result : 0;
}

long do_readlinkat(int dfd, const char *name, char *buf, size_t size)
{
	struct readlink_end r = {.buf = buf, .size = size, .empty = !*name};
	int err;

	if ((int)size <= 0)
		return -EINVAL;
	err = lookup_then(dfd, name, LOOKUP_EMPTY, readlink_end, &r);
	return err ? err : r.result;
}

static int access_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	int mode = *(int *)arg, err;

	if ((mode & MAY_EXEC) && S_ISREG(READ_ONCE(inode->i_mode)) && (mnt_flags(path->mnt) & MNT_NOEXEC))
		return -EACCES;
	err = inode_permission(mnt_idmap(path->mnt), inode, mode | MAY_ACCESS | (rcu ? MAY_NOT_BLOCK : 0));
	if (err || !(mode & MAY_WRITE) || S_ISCHR(READ_ONCE(inode->i_mode)) ||
	    S_ISBLK(READ_ONCE(inode->i_mode)) || S_ISFIFO(READ_ONCE(inode->i_mode)) ||
	    S_ISSOCK(READ_ONCE(inode->i_mode)))
		return err;
	return __mnt_is_readonly(path->mnt) ? -EROFS : 0;
}

// access() asks for the real ids, and root's capabilities only for a real root: a task like ours with such
// credentials.
static int access_as_real(int dfd, const char *name, int at_flags, int mode)
{
	struct task *task = current->task, real = *task;
	const struct cred *cred = current_cred();
	struct task_cred_args args = {
		.uid = cred->uid,
		.gid = cred->gid,
		.groups = cred->groups,
		.ngroups = cred->ngroups,
	};
	int err = cred_create(task->machine, &args, &real.cred);

	if (err)
		return err;
	current->task = &real;
	err = stat_by_name(dfd, name, at_flags, access_end, &mode);
	current->task = task;
	put_cred(real.cred);
	return err;
}

static bool cred_is_real(const struct cred *cred)
{
	return cred->uid == cred->fsuid && cred->gid == cred->fsgid &&
	       (cred->uid == 0 || !cred->cap_effective);
}

long do_faccessat(int dfd, const char *name, int mode, int at_flags)
{
	if (mode & ~(MAY_READ | MAY_WRITE | MAY_EXEC))
		return -EINVAL;
	if (at_flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!name)
		return -EFAULT;
	if (!(at_flags & AT_EACCESS) && unlikely(!cred_is_real(current_cred())))
		return access_as_real(dfd, name, at_flags & ~AT_EACCESS, mode);
	return stat_by_name(dfd, name, at_flags & ~AT_EACCESS, access_end, &mode);
}

#define ST_VALID_KERNEL 0x20 // f_flags is filled

static long statfs_flags(const struct path *path)
{
	static const struct {
		unsigned from, to;
	} map[] = {
		{MNT_READONLY, 0x1},    {MNT_NOSUID, 0x2},         {MNT_NODEV, 0x4},
		{MNT_NOEXEC, 0x8},      {MNT_NOATIME, 0x400},      {MNT_NODIRATIME, 0x800},
		{MNT_RELATIME, 0x1000}, {MNT_NOSYMFOLLOW, 0x2000},
	};
	unsigned flags = mnt_flags(path->mnt), sb = path->mnt->mnt_sb->s_flags;
	long out = ST_VALID_KERNEL | (sb & SB_RDONLY ? 0x1 : 0) | (sb & SB_SYNCHRONOUS ? 0x10 : 0);

	for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
		if (flags & map[i].from)
			out |= map[i].to;
	return out;
}

static int statfs_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct kstatfs *buf = arg;
	int err;

	if (rcu)
		return -ECHILD;
	if (!path->mnt->mnt_sb->s_op->statfs)
		return -ENOSYS;
	memset(buf, 0, sizeof(*buf));
	err = path->mnt->mnt_sb->s_op->statfs(path->dentry, buf);
	if (err)
		return err;
	if (!buf->f_frsize)
		buf->f_frsize = buf->f_bsize;
	buf->f_flags = statfs_flags(path);
	return 0;
}

long do_statfs(const char *name, int fd, struct kstatfs *buf)
{
	if (!name)
		return stat_by_fd(fd, statfs_end, buf);
	return lookup_then(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_AUTOMOUNT, statfs_end, buf);
}
