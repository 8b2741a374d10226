// Super blocks: one mounted volume (or kernel-made tree) in memory, found or made by key; and the registry of
// file system types.
//
// s_active counts mounts and other users; the last one kills the super block. s_umount: exclusive for
// mounting and killing, shared for whoever needs it to stay.
#pragma once

#include "base/errseq.h"
#include "base/seq_file.h"
#include "vfs/types.h"

#define SB_RDONLY      (1u << 0)
#define SB_NOSUID      (1u << 1)
#define SB_NODEV       (1u << 2)
#define SB_NOEXEC      (1u << 3)
#define SB_SYNCHRONOUS (1u << 4)
#define SB_DIRSYNC     (1u << 7)
#define SB_POSIXACL    (1u << 16)
#define SB_LAZYTIME    (1u << 25)
#define SB_NOUSER      (1u << 31)

// How far a super block is frozen (super_freeze.c), and what a writer announces himself as.
#define SB_UNFROZEN         0
#define SB_FREEZE_WRITE     1
#define SB_FREEZE_PAGEFAULT 2
#define SB_FREEZE_FS        3
#define SB_FREEZE_COMPLETE  4

struct sb_writers {
	int frozen;
	wait_queue_head_t wait; // for a thaw; for those who are inside to leave
	struct {
		s64 n[SB_FREEZE_FS], fill[8 - SB_FREEZE_FS];
	} shard[SHARDS];
};

// s_state
#define SB_BORN  1u // fill_super succeeded: may be found and used
#define SB_DYING 2u // being killed: who finds it waits until it is gone

#define FS_REQUIRES_DEV 1u
#define FS_HAS_SUBTYPE  4u
#define FS_USERNS_MOUNT 8u

struct writeback_control;

struct file_system_type {
	const char *name;
	unsigned fs_flags;
	int (*init_fs_context)(struct fs_context *fc);
	void (*kill_sb)(struct super_block *sb);
	// Checks the volume that fc->source names and tells fc->check what is wrong; mounts nothing. -errno:
	// could not be checked, with words as for a mount. May be NULL.
	int (*check)(struct fs_context *fc);
};

// Something that is wrong with a volume. `group` is -1, inode and block are 0 where they say nothing.
struct fs_problem {
	const char *code, *text; // a stable name of the kind; words that name the place
	bool damage;             // otherwise only worth to know
	bool progress;           // no problem: how far the check is
	s64 group;
	u64 inode, block;
};
// A check that was asked for: its maker fills report and arg. A report other than 0 ends the check early.
struct fs_check {
	int (*report)(void *arg, const struct fs_problem *problem);
	void *arg;
	bool progress; // is to be reported, too
	u64 damages;   // how many were
};
// -EBUSY: the name is taken. Types are const and live as long as the machine (V1).
int register_filesystem(struct shale *machine, const struct file_system_type *type) __must_check;
// -EINVAL: not registered.
int unregister_filesystem(struct shale *machine, const struct file_system_type *type);
const struct file_system_type *get_fs_type(struct shale *machine,
					   const char *name); // "type.subtype" finds type

void filesystems_show(struct shale *machine, struct seq_file *m); // /proc/filesystems

struct super_operations {
	int (*alloc_inode)(struct super_block *sb,
			   struct inode **out);     // inode embedded in the file system's own
	void (*free_inode)(struct inode *inode);    // after a grace period
	void (*destroy_inode)(struct inode *inode); // before it; may be NULL
	void (*evict_inode)(struct inode *inode);   // NULL: truncate pages, clear_inode
	// An attribute changed (I_DIRTY_SYNC, I_DIRTY_DATASYNC, with I_DIRTY_TIME if times came along); may
	// be NULL.
	void (*dirty_inode)(struct inode *inode, u32 flags);
	// Writes the attributes; NULL: there is nothing to be done for them when a sync comes by.
	int (*write_inode)(struct inode *inode, struct writeback_control *wbc);
	int (*drop_inode)(struct inode *inode); // 1: do not cache; NULL: cache while linked
	void (*put_super)(struct super_block *sb);
	int (*sync_fs)(struct super_block *sb, int wait);
	// Everything is written and nobody changes anything: brings the disk to rest; and the end of that.
	// May be NULL; a file system without freeze_fs cannot be frozen from outside.
	int (*freeze_fs)(struct super_block *sb);
	int (*unfreeze_fs)(struct super_block *sb);
	int (*statfs)(struct dentry *dentry, struct kstatfs *buf);
	int (*show_options)(struct seq_file *m, struct dentry *root);
};

struct kstatfs {
	long f_type, f_bsize, f_frsize, f_namelen, f_flags;
	u64 f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	struct {
		int val[2];
	} f_fsid;
};

struct super_block {
	struct shale *s_machine;
	struct list_head s_list;
	dev_t s_dev;
	u8 s_blocksize_bits;
	u32 s_blocksize;
	u64 s_maxbytes;
	u32 s_max_links; // of a file or directory; 0: the file system sees to that
	const struct file_system_type *s_type;
	const struct super_operations *s_op;
	const struct xattr_handler *const *s_xattr;
	const struct export_operations *s_export_op; // NULL: no file handles
	const struct dentry_operations *s_d_op;
	u32 s_flags;
	u32 s_magic;
	struct dentry *s_root;
	struct rw_semaphore s_umount;
	int s_count;       // memory references, under the machine's sb_lock
	atomic_t s_active; // users
	unsigned s_state;  // SB_BORN, SB_DYING
	struct block_device *s_bdev;
	void *s_fs_info; // the file system's
	u32 s_time_gran; // ns
	s64 s_time_min, s_time_max;
	spinlock_t s_inode_list_lock;
	struct list_head s_inodes;
	spinlock_t s_dentry_lru_lock;
	struct list_head s_dentry_lru; // unused dentries, oldest first
	unsigned long s_nr_dentry_unused;
	spinlock_t s_inode_lru_lock;
	struct list_head s_inode_lru; // unused inodes without a name in memory, oldest first
	unsigned long s_nr_inodes_unused;
	char s_id[32]; // for messages: "sda1"
	u8 s_uuid[16];
	u32 s_readonly_remount; // a change to read-only is under way: nobody begins to write
	struct rcu_head s_rcu;
	struct list_head s_mounts;
	errseq_t s_wb_err;
	struct sb_writers s_writers;
	struct mutex s_vfs_rename_mutex; // held while a directory may get another parent
	// Inodes with I_DIRTY_*, oldest first, and those that one who writes them has set aside
	// (fs_writeback.c).
	spinlock_t s_dirty_lock; // the lists, i_io_list
	struct list_head s_dirty, s_io;
	struct mutex s_sync_lock; // who writes them
};

// Writes all that is dirty of the super block, its device too, and waits. s_umount held. The first error.
int sync_filesystem(struct super_block *sb);
int sync_blockdev(struct block_device *bdev); // what the device's cache has; NULL: nothing
// Calls fn for each super block that is mounted, with s_umount held shared; may_skip: those whose lock is
// taken are left out rather than waited for. When one is unmounted meanwhile, fn may see others twice.
void iterate_supers(struct shale *machine, bool may_skip, void (*fn)(struct super_block *sb, void *arg),
		    void *arg);
// Find or make by a test on the fs_context; see fs_context.h for get_tree_bdev and friends.
int sget_fc(struct fs_context *fc, int (*test)(struct super_block *, struct fs_context *),
	    int (*set)(struct super_block *, struct fs_context *), struct super_block **out) __must_check;
// The first of a type, not referenced: for a type that keeps its one tree mounted itself. NULL: there is
// none.
struct super_block *super_of_type(struct shale *machine, const struct file_system_type *type);
void deactivate_locked_super(struct super_block *sb);
void deactivate_super(struct super_block *sb);
void generic_shutdown_super(struct super_block *sb);
// Block size of the super block and of its device's cached blocks; 0: not possible.
unsigned sb_set_blocksize(struct super_block *sb, unsigned size);
unsigned sb_min_blocksize(struct super_block *sb, unsigned size); // at least the device's logical block
void kill_block_super(struct super_block *sb);
void kill_anon_super(struct super_block *sb);
void kill_litter_super(struct super_block *sb);
int set_anon_super(struct super_block *sb, struct fs_context *fc); // gives s_dev (0, n)
// Freezing: -EBUSY: it is; thawing: -EINVAL: it is not. Whoever changes something keeps it from being frozen
// meanwhile, or waits until it is thawed: outside of all other locks but those of the level.
int freeze_super(struct super_block *sb) __must_check;
int thaw_super(struct super_block *sb);
void __sb_start_write(struct super_block *sb, int level);
bool __sb_start_write_trylock(struct super_block *sb, int level);
void __sb_end_write(struct super_block *sb, int level);
static inline void sb_start_write(struct super_block *sb)
{
	__sb_start_write(sb, SB_FREEZE_WRITE);
}
static inline void sb_end_write(struct super_block *sb)
{
	__sb_end_write(sb, SB_FREEZE_WRITE);
}
static inline void sb_start_intwrite(struct super_block *sb)
{
	__sb_start_write(sb, SB_FREEZE_FS);
}
static inline void sb_end_intwrite(struct super_block *sb)
{
	__sb_end_write(sb, SB_FREEZE_FS);
}
static inline bool sb_rdonly(const struct super_block *sb)
{
	return READ_ONCE(sb->s_flags) & SB_RDONLY;
}
