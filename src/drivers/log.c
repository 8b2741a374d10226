/* SPDX-License-Identifier: MIT */
/*
 * log+DISK, which remembers every write, flush and discard on its way down, with data and order, for the
 * crash lab (write_log.h). Reads pass by.
 *
 * Option: log=LABEL, by which write_log_get finds the record. While it runs: "on", "off", "clear", "mark
 * TEXT"; shown are the number of entries and bytes. The disk holds one reference on its record.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/machine.h"
#include "base/parser.h"
#include "device/module.h"
#include "drivers/filter_internal.h"
#include "drivers/write_log_internal.h"

struct log_disk {
	struct filter filter; /* first */
	struct write_log *log;
};

static struct write_log *log_of(struct filter_rq *frq)
{
	return container_of(frq->filter, struct log_disk, filter)->log;
}

static int log_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	return filter_queue(bd->rq, 0);
}

static void log_done(struct filter_rq *frq, int status)
{
	write_log_end(log_of(frq), filter_priv(frq), status);
	blk_mq_end_request(frq->rq, status);
}

static enum write_log_op log_op(const struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_WRITE:
		return WRITE_LOG_WRITE;
	case REQ_OP_FLUSH:
		return WRITE_LOG_FLUSH;
	case REQ_OP_WRITE_ZEROES:
		return WRITE_LOG_ZEROES;
	default:
		return WRITE_LOG_DISCARD;
	}
}

/* Adds the request to the record, with a copy of its data. -ENOMEM. */
static int log_record(struct filter_rq *frq)
{
	struct write_log *log = log_of(frq);
	struct request *rq = frq->rq;
	struct write_log_entry *entry;
	struct req_iterator it;
	struct bio_vec bv;
	void *data;

	entry = write_log_prepare(log, log_op(rq), req_op(rq) == REQ_OP_FLUSH ? 0 : blk_rq_pos(rq),
				  blk_rq_bytes(rq), &data);
	if (!entry)
		return -ENOMEM;
	entry->fua = rq->cmd_flags & REQ_FUA;
	entry->meta = rq->cmd_flags & REQ_META;
	if (req_op(rq) == REQ_OP_WRITE)
		rq_for_each_segment(bv, rq, it)
		{
			memcpy(data, bvec_virt(&bv), bv.bv_len);
			data = (u8 *)data + bv.bv_len;
		}
	return write_log_start(log, entry, filter_priv(frq));
}

static void log_serve(struct filter_rq *frq)
{
	int err = 0;

	if (req_op(frq->rq) == REQ_OP_READ || !write_log_enabled(log_of(frq))) {
		filter_pass(frq);
		return;
	}
	err = filter_clone(frq);
	if (!err)
		err = log_record(frq);
	if (err)
		blk_mq_end_request(frq->rq, err);
	else
		filter_submit(frq, log_done);
}

static const struct blk_mq_ops log_mq_ops = {.queue_rq = log_queue_rq};

static const struct filter_shape log_shape = {
	.name = "log",
	.ops = &log_mq_ops,
	.priv_bytes = sizeof(struct write_log_ticket),
	.serve = log_serve,
};

static int log_store(struct gendisk *gendisk, const char *words)
{
	struct log_disk *disk = disk_private(gendisk);
	char *copy __free_kfree = kstrdup(disk->filter.machine, words), *text;

	if (!copy)
		return -ENOMEM;
	text = strim(copy);
	if (!strcmp(text, "on") || !strcmp(text, "off")) {
		write_log_enable(disk->log, !strcmp(text, "on"));
		return 0;
	}
	if (!strcmp(text, "clear")) {
		write_log_clear(disk->log);
		return 0;
	}
	return strncmp(text, "mark ", 5) ? -EINVAL : write_log_mark(disk->log, skip_spaces(text + 5));
}

static int log_show(struct gendisk *gendisk, struct seq_file *m)
{
	struct log_disk *disk = disk_private(gendisk);

	write_log_show(disk->log, m);
	return 0;
}

static int log_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		    const struct uri_options *options, unsigned flags, struct gendisk *lower,
		    struct gendisk **out)
{
	struct log_disk *disk = kzalloc(machine, sizeof(*disk));
	int err;

	if (!disk)
		return -ENOMEM;
	err = write_log_create(machine, uri_option(options, "log"), &disk->log);
	if (err)
		goto free_disk;
	err = filter_create(&disk->filter, machine, lower, &log_shape, out);
	if (err)
		goto retire_log;
	return 0;

retire_log:
	write_log_retire(disk->log);
free_disk:
	kfree(disk);
	return err;
}

static void log_close(struct gendisk *gendisk)
{
	struct log_disk *disk = disk_private(gendisk);

	filter_destroy(&disk->filter);
	write_log_retire(disk->log);
	kfree(disk);
}

static const char *const log_options[] = {"log", NULL};

static const struct blk_driver log_driver = {
	.name = "log",
	.is_filter = true,
	.open = log_open,
	.close = log_close,
	.show = log_show,
	.store = log_store,
	.options = log_options,
};

static int log_driver_init(struct shale *machine)
{
	int err;

	machine->drivers = kzalloc(machine, sizeof(*machine->drivers));
	if (!machine->drivers)
		return -ENOMEM;
	spin_lock_init(&machine->drivers->lock);
	INIT_LIST_HEAD(&machine->drivers->logs);
	err = blk_driver_register(machine, &log_driver);
	if (err) {
		kfree(machine->drivers);
		machine->drivers = NULL;
	}
	return err;
}

static void log_driver_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &log_driver);
	kfree(machine->drivers);
	machine->drivers = NULL;
}

SHALE_MODULE(log, MODULE_DRIVER, log_driver_init, log_driver_exit);
