/* SPDX-License-Identifier: MIT */
/*
 * iomap: the one question that the data path asks a file system: "what lies at this range of this file?"
 * Reads and writes, buffered and direct, readahead, writing out, seeks for data and holes, and extent listing
 * are all written once, over the answers. No file system is known here.
 */
#ifndef SHALE_IOMAP_IOMAP_H
#define SHALE_IOMAP_IOMAP_H

#include "vfs/inode.h"
#include "vfs/file.h"

#define IOMAP_HOLE      0 // nothing allocated
#define IOMAP_DELALLOC  1 // data only in the page cache
#define IOMAP_MAPPED    2 // blocks at addr
#define IOMAP_UNWRITTEN 3 // blocks at addr that read as zeroes
#define IOMAP_INLINE    4 // data in inline_data

#define IOMAP_F_NEW          0x01 // allocated just now: what the blocks hold is nobody's
#define IOMAP_F_SHARED       0x04
#define IOMAP_F_MERGED       0x08
#define IOMAP_F_XATTR        0x20
#define IOMAP_F_END_IO       0x40  // of map_blocks: end_io is to be called when the data is on the disk
#define IOMAP_F_SIZE_CHANGED 0x100 // told iomap_end: the write has moved the size of the file
#define IOMAP_F_STALE        0x200 // of iomap itself: iomap_valid said no, and it asks again
#define IOMAP_NULL_ADDR      (~0ull)

struct iomap {
	u64 addr;   // bytes from the start of bdev; IOMAP_NULL_ADDR
	u64 offset; // bytes from the start of the file
	u64 length; // bytes
	u16 type, flags;
	struct block_device *bdev;
	const void *inline_data;
	void *private;
};

#define IOMAP_WRITE  (1u << 0)
#define IOMAP_ZERO   (1u << 1)
#define IOMAP_REPORT (1u << 2) // fiemap, seek
#define IOMAP_FAULT  (1u << 3)
#define IOMAP_DIRECT (1u << 4)
#define IOMAP_NOWAIT (1u << 5)

struct iomap_ops {
	// Maps [pos, pos+length) or a first part of it; must cover pos. 0 or negative errno (-EAGAIN under
	// IOMAP_NOWAIT).
	int (*iomap_begin)(struct inode *inode, u64 pos, u64 length, unsigned flags, struct iomap *iomap,
			   struct iomap *srcmap);
	// Is the mapping still true? NULL: it is, as long as i_rwsem is held.
	bool (*iomap_valid)(struct inode *inode, const struct iomap *iomap);
	// Called after the range was used; `written` bytes of it. Optional.
	int (*iomap_end)(struct inode *inode, u64 pos, u64 length, s64 written, unsigned flags,
			 struct iomap *iomap);
};

struct iomap_iter {
	struct inode *inode;
	u64 pos, len;
	s64 processed; // set by the body: bytes done, or negative errno
	unsigned flags;
	struct iomap iomap, srcmap;
};
// Returns 1: iomap is filled, do the body; 0: done; negative errno.
int iomap_iter(struct iomap_iter *iter, const struct iomap_ops *ops);
u64 iomap_length(const struct iomap_iter *iter);

int iomap_read_folio(struct folio *folio, struct inode *inode, const struct iomap_ops *ops);
void iomap_readahead(struct readahead_control *rac, struct inode *inode, const struct iomap_ops *ops);
bool iomap_is_partially_uptodate(struct folio *folio, size_t from, size_t count);
void iomap_invalidate_folio(struct folio *folio, size_t offset, size_t length);
bool iomap_release_folio(struct folio *folio);

// For IOMAP_WRITE iomap_begin answers with blocks: MAPPED (with IOMAP_F_NEW if just allocated), UNWRITTEN or
// DELALLOC; data that lies in the inode was moved out before. srcmap, where it says anything, is where
// partial blocks are read from. The caller holds i_rwsem exclusive and has made its checks; ki_pos moves, and
// so does the size. Bytes, or an error when none were written.
ssize_t iomap_file_buffered_write(struct kiocb *iocb, struct iov_iter *from, const struct iomap_ops *ops);
// Zeroes a range through the page cache; what is not allocated stays so, and so does what is unwritten and
// not cached.
int iomap_zero_range(struct inode *inode, u64 pos, u64 len, bool *did_zero, const struct iomap_ops *ops);
// From pos to the end of its block: before the file is cut, or grows from, there.
int iomap_truncate_page(struct inode *inode, u64 pos, bool *did_zero, const struct iomap_ops *ops);

struct iomap_writeback_ops {
	// Where the dirty bytes [pos, pos + len) are to go, or a first part that covers pos: MAPPED,
	// UNWRITTEN; HOLE: nowhere any more. The answer is used for as long as it covers what comes, and is
	// valid.
	int (*map_blocks)(struct inode *inode, u64 pos, u64 len, struct iomap *iomap);
	bool (*iomap_valid)(struct inode *inode, const struct iomap *iomap); // may be NULL
	// The bytes are on the disk, in blocks of `type` (UNWRITTEN: which are to become written), or in such
	// that were mapped with IOMAP_F_END_IO. From a work item, before their writeback ends. May be NULL.
	int (*end_io)(struct inode *inode, u64 pos, u64 len, unsigned type);
};
// The body of a_ops.writepages.
int iomap_writepages(struct address_space *mapping, struct writeback_control *wbc, struct inode *inode,
		     const struct iomap_writeback_ops *ops);

#define IOMAP_DIO_UNWRITTEN 1u // some of the blocks were
struct iomap_dio_ops {
	// All bytes of a direct write are on the device, `size` of them, or an error came: converts, moves
	// the size. What it returns is what the write returns, if negative. May be NULL.
	int (*end_io)(struct kiocb *iocb, s64 size, int error, unsigned flags);
};
// Direct reads and writes: position, length and memory are aligned to the device's logical block, or -EINVAL.
// The cached range is written out first; before and after a write it is dropped, too. -ENOTBLK: somebody made
// it dirty again, and the write has to go through the cache. The caller holds i_rwsem for writing.
ssize_t iomap_dio_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops);
ssize_t iomap_dio_write(struct kiocb *iocb, struct iov_iter *from, const struct iomap_ops *ops,
			const struct iomap_dio_ops *dops);
s64 iomap_seek_hole(struct inode *inode, s64 offset, const struct iomap_ops *ops);
s64 iomap_seek_data(struct inode *inode, s64 offset, const struct iomap_ops *ops);
struct fiemap_extent_info;
int iomap_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len,
		 const struct iomap_ops *ops);

#endif
