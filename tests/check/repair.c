/* SPDX-License-Identifier: MIT */
/*
 * The checksums of metadata, as the kernel's ext4 documentation gives them, made right for the bytes as they
 * are. On an undamaged volume it changes nothing, which is how it is tested. Inner structures first: the sums
 * of bitmaps stand in descriptors.
 */
#include "volume.h"

#include <string.h>

static uint32_t crc_table[256];

static uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	if (!crc_table[1])
		for (unsigned i = 0; i < 256; i++) {
			uint32_t c = i;
			for (unsigned k = 0; k < 8; k++)
				c = c >> 1 ^ (c & 1 ? 0x82F63B78 : 0);
			crc_table[i] = c;
		}
	while (n--)
		crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 255];
	return crc;
}

static uint32_t crc32c_le32(uint32_t crc, uint32_t value)
{
	le32 disk = cpu_to_le32(value);

	return crc32c(crc, &disk, sizeof(disk));
}

static uint32_t crc32c_le64(uint32_t crc, uint64_t value)
{
	le64 disk = cpu_to_le64(value);

	return crc32c(crc, &disk, sizeof(disk));
}

static uint16_t crc16(uint16_t crc, const void *data, size_t n)
{
	for (const uint8_t *p = data; n--; p++) {
		crc ^= *p;
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xA001 : 0);
	}
	return crc;
}

static uint32_t inode_seed(struct volume *v, uint32_t seed, uint32_t ino)
{
	return crc32c_le32(crc32c_le32(seed, ino), le32_to_cpu(volume_inode(v, ino)->i_generation));
}

static void repair_inode(struct volume *v, uint32_t seed, const struct place *place)
{
	struct ext4_inode *inode = (void *)(v->bytes + place->offset);
	bool high = place->length > EXT4_GOOD_OLD_INODE_SIZE && le16_to_cpu(inode->i_extra_isize) >= 4;
	static const struct ext4_inode zero;

	/* One that was never written stays so. */
	if (!memcmp(inode, &zero, EXT4_GOOD_OLD_INODE_SIZE))
		return;
	inode->i_checksum_lo = cpu_to_le16(0);
	if (high)
		inode->i_checksum_hi = cpu_to_le16(0);
	uint32_t crc = crc32c(inode_seed(v, seed, place->ino), inode, place->length);
	inode->i_checksum_lo = cpu_to_le16(crc);
	if (high)
		inode->i_checksum_hi = cpu_to_le16(crc >> 16);
}

static void repair_extents(struct volume *v, uint32_t seed, const struct place *place)
{
	uint8_t *block = v->bytes + place->offset;
	struct ext4_extent_header *header = (void *)block;
	uint32_t tail = 12 + 12 * (uint32_t)le16_to_cpu(header->eh_max);

	if (tail + 4 <= place->length)
		put_unaligned_le32(crc32c(inode_seed(v, seed, place->ino), block, tail), block + tail);
}

static void repair_dir(struct volume *v, uint32_t seed, const struct place *place)
{
	uint8_t *block = v->bytes + place->offset;
	struct ext4_dir_entry_tail *tail = (void *)(block + place->length - sizeof(*tail));

	tail->det_checksum =
		cpu_to_le32(crc32c(inode_seed(v, seed, place->ino), block, place->length - sizeof(*tail)));
}

static void repair_dx(struct volume *v, uint32_t seed, const struct place *place)
{
	uint8_t *block = v->bytes + place->offset;
	uint32_t at = place->kind == PLACE_DX_ROOT ? DX_ROOT_INFO_OFFSET + 8 : DX_NODE_OFFSET;
	struct dx_countlimit *count = (void *)(block + at);
	uint32_t end = at + le16_to_cpu(count->count) * 8u, tail = at + le16_to_cpu(count->limit) * 8u;
	struct dx_tail *sum = (void *)(block + tail);

	if (tail + sizeof(*sum) > place->length || end > tail)
		return;
	sum->dt_checksum = cpu_to_le32(0);
	sum->dt_checksum =
		cpu_to_le32(crc32c(crc32c(inode_seed(v, seed, place->ino), block, end), sum, sizeof(*sum)));
}

static void repair_xattr(struct volume *v, uint32_t seed, const struct place *place)
{
	struct ext4_xattr_header *header = (void *)(v->bytes + place->offset);

	header->h_checksum = cpu_to_le32(0);
	header->h_checksum =
		cpu_to_le32(crc32c(crc32c_le64(seed, place->offset / v->block_size), header, place->length));
}

static void repair_orphans(struct volume *v, uint32_t seed, const struct place *place)
{
	uint8_t *block = v->bytes + place->offset;
	uint32_t crc = crc32c_le64(inode_seed(v, seed, place->ino), place->offset / v->block_size);

	put_unaligned_le32(crc32c(crc, block, place->length - 8), block + place->length - 4);
}

static void repair_bitmap(struct volume *v, uint32_t seed, const struct place *place)
{
	struct ext4_group_desc *desc = volume_desc(v, place->index);
	bool blocks = place->kind == PLACE_BLOCK_BITMAP;
	uint32_t bits = blocks ? v->clusters_per_group : v->inodes_per_group;
	uint32_t crc = crc32c(seed, v->bytes + place->offset, bits / 8);

	*(blocks ? &desc->bg_block_bitmap_csum_lo : &desc->bg_inode_bitmap_csum_lo) = cpu_to_le16(crc);
	if (v->desc_size >= 64)
		*(blocks ? &desc->bg_block_bitmap_csum_hi : &desc->bg_inode_bitmap_csum_hi) =
			cpu_to_le16(crc >> 16);
}

static void repair_desc(struct volume *v, uint32_t seed, unsigned group)
{
	struct ext4_group_desc *desc = volume_desc(v, group);
	const unsigned at = offsetof(struct ext4_group_desc, bg_checksum);
	le32 number = cpu_to_le32(group);

	desc->bg_checksum = cpu_to_le16(0);
	if (v->ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM) {
		desc->bg_checksum = cpu_to_le16(crc32c(crc32c_le32(seed, group), desc, v->desc_size));
		return;
	}
	uint16_t crc = crc16(crc16(0xFFFF, volume_super(v)->s_uuid, 16), &number, 4);
	crc = crc16(crc, desc, at);
	desc->bg_checksum = cpu_to_le16(crc16(crc, (uint8_t *)desc + at + 2, v->desc_size - at - 2));
}

/* What v3 and v2 sums put over the journal's super block: big-endian, at byte 252. */
static void repair_journal(struct volume *v, const struct place *place)
{
	uint8_t *super = v->bytes + place->offset;
	be32 sum = {0};

	if (!(super[0x2B] & 0x18)) /* s_feature_incompat: CSUM_V2, CSUM_V3 */
		return;
	memcpy(super + 252, &sum, 4);
	sum = cpu_to_be32(crc32c(~0u, super, 1024));
	memcpy(super + 252, &sum, 4);
}

/* Of one block's tags. *crc: of those since the last tail. False: no tag stands where one should. */
static bool repair_fast_commit(struct volume *v, const struct place *place, uint32_t *crc)
{
	uint8_t *tag = v->bytes + place->offset, *end = tag + place->length;

	while (end - tag >= 4) {
		uint32_t length = get_unaligned_le16(tag + 2);
		bool tail = get_unaligned_le16(tag) == EXT4_FC_TAG_TAIL;

		if (length > end - tag - 4 || (tail && length < 8))
			return false;
		*crc = crc32c(*crc, tag, tail ? 8 : 4 + length);
		if (tail) {
			put_unaligned_le32(*crc, tag + 8);
			*crc = 0;
		}
		tag += 4 + length;
	}
	return true;
}

static void repair_fast_commits(struct volume *v)
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < v->count; i++)
		if (v->places[i].kind == PLACE_FAST_COMMIT && !repair_fast_commit(v, &v->places[i], &crc))
			return;
}

static void repair_place(struct volume *v, uint32_t seed, const struct place *place)
{
	switch (place->kind) {
	case PLACE_INODE:
	case PLACE_SPECIAL:
	case PLACE_FREE_INODE:
		return repair_inode(v, seed, place);
	case PLACE_EXTENT_BLOCK:
		return repair_extents(v, seed, place);
	case PLACE_DIR:
		return repair_dir(v, seed, place);
	case PLACE_DX_ROOT:
	case PLACE_DX_NODE:
		return repair_dx(v, seed, place);
	case PLACE_XATTR_BLOCK:
		return repair_xattr(v, seed, place);
	case PLACE_ORPHAN_FILE:
		return repair_orphans(v, seed, place);
	case PLACE_BLOCK_BITMAP:
	case PLACE_INODE_BITMAP:
		return repair_bitmap(v, seed, place);
	case PLACE_MMP:
		put_unaligned_le32(crc32c(seed, v->bytes + place->offset, 1020),
				   v->bytes + place->offset + 1020);
		return;
	case PLACE_BACKUP_SUPER:
		put_unaligned_le32(crc32c(~0u, v->bytes + place->offset, 1020),
				   v->bytes + place->offset + 1020);
		return;
	default:
		return;
	}
}

void volume_repair_checksums(struct volume *v)
{
	struct ext4_super_block *sb = volume_super(v);
	uint32_t seed = v->incompat & EXT4_FEATURE_INCOMPAT_CSUM_SEED ? le32_to_cpu(sb->s_checksum_seed)
								      : crc32c(~0u, sb->s_uuid, 16);
	bool metadata = v->ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;

	for (unsigned i = 0; i < v->count; i++) {
		if (v->places[i].kind == PLACE_JOURNAL_SUPER)
			repair_journal(v, &v->places[i]);
		else if (metadata)
			repair_place(v, seed, &v->places[i]);
	}
	repair_fast_commits(v);
	for (unsigned group = 0; group < v->groups; group++)
		if (metadata || v->ro_compat & EXT4_FEATURE_RO_COMPAT_GDT_CSUM)
			repair_desc(v, seed, group);
	if (metadata)
		sb->s_checksum = cpu_to_le32(crc32c(~0u, sb, offsetof(struct ext4_super_block, s_checksum)));
}
