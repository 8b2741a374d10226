/* SPDX-License-Identifier: MIT */
/*
 * The registry: drivers and filters by name, and disks made of them by URI.
 *
 * A disk is a chain: the driver's disk at the bottom, hidden, and over it one hidden disk for each filter;
 * the outermost gets the name. The registry owns the chain (gendisk.lower) and takes it apart from the top.
 * Options go to the first element, from the left, that lists them; "fault.delay=1" names the element. The
 * list of drivers is guarded by blk_machine.lock, the words of the last error by error_lock.
 */
#include "block/blk_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/parser.h"
#include "block/uri.h"

struct driver_entry {
	struct list_head node;
	const struct blk_driver *driver;
};

int disk_error(struct shale *machine, int error, const char *fmt, ...)
{
	struct blk_machine *blk = blk_machine(machine);
	char text[sizeof(blk->last_error)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_err(machine, "%s", text);
	spin_lock(&blk->error_lock);
	memcpy(blk->last_error, text, sizeof(text));
	spin_unlock(&blk->error_lock);
	return error;
}

void disk_last_error(struct shale *machine, char *buf, size_t size)
{
	struct blk_machine *blk = blk_machine(machine);

	spin_lock(&blk->error_lock);
	snprintf(buf, size, "%s", blk->last_error);
	spin_unlock(&blk->error_lock);
}

int blk_driver_register(struct shale *machine, const struct blk_driver *drv)
{
	struct blk_machine *blk = blk_machine(machine);
	struct driver_entry *e = kzalloc(machine, sizeof(*e));
	struct driver_entry *other;

	if (!e)
		return -ENOMEM;
	e->driver = drv;
	{
		scoped_mutex_lock(&blk->lock);
		list_for_each_entry (other, &blk->drivers, node)
			if (!strcmp(other->driver->name, drv->name)) {
				kfree(e);
				return -EEXIST;
			}
		list_add_tail(&e->node, &blk->drivers);
	}
	return 0;
}

void blk_driver_unregister(struct shale *machine, const struct blk_driver *drv)
{
	struct blk_machine *blk = blk_machine(machine);
	struct driver_entry *e, *next;
	scoped_mutex_lock(&blk->lock);

	list_for_each_entry_safe (e, next, &blk->drivers, node)
		if (e->driver == drv) {
			list_del(&e->node);
			kfree(e);
		}
}

static const struct blk_driver *driver_find(struct shale *machine, const char *name)
{
	struct blk_machine *blk = blk_machine(machine);
	struct driver_entry *e;
	scoped_mutex_lock(&blk->lock);

	list_for_each_entry (e, &blk->drivers, node)
		if (!strcmp(e->driver->name, name))
			return e->driver;
	return NULL;
}

/* What one disk_add works with. */
struct disk_opening {
	struct shale *machine;
	struct disk_uri uri;
	const struct blk_driver *drivers[URI_MAX_ELEMENTS];
	struct uri_options options[URI_MAX_ELEMENTS];
	unsigned flags, part;
};

static int find_drivers(struct disk_opening *o)
{
	for (unsigned i = 0; i < o->uri.nr_elements; i++) {
		const char *name = o->uri.elements[i];
		bool filter = i + 1 < o->uri.nr_elements;

		o->drivers[i] = driver_find(o->machine, name);
		if (!o->drivers[i])
			return disk_error(o->machine, -ENODEV, "there is no %s %s",
					  filter ? "filter" : "driver", name);
		if (o->drivers[i]->is_filter != filter)
			return disk_error(o->machine, -EINVAL,
					  filter ? "%s is not a filter" : "%s needs a disk behind it", name);
		o->options[i].machine = o->machine;
		o->options[i].element = name;
	}
	return 0;
}

static bool driver_takes(const struct blk_driver *drv, const char *key)
{
	for (const char *const *name = drv->options; name && *name; name++)
		if (!strcmp(*name, key))
			return true;
	return false;
}

static int common_option(struct disk_opening *o, const char *key, const char *value)
{
	struct uri_options one = {.machine = o->machine, .element = "disk", .nr = 1};
	bool read_only = false;
	int ret;

	one.keys[0] = key;
	one.values[0] = value;
	if (!strcmp(key, "ro")) {
		ret = uri_option_bool(&one, key, &read_only);
		if (!ret && read_only)
			o->flags |= DISK_READ_ONLY;
		return ret;
	}
	if (kstrtouint(value, 10, &o->part) || !o->part || o->part >= DISK_MAX_PARTS)
		return disk_error(o->machine, -EINVAL, "part=%s is not the number of a partition", value);
	return 0;
}

static int route_option(struct disk_opening *o, const char *key, const char *value)
{
	const char *dot = strchr(key, '.');

	if (!dot && (!strcmp(key, "ro") || !strcmp(key, "part")))
		return common_option(o, key, value);
	for (unsigned i = 0; i < o->uri.nr_elements; i++) {
		const char *name = o->uri.elements[i];
		const char *own = key;
		struct uri_options *to = &o->options[i];

		if (dot) {
			if (strncmp(key, name, (size_t)(dot - key)) || name[dot - key])
				continue;
			own = dot + 1;
		}
		if (!driver_takes(o->drivers[i], own))
			continue;
		if (uri_option(to, own))
			return disk_error(o->machine, -EINVAL, "option %s is given twice", key);
		to->keys[to->nr] = own;
		to->values[to->nr++] = value;
		return 0;
	}
	return disk_error(o->machine, -EINVAL, "no part of the disk's name knows the option %s", key);
}

static int route_options(struct disk_opening *o)
{
	int ret = 0;

	o->part = o->uri.part;
	for (unsigned i = 0; !ret && i < o->uri.nr_options; i++)
		ret = route_option(o, o->uri.keys[i], o->uri.values[i]);
	return ret;
}

/* Takes the chain apart, from `disk` downwards. */
static void chain_close(struct gendisk *disk)
{
	while (disk) {
		struct gendisk *lower = disk->lower;
		const struct blk_driver *driver = disk->driver;

		del_gendisk(disk);
		if (driver->close)
			driver->close(disk);
		put_disk(disk);
		disk = lower;
	}
}

static int chain_open_one(struct disk_opening *o, unsigned i, unsigned flags, const char *name,
			  struct gendisk **chain)
{
	struct gendisk *lower = *chain, *disk;
	const struct blk_driver *drv = o->drivers[i];
	int ret = drv->open(o->machine, drv, lower ? "" : o->uri.rest, &o->options[i], flags, lower, &disk);

	if (ret)
		return ret;
	disk->driver = drv;
	disk->lower = lower;
	*chain = disk;
	if (flags & DISK_READ_ONLY)
		set_disk_ro(disk, true);
	/* Named for messages from now on; the outermost becomes visible later. */
	return device_add_disk(disk, name, GENHD_FL_HIDDEN);
}

static int chain_open(struct disk_opening *o, const char *name, struct gendisk **out)
{
	unsigned flags[URI_MAX_ELEMENTS];
	struct gendisk *chain = NULL;
	unsigned below = o->flags;
	int ret = 0;

	for (unsigned i = 0; i < o->uri.nr_elements; i++) {
		flags[i] = below;
		below |= o->drivers[i]->lower_flags;
	}
	for (unsigned i = o->uri.nr_elements; !ret && i-- > 0;)
		ret = chain_open_one(o, i, flags[i], name, &chain);
	if (ret) {
		chain_close(chain);
		return ret;
	}
	*out = chain;
	return 0;
}

/* Shows only that partition of the disk. */
static int chain_set_part(struct gendisk *disk, unsigned part)
{
	sector_t start, count;
	int ret = disk_find_partition(disk, part, &start, &count);

	if (!ret)
		disk_set_window(disk, start, count);
	return ret;
}

static int chain_add(struct disk_opening *o, const char *name, struct gendisk *disk)
{
	unsigned add_flags = o->flags & DISK_NO_PARTSCAN || o->part ? GENHD_FL_NO_PART : 0;

	if (o->part && o->flags & DISK_UNREAD) {
		disk->window_part = o->part;
		set_bit(GD_UNREAD, &disk->state);
	} else if (o->part) {
		int ret = chain_set_part(disk, o->part);

		if (ret)
			return ret;
	}
	return device_add_disk(disk, name, add_flags);
}

static int disk_add_opened(struct disk_opening *o, const char *name)
{
	struct gendisk *disk;
	int ret = find_drivers(o);

	ret = ret ? ret : route_options(o);
	ret = ret ? ret : chain_open(o, name, &disk);
	if (ret)
		return ret;
	ret = chain_add(o, name, disk);
	if (ret)
		chain_close(disk);
	return ret;
}

static void last_error_clear(struct blk_machine *blk)
{
	scoped_spin_lock(&blk->error_lock);
	blk->last_error[0] = '\0';
}

int disk_add(struct shale *machine, const char *name, const char *uri, unsigned flags)
{
	struct blk_machine *blk = blk_machine(machine);
	struct disk_opening *o = kzalloc(machine, sizeof(*o));
	int ret;

	if (!o)
		return -ENOMEM;
	last_error_clear(blk);
	o->machine = machine;
	o->flags = flags | (READ_ONCE(blk->unread) ? DISK_UNREAD : 0);
	ret = disk_uri_parse(machine, uri, &o->uri);
	if (!ret) {
		ret = disk_add_opened(o, name);
		disk_uri_free(&o->uri);
	}
	kfree(o);
	return ret;
}

int disk_remove(struct shale *machine, const char *name)
{
	struct blk_machine *blk = blk_machine(machine);
	struct gendisk *disk;

	{
		scoped_mutex_lock(&blk->lock);
		disk = disk_find_locked(blk, name);
		if (!disk || !disk->driver)
			return -ENODEV;
		mutex_lock(&disk->open_mutex);
		if (atomic_read(&disk->part0->bd_openers) || disk->open_partitions) {
			mutex_unlock(&disk->open_mutex);
			return -EBUSY;
		}
		/* From here on nobody can open it, nor remove it a second time. */
		if (test_and_set_bit(GD_DEAD, &disk->state)) {
			mutex_unlock(&disk->open_mutex);
			return -ENODEV;
		}
		mutex_unlock(&disk->open_mutex);
	}
	chain_close(disk);
	return 0;
}

/* One that was attached unread; its table is read, unless that is for part=N. */
static struct gendisk *disks_start_next(struct blk_machine *blk)
{
	struct gendisk *disk;
	scoped_mutex_lock(&blk->lock);

	list_for_each_entry (disk, &blk->disks, node) {
		if (!test_and_clear_bit(GD_UNREAD, &disk->state))
			continue;
		if (!disk->window_part)
			(void)disk_scan_partitions_locked(disk);
		return disk;
	}
	return NULL;
}

int disks_start(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);
	struct gendisk *disk;
	int ret = 0;

	last_error_clear(blk);
	while ((disk = disks_start_next(blk))) {
		int err = disk->window_part ? chain_set_part(disk, disk->window_part) : 0;

		if (err)
			chain_close(disk);
		ret = ret ? ret : err;
	}
	mutex_lock(&blk->lock);
	WRITE_ONCE(blk->unread, false);
	mutex_unlock(&blk->lock);
	return ret;
}

/* The end of a machine: all disks that are left, open or not. */
void disks_close_all(struct shale *machine)
{
	struct blk_machine *blk = blk_machine(machine);

	for (;;) {
		struct gendisk *disk;

		mutex_lock(&blk->lock);
		disk = list_first_entry_or_null(&blk->disks, struct gendisk, node);
		mutex_unlock(&blk->lock);
		if (!disk)
			return;
		BUG_ON(!disk->driver); /* who makes disks without the registry removes them */
		chain_close(disk);
	}
}

typedef int (*control_fn)(struct gendisk *disk, void *arg);

static int disk_control(struct shale *machine, const char *name, const char *layer, bool store, control_fn fn,
			void *arg)
{
	struct blk_machine *blk = blk_machine(machine);
	struct gendisk *disk;
	scoped_mutex_lock(&blk->lock);

	disk = disk_find_locked(blk, name);
	if (!disk || test_bit(GD_DEAD, &disk->state))
		return -ENODEV;
	for (; disk; disk = disk->lower) {
		const struct blk_driver *drv = disk->driver;
		bool can = drv && (store ? drv->store != NULL : drv->show != NULL);

		if (layer ? drv && !strcmp(drv->name, layer) : can)
			return can ? fn(disk, arg) : -EOPNOTSUPP;
	}
	return layer ? -ENOENT : -EOPNOTSUPP;
}

static int control_show(struct gendisk *disk, void *arg)
{
	return disk->driver->show(disk, arg);
}

static int control_store(struct gendisk *disk, void *arg)
{
	return disk->driver->store(disk, arg);
}

int disk_control_show(struct shale *machine, const char *disk, const char *layer, struct seq_file *m)
{
	return disk_control(machine, disk, layer, false, control_show, m);
}

int disk_control_store(struct shale *machine, const char *disk, const char *layer, const char *words)
{
	return disk_control(machine, disk, layer, true, control_store, (void *)words);
}
