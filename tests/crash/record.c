/* SPDX-License-Identifier: MIT */
/* The body of record.h. */
#include "crash/record.h"

#include "crash/memory.h"
#include "crash/state.h"
#include "drivers/write_log.h"

static const char *const mark_words[] = {"begin", "done", "promise"};

void record_mark_text(enum record_mark mark, unsigned op, char *text, size_t size)
{
	snprintf(text, size, "%s %u", mark_words[mark], op);
}

void record_add(struct record *record, const struct record_entry *entry)
{
	struct record_entry *e;

	if (record->nr == record->room)
		record->entries = must_grow(record->entries, &record->room, sizeof(*record->entries));
	e = &record->entries[record->nr++];
	*e = *entry;
	if (e->kind != RECORD_WRITE) {
		e->data = NULL;
		return;
	}
	e->hashes = must_alloc(e->nr * sizeof(*e->hashes));
	if (e->data)
		e->data = must_copy(e->data, e->nr << SECTOR_SHIFT);
	for (u64 i = 0; i < e->nr; i++) {
		static const u8 zeroes[SECTOR_SIZE];

		e->hashes[i] = sector_hash(e->sector + i, e->data ? e->data + (i << SECTOR_SHIFT) : zeroes);
	}
}

void record_free(struct record *record)
{
	for (size_t i = 0; i < record->nr; i++) {
		free((void *)record->entries[i].data);
		free(record->entries[i].hashes);
	}
	free(record->entries);
	*record = (struct record){};
}

void record_add_write(struct record *record, const struct record_entry *write,
		      const struct record_rules *rules, bool meta)
{
	u64 left = write->nr, block = rules->block_bytes >> SECTOR_SHIFT;
	struct record_entry e = *write;

	e.use = rules->use(rules->ctx, e.sector, left, meta);
	while (left) {
		e.nr = e.use == RECORD_DATA ? left : min(left, block - e.sector % block);
		record_add(record, &e);
		left -= e.nr;
		e.sector += e.nr;
		if (e.data)
			e.data += e.nr << SECTOR_SHIFT;
	}
}

static void import_write(struct record *record, const struct write_log_entry *from,
			 const struct record_rules *rules)
{
	const struct record_entry e = {
		.kind = RECORD_WRITE,
		.started = from->started,
		.ended = from->status ? 0 : from->ended,
		.fua = from->fua,
		.sector = from->sector,
		.nr = from->bytes >> SECTOR_SHIFT,
		.data = from->op == WRITE_LOG_WRITE ? from->data : NULL,
	};

	record_add_write(record, &e, rules, from->meta);
}

static void import_mark(struct record *record, const struct write_log_entry *from)
{
	struct record_entry e = {.kind = RECORD_MARK, .started = from->started, .ended = from->ended};
	char word[16];

	if (sscanf(from->data, "%15s %u", word, &e.op) != 2)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(mark_words); i++)
		if (!strcmp(word, mark_words[i])) {
			e.mark = i;
			record_add(record, &e);
		}
}

void record_import(struct record *record, struct write_log *log, size_t first,
		   const struct record_rules *rules)
{
	struct write_log_entry from;

	for (size_t i = first; !write_log_entry(log, i, &from); i++) {
		if (from.op == WRITE_LOG_MARK)
			import_mark(record, &from);
		else if (from.op == WRITE_LOG_FLUSH)
			record_add(record, &(struct record_entry){
						   .kind = RECORD_FLUSH,
						   .started = from.started,
						   .ended = from.status ? 0 : from.ended,
					   });
		else
			import_write(record, &from, rules);
	}
}
