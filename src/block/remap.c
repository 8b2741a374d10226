/* SPDX-License-Identifier: MIT */
/*
 * See remap.h. The table is a hash with open addressing: 16 bytes an entry, at most three quarters full.
 * Blocks that follow each other stand in the same lines of it, since a read of many blocks looks up each of
 * them. Its key is random, so that no volume is slow on purpose.
 *
 * A bio is cut where the source changes: the parts before the last are split off and chained to it, each is
 * sent to the lower device at its true place, or filled from memory. Nothing is counted or queued here, and
 * the table has no lock: who fills it and who reads from the device are never at work at the same time.
 */
#include "block/blk_internal.h"
#include "block/remap.h"

#include "base/random.h"

#include <stdio.h>
#include <string.h>

#define REMAP_FREE        (~0ull) /* no block has this number */
#define REMAP_MIN         512u    /* places of the table at first */
#define REMAP_WRITE_BYTES (256u << 10)
#define REMAP_GROUP       8u /* blocks that stand together */

struct remap_entry {
	u64 block;
	u64 source; /* a block of lower, times 2; or the address of a copy, plus 1 */
};
static_assert(sizeof(struct remap_entry) == 16, "remap_entry");

struct blk_remap {
	struct shale *machine;
	struct block_device *lower;
	unsigned block_size, block_bits;
	u64 nr_blocks; /* of lower */
	struct remap_entry *table;
	u64 nr_places; /* a multiple of REMAP_GROUP */
	u64 nr_entries, nr_copies;
	u64 key; /* odd */
	u64 bytes, max_bytes;
	struct gendisk *disk; /* NULL: not asked for yet */
};

static bool source_is_copy(u64 source)
{
	return source & 1;
}

static void *source_copy(u64 source)
{
	return (void *)(uintptr_t)(source - 1);
}

/* Where the block stands, or the free place where it would. */
static struct remap_entry *remap_slot(const struct blk_remap *remap, u64 block)
{
	u64 hash = block / REMAP_GROUP * remap->key >> 32;
	u64 at = (hash * (remap->nr_places / REMAP_GROUP) >> 32) * REMAP_GROUP + block % REMAP_GROUP;

	while (remap->table[at].block != block && remap->table[at].block != REMAP_FREE)
		at = at + 1 < remap->nr_places ? at + 1 : 0;
	return &remap->table[at];
}

/* Where the block comes from, in the form of remap_entry.source. */
static u64 remap_source(const struct blk_remap *remap, u64 block)
{
	const struct remap_entry *e = remap_slot(remap, block);

	return e->block == block ? e->source : block << 1;
}

static int remap_charge(struct blk_remap *remap, u64 bytes)
{
	if (bytes > remap->max_bytes - remap->bytes)
		return -ENOMEM;
	remap->bytes += bytes;
	machine_charge(remap->machine, (long)bytes);
	return 0;
}

static void remap_uncharge(struct blk_remap *remap, u64 bytes)
{
	remap->bytes -= bytes;
	machine_uncharge(remap->machine, (long)bytes);
}

/* Moves the entries to a table of `nr` places, a multiple of REMAP_GROUP. */
static int table_resize(struct blk_remap *remap, u64 nr)
{
	struct remap_entry *old = remap->table, *table;
	u64 nr_old = remap->nr_places;
	int err;

	if (nr > SIZE_MAX / sizeof(*table) || nr / REMAP_GROUP > UINT32_MAX)
		return -ENOMEM;
	err = remap_charge(remap, nr * sizeof(*table));
	if (err)
		return err;
	table = kvmalloc(remap->machine, nr * sizeof(*table));
	if (!table) {
		remap_uncharge(remap, nr * sizeof(*table));
		return -ENOMEM;
	}
	for (u64 i = 0; i < nr; i++)
		table[i].block = REMAP_FREE;
	remap->table = table;
	remap->nr_places = nr;
	for (u64 i = 0; i < nr_old; i++)
		if (old[i].block != REMAP_FREE)
			*remap_slot(remap, old[i].block) = old[i];
	kvfree(old);
	remap_uncharge(remap, nr_old * sizeof(*old));
	return 0;
}

static bool table_has_room(const struct blk_remap *remap, u64 nr)
{
	return nr <= remap->nr_places / 4 * 3;
}

static void remap_free_copy(struct blk_remap *remap, u64 source)
{
	kfree(source_copy(source));
	remap_uncharge(remap, remap->block_size);
	remap->nr_copies--;
}

static int remap_set(struct blk_remap *remap, u64 block, u64 source)
{
	struct remap_entry *e = remap_slot(remap, block);

	if (e->block == block) {
		if (source_is_copy(e->source))
			remap_free_copy(remap, e->source);
		e->source = source;
		return 0;
	}
	if (!table_has_room(remap, remap->nr_entries + 1)) {
		int err = table_resize(remap, remap->nr_places * 2);

		if (err)
			return err;
		e = remap_slot(remap, block);
	}
	*e = (struct remap_entry){.block = block, .source = source};
	remap->nr_entries++;
	return 0;
}

int blk_remap_create(struct block_device *lower, unsigned block_size, struct blk_remap **out)
{
	struct shale *machine = bdev_machine(lower);
	struct blk_remap *remap;
	int err;

	if (!is_power_of_2(block_size) || block_size > SZ_64K || block_size < bdev_logical_block_size(lower))
		return -EINVAL;
	remap = kzalloc(machine, sizeof(*remap));
	if (!remap)
		return -ENOMEM;
	remap->machine = machine;
	remap->lower = lower;
	remap->block_size = block_size;
	remap->block_bits = ilog2(block_size);
	remap->nr_blocks = bdev_nr_bytes(lower) >> remap->block_bits;
	remap->key = prandom_u64(machine) | 1;
	remap->max_bytes = machine->options.memory_limit / 2;
	err = table_resize(remap, REMAP_MIN);
	if (err) {
		kfree(remap);
		return err;
	}
	*out = remap;
	return 0;
}

int blk_remap_reserve(struct blk_remap *remap, u64 nr)
{
	u64 all = remap->nr_entries + min(nr, remap->nr_blocks);

	return table_has_room(remap, all) ? 0 : table_resize(remap, round_up(all / 3 * 4 + 4, REMAP_GROUP));
}

int blk_remap_add(struct blk_remap *remap, u64 block, u64 elsewhere)
{
	if (block >= remap->nr_blocks || elsewhere >= remap->nr_blocks)
		return -EINVAL;
	return remap_set(remap, block, elsewhere << 1);
}

void blk_remap_forget(struct blk_remap *remap, u64 block)
{
	if (block < remap->nr_blocks && remap_slot(remap, block)->block == block)
		(void)remap_set(remap, block, block << 1);
}

int blk_remap_read(struct blk_remap *remap, u64 block, void *data)
{
	struct bio_vec vec;
	struct bio bio;
	u64 source;

	if (block >= remap->nr_blocks)
		return -EINVAL;
	source = remap_source(remap, block);
	if (source_is_copy(source)) {
		memcpy(data, source_copy(source), remap->block_size);
		return 0;
	}
	bio_init(&bio, remap->lower, &vec, 1, REQ_OP_READ | REQ_META);
	bio.bi_iter.bi_sector = source >> 1 << (remap->block_bits - SECTOR_SHIFT);
	bio_add_mem(&bio, data, remap->block_size);
	return submit_bio_wait(&bio);
}

int blk_remap_copy(struct blk_remap *remap, u64 block, void **data)
{
	u64 source;
	void *copy;
	int err;

	if (block >= remap->nr_blocks)
		return -EINVAL;
	source = remap_source(remap, block);
	if (source_is_copy(source)) {
		*data = source_copy(source);
		return 0;
	}
	err = remap_charge(remap, remap->block_size);
	if (err)
		return err;
	copy = kmalloc_aligned(remap->machine, remap->block_size, min(remap->block_size, 4096u));
	err = copy ? blk_remap_read(remap, block, copy) : -ENOMEM;
	if (!err)
		err = remap_set(remap, block, (uintptr_t)copy + 1);
	if (err) {
		kfree(copy);
		remap_uncharge(remap, remap->block_size);
		return err;
	}
	remap->nr_copies++;
	*data = copy;
	return 0;
}

static int remap_io(struct blk_remap *remap, u64 block, u32 nr, void *data, blk_opf_t opf)
{
	struct bio_vec vec;
	struct bio bio;

	bio_init(&bio, remap->lower, &vec, 1, opf | REQ_META);
	bio.bi_iter.bi_sector = block << (remap->block_bits - SECTOR_SHIFT);
	bio_add_mem(&bio, data, nr << remap->block_bits);
	return submit_bio_wait(&bio);
}

/* How many of the sorted entries follow each other, at both ends if they come from the device; at most max.
 */
static u32 entries_run(const struct remap_entry *e, u64 nr, u32 max)
{
	u32 run = 1;

	while (run < max && run < nr && e[run].block == e->block + run &&
	       source_is_copy(e[run].source) == source_is_copy(e->source) &&
	       (source_is_copy(e->source) || e[run].source == e->source + 2ull * run))
		run++;
	return run;
}

static int entries_write(struct blk_remap *remap, const struct remap_entry *e, u64 nr, u8 *data)
{
	u32 max = REMAP_WRITE_BYTES >> remap->block_bits;
	int err = 0;

	for (u64 i = 0; !err && i < nr;) {
		u32 run = entries_run(&e[i], nr - i, max);

		if (source_is_copy(e[i].source))
			for (u32 j = 0; j < run; j++)
				memcpy(data + ((size_t)j << remap->block_bits), source_copy(e[i + j].source),
				       remap->block_size);
		else
			err = remap_io(remap, e[i].source >> 1, run, data, REQ_OP_READ);
		if (!err)
			err = remap_io(remap, e[i].block, run, data, REQ_OP_WRITE);
		i += run;
	}
	return err;
}

static int by_block(const void *a, const void *b)
{
	const struct remap_entry *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

int blk_remap_write(struct blk_remap *remap)
{
	u64 bytes = remap->nr_entries * sizeof(struct remap_entry), nr = 0;
	struct remap_entry *entries;
	u8 *data;
	int err = remap_charge(remap, bytes);

	if (err)
		return err;
	entries = kvmalloc(remap->machine, bytes);
	data = kmalloc_aligned(remap->machine, REMAP_WRITE_BYTES, 4096);
	if (entries && data) {
		for (u64 i = 0; i < remap->nr_places; i++)
			if (remap->table[i].block != REMAP_FREE &&
			    remap->table[i].source != remap->table[i].block << 1)
				entries[nr++] = remap->table[i];
		qsort(entries, nr, sizeof(*entries), by_block);
		err = entries_write(remap, entries, nr, data);
	} else {
		err = -ENOMEM;
	}
	kfree(data);
	kvfree(entries);
	remap_uncharge(remap, bytes);
	return err;
}

u64 blk_remap_count(const struct blk_remap *remap, u64 *copies)
{
	*copies = remap->nr_copies;
	return remap->nr_entries;
}

/* Fills the first `bytes` of the bio, whose copy begins at `from`. */
static void bio_fill(struct bio *bio, const char *from, u32 bytes)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment (bv, bio, iter) {
		u32 n = min(bytes, bv.bv_len);

		memcpy(bvec_virt(&bv), from, n);
		from += n;
		bytes -= n;
		if (!bytes)
			break;
	}
}

/* Sectors from the bio's first on that one source has; *source: of the first, in the form of remap_entry. */
static u32 remap_run(const struct blk_remap *remap, const struct bio *bio, u64 *source)
{
	unsigned shift = remap->block_bits - SECTOR_SHIFT;
	u64 block = bio->bi_iter.bi_sector >> shift, end = (bio_end_sector(bio) - 1) >> shift;
	u64 next = *source = remap_source(remap, block);

	if (!source_is_copy(*source))
		while (block < end && remap_source(remap, block + 1) == next + 2) {
			next += 2;
			block++;
		}
	return (u32)(min((block + 1) << shift, bio_end_sector(bio)) - bio->bi_iter.bi_sector);
}

/* `bio` lies in one run from `source`. It is sent, or filled and ended. */
static void remap_send(struct blk_remap *remap, struct bio *bio, u64 source)
{
	unsigned shift = remap->block_bits - SECTOR_SHIFT;
	sector_t offset = bio->bi_iter.bi_sector & ((1u << shift) - 1);

	if (source_is_copy(source)) {
		bio_fill(bio, (const char *)source_copy(source) + (offset << SECTOR_SHIFT),
			 bio->bi_iter.bi_size);
		bio_endio(bio);
		return;
	}
	bio->bi_bdev = remap->lower;
	bio->bi_iter.bi_sector = (source >> 1 << shift) + offset;
	WRITE_ONCE(bio->bi_flags, bio->bi_flags & (u16)~BIO_REMAPPED);
	submit_bio_noacct(bio);
}

/* Only reads arrive: the device is read-only and has neither a write cache nor discards. */
static void remap_submit(struct bio *bio, void *queuedata)
{
	struct blk_remap *remap = queuedata;
	struct request_queue *q = remap->disk->queue;

	for (;;) {
		u64 source;
		u32 sectors = remap_run(remap, bio, &source);
		struct bio *part;

		if (sectors == bio_sectors(bio)) {
			remap_send(remap, bio, source);
			return;
		}
		part = bio_split(bio, sectors, q->split_set);
		bio_chain(part, bio);
		remap_send(remap, part, source);
	}
}

static int remap_disk_alloc(struct blk_remap *remap, struct gendisk **out)
{
	struct queue_limits limits = remap->lower->bd_queue->limits;
	struct gendisk *disk;
	char name[DISK_NAME_LEN];
	int err;

	limits.write_cache = limits.fua = false;
	limits.max_discard_sectors = limits.max_write_zeroes_sectors = 0;
	err = blk_alloc_disk(remap->machine, &limits, remap_submit, remap, &disk);
	if (err)
		return err;
	set_capacity(disk, bdev_nr_sectors(remap->lower));
	set_disk_ro(disk, true);
	snprintf(name, sizeof(name), "%.31s", bdev_name(remap->lower));
	err = device_add_disk(disk, name, GENHD_FL_HIDDEN);
	if (!err)
		err = bdev_show_upper(disk->part0);
	if (err) {
		del_gendisk(disk);
		put_disk(disk);
		return err;
	}
	*out = disk;
	return 0;
}

int blk_remap_device(struct blk_remap *remap, struct block_device **out)
{
	int err = remap->disk ? 0 : remap_disk_alloc(remap, &remap->disk);

	if (err)
		return err;
	*out = remap->disk->part0;
	return 0;
}

void blk_remap_destroy(struct blk_remap *remap)
{
	if (!remap)
		return;
	if (remap->disk) {
		bdev_hide_upper(remap->disk->part0);
		del_gendisk(remap->disk);
		put_disk(remap->disk);
	}
	for (u64 i = 0; remap->nr_copies; i++)
		if (remap->table[i].block != REMAP_FREE && source_is_copy(remap->table[i].source))
			remap_free_copy(remap, remap->table[i].source);
	kvfree(remap->table);
	remap_uncharge(remap, remap->bytes);
	kfree(remap);
}
