/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a jbd2 journal, as the kernel's ext4 documentation ("Journal (jbd2)") gives them. Nothing but
 * the format: shared with tools and tests. Everything is big-endian.
 */
#ifndef SHALE_JBD2_FORMAT_H
#define SHALE_JBD2_FORMAT_H

#include "base/le.h"

#define JBD2_MAGIC              0xC03B3998u
#define JBD2_SUPER_BYTES        1024u
#define JBD2_MIN_JOURNAL_BLOCKS 1024u /* without the fast-commit area */
#define JBD2_DEFAULT_FC_BLOCKS  256u  /* where s_num_fc_blks is 0 */

/* h_blocktype */
#define JBD2_DESCRIPTOR_BLOCK 1
#define JBD2_COMMIT_BLOCK     2
#define JBD2_SUPERBLOCK_V1    3
#define JBD2_SUPERBLOCK_V2    4
#define JBD2_REVOKE_BLOCK     5

/* s_feature_compat */
#define JBD2_FEATURE_COMPAT_CHECKSUM 0x01 /* of whole transactions: "v1" */
/* s_feature_incompat */
#define JBD2_FEATURE_INCOMPAT_REVOKE       0x01
#define JBD2_FEATURE_INCOMPAT_64BIT        0x02
#define JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT 0x04
#define JBD2_FEATURE_INCOMPAT_CSUM_V2      0x08
#define JBD2_FEATURE_INCOMPAT_CSUM_V3      0x10
#define JBD2_FEATURE_INCOMPAT_FAST_COMMIT  0x20

/* s_checksum_type, h_chksum_type */
#define JBD2_CRC32_CHKSUM  1
#define JBD2_CRC32C_CHKSUM 4

/* The head of every block of the log that is not a copy of a block of the volume. */
struct jbd2_header {
	be32 h_magic;
	be32 h_blocktype;
	be32 h_sequence; /* the transaction's number */
};
disk_struct_size(struct jbd2_header, 12);

struct jbd2_super_block {
	struct jbd2_header s_header;
	be32 s_blocksize;
	be32 s_maxlen;   /* blocks of the journal */
	be32 s_first;    /* first block of the log */
	be32 s_sequence; /* first transaction expected in the log */
	be32 s_start;    /* where it begins; 0: the log is empty */
	be32 s_errno;    /* what the journal was stopped by, as a negative errno */
	/* From here: version 2. */
	be32 s_feature_compat;
	be32 s_feature_incompat;
	be32 s_feature_ro_compat;
	u8 s_uuid[16];
	be32 s_nr_users;
	be32 s_dynsuper;
	be32 s_max_transaction;
	be32 s_max_trans_data;
	u8 s_checksum_type;
	u8 s_padding2[3];
	be32 s_num_fc_blks;
	be32 s_head;
	be32 s_padding[40];
	be32 s_checksum; /* crc32c of all 1,024 bytes, this field as zeroes */
	u8 s_users[16 * 48];
};
disk_struct_size(struct jbd2_super_block, JBD2_SUPER_BYTES);
disk_field_offset(struct jbd2_super_block, s_uuid, 0x30);
disk_field_offset(struct jbd2_super_block, s_num_fc_blks, 0x54);
disk_field_offset(struct jbd2_super_block, s_checksum, 0xFC);

/*
 * Tags of a descriptor block: behind its head, one for each copy that follows the block. With CSUM_V3 a
 * jbd2_tag3; else the first 8 bytes of a jbd2_tag, 4 more with 64BIT, and 2 more (not used) with CSUM_V2.
 * After a tag without SAME_UUID stand 16 bytes of UUID.
 */
struct jbd2_tag {
	be32 t_blocknr;
	be16 t_checksum; /* low half of the crc32c over sequence and copy */
	be16 t_flags;
	be32 t_blocknr_high;
};
disk_struct_size(struct jbd2_tag, 12);

struct jbd2_tag3 {
	be32 t_blocknr;
	be32 t_flags;
	be32 t_blocknr_high;
	be32 t_checksum; /* crc32c over sequence and copy */
};
disk_struct_size(struct jbd2_tag3, 16);

#define JBD2_FLAG_ESCAPE    1 /* the block begins with JBD2_MAGIC, the copy with zeroes in its place */
#define JBD2_FLAG_SAME_UUID 2
#define JBD2_FLAG_DELETED   4
#define JBD2_FLAG_LAST_TAG  8
#define JBD2_UUID_BYTES     16u

/* The last bytes of descriptor and revoke blocks with CSUM_V2 or CSUM_V3. */
struct jbd2_block_tail {
	be32 t_checksum; /* crc32c of the block, this field as zeroes */
};
disk_struct_size(struct jbd2_block_tail, 4);

/* Behind it: block numbers of 4 bytes, with 64BIT of 8. */
struct jbd2_revoke_header {
	struct jbd2_header r_header;
	be32 r_count; /* bytes used in this block, this head with them */
};
disk_struct_size(struct jbd2_revoke_header, 16);

struct jbd2_commit_header {
	struct jbd2_header h_header;
	u8 h_chksum_type;
	u8 h_chksum_size;
	u8 h_padding[2];
	be32 h_chksum[8];
	be64 h_commit_sec;
	be32 h_commit_nsec;
} __packed;
disk_struct_size(struct jbd2_commit_header, 60);
disk_field_offset(struct jbd2_commit_header, h_commit_sec, 0x30);

#endif
