// mount(2) and umount2(2): what their flags ask for, the checks in Linux's order, and the steps over the
// mount tree.

#include "vfs/mount_internal.h"

#include "vfs/cred.h"
#include "vfs/fs.h"
#include "vfs/fs_context.h"
#include "vfs/namei.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#define MS_MGC_VAL_  0xC0ED0000ul
#define MS_MGC_MASK_ 0xffff0000ul
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define MS_ATIME_FLAGS (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
#define MS_SB_FLAGS    (MS_RDONLY | MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC | MS_POSIXACL | MS_LAZYTIME)

static bool may_mount(void)
{
	return capable(SHALE_CAP_SYS_ADMIN);
}

// Per-mount flags: relatime unless told otherwise.
static u32 mnt_flags_from_ms(unsigned long ms)
{
	static const struct {
		unsigned long ms;
		u32 mnt;
	} map[] = {
		{MS_NOSUID, MNT_NOSUID},           {MS_NODEV, MNT_NODEV},           {MS_NOEXEC, MNT_NOEXEC},
		{MS_NOATIME, MNT_NOATIME},         {MS_NODIRATIME, MNT_NODIRATIME}, {MS_RDONLY, MNT_READONLY},
		{MS_NOSYMFOLLOW, MNT_NOSYMFOLLOW},
	};
	u32 flags = ms & MS_NOATIME ? 0 : MNT_RELATIME;

	for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
		if (ms & map[i].ms)
			flags |= map[i].mnt;
	if (ms & MS_STRICTATIME)
		flags &= ~(MNT_RELATIME | MNT_NOATIME);
	return flags;
}

static unsigned sb_flags_from_ms(unsigned long ms)
{
	unsigned flags = 0;

	flags |= ms & MS_RDONLY ? SB_RDONLY : 0;
	flags |= ms & MS_SYNCHRONOUS ? SB_SYNCHRONOUS : 0;
	flags |= ms & MS_DIRSYNC ? SB_DIRSYNC : 0;
	flags |= ms & MS_LAZYTIME ? SB_LAZYTIME : 0;
	return flags;
}

// A new mount of `root` at the topmost place of `path` (whose references it may exchange).
static int do_add_mount(struct dentry *root, const char *devname, u32 flags, struct path *path)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct mountpoint *mp;
	struct mount *mnt = NULL;
	int err = lock_mount(path, &mp);

	if (err)
		return err;
	if (!check_mnt(real_mount(path->mnt)))
		err = -EINVAL;
	else if (path->mnt->mnt_sb == root->d_sb && path_is_mount_root(path))
		err = -EBUSY; // the same file system on the same place
	else if (d_entry_type(root) == DCACHE_SYMLINK_TYPE)
		err = -EINVAL;
	else
		err = vfs_create_mount(root, devname, flags, &mnt);
	if (!err) {
		err = graft_tree(mnt, real_mount(path->mnt), mp);
		if (!err)
			mnt = NULL;
	}
	unlock_mount(mm, mp, path->dentry);
	if (mnt)
		mntput(&mnt->mnt);
	return err;
}

static int fill_context(struct fs_context *fc, const char *fstype, const char *source, const char *data)
{
	const char *subtype = strchr(fstype, '.');
	int err;

	if (subtype && subtype[1]) {
		fc->subtype = kstrdup(fc->machine, subtype + 1);
		if (!fc->subtype)
			return -ENOMEM;
	}
	if (source) {
		err = vfs_parse_fs_param(fc, "source", source);
		if (err)
			return err;
	}
	return vfs_parse_monolithic(fc, data);
}

static int do_new_mount(struct path *path, const char *fstype, unsigned sb_flags, u32 flags,
			const char *source, const char *data)
{
	struct shale *machine = current->machine;
	const struct file_system_type *type;
	struct fs_context *fc;
	int err;

	if (!fstype)
		return -EINVAL;
	type = get_fs_type(machine, fstype);
	if (!type)
		return -ENODEV;
	err = fs_context_for_mount(machine, type, sb_flags, &fc);
	if (err)
		return err;
	err = fill_context(fc, fstype, source, data);
	if (!err)
		err = vfs_get_tree(fc);
	if (!err)
		err = do_add_mount(fc->root, fc->source, flags, path);
	put_fs_context(fc);
	return err;
}

// Only the flags of this mount: MS_REMOUNT|MS_BIND.
static int do_reconfigure_mnt(struct path *path, u32 flags)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct mount *mnt = real_mount(path->mnt);
	int err = 0;

	if (!check_mnt(mnt) || !path_is_mount_root(path))
		return -EINVAL;
	lock_mount_tree(mm);
	if (flags & MNT_READONLY && !(mnt->mnt.mnt_flags & MNT_READONLY))
		err = mnt_make_readonly(mnt);
	if (!err)
		WRITE_ONCE(mnt->mnt.mnt_flags, (mnt->mnt.mnt_flags & ~MNT_USER_FLAGS) | flags);
	unlock_mount_tree(mm);
	return err;
}

// The super block, and this mount's flags with it.
static int do_remount(struct path *path, unsigned sb_flags, u32 flags, const char *data)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct super_block *sb = path->mnt->mnt_sb;
	struct mount *mnt = real_mount(path->mnt);
	struct fs_context *fc;
	int err;

	if (!check_mnt(mnt) || !path_is_mount_root(path))
		return -EINVAL;
	err = fs_context_for_reconfigure(path->dentry, sb_flags,
					 SB_RDONLY | SB_SYNCHRONOUS | SB_DIRSYNC | SB_LAZYTIME, &fc);
	if (err)
		return err;
	err = vfs_parse_monolithic(fc, data);
	if (!err) {
		down_write(&sb->s_umount);
		err = reconfigure_super(fc);
		if (!err) {
			lock_mount_tree(mm);
			WRITE_ONCE(mnt->mnt.mnt_flags, (mnt->mnt.mnt_flags & ~MNT_USER_FLAGS) | flags);
			unlock_mount_tree(mm);
		}
		up_write(&sb->s_umount);
	}
	put_fs_context(fc);
	return err;
}

// Bind: a tree that is mounted somewhere seen at another place too.
static int do_loopback(struct path *path, const char *old_name, bool recurse)
{
	struct mount_machine *mm = mounts_of(path->mnt);
	struct mountpoint *mp;
	struct mount *tree = NULL;
	struct path old;
	int err;

	if (!old_name || !*old_name)
		return -EINVAL;
	err = user_path_at(AT_FDCWD, old_name, LOOKUP_FOLLOW | LOOKUP_AUTOMOUNT, &old);
	if (err)
		return err;
	err = lock_mount(path, &mp);
	if (err)
		goto put_old;
	if (!check_mnt(real_mount(path->mnt)) || !check_mnt(real_mount(old.mnt)))
		err = -EINVAL;
	else
		err = copy_tree(real_mount(old.mnt), old.dentry, recurse, &tree);
	if (!err) {
		err = graft_tree(tree, real_mount(path->mnt), mp);
		if (!err)
			tree = NULL;
	}
	unlock_mount(mm, mp, path->dentry);
	if (tree)
		discard_tree(tree);
put_old:
	path_put(&old);
	return err;
}

// Every mount is private; other kinds of propagation are not there.
static int do_change_type(struct path *path, unsigned long ms)
{
	unsigned long type = ms & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);

	if (ms & ~(type | MS_REC | MS_SILENT) || !is_power_of_2(type) || !path_is_mount_root(path))
		return -EINVAL;
	return type == MS_PRIVATE ? 0 : -EOPNOTSUPP;
}

static int path_mount(const char *source, struct path *path, const char *fstype, unsigned long ms,
		      const char *data)
{
	u32 flags;

	if ((ms & MS_MGC_MASK_) == MS_MGC_VAL_)
		ms &= ~MS_MGC_MASK_;
	if (ms & (1ul << 31)) // MS_NOUSER: the kernel's own
		return -EINVAL;
	if (!may_mount())
		return -EPERM;
	flags = mnt_flags_from_ms(ms);
	// A remount that says nothing of access times leaves them.
	if (ms & MS_REMOUNT && !(ms & MS_ATIME_FLAGS)) {
		const u32 atime = MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME;

		flags = (flags & ~atime) | (mnt_flags(path->mnt) & atime);
	}
	if ((ms & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND))
		return do_reconfigure_mnt(path, flags);
	if (ms & MS_REMOUNT)
		return do_remount(path, sb_flags_from_ms(ms), flags, data);
	if (ms & MS_BIND)
		return do_loopback(path, source, ms & MS_REC);
	if (ms & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		return do_change_type(path, ms);
	if (ms & MS_MOVE)
		return -EOPNOTSUPP;
	return do_new_mount(path, fstype, sb_flags_from_ms(ms), flags, source, data);
}

long do_mount(const char *source, const char *target, const char *fstype, unsigned long ms_flags,
	      const char *data)
{
	struct path path;
	int err;

	vfs_mount_error_clear(current->machine);
	err = user_path_at(AT_FDCWD, target, LOOKUP_FOLLOW | LOOKUP_AUTOMOUNT, &path);
	if (err)
		return err;
	err = path_mount(source, &path, fstype, ms_flags, data);
	path_put(&path);
	return err;
}

// Unmounting.

static int can_umount(const struct path *path)
{
	if (!may_mount())
		return -EPERM;
	if (!path_is_mount_root(path) || !check_mnt(real_mount(path->mnt)))
		return -EINVAL;
	return 0;
}

// MNT_EXPIRE: the first call marks a mount that nobody uses, the second one finds the mark.
static int umount_expire(struct mount *mnt, int flags)
{
	struct mount_machine *mm = mounts_of(&mnt->mnt);
	u32 old;
	s64 count;

	if (flags & (MNT_FORCE | MNT_DETACH))
		return -EINVAL;
	read_seqlock_excl(&mm->mount_lock);
	count = mnt_get_count(mnt);
	read_sequnlock_excl(&mm->mount_lock);
	if (count != 2)
		return -EBUSY;
	old = __atomic_fetch_or(&mnt->mnt_state, MNT_EXPIRY_MARK, __ATOMIC_RELAXED);
	return old & MNT_EXPIRY_MARK ? 0 : -EAGAIN;
}

// The task's root is not unmounted but made read-only.
static int umount_root(struct path *path)
{
	struct super_block *sb = path->mnt->mnt_sb;
	struct fs_context *fc;
	int err;

	if (sb_rdonly(sb))
		return 0;
	err = fs_context_for_reconfigure(path->dentry, SB_RDONLY, SB_RDONLY, &fc);
	if (err)
		return err;
	down_write(&sb->s_umount);
	err = reconfigure_super(fc);
	up_write(&sb->s_umount);
	put_fs_context(fc);
	return err;
}

static int path_umount(struct path *path, int flags)
{
	struct mount *mnt = real_mount(path->mnt);
	struct path root;
	bool is_root;
	int err = can_umount(path);

	if (err)
		return err;
	get_fs_root(current_fs(), &root);
	is_root = root.mnt == path->mnt;
	path_put(&root);
	if (flags & MNT_EXPIRE) {
		err = is_root ? -EINVAL : umount_expire(mnt, flags);
		if (err)
			return err;
	}
	if (is_root && !(flags & MNT_DETACH))
		return umount_root(path);
	return do_umount_mnt(mnt, flags);
}

long do_umount(const char *target, int flags)
{
	unsigned lookup = flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct path path;
	int err;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	err = user_path_at(AT_FDCWD, target, lookup, &path);
	if (err)
		return err;
	err = path_umount(&path, flags);
	dput(path.dentry);
	mntput_no_expire(real_mount(path.mnt));
	return err;
}
