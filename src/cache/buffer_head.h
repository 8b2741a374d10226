/* SPDX-License-Identifier: MIT */
/*
 * Buffer heads: the metadata of a file system, block by block, in the page cache of its device. Each block
 * that is read passes the verifier of its kind once; the head remembers which verifier and for which owner,
 * so that a cached block is not verified (nor checksummed) again.
 *
 * A buffer_head belongs to its folio (private) and lives while the folio does; so a reference to it is one
 * to its folio, and brelse() drops that: no count of its own. The content is guarded by its user (a journal,
 * an inode's lock); b_state bits are atomic. The heads of a folio are made under its lock, all at once, as
 * an array in the order of their blocks.
 *
 * BH_Dirty: the block has to be written, and may be at any time; its folio is dirty, too. BH_Lock is held
 * while a block is read, verified or written, so who holds it may change a block that nobody is to see half
 * changed on the device. A block in a transaction that has not been committed is not BH_Dirty: the bits from
 * BH_JBDPrivateStart on and b_private are the journal's (jbd2), which pins the block by a reference.
 */
#ifndef SHALE_CACHE_BUFFER_HEAD_H
#define SHALE_CACHE_BUFFER_HEAD_H

#include "block/blk.h"
#include "cache/folio.h"

enum bh_state_bits {
	BH_Uptodate,
	BH_Dirty,
	BH_Lock,
	BH_Req,
	BH_Mapped,
	BH_New,
	BH_Async_Read,
	BH_Write_EIO,
	BH_Meta,
	BH_JBDPrivateStart
};

struct buffer_head;

// A kind of metadata block. `verify` looks at b_data, b_size bytes from a hostile disk, and says 0, -EUCLEAN
// or -EBADMSG, after a message that names the structure and its place. `ctx` and `owner` come from the
// reader; owner tells which object the block is of (inode number and generation, group number), since a
// checksum may cover it.
struct buffer_verifier {
	const char *name;
	int (*verify)(const struct buffer_head *bh, void *ctx, u64 owner);
};

struct buffer_head {
	unsigned long b_state;
	struct folio *b_folio;
	u64 b_blocknr; // in units of b_size
	u32 b_size;
	atomic_t b_pending; // of a folio's first: writes of the folio's writeback that have not ended
	void *b_data;
	struct block_device *b_bdev;
	const struct buffer_verifier *b_verifier; // passed this one,
	u64 b_owner;                              // for this owner; written under BH_Lock
	void *b_private;                          // journal
};

// Sets the block size (a power of two, 512..65536, at least the logical block size) with which the device's
// page cache is cut into buffers; drops cached pages when it changes. -EINVAL.
int set_blocksize(struct block_device *bdev, unsigned size) __must_check;

// Returns block `block` of size `size`, read, verified, referenced. -EIO, -ENOMEM, -EUCLEAN, -EBADMSG. A NULL
// verifier takes any content.
int bread(struct block_device *bdev, u64 block, unsigned size, const struct buffer_verifier *verifier,
	  void *ctx, u64 owner, struct buffer_head **out) __must_check;
// The same, only if it is cached, up to date and verified; no I/O, no sleep: -ENOENT otherwise.
int find_get_verified(struct block_device *bdev, u64 block, unsigned size,
		      const struct buffer_verifier *verifier, u64 owner,
		      struct buffer_head **out) __must_check;
// Without reading: for a block that will be overwritten whole.
int getblk(struct block_device *bdev, u64 block, unsigned size, struct buffer_head **out) __must_check;
// Starts reading a run of blocks; waits for nothing; errors are met again by bread().
void breadahead(struct block_device *bdev, u64 block, unsigned nr_blocks, unsigned size);
static inline void brelse(struct buffer_head *bh) // NULL is fine
{
	if (bh)
		folio_put(bh->b_folio);
}
static inline void get_bh(struct buffer_head *bh)
{
	folio_get(bh->b_folio);
}
// The bits that have no rules of their own.
static inline bool buffer_test(const struct buffer_head *bh, unsigned bit)
{
	return READ_ONCE(bh->b_state) & (1ul << bit);
}
static inline void buffer_set(struct buffer_head *bh, unsigned bit)
{
	__atomic_fetch_or(&bh->b_state, 1ul << bit, __ATOMIC_ACQ_REL);
}
static inline void buffer_clear(struct buffer_head *bh, unsigned bit)
{
	__atomic_fetch_and(&bh->b_state, ~(1ul << bit), __ATOMIC_ACQ_REL);
}
static inline bool buffer_test_set(struct buffer_head *bh, unsigned bit)
{
	return __atomic_fetch_or(&bh->b_state, 1ul << bit, __ATOMIC_SEQ_CST) & (1ul << bit);
}
static inline bool buffer_test_clear(struct buffer_head *bh, unsigned bit)
{
	return __atomic_fetch_and(&bh->b_state, ~(1ul << bit), __ATOMIC_SEQ_CST) & (1ul << bit);
}
static inline bool buffer_uptodate(const struct buffer_head *bh)
{
	return smp_load_acquire(&bh->b_state) & (1ul << BH_Uptodate);
}
// What was written whole into the block is its content.
void buffer_set_uptodate(struct buffer_head *bh);

void lock_buffer(struct buffer_head *bh); // sleeps; I/O wait
bool trylock_buffer(struct buffer_head *bh);
void unlock_buffer(struct buffer_head *bh);
void wait_on_buffer(struct buffer_head *bh); // returns when it was seen unlocked

static inline bool buffer_dirty(const struct buffer_head *bh)
{
	return smp_load_acquire(&bh->b_state) & (1ul << BH_Dirty);
}
// The content, which is up to date, differs from the device's. Callable under spinlocks.
void mark_buffer_dirty(struct buffer_head *bh);
// Starts writing the block if it is dirty, and waits only for its lock. A write that fails sets BH_Write_EIO,
// which stays until the block is marked dirty again, and the error of the device's mapping.
void write_dirty_buffer(struct buffer_head *bh, blk_opf_t flags);
// The same, and waits: the error.
int sync_dirty_buffer(struct buffer_head *bh, blk_opf_t flags) __must_check;

// a_ops of a device's own mapping, used by the bdev file system: the mapping's host is its block_device.
extern const struct address_space_operations blkdev_buffer_aops;

#endif
