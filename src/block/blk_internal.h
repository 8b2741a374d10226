/* SPDX-License-Identifier: MIT */
/*
 * What the files of the block floor share: queues and their contexts, disks, the machine's block state.
 *
 * Lock order (outer first): blk_machine.lock (mutex, disks of the machine), gendisk.open_mutex,
 * then the spinlocks: flush_queue.lock, ctx.lock, hctx.lock,
 * request_queue.requeue_lock, tags.wait_lock, bio_set.lock. The spinlocks may be taken by completions; of the
 * first four none is held while a driver or a bi_end_io is called.
 */
#ifndef SHALE_BLOCK_BLK_INTERNAL_H
#define SHALE_BLOCK_BLK_INTERNAL_H

#include "base/machine.h"
#include "base/mutex.h"
#include "base/pool.h"
#include "block/blk.h"
#include "block/driver.h"
#include "block/elevator.h"
#include "block/tags_internal.h"
#include "device/device.h"

#define BLK_MAX_REQUEST_COUNT 32u            /* requests that a plug holds */
#define BLK_PLUG_FLUSH_BYTES  (128u * 1024u) /* a plugged request of this size does not wait for more */
#define BLK_RESOURCE_DELAY_NS (3 * NSEC_PER_MSEC)
#define BLK_TIMEOUT_NS        (30 * NSEC_PER_SEC)

#define BIO_CLASSES 4 /* sizes of bios */

/* bi_flags */
#define BIO_CHAIN    (1u << 0) /* has children */
#define BIO_REMAPPED (1u << 1) /* bi_sector counts from the start of the disk */
#define BIO_CLONED   (1u << 2) /* the vectors are somebody else's */
/* Only who owns the bio writes its flags, but children that end may look at them at the same time. */
static inline void bio_set_flag(struct bio *bio, u16 flag)
{
	WRITE_ONCE(bio->bi_flags, bio->bi_flags | flag);
}
static inline bool bio_flagged(const struct bio *bio, u16 flag)
{
	return READ_ONCE(bio->bi_flags) & flag;
}

/* rq_flags */
#define RQF_STARTED    (1u << 0) /* the driver has seen it */
#define RQF_FLUSH_SEQ  (1u << 1) /* part of a flush sequence (flush.c) */
#define RQF_SCHED_TAGS (1u << 2) /* allocated under a scheduler: has an internal tag */
#define RQF_USE_SCHED  (1u << 3) /* the scheduler has been told of it */
#define RQF_IO_STAT    (1u << 4) /* counted */
#define RQF_BUDGET     (1u << 7) /* holds a budget */

/* A software context: requests that this shard of threads has queued and not yet given to hardware. */
struct blk_mq_ctx {
	spinlock_t lock;
	struct list_head rq_list __guarded_by(lock);
	struct blk_mq_hw_ctx *hctx;
	unsigned index; /* of the shard */
} __aligned_cacheline;

enum hctx_state { HCTX_SCHED_RESTART };

/* A hardware context: one queue of the device, with what waits for it. */
struct blk_mq_hw_ctx {
	struct request_queue *queue;
	struct blk_mq_tags *tags;       /* driver tags; the set's */
	struct blk_mq_tags *sched_tags; /* of the scheduler; NULL without */
	struct blk_flush_queue *fq;
	void *driver_data; /* of init_hctx */
	unsigned queue_num;
	unsigned long ctx_pending; /* bit per software context that may have requests; atomic */
	unsigned long state;       /* enum hctx_state, atomic */
	spinlock_t lock;
	struct list_head
		dispatch __guarded_by(lock); /* taken from the scheduler, not accepted by the driver */
	struct list_head tag_wait;           /* in tags->waiting_hctxs; under tags->wait_lock */
	struct delayed_work run_work;
} __aligned_cacheline;

/* Uses of a queue: bios being submitted and requests alive, by shard. See queue.c. */
struct queue_usage {
	s64 count;
} __aligned_cacheline;

struct request_queue {
	struct shale *machine;
	struct gendisk *disk;
	struct blk_mq_tag_set *set;
	const struct blk_mq_ops *ops;
	/* Takes bios in place of requests (blk_alloc_disk); then there is no set, nor ops, nor contexts. */
	void (*submit)(struct bio *bio, void *queuedata);
	void *queuedata;
	struct queue_limits limits;      /* changed only while frozen */
	struct bio_set *split_set;       /* of the parts of bios that are too large */
	struct elevator_queue *elevator; /* changed only while frozen */
	struct blk_mq_hw_ctx **hctxs;
	unsigned nr_hw_queues;
	u64 timeout_ns;
	bool dying;  /* READ_ONCE; submissions fail */
	bool exited; /* queue_exit has run */
	bool nomerges;

	s64 freeze_depth; /* seq_cst; see queue.c */
	wait_queue_head_t freeze_wq;
	int quiesce_depth;    /* atomic */
	atomic_t in_dispatch; /* threads inside queue_rq; for quiesce */

	spinlock_t requeue_lock;
	struct list_head requeue_list __guarded_by(requeue_lock);
	struct list_head flush_list
		__guarded_by(requeue_lock); /* requests of flush sequences, to be sent before others */
	/*
	 * Bios for this queue whose submitter went to sleep before he could send them: by queue, so that
	 * those of a lower device never wait behind one that waits for what they hold.
	 */
	spinlock_t rescue_lock;
	struct bio_list rescue_list __guarded_by(rescue_lock);
	struct work_struct rescue_work;

	struct delayed_work requeue_work;
	struct delayed_work timeout_work;

	struct blk_mq_ctx ctxs[SHARDS];
	struct queue_usage usage[SHARDS];
};

enum gendisk_state { GD_ADDED, GD_DEAD, GD_READ_ONLY, GD_UNREAD };
#define DISK_MAX_PARTS 256u
#define DISK_NAME_LEN  32u
#define DISK_MINORS    16u

struct disk_part; /* a partition with its device; disk.c */

/*
 * A disk: a queue, the device for all of it (part 0) and its partitions. It lives as long as part 0, which
 * every partition references; the maker holds one reference.
 */
struct gendisk {
	struct shale *machine;
	struct request_queue *queue;
	char name[DISK_NAME_LEN];
	unsigned flags;
	unsigned long state;     /* enum gendisk_state, atomic */
	struct mutex open_mutex; /* guards claims, openers, parts */
	struct block_device *part0;
	struct list_head parts __guarded_by(open_mutex); /* struct blk_bdev other than part 0, by number */
	unsigned open_partitions __guarded_by(open_mutex);
	unsigned first_minor;
	sector_t capacity;     /* of the device, in sectors */
	sector_t window_start; /* part=N: the partition that part 0 shows instead of all */
	sector_t window_count; /* 0: all */
	unsigned window_part;  /* GD_UNREAD: the number of that partition, which is not looked for yet */
	struct list_head node; /* in blk_machine.disks */
	/* Of the registry: */
	const struct blk_driver *driver;
	struct gendisk *lower;
};

/* A block_device with the device that the rest of the machine sees of it. */
struct blk_bdev {
	struct block_device bdev;
	struct device dev;
	char name[DISK_NAME_LEN + 16];
	struct list_head node; /* in gendisk.parts */
	bool told;             /* upper_ops know of it */
	bool registered;
};
static inline struct blk_bdev *to_blk_bdev(const struct block_device *bdev)
{
	return container_of((struct block_device *)bdev, struct blk_bdev, bdev);
}

struct blk_machine {
	struct mutex lock; /* guards the lists, upper_ops, and adding and removing disks */
	struct list_head disks __guarded_by(lock);
	struct list_head drivers __guarded_by(lock);
	struct list_head elevators __guarded_by(lock);
	const struct blk_upper_ops *upper_ops __guarded_by(lock);
	int major;   /* of the first partitions; the rest have BLOCK_EXT_MAJOR */
	bool unread; /* atomic: until disks_start no disk is read or opened */
	struct pool *bio_pools[BIO_CLASSES];
	struct bio_set *bio_set;
	struct workqueue_struct *wq; /* runs hardware queues, requeues, timeouts */
	struct workqueue_struct *rescue_wq;
	spinlock_t error_lock;
	char last_error[256] __guarded_by(error_lock);
};
#define BLOCK_EXT_MAJOR 259u

/* bio.c */
int bio_machine_init(struct shale *machine) __must_check;
/* For bios without vectors of their own. */
int bioset_create_for_splits(struct shale *machine, unsigned reserve, struct bio_set **out) __must_check;
void bio_machine_exit(struct shale *machine);
/*
 * Bios that this thread has made inside a submission and that nobody else will send while it sleeps: given to
 * the rescue work.
 */
void bio_punt_pending(struct shale *machine);
void bio_rescue_work(struct work_struct *work);

/* queue.c: use, freeze, life */
/* set: NULL for a queue of bios. */
int blk_queue_alloc(struct shale *machine, struct blk_mq_tag_set *set, const struct queue_limits *limits,
		    void *queuedata, struct request_queue **out) __must_check;
/* The cause in bi_status of a bio that blk_queue_enter() refused. */
int blk_enter_status(int enter_error);
void blk_queue_exit_hctxs(struct request_queue *q);
void blk_queue_free(struct request_queue *q);
/* 0, -EAGAIN (nowait and frozen), -ENODEV (dying). Sleeps while the queue is frozen. */
int blk_queue_enter(struct request_queue *q, bool nowait) __must_check;
void blk_queue_ref(struct request_queue *q); /* one more use, by who has one */
void blk_queue_exit(struct request_queue *q);
void blk_freeze_queue(struct request_queue *q);
void blk_unfreeze_queue(struct request_queue *q);
int blk_validate_limits(struct queue_limits *limits) __must_check;

/* mq.c, mq_dispatch.c */
void blk_mq_submit_bio(struct bio *bio, struct request_queue *q);
void blk_mq_free_request(struct request *rq);
void blk_mq_insert_request(struct request *rq, bool at_head);
void blk_mq_run_hw_queues(struct request_queue *q, bool async);
void blk_mq_delay_run_hw_queue(struct blk_mq_hw_ctx *hctx, s64 ns);
void blk_mq_sched_restart(struct blk_mq_hw_ctx *hctx);
void blk_mq_run_work(struct work_struct *work);
void blk_mq_requeue_work(struct work_struct *work);
void blk_mq_kick_requeue_list(struct request_queue *q);
void blk_mq_add_flush_request(struct request *rq, bool at_head);
/* To a driver that takes whole lists (by rq_next); what it leaves, or all, stays in *list. */
void blk_mq_issue_batch(struct blk_mq_hw_ctx *hctx, struct request **list);
void blk_mq_issue_list_directly(struct blk_mq_hw_ctx *hctx, struct list_head *list);
void blk_mq_try_issue_directly(struct blk_mq_hw_ctx *hctx, struct request *rq, bool last);
void blk_mq_request_init_bio(struct request *rq, struct bio *bio, unsigned nr_segs);
bool blk_mq_get_driver_tag(struct request *rq);
void blk_mq_put_driver_tag(struct request *rq);
void blk_mq_put_budget(struct request *rq);

/* timeout.c */
void blk_timeout_work(struct work_struct *work);
void blk_add_timer(struct request *rq);

/* plug.c */
void blk_flush_plug(struct blk_plug *plug, bool from_schedule);
void blk_add_rq_to_plug(struct blk_plug *plug, struct request *rq);

/*
 * merge.c
 * Cuts the bio to what one request may be; submits the rest. NULL when nothing is left to do (the bio has
 * ended). *nr_segs: of the result.
 */
struct bio *bio_split_to_limits(struct bio *bio, const struct queue_limits *limits, unsigned *nr_segs);
bool blk_attempt_plug_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs);
bool blk_attempt_ctx_merge(struct request_queue *q, struct bio *bio, unsigned nr_segs);
bool blk_rq_mergeable(const struct request *rq);
bool bio_mergeable(const struct bio *bio);

/* flush.c */
int blk_flush_queue_alloc(struct blk_mq_hw_ctx *hctx) __must_check;
void blk_flush_queue_free(struct blk_flush_queue *fq);
/* True when the flush machinery has taken the request (or ended it); false: it goes the normal way. */
bool blk_insert_flush(struct request *rq);

/* stats.c */
int blk_stats_alloc(struct block_device *bdev) __must_check;
void blk_stats_free(struct block_device *bdev);
void blk_account_start(struct request *rq);
void blk_account_done(struct request *rq, u64 now_ns);
void blk_account_completion(struct request *rq, u32 bytes);
void blk_account_merge(struct request *rq);
void blk_account_flush(struct request *flush_rq);

/* disk.c */
int disk_alloc(struct request_queue *q, struct gendisk **out) __must_check;
void disk_set_window(struct gendisk *disk, sector_t start, sector_t count);
struct gendisk *disk_find_locked(struct blk_machine *blk, const char *name);

/* bdev.c. The _locked ones: blk_machine.lock is held. */
int bdev_alloc(struct gendisk *disk, unsigned partno, struct block_device **out) __must_check;
int bdev_register_locked(struct block_device *bdev) __must_check;
void bdev_unregister_locked(struct block_device *bdev);
/* Of a hidden device: gives it a page cache, by upper_ops, and takes that away. */
int bdev_show_upper(struct block_device *bdev) __must_check;
void bdev_hide_upper(struct block_device *bdev);
void bdev_resize(struct block_device *bdev, sector_t sectors);
void bdev_mark_dead(struct block_device *bdev, bool surprise);

/* partition.c. Parts found on a disk; sectors of 512 bytes, verified to lie on it. */
struct found_part {
	sector_t start, count; /* count 0: no such partition */
};
struct part_table {
	struct gendisk *disk;
	sector_t capacity;
	unsigned block_sectors; /* a logical block, in sectors */
	const char *kind;       /* "gpt", "dos"; NULL: none */
	struct found_part parts[DISK_MAX_PARTS];
	char *buf; /* one logical block */
};
/* Reads the logical block into table->buf; it stays until the next read. -EIO also beyond the end. */
int part_read_block(struct part_table *table, u64 lba) __must_check;
int part_read_bytes(struct part_table *table, u64 lba, void *buf, size_t bytes) __must_check;
void part_put(struct part_table *table, unsigned partno, sector_t start, sector_t count);
/* 1: it is one, and the parts are filled; 0: it is none; negative: reading failed. */
int part_scan_gpt(struct part_table *table) __must_check;
int part_scan_msdos(struct part_table *table) __must_check;
int disk_scan_partitions_locked(struct gendisk *disk);
void disk_drop_partitions_locked(struct gendisk *disk);
int disk_find_partition(struct gendisk *disk, unsigned partno, sector_t *start, sector_t *count) __must_check;
extern const struct attribute_group *const disk_attr_groups[];
extern const struct attribute_group *const part_attr_groups[];
static inline struct blk_machine *blk_machine(const struct shale *machine)
{
	return machine->blk;
}

#endif
