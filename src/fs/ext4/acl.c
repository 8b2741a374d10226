/* SPDX-License-Identifier: MIT */
/*
 * POSIX ACLs as ext4 stores them: entries of 4 bytes, or 8 with an id for named users and groups.
 */
#include "base/alloc.h"
#include "fs/ext4/ext4_internal.h"
#include "vfs/xattr.h"

/* Entries in `size` bytes of value, counted the way they lie: -EFSCORRUPTED when they do not fill it exactly.
 */
static int acl_count(const u8 *value, size_t size)
{
	size_t at = sizeof(struct ext4_acl_header);
	int count = 0;

	while (at < size) {
		u16 tag;

		if (size - at < sizeof(struct ext4_acl_entry_short))
			return -EFSCORRUPTED;
		tag = get_unaligned_le16(value + at);
		at += tag == ACL_USER || tag == ACL_GROUP ? sizeof(struct ext4_acl_entry)
							  : sizeof(struct ext4_acl_entry_short);
		count++;
	}
	return at == size ? count : -EFSCORRUPTED;
}

static int acl_decode(const struct inode *inode, const u8 *value, size_t size, struct posix_acl **out)
{
	size_t at = sizeof(struct ext4_acl_header);
	struct posix_acl *acl;
	int count, err;

	if (size < at || get_unaligned_le32(value) != EXT4_ACL_VERSION)
		return -EINVAL;
	count = acl_count(value, size);
	if (count <= 0)
		return count;
	err = posix_acl_alloc(inode->i_sb->s_machine, count, &acl);
	if (err)
		return err;
	for (int i = 0; i < count; i++) {
		struct posix_acl_entry *e = &acl->a_entries[i];

		e->e_tag = get_unaligned_le16(value + at);
		e->e_perm = get_unaligned_le16(value + at + 2);
		e->e_id = ~0u;
		at += sizeof(struct ext4_acl_entry_short);
		if (e->e_tag == ACL_USER || e->e_tag == ACL_GROUP) {
			e->e_id = get_unaligned_le32(value + at);
			at += sizeof(le32);
		}
	}
	err = posix_acl_valid(acl);
	if (err) {
		ext4_error_inode(inode, 0, "ACL makes no sense");
		posix_acl_release(acl);
		return -EFSCORRUPTED;
	}
	*out = acl;
	return 0;
}

/* *out: the list, or NULL when there is none. In the lock-free walk: -ECHILD, since the disk may have to be
 * asked. */
int ext4_get_acl(struct inode *inode, int type, bool rcu, struct posix_acl **out)
{
	int index = type == ACL_TYPE_ACCESS ? EXT4_XATTR_INDEX_POSIX_ACL_ACCESS
					    : EXT4_XATTR_INDEX_POSIX_ACL_DEFAULT;
	ssize_t size;
	u8 *value;
	int err;

	*out = NULL;
	if (rcu)
		return -ECHILD;
	size = ext4_xattr_get(inode, index, "", NULL, 0);
	if (size == -ENODATA)
		return 0;
	if (size < 0)
		return size;
	value = kmalloc(inode->i_sb->s_machine, size + 1);
	if (!value)
		return -ENOMEM;
	size = ext4_xattr_get(inode, index, "", value, size);
	err = size < 0 ? size : acl_decode(inode, value, size, out);
	kfree(value);
	return err;
}
