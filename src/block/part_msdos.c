/* SPDX-License-Identifier: MIT */
/*
 * MBR partition tables with extended partitions.
 *
 * Four primary entries; one of an extended type holds a chain of boot records, each with up to four entries
 * of its own: logical partitions (numbered from 5), counted from that record, and one link to the next
 * record, counted from the start of the extended partition. The chain is on a hostile disk: it ends at a
 * record that was visited before, that lies outside the extended partition, that has no signature, or after
 * as many records as there can be partitions. The extended partition itself appears as a device of two
 * sectors, as in Linux.
 */
#include "block/blk_internal.h"

#include <string.h>

#include "base/log.h"
#include "block/part_format.h"

static bool type_is_extended(u8 type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* The table of the block that was just read, copied out; false: no signature. */
static bool msdos_entries(const struct part_table *table, struct msdos_entry entries[MSDOS_ENTRIES])
{
	le16 magic;

	memcpy(&magic, table->buf + MSDOS_MAGIC_OFFSET, sizeof(magic));
	if (le16_to_cpu(magic) != MSDOS_MAGIC)
		return false;
	memcpy(entries, table->buf + MSDOS_TABLE_OFFSET, MSDOS_ENTRIES * sizeof(*entries));
	return true;
}

/* In sectors; products of two 32-bit numbers. */
static sector_t entry_start(const struct part_table *table, const struct msdos_entry *e)
{
	return (sector_t)le32_to_cpu(e->start) * table->block_sectors;
}

static sector_t entry_count(const struct part_table *table, const struct msdos_entry *e)
{
	return (sector_t)le32_to_cpu(e->count) * table->block_sectors;
}

struct extended_walk {
	sector_t first, end; /* the extended partition */
	sector_t record;     /* the boot record that is being read */
	unsigned nr_visited, next_partno;
	sector_t visited[DISK_MAX_PARTS];
};

static bool walk_visit(struct part_table *table, struct extended_walk *walk)
{
	const char *why = NULL;

	if (walk->record < walk->first || walk->record >= walk->end || walk->record >= table->capacity)
		why = "leads out of the extended partition";
	else if (walk->nr_visited == ARRAY_SIZE(walk->visited))
		why = "is too long";
	for (unsigned i = 0; !why && i < walk->nr_visited; i++)
		if (walk->visited[i] == walk->record)
			why = "runs in a circle";
	if (why) {
		pr_warn(table->disk->machine,
			"%s: the chain of logical partitions %s at sector %llu; the rest is left out",
			table->disk->name, why, (unsigned long long)walk->record);
		return false;
	}
	walk->visited[walk->nr_visited++] = walk->record;
	return true;
}

static void walk_put_logical(struct part_table *table, struct extended_walk *walk,
			     const struct msdos_entry *e)
{
	sector_t start = walk->record + entry_start(table, e);
	sector_t count = entry_count(table, e);

	if (!count || type_is_extended(e->type))
		return;
	if (start <= walk->record || start >= walk->end || count > walk->end - start) {
		pr_warn(table->disk->machine,
			"%s: logical partition at sector %llu is not inside the extended one; left out",
			table->disk->name, (unsigned long long)start);
		return;
	}
	part_put(table, walk->next_partno++, start, count);
}

static int walk_extended(struct part_table *table, struct extended_walk *walk)
{
	struct msdos_entry entries[MSDOS_ENTRIES];

	while (walk->next_partno < DISK_MAX_PARTS && walk_visit(table, walk)) {
		const struct msdos_entry *link = NULL;
		int ret = part_read_block(table, walk->record / table->block_sectors);

		if (ret)
			return ret;
		if (!msdos_entries(table, entries))
			return 0;
		for (unsigned i = 0; i < MSDOS_ENTRIES; i++) {
			walk_put_logical(table, walk, &entries[i]);
			if (!link && type_is_extended(entries[i].type) && entry_count(table, &entries[i]))
				link = &entries[i];
		}
		if (!link)
			return 0;
		walk->record = walk->first + entry_start(table, link);
	}
	return 0;
}

/*
 * A boot sector of a file system has the signature, too: in a table the first byte of each entry is 0 or
 * 0x80.
 */
static bool msdos_plausible(const struct msdos_entry *entries)
{
	bool any = false;

	for (unsigned i = 0; i < MSDOS_ENTRIES; i++) {
		if (entries[i].boot & 0x7f)
			return false;
		any |= le32_to_cpu(entries[i].count) != 0;
	}
	return any;
}

static int scan_extended(struct part_table *table, const struct msdos_entry *e, unsigned *next_partno)
{
	struct extended_walk *walk;
	int ret;

	/*
	 * The extended partition may say that it is longer than the disk; the records inside the disk still
	 * count.
	 */
	if (entry_start(table, e) == 0 || entry_start(table, e) >= table->capacity)
		return 0;
	walk = kzalloc(table->disk->machine, sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	walk->first = walk->record = entry_start(table, e);
	walk->end = walk->first + entry_count(table, e);
	walk->next_partno = *next_partno;
	ret = walk_extended(table, walk);
	*next_partno = walk->next_partno;
	kfree(walk);
	return ret;
}

int part_scan_msdos(struct part_table *table)
{
	struct msdos_entry entries[MSDOS_ENTRIES];
	unsigned next_partno = MSDOS_ENTRIES + 1;
	int ret = part_read_block(table, 0);

	if (ret)
		return ret;
	if (!msdos_entries(table, entries) || !msdos_plausible(entries))
		return 0;
	for (unsigned i = 0; i < MSDOS_ENTRIES; i++)
		if (entries[i].type == MSDOS_TYPE_GPT) /* of a GPT that was not good enough */
			return 0;
	table->kind = "dos";
	for (unsigned i = 0; i < MSDOS_ENTRIES; i++) {
		sector_t start = entry_start(table, &entries[i]), count = entry_count(table, &entries[i]);

		if (!count)
			continue;
		if (!type_is_extended(entries[i].type)) {
			part_put(table, i + 1, start, count);
			continue;
		}
		part_put(table, i + 1, start, min(count, (sector_t)max(table->block_sectors, 2u)));
		ret = scan_extended(table, &entries[i], &next_partno);
		if (ret)
			return ret;
	}
	return 1;
}
