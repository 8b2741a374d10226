/* SPDX-License-Identifier: MIT */
/*
 * The record of writes; write_log.h says what it promises. Entries are allocated one by one, data behind the
 * struct, so that they stay where they are while the table of pointers grows. The record's spinlock guards
 * the table, the counter and the fields `ended` and `status` of entries; all else in an entry is constant
 * once it is in the table.
 */
#include "drivers/write_log_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/machine.h"
#include "base/seq_file.h"
#include "block/blk.h"

struct write_log {
	struct shale *machine;
	struct list_head node; /* under the lock of machine->drivers */
	refcount_t refs;
	char *label;  /* may be NULL */
	bool enabled; /* atomic */
	spinlock_t lock;
	struct write_log_entry **table __guarded_by(lock);
	size_t nr __guarded_by(lock), room __guarded_by(lock);
	u64 counter __guarded_by(lock);
	u64 generation __guarded_by(lock);
	u64 data_bytes __guarded_by(lock);
};

int write_log_create(struct shale *machine, const char *label, struct write_log **out)
{
	struct write_log *log = kzalloc(machine, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->label = kstrdup(machine, label);
	if (label && !log->label) {
		kfree(log);
		return -ENOMEM;
	}
	log->machine = machine;
	log->enabled = true;
	log->generation = 1;
	refcount_set(&log->refs, 1);
	spin_lock_init(&log->lock);
	spin_lock(&machine->drivers->lock);
	list_add(&log->node, &machine->drivers->logs);
	spin_unlock(&machine->drivers->lock);
	*out = log;
	return 0;
}

int write_log_get(struct shale *machine, const char *label, struct write_log **out)
{
	struct write_log *log, *found = NULL;

	spin_lock(&machine->drivers->lock);
	list_for_each_entry (log, &machine->drivers->logs, node) {
		if (label && (!log->label || strcmp(label, log->label)))
			continue;
		found = log;
		refcount_inc(&log->refs);
		break;
	}
	spin_unlock(&machine->drivers->lock);
	*out = found;
	return found ? 0 : -ENOENT;
}

void write_log_put(struct write_log *log)
{
	if (!refcount_dec_and_test(&log->refs))
		return;
	write_log_clear(log);
	kfree(log->label);
	kfree(log);
}

void write_log_retire(struct write_log *log)
{
	spin_lock(&log->machine->drivers->lock);
	list_del_init(&log->node);
	spin_unlock(&log->machine->drivers->lock);
	write_log_put(log);
}

void write_log_clear(struct write_log *log)
{
	struct write_log_entry **table;
	size_t nr;

	spin_lock(&log->lock);
	table = log->table;
	nr = log->nr;
	log->table = NULL;
	log->nr = log->room = 0;
	log->data_bytes = 0;
	log->generation++;
	spin_unlock(&log->lock);
	for (size_t i = 0; i < nr; i++)
		kfree(table[i]);
	kvfree(table);
}

void write_log_enable(struct write_log *log, bool on)
{
	WRITE_ONCE(log->enabled, on);
}

bool write_log_enabled(const struct write_log *log)
{
	return READ_ONCE(log->enabled);
}

struct write_log_entry *write_log_prepare(struct write_log *log, enum write_log_op op, sector_t sector,
					  u64 bytes, void **data)
{
	bool has_data = op == WRITE_LOG_WRITE || op == WRITE_LOG_MARK;
	struct write_log_entry *entry = kmalloc(log->machine, size_add(sizeof(*entry), has_data ? bytes : 0));

	if (!entry)
		return NULL;
	*entry = (struct write_log_entry){.op = op, .sector = sector, .bytes = bytes};
	if (has_data)
		entry->data = entry + 1;
	*data = entry + 1;
	return entry;
}

/* Makes the table larger, outside the lock. -ENOMEM. */
static int write_log_grow(struct write_log *log)
{
	struct write_log_entry **table, **old;
	size_t room;

	spin_lock(&log->lock);
	room = max(2 * log->room, (size_t)64);
	spin_unlock(&log->lock);
	table = kvcalloc(log->machine, room, sizeof(*table));
	if (!table)
		return -ENOMEM;
	spin_lock(&log->lock);
	old = table;
	if (room > log->room) { /* else another thread was first */
		if (log->nr)
			memcpy(table, log->table, log->nr * sizeof(*table));
		old = log->table;
		log->table = table;
		log->room = room;
	}
	spin_unlock(&log->lock);
	kvfree(old);
	return 0;
}

int write_log_start(struct write_log *log, struct write_log_entry *entry, struct write_log_ticket *ticket)
{
	bool added = false;

	while (!added) {
		spin_lock(&log->lock);
		added = log->nr < log->room;
		if (added) {
			*ticket = (struct write_log_ticket){.index = log->nr, .generation = log->generation};
			log->table[log->nr++] = entry;
			entry->started = ++log->counter;
			if (entry->data)
				log->data_bytes += entry->bytes;
		}
		spin_unlock(&log->lock);
		if (!added && write_log_grow(log)) {
			kfree(entry);
			return -ENOMEM;
		}
	}
	return 0;
}

void write_log_end(struct write_log *log, const struct write_log_ticket *ticket, int status)
{
	spin_lock(&log->lock);
	if (ticket->generation == log->generation) {
		log->table[ticket->index]->status = status;
		log->table[ticket->index]->ended = ++log->counter;
	}
	spin_unlock(&log->lock);
}

int write_log_mark(struct write_log *log, const char *text)
{
	struct write_log_ticket ticket;
	struct write_log_entry *entry;
	void *data;
	int err;

	entry = write_log_prepare(log, WRITE_LOG_MARK, 0, strlen(text) + 1, &data);
	if (!entry)
		return -ENOMEM;
	memcpy(data, text, strlen(text) + 1);
	err = write_log_start(log, entry, &ticket);
	if (!err)
		write_log_end(log, &ticket, 0);
	return err;
}

size_t write_log_count(struct write_log *log)
{
	scoped_spin_lock(&log->lock);

	return log->nr;
}

int write_log_entry(struct write_log *log, size_t index, struct write_log_entry *entry)
{
	scoped_spin_lock(&log->lock);

	if (index >= log->nr)
		return -ENOENT;
	*entry = *log->table[index];
	return 0;
}

ssize_t write_log_find_mark(struct write_log *log, const char *text, size_t from)
{
	scoped_spin_lock(&log->lock);

	for (size_t i = from; i < log->nr; i++)
		if (log->table[i]->op == WRITE_LOG_MARK && !strcmp(log->table[i]->data, text))
			return i;
	return -ENOENT;
}

void write_log_show(struct write_log *log, struct seq_file *m)
{
	scoped_spin_lock(&log->lock);

	seq_printf(m, "%s entries=%zu bytes=%llu counter=%llu\n", write_log_enabled(log) ? "on" : "off",
		   log->nr, (unsigned long long)log->data_bytes, (unsigned long long)log->counter);
}

/* Writes memory to a device, in pieces that one bio takes. */
static int replay_write(struct block_device *target, sector_t sector, const u8 *data, u64 bytes)
{
	int err = 0;

	while (bytes && !err) {
		u32 n = min_t(u64, bytes, SZ_1M);
		struct bio *bio;

		err = bio_alloc(target, 1, REQ_OP_WRITE, &bio);
		if (err)
			break;
		bio->bi_iter.bi_sector = sector;
		bio_add_mem(bio, (void *)data, n);
		err = submit_bio_wait(bio);
		bio_put(bio);
		data += n;
		bytes -= n;
		sector += n >> SECTOR_SHIFT;
	}
	return err;
}

/* What a discard leaves is not specified; here, as on most disks, zeroes. */
static int replay_entry(const struct write_log_entry *entry, u64 bytes, struct block_device *target)
{
	switch (entry->op) {
	case WRITE_LOG_WRITE:
		return replay_write(target, entry->sector, entry->data, bytes);
	case WRITE_LOG_DISCARD:
	case WRITE_LOG_ZEROES:
		return blkdev_issue_zeroout(target, entry->sector, bytes >> SECTOR_SHIFT, 0);
	case WRITE_LOG_FLUSH:
	case WRITE_LOG_MARK:
		break;
	}
	return 0;
}

int write_log_replay(struct write_log *log, size_t first, size_t nr, struct block_device *target)
{
	struct write_log_entry entry;
	int err = 0;

	for (size_t i = first; !err && i - first < nr; i++) {
		err = write_log_entry(log, i, &entry);
		if (!err)
			err = replay_entry(&entry, entry.bytes, target);
	}
	return err;
}

int write_log_replay_part(struct write_log *log, size_t index, u64 sectors, struct block_device *target)
{
	struct write_log_entry entry;
	int err = write_log_entry(log, index, &entry);

	return err ? err : replay_entry(&entry, min(entry.bytes, sectors << SECTOR_SHIFT), target);
}
