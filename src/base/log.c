/* SPDX-License-Identifier: MIT */
/*
 * The log is a ring of bytes. Positions count bytes since the beginning and never wrap; the ring holds [tail,
 * head), a sequence of records, each a header and its text. A new record pushes out as many of the oldest as
 * it needs room. machine->log and all in it are guarded by its lock, under which the sink is called too.
 */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/spinlock.h"

#define LOG_BYTES       (128u << 10)
#define LIMIT_SLOT_BITS 5
#define LIMIT_INTERVAL  (5 * NSEC_PER_SEC)
#define LIMIT_BURST     10

struct record_header {
	s64 ns;
	u32 len;
	int level;
};

/* What one place in the source (or several that fall together: the last takes over) has said lately. */
struct rate_limit {
	const char *fmt;
	s64 begin;
	unsigned said;
	unsigned missed;
};

struct machine_log {
	spinlock_t lock;
	u64 head, tail;
	u64 next_seq, tail_seq;
	int sink_level;
	log_sink_fn sink;
	void *sink_arg;
	struct rate_limit limits[1 << LIMIT_SLOT_BITS];
	char ring[LOG_BYTES];
};

int log_init(struct shale *machine)
{
	struct machine_log *log = kzalloc(machine, sizeof(*log));

	if (!log)
		return -ENOMEM;
	spin_lock_init(&log->lock);
	machine->log = log;
	return 0;
}

void log_exit(struct shale *machine)
{
	kfree(machine->log);
	machine->log = NULL;
}

static void ring_write(struct machine_log *log, u64 at, const void *from, size_t bytes)
{
	size_t first = min_t(size_t, bytes, LOG_BYTES - at % LOG_BYTES);

	memcpy(log->ring + at % LOG_BYTES, from, first);
	memcpy(log->ring, (const char *)from + first, bytes - first);
}

static void ring_read(const struct machine_log *log, u64 at, void *to, size_t bytes)
{
	size_t first = min_t(size_t, bytes, LOG_BYTES - at % LOG_BYTES);

	memcpy(to, log->ring + at % LOG_BYTES, first);
	memcpy((char *)to + first, log->ring, bytes - first);
}

static void log_append_locked(struct machine_log *log, const struct log_record *record)
{
	struct record_header header = {.ns = record->ns, .len = record->len, .level = record->level};
	u64 end = log->head + sizeof(header) + record->len;

	while (end - log->tail > LOG_BYTES) {
		struct record_header oldest;

		ring_read(log, log->tail, &oldest, sizeof(oldest));
		log->tail += sizeof(oldest) + oldest.len;
		log->tail_seq++;
	}
	ring_write(log, log->head, &header, sizeof(header));
	ring_write(log, log->head + sizeof(header), record->text, record->len);
	log->head = end;
	log->next_seq++;
}

void shale_vlog(struct shale *machine, int level, const char *fmt, va_list args)
{
	struct machine_log *log = machine ? machine->log : NULL;
	struct log_record record = {.level = level};
	char text[LOG_TEXT_MAX + 1];
	int len = vsnprintf(text, sizeof(text), fmt, args);

	if (len < 0)
		return;
	record.len = min((unsigned)len, (unsigned)LOG_TEXT_MAX);
	while (record.len && text[record.len - 1] == '\n')
		text[--record.len] = '\0';
	record.text = text;
	if (!log) {
		log_sink_stderr(NULL, &record);
		return;
	}
	record.ns = ktime_get(machine);
	spin_lock(&log->lock);
	record.seq = log->next_seq;
	log_append_locked(log, &record);
	if (log->sink && level <= log->sink_level)
		log->sink(log->sink_arg, &record);
	spin_unlock(&log->lock);
}

void shale_log(struct shale *machine, int level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	shale_vlog(machine, level, fmt, args);
	va_end(args);
}

/* May this place speak now? *missed: how many it kept back before, to be told first. */
static bool limit_pass(struct shale *machine, const char *fmt, unsigned *missed)
{
	struct machine_log *log = machine->log;
	struct rate_limit *limit = &log->limits[hash_ptr(fmt, LIMIT_SLOT_BITS)];
	s64 now = ktime_get(machine);
	bool pass;

	*missed = 0;
	spin_lock(&log->lock);
	if (limit->fmt != fmt || now - limit->begin >= LIMIT_INTERVAL) {
		if (limit->fmt == fmt)
			*missed = limit->missed;
		*limit = (struct rate_limit){.fmt = fmt, .begin = now};
	}
	pass = limit->said < LIMIT_BURST;
	if (pass)
		limit->said++;
	else
		limit->missed++;
	spin_unlock(&log->lock);
	return pass;
}

void shale_log_ratelimited(struct shale *machine, int level, const char *fmt, ...)
{
	unsigned missed = 0;
	va_list args;

	if (machine && machine->log && !limit_pass(machine, fmt, &missed))
		return;
	if (missed)
		shale_log(machine, level, "%u messages like the next were left out", missed);
	va_start(args, fmt);
	shale_vlog(machine, level, fmt, args);
	va_end(args);
}

ssize_t log_read(struct shale *machine, u64 *seq, char *buf, size_t size, struct log_record *record)
{
	struct machine_log *log = machine->log;
	struct record_header header;
	ssize_t result;
	u64 at, n;

	BUG_ON(!size);
	spin_lock(&log->lock);
	if (*seq < log->tail_seq) {
		*seq = log->tail_seq;
		result = -EPIPE;
		goto out;
	}
	if (*seq >= log->next_seq) {
		result = -EAGAIN;
		goto out;
	}
	for (at = log->tail, n = log->tail_seq;; n++) {
		ring_read(log, at, &header, sizeof(header));
		at += sizeof(header);
		if (n == *seq)
			break;
		at += header.len;
	}
	result = (ssize_t)min_t(size_t, header.len, size - 1);
	ring_read(log, at, buf, (size_t)result);
	buf[result] = '\0';
	*record = (struct log_record){
		.seq = n, .ns = header.ns, .level = header.level, .len = (unsigned)result, .text = buf};
	*seq = n + 1;
out:
	spin_unlock(&log->lock);
	return result;
}

void log_set_sink(struct shale *machine, int level, log_sink_fn fn, void *arg)
{
	struct machine_log *log = machine->log;

	spin_lock(&log->lock);
	log->sink_level = level;
	log->sink = fn;
	log->sink_arg = arg;
	spin_unlock(&log->lock);
}

void log_sink_stderr(void *arg, const struct log_record *record)
{
	fprintf(stderr, "shale: %s\n", record->text);
}
