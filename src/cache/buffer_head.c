/* SPDX-License-Identifier: MIT */
/*
 * Buffer heads: see buffer_head.h. This file makes and finds them, and reads and verifies single blocks;
 * buffer_write.c writes them, blkdev_aops.c reads whole folios.
 *
 * The heads of a folio are one array, made under the folio lock and published in folio->private; who holds a
 * reference to the folio may use them, and they are freed with the folio's last reference. BH_Lock guards
 * reading and verifying a block; "verified by whom" is also read without it, see buffer_verified().
 */
#include "cache/cache_internal.h"
#include "cache/buffer_internal.h"
#include "cache/filemap_internal.h"

#include "base/log.h"

static unsigned long *bh_word(struct buffer_head *bh)
{
	return (unsigned long *)&bh->b_state;
}

void lock_buffer(struct buffer_head *bh)
{
	wait_on_bit_lock_io(bh_word(bh), BH_Lock);
}

bool trylock_buffer(struct buffer_head *bh)
{
	return !test_and_set_bit_lock(BH_Lock, bh_word(bh));
}

void unlock_buffer(struct buffer_head *bh)
{
	clear_bit_unlock(BH_Lock, bh_word(bh));
	wake_up_bit(bh_word(bh), BH_Lock);
}

void wait_on_buffer(struct buffer_head *bh)
{
	wait_on_bit_io(bh_word(bh), BH_Lock);
}

int buffer_init(struct cache_machine *cache)
{
	static const char *const names[NR_BUFFER_POOLS] = {"buffer_head", "buffer_head-2", "buffer_head-4",
							   "buffer_head-8"};

	for (unsigned i = 0; i < NR_BUFFER_POOLS; i++) {
		int err = pool_create(cache->machine, names[i], sizeof(struct buffer_head) << i, 0, NULL,
				      &cache->buffer_pools[i]);

		if (err) {
			buffer_exit(cache);
			return err;
		}
	}
	return 0;
}

void buffer_exit(struct cache_machine *cache)
{
	for (unsigned i = 0; i < NR_BUFFER_POOLS; i++) {
		pool_destroy(cache->buffer_pools[i]);
		cache->buffer_pools[i] = NULL;
	}
}

static unsigned buffers_order(const struct folio *folio, unsigned size)
{
	return folio->order + PAGE_SHIFT - ilog2(size);
}

void folio_free_buffers(struct folio *folio)
{
	struct cache_machine *cache = folio_cache(folio);
	struct buffer_head *heads = folio_detach_private(folio);
	unsigned order = buffers_order(folio, heads->b_size);

	if (order < NR_BUFFER_POOLS) {
		pool_free(cache->buffer_pools[order], heads);
		return;
	}
	machine_uncharge(cache->machine, sizeof(*heads) << order);
	kfree(heads);
}

// Under the folio lock. Blocks of a folio that was read whole are up to date from the start, and dirty with
// it.
static int folio_create_buffers(struct folio *folio, struct block_device *bdev, unsigned blkbits)
{
	struct cache_machine *cache = folio_cache(folio);
	unsigned order = buffers_order(folio, 1u << blkbits);
	unsigned long state = 1ul << BH_Mapped | (folio_test_uptodate(folio) ? 1ul << BH_Uptodate : 0) |
			      (folio_test_dirty(folio) ? 1ul << BH_Dirty : 0);
	struct buffer_head *heads;

	if (order < NR_BUFFER_POOLS)
		heads = pool_alloc(cache->buffer_pools[order]);
	else
		heads = kmalloc(cache->machine, sizeof(*heads) << order);
	if (!heads)
		return -ENOMEM;
	if (order >= NR_BUFFER_POOLS)
		machine_charge(cache->machine, sizeof(*heads) << order);
	for (unsigned long i = 0; i < 1ul << order; i++) {
		heads[i] = (struct buffer_head){
			.b_state = state,
			.b_folio = folio,
			.b_blocknr = (folio_pos(folio) >> blkbits) + i,
			.b_size = 1u << blkbits,
			.b_data = (char *)folio_address(folio) + (i << blkbits),
			.b_bdev = bdev,
		};
	}
	folio_attach_private(folio, heads);
	return 0;
}

int set_blocksize(struct block_device *bdev, unsigned size)
{
	struct address_space *mapping = bdev->bd_mapping;

	if (size < 512 || size > SZ_64K || !is_power_of_2(size) || size < bdev_logical_block_size(bdev))
		return -EINVAL;
	if (mapping->blkbits == ilog2(size))
		return 0;
	down_write(&mapping->invalidate_lock);
	truncate_inode_pages_range(mapping, 0, ~0ull);
	WRITE_ONCE(mapping->blkbits, ilog2(size));
	WRITE_ONCE(mapping->min_order, get_order(size));
	if (mapping->max_order < mapping->min_order)
		mapping->max_order = mapping->min_order;
	up_write(&mapping->invalidate_lock);
	return 0;
}

// The head of the block in a folio that has heads; the caller holds a reference to the folio.
static struct buffer_head *folio_buffer(struct folio *folio, u64 block, unsigned blkbits)
{
	struct buffer_head *heads = folio_get_private(folio);

	return heads ? &heads[block - (folio_pos(folio) >> blkbits)] : NULL;
}

static int check_block(struct block_device *bdev, u64 block, unsigned size)
{
	unsigned blkbits = READ_ONCE(bdev->bd_mapping->blkbits);

	if (size != 1u << blkbits)
		return -EINVAL;
	if (block >= bdev_nr_bytes(bdev) >> blkbits) {
		shale_log_ratelimited(bdev_machine(bdev), LOGLEVEL_ERR,
				      "%s: block %llu of %u bytes lies beyond the end of the device",
				      bdev_name(bdev), (unsigned long long)block, size);
		return -EIO;
	}
	return 0;
}

int getblk(struct block_device *bdev, u64 block, unsigned size, struct buffer_head **out)
{
	struct address_space *mapping = bdev->bd_mapping;
	int err = check_block(bdev, block, size);
	unsigned blkbits = ilog2(size), nofs;
	struct folio *folio;

	if (err)
		return err;
	nofs = memalloc_nofs_save(); // who asks for metadata mostly holds locks that writing takes
	err = filemap_grab_folio(mapping, block << blkbits >> PAGE_SHIFT, mapping->min_order, &folio);
	memalloc_nofs_restore(nofs);
	if (err)
		return err;
	if (!folio_test_private(folio))
		err = folio_create_buffers(folio, bdev, blkbits);
	folio_unlock(folio);
	if (err) {
		folio_put(folio);
		return err;
	}
	*out = folio_buffer(folio, block, blkbits);
	return 0;
}

// Verified by `verifier` for `owner`? Who verifies writes NULL, the owner, the verifier, in this order; so
// the same verifier seen before and after the owner was read belongs to it.
static bool buffer_verified(struct buffer_head *bh, const struct buffer_verifier *verifier, u64 owner)
{
	if (smp_load_acquire(&bh->b_verifier) != verifier)
		return false;
	if (smp_load_acquire(&bh->b_owner) != owner)
		return false;
	return READ_ONCE(bh->b_verifier) == verifier;
}

static void buffer_set_verified(struct buffer_head *bh, const struct buffer_verifier *verifier, u64 owner)
{
	WRITE_ONCE(bh->b_verifier, NULL);
	smp_store_release(&bh->b_owner, owner);
	smp_store_release(&bh->b_verifier, verifier);
}

void buffer_forget_verified(struct buffer_head *bh)
{
	lock_buffer(bh);
	WRITE_ONCE(bh->b_verifier, NULL);
	unlock_buffer(bh);
}

int find_get_verified(struct block_device *bdev, u64 block, unsigned size,
		      const struct buffer_verifier *verifier, u64 owner, struct buffer_head **out)
{
	struct address_space *mapping = bdev->bd_mapping;
	unsigned blkbits = READ_ONCE(mapping->blkbits);
	struct buffer_head *bh;
	struct folio *folio;

	if (unlikely(size != 1u << blkbits || block >= ~0ull >> blkbits))
		return -ENOENT;
	folio = filemap_get_entry(mapping, block << blkbits >> PAGE_SHIFT);
	if (!folio)
		return -ENOENT;
	bh = folio_buffer(folio, block, blkbits);
	if (likely(bh && bh->b_size == size && buffer_uptodate(bh) &&
		   (!verifier || buffer_verified(bh, verifier, owner)))) {
		folio_mark_accessed(folio);
		*out = bh;
		return 0;
	}
	folio_put(folio);
	return -ENOENT;
}

void buffer_set_uptodate(struct buffer_head *bh)
{
	__atomic_fetch_or(&bh->b_state, 1ul << BH_Uptodate, __ATOMIC_RELEASE);
	// The only block of its folio: then the folio is, too.
	if (bh->b_size == folio_size(bh->b_folio))
		folio_mark_uptodate(bh->b_folio);
}

static void buffer_io_error(struct buffer_head *bh, int err)
{
	shale_log_ratelimited(bdev_machine(bh->b_bdev), LOGLEVEL_ERR,
			      "Buffer I/O error on dev %s, logical block %llu, read: error %d",
			      bdev_name(bh->b_bdev), (unsigned long long)bh->b_blocknr, err);
}

void buffer_bio_fill(struct bio *bio, struct buffer_head *bh)
{
	bio->bi_iter.bi_sector = bh->b_blocknr * (bh->b_size >> SECTOR_SHIFT);
	(void)bio_add_mem(bio, bh->b_data, bh->b_size);
}

int bh_read(struct buffer_head *bh)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	if (buffer_uptodate(bh))
		return 0;
	lock_buffer(bh);
	if (buffer_uptodate(bh)) {
		unlock_buffer(bh);
		return 0;
	}
	bio_init(&bio, bh->b_bdev, &vec, 1, REQ_OP_READ | REQ_META | REQ_PRIO | REQ_SYNC);
	buffer_bio_fill(&bio, bh);
	err = submit_bio_wait(&bio);
	if (err)
		buffer_io_error(bh, err);
	else
		buffer_set_uptodate(bh);
	unlock_buffer(bh);
	return err;
}

static int bh_verify(struct buffer_head *bh, const struct buffer_verifier *verifier, void *ctx, u64 owner)
{
	int err = 0;

	lock_buffer(bh);
	if (!buffer_verified(bh, verifier, owner)) {
		err = verifier->verify(bh, ctx, owner);
		if (!err)
			buffer_set_verified(bh, verifier, owner);
	}
	unlock_buffer(bh);
	return err;
}

int bread(struct block_device *bdev, u64 block, unsigned size, const struct buffer_verifier *verifier,
	  void *ctx, u64 owner, struct buffer_head **out)
{
	struct buffer_head *bh;
	int err;

	if (!find_get_verified(bdev, block, size, verifier, owner, out))
		return 0;
	err = getblk(bdev, block, size, &bh);
	if (err)
		return err;
	err = bh_read(bh);
	if (!err && verifier)
		err = bh_verify(bh, verifier, ctx, owner);
	if (err) {
		brelse(bh);
		return err;
	}
	folio_mark_accessed(bh->b_folio);
	*out = bh;
	return 0;
}

static void breadahead_end_io(struct bio *bio)
{
	struct buffer_head *bh = bio->bi_private;

	if (!bio->bi_status)
		buffer_set_uptodate(bh);
	unlock_buffer(bh);
	brelse(bh);
	bio_put(bio);
}

// Starts one read; the reference goes with it.
static void bh_readahead(struct buffer_head *bh)
{
	struct bio *bio;

	if (buffer_uptodate(bh) || !trylock_buffer(bh))
		goto release;
	if (buffer_uptodate(bh) || bio_alloc(bh->b_bdev, 1, REQ_OP_READ | REQ_META | REQ_RAHEAD, &bio)) {
		unlock_buffer(bh);
		goto release;
	}
	buffer_bio_fill(bio, bh);
	bio->bi_end_io = breadahead_end_io;
	bio->bi_private = bh;
	submit_bio(bio);
	return;
release:
	brelse(bh);
}

void breadahead(struct block_device *bdev, u64 block, unsigned nr_blocks, unsigned size)
{
	u64 end = bdev_nr_bytes(bdev) / size;
	struct blk_plug plug;

	blk_start_plug(&plug);
	for (; nr_blocks && block < end; nr_blocks--, block++) {
		struct buffer_head *bh;

		if (!find_get_verified(bdev, block, size, NULL, 0, &bh)) {
			brelse(bh);
			continue;
		}
		if (getblk(bdev, block, size, &bh))
			break;
		bh_readahead(bh);
	}
	blk_finish_plug(&plug);
}
