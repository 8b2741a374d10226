// getdents64: runs a directory's iterator and lays its entries out as linux_dirent64; and the iterator of
// directories that live in memory.
//
// An entry's d_off is the position behind it, known only when the next one comes: so the last entry is
// completed afterwards.
#include "base/alloc.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/libfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

struct linux_dirent64 {
	u64 d_ino;
	s64 d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

struct getdents_context {
	struct dir_context ctx;
	char *at;
	struct linux_dirent64 *last; // NULL: none yet
	size_t left;
	int error;
};

static bool fill_dirent64(struct dir_context *ctx, const char *name, int namelen, loff_t offset, u64 ino,
			  unsigned d_type)
{
	struct getdents_context *g = container_of(ctx, struct getdents_context, ctx);
	struct linux_dirent64 *d = (struct linux_dirent64 *)g->at;
	size_t reclen = ALIGN(offsetof(struct linux_dirent64, d_name) + (size_t)namelen + 1, sizeof(u64));

	if (unlikely(namelen <= 0 || memchr(name, '/', (size_t)namelen))) {
		g->error = -EIO;
		return false;
	}
	if (unlikely(reclen > g->left)) {
		g->error = -EINVAL; // if it is the first
		return false;
	}
	if (g->last)
		g->last->d_off = offset;
	d->d_ino = ino;
	d->d_reclen = (unsigned short)reclen;
	d->d_type = (unsigned char)d_type;
	memcpy(d->d_name, name, (size_t)namelen);
	memset(d->d_name + namelen, 0, reclen - offsetof(struct linux_dirent64, d_name) - (size_t)namelen);
	g->last = d;
	g->at += reclen;
	g->left -= reclen;
	return true;
}

int iterate_dir(struct file *file, struct dir_context *ctx)
{
	struct inode *inode = file->f_inode;
	int err = -ENOENT;

	if (!file->f_op->iterate_shared)
		return -ENOTDIR;
	down_read(&inode->i_rwsem);
	if (!(READ_ONCE(inode->i_flags) & S_DEAD)) {
		ctx->pos = file->f_pos;
		err = file->f_op->iterate_shared(file, ctx);
		file->f_pos = ctx->pos;
		file_accessed(file);
	}
	up_read(&inode->i_rwsem);
	return err;
}

long ksys_getdents64(int fd, void *dirents, size_t bytes)
{
	struct fd f = fdget_pos(fd);
	struct getdents_context g = {
		.ctx.actor = fill_dirent64,
		.at = dirents,
		.left = bytes < INT32_MAX ? bytes : INT32_MAX,
	};
	long err;

	if (!f.file)
		return -EBADF;
	err = iterate_dir(f.file, &g.ctx);
	if (err >= 0)
		err = g.error;
	if (g.last) {
		g.last->d_off = g.ctx.pos;
		err = g.at - (char *)dirents;
	}
	fdput_pos(f);
	return err;
}

#define OFFSET_FIRST 2 // 0 is ".", 1 is ".."

void simple_offset_init(struct offset_dir *dir, struct shale *machine)
{
	xa_init(&dir->entries, machine);
	dir->next = OFFSET_FIRST;
}

void simple_offset_destroy(struct offset_dir *dir)
{
	xa_destroy(&dir->entries);
}

int simple_offset_reserve(struct offset_dir *dir, struct dentry *dentry, unsigned long *index)
{
	int err = xa_err(xa_store(&dir->entries, dir->next, dentry));

	if (!err)
		*index = dir->next++;
	return err;
}

void simple_offset_release(struct offset_dir *dir, unsigned long index)
{
	xa_erase(&dir->entries, index);
}

void simple_offset_exchange(struct offset_dir *dir1, struct dentry *dentry1, struct offset_dir *dir2,
			    struct dentry *dentry2)
{
	void *index1 = dentry1->d_fsdata, *index2 = dentry2->d_fsdata;

	// Both places are there: nothing is allocated.
	BUG_ON(xa_err(xa_store(&dir1->entries, (unsigned long)index1, dentry2)));
	BUG_ON(xa_err(xa_store(&dir2->entries, (unsigned long)index2, dentry1)));
	dentry1->d_fsdata = index2;
	dentry2->d_fsdata = index1;
}

int simple_offset_add(struct offset_dir *dir, struct dentry *dentry)
{
	unsigned long index;
	int err = simple_offset_reserve(dir, dentry, &index);

	if (!err)
		dentry->d_fsdata = (void *)index;
	return err;
}

void simple_offset_remove(struct offset_dir *dir, struct dentry *dentry)
{
	if (!dentry->d_fsdata)
		return;
	xa_erase(&dir->entries, (unsigned long)dentry->d_fsdata);
	dentry->d_fsdata = NULL;
}

bool simple_offset_empty(struct offset_dir *dir)
{
	return xa_empty(&dir->entries);
}

static unsigned dirent_type(const struct inode *inode)
{
	return (READ_ONCE(inode->i_mode) & S_IFMT) >> 12;
}

static bool emit_dots(struct file *file, struct dir_context *ctx)
{
	struct dentry *dentry = file->f_path.dentry, *parent;
	u64 ino;

	if (ctx->pos == 0) {
		if (!dir_emit(ctx, ".", 1, file->f_inode->i_ino, DT_DIR))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		parent = dget_parent(dentry);
		ino = d_inode(parent)->i_ino;
		dput(parent);
		if (!dir_emit(ctx, "..", 2, ino, DT_DIR))
			return false;
		ctx->pos = 2;
	}
	return true;
}

// Names and inodes of the entries stay: whoever changes them holds the directory's i_rwsem exclusive.
int simple_offset_readdir(struct offset_dir *dir, struct file *file, struct dir_context *ctx)
{
	unsigned long index;
	struct dentry *dentry;

	if (ctx->pos < 0)
		return -EINVAL;
	if (!emit_dots(file, ctx))
		return 0;
	xa_for_each_start(&dir->entries, index, dentry, (unsigned long)ctx->pos)
	{
		struct inode *inode = d_inode(dentry);

		ctx->pos = (loff_t)index;
		if (!dir_emit(ctx, dentry->d_name.name, (int)dentry->d_name.len, inode->i_ino,
			      dirent_type(inode)))
			return 0;
	}
	ctx->pos = (loff_t)dir->next;
	return 0;
}
