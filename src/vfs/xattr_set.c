// Changing extended attributes: the rules of the namespaces, then the file system's handler; and setting
// access lists, which are stored as attributes but kept as lists.
//
// An inode's attributes change under its i_rwsem held exclusive.
#include "base/alloc.h"
#include "base/current.h"
#include "base/le.h"
#include "vfs/attr.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/super.h"
#include "vfs/xattr_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define XATTR_NAME_CAPS "security.capability"

// A program's capabilities (capabilities(7), versions 2 and 3): a revision, then words, the last of version 3
// the user that is root where they hold.
#define VFS_CAP_REVISION_MASK 0xff000000u
#define VFS_CAP_REVISION_2    0x02000000u
#define VFS_CAP_REVISION_3    0x03000000u
#define XATTR_CAPS_SZ_2       20
#define XATTR_CAPS_SZ_3       24

static int check_caps_value(const void *value, size_t size)
{
	u32 version;

	if (size == XATTR_CAPS_SZ_2 || size == XATTR_CAPS_SZ_3) {
		version = le32_to_cpu(*(const le32 *)value) & VFS_CAP_REVISION_MASK;
		if (version == (size == XATTR_CAPS_SZ_2 ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3))
			return 0;
	}
	return -EINVAL;
}

// security.*: for the mighty, or who may give capabilities.
static int may_change_security(const char *name)
{
	if (strncmp(name, "security.", 9))
		return 0;
	return capable(strcmp(name, XATTR_NAME_CAPS) ? SHALE_CAP_SYS_ADMIN : SHALE_CAP_SETFCAP) ? 0 : -EPERM;
}

static int handler_set(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
		       const void *value, size_t size, int flags)
{
	struct inode *inode = d_inode(dentry);
	const struct xattr_handler *handler;
	int err = xattr_resolve_name(inode, &name, &handler);

	if (err)
		return err;
	return handler->set ? handler->set(handler, idmap, dentry, inode, name, value, size, flags)
			    : -EOPNOTSUPP;
}

static int setxattr_locked(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
			   const void *value, size_t size, int flags)
{
	struct inode *inode = d_inode(dentry);
	int err = xattr_permission(idmap, inode, name, MAY_WRITE);

	if (!err)
		err = may_change_security(name);
	if (err)
		return err;
	if (!strncmp(name, "security.", 9))
		WRITE_ONCE(inode->i_flags, inode->i_flags & ~(u32)S_NOSEC);
	return handler_set(idmap, dentry, name, value ?: "", size, flags);
}

int vfs_setxattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name, const void *value,
		 size_t size, int flags)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (!strcmp(name, XATTR_NAME_CAPS)) {
		err = check_caps_value(value, size);
		if (!err)
			err = may_change_security(name);
		if (err)
			return err;
	}
	inode_lock(inode);
	err = setxattr_locked(idmap, dentry, name, value, size, flags);
	inode_unlock(inode);
	return err;
}

int vfs_removexattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name)
{
	struct inode *inode = d_inode(dentry);
	int err;

	inode_lock(inode);
	err = xattr_permission(idmap, inode, name, MAY_WRITE);
	if (!err)
		err = may_change_security(name);
	if (!err)
		err = handler_set(idmap, dentry, name, NULL, 0, XATTR_REPLACE);
	inode_unlock(inode);
	return err;
}

int inode_need_killpriv(struct dentry *dentry)
{
	const char *name = XATTR_NAME_CAPS;
	struct inode *inode = d_inode(dentry);
	const struct xattr_handler *handler;
	ssize_t n;

	if (xattr_resolve_name(inode, &name, &handler) || !handler->get)
		return 0;
	n = handler->get(handler, dentry, inode, name, NULL, 0);
	return n > 0;
}

int inode_killpriv(struct dentry *dentry)
{
	int err = handler_set(NULL, dentry, XATTR_NAME_CAPS, NULL, 0, XATTR_REPLACE);

	return err == -EOPNOTSUPP || err == -ENODATA ? 0 : err;
}

// Access lists.

static int set_posix_acl(const struct mnt_idmap *idmap, struct dentry *dentry, int type,
			 struct posix_acl *acl)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (!(READ_ONCE(inode->i_sb->s_flags) & SB_POSIXACL) || !inode->i_op->set_acl)
		return -EOPNOTSUPP;
	if (type == ACL_TYPE_DEFAULT && !S_ISDIR(READ_ONCE(inode->i_mode)))
		return acl ? -EACCES : 0;
	if (!inode_owner_or_capable(idmap, inode))
		return -EPERM;
	err = acl ? posix_acl_valid(acl) : 0;
	return err ? err : inode->i_op->set_acl(idmap, dentry, acl, type);
}

// acl NULL: it goes.
static int vfs_set_acl(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
		       struct posix_acl *acl)
{
	struct inode *inode = d_inode(dentry);
	int err;

	inode_lock(inode);
	err = xattr_permission(idmap, inode, name, MAY_WRITE);
	if (!err)
		err = set_posix_acl(idmap, dentry, acl_type(name), acl);
	inode_unlock(inode);
	return err;
}

static int set_acl_value(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
			 const void *value, size_t size)
{
	struct posix_acl *acl = NULL;
	int err = 0;

	if (size)
		err = posix_acl_from_xattr(dentry->d_sb->s_machine, value, size, &acl);
	if (!err)
		err = vfs_set_acl(idmap, dentry, name, acl);
	posix_acl_release(acl);
	return err;
}

// The system calls.

struct xattr_change {
	const char *name;
	const void *value; // NULL: remove
	size_t size;
	int flags;
};

static int change_at(const struct path *path, const struct xattr_change *x)
{
	const struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int err = mnt_want_write(path->mnt);

	if (err)
		return err;
	if (acl_type(x->name))
		err = x->value ? set_acl_value(idmap, path->dentry, x->name, x->value, x->size)
			       : vfs_set_acl(idmap, path->dentry, x->name, NULL);
	else if (x->value)
		err = vfs_setxattr(idmap, path->dentry, x->name, x->value, x->size, x->flags);
	else
		err = vfs_removexattr(idmap, path->dentry, x->name);
	mnt_drop_write(path->mnt);
	return err;
}

// The names of what is asked for; of the open file `fd` when name is NULL.
struct xattr_place {
	int dfd;
	const char *name;
	unsigned lookup_flags;
	int fd;
};

static int change_xattr(const struct xattr_place *at, const struct xattr_change *x)
{
	size_t len = strnlen(x->name, XATTR_NAME_MOST + 1);
	struct path path;
	struct fd f;
	int err;

	if (len == 0 || len > XATTR_NAME_MOST)
		return -ERANGE;
	if (x->size > XATTR_SIZE_MOST)
		return -E2BIG;
	if (!x->value && at->name && !*at->name && at->dfd == AT_FDCWD && at->lookup_flags & LOOKUP_EMPTY)
		return -EBADF; // removexattrat alone wants a descriptor there
	if (at->name) {
		err = user_path_at(at->dfd, at->name, at->lookup_flags, &path);
		if (err)
			return err;
		err = change_at(&path, x);
		path_put(&path);
		return err;
	}
	f = fdget(at->fd);
	if (!f.file)
		return -EBADF;
	err = change_at(&f.file->f_path, x);
	fdput(f);
	return err;
}

long do_setxattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr,
		 const void *value, size_t size, int flags)
{
	const struct xattr_place at = {dfd, name, lookup_flags, fd};
	const struct xattr_change x = {.name = attr, .value = value ?: "", .size = size, .flags = flags};

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	return change_xattr(&at, &x);
}

long do_removexattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr)
{
	const struct xattr_place at = {dfd, name, lookup_flags, fd};
	const struct xattr_change x = {.name = attr};

	return change_xattr(&at, &x);
}
