/* SPDX-License-Identifier: MIT */
/*
 * What the files of ext4 share: the volume in memory (ext4_sb_info), the inode in memory (ext4_inode_info),
 * and the questions that one file asks another. Numbers of blocks: `lblk` counts in a file, `pblk` on the
 * volume, both in file-system blocks.
 *
 * The volume is verified when it is mounted and does not change in memory after that; an inode is verified
 * when it is read (ext4_iget) and everything taken from it is a copy. Blocks are verified as they enter the
 * cache (bread with one of the verifiers below) and trusted while they stay there.
 */
#ifndef SHALE_FS_EXT4_INTERNAL_H
#define SHALE_FS_EXT4_INTERNAL_H

#include "base/compiler.h"
#include "base/log.h"
#include "base/pool.h"
#include "cache/buffer_head.h"
#include "fs/ext4/ext4_format.h"
#include "vfs/inode.h"
#include "vfs/super.h"

#include <errno.h>

#define EFSCORRUPTED EUCLEAN
#define EFSBADCRC    EBADMSG

struct iomap;
struct iomap_ops;

/* Mount options. */
struct ext4_options {
	u64 sb_block; /* in units of 1 KiB, as mount(8) has it; 1 is the primary */
	u32 inode_readahead_blks;
	bool noload; /* mount although the journal holds changes */
	bool posix_acl, user_xattr;
	bool minixdf, grpid, debug;
};

/* Sorted runs of blocks that do not touch: zone.c */
struct ext4_zone {
	struct ext4_run {
		u64 start, end; /* [start, end) */
	} * runs;
	u32 count, room;
};

struct ext4_sb_info {
	struct super_block *sb;
	/* What the volume is read from: sb->s_bdev, or the remap's device, which shows what is not on disk.
	 */
	struct block_device *bdev;
	struct blk_remap *remap; /* NULL: nothing is replaced */
	bool journal_stopped;    /* by an error, before this mount */
	struct ext4_options opt;
	struct ext4_super_block es; /* the copy that was verified; the disk is not read again */
	u32 compat, incompat, ro_compat;
	u32 block_size;
	u8 block_bits, cluster_bits; /* log2 of bytes; of blocks in a cluster */
	bool has_csum, has_gdt_csum;
	bool unsigned_hash;
	u8 def_hash_version;
	u16 inode_size, desc_size;
	u32 first_ino, first_data_block;
	u32 blocks_per_group, clusters_per_group, inodes_per_group;
	u32 inodes_per_block, itable_blocks; /* of inode table in a group */
	u32 desc_per_block;
	u32 groups_count, gdb_count; /* gdb: blocks of group descriptors */
	u64 blocks_count;
	u64 sb_pblk; /* block that holds the super block in use */
	u32 csum_seed, hash_seed[4];
	u64 overhead_clusters, free_clusters, free_inodes; /* for statfs; summed at mount */
	struct ext4_zone tables, journal_zone;             /* the volume's own blocks */
	struct pool *inode_pool;
	u8 *fast_commits; /* blocks of them, until they are replayed; fc_tags tags in there are to be */
	u32 fc_blocks, fc_tags;
	size_t fc_bytes; /* what fast_commits takes, charged */
};

struct ext4_inode_info {
	struct inode vfs_inode;     /* first: its lines are the cache's */
	le32 i_data[EXT4_N_BLOCKS]; /* i_block, as verified */
	u32 i_flags;
	u16 i_extra_isize;
	bool has_ibody_xattr;
	u32 i_csum_seed;
	u32 i_projid;
	u64 i_file_acl; /* pblk, 0: none */
	/* Content kept in memory: inline data from the start, or a symlink's target once it was read. A NUL
	 * stands behind it. */
	u8 *i_body;
	u32 i_body_bytes;
};

static inline struct ext4_sb_info *EXT4_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct ext4_inode_info *EXT4_I(const struct inode *inode)
{
	return container_of(inode, struct ext4_inode_info, vfs_inode);
}

static inline bool ext4_has_compat(const struct ext4_sb_info *sbi, u32 bits)
{
	return sbi->compat & bits;
}

static inline bool ext4_has_incompat(const struct ext4_sb_info *sbi, u32 bits)
{
	return sbi->incompat & bits;
}

static inline bool ext4_has_ro_compat(const struct ext4_sb_info *sbi, u32 bits)
{
	return sbi->ro_compat & bits;
}

/* The owner that a verifier of an inode's block is told: number and generation. */
static inline u64 ext4_owner(const struct inode *inode)
{
	return (u64)inode->i_ino << 32 | inode->i_generation;
}

/* True when [pblk, pblk + count) may hold data or metadata: inside the volume and behind the super block.
 * What an inode claims is asked with ext4_file_blocks_valid(). */
static inline bool ext4_pblk_range_valid(const struct ext4_sb_info *sbi, u64 pblk, u64 count)
{
	return pblk > sbi->first_data_block && pblk < sbi->blocks_count && count <= sbi->blocks_count - pblk;
}

/* Messages: what is wrong, where. log.c */
void ext4_msg(struct super_block *sb, int level, const char *fmt, ...) __printf(3, 4);
void ext4_error_inode(const struct inode *inode, u64 pblk, const char *fmt, ...) __printf(3, 4);
/* Messages of verifiers: they know the block and the volume. */
void ext4_error_block(struct super_block *sb, u64 pblk, const char *fmt, ...) __printf(3, 4);

/* super_verify.c: from the bytes of a super block to a filled ext4_sb_info; words go to the log and to `why`.
 */
int ext4_super_check(struct ext4_sb_info *sbi, u64 device_bytes, char *why, size_t why_size) __must_check;
/* features.c: -EOPNOTSUPP names what is missing. */
int ext4_fill_super_features(struct ext4_sb_info *sbi, char *why, size_t why_size) __must_check;

/* check/check.c: checks the volume of a super block that is filled as far as reading it went: super_err and
 * super_why are how that ended. Tells `check` what is wrong; -errno: could not be checked. */
struct fs_check;
int ext4_check_volume(struct super_block *sb, struct fs_check *check, int super_err,
		      const char *super_why) __must_check;
/* Super block and descriptors as they are on disk: they must be right even where the journal holds better
 * ones, or nobody comes to replay it. */
int ext4_check_before_replay(struct super_block *sb, struct fs_check *check) __must_check;

/*
 * journal.c: refuses a journal that makes no sense, and replays it when it is needed, into sbi->remap: then
 * the super block is to be read again. Words go to fc.
 */
struct fs_context;
int ext4_journal_load(struct super_block *sb, struct fs_context *fc) __must_check;
/* Only opens the journal that the super block names; `why` says in words what is wrong. */
struct jbd2_journal;
int ext4_journal_open(struct super_block *sb, char *why, size_t why_size,
		      struct jbd2_journal **out) __must_check;
/* Makes sbi->remap and lets sbi->bdev be its device, unless that was done. */
int ext4_remap_begin(struct super_block *sb) __must_check;

/* fast_commit.c: finds those that carry the number `tid`; then, when groups are known, changes the volume in
 * the remap as they say. */
int ext4_fc_scan(struct super_block *sb, struct jbd2_journal *journal, u32 tid, char *why,
		 size_t why_size) __must_check;
int ext4_fc_replay(struct super_block *sb) __must_check;
void ext4_fc_free_scan(struct ext4_sb_info *sbi);
/* In the same way: takes from files of extents what lies behind their size. */
int ext4_fc_truncate(struct super_block *sb, const u32 *inos, u32 count) __must_check;

/* orphan.c: counts as free what recovery deletes of orphans, and truncates others. -ENOMEM, -EIO. */
int ext4_orphans_load(struct super_block *sb) __must_check;
int ext4_inode_in_use(struct super_block *sb, u32 ino) __must_check; /* by the bitmap; or -errno */

/* group.c */
struct ext4_group {
	u64 block_bitmap, inode_bitmap, inode_table; /* pblk */
	u32 free_clusters, free_inodes, itable_unused, used_dirs;
	u32 block_bitmap_csum, inode_bitmap_csum; /* low 16 bits only where descriptors are of 32 bytes */
	u16 flags, checksum;
};
int ext4_group_get(struct super_block *sb, u32 group, struct ext4_group *out) __must_check;
int ext4_groups_check(struct super_block *sb) __must_check; /* every descriptor; sums what is free */
u32 ext4_bg_num_base_meta(const struct ext4_sb_info *sbi,
			  u32 group); /* clusters of super block and descriptors */
bool ext4_bg_has_super(const struct ext4_sb_info *sbi, u32 group); /* or a copy of it */
u64 ext4_group_first_block(const struct ext4_sb_info *sbi, u32 group);
u64 ext4_group_last_block(const struct ext4_sb_info *sbi, u32 group);
bool ext4_in_meta_bg(const struct ext4_sb_info *sbi, u32 gdb);
u64 ext4_gdb_pblk(const struct ext4_sb_info *sbi, u32 gdb); /* of the gdb'th block of descriptors */
u32 ext4_desc_checksum(const struct ext4_sb_info *sbi, u32 group, const u8 *raw);
void ext4_desc_decode(const struct ext4_sb_info *sbi, const u8 *raw, struct ext4_group *out);

/* zone.c: the volume's own blocks. Groups are added one by one, then closed; -EFSCORRUPTED: they overlap. */
int ext4_zones_add_group(struct super_block *sb, u32 group, const struct ext4_group *g) __must_check;
int ext4_zones_close_groups(struct super_block *sb) __must_check;
int ext4_zones_add_journal(struct super_block *sb, struct inode *journal) __must_check;
void ext4_zones_free(struct super_block *sb);
u64 ext4_zones_clusters(const struct ext4_sb_info *sbi); /* that hold super blocks, descriptors, tables */
/* May the inode's data or metadata lie there? Before the zones are closed only the volume's bounds count. */
bool ext4_file_blocks_valid(const struct inode *inode, u64 pblk, u64 count);
bool ext4_ino_blocks_valid(const struct ext4_sb_info *sbi, u64 ino, u64 pblk, u64 count);
/* Sets the bits of the group's own blocks in a bitmap of its clusters. */
void ext4_zones_mark(const struct ext4_sb_info *sbi, u32 group, void *map);

/* export.c */
extern const struct export_operations ext4_export_ops;

/* inode.c */
#define EXT4_IGET_NORMAL  0u
#define EXT4_IGET_SPECIAL 1u /* reserved numbers allowed: root, journal */
#define EXT4_IGET_ORPHAN  4u /* may have no links and any use */
#define EXT4_IGET_EA      2u /* an inode that holds a value of an attribute; no other call gives such */
#define EXT4_IGET_HANDLE  8u /* comes from a file handle: what cannot be is -ESTALE, and no damage */
int ext4_iget(struct super_block *sb, u64 ino, unsigned flags, struct inode **out) __must_check;
/* Reads the block with the inode again; *raw points into it, for its ino's attributes behind the fixed part.
 */
int ext4_inode_block_get(struct super_block *sb, u64 ino, struct buffer_head **bh, u8 **raw) __must_check;
/* Where byte `offset` of the inode lies on the volume. */
int ext4_inode_place(struct inode *inode, size_t offset, u64 *out) __must_check;
bool ext4_is_fast_symlink(const struct inode *inode);
int ext4_getattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat, u32 request_mask,
		 unsigned flags);

/* Memory for i_body: `bytes` and a NUL behind them, charged to the machine. Freeing NULL is fine. */
int ext4_body_alloc(const struct inode *inode, u32 bytes, u8 **out) __must_check;
void ext4_body_free(const struct inode *inode, u8 *body, u32 bytes);

/* map.c: what lies at lblk. */
struct ext4_map {
	u32 lblk, len; /* asked for; len comes back as the run that is alike, at most what was asked */
	u64 pblk;
	bool mapped, unwritten; /* neither: a hole */
};
int ext4_map_blocks(struct inode *inode, struct ext4_map *map) __must_check;
int ext4_ext_map(struct inode *inode, struct ext4_map *map) __must_check; /* extents.c */
int ext4_ext_root_check(struct inode *inode) __must_check;                /* extents.c */
/* Calls `fn` for each block of the tree outside the inode; an error ends it. extents.c */
int ext4_ext_tree_walk(struct inode *inode, int (*fn)(void *arg, u64 pblk), void *arg) __must_check;
int ext4_ind_map(struct inode *inode, struct ext4_map *map) __must_check; /* indirect.c */
int ext4_ind_root_check(struct inode *inode) __must_check;                /* indirect.c */
/* The slot of the inode under which lblk lies, its levels of indirection, and lblk counted from the start of
 * that tree; indirect.c */
int ext4_ind_find_root(const struct super_block *sb, u32 lblk, u32 *slot, u32 *levels,
		       u64 *within) __must_check;
/* As ext4_ext_tree_walk, for a block map; indirect.c */
int ext4_ind_tree_walk(struct inode *inode, int (*fn)(void *arg, u64 pblk), void *arg) __must_check;
/* The longest file that a block map can hold, in blocks; indirect.c */
u64 ext4_ind_max_blocks(const struct super_block *sb);
/* The most blocks that an inode can count: sectors in 32 bits, or blocks in 48 with huge_file. */
static inline u64 ext4_file_blocks_max(const struct ext4_sb_info *sbi)
{
	if (ext4_has_ro_compat(sbi, EXT4_FEATURE_RO_COMPAT_HUGE_FILE))
		return (1ull << 48) - 1;
	return UINT32_MAX >> (sbi->block_bits - 9);
}
/* Block lblk of a directory or symlink, verified; -EFSCORRUPTED for a hole. */
int ext4_bread(struct inode *inode, u32 lblk, const struct buffer_verifier *v,
	       struct buffer_head **out) __must_check;
extern const struct iomap_ops ext4_iomap_ops;

/* Directories: dir.c, dir_verify.c, htree.c, hash.c, namei.c */
extern const struct buffer_verifier ext4_dir_verifier, ext4_dx_verifier;
/* The first block at *lblk or behind that is there; holes are told of and passed over, as Linux does. *out
 * NULL: none. */
int ext4_dir_next_block(struct inode *dir, u64 *lblk, struct buffer_head **out) __must_check;
/* Where the entries of an index begin in this block; 0: it is no index block. */
unsigned ext4_dx_offset(const struct buffer_head *bh);
bool ext4_is_dx(const struct inode *dir);
/* Where names are both folded and encrypted, nobody without the key can compute a hash: each entry holds its
 * own. */
bool ext4_hash_in_dirent(const struct inode *dir);
struct ext4_hash ext4_dirent_hash(const struct ext4_dir_entry_2 *de);
static inline unsigned ext4_rec_len(const struct ext4_dir_entry_2 *de, unsigned block_size)
{
	unsigned len = le16_to_cpu(de->rec_len);

	/* 16 bits do not hold 65,536: with such blocks the low two bits are the high ones, and two values
	 * mean the whole block. */
	if (block_size < 65536)
		return len;
	if (len == 65535 || len == 0)
		return block_size;
	return (len & 65532) | (len & 3) << 16;
}
/* NULL when a chain of entries fills the bytes exactly, or what is wrong at *offset. */
const char *ext4_dirents_verify(const struct inode *dir, const void *data, unsigned bytes, unsigned *offset);
/* Calls `fn` for each used entry of the verified chain in [offset, end) of data, until it returns false;
 * false then.
 */
typedef bool (*ext4_dirent_fn)(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset);
bool ext4_dirents_walk(const void *data, unsigned offset, unsigned end, unsigned block_size,
		       ext4_dirent_fn fn, void *arg);
unsigned ext4_dirent_type(const struct ext4_sb_info *sbi, u8 file_type); /* DT_* */

struct ext4_hash {
	u32 hash, minor;
};
int ext4_dirhash(const struct ext4_sb_info *sbi, u8 version, const char *name, unsigned len,
		 struct ext4_hash *out) __must_check;
/* The same for several names, in little more time than for one. */
#define EXT4_HASH_BATCH 8
struct ext4_hash_batch {
	const char *name[EXT4_HASH_BATCH];
	unsigned len[EXT4_HASH_BATCH], n;
	struct ext4_hash hash[EXT4_HASH_BATCH]; /* the result */
};
int ext4_dirhash_batch(const struct ext4_sb_info *sbi, u8 version,
		       struct ext4_hash_batch *batch) __must_check;

/* nokey.c: how names of encrypted files are shown without the key. */
#define EXT4_NOKEY_TEXT_MAX 252u /* characters */
#define EXT4_NOKEY_PREFIX   149u /* bytes of ciphertext that are shown */
struct ext4_nokey {
	struct ext4_hash hash;
	u8 name[EXT4_NOKEY_PREFIX];
	unsigned len;
	bool cut; /* there is more: */
	u8 digest[32];
};
bool ext4_name_is_encrypted(const struct inode *dir, const char *name, unsigned len); /* the dots are not */
/* Writes at most EXT4_NOKEY_TEXT_MAX characters; returns how many. */
unsigned ext4_nokey_encode(const struct ext4_hash *h, const void *name, unsigned len, char *text);
int ext4_nokey_decode(const char *text, unsigned len, struct ext4_nokey *out) __must_check; /* -ENOENT */
bool ext4_nokey_match(const struct ext4_nokey *k, const void *name, unsigned len);

/* A place between two leaves of a hashed directory. */
#define EXT4_HTREE_LEVELS 3
struct ext4_htree_frame {
	struct buffer_head *bh;
	const struct dx_entry *entries;
	u32 count, at;
};
struct ext4_htree_path {
	struct ext4_htree_frame frames[EXT4_HTREE_LEVELS];
	unsigned levels;
	u8 hash_version;
};
/* Goes down to the leaf where `hash` belongs. -ENOENT: not usable as an index, scan the directory instead. */
int ext4_htree_find(struct inode *dir, u32 hash, struct ext4_htree_path *path) __must_check;
int ext4_htree_open(struct inode *dir,
		    struct ext4_htree_path *path) __must_check; /* root only: learns the hash */
u32 ext4_htree_leaf(const struct ext4_htree_path *path);        /* lblk */
/* Moves to the next leaf; 1: there, *hash is where it begins; 0: none. */
int ext4_htree_next(struct inode *dir, struct ext4_htree_path *path, u32 *hash) __must_check;
void ext4_htree_put(struct ext4_htree_path *path);
/* Tells a name as it is, or as it is shown without the key; false when the caller has no room left. */
bool ext4_dir_emit(const struct inode *dir, struct dir_context *ctx, const struct ext4_hash *h,
		   const char *name, unsigned len, u32 ino, unsigned type);
#define EXT4_HTREE_EOF 0x7fffffffffffffffll /* position behind all hashes */
int ext4_dx_readdir(struct file *file, struct dir_context *ctx);
int ext4_dx_release(struct inode *inode, struct file *file);
/* Finds `name`; -ENOENT. */
int ext4_find_entry(struct inode *dir, const char *name, unsigned len, u32 *ino) __must_check;

/* inline.c */
#define EXT4_INLINE_DIR_START 4 /* bytes, after the number of the parent */
bool ext4_has_inline_data(const struct inode *inode);
int ext4_inline_take(struct inode *inode) __must_check; /* while the inode is read */
int ext4_inline_iomap(struct inode *inode, u64 pos, unsigned flags, struct iomap *iomap) __must_check;
u32 ext4_inline_parent(const struct inode *dir);
void ext4_inline_dirents_walk(const struct inode *dir, ext4_dirent_fn fn, void *arg);

/* xattr.c, acl.c */
extern const struct xattr_handler *const ext4_xattr_handlers[];
extern const struct iomap_ops ext4_xattr_iomap_ops; /* where the attributes lie, for FIEMAP_FLAG_XATTR */
ssize_t ext4_xattr_get(struct inode *inode, int index, const char *name, void *buffer, size_t size);
/* The part of inline data that is an attribute; buffer NULL: only its length. -ENODATA: not there. */
ssize_t ext4_xattr_inline_data(struct inode *inode, void *buffer, size_t size);
/* Where it lies in the inode, in bytes from the inode's start. */
int ext4_xattr_inline_place(struct inode *inode, u32 *at, u32 *bytes) __must_check;
/* xattr_inode.c: the value of an entry that lies in an inode; its e_value_size bytes are returned. */
struct ext4_xattr_entry;
ssize_t ext4_xattr_inode_read(struct inode *inode, const struct ext4_xattr_entry *e, void *buffer);
int ext4_xattr_inode_refs(struct inode *ea, u64 *refs) __must_check; /* how many entries name it */
/* Calls `fn` for each entry whose value lies in an inode; an error ends it. xattr.c */
int ext4_xattr_values_walk(struct inode *inode,
			   int (*fn)(void *arg, const struct ext4_xattr_entry *e, bool in_block),
			   void *arg) __must_check;
/* Does the entry's hash fit its name and its value, in words of 32 bits? Of a value in an inode: its
 * checksum. */
bool ext4_xattr_hash_valid(const struct ext4_xattr_entry *e, const void *words, size_t count);
ssize_t ext4_listxattr(struct dentry *dentry, char *buffer, size_t size);
int ext4_get_acl(struct inode *inode, int type, bool rcu, struct posix_acl **out);

/* file.c */
int ext4_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len);
long ext4_ioctl(struct file *file, unsigned cmd, void *arg);
/* Whether O_DIRECT passes by the cache for this file. */
bool ext4_reads_directly(const struct inode *inode);

/* symlink.c */
int ext4_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done, const char **out);
int ext4_encrypted_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done,
			    const char **out);
int ext4_encrypted_link_getattr(const struct mnt_idmap *idmap, struct inode *inode, struct kstat *stat,
				u32 request_mask, unsigned flags);

extern const struct inode_operations ext4_dir_inode_operations, ext4_file_inode_operations,
	ext4_symlink_inode_operations, ext4_encrypted_symlink_inode_operations, ext4_special_inode_operations;
extern const struct file_operations ext4_dir_operations, ext4_file_operations;
extern const struct address_space_operations ext4_aops;

/* csum.c: crc32c in the forms that the format uses; `seed` already covers the volume's UUID. */
u32 ext4_chksum(u32 seed, const void *data, size_t bytes);
/* Of the inode's bytes, with zeroes for the checksum itself; inode.c */
u32 ext4_inode_checksum(const struct ext4_sb_info *sbi, u32 seed, const u8 *raw, u16 extra_isize);
u32 ext4_inode_csum_seed(const struct ext4_sb_info *sbi, u32 ino, u32 generation);

#endif
