/* SPDX-License-Identifier: MIT */
/*
 * The index of a directory: a root in its first block, nodes and leaves in the others. Each block is named by
 * exactly one entry of the index, at the depth that the root tells, and holds only hashes between that entry
 * and the next. Since a block may come before the one that names it, bounds and contents are noted by block
 * and compared when the directory ends.
 */
#include "fs/ext4/check/check_dirs_internal.h"

#define ROOT_ENTRIES (DX_ROOT_INFO_OFFSET + (u32)sizeof(struct dx_root_info))
#define BLOCK_MASK   0x0fffffff /* the high four bits are reserved */

int check_htree_begin(struct check_dir_state *s)
{
	u32 room = max(s->dir->blocks, 1u); /* more only where there are holes, which is told */

	if (room > s->dx_room) {
		kvfree(s->dx);
		s->dx = kvmalloc(s->c->machine, array_size(room, sizeof(*s->dx)));
		s->dx_room = 0;
		if (!s->dx)
			return -ENOMEM;
	}
	s->dx_room = max(s->dx_room, room);
	for (u32 i = 0; i < room; i++)
		s->dx[i] = (struct check_dx_block){.min = UINT32_MAX};
	s->hash_version = CHECK_HASH_UNKNOWN;
	s->levels = 0;
	return 0;
}

static void check_checksum(struct check_dir_state *s, u64 pblk, const u8 *data, u32 at, u32 count, u32 limit)
{
	const struct dx_tail *tail = (const void *)(data + at + limit * sizeof(struct dx_entry));
	const le32 zero = {0};
	u32 crc;

	if (!s->c->sbi->has_csum)
		return;
	crc = ext4_chksum(s->dir->csum_seed, data, at + count * sizeof(struct dx_entry));
	crc = ext4_chksum(crc, &tail->dt_reserved, sizeof(tail->dt_reserved));
	crc = ext4_chksum(crc, &zero, sizeof(zero));
	if (crc != le32_to_cpu(tail->dt_checksum))
		check_problem(s->c, "htree-checksum", s->dir->ino, pblk,
			      "index: checksum is %#010x, computed %#010x", le32_to_cpu(tail->dt_checksum),
			      crc);
}

static u32 entries_fit(const struct check_dir_state *s, u32 at)
{
	u32 tail = s->c->sbi->has_csum ? sizeof(struct dx_tail) : 0;

	return (s->c->sbi->block_size - at - tail) / (u32)sizeof(struct dx_entry);
}

/* The low bit only tells that equal hashes go on from the block before. */
static u32 lower_bound(const struct dx_entry *entry)
{
	return le32_to_cpu(entry->hash) & ~1u;
}

/* The block that an entry of the index names. */
static void note_child(struct check_dir_state *s, u32 lblk, u64 pblk, const struct dx_entry *entries, u32 i,
		       u32 count)
{
	u32 child = le32_to_cpu(entries[i].block) & BLOCK_MASK;
	struct check_dx_block *b;

	if (child >= s->dir->blocks) {
		check_problem(s->c, "htree-block", s->dir->ino, pblk,
			      "index: entry %u names block %u of a directory of %u", i, child,
			      s->dir->blocks);
		return;
	}
	b = &s->dx[child];
	if (b->names < 2)
		b->names++;
	b->parent = lblk;
	b->first = !i;
	b->low = i ? lower_bound(&entries[i]) : 0;
	b->high = i + 1 < count ? le32_to_cpu(entries[i + 1].hash) : UINT32_MAX;
}

static void check_entries(struct check_dir_state *s, u32 lblk, u64 pblk, const u8 *data, u32 at)
{
	const struct dx_entry *entries = (const void *)(data + at);
	const struct dx_countlimit *cl = (const void *)entries;
	u32 limit = le16_to_cpu(cl->limit), count = le16_to_cpu(cl->count), fit = entries_fit(s, at);

	if (limit != fit || !count || count > fit) {
		check_problem(s->c, "htree-count", s->dir->ino, pblk, "index: %u entries of %u where %u fit",
			      count, limit, fit);
		return;
	}
	check_checksum(s, pblk, data, at, count, limit);
	for (u32 i = 0; i < count; i++) {
		/* The first has no hash: the counts lie there. */
		if (i > 1 && lower_bound(&entries[i]) < lower_bound(&entries[i - 1]))
			check_problem(s->c, "htree-order", s->dir->ino, pblk,
				      "index: entry %u is out of order", i);
		note_child(s, lblk, pblk, entries, i, count);
	}
}

static void check_root(struct check_dir_state *s, u64 pblk, const u8 *data)
{
	const struct ext4_dir_entry_2 *dotdot = (const void *)(data + EXT4_DIR_REC_LEN(1));
	const struct dx_root_info *info = (const void *)(data + DX_ROOT_INFO_OFFSET);
	u32 size = s->c->sbi->block_size;
	u8 most = ext4_has_incompat(s->c->sbi, EXT4_FEATURE_INCOMPAT_LARGEDIR) ? 2 : 1;

	s->dx[0].kind = CHECK_DX_ROOT;
	if (ext4_rec_len((const void *)data, size) != EXT4_DIR_REC_LEN(1) ||
	    ext4_rec_len(dotdot, size) != size - EXT4_DIR_REC_LEN(1) || le32_to_cpu(info->reserved_zero) ||
	    info->info_length != sizeof(*info)) {
		check_problem(s->c, "htree-root", s->dir->ino, pblk, "block is no root of an index");
		s->indexed = false;
		return;
	}
	if (info->hash_version <= DX_HASH_TEA)
		s->hash_version =
			info->hash_version + (s->c->sbi->unsigned_hash ? DX_HASH_LEGACY_UNSIGNED : 0);
	else if (info->hash_version == DX_HASH_SIPHASH && s->encrypted && s->folded)
		s->hash_version = DX_HASH_SIPHASH;
	else
		check_problem(s->c, "htree-hash", s->dir->ino, pblk, "index: unknown hash %u",
			      info->hash_version);
	if (info->unused_flags & 1)
		check_problem(s->c, "htree-flags", s->dir->ino, pblk, "index: flags %#x", info->unused_flags);
	s->levels = min(info->indirect_levels, most);
	if (info->indirect_levels > most)
		check_problem(s->c, "htree-depth", s->dir->ino, pblk, "index: %u levels below its root",
			      info->indirect_levels);
	check_entries(s, 0, pblk, data, ROOT_ENTRIES);
}

bool check_htree_block(struct check_dir_state *s, u32 lblk, u64 pblk, const u8 *data)
{
	const struct ext4_dir_entry_2 *de = (const void *)data;
	const struct dx_countlimit *cl = (const void *)(data + DX_NODE_OFFSET);

	if (!lblk) {
		check_root(s, pblk, data);
		return s->indexed;
	}
	if (lblk >= s->dir->blocks || le32_to_cpu(de->inode) || de->name_len ||
	    ext4_rec_len(de, s->c->sbi->block_size) != s->c->sbi->block_size ||
	    le16_to_cpu(cl->limit) != entries_fit(s, DX_NODE_OFFSET))
		return false;
	if (de->file_type && s->c->sbi->has_csum)
		check_problem(s->c, "htree-checksum", s->dir->ino, pblk, "index: node's entry has kind %u",
			      de->file_type);
	s->dx[lblk].kind = CHECK_DX_NODE;
	check_entries(s, lblk, pblk, data, DX_NODE_OFFSET);
	return true;
}

/* The name as it is hashed: of one without case only letters of ASCII are known to us. */
static bool fold_name(const struct ext4_dir_entry_2 *de, char *out)
{
	for (unsigned i = 0; i < de->name_len; i++) {
		if ((u8)de->name[i] >= 0x80)
			return false;
		out[i] = de->name[i] >= 'A' && de->name[i] <= 'Z' ? de->name[i] | 0x20 : de->name[i];
	}
	return true;
}

void check_htree_name(struct check_dir_state *s, struct check_dx_block *block,
		      const struct ext4_dir_entry_2 *de)
{
	char folded[EXT4_NAME_LEN];
	const char *name = de->name;
	struct ext4_hash h;

	if (s->hash_version == CHECK_HASH_UNKNOWN)
		return;
	if (s->hash_version == DX_HASH_SIPHASH) {
		if (ext4_rec_len(de, s->c->sbi->block_size) < EXT4_DIR_REC_LEN(de->name_len) + 8)
			return;
		h = ext4_dirent_hash(de);
		h.hash &= ~1u;
	} else {
		if (s->folded && !s->encrypted) {
			if (!fold_name(de, folded))
				return;
			name = folded;
		}
		if (ext4_dirhash(s->c->sbi, s->hash_version, name, de->name_len, &h))
			return;
	}
	block->min = min(block->min, h.hash);
	block->max = max(block->max, h.hash);
}

static void check_place(struct check_dir_state *s, u32 lblk)
{
	const struct check_dx_block *b = &s->dx[lblk];
	const struct check_dx_block *up = b;
	unsigned depth = 1, wanted = b->kind == CHECK_DX_LEAF ? s->levels + 1u : 0;

	while (up->parent && depth <= s->levels + 1u) {
		up = &s->dx[up->parent];
		depth++;
	}
	if (wanted ? depth != wanted : depth > s->levels)
		check_problem(s->c, "htree-depth", s->dir->ino, 0, "index: block %u is at depth %u of %u",
			      lblk, depth, s->levels + 1u);
}

/*
 * The names of a leaf lie between the entry that names it and the next; those of the first leaf of a node may
 * not lie below the node's own entry. Like e2fsck, this does not hold the last leaf against what follows the
 * node, nor the hashes of a node's entries against the node's.
 */
static void check_bounds(struct check_dir_state *s, u32 lblk)
{
	const struct check_dx_block *b = &s->dx[lblk], *low = b;

	for (unsigned i = 0; i <= s->levels && low->first && low->parent; i++)
		low = &s->dx[low->parent];
	if (b->min > b->max)
		return;
	if (b->min < low->low)
		check_problem(s->c, "htree-low", s->dir->ino, 0,
			      "index: block %u holds hash %#x, its bound is %#x", lblk, b->min, low->low);
	if (b->max > b->high)
		check_problem(s->c, "htree-high", s->dir->ino, 0,
			      "index: block %u holds hash %#x, the next begins with %#x", lblk, b->max,
			      b->high);
}

void check_htree_end(struct check_dir_state *s)
{
	for (u32 lblk = 0; lblk < s->dir->blocks && !s->c->stop; lblk++) {
		if (s->dx[lblk].names != (lblk ? 1 : 0)) {
			check_problem(s->c, "htree-names", s->dir->ino, 0, "index: %u entries name block %u",
				      s->dx[lblk].names, lblk);
			continue;
		}
		if (!lblk)
			continue;
		check_place(s, lblk);
		check_bounds(s, lblk);
	}
}
