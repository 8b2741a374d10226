/* SPDX-License-Identifier: MIT */
/*
 * A volume from mount to umount: reads and verifies the super block, replays the journal in memory, verifies
 * the group descriptors, finds the root, answers statfs, and registers the types ext4, ext3 and ext2. Volumes
 * are read-only: a mount that asks for writing is refused.
 */
#include <linux/magic.h>

#include "base/alloc.h"
#include "block/remap.h"
#include "device/module.h"
#include "fs/ext4/ext4_internal.h"
#include "fs/ext4/ext4_options.h"
#include "vfs/dcache.h"
#include "vfs/fs_context.h"
#include "vfs/xattr.h"

#define MAX_RESERVED_CLUSTERS 4096 /* of what is kept back for unwritten extents, at most 2% */

static int ext4_alloc_inode(struct super_block *sb, struct inode **out)
{
	struct ext4_inode_info *ei = pool_alloc(EXT4_SB(sb)->inode_pool);

	if (!ei)
		return -ENOMEM;
	memset(ei, 0, sizeof(*ei));
	*out = &ei->vfs_inode;
	return 0;
}

static void ext4_free_inode(struct inode *inode)
{
	struct ext4_inode_info *ei = EXT4_I(inode);

	ext4_body_free(inode, ei->i_body, ei->i_body_bytes);
	pool_free(EXT4_SB(inode->i_sb)->inode_pool, ei);
}

static u64 r_blocks_count(const struct ext4_sb_info *sbi)
{
	u64 n = le32_to_cpu(sbi->es.s_r_blocks_count_lo);

	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_64BIT))
		n |= (u64)le32_to_cpu(sbi->es.s_r_blocks_count_hi) << 32;
	return n;
}

static int ext4_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dentry->d_sb);
	u64 overhead = sbi->opt.minixdf ? 0 : sbi->overhead_clusters << sbi->cluster_bits, reserved = 0;
	u64 id[2];

	if (ext4_has_incompat(sbi, EXT4_FEATURE_INCOMPAT_EXTENTS))
		reserved = min_t(u64, (sbi->blocks_count >> sbi->cluster_bits) / 50, MAX_RESERVED_CLUSTERS);
	reserved = r_blocks_count(sbi) + (reserved << sbi->cluster_bits);
	memcpy(id, sbi->es.s_uuid, sizeof(id));
	buf->f_type = EXT4_SUPER_MAGIC;
	buf->f_bsize = buf->f_frsize = sbi->block_size;
	buf->f_blocks = sbi->blocks_count - min(overhead, sbi->blocks_count);
	buf->f_bfree = sbi->free_clusters << sbi->cluster_bits;
	buf->f_bavail = buf->f_bfree > reserved ? buf->f_bfree - reserved : 0;
	buf->f_files = le32_to_cpu(sbi->es.s_inodes_count);
	buf->f_ffree = sbi->free_inodes;
	buf->f_namelen = EXT4_NAME_LEN;
	id[0] ^= id[1];
	buf->f_fsid.val[0] = (int)id[0];
	buf->f_fsid.val[1] = (int)(id[0] >> 32);
	return 0;
}

static void ext4_put_super(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);

	/* Inodes go after a grace period, and they go into the pool. */
	rcu_barrier(sb->s_machine);
	pool_destroy(sbi->inode_pool);
	blk_remap_destroy(sbi->remap);
	ext4_zones_free(sb);
	ext4_fc_free_scan(sbi);
	kfree(sbi);
	sb->s_fs_info = NULL;
}

static const struct super_operations ext4_super_operations = {
	.alloc_inode = ext4_alloc_inode,
	.free_inode = ext4_free_inode,
	.put_super = ext4_put_super,
	.statfs = ext4_statfs,
};

/* Copies 1,024 bytes from `at` bytes into the volume, through blocks of `size`. */
static int read_super_bytes(struct super_block *sb, u64 at, u32 size)
{
	struct buffer_head *bh;
	int err = set_blocksize(EXT4_SB(sb)->bdev, size);

	if (!err)
		err = bread(EXT4_SB(sb)->bdev, at / size, size, NULL, NULL, 0, &bh);
	if (err)
		return err;
	memcpy(&EXT4_SB(sb)->es, (const u8 *)bh->b_data + at % size, sizeof(EXT4_SB(sb)->es));
	brelse(bh);
	return 0;
}

static int read_super(struct super_block *sb, struct fs_context *fc)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u64 device_bytes = bdev_nr_bytes(sbi->bdev), at;
	char why[256] = "";
	int err;

	if (check_mul_overflow(sbi->opt.sb_block, (u64)1024, &at) || !range_fits(at, 1024, device_bytes)) {
		errorfc(fc, "%s: too short (%llu bytes) for a super block at %llu KiB", sb->s_id,
			(unsigned long long)device_bytes, (unsigned long long)sbi->opt.sb_block);
		return -EINVAL;
	}
	err = read_super_bytes(sb, at, max(1024u, bdev_logical_block_size(sbi->bdev)));
	if (err) {
		errorfc(fc, "%s: cannot read the super block", sb->s_id);
		return err;
	}
	err = ext4_super_check(sbi, device_bytes, why, sizeof(why));
	if (err) {
		errorfc(fc, "%s: %s", sb->s_id, why);
		return err;
	}
	sbi->sb_pblk = at >> sbi->block_bits;
	err = set_blocksize(sbi->bdev, sbi->block_size);
	if (err)
		errorfc(fc, "%s: the device cannot serve blocks of %u bytes", sb->s_id, sbi->block_size);
	return err;
}

static void describe_super(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	/* File offsets are counted in blocks of 32 bits, and what a file has in as many as its inode can
	 * tell. */
	u64 max = min((u64)UINT32_MAX, ext4_file_blocks_max(sbi)) << sbi->block_bits;

	sb->s_magic = EXT4_SUPER_MAGIC;
	sb->s_op = &ext4_super_operations;
	sb->s_xattr = ext4_xattr_handlers;
	sb->s_export_op = &ext4_export_ops;
	sb->s_blocksize = sbi->block_size;
	sb->s_blocksize_bits = sbi->block_bits;
	sb->s_maxbytes = max;
	sb->s_time_gran = 1;
	memcpy(sb->s_uuid, sbi->es.s_uuid, sizeof(sb->s_uuid));
	if (sbi->opt.posix_acl)
		__atomic_fetch_or(&sb->s_flags, SB_POSIXACL, __ATOMIC_RELAXED);
}

/* The super block as the journal leaves it; it must be one that the journal can be of. */
static int read_replayed_super(struct super_block *sb, struct fs_context *fc)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 block_size = sbi->block_size;
	int err = read_super(sb, fc);

	if (!err && sbi->block_size != block_size) {
		errorfc(fc, "%s: the journal holds a super block with blocks of %u bytes", sb->s_id,
			sbi->block_size);
		err = -EFSCORRUPTED;
	}
	sbi->incompat &= ~(u32)EXT4_FEATURE_INCOMPAT_RECOVER;
	sbi->es.s_feature_incompat = cpu_to_le32(sbi->incompat);
	return err;
}

/* Super block and journal: from here on the volume is what it was when it was whole. */
static int load_volume(struct super_block *sb, struct fs_context *fc)
{
	int err = read_super(sb, fc);

	if (err)
		return err;
	describe_super(sb);
	if (fc->check && ext4_has_incompat(EXT4_SB(sb), EXT4_FEATURE_INCOMPAT_RECOVER))
		err = ext4_check_before_replay(sb, fc->check);
	if (!err)
		err = ext4_journal_load(sb, fc);
	if (err || !EXT4_SB(sb)->remap)
		return err;
	err = read_replayed_super(sb, fc);
	if (!err)
		describe_super(sb);
	return err;
}

/* Clusters that hold the volume's own blocks, as statfs leaves them out of the size. Without bigalloc tables
 * are counted by groups, not by place. */
static u64 count_overhead(const struct ext4_sb_info *sbi, u64 journal_blocks)
{
	u64 said = le32_to_cpu(sbi->es.s_overhead_blocks), blocks = sbi->first_data_block + journal_blocks;

	if (sbi->cluster_bits && said && said <= sbi->blocks_count >> sbi->cluster_bits)
		return said;
	if (sbi->cluster_bits)
		return ext4_zones_clusters(sbi) + DIV_ROUND_UP(journal_blocks, 1u << sbi->cluster_bits);
	for (u32 group = 0; group < sbi->groups_count; group++)
		blocks += ext4_bg_num_base_meta(sbi, group) + sbi->itable_blocks + 2;
	return blocks;
}

/* Puts aside what is the volume's own: the journal's blocks, and for statfs the sum of all. */
static int reserve_own(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	u32 ino = le32_to_cpu(sbi->es.s_journal_inum);
	u64 journal_blocks = 0;
	struct inode *journal;

	if (ext4_has_compat(sbi, EXT4_FEATURE_COMPAT_HAS_JOURNAL) && ino) {
		int err = ext4_iget(sb, ino, EXT4_IGET_SPECIAL, &journal);

		if (err)
			return err;
		journal_blocks = i_size_read(journal) >> sbi->block_bits;
		err = ext4_zones_add_journal(sb, journal);
		iput(journal);
		if (err)
			return err;
	}
	sbi->overhead_clusters = count_overhead(sbi, journal_blocks);
	return 0;
}

static int open_root(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;
	int err = ext4_iget(sb, EXT4_ROOT_INO, EXT4_IGET_SPECIAL, &root);

	if (!err && (!S_ISDIR(root->i_mode) || (!root->i_blocks && !ext4_has_inline_data(root)) ||
		     !i_size_read(root))) {
		iput(root);
		err = -EFSCORRUPTED;
	}
	if (err) {
		errorfc(fc, "%s: the root directory (inode 2) cannot be read", sb->s_id);
		return err;
	}
	return d_make_root(root, &sb->s_root);
}

/* The volume's part of a new super block. */
static int create_sbi(struct super_block *sb, struct fs_context *fc)
{
	struct ext4_sb_info *sbi = kzalloc(sb->s_machine, sizeof(*sbi));
	int err;

	if (!sbi)
		return -ENOMEM;
	sbi->sb = sb;
	sbi->bdev = sb->s_bdev;
	sbi->opt = *(struct ext4_options *)fc->fs_private;
	sb->s_fs_info = sbi;
	err = pool_create(sb->s_machine, "ext4_inode", sizeof(struct ext4_inode_info), POOL_CACHELINE, NULL,
			  &sbi->inode_pool);
	if (err) {
		kfree(sbi);
		sb->s_fs_info = NULL;
	}
	return err;
}

/* On failure nothing was given out but the pool and sbi; put_super runs only for a super block with a root.
 */
static void destroy_sbi(struct super_block *sb)
{
	(void)evict_inodes(sb);
	ext4_put_super(sb);
}

/* The groups, and what fast commits change in them. */
static int load_groups(struct super_block *sb, struct fs_context *fc)
{
	int err = ext4_groups_check(sb);

	if (err) {
		errorfc(fc, "%s: group descriptors are damaged or cannot be read", sb->s_id);
		return err;
	}
	err = reserve_own(sb);
	if (err) {
		errorfc(fc, "%s: the journal's inode cannot be read", sb->s_id);
		return err;
	}
	err = ext4_fc_replay(sb);
	if (err)
		errorfc(fc, "%s: fast commits cannot be replayed; mount option noload reads without them",
			sb->s_id);
	return err;
}

static int ext4_fill_super(struct super_block *sb, struct fs_context *fc)
{
	int err = create_sbi(sb, fc);

	if (err)
		return err;
	err = load_volume(sb, fc);
	if (!err)
		err = load_groups(sb, fc);
	if (!err) {
		err = ext4_orphans_load(sb);
		if (err)
			errorfc(fc, "%s: orphans cannot be read", sb->s_id);
	}
	if (!err)
		err = open_root(sb, fc);
	if (err)
		destroy_sbi(sb);
	return err;
}

/* Fills a super block for as long as the check of its volume takes: always fails, so that it is taken down.
 */
static int check_fill_super(struct super_block *sb, struct fs_context *fc)
{
	int err = create_sbi(sb, fc);

	if (err)
		return err;
	err = load_volume(sb, fc);
	/* Without fast commits damaged groups are the check's to tell of. */
	if (!err && EXT4_SB(sb)->fc_tags)
		err = load_groups(sb, fc);
	err = ext4_check_volume(sb, fc->check, err, fc->error);
	destroy_sbi(sb);
	return err ? err : -ECANCELED;
}

/* Lets go of a lock that get_tree_bdev() took: the analysis sees one function at a time. */
static int ext4_check(struct fs_context *fc) __no_lock_analysis
{
	int err = get_tree_bdev(fc, check_fill_super);

	/* A tree: the device was mounted already. */
	if (!err) {
		up_write(&fc->root->d_sb->s_umount);
		errorfc(fc, "%s: mounted", fc->root->d_sb->s_id);
		return -EBUSY;
	}
	return err == -ECANCELED ? 0 : err;
}

static int ext4_get_tree(struct fs_context *fc)
{
	if (!(fc->sb_flags & SB_RDONLY)) {
		errorfc(fc, "writing is not supported, mount read-only (ro)");
		return -EOPNOTSUPP;
	}
	return get_tree_bdev(fc, ext4_fill_super);
}

static int ext4_reconfigure(struct fs_context *fc)
{
	return fc->sb_flags_mask & SB_RDONLY && !(fc->sb_flags & SB_RDONLY) ? -EOPNOTSUPP : 0;
}

static void ext4_fc_free(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations ext4_context_operations = {
	.free = ext4_fc_free,
	.parse_param = ext4_parse_param,
	.get_tree = ext4_get_tree,
	.reconfigure = ext4_reconfigure,
};

static int ext4_init_fs_context(struct fs_context *fc)
{
	struct ext4_options *opt = kzalloc(fc->machine, sizeof(*opt));

	if (!opt)
		return -ENOMEM;
	ext4_options_default(opt);
	fc->fs_private = opt;
	fc->ops = &ext4_context_operations;
	return 0;
}

#define EXT4_TYPE(type)                                                                                      \
	{                                                                                                    \
		.name = type, .fs_flags = FS_REQUIRES_DEV, .init_fs_context = ext4_init_fs_context,          \
		.kill_sb = kill_block_super, .check = ext4_check                                             \
	}
static const struct file_system_type ext4_types[] = {EXT4_TYPE("ext4"), EXT4_TYPE("ext3"), EXT4_TYPE("ext2")};

static int ext4_init(struct shale *machine)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ext4_types) && !err; i++)
		err = register_filesystem(machine, &ext4_types[i]);
	return err;
}

static void ext4_exit(struct shale *machine)
{
	for (size_t i = ARRAY_SIZE(ext4_types); i--;)
		(void)unregister_filesystem(machine, &ext4_types[i]);
}

SHALE_MODULE(ext4, MODULE_FS, ext4_init, ext4_exit);
