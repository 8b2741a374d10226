/* SPDX-License-Identifier: MIT */
/*
 * Values of attributes that lie in inodes of their own. Such an inode says so by a flag, keeps the checksum
 * of the value in the place of its time of access (the entry's hash covers it), and the number of entries
 * that name it in those of change and version; that is compared when all inodes have been seen. Lustre's
 * name the one owner instead, and are not charged to him. Each inode is read once, however many entries name
 * it.
 */
#include "fs/ext4/check/check_internal.h"

struct ea_value {
	u32 ino;
	bool valid, lustre;
	le32 sum;              /* of the value */
	u32 time, owner;       /* of change and modification */
	u32 generation, found; /* found: entries that name it */
	u64 references;        /* that it says it has */
};

static void fill(struct ea_value *v, const struct ext4_inode *in)
{
	v->valid = le32_to_cpu(in->i_flags) & EXT4_EA_INODE_FL;
	v->sum = in->i_atime;
	v->time = le32_to_cpu(in->i_ctime);
	v->owner = le32_to_cpu(in->i_mtime);
	v->generation = le32_to_cpu(in->i_generation);
	v->references = (u64)v->time << 32 | le32_to_cpu(in->i_version_lo);
}

static int read_value(struct check *c, u32 ino)
{
	struct ea_value v = {.ino = ino};
	const u8 *raw;
	int err = check_inode_read(c, ino, &raw);

	if (err && err != -EFSCORRUPTED)
		return err;
	if (!err)
		fill(&v, (const void *)raw);
	err = xa_err(xa_store(&c->ea_index, ino, xa_mk_value(c->ea_values.count)));
	return err ? err : check_array_add(c, &c->ea_values, &v, sizeof(v));
}

/* Valid until the next one is read. */
static int find_value(struct check *c, u32 ino, struct ea_value **out)
{
	int err = xa_load(&c->ea_index, ino) ? 0 : read_value(c, ino);

	if (!err)
		*out = (struct ea_value *)c->ea_values.items + xa_to_value(xa_load(&c->ea_index, ino));
	return err;
}

int check_xattr_inode(struct check *c, struct check_xattrs *list, const struct ext4_xattr_entry *e)
{
	const struct check_inode *ci = list->ci;
	u32 cluster = c->sbi->block_size << c->sbi->cluster_bits;
	u32 ino = le32_to_cpu(e->e_value_inum);
	struct ea_value *v = NULL;
	int err = check_ino_valid(c, ino) ? find_value(c, ino, &v) : 0;

	if (err)
		return err;
	if (!v || !v->valid) {
		check_problem(c, "xattr-inode", ci->ino, list->pblk,
			      "attribute's value is in inode %u, which holds none", ino);
		return 0;
	}
	v->found++;
	if (ext4_xattr_hash_valid(e, &v->sum, 1))
		list->ea_clusters += DIV_ROUND_UP((u64)le32_to_cpu(e->e_value_size), cluster);
	else if (v->owner == ci->ino && v->generation == le32_to_cpu(ci->raw->i_generation))
		v->lustre = v->time == le32_to_cpu(v->sum); /* both are times */
	else
		check_problem(c, "xattr-hash", ci->ino, list->pblk,
			      "attribute's hash does not fit its name and the value in inode %u", ino);
	return 0;
}

void check_xattr_inodes_end(struct check *c)
{
	const struct ea_value *v = c->ea_values.items;

	for (size_t i = 0; i < c->ea_values.count; i++) {
		if (!v[i].valid)
			continue;
		if (!v[i].lustre && v[i].references != v[i].found)
			check_problem(c, "xattr-references", v[i].ino, 0,
				      "attribute's value: %llu references, counted %u",
				      (unsigned long long)v[i].references, v[i].found);
		c->links_found[v[i].ino - 1] = 1; /* in place of a name */
	}
}
