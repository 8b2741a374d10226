/* SPDX-License-Identifier: MIT */
/*
 * Device numbers: who has which major, and which minors below it are taken.
 *
 * One list of majors for block and one for character devices, sorted, guarded by the device machine's mutex.
 * A major's minors are a bitmap that grows as they are given out; most majors have a few dozen.
 */
#include "device/device_internal.h"

#include <string.h>

#include "base/seq_file.h"

#define MAJOR_MAX         511u
#define MAJOR_DYNAMIC_TOP 254u
#define MAJOR_DYNAMIC_END 234u
#define MINORS_MAX        (1u << MINORBITS)

struct device_major {
	struct list_head node;
	unsigned major;
	char *name;
	unsigned long *minors; /* bitmap of nr_minors bits */
	unsigned nr_minors;
};

static struct device_major *major_find(struct device_machine *dm, enum device_kind kind, unsigned major)
{
	struct device_major *m;

	list_for_each_entry (m, &dm->majors[kind], node)
		if (m->major == major)
			return m;
	return NULL;
}

static int major_choose(struct device_machine *dm, enum device_kind kind, unsigned *major)
{
	if (*major)
		return *major > MAJOR_MAX ? -EINVAL : major_find(dm, kind, *major) ? -EBUSY : 0;
	for (*major = MAJOR_DYNAMIC_TOP; *major >= MAJOR_DYNAMIC_END; --*major)
		if (!major_find(dm, kind, *major))
			return 0;
	return -EBUSY;
}

int device_major_register(struct shale *machine, enum device_kind kind, unsigned major, const char *name)
{
	struct device_machine *dm = machine->device;
	struct device_major *m, *next;
	int ret;
	scoped_mutex_lock(&dm->lock);

	ret = major_choose(dm, kind, &major);
	if (ret)
		return ret;
	m = kzalloc(machine, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->name = kstrdup(machine, name);
	if (!m->name) {
		kfree(m);
		return -ENOMEM;
	}
	m->major = major;
	list_for_each_entry (next, &dm->majors[kind], node)
		if (next->major > major)
			break;
	list_add_tail(&m->node, &next->node); /* in front of `next`, which may be the head */
	return (int)major;
}

static void major_free(struct device_major *m)
{
	list_del(&m->node);
	kfree(m->minors);
	kfree(m->name);
	kfree(m);
}

void device_major_unregister(struct shale *machine, enum device_kind kind, unsigned major, const char *name)
{
	struct device_machine *dm = machine->device;
	struct device_major *m;
	scoped_mutex_lock(&dm->lock);

	m = major_find(dm, kind, major);
	if (m && !strcmp(m->name, name))
		major_free(m);
}

void device_majors_free(struct shale *machine)
{
	struct device_major *m, *next;

	for (unsigned kind = 0; kind < 2; kind++)
		list_for_each_entry_safe (m, next, &machine->device->majors[kind], node)
			major_free(m);
}

/* Makes room for bits [0, bits). */
static int minors_grow(struct shale *machine, struct device_major *m, unsigned bits)
{
	unsigned want = max_t(unsigned, roundup_pow_of_two(bits), 64);
	unsigned long *map;

	if (bits <= m->nr_minors)
		return 0;
	map = kcalloc(machine, want / BITS_PER_LONG, sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (m->minors)
		memcpy(map, m->minors, m->nr_minors / 8);
	kfree(m->minors);
	m->minors = map;
	m->nr_minors = want;
	return 0;
}

static bool minors_free(const struct device_major *m, unsigned first, unsigned count)
{
	for (unsigned bit = first; bit < first + count && bit < m->nr_minors; bit++)
		if (test_bit(bit, m->minors))
			return false;
	return true;
}

int device_minors_alloc(struct shale *machine, enum device_kind kind, unsigned major, unsigned count,
			unsigned *first)
{
	struct device_machine *dm = machine->device;
	struct device_major *m;
	scoped_mutex_lock(&dm->lock);

	m = major_find(dm, kind, major);
	if (!m)
		return -ENODEV;
	for (unsigned at = 0; at + count <= MINORS_MAX; at += count) {
		int ret;

		if (!minors_free(m, at, count))
			continue;
		ret = minors_grow(machine, m, at + count);
		if (ret)
			return ret;
		for (unsigned bit = at; bit < at + count; bit++)
			set_bit(bit, m->minors);
		*first = at;
		return 0;
	}
	return -ENOSPC;
}

void device_minors_free(struct shale *machine, enum device_kind kind, unsigned major, unsigned first,
			unsigned count)
{
	struct device_machine *dm = machine->device;
	struct device_major *m;
	scoped_mutex_lock(&dm->lock);

	m = major_find(dm, kind, major);
	if (!m)
		return;
	for (unsigned bit = first; bit < first + count && bit < m->nr_minors; bit++)
		clear_bit(bit, m->minors);
}

void devices_show(struct shale *machine, struct seq_file *m)
{
	struct device_machine *dm = machine->device;
	struct device_major *major;
	scoped_mutex_lock(&dm->lock);

	seq_puts(m, "Character devices:\n");
	list_for_each_entry (major, &dm->majors[DEVICE_CHAR], node)
		seq_printf(m, "%3u %s\n", major->major, major->name);
	seq_puts(m, "\nBlock devices:\n");
	list_for_each_entry (major, &dm->majors[DEVICE_BLOCK], node)
		seq_printf(m, "%3u %s\n", major->major, major->name);
}
