/* SPDX-License-Identifier: MIT */
/*
 * Directories in order of hash, as Linux tells them on a volume with dir_index when they are hashed or small:
 * the position is (hash, minor hash), which stays good while names come and go.
 *
 * The names of one leaf (more when equal hashes go on) are gathered, sorted and told; they hang on the open
 * file and are guarded, as its position is, by f_pos_lock.
 */
#include "base/alloc.h"
#include "fs/ext4/dx_sort.h"
#include "fs/ext4/ext4_internal.h"
#include "vfs/file.h"

#define NO_HASH 0xffffffffu
#define AHEAD   16 /* directory blocks read ahead */
/* Leaves that go on with one hash are gathered together; so many bytes of them are beyond any honest
 * directory. */
#define MOST_GATHERED SZ_16M

struct dx_dir {
	struct dx_name *names;
	void *spare; /* to sort through */
	char *text;
	u32 count, room, at; /* at: next one to tell */
	u32 text_used, text_room, spare_room;
	u32 next_hash; /* where the next leaf begins; NO_HASH: that was the last */
	loff_t pos;    /* where the file's position must be for this to be of use */
	bool linear;   /* the index was found to be of no use: positions are offsets */
};

static loff_t hash_to_pos(u32 hash, u32 minor)
{
	return (loff_t)(hash >> 1) << 32 | minor;
}

bool ext4_is_dx(const struct inode *dir)
{
	u32 flags = EXT4_I(dir)->i_flags;

	/* Hashes of folded names are not known here, but where entries hold them. */
	if (flags & EXT4_CASEFOLD_FL && !(flags & EXT4_ENCRYPT_FL))
		return false;
	return ext4_has_compat(EXT4_SB(dir->i_sb), EXT4_FEATURE_COMPAT_DIR_INDEX) &&
	       (flags & EXT4_INDEX_FL || ext4_has_inline_data(dir) ||
		i_size_read(dir) >> dir->i_blkbits == 1);
}

static void dx_dir_free(struct dx_dir *d)
{
	kfree(d->names);
	kfree(d->spare);
	kfree(d->text);
	kfree(d);
}

int ext4_dx_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		dx_dir_free(file->private_data);
	file->private_data = NULL;
	return 0;
}

static int room_for(struct shale *machine, void **array, u32 *room, u32 need, size_t element)
{
	u32 more = max(*room * 2, 64u);
	void *grown;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	grown = krealloc(machine, *array, (size_t)more * element);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

static int add_name(struct shale *machine, struct dx_dir *d, const struct ext4_hash *h, u32 ino,
		    const char *name, u8 len, u8 type)
{
	if (unlikely(d->count == d->room || d->text_room - d->text_used < len)) {
		int err = room_for(machine, (void **)&d->names, &d->room, d->count + 1, sizeof(*d->names));

		if (!err)
			err = room_for(machine, (void **)&d->text, &d->text_room, d->text_used + len, 1);
		if (err)
			return err;
	}
	d->names[d->count] = (struct dx_name){.hash = h->hash,
					      .minor = h->minor,
					      .seq = d->count,
					      .ino = ino,
					      .text = d->text_used,
					      .len = len,
					      .type = type};
	memcpy(d->text + d->text_used, name, len);
	d->text_used += len;
	d->count++;
	return 0;
}

struct gather {
	struct inode *dir;
	struct dx_dir *d;
	struct ext4_hash from; /* what lies before this was told already */
	u8 version;
	bool hashes_stored; /* in the entries */
	int err;
};

static bool told_before(const struct gather *g, const struct ext4_hash *h)
{
	return h->hash < g->from.hash || (h->hash == g->from.hash && h->minor < g->from.minor);
}

/* Takes a name unless its hash says that it was told already. */
static int gather_name(struct gather *g, const struct ext4_hash *h, u32 ino, const char *name, u8 len,
		       u8 file_type)
{
	if (told_before(g, h))
		return 0;
	return add_name(g->dir->i_sb->s_machine, g->d, h, ino, name, len,
			ext4_dirent_type(EXT4_SB(g->dir->i_sb), file_type));
}

/* With its hash, if that is stored; else gather_hashes() gives it one. */
static bool gather_entry(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	struct gather *g = arg;
	const struct ext4_sb_info *sbi = EXT4_SB(g->dir->i_sb);
	struct ext4_hash h = {0};

	if (likely(!g->hashes_stored)) {
		g->err = add_name(g->dir->i_sb->s_machine, g->d, &h, le32_to_cpu(de->inode), de->name,
				  de->name_len, ext4_dirent_type(sbi, de->file_type));
	} else {
		if (ext4_name_is_encrypted(g->dir, de->name, de->name_len))
			h = ext4_dirent_hash(de);
		g->err = gather_name(g, &h, le32_to_cpu(de->inode), de->name, de->name_len, de->file_type);
	}
	return !g->err;
}

/* Hashes the names from `first` on, and drops those that were told already. */
static int gather_hashes(struct gather *g, u32 first)
{
	struct dx_dir *d = g->d;
	u32 kept = first;

	for (u32 at = first; at < d->count;) {
		struct ext4_hash_batch batch = {.n = min(d->count - at, (u32)EXT4_HASH_BATCH)};
		int err;

		for (unsigned i = 0; i < batch.n; i++) {
			batch.name[i] = d->text + d->names[at + i].text;
			batch.len[i] = d->names[at + i].len;
		}
		err = ext4_dirhash_batch(EXT4_SB(g->dir->i_sb), g->version, &batch);
		if (err)
			return err;
		for (unsigned i = 0; i < batch.n; i++, at++) {
			if (told_before(g, &batch.hash[i]))
				continue;
			d->names[kept] = d->names[at];
			d->names[kept].hash = batch.hash[i].hash;
			d->names[kept].minor = batch.hash[i].minor;
			kept++;
		}
	}
	d->count = kept;
	return 0;
}

static int gather_block(struct gather *g, u32 lblk)
{
	struct buffer_head *bh;
	u32 first = g->d->count, text = g->d->text_used;
	int err = ext4_bread(g->dir, lblk, &ext4_dir_verifier, &bh);

	if (err)
		return err;
	(void)ext4_dirents_walk(bh->b_data, 0, bh->b_size, bh->b_size, gather_entry, g);
	brelse(bh);
	err = g->err;
	if (!err && !g->hashes_stored)
		err = gather_hashes(g, first);
	if (g->d->count ==
	    first) /* nothing was kept, nor is its text, however many leaves are like this one */
		g->d->text_used = text;
	return err;
}

/* "." and "..", which a hashed directory keeps in the root of its index, come before all hashes. */
static int gather_dots(struct gather *g, const struct ext4_htree_path *path)
{
	const struct ext4_dir_entry_2 *dot = path->frames[0].bh->b_data;
	const struct ext4_dir_entry_2 *dotdot = (const void *)((const u8 *)dot + EXT4_DIR_REC_LEN(1));
	const struct ext4_hash first = {0, 0}, second = {2, 0};
	int err = gather_name(g, &first, le32_to_cpu(dot->inode), ".", 1, dot->file_type);

	return err ? err : gather_name(g, &second, le32_to_cpu(dotdot->inode), "..", 2, dotdot->file_type);
}

/* An inline directory does not store its dots; they are told by their hashes, as in a block. */
static int gather_inline(struct gather *g)
{
	const struct ext4_sb_info *sbi = EXT4_SB(g->dir->i_sb);
	struct ext4_hash h;
	u32 first;
	int err = ext4_dirhash(sbi, g->version, ".", 1, &h);

	if (!err)
		err = gather_name(g, &h, g->dir->i_ino, ".", 1, EXT4_FT_DIR);
	if (!err)
		err = ext4_dirhash(sbi, g->version, "..", 2, &h);
	if (!err)
		err = gather_name(g, &h, ext4_inline_parent(g->dir), "..", 2, EXT4_FT_DIR);
	first = g->d->count;
	if (!err)
		ext4_inline_dirents_walk(g->dir, gather_entry, g);
	if (err || g->err || g->hashes_stored)
		return err ? err : g->err;
	return gather_hashes(g, first);
}

/* Starts reading the leaves that come next. */
static void leaves_readahead(struct inode *dir, const struct ext4_htree_path *path)
{
	const struct ext4_htree_frame *f = &path->frames[path->levels - 1];
	struct blk_plug plug;

	if (f->at % AHEAD)
		return;
	blk_start_plug(&plug);
	for (u32 i = f->at; i < min(f->count, f->at + 2 * AHEAD); i++) {
		struct ext4_map map = {.lblk = le32_to_cpu(f->entries[i].block) & 0x0fffffff, .len = 1};

		if (ext4_map_blocks(dir, &map) || !map.mapped)
			break;
		breadahead(EXT4_SB(dir->i_sb)->bdev, map.pblk, 1, dir->i_sb->s_blocksize);
	}
	blk_finish_plug(&plug);
}

static int gather_leaves(struct gather *g)
{
	struct ext4_htree_path path;
	u32 leaves = MOST_GATHERED >> g->dir->i_blkbits;
	int err = ext4_htree_find(g->dir, g->from.hash, &path), more;

	if (err)
		return err;
	g->version = path.hash_version;
	err = gather_dots(g, &path);
	while (!err) {
		u32 hash = 0;

		leaves_readahead(g->dir, &path);
		err = gather_block(g, ext4_htree_leaf(&path));
		if (err)
			break;
		more = ext4_htree_next(g->dir, &path, &hash);
		if (more < 0)
			err = more;
		g->d->next_hash = more > 0 ? hash & ~1u : NO_HASH;
		/* Enough when something is there and the next leaf does not go on with the same hash. */
		if (more <= 0 || (g->d->count && !(hash & 1)))
			break;
		if (g->d->count && !--leaves) {
			ext4_error_inode(g->dir, 0, "too many names share the hash %#x", hash & ~1u);
			err = -EFSCORRUPTED;
		}
	}
	ext4_htree_put(&path);
	return err;
}

/* Fills d with the names at and behind `from`, up to a leaf's end. -ENOENT: the index is of no use. */
static int dx_fill(struct inode *dir, struct dx_dir *d, struct ext4_hash from)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dir->i_sb);
	struct gather g = {.dir = dir, .d = d, .from = from, .hashes_stored = ext4_hash_in_dirent(dir)};
	int err;

	d->count = d->at = d->text_used = 0;
	d->next_hash = NO_HASH;
	g.version = sbi->def_hash_version;
	if (g.version <= DX_HASH_TEA && sbi->unsigned_hash)
		g.version += DX_HASH_LEGACY_UNSIGNED;
	if (ext4_has_inline_data(dir))
		err = gather_inline(&g);
	else if (EXT4_I(dir)->i_flags & EXT4_INDEX_FL)
		err = gather_leaves(&g);
	else
		err = gather_block(&g, 0);
	if (!err)
		err = room_for(dir->i_sb->s_machine, &d->spare, &d->spare_room, d->count, DX_SORT_SPARE(1));
	if (!err)
		dx_sort(d->names, d->count, d->spare);
	return err;
}

static int tell_names(const struct inode *dir, struct dx_dir *d, struct dir_context *ctx)
{
	for (; d->at < d->count; d->at++) {
		const struct dx_name *n = &d->names[d->at];
		const struct ext4_hash h = {n->hash, n->minor};

		ctx->pos = hash_to_pos(n->hash, n->minor);
		if (!ext4_dir_emit(dir, ctx, &h, d->text + n->text, n->len, n->ino, n->type))
			return 1;
	}
	return 0;
}

int ext4_dx_readdir(struct file *file, struct dir_context *ctx)
{
	struct dx_dir *d = file->private_data;
	int err = 0;

	if (!d) {
		d = kzalloc(file->f_inode->i_sb->s_machine, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->pos = -1;
		file->private_data = d;
	}
	if (d->linear)
		return -ENOENT;
	if (ctx->pos == EXT4_HTREE_EOF)
		return 0;
	if (d->pos != ctx->pos) {
		struct ext4_hash from = {(u32)(ctx->pos >> 32) << 1, (u32)ctx->pos};

		err = dx_fill(file->f_inode, d, from);
	}
	while (!err) {
		if (tell_names(file->f_inode, d, ctx))
			break;
		if (d->next_hash == NO_HASH) {
			ctx->pos = EXT4_HTREE_EOF;
			break;
		}
		ctx->pos = hash_to_pos(d->next_hash, 0);
		err = dx_fill(file->f_inode, d, (struct ext4_hash){d->next_hash, 0});
	}
	d->pos = err ? -1 : ctx->pos;
	if (err != -ENOENT)
		return err;
	/* From the start it can be told without the index; later, names would be told twice or not at all. */
	d->linear = ctx->pos == 0;
	return d->linear ? -ENOENT : -EFSCORRUPTED;
}
