/* SPDX-License-Identifier: MIT */
/*
 * A small ext2/3/4 volume as bytes in memory, and the places of its structures. volume_open() walks an
 * undamaged volume once and notes every structure; damage and repair of checksums then need no walk, so that
 * nothing they meet is led astray by what is broken. The volume is trusted to be one that make-volumes made.
 * The bytes belong to the caller, the list of places to the volume. Shares with shale only the names of the
 * format.
 */
#ifndef SHALE_TESTS_CHECK_VOLUME_H
#define SHALE_TESTS_CHECK_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/ext4/ext4_format.h"

enum place_kind {
	PLACE_SUPER,
	PLACE_BACKUP_SUPER,
	PLACE_DESC,
	PLACE_BACKUP_DESC,
	PLACE_BLOCK_BITMAP,
	PLACE_INODE_BITMAP,
	PLACE_INODE,   /* in use; the whole of it */
	PLACE_SPECIAL, /* an inode below the first of users, but for the root */
	PLACE_FREE_INODE,
	PLACE_EXTENT_ROOT, /* i_block */
	PLACE_EXTENT_BLOCK,
	PLACE_MAP_ROOT,     /* i_block */
	PLACE_MAP_BLOCK,    /* indirect block */
	PLACE_FAST_SYMLINK, /* i_block */
	PLACE_SLOW_SYMLINK,
	PLACE_INLINE,     /* i_block of inline data */
	PLACE_INLINE_DIR, /* i_block of an inline directory */
	PLACE_DIR,        /* block of entries */
	PLACE_DX_ROOT,
	PLACE_DX_NODE,
	PLACE_XATTR_BLOCK,
	PLACE_XATTR_INODE, /* behind the inode's fields */
	PLACE_EA_INODE,    /* block of a value that has an inode of its own */
	PLACE_JOURNAL_SUPER,
	PLACE_JOURNAL_LOG,
	PLACE_FAST_COMMIT, /* block of the journal that was written by one */
	PLACE_ORPHAN_FILE,
	PLACE_MMP,
	PLACE_QUOTA,
	PLACE_KINDS
};
extern const char *const place_names[PLACE_KINDS];

struct place {
	enum place_kind kind;
	uint32_t length;
	uint64_t offset; /* bytes from the start of the volume */
	uint32_t ino;    /* the inode that it belongs to, or 0 */
	uint32_t index;  /* group of descriptors and bitmaps; logical block */
};

struct volume {
	uint8_t *bytes;
	uint64_t size;
	struct place *places;
	unsigned count, room;
	/* As they were before any damage. */
	uint32_t block_size, groups, inodes_count, inodes_per_group, clusters_per_group, inode_size,
		desc_size, first_ino;
	uint64_t blocks_count;
	uint32_t compat, incompat, ro_compat;
	uint32_t first_data_block;
	uint32_t fast_commits; /* the journal's blocks for them begin here; 0: there are none */
	struct {
		uint64_t desc, table; /* byte offsets */
	} * group;
};

void volume_open(struct volume *v, uint8_t *bytes, uint64_t size);
void volume_close(struct volume *v);
struct ext4_group_desc *volume_desc(struct volume *v, unsigned group);
struct ext4_inode *volume_inode(struct volume *v, uint32_t ino);
static inline struct ext4_super_block *volume_super(struct volume *v)
{
	return (void *)(v->bytes + EXT4_SUPER_OFFSET);
}
/* Makes every checksum of metadata right for the bytes as they are now. */
void volume_repair_checksums(struct volume *v);
/* Damages 1 to 3 places, chosen by the seed, and mostly repairs checksums. only: kinds to choose from, as
 * bits, where the volume has any of them. Says in one line what it did; returns the kinds of these places as
 * bits. */
uint32_t volume_damage(struct volume *v, uint64_t seed, uint32_t only, char *text, size_t size);

#endif
