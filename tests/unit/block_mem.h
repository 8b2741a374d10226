/* SPDX-License-Identifier: MIT */
/*
 * What the tests of block share: a machine with its device and block floors, and a driver over memory
 * ("memdisk") that can hold requests back, be busy, fail, and that writes down what it was given.
 */
#ifndef SHALE_TEST_BLOCK_MEM_H
#define SHALE_TEST_BLOCK_MEM_H

#include "base_machine.h"
#include "block/blk_internal.h"
#include "block/stats.h"
#include "base/seq_file.h"

struct seen_request {
	enum req_op op;
	sector_t sector;
	u32 sectors;
	blk_opf_t flags;
	bool last;
	unsigned nr_segs;
};

#define SEEN_MAX 4096

struct memdisk {
	struct shale *machine;
	struct blk_mq_tag_set set;
	struct gendisk *disk;
	char *data;
	const char *borrowed; /* the data is the test's */
	size_t bytes;
	spinlock_t lock; /* guards all below */
	struct seen_request seen[SEEN_MAX];
	unsigned nr_seen, nr_commits, nr_busy, in_driver, most_in_driver;
	bool hold;          /* keep requests until mem_release() */
	bool by_work;       /* complete from a work item */
	unsigned busy_next; /* answer BLK_STS_RESOURCE so many times */
	unsigned most;      /* busy while it has that many; 0: no limit */
	int fail_status;    /* of the next fail_count requests */
	unsigned fail_count;
	struct list_head held; /* by request.queuelist */
	struct work_struct work;
	atomic_t budget, nr_budget_refused, nr_timeouts;
	int timeout_answer;
};

static inline struct memdisk *mem_of(struct request *rq)
{
	return blk_mq_rq_queuedata(rq);
}

/* Moves the data and says how it went. */
static inline int mem_serve(struct memdisk *mem, struct request *rq)
{
	size_t pos = (size_t)blk_rq_pos(rq) << SECTOR_SHIFT;
	struct req_iterator it;
	struct bio_vec bv;

	if (req_op(rq) != REQ_OP_FLUSH)
		assert_true(pos + blk_rq_bytes(rq) <= mem->bytes);
	if (req_op(rq) == REQ_OP_WRITE_ZEROES || req_op(rq) == REQ_OP_DISCARD)
		memset(mem->data + pos, 0, blk_rq_bytes(rq));
	if (req_op(rq) != REQ_OP_READ && req_op(rq) != REQ_OP_WRITE)
		return 0;
	rq_for_each_segment(bv, rq, it)
	{
		if (req_op(rq) == REQ_OP_READ)
			memcpy(bvec_virt(&bv), mem->data + pos, bv.bv_len);
		else
			memcpy(mem->data + pos, bvec_virt(&bv), bv.bv_len);
		pos += bv.bv_len;
	}
	return 0;
}

static inline void mem_finish(struct memdisk *mem, struct request *rq, int status)
{
	spin_lock(&mem->lock);
	mem->in_driver--;
	spin_unlock(&mem->lock);
	blk_mq_end_request(rq, status);
}

/* Completes the oldest `n` (0: all) that are held; how many there were. */
static inline unsigned mem_release(struct memdisk *mem, unsigned n)
{
	unsigned done = 0;

	for (;;) {
		struct request *rq;

		spin_lock(&mem->lock);
		rq = list_first_entry_or_null(&mem->held, struct request, queuelist);
		if (rq)
			list_del_init(&rq->queuelist);
		spin_unlock(&mem->lock);
		if (!rq)
			return done;
		mem_finish(mem, rq, mem_serve(mem, rq));
		if (++done == n)
			return done;
	}
}

static inline void mem_work(struct work_struct *work)
{
	mem_release(container_of(work, struct memdisk, work), 0);
}

static inline bool mem_take(struct memdisk *mem, struct request *rq, bool last, int *status)
{
	bool busy = false;

	spin_lock(&mem->lock);
	if (mem->busy_next || (mem->most && mem->in_driver >= mem->most)) {
		mem->busy_next -= mem->busy_next != 0;
		mem->nr_busy++;
		busy = true;
	} else {
		if (mem->nr_seen < SEEN_MAX)
			mem->seen[mem->nr_seen] =
				(struct seen_request){req_op(rq),    blk_rq_pos(rq), blk_rq_bytes(rq) >> 9,
						      rq->cmd_flags, last,           rq->nr_phys_segments};
		mem->nr_seen++;
		mem->in_driver++;
		mem->most_in_driver = max(mem->most_in_driver, mem->in_driver);
		if (mem->fail_count) {
			mem->fail_count--;
			*status = mem->fail_status;
		}
	}
	spin_unlock(&mem->lock);
	return !busy;
}

static inline int mem_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	struct memdisk *mem = mem_of(rq);
	int status = 0;

	if (!mem_take(mem, rq, bd->last, &status))
		return BLK_STS_RESOURCE;
	blk_mq_start_request(rq);
	if (status) {
		mem_finish(mem, rq, status);
	} else if (mem->hold || mem->by_work) {
		spin_lock(&mem->lock);
		list_add_tail(&rq->queuelist, &mem->held);
		spin_unlock(&mem->lock);
		if (mem->by_work)
			queue_work(mem->machine->system_wq, &mem->work);
	} else {
		mem_finish(mem, rq, mem_serve(mem, rq));
	}
	return BLK_STS_OK;
}

static inline void mem_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct memdisk *mem = blk_mq_hctx_queuedata(hctx);

	spin_lock(&mem->lock);
	mem->nr_commits++;
	spin_unlock(&mem->lock);
}

static const struct blk_mq_ops mem_ops = {.queue_rq = mem_queue_rq, .commit_rqs = mem_commit_rqs};

struct mem_params {
	const struct blk_mq_ops *ops;
	unsigned depth, hw_queues;
	size_t bytes;
	struct queue_limits limits;
	u64 timeout_ns;
	const char *name;  /* NULL: hidden */
	const void *image; /* first content, image_bytes */
	size_t image_bytes;
	char *borrowed; /* the memory itself, of `bytes`; NULL: the disk's own */
};

static inline struct memdisk *mem_new(struct shale *machine, const struct mem_params *p)
{
	struct memdisk *mem = calloc(1, sizeof(*mem));

	assert_non_null(mem);
	mem->machine = machine;
	mem->bytes = p->bytes ? p->bytes : SZ_1M;
	mem->borrowed = p->borrowed;
	mem->data = p->borrowed ? p->borrowed : calloc(1, mem->bytes);
	assert_non_null(mem->data);
	if (p->image)
		memcpy(mem->data, p->image, p->image_bytes);
	spin_lock_init(&mem->lock);
	INIT_LIST_HEAD(&mem->held);
	INIT_WORK(&mem->work, mem_work);
	mem->set = (struct blk_mq_tag_set){
		.ops = p->ops ? p->ops : &mem_ops,
		.nr_hw_queues = p->hw_queues ? p->hw_queues : 1,
		.queue_depth = p->depth ? p->depth : 16,
		.timeout_ns = p->timeout_ns,
		.machine = machine,
	};
	assert_int_equal(blk_mq_alloc_tag_set(&mem->set), 0);
	assert_int_equal(blk_mq_alloc_disk(&mem->set, &p->limits, mem, &mem->disk), 0);
	set_capacity(mem->disk, mem->bytes >> SECTOR_SHIFT);
	assert_int_equal(device_add_disk(mem->disk, p->name ? p->name : "mem", p->name ? 0 : GENHD_FL_HIDDEN),
			 0);
	mem->nr_seen = 0;
	return mem;
}

static inline void mem_free(struct memdisk *mem)
{
	del_gendisk(mem->disk);
	cancel_work_sync(&mem->work);
	blk_mq_free_tag_set(&mem->set);
	put_disk(mem->disk);
	if (!mem->borrowed)
		free(mem->data);
	free(mem);
}

static inline struct shale *block_test_start(struct test_machine *t, unsigned threads, u64 seed)
{
	struct shale *machine = test_machine_start(t, threads, seed);

	assert_int_equal(device_init(machine), 0);
	assert_int_equal(blk_init(machine), 0);
	return machine;
}

static inline void block_test_stop(struct test_machine *t)
{
	blk_exit(t->machine);
	device_exit(t->machine);
	test_machine_stop(t);
}

/* A bio over `sectors` of memory at buf; counts its end in *done. */
struct bio_result {
	atomic_t done;
	int status;
};

static inline void bio_result_end(struct bio *bio)
{
	struct bio_result *r = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(r->status, bio->bi_status);
	bio_put(bio);
	atomic_fetch_add(1, &r->done);
}

static inline void send_bio(struct block_device *bdev, blk_opf_t opf, sector_t sector, void *buf, u32 sectors,
			    struct bio_result *r)
{
	struct bio *bio;

	assert_int_equal(bio_alloc(bdev, 1, opf, &bio), 0);
	bio->bi_iter.bi_sector = sector;
	if (buf && sectors)
		assert_int_equal(bio_add_mem(bio, buf, sectors << 9), sectors << 9);
	else
		bio->bi_iter.bi_size = sectors << 9;
	bio->bi_end_io = bio_result_end;
	bio->bi_private = r;
	submit_bio(bio);
}

static inline int do_bio(struct block_device *bdev, blk_opf_t opf, sector_t sector, void *buf, u32 sectors)
{
	struct bio *bio;
	int ret;

	assert_int_equal(bio_alloc(bdev, 1, opf, &bio), 0);
	bio->bi_iter.bi_sector = sector;
	if (buf && sectors)
		assert_int_equal(bio_add_mem(bio, buf, sectors << 9), sectors << 9);
	else
		bio->bi_iter.bi_size = sectors << 9;
	ret = submit_bio_wait(bio);
	bio_put(bio);
	return ret;
}

#endif
