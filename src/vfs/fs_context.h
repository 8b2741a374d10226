// Mount configuration: what is to be mounted and how, gathered parameter by parameter, with errors told in
// words (V2).
#pragma once

#include "base/parser.h"
#include "vfs/super.h"

enum fs_context_purpose { FS_CONTEXT_FOR_MOUNT, FS_CONTEXT_FOR_SUBMOUNT, FS_CONTEXT_FOR_RECONFIGURE };

struct fs_context_operations {
	void (*free)(struct fs_context *fc);
	// One parameter. -ENOPARAM (vfs then tries what is common: ro, rw, sync, dirsync, lazytime, source),
	// or errno after errorfc().
	int (*parse_param)(struct fs_context *fc, const char *key, const char *value);
	int (*get_tree)(struct fs_context *fc); // sets fc->root
	int (*reconfigure)(struct fs_context *fc);
};

struct fs_context {
	struct shale *machine;
	const struct fs_context_operations *ops;
	const struct file_system_type *fs_type;
	void *fs_private, *sget_key, *s_fs_info;
	struct dentry *root; // of the result; holds s_active and a dentry reference
	const struct cred *cred;
	char *source, *subtype;
	unsigned sb_flags, sb_flags_mask;
	enum fs_context_purpose purpose;
	struct fs_check *check; // the volume is not to be mounted, but checked
	char error[256];        // last error in words, with the parameter's name; "" if none
};

int fs_context_for_mount(struct shale *machine, const struct file_system_type *type, unsigned sb_flags,
			 struct fs_context **out) __must_check;
int fs_context_for_reconfigure(struct dentry *root, unsigned sb_flags, unsigned sb_flags_mask,
			       struct fs_context **out) __must_check;
int reconfigure_super(struct fs_context *fc) __must_check; // s_umount held exclusive
int vfs_parse_fs_param(struct fs_context *fc, const char *key, const char *value) __must_check;
int vfs_parse_monolithic(struct fs_context *fc, const char *data) __must_check; // "a=b,c"
// get_tree leaves s_umount held exclusive (as sget_fc() does); this gives it up.
int vfs_get_tree(struct fs_context *fc) __must_check;
void vfs_mount_error_clear(struct shale *machine);
void put_fs_context(struct fs_context *fc);
// Keeps the words for the caller of mount (machine's last mount error and the log); returns -EINVAL for
// invalfc.
void errorfc(struct fs_context *fc, const char *fmt, ...) __printf(2, 3);
int invalfc(struct fs_context *fc, const char *fmt, ...) __printf(2, 3);

// By block device: looks fc->source up, claims it, finds or makes the super block by device, calls fill_super
// for a new one.
int get_tree_bdev(struct fs_context *fc,
		  int (*fill_super)(struct super_block *sb, struct fs_context *fc)) __must_check;
int get_tree_nodev(struct fs_context *fc,
		   int (*fill_super)(struct super_block *sb, struct fs_context *fc)) __must_check;
int get_tree_single(struct fs_context *fc,
		    int (*fill_super)(struct super_block *sb, struct fs_context *fc)) __must_check;
