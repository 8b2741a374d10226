/* SPDX-License-Identifier: MIT */
/*
 * Quota files beside what the inode pass has counted: for users, groups and projects, a tree of blocks of
 * 1 KiB whose leaves hold one entry an id, with the space and the inodes that belong to it. The counts are
 * kept in a table by id for each kind; the files are read once, after the inodes.
 */
#include "base/hash.h"
#include "fs/ext4/check/check_internal.h"
#include "fs/ext4/quota_format.h"

/* What belongs to one id. */
struct usage {
	u32 id;
	bool used, stored; /* the slot holds an id; the file has an entry for it */
	u64 space, inodes;
};

struct check_quota {
	struct usage *slots; /* a power of two of them, searched from the id's hash on */
	u32 room, count;
};

static struct usage *find_slot(struct usage *slots, u32 room, u32 id)
{
	u32 at = hash_32(id, 32) & (room - 1);

	while (slots[at].used && slots[at].id != id)
		at = (at + 1) & (room - 1);
	return &slots[at];
}

static int grow(struct check *c, struct check_quota *q)
{
	u32 room = q->room ? q->room * 2 : 64;
	struct usage *slots = kvcalloc(c->machine, room, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (u32 i = 0; i < q->room; i++)
		if (q->slots[i].used)
			*find_slot(slots, room, q->slots[i].id) = q->slots[i];
	kvfree(q->slots);
	check_charge(c, (room - q->room) * sizeof(*slots));
	q->slots = slots;
	q->room = room;
	return 0;
}

static int usage_of(struct check *c, struct check_quota *q, u32 id, struct usage **out)
{
	if (q->count * 2 >= q->room) {
		int err = grow(c, q);

		if (err)
			return err;
	}
	*out = find_slot(q->slots, q->room, id);
	if (!(*out)->used) {
		(*out)->used = true;
		(*out)->id = id;
		q->count++;
	}
	return 0;
}

/* The inode that holds the quota of this kind; 0: none. */
static u32 quota_ino(const struct check *c, unsigned kind)
{
	const struct ext4_super_block *es = &c->sbi->es;
	const le32 inums[CHECK_QUOTAS] = {es->s_usr_quota_inum, es->s_grp_quota_inum, es->s_prj_quota_inum};
	u32 ino = le32_to_cpu(inums[kind]);

	if (!ext4_has_ro_compat(c->sbi, EXT4_FEATURE_RO_COMPAT_QUOTA))
		return 0;
	return check_is_special(c, ino) ? ino : 0;
}

static u32 owner_of(const struct check *c, const struct check_inode *ci, unsigned kind)
{
	if (kind == 0)
		return le16_to_cpu(ci->raw->i_uid) | (u32)le16_to_cpu(ci->raw->i_uid_high) << 16;
	if (kind == 1)
		return le16_to_cpu(ci->raw->i_gid) | (u32)le16_to_cpu(ci->raw->i_gid_high) << 16;
	if (EXT4_GOOD_OLD_INODE_SIZE + ci->extra_isize < offsetof(struct ext4_inode, i_projid) + sizeof(le32))
		return 0;
	return le32_to_cpu(ci->raw->i_projid);
}

int check_quota_count(struct check *c, const struct check_inode *ci)
{
	int err = 0;

	/* The values of attributes count for the inodes that have them. */
	if (ci->flags & EXT4_EA_INODE_FL)
		return 0;
	if (ci->ino != EXT4_ROOT_INO && (ci->ino < c->sbi->first_ino || check_is_special(c, ci->ino)))
		return 0;
	for (unsigned kind = 0; kind < CHECK_QUOTAS && !err; kind++) {
		struct usage *u;

		if (!quota_ino(c, kind))
			continue;
		if (!c->quotas)
			c->quotas = kcalloc(c->machine, CHECK_QUOTAS, sizeof(*c->quotas));
		if (!c->quotas)
			return -ENOMEM;
		err = usage_of(c, &c->quotas[kind], owner_of(c, ci, kind), &u);
		if (err)
			break;
		u->inodes++;
		u->space += ci->clusters << (c->sbi->cluster_bits + c->sbi->block_bits);
	}
	return err;
}

void check_quotas_free(struct check *c)
{
	for (unsigned kind = 0; c->quotas && kind < CHECK_QUOTAS; kind++)
		kvfree(c->quotas[kind].slots);
	kfree(c->quotas);
}

/* The file of one kind while it is read. */
struct quota_file {
	struct check *c;
	struct check_quota *quota;
	struct inode *inode;
	unsigned kind;
	u32 blocks;                 /* as its header says, bounded by its size */
	unsigned long *seen;        /* which blocks of the tree were met at which level */
	u8 *buf[QT_TREE_DEPTH + 1]; /* a block at each level, QT_BLOCK_SIZE bytes in one of the volume's */
};

static void bad_file(struct quota_file *f, const char *what, u32 where)
{
	check_problem(f->c, "quota-file", f->inode->i_ino, 0, "quota file, block %u: %s", where, what);
}

/* Reads block `number` of the file, of 1 KiB each; -EFSCORRUPTED was told. */
static int read_quota_block(struct quota_file *f, u32 number, unsigned level, u8 **out)
{
	u32 each = f->c->sbi->block_size / QT_BLOCK_SIZE;
	u64 pblk;
	int err = check_file_read(f->c, f->inode, number / each, f->buf[level], &pblk);

	*out = f->buf[level] + (size_t)(number % each) * QT_BLOCK_SIZE;
	return err;
}

static int check_entry(struct quota_file *f, const struct v2r1_disk_dqblk *d, u32 block)
{
	struct usage *u;
	u32 id = le32_to_cpu(d->dqb_id);
	int err = usage_of(f->c, f->quota, id, &u);

	if (err)
		return err;
	if (u->stored) {
		bad_file(f, "an id has two entries", block);
		return 0;
	}
	u->stored = true;
	if (le64_to_cpu(d->dqb_curspace) != u->space || le64_to_cpu(d->dqb_curinodes) != u->inodes)
		check_problem(f->c, "quota-usage", f->inode->i_ino, 0,
			      "quota of id %u: %llu bytes and %llu inodes, counted %llu and %llu", id,
			      (unsigned long long)le64_to_cpu(d->dqb_curspace),
			      (unsigned long long)le64_to_cpu(d->dqb_curinodes), (unsigned long long)u->space,
			      (unsigned long long)u->inodes);
	return 0;
}

static bool is_empty(const void *entry, size_t size)
{
	const u8 *p = entry;

	for (size_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static int check_leaf(struct quota_file *f, const u8 *block, u32 number)
{
	const struct v2r1_disk_dqblk *d = (const void *)(block + sizeof(struct qt_disk_dqdbheader));
	int err = 0;

	for (unsigned i = 0; i < QT_ENTRIES && !err; i++)
		if (!is_empty(&d[i], sizeof(d[i])))
			err = check_entry(f, &d[i], number);
	return err;
}

static int check_node(struct quota_file *f, u32 number, unsigned depth)
{
	u8 *block;
	int err = read_quota_block(f, number, depth, &block);

	if (err)
		return err;
	if (depth == QT_TREE_DEPTH)
		return check_leaf(f, block, number);
	for (unsigned i = 0; i < QT_BLOCK_SIZE / sizeof(le32) && !err; i++) {
		u32 child = le32_to_cpu(((const le32 *)block)[i]);

		if (!child)
			continue;
		if (child >= f->blocks) {
			bad_file(f, "names a block that cannot be", number);
			continue;
		}
		/* A leaf holds entries of several paths; it is read at the first. */
		if (!__test_and_set_bit((unsigned long)child * QT_TREE_DEPTH + depth, f->seen))
			err = check_node(f, child, depth + 1);
	}
	return err;
}

static int check_header(struct quota_file *f)
{
	static const u32 magics[CHECK_QUOTAS] = {QUOTA_MAGIC_USER, QUOTA_MAGIC_GROUP, QUOTA_MAGIC_PROJECT};
	const struct v2_disk_dqheader *h;
	const struct v2_disk_dqinfo *info;
	u64 most = min_t(u64, i_size_read(f->inode), f->c->sbi->blocks_count << f->c->sbi->block_bits) /
		   QT_BLOCK_SIZE;
	u8 *block;
	int err = read_quota_block(f, 0, 0, &block);

	if (err)
		return err;
	h = (const void *)block;
	info = (const void *)(h + 1);
	f->blocks = le32_to_cpu(info->dqi_blocks);
	/* e2fsck does not look at the magic number. */
	if (le32_to_cpu(h->dqh_magic) != magics[f->kind])
		check_note(f->c, "quota-file", f->inode->i_ino, 0, "quota file: magic number is %#010x",
			   le32_to_cpu(h->dqh_magic));
	if (le32_to_cpu(h->dqh_version) != 1) {
		bad_file(f, "version is not 1", 0);
		return -EFSCORRUPTED;
	}
	if (f->blocks > most || f->blocks <= QT_TREE_ROOT || le32_to_cpu(info->dqi_free_blk) >= f->blocks ||
	    le32_to_cpu(info->dqi_free_entry) >= f->blocks) {
		bad_file(f, "header names more blocks than there are", 0);
		return -EFSCORRUPTED;
	}
	return 0;
}

/* Ids that own something and have no entry. */
static void check_missing(struct quota_file *f)
{
	for (u32 i = 0; i < f->quota->room; i++) {
		const struct usage *u = &f->quota->slots[i];

		if (u->used && !u->stored)
			check_problem(f->c, "quota-missing", f->inode->i_ino, 0,
				      "no quota of id %u, which has %llu bytes and %llu inodes", u->id,
				      (unsigned long long)u->space, (unsigned long long)u->inodes);
	}
}

static int read_quota_file(struct quota_file *f)
{
	int err = 0;

	for (unsigned i = 0; i <= QT_TREE_DEPTH; i++) {
		f->buf[i] = check_block_buf(f->c, i);
		if (!f->buf[i])
			return -ENOMEM;
	}
	err = check_header(f);
	if (err)
		return err;
	f->seen = kvcalloc(f->c->machine, BITS_TO_LONGS((size_t)f->blocks * QT_TREE_DEPTH), sizeof(long));
	if (!f->seen)
		return -ENOMEM;
	err = check_node(f, QT_TREE_ROOT, 0);
	kvfree(f->seen);
	if (!err)
		check_missing(f);
	return err;
}

int check_quotas(struct check *c)
{
	int err = 0;

	for (unsigned kind = 0; kind < CHECK_QUOTAS && c->quotas && !err; kind++) {
		struct quota_file f = {.c = c, .quota = &c->quotas[kind], .kind = kind};
		u32 ino = quota_ino(c, kind);

		if (!ino)
			continue;
		err = check_file_open(c, ino, &f.inode);
		if (!err) {
			err = read_quota_file(&f);
			iput(f.inode);
		}
		if (err == -EFSCORRUPTED)
			err = 0;
	}
	return err;
}
