/* SPDX-License-Identifier: MIT */
/*
 * Looking a name up in a directory, and the operations of directories, symlinks and special files. Which
 * layout the directory has is decided here and nowhere above.
 */
#include "fs/ext4/ext4_internal.h"
#include "vfs/dcache.h"

struct find {
	const char *name;
	unsigned len;
	const struct ext4_nokey *nokey; /* what `name` says of an encrypted one */
	u32 ino;                        /* 0: not found */
};

static bool find_in(void *arg, const struct ext4_dir_entry_2 *de, unsigned offset)
{
	struct find *f = arg;

	if (f->nokey ? !ext4_nokey_match(f->nokey, de->name, de->name_len)
		     : de->name_len != f->len || memcmp(de->name, f->name, f->len))
		return true;
	f->ino = le32_to_cpu(de->inode);
	return false;
}

static void find_in_block(const struct buffer_head *bh, struct find *f)
{
	(void)ext4_dirents_walk(bh->b_data, 0, bh->b_size, bh->b_size, find_in, f);
}

/* The hash under which the index has the name; an encrypted one says it, but what is there whole is computed.
 */
static int find_hash(const struct ext4_sb_info *sbi, const struct find *f, u8 version, struct ext4_hash *out)
{
	if (!f->nokey)
		return ext4_dirhash(sbi, version, f->name, f->len, out);
	*out = f->nokey->hash;
	if (f->nokey->cut || version == DX_HASH_SIPHASH)
		return 0;
	return ext4_dirhash(sbi, version, (const char *)f->nokey->name, f->nokey->len, out);
}

/* 0 with f->ino set or not; -ENOENT: the index is of no use. */
static int find_hashed(struct inode *dir, struct find *f)
{
	const struct ext4_sb_info *sbi = EXT4_SB(dir->i_sb);
	struct ext4_htree_path path;
	struct ext4_hash h;
	struct buffer_head *bh;
	u32 next;
	int err = ext4_htree_open(dir, &path);

	if (err)
		return err;
	err = find_hash(sbi, f, path.hash_version, &h);
	ext4_htree_put(&path);
	if (err)
		return err;
	err = ext4_htree_find(dir, h.hash, &path);
	if (err)
		return err;
	for (;;) {
		err = ext4_bread(dir, ext4_htree_leaf(&path), &ext4_dir_verifier, &bh);
		if (err)
			break;
		find_in_block(bh, f);
		brelse(bh);
		if (f->ino)
			break;
		/* Equal hashes may go on in the next leaf. */
		err = ext4_htree_next(dir, &path, &next);
		if (err <= 0 || (next & ~1u) != h.hash)
			break;
	}
	ext4_htree_put(&path);
	return min(err, 0);
}

static int find_linear(struct inode *dir, struct find *f)
{
	for (u64 lblk = 0; !f->ino; lblk++) {
		struct buffer_head *bh;
		int err = ext4_dir_next_block(dir, &lblk, &bh);

		if (err || !bh)
			return err;
		find_in_block(bh, f);
		brelse(bh);
	}
	return 0;
}

int ext4_find_entry(struct inode *dir, const char *name, unsigned len, u32 *ino)
{
	struct find f = {.name = name, .len = len};
	u32 flags = EXT4_I(dir)->i_flags;
	struct ext4_nokey nokey;
	int err = -ENOENT;

	if (len > EXT4_NAME_LEN)
		return -ENAMETOOLONG;
	if (ext4_name_is_encrypted(dir, name, len)) {
		if (ext4_nokey_decode(name, len, &nokey))
			return -ENOENT;
		f.nokey = &nokey;
	}
	if (ext4_has_inline_data(dir)) {
		ext4_inline_dirents_walk(dir, find_in, &f);
		err = 0;
	} else if (flags & EXT4_INDEX_FL && (!(flags & EXT4_CASEFOLD_FL) || flags & EXT4_ENCRYPT_FL)) {
		/* Names that are folded only are hashed as folded, which is not known here. */
		err = find_hashed(dir, &f);
	}
	if (err == -ENOENT)
		err = find_linear(dir, &f);
	if (err)
		return err;
	*ino = f.ino;
	return f.ino ? 0 : -ENOENT;
}

static int ext4_lookup(struct inode *dir, struct dentry *dentry, unsigned flags, struct dentry **out)
{
	struct inode *inode = NULL;
	u32 ino;
	int err = ext4_find_entry(dir, dentry->d_name.name, dentry->d_name.len, &ino);

	if (err && err != -ENOENT)
		return err;
	if (!err && ino == dir->i_ino) {
		ext4_error_inode(dir, 0, "directory holds itself as \"%.*s\"", (int)dentry->d_name.len,
				 dentry->d_name.name);
		return -EFSCORRUPTED;
	}
	if (!err)
		err = ext4_iget(dir->i_sb, ino, EXT4_IGET_NORMAL, &inode);
	if (err == -ESTALE) {
		ext4_error_inode(dir, 0, "\"%.*s\" names inode %u, which is deleted", (int)dentry->d_name.len,
				 dentry->d_name.name, ino);
		return -EFSCORRUPTED;
	}
	if (err && err != -ENOENT)
		return err;
	return d_splice_alias(inode, dentry, out);
}

const struct inode_operations ext4_dir_inode_operations = {
	.lookup = ext4_lookup,
	.getattr = ext4_getattr,
	.listxattr = ext4_listxattr,
	.get_inode_acl = ext4_get_acl,
	.fiemap = ext4_fiemap,
};

const struct inode_operations ext4_symlink_inode_operations = {
	.get_link = ext4_get_link,
	.getattr = ext4_getattr,
	.listxattr = ext4_listxattr,
};

const struct inode_operations ext4_encrypted_symlink_inode_operations = {
	.get_link = ext4_encrypted_get_link,
	.getattr = ext4_encrypted_link_getattr,
	.listxattr = ext4_listxattr,
};

const struct inode_operations ext4_special_inode_operations = {
	.getattr = ext4_getattr,
	.listxattr = ext4_listxattr,
	.get_inode_acl = ext4_get_acl,
};
