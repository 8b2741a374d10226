// From a place back to its name: d_path and getcwd.
//
// The name is put together from its end, up over parents and mounts to the task's root, with rename_lock and
// mount_lock held so that nothing moves.

#include "vfs/fs.h"
#include "vfs/mount_internal.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <string.h>

struct prepend_buffer {
	char *buf; // start of the text so far
	size_t left;
};

static bool prepend(struct prepend_buffer *b, const char *s, size_t len)
{
	if (b->left < len)
		return false;
	b->left -= len;
	b->buf -= len;
	memcpy(b->buf, s, len);
	return true;
}

// Both locks held. *reached: the root was met; else the place is not below it. False: no room.
static bool prepend_path(const struct path *path, const struct path *root, struct prepend_buffer *b,
			 bool *reached)
{
	struct mount *mnt = real_mount(path->mnt);
	struct dentry *dentry = path->dentry;
	bool any = false;

	*reached = true;
	while (dentry != root->dentry || &mnt->mnt != root->mnt) {
		if (dentry == mnt->mnt.mnt_root) {
			if (!mnt_has_parent(mnt)) {
				*reached = false;
				break;
			}
			dentry = mnt->mnt_mountpoint;
			mnt = mnt->mnt_parent;
			continue;
		}
		if (IS_ROOT(dentry)) {
			*reached = false; // moved out of what the mount shows
			break;
		}
		if (!prepend(b, dentry->d_name.name, dentry->d_name.len) || !prepend(b, "/", 1))
			return false;
		any = true;
		dentry = dentry->d_parent;
	}
	return any || prepend(b, "/", 1);
}

static bool path_text(const struct path *path, const struct path *root, struct prepend_buffer *b,
		      bool *reached) __no_lock_analysis
{
	struct vfs_machine *vfs = path->dentry->d_sb->s_machine->vfs;
	bool fits;

	read_seqlock_excl(&vfs->dcache.rename_lock);
	read_seqlock_excl(&vfs->mounts.mount_lock);
	fits = prepend_path(path, root, b, reached);
	read_sequnlock_excl(&vfs->mounts.mount_lock);
	read_sequnlock_excl(&vfs->dcache.rename_lock);
	return fits;
}

static bool d_unlinked(const struct dentry *dentry)
{
	return d_unhashed(dentry) && !IS_ROOT(dentry);
}

// *out: the text, with its NUL at the end of buf. -ENAMETOOLONG.
int d_path(const struct path *path, char *buf, size_t size, char **out)
{
	static const char deleted[] = " (deleted)";
	struct prepend_buffer b = {.buf = buf + size, .left = size};
	struct path root;
	bool reached, fits;

	get_fs_root(current_fs(), &root);
	fits = d_unlinked(path->dentry) ? prepend(&b, deleted, sizeof(deleted)) : prepend(&b, "", 1);
	fits = fits && path_text(path, &root, &b, &reached);
	path_put(&root);
	if (!fits)
		return -ENAMETOOLONG;
	*out = b.buf;
	return 0;
}

// The length with its NUL. -ENOENT: the directory was removed; -ERANGE: no room. A directory that is not
// below the root is shown with "(unreachable)" before it.
long do_getcwd(char *buf, size_t size)
{
	char text[4096];
	struct prepend_buffer b = {.buf = text + sizeof(text), .left = sizeof(text)};
	struct path root, pwd;
	bool reached;
	size_t len;
	long res;

	get_fs_root(current_fs(), &root);
	get_fs_pwd(current_fs(), &pwd);
	res = -ENOENT;
	if (d_unlinked(pwd.dentry))
		goto out;
	res = -ENAMETOOLONG;
	if (!prepend(&b, "", 1) || !path_text(&pwd, &root, &b, &reached) ||
	    (!reached && !prepend(&b, "(unreachable)", 13)))
		goto out;
	len = sizeof(text) - b.left;
	res = -ERANGE;
	if (len <= size) {
		memcpy(buf, b.buf, len);
		res = (long)len;
	}
out:
	path_put(&pwd);
	path_put(&root);
	return res;
}
