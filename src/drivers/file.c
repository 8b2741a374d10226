/* SPDX-License-Identifier: MIT */
/*
 * file:PATH, a host file or block device as a disk. Requests become requests of the I/O engine
 * (io_engine_internal.h): through the direct descriptor if there is one and the request is aligned for it,
 * else through the buffered one. What was opened, and how, is host_file.c's business.
 *
 * Flush is fdatasync and is never left out; FUA is RWF_DSYNC; discard punches a hole. An error of the host is
 * told once in words (and not too often), with the file and the place.
 *
 * Options: direct=auto|0|1; offset=, size= for a part of the file; sector=512|4096, in which partition tables
 * count; io=auto|ring|threads. The disk owns a struct file_disk, which does not change while the disk lives.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/machine.h"
#include "block/blk.h"
#include "block/driver.h"
#include "device/module.h"
#include "drivers/host_file_internal.h"
#include "drivers/io_engine_internal.h"

#define FILE_SEGMENTS 128
#define FILE_DEPTH    128

struct file_disk {
	struct blk_mq_tag_set set;
	struct host_file host;
	struct io_file buffered, direct; /* direct.engine NULL: none */
	u64 offset;                      /* bytes: where the disk begins in the file */
	char *path;                      /* for messages */
};

struct file_rq {
	struct io_req io;
	struct request *rq;
	struct iovec iov[FILE_SEGMENTS];
};

/* Why the host did not do it. The place is what remained of the request. */
static void file_tell_error(const struct file_disk *file, const struct io_req *io, int err)
{
	static const char *const words[] = {"read", "write", "flush", "discard", "zeroing"};

	if (io->truncated)
		pr_err_ratelimited(file->set.machine,
				   "%s: ends at or before byte %llu, inside the disk: was it cut short?",
				   file->path, (unsigned long long)io->offset);
	else if (err != -EOPNOTSUPP)
		pr_err_ratelimited(file->set.machine, "%s: %s at byte %llu, %llu bytes: %s", file->path,
				   words[io->op], (unsigned long long)io->offset,
				   (unsigned long long)io->bytes, strerror(-err));
}

static void file_done(struct io_req *io, int result)
{
	struct file_rq *frq = container_of(io, struct file_rq, io);

	if (result)
		file_tell_error(blk_mq_rq_queuedata(frq->rq), io, result);
	blk_mq_end_request(frq->rq, result);
}

/* Collects the memory of the request. False: direct I/O does not take it. -EIO: too many pieces. */
static int file_map(const struct file_disk *file, struct file_rq *frq, bool *aligned)
{
	uintptr_t odd_mem = 0;
	u64 odd = frq->io.offset;
	struct req_iterator it;
	struct bio_vec bv;
	unsigned n = 0;

	rq_for_each_segment(bv, frq->rq, it)
	{
		if (n == FILE_SEGMENTS)
			return -EIO;
		frq->iov[n++] = (struct iovec){bvec_virt(&bv), bv.bv_len};
		odd_mem |= (uintptr_t)bvec_virt(&bv);
		odd |= bv.bv_len;
	}
	frq->io.iov = frq->iov;
	frq->io.nr_iov = n;
	*aligned = !(odd_mem & (file->host.mem_align - 1)) && !(odd & (file->host.offset_align - 1));
	return 0;
}

static int file_prepare(struct file_disk *file, struct file_rq *frq)
{
	struct request *rq = frq->rq;
	struct io_req *io = &frq->io;
	bool aligned = false;
	int err = 0;

	io->file = &file->buffered;
	io->fallback = NULL;
	io->offset = file->offset + (blk_rq_pos(rq) << SECTOR_SHIFT);
	io->bytes = blk_rq_bytes(rq);
	io->nr_iov = 0;
	io->dsync = rq->cmd_flags & REQ_FUA;
	io->done = file_done;
	switch (req_op(rq)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		io->op = req_op(rq) == REQ_OP_READ ? IO_READ : IO_WRITE;
		err = file_map(file, frq, &aligned);
		break;
	case REQ_OP_FLUSH:
		io->op = IO_FSYNC;
		io->offset = io->bytes = 0;
		break;
	case REQ_OP_DISCARD:
		io->op = IO_PUNCH;
		break;
	case REQ_OP_WRITE_ZEROES:
		io->op = IO_ZERO;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (aligned && file->direct.engine) {
		io->file = &file->direct;
		io->fallback = &file->buffered;
	}
	return err;
}

static int file_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct file_disk *file = blk_mq_hctx_queuedata(hctx);
	struct file_rq *frq = blk_mq_rq_to_pdu(bd->rq);
	int err;

	frq->rq = bd->rq;
	err = file_prepare(file, frq);
	blk_mq_start_request(bd->rq);
	if (err)
		blk_mq_end_request(bd->rq, err);
	else
		io_submit(&frq->io);
	if (bd->last)
		io_commit(file->buffered.engine);
	return BLK_STS_OK;
}

static void file_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct file_disk *file = blk_mq_hctx_queuedata(hctx);

	io_commit(file->buffered.engine);
}

static const struct blk_mq_ops file_mq_ops = {.queue_rq = file_queue_rq, .commit_rqs = file_commit_rqs};

static const struct queue_limits file_limits = {
	.logical_block_size = 512,
	.physical_block_size = 4096,
	.io_min = 4096,
	.max_sectors = SZ_2M / SECTOR_SIZE,
	.max_segments = FILE_SEGMENTS,
	.max_segment_bytes = SZ_2M,
	.dma_alignment = 511,
	.max_discard_sectors = SZ_1G / SECTOR_SIZE,
	.max_write_zeroes_sectors = SZ_64M / SECTOR_SIZE,
	.discard_granularity = 4096,
	.write_cache = true,
	.fua = true,
};

struct file_options {
	struct host_file_request how;
	enum io_way way;
	u64 offset, size; /* bytes; size 0: to the end */
	u64 sector;       /* bytes; 0: those of the host */
};

/* The value of an option as one of three words, by number; -EINVAL after an error in words. */
static int file_option_word(struct shale *machine, const char *path, const struct uri_options *options,
			    const char *key, const char *const words[3], unsigned *out)
{
	const char *value = uri_option(options, key);

	for (unsigned i = 0; i < 3; i++) {
		if (value && strcmp(value, words[i]))
			continue;
		*out = i;
		return 0;
	}
	return disk_error(machine, -EINVAL, "%s: %s=%s: not one of %s, %s, %s", path, key, value, words[0],
			  words[1], words[2]);
}

static int file_parse_options(struct shale *machine, const struct uri_options *options,
			      struct file_options *opt)
{
	static const char *const directs[] = {"auto", "0", "1"};       /* enum host_direct */
	static const char *const ways[] = {"auto", "ring", "threads"}; /* enum io_way */
	unsigned direct, way;
	int err;

	err = file_option_word(machine, opt->how.path, options, "direct", directs, &direct);
	if (!err)
		err = file_option_word(machine, opt->how.path, options, "io", ways, &way);
	if (err)
		return err;
	opt->how.direct = direct;
	opt->way = way;
	err = uri_option_size(options, "offset", &opt->offset);
	if (err && err != -ENOENT)
		return err;
	err = uri_option_size(options, "size", &opt->size);
	if (!err && !opt->size)
		return disk_error(machine, -EINVAL, "%s: size=0 leaves nothing", opt->how.path);
	if (err && err != -ENOENT)
		return err;
	err = uri_option_size(options, "sector", &opt->sector);
	if (!err && opt->sector != 512 && opt->sector != 4096)
		return disk_error(machine, -EINVAL, "%s: sector is 512 or 4096", opt->how.path);
	return err == -ENOENT ? 0 : err;
}

/* Of how many bytes the disk's sectors are: a device cannot serve smaller ones than it has. */
static int file_sector_bytes(struct shale *machine, struct file_options *opt, u64 host)
{
	if (!opt->sector)
		opt->sector = host;
	if (opt->sector >= host)
		return 0;
	return disk_error(machine, -EINVAL, "%s: its sectors are of %llu bytes", opt->how.path,
			  (unsigned long long)host);
}

/* The part of the file that the options ask for, in bytes. */
static int file_window(struct shale *machine, const struct file_options *opt, u64 file_bytes, u64 *bytes)
{
	if (opt->offset % opt->sector || opt->size % opt->sector)
		return disk_error(machine, -EINVAL, "%s: offset and size have to be multiples of %llu",
				  opt->how.path, (unsigned long long)opt->sector);
	if (opt->offset >= file_bytes || opt->size > file_bytes - opt->offset)
		return disk_error(machine, -EINVAL, "%s: offset and size reach past its end at byte %llu",
				  opt->how.path, (unsigned long long)file_bytes);
	*bytes = round_down(opt->size ? opt->size : file_bytes - opt->offset, opt->sector);
	if (!*bytes)
		return disk_error(machine, -EINVAL, "%s: holds no sector of %llu bytes", opt->how.path,
				  (unsigned long long)opt->sector);
	return 0;
}

static int file_register(struct file_disk *file, enum io_way way)
{
	struct shale *machine = file->set.machine;
	int err = io_file_register(machine, file->host.fd, way, &file->buffered);

	if (!err && file->host.direct_fd >= 0)
		err = io_file_register(machine, file->host.direct_fd, way, &file->direct);
	return err ? disk_error(machine, err, "%s: io=ring: io_uring is not to be had", file->path) : 0;
}

static void file_free(struct file_disk *file)
{
	io_file_unregister(&file->direct);
	io_file_unregister(&file->buffered);
	host_file_close(&file->host);
	kfree(file->path);
	kfree(file);
}

static int file_make_disk(struct file_disk *file, const struct file_options *opt, u64 bytes,
			  struct gendisk **out)
{
	struct queue_limits limits = file_limits;
	int err = blk_mq_alloc_tag_set(&file->set);

	if (err)
		return err;
	limits.logical_block_size = (u32)opt->sector;
	limits.write_cache = limits.fua = !opt->how.read_only;
	err = blk_mq_alloc_disk(&file->set, &limits, file, out);
	if (err) {
		blk_mq_free_tag_set(&file->set);
		return err;
	}
	set_capacity(*out, bytes >> SECTOR_SHIFT);
	set_disk_ro(*out, opt->how.read_only);
	return 0;
}

static int file_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		     const struct uri_options *options, unsigned flags, struct gendisk *lower,
		     struct gendisk **out)
{
	struct file_options opt = {.how = {.path = rest,
					   .read_only = flags & DISK_READ_ONLY,
					   .unlocked = flags & DISK_UNLOCKED,
					   .unread = flags & DISK_UNREAD}};
	struct file_disk *file;
	u64 bytes = 0;
	int err = file_parse_options(machine, options, &opt);

	if (err)
		return err;
	file = kzalloc(machine, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->set = (struct blk_mq_tag_set){.ops = &file_mq_ops,
					    .nr_hw_queues = 1,
					    .queue_depth = FILE_DEPTH,
					    .cmd_size = sizeof(struct file_rq),
					    .machine = machine};
	file->host.fd = file->host.direct_fd = -1;
	file->offset = opt.offset;
	file->path = kstrdup(machine, rest);
	err = file->path ? host_file_open(machine, &opt.how, &file->host) : -ENOMEM;
	if (!err)
		err = file_sector_bytes(machine, &opt, (u64)file->host.sector_bytes);
	if (!err)
		err = file_window(machine, &opt, file->host.bytes, &bytes);
	if (!err)
		err = file_register(file, opt.way);
	if (!err)
		err = file_make_disk(file, &opt, bytes, out);
	if (err)
		file_free(file);
	return err;
}

static void file_close(struct gendisk *disk)
{
	struct file_disk *file = disk_private(disk);

	blk_mq_free_tag_set(&file->set);
	file_free(file);
}

static const char *const file_options[] = {"direct", "offset", "size", "sector", "io", NULL};

static const struct blk_driver file_driver = {
	.name = "file",
	.open = file_open,
	.close = file_close,
	.options = file_options,
};

static int file_init(struct shale *machine)
{
	int err = io_engine_create(machine);

	if (err)
		return err;
	err = blk_driver_register(machine, &file_driver);
	if (err)
		io_engine_destroy(machine);
	return err;
}

static void file_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &file_driver);
	io_engine_destroy(machine);
}

SHALE_MODULE(file, MODULE_DRIVER, file_init, file_exit);
