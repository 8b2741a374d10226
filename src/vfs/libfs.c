// File systems that live in memory alone (ramfs, devtmpfs): inodes made by name operations, names kept by the
// dentry cache.
//
// A name holds a reference on its dentry until it is removed, so nothing of the tree is ever shrunk away;
// kill_litter_super() drops them at the end. A directory's entries are numbered in order of making
// (offset_dir). Operations come with the directory's i_rwsem held exclusive.
#include "vfs/libfs.h"

#include "base/alloc.h"
#include "vfs/attr.h"
#include "vfs/dcache.h"
#include "vfs/file.h"
#include "vfs/inode.h"
#include "vfs/simple_xattr.h"
#include "vfs/super.h"
#include "vfs/xattr.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>

struct mem_inode {
	struct inode vfs_inode;
	struct offset_dir dir; // of directories
	char *target;          // of symlinks; read by lock-free walks, so freed with the inode
	struct simple_xattrs xattrs;
	u32 fsflags; // FS_*_FL; i_rwsem
};

static struct mem_inode *MEM_I(struct inode *inode)
{
	return container_of(inode, struct mem_inode, vfs_inode);
}

static int mem_alloc_inode(struct super_block *sb, struct inode **out)
{
	struct mem_inode *mi = kzalloc(sb->s_machine, sizeof(*mi));

	if (!mi)
		return -ENOMEM;
	simple_xattrs_init(&mi->xattrs);
	*out = &mi->vfs_inode;
	return 0;
}

static void mem_free_inode(struct inode *inode)
{
	struct mem_inode *mi = MEM_I(inode);

	kfree(mi->target);
	kfree(mi);
}

static void mem_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	simple_xattrs_free(&MEM_I(inode)->xattrs, inode->i_sb->s_machine);
	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		simple_offset_destroy(&MEM_I(inode)->dir);
}

static int mem_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	const struct super_block *sb = dentry->d_sb;

	buf->f_type = sb->s_magic;
	buf->f_bsize = PAGE_SIZE;
	buf->f_namelen = NAME_MAX;
	buf->f_fsid.val[0] = (int)sb->s_dev;
	buf->f_fsid.val[1] = (int)(sb->s_dev >> 32);
	return 0;
}

static const struct super_operations mem_super_ops = {
	.alloc_inode = mem_alloc_inode,
	.free_inode = mem_free_inode,
	.evict_inode = mem_evict_inode,
	.drop_inode = generic_drop_inode,
	.statfs = mem_statfs,
};

static void touch_dir(struct inode *dir)
{
	struct timespec now = current_time(dir);

	inode_set_time(&dir->i_mtime, now);
	inode_set_time(&dir->i_ctime, now);
}

static void touch_ctime(struct inode *inode)
{
	inode_set_time(&inode->i_ctime, current_time(inode));
}

// Extended attributes.

static ssize_t mem_xattr_get(const struct xattr_handler *h, struct dentry *dentry, struct inode *inode,
			     const char *name, void *buffer, size_t size)
{
	return simple_xattr_get(&MEM_I(inode)->xattrs, h->prefix, name, size ? buffer : NULL, size);
}

static int mem_xattr_set(const struct xattr_handler *h, const struct mnt_idmap *idmap, struct dentry *dentry,
			 struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
	int err = simple_xattr_set(&MEM_I(inode)->xattrs, inode->i_sb->s_machine, h->prefix, name, value,
				   size, flags);

	if (!err)
		touch_ctime(inode);
	return err;
}

static const struct xattr_handler mem_xattr_user = {
	.prefix = "user.", .get = mem_xattr_get, .set = mem_xattr_set};
static const struct xattr_handler mem_xattr_trusted = {
	.prefix = "trusted.", .get = mem_xattr_get, .set = mem_xattr_set};
static const struct xattr_handler mem_xattr_security = {
	.prefix = "security.", .get = mem_xattr_get, .set = mem_xattr_set};
static const struct xattr_handler *const mem_xattr_handlers[] = {&mem_xattr_security, &mem_xattr_trusted,
								 &mem_xattr_user, NULL};

static ssize_t mem_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);

	return simple_xattr_list(&MEM_I(inode)->xattrs, inode, size ? buffer : NULL, size);
}

static int mem_setattr(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err = setattr_prepare(idmap, dentry, attr);

	// First what may fail: the list needs memory.
	if (!err && attr->ia_valid & ATTR_MODE)
		err = posix_acl_chmod(idmap, dentry, attr->ia_mode);
	if (err)
		return err;
	if (attr->ia_valid & ATTR_SIZE) {
		u64 old = i_size_read(inode);

		// As tmpfs: cutting off nothing changes a file that has pages.
		if (attr->ia_size != old || inode->i_blocks)
			attr->ia_valid |= ATTR_MTIME | ATTR_CTIME;
		if (attr->ia_size != old)
			mem_file_set_size(inode, attr->ia_size);
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

#define MEM_FL_SETTABLE  (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define MEM_FL_INHERITED (FS_NODUMP_FL | FS_NOATIME_FL)

static void mem_set_fsflags(struct inode *inode, u32 flags)
{
	u32 set = (flags & FS_IMMUTABLE_FL ? S_IMMUTABLE : 0) | (flags & FS_APPEND_FL ? S_APPEND : 0) |
		  (flags & FS_NOATIME_FL ? S_NOATIME : 0);

	MEM_I(inode)->fsflags = flags;
	WRITE_ONCE(inode->i_flags, (inode->i_flags & ~(u32)(S_IMMUTABLE | S_APPEND | S_NOATIME)) | set);
}

static int mem_fileattr_get(struct dentry *dentry, u32 *flags)
{
	*flags = READ_ONCE(MEM_I(d_inode(dentry))->fsflags);
	return 0;
}

static int mem_fileattr_set(const struct mnt_idmap *idmap, struct dentry *dentry, u32 flags)
{
	struct inode *inode = d_inode(dentry);

	if (flags & ~(u32)MEM_FL_SETTABLE)
		return -EOPNOTSUPP;
	mem_set_fsflags(inode, flags);
	touch_ctime(inode);
	return 0;
}

static const struct inode_operations mem_file_inode_operations = {
	.fileattr_get = mem_fileattr_get,
	.fileattr_set = mem_fileattr_set,
	.setattr = mem_setattr,
	.set_acl = simple_set_acl,
	.listxattr = mem_listxattr,
};
static const struct inode_operations mem_special_inode_operations = {
	.setattr = mem_setattr,
	.set_acl = simple_set_acl,
	.listxattr = mem_listxattr,
};
static const struct inode_operations mem_symlink_inode_operations = {
	.get_link = simple_get_link,
	.setattr = mem_setattr,
	.listxattr = mem_listxattr,
};
static const struct inode_operations mem_dir_inode_operations;

static int mem_readdir(struct file *file, struct dir_context *ctx)
{
	return simple_offset_readdir(&MEM_I(file->f_inode)->dir, file, ctx);
}

// Positions are those of entries; the end is not known.
static loff_t mem_dir_llseek(struct file *file, loff_t offset, int whence)
{
	switch (whence) {
	case SEEK_CUR:
		offset += file->f_pos;
		break;
	case SEEK_SET:
		break;
	default:
		return -EINVAL;
	}
	return vfs_setpos(file, offset, INT64_MAX);
}

static const struct file_operations mem_dir_operations = {
	.llseek = mem_dir_llseek,
	.iterate_shared = mem_readdir,
	.fsync = noop_fsync,
};

static void mem_inode_set_times(struct inode *inode)
{
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
}

static void mem_inode_set_ops(struct inode *inode, dev_t dev)
{
	switch (READ_ONCE(inode->i_mode) & S_IFMT) {
	case S_IFREG:
		inode->i_op = &mem_file_inode_operations;
		inode->i_fop = &mem_file_operations;
		inode->i_data.a_ops = &mem_aops;
		set_bit(AS_UNEVICTABLE, &inode->i_data.flags); // before anybody sees it
		break;
	case S_IFDIR:
		inode->i_op = &mem_dir_inode_operations;
		inode->i_fop = &mem_dir_operations;
		simple_offset_init(&MEM_I(inode)->dir, inode->i_sb->s_machine);
		set_nlink(inode, 2); // "." too
		break;
	case S_IFLNK:
		inode->i_op = &mem_symlink_inode_operations;
		break;
	default:
		inode->i_op = &mem_special_inode_operations;
		init_special_inode(inode, inode->i_mode, dev);
		break;
	}
	inode_set_opflags(inode);
}

static int mem_get_inode(struct super_block *sb, struct inode *dir, mode_t mode, dev_t dev,
			 struct inode **out)
{
	struct inode *inode;
	int err = new_inode(sb, &inode);

	if (err)
		return err;
	inode_init_owner(NULL, inode, dir, mode);
	WRITE_ONCE(inode->i_acl, NULL); // there is none but what gets set
	WRITE_ONCE(inode->i_default_acl, NULL);
	mem_inode_set_times(inode);
	inode->i_blkbits = PAGE_SHIFT;
	set_nlink(inode, 1);
	mem_inode_set_ops(inode, dev);
	if (dir)
		mem_set_fsflags(inode, MEM_I(dir)->fsflags & MEM_FL_INHERITED);
	err = dir ? simple_acl_create(dir, inode) : 0;
	if (err) {
		iput(inode);
		return err;
	}
	*out = inode;
	return 0;
}

// Gives `dentry` the inode (its reference is eaten, also on failure) and the pin of a name.
static int mem_add_name(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	int err = simple_offset_add(&MEM_I(dir)->dir, dentry);

	if (err) {
		iput(inode);
		return err;
	}
	d_instantiate(dentry, inode);
	dget(dentry);
	touch_dir(dir);
	return 0;
}

static int mem_mknod(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
		     dev_t dev)
{
	struct inode *inode;
	int err = mem_get_inode(dir->i_sb, dir, mode, dev, &inode);

	return err ? err : mem_add_name(dir, dentry, inode);
}

static int mem_create(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
		      bool excl)
{
	return mem_mknod(idmap, dir, dentry, (mode & ~(mode_t)S_IFMT) | S_IFREG, 0);
}

static int mem_mkdir(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode)
{
	int err = mem_mknod(idmap, dir, dentry, (mode & ~(mode_t)S_IFMT) | S_IFDIR, 0);

	if (!err)
		inc_nlink(dir);
	return err;
}

static int mem_symlink(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       const char *target)
{
	struct inode *inode;
	int err = mem_get_inode(dir->i_sb, dir, S_IFLNK | 0777, 0, &inode);

	if (err)
		return err;
	MEM_I(inode)->target = kstrdup(dir->i_sb->s_machine, target);
	if (!MEM_I(inode)->target) {
		iput(inode);
		return -ENOMEM;
	}
	i_size_write(inode, strlen(target));
	smp_store_release(&inode->i_link, MEM_I(inode)->target);
	return mem_add_name(dir, dentry, inode);
}

static int mem_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	int err;

	ihold(inode);
	err = mem_add_name(dir, dentry, inode);
	if (err)
		return err;
	inc_nlink(inode);
	touch_ctime(inode);
	return 0;
}

static void mem_remove_name(struct inode *dir, struct dentry *dentry)
{
	simple_offset_remove(&MEM_I(dir)->dir, dentry);
	touch_dir(dir);
	touch_ctime(d_inode(dentry));
	drop_nlink(d_inode(dentry));
	dput(dentry); // the name's; the caller has its own
}

static int mem_unlink(struct inode *dir, struct dentry *dentry)
{
	mem_remove_name(dir, dentry);
	return 0;
}

static int mem_rmdir(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (!simple_offset_empty(&MEM_I(inode)->dir))
		return -ENOTEMPTY;
	drop_nlink(inode);
	mem_remove_name(dir, dentry);
	drop_nlink(dir);
	return 0;
}

static int mem_tmpfile(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode)
{
	struct inode *inode;
	int err = mem_get_inode(dir->i_sb, dir, mode, 0, &inode);

	if (!err)
		d_tmpfile(dentry, inode);
	return err;
}

static void touch_renamed(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			  struct dentry *new)
{
	touch_dir(old_dir);
	touch_dir(new_dir);
	touch_ctime(d_inode(old));
	if (d_inode(new))
		touch_ctime(d_inode(new));
}

static int mem_exchange(struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *new)
{
	bool is_dir = d_is_dir(old), new_is_dir = d_is_dir(new);

	simple_offset_exchange(&MEM_I(old_dir)->dir, old, &MEM_I(new_dir)->dir, new);
	if (old_dir != new_dir && is_dir != new_is_dir) {
		drop_nlink(is_dir ? old_dir : new_dir);
		inc_nlink(is_dir ? new_dir : old_dir);
	}
	touch_renamed(old_dir, old, new_dir, new);
	return 0;
}

// What shows, to who lays directories over others, that a name is not there: stands at the old name after the
// rename, and is in the hash beside it for a moment before.
static int mem_whiteout(struct inode *old_dir, struct dentry *old)
{
	struct dentry *whiteout;
	int err = d_alloc(old->d_parent, &old->d_name, &whiteout);

	if (err)
		return err;
	err = mem_mknod(NULL, old_dir, whiteout, S_IFCHR, 0);
	if (!err)
		d_rehash(whiteout);
	dput(whiteout);
	return err;
}

static int mem_rename(const struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old,
		      struct inode *new_dir, struct dentry *new, unsigned flags)
{
	struct inode *target = d_inode(new);
	bool is_dir = d_is_dir(old);
	unsigned long place;
	int err;

	if (flags & RENAME_EXCHANGE)
		return mem_exchange(old_dir, old, new_dir, new);
	if (target && S_ISDIR(READ_ONCE(target->i_mode)) && !simple_offset_empty(&MEM_I(target)->dir))
		return -ENOTEMPTY;
	err = simple_offset_reserve(&MEM_I(new_dir)->dir, old, &place);
	if (err)
		return err;
	if (flags & RENAME_WHITEOUT)
		err = mem_whiteout(old_dir, old);
	if (err) {
		simple_offset_release(&MEM_I(new_dir)->dir, place);
		return err;
	}
	simple_offset_remove(&MEM_I(old_dir)->dir, old);
	old->d_fsdata = (void *)place;
	if (target) {
		if (is_dir) {
			drop_nlink(target);
			drop_nlink(old_dir);
		}
		mem_remove_name(new_dir, new);
	} else if (is_dir) {
		drop_nlink(old_dir);
		inc_nlink(new_dir);
	}
	touch_renamed(old_dir, old, new_dir, new);
	return 0;
}

static const struct inode_operations mem_dir_inode_operations = {
	.rename = mem_rename,
	.tmpfile = mem_tmpfile,
	.lookup = simple_lookup,
	.create = mem_create,
	.link = mem_link,
	.unlink = mem_unlink,
	.symlink = mem_symlink,
	.mkdir = mem_mkdir,
	.rmdir = mem_rmdir,
	.mknod = mem_mknod,
	.fileattr_get = mem_fileattr_get,
	.fileattr_set = mem_fileattr_set,
	.setattr = mem_setattr,
	.set_acl = simple_set_acl,
	.listxattr = mem_listxattr,
};

int mem_tree_fill_super(struct super_block *sb, u32 magic, mode_t root_mode)
{
	struct inode *root;
	int err;

	sb->s_magic = magic;
	sb->s_op = &mem_super_ops;
	sb->s_xattr = mem_xattr_handlers;
	WRITE_ONCE(sb->s_flags, sb->s_flags | SB_POSIXACL);
	sb->s_maxbytes = INT64_MAX;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	err = mem_get_inode(sb, NULL, S_IFDIR | root_mode, 0, &root);
	if (err)
		return err;
	root->i_uid = 0;
	root->i_gid = 0;
	return d_make_root(root, &sb->s_root);
}
