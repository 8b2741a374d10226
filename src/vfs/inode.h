// Inodes in memory: one per file of a mounted file system, found by (super block, number) in a lock-free
// hash.
//
// Life: iget_locked() makes it with I_NEW, the file system fills it and calls unlock_new_inode(), others wait
// for that. Unused ones (count 0, links > 0) stay on the machine's LRU until memory is short; evict_inode
// runs before the memory goes, freed after a grace period, since the lock-free walk may look at it. Locks:
// i_lock (spin) guards i_state, i_count transitions to 0, i_hash membership; i_rwsem is the file's own lock:
// exclusive to change names or data, shared for lookup and direct reads. Attributes that stat reads are
// written under i_rwsem with WRITE_ONCE and read relaxed.
#pragma once

#include "cache/mapping.h"
#include "vfs/types.h"

#define I_NEW            (1u << 0)
#define I_FREEING        (1u << 1)
#define I_CLEAR          (1u << 2)
#define I_WILL_FREE      (1u << 3)
#define I_REFERENCED     (1u << 4)
#define I_CREATING       (1u << 5)
#define I_LINKABLE       (1u << 6) // made without a name (O_TMPFILE), may get one
#define I_DIRTY_SYNC     (1u << 8)
#define I_DIRTY_DATASYNC (1u << 9)
#define I_DIRTY_PAGES    (1u << 10)
#define I_DIRTY_TIME     (1u << 11) // times changed, and lazytime keeps them in memory for now
#define I_SYNC           (1u << 12) // being written; fs_writeback.c holds a reference
#define I_DIRTY_INODE    (I_DIRTY_SYNC | I_DIRTY_DATASYNC)
#define I_DIRTY_ALL      (I_DIRTY_INODE | I_DIRTY_PAGES | I_DIRTY_TIME)

// i_opflags: answers cached so that hot paths need not look at operation tables.
#define IOP_FASTPERM 0x01 // permission() is generic
#define IOP_LOOKUP   0x02 // is a directory: has lookup
#define IOP_NOFOLLOW 0x04 // not a symlink
#define IOP_XATTR    0x08
#define IOP_FASTSTAT 0x10 // getattr may run under RCU, and of what stat shows it tells what the inode says

// i_flags
#define S_SYNC      0x0001
#define S_NOATIME   0x0002
#define S_APPEND    0x0004
#define S_IMMUTABLE 0x0008
#define S_DEAD      0x0010
#define S_DIRSYNC   0x0040
#define S_PRIVATE   0x0200
#define S_NOSEC     0x1000
#define S_ENCRYPTED 0x4000
#define S_CASEFOLD  0x8000
#define S_VERITY    0x10000

struct inode {
	// What walks and stat read: two cache lines; walks read the first one only. The second ends in the
	// size, which i_data begins with.
	mode_t i_mode; // of a directory in use, as i_acl, changes with d_place_left() behind it
	u16 i_opflags;
	u8 i_blkbits;
	uid_t i_uid;
	gid_t i_gid;
	u32 i_flags;
	u32 i_nlink;
	struct posix_acl *i_acl; // ACL_NOT_CACHED, NULL or the list (RCU)
	struct super_block *i_sb;
	u64 i_ino;
	dev_t i_rdev;
	u64 i_blocks; // 512-byte units
	struct timespec i_atime, i_mtime, i_ctime;
	struct address_space i_data;
	// Other attributes.
	const struct inode_operations *i_op;
	struct posix_acl *i_default_acl;
	struct timespec i_btime; // tv_nsec == -1: unknown
	u64 i_version;
	u32 i_generation;
	// State.
	spinlock_t i_lock;
	u32 i_state;
	atomic_t i_count;
	struct rw_semaphore i_rwsem;
	struct hlist_node i_hash;
	struct list_head i_lru, i_sb_list, i_io_list;
	struct hlist_head i_dentry; // aliases; i_lock
	// Content.
	union {
		const struct file_operations *i_fop;
		void (*i_free)(struct inode *inode); // when it is on its way out
	};
	struct address_space *i_mapping; // usually &i_data; a block device's node: the device's
	const char *i_link; // fast symlink: NUL-terminated target in memory for the inode's life; NULL:
			    // i_op->get_link
	union {
		void *i_pipe;
		void *i_cdev;
		struct block_device *i_bdev;
	};
	void *i_private;
	struct file_lock_context *i_flctx; // NULL: never locked
	struct rcu_head i_rcu;
};

BUILD_BUG_ON(offsetof(struct inode, i_data.size) + sizeof(u64) > 2 * CACHELINE_SIZE);

#define ACL_NOT_CACHED ((struct posix_acl *)-1l)

static inline u64 i_size_read(const struct inode *inode)
{
	return mapping_size(&inode->i_data);
}
static inline void i_size_write(struct inode *inode, u64 size)
{
	WRITE_ONCE(inode->i_data.size, size);
}

// Of a time that may change meanwhile; whoever cares checks that it has not.
static inline struct timespec timespec_read(const struct timespec *ts)
{
	return (struct timespec){.tv_sec = READ_ONCE(ts->tv_sec), .tv_nsec = READ_ONCE(ts->tv_nsec)};
}

static inline int timespec_compare(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}
// Was it changed since it was read, as far as its times tell?
static inline bool inode_atime_behind(const struct inode *inode)
{
	struct timespec atime = timespec_read(&inode->i_atime), mtime = timespec_read(&inode->i_mtime),
			ctime = timespec_read(&inode->i_ctime);

	return timespec_compare(&mtime, &atime) >= 0 || timespec_compare(&ctime, &atime) >= 0;
}

struct delayed_call {
	void (*fn)(void *arg);
	void *arg;
};

// Names operations, called by vfs with the locks that docs/locking.md tells. All return negative errno.
struct inode_operations {
	// Directory's i_rwsem shared. Fills the dentry by d_splice_alias()/d_add(); *out is another dentry to
	// use, or NULL.
	int (*lookup)(struct inode *dir, struct dentry *dentry, unsigned flags, struct dentry **out);
	// Symlink target. dentry == NULL: in the lock-free walk, -ECHILD if it must sleep. The text lives
	// until `done` runs (delayed_call), NUL-terminated.
	int (*get_link)(struct dentry *dentry, struct inode *inode, struct delayed_call *done,
			const char **out);
	int (*permission)(const struct mnt_idmap *idmap, struct inode *inode, int mask);
	int (*get_inode_acl)(struct inode *inode, int type, bool rcu, struct posix_acl **out);
	int (*getattr)(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat,
		       u32 request_mask, unsigned flags);
	ssize_t (*listxattr)(struct dentry *dentry, char *buffer, size_t size);
	int (*fiemap)(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len);
	int (*create)(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
		      bool excl);
	int (*link)(struct dentry *old, struct inode *dir, struct dentry *dentry);
	int (*unlink)(struct inode *dir, struct dentry *dentry);
	int (*symlink)(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       const char *target);
	int (*mkdir)(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode);
	int (*rmdir)(struct inode *dir, struct dentry *dentry);
	int (*mknod)(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode,
		     dev_t rdev);
	// flags: RENAME_*. new_dentry is negative, or what is replaced or exchanged. vfs moves the dentries.
	int (*rename)(const struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old_dentry,
		      struct inode *new_dir, struct dentry *new_dentry, unsigned flags);
	// Changes what attr->ia_valid (ATTR_*, vfs/attr.h) tells; i_rwsem is held exclusive.
	// setattr_prepare() first.
	int (*setattr)(const struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
	// acl NULL: there is to be none. i_rwsem is held exclusive.
	int (*set_acl)(const struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type);
	// Flags of chattr(1), FS_*_FL; to set them i_rwsem is held exclusive.
	int (*fileattr_get)(struct dentry *dentry, u32 *flags);
	int (*fileattr_set)(const struct mnt_idmap *idmap, struct dentry *dentry, u32 flags);
	// A file without a name: makes the inode and gives it to d_tmpfile(). i_rwsem is not held.
	int (*tmpfile)(const struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, mode_t mode);
};

// Fills every field of a struct inode that alloc_inode embeds in fresh memory; called by vfs after
// alloc_inode.
int inode_init_always(struct super_block *sb, struct inode *inode) __must_check;
int new_inode(struct super_block *sb,
	      struct inode **out) __must_check; // not hashed, number from get_next_ino
// Finds inode `ino`, or makes one in I_NEW state that the caller fills, then unlock_new_inode() or
// iget_failed(). *out is referenced.
int iget_locked(struct super_block *sb, u64 ino, struct inode **out) __must_check;
void unlock_new_inode(struct inode *inode);
void iget_failed(struct inode *inode);
static inline bool inode_is_new(const struct inode *inode)
{
	return smp_load_acquire(&inode->i_state) & I_NEW;
}
void iput(struct inode *inode);
void ihold(struct inode *inode);
int generic_drop_inode(struct inode *inode); // 1 when nobody can find it again: no links, or not hashed
int evict_inodes(struct super_block *sb);    // at umount; -EBUSY: some are in use
void clear_inode(struct inode *inode);
void drop_nlink(struct inode *inode);
void inc_nlink(struct inode *inode);
void set_nlink(struct inode *inode, u32 nlink);
void init_special_inode(struct inode *inode, mode_t mode, dev_t rdev); // chr, blk, fifo, sock
// What open finds at special files of a type (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK); without it open gives
// ENXIO. Set while the machine starts, before any such inode is made.
void vfs_set_special_fops(struct shale *machine, mode_t type, const struct file_operations *fops);
// Owner, group and mode of a new inode in dir, from the running task; set-group-id directories pass their
// group on.
void inode_init_owner(const struct mnt_idmap *idmap, struct inode *inode, const struct inode *dir,
		      mode_t mode);
struct timespec current_time(const struct inode *inode); // cut to the file system's grain
// The access time, by the rules of the mount (relatime) and of the inode. rcu-safe question, and the change.
bool atime_needs_update(const struct path *path, struct inode *inode);
void touch_atime(const struct path *path);
// A time that stat may read meanwhile.
static inline void inode_set_time(struct timespec *which, struct timespec now)
{
	WRITE_ONCE(which->tv_sec, now.tv_sec);
	WRITE_ONCE(which->tv_nsec, now.tv_nsec);
}
static inline bool timespec_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}
// What of the inode (I_DIRTY_*) is no longer what the disk has: s_op->dirty_inode hears of attributes, and
// sync will find it (fs_writeback.c). Not for inodes that nothing is ever written of.
void mark_inode_dirty(struct inode *inode, u32 flags);
// The size and what is cached behind it. i_rwsem and invalidate_lock are held exclusive.
void truncate_setsize(struct inode *inode, u64 size);
void inode_set_mode(struct inode *inode, mode_t mode); // of an inode in use
void generic_fillattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat);
static inline void inode_lock(struct inode *inode) __acquires(inode->i_rwsem) __no_lock_analysis
{
	down_write(&inode->i_rwsem);
}
static inline void inode_unlock(struct inode *inode) __releases(inode->i_rwsem) __no_lock_analysis
{
	up_write(&inode->i_rwsem);
}
static inline void inode_lock_shared(struct inode *inode) __acquires_shared(inode->i_rwsem) __no_lock_analysis
{
	down_read(&inode->i_rwsem);
}
static inline void inode_unlock_shared(struct inode *inode)
	__releases_shared(inode->i_rwsem) __no_lock_analysis
{
	up_read(&inode->i_rwsem);
}
// Makes it findable by its number. new_inode() gives unhashed ones.
void insert_inode_hash(struct inode *inode);
// The inode with that number if it is in memory (waits for I_NEW to end); referenced, or NULL.
struct inode *ilookup(struct super_block *sb, u64 ino);
// For file systems that keep everything in the dentry cache.
int simple_lookup(struct inode *dir, struct dentry *dentry, unsigned flags, struct dentry **out);
int simple_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done, const char **out);
// Called when i_op, i_mode are final: caches what i_opflags hold.
void inode_set_opflags(struct inode *inode);
