/* SPDX-License-Identifier: MIT */
/*
 * The entries of a directory: a chain that fills its block, or its part of an inode, exactly. Checks lengths,
 * names, the inodes and kinds that entries name, "." and "..", and that no two names of a block are equal;
 * counts for each inode the names that lead to it and notes for each directory its parent.
 */
#include "base/hash.h"
#include "fs/ext4/check/check_dirs_internal.h"

#define KIND_DIR       2
#define CRYPT_NAME_MIN 16 /* bytes of an encrypted name */

void check_dir_count_link(struct check_dir_state *s, u32 ino, bool is_name)
{
	struct check *c = s->c;

	if (c->links_found[ino - 1] != UINT16_MAX)
		c->links_found[ino - 1]++;
	if (is_name && c->kinds[ino - 1] == KIND_DIR) {
		struct check_dir *child = check_dir_find(c, ino);

		if (child && !child->parent && ino != EXT4_ROOT_INO)
			child->parent = s->dir->ino;
		else
			check_problem(c, "dir-two-names", s->dir->ino, 0,
				      "directory %u has another name already", ino);
	}
}

/* One entry as it is looked at. */
struct entry {
	const struct ext4_dir_entry_2 *de;
	u32 ino, offset, rec_len, number; /* number: among the entries of the directory, up to 2 */
	u64 pblk;
};

#define entry_problem(s, e, code, fmt, ...)                                                                  \
	check_problem((s)->c, code, (s)->dir->ino, (e)->pblk, "offset %u: \"%.*s\" " fmt, (e)->offset,       \
		      (e)->de->name_len, (e)->de->name, ##__VA_ARGS__)

static bool is_dots(const struct ext4_dir_entry_2 *de, unsigned dots)
{
	return de->name_len == dots && !memcmp(de->name, "..", dots);
}

/* The first two of a directory that has blocks. */
static void check_dots(struct check_dir_state *s, const struct entry *e)
{
	unsigned dots = e->number + 1;

	if (!e->ino || !is_dots(e->de, dots))
		entry_problem(s, e, "dir-dots", "stands where \"%.*s\" should", (int)dots, "..");
	else if (e->de->name[dots])
		entry_problem(s, e, "dir-dots", "has no zero behind it");
	if (dots == 1 && e->ino != s->dir->ino)
		entry_problem(s, e, "dir-dots", "names inode %u", e->ino);
	if (dots == 2 && is_dots(e->de, dots))
		s->dir->dotdot = e->ino;
}

static bool slash_or_zero(u64 bytes)
{
	const u64 ones = ~0ull / 255, slashes = bytes ^ '/' * ones;

	/* Taking one from each byte borrows from its high bit only where it was zero. */
	return (((bytes - ones) & ~bytes) | ((slashes - ones) & ~slashes)) & ones << 7;
}

static bool name_is_illegal(const char *name, unsigned len)
{
	for (; len >= 8; name += 8, len -= 8)
		if (slash_or_zero(get_unaligned_le64(name)))
			return true;
	/* Eight bytes that end with the name: before it there are as many of its entry. */
	return len &&
	       slash_or_zero((get_unaligned_le64(name + len - 8) >> (64 - 8 * len)) | ~0ull << 8 * len);
}

/* The bytes of the character at *p: shortest forms of what Unicode can number, no halves of pairs. 0: none.
 */
static unsigned char_length(const u8 *p, unsigned left)
{
	static const u32 least[5] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf8 ? 4 : 0;
	u32 point = n < 2 ? *p : *p & (0x7fu >> n);

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3f);
	}
	return point < least[n] || point > 0x10ffff || point >> 11 == 0xd800 >> 11 ? 0 : n;
}

static bool name_is_utf8(const struct ext4_dir_entry_2 *de)
{
	unsigned n = 1;

	for (unsigned at = 0; at < de->name_len && n; at += n)
		n = char_length((const u8 *)de->name + at, de->name_len - at);
	return n;
}

static void check_name(struct check_dir_state *s, const struct entry *e)
{
	const struct ext4_dir_entry_2 *de = e->de;

	if (!de->name_len)
		entry_problem(s, e, "dir-name", "is empty");
	else if (e->number >= 2 && (is_dots(de, 1) || is_dots(de, 2)))
		entry_problem(s, e, "dir-dots", "is there twice");
	else if (s->encrypted && e->number >= 2 && de->name_len < CRYPT_NAME_MIN)
		entry_problem(s, e, "dir-name", "is shorter than an encrypted name can be");
	else if (!(s->encrypted && e->number >= 2) && name_is_illegal(de->name, de->name_len))
		entry_problem(s, e, "dir-name", "holds a slash or a zero");
	else if (s->strict && e->number >= 2 && !name_is_utf8(de))
		entry_problem(s, e, "dir-name", "is not UTF-8");
}

/* Inodes that are kept for the volume itself; two files of quota stay so whether there are quotas or not. */
static bool is_reserved(const struct check *c, u32 ino)
{
	return (ino < c->sbi->first_ino && ino != EXT4_ROOT_INO) ||
	       ino == le32_to_cpu(c->sbi->es.s_usr_quota_inum) ||
	       ino == le32_to_cpu(c->sbi->es.s_grp_quota_inum);
}

/* Whether the entry names an inode that can have a name. */
static bool check_inode(struct check_dir_state *s, const struct entry *e)
{
	const struct check *c = s->c;

	if (!check_ino_valid(c, e->ino) || is_reserved(c, e->ino)) {
		entry_problem(s, e, "dir-entry-inode", "names inode %u, which can have no name", e->ino);
		return false;
	}
	if (!test_bit(e->ino - 1, c->used_inodes)) {
		entry_problem(s, e, "dir-entry-inode", "names inode %u, which is not in use", e->ino);
		return false;
	}
	if (e->ino == EXT4_ROOT_INO && e->number >= 2)
		entry_problem(s, e, "dir-entry-inode", "names the root");
	return true;
}

static void check_kind(struct check_dir_state *s, const struct entry *e)
{
	bool told = ext4_has_incompat(s->c->sbi, EXT4_FEATURE_INCOMPAT_FILETYPE);
	u8 kind = told ? s->c->kinds[e->ino - 1] : 0;

	/* None is told by some that wrote volumes. */
	if (e->de->file_type && e->de->file_type != kind)
		entry_problem(s, e, "dir-entry-kind", "has kind %u, its inode %u", e->de->file_type, kind);
}

/* A name without case, as far as that is known here: of letters of ASCII. */
static void fold_name(const struct ext4_dir_entry_2 *de, char *out)
{
	for (unsigned i = 0; i < de->name_len; i++)
		out[i] = de->name[i] >= 'A' && de->name[i] <= 'Z' ? de->name[i] | 0x20 : de->name[i];
}

static bool same_name(const struct check_dir_state *s, const struct ext4_dir_entry_2 *a,
		      const struct ext4_dir_entry_2 *b)
{
	char x[EXT4_NAME_LEN], y[EXT4_NAME_LEN];

	if (a->name_len != b->name_len)
		return false;
	if (!s->strict)
		return !memcmp(a->name, b->name, a->name_len);
	fold_name(a, x);
	fold_name(b, y);
	return !memcmp(x, y, a->name_len);
}

static u32 name_slot(const struct check_dir_state *s, const struct ext4_dir_entry_2 *de)
{
	char folded[EXT4_NAME_LEN];

	if (!s->strict)
		return full_name_hash(s->names.slots, de->name, de->name_len);
	fold_name(de, folded);
	return full_name_hash(s->names.slots, folded, de->name_len);
}

/*
 * As e2fsck has it, equal names are looked for within a block only, are no damage in an inode, and differ by
 * case unless the volume is strict about its encoding.
 */
static void check_twice(struct check_dir_state *s, const struct entry *e, const u8 *data)
{
	u32 at = name_slot(s, e->de);

	for (;; at++) {
		u32 *slot = &s->names.slots[at & s->names.mask];

		if (*slot >> 16 != s->names.generation) {
			*slot = (u32)s->names.generation << 16 | e->offset / 4;
			return;
		}
		if (!same_name(s, e->de, (const void *)(data + (*slot & 0xffff) * 4)))
			continue;
		if (e->pblk)
			entry_problem(s, e, "dir-name-twice", "is there twice");
		else
			check_note(s->c, "dir-name-twice", s->dir->ino, 0, "\"%.*s\" is there twice",
				   e->de->name_len, e->de->name);
		return;
	}
}

static void check_entry(struct check_dir_state *s, struct entry *e, const u8 *data,
			struct check_dx_block *block)
{
	e->ino = le32_to_cpu(e->de->inode);
	if (e->number < 2)
		check_dots(s, e);
	if (!e->ino)
		return;
	check_name(s, e);
	if (!check_inode(s, e))
		return;
	check_kind(s, e);
	check_dir_count_link(s, e->ino, e->number >= 2);
	if (e->number < 2)
		return;
	if (s->encrypted && check_policy_compare(s->c, s->dir->ino, e->ino))
		entry_problem(s, e, "dir-entry-policy", "%s",
			      check_policy_compare(s->c, s->dir->ino, e->ino));
	check_twice(s, e, data);
	if (block)
		check_htree_name(s, block, e->de);
}

static void new_names(struct check_dir_state *s)
{
	if (++s->names.generation)
		return;
	memset(s->names.slots, 0, ((size_t)s->names.mask + 1) * sizeof(*s->names.slots));
	s->names.generation = 1;
}

void check_dirents(struct check_dir_state *s, const u8 *data, u32 bytes, u64 pblk,
		   struct check_dx_block *block)
{
	struct entry e = {.pblk = pblk};

	new_names(s);
	for (; e.offset < bytes; e.offset += e.rec_len) {
		u32 left = bytes - e.offset;

		e.de = (const void *)(data + e.offset);
		e.rec_len = left < EXT4_DIR_REC_LEN(1) ? 0 : ext4_rec_len(e.de, s->c->sbi->block_size);
		if (e.rec_len < EXT4_DIR_REC_LEN(1) || e.rec_len % 4 || e.rec_len > left ||
		    e.rec_len < EXT4_DIR_REC_LEN(e.de->name_len)) {
			check_problem(s->c, "dir-entry-length", s->dir->ino, pblk,
				      "offset %u: entry of %u bytes", e.offset, e.rec_len);
			return;
		}
		e.number = s->entries;
		check_entry(s, &e, data, block);
		if (s->entries < 2)
			s->entries++;
	}
}
