/* SPDX-License-Identifier: MIT */
/*
 * Values of attributes that lie in inodes of their own. Such an inode says so by a flag, keeps the checksum
 * of the value in the place of its time of access (the entry's hash covers it), and the number of entries
 * that name it in those of change and version; that is compared when all inodes have been seen. Lustre's
 * name the one owner instead, and are not charged to him.
 */
#include "fs/ext4/check/check_internal.h"

struct ea_value {
	u32 ino;
	bool counts;    /* its references; Lustre's have a time there, the same as that of access */
	u64 references; /* that the inode says it has */
};

static bool names_owner(const struct ext4_inode *ea, const struct check_inode *ci)
{
	return le32_to_cpu(ea->i_mtime) == ci->ino &&
	       le32_to_cpu(ea->i_generation) == le32_to_cpu(ci->raw->i_generation);
}

static int take_value(struct check *c, struct check_xattrs *list, const struct ext4_xattr_entry *e,
		      const struct ext4_inode *ea)
{
	struct ea_value value = {.ino = le32_to_cpu(e->e_value_inum),
				 .counts = true,
				 .references =
					 (u64)le32_to_cpu(ea->i_ctime) << 32 | le32_to_cpu(ea->i_version_lo)};
	u32 cluster = c->sbi->block_size << c->sbi->cluster_bits;

	if (ext4_xattr_hash_valid(e, &ea->i_atime, 1))
		list->ea_clusters += DIV_ROUND_UP((u64)le32_to_cpu(e->e_value_size), cluster);
	else if (names_owner(ea, list->ci))
		value.counts = le32_to_cpu(ea->i_atime) != le32_to_cpu(ea->i_ctime);
	else
		check_problem(c, "xattr-hash", list->ci->ino, list->pblk,
			      "attribute's hash does not fit its name and the value in inode %u", value.ino);
	return check_array_add(c, &c->ea_values, &value, sizeof(value));
}

int check_xattr_inode(struct check *c, struct check_xattrs *list, const struct ext4_xattr_entry *e)
{
	u32 ino = le32_to_cpu(e->e_value_inum);
	const struct ext4_inode *ea = NULL;
	const u8 *raw;
	int err = -EFSCORRUPTED;

	if (check_ino_valid(c, ino))
		err = check_inode_read(c, ino, &raw);
	if (err && err != -EFSCORRUPTED)
		return err;
	if (!err)
		ea = (const void *)raw;
	if (ea && le32_to_cpu(ea->i_flags) & EXT4_EA_INODE_FL)
		return take_value(c, list, e, ea);
	check_problem(c, "xattr-inode", list->ci->ino, list->pblk,
		      "attribute's value is in inode %u, which holds none", ino);
	return 0;
}

static int compare(const void *a, const void *b)
{
	u32 x = ((const struct ea_value *)a)->ino, y = ((const struct ea_value *)b)->ino;

	return x < y ? -1 : x > y;
}

void check_xattr_inodes_end(struct check *c)
{
	struct ea_value *v = c->ea_values.items;
	size_t count = c->ea_values.count;

	if (!count)
		return;
	qsort(v, count, sizeof(*v), compare);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && v[i + n].ino == v[i].ino;)
			n++;
		if (v[i].counts && v[i].references != n)
			check_problem(c, "xattr-references", v[i].ino, 0,
				      "attribute's value: %llu references, counted %zu",
				      (unsigned long long)v[i].references, n);
		c->links_found[v[i].ino - 1] = 1; /* in place of a name */
	}
}
