// fs_struct: root, current directory, umask; and the calls that change them.
//
// `lock` serialises changes and guards taking references to what is there; `seq` is raised while they change,
// for the lock-free walk, which needs no references.

#include "vfs/fs.h"

#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/file.h"
#include "vfs/inode.h"
#include "vfs/mount_internal.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>

void path_get(const struct path *path)
{
	mntget(path->mnt);
	dget(path->dentry);
}

void path_put(const struct path *path)
{
	dput(path->dentry);
	mntput(path->mnt);
}

static int fs_struct_make(struct shale *machine, struct fs_struct **out)
{
	struct fs_struct *fs = kzalloc(machine, sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	atomic_set(&fs->users, 1);
	spin_lock_init(&fs->lock);
	seqcount_init(&fs->seq);
	fs->umask = 022;
	*out = fs;
	return 0;
}

int fs_struct_alloc(struct shale *machine, struct fs_struct **out)
{
	int err = fs_struct_make(machine, out);

	if (err)
		return err;
	(*out)->root = (*out)->pwd = machine->vfs->init_root;
	path_get(&(*out)->root);
	path_get(&(*out)->pwd);
	return 0;
}

int copy_fs_struct(struct fs_struct *old, struct shale *machine, struct fs_struct **out)
{
	int err = fs_struct_make(machine, out);

	if (err)
		return err;
	spin_lock(&old->lock);
	(*out)->root = old->root;
	(*out)->pwd = old->pwd;
	(*out)->umask = old->umask;
	path_get(&old->root);
	path_get(&old->pwd);
	spin_unlock(&old->lock);
	return 0;
}

struct fs_struct *get_fs_struct(struct fs_struct *fs)
{
	atomic_inc(&fs->users);
	return fs;
}

void put_fs_struct(struct fs_struct *fs)
{
	if (!fs || !atomic_dec_and_test(&fs->users))
		return;
	path_put(&fs->root);
	path_put(&fs->pwd);
	kfree(fs);
}

static void set_path(struct fs_struct *fs, struct path *which, const struct path *path)
{
	struct path old;

	path_get(path);
	spin_lock(&fs->lock);
	old = *which;
	write_seqcount_begin(&fs->seq);
	rcu_assign_pointer(which->mnt, path->mnt);
	rcu_assign_pointer(which->dentry, path->dentry);
	write_seqcount_end(&fs->seq);
	spin_unlock(&fs->lock);
	path_put(&old);
}

void set_fs_root(struct fs_struct *fs, const struct path *path)
{
	set_path(fs, &fs->root, path);
}

void set_fs_pwd(struct fs_struct *fs, const struct path *path)
{
	set_path(fs, &fs->pwd, path);
}

void get_fs_root(struct fs_struct *fs, struct path *root)
{
	spin_lock(&fs->lock);
	*root = fs->root;
	path_get(root);
	spin_unlock(&fs->lock);
}

void get_fs_pwd(struct fs_struct *fs, struct path *pwd)
{
	spin_lock(&fs->lock);
	*pwd = fs->pwd;
	path_get(pwd);
	spin_unlock(&fs->lock);
}

int current_umask(void)
{
	return READ_ONCE(current_fs()->umask);
}

long do_chdir(const char *name)
{
	struct path path;
	int err = user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

	if (err)
		return err;
	err = inode_permission(mnt_idmap(path.mnt), d_inode(path.dentry), MAY_EXEC | MAY_CHDIR);
	if (!err)
		set_fs_pwd(current_fs(), &path);
	path_put(&path);
	return err;
}

long do_fchdir(int fd)
{
	struct fd f = fdget_raw(fd);
	int err = -ENOTDIR;

	if (!f.file)
		return -EBADF;
	if (d_is_dir(f.file->f_path.dentry)) {
		err = inode_permission(mnt_idmap(f.file->f_path.mnt), f.file->f_inode, MAY_EXEC | MAY_CHDIR);
		if (!err)
			set_fs_pwd(current_fs(), &f.file->f_path);
	}
	fdput(f);
	return err;
}

long do_chroot(const char *name)
{
	struct path path;
	int err = user_path_at(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

	if (err)
		return err;
	err = inode_permission(mnt_idmap(path.mnt), d_inode(path.dentry), MAY_EXEC | MAY_CHDIR);
	if (!err && !capable(SHALE_CAP_SYS_CHROOT))
		err = -EPERM;
	if (!err)
		set_fs_root(current_fs(), &path);
	path_put(&path);
	return err;
}
