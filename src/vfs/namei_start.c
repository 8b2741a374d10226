// Where a walk begins: the root, the current directory, or a descriptor; and jumping to the root on the way.

#include "vfs/namei_fast.h"

#include "vfs/file.h"
#include "vfs/fs.h"

#include <errno.h>

// Learns the task's root, when it is needed for the first time. Scoped walks have had theirs from the start.
int set_root(struct nameidata *nd)
{
	struct fs_struct *fs = current_fs();

	if (WARN_ON(nd->flags & LOOKUP_IS_SCOPED))
		return -ENOTRECOVERABLE;
	if (nd->flags & LOOKUP_RCU) {
		unsigned seq;

		do {
			seq = read_seqcount_begin(&fs->seq);
			path_load(&nd->root, &fs->root);
			nd->root_seq = read_seqcount_begin(&nd->root.dentry->d_seq);
		} while (read_seqcount_retry(&fs->seq, seq));
	} else {
		get_fs_root(fs, &nd->root);
		nd->state |= ND_ROOT_GRABBED;
	}
	return 0;
}

int nd_jump_root(struct nameidata *nd)
{
	int err;

	if (unlikely(nd->flags & LOOKUP_BENEATH))
		return -EXDEV;
	// An absolute name may begin anywhere. On the way a jump counts as leaving the mount also when the
	// root has not been needed so far, as on Linux.
	if (unlikely(nd->flags & LOOKUP_NO_XDEV) && nd->path.mnt && nd->path.mnt != nd->root.mnt)
		return -EXDEV;
	if (!nd->root.mnt) {
		err = set_root(nd);
		if (err)
			return err;
	}
	if (nd->flags & LOOKUP_RCU) {
		nd->path = nd->root;
		nd->inode = smp_load_acquire(&nd->path.dentry->d_inode);
		nd->seq = nd->root_seq;
		if (read_seqcount_retry(&nd->path.dentry->d_seq, nd->seq))
			return -ECHILD;
	} else {
		path_put(&nd->path);
		nd->path = nd->root;
		path_get(&nd->path);
		nd->inode = d_inode(nd->path.dentry);
	}
	nd->state |= ND_JUMPED;
	return 0;
}

static void start_at_cwd(struct nameidata *nd)
{
	struct fs_struct *fs = current_fs();
	unsigned seq;

	if (!(nd->flags & LOOKUP_RCU)) {
		get_fs_pwd(fs, &nd->path);
		nd->inode = d_inode(nd->path.dentry);
		return;
	}
	do {
		seq = read_seqcount_begin(&fs->seq);
		path_load(&nd->path, &fs->pwd);
		nd->inode = smp_load_acquire(&nd->path.dentry->d_inode);
		nd->seq = read_seqcount_begin(&nd->path.dentry->d_seq);
	} while (read_seqcount_retry(&fs->seq, seq));
}

static int start_at_fd(struct nameidata *nd, const char *text)
{
	struct fd f = fdget_raw(nd->dfd);
	int err = 0;

	if (!f.file)
		return -EBADF;
	if (nd->flags & LOOKUP_LINKAT_EMPTY && f.file->f_cred != current_cred() &&
	    !capable(SHALE_CAP_DAC_READ_SEARCH)) {
		err = -ENOENT;
	} else if (*text && !d_can_lookup(f.file->f_path.dentry)) {
		err = -ENOTDIR;
	} else if (nd->flags & LOOKUP_RCU) {
		nd->path = f.file->f_path;
		nd->inode = smp_load_acquire(&nd->path.dentry->d_inode);
		nd->seq = read_seqcount_begin(&nd->path.dentry->d_seq);
	} else {
		nd->path = f.file->f_path;
		path_get(&nd->path);
		nd->inode = d_inode(nd->path.dentry);
	}
	fdput(f);
	return err;
}

// Sets nd to the start of its name and *text to what is to be walked. After it, also after an error,
// terminate_walk().
int path_init(struct nameidata *nd, unsigned flags, const char **text)
{
	const char *s = nd->name;
	int err = 0;

	// A walk that may not leave the cache is lock-free or nothing.
	if ((flags & (LOOKUP_RCU | LOOKUP_CACHED)) == LOOKUP_CACHED)
		return -EAGAIN;
	if (!*s)
		flags &= ~LOOKUP_RCU;
	if (flags & LOOKUP_RCU)
		rcu_read_lock();
	else
		nd->seq = nd->next_seq = 0;
	nd->flags = flags;
	nd->state |= ND_JUMPED;
	nd->m_seq = read_seqbegin(&nd->vfs->mounts.mount_lock);
	nd->r_seq = read_seqbegin(&nd->vfs->dcache.rename_lock);
	*text = s;
	if (nd->state & ND_ROOT_PRESET) {
		nd->path = nd->root;
		nd->inode = smp_load_acquire(&nd->path.dentry->d_inode);
		if (flags & LOOKUP_RCU)
			nd->root_seq = nd->seq = read_seqcount_begin(&nd->path.dentry->d_seq);
		else
			path_get(&nd->path);
		return *s && !d_can_lookup(nd->root.dentry) ? -ENOTDIR : 0;
	}
	nd->root.mnt = NULL;
	if (*s == '/' && !(flags & LOOKUP_IN_ROOT))
		return nd_jump_root(nd);
	if (nd->dfd == AT_FDCWD)
		start_at_cwd(nd);
	else
		err = start_at_fd(nd, s);
	if (err)
		return err;
	if (flags & LOOKUP_IS_SCOPED) {
		nd->root = nd->path;
		if (flags & LOOKUP_RCU) {
			nd->root_seq = nd->seq;
		} else {
			path_get(&nd->root);
			nd->state |= ND_ROOT_GRABBED;
		}
	}
	return 0;
}
