/* SPDX-License-Identifier: MIT */
/*
 * How inodes are encrypted: an attribute names the keys and modes, the policy, and adds a number that is the
 * inode's own. All that lies in an encrypted directory is encrypted by the same policy. The inode pass
 * collects policies in the order of inode numbers, the directory pass compares them.
 */
#include "fs/ext4/check/check_internal.h"

#define NONCE 16

/* Policies of versions that are not known count as equal. */
void check_policy_take(struct check_policy *policy, const u8 *value, u32 size)
{
	static const u8 sizes[] = {0, 28, 40};
	u8 version = size ? value[0] : 0;

	policy->state = CHECK_POLICY_GOOD;
	if (!version || (version < ARRAY_SIZE(sizes) && size != sizes[version]))
		policy->state = CHECK_POLICY_BAD;
	else if (version < ARRAY_SIZE(sizes))
		memcpy(policy->bytes, value, size - NONCE);
	else
		policy->bytes[0] = 0xff;
}

int check_policy_add(struct check *c, struct check_inode *ci)
{
	if (!(ci->flags & EXT4_ENCRYPT_FL) || ci->policy.state != CHECK_POLICY_GOOD)
		return 0;
	ci->policy.ino = ci->ino;
	return check_array_add(c, &c->policies, &ci->policy, sizeof(ci->policy));
}

static int compare(const void *key, const void *item)
{
	u32 ino = *(const u32 *)key, other = ((const struct check_policy *)item)->ino;

	return ino < other ? -1 : ino > other;
}

static const struct check_policy *find(const struct check *c, u32 ino)
{
	return c->policies.count ? bsearch(&ino, c->policies.items, c->policies.count,
					   sizeof(struct check_policy), compare)
				 : NULL;
}

const char *check_policy_compare(const struct check *c, u32 dir, u32 ino)
{
	const struct check_policy *theirs = find(c, dir), *policy;
	u8 kind = c->kinds[ino - 1];

	/* Devices and the like have nothing that could be encrypted. */
	if (!theirs || (kind != EXT4_FT_REG && kind != EXT4_FT_DIR && kind != EXT4_FT_SYMLINK))
		return NULL;
	policy = find(c, ino);
	if (!policy)
		return "is not encrypted, its directory is";
	return memcmp(policy->bytes, theirs->bytes, sizeof(policy->bytes))
		       ? "is encrypted by another policy than its directory"
		       : NULL;
}
