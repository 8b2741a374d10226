// Symlinks on the way: whether one may be followed, and its text.

#include "vfs/namei_internal.h"

#include <errno.h>
#include <string.h>

// protected_symlinks: in a sticky directory that everybody writes to, only the links of the walker himself,
// or of the directory's owner, are followed.
static int may_follow_link(struct nameidata *nd, const struct inode *inode)
{
	uid_t uid;

	if (!READ_ONCE(nd->vfs->sysctl.protected_symlinks))
		return 0;
	uid = READ_ONCE(inode->i_uid);
	if (uid == current_cred()->fsuid || (nd->dir_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) ||
	    uid == nd->dir_uid)
		return 0;
	return nd->flags & LOOKUP_RCU ? -ECHILD : -EACCES;
}

static int get_link_text(struct nameidata *nd, struct saved_link *last, struct inode *inode,
			 const char **text)
{
	int (*get)(struct dentry *, struct inode *, struct delayed_call *, const char **) =
		inode->i_op->get_link;

	if (unlikely(!get))
		return -EINVAL;
	if (nd->flags & LOOKUP_RCU) {
		int err = get(NULL, inode, &last->done, text);

		if (err != -ECHILD)
			return err;
		if (!try_to_unlazy(nd))
			return -ECHILD;
	}
	return get(last->link.dentry, inode, &last->done, text);
}

// `link` is referenced when the walk is; it goes onto the stack.
int pick_link(struct nameidata *nd, struct path *link, struct inode *inode, unsigned flags, const char **text)
{
	struct saved_link *last;
	const char *res;
	int err;

	*text = NULL;
	if (unlikely(nd->total_link_count++ >= MAXSYMLINKS)) {
		if (!(nd->flags & LOOKUP_RCU))
			path_put(link);
		return -ELOOP;
	}
	last = &nd->stack[nd->depth++];
	last->link = *link;
	last->done.fn = NULL;
	last->seq = nd->next_seq;
	if (flags & WALK_TRAILING) {
		err = may_follow_link(nd, inode);
		if (err)
			return err;
	}
	if (unlikely(nd->flags & LOOKUP_NO_SYMLINKS) || unlikely(mnt_flags(link->mnt) & MNT_NOSYMFOLLOW))
		return -ELOOP;
	if (!(nd->flags & LOOKUP_RCU)) {
		touch_atime(&last->link);
	} else if (atime_needs_update(&last->link, inode)) {
		if (!try_to_unlazy(nd))
			return -ECHILD;
		touch_atime(&last->link);
	}
	res = inode->i_link;
	if (!res) {
		err = get_link_text(nd, last, inode, &res);
		if (err)
			return err;
	}
	if (*res == '/') {
		err = nd_jump_root(nd);
		if (err)
			return err;
		while (*++res == '/')
			;
	}
	if (*res)
		*text = res;
	else
		put_link(nd);
	return 0;
}

int vfs_readlink(struct dentry *dentry, struct inode *inode, char *buf, size_t size)
{
	struct delayed_call done = {0};
	const char *text = inode->i_link;
	size_t len;
	int err;

	if (!S_ISLNK(READ_ONCE(inode->i_mode)) || (!text && !inode->i_op->get_link))
		return -EINVAL;
	if (!text) {
		err = inode->i_op->get_link(dentry, inode, &done, &text);
		if (err)
			return err;
	}
	len = min(strlen(text), size);
	memcpy(buf, text, len);
	if (done.fn)
		done.fn(done.arg);
	return (int)len;
}
