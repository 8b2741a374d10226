// Opening: from the caller's flags to a file with its operations. The walk to the name is namei's
// (open_path_lookup).
//
// Order of the checks is that of Linux, since programs see which error comes first: flags, name, descriptor,
// file, walk, permission, device.
#include "base/current.h"
#include "vfs/attr.h"
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/namei_internal.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <limits.h>

// glibc defines the last as 0 where it changes nothing; the kernel keeps and shows it.
#define O_LARGEFILE_KERNEL 0100000
#define O_TMPFILE_BIT      020000000
#define O_SYNC_BIT         04000000

#define VALID_OPEN_FLAGS                                                                                     \
	((u64)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |          \
	       O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE_KERNEL | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |    \
	       O_CLOEXEC | O_PATH | O_TMPFILE))
#define O_PATH_FLAGS ((u64)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))
#define VALID_RESOLVE                                                                                        \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | \
	 RESOLVE_CACHED)
#define OPEN_HOW_SIZE_VER0 24

static int access_mode(u64 flags)
{
	static const u8 mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

	return mode[flags & O_ACCMODE];
}

static unsigned resolve_flags(u64 resolve)
{
	static const struct {
		u64 from;
		unsigned to;
	} map[] = {
		{RESOLVE_NO_XDEV, LOOKUP_NO_XDEV},         {RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGICLINKS},
		{RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS}, {RESOLVE_BENEATH, LOOKUP_BENEATH},
		{RESOLVE_IN_ROOT, LOOKUP_IN_ROOT},         {RESOLVE_CACHED, LOOKUP_CACHED},
	};
	unsigned flags = 0;

	for (unsigned i = 0; resolve && i < ARRAY_SIZE(map); i++)
		if (resolve & map[i].from)
			flags |= map[i].to;
	return flags;
}

// What no combination may hold (openat2(2) and open(2)).
static int check_open_how(const struct open_how *how)
{
	u64 flags = how->flags;
	bool will_create = flags & (O_CREAT | O_TMPFILE_BIT);

	if (flags & ~VALID_OPEN_FLAGS || how->resolve & ~(u64)VALID_RESOLVE)
		return -EINVAL;
	if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	if (will_create ? how->mode & ~07777ull : how->mode != 0)
		return -EINVAL;
	if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	if (flags & O_TMPFILE_BIT) {
		if (!(flags & O_DIRECTORY) || !(access_mode(flags) & MAY_WRITE))
			return -EINVAL;
	}
	if ((flags & O_PATH) && (flags & ~O_PATH_FLAGS))
		return -EINVAL;
	if ((how->resolve & RESOLVE_CACHED) && (flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT)))
		return -EAGAIN;
	return 0;
}

static int build_open_flags(const struct open_how *how, struct open_flags *op)
{
	u64 flags = how->flags;
	int err = check_open_how(how);

	if (unlikely(err))
		return err;
	op->acc_mode = flags & O_PATH ? 0 : access_mode(flags);
	op->mode = flags & (O_CREAT | O_TMPFILE_BIT) ? (mode_t)how->mode | S_IFREG : 0;
	if (flags & O_SYNC_BIT)
		flags |= O_DSYNC;
	if (flags & O_TRUNC)
		op->acc_mode |= MAY_WRITE;
	if (flags & O_APPEND)
		op->acc_mode |= MAY_APPEND;
	op->intent = flags & O_PATH ? 0 : LOOKUP_OPEN;
	if (flags & O_CREAT) {
		op->intent |= LOOKUP_CREATE;
		if (flags & O_EXCL)
			op->intent |= LOOKUP_EXCL;
	}
	op->lookup_flags = resolve_flags(how->resolve);
	if (flags & O_DIRECTORY)
		op->lookup_flags |= LOOKUP_DIRECTORY;
	if (!(flags & O_NOFOLLOW) && !(op->intent & LOOKUP_EXCL))
		op->lookup_flags |= LOOKUP_FOLLOW;
	if (!(flags & O_PATH))
		flags |= O_LARGEFILE_KERNEL;
	op->open_flag = (int)(flags & ~(u64)O_CLOEXEC); // which is the descriptor's
	return 0;
}

static int check_special(const struct path *path, const struct inode *inode, int acc_mode)
{
	switch (READ_ONCE(inode->i_mode) & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		return acc_mode & MAY_WRITE ? -EISDIR : 0;
	case S_IFBLK:
	case S_IFCHR:
		return mnt_flags(path->mnt) & MNT_NODEV ? -EACCES : 0;
	default:
		return 0;
	}
}

static int may_open(const struct path *path, struct inode *inode, int acc_mode, int flag)
{
	const struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int err;

	if (!acc_mode) // made just now, or O_PATH
		return 0;
	err = check_special(path, inode, acc_mode);
	if (!err)
		err = inode_permission(idmap, inode, MAY_OPEN | acc_mode);
	if (err)
		return err;
	if (unlikely(READ_ONCE(inode->i_flags) & S_APPEND)) {
		if ((flag & O_ACCMODE) != O_RDONLY && !(flag & O_APPEND))
			return -EPERM;
		if ((flag & O_TRUNC) && S_ISREG(READ_ONCE(inode->i_mode)))
			return -EPERM;
	}
	if ((flag & O_NOATIME) && !inode_owner_or_capable(idmap, inode))
		return -EPERM;
	return 0;
}

static const struct file_operations path_fops;

unsigned file_fast_read_mode(const struct file *file)
{
	const struct vfsmount *mnt = file->f_path.mnt;

	if (file->f_flags & O_NOATIME || mnt_flags(mnt) & MNT_NOATIME || __mnt_is_readonly(mnt))
		return FMODE_FAST_READ;
	return mnt_flags(mnt) & MNT_RELATIME ? FMODE_FAST_READ | FMODE_CHECK_ATIME : 0;
}

// What the file can do, from its operations, its kind and its flags.
static void file_set_mode(struct file *file, const struct inode *inode, unsigned mode)
{
	const struct file_operations *f_op = file->f_op;

	mode |= FMODE_OPENED;
	if ((mode & FMODE_READ) && f_op->read_iter) {
		mode |= FMODE_CAN_READ;
		if ((f_op->fop_flags & FOP_BUFFERED_READ) && !(file->f_flags & O_DIRECT))
			mode |= file_fast_read_mode(file);
	}
	if ((mode & FMODE_WRITE) && f_op->write_iter)
		mode |= FMODE_CAN_WRITE;
	if (S_ISREG(READ_ONCE(inode->i_mode)) || S_ISDIR(READ_ONCE(inode->i_mode)))
		mode |= FMODE_ATOMIC_POS;
	if (unlikely(!f_op->llseek))
		mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE);
	WRITE_ONCE(file->f_mode, mode);
}

// Lock-free readers of the file that this memory was before may still look at f_ra.
static void file_ra_start(struct file *file)
{
	struct file_ra_state fresh;

	file_ra_state_init(&fresh, file->f_mapping);
	WRITE_ONCE(file->f_ra.start, 0);
	WRITE_ONCE(file->f_ra.size, 0);
	WRITE_ONCE(file->f_ra.async_size, 0);
	WRITE_ONCE(file->f_ra.order, fresh.order);
	WRITE_ONCE(file->f_ra.ra_pages, fresh.ra_pages);
	WRITE_ONCE(file->f_ra.prev_pos, fresh.prev_pos);
}

static int do_dentry_open(struct file *file, struct inode *inode)
{
	unsigned mode = file->f_mode & FMODE_OWN_CRED;
	int acc = access_mode((u64)file->f_flags), err;

	WRITE_ONCE(file->f_inode, inode);
	WRITE_ONCE(file->f_mapping, inode->i_mapping);
	if (unlikely(file->f_flags & O_PATH)) {
		file->f_op = &path_fops;
		WRITE_ONCE(file->f_mode, mode | FMODE_PATH | FMODE_OPENED);
		return 0;
	}
	mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	if ((file->f_flags & O_ACCMODE) != O_ACCMODE) // which opens for neither, after asking for both
		mode |= (acc & MAY_READ ? FMODE_READ : 0) | (acc & MAY_WRITE ? FMODE_WRITE : 0);
	if (unlikely(S_ISFIFO(READ_ONCE(inode->i_mode)))) // pipes are not there yet
		return (file->f_flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : -EOPNOTSUPP;
	file->f_op = inode->i_fop;
	if (unlikely(!file->f_op))
		return -ENODEV;
	if ((mode & FMODE_WRITE) && S_ISREG(READ_ONCE(inode->i_mode))) {
		err = mnt_get_write_access(file->f_path.mnt);
		if (err)
			return err;
		mode |= FMODE_WRITER;
	}
	WRITE_ONCE(file->f_mode, mode);
	if (file->f_op->open) {
		err = file->f_op->open(inode, file);
		if (err)
			return err;
	}
	file_set_mode(file, inode, file->f_mode);
	WRITE_ONCE(file->f_flags, file->f_flags & ~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC));
	file->f_sb_err = errseq_sample(&inode->i_sb->s_wb_err);
	if (file->f_mapping) {
		file->f_wb_err = errseq_sample(&file->f_mapping->wb_err);
		file_ra_start(file);
	}
	if (unlikely((file->f_flags & O_DIRECT) && !(file->f_mode & FMODE_CAN_ODIRECT)))
		return -EINVAL;
	return 0;
}

// The file takes over the references of *path, also on failure (fput gives them back).
static int open_over(struct file *file, const struct path *path)
{
	WRITE_ONCE(file->f_path.mnt, path->mnt);
	WRITE_ONCE(file->f_path.dentry, path->dentry);
	return do_dentry_open(file, d_inode(path->dentry));
}

int vfs_open(const struct path *path, struct file *file)
{
	path_get(path);
	return open_over(file, path);
}

int dentry_open(const struct path *path, unsigned flags, const struct cred *cred, struct file **out)
{
	struct file *file;
	int err = alloc_empty_file(current->task, flags, &file);

	if (err)
		return err;
	if (file->f_cred != cred) {
		if (file->f_mode & FMODE_OWN_CRED)
			put_cred(file->f_cred);
		file->f_cred = get_cred(cred);
		WRITE_ONCE(file->f_mode, file->f_mode | FMODE_OWN_CRED);
	}
	err = vfs_open(path, file);
	if (err) {
		fput(file);
		return err;
	}
	*out = file;
	return 0;
}

// O_TRUNC: the file is open, and holds a right to write unless it is only open for reading.
static int handle_truncate(struct file *file)
{
	return do_truncate(mnt_idmap(file->f_path.mnt), file->f_path.dentry, 0,
			   ATTR_MTIME | ATTR_CTIME | ATTR_OPEN, file);
}

static int do_open_truncate(struct file *file, const struct open_path *found, int acc_mode, int flags)
{
	struct vfsmount *mnt = mntget(found->path.mnt); // a failing open gives the path back
	int err = mnt_want_write(mnt);

	if (err) {
		path_put(&found->path);
		mntput(mnt);
		return err;
	}
	err = may_open(&found->path, d_inode(found->path.dentry), acc_mode, flags);
	if (err)
		path_put(&found->path);
	else
		err = open_over(file, &found->path) ?: handle_truncate(file);
	mnt_drop_write(mnt);
	mntput(mnt);
	return err;
}

static int do_open(struct file *file, const struct open_path *found, const struct open_flags *op)
{
	struct inode *inode = d_inode(found->path.dentry);
	int flags = op->open_flag, acc_mode = op->acc_mode, err;

	if (found->created) {
		flags &= ~O_TRUNC;
		acc_mode = 0;
	} else if (unlikely(flags & O_TRUNC) && S_ISREG(READ_ONCE(inode->i_mode))) {
		return do_open_truncate(file, found, acc_mode, flags);
	}
	err = may_open(&found->path, inode, acc_mode, flags);
	if (err) {
		path_put(&found->path);
		return err;
	}
	return open_over(file, &found->path);
}

static int do_filp_open(int dfd, const char *name, const struct open_flags *op, struct file **out)
{
	struct open_path found;
	struct file *file;
	int err = alloc_empty_file(current->task, (unsigned)op->open_flag, &file);

	if (unlikely(err))
		return err;
	err = open_path_lookup(dfd, name, op, &found);
	if (likely(!err))
		err = do_open(file, &found, op);
	if (unlikely(err)) {
		fput(file);
		return err;
	}
	*out = file;
	return 0;
}

int file_open_path(const struct path *path, const struct open_how *how, struct file **out)
{
	const struct open_path found = {.path = *path, .inode = d_inode(path->dentry)};
	struct open_flags op;
	struct file *file;
	int err = build_open_flags(how, &op);

	if (!err && op.open_flag & O_CREAT)
		err = op.open_flag & O_EXCL ? -EEXIST : d_is_dir(path->dentry) ? -EISDIR : 0;
	if (!err && op.lookup_flags & LOOKUP_DIRECTORY && !d_is_dir(path->dentry))
		err = -ENOTDIR;
	if (!err && op.open_flag & O_TMPFILE_BIT)
		err = -EOPNOTSUPP;
	if (!err)
		err = alloc_empty_file(current->task, (unsigned)op.open_flag, &file);
	if (err) {
		path_put(path);
		return err;
	}
	err = do_open(file, &found, &op);
	if (err) {
		fput(file);
		return err;
	}
	*out = file;
	return 0;
}

static int check_how_size(const struct open_how *how, size_t size)
{
	const char *tail = (const char *)how + sizeof(*how);

	if (size < OPEN_HOW_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	for (size_t i = sizeof(*how); i < size; i++)
		if (*tail++)
			return -E2BIG;
	return 0;
}

long do_sys_openat2(int dfd, const char *name, const struct open_how *how, size_t size)
{
	struct open_flags op;
	struct file *file;
	int fd, err;

	if (unlikely(size != sizeof(*how))) {
		err = check_how_size(how, size);
		if (err)
			return err;
	}
	err = build_open_flags(how, &op);
	if (unlikely(err))
		return err;
	fd = get_unused_fd_flags(how->flags & O_CLOEXEC);
	if (unlikely(fd < 0))
		return check_name(name, 0) ?: fd; // the name's faults come first
	err = do_filp_open(dfd, name, &op, &file);
	if (unlikely(err)) {
		put_unused_fd((unsigned)fd);
		return err;
	}
	fd_install((unsigned)fd, file);
	return fd;
}

int generic_file_open(struct inode *inode, struct file *file)
{
	if (!(file->f_flags & O_LARGEFILE_KERNEL) && i_size_read(inode) > INT_MAX)
		return -EOVERFLOW;
	return 0;
}
