/* SPDX-License-Identifier: MIT */
/*
 * fault+DISK, a disk that fails on purpose: requests end with errors, come late, arrive in part or in the
 * wrong place, by the rules of fault_internal.h. Rules are given in the URI, with ',' for blanks and ';'
 * between rules
 * ("?fault=op=read,start=8,end=15,error=EIO;op=write,torn=1"), and added, deleted and listed while it runs
 * ("add ...", "del ID", "clear").
 *
 * A request is asked about once, in queue_rq; what was decided stands behind the request.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/machine.h"
#include "base/seq_file.h"
#include "device/module.h"
#include "drivers/fault_internal.h"
#include "drivers/filter_internal.h"

struct fault_disk {
	struct filter filter; /* first */
	struct fault_rules rules;
};

static int fault_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct fault_disk *disk = blk_mq_hctx_queuedata(hctx);
	struct fault *fault = filter_priv(blk_mq_rq_to_pdu(bd->rq));

	*fault = fault_rules_ask(&disk->rules, req_op(bd->rq), blk_rq_pos(bd->rq),
				 blk_rq_bytes(bd->rq) >> SECTOR_SHIFT);
	return filter_queue(bd->rq, fault->delay_ns);
}

static void fault_done(struct filter_rq *frq, int status)
{
	const struct fault *fault = filter_priv(frq);

	blk_mq_end_request(frq->rq, fault->error ? fault->error : status);
}

/* Moves the bio, unless that leads off the disk. */
static void fault_shift(struct filter_rq *frq, s64 shift)
{
	u64 capacity = get_capacity(frq->filter->lower), sector = frq->bio.bi_iter.bi_sector + (u64)shift;

	if (shift && sector <= capacity && bio_sectors(&frq->bio) <= capacity - sector)
		frq->bio.bi_iter.bi_sector = sector;
}

static void fault_serve(struct filter_rq *frq)
{
	const struct fault *fault = filter_priv(frq);
	bool has_place = blk_rq_bytes(frq->rq);
	int err;

	/* An error alone keeps the request from the disk; with torn, a part of it arrives first. */
	if (fault->error && fault->torn < 0) {
		blk_mq_end_request(frq->rq, fault->error);
		return;
	}
	err = filter_clone(frq);
	if (err || (has_place && fault->torn == 0)) {
		blk_mq_end_request(frq->rq, err ? err : fault->error);
		return;
	}
	if (has_place) {
		if (fault->torn > 0)
			frq->bio.bi_iter.bi_size = min_t(u64, frq->bio.bi_iter.bi_size,
							 min_t(u64, fault->torn, UINT32_MAX) << SECTOR_SHIFT);
		fault_shift(frq, fault->shift);
	}
	filter_submit(frq, fault_done);
}

static const struct blk_mq_ops fault_mq_ops = {.queue_rq = fault_queue_rq};

static const struct filter_shape fault_shape = {
	.name = "fault",
	.ops = &fault_mq_ops,
	.priv_bytes = sizeof(struct fault),
	.serve = fault_serve,
};

static int fault_store(struct gendisk *gendisk, const char *words)
{
	struct fault_disk *disk = disk_private(gendisk);
	char *copy __free_kfree = kstrdup(disk->filter.machine, words);

	return copy ? fault_rules_store(&disk->rules, copy) : -ENOMEM;
}

static int fault_show(struct gendisk *gendisk, struct seq_file *m)
{
	struct fault_disk *disk = disk_private(gendisk);

	fault_rules_show(&disk->rules, m);
	return 0;
}

/* The rules of the URI. */
static int fault_add_given(struct fault_disk *disk, const char *given)
{
	struct shale *machine = disk->filter.machine;
	char *copy __free_kfree = kstrdup(machine, given), *rest = copy, *rule;
	int err = copy ? 0 : -ENOMEM;

	while (!err && (rule = strsep(&rest, ";"))) {
		for (char *c = rule; *c; c++)
			if (*c == ',')
				*c = ' ';
		err = fault_rules_add(&disk->rules, rule);
	}
	return err == -EINVAL
		       ? disk_error(machine, err, "fault=%s: there is a rule that is not understood", given)
		       : err;
}

static int fault_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		      const struct uri_options *options, unsigned flags, struct gendisk *lower,
		      struct gendisk **out)
{
	struct fault_disk *disk = kzalloc(machine, sizeof(*disk));
	const char *given = uri_option(options, "fault");
	int err = 0;

	if (!disk)
		return -ENOMEM;
	disk->filter.machine = machine;
	fault_rules_init(machine, &disk->rules);
	if (given)
		err = fault_add_given(disk, given);
	if (!err)
		err = filter_create(&disk->filter, machine, lower, &fault_shape, out);
	if (err) {
		fault_rules_clear(&disk->rules);
		kfree(disk);
	}
	return err;
}

static void fault_close(struct gendisk *gendisk)
{
	struct fault_disk *disk = disk_private(gendisk);

	filter_destroy(&disk->filter);
	fault_rules_clear(&disk->rules);
	kfree(disk);
}

static const char *const fault_options[] = {"fault", NULL};

static const struct blk_driver fault_driver = {
	.name = "fault",
	.is_filter = true,
	.open = fault_open,
	.close = fault_close,
	.show = fault_show,
	.store = fault_store,
	.options = fault_options,
};

static int fault_init(struct shale *machine)
{
	return blk_driver_register(machine, &fault_driver);
}

static void fault_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &fault_driver);
}

SHALE_MODULE(fault, MODULE_DRIVER, fault_init, fault_exit);
