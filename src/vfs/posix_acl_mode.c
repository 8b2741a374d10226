// Access lists and modes follow one another: what a new file inherits, what chmod does to a list, what
// setting a list does to the mode.
//
// A list that says no more than a mode is not kept. Lists are immutable: a change makes a copy.

#include "vfs/inode_internal.h"

#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/dcache_ways.h"
#include "vfs/fs.h"
#include "vfs/xattr.h"

#include <errno.h>

static int acl_clone(const struct posix_acl *acl, struct posix_acl **out)
{
	int err = posix_acl_alloc(acl->a_machine, acl->a_count, out);

	if (!err)
		memcpy((*out)->a_entries, acl->a_entries, acl->a_count * sizeof(acl->a_entries[0]));
	return err;
}

// The entries that the mode's bits stand for: [0] owner, [1] group (the mask if there is one), [2] others.
// True: the list says more than a mode.
static bool acl_mode_entries(struct posix_acl *acl, struct posix_acl_entry *out[3])
{
	struct posix_acl_entry *mask = NULL;
	bool extended = false;

	out[0] = out[1] = out[2] = NULL;
	for (u32 i = 0; i < acl->a_count; i++) {
		struct posix_acl_entry *e = &acl->a_entries[i];

		switch (e->e_tag) {
		case ACL_USER_OBJ:
			out[0] = e;
			break;
		case ACL_GROUP_OBJ:
			out[1] = e;
			break;
		case ACL_OTHER:
			out[2] = e;
			break;
		case ACL_MASK:
			mask = e;
			extended = true;
			break;
		default:
			extended = true;
			break;
		}
	}
	if (mask)
		out[1] = mask;
	return extended;
}

static mode_t entries_mode(struct posix_acl_entry *e[3])
{
	return (mode_t)e[0]->e_perm << 6 | (mode_t)e[1]->e_perm << 3 | e[2]->e_perm;
}

static bool entries_complete(struct posix_acl_entry *e[3])
{
	return e[0] && e[1] && e[2];
}

int posix_acl_create(struct inode *dir, mode_t *mode, struct posix_acl **default_acl, struct posix_acl **acl)
{
	struct posix_acl_entry *e[3];
	struct posix_acl *inherited;
	int err;

	*acl = *default_acl = NULL;
	if (S_ISLNK(*mode) || !(READ_ONCE(dir->i_sb->s_flags) & SB_POSIXACL))
		return 0;
	err = get_inode_acl(dir, ACL_TYPE_DEFAULT, &inherited);
	if (err)
		return err;
	if (!inherited) {
		*mode &= ~(mode_t)current_umask();
		return 0;
	}
	err = acl_clone(inherited, acl);
	if (err)
		goto release;
	bool extended = acl_mode_entries(*acl, e);

	if (!entries_complete(e)) {
		posix_acl_release(*acl);
		*acl = NULL;
		err = -EIO;
		goto release;
	}
	// Neither grants what the other does not.
	for (unsigned i = 0; i < 3; i++)
		e[i]->e_perm &= *mode >> (6 - 3 * i) & 7;
	*mode = (*mode & ~(mode_t)0777) | entries_mode(e);
	if (!extended) {
		posix_acl_release(*acl);
		*acl = NULL;
	}
	if (S_ISDIR(*mode)) {
		*default_acl = inherited;
		return 0;
	}
release:
	posix_acl_release(inherited);
	return err;
}

int posix_acl_chmod(const struct mnt_idmap *idmap, struct dentry *dentry, mode_t mode)
{
	struct inode *inode = d_inode(dentry);
	struct posix_acl *acl, *changed;
	struct posix_acl_entry *e[3];
	int err;

	if (!(READ_ONCE(inode->i_sb->s_flags) & SB_POSIXACL))
		return 0;
	if (!inode->i_op->set_acl)
		return -EOPNOTSUPP;
	err = get_inode_acl(inode, ACL_TYPE_ACCESS, &acl);
	if (err || !acl)
		return err == -EOPNOTSUPP ? 0 : err;
	err = acl_clone(acl, &changed);
	posix_acl_release(acl);
	if (err)
		return err;
	acl_mode_entries(changed, e);
	err = entries_complete(e) ? 0 : -EIO;
	for (unsigned i = 0; !err && i < 3; i++)
		e[i]->e_perm = mode >> (6 - 3 * i) & 7;
	if (!err)
		err = inode->i_op->set_acl(idmap, dentry, changed, ACL_TYPE_ACCESS);
	posix_acl_release(changed);
	return err;
}

int posix_acl_update_mode(struct inode *inode, mode_t *mode, struct posix_acl **acl)
{
	struct posix_acl_entry *e[3];

	*mode = inode->i_mode;
	if (*acl) {
		bool extended = acl_mode_entries(*acl, e);

		if (!entries_complete(e))
			return -EINVAL;
		*mode = (*mode & ~(mode_t)0777) | entries_mode(e);
		if (!extended)
			*acl = NULL;
	}
	if (!in_group_or_capable(inode, inode->i_gid))
		*mode &= ~(mode_t)S_ISGID;
	return 0;
}

void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl)
{
	struct posix_acl **slot = type == ACL_TYPE_ACCESS ? &inode->i_acl : &inode->i_default_acl, *old;

	if (acl)
		refcount_inc(&acl->a_refcount);
	old = __atomic_exchange_n(slot, acl, __ATOMIC_ACQ_REL);
	if (old != ACL_NOT_CACHED)
		posix_acl_release(old);
	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		d_place_left(&inode->i_sb->s_machine->vfs->dcache);
}

int simple_set_acl(const struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);

	if (type == ACL_TYPE_ACCESS) {
		mode_t mode;
		int err = posix_acl_update_mode(inode, &mode, &acl);

		if (err)
			return err;
		inode_set_mode(inode, mode);
	}
	inode_set_time(&inode->i_ctime, current_time(inode));
	set_cached_acl(inode, type, acl);
	return 0;
}

int simple_acl_create(struct inode *dir, struct inode *inode)
{
	struct posix_acl *default_acl, *acl;
	mode_t mode = inode->i_mode;
	int err = posix_acl_create(dir, &mode, &default_acl, &acl);

	if (err)
		return err;
	WRITE_ONCE(inode->i_mode, mode);
	WRITE_ONCE(inode->i_default_acl, default_acl);
	WRITE_ONCE(inode->i_acl, acl);
	return 0;
}
