/* SPDX-License-Identifier: MIT */
/*
 * What the files of the check share. A check walks over a whole volume once, in passes (check.c has the
 * list); each pass reads its structures, tells what is wrong, and leaves behind what later passes compare
 * with. It is stricter than a mount and goes on after what it finds: a structure that cannot be trusted is
 * told and passed over, never a reason to end.
 *
 * A check belongs to one thread and one super block that nobody else sees; it owns all memory below and no
 * lock is needed. Nothing of what it reads goes through the page cache: passes read runs and lists of blocks
 * into memory of their own (check_io.c), through the device on which the journal's changes are seen.
 *
 * Functions of passes return 0 or a negative errno that ends the check (no memory, the device failed, the
 * caller had enough); what is wrong with the volume is told with check_problem() and is no error.
 *
 * Memory: 1 bit a cluster, 1 bit a block, 5 bytes and 1 bit an inode, 16 bytes a directory block, 40 a
 * directory, 64 a group, about 70 an attribute block, 32 an encrypted inode, and about 50
 * an inode that holds the value of an attribute.
 */
#ifndef SHALE_FS_EXT4_CHECK_INTERNAL_H
#define SHALE_FS_EXT4_CHECK_INTERNAL_H

#include "base/alloc.h"
#include "base/bitmap.h"
#include "base/xarray.h"
#include "fs/ext4/ext4_internal.h"

struct check;

/* An array that grows. `size`: bytes of an item. */
struct check_array {
	void *items;
	size_t count, room;
};
int check_array_add(struct check *c, struct check_array *a, const void *item, size_t size) __must_check;
/* Counts memory of the check against the machine's limit, until the check ends. Of what is as large as the
 * volume only that part which the host has to give, since it is written. */
void check_charge(struct check *c, size_t bytes);

struct check_group {
	struct ext4_group desc;
	bool bad_block_bitmap, bad_inode_bitmap, bad_table; /* do not lie where they may: not read */
	bool bad_checksum; /* of the descriptor: its word that a bitmap was never written does not count */
	u32 found_dirs;
};

/* A directory, in the order of inode numbers. The inode pass adds it, the passes over directories fill the
 * rest.
 */
struct check_dir {
	u32 ino, flags, csum_seed;
	u32 parent;              /* the directory that has an entry for it; 0: none was met */
	u32 dotdot;              /* what its ".." says */
	u32 first_block, blocks; /* in c->dir_blocks */
	u64 size;
};
/* A block of a directory; by the inode pass in the order of inodes and then lblk, the directory pass sorts
 * them. */
struct check_dir_block {
	u64 pblk;
	u32 lblk;
	u32 dir; /* index in c->dirs */
};

#define CHECK_QUOTAS 3 /* kinds: of users, groups, projects */
struct check_quota;

struct check {
	struct shale *machine;
	struct super_block *sb;
	struct ext4_sb_info *sbi;
	struct fs_check *out;
	size_t charged;            /* bytes */
	bool stop;                 /* the caller had enough */
	bool replayed;             /* else some words may be better in the journal */
	const char *progress_what; /* told last */
	unsigned progress_percent;
	u32 inodes_count;
	u64 clusters_count;

	/* By check_groups. */
	struct check_group *groups;
	unsigned long *meta_blocks; /* by pblk: blocks of the volume's own tables */
	/* By everyone who claims blocks: by cluster (check_cluster()). */
	unsigned long *used_clusters;

	/* By the inode pass; index: ino - 1. */
	unsigned long *used_inodes;
	u8 *kinds;                     /* EXT4_FT_* of inodes that are in use, 0: not in use */
	u16 *links_stored;             /* i_links_count */
	u16 *links_found;              /* by the directory pass; stays at 65535 */
	struct check_array dirs;       /* of struct check_dir */
	struct check_array dir_blocks; /* of struct check_dir_block */
	struct check_array xattr_blocks;
	struct xarray xattr_index;    /* pblk: its place in xattr_blocks */
	struct check_array ea_values; /* inodes that entries say hold their values */
	struct xarray ea_index;       /* their numbers: the place in ea_values */
	unsigned long *value_map;     /* check_xattr_list(): a bit for each byte of a block */
	struct check_array policies;  /* of struct check_policy: of encrypted inodes */
	struct check_array orphans;   /* u32, sorted: inodes that wait for being deleted or truncated */

	/* By check_super: inodes with ordinary numbers that the super block names: quota, orphan file. */
	u32 special_inodes[CHECK_QUOTAS + 1];
	unsigned special_count;
	struct check_quota *quotas; /* check_quota.c: one a kind, NULL: none */

	struct ext4_inode
		small_inode; /* the one that is looked at, where inodes are smaller than the struct */
	void *run_buf;       /* check_run_buf() */
	u32 run_blocks;
	void *block_bufs[EXT4_MAX_EXTENT_DEPTH + 1]; /* check_block_buf() */
	void *inode_buf;                             /* check_inode_read() */
	u64 inode_buf_pblk;                          /* what it holds, 0: nothing */
};

/* check.c: tells a problem. code: a stable name of its kind, "structure-what"; ino and pblk: 0 where they say
 * nothing; the words are put behind "inode N, block N: ". */
void check_problem(struct check *c, const char *code, u32 ino, u64 pblk, const char *fmt, ...) __printf(5, 6);
void check_problem_group(struct check *c, const char *code, u32 group, u64 pblk, const char *fmt, ...)
	__printf(5, 6);
/* The same for what e2fsck tells and lets pass: the volume stays clean. */
void check_note(struct check *c, const char *code, u32 ino, u64 pblk, const char *fmt, ...) __printf(5, 6);

/* How far a pass is: "inodes", so many of so many. */
void check_progress(struct check *c, const char *what, u64 done, u64 all);

/* check_io.c. -EIO, -ENOMEM, -ECANCELED: the caller of the check had enough. Blocks outside the volume must
 * have been told and left out before (check_pblk_valid). */
/* A run of blocks; buf from one of the calls below. */
int check_read(struct check *c, u64 pblk, u32 count, void *buf) __must_check;
/* Blocks in any order, into buf one behind the other; neighbours are read together, all are in flight at
 * once: sort them, and take up to a few hundred at a time. */
int check_read_list(struct check *c, const u64 *pblk, u32 count, void *buf) __must_check;
/* Memory for a run of c->run_blocks, at least one: of the pass at hand, kept until the check ends; NULL: no
 * memory. */
void *check_run_buf(struct check *c) __must_check;
/* The same for a block at a level of a tree. */
void *check_block_buf(struct check *c, unsigned level) __must_check;
/* The bytes of one inode, out of order (inline directories, orphans): valid until the next call. ino is
 * valid. -EFSCORRUPTED: its table cannot be read, as was told before. */
int check_inode_read(struct check *c, u32 ino, const u8 **raw) __must_check;

static inline bool check_pblk_valid(const struct check *c, u64 pblk, u64 count)
{
	return ext4_pblk_range_valid(c->sbi, pblk, count);
}
static inline bool check_ino_valid(const struct check *c, u32 ino)
{
	return ino && ino <= c->inodes_count;
}
static inline u64 check_cluster(const struct check *c, u64 pblk)
{
	return (pblk - c->sbi->first_data_block) >> c->sbi->cluster_bits;
}

/*
 * check_blocks.c: takes a run of blocks (which must be valid) for an inode, ino 0: the volume itself. Tells
 * where it belongs to somebody already, or to the volume's tables; false then. With bigalloc an inode may
 * hold several runs in a cluster: *last_cluster (~0 at first) is the one it took last.
 */
bool check_claim(struct check *c, u32 ino, u64 pblk, u64 count, u64 *last_cluster);

/* check_policy.c: by what an inode is encrypted, without what is its own. */
struct check_policy {
	u32 ino;
	u8 state; /* CHECK_POLICY_* */
	u8 bytes[24];
};
enum { CHECK_POLICY_NONE, CHECK_POLICY_BAD, CHECK_POLICY_GOOD };
void check_policy_take(struct check_policy *policy, const u8 *value, u32 size);
/* Of what lies in an encrypted directory: NULL, or what is wrong. */
const char *check_policy_compare(const struct check *c, u32 dir, u32 ino);

/* An inode while the inode pass looks at it. */
struct check_inode {
	u32 ino;
	const u8 *bytes;              /* inode_size of them */
	const struct ext4_inode *raw; /* zeroes behind inode_size */
	u32 extra_isize;              /* verified; 0 in small inodes */
	u32 flags;
	u16 mode;
	bool reserved; /* a number below the first ordinary one, but not the root */
	bool named;    /* names lead to it: neither reserved nor a quota, orphan or attribute's file */
	bool idle;     /* a reserved number that is no file on this volume */
	bool bad_map;  /* blocks could not all be counted, as was told */
	struct check_policy policy;
	s32 inline_bytes; /* of inline data behind the first 60, -1: none */
	u64 size;         /* all 64 bits */
	u64 acl;          /* attribute block, 0: none */
	u64 clusters;     /* that were claimed so far: data, trees, attributes */
	u64 last_cluster; /* for check_claim: of data */
	u64 last_file_cluster;
	u64 end_lblk;    /* behind the last block that is mapped */
	u64 end_written; /* the same, of blocks that hold data */
	u64 first_pblk;  /* of lblk 0, 0: none */
	u32 dir;         /* index in c->dirs, ~0: no directory */
};
/* What the checksums of its blocks begin with. */
static inline u32 check_csum_seed(const struct check *c, const struct check_inode *ci)
{
	return ext4_inode_csum_seed(c->sbi, ci->ino, le32_to_cpu(ci->raw->i_generation));
}

/* Passes, in their order; what each checks stands at the head of its file. */
int check_super(struct check *c) __must_check;
int check_groups(struct check *c) __must_check;
int check_mmp(struct check *c) __must_check;
int check_journal(struct check *c) __must_check;
/* Of a volume that is checked without it (noload): nobody else is here. */
bool check_journal_is_external(const struct check *c);
int check_orphans(struct check *c) __must_check;
int check_inodes(struct check *c) __must_check;
int check_files(struct check *c) __must_check;
int check_dirs(struct check *c) __must_check;
int check_links(struct check *c) __must_check;
int check_bitmaps(struct check *c) __must_check;

/* Parts of the inode pass. */
/* check_fields.c: what the fields of an inode tell without its blocks, and then beside its blocks. */
void check_dir_flags(struct check *c, const struct check_inode *ci);
void check_inode_flags(struct check *c, const struct check_inode *ci);
void check_inode_fields(struct check *c, const struct check_inode *ci);
void check_inline_data(struct check *c, const struct check_inode *ci);
void check_inode_sums(struct check *c, const struct check_inode *ci);
/* check_symlink.c: what a symlink says; after its blocks. */
bool check_symlink_is_fast(const struct check *c, const struct check_inode *ci);
int check_symlink(struct check *c, const struct check_inode *ci) __must_check;
/* check_extents.c */
int check_extents(struct check *c, struct check_inode *ci) __must_check;
/* check_special.c: a reserved inode number. *claimed: its blocks are dealt with. */
int check_special(struct check *c, struct check_inode *ci, bool *claimed) __must_check;
/* check_blocks.c: the block map or extent tree; adds the blocks of directories to c->dir_blocks. */
int check_inode_blocks(struct check *c, struct check_inode *ci) __must_check;
/* Takes a run of a map: of the map itself, or of what it maps, in order. */
bool check_take_run(struct check *c, struct check_inode *ci, u64 pblk, u64 count);
int check_take_data(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk, u64 count,
		    bool written) __must_check;
int check_dir_block_add(struct check *c, struct check_inode *ci, u64 lblk, u64 pblk, u64 count) __must_check;
/* check_xattr.c: attributes in the inode and its attribute block. */
int check_inode_xattrs(struct check *c, struct check_inode *ci) __must_check;
void check_xattrs_end(struct check *c); /* after the last inode: reference counts */

/* check_xattr_list.c: one list of attributes, in an inode (pblk 0) or in a block. */
struct check_xattrs {
	struct check_inode *ci;
	const u8 *base; /* what offsets of values count from */
	u32 first, end; /* bytes from there: where the list begins and its area ends */
	u64 pblk;
	/* What was found. */
	u64 ea_clusters; /* that the inode is charged with for values in other inodes */
	struct check_policy policy;
	s32 inline_bytes; /* of system.data, -1: has none */
};
int check_xattr_list(struct check *c, struct check_xattrs *list) __must_check;
/* check_xattr_inode.c: an entry whose value lies in an inode. */
int check_xattr_inode(struct check *c, struct check_xattrs *list,
		      const struct ext4_xattr_entry *e) __must_check;
void check_xattr_inodes_end(struct check *c);

int check_policy_add(struct check *c, struct check_inode *ci) __must_check;

/* check_dirs.c: the directory with this inode number, NULL: none such. */
struct check_dir *check_dir_find(struct check *c, u32 ino);

/* check_quota.c, with the feature quota: counts an inode whose blocks have been counted; then compares, by
 * check_files. */
int check_quota_count(struct check *c, const struct check_inode *ci) __must_check;
int check_quotas(struct check *c) __must_check;
void check_quotas_free(struct check *c);

/*
 * check_files.c: a regular file by the number of its inode, and block lblk of it, wherever it lies.
 * -EFSCORRUPTED was told. iput() it.
 */
int check_file_open(struct check *c, u32 ino, struct inode **out) __must_check;
int check_file_read(struct check *c, struct inode *inode, u32 lblk, void *buf, u64 *pblk) __must_check;

/* check_inodes.c: is it in the part of its table that was used? */
bool check_inode_is_read(const struct check *c, u32 ino);

/* Is it named by the super block for a purpose of its own? Then no name leads to it. */
static inline bool check_is_special(const struct check *c, u32 ino)
{
	for (unsigned i = 0; i < c->special_count; i++)
		if (c->special_inodes[i] == ino)
			return true;
	return false;
}
bool check_find_orphan(const struct check *c, u32 ino); /* check_orphans.c */
static inline bool check_is_orphan(const struct check *c, u32 ino)
{
	return c->orphans.count && check_find_orphan(c, ino);
}

#endif
