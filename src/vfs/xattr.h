// Extended attributes: handlers by prefix, and POSIX ACLs that are stored as such (V8, V9).
#pragma once

#include "vfs/types.h"

struct xattr_handler {
	const char *name;   // whole name, or NULL
	const char *prefix; // or prefix ("user.")
	int flags;
	bool (*list)(struct dentry *dentry);
	// size 0 asks for the length; -ENODATA, -ERANGE. `name` is behind the prefix.
	ssize_t (*get)(const struct xattr_handler *h, struct dentry *dentry, struct inode *inode,
		       const char *name, void *buffer, size_t size);
	int (*set)(const struct xattr_handler *h, const struct mnt_idmap *idmap, struct dentry *dentry,
		   struct inode *inode, const char *name, const void *value, size_t size, int flags);
};

ssize_t vfs_getxattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name, void *value,
		     size_t size);
ssize_t vfs_listxattr(struct dentry *dentry, char *list, size_t size);
int vfs_setxattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name, const void *value,
		 size_t size, int flags) __must_check; // not for access lists
int vfs_removexattr(const struct mnt_idmap *idmap, struct dentry *dentry, const char *name) __must_check;
// Has the file capabilities, which go when it changes? 1, 0, negative errno; and taking them away. Under
// i_rwsem exclusive.
int inode_need_killpriv(struct dentry *dentry) __must_check;
int inode_killpriv(struct dentry *dentry) __must_check;

#define XATTR_NAME_ACL_ACCESS  "system.posix_acl_access"
#define XATTR_NAME_ACL_DEFAULT "system.posix_acl_default"

#define ACL_TYPE_ACCESS  0x8000
#define ACL_TYPE_DEFAULT 0x4000
#define ACL_USER_OBJ     0x01
#define ACL_USER         0x02
#define ACL_GROUP_OBJ    0x04
#define ACL_GROUP        0x08
#define ACL_MASK         0x10
#define ACL_OTHER        0x20

struct posix_acl_entry {
	u16 e_tag, e_perm;
	u32 e_id;
};
struct posix_acl {
	refcount_t a_refcount;
	struct rcu_head a_rcu;
	struct shale *a_machine;
	u32 a_count;
	struct posix_acl_entry a_entries[];
};
int posix_acl_alloc(struct shale *machine, unsigned count, struct posix_acl **out) __must_check;
void posix_acl_release(struct posix_acl *acl);
int posix_acl_valid(const struct posix_acl *acl);
int posix_acl_permission(const struct mnt_idmap *idmap, struct inode *inode, const struct posix_acl *acl,
			 int want);
// The wire form of system.posix_acl_access: version 2, entries sorted. Returns bytes, -ERANGE.
ssize_t posix_acl_to_xattr(const struct posix_acl *acl, void *buffer, size_t size);
int posix_acl_from_xattr(struct shale *machine, const void *value, size_t size,
			 struct posix_acl **out) __must_check;
int get_inode_acl(struct inode *inode, int type,
		  struct posix_acl **out) __must_check; // cached, or through i_op; NULL when there is none
// The lists of a new file in dir, referenced, or NULL; *mode loses what a list, or without one the umask,
// does not grant.
int posix_acl_create(struct inode *dir, mode_t *mode, struct posix_acl **default_acl,
		     struct posix_acl **acl) __must_check;
// For setattr, at a change of mode: the list follows.
int posix_acl_chmod(const struct mnt_idmap *idmap, struct dentry *dentry, mode_t mode) __must_check;
// For set_acl: the mode that an access list, or none, brings; *acl becomes NULL when that says it all (no
// reference changes).
int posix_acl_update_mode(struct inode *inode, mode_t *mode, struct posix_acl **acl) __must_check;
void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl); // takes a reference of its own
// set_acl, and what makers of inodes do, for file systems that keep lists in the cache alone.
int simple_set_acl(const struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl,
		   int type) __must_check;
int simple_acl_create(struct inode *dir, struct inode *inode) __must_check;
