// The vfs part of a machine: its caches, tables, locks and settings. For files of src/vfs only.
//
// Lock order (outer first): namespace_sem, s_umount, i_rwsem (parent before child), rename_lock, mount_lock,
// i_lock, d_lock (ancestor before descendant), bucket locks, LRU locks. See docs/locking.md.
#pragma once

#include "base/machine.h"
#include "base/pool.h"
#include "cache/cache.h"
#include "vfs/types.h"

struct files_machine;

// A hash chain read without locks; the lock excludes writers.
struct hash_bucket {
	struct hlist_head head;
	spinlock_t lock;
};

// Names that are being looked up in the file system now, and who waits for them.
struct in_lookup_bucket {
	spinlock_t lock;
	struct hlist_head head;
	wait_queue_head_t wait;
};
#define IN_LOOKUP_BUCKETS 64

struct dcache {
	struct hash_bucket *hash;
	unsigned hash_shift; // 32 - log2(buckets)
	struct way *ways;    // dcache_ways.h
	u64 moves;           // directories that left their place, changes of the mount tree
	unsigned long hash_size;
	seqlock_t rename_lock; // a dentry's place in the tree changes
	struct pool *pool;
	struct in_lookup_bucket in_lookup[IN_LOOKUP_BUCKETS];
	struct shrinker shrinker;
};

struct icache {
	struct hash_bucket *hash;
	unsigned hash_shift;
	unsigned long hash_size;
	struct pool *pool; // of inodes that no file system embeds
	atomic64_t next_ino;
	struct shrinker shrinker;
	const struct file_operations *special_fops[16]; // by type: S_IFMT bits shifted down
};

struct mount_machine {
	seqlock_t mount_lock; // the mount tree: written under namespace_sem too
	struct rw_semaphore namespace_sem;
	struct hlist_head *hash;        // mounts by (parent mount, dentry); mount_lock
	struct hlist_head *mountpoints; // struct mountpoint by dentry; mount_lock
	unsigned hash_shift;
	atomic64_t next_id; // of mounts
	struct mnt_namespace *init_ns;
	unsigned mount_max; // mounts in one namespace
};

// Settings under the names that they have in /proc/sys/fs.
struct vfs_sysctl {
	int protected_symlinks, protected_hardlinks, protected_fifos, protected_regular;
};

struct vfs_machine {
	struct dcache dcache;
	struct icache icache;
	struct mount_machine mounts;
	struct vfs_sysctl sysctl;

	spinlock_t sb_lock; // super_blocks, s_count
	struct list_head super_blocks;
#define ANON_DEVS 4096
	unsigned long anon_devs[ANON_DEVS / BITS_PER_LONG]; // minors of devices (0, n) in use; sb_lock
	struct list_head types;                             // of file systems, RCU; types_lock
	struct mutex types_lock;

	spinlock_t error_lock;
	char mount_error[256]; // words of the last mount that failed

	spinlock_t blocked_lock;
	struct list_head blocked_locks; // who waits for POSIX locks (locks.c)

	struct path init_root; // of init's namespace; not referenced on its own
	// Who acts where no task does: the machine's own threads.
	struct fs_struct *init_fs;
	const struct cred *init_cred;
	struct files_machine *files;
};

int dcache_init(struct shale *machine);
void dcache_exit(struct shale *machine);
int icache_init(struct shale *machine);
void icache_exit(struct shale *machine);
void supers_init(struct shale *machine);
void supers_exit(struct shale *machine);
void filesystems_init(struct shale *machine);
void filesystems_exit(struct shale *machine);
int mounts_init(struct shale *machine);
void mounts_exit(struct shale *machine);
// FILES' part: machine->vfs->files.
int files_init(struct shale *machine) __must_check;
void files_exit(struct shale *machine);
