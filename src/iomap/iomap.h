/* SPDX-License-Identifier: MIT */
/*
 * iomap: the one question that the data path asks a file system: "what lies at this range of this file?"
 * Buffered reads, readahead, direct reads, seeks for data and holes, and extent listing are all written
 * once, over the answers. No file system is known here.
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

#define IOMAP_F_NEW     0x01
#define IOMAP_F_SHARED  0x04
#define IOMAP_F_MERGED  0x08
#define IOMAP_F_XATTR   0x20
#define IOMAP_NULL_ADDR (~0ull)

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
// Direct reads: alignment of position, length and memory to the device's logical block (-EINVAL); the cached
// range is written out first.
ssize_t iomap_dio_read(struct kiocb *iocb, struct iov_iter *to, const struct iomap_ops *ops);
s64 iomap_seek_hole(struct inode *inode, s64 offset, const struct iomap_ops *ops);
s64 iomap_seek_data(struct inode *inode, s64 offset, const struct iomap_ops *ops);
struct fiemap_extent_info;
int iomap_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len,
		 const struct iomap_ops *ops);

#endif
