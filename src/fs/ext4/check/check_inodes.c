/* SPDX-License-Identifier: MIT */
/*
 * The pass over the inodes: every table is read once, in large pieces, as far as its group says that it was
 * used. Each inode in use is checked by itself: checksum, mode, flags, sizes, times, special files and
 * symlinks; then its attributes (check_xattr.c) and its blocks (check_blocks.c). Reserved numbers go through
 * check_special.c. Leaves behind which inodes are in use, their kinds and link counts, and the directories.
 */
#include "base/crc.h"
#include "fs/ext4/check/check_internal.h"

#define USER_QUOTA_INO  3
#define GROUP_QUOTA_INO 4

static u8 kind_of(u16 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT4_FT_REG;
	case S_IFDIR:
		return EXT4_FT_DIR;
	case S_IFCHR:
		return EXT4_FT_CHRDEV;
	case S_IFBLK:
		return EXT4_FT_BLKDEV;
	case S_IFIFO:
		return EXT4_FT_FIFO;
	case S_IFSOCK:
		return EXT4_FT_SOCK;
	case S_IFLNK:
		return EXT4_FT_SYMLINK;
	default:
		return 0;
	}
}

/* Reserved numbers that are no files on this volume; bad blocks are a list of their own kind. */
static bool is_idle(const struct check *c, u32 ino)
{
	if (ino == EXT4_JOURNAL_INO)
		return !ext4_has_compat(c->sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL) &&
		       le32_to_cpu(c->sbi->es.s_journal_inum) != ino;
	if (ino == USER_QUOTA_INO || ino == GROUP_QUOTA_INO)
		return !check_is_special(c, ino);
	return ino == EXT4_BAD_INO;
}

static void take_raw(struct check *c, struct check_inode *ci, u32 ino, const u8 *bytes)
{
	const struct ext4_sb_info *sbi = c->sbi;

	*ci = (struct check_inode){.ino = ino,
				   .bytes = bytes,
				   .dir = ~0u,
				   .last_cluster = ~0ull,
				   .last_file_cluster = ~0ull,
				   .inline_bytes = -1};
	ci->raw = (const void *)bytes;
	if (sbi->inode_size < sizeof(*ci->raw)) {
		memcpy(&c->small_inode, bytes, sbi->inode_size);
		ci->raw = &c->small_inode;
	}
	ci->mode = le16_to_cpu(ci->raw->i_mode);
	ci->flags = le32_to_cpu(ci->raw->i_flags);
	ci->size = le32_to_cpu(ci->raw->i_size_lo) | (u64)le32_to_cpu(ci->raw->i_size_high) << 32;
	ci->acl = le32_to_cpu(ci->raw->i_file_acl_lo);
	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		ci->acl |= (u64)le16_to_cpu(ci->raw->i_file_acl_high) << 32;
	ci->reserved = ino < sbi->first_ino && ino != EXT4_ROOT_INO;
	ci->idle = is_idle(c, ino);
	ci->named = !ci->reserved && !(ci->flags & EXT4_EA_INODE_FL) && !check_is_special(c, ino);
}

static bool is_zero(const u8 *bytes, size_t n)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, n - 1);
}

/* An inode that was never written is all zero and has no checksum. */
static void check_checksum(struct check *c, const struct check_inode *ci, u32 crc)
{
	u32 stored = le16_to_cpu(ci->raw->i_checksum_lo);

	if (le16_to_cpu(ci->raw->i_extra_isize) >= 4)
		stored |= (u32)le16_to_cpu(ci->raw->i_checksum_hi) << 16;
	if (crc != stored && !is_zero(ci->bytes, c->sbi->inode_size))
		check_problem(c, "inode-checksum", ci->ino, 0, "checksum is %#010x, computed %#010x", stored,
			      crc);
}

static void take_extra_size(struct check *c, struct check_inode *ci)
{
	u32 room = c->sbi->inode_size - EXT4_GOOD_OLD_INODE_SIZE;

	ci->extra_isize = le16_to_cpu(ci->raw->i_extra_isize);
	if (ci->extra_isize <= room && !(ci->extra_isize & 3))
		return;
	if (!ci->reserved)
		check_problem(c, "inode-extra-size", ci->ino, 0, "extra size of %u bytes in an inode of %u",
			      ci->extra_isize, c->sbi->inode_size);
	ci->extra_isize = 0;
}

/* The list of orphans goes through the field of the time of deletion: a small number there is left of one. */
static void check_orphan_rest(struct check *c, const struct check_inode *ci)
{
	u32 dtime = le32_to_cpu(ci->raw->i_dtime);

	if (dtime && dtime < c->inodes_count)
		check_problem(c, "inode-orphan", ci->ino, 0,
			      "its time of deletion is an inode number (%u), but it is no orphan", dtime);
}

static void check_free_inode(struct check *c, const struct check_inode *ci)
{
	check_orphan_rest(c, ci);
	if (ci->mode && !le32_to_cpu(ci->raw->i_dtime))
		check_problem(c, "free-dtime", ci->ino, 0, "has no link, but no time of deletion either");
}

static int add_dir(struct check *c, struct check_inode *ci)
{
	struct check_dir dir = {.ino = ci->ino,
				.flags = ci->flags,
				.csum_seed = check_csum_seed(c, ci),
				.first_block = (u32)c->dir_blocks.count,
				.size = ci->size};

	c->groups[(ci->ino - 1) / c->sbi->inodes_per_group].found_dirs++;
	/* One that was removed while somebody was in it: its ".." counts no more. */
	if (!le16_to_cpu(ci->raw->i_links_count) && check_is_orphan(c, ci->ino))
		return 0;
	ci->dir = (u32)c->dirs.count;
	return check_array_add(c, &c->dirs, &dir, sizeof(dir));
}

static int check_content(struct check *c, struct check_inode *ci)
{
	bool link = S_ISLNK(ci->mode);
	int err = 0;

	if (ci->flags & EXT4_INLINE_DATA_FL && ext4_has_incompat(c->sbi, EXT4_FEATURE_INCOMPAT_INLINE_DATA)) {
		if (link || S_ISREG(ci->mode) || S_ISDIR(ci->mode))
			check_inline_data(c, ci);
		return 0;
	}
	if (S_ISREG(ci->mode) || (!ci->reserved && S_ISDIR(ci->mode)) ||
	    (link && !check_symlink_is_fast(c, ci)))
		err = check_inode_blocks(c, ci);
	if (!err && link)
		err = check_symlink(c, ci);
	return err;
}

static int check_used_inode(struct check *c, struct check_inode *ci)
{
	bool claimed = false;
	int err = 0;

	take_extra_size(c, ci);
	c->kinds[ci->ino - 1] = ci->reserved && S_ISDIR(ci->mode) ? 0 : kind_of(ci->mode);
	c->links_stored[ci->ino - 1] = le16_to_cpu(ci->raw->i_links_count);
	if (ci->ino < c->sbi->first_ino)
		err = check_special(c, ci, &claimed);
	check_dir_flags(c, ci);
	if (err || ci->idle)
		return err;
	if (S_ISDIR(ci->mode) && !ci->reserved)
		err = add_dir(c, ci);
	if (!err)
		err = check_inode_xattrs(c, ci);
	if (!err && ci->flags & EXT4_ENCRYPT_FL)
		err = check_policy_add(c, ci);
	check_inode_flags(c, ci);
	check_inode_fields(c, ci);
	if (!err && !claimed)
		err = check_content(c, ci);
	if (err)
		return err;
	check_inode_sums(c, ci);
	return ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_QUOTA) ? check_quota_count(c, ci) : 0;
}

/* sum: what its checksum should be. */
static int check_inode(struct check *c, u32 ino, const u8 *bytes, u32 sum)
{
	struct check_inode ci;

	take_raw(c, &ci, ino, bytes);
	if (c->sbi->has_csum)
		check_checksum(c, &ci, sum);
	if (ci.reserved)
		check_orphan_rest(c, &ci);
	if (!le16_to_cpu(ci.raw->i_links_count) && !ci.reserved && !check_is_orphan(c, ino)) {
		check_free_inode(c, &ci);
		return 0;
	}
	__set_bit(ino - 1, c->used_inodes);
	return check_used_inode(c, &ci);
}

/* How many inodes of the group may be in use; the others were never written. */
static u32 inodes_used(const struct check *c, u32 group)
{
	const struct ext4_group *g = &c->groups[group].desc;
	u32 all = c->sbi->inodes_per_group;

	if (c->groups[group].bad_table)
		return 0;
	if (!c->sbi->has_csum && !c->sbi->has_gdt_csum)
		return all;
	if (g->flags & EXT4_BG_INODE_UNINIT)
		return 0;
	return all - min(g->itable_unused, all);
}

bool check_inode_is_read(const struct check *c, u32 ino)
{
	return (ino - 1) % c->sbi->inodes_per_group < inodes_used(c, (ino - 1) / c->sbi->inodes_per_group);
}

/* What is added to the checksums of a few inodes: `bytes` from each of these places on. */
static void add_bytes(u32 sums[CRC_LANES], const u8 *const from[CRC_LANES], size_t offset, size_t bytes)
{
	const void *const p[CRC_LANES] = {from[0] + offset, from[1] + offset, from[2] + offset};

	crc32c_lanes(sums, p, bytes);
}

/*
 * Checksums of a few inodes together: of their bytes, with zeroes for the checksum itself. Its halves lie in
 * the last word of the old inode and in the first behind that, and these words are copied.
 */
static void sum_inodes(const struct check *c, u32 ino, const u8 *const bytes[CRC_LANES], u32 sums[CRC_LANES])
{
	const size_t lo = EXT4_GOOD_OLD_INODE_SIZE - sizeof(le64), hi = EXT4_GOOD_OLD_INODE_SIZE,
		     size = c->sbi->inode_size, rest = hi + sizeof(le64);
	le64 words[CRC_LANES][2];
	const u8 *w[CRC_LANES], *o[CRC_LANES];
	le64 owners[CRC_LANES]; /* number, and generation above it: in one piece, as it is read again */
	bool has_hi[CRC_LANES];

	for (unsigned i = 0; i < CRC_LANES; i++) {
		u64 word = size > hi ? get_unaligned_le64(bytes[i] + hi) : 0;

		has_hi[i] = (word & 0xffff) >= 4; /* i_extra_isize */
		words[i][0] = cpu_to_le64(get_unaligned_le64(bytes[i] + lo) & ~(0xffffull << 32));
		words[i][1] = cpu_to_le64(has_hi[i] ? word & ~(0xffffull << 16) : word);
		w[i] = (const u8 *)words[i];
		owners[i] = cpu_to_le64(
			(u64)get_unaligned_le32(bytes[i] + offsetof(struct ext4_inode, i_generation)) << 32 |
			(ino + i));
		o[i] = (const u8 *)&owners[i];
		sums[i] = c->sbi->csum_seed;
	}
	add_bytes(sums, o, 0, sizeof(owners[0]));
	add_bytes(sums, bytes, 0, lo);
	add_bytes(sums, w, 0, size > hi ? sizeof(words[0]) : sizeof(words[0][0]));
	if (size > rest)
		add_bytes(sums, bytes, rest, size - rest);
	for (unsigned i = 0; i < CRC_LANES; i++)
		if (!has_hi[i])
			sums[i] &= 0xffff;
}

/* `count` inodes that lie one behind the other from the start of buf on. */
static int check_run(struct check *c, u32 ino, u32 count, u8 *buf)
{
	const struct ext4_sb_info *sbi = c->sbi;
	int err = 0;

	/* No inode lies over the end of a block, and blocks are full of them. */
	for (u32 i = 0; i < count && !err && !c->stop; i += CRC_LANES) {
		const u8 *bytes[CRC_LANES];
		u32 sums[CRC_LANES] = {0};

		for (unsigned k = 0; k < CRC_LANES; k++)
			bytes[k] = buf + (size_t)min(i + k, count - 1) * sbi->inode_size;
		if (sbi->has_csum)
			sum_inodes(c, ino + i, bytes, sums);
		for (unsigned k = 0; k < CRC_LANES && i + k < count && !err && !c->stop; k++)
			err = check_inode(c, ino + i + k, bytes[k], sums[k]);
	}
	return err;
}

static int check_table(struct check *c, u32 group, u8 *buf, u32 run)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 used = inodes_used(c, group), blocks = DIV_ROUND_UP(used, sbi->inodes_per_block);
	u32 first = group * sbi->inodes_per_group + 1;
	int err = 0;

	check_charge(c, used * (sizeof(*c->kinds) + sizeof(*c->links_stored) + sizeof(*c->links_found)));
	for (u32 block = 0; block < blocks && !err; block += run) {
		u32 n = min(run, blocks - block), index = block * sbi->inodes_per_block;
		u32 end = min(index + n * sbi->inodes_per_block, used);

		err = check_read(c, c->groups[group].desc.inode_table + block, n, buf);
		if (!err)
			err = check_run(c, first + index, end - index, buf);
	}
	return err;
}

int check_inodes(struct check *c)
{
	u32 run = min(c->run_blocks, c->sbi->itable_blocks);
	void *buf = check_run_buf(c);
	int err = buf ? 0 : -ENOMEM;

	/* Reserved numbers are in use whatever they hold. */
	bitmap_set(c->used_inodes, 0, min(c->sbi->first_ino - 1, c->inodes_count));
	for (u32 group = 0; group < c->sbi->groups_count && !err && !c->stop; group++) {
		check_progress(c, "inodes", group, c->sbi->groups_count);
		err = check_table(c, group, buf, run);
	}
	if (!err && !c->stop)
		check_xattrs_end(c);
	return err;
}
