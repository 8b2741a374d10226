/* SPDX-License-Identifier: MIT */
/*
 * Bios: where they come from, how they are filled, cut, chained and ended.
 *
 * Bios come in four sizes from pools of the machine. A bio_set adds a few bios in reserve: bio_alloc_bioset()
 * takes from the reserve when there is no memory and, when that is out as well, waits for one to come back.
 * So whoever writes memory out to disk gets on as long as each of his bios ends by itself. Three rules make
 * that true: who allocates several bios from one set submits each before he waits for the next; what is made
 * in the course of serving bios (the parts of a split one) comes from a set of the queue's own; and bios that
 * were made while another is being submitted are handed to the rescue work of their queue before the
 * allocation sleeps (bio_punt_pending), for nobody else would submit them.
 *
 * A chain counts children in bi_remaining of the parent; bio_endio() walks up without recursion. The reserve
 * is guarded by the set's lock, which completions may take.
 */
#include "block/blk_internal.h"

static const u16 class_vecs[] = {4, 16, 64, BIO_MAX_VECS};
#define NR_CLASSES ARRAY_SIZE(class_vecs)
#define CLASS_MAX  (NR_CLASSES - 1)

struct bio_set {
	struct shale *machine;
	spinlock_t lock;
	struct bio_list reserve __guarded_by(lock);
	unsigned nr_reserve __guarded_by(lock), min_reserve;
	unsigned reserve_class; /* of the bios in reserve */
	wait_queue_head_t wq;   /* who waits for the reserve */
};

static struct pool *class_pool(const struct bio_set *set, unsigned class)
{
	return blk_machine(set->machine)->bio_pools[class];
}

void bioset_destroy(struct bio_set *set)
{
	struct bio *bio;

	if (!set)
		return;
	while ((bio = bio_list_pop(&set->reserve)))
		pool_free(class_pool(set, set->reserve_class), bio);
	kfree(set);
}

static int bioset_create_class(struct shale *machine, unsigned reserve, unsigned class, struct bio_set **out)
{
	struct bio_set *set = kzalloc(machine, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->machine = machine;
	set->min_reserve = reserve;
	set->reserve_class = class;
	spin_lock_init(&set->lock);
	init_waitqueue_head(&set->wq);
	for (; set->nr_reserve < reserve; set->nr_reserve++) {
		struct bio *bio = pool_alloc(class_pool(set, class));

		if (!bio) {
			bioset_destroy(set);
			return -ENOMEM;
		}
		bio_list_add(&set->reserve, bio);
	}
	*out = set;
	return 0;
}

int bioset_create(struct shale *machine, unsigned reserve, struct bio_set **out)
{
	return bioset_create_class(machine, reserve, CLASS_MAX, out);
}

int bioset_create_for_splits(struct shale *machine, unsigned reserve, struct bio_set **out)
{
	return bioset_create_class(machine, reserve, 0, out);
}

struct bio_set *blk_bio_set(struct shale *machine)
{
	return blk_machine(machine)->bio_set;
}

static unsigned vecs_to_class(unsigned nr_vecs)
{
	unsigned class = 0;

	while (class < CLASS_MAX && nr_vecs > class_vecs[class])
		class ++;
	return class;
}

void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *table, unsigned max_vecs,
	      blk_opf_t opf)
{
	*bio = (struct bio){
		.bi_bdev = bdev,
		.bi_opf = opf,
		.bi_io_vec = table,
		.bi_max_vecs = (u16)max_vecs,
	};
	atomic_set(&bio->bi_remaining, 1);
	atomic_set(&bio->bi_cnt, 1);
}

static struct bio *bio_prepare(struct bio *bio, struct bio_set *set, unsigned class,
			       struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf)
{
	bio_init(bio, bdev, bio->bi_inline_vecs, nr_vecs, opf);
	bio->bi_pool = set;
	bio->bi_class = (u16) class;
	return bio;
}

int bio_alloc(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf, struct bio **out)
{
	struct bio_set *set = blk_bio_set(bdev_machine(bdev));
	unsigned class = vecs_to_class(nr_vecs);
	struct bio *bio = nr_vecs > BIO_MAX_VECS ? NULL : pool_alloc(class_pool(set, class));

	if (unlikely(!bio))
		return nr_vecs > BIO_MAX_VECS ? -EINVAL : -ENOMEM;
	*out = bio_prepare(bio, set, class, bdev, nr_vecs, opf);
	return 0;
}

static struct bio *bioset_take_reserve(struct bio_set *set)
{
	struct bio *bio;

	spin_lock(&set->lock);
	bio = bio_list_pop(&set->reserve);
	if (bio)
		WRITE_ONCE(set->nr_reserve, set->nr_reserve - 1);
	spin_unlock(&set->lock);
	return bio;
}

static noinline struct bio *bioset_alloc_slow(struct bio_set *set)
{
	struct bio *bio = bioset_take_reserve(set);

	if (bio)
		return bio;
	bio_punt_pending(set->machine);
	io_wait_event(set->wq, (bio = bioset_take_reserve(set)) ||
				       (bio = pool_alloc(class_pool(set, set->reserve_class))));
	return bio;
}

struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned nr_vecs, blk_opf_t opf, struct bio_set *set)
{
	unsigned class = vecs_to_class(nr_vecs);
	struct bio *bio;

	BUG_ON(nr_vecs > class_vecs[set->reserve_class]);
	bio = pool_alloc(class_pool(set, class));
	if (unlikely(!bio)) {
		bio = bioset_alloc_slow(set);
		class = set->reserve_class;
	}
	return bio_prepare(bio, set, class, bdev, nr_vecs, opf);
}

/* Back to the reserve when that is not full. True when it took it. */
static bool bioset_refill(struct bio_set *set, struct bio *bio)
{
	bool took = false;

	spin_lock(&set->lock);
	if (set->nr_reserve < set->min_reserve) {
		bio_list_add(&set->reserve, bio);
		WRITE_ONCE(set->nr_reserve, set->nr_reserve + 1);
		took = true;
		/* Under the lock: whoever destroys the set has taken it after the last bio came back. */
		wake_up(&set->wq);
	}
	spin_unlock(&set->lock);
	return took;
}

void bio_get(struct bio *bio)
{
	atomic_inc(&bio->bi_cnt);
}

void bio_put(struct bio *bio)
{
	struct bio_set *set = bio->bi_pool;

	if (atomic_read_acquire(&bio->bi_cnt) != 1 && !atomic_dec_and_test(&bio->bi_cnt))
		return;
	if (!set)
		return;
	if (unlikely(READ_ONCE(set->nr_reserve) < set->min_reserve) && bio->bi_class == set->reserve_class &&
	    bioset_refill(set, bio))
		return;
	pool_free(class_pool(set, bio->bi_class), bio);
}

unsigned bio_add_mem(struct bio *bio, void *data, unsigned len)
{
	struct bio_vec *last = &bio->bi_io_vec[bio->bi_vcnt - 1];

	if (len > UINT32_MAX - bio->bi_iter.bi_size)
		return 0;
	if (bio->bi_vcnt && (char *)bvec_virt(last) + last->bv_len == data) {
		last->bv_len += len;
	} else {
		if (bio->bi_vcnt >= bio->bi_max_vecs)
			return 0;
		bio->bi_io_vec[bio->bi_vcnt++] = (struct bio_vec){.bv_base = data, .bv_len = len};
	}
	bio->bi_iter.bi_size += len;
	return len;
}

void bio_advance(struct bio *bio, u32 bytes)
{
	struct bvec_iter *iter = &bio->bi_iter;

	BUG_ON(bytes > iter->bi_size);
	if (!bio_has_data(bio)) {
		iter->bi_sector += bytes >> SECTOR_SHIFT;
		iter->bi_size -= bytes;
		return;
	}
	/* The sector counts whole bytes at the end, since vectors may end inside a sector. */
	iter->bi_sector += bytes >> SECTOR_SHIFT;
	iter->bi_size -= bytes;
	for (bytes += iter->bi_bvec_done; bytes && bytes >= bio->bi_io_vec[iter->bi_idx].bv_len;
	     iter->bi_idx++)
		bytes -= bio->bi_io_vec[iter->bi_idx].bv_len;
	iter->bi_bvec_done = bytes;
}

struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src, struct bio_set *set)
{
	struct bio *bio = bio_alloc_bioset(bdev, 0, src->bi_opf, set);

	bio->bi_io_vec = src->bi_io_vec;
	bio->bi_vcnt = src->bi_vcnt;
	bio->bi_iter = src->bi_iter;
	bio->bi_ioprio = src->bi_ioprio;
	bio->bi_flags = BIO_CLONED;
	if (src->bi_bdev == bdev)
		bio->bi_flags |= src->bi_flags & BIO_REMAPPED;
	return bio;
}

/* Both parts keep all flags: with PREFLUSH each waits for a flush of its own, which they can share. */
struct bio *bio_split(struct bio *bio, unsigned sectors, struct bio_set *set)
{
	struct bio *split;

	BUG_ON(sectors == 0 || sectors >= bio_sectors(bio));
	split = bio_alloc_clone(bio->bi_bdev, bio, set);
	split->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	bio_advance(bio, split->bi_iter.bi_size);
	return split;
}

void bio_set_status(struct bio *bio, int status)
{
	if (status)
		(void)cmpxchg(&bio->bi_status, 0, status);
}

/* A mark more than a function: bio_endio() knows it and goes on with the parent. */
static void bio_chain_endio(struct bio *bio)
{
	bio_endio(bio);
}

void bio_chain(struct bio *child, struct bio *parent)
{
	BUG_ON(child->bi_end_io || child->bi_private);
	child->bi_private = parent;
	child->bi_end_io = bio_chain_endio;
	bio_set_flag(parent, BIO_CHAIN);
	atomic_inc(&parent->bi_remaining);
}

void bio_endio(struct bio *bio)
{
	for (;;) {
		struct bio *parent;

		if (bio_flagged(bio, BIO_CHAIN)) {
			if (!atomic_dec_and_test(&bio->bi_remaining))
				return;
			atomic_set(&bio->bi_remaining, 1);
		}
		if (bio->bi_end_io != bio_chain_endio)
			break;
		parent = bio->bi_private;
		bio_set_status(parent, bio->bi_status);
		bio_put(bio);
		bio = parent;
	}
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

/*
 * Of one queue: sends the bios that were left to it. May sleep for tags of this queue, whose requests depend
 * on queues below only.
 */
void bio_rescue_work(struct work_struct *work)
{
	struct request_queue *q = container_of(work, struct request_queue, rescue_work);
	struct bio *bio;

	for (;;) {
		spin_lock(&q->rescue_lock);
		bio = bio_list_pop(&q->rescue_list);
		spin_unlock(&q->rescue_lock);
		if (!bio)
			return;
		submit_bio_noacct(bio);
	}
}

void bio_punt_pending(struct shale *machine)
{
	struct bio *bio;

	while (current->bio_list && (bio = bio_list_pop(current->bio_list))) {
		struct request_queue *q = bio->bi_bdev->bd_queue;

		spin_lock(&q->rescue_lock);
		bio_list_add(&q->rescue_list, bio);
		spin_unlock(&q->rescue_lock);
		queue_work(blk_machine(machine)->rescue_wq, &q->rescue_work);
	}
}

int bio_machine_init(struct shale *machine)
{
	static const char *const names[NR_CLASSES] = {"bio-4", "bio-16", "bio-64", "bio-256"};
	struct blk_machine *blk = blk_machine(machine);
	int ret = alloc_workqueue(machine, "bio-rescue", 0, &blk->rescue_wq);

	BUILD_BUG_ON(NR_CLASSES != BIO_CLASSES);
	for (unsigned i = 0; !ret && i < NR_CLASSES; i++) {
		size_t size = sizeof(struct bio) + class_vecs[i] * sizeof(struct bio_vec);

		ret = pool_create(machine, names[i], size, 0, NULL, &blk->bio_pools[i]);
	}
	ret = ret ? ret : bioset_create(machine, 4, &blk->bio_set);
	if (ret)
		bio_machine_exit(machine);
	return ret;
}

void bio_machine_exit(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);

	destroy_workqueue(blk->rescue_wq);
	bioset_destroy(blk->bio_set);
	for (unsigned i = 0; i < NR_CLASSES; i++)
		pool_destroy(blk->bio_pools[i]);
}
