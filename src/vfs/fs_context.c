// Mount configuration: parameters are gathered one by one, from calls or from a string "a=b,c", offered to
// the file system first and to what is common to all after it, and end in a tree (vfs_get_tree). What went
// wrong is kept in words.
//
// A context belongs to one thread. It owns its source, subtype and, when there is one, the root of the
// result.

#include "vfs/fs_context.h"

#include "base/alloc.h"
#include "base/log.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/super_internal.h"
#include "vfs/vfs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int alloc_fs_context(struct shale *machine, const struct file_system_type *type, unsigned sb_flags,
			    unsigned sb_flags_mask, enum fs_context_purpose purpose, struct dentry *root,
			    struct fs_context **out)
{
	struct fs_context *fc = kzalloc(machine, sizeof(*fc));
	int err;

	if (!fc)
		return -ENOMEM;
	fc->machine = machine;
	fc->fs_type = type;
	fc->sb_flags = sb_flags;
	fc->sb_flags_mask = sb_flags_mask;
	fc->purpose = purpose;
	fc->cred = current->task ? get_cred(current_cred()) : NULL;
	if (root) {
		atomic_inc(&root->d_sb->s_active);
		fc->root = dget(root);
	}
	err = type->init_fs_context(fc);
	if (err) {
		put_fs_context(fc);
		return err;
	}
	*out = fc;
	return 0;
}

int fs_context_for_mount(struct shale *machine, const struct file_system_type *type, unsigned sb_flags,
			 struct fs_context **out)
{
	return alloc_fs_context(machine, type, sb_flags, 0, FS_CONTEXT_FOR_MOUNT, NULL, out);
}

// To change the super block of `root`: flags in the mask become those of sb_flags.
int fs_context_for_reconfigure(struct dentry *root, unsigned sb_flags, unsigned sb_flags_mask,
			       struct fs_context **out)
{
	struct super_block *sb = root->d_sb;

	return alloc_fs_context(sb->s_machine, sb->s_type, sb_flags, sb_flags_mask,
				FS_CONTEXT_FOR_RECONFIGURE, root, out);
}

void put_fs_context(struct fs_context *fc)
{
	if (!fc)
		return;
	if (fc->root) {
		struct super_block *sb = fc->root->d_sb;

		dput(fc->root);
		deactivate_super(sb);
	}
	if (fc->ops && fc->ops->free)
		fc->ops->free(fc);
	put_cred(fc->cred);
	kfree(fc->source);
	kfree(fc->subtype);
	kfree(fc);
}

// Errors in words.

static void fc_words(struct fs_context *fc, const char *fmt, va_list args)
{
	struct vfs_machine *vfs = fc->machine->vfs;
	int n = snprintf(fc->error, sizeof(fc->error), "%s: ", fc->fs_type->name);

	if (n > 0 && (size_t)n < sizeof(fc->error))
		vsnprintf(fc->error + n, sizeof(fc->error) - (size_t)n, fmt, args);
	spin_lock(&vfs->error_lock);
	memcpy(vfs->mount_error, fc->error, sizeof(vfs->mount_error));
	spin_unlock(&vfs->error_lock);
	pr_err(fc->machine, "%s", fc->error);
}

void errorfc(struct fs_context *fc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fc_words(fc, fmt, args);
	va_end(args);
}

int invalfc(struct fs_context *fc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fc_words(fc, fmt, args);
	va_end(args);
	return -EINVAL;
}

// Parameters.

static const struct {
	const char *key;
	unsigned set, clear;
} common_flags[] = {
	{"dirsync", SB_DIRSYNC, 0},  {"lazytime", SB_LAZYTIME, 0}, {"ro", SB_RDONLY, 0},
	{"sync", SB_SYNCHRONOUS, 0}, {"async", 0, SB_SYNCHRONOUS}, {"nolazytime", 0, SB_LAZYTIME},
	{"rw", 0, SB_RDONLY},
};

static int parse_common_flag(struct fs_context *fc, const char *key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(common_flags); i++) {
		if (strcmp(common_flags[i].key, key))
			continue;
		fc->sb_flags = (fc->sb_flags | common_flags[i].set) & ~common_flags[i].clear;
		fc->sb_flags_mask |= common_flags[i].set | common_flags[i].clear;
		return 0;
	}
	return -ENOPARAM;
}

static int parse_source(struct fs_context *fc, const char *value)
{
	if (!value)
		return invalfc(fc, "Non-string source");
	if (fc->source)
		return invalfc(fc, "Multiple sources");
	fc->source = kstrdup(fc->machine, value);
	return fc->source ? 0 : -ENOMEM;
}

// value NULL: a flag.
int vfs_parse_fs_param(struct fs_context *fc, const char *key, const char *value)
{
	int err;

	if (!*key)
		return invalfc(fc, "Unnamed parameter");
	if (!value) {
		err = parse_common_flag(fc, key);
		if (err != -ENOPARAM)
			return err;
	}
	if (fc->ops->parse_param) {
		err = fc->ops->parse_param(fc, key, value);
		if (err != -ENOPARAM)
			return err;
	}
	if (!strcmp(key, "source"))
		return parse_source(fc, value);
	return invalfc(fc, "Unknown parameter '%s'", key);
}

int vfs_parse_monolithic(struct fs_context *fc, const char *data)
{
	char *copy, *rest, *key, *value;
	int err = 0;

	if (!data)
		return 0;
	copy = kstrdup(fc->machine, data);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	while (!err && option_next(&rest, &key, &value))
		// "=x" has no name to be a parameter of.
		err = *key ? vfs_parse_fs_param(fc, key, value) : 0;
	kfree(copy);
	return err;
}

int vfs_get_tree(struct fs_context *fc) __no_lock_analysis
{
	struct super_block *sb;
	int err;

	BUG_ON(fc->root);
	err = fc->ops->get_tree(fc);
	if (err)
		return err;
	sb = fc->root->d_sb;
	smp_store_release(&sb->s_state, SB_BORN);
	up_write(&sb->s_umount);
	return 0;
}

void vfs_mount_error_get(struct shale *machine, char *buf, size_t size)
{
	struct vfs_machine *vfs = machine->vfs;

	spin_lock(&vfs->error_lock);
	snprintf(buf, size, "%s", vfs->mount_error);
	spin_unlock(&vfs->error_lock);
}

void vfs_mount_error_clear(struct shale *machine)
{
	spin_lock(&machine->vfs->error_lock);
	machine->vfs->mount_error[0] = 0;
	spin_unlock(&machine->vfs->error_lock);
}
