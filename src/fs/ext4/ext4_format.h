/* SPDX-License-Identifier: MIT */
/*
 * Every byte of an ext2, ext3 or ext4 volume that this code reads, as the kernel's ext4 documentation
 * ("ext4 Data Structures and Algorithms") gives it. Nothing but the format: shared with tools and tests.
 * Names are those of the documentation. Everything is little-endian.
 */
#ifndef SHALE_FS_EXT4_FORMAT_H
#define SHALE_FS_EXT4_FORMAT_H

#include "base/le.h"

#define EXT4_SUPER_MAGIC             0xEF53
#define EXT4_SUPER_OFFSET            1024 /* bytes from the start of the volume */
#define EXT4_MIN_BLOCK_SIZE          1024
#define EXT4_MAX_BLOCK_SIZE          65536
#define EXT4_MAX_LOG_BLOCK_SIZE      6  /* of 1 KiB */
#define EXT4_MAX_LOG_CLUSTER_SIZE    20 /* of 1 KiB */
#define EXT4_MAX_LOG_GROUPS_PER_FLEX 31
#define EXT4_NAME_LEN                255
#define EXT4_CRC32C_CHKSUM           1

/* Reserved inode numbers. */
#define EXT4_BAD_INO            1
#define EXT4_ROOT_INO           2
#define EXT4_BOOT_LOADER_INO    5
#define EXT4_RESIZE_INO         7
#define EXT4_JOURNAL_INO        8
#define EXT4_GOOD_OLD_FIRST_INO 11

/* s_feature_compat */
#define EXT4_FEATURE_COMPAT_DIR_PREALLOC   0x0001
#define EXT4_FEATURE_COMPAT_IMAGIC_INODES  0x0002
#define EXT4_FEATURE_COMPAT_HAS_JOURNAL    0x0004
#define EXT4_FEATURE_COMPAT_EXT_ATTR       0x0008
#define EXT4_FEATURE_COMPAT_RESIZE_INODE   0x0010
#define EXT4_FEATURE_COMPAT_DIR_INDEX      0x0020
#define EXT4_FEATURE_COMPAT_LAZY_BG        0x0040
#define EXT4_FEATURE_COMPAT_EXCLUDE_INODE  0x0080
#define EXT4_FEATURE_COMPAT_EXCLUDE_BITMAP 0x0100
#define EXT4_FEATURE_COMPAT_SPARSE_SUPER2  0x0200
#define EXT4_FEATURE_COMPAT_FAST_COMMIT    0x0400
#define EXT4_FEATURE_COMPAT_STABLE_INODES  0x0800
#define EXT4_FEATURE_COMPAT_ORPHAN_FILE    0x1000

/* s_feature_incompat */
#define EXT4_FEATURE_INCOMPAT_COMPRESSION 0x00001
#define EXT4_FEATURE_INCOMPAT_FILETYPE    0x00002
#define EXT4_FEATURE_INCOMPAT_RECOVER     0x00004
#define EXT4_FEATURE_INCOMPAT_JOURNAL_DEV 0x00008
#define EXT4_FEATURE_INCOMPAT_META_BG     0x00010
#define EXT4_FEATURE_INCOMPAT_EXTENTS     0x00040
#define EXT4_FEATURE_INCOMPAT_64BIT       0x00080
#define EXT4_FEATURE_INCOMPAT_MMP         0x00100
#define EXT4_FEATURE_INCOMPAT_FLEX_BG     0x00200
#define EXT4_FEATURE_INCOMPAT_EA_INODE    0x00400
#define EXT4_FEATURE_INCOMPAT_DIRDATA     0x01000
#define EXT4_FEATURE_INCOMPAT_CSUM_SEED   0x02000
#define EXT4_FEATURE_INCOMPAT_LARGEDIR    0x04000
#define EXT4_FEATURE_INCOMPAT_INLINE_DATA 0x08000
#define EXT4_FEATURE_INCOMPAT_ENCRYPT     0x10000
#define EXT4_FEATURE_INCOMPAT_CASEFOLD    0x20000

/* s_feature_ro_compat */
#define EXT4_FEATURE_RO_COMPAT_SPARSE_SUPER   0x00001
#define EXT4_FEATURE_RO_COMPAT_LARGE_FILE     0x00002
#define EXT4_FEATURE_RO_COMPAT_BTREE_DIR      0x00004
#define EXT4_FEATURE_RO_COMPAT_HUGE_FILE      0x00008
#define EXT4_FEATURE_RO_COMPAT_GDT_CSUM       0x00010
#define EXT4_FEATURE_RO_COMPAT_DIR_NLINK      0x00020
#define EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE    0x00040
#define EXT4_FEATURE_RO_COMPAT_QUOTA          0x00100
#define EXT4_FEATURE_RO_COMPAT_BIGALLOC       0x00200
#define EXT4_FEATURE_RO_COMPAT_METADATA_CSUM  0x00400
#define EXT4_FEATURE_RO_COMPAT_READONLY       0x01000
#define EXT4_FEATURE_RO_COMPAT_PROJECT        0x02000
#define EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS  0x04000
#define EXT4_FEATURE_RO_COMPAT_VERITY         0x08000
#define EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT 0x10000

/* s_creator_os */
#define EXT4_OS_LINUX 0
#define EXT4_OS_HURD  1

/* s_state, s_flags */
#define EXT4_VALID_FS            0x0001
#define EXT4_ERROR_FS            0x0002
#define EXT4_ORPHAN_FS           0x0004
#define EXT2_FLAGS_SIGNED_HASH   0x0001
#define EXT2_FLAGS_UNSIGNED_HASH 0x0002

struct ext4_super_block {
	le32 s_inodes_count;
	le32 s_blocks_count_lo;
	le32 s_r_blocks_count_lo;
	le32 s_free_blocks_count_lo;
	le32 s_free_inodes_count;
	le32 s_first_data_block;
	le32 s_log_block_size;
	le32 s_log_cluster_size;
	le32 s_blocks_per_group;
	le32 s_clusters_per_group;
	le32 s_inodes_per_group;
	le32 s_mtime;
	le32 s_wtime;
	le16 s_mnt_count;
	le16 s_max_mnt_count;
	le16 s_magic;
	le16 s_state;
	le16 s_errors;
	le16 s_minor_rev_level;
	le32 s_lastcheck;
	le32 s_checkinterval;
	le32 s_creator_os;
	le32 s_rev_level;
	le16 s_def_resuid;
	le16 s_def_resgid;
	/* From here: s_rev_level >= 1. */
	le32 s_first_ino;
	le16 s_inode_size;
	le16 s_block_group_nr;
	le32 s_feature_compat;
	le32 s_feature_incompat;
	le32 s_feature_ro_compat;
	u8 s_uuid[16];
	char s_volume_name[16];
	char s_last_mounted[64];
	le32 s_algorithm_usage_bitmap;
	u8 s_prealloc_blocks;
	u8 s_prealloc_dir_blocks;
	le16 s_reserved_gdt_blocks;
	u8 s_journal_uuid[16];
	le32 s_journal_inum;
	le32 s_journal_dev;
	le32 s_last_orphan;
	le32 s_hash_seed[4];
	u8 s_def_hash_version;
	u8 s_jnl_backup_type;
	le16 s_desc_size;
	le32 s_default_mount_opts;
	le32 s_first_meta_bg;
	le32 s_mkfs_time;
	le32 s_jnl_blocks[17];
	le32 s_blocks_count_hi;
	le32 s_r_blocks_count_hi;
	le32 s_free_blocks_count_hi;
	le16 s_min_extra_isize;
	le16 s_want_extra_isize;
	le32 s_flags;
	le16 s_raid_stride;
	le16 s_mmp_interval;
	le64 s_mmp_block;
	le32 s_raid_stripe_width;
	u8 s_log_groups_per_flex;
	u8 s_checksum_type;
	u8 s_encryption_level;
	u8 s_reserved_pad;
	le64 s_kbytes_written;
	le32 s_snapshot_inum;
	le32 s_snapshot_id;
	le64 s_snapshot_r_blocks_count;
	le32 s_snapshot_list;
	le32 s_error_count;
	le32 s_first_error_time;
	le32 s_first_error_ino;
	le64 s_first_error_block;
	u8 s_first_error_func[32];
	le32 s_first_error_line;
	le32 s_last_error_time;
	le32 s_last_error_ino;
	le32 s_last_error_line;
	le64 s_last_error_block;
	u8 s_last_error_func[32];
	u8 s_mount_opts[64];
	le32 s_usr_quota_inum;
	le32 s_grp_quota_inum;
	le32 s_overhead_blocks;
	le32 s_backup_bgs[2];
	u8 s_encrypt_algos[4];
	u8 s_encrypt_pw_salt[16];
	le32 s_lpf_ino;
	le32 s_prj_quota_inum;
	le32 s_checksum_seed;
	u8 s_wtime_hi;
	u8 s_mtime_hi;
	u8 s_mkfs_time_hi;
	u8 s_lastcheck_hi;
	u8 s_first_error_time_hi;
	u8 s_last_error_time_hi;
	u8 s_first_error_errcode;
	u8 s_last_error_errcode;
	le16 s_encoding;
	le16 s_encoding_flags;
	le32 s_orphan_file_inum;
	le32 s_reserved[94];
	le32 s_checksum; /* crc32c of all before it */
};
disk_struct_size(struct ext4_super_block, 1024);
disk_field_offset(struct ext4_super_block, s_uuid, 0x68);
disk_field_offset(struct ext4_super_block, s_desc_size, 0xFE);
disk_field_offset(struct ext4_super_block, s_log_groups_per_flex, 0x174);
disk_field_offset(struct ext4_super_block, s_overhead_blocks, 0x248);
disk_field_offset(struct ext4_super_block, s_checksum_seed, 0x270);

/* Group descriptor: 32 bytes, or s_desc_size (at least 64) with the 64bit feature. */
struct ext4_group_desc {
	le32 bg_block_bitmap_lo;
	le32 bg_inode_bitmap_lo;
	le32 bg_inode_table_lo;
	le16 bg_free_blocks_count_lo;
	le16 bg_free_inodes_count_lo;
	le16 bg_used_dirs_count_lo;
	le16 bg_flags;
	le32 bg_exclude_bitmap_lo;
	le16 bg_block_bitmap_csum_lo;
	le16 bg_inode_bitmap_csum_lo;
	le16 bg_itable_unused_lo;
	le16 bg_checksum;
	/* The second half: only where the descriptor is larger than 32 bytes. */
	le32 bg_block_bitmap_hi;
	le32 bg_inode_bitmap_hi;
	le32 bg_inode_table_hi;
	le16 bg_free_blocks_count_hi;
	le16 bg_free_inodes_count_hi;
	le16 bg_used_dirs_count_hi;
	le16 bg_itable_unused_hi;
	le32 bg_exclude_bitmap_hi;
	le16 bg_block_bitmap_csum_hi;
	le16 bg_inode_bitmap_csum_hi;
	le32 bg_reserved;
};
disk_struct_size(struct ext4_group_desc, 64);
#define EXT4_MIN_DESC_SIZE       32
#define EXT4_MIN_DESC_SIZE_64BIT 64
#define EXT4_MAX_DESC_SIZE       1024
#define EXT4_BG_INODE_UNINIT     0x0001
#define EXT4_BG_BLOCK_UNINIT     0x0002
#define EXT4_BG_INODE_ZEROED     0x0004

#define EXT4_NDIR_BLOCKS         12
#define EXT4_IND_BLOCK           12
#define EXT4_DIND_BLOCK          13
#define EXT4_TIND_BLOCK          14
#define EXT4_N_BLOCKS            15
#define EXT4_GOOD_OLD_INODE_SIZE 128

/* i_flags */
#define EXT4_SYNC_FL         0x00000008
#define EXT4_IMMUTABLE_FL    0x00000010
#define EXT4_APPEND_FL       0x00000020
#define EXT4_NODUMP_FL       0x00000040
#define EXT4_NOATIME_FL      0x00000080
#define EXT4_COMPR_FL        0x00000004
#define EXT4_ENCRYPT_FL      0x00000800
#define EXT4_INDEX_FL        0x00001000
#define EXT4_DIRSYNC_FL      0x00010000
#define EXT4_HUGE_FILE_FL    0x00040000
#define EXT4_EXTENTS_FL      0x00080000
#define EXT4_VERITY_FL       0x00100000
#define EXT4_EA_INODE_FL     0x00200000
#define EXT4_DAX_FL          0x02000000
#define EXT4_INLINE_DATA_FL  0x10000000
#define EXT4_PROJINHERIT_FL  0x20000000
#define EXT4_CASEFOLD_FL     0x40000000
#define EXT4_FL_USER_VISIBLE 0x725BDFFF

struct ext4_inode {
	le16 i_mode;
	le16 i_uid;
	le32 i_size_lo;
	le32 i_atime;
	le32 i_ctime;
	le32 i_mtime;
	le32 i_dtime;
	le16 i_gid;
	le16 i_links_count;
	le32 i_blocks_lo;
	le32 i_flags;
	le32 i_version_lo;
	le32 i_block[EXT4_N_BLOCKS]; /* block map, extent tree root, short symlink or device number */
	le32 i_generation;
	le32 i_file_acl_lo;
	le32 i_size_high;
	le32 i_obso_faddr;
	le16 i_blocks_high;
	le16 i_file_acl_high;
	le16 i_uid_high;
	le16 i_gid_high;
	le16 i_checksum_lo;
	le16 i_reserved;
	/* From here, as far as i_extra_isize says: only in inodes larger than 128 bytes. */
	le16 i_extra_isize;
	le16 i_checksum_hi;
	le32 i_ctime_extra;
	le32 i_mtime_extra;
	le32 i_atime_extra;
	le32 i_crtime;
	le32 i_crtime_extra;
	le32 i_version_hi;
	le32 i_projid;
};
disk_struct_size(struct ext4_inode, 160);
disk_field_offset(struct ext4_inode, i_checksum_lo, 0x7C);
disk_field_offset(struct ext4_inode, i_checksum_hi, 0x82);
disk_field_offset(struct ext4_inode, i_extra_isize, 0x80);
disk_field_offset(struct ext4_inode, i_projid, 0x9C);

/* Multiple mount protection. */
#define EXT4_MMP_MAGIC     0x004D4D50
#define EXT4_MMP_SEQ_CLEAN 0xFF4D4D50 /* nobody writes the volume */
#define EXT4_MMP_SEQ_FSCK  0xE24D4D50 /* a checker does */
#define EXT4_MMP_SEQ_MAX   0xE24D4D4F

struct mmp_struct {
	le32 mmp_magic;
	le32 mmp_seq;
	le64 mmp_time;
	char mmp_nodename[64];
	char mmp_bdevname[32];
	le16 mmp_check_interval;
	le16 mmp_pad1;
	le32 mmp_pad2[226];
	le32 mmp_checksum;
};
disk_struct_size(struct mmp_struct, 1024);

/* Orphan file: blocks of inode numbers, 0 where free, and a tail each. */
#define EXT4_ORPHAN_BLOCK_MAGIC 0x0b10ca04

struct ext4_orphan_block_tail {
	le32 ob_magic;
	le32 ob_checksum;
};
disk_struct_size(struct ext4_orphan_block_tail, 8);

/* Extent tree. */
#define EXT4_EXT_MAGIC        0xF30A
#define EXT4_MAX_EXTENT_DEPTH 5
#define EXT_INIT_MAX_LEN      32768 /* longer: unwritten, of (length - this) blocks */

struct ext4_extent_header {
	le16 eh_magic;
	le16 eh_entries;
	le16 eh_max;
	le16 eh_depth;
	le32 eh_generation;
};
disk_struct_size(struct ext4_extent_header, 12);

struct ext4_extent {
	le32 ee_block;
	le16 ee_len;
	le16 ee_start_hi;
	le32 ee_start_lo;
};
disk_struct_size(struct ext4_extent, 12);

struct ext4_extent_idx {
	le32 ei_block;
	le32 ei_leaf_lo;
	le16 ei_leaf_hi;
	le16 ei_unused;
};
disk_struct_size(struct ext4_extent_idx, 12);

struct ext4_extent_tail {
	le32 et_checksum;
};

/* Directories. */
struct ext4_dir_entry_2 {
	le32 inode;
	le16 rec_len;
	u8 name_len;
	u8 file_type; /* without the filetype feature: the high byte of name_len */
	char name[];
};
disk_struct_size(struct ext4_dir_entry_2, 8);
#define EXT4_DIR_REC_LEN(name_len) (((name_len) + 8 + 3) & ~3u)
#define EXT4_FT_REG                1
#define EXT4_FT_DIR                2
#define EXT4_FT_CHRDEV             3
#define EXT4_FT_BLKDEV             4
#define EXT4_FT_FIFO               5
#define EXT4_FT_SOCK               6
#define EXT4_FT_SYMLINK            7
#define EXT4_FT_MAX                8
#define EXT4_FT_DIR_CSUM           0xDE

#define EXT4_CRYPT_BLOCK 16 /* bytes: no ciphertext of a name is shorter */

struct ext4_dir_entry_tail {
	le32 det_reserved_zero1;
	le16 det_rec_len;
	u8 det_reserved_zero2;
	u8 det_reserved_ft;
	le32 det_checksum;
};
disk_struct_size(struct ext4_dir_entry_tail, 12);

struct dx_root_info {
	le32 reserved_zero;
	u8 hash_version;
	u8 info_length;
	u8 indirect_levels;
	u8 unused_flags;
};
disk_struct_size(struct dx_root_info, 8);

struct dx_countlimit {
	le16 limit;
	le16 count;
};

struct dx_entry {
	le32 hash; /* of the first one: struct dx_countlimit */
	le32 block;
};
disk_struct_size(struct dx_entry, 8);

struct dx_tail {
	le32 dt_reserved;
	le32 dt_checksum;
};
disk_struct_size(struct dx_tail, 8);

#define DX_ROOT_INFO_OFFSET 24 /* behind "." and ".." */
#define DX_NODE_OFFSET      8  /* behind the empty entry that spans a dx node block */

#define DX_HASH_LEGACY            0
#define DX_HASH_HALF_MD4          1
#define DX_HASH_TEA               2
#define DX_HASH_LEGACY_UNSIGNED   3
#define DX_HASH_HALF_MD4_UNSIGNED 4
#define DX_HASH_TEA_UNSIGNED      5
#define DX_HASH_SIPHASH           6

/* Fast commits: in the journal's fast-commit area, a sequence of tags, each with its length before it,
 * at any address. */
struct __packed ext4_fc_tl {
	le16 fc_tag;
	le16 fc_len; /* of what follows */
};
disk_struct_size(struct ext4_fc_tl, 4);
#define EXT4_FC_TAG_ADD_RANGE 0x0001
#define EXT4_FC_TAG_DEL_RANGE 0x0002
#define EXT4_FC_TAG_CREAT     0x0003
#define EXT4_FC_TAG_LINK      0x0004
#define EXT4_FC_TAG_UNLINK    0x0005
#define EXT4_FC_TAG_INODE     0x0006 /* its number, and as much of it as is in use */
#define EXT4_FC_TAG_PAD       0x0007 /* fills a block */
#define EXT4_FC_TAG_TAIL      0x0008 /* fills the last block of a commit */
#define EXT4_FC_TAG_HEAD      0x0009
struct __packed ext4_fc_head {
	le32 fc_features;
	le32 fc_tid;
};
disk_struct_size(struct ext4_fc_head, 8);

struct __packed ext4_fc_add_range {
	le32 fc_ino;
	struct ext4_extent fc_ex;
};
disk_struct_size(struct ext4_fc_add_range, 16);

struct __packed ext4_fc_del_range {
	le32 fc_ino;
	le32 fc_lblk;
	le32 fc_len;
};
disk_struct_size(struct ext4_fc_del_range, 12);

struct __packed ext4_fc_dentry_info {
	le32 fc_parent_ino;
	le32 fc_ino;
	char fc_dname[];
};
disk_struct_size(struct ext4_fc_dentry_info, 8);

struct __packed ext4_fc_tail {
	le32 fc_tid;
	le32 fc_crc; /* crc32c of all tags since the last tail, up to here */
};
disk_struct_size(struct ext4_fc_tail, 8);

/* Extended attributes. */
#define EXT4_XATTR_MAGIC 0xEA020000

struct ext4_xattr_header {
	le32 h_magic;
	le32 h_refcount;
	le32 h_blocks;
	le32 h_hash;
	le32 h_checksum;
	le32 h_reserved[3];
};
disk_struct_size(struct ext4_xattr_header, 32);

struct ext4_xattr_entry {
	u8 e_name_len;
	u8 e_name_index;
	le16 e_value_offs;
	le32 e_value_inum;
	le32 e_value_size;
	le32 e_hash;
	char e_name[];
};
disk_struct_size(struct ext4_xattr_entry, 16);
#define EXT4_XATTR_SIZE_MAX      (1u << 24)
#define EXT4_XATTR_LEN(name_len) (((name_len) + 3 + 16) & ~3u)

#define EXT4_XATTR_INDEX_USER              1
#define EXT4_XATTR_INDEX_POSIX_ACL_ACCESS  2
#define EXT4_XATTR_INDEX_POSIX_ACL_DEFAULT 3
#define EXT4_XATTR_INDEX_TRUSTED           4
#define EXT4_XATTR_INDEX_SECURITY          6
#define EXT4_XATTR_INDEX_SYSTEM            7
#define EXT4_XATTR_INDEX_HURD              10

/* POSIX ACL as ext4 stores it in the attribute's value: version, then entries; only users and groups have an
 * id. */
#define EXT4_ACL_VERSION 1
struct ext4_acl_header {
	le32 a_version;
};
struct ext4_acl_entry_short {
	le16 e_tag;
	le16 e_perm;
};
struct ext4_acl_entry {
	le16 e_tag;
	le16 e_perm;
	le32 e_id;
};

#endif
