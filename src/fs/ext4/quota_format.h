/* SPDX-License-Identifier: MIT */
/*
 * Quota files as they lie in hidden inodes of a volume with the feature quota ("vfsv1"): a header, then a
 * tree of blocks of 1 KiB. Four levels of 256 references lead by the bytes of an id, highest first, from
 * block 1 to a leaf with entries. Little-endian.
 */
#ifndef SHALE_FS_EXT4_QUOTA_FORMAT_H
#define SHALE_FS_EXT4_QUOTA_FORMAT_H

#include "base/le.h"

#define QUOTA_MAGIC_USER    0xd9c01f11
#define QUOTA_MAGIC_GROUP   0xd9c01927
#define QUOTA_MAGIC_PROJECT 0xd9c03f14

#define QT_BLOCK_SIZE 1024
#define QT_TREE_ROOT  1 /* block */
#define QT_TREE_DEPTH 4

struct v2_disk_dqheader {
	le32 dqh_magic;
	le32 dqh_version;
};
disk_struct_size(struct v2_disk_dqheader, 8);

struct v2_disk_dqinfo {
	le32 dqi_bgrace;
	le32 dqi_igrace;
	le32 dqi_flags;
	le32 dqi_blocks;     /* of the file, in use or free */
	le32 dqi_free_blk;   /* head of the list of free blocks */
	le32 dqi_free_entry; /* head of the list of leaves with room */
};
disk_struct_size(struct v2_disk_dqinfo, 24);

struct qt_disk_dqdbheader {
	le32 dqdh_next_free;
	le32 dqdh_prev_free;
	le16 dqdh_entries;
	le16 dqdh_pad1;
	le32 dqdh_pad2;
};
disk_struct_size(struct qt_disk_dqdbheader, 16);

struct v2r1_disk_dqblk {
	le32 dqb_id;
	le32 dqb_pad;
	le64 dqb_ihardlimit;
	le64 dqb_isoftlimit;
	le64 dqb_curinodes;
	le64 dqb_bhardlimit;
	le64 dqb_bsoftlimit;
	le64 dqb_curspace; /* bytes */
	le64 dqb_btime;
	le64 dqb_itime;
};
disk_struct_size(struct v2r1_disk_dqblk, 72);
#define QT_ENTRIES ((QT_BLOCK_SIZE - sizeof(struct qt_disk_dqdbheader)) / sizeof(struct v2r1_disk_dqblk))

#endif
