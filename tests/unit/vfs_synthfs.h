// A file system for tests of names: an endless tree that is computed, never stored, so that every dentry and
// inode may be reclaimed at any time and comes back the same. In each directory exist d0..d9 (directories),
// f0..f9 (files) and l0..l9 (symlinks: lN is "dN/fN"); anything else is missing. An inode's number is a hash
// of its parent's number and its name.
#ifndef SHALE_TEST_VFS_SYNTHFS_H
#define SHALE_TEST_VFS_SYNTHFS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/machine.h"
#include "cache/cache.h"
#include "shale/shale.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/fs_context.h"
#include "vfs/inode.h"
#include "vfs/libfs.h"
#include "vfs/namei.h"
#include "vfs/super.h"
#include "vfs/vfs.h"
#include <errno.h>
#include <stdio.h>

#define SYNTH_ROOT_INO 1u

static inline u64 synth_ino(u64 dir, char kind, unsigned n)
{
	return hash_mix64(dir * 1000003 + (u8)kind * 16 + n) | 2;
}

static const struct inode_operations synth_dir_operations;
static const struct inode_operations synth_file_operations;
static int synth_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done,
			  const char **out);
static const struct inode_operations synth_link_operations = {.get_link = synth_get_link};

// Texts of symlinks; static, so that the lock-free walk may use them.
static const char *const synth_link_text[10] = {"d0/f0", "d1/f1", "d2/f2", "d3/f3", "d4/f4",
						"d5/f5", "d6/f6", "d7/f7", "d8/f8", "d9/f9"};

static int synth_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done,
			  const char **out)
{
	*out = synth_link_text[inode->i_generation];
	return 0;
}

static unsigned synth_lookups; // that reached the file system

static void synth_fill(struct inode *inode, char kind, unsigned n)
{
	inode->i_mode = (kind == 'd'   ? S_IFDIR
			 : kind == 'l' ? S_IFLNK
				       : S_IFREG) |
			(kind == 'd' ? 0755 : 0777);
	inode->i_generation = n;
	inode->i_op = kind == 'd'   ? &synth_dir_operations
		      : kind == 'l' ? &synth_link_operations
				    : &synth_file_operations;
	inode_set_opflags(inode);
}

static int synth_lookup(struct inode *dir, struct dentry *dentry, unsigned flags, struct dentry **out)
{
	const char *name = dentry->d_name.name;
	struct inode *inode = NULL;
	int err;

	__atomic_fetch_add(&synth_lookups, 1, __ATOMIC_RELAXED);
	if (dentry->d_name.len > 255)
		return -ENAMETOOLONG;
	if (dentry->d_name.len == 2 && strchr("dfl", name[0]) && name[1] >= '0' && name[1] <= '9') {
		unsigned n = (unsigned)(name[1] - '0');

		err = iget_locked(dir->i_sb, synth_ino(dir->i_ino, name[0], n), &inode);
		if (err)
			return err;
		if (inode_is_new(inode)) {
			synth_fill(inode, name[0], n);
			cond_resched();
			unlock_new_inode(inode);
		}
	}
	return d_splice_alias(inode, dentry, out);
}
static const struct inode_operations synth_dir_operations = {.lookup = synth_lookup};
static const struct inode_operations synth_file_operations = {0};

static int synth_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;
	int err = iget_locked(sb, SYNTH_ROOT_INO, &root);

	if (err)
		return err;
	synth_fill(root, 'd', 0);
	unlock_new_inode(root);
	return d_make_root(root, &sb->s_root);
}
static int synth_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, synth_fill_super);
}
static int synth_parse_param(struct fs_context *fc, const char *key, const char *value)
{
	if (!strcmp(key, "bad"))
		return invalfc(fc, "Bad value for '%s'", key);
	return -ENOPARAM;
}
static const struct fs_context_operations synth_context_ops = {.get_tree = synth_get_tree,
							       .parse_param = synth_parse_param};
static int synth_init_fs_context(struct fs_context *fc)
{
	fc->ops = &synth_context_ops;
	return 0;
}
static const struct file_system_type synth_type = {
	.name = "synth", .init_fs_context = synth_init_fs_context, .kill_sb = kill_anon_super};

// A machine with the synthetic tree on /mnt, and a task of root.
struct synth {
	struct shale *machine;
	struct shale_task *task;
};

static inline void synth_start(struct synth *s, unsigned threads, u64 seed)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct current_saved saved;

	options.threads = threads;
	options.seed = seed;
	options.memory_limit = 8 << 20;
	assert_int_equal(shale_new(&options, &s->machine), 0);
	current_enter(s->machine, NULL, &saved);
	assert_int_equal(register_filesystem(s->machine, &synth_type), 0);
	current_leave(&saved);
	assert_int_equal(shale_task_new(s->machine, NULL, &s->task), 0);
	assert_int_equal(shale_mount(s->task, "none", "/mnt", "synth", 0, NULL), 0);
}

static inline void synth_stop(struct synth *s)
{
	shale_task_free(s->task);
	assert_int_equal(shale_free(s->machine), 0);
}

// One step of a generator that repeats.
static inline u32 synth_random(u64 *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(*state >> 33);
}

// A random path below /mnt and the number of what it leads to (0: nothing is there).
static inline void synth_random_path(u64 *state, unsigned fanout, char *path, u64 *ino)
{
	unsigned depth = synth_random(state) % 5, n = synth_random(state) % fanout,
		 kind = synth_random(state) % 8;
	u64 dir = SYNTH_ROOT_INO;
	char *p = path + sprintf(path, "/mnt");

	for (unsigned i = 0; i < depth; i++) {
		unsigned d = synth_random(state) % fanout;

		p += sprintf(p, "/d%u", d);
		if (synth_random(state) % 8 == 0)
			p += sprintf(p, "/d0/..");
		dir = synth_ino(dir, 'd', d);
	}
	if (kind == 0) {
		sprintf(p, "/missing%u", n);
		*ino = 0;
	} else if (kind == 1) {
		sprintf(p, "/l%u", n);
		*ino = synth_ino(synth_ino(dir, 'd', n), 'f', n);
	} else if (kind == 2) {
		sprintf(p, "/d%u/", n);
		*ino = synth_ino(dir, 'd', n);
	} else {
		sprintf(p, "/f%u", n);
		*ino = synth_ino(dir, 'f', n);
	}
}

#endif
