// What asking for extended attributes and changing them share.
#pragma once

#include "vfs/xattr.h"

#define XATTR_NAME_MOST 255
#define XATTR_SIZE_MOST 65536 // of a value, and of a list

// MAY_READ or MAY_WRITE.
int xattr_permission(const struct mnt_idmap *idmap, struct inode *inode, const char *name,
		     int mask) __must_check;
// The handler for *name, which becomes what stands behind its prefix.
int xattr_resolve_name(const struct inode *inode, const char **name,
		       const struct xattr_handler **out) __must_check;
int acl_type(const char *name); // ACL_TYPE_*, or 0
