// Extended attributes in memory: a list in the order of the names. See simple_xattr.h.

#include "vfs/simple_xattr.h"

#include "base/alloc.h"
#include "base/machine.h"
#include "cache/cache.h"
#include "vfs/cred.h"
#include "vfs/inode.h"
#include "vfs/super.h"
#include "vfs/xattr.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

struct simple_xattr {
	struct list_head list;
	size_t size, bytes; // of the value; of all this, charged
	char *name;         // behind the value
	char value[];
};

void simple_xattrs_init(struct simple_xattrs *xattrs)
{
	INIT_LIST_HEAD(&xattrs->head);
	init_rwsem(&xattrs->lock);
}

static void xattr_free(struct shale *machine, struct simple_xattr *x)
{
	if (!x)
		return;
	machine_uncharge(machine, x->bytes);
	kfree(x);
}

void simple_xattrs_free(struct simple_xattrs *xattrs, struct shale *machine)
{
	while (!list_empty(&xattrs->head)) {
		struct simple_xattr *x = list_first_entry(&xattrs->head, struct simple_xattr, list);

		list_del(&x->list);
		xattr_free(machine, x);
	}
}

static struct simple_xattr *xattr_alloc(struct shale *machine, const char *prefix, const char *name,
					const void *value, size_t size)
{
	size_t len = strlen(prefix), bytes = sizeof(struct simple_xattr) + size + len + strlen(name) + 1;
	struct simple_xattr *x = kmalloc(machine, bytes);

	if (!x)
		return NULL;
	x->size = size;
	x->bytes = bytes;
	x->name = x->value + size;
	memcpy(x->value, value, size);
	memcpy(x->name, prefix, len);
	strcpy(x->name + len, name);
	machine_charge(machine, bytes);
	return x;
}

static int compare(const struct simple_xattr *x, const char *prefix, const char *name)
{
	size_t len = strlen(prefix);
	int c = strncmp(x->name, prefix, len);

	return c ? c : strcmp(x->name + len, name);
}

// The attribute, or NULL; *after is what it stands, or would stand, behind.
static struct simple_xattr *find(struct simple_xattrs *xattrs, const char *prefix, const char *name,
				 struct list_head **after)
{
	struct simple_xattr *x;

	*after = &xattrs->head;
	list_for_each_entry (x, &xattrs->head, list) {
		int c = compare(x, prefix, name);

		if (c >= 0)
			return c ? NULL : x;
		*after = &x->list;
	}
	return NULL;
}

ssize_t simple_xattr_get(struct simple_xattrs *xattrs, const char *prefix, const char *name, void *buffer,
			 size_t size)
{
	struct list_head *after;
	struct simple_xattr *x;
	ssize_t n = -ENODATA;

	down_read(&xattrs->lock);
	x = find(xattrs, prefix, name, &after);
	if (x) {
		n = (ssize_t)x->size;
		if (buffer && size < x->size)
			n = -ERANGE;
		else if (buffer)
			memcpy(buffer, x->value, x->size);
	}
	up_read(&xattrs->lock);
	return n;
}

int simple_xattr_set(struct simple_xattrs *xattrs, struct shale *machine, const char *prefix,
		     const char *name, const void *value, size_t size, int flags)
{
	struct simple_xattr *fresh = NULL, *old;
	struct list_head *after;
	int err = 0;

	if (value) {
		fresh = xattr_alloc(machine, prefix, name, value, size);
		if (!fresh)
			return -ENOMEM;
	}
	down_write(&xattrs->lock);
	old = find(xattrs, prefix, name, &after);
	if (old && flags & XATTR_CREATE)
		err = -EEXIST;
	else if (!old && flags & XATTR_REPLACE)
		err = -ENODATA;
	if (!err) {
		if (old)
			list_del(&old->list);
		if (fresh)
			list_add(&fresh->list, after);
	}
	up_write(&xattrs->lock);
	xattr_free(machine, err ? fresh : old);
	return err;
}

static int list_name(char **at, size_t *left, const char *name)
{
	size_t len = strlen(name) + 1;

	if (*at) {
		if (*left < len)
			return -ERANGE;
		memcpy(*at, name, len);
		*at += len;
		*left -= len;
	}
	return (int)len;
}

ssize_t simple_xattr_list(struct simple_xattrs *xattrs, struct inode *inode, char *buffer, size_t size)
{
	bool trusted = capable(SHALE_CAP_SYS_ADMIN);
	struct simple_xattr *x;
	ssize_t sum = 0;
	int n = 0;

	if (READ_ONCE(inode->i_acl))
		sum += n = list_name(&buffer, &size, XATTR_NAME_ACL_ACCESS);
	if (n >= 0 && READ_ONCE(inode->i_default_acl))
		sum += n = list_name(&buffer, &size, XATTR_NAME_ACL_DEFAULT);
	down_read(&xattrs->lock);
	list_for_each_entry (x, &xattrs->head, list) {
		if (n < 0)
			break;
		if (!strncmp(x->name, "trusted.", 8) && !trusted)
			continue;
		sum += n = list_name(&buffer, &size, x->name);
	}
	up_read(&xattrs->lock);
	return n < 0 ? n : sum;
}
