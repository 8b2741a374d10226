/* SPDX-License-Identifier: MIT */
/*
 * The nouns of the block layer that both its users (blk.h) and its providers (driver.h) see.
 *
 * A `bio` is one I/O to one run of sectors: who makes it owns it until submit_bio(), after that the block
 * layer owns it until it calls bi_end_io. bi_end_io never sleeps and takes only locks marked for completion.
 * A sector is 512 bytes everywhere, whatever the device's block size.
 */
#ifndef SHALE_BLOCK_BLK_TYPES_H
#define SHALE_BLOCK_BLK_TYPES_H

#include "base/atomic.h"
#include "base/bvec.h"
#include "base/compiler.h"
#include "base/list.h"

#include <sys/types.h>

struct shale;
struct bio;
struct block_device;
struct gendisk;
struct request_queue;
struct address_space;
struct device;

typedef u64 sector_t;
#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

enum req_op {
	REQ_OP_READ = 0,
	REQ_OP_WRITE = 1,
	REQ_OP_FLUSH = 2,
	REQ_OP_DISCARD = 3,
	REQ_OP_SECURE_ERASE = 5,
	REQ_OP_WRITE_ZEROES = 9,
};
#define REQ_OP_BITS 8
#define REQ_OP_MASK ((1u << REQ_OP_BITS) - 1)

typedef u32 blk_opf_t;            /* an enum req_op, or-ed with the flags below */
#define REQ_SYNC       (1u << 9)  /* somebody waits for it */
#define REQ_META       (1u << 10) /* metadata, for schedulers and traces */
#define REQ_PRIO       (1u << 11)
#define REQ_NOMERGE    (1u << 12)
#define REQ_FUA        (1u << 13) /* on stable storage before it completes */
#define REQ_PREFLUSH   (1u << 14) /* flush the write cache first */
#define REQ_RAHEAD     (1u << 15) /* readahead: may fail at any time */
#define REQ_NOWAIT     (1u << 16) /* EAGAIN rather than wait for a tag */
#define REQ_POLLED     (1u << 17)
#define REQ_BACKGROUND (1u << 18)

typedef void (*bio_end_io_t)(struct bio *);

struct bvec_iter {
	sector_t bi_sector; /* 512-byte sectors, from the start of bi_bdev */
	u32 bi_size;        /* bytes that remain */
	u32 bi_idx;         /* current vector in bi_io_vec */
	u32 bi_bvec_done;   /* bytes done in the current vector */
};

struct bio {
	struct bio *bi_next; /* in a list: of a plug's request, of the task's pending bios */
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	u16 bi_flags;
	u16 bi_ioprio;
	atomic_t bi_remaining; /* chained children that still run; bi_end_io runs at 0 */
	int bi_status;         /* 0 or a negative errno; the first error stays */
	struct bvec_iter bi_iter;
	bio_end_io_t bi_end_io;
	void *bi_private; /* of whoever made it */
	u64 bi_issue_ns;  /* when it was submitted, by the machine's clock */
	u16 bi_class;     /* of bio.c: which size of the pool it is */
	u16 bi_vcnt;
	u16 bi_max_vecs;
	atomic_t bi_cnt;
	struct bio_vec *bi_io_vec;
	struct bio_set *bi_pool; /* where it goes back to; NULL: memory of the caller */
	struct bio_vec bi_inline_vecs[];
};

static inline enum req_op bio_op(const struct bio *bio)
{
	return (enum req_op)(bio->bi_opf & REQ_OP_MASK);
}

static inline bool op_is_write(blk_opf_t opf)
{
	return opf & 1;
}
static inline bool op_is_flush(blk_opf_t opf)
{
	return opf & (REQ_FUA | REQ_PREFLUSH);
}
static inline bool op_is_sync(blk_opf_t opf)
{
	return (opf & REQ_OP_MASK) == REQ_OP_READ || opf & (REQ_SYNC | REQ_FUA | REQ_PREFLUSH);
}
/* Has it memory that goes with it? (Discard and write-zeroes only name a run of sectors.) */
static inline bool bio_has_data(const struct bio *bio)
{
	enum req_op op = bio_op(bio);

	return bio->bi_iter.bi_size && (op == REQ_OP_READ || op == REQ_OP_WRITE);
}
static inline u32 bio_sectors(const struct bio *bio)
{
	return bio->bi_iter.bi_size >> SECTOR_SHIFT;
}
static inline sector_t bio_end_sector(const struct bio *bio)
{
	return bio->bi_iter.bi_sector + bio_sectors(bio);
}

/* The vectors of a bio, from its iterator on: `bv` is a struct bio_vec by value, `iter` a struct bvec_iter.
 */
static inline struct bio_vec bio_iter_iovec(const struct bio *bio, const struct bvec_iter *iter)
{
	const struct bio_vec *bv = &bio->bi_io_vec[iter->bi_idx];
	u32 left = bv->bv_len - iter->bi_bvec_done;

	return (struct bio_vec){
		.bv_base = bv->bv_base,
		.bv_len = left < iter->bi_size ? left : iter->bi_size,
		.bv_offset = bv->bv_offset + iter->bi_bvec_done,
	};
}
/* Moves over `bytes`, which must not be more than the current vector has. */
static inline void bio_advance_iter_single(const struct bio *bio, struct bvec_iter *iter, u32 bytes)
{
	iter->bi_sector += bytes >> SECTOR_SHIFT;
	iter->bi_size -= bytes;
	iter->bi_bvec_done += bytes;
	if (iter->bi_bvec_done == bio->bi_io_vec[iter->bi_idx].bv_len) {
		iter->bi_bvec_done = 0;
		iter->bi_idx++;
	}
}
#define bio_for_each_segment_from(bv, bio, iter, start)                                                      \
	for ((iter) = (start); (iter).bi_size && ((bv) = bio_iter_iovec(bio, &(iter)), 1);                   \
	     bio_advance_iter_single(bio, &(iter), (bv).bv_len))
#define bio_for_each_segment(bv, bio, iter) bio_for_each_segment_from(bv, bio, iter, (bio)->bi_iter)

/* Singly linked by bi_next; oldest first. */
struct bio_list {
	struct bio *head, *tail;
};
static inline void bio_list_init(struct bio_list *list)
{
	list->head = list->tail = NULL;
}
static inline bool bio_list_empty(const struct bio_list *list)
{
	return !list->head;
}
static inline void bio_list_add(struct bio_list *list, struct bio *bio)
{
	bio->bi_next = NULL;
	if (list->tail)
		list->tail->bi_next = bio;
	else
		list->head = bio;
	list->tail = bio;
}
static inline void bio_list_merge(struct bio_list *list, struct bio_list *more)
{
	if (!more->head)
		return;
	if (list->tail)
		list->tail->bi_next = more->head;
	else
		list->head = more->head;
	list->tail = more->tail;
	bio_list_init(more);
}
static inline struct bio *bio_list_pop(struct bio_list *list)
{
	struct bio *bio = list->head;

	if (bio) {
		list->head = bio->bi_next;
		if (!list->head)
			list->tail = NULL;
		bio->bi_next = NULL;
	}
	return bio;
}

/*
 * A block device: a whole disk (bd_partno 0) or a partition of one. Lives as long as its disk; looked up by
 * number.
 */
struct block_device {
	sector_t bd_start_sect;
	u64 bd_nr_sectors; /* READ_ONCE */
	struct gendisk *bd_disk;
	struct request_queue *bd_queue;
	dev_t bd_dev;
	u8 bd_partno;
	bool bd_read_only; /* READ_ONCE; of this partition or, in part 0, of the disk */
	/*
	 * The page cache of the device and its inode: made by the bdev file system through blk_upper_ops when
	 * the device is added; the block layer only carries the pointers.
	 */
	struct address_space *bd_mapping;
	void *bd_inode;
	/* Exclusive claim, under the disk's open_mutex. */
	void *bd_holder;
	const struct blk_holder_ops *bd_holder_ops;
	int bd_holders;
	atomic_t bd_openers;
	struct disk_stats *bd_stats;
	u64 bd_stamp; /* accounting: when io_ticks was last brought up to date, in ms; atomic */
	struct device *bd_device;
};

#endif
