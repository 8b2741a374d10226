// Extended attributes that live in memory alone, for file systems that do.
//
// Who embeds a simple_xattrs owns the attributes; its lock guards the list.
#pragma once

#include "base/rwsem.h"
#include "vfs/types.h"

struct simple_xattrs {
	struct list_head head; // of struct simple_xattr, by name
	struct rw_semaphore lock;
};

void simple_xattrs_init(struct simple_xattrs *xattrs);
void simple_xattrs_free(struct simple_xattrs *xattrs, struct shale *machine);
// `prefix` and `name` together are the name.
ssize_t simple_xattr_get(struct simple_xattrs *xattrs, const char *prefix, const char *name, void *buffer,
			 size_t size);
// value NULL: it goes. XATTR_CREATE, XATTR_REPLACE.
int simple_xattr_set(struct simple_xattrs *xattrs, struct shale *machine, const char *prefix,
		     const char *name, const void *value, size_t size, int flags) __must_check;
// The names that the task may see, those of the access lists of `inode` first; -ERANGE.
ssize_t simple_xattr_list(struct simple_xattrs *xattrs, struct inode *inode, char *buffer, size_t size);
