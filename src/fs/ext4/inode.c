/* SPDX-License-Identifier: MIT */
/*
 * Inodes as they come from the disk. ext4_iget() reads the block of the inode table, copies the inode,
 * verifies the copy in named steps and fills the inode in memory from it; nothing is taken from the disk's
 * bytes afterwards but extended attributes, which verify themselves each time.
 */
#include <limits.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"
#include "vfs/file.h"

#define I_BLOCK_BYTES (EXT4_N_BLOCKS * sizeof(le32))

/* An inode on its way in. */
struct raw_inode {
	struct ext4_inode fixed; /* zeroes behind what the volume's inodes hold */
	u16 extra_isize;         /* how much of the part behind 128 bytes is in use */
	bool has_xattr_magic;
};

static bool raw_has(const struct raw_inode *raw, size_t end)
{
	return end <= EXT4_GOOD_OLD_INODE_SIZE + (size_t)raw->extra_isize;
}
#define RAW_HAS(raw, field)                                                                                  \
	raw_has(raw, offsetof(struct ext4_inode, field) + sizeof(((struct ext4_inode *)0)->field))

int ext4_inode_block_get(struct super_block *sb, u64 ino, struct buffer_head **bh, u8 **raw)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 group = (ino - 1) / sbi->inodes_per_group, index = (ino - 1) % sbi->inodes_per_group;
	u32 block = index / sbi->inodes_per_block, ahead = sbi->opt.inode_readahead_blks;
	struct ext4_group g;
	int err = ext4_group_get(sb, group, &g);

	if (err)
		return err;
	if (ahead &&
	    find_get_verified(EXT4_SB(sb)->bdev, g.inode_table + block, sbi->block_size, NULL, 0, bh)) {
		/* Not cached: read the aligned stretch around it, but not what was never used. */
		u32 first = block & ~(ahead - 1), end = min(first + ahead, sbi->itable_blocks);

		if (sbi->has_csum || sbi->has_gdt_csum)
			end = min(end, DIV_ROUND_UP(sbi->inodes_per_group -
							    min(g.itable_unused, sbi->inodes_per_group),
						    sbi->inodes_per_block));
		if (end > first)
			breadahead(EXT4_SB(sb)->bdev, g.inode_table + first, end - first, sbi->block_size);
		*bh = NULL;
	} else if (!ahead) {
		*bh = NULL;
	}
	if (!*bh)
		err = bread(EXT4_SB(sb)->bdev, g.inode_table + block, sbi->block_size, NULL, NULL, 0, bh);
	if (!err)
		*raw = (u8 *)(*bh)->b_data + (size_t)(index % sbi->inodes_per_block) * sbi->inode_size;
	return err;
}

int ext4_inode_place(struct inode *inode, size_t offset, u64 *out)
{
	struct buffer_head *bh;
	u8 *raw;
	int err = ext4_inode_block_get(inode->i_sb, inode->i_ino, &bh, &raw);

	if (err)
		return err;
	*out = (bh->b_blocknr << inode->i_blkbits) + (u64)(raw - (u8 *)bh->b_data) + offset;
	brelse(bh);
	return 0;
}

u32 ext4_inode_checksum(const struct ext4_sb_info *sbi, u32 seed, const u8 *raw, u16 extra_isize)
{
	const size_t lo = offsetof(struct ext4_inode, i_checksum_lo),
		     hi = offsetof(struct ext4_inode, i_checksum_hi);
	const le16 zero = {0};
	u32 crc = ext4_chksum(seed, raw, lo);

	crc = ext4_chksum(crc, &zero, sizeof(zero));
	crc = ext4_chksum(crc, raw + lo + sizeof(zero), EXT4_GOOD_OLD_INODE_SIZE - lo - sizeof(zero));
	if (sbi->inode_size == EXT4_GOOD_OLD_INODE_SIZE)
		return crc & 0xffff;
	crc = ext4_chksum(crc, raw + EXT4_GOOD_OLD_INODE_SIZE, hi - EXT4_GOOD_OLD_INODE_SIZE);
	if (extra_isize < hi + sizeof(zero) - EXT4_GOOD_OLD_INODE_SIZE)
		return ext4_chksum(crc, raw + hi, sbi->inode_size - hi) & 0xffff;
	crc = ext4_chksum(crc, &zero, sizeof(zero));
	return ext4_chksum(crc, raw + hi + sizeof(zero), sbi->inode_size - hi - sizeof(zero));
}

static int check_checksum(const struct inode *inode, const struct raw_inode *raw, const u8 *bytes, u32 seed)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	u32 stored, crc;

	if (!sbi->has_csum)
		return 0;
	crc = ext4_inode_checksum(sbi, seed, bytes, raw->extra_isize);
	stored = le16_to_cpu(raw->fixed.i_checksum_lo);
	if (RAW_HAS(raw, i_checksum_hi))
		stored |= (u32)le16_to_cpu(raw->fixed.i_checksum_hi) << 16;
	if (crc == stored)
		return 0;
	ext4_error_inode(inode, 0, "checksum is %#010x, computed %#010x", stored, crc);
	return -EFSBADCRC;
}

/* Copies the inode out of its block, with its extra size checked. */
static int raw_take(const struct inode *inode, const u8 *bytes, struct raw_inode *raw)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	size_t room = sbi->inode_size - EXT4_GOOD_OLD_INODE_SIZE;

	memset(raw, 0, sizeof(*raw));
	memcpy(&raw->fixed, bytes, min_t(size_t, sbi->inode_size, sizeof(raw->fixed)));
	if (!room)
		return 0;
	raw->extra_isize = le16_to_cpu(raw->fixed.i_extra_isize);
	if (raw->extra_isize > room || raw->extra_isize & 3) {
		ext4_error_inode(inode, 0, "extra size of %u bytes in an inode of %u", raw->extra_isize,
				 sbi->inode_size);
		return -EFSCORRUPTED;
	}
	if (raw->extra_isize + sizeof(le32) <= room)
		raw->has_xattr_magic = get_unaligned_le32(bytes + EXT4_GOOD_OLD_INODE_SIZE +
							  raw->extra_isize) == EXT4_XATTR_MAGIC;
	return 0;
}

/* Seconds are signed 32 bits, and two more above them where the inode has room; nanoseconds lie beside those.
 */
static struct timespec take_time(le32 seconds, le32 extra, bool has_extra)
{
	struct timespec ts = {.tv_sec = (s32)le32_to_cpu(seconds)};

	if (has_extra) {
		u32 word = le32_to_cpu(extra);

		ts.tv_sec += (s64)(word & 3) << 32;
		ts.tv_nsec = word >> 2;
		if (ts.tv_nsec >= 1000000000) /* nonsense on disk: no nanoseconds */
			ts.tv_nsec = 0;
	}
	return ts;
}

static void take_times(struct inode *inode, const struct raw_inode *raw)
{
	const struct ext4_inode *in = &raw->fixed;

	inode->i_atime = take_time(in->i_atime, in->i_atime_extra, RAW_HAS(raw, i_atime_extra));
	inode->i_mtime = take_time(in->i_mtime, in->i_mtime_extra, RAW_HAS(raw, i_mtime_extra));
	inode->i_ctime = take_time(in->i_ctime, in->i_ctime_extra, RAW_HAS(raw, i_ctime_extra));
	if (RAW_HAS(raw, i_crtime))
		inode->i_btime = take_time(in->i_crtime, in->i_crtime_extra, RAW_HAS(raw, i_crtime_extra));
	else
		inode->i_btime.tv_nsec = -1;
}

static u64 take_blocks(const struct ext4_sb_info *sbi, const struct ext4_inode *in)
{
	u64 blocks = le32_to_cpu(in->i_blocks_lo);

	if (!ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		return blocks;
	blocks |= (u64)le16_to_cpu(in->i_blocks_high) << 32;
	return le32_to_cpu(in->i_flags) & EXT4_HUGE_FILE_FL ? blocks << (sbi->block_bits - 9) : blocks;
}

static void take_flags(struct inode *inode, u32 flags)
{
	inode->i_flags |= (flags & EXT4_SYNC_FL ? S_SYNC : 0) | (flags & EXT4_APPEND_FL ? S_APPEND : 0) |
			  (flags & EXT4_IMMUTABLE_FL ? S_IMMUTABLE : 0) |
			  (flags & EXT4_NOATIME_FL ? S_NOATIME : 0) |
			  (flags & EXT4_DIRSYNC_FL ? S_DIRSYNC : 0);
}

static dev_t take_rdev(const struct ext4_inode *in)
{
	u32 old = le32_to_cpu(in->i_block[0]), new = le32_to_cpu(in->i_block[1]);

	if (old)
		return makedev(old >> 8 & 0xff, old & 0xff);
	return makedev(new >> 8 & 0xfff, (new & 0xff) | (new >> 12 & 0xfff00));
}

static int take_attributes(struct inode *inode, const struct raw_inode *raw)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	const struct ext4_inode *in = &raw->fixed;
	struct ext4_inode_info *ei = EXT4_I(inode);
	u64 size = le32_to_cpu(in->i_size_lo);

	inode->i_mode = le16_to_cpu(in->i_mode);
	inode->i_uid = le16_to_cpu(in->i_uid) | (u32)le16_to_cpu(in->i_uid_high) << 16;
	inode->i_gid = le16_to_cpu(in->i_gid) | (u32)le16_to_cpu(in->i_gid_high) << 16;
	set_nlink(inode, le16_to_cpu(in->i_links_count));
	inode->i_generation = le32_to_cpu(in->i_generation);
	inode->i_blocks = take_blocks(sbi, in);
	take_times(inode, raw);
	memcpy(ei->i_data, in->i_block, sizeof(ei->i_data));
	ei->i_flags = le32_to_cpu(in->i_flags);
	ei->i_extra_isize = raw->extra_isize;
	ei->has_ibody_xattr = raw->has_xattr_magic;
	ei->i_file_acl = le32_to_cpu(in->i_file_acl_lo);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		ei->i_file_acl |= (u64)le16_to_cpu(in->i_file_acl_high) << 32;
	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_PROJECT) && RAW_HAS(raw, i_projid))
		ei->i_projid = le32_to_cpu(in->i_projid);
	take_flags(inode, ei->i_flags);
	if (S_ISREG(inode->i_mode) || ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_LARGEDIR))
		size |= (u64)le32_to_cpu(in->i_size_high) << 32;
	if (size > LLONG_MAX) {
		ext4_error_inode(inode, 0, "size of %#llx bytes", (unsigned long long)size);
		return -EFSCORRUPTED;
	}
	i_size_write(inode, size);
	return 0;
}

int ext4_body_alloc(const struct inode *inode, u32 bytes, u8 **out)
{
	*out = kmalloc(inode->i_sb->s_machine, (size_t)bytes + 1);
	if (!*out)
		return -ENOMEM;
	(*out)[bytes] = 0;
	machine_charge(inode->i_sb->s_machine, (long)bytes + 1);
	return 0;
}

void ext4_body_free(const struct inode *inode, u8 *body, u32 bytes)
{
	if (body)
		machine_uncharge(inode->i_sb->s_machine, (long)bytes + 1);
	kfree(body);
}

/* Flags of an inode that only volumes with a feature may have. */
static u32 flags_foreign(const struct ext4_sb_info *sbi, u32 flags)
{
	static const struct {
		u32 flag, incompat;
	} needs[] = {
		{EXT4_INLINE_DATA_FL, EXT4_FEATURE_INCOMPAT_INLINE_DATA},
		{EXT4_ENCRYPT_FL, EXT4_FEATURE_INCOMPAT_ENCRYPT},
		{EXT4_CASEFOLD_FL, EXT4_FEATURE_INCOMPAT_CASEFOLD},
		{EXT4_EA_INODE_FL, EXT4_FEATURE_INCOMPAT_EA_INODE},
	};
	u32 foreign = 0;

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (!ext4_has_incompat(sbi, needs[i].incompat))
			foreign |= flags & needs[i].flag;
	return foreign;
}

static int check_attributes(const struct inode *inode, unsigned flags)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	const struct ext4_inode_info *ei = EXT4_I(inode);

	/* A deleted inode; only a boot loader may have no link. */
	if (!inode->i_nlink && inode->i_ino != EXT4_BOOT_LOADER_INO && !(flags & EXT4_IGET_ORPHAN))
		return -ESTALE;
	if (flags_foreign(sbi, ei->i_flags)) {
		ext4_error_inode(inode, 0, "flags %#x need a feature that the volume does not have",
				 flags_foreign(sbi, ei->i_flags));
		return -EFSCORRUPTED;
	}
	if (ei->i_file_acl && !ext4_file_blocks_valid(inode, ei->i_file_acl, 1)) {
		ext4_error_inode(inode, 0, "attribute block at %llu, which no file can have",
				 (unsigned long long)ei->i_file_acl);
		return -EFSCORRUPTED;
	}
	/* A directory has no holes. So the time to search it is bounded by what there is. */
	if (S_ISDIR(inode->i_mode) && i_size_read(inode) >> sbi->block_bits > sbi->blocks_count) {
		ext4_error_inode(inode, 0, "directory of %llu bytes is larger than the volume",
				 (unsigned long long)i_size_read(inode));
		return -EFSCORRUPTED;
	}
	if (S_ISDIR(inode->i_mode) && ei->i_flags & EXT4_INDEX_FL &&
	    !ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_DIR_INDEX)) {
		ext4_error_inode(inode, 0, "hashed directory on a volume without dir_index");
		return -EFSCORRUPTED;
	}
	return 0;
}

bool ext4_is_fast_symlink(const struct inode *inode)
{
	/* Known by having no blocks beside its attributes'; those may lie in any number of blocks of inodes
	 * where there is ea_inode, so there it is known by its size. */
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	u64 attr_blocks = EXT4_I(inode)->i_file_acl ? (u64)sbi->block_size << sbi->cluster_bits >> 9 : 0;

	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EA_INODE))
		return i_size_read(inode) && i_size_read(inode) < I_BLOCK_BYTES;
	return inode->i_blocks == attr_blocks;
}

/* A target of less than `room` bytes in the inode must end where its size says. */
static int take_target(struct inode *inode, const void *target, size_t room)
{
	u64 size = i_size_read(inode);

	if (!size || size >= room || strnlen(target, size + 1) != size) {
		ext4_error_inode(inode, 0, "symlink of %llu bytes in the inode", (unsigned long long)size);
		return -EFSCORRUPTED;
	}
	inode->i_link = target;
	return 0;
}

static int check_map(struct inode *inode)
{
	if (ext4_has_inline_data(inode))
		return 0;
	if (EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL)
		return ext4_ext_root_check(inode);
	return ext4_ind_root_check(inode);
}

static int take_symlink(struct inode *inode)
{
	struct ext4_inode_info *ei = EXT4_I(inode);

	if (ei->i_flags & EXT4_ENCRYPT_FL) {
		inode->i_op = &ext4_encrypted_symlink_inode_operations;
		return ext4_is_fast_symlink(inode) ? 0 : check_map(inode);
	}
	if (ext4_has_inline_data(inode)) /* one more: for the NUL */
		return take_target(inode, ei->i_body, (size_t)ei->i_body_bytes + 1);
	return ext4_is_fast_symlink(inode) ? take_target(inode, ei->i_data, I_BLOCK_BYTES) : check_map(inode);
}

/* The operations that go with the kind of file, after its block map has been verified. */
static int take_kind(struct inode *inode, const struct raw_inode *raw)
{
	int err = 0;

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &ext4_file_inode_operations;
		inode->i_fop = &ext4_file_operations;
		inode->i_data.a_ops = &ext4_aops;
		/* A folio holds whole blocks. */
		inode->i_data.min_order = get_order(EXT4_SB(inode->i_sb)->block_size);
		inode->i_data.max_order = MAX_FOLIO_ORDER;
		return check_map(inode);
	case S_IFDIR:
		inode->i_op = &ext4_dir_inode_operations;
		inode->i_fop = &ext4_dir_operations;
		return check_map(inode);
	case S_IFLNK:
		inode->i_op = &ext4_symlink_inode_operations;
		return take_symlink(inode);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		init_special_inode(inode, inode->i_mode, take_rdev(&raw->fixed));
		inode->i_op = &ext4_special_inode_operations;
		break;
	default:
		ext4_error_inode(inode, 0, "mode %#o names no kind of file", inode->i_mode);
		err = -EFSCORRUPTED;
	}
	return err;
}

static int inode_fill(struct inode *inode, unsigned flags)
{
	struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);
	struct ext4_inode_info *ei = EXT4_I(inode);
	struct raw_inode raw;
	struct buffer_head *bh;
	u8 *bytes;
	int err = ext4_inode_block_get(inode->i_sb, inode->i_ino, &bh, &bytes);

	if (err)
		return err;
	err = raw_take(inode, bytes, &raw);
	if (!err) {
		ei->i_csum_seed =
			ext4_inode_csum_seed(sbi, inode->i_ino, le32_to_cpu(raw.fixed.i_generation));
		err = check_checksum(inode, &raw, bytes, ei->i_csum_seed);
	}
	brelse(bh);
	if (!err)
		err = take_attributes(inode, &raw);
	if (!err)
		err = check_attributes(inode, flags);
	if (!err && ext4_has_inline_data(inode))
		err = ext4_inline_take(inode);
	if (!err)
		err = take_kind(inode, &raw);
	if (err)
		return err;
	/* No attributes at all: no ACL, and the walk need not ask. */
	if (!ei->has_ibody_xattr && !ei->i_file_acl) {
		WRITE_ONCE(inode->i_acl, NULL);
		WRITE_ONCE(inode->i_default_acl, NULL);
	}
	inode_set_opflags(inode);
	/* It only reads the inode, and adds nothing to what that says but where there is inline data. */
	if (inode->i_op->getattr == ext4_getattr && !ext4_has_inline_data(inode))
		inode->i_opflags |= IOP_FASTSTAT;
	return 0;
}

static bool ino_valid(const struct ext4_sb_info *sbi, u64 ino, unsigned flags)
{
	const struct ext4_super_block *es = &sbi->es;

	if (!ino || ino > le32_to_cpu(es->s_inodes_count))
		return false;
	if (ino == EXT4_ROOT_INO || flags & EXT4_IGET_SPECIAL)
		return true;
	/* Quota and orphan files are the volume's own wherever they lie: no name leads to them. */
	return ino >= sbi->first_ino && ino != le32_to_cpu(es->s_usr_quota_inum) &&
	       ino != le32_to_cpu(es->s_grp_quota_inum) && ino != le32_to_cpu(es->s_prj_quota_inum) &&
	       ino != le32_to_cpu(es->s_orphan_file_inum);
}

/* An inode that holds a value has no name, no attributes of its own, and no other use. */
static int check_use(const struct inode *inode, unsigned flags)
{
	const struct ext4_inode_info *ei = EXT4_I(inode);
	const char *why = NULL;

	if (flags & EXT4_IGET_ORPHAN)
		return 0;
	if (!(flags & EXT4_IGET_EA))
		why = ei->i_flags & EXT4_EA_INODE_FL ? "holds a value of an attribute, and has a name" : NULL;
	else if (!(ei->i_flags & EXT4_EA_INODE_FL) || !S_ISREG(inode->i_mode))
		why = "is named as an attribute's value, and is none";
	else if (ei->has_ibody_xattr || ei->i_file_acl)
		why = "holds a value of an attribute, and has attributes itself";
	if (!why)
		return 0;
	ext4_error_inode(inode, 0, "%s", why);
	return -EFSCORRUPTED;
}

int ext4_iget(struct super_block *sb, u64 ino, unsigned flags, struct inode **out)
{
	struct inode *inode;
	int err;

	if (!ino_valid(EXT4_SB(sb), ino, flags)) {
		if (flags & EXT4_IGET_HANDLE)
			return -ESTALE;
		ext4_msg(sb, LOGLEVEL_ERR, "inode number %llu is not possible here", (unsigned long long)ino);
		return -EFSCORRUPTED;
	}
	err = iget_locked(sb, ino, &inode);
	if (err)
		return err;
	if (inode_is_new(inode)) {
		err = inode_fill(inode, flags);
		if (err) {
			iget_failed(inode);
			return err;
		}
		unlock_new_inode(inode);
	}
	err = check_use(inode, flags);
	if (err) {
		iput(inode);
		return err;
	}
	*out = inode;
	return 0;
}

int ext4_getattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat, u32 request_mask,
		 unsigned flags)
{
	u32 fl = EXT4_I(inode)->i_flags;

	generic_fillattr(idmap, inode, stat);
	/* So that nobody takes the file for a hole. */
	if (S_ISREG(inode->i_mode) && ext4_has_inline_data(inode))
		stat->blocks += DIV_ROUND_UP(stat->size, 512);
	if (request_mask & STATX_DIOALIGN && S_ISREG(inode->i_mode)) {
		stat->result_mask |= STATX_DIOALIGN;
		if (ext4_reads_directly(inode))
			stat->dio_mem_align = stat->dio_offset_align =
				bdev_logical_block_size(EXT4_SB(inode->i_sb)->bdev);
	}
	stat->attributes |= (fl & EXT4_COMPR_FL ? STATX_ATTR_COMPRESSED : 0) |
			    (fl & EXT4_APPEND_FL ? STATX_ATTR_APPEND : 0) |
			    (fl & EXT4_IMMUTABLE_FL ? STATX_ATTR_IMMUTABLE : 0) |
			    (fl & EXT4_NODUMP_FL ? STATX_ATTR_NODUMP : 0) |
			    (fl & EXT4_ENCRYPT_FL ? STATX_ATTR_ENCRYPTED : 0) |
			    (fl & EXT4_VERITY_FL ? STATX_ATTR_VERITY : 0);
	stat->attributes_mask |= STATX_ATTR_COMPRESSED | STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE |
				 STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY;
	return 0;
}
