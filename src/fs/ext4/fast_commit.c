/* SPDX-License-Identifier: MIT */
/*
 * Fast commits: behind the log of the journal lie records of what single inodes and names became after its
 * last transaction. At mount they are found and kept (ext4_fc_scan), and when the groups are known the volume
 * is changed in memory as they say (ext4_fc_replay).
 *
 * That takes three steps. First all records about inodes, in their order: fields, ranges, links. Then it is
 * known which blocks are in use, so that the second step, names, can take free ones for directories that
 * grow. At last trees of extents are written anew. After each step what was read before is forgotten.
 *
 * sbi->fast_commits are whole blocks, owned by the volume until they are replayed.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/crc.h"
#include "base/machine.h"
#include "base/random.h"
#include "block/remap.h"
#include "fs/ext4/fast_commit_internal.h"
#include "jbd2/jbd2.h"

#define SPENT_MAX (1ull << 33) /* bytes: some seconds */
#define LINKS_MAX 65000u

/* ---- Finding them */

struct fc_scan {
	struct ext4_sb_info *sbi;
	u32 tid, crc;
	u32 tags, valid; /* so far, and up to the last good tail */
	bool end;
};

static bool length_valid(const struct ext4_sb_info *sbi, u16 tag, u32 len)
{
	switch (tag) {
	case EXT4_FC_TAG_ADD_RANGE:
		return len == sizeof(struct ext4_fc_add_range);
	case EXT4_FC_TAG_DEL_RANGE:
		return len == sizeof(struct ext4_fc_del_range);
	case EXT4_FC_TAG_CREAT:
	case EXT4_FC_TAG_LINK:
	case EXT4_FC_TAG_UNLINK:
		return len > sizeof(struct ext4_fc_dentry_info) &&
		       len <= sizeof(struct ext4_fc_dentry_info) + EXT4_NAME_LEN;
	case EXT4_FC_TAG_INODE:
		return len >= sizeof(le32) + EXT4_GOOD_OLD_INODE_SIZE &&
		       len <= sizeof(le32) + sbi->inode_size;
	case EXT4_FC_TAG_HEAD:
		return len == sizeof(struct ext4_fc_head);
	case EXT4_FC_TAG_TAIL:
		return len >= sizeof(struct ext4_fc_tail);
	default:
		return tag == EXT4_FC_TAG_PAD;
	}
}

/* One tag, whose value is inside the block. -EFSBADCRC: it makes no sense. */
static int scan_tag(struct fc_scan *s, u16 tag, const u8 *tl, u32 len)
{
	const struct ext4_fc_head *head = (const void *)(tl + sizeof(struct ext4_fc_tl));
	const struct ext4_fc_tail *tail = (const void *)head;

	s->tags++;
	if (tag == EXT4_FC_TAG_HEAD) {
		s->end = le32_to_cpu(head->fc_tid) != s->tid;
		if (!s->end && le32_to_cpu(head->fc_features))
			return -EOPNOTSUPP;
	}
	if (tag != EXT4_FC_TAG_TAIL) {
		s->crc = crc32c(s->crc, tl, sizeof(struct ext4_fc_tl) + len);
		return 0;
	}
	s->crc = crc32c(s->crc, tl, sizeof(struct ext4_fc_tl) + offsetof(struct ext4_fc_tail, fc_crc));
	if (le32_to_cpu(tail->fc_tid) != s->tid || le32_to_cpu(tail->fc_crc) != s->crc)
		return -EFSBADCRC;
	s->valid = s->tags;
	s->crc = 0;
	return 0;
}

static int scan_block(struct fc_scan *s, const u8 *block)
{
	u32 at = 0, bytes = s->sbi->block_size;

	while (!s->end && bytes - at >= sizeof(struct ext4_fc_tl)) {
		const struct ext4_fc_tl *tl = (const void *)(block + at);
		u32 tag = le16_to_cpu(tl->fc_tag), len = le16_to_cpu(tl->fc_len);
		int err;

		/* The first tag of all is a head, or there are none. */
		if (!s->tags && tag != EXT4_FC_TAG_HEAD) {
			s->end = true;
			return 0;
		}
		if (len > bytes - at - sizeof(*tl) || !length_valid(s->sbi, tag, len))
			return -EFSBADCRC;
		err = scan_tag(s, tag, (const u8 *)tl, len);
		if (err)
			return err;
		at += sizeof(*tl) + len;
	}
	return 0;
}

/* Room for one block more. */
static int blocks_grow(struct ext4_sb_info *sbi)
{
	struct shale *machine = sbi->sb->s_machine;
	size_t bytes = max(sbi->fc_bytes * 2, (size_t)sbi->block_size * 16);
	u8 *grown;

	if (sbi->fc_blocks < sbi->fc_bytes / sbi->block_size)
		return 0;
	if (bytes > machine->options.memory_limit / 4)
		return -ENOMEM;
	grown = krealloc(machine, sbi->fast_commits, bytes);
	if (!grown)
		return -ENOMEM;
	machine_charge(machine, (long)(bytes - sbi->fc_bytes));
	sbi->fast_commits = grown;
	sbi->fc_bytes = bytes;
	return 0;
}

int ext4_fc_scan(struct super_block *sb, struct jbd2_journal *journal, u32 tid, char *why, size_t why_size)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct fc_scan s = {.sbi = sbi, .tid = tid};
	u32 nr = jbd2_fc_blocks(journal);
	int err = 0;

	for (u32 i = 0; i < nr && !s.end && !err; i++) {
		u8 *block;

		err = blocks_grow(sbi);
		if (err)
			return err;
		block = sbi->fast_commits + (size_t)i * sbi->block_size;
		err = jbd2_fc_read(journal, i, block);
		if (err)
			return err;
		sbi->fc_blocks++;
		err = scan_block(&s, block);
	}
	sbi->fc_tags = s.valid;
	/* What comes behind a good one was not finished when the volume was cut off. */
	if (err == -EFSBADCRC && s.valid)
		err = 0;
	if (err == -EFSBADCRC)
		snprintf(why, why_size, "the first fast commit is damaged");
	else if (err == -EOPNOTSUPP)
		snprintf(why, why_size, "fast commits with unknown features");
	return err;
}

/* ---- What the files of replay share */

int fc_charge(struct fc *fc, size_t bytes)
{
	if (bytes > fc->sb->s_machine->options.memory_limit / 4 - fc->charged)
		return -ENOMEM;
	fc->charged += bytes;
	machine_charge(fc->sb->s_machine, (long)bytes);
	return 0;
}

int fc_spend(struct fc *fc, u64 bytes)
{
	fc->spent += bytes;
	if (fc->spent <= SPENT_MAX)
		return 0;
	ext4_msg(fc->sb, LOGLEVEL_ERR, "fast commits lead to more work than they can have made");
	return -EFSCORRUPTED;
}

int fc_array_reserve(struct fc *fc, struct fc_array *a, size_t size)
{
	u32 room = a->room ? a->room * 2 : 8;
	void *items;
	int err;

	if (a->count < a->room)
		return 0;
	err = room <= a->room ? -ENOMEM : fc_charge(fc, (room - a->room) * size);
	if (err)
		return err;
	items = krealloc(fc->sb->s_machine, a->items, array_size(room, size));
	if (!items)
		return -ENOMEM;
	a->items = items;
	a->room = room;
	return 0;
}

void fc_array_free(struct fc_array *a)
{
	kfree(a->items);
	*a = (struct fc_array){0};
}

int fc_corrupted(struct fc *fc, const char *what, u32 ino)
{
	ext4_msg(fc->sb, LOGLEVEL_ERR, "fast commit: %s of inode %u", what, ino);
	return -EFSCORRUPTED;
}

u64 fc_inode_size(const struct fc_inode *fi)
{
	return le32_to_cpu(fi->raw->i_size_lo) | (u64)le32_to_cpu(fi->raw->i_size_high) << 32;
}

void fc_inode_set_size(struct fc_inode *fi, u64 size)
{
	fi->raw->i_size_lo = cpu_to_le32((u32)size);
	fi->raw->i_size_high = cpu_to_le32((u32)(size >> 32));
}

u32 fc_inode_links(const struct fc_inode *fi)
{
	return le16_to_cpu(fi->raw->i_links_count);
}

u64 fc_inode_acl(const struct fc_inode *fi)
{
	return le32_to_cpu(fi->raw->i_file_acl_lo) | (u64)le16_to_cpu(fi->raw->i_file_acl_high) << 32;
}

bool fc_has_extents(const struct fc_inode *fi)
{
	return le32_to_cpu(fi->raw->i_flags) & EXT4_EXTENTS_FL;
}

bool fc_has_map(const struct fc_inode *fi)
{
	u32 flags = le32_to_cpu(fi->raw->i_flags);
	u16 mode = le16_to_cpu(fi->raw->i_mode);

	if (flags & EXT4_INLINE_DATA_FL || !(S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
		return false;
	/* Short targets of symlinks lie in their place, those of 60 bytes and more have one. */
	return flags & EXT4_EXTENTS_FL || !S_ISLNK(mode) || fc_inode_size(fi) >= sizeof(fi->raw->i_block);
}

u32 fc_inode_seed(const struct fc *fc, const struct fc_inode *fi)
{
	return ext4_inode_csum_seed(fc->sbi, fi->ino, le32_to_cpu(fi->raw->i_generation));
}

/* Where the inode lies in the copy of its block. */
static int raw_edit(struct fc *fc, u32 ino, struct ext4_inode **raw)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u32 index = (ino - 1) % sbi->inodes_per_group;
	struct ext4_group g;
	void *data;
	int err = ext4_group_get(fc->sb, (ino - 1) / sbi->inodes_per_group, &g);

	if (!err)
		err = blk_remap_copy(sbi->remap, g.inode_table + index / sbi->inodes_per_block, &data);
	if (!err)
		*raw = (void *)((u8 *)data + (size_t)(index % sbi->inodes_per_block) * sbi->inode_size);
	return err;
}

static int inode_first(struct fc *fc, struct fc_inode *fi)
{
	int used = ext4_inode_in_use(fc->sb, fi->ino), err;

	if (used < 0)
		return used;
	err = raw_edit(fc, fi->ino, &fi->raw);
	if (err)
		return err;
	fi->was_used = used && le16_to_cpu(fi->raw->i_mode);
	fi->was_dir = fi->was_used && S_ISDIR(le16_to_cpu(fi->raw->i_mode));
	return fi->was_used ? fc_extents_load(fc, fi) : 0;
}

int fc_inode_get(struct fc *fc, u32 ino, struct fc_inode **out)
{
	struct fc_inode *fi = xa_load(&fc->inodes, ino);
	int err;

	*out = fi;
	if (fi)
		return 0;
	if (ino > le32_to_cpu(fc->sbi->es.s_inodes_count) ||
	    (ino < fc->sbi->first_ino && ino != EXT4_ROOT_INO))
		return fc_corrupted(fc, "impossible number", ino);
	err = fc_charge(fc, sizeof(*fi));
	if (err)
		return err;
	fi = kzalloc(fc->sb->s_machine, sizeof(*fi));
	if (!fi)
		return -ENOMEM;
	fi->ino = ino;
	err = xa_err(xa_store(&fc->inodes, ino, fi));
	if (err) {
		kfree(fi);
		return err;
	}
	*out = fi;
	return inode_first(fc, fi);
}

static void inode_seal(const struct fc *fc, const struct fc_inode *fi)
{
	const struct ext4_sb_info *sbi = fc->sbi;
	struct ext4_inode *raw = fi->raw;
	u16 extra = sbi->inode_size > EXT4_GOOD_OLD_INODE_SIZE ? le16_to_cpu(raw->i_extra_isize) : 0;
	u32 crc;

	if (!sbi->has_csum)
		return;
	crc = ext4_inode_checksum(sbi, fc_inode_seed(fc, fi), (const u8 *)raw, extra);
	raw->i_checksum_lo = cpu_to_le16(crc & 0xffff);
	if (extra >= offsetof(struct ext4_inode, i_checksum_hi) + sizeof(le16) - EXT4_GOOD_OLD_INODE_SIZE)
		raw->i_checksum_hi = cpu_to_le16(crc >> 16);
}

/* Makes the checksums of what was changed good, and forgets all that was read of the volume. */
static int seal(struct fc *fc)
{
	struct fc_inode *fi;
	unsigned long ino;
	int err;

	xa_for_each (&fc->inodes, ino, fi)
		inode_seal(fc, fi);
	err = fc_groups_seal(fc);
	if (!err)
		err = evict_inodes(fc->sb);
	if (!err)
		truncate_inode_pages_range(fc->sbi->bdev->bd_mapping, 0, UINT64_MAX);
	return err;
}

/* ---- Inodes */

static void links_add(struct fc_inode *fi, int add)
{
	u32 nr = fc_inode_links(fi);

	if (add < 0)
		nr -= nr > 0;
	else if (nr < LINKS_MAX)
		nr++;
	fi->raw->i_links_count = cpu_to_le16((u16)nr);
}

/* A whole inode, but for its blocks, which have records of their own, and its attributes. */
static int replay_inode(struct fc *fc, const u8 *value, u32 len)
{
	const size_t map = offsetof(struct ext4_inode, i_block),
		     map_end = offsetof(struct ext4_inode, i_generation);
	const u8 *new = value + sizeof(le32);
	u32 bytes = len - sizeof(le32);
	struct fc_inode *fi;
	u32 generation;
	int err = fc_inode_get(fc, get_unaligned_le32(value), &fi);

	if (err)
		return err;
	generation = le32_to_cpu(fi->raw->i_generation);
	memcpy(fi->raw, new, map);
	memcpy((u8 *)fi->raw + map_end, new + map_end, bytes - map_end);
	if (!fc_has_map(fi)) {
		err = fc_inode_truncate(fc, fi);
		memcpy(fi->raw->i_block, new + map, sizeof(fi->raw->i_block));
	} else if (!fi->extents.count) {
		fc_extents_none(fi); /* whatever the inode was before */
	}
	/* Blocks of the tree carry the generation in their checksums. */
	if (generation != le32_to_cpu(fi->raw->i_generation))
		fi->changed = true;
	if (fc_inode_links(fi))
		fi->deleted = false;
	return err;
}

/* The inode, which gets blocks or loses some. Records of blocks stand before that of the inode, so a file
 * whose content lay in the inode leaves it here. */
static int inode_with_map(struct fc *fc, le32 ino, struct fc_inode **fi)
{
	int err = fc_inode_get(fc, le32_to_cpu(ino), fi);

	if (!err && fc_is_inline(*fi) && S_ISREG(le16_to_cpu((*fi)->raw->i_mode)))
		fc_inode_leave(fc, *fi);
	if (!err && !fc_has_map(*fi))
		err = fc_corrupted(fc, "ranges, without a place for them,", le32_to_cpu(ino));
	return err;
}

static int replay_add(struct fc *fc, const struct ext4_fc_add_range *add)
{
	u32 len = le16_to_cpu(add->fc_ex.ee_len);
	struct fc_extent ex = {
		.pblk = (u64)le16_to_cpu(add->fc_ex.ee_start_hi) << 32 | le32_to_cpu(add->fc_ex.ee_start_lo),
		.lblk = le32_to_cpu(add->fc_ex.ee_block),
		.len = len <= EXT_INIT_MAX_LEN ? len : len - EXT_INIT_MAX_LEN,
		.unwritten = len > EXT_INIT_MAX_LEN,
	};
	struct fc_inode *fi;
	int err = inode_with_map(fc, add->fc_ino, &fi);

	if (err)
		return err;
	return fc_extents_add(fc, fi, ex);
}

static int replay_del(struct fc *fc, const struct ext4_fc_del_range *del)
{
	u32 lblk = le32_to_cpu(del->fc_lblk);
	struct fc_inode *fi;
	int err = inode_with_map(fc, del->fc_ino, &fi);

	if (err)
		return err;
	return fc_extents_remove(fc, fi, lblk, min_t(u64, (u64)lblk + le32_to_cpu(del->fc_len), UINT32_MAX));
}

/* What a name does to links. */
static int replay_links(struct fc *fc, u16 tag, const struct ext4_fc_dentry_info *d)
{
	struct fc_inode *fi, *parent;
	int err = fc_inode_get(fc, le32_to_cpu(d->fc_ino), &fi);
	bool dir;

	if (!err)
		err = fc_inode_get(fc, le32_to_cpu(d->fc_parent_ino), &parent);
	if (err)
		return err;
	dir = S_ISDIR(le16_to_cpu(fi->raw->i_mode));
	if (dir && (fi == parent || fi->ino == EXT4_ROOT_INO || tag == EXT4_FC_TAG_LINK))
		return fc_corrupted(fc, "a name that cannot be,", fi->ino);
	if (tag == EXT4_FC_TAG_CREAT) {
		fi->raw->i_links_count = cpu_to_le16(dir ? 2 : 1);
		if (dir)
			links_add(parent, 1);
		return 0;
	}
	if (tag == EXT4_FC_TAG_LINK) {
		links_add(fi, 1);
		return 0;
	}
	if (dir) {
		fi->raw->i_links_count = cpu_to_le16(0);
		links_add(parent, -1);
	} else {
		links_add(fi, -1);
	}
	if (fc_inode_links(fi))
		return 0;
	fi->deleted = true;
	return fc_inode_truncate(fc, fi);
}

static int replay_first(struct fc *fc, u16 tag, const u8 *value, u32 len)
{
	switch (tag) {
	case EXT4_FC_TAG_INODE:
		return replay_inode(fc, value, len);
	case EXT4_FC_TAG_ADD_RANGE:
		return replay_add(fc, (const void *)value);
	case EXT4_FC_TAG_DEL_RANGE:
		return replay_del(fc, (const void *)value);
	case EXT4_FC_TAG_CREAT:
	case EXT4_FC_TAG_LINK:
	case EXT4_FC_TAG_UNLINK:
		return replay_links(fc, tag, (const void *)value);
	default:
		return 0;
	}
}

/* ---- Names */

/* Any bytes may be the ciphertext of a name, if there are enough of them. */
static bool name_valid(const struct fc_inode *dir, const char *name, unsigned len)
{
	if (le32_to_cpu(dir->raw->i_flags) & EXT4_ENCRYPT_FL)
		return len >= EXT4_CRYPT_BLOCK;
	return !memchr(name, '/', len) && !memchr(name, 0, len) && (len > 2 || memcmp(name, "..", len));
}

static int replay_name(struct fc *fc, u16 tag, const u8 *value, u32 len)
{
	const struct ext4_fc_dentry_info *d = (const void *)value;
	unsigned name_len = len - sizeof(*d);
	struct fc_inode *fi, *parent;
	int err;

	if (tag != EXT4_FC_TAG_CREAT && tag != EXT4_FC_TAG_LINK && tag != EXT4_FC_TAG_UNLINK)
		return 0;
	err = fc_inode_get(fc, le32_to_cpu(d->fc_ino), &fi);
	if (!err)
		err = fc_inode_get(fc, le32_to_cpu(d->fc_parent_ino), &parent);
	if (err || !fc_inode_links(parent)) /* the directory went afterwards */
		return err;
	if (!name_valid(parent, d->fc_dname, name_len))
		return fc_corrupted(fc, "an impossible name", fi->ino);
	if (tag == EXT4_FC_TAG_UNLINK)
		return fc_dir_remove(fc, parent, d->fc_dname, name_len, fi->ino);
	if (!fc_inode_links(fi))
		return 0;
	if (tag == EXT4_FC_TAG_CREAT && S_ISDIR(le16_to_cpu(fi->raw->i_mode)))
		err = fc_dir_make(fc, fi, parent->ino);
	return err ? err : fc_dir_add(fc, parent, d->fc_dname, name_len, fi);
}

/* ---- All */

/* Calls `step` for each tag up to the last good tail; their lengths were checked. */
static int each_tag(struct fc *fc, int (*step)(struct fc *fc, u16 tag, const u8 *value, u32 len))
{
	const struct ext4_sb_info *sbi = fc->sbi;
	u32 tags = sbi->fc_tags;

	for (u32 i = 0; i < sbi->fc_blocks && tags; i++) {
		const u8 *block = sbi->fast_commits + (size_t)i * sbi->block_size;

		for (u32 at = 0; tags && sbi->block_size - at >= sizeof(struct ext4_fc_tl); tags--) {
			const struct ext4_fc_tl *tl = (const void *)(block + at);
			u32 len = le16_to_cpu(tl->fc_len);
			int err = step(fc, le16_to_cpu(tl->fc_tag), (const u8 *)(tl + 1), len);

			if (err)
				return err;
			at += sizeof(*tl) + len;
		}
	}
	return 0;
}

/* Which inodes and blocks are in use is known when all of the first step is done. */
static int mark_used(struct fc *fc)
{
	struct fc_inode *fi;
	unsigned long ino;
	int err = fc_ranges_mark(fc);

	if (err)
		return err;
	xa_for_each (&fc->inodes, ino, fi) {
		bool used = fc_inode_links(fi), dir = used && S_ISDIR(le16_to_cpu(fi->raw->i_mode));

		if (fi->deleted) /* at a time that is not recorded */
			fi->raw->i_dtime = fi->raw->i_ctime;
		if (used || fi->deleted)
			err = fc_inode_mark(fc, fi->ino, used, dir - fi->was_dir);
		if (err)
			break;
	}
	return err;
}

static int write_trees(struct fc *fc)
{
	struct fc_inode *fi;
	unsigned long ino;
	int err = fc_ranges_mark(fc);

	if (err)
		return err;
	xa_for_each (&fc->inodes, ino, fi) {
		fc_dir_free(fi);
		if (fc_inode_links(fi))
			err = fc_extents_write(fc, fi);
		if (err)
			break;
	}
	return err;
}

static int replay(struct fc *fc)
{
	int err = each_tag(fc, replay_first);

	if (!err)
		err = mark_used(fc);
	if (!err)
		err = seal(fc);
	if (!err)
		err = each_tag(fc, replay_name);
	if (!err)
		err = write_trees(fc);
	return err ? err : seal(fc);
}

static void fc_free(struct fc *fc)
{
	struct fc_inode *fi;
	unsigned long ino;

	xa_for_each (&fc->inodes, ino, fi) {
		fc_dir_free(fi);
		fc_array_free(&fi->extents);
		fc_array_free(&fi->tree);
		kfree(fi);
	}
	xa_destroy(&fc->inodes);
	xa_destroy(&fc->groups);
	fc_array_free(&fc->freed);
	machine_uncharge(fc->sb->s_machine, (long)fc->charged);
	ext4_fc_free_scan(fc->sbi);
}

void ext4_fc_free_scan(struct ext4_sb_info *sbi)
{
	kfree(sbi->fast_commits);
	machine_uncharge(sbi->sb->s_machine, (long)sbi->fc_bytes);
	sbi->fast_commits = NULL;
	sbi->fc_bytes = 0;
	sbi->fc_blocks = sbi->fc_tags = 0;
}

static void fc_init(struct fc *fc, struct super_block *sb)
{
	*fc = (struct fc){.sb = sb, .sbi = EXT4_SB(sb)};
	fc->key = (siphash_key_t){{prandom_u64(sb->s_machine), prandom_u64(sb->s_machine)}};
	xa_init(&fc->inodes, sb->s_machine);
	xa_init(&fc->groups, sb->s_machine);
}

static int truncate_to_size(struct fc *fc, u32 ino)
{
	struct fc_inode *fi;
	u64 blocks;
	int err = fc_inode_get(fc, ino, &fi);

	if (err)
		return err;
	blocks = DIV_ROUND_UP(fc_inode_size(fi), fc->sbi->block_size);
	if (!S_ISREG(le16_to_cpu(fi->raw->i_mode)) || blocks >= UINT32_MAX || !fc_has_map(fi))
		return 0;
	return fc_inode_cut(fc, fi, (u32)blocks);
}

int ext4_fc_truncate(struct super_block *sb, const u32 *inos, u32 count)
{
	struct fc fc;
	int err = ext4_remap_begin(sb);

	if (err)
		return err;
	fc_init(&fc, sb);
	for (u32 i = 0; i < count && !err; i++) {
		err = truncate_to_size(&fc, inos[i]);
		if (err == -EFSCORRUPTED || err == -EFSBADCRC) /* it was told, and stays as it is */
			err = 0;
	}
	if (!err)
		err = write_trees(&fc);
	if (!err)
		err = seal(&fc);
	fc_free(&fc);
	return err;
}

int ext4_fc_replay(struct super_block *sb)
{
	struct ext4_sb_info *sbi = EXT4_SB(sb);
	struct fc fc;
	int err;

	if (!sbi->fc_tags)
		return 0;
	fc_init(&fc, sb);
	ext4_msg(sb, LOGLEVEL_INFO, "recovery in memory: %u records of fast commits", sbi->fc_tags);
	err = replay(&fc);
	fc_free(&fc);
	return err;
}
