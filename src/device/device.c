/* SPDX-License-Identifier: MIT */
/*
 * The devices of a machine: a tree by parent, a list in order of addition, and those who listen to additions
 * and removals.
 *
 * A device is made by its driver, which embeds it; the list holds one reference while it is added, each child
 * one on its parent. One mutex (device_machine.lock) orders additions, removals and the listeners' calls, so
 * that a listener never hears of a removal before the addition. Listeners may sleep and may walk with what
 * they are given, but must not add or remove devices.
 */
#include "device/device_internal.h"

#include <string.h>

#include "base/seq_file.h"

const struct device_class block_class = {.name = "block"};

int device_init(struct shale *machine)
{
	struct device_machine *dm = kzalloc(machine, sizeof(*dm));

	if (!dm)
		return -ENOMEM;
	mutex_init(&dm->lock);
	INIT_LIST_HEAD(&dm->devices);
	INIT_LIST_HEAD(&dm->listeners);
	INIT_LIST_HEAD(&dm->majors[DEVICE_BLOCK]);
	INIT_LIST_HEAD(&dm->majors[DEVICE_CHAR]);
	machine->device = dm;
	return 0;
}

void device_exit(struct shale *machine)
{
	struct device_machine *dm = machine->device;

	if (!dm)
		return;
	BUG_ON(!list_empty(&dm->devices));
	BUG_ON(!list_empty(&dm->listeners));
	device_majors_free(machine);
	machine->device = NULL;
	kfree(dm);
}

void device_initialize(struct shale *machine, struct device *dev)
{
	dev->machine = machine;
	refcount_set(&dev->refs, 1);
	dev->added = false;
	INIT_LIST_HEAD(&dev->node);
	INIT_LIST_HEAD(&dev->children);
	INIT_LIST_HEAD(&dev->sibling);
}

struct device *get_device(struct device *dev)
{
	refcount_inc(&dev->refs);
	return dev;
}

void put_device(struct device *dev)
{
	if (refcount_dec_and_test(&dev->refs))
		dev->release(dev);
}

static struct device *device_find_locked(struct device_machine *dm, const struct device_class *class,
					 const char *name, dev_t devt)
{
	struct device *dev;

	list_for_each_entry (dev, &dm->devices, node) {
		if (dev->class != class)
			continue;
		if (name ? !strcmp(dev->name, name) : dev->devt == devt)
			return dev;
	}
	return NULL;
}

int device_add(struct device *dev)
{
	struct device_machine *dm = dev->machine->device;
	struct device_listener *listener;
	scoped_mutex_lock(&dm->lock);

	if (device_find_locked(dm, dev->class, dev->name, 0))
		return -EEXIST;
	get_device(dev);
	list_add_tail(&dev->node, &dm->devices);
	if (dev->parent) {
		get_device(dev->parent);
		list_add_tail(&dev->sibling, &dev->parent->children);
	}
	dev->added = true;
	list_for_each_entry (listener, &dm->listeners, node)
		listener->added(listener, dev);
	return 0;
}

void device_del(struct device *dev)
{
	struct device_machine *dm = dev->machine->device;
	struct device_listener *listener;

	{
		scoped_mutex_lock(&dm->lock);
		if (!dev->added)
			return;
		BUG_ON(!list_empty(&dev->children));
		list_for_each_entry_reverse (listener, &dm->listeners, node)
			listener->removed(listener, dev);
		dev->added = false;
		list_del_init(&dev->node);
		list_del_init(&dev->sibling);
	}
	if (dev->parent)
		put_device(dev->parent);
	put_device(dev);
}

void device_listener_register(struct shale *machine, struct device_listener *listener)
{
	struct device_machine *dm = machine->device;
	struct device *dev;
	scoped_mutex_lock(&dm->lock);

	list_add_tail(&listener->node, &dm->listeners);
	list_for_each_entry (dev, &dm->devices, node)
		listener->added(listener, dev);
}

void device_listener_unregister(struct shale *machine, struct device_listener *listener)
{
	scoped_mutex_lock(&machine->device->lock);

	list_del(&listener->node);
}

int device_for_each(struct shale *machine, const struct device_class *class,
		    int (*fn)(struct device *dev, void *data), void *data)
{
	struct device_machine *dm = machine->device;
	struct device *dev;
	scoped_mutex_lock(&dm->lock);

	list_for_each_entry (dev, &dm->devices, node) {
		int ret = class && dev->class != class ? 0 : fn(dev, data);

		if (ret)
			return ret;
	}
	return 0;
}

struct device *device_find(struct shale *machine, const struct device_class *class, const char *name)
{
	struct device_machine *dm = machine->device;
	scoped_mutex_lock(&dm->lock);
	struct device *dev = device_find_locked(dm, class, name, 0);

	return dev ? get_device(dev) : NULL;
}

struct device *device_find_devt(struct shale *machine, const struct device_class *class, dev_t devt)
{
	struct device_machine *dm = machine->device;
	scoped_mutex_lock(&dm->lock);
	struct device *dev = device_find_locked(dm, class, NULL, devt);

	return dev ? get_device(dev) : NULL;
}

static const struct device_attribute *attr_find_in(const struct attribute_group *const *groups,
						   const char *group, const char *name)
{
	for (; groups && *groups; groups++) {
		const char *own = (*groups)->name ? (*groups)->name : "";

		if (strcmp(own, group ? group : ""))
			continue;
		for (const struct device_attribute *const *a = (*groups)->attrs; *a; a++)
			if (!strcmp((*a)->name, name))
				return *a;
	}
	return NULL;
}

static const struct device_attribute *attr_find(const struct device *dev, const char *group, const char *name)
{
	const struct device_attribute *attr = attr_find_in(dev->groups, group, name);

	return attr ? attr : attr_find_in(dev->class->groups, group, name);
}

int device_attr_show(struct device *dev, const char *group, const char *name, struct seq_file *m)
{
	const struct device_attribute *attr = attr_find(dev, group, name);

	if (!attr)
		return -ENOENT;
	return attr->show ? attr->show(dev, m) : -EACCES;
}

int device_attr_store(struct device *dev, const char *group, const char *name, const char *words)
{
	const struct device_attribute *attr = attr_find(dev, group, name);

	if (!attr)
		return -ENOENT;
	return attr->store ? attr->store(dev, words) : -EACCES;
}
