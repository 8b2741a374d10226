/* SPDX-License-Identifier: MIT */
/*
 * The record (write_log.c) as the log filter (log.c) writes it: an entry is made with its data, started
 * before the request goes down, and ended before the request's own end is told.
 */
#ifndef SHALE_DRIVERS_WRITE_LOG_INTERNAL_H
#define SHALE_DRIVERS_WRITE_LOG_INTERNAL_H

#include "base/list.h"
#include "base/spinlock.h"
#include "drivers/write_log.h"

struct seq_file;

/* machine->drivers: the records that can be found by label. */
struct driver_machine {
	spinlock_t lock;
	struct list_head logs __guarded_by(lock); /* last opened first */
};

/* What a request keeps between start and end. */
struct write_log_ticket {
	size_t index;
	u64 generation; /* write_log_clear begins a new one; 0: nothing was recorded */
};

int write_log_create(struct shale *machine, const char *label, struct write_log **out) __must_check;
/* The disk is gone: not to be found any more. Gives back the disk's reference. */
void write_log_retire(struct write_log *log);
/* Memory for the data of an entry, owned by the caller until write_log_start. NULL: no memory. */
struct write_log_entry *write_log_prepare(struct write_log *log, enum write_log_op op, sector_t sector,
					  u64 bytes, void **data) __must_check;
/* Adds the entry and takes the next reading. -ENOMEM: the entry was freed. */
int write_log_start(struct write_log *log, struct write_log_entry *entry,
		    struct write_log_ticket *ticket) __must_check;
/* Does not sleep. */
void write_log_end(struct write_log *log, const struct write_log_ticket *ticket, int status);
bool write_log_enabled(const struct write_log *log);
void write_log_show(struct write_log *log, struct seq_file *m);

#endif
