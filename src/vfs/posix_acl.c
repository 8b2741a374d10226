// POSIX access lists: in memory, in the form that system.posix_acl_access and _default carry, and what they
// permit.
//
// A list is immutable and counted; an inode's cached one is read under RCU and freed after a grace period.
// Entries are in the order of the standard: owner, users, owning group, groups, mask, others.

#include "vfs/inode_internal.h"

#include "base/alloc.h"
#include "base/le.h"
#include "base/overflow.h"
#include "vfs/cred.h"
#include "vfs/xattr.h"

#include <errno.h>

#define ACL_XATTR_VERSION 2
#define ACL_UNDEFINED_ID  ((u32)-1)

struct acl_xattr_header {
	le32 version;
};
struct acl_xattr_entry {
	le16 tag, perm;
	le32 id;
};
BUILD_BUG_ON(sizeof(struct acl_xattr_header) != 4);
BUILD_BUG_ON(sizeof(struct acl_xattr_entry) != 8);

int posix_acl_alloc(struct shale *machine, unsigned count, struct posix_acl **out)
{
	struct posix_acl *acl =
		kzalloc(machine, size_add(sizeof(*acl), size_mul(count, sizeof(acl->a_entries[0]))));

	if (!acl)
		return -ENOMEM;
	refcount_set(&acl->a_refcount, 1);
	acl->a_machine = machine;
	acl->a_count = count;
	*out = acl;
	return 0;
}

static void acl_free_rcu(struct rcu_head *head)
{
	kfree(container_of(head, struct posix_acl, a_rcu));
}

void posix_acl_release(struct posix_acl *acl)
{
	if (acl && refcount_dec_and_test(&acl->a_refcount))
		call_rcu(acl->a_machine, &acl->a_rcu, acl_free_rcu);
}

// Where in the order an entry of this tag may stand; 0: no such tag.
static int acl_rank(u16 tag)
{
	static const u16 order[] = {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER};

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] == tag)
			return (int)i + 1;
	return 0;
}

// -EINVAL: entries out of order, missing, twice, or with unknown bits.
int posix_acl_valid(const struct posix_acl *acl)
{
	bool seen[7] = {false};
	int last = 0;

	for (unsigned i = 0; i < acl->a_count; i++) {
		const struct posix_acl_entry *e = &acl->a_entries[i];
		int rank = acl_rank(e->e_tag);
		bool many = e->e_tag == ACL_USER || e->e_tag == ACL_GROUP;

		if (!rank || e->e_perm & ~7 || rank < last || (seen[rank] && !many))
			return -EINVAL;
		if (many && e->e_id == ACL_UNDEFINED_ID)
			return -EINVAL;
		seen[rank] = true;
		last = rank;
	}
	if (!seen[acl_rank(ACL_USER_OBJ)] || !seen[acl_rank(ACL_GROUP_OBJ)] || !seen[acl_rank(ACL_OTHER)])
		return -EINVAL;
	if ((seen[acl_rank(ACL_USER)] || seen[acl_rank(ACL_GROUP)]) && !seen[acl_rank(ACL_MASK)])
		return -EINVAL;
	return 0;
}

// What an entry grants through the mask that may follow it.
static int masked_permission(const struct posix_acl *acl, unsigned i, int want)
{
	u16 perm = acl->a_entries[i].e_perm;

	for (unsigned j = i + 1; j < acl->a_count; j++)
		if (acl->a_entries[j].e_tag == ACL_MASK)
			perm &= acl->a_entries[j].e_perm;
	return (perm & want) == want ? 0 : -EACCES;
}

// The caller knows that the task is not the owner, or asks for him too. 0, -EACCES; -EIO: not a list.
int posix_acl_permission(const struct mnt_idmap *idmap, struct inode *inode, const struct posix_acl *acl,
			 int want)
{
	const struct cred *cred = current_cred();
	bool in_a_group = false;

	want &= MAY_READ | MAY_WRITE | MAY_EXEC;
	for (unsigned i = 0; i < acl->a_count; i++) {
		const struct posix_acl_entry *e = &acl->a_entries[i];

		switch (e->e_tag) {
		case ACL_USER_OBJ:
			if (READ_ONCE(inode->i_uid) == cred->fsuid)
				return (e->e_perm & want) == want ? 0 : -EACCES;
			break;
		case ACL_USER:
			if (e->e_id == cred->fsuid)
				return masked_permission(acl, i, want);
			break;
		case ACL_GROUP_OBJ:
		case ACL_GROUP:
			if (!in_group_p(cred, e->e_tag == ACL_GROUP ? e->e_id : READ_ONCE(inode->i_gid)))
				break;
			in_a_group = true;
			if ((e->e_perm & want) == want)
				return masked_permission(acl, i, want);
			break;
		case ACL_MASK:
			break;
		case ACL_OTHER:
			if (in_a_group)
				return -EACCES;
			return (e->e_perm & want) == want ? 0 : -EACCES;
		default:
			return -EIO;
		}
	}
	return -EIO;
}

// The form of the attribute.

ssize_t posix_acl_to_xattr(const struct posix_acl *acl, void *buffer, size_t size)
{
	size_t need = sizeof(struct acl_xattr_header) + acl->a_count * sizeof(struct acl_xattr_entry);
	struct acl_xattr_header *header = buffer;
	struct acl_xattr_entry *entry;

	if (!buffer || !size)
		return (ssize_t)need;
	if (size < need)
		return -ERANGE;
	entry = (void *)(header + 1);
	header->version = cpu_to_le32(ACL_XATTR_VERSION);
	for (unsigned i = 0; i < acl->a_count; i++, entry++) {
		const struct posix_acl_entry *e = &acl->a_entries[i];
		bool named = e->e_tag == ACL_USER || e->e_tag == ACL_GROUP;

		entry->tag = cpu_to_le16(e->e_tag);
		entry->perm = cpu_to_le16(e->e_perm);
		entry->id = cpu_to_le32(named ? e->e_id : ACL_UNDEFINED_ID);
	}
	return (ssize_t)need;
}

// *out is NULL when there are no entries. -EINVAL, -EOPNOTSUPP (another version), -ENOMEM.
int posix_acl_from_xattr(struct shale *machine, const void *value, size_t size, struct posix_acl **out)
{
	const struct acl_xattr_header *header = value;
	const struct acl_xattr_entry *entry = (const void *)(header + 1);
	struct posix_acl *acl;
	size_t count;
	int err;

	*out = NULL;
	if (!value)
		return 0;
	if (size < sizeof(*header))
		return -EINVAL;
	if (le32_to_cpu(header->version) != ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	count = (size - sizeof(*header)) / sizeof(*entry);
	if ((size - sizeof(*header)) % sizeof(*entry) || count > 65536)
		return -EINVAL;
	if (!count)
		return 0;
	err = posix_acl_alloc(machine, (unsigned)count, &acl);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++, entry++) {
		struct posix_acl_entry *e = &acl->a_entries[i];

		e->e_tag = le16_to_cpu(entry->tag);
		e->e_perm = le16_to_cpu(entry->perm);
		e->e_id = le32_to_cpu(entry->id);
		if (!acl_rank(e->e_tag)) {
			posix_acl_release(acl);
			return -EINVAL;
		}
	}
	*out = acl;
	return 0;
}

// The inode's cache.

static struct posix_acl *acl_cached(struct posix_acl **slot)
{
	struct posix_acl *acl;

	rcu_read_lock();
	do
		acl = smp_load_acquire(slot);
	while (acl && acl != ACL_NOT_CACHED && !refcount_inc_not_zero(&acl->a_refcount));
	rcu_read_unlock();
	return acl;
}

int get_inode_acl(struct inode *inode, int type, struct posix_acl **out)
{
	struct posix_acl **slot = type == ACL_TYPE_ACCESS ? &inode->i_acl : &inode->i_default_acl;
	struct posix_acl *acl = acl_cached(slot), *expected = ACL_NOT_CACHED;
	int err;

	*out = NULL;
	if (acl != ACL_NOT_CACHED) {
		*out = acl;
		return 0;
	}
	acl = NULL;
	if (inode->i_op->get_inode_acl) {
		err = inode->i_op->get_inode_acl(inode, type, false, &acl);
		if (err)
			return err;
	}
	if (acl)
		refcount_inc(&acl->a_refcount); // the cache's
	if (!try_cmpxchg(slot, &expected, acl))
		posix_acl_release(acl);
	*out = acl;
	return 0;
}

void posix_acl_cache_forget(struct inode *inode)
{
	struct posix_acl **slots[] = {&inode->i_acl, &inode->i_default_acl};

	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		struct posix_acl *acl = __atomic_exchange_n(slots[i], NULL, __ATOMIC_ACQ_REL);

		if (acl != ACL_NOT_CACHED)
			posix_acl_release(acl);
	}
}
