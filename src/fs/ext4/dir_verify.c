/* SPDX-License-Identifier: MIT */
/*
 * The verifier of directory blocks, and the walk over a verified one. Every block of a directory is a chain
 * of entries that fills the block exactly: leaves hold names, the root of an index holds "." and ".." (the
 * second spans the index), a node of the index is one unused entry that spans it. So one rule checks the
 * chain of each kind, and only the checksum lies in different places.
 */
#include <dirent.h>

#include "fs/ext4/ext4_internal.h"

bool ext4_hash_in_dirent(const struct inode *dir)
{
	const u32 both = EXT4_ENCRYPT_FL | EXT4_CASEFOLD_FL;

	return (EXT4_I(dir)->i_flags & both) == both;
}

struct ext4_hash ext4_dirent_hash(const struct ext4_dir_entry_2 *de)
{
	const char *at = de->name + round_up(de->name_len, 4u);

	return (struct ext4_hash){get_unaligned_le32(at), get_unaligned_le32(at + sizeof(le32))};
}

/* What is wrong with the name of a used entry, or NULL. */
static const char *name_verify(const struct inode *dir, const struct ext4_dir_entry_2 *de, unsigned rec_len)
{
	if (!de->name_len)
		return "entry's name is empty";
	if (!ext4_name_is_encrypted(dir, de->name, de->name_len))
		return memchr(de->name, '/', de->name_len) || memchr(de->name, 0, de->name_len)
			       ? "entry's name holds a slash or a zero"
			       : NULL;
	if (de->name_len < EXT4_CRYPT_BLOCK)
		return "entry's name is shorter than an encrypted one can be";
	if (ext4_hash_in_dirent(dir) && rec_len < EXT4_DIR_REC_LEN(de->name_len) + 2 * sizeof(le32))
		return "entry has no room for its hash";
	return NULL;
}

static const char *entry_verify(const struct inode *dir, const struct ext4_dir_entry_2 *de, unsigned room)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dir->i_sb);
	unsigned rec_len;

	if (room < EXT4_DIR_REC_LEN(1))
		return "no room for an entry";
	rec_len = ext4_rec_len(de, sbi->block_size);
	if (rec_len < EXT4_DIR_REC_LEN(1))
		return "entry is shorter than any can be";
	if (rec_len % 4)
		return "entry's length is not a multiple of 4";
	if (rec_len > room)
		return "entry goes over the end";
	if (room - rec_len && room - rec_len < EXT4_DIR_REC_LEN(1))
		return "entry ends too close to the end";
	if (rec_len < EXT4_DIR_REC_LEN(de->name_len))
		return "entry is too short for its name";
	if (le32_to_cpu(de->inode) > le32_to_cpu(sbi->es.s_inodes_count))
		return "entry names an inode that cannot be";
	return le32_to_cpu(de->inode) ? name_verify(dir, de, rec_len) : NULL;
}

const char *ext4_dirents_verify(const struct inode *dir, const void *data, unsigned bytes, unsigned *offset)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dir->i_sb);

	for (*offset = 0; *offset < bytes;) {
		const struct ext4_dir_entry_2 *de = (const void *)((const u8 *)data + *offset);
		const char *why = entry_verify(dir, de, bytes - *offset);

		if (why)
			return why;
		*offset += ext4_rec_len(de, sbi->block_size);
	}
	return NULL;
}

unsigned ext4_dx_offset(const struct buffer_head *bh)
{
	const struct ext4_dir_entry_2 *de = bh->b_data, *dotdot;
	const struct dx_root_info *info;

	if (!le32_to_cpu(de->inode) && ext4_rec_len(de, bh->b_size) == bh->b_size)
		return DX_NODE_OFFSET;
	if (ext4_rec_len(de, bh->b_size) != EXT4_DIR_REC_LEN(1))
		return 0;
	dotdot = (const void *)((const u8 *)bh->b_data + EXT4_DIR_REC_LEN(1));
	if (ext4_rec_len(dotdot, bh->b_size) != bh->b_size - EXT4_DIR_REC_LEN(1))
		return 0;
	info = (const void *)((const u8 *)bh->b_data + DX_ROOT_INFO_OFFSET);
	if (le32_to_cpu(info->reserved_zero) || info->info_length != sizeof(*info))
		return 0;
	return DX_ROOT_INFO_OFFSET + sizeof(*info);
}

/* Counts that fit the block, and hashes in order: equal ones may go on in the next leaf. */
static int index_entries_verify(const struct buffer_head *bh, const struct inode *dir, unsigned offset)
{
	const struct dx_entry *entries = (const void *)((const u8 *)bh->b_data + offset);
	const struct dx_countlimit *cl = (const void *)entries;
	unsigned limit = le16_to_cpu(cl->limit), count = le16_to_cpu(cl->count);
	unsigned fit = (bh->b_size - offset - (EXT4_SB(dir->i_sb)->has_csum ? sizeof(struct dx_tail) : 0)) /
		       sizeof(struct dx_entry);

	if (limit != fit || !count || count > fit) {
		ext4_error_inode(dir, bh->b_blocknr, "directory index counts %u entries of %u where %u fit",
				 count, limit, fit);
		return -EFSCORRUPTED;
	}
	/* The first entry has no hash: the counts lie there. */
	for (unsigned i = 2; i < count; i++) {
		if (le32_to_cpu(entries[i].hash) < le32_to_cpu(entries[i - 1].hash)) {
			ext4_error_inode(dir, bh->b_blocknr, "directory index is out of order at entry %u",
					 i);
			return -EFSCORRUPTED;
		}
	}
	return 0;
}

static int index_checksum(const struct buffer_head *bh, const struct inode *dir, unsigned offset)
{
	const u8 *data = bh->b_data;
	const struct dx_countlimit *cl = (const void *)(data + offset);
	unsigned limit = le16_to_cpu(cl->limit), count = le16_to_cpu(cl->count);
	const struct dx_tail *tail;
	const le32 zero = {0};
	u32 crc;

	tail = (const void *)(data + offset + limit * sizeof(struct dx_entry));
	crc = ext4_chksum(EXT4_I(dir)->i_csum_seed, data, offset + count * sizeof(struct dx_entry));
	crc = ext4_chksum(crc, &tail->dt_reserved, sizeof(tail->dt_reserved));
	crc = ext4_chksum(crc, &zero, sizeof(zero));
	if (crc == le32_to_cpu(tail->dt_checksum))
		return 0;
	ext4_error_inode(dir, bh->b_blocknr, "directory index: checksum is %#010x, computed %#010x",
			 le32_to_cpu(tail->dt_checksum), crc);
	return -EFSBADCRC;
}

static int leaf_checksum(const struct buffer_head *bh, const struct inode *dir)
{
	const struct ext4_dir_entry_tail *tail =
		(const void *)((const u8 *)bh->b_data + bh->b_size - sizeof(*tail));
	u32 crc;

	if (le32_to_cpu(tail->det_reserved_zero1) || le16_to_cpu(tail->det_rec_len) != sizeof(*tail) ||
	    tail->det_reserved_zero2 || tail->det_reserved_ft != EXT4_FT_DIR_CSUM) {
		ext4_error_inode(dir, bh->b_blocknr, "directory block has no room for its checksum");
		return -EFSBADCRC;
	}
	crc = ext4_chksum(EXT4_I(dir)->i_csum_seed, bh->b_data, bh->b_size - sizeof(*tail));
	if (crc == le32_to_cpu(tail->det_checksum))
		return 0;
	ext4_error_inode(dir, bh->b_blocknr, "directory block: checksum is %#010x, computed %#010x",
			 le32_to_cpu(tail->det_checksum), crc);
	return -EFSBADCRC;
}

static int chain_verify(const struct buffer_head *bh, const struct inode *dir)
{
	unsigned offset;
	const char *why = ext4_dirents_verify(dir, bh->b_data, bh->b_size, &offset);

	if (why) {
		ext4_error_inode(dir, bh->b_blocknr, "directory, offset %u: %s", offset, why);
		return -EFSCORRUPTED;
	}
	return 0;
}

/* A block of any kind, of which only the names count. */
static int dir_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	const struct inode *dir = ctx;
	int err = chain_verify(bh, dir);
	unsigned index;

	if (err || !EXT4_SB(dir->i_sb)->has_csum)
		return err;
	index = EXT4_I(dir)->i_flags & EXT4_INDEX_FL ? ext4_dx_offset(bh) : 0;
	if (!index)
		return leaf_checksum(bh, dir);
	err = index_entries_verify(bh, dir, index);
	return err ? err : index_checksum(bh, dir, index);
}

/* A block as part of the index. */
static int dx_verify(const struct buffer_head *bh, void *ctx, u64 owner)
{
	const struct inode *dir = ctx;
	unsigned index = ext4_dx_offset(bh);
	int err = chain_verify(bh, dir);

	if (!err && !index) {
		ext4_error_inode(dir, bh->b_blocknr, "block of the directory's index is none");
		err = -EFSCORRUPTED;
	}
	if (!err)
		err = index_entries_verify(bh, dir, index);
	return err || !EXT4_SB(dir->i_sb)->has_csum ? err : index_checksum(bh, dir, index);
}

const struct buffer_verifier ext4_dx_verifier = {.name = "directory index", .verify = dx_verify};
const struct buffer_verifier ext4_dir_verifier = {.name = "directory block", .verify = dir_verify};

bool ext4_dirents_walk(const void *data, unsigned offset, unsigned end, unsigned block_size,
		       ext4_dirent_fn fn, void *arg)
{
	while (offset < end) {
		const struct ext4_dir_entry_2 *de = (const void *)((const u8 *)data + offset);

		if (le32_to_cpu(de->inode) && !fn(arg, de, offset))
			return false;
		offset += ext4_rec_len(de, block_size);
	}
	return true;
}

unsigned ext4_dirent_type(const struct ext4_sb_info *sbi, u8 file_type)
{
	static const u8 types[EXT4_FT_MAX] = {DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
					      DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK};

	if (!ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_FILETYPE) || file_type >= EXT4_FT_MAX)
		return DT_UNKNOWN;
	return types[file_type];
}
