/* SPDX-License-Identifier: MIT */
/*
 * GPT partition tables: a protective MBR, a header in block 1 with its entries, and a copy of both at the end
 * of the disk.
 *
 * A header counts only if all of it holds: signature, size, its checksum, its own place, sizes of entries
 * that make sense, a usable range on the disk, and the checksum of the entries. If the first does not, the
 * copy is looked for where the first says (when only its entries are bad) and in the last block; with a copy
 * alone the partitions appear, with a message.
 */
#include "block/blk_internal.h"

#include <string.h>

#include "base/crc.h"
#include "base/log.h"
#include "block/part_format.h"

struct gpt {
	u64 first_usable, last_usable, entries_lba, alternate_lba;
	u32 nr_entries, entry_size, entries_crc;
	u8 *entries; /* nr_entries * entry_size bytes */
};

static bool has_protective_mbr(struct part_table *table)
{
	struct msdos_entry entries[MSDOS_ENTRIES];
	le16 magic;

	memcpy(&magic, table->buf + MSDOS_MAGIC_OFFSET, sizeof(magic));
	memcpy(entries, table->buf + MSDOS_TABLE_OFFSET, sizeof(entries));
	if (le16_to_cpu(magic) != MSDOS_MAGIC)
		return false;
	for (unsigned i = 0; i < MSDOS_ENTRIES; i++)
		if (entries[i].type == MSDOS_TYPE_GPT && le32_to_cpu(entries[i].start) == 1)
			return true;
	return false;
}

static u64 last_lba(const struct part_table *table)
{
	return table->capacity / table->block_sectors - 1;
}

/* Why the header in table->buf, read from `lba`, does not hold; NULL: it does, and *gpt is filled. */
static const char *gpt_header_parse(struct part_table *table, u64 lba, struct gpt *gpt)
{
	u32 block_bytes = table->block_sectors << SECTOR_SHIFT;
	struct gpt_header h;
	u32 header_bytes;

	memcpy(&h, table->buf, sizeof(h));
	header_bytes = le32_to_cpu(h.header_size);
	if (le64_to_cpu(h.magic) != GPT_MAGIC)
		return "has no signature";
	if (header_bytes < GPT_HEADER_MIN || header_bytes > block_bytes)
		return "has a wrong size";
	memset(table->buf + offsetof(struct gpt_header, header_crc), 0, sizeof(h.header_crc));
	if ((crc32_le(~0u, table->buf, header_bytes) ^ ~0u) != le32_to_cpu(h.header_crc))
		return "has a wrong checksum";
	if (le64_to_cpu(h.my_lba) != lba)
		return "is of another place";
	*gpt = (struct gpt){
		.first_usable = le64_to_cpu(h.first_usable_lba),
		.last_usable = le64_to_cpu(h.last_usable_lba),
		.entries_lba = le64_to_cpu(h.entries_lba),
		.alternate_lba = le64_to_cpu(h.alternate_lba),
		.nr_entries = le32_to_cpu(h.nr_entries),
		.entry_size = le32_to_cpu(h.entry_size),
		.entries_crc = le32_to_cpu(h.entries_crc),
	};
	if (gpt->first_usable > gpt->last_usable || gpt->last_usable > last_lba(table))
		return "has a usable range that is not on the disk";
	if (gpt->entry_size < GPT_ENTRY_MIN || !is_power_of_2(gpt->entry_size) ||
	    (u64)gpt->entry_size * gpt->nr_entries > GPT_TABLE_MAX_BYTES || !gpt->nr_entries)
		return "has a table of a wrong size";
	return NULL;
}

/* 1: gpt->entries holds the entries; 0 with *why; negative errno. */
static int gpt_read_entries(struct part_table *table, struct gpt *gpt, const char **why)
{
	u32 bytes = gpt->nr_entries * gpt->entry_size;
	size_t whole = round_up((size_t)bytes, (size_t)table->block_sectors << SECTOR_SHIFT);
	int ret;

	gpt->entries = kmalloc_aligned(table->disk->machine, whole, 4096);
	if (!gpt->entries)
		return -ENOMEM;
	ret = part_read_bytes(table, gpt->entries_lba, gpt->entries, whole);
	if (!ret && (crc32_le(~0u, gpt->entries, bytes) ^ ~0u) == gpt->entries_crc)
		return 1;
	*why = ret ? "has entries that cannot be read" : "has entries with a wrong checksum";
	kfree(gpt->entries);
	gpt->entries = NULL;
	return ret == -ENOMEM ? ret : 0;
}

/* 1: good; 0: not; negative errno. *gpt has at least alternate_lba where the header alone was good. */
static int gpt_read(struct part_table *table, u64 lba, struct gpt *gpt)
{
	const char *why = "cannot be read";
	int ret = part_read_block(table, lba);

	if (ret == -ENOMEM)
		return ret;
	if (!ret)
		why = gpt_header_parse(table, lba, gpt);
	ret = why ? 0 : gpt_read_entries(table, gpt, &why);
	if (!ret)
		pr_warn(table->disk->machine, "%s: the GPT header in block %llu %s", table->disk->name,
			(unsigned long long)lba, why);
	return ret;
}

static void gpt_put_entries(struct part_table *table, const struct gpt *gpt)
{
	for (u32 i = 0; i < gpt->nr_entries && i + 1 < DISK_MAX_PARTS; i++) {
		struct gpt_entry e;
		u64 first, last;

		memcpy(&e, gpt->entries + (size_t)i * gpt->entry_size, sizeof(e));
		if (uuid_is_null(&e.type_guid))
			continue;
		first = le64_to_cpu(e.first_lba);
		last = le64_to_cpu(e.last_lba);
		if (first > last || last > last_lba(table)) {
			pr_warn(table->disk->machine, "%s: GPT entry %u is not on the disk; left out",
				table->disk->name, i + 1);
			continue;
		}
		part_put(table, i + 1, first * table->block_sectors,
			 (last - first + 1) * table->block_sectors);
	}
}

/* The copy: in the last block, else where the first header says. */
static int gpt_read_backup(struct part_table *table, u64 hint, struct gpt *gpt)
{
	int ret = gpt_read(table, last_lba(table), gpt);

	if (!ret && hint > GPT_HEADER_LBA && hint < last_lba(table))
		ret = gpt_read(table, hint, gpt);
	if (ret > 0)
		pr_warn(table->disk->machine, "%s: the backup GPT is used", table->disk->name);
	return ret;
}

int part_scan_gpt(struct part_table *table)
{
	struct gpt gpt = {};
	int ret = part_read_block(table, 0);

	if (ret)
		return ret;
	if (last_lba(table) < 2 || !has_protective_mbr(table))
		return 0;
	ret = gpt_read(table, GPT_HEADER_LBA, &gpt);
	if (!ret) {
		u64 hint = gpt.alternate_lba;

		gpt = (struct gpt){};
		ret = gpt_read_backup(table, hint, &gpt);
	}
	if (ret <= 0)
		return ret;
	table->kind = "gpt";
	gpt_put_entries(table, &gpt);
	kfree(gpt.entries);
	return 1;
}
