/* SPDX-License-Identifier: MIT */
/*
 * delay+DISK, a slow disk, and the first filter to read: every request waits for a while, then goes to the
 * disk below.
 *
 * A filter has the shape of a driver (see ram.c) with the disk below in the place of memory;
 * filter_internal.h has what filters share, and why requests are served by work items. Times are by the
 * machine's clock, so in a threads=0 machine a delay of an hour costs nothing and repeats exactly.
 *
 * Options: delay=TIME for all requests, read=, write=, flush=, discard= for one kind (discard also for
 * write-zeroes). While it runs the same words change it: "read=5ms flush=0". The disk owns a struct delay;
 * its times are atomic.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/machine.h"
#include "base/seq_file.h"
#include "device/module.h"
#include "drivers/filter_internal.h"

enum delay_kind { DELAY_READ, DELAY_WRITE, DELAY_FLUSH, DELAY_DISCARD, NR_DELAYS };

static const char *const delay_names[NR_DELAYS] = {"read", "write", "flush", "discard"};

struct delay {
	struct filter filter; /* first */
	s64 ns[NR_DELAYS];
};

static enum delay_kind delay_kind(const struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return DELAY_READ;
	case REQ_OP_WRITE:
		return DELAY_WRITE;
	case REQ_OP_FLUSH:
		return DELAY_FLUSH;
	default:
		return DELAY_DISCARD;
	}
}

static int delay_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct delay *delay = blk_mq_hctx_queuedata(hctx);

	return filter_queue(bd->rq, READ_ONCE(delay->ns[delay_kind(bd->rq)]));
}

static const struct blk_mq_ops delay_mq_ops = {.queue_rq = delay_queue_rq};

static const struct filter_shape delay_shape = {
	.name = "delay",
	.ops = &delay_mq_ops,
	.serve = filter_pass,
};

/* One setting: the name of a kind, or "delay" for all of them, and a time. */
static int delay_set(struct delay *delay, const char *name, const char *value)
{
	bool known = false;
	s64 ns;
	int err = filter_parse_time(value, &ns);

	for (unsigned i = 0; !err && i < NR_DELAYS; i++) {
		if (strcmp(name, "delay") && strcmp(name, delay_names[i]))
			continue;
		WRITE_ONCE(delay->ns[i], ns);
		known = true;
	}
	return known ? 0 : -EINVAL;
}

static int delay_store(struct gendisk *disk, const char *words)
{
	char *copy __free_kfree = kstrdup(disk_machine(disk), words), *rest = copy, *word, *value;
	int err = copy ? 0 : -ENOMEM;

	while (!err && (word = strsep(&rest, " \t\n"))) {
		if (!*word)
			continue;
		value = strchr(word, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		err = delay_set(disk_private(disk), word, value);
	}
	return err;
}

static int delay_show(struct gendisk *disk, struct seq_file *m)
{
	struct delay *delay = disk_private(disk);

	for (unsigned i = 0; i < NR_DELAYS; i++)
		seq_printf(m, "%s%s=%lld", i ? " " : "", delay_names[i], (long long)READ_ONCE(delay->ns[i]));
	seq_putc(m, '\n');
	return 0;
}

static const char *const delay_options[] = {"delay", "read", "write", "flush", "discard", NULL};

static int delay_open(struct shale *machine, const struct blk_driver *drv, const char *rest,
		      const struct uri_options *options, unsigned flags, struct gendisk *lower,
		      struct gendisk **out)
{
	struct delay *delay __free_kfree = kzalloc(machine, sizeof(*delay));
	int err;

	if (!delay)
		return -ENOMEM;
	for (unsigned i = 0; delay_options[i]; i++) {
		const char *value = uri_option(options, delay_options[i]);

		if (value && delay_set(delay, delay_options[i], value))
			return disk_error(machine, -EINVAL, "delay: %s=%s: not a time such as 5ms",
					  delay_options[i], value);
	}
	err = filter_create(&delay->filter, machine, lower, &delay_shape, out);
	if (!err)
		no_free_ptr(delay);
	return err;
}

static void delay_close(struct gendisk *disk)
{
	struct delay *delay = disk_private(disk);

	filter_destroy(&delay->filter);
	kfree(delay);
}

static const struct blk_driver delay_driver = {
	.name = "delay",
	.is_filter = true,
	.open = delay_open,
	.close = delay_close,
	.show = delay_show,
	.store = delay_store,
	.options = delay_options,
};

static int delay_init(struct shale *machine)
{
	return blk_driver_register(machine, &delay_driver);
}

static void delay_exit(struct shale *machine)
{
	blk_driver_unregister(machine, &delay_driver);
}

SHALE_MODULE(delay, MODULE_DRIVER, delay_init, delay_exit);
