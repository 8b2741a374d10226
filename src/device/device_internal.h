/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the machine's device state.
 */
#ifndef SHALE_DEVICE_DEVICE_INTERNAL_H
#define SHALE_DEVICE_DEVICE_INTERNAL_H

#include "base/machine.h"
#include "base/mutex.h"
#include "device/device.h"

struct device_major; /* of numbers.c */

struct device_machine {
	struct mutex lock; /* guards all below, and the tree links of every device */
	struct list_head devices __guarded_by(lock);
	struct list_head listeners __guarded_by(lock);
	struct list_head majors[2] __guarded_by(lock); /* struct device_major, by enum device_kind, sorted */
};

void device_majors_free(struct shale *machine);

#endif
