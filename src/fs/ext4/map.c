/* SPDX-License-Identifier: MIT */
/*
 * What lies at a place of a file: the one question behind reading, seeking and listing extents. Files answer
 * it by their extent tree or by indirect blocks; iomap asks it in bytes.
 */
#include "iomap/iomap.h"
#include "fs/ext4/ext4_internal.h"

/*
 * A run of blocks often goes on over the border of an indirect block, where one look at the map ends: the
 * answer goes on as long as the blocks follow each other, as it does on Linux for what its cache of extents
 * has seen.
 */
static int ind_map_run(struct inode *inode, struct ext4_map *map)
{
	u32 want = map->len;
	int err = ext4_ind_map(inode, map);

	while (!err && map->mapped && map->len < want) {
		struct ext4_map next = {.lblk = map->lblk + map->len, .len = want - map->len};

		/* What lies behind the run is another answer's: its errors are told there. */
		if (ext4_ind_map(inode, &next) || !next.mapped || next.pblk != map->pblk + map->len)
			break;
		map->len += next.len;
	}
	return err;
}

int ext4_map_blocks(struct inode *inode, struct ext4_map *map)
{
	if (EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL)
		return ext4_ext_map(inode, map);
	return ind_map_run(inode, map);
}

static int ext4_iomap_begin(struct inode *inode, u64 pos, u64 length, unsigned flags, struct iomap *iomap,
			    struct iomap *srcmap)
{
	unsigned bits = inode->i_blkbits;
	u64 first = pos >> bits, last = (pos + length - 1) >> bits;
	struct ext4_map map;
	int err;

	/* Reading needs no more than blocks in order; nothing is made here. */
	if (flags & (IOMAP_WRITE | IOMAP_ZERO))
		return -EROFS;
	if (ext4_has_inline_data(inode))
		return ext4_inline_iomap(inode, pos, flags, iomap);
	if (first > UINT32_MAX)
		return -EINVAL;
	map.lblk = first;
	map.len = min_t(u64, last - first + 1, UINT32_MAX - first);
	if (!map.len)
		map.len = 1;
	err = ext4_map_blocks(inode, &map);
	if (err)
		return err;
	iomap->offset = first << bits;
	iomap->length = (u64)map.len << bits;
	iomap->bdev = EXT4_SB(inode->i_sb)->bdev;
	iomap->flags = EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL ? 0 : IOMAP_F_MERGED;
	iomap->addr = map.mapped || map.unwritten ? map.pblk << bits : IOMAP_NULL_ADDR;
	iomap->type = map.unwritten ? IOMAP_UNWRITTEN : map.mapped ? IOMAP_MAPPED : IOMAP_HOLE;
	return 0;
}

const struct iomap_ops ext4_iomap_ops = {.iomap_begin = ext4_iomap_begin};

int ext4_bread(struct inode *inode, u32 lblk, const struct buffer_verifier *v, struct buffer_head **out)
{
	struct ext4_map map = {.lblk = lblk, .len = 1};
	int err = ext4_map_blocks(inode, &map);

	if (err)
		return err;
	if (!map.mapped) {
		ext4_error_inode(inode, 0, "a hole at block %u of the file", lblk);
		return -EFSCORRUPTED;
	}
	return bread(EXT4_SB(inode->i_sb)->bdev, map.pblk, inode->i_sb->s_blocksize, v, inode,
		     ext4_owner(inode), out);
}
