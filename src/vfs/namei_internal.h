// The state of a path walk, and the steps that its files share.
//
// A walk is lock-free (LOOKUP_RCU: inside a read section, nothing referenced, every dentry held to the d_seq
// sampled when it was found) until something needs more; then it takes references to what it stands on
// (try_to_unlazy) or, when the world has changed under it, gives up with -ECHILD and is done again from the
// start with references.
#pragma once

#include "vfs/cred.h"
#include "vfs/inode.h"
#include "vfs/mount_internal.h"
#include "vfs/namei.h"
#include "vfs/task.h"

#define MAXSYMLINKS 40
#define PATH_MAX_   4096

enum { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

#define LOOKUP_IS_SCOPED (LOOKUP_BENEATH | LOOKUP_IN_ROOT)

// nd->state
#define ND_ROOT_PRESET  1u // the caller's root; not ours to put
#define ND_ROOT_GRABBED 2u
#define ND_JUMPED       4u // the last step was not down by name

// How a component is taken.
#define WALK_TRAILING 1u
#define WALK_MORE     2u // more of the path follows in this text: the symlink's text stays
#define WALK_NOFOLLOW 4u

// A symlink whose text is being walked.
struct saved_link {
	struct path link;
	struct delayed_call done;
	const char *name; // what follows it in the text before
	unsigned seq;
};

struct nameidata {
	struct path path;    // where it stands
	struct inode *inode; // of path.dentry
	struct qstr last;    // the component in hand
	u64 last_words[2];   // its first bytes, see hash_name_words()
	struct path root;    // mnt NULL: not needed yet
	unsigned flags, state;
	unsigned seq, next_seq; // d_seq of path.dentry; of the dentry just found
	unsigned m_seq, r_seq, root_seq;
	int last_type;
	unsigned depth; // of the stack
	int total_link_count;
	uid_t dir_uid; // of the directory that holds the last component
	mode_t dir_mode;
	struct vfs_machine *vfs;
	const char *name;
	int dfd;
	struct saved_link stack[MAXSYMLINKS];
};

// namei_rcu.c: between the two modes.
bool try_to_unlazy(struct nameidata *nd) __must_check;
bool try_to_unlazy_next(struct nameidata *nd, struct dentry *dentry) __must_check;
bool __legitimize_path(struct path *path, unsigned seq, unsigned mseq);
int complete_walk(struct nameidata *nd) __must_check;
void terminate_walk(struct nameidata *nd);
void put_link(struct nameidata *nd);
static inline void leave_rcu(struct nameidata *nd)
{
	nd->flags &= ~LOOKUP_RCU;
	nd->seq = nd->next_seq = 0;
	rcu_read_unlock();
}

// namei_start.c: where a walk begins.
int path_init(struct nameidata *nd, unsigned flags, const char **text) __must_check;
int set_root(struct nameidata *nd) __must_check;
int nd_jump_root(struct nameidata *nd) __must_check;

// namei_mount.c: over mount points and up.
int follow_dots(struct nameidata *nd, int type) __must_check;
bool follow_mount_rcu(struct nameidata *nd, struct path *path) __must_check;
bool __follow_mount_rcu(struct mount_machine *mm, unsigned m_seq, struct path *path,
			unsigned *seq) __must_check;
int traverse_mounts(struct nameidata *nd, struct path *path) __must_check;

// namei_link.c. *text: what to walk now; NULL: nothing more.
int pick_link(struct nameidata *nd, struct path *link, struct inode *inode, unsigned flags,
	      const char **text) __must_check;

// namei_walk.c
int link_path_walk(const char *name, struct nameidata *nd) __must_check;
int walk_component(struct nameidata *nd, unsigned flags, const char **text) __must_check;
int step_into(struct nameidata *nd, unsigned flags, struct dentry *dentry, const char **text) __must_check;
int lookup_fast(struct nameidata *nd, struct dentry **out) __must_check; // NULL: not cached
int lookup_in_dir(const struct qstr *name, struct dentry *dir, unsigned flags,
		  struct dentry **out) __must_check;
int handle_mounts(struct nameidata *nd, struct dentry *dentry, struct path *path) __must_check;

// namei_may.c
int may_create(struct inode *dir, struct dentry *child) __must_check;
int may_delete(struct inode *dir, struct dentry *victim, bool isdir) __must_check;
int may_linkat(const struct path *link) __must_check;
// The mode that something new in dir gets: of what was asked for the bits in mask, and the type.
mode_t vfs_prepare_mode(const struct inode *dir, mode_t mode, mode_t mask, mode_t type);
static inline bool d_mountpoint(const struct dentry *dentry)
{
	return READ_ONCE(dentry->d_flags) & DCACHE_MOUNTED;
}
// namei_create.c: the last component, in its directory, whose i_rwsem is held.
int lookup_last_name(struct nameidata *nd, const struct path *parent, unsigned flags,
		     struct dentry **out) __must_check;

// namei.c
int check_name(const char *name, unsigned flags) __must_check; // EFAULT, ENAMETOOLONG, ENOENT
static __always_inline void nd_set(struct nameidata *nd, int dfd, const char *name)
{
	nd->path = (struct path){0};
	nd->root.mnt = NULL;
	nd->flags = nd->state = 0;
	nd->depth = 0;
	nd->total_link_count = 0;
	nd->vfs = current->machine->vfs;
	nd->name = name;
	nd->dfd = dfd;
}
int path_lookupat(struct nameidata *nd, unsigned flags, struct path *path) __must_check;
// Walks to the parent; *path is referenced, nd->last and last_type tell the last component.
int filename_parentat(struct nameidata *nd, int dfd, const char *name, unsigned flags,
		      struct path *path) __must_check;

static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}
static inline bool d_can_lookup(const struct dentry *dentry)
{
	return d_entry_type(dentry) == DCACHE_DIRECTORY_TYPE;
}
static inline int d_revalidate(struct dentry *dentry, unsigned flags)
{
	if (unlikely(READ_ONCE(dentry->d_flags) & DCACHE_OP_REVALIDATE))
		return dentry->d_op->d_revalidate(dentry, flags);
	return 1;
}
