// May the running task do that to this inode? Mode bits and access lists against its credentials, then
// capabilities.
//
// With MAY_NOT_BLOCK (the lock-free walk) nothing is referenced and nothing sleeps: a list is read under RCU,
// and one that is not in memory gives -ECHILD.

#include "vfs/cred.h"
#include "vfs/inode.h"
#include "vfs/super.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

#include <errno.h>

// -EAGAIN: there is no list.
static int check_acl(const struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	struct posix_acl *acl;
	int err;

	if (mask & MAY_NOT_BLOCK) {
		acl = smp_load_acquire(&inode->i_acl);
		if (!acl)
			return -EAGAIN;
		if (acl == ACL_NOT_CACHED)
			return -ECHILD;
		return posix_acl_permission(idmap, inode, acl, mask);
	}
	err = get_inode_acl(inode, ACL_TYPE_ACCESS, &acl);
	if (err)
		return err;
	if (!acl)
		return -EAGAIN;
	err = posix_acl_permission(idmap, inode, acl, mask);
	posix_acl_release(acl);
	return err;
}

static int acl_permission_check(const struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	const struct cred *cred = current_cred();
	mode_t mode = READ_ONCE(inode->i_mode);
	int want = mask & (MAY_READ | MAY_WRITE | MAY_EXEC);

	if (cred->fsuid == READ_ONCE(inode->i_uid))
		return want & ~(mode >> 6) ? -EACCES : 0;
	// Where the group may do nothing, the mask of a list allows nothing either.
	if (mode & S_IRWXG && READ_ONCE(inode->i_acl)) {
		int err = check_acl(idmap, inode, mask);

		if (err != -EAGAIN)
			return err;
	}
	// The group matters only if it would change the answer.
	if (want & (mode ^ (mode >> 3)) && in_group_p(cred, READ_ONCE(inode->i_gid)))
		mode >>= 3;
	return want & ~mode ? -EACCES : 0;
}

int generic_permission(const struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	const struct cred *cred = current_cred();
	mode_t mode = READ_ONCE(inode->i_mode);
	int err = acl_permission_check(idmap, inode, mask);

	if (err != -EACCES)
		return err;
	if (S_ISDIR(mode)) {
		if (!(mask & MAY_WRITE) && cred_has_cap(cred, SHALE_CAP_DAC_READ_SEARCH))
			return 0;
		return cred_has_cap(cred, SHALE_CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
	if (mask == MAY_READ && cred_has_cap(cred, SHALE_CAP_DAC_READ_SEARCH))
		return 0;
	// Execution needs one execute bit, even for root.
	if ((!(mask & MAY_EXEC) || mode & 0111) && cred_has_cap(cred, SHALE_CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(const struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	if (mask & MAY_WRITE) {
		mode_t mode = READ_ONCE(inode->i_mode);

		if (sb_rdonly(inode->i_sb) && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
			return -EROFS;
		if (READ_ONCE(inode->i_flags) & S_IMMUTABLE)
			return -EPERM;
	}
	if (likely(READ_ONCE(inode->i_opflags) & IOP_FASTPERM) || !inode->i_op->permission)
		return generic_permission(idmap, inode, mask);
	return inode->i_op->permission(idmap, inode, mask);
}

bool inode_owner_or_capable(const struct mnt_idmap *idmap, const struct inode *inode)
{
	return READ_ONCE(inode->i_uid) == current_cred()->fsuid || capable(SHALE_CAP_FOWNER);
}
