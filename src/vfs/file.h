// Open files: what a descriptor stands for. Memory is type-stable: a lock-free descriptor lookup takes a
// reference, then checks that the table still holds the file. f_pos is guarded by f_pos_lock.
#pragma once

#include "base/errseq.h"
#include "cache/mapping.h"
#include "vfs/types.h"

#include <fcntl.h>

#define FMODE_READ        0x1u
#define FMODE_WRITE       0x2u
#define FMODE_LSEEK       0x4u
#define FMODE_PREAD       0x8u
#define FMODE_PWRITE      0x10u
#define FMODE_EXEC        0x20u
#define FMODE_PATH        0x4000u
#define FMODE_ATOMIC_POS  0x8000u
#define FMODE_CAN_READ    0x20000u
#define FMODE_CAN_WRITE   0x40000u
#define FMODE_OPENED      0x80000u
#define FMODE_CAN_ODIRECT 0x100000u
#define FMODE_NOWAIT      0x200000u
#define FMODE_NOACCOUNT   0x400000u

#define FMODE_FAST_READ                                                                                      \
	0x800000u // reads without O_DIRECT are plain reads of f_mapping's cache: pread may serve them without
		  // a reference
#define FMODE_CHECK_ATIME                                                                                    \
	0x10000000u // relatime: a read that takes no reference looks whether the access time is behind
#define FMODE_OWN_CRED                                                                                       \
	0x1000000u // f_cred is counted for this file; else the descriptor table it was opened in pins it
#define FMODE_LOCKED 0x20000000u // flock or OFD locks were asked for
#define FMODE_WRITER 0x2000000u  // holds a write reference of the mount
#define FMODE_RANDOM 0x4000000u  // POSIX_FADV_RANDOM
#define FMODE_EXCL   0x8000000u  // holds a claim on its block device

// What readers need is one cache line, which nobody writes while the file is in use; what changes lies behind
// it. f_mode, f_mapping, f_inode are read by lock-free lookups, perhaps of a file that is being made anew:
// READ_ONCE, WRITE_ONCE.
struct file {
	unsigned f_mode, f_flags;
	const struct file_operations *f_op;
	struct address_space *f_mapping;
	struct inode *f_inode;
	struct path f_path;
	const struct cred *f_cred;
	void *private_data;
	u32 f_gen; // grows whenever this memory becomes another file, before anything else of it changes

	atomic64_t f_count __aligned_cacheline; // 0: free
	loff_t f_pos;                           // f_pos_lock
	struct mutex f_pos_lock;
	struct file_ra_state f_ra; // heuristics: relaxed, unlocked
	errseq_t f_wb_err, f_sb_err;
	struct shale *f_machine;
};

// A referenced file behind a descriptor; file == NULL: none.
struct fd {
	struct file *file;
};
struct fd fdget(int fd);     // not those of O_PATH
struct fd fdget_raw(int fd); // all
struct fd fdget_pos(int fd); // with f_pos_lock held where the file's position is shared
void fdput(struct fd f);
void fdput_pos(struct fd f);

struct kiocb {
	struct file *ki_filp;
	loff_t ki_pos;
	unsigned ki_flags; // IOCB_*
	u16 ki_ioprio;
};
#define IOCB_DIRECT (1u << 8)
#define IOCB_APPEND (1u << 9)
#define IOCB_HIPRI  (1u << 10)
#define IOCB_DSYNC                                                                                           \
	(1u << 11) // the data, and what is needed to find it, are on the disk when the write returns
#define IOCB_SYNC (1u << 12) // and all attributes; with IOCB_DSYNC

// The actor that a directory tells its entries. Returns false to stop: the entry was not taken, pos stays
// before it.
struct dir_context {
	bool (*actor)(struct dir_context *ctx, const char *name, int namelen, loff_t offset, u64 ino,
		      unsigned d_type);
	loff_t pos;
};
static inline bool dir_emit(struct dir_context *ctx, const char *name, int namelen, u64 ino, unsigned type)
{
	return ctx->actor(ctx, name, namelen, ctx->pos, ino, type);
}

// From the file's position on; f_pos_lock is held, or nobody else has the file.
int iterate_dir(struct file *file, struct dir_context *ctx) __must_check;

#define FOP_BUFFERED_READ 1u // read_iter without IOCB_DIRECT is generic_file_read_iter
#define FOP_BUFFER_WASYNC 2u // write_iter without IOCB_DIRECT knows IOCB_NOWAIT

struct file_operations {
	unsigned fop_flags;
	int (*open)(struct inode *inode, struct file *file);
	int (*flush)(struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	ssize_t (*read_iter)(struct kiocb *iocb, struct iov_iter *to);
	ssize_t (*write_iter)(struct kiocb *iocb, struct iov_iter *from);
	int (*iterate_shared)(struct file *file, struct dir_context *ctx); // i_rwsem shared
	long (*ioctl)(struct file *file, unsigned cmd, void *arg);
	int (*fsync)(struct file *file, loff_t start, loff_t end, int datasync);
	int (*fadvise)(struct file *file, loff_t offset, loff_t len, int advice);
	long (*fallocate)(struct file *file, int mode, loff_t offset, loff_t len);
	// NULL: through the page cache.
	ssize_t (*copy_file_range)(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
				   size_t count, unsigned flags);
};

ssize_t generic_file_read_iter(struct kiocb *iocb, struct iov_iter *to); // filemap_read over f_mapping
// What every write_iter does first, under i_rwsem: the position of appends, limits. Returns the bytes that
// may be written, 0: nothing to do; -EFBIG, -EINVAL.
ssize_t generic_write_checks(struct kiocb *iocb, struct iov_iter *from);
// And last, without i_rwsem: brings `count` bytes before ki_pos to the disk where the write is synchronous.
ssize_t generic_write_sync(struct kiocb *iocb, ssize_t count);
// write_iter by a_ops.write_begin and write_end.
ssize_t generic_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
// Times and set-id bits at a write. Under i_rwsem.
int file_update_time(struct file *file);
int file_remove_privs(struct file *file);
int file_modified(struct file *file); // both

// Around a change of a regular file's content from outside: it is not frozen meanwhile.
void file_start_write(struct file *file);
void file_end_write(struct file *file);

// sync.c. Bytes, ends inclusive.
int vfs_fsync_range(struct file *file, loff_t start, loff_t end, int datasync);
int noop_fsync(struct file *file, loff_t start, loff_t end, int datasync);
// Writes out the range of f_mapping, waits, and tells the file once of errors since it was told last.
int file_write_and_wait_range(struct file *file, loff_t start, loff_t end);
int file_check_and_advance_wb_err(struct file *file);
loff_t generic_file_llseek(struct file *file, loff_t offset, int whence);
loff_t generic_file_llseek_size(struct file *file, loff_t offset, int whence, loff_t maxsize, loff_t eof);
int generic_file_open(struct inode *inode, struct file *file);
loff_t vfs_setpos(struct file *file, loff_t offset, loff_t maxsize);
void file_accessed(struct file *file); // touch_atime() unless O_NOATIME

int alloc_empty_file(struct task *task, unsigned flags,
		     struct file **out) __must_check; // -ENFILE at file-max
int vfs_open(const struct path *path, struct file *file) __must_check;
int dentry_open(const struct path *path, unsigned flags, const struct cred *cred,
		struct file **out) __must_check;
void fput(struct file *file);
struct file *get_file(struct file *file);

struct fiemap_extent_info {
	u32 fi_flags, fi_extents_mapped, fi_extents_max;
	void *fi_extents_start; // struct fiemap_extent[]
};
int fiemap_fill_next_extent(struct fiemap_extent_info *fi, u64 logical, u64 phys, u64 len,
			    u32 flags); // 1: full or last
// Checks and clips the range; -EFBIG, -EINVAL; -EBADR with the flags that are not supported in fi_flags.
int fiemap_prep(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 *len, u32 supported_flags);
