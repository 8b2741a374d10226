// What providers of block devices see: the driver registry, tag sets, requests, disks. Drivers (file, ram, null) and filters (cow, fault, delay,
// log) have one shape: a `struct blk_driver` that opens a disk from the words of a URI, and `struct blk_mq_ops` that serve its
// requests. A filter is a driver whose backing store is another block device, which it uses through blk.h only.
#pragma once

#include "block/blk_types.h"
#include "base/workqueue.h"

struct blk_mq_hw_ctx;
struct blk_mq_tag_set;
struct uri_options; // parsed "?a=b&c=d"

struct queue_limits {
	u32 logical_block_size;  // bytes
	u32 physical_block_size; // bytes; a write of one is atomic
	u32 io_min, io_opt;
	u32 max_sectors; // of one request, in 512-byte sectors
	u16 max_segments;
	u32 max_segment_bytes;
	u32 dma_alignment; // mask
	u32 max_discard_sectors, max_write_zeroes_sectors;
	u32 discard_granularity;
	bool write_cache; // flush does something
	bool fua;
	bool rotational;
};

struct request {
	struct request_queue *q;
	struct blk_mq_hw_ctx *mq_hctx;
	blk_opf_t cmd_flags;
	u32 rq_flags;
	int tag, internal_tag;
	u32 data_len; // bytes
	sector_t sector; // from the start of the disk
	struct bio *bio, *biotail;
	struct block_device *part; // for accounting
	struct request *rq_next;
	u64 start_time_ns, io_start_time_ns;
	u16 nr_phys_segments;
	u16 ioprio;
	_Atomic int state; // MQ_RQ_IDLE, IN_FLIGHT, COMPLETE
	int status;
	struct list_head queuelist;
	void (*end_io)(struct request *rq, int status);
	void *end_io_data;
	u64 deadline_ns;
	void *driver_data; // cmd_size bytes of the driver, behind the request
};

#define BLK_STS_OK	 0
#define BLK_STS_RESOURCE 1 // queue_rq: busy, put it back and run again when something completes

struct blk_mq_queue_data {
	struct request *rq;
	bool last; // no more follow at once: kick the hardware
};

struct blk_mq_ops {
	int (*queue_rq)(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd); // BLK_STS_* or negative errno
	void (*commit_rqs)(struct blk_mq_hw_ctx *hctx);
	void (*queue_rqs)(struct request **list); // optional batch; leaves what it could not take
	int (*get_budget)(struct request_queue *q);
	void (*put_budget)(struct request_queue *q);
	int (*timeout)(struct request *rq);
	int (*init_hctx)(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned index);
	void (*exit_hctx)(struct blk_mq_hw_ctx *hctx, unsigned index);
};

struct blk_mq_tag_set {
	const struct blk_mq_ops *ops;
	unsigned nr_hw_queues, queue_depth, cmd_size, flags;
	void *driver_data;
	struct blk_mq_tags **tags;
	struct shale *machine;
};

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set) __must_check;
void blk_mq_free_tag_set(struct blk_mq_tag_set *set);
// Makes a disk with its queue; limits are copied and checked. The caller then sets capacity and calls device_add_disk().
int blk_mq_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *limits, void *queuedata, struct gendisk **out) __must_check;
int device_add_disk(struct gendisk *disk, const char *name, unsigned flags) __must_check; // GENHD_FL_HIDDEN: no name, no node, no partitions
void del_gendisk(struct gendisk *disk);
void put_disk(struct gendisk *disk);
void set_capacity(struct gendisk *disk, sector_t sectors);
void set_disk_ro(struct gendisk *disk, bool read_only);
struct block_device *disk_part0(struct gendisk *disk);
void *disk_private(struct gendisk *disk);

void blk_mq_start_request(struct request *rq);
void blk_mq_end_request(struct request *rq, int status); // 0 or negative errno; completes its bios
void blk_mq_complete_request(struct request *rq);
bool blk_update_request(struct request *rq, int status, unsigned bytes); // partial completion; true while something remains
void blk_mq_requeue_request(struct request *rq, bool kick);
void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx, bool async);
static inline void *blk_mq_rq_to_pdu(struct request *rq) { return rq->driver_data; }
static inline enum req_op req_op(const struct request *rq) { return (enum req_op)(rq->cmd_flags & REQ_OP_MASK); }
static inline sector_t blk_rq_pos(const struct request *rq) { return rq->sector; }
static inline u32 blk_rq_bytes(const struct request *rq) { return rq->data_len; }

// The registry (registry.c). Names are the schemes of interfaces.md; kind tells filters ("fault+...") from drivers.
struct blk_driver {
	const char *name; // "file", "ram", "null", "cow", "fault", "delay", "log"
	bool is_filter;
	// Opens a disk. `rest` is the URI behind "name:"; filters get `lower`, the opened hidden disk below them. On success *out is a disk ready for device_add_disk().
	int (*open)(struct shale *machine, const struct blk_driver *drv, const char *rest, const struct uri_options *options,
		    unsigned flags, struct gendisk *lower, struct gendisk **out);
	void (*close)(struct gendisk *disk); // after the queue is empty
	// Reports and changes settings while running (fault rules, delays, log position): "show" text and "store" words, as sysfs attributes do.
	int (*show)(struct gendisk *disk, struct seq_file *m);
	int (*store)(struct gendisk *disk, const char *words);
};
int blk_driver_register(struct shale *machine, const struct blk_driver *drv) __must_check;
