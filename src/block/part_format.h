/* SPDX-License-Identifier: MIT */
/*
 * The bytes of partition tables. MBR: the last 66 bytes of the first sector, all numbers in logical blocks;
 * extended boot records have the same form. GPT: UEFI specification, chapter 5.
 */
#ifndef SHALE_BLOCK_PART_FORMAT_H
#define SHALE_BLOCK_PART_FORMAT_H

#include "base/compiler.h"
#include "base/le.h"
#include "base/uuid.h"

#define MSDOS_TABLE_OFFSET 446
#define MSDOS_MAGIC_OFFSET 510
#define MSDOS_MAGIC        0xaa55
#define MSDOS_ENTRIES      4
#define MSDOS_TYPE_GPT     0xee

struct msdos_entry {
	u8 boot;
	u8 chs_start[3];
	u8 type;
	u8 chs_end[3];
	le32 start;
	le32 count;
} __packed;
static_assert(sizeof(struct msdos_entry) == 16, "MBR entry");

#define GPT_MAGIC           0x5452415020494645ull /* "EFI PART" */
#define GPT_HEADER_MIN      92u
#define GPT_HEADER_LBA      1
#define GPT_ENTRY_MIN       128u
#define GPT_TABLE_MAX_BYTES (1u << 20)

struct gpt_header {
	le64 magic;
	le32 revision;
	le32 header_size;
	le32 header_crc;
	le32 reserved;
	le64 my_lba;
	le64 alternate_lba;
	le64 first_usable_lba;
	le64 last_usable_lba;
	uuid_t disk_guid;
	le64 entries_lba;
	le32 nr_entries;
	le32 entry_size;
	le32 entries_crc;
} __packed;
static_assert(sizeof(struct gpt_header) == GPT_HEADER_MIN, "GPT header");

struct gpt_entry {
	uuid_t type_guid;
	uuid_t unique_guid;
	le64 first_lba;
	le64 last_lba; /* inclusive */
	le64 attributes;
	u8 name[72]; /* UTF-16 */
} __packed;
static_assert(sizeof(struct gpt_entry) == GPT_ENTRY_MIN, "GPT entry");

#endif
