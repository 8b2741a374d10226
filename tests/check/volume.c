/* SPDX-License-Identifier: MIT */
/* Finds the structures of an undamaged volume. */
#include "volume.h"

#define JBD2_MAGIC_LE 0x98393bc0 /* it is written big-endian */

#include <err.h>
#include <stdlib.h>
#include <string.h>

const char *const place_names[PLACE_KINDS] = {
	[PLACE_SUPER] = "super",
	[PLACE_BACKUP_SUPER] = "backup-super",
	[PLACE_DESC] = "desc",
	[PLACE_BACKUP_DESC] = "backup-desc",
	[PLACE_BLOCK_BITMAP] = "block-bitmap",
	[PLACE_INODE_BITMAP] = "inode-bitmap",
	[PLACE_INODE] = "inode",
	[PLACE_SPECIAL] = "special-inode",
	[PLACE_FREE_INODE] = "free-inode",
	[PLACE_EXTENT_ROOT] = "extent-root",
	[PLACE_EXTENT_BLOCK] = "extent-block",
	[PLACE_MAP_ROOT] = "map-root",
	[PLACE_MAP_BLOCK] = "map-block",
	[PLACE_FAST_SYMLINK] = "fast-symlink",
	[PLACE_SLOW_SYMLINK] = "slow-symlink",
	[PLACE_INLINE] = "inline-data",
	[PLACE_INLINE_DIR] = "inline-dir",
	[PLACE_DIR] = "dir",
	[PLACE_DX_ROOT] = "dx-root",
	[PLACE_DX_NODE] = "dx-node",
	[PLACE_XATTR_BLOCK] = "xattr-block",
	[PLACE_XATTR_INODE] = "xattr-inode",
	[PLACE_EA_INODE] = "ea-inode",
	[PLACE_JOURNAL_SUPER] = "journal-super",
	[PLACE_JOURNAL_LOG] = "journal-log",
	[PLACE_FAST_COMMIT] = "fast-commit",
	[PLACE_ORPHAN_FILE] = "orphan-file",
	[PLACE_MMP] = "mmp",
	[PLACE_QUOTA] = "quota",
};

static void add(struct volume *v, enum place_kind kind, uint64_t offset, uint32_t length, uint32_t ino,
		uint32_t index)
{
	if (offset >= v->size || length > v->size - offset)
		errx(1, "a %s at byte %llu, beyond the volume", place_names[kind],
		     (unsigned long long)offset);
	if (v->count == v->room) {
		v->room = v->room ? v->room * 2 : 1024;
		v->places = realloc(v->places, v->room * sizeof(*v->places));
		if (!v->places)
			err(1, "places");
	}
	v->places[v->count++] = (struct place){kind, length, offset, ino, index};
}

static bool has_super(struct volume *v, unsigned group)
{
	if (group <= 1)
		return true;
	if (v->compat & EXT4_FEATURE_COMPAT_SPARSE_SUPER2)
		return group == le32_to_cpu(volume_super(v)->s_backup_bgs[0]) ||
		       group == le32_to_cpu(volume_super(v)->s_backup_bgs[1]);
	if (!(v->ro_compat & EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER))
		return true;
	for (unsigned base = 3; base <= 7; base += 2) {
		unsigned power = base;
		while (power < group)
			power *= base;
		if (power == group)
			return true;
	}
	return false;
}

static uint64_t group_start(struct volume *v, unsigned group)
{
	return (v->first_data_block + (uint64_t)group * le32_to_cpu(volume_super(v)->s_blocks_per_group)) *
	       v->block_size;
}

/* Where the descriptor of a group stands: behind the super block, or with meta_bg in the first group of its
 * run. */
static uint64_t desc_offset(struct volume *v, unsigned group)
{
	uint64_t first = (EXT4_SUPER_OFFSET / v->block_size + 1) * (uint64_t)v->block_size;
	unsigned per_block = v->block_size / v->desc_size, block = group / per_block;
	unsigned holder = block * per_block;

	if (!(v->incompat & EXT4_FEATURE_INCOMPAT_META_BG) ||
	    block < le32_to_cpu(volume_super(v)->s_first_meta_bg))
		return first + (uint64_t)group * v->desc_size;
	uint64_t start = holder ? group_start(v, holder) + (has_super(v, holder) ? v->block_size : 0) : first;
	return start + group % per_block * v->desc_size;
}

struct ext4_group_desc *volume_desc(struct volume *v, unsigned group)
{
	return (void *)(v->bytes + v->group[group].desc);
}

static uint64_t desc_block(struct volume *v, le32 lo, le32 hi)
{
	return (le32_to_cpu(lo) | (v->desc_size >= 64 ? (uint64_t)le32_to_cpu(hi) << 32 : 0)) * v->block_size;
}

static void find_groups(struct volume *v)
{
	v->group = calloc(v->groups, sizeof(*v->group));
	if (!v->group)
		err(1, "groups");
	for (unsigned i = 0; i < v->groups; i++) {
		v->group[i].desc = desc_offset(v, i);
		struct ext4_group_desc *desc = volume_desc(v, i);
		v->group[i].table = desc_block(v, desc->bg_inode_table_lo, desc->bg_inode_table_hi);
	}
}

static uint64_t inode_offset(struct volume *v, uint32_t ino)
{
	return v->group[(ino - 1) / v->inodes_per_group].table +
	       (uint64_t)((ino - 1) % v->inodes_per_group) * v->inode_size;
}

struct ext4_inode *volume_inode(struct volume *v, uint32_t ino)
{
	return (void *)(v->bytes + inode_offset(v, ino));
}

/* ---- What the blocks of an inode are. */

struct owner {
	struct volume *v;
	struct ext4_inode *inode;
	uint32_t ino;
	enum place_kind kind; /* of its data blocks; PLACE_KINDS: plain data, not noted */
};

/* Of a block of the journal behind its super block. What was never written is no place to damage. */
static enum place_kind journal_kind(struct owner *o, uint32_t lblk, const uint8_t *block)
{
	if (get_unaligned_le32(block) == JBD2_MAGIC_LE)
		return PLACE_JOURNAL_LOG;
	if (o->v->fast_commits && lblk >= o->v->fast_commits && get_unaligned_le16(block))
		return PLACE_FAST_COMMIT;
	return PLACE_KINDS;
}

/* Where the blocks for fast commits begin; 0: there are none. The fields are big-endian. */
static uint32_t first_fast_commit(const uint8_t *super)
{
	uint32_t blocks = __builtin_bswap32(get_unaligned_le32(super + 16)),
		 fast = __builtin_bswap32(get_unaligned_le32(super + 84));

	return super[0x2B] & 0x20 ? blocks - (fast ? fast : 256) : 0;
}

static void add_data(struct owner *o, uint32_t lblk, uint64_t pblk)
{
	struct volume *v = o->v;
	uint8_t *block = v->bytes + pblk * v->block_size;
	enum place_kind kind = o->kind;

	if (kind == PLACE_KINDS)
		return;
	if (kind == PLACE_JOURNAL_SUPER && lblk == 0)
		v->fast_commits = first_fast_commit(block);
	if (kind == PLACE_JOURNAL_SUPER && lblk > 0) {
		kind = journal_kind(o, lblk, block);
		if (kind == PLACE_KINDS)
			return;
	}
	if (kind == PLACE_DIR && le32_to_cpu(o->inode->i_flags) & EXT4_INDEX_FL) {
		const struct ext4_dir_entry_2 *entry = (void *)block;
		if (lblk == 0)
			kind = PLACE_DX_ROOT;
		else if (!le32_to_cpu(entry->inode) && le16_to_cpu(entry->rec_len) == v->block_size)
			kind = PLACE_DX_NODE;
	}
	add(v, kind, pblk * v->block_size, v->block_size, o->ino, lblk);
}

static void walk_extents(struct owner *o, uint8_t *node)
{
	struct ext4_extent_header *header = (void *)node;
	unsigned n = le16_to_cpu(header->eh_entries);

	for (unsigned i = 1; i <= n; i++) {
		if (le16_to_cpu(header->eh_depth)) {
			struct ext4_extent_idx *index = (void *)(node + 12 * i);
			uint64_t at = (le32_to_cpu(index->ei_leaf_lo) |
				       (uint64_t)le16_to_cpu(index->ei_leaf_hi) << 32) *
				      o->v->block_size;
			add(o->v, PLACE_EXTENT_BLOCK, at, o->v->block_size, o->ino,
			    le32_to_cpu(index->ei_block));
			walk_extents(o, o->v->bytes + at);
			continue;
		}
		struct ext4_extent *extent = (void *)(node + 12 * i);
		unsigned length = le16_to_cpu(extent->ee_len);
		if (length > EXT_INIT_MAX_LEN)
			continue;
		for (unsigned k = 0; k < length; k++)
			add_data(o, le32_to_cpu(extent->ee_block) + k,
				 (le32_to_cpu(extent->ee_start_lo) |
				  (uint64_t)le16_to_cpu(extent->ee_start_hi) << 32) +
					 k);
	}
}

static void walk_map(struct owner *o, const le32 *map, unsigned n, uint32_t *lblk, unsigned level)
{
	unsigned per_block = o->v->block_size / 4;
	uint32_t step = 1;

	for (unsigned i = 0; i < level; i++)
		step *= per_block;
	for (unsigned i = 0; i < n; i++) {
		uint64_t pblk = le32_to_cpu(map[i]);
		if (!pblk) {
			*lblk += step;
		} else if (!level) {
			add_data(o, (*lblk)++, pblk);
		} else {
			add(o->v, PLACE_MAP_BLOCK, pblk * o->v->block_size, o->v->block_size, o->ino, *lblk);
			walk_map(o, (void *)(o->v->bytes + pblk * o->v->block_size), per_block, lblk,
				 level - 1);
		}
	}
}

static enum place_kind data_kind(struct volume *v, uint32_t ino, struct ext4_inode *inode)
{
	struct ext4_super_block *sb = volume_super(v);
	unsigned type = le16_to_cpu(inode->i_mode) & 0170000;

	if (v->compat & EXT4_FEATURE_COMPAT_HAS_JOURNAL && ino == le32_to_cpu(sb->s_journal_inum))
		return PLACE_JOURNAL_SUPER;
	if (v->compat & EXT4_FEATURE_COMPAT_ORPHAN_FILE && ino == le32_to_cpu(sb->s_orphan_file_inum))
		return PLACE_ORPHAN_FILE;
	if (v->ro_compat & EXT4_FEATURE_RO_COMPAT_QUOTA &&
	    (ino == le32_to_cpu(sb->s_usr_quota_inum) || ino == le32_to_cpu(sb->s_grp_quota_inum) ||
	     ino == le32_to_cpu(sb->s_prj_quota_inum)))
		return PLACE_QUOTA;
	if (le32_to_cpu(inode->i_flags) & EXT4_EA_INODE_FL)
		return PLACE_EA_INODE;
	return type == 0040000 ? PLACE_DIR : type == 0120000 ? PLACE_SLOW_SYMLINK : PLACE_KINDS;
}

static void add_blocks(struct volume *v, uint32_t ino, uint64_t at)
{
	struct ext4_inode *inode = (void *)(v->bytes + at);
	struct owner owner = {v, inode, ino, data_kind(v, ino, inode)};
	uint64_t root = at + offsetof(struct ext4_inode, i_block);
	unsigned type = le16_to_cpu(inode->i_mode) & 0170000;
	uint32_t flags = le32_to_cpu(inode->i_flags), lblk = 0;

	if (flags & EXT4_INLINE_DATA_FL) {
		add(v, type == 0040000 ? PLACE_INLINE_DIR : PLACE_INLINE, root, 60, ino, 0);
	} else if (type == 0120000 && le32_to_cpu(inode->i_size_lo) < 60) {
		add(v, PLACE_FAST_SYMLINK, root, 60, ino, 0);
	} else if (flags & EXT4_EXTENTS_FL) {
		add(v, PLACE_EXTENT_ROOT, root, 60, ino, 0);
		walk_extents(&owner, v->bytes + root);
	} else if (type == 0100000 || type == 0040000 || type == 0120000) {
		add(v, PLACE_MAP_ROOT, root, 60, ino, 0);
		walk_map(&owner, inode->i_block, EXT4_NDIR_BLOCKS, &lblk, 0);
		for (unsigned level = 1; level <= 3; level++)
			walk_map(&owner, inode->i_block + EXT4_NDIR_BLOCKS + level - 1, 1, &lblk, level);
	}
}

static void add_inode(struct volume *v, uint32_t ino, bool used)
{
	uint64_t at = inode_offset(v, ino);
	struct ext4_inode *inode = (void *)(v->bytes + at);

	if (!used) {
		add(v, PLACE_FREE_INODE, at, v->inode_size, ino, 0);
		return;
	}
	add(v, ino < v->first_ino && ino != EXT4_ROOT_INO ? PLACE_SPECIAL : PLACE_INODE, at, v->inode_size,
	    ino, 0);
	if (!le16_to_cpu(inode->i_mode))
		return;
	if (v->inode_size > EXT4_GOOD_OLD_INODE_SIZE) {
		unsigned from = EXT4_GOOD_OLD_INODE_SIZE + le16_to_cpu(inode->i_extra_isize);
		if (from + 4 <= v->inode_size && get_unaligned_le32(v->bytes + at + from) == EXT4_XATTR_MAGIC)
			add(v, PLACE_XATTR_INODE, at + from, v->inode_size - from, ino, 0);
	}
	if (le32_to_cpu(inode->i_file_acl_lo))
		add(v, PLACE_XATTR_BLOCK, (uint64_t)le32_to_cpu(inode->i_file_acl_lo) * v->block_size,
		    v->block_size, ino, 0);
	add_blocks(v, ino, at);
}

static void add_group(struct volume *v, unsigned group)
{
	struct ext4_group_desc *desc = volume_desc(v, group);
	bool csums = v->ro_compat & (EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM);
	unsigned flags = csums ? le16_to_cpu(desc->bg_flags) : 0;
	uint64_t inode_bitmap = desc_block(v, desc->bg_inode_bitmap_lo, desc->bg_inode_bitmap_hi);

	add(v, PLACE_DESC, v->group[group].desc, v->desc_size, 0, group);
	if (!(flags & EXT4_BG_BLOCK_UNINIT))
		add(v, PLACE_BLOCK_BITMAP, desc_block(v, desc->bg_block_bitmap_lo, desc->bg_block_bitmap_hi),
		    v->block_size, 0, group);
	if (flags & EXT4_BG_INODE_UNINIT)
		return;
	add(v, PLACE_INODE_BITMAP, inode_bitmap, v->block_size, 0, group);
	for (unsigned i = 0; i < v->inodes_per_group; i++)
		add_inode(v, group * v->inodes_per_group + i + 1,
			  v->bytes[inode_bitmap + i / 8] >> i % 8 & 1);
}

static void read_super(struct volume *v)
{
	struct ext4_super_block *sb = volume_super(v);

	if (v->size < 4096 || le16_to_cpu(sb->s_magic) != EXT4_SUPER_MAGIC)
		errx(1, "not an ext volume");
	v->block_size = EXT4_MIN_BLOCK_SIZE << le32_to_cpu(sb->s_log_block_size);
	v->first_data_block = le32_to_cpu(sb->s_first_data_block);
	v->blocks_count = le32_to_cpu(sb->s_blocks_count_lo);
	v->inodes_count = le32_to_cpu(sb->s_inodes_count);
	v->inodes_per_group = le32_to_cpu(sb->s_inodes_per_group);
	v->clusters_per_group = le32_to_cpu(sb->s_clusters_per_group);
	v->compat = le32_to_cpu(sb->s_feature_compat);
	v->incompat = le32_to_cpu(sb->s_feature_incompat);
	v->ro_compat = le32_to_cpu(sb->s_feature_ro_compat);
	v->inode_size =
		le32_to_cpu(sb->s_rev_level) ? le16_to_cpu(sb->s_inode_size) : EXT4_GOOD_OLD_INODE_SIZE;
	v->first_ino = le32_to_cpu(sb->s_rev_level) ? le32_to_cpu(sb->s_first_ino) : EXT4_GOOD_OLD_FIRST_INO;
	v->desc_size =
		v->incompat & EXT4_FEATURE_INCOMPAT_64BIT ? le16_to_cpu(sb->s_desc_size) : EXT4_MIN_DESC_SIZE;
	v->groups = v->inodes_count / v->inodes_per_group;
}

void volume_open(struct volume *v, uint8_t *bytes, uint64_t size)
{
	*v = (struct volume){.bytes = bytes, .size = size};
	read_super(v);
	find_groups(v);
	add(v, PLACE_SUPER, EXT4_SUPER_OFFSET, sizeof(struct ext4_super_block), 0, 0);
	for (unsigned group = 1; group < v->groups; group++)
		if (has_super(v, group)) {
			add(v, PLACE_BACKUP_SUPER, group_start(v, group), sizeof(struct ext4_super_block), 0,
			    group);
			add(v, PLACE_BACKUP_DESC, group_start(v, group) + v->block_size, v->desc_size, 0,
			    group);
		}
	for (unsigned group = 0; group < v->groups; group++)
		add_group(v, group);
	if (v->incompat & EXT4_FEATURE_INCOMPAT_MMP)
		add(v, PLACE_MMP, le64_to_cpu(volume_super(v)->s_mmp_block) * v->block_size, 1024, 0, 0);
}

void volume_close(struct volume *v)
{
	free(v->group);
	free(v->places);
}
