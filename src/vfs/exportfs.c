// From an inode to its handle and back; and how a directory that was found by its handle gets its place in
// the tree: its parent is asked of the file system, read for the name, and the name looked up, until the root
// is reached.
#include "vfs/exportfs.h"

#include "base/current.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/file.h"
#include "vfs/inode.h"
#include "vfs/mount.h"
#include "vfs/namei.h"
#include "vfs/super.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int exportfs_encode_fh(const struct inode *inode, void *handle, unsigned *bytes, int *type)
{
	const u32 words[] = {(u32)inode->i_ino, inode->i_generation};
	bool fits = *bytes >= INO32_GEN_BYTES;

	BUILD_BUG_ON(sizeof(words) != INO32_GEN_BYTES);
	*bytes = INO32_GEN_BYTES;
	*type = fits ? FILEID_INO32_GEN : FILEID_INVALID;
	if (!fits)
		return -EOVERFLOW;
	memcpy(handle, words, sizeof(words));
	return 0;
}

struct name_search {
	struct dir_context ctx;
	u64 ino;
	bool seen, found; // any entry in this turn; the one that is looked for
	size_t len;
	char name[NAME_MAX + 1];
};

static bool name_search_entry(struct dir_context *ctx, const char *name, int namelen, loff_t offset, u64 ino,
			      unsigned d_type)
{
	struct name_search *s = container_of(ctx, struct name_search, ctx);
	bool dots = name[0] == '.' && (namelen == 1 || (namelen == 2 && name[1] == '.'));

	s->seen = true;
	if (ino != s->ino || dots || namelen > NAME_MAX)
		return true;
	memcpy(s->name, name, (size_t)namelen);
	s->len = (size_t)namelen;
	s->found = true;
	return false;
}

// Reads a directory for the name of an inode.
static int get_name(const struct path *dir, struct name_search *s)
{
	struct file *file;
	int err = dentry_open(dir, O_RDONLY | O_DIRECTORY, current_cred(), &file);

	if (err)
		return err;
	s->ctx.actor = name_search_entry;
	do {
		s->seen = false;
		err = iterate_dir(file, &s->ctx);
	} while (!err && s->seen && !s->found);
	fput(file);
	return err ?: s->found ? 0 : -ENOENT;
}

// Puts a directory that is the top of its tree below its parent.
static int reconnect_one(struct vfsmount *mnt, struct dentry *top)
{
	struct name_search s = {.ino = d_inode(top)->i_ino};
	struct path dir = {.mnt = mnt};
	struct dentry *found;
	struct inode *parent;
	int err = top->d_sb->s_export_op->get_parent(d_inode(top), &parent);

	if (err)
		return err;
	err = d_obtain_alias(parent, &dir.dentry);
	if (err)
		return err;
	err = get_name(&dir, &s);
	if (!err)
		err = lookup_one_unlocked(dir.dentry, s.name, s.len, &found);
	if (!err)
		dput(found);
	dput(dir.dentry);
	return err ?: IS_ROOT(top) ? -ESTALE : 0;
}

static struct dentry *topmost(struct dentry *dentry) // eats a reference, gives one
{
	while (!IS_ROOT(dentry)) {
		struct dentry *parent = dget_parent(dentry);

		dput(dentry);
		dentry = parent;
	}
	return dentry;
}

static int reconnect_path(struct vfsmount *mnt, struct dentry *dentry)
{
	struct dentry *root = dentry->d_sb->s_root, *top = topmost(dget(dentry));
	int err = 0;

	while (!err && top != root) {
		err = reconnect_one(mnt, top);
		top = topmost(top);
	}
	dput(top);
	return err;
}

static int decode(const struct path *root, const void *handle, unsigned bytes, int type, struct dentry **out)
{
	struct super_block *sb = root->dentry->d_sb;
	const struct export_operations *ops = sb->s_export_op;
	struct inode *inode;
	u32 words[2];
	int err;

	if (!ops || bytes < INO32_GEN_BYTES || (type != FILEID_INO32_GEN && type != FILEID_INO32_GEN_PARENT))
		return -ESTALE;
	memcpy(words, handle, sizeof(words));
	err = ops->get_inode(sb, words[0], words[1], &inode);
	if (!err)
		err = d_obtain_alias(inode, out);
	if (err || !d_is_dir(*out))
		return err;
	err = reconnect_path(root->mnt, *out);
	if (err)
		dput(*out);
	return err;
}

int exportfs_decode_fh(const struct path *root, const void *handle, unsigned bytes, int type,
		       struct path *out)
{
	int err = decode(root, handle, bytes, type, &out->dentry);

	if (err)
		return err == -ENOMEM ? err : -ESTALE;
	out->mnt = mntget(root->mnt);
	return 0;
}
