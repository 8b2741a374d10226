/* SPDX-License-Identifier: MIT */
/* See fields.h. What is left out (times, labels, reserved bytes) is hit by damage to random bytes. */
#include "fields.h"

#define FIELD(type, member, what)                                                                            \
	{                                                                                                    \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member), what             \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SUPER(member, what) FIELD(ext4_super_block, member, what)
static const struct field super_fields[] = {
	SUPER(s_inodes_count, ROLE_NUMBER),
	SUPER(s_blocks_count_lo, ROLE_NUMBER),
	SUPER(s_r_blocks_count_lo, ROLE_NUMBER),
	SUPER(s_free_blocks_count_lo, ROLE_NUMBER),
	SUPER(s_free_inodes_count, ROLE_NUMBER),
	SUPER(s_first_data_block, ROLE_NUMBER),
	SUPER(s_log_block_size, ROLE_NUMBER),
	SUPER(s_log_cluster_size, ROLE_NUMBER),
	SUPER(s_blocks_per_group, ROLE_NUMBER),
	SUPER(s_clusters_per_group, ROLE_NUMBER),
	SUPER(s_inodes_per_group, ROLE_NUMBER),
	SUPER(s_mtime, ROLE_NUMBER),
	SUPER(s_wtime, ROLE_NUMBER),
	SUPER(s_mnt_count, ROLE_NUMBER),
	SUPER(s_max_mnt_count, ROLE_NUMBER),
	SUPER(s_magic, ROLE_NUMBER),
	SUPER(s_state, ROLE_FLAGS),
	SUPER(s_errors, ROLE_NUMBER),
	SUPER(s_minor_rev_level, ROLE_NUMBER),
	SUPER(s_lastcheck, ROLE_NUMBER),
	SUPER(s_checkinterval, ROLE_NUMBER),
	SUPER(s_creator_os, ROLE_NUMBER),
	SUPER(s_rev_level, ROLE_NUMBER),
	SUPER(s_first_ino, ROLE_NUMBER),
	SUPER(s_inode_size, ROLE_NUMBER),
	SUPER(s_block_group_nr, ROLE_NUMBER),
	SUPER(s_feature_compat, ROLE_FLAGS),
	SUPER(s_feature_incompat, ROLE_FLAGS),
	SUPER(s_feature_ro_compat, ROLE_FLAGS),
	SUPER(s_uuid, ROLE_NUMBER),
	SUPER(s_reserved_gdt_blocks, ROLE_NUMBER),
	SUPER(s_journal_uuid, ROLE_NUMBER),
	SUPER(s_journal_inum, ROLE_INODE),
	SUPER(s_journal_dev, ROLE_NUMBER),
	SUPER(s_last_orphan, ROLE_INODE),
	SUPER(s_hash_seed, ROLE_NUMBER),
	SUPER(s_def_hash_version, ROLE_NUMBER),
	SUPER(s_jnl_backup_type, ROLE_NUMBER),
	SUPER(s_desc_size, ROLE_NUMBER),
	SUPER(s_default_mount_opts, ROLE_FLAGS),
	SUPER(s_first_meta_bg, ROLE_NUMBER),
	SUPER(s_jnl_blocks, ROLE_NUMBER),
	SUPER(s_blocks_count_hi, ROLE_NUMBER),
	SUPER(s_free_blocks_count_hi, ROLE_NUMBER),
	SUPER(s_min_extra_isize, ROLE_NUMBER),
	SUPER(s_want_extra_isize, ROLE_NUMBER),
	SUPER(s_flags, ROLE_FLAGS),
	SUPER(s_mmp_interval, ROLE_NUMBER),
	SUPER(s_mmp_block, ROLE_BLOCK),
	SUPER(s_log_groups_per_flex, ROLE_NUMBER),
	SUPER(s_checksum_type, ROLE_NUMBER),
	SUPER(s_error_count, ROLE_NUMBER),
	SUPER(s_usr_quota_inum, ROLE_INODE),
	SUPER(s_grp_quota_inum, ROLE_INODE),
	SUPER(s_prj_quota_inum, ROLE_INODE),
	SUPER(s_overhead_blocks, ROLE_NUMBER),
	SUPER(s_backup_bgs, ROLE_NUMBER),
	SUPER(s_checksum_seed, ROLE_NUMBER),
	SUPER(s_encoding, ROLE_NUMBER),
	SUPER(s_encoding_flags, ROLE_FLAGS),
	SUPER(s_orphan_file_inum, ROLE_INODE),
};

#define DESC(member, what) FIELD(ext4_group_desc, member, what)
static const struct field desc_fields[] = {
	DESC(bg_block_bitmap_lo, ROLE_BLOCK),
	DESC(bg_inode_bitmap_lo, ROLE_BLOCK),
	DESC(bg_inode_table_lo, ROLE_BLOCK),
	DESC(bg_free_blocks_count_lo, ROLE_NUMBER),
	DESC(bg_free_inodes_count_lo, ROLE_NUMBER),
	DESC(bg_used_dirs_count_lo, ROLE_NUMBER),
	DESC(bg_flags, ROLE_FLAGS),
	DESC(bg_block_bitmap_csum_lo, ROLE_NUMBER),
	DESC(bg_inode_bitmap_csum_lo, ROLE_NUMBER),
	DESC(bg_itable_unused_lo, ROLE_NUMBER),
	DESC(bg_block_bitmap_hi, ROLE_NUMBER), /* from here: only in large descriptors */
	DESC(bg_inode_table_hi, ROLE_NUMBER),
	DESC(bg_free_blocks_count_hi, ROLE_NUMBER),
	DESC(bg_itable_unused_hi, ROLE_NUMBER),
};

#define INODE(member, what) FIELD(ext4_inode, member, what)
static const struct field inode_fields[] = {
	INODE(i_mode, ROLE_FLAGS),
	INODE(i_mode, ROLE_NUMBER),
	INODE(i_uid, ROLE_NUMBER),
	INODE(i_size_lo, ROLE_NUMBER),
	INODE(i_size_lo, ROLE_NUMBER),
	INODE(i_dtime, ROLE_NUMBER),
	INODE(i_links_count, ROLE_NUMBER),
	INODE(i_blocks_lo, ROLE_NUMBER),
	INODE(i_flags, ROLE_FLAGS),
	INODE(i_flags, ROLE_FLAGS),
	INODE(i_block[0], ROLE_BLOCK),
	INODE(i_block[1], ROLE_BLOCK),
	INODE(i_generation, ROLE_NUMBER),
	INODE(i_file_acl_lo, ROLE_BLOCK),
	INODE(i_size_high, ROLE_NUMBER),
	INODE(i_obso_faddr, ROLE_NUMBER),
	INODE(i_blocks_high, ROLE_NUMBER),
	INODE(i_file_acl_high, ROLE_NUMBER),
	INODE(i_reserved, ROLE_NUMBER),
	INODE(i_extra_isize, ROLE_NUMBER), /* from here: only in large inodes */
	INODE(i_ctime_extra, ROLE_NUMBER),
	INODE(i_mtime_extra, ROLE_NUMBER),
	INODE(i_crtime_extra, ROLE_NUMBER),
	INODE(i_version_hi, ROLE_NUMBER),
	INODE(i_projid, ROLE_NUMBER),
};

static const struct field extent_header_fields[] = {
	FIELD(ext4_extent_header, eh_magic, ROLE_NUMBER),
	FIELD(ext4_extent_header, eh_entries, ROLE_NUMBER),
	FIELD(ext4_extent_header, eh_max, ROLE_NUMBER),
	FIELD(ext4_extent_header, eh_depth, ROLE_NUMBER),
	FIELD(ext4_extent_header, eh_generation, ROLE_NUMBER),
};
const struct field extent_fields[5] = {
	FIELD(ext4_extent, ee_block, ROLE_NUMBER),   FIELD(ext4_extent, ee_len, ROLE_NUMBER),
	FIELD(ext4_extent, ee_len, ROLE_FLAGS),      FIELD(ext4_extent, ee_start_hi, ROLE_NUMBER),
	FIELD(ext4_extent, ee_start_lo, ROLE_BLOCK),
};
const struct field index_fields[4] = {
	FIELD(ext4_extent_idx, ei_block, ROLE_NUMBER),
	FIELD(ext4_extent_idx, ei_leaf_lo, ROLE_BLOCK),
	FIELD(ext4_extent_idx, ei_leaf_hi, ROLE_NUMBER),
	FIELD(ext4_extent_idx, ei_unused, ROLE_NUMBER),
};

const struct field dirent_fields[4] = {
	FIELD(ext4_dir_entry_2, inode, ROLE_INODE),
	FIELD(ext4_dir_entry_2, rec_len, ROLE_NUMBER),
	FIELD(ext4_dir_entry_2, name_len, ROLE_NUMBER),
	FIELD(ext4_dir_entry_2, file_type, ROLE_NUMBER),
};

static const struct field dx_root_fields[] = {
	{"reserved_zero", 24, 4, ROLE_NUMBER}, {"hash_version", 28, 1, ROLE_NUMBER},
	{"info_length", 29, 1, ROLE_NUMBER},   {"indirect_levels", 30, 1, ROLE_NUMBER},
	{"unused_flags", 31, 1, ROLE_FLAGS},   {"limit", 32, 2, ROLE_NUMBER},
	{"count", 34, 2, ROLE_NUMBER},         {"block[0]", 36, 4, ROLE_NUMBER},
	{"dot.inode", 0, 4, ROLE_INODE},       {"dot.rec_len", 4, 2, ROLE_NUMBER},
	{"dotdot.inode", 12, 4, ROLE_INODE},   {"dotdot.rec_len", 16, 2, ROLE_NUMBER},
	{"dot.name", 6, 4, ROLE_NUMBER},
};
static const struct field dx_node_fields[] = {
	{"inode", 0, 4, ROLE_INODE},  {"rec_len", 4, 2, ROLE_NUMBER}, {"name_len", 6, 2, ROLE_NUMBER},
	{"limit", 8, 2, ROLE_NUMBER}, {"count", 10, 2, ROLE_NUMBER},  {"block[0]", 12, 4, ROLE_NUMBER},
};
const struct field dx_fields[2] = {
	FIELD(dx_entry, hash, ROLE_NUMBER),
	FIELD(dx_entry, block, ROLE_NUMBER),
};

static const struct field xattr_header_fields[] = {
	FIELD(ext4_xattr_header, h_magic, ROLE_NUMBER),
	FIELD(ext4_xattr_header, h_refcount, ROLE_NUMBER),
	FIELD(ext4_xattr_header, h_blocks, ROLE_NUMBER),
	FIELD(ext4_xattr_header, h_hash, ROLE_NUMBER),
};
const struct field xattr_fields[6] = {
	FIELD(ext4_xattr_entry, e_name_len, ROLE_NUMBER),
	FIELD(ext4_xattr_entry, e_name_index, ROLE_NUMBER),
	FIELD(ext4_xattr_entry, e_value_offs, ROLE_NUMBER),
	FIELD(ext4_xattr_entry, e_value_inum, ROLE_INODE),
	FIELD(ext4_xattr_entry, e_value_size, ROLE_NUMBER),
	FIELD(ext4_xattr_entry, e_hash, ROLE_NUMBER),
};
static const struct field xattr_inode_fields[] = {
	{"magic", 0, 4, ROLE_NUMBER},
};

/* Big-endian; the damage does not care. */
static const struct field journal_fields[] = {
	{"h_magic", 0, 4, ROLE_NUMBER},
	{"h_blocktype", 4, 4, ROLE_NUMBER},
	{"h_sequence", 8, 4, ROLE_NUMBER},
	{"s_blocksize", 12, 4, ROLE_NUMBER},
	{"s_maxlen", 16, 4, ROLE_NUMBER},
	{"s_first", 20, 4, ROLE_NUMBER},
	{"s_sequence", 24, 4, ROLE_NUMBER},
	{"s_start", 28, 4, ROLE_NUMBER},
	{"s_errno", 32, 4, ROLE_NUMBER},
	{"s_feature_compat", 36, 4, ROLE_FLAGS},
	{"s_feature_incompat", 40, 4, ROLE_FLAGS},
	{"s_feature_ro_compat", 44, 4, ROLE_FLAGS},
	{"s_uuid", 48, 16, ROLE_NUMBER},
	{"s_nr_users", 64, 4, ROLE_NUMBER},
	{"s_checksum_type", 80, 1, ROLE_NUMBER},
	{"s_num_fc_blks", 84, 4, ROLE_NUMBER},
	{"s_head", 88, 4, ROLE_NUMBER},
};
static const struct field mmp_fields[] = {
	{"mmp_magic", 0, 4, ROLE_NUMBER},
	{"mmp_seq", 4, 4, ROLE_NUMBER},
	{"mmp_check_interval", 112, 2, ROLE_NUMBER},
};
static const struct field orphan_fields[] = {
	{"entry[0]", 0, 4, ROLE_INODE},
	{"entry[1]", 4, 4, ROLE_INODE},
	{"entry[9]", 36, 4, ROLE_INODE},
};
static const struct field quota_fields[] = {
	{"dqh_magic", 0, 4, ROLE_NUMBER},       {"dqh_version", 4, 4, ROLE_NUMBER},
	{"dqi_bgrace", 8, 4, ROLE_NUMBER},      {"dqi_blocks", 20, 4, ROLE_NUMBER},
	{"dqi_free_blk", 24, 4, ROLE_NUMBER},   {"dqi_free_entry", 28, 4, ROLE_NUMBER},
	{"tree[0]", 0, 4, ROLE_NUMBER},         {"entry.curinodes", 40, 8, ROLE_NUMBER},
	{"entry.curspace", 64, 8, ROLE_NUMBER},
};
static const struct field map_root_fields[] = {
	{"direct[0]", 0, 4, ROLE_BLOCK}, {"direct[1]", 4, 4, ROLE_BLOCK}, {"direct[11]", 44, 4, ROLE_BLOCK},
	{"indirect", 48, 4, ROLE_BLOCK}, {"double", 52, 4, ROLE_BLOCK},   {"triple", 56, 4, ROLE_BLOCK},
};
static const struct field inline_dir_fields[] = {
	{"parent", 0, 4, ROLE_INODE},     {"inode", 4, 4, ROLE_INODE},       {"rec_len", 8, 2, ROLE_NUMBER},
	{"name_len", 10, 1, ROLE_NUMBER}, {"file_type", 11, 1, ROLE_NUMBER}, {"name", 12, 1, ROLE_NUMBER},
};

static const struct {
	const struct field *fields;
	unsigned count;
} tables[PLACE_KINDS] = {
	[PLACE_SUPER] = {super_fields, COUNT(super_fields)},
	[PLACE_BACKUP_SUPER] = {super_fields, COUNT(super_fields)},
	[PLACE_DESC] = {desc_fields, COUNT(desc_fields)},
	[PLACE_BACKUP_DESC] = {desc_fields, COUNT(desc_fields)},
	[PLACE_INODE] = {inode_fields, COUNT(inode_fields)},
	[PLACE_SPECIAL] = {inode_fields, COUNT(inode_fields)},
	[PLACE_FREE_INODE] = {inode_fields, COUNT(inode_fields)},
	[PLACE_EXTENT_ROOT] = {extent_header_fields, COUNT(extent_header_fields)},
	[PLACE_EXTENT_BLOCK] = {extent_header_fields, COUNT(extent_header_fields)},
	[PLACE_MAP_ROOT] = {map_root_fields, COUNT(map_root_fields)},
	[PLACE_INLINE_DIR] = {inline_dir_fields, COUNT(inline_dir_fields)},
	[PLACE_DX_ROOT] = {dx_root_fields, COUNT(dx_root_fields)},
	[PLACE_DX_NODE] = {dx_node_fields, COUNT(dx_node_fields)},
	[PLACE_XATTR_BLOCK] = {xattr_header_fields, COUNT(xattr_header_fields)},
	[PLACE_XATTR_INODE] = {xattr_inode_fields, COUNT(xattr_inode_fields)},
	[PLACE_JOURNAL_SUPER] = {journal_fields, COUNT(journal_fields)},
	[PLACE_ORPHAN_FILE] = {orphan_fields, COUNT(orphan_fields)},
	[PLACE_MMP] = {mmp_fields, COUNT(mmp_fields)},
	[PLACE_QUOTA] = {quota_fields, COUNT(quota_fields)},
};

const struct field *fields_of(enum place_kind kind, unsigned *count)
{
	*count = tables[kind].count;
	return tables[kind].fields;
}
