// ramfs: the root file system. Everything it holds is in the caches (vfs/libfs.c); this file is the type and
// its one option, mode=.
#include "base/alloc.h"
#include "device/module.h"
#include "vfs/fs_context.h"
#include "vfs/libfs.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>

struct ramfs_options {
	mode_t mode; // of the root directory
};

static int ramfs_parse_param(struct fs_context *fc, const char *key, const char *value)
{
	struct ramfs_options *opts = fc->fs_private;
	unsigned mode = 0;

	if (strcmp(key, "mode"))
		return -ENOPARAM;
	if (!value || !*value)
		return invalfc(fc, "mode: an octal number is wanted");
	for (const char *p = value; *p; p++) {
		if (*p < '0' || *p > '7' || mode > 07777)
			return invalfc(fc, "mode: '%s' is not an octal number", value);
		mode = mode * 8 + (unsigned)(*p - '0');
	}
	opts->mode = mode & 07777;
	return 0;
}

static int ramfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	const struct ramfs_options *opts = fc->fs_private;

	return mem_tree_fill_super(sb, RAMFS_MAGIC, opts->mode);
}

static int ramfs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, ramfs_fill_super);
}

static int ramfs_reconfigure(struct fs_context *fc)
{
	return 0;
}

static void ramfs_free(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations ramfs_context_ops = {
	.free = ramfs_free,
	.parse_param = ramfs_parse_param,
	.get_tree = ramfs_get_tree,
	.reconfigure = ramfs_reconfigure,
};

static int ramfs_init_fs_context(struct fs_context *fc)
{
	struct ramfs_options *opts = kzalloc(fc->machine, sizeof(*opts));

	if (!opts)
		return -ENOMEM;
	opts->mode = 0755;
	fc->fs_private = opts;
	fc->ops = &ramfs_context_ops;
	return 0;
}

static const struct file_system_type ramfs_type = {
	.name = "ramfs",
	.fs_flags = FS_USERNS_MOUNT,
	.init_fs_context = ramfs_init_fs_context,
	.kill_sb = kill_litter_super,
};

static int ramfs_init(struct shale *machine)
{
	return register_filesystem(machine, &ramfs_type);
}

static void ramfs_exit(struct shale *machine)
{
	unregister_filesystem(machine, &ramfs_type);
}

SHALE_MODULE(ramfs, MODULE_FS, ramfs_init, ramfs_exit);
