/* SPDX-License-Identifier: MIT */
/*
 * The pass over the inodes: every table is read once, in large pieces, as far as its group says that it was
 * used. Each inode in use is checked by itself: checksum, mode, flags, sizes, times, special files and
 * symlinks; then its attributes (check_xattr.c) and its blocks (check_blocks.c). Reserved numbers go through
 * check_special.c. Leaves behind which inodes are in use, their kinds and link counts, and the directories.
 */
#include "fs/ext4/check/check_internal.h"

#define RUN_BYTES (256u << 10) /* of inode table read at a time */

static u8 kind_of(u16 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}

static void take_raw(struct check *c, struct check_inode *ci, u32 ino, const u8 *bytes)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 room = sbi->inode_size - EXT4_GOOD_OLD_INODE_SIZE;

	*ci = (struct check_inode){.ino = ino, .bytes = bytes, .dir = ~0u, .last_cluster = ~0ull};
	memcpy(&ci->raw, bytes, min_t(size_t, sbi->inode_size, sizeof(ci->raw)));
	ci->mode = le16_to_cpu(ci->raw.i_mode);
	ci->flags = le32_to_cpu(ci->raw.i_flags);
	ci->size = le32_to_cpu(ci->raw.i_size_lo);
	if (S_ISREG(ci->mode) || ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_LARGEDIR))
		ci->size |= (u64)le32_to_cpu(ci->raw.i_size_high) << 32;
	ci->csum_seed = ext4_inode_csum_seed(sbi, ino, le32_to_cpu(ci->raw.i_generation));
	if (room)
		ci->extra_isize = le16_to_cpu(ci->raw.i_extra_isize);
	if (ci->extra_isize > room || ci->extra_isize & 3) {
		check_problem(c, "inode-extra-size", ino, 0, "extra size of %u bytes in an inode of %u",
			      ci->extra_isize, sbi->inode_size);
		ci->extra_isize = 0;
	}
}

static void check_checksum(struct check *c, const struct check_inode *ci)
{
	u32 stored = le16_to_cpu(ci->raw.i_checksum_lo), crc;

	if (!c->sbi->has_csum)
		return;
	if (ci->extra_isize >= 4)
		stored |= (u32)le16_to_cpu(ci->raw.i_checksum_hi) << 16;
	crc = ext4_inode_checksum(c->sbi, ci->csum_seed, ci->bytes, ci->extra_isize);
	if (crc != stored)
		check_problem(c, "inode-checksum", ci->ino, 0, "checksum is %#010x, computed %#010x", stored,
			      crc);
}

static int add_dir(struct check *c, struct check_inode *ci)
{
	struct check_dir dir = {.ino = ci->ino,
				.flags = ci->flags,
				.csum_seed = ci->csum_seed,
				.first_block = (u32)c->dir_blocks.count,
				.size = ci->size};

	ci->dir = (u32)c->dirs.count;
	c->groups[(ci->ino - 1) / c->sbi->inodes_per_group].found_dirs++;
	return check_array_add(c, &c->dirs, &dir, sizeof(dir));
}

static bool has_blocks(const struct check *c, const struct check_inode *ci)
{
	if (ci->flags & EXT4_INLINE_DATA_FL)
		return false;
	if (S_ISLNK(ci->mode))
		return ci->flags & EXT4_EXTENTS_FL || ci->size >= sizeof(ci->raw.i_block);
	return S_ISREG(ci->mode) || S_ISDIR(ci->mode);
}

static int check_inode(struct check *c, u32 ino, const u8 *bytes)
{
	struct check_inode ci;
	bool claimed = false;
	int err = 0;

	if (!get_unaligned_le16(bytes + offsetof(struct ext4_inode, i_links_count)) &&
	    ino >= c->sbi->first_ino && !check_is_orphan(c, ino))
		return 0;
	take_raw(c, &ci, ino, bytes);
	check_checksum(c, &ci);
	__set_bit(ino - 1, c->used_inodes);
	c->kinds[ino - 1] = kind_of(ci.mode);
	c->links_stored[ino - 1] = le16_to_cpu(ci.raw.i_links_count);
	if (ino < c->sbi->first_ino)
		err = check_special(c, &ci, &claimed);
	if (!err && S_ISDIR(ci.mode))
		err = add_dir(c, &ci);
	if (!err)
		err = check_inode_xattrs(c, &ci);
	if (!err && !claimed && has_blocks(c, &ci))
		err = check_inode_blocks(c, &ci);
	return err;
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

static int check_table(struct check *c, u32 group, u8 *buf, u32 run)
{
	const struct ext4_sb_info *sbi = c->sbi;
	u32 used = inodes_used(c, group), blocks = DIV_ROUND_UP(used, sbi->inodes_per_block);
	u32 first = group * sbi->inodes_per_group + 1;
	int err = 0;

	for (u32 block = 0; block < blocks && !err; block += run) {
		u32 n = min(run, blocks - block), index = block * sbi->inodes_per_block;
		u32 end = min(index + n * sbi->inodes_per_block, used);

		err = check_read(c, c->groups[group].desc.inode_table + block, n, buf);
		for (u32 i = index; i < end && !err && !c->stop; i++) {
			u32 at = i - index;

			err = check_inode(c, first + i,
					  buf + ((size_t)(at / sbi->inodes_per_block) << sbi->block_bits) +
						  (size_t)(at % sbi->inodes_per_block) * sbi->inode_size);
		}
	}
	return err;
}

int check_inodes(struct check *c)
{
	u32 run = min_t(u32, max(RUN_BYTES >> c->sbi->block_bits, 1u), c->sbi->itable_blocks);
	void *buf __free_kfree = check_buf(c, run);
	int err = buf ? 0 : -ENOMEM;

	/* Reserved numbers are in use whatever they hold. */
	bitmap_set(c->used_inodes, 0, min(c->sbi->first_ino - 1, c->inodes_count));
	for (u32 group = 0; group < c->sbi->groups_count && !err && !c->stop; group++)
		err = check_table(c, group, buf, run);
	return err ? err : check_xattrs_end(c);
}
