/* SPDX-License-Identifier: MIT */
/*
 * Devices: reference-counted objects with a name, a class, a number and attributes, known to the machine from
 * device_add() to device_del(). Others learn of them by listening (devtmpfs makes nodes) or by walking (sysfs
 * makes directories).
 *
 * A device belongs to whoever made it until its last reference is put; then `release` frees it. The machine's
 * list, the children and the listeners are guarded by the device machine's mutex; attributes are called
 * without it.
 */
#ifndef SHALE_DEVICE_DEVICE_H
#define SHALE_DEVICE_DEVICE_H

#include "base/atomic.h"
#include "base/list.h"

#include <sys/sysmacros.h>
#include <sys/types.h>

struct shale;
struct seq_file;
struct device;

/*
 * What can be read and written under /sys for a device. `show` prints the whole text; `store` gets the words
 * (NUL at the end) and returns 0 or a negative errno.
 */
struct device_attribute {
	const char *name;
	mode_t mode; /* permission bits */
	int (*show)(struct device *dev, struct seq_file *m);
	int (*store)(struct device *dev, const char *words);
};

/* A directory of attributes below the device; name NULL: in the device's own. */
struct attribute_group {
	const char *name;
	const struct device_attribute *const *attrs; /* NULL at the end */
};

struct device_class {
	const char *name; /* "block", "mem" */
	const struct attribute_group *const
		*groups; /* of each device of the class; NULL at the end; NULL: none */
};
extern const struct device_class block_class;

struct device {
	struct shale *machine;
	const char *name; /* unique in its class; belongs to the maker */
	const struct device_class *class;
	struct device *parent; /* NULL or a device that outlives it (the device holds a reference) */
	dev_t devt;            /* 0: no node */
	mode_t mode;           /* permission bits of the node; 0: 0600 */
	const struct attribute_group *const *groups; /* its own; NULL at the end; NULL: none */
	void *driver_data;
	void (*release)(struct device *dev); /* at the last put */

	refcount_t refs;
	bool added;
	struct list_head node;              /* in the machine's list, in order of device_add */
	struct list_head children, sibling; /* under the parent */
};

/*
 * One reference, the caller's. The fields above `refs` are filled by the caller, before or after, until
 * device_add().
 */
void device_initialize(struct shale *machine, struct device *dev);
struct device *get_device(struct device *dev);
void put_device(struct device *dev);
/* Makes it known; takes a reference. -EEXIST: the class has one of this name. */
int device_add(struct device *dev) __must_check;
/* Takes it back: listeners hear of it, then no walk finds it. Its children must be gone. */
void device_del(struct device *dev);

/* Of block devices the node is a block special file, of all others a character one. */
static inline bool device_is_block(const struct device *dev)
{
	return dev->class == &block_class;
}

/*
 * Called for every device that is added or removed, in order, one at a time; may sleep, may look at devices,
 * must not add or remove any.
 */
struct device_listener {
	void (*added)(struct device_listener *listener, struct device *dev);
	void (*removed)(struct device_listener *listener, struct device *dev);
	struct list_head node;
};
/* Hears of those that are there already before it returns. */
void device_listener_register(struct shale *machine, struct device_listener *listener);
void device_listener_unregister(struct shale *machine, struct device_listener *listener);

/*
 * Calls fn for each device (class NULL: of all), in order of addition, until it returns other than 0, which
 * is the result.
 */
int device_for_each(struct shale *machine, const struct device_class *class,
		    int (*fn)(struct device *dev, void *data), void *data);
/* A reference to the device of that name or number; NULL: none. */
struct device *device_find(struct shale *machine, const struct device_class *class, const char *name);
struct device *device_find_devt(struct shale *machine, const struct device_class *class, dev_t devt);
/* Prints an attribute, or gives it words. -ENOENT, -EACCES (it cannot be read or written). */
int device_attr_show(struct device *dev, const char *group, const char *name,
		     struct seq_file *m) __must_check;
int device_attr_store(struct device *dev, const char *group, const char *name,
		      const char *words) __must_check;

/*
 * Numbers (numbers.c). A major is taken by name, one table for block and one for character devices; minors
 * are given out below a major.
 */
enum device_kind { DEVICE_BLOCK, DEVICE_CHAR };
#define MINORBITS 20u
/* major 0: takes a free one, from 254 downwards. Returns the major, or -EBUSY, -EINVAL (above 511), -ENOMEM.
 */
int device_major_register(struct shale *machine, enum device_kind kind, unsigned major,
			  const char *name) __must_check;
void device_major_unregister(struct shale *machine, enum device_kind kind, unsigned major, const char *name);
static inline int register_blkdev(struct shale *machine, unsigned major, const char *name)
{
	return device_major_register(machine, DEVICE_BLOCK, major, name);
}
/*
 * `count` (a power of two) minors in a row, aligned to it, the lowest that are free. -ENOSPC, -ENOMEM,
 * -ENODEV (no such major).
 */
int device_minors_alloc(struct shale *machine, enum device_kind kind, unsigned major, unsigned count,
			unsigned *first) __must_check;
void device_minors_free(struct shale *machine, enum device_kind kind, unsigned major, unsigned first,
			unsigned count);
/* The text of /proc/devices. */
void devices_show(struct shale *machine, struct seq_file *m);

int device_init(struct shale *machine) __must_check;
void device_exit(struct shale *machine);

#endif
