// Extended attributes: the rules of the namespaces, then the file system's handler by prefix. POSIX ACLs are
// answered from the cached lists.
#include "base/alloc.h"
#include "base/current.h"
#include "vfs/xattr_internal.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/namei.h"
#include "vfs/super.h"

#include <errno.h>

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

// trusted.*: for the mighty; user.*: only of regular files and directories, and in sticky directories for
// their owner.
int xattr_permission(const struct mnt_idmap *idmap, struct inode *inode, const char *name, int mask)
{
	mode_t mode = READ_ONCE(inode->i_mode);

	if (mask & MAY_WRITE && READ_ONCE(inode->i_flags) & (S_IMMUTABLE | S_APPEND))
		return -EPERM;
	if (has_prefix(name, "security.") || has_prefix(name, "system."))
		return 0;
	if (has_prefix(name, "trusted."))
		return capable(SHALE_CAP_SYS_ADMIN) ? 0 : mask & MAY_WRITE ? -EPERM : -ENODATA;
	if (has_prefix(name, "user.")) {
		if (!S_ISREG(mode) && !S_ISDIR(mode))
			return mask & MAY_WRITE ? -EPERM : -ENODATA;
		if (S_ISDIR(mode) && mode & S_ISVTX && mask & MAY_WRITE &&
		    !inode_owner_or_capable(idmap, inode))
			return -EPERM;
	}
	return inode_permission(idmap, inode, mask);
}

int xattr_resolve_name(const struct inode *inode, const char **name, const struct xattr_handler **out)
{
	const struct xattr_handler *const *handlers = inode->i_sb->s_xattr;

	for (; handlers && *handlers; handlers++) {
		const struct xattr_handler *h = *handlers;

		if (h->name ? strcmp(*name, h->name) != 0 : !has_prefix(*name, h->prefix))
			continue;
		if (!h->name) {
			*name += strlen(h->prefix);
			if (!**name)
				return -EINVAL;
		}
		*out = h;
		return 0;
	}
	return -EOPNOTSUPP;
}

int acl_type(const char *name)
{
	if (!strcmp(name, "system.posix_acl_access"))
		return ACL_TYPE_ACCESS;
	return strcmp(name, "system.posix_acl_default") ? 0 : ACL_TYPE_DEFAULT;
}

static ssize_t get_acl(struct inode *inode, int type, void *value, size_t size)
{
	struct posix_acl *acl = NULL;
	ssize_t n;

	if (!(inode->i_sb->s_flags & SB_POSIXACL) || S_ISLNK(READ_ONCE(inode->i_mode)))
		return -EOPNOTSUPP;
	n = get_inode_acl(inode, type, &acl);
	if (n)
		return n;
	if (!acl)
		return -ENODATA;
	n = posix_acl_to_xattr(acl, value, size);
	posix_acl_release(acl);
	return n;
}

ssize_t vfs_getxattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name, void *value,
		     size_t size)
{
	struct inode *inode = d_inode(dentry);
	const struct xattr_handler *handler;
	int type = acl_type(name), err;

	if (type)
		return get_acl(inode, type, value, size);
	err = xattr_permission(idmap, inode, name, MAY_READ);
	if (!err)
		err = xattr_resolve_name(inode, &name, &handler);
	if (err)
		return err;
	if (!handler->get)
		return -EOPNOTSUPP;
	return handler->get(handler, dentry, inode, name, value, size);
}

ssize_t vfs_listxattr(struct dentry *dentry, char *list, size_t size)
{
	const struct inode *inode = d_inode(dentry);

	return inode->i_op->listxattr ? inode->i_op->listxattr(dentry, list, size) : 0;
}

struct xattr_end {
	const char *attr; // NULL: the list
	void *value;
	size_t size;
	ssize_t result;
};

static int xattr_end(const struct path *path, struct inode *inode, bool rcu, void *arg)
{
	struct xattr_end *x = arg;

	if (rcu)
		return -ECHILD;
	if (x->attr)
		x->result = vfs_getxattr(mnt_idmap(path->mnt), path->dentry, x->attr, x->value, x->size);
	else
		x->result = vfs_listxattr(path->dentry, x->value, x->size);
	if (x->result == -ERANGE && x->size >= XATTR_SIZE_MOST)
		x->result = -E2BIG;
	return x->result < 0 ? (int)x->result : 0;
}

// Of the open file when name is NULL.
static long xattr_ask(int dfd, const char *name, unsigned lookup_flags, int fd, struct xattr_end *x)
{
	int err;

	if (x->size > XATTR_SIZE_MOST)
		x->size = XATTR_SIZE_MOST;
	if (name) {
		err = lookup_then(dfd, name, lookup_flags, xattr_end, x);
	} else {
		struct fd f = fdget(fd);

		if (!f.file)
			return -EBADF;
		err = xattr_end(&f.file->f_path, f.file->f_inode, false, x);
		fdput(f);
	}
	return err ? err : x->result;
}

long do_getxattr(int dfd, const char *name, unsigned lookup_flags, int fd, const char *attr, void *value,
		 size_t size)
{
	struct xattr_end x = {.attr = attr, .value = value, .size = size};
	size_t len = strnlen(attr, XATTR_NAME_MOST + 1);

	if (len == 0 || len > XATTR_NAME_MOST)
		return -ERANGE;
	return xattr_ask(dfd, name, lookup_flags, fd, &x);
}

long do_listxattr(int dfd, const char *name, unsigned lookup_flags, int fd, char *list, size_t size)
{
	struct xattr_end x = {.value = size ? list : NULL, .size = size};

	return xattr_ask(dfd, name, lookup_flags, fd, &x);
}
