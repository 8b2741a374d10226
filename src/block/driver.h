/* SPDX-License-Identifier: MIT */
/*
 * What providers of block devices see: the driver registry, tag sets, requests, disks. Drivers (file, ram,
 * null) and filters (cow, fault, delay, log) have one shape: a `struct blk_driver` that opens a disk from the
 * words of a URI, and `struct blk_mq_ops` that serve its requests. A filter is a driver whose backing store
 * is another block device, which it uses through blk.h only.
 */
#ifndef SHALE_BLOCK_DRIVER_H
#define SHALE_BLOCK_DRIVER_H

#include "block/blk_types.h"
#include "base/workqueue.h"

struct blk_mq_hw_ctx;
struct blk_mq_tag_set;
struct uri_options; /* parsed "?a=b&c=d"; see the end */
struct seq_file;
struct blk_driver;

struct queue_limits {
	u32 logical_block_size;  /* bytes */
	u32 physical_block_size; /* bytes; a write of one is atomic */
	u32 io_min, io_opt;
	u32 max_sectors; /* of one request, in 512-byte sectors */
	u16 max_segments;
	u32 max_segment_bytes;
	u32 dma_alignment; /* mask */
	u32 max_discard_sectors, max_write_zeroes_sectors;
	u32 discard_granularity;
	bool write_cache; /* flush does something */
	bool fua;
	bool rotational;
};

struct request {
	struct request_queue *q;
	struct blk_mq_hw_ctx *mq_hctx;
	blk_opf_t cmd_flags;
	u32 rq_flags;
	int tag, internal_tag;
	u32 data_len;    /* bytes */
	sector_t sector; /* from the start of the disk */
	struct bio *bio, *biotail;
	struct blk_mq_ctx *mq_ctx;
	struct block_device *part; /* for accounting */
	struct request *rq_next;
	u64 start_time_ns;
	u16 nr_phys_segments;
	u16 ioprio;
	int state; /* enum mq_rq_state; atomic */
	refcount_t ref;
	int status;
	struct list_head queuelist;
	void (*end_io)(struct request *rq, int status);
	void *end_io_data;
	u64 deadline_ns;
	struct { /* of flush.c */
		unsigned seq;
		struct list_head list;
		void (*saved_end_io)(struct request *rq, int status);
	} flush;
	void *elv_priv;    /* of the scheduler */
	void *driver_data; /* cmd_size bytes of the driver, behind the request; zero at first, then left as
			      they are */
};

enum mq_rq_state { MQ_RQ_IDLE, MQ_RQ_IN_FLIGHT, MQ_RQ_COMPLETE };

/*
 * The memory of a request, vector by vector: `bv` is a struct bio_vec by value (bvec_virt(&bv) is its
 * address).
 */
struct req_iterator {
	struct bio *bio;
	struct bvec_iter iter;
};
#define rq_for_each_segment(bv, rq, it)                                                                      \
	for ((it).bio = (rq)->bio; (it).bio; (it).bio = (it).bio->bi_next)                                   \
		bio_for_each_segment (bv, (it).bio, (it).iter)

#define BLK_STS_OK       0
#define BLK_STS_RESOURCE 1 /* queue_rq: busy, put it back and run again when something completes */

struct blk_mq_queue_data {
	struct request *rq;
	bool last; /* no more follow at once: kick the hardware */
};

struct blk_mq_ops {
	/*
	 * Must not sleep, and may be called by several threads at once. It calls blk_mq_start_request()
	 * before it hands the request to whatever completes it.
	 */
	int (*queue_rq)(struct blk_mq_hw_ctx *hctx,
			const struct blk_mq_queue_data *bd); /* BLK_STS_* or negative errno */
	void (*commit_rqs)(struct blk_mq_hw_ctx *hctx);
	void (*queue_rqs)(struct request **list);   /* optional batch; leaves what it could not take */
	int (*get_budget)(struct request_queue *q); /* 0, or negative: busy */
	void (*put_budget)(struct request_queue *q);
	int (*timeout)(struct request *rq); /* BLK_EH_* */
	int (*init_hctx)(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned index);
	void (*exit_hctx)(struct blk_mq_hw_ctx *hctx, unsigned index);
};

#define BLK_EH_DONE        0 /* the driver has completed it (or is about to) */
#define BLK_EH_RESET_TIMER 1

/*
 * The hardware queues of one device (or of several disks that share them). The driver embeds it and fills
 * what stands before `tags`.
 */
struct blk_mq_tag_set {
	const struct blk_mq_ops *ops;
	unsigned nr_hw_queues, queue_depth, cmd_size, flags;
	u64 timeout_ns; /* 0: 30 s; only used with ops->timeout */
	void *driver_data;
	struct blk_mq_tags **tags;
	struct shale *machine;
};

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set) __must_check;
void blk_mq_free_tag_set(struct blk_mq_tag_set *set);
/*
 * Makes a disk with its queue; limits are copied and checked. The caller then sets capacity and calls
 * device_add_disk().
 */
int blk_mq_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *limits, void *queuedata,
		      struct gendisk **out) __must_check;
/*
 * A disk without requests: every bio goes to `submit`, which sends it on to other disks, whole or in parts
 * (bio_chain), or ends it. Bios submitted from there are sent when it has returned. No tags, schedulers or
 * accounting; such a disk stays hidden.
 */
int blk_alloc_disk(struct shale *machine, const struct queue_limits *limits,
		   void (*submit)(struct bio *bio, void *queuedata), void *queuedata,
		   struct gendisk **out) __must_check;
int device_add_disk(struct gendisk *disk, const char *name,
		    unsigned flags) __must_check; /* GENHD_FL_HIDDEN: no name, no node, no partitions */
void del_gendisk(struct gendisk *disk);
void put_disk(struct gendisk *disk);
void set_capacity(struct gendisk *disk, sector_t sectors);
void set_disk_ro(struct gendisk *disk, bool read_only);
struct block_device *disk_part0(struct gendisk *disk);
void *disk_private(struct gendisk *disk); /* queuedata */
struct shale *disk_machine(struct gendisk *disk);
const char *
disk_name(const struct gendisk *disk); /* of the device it serves, also for hidden ones: for messages */
/*
 * queuedata of the disk that a request or a hardware context is of; what init_hctx has left in the hardware
 * context.
 */
void *blk_mq_rq_queuedata(const struct request *rq);
void *blk_mq_queuedata(const struct request_queue *q);
void *blk_mq_hctx_queuedata(const struct blk_mq_hw_ctx *hctx);
void *blk_mq_hctx_data(const struct blk_mq_hw_ctx *hctx);
void blk_mq_hctx_set_data(struct blk_mq_hw_ctx *hctx, void *driver_data);
unsigned blk_mq_hctx_index(const struct blk_mq_hw_ctx *hctx);
/* The limits of a disk; for filters: a copy of those of what lies below is where theirs start from. */
const struct queue_limits *disk_limits(const struct gendisk *disk);
/*
 * Whether set_disk_ro made it read-only: a filter over a read-only disk is so, unless it keeps the writes to
 * itself.
 */
bool disk_is_ro(const struct gendisk *disk);
sector_t get_capacity(const struct gendisk *disk);
#define GENHD_FL_HIDDEN  1u /* no name, no node, no partitions */
#define GENHD_FL_NO_PART 2u

/* Fills what is 0 with the usual: 512-byte blocks, 4096 physical, 2560 sectors, 1024 segments of 1 MiB. */
void blk_set_default_limits(struct queue_limits *limits);

void blk_mq_start_request(struct request *rq);
void blk_mq_end_request(struct request *rq, int status); /* 0 or negative errno; completes its bios */
void blk_mq_complete_request(struct request *rq);
bool blk_update_request(struct request *rq, int status,
			unsigned bytes); /* partial completion; true while something remains */
void blk_mq_requeue_request(struct request *rq, bool kick);
/* Stops and starts the calls of queue_rq; stopped requests stay queued. */
void blk_mq_quiesce_queue(struct request_queue *q);
void blk_mq_unquiesce_queue(struct request_queue *q);
/* Calls fn for each request that is in flight (driver tags); a request can end meanwhile, its memory stays.
 */
void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *set, bool (*fn)(struct request *rq, void *data),
			     void *data);
void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx, bool async);
static inline void *blk_mq_rq_to_pdu(struct request *rq)
{
	return rq->driver_data;
}
static inline enum req_op req_op(const struct request *rq)
{
	return (enum req_op)(rq->cmd_flags & REQ_OP_MASK);
}
static inline sector_t blk_rq_pos(const struct request *rq)
{
	return rq->sector;
}
static inline u32 blk_rq_bytes(const struct request *rq)
{
	return rq->data_len;
}

/*
 * The registry (registry.c). Names are the schemes of interfaces.md; kind tells filters ("fault+...") from
 * drivers.
 */
struct blk_driver {
	const char *name; /* "file", "ram", "null", "cow", "fault", "delay", "log" */
	bool is_filter;
	/*
	 * Opens a disk. `rest` is the URI behind "name:"; filters get `lower`, the opened hidden disk below
	 * them. On success *out is a disk ready for device_add_disk().
	 */
	int (*open)(struct shale *machine, const struct blk_driver *drv, const char *rest,
		    const struct uri_options *options, unsigned flags, struct gendisk *lower,
		    struct gendisk **out);
	void (*close)(struct gendisk *disk); /* after the queue is empty */
	/*
	 * Reports and changes settings while running (fault rules, delays, log position): "show" text and
	 * "store" words, as sysfs attributes do.
	 */
	int (*show)(struct gendisk *disk, struct seq_file *m);
	int (*store)(struct gendisk *disk, const char *words);
	/*
	 * The names of the URI options that it takes, NULL at the end; NULL: none. Each option goes to the
	 * first element (from the left) that lists it; "fault.error=EIO" names the element. ro and part are
	 * the registry's own.
	 */
	const char *const *options;
	/*
	 * Or-ed to the flags that the elements below it are opened with: a filter that keeps writes to itself
	 * says DISK_READ_ONLY.
	 */
	unsigned lower_flags;
};
int blk_driver_register(struct shale *machine, const struct blk_driver *drv) __must_check;
void blk_driver_unregister(struct shale *machine, const struct blk_driver *drv);

/*
 * Options that were routed to this element: the value, or NULL; then by type: 0 and *out, -ENOENT when it was
 * not given (*out stays), -EINVAL after an error in words.
 */
const char *uri_option(const struct uri_options *options, const char *key);
int uri_option_size(const struct uri_options *options, const char *key,
		    u64 *out); /* "4096", "64M", "0x10": bytes; suffixes K M G T P (1024) */
int uri_option_bool(const struct uri_options *options, const char *key, bool *out);
/* A size by itself, as in "ram:64M"; -EINVAL. */
int blk_parse_size(const char *text, u64 *out) __must_check;
/*
 * Says why a disk cannot be had: to the log, and kept for disk_last_error(). Returns `error`, so that one can
 * write: return disk_error(machine, -EINVAL, "ram: %s", ...).
 */
int disk_error(struct shale *machine, int error, const char *fmt, ...) __printf(3, 4);

#endif
