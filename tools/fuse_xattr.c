/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, of all namespaces, as Linux shows them: trusted ones are root's only. Who asks is
 * known by his user id; his capabilities are not.
 */
#include "fuse.h"

#include <endian.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

/* What getxattrat(2) takes; the headers of older systems lack it. */
#ifndef XATTR_ARGS_SIZE_VER0
struct xattr_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size, flags;
};
#endif

static const char trusted[] = "trusted.";

static bool is_acl(const char *name)
{
	static const char acl[] = "system.posix_acl_";

	return !strncmp(name, acl, sizeof(acl) - 1);
}

/* 0, or the error that says so: there are no access lists where the mount has rights of its own. */
static int hidden(fuse_req_t req, const char *name)
{
	if (is_acl(name))
		return fuse_self->front->wish->own_rights ? EOPNOTSUPP : 0;
	return !strncmp(name, trusted, sizeof(trusted) - 1) && fuse_req_ctx(req)->uid != 0 ? ENODATA : 0;
}

/* An access list names users and groups by their ids, which the mount may show as others; in place. */
static void acl_as_wished(const char *name, char *value, ssize_t n)
{
	const struct mount_wish *wish = fuse_self->front->wish;
	struct posix_acl_xattr_entry entry;

	if (!wish->owner || !is_acl(name))
		return;
	for (char *at = value + sizeof(struct posix_acl_xattr_header); at + sizeof(entry) <= value + n;
	     at += sizeof(entry)) {
		memcpy(&entry, at, sizeof(entry));
		if (entry.e_id == 0 && le16toh(entry.e_tag) == ACL_USER)
			entry.e_id = htole32(wish->caller_uid);
		if (entry.e_id == 0 && le16toh(entry.e_tag) == ACL_GROUP)
			entry.e_id = htole32(wish->caller_gid);
		memcpy(at, &entry, sizeof(entry));
	}
}

/* size 0: how long is it? */
static void reply_bytes(fuse_req_t req, size_t size, ssize_t n)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else if (!size)
		fuse_reply_xattr(req, (size_t)n);
	else if ((size_t)n > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, fuse_self->reply, (size_t)n);
}

void fuse_op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct xattr_args args = {.size = XATTR_SIZE_MAX};
	const int err = hidden(req, name);
	ssize_t n;
	int fd;

	if (err) {
		fuse_reply_err(req, err);
		return;
	}
	args.value = (uintptr_t)fuse_self->reply;
	fd = node_open(node, O_PATH);
	n = fd < 0 ? fd : shale_getxattrat(fuse_self->task, fd, "", AT_EMPTY_PATH, name, &args, sizeof(args));
	acl_as_wished(name, fuse_self->reply, n);
	reply_bytes(req, size, n);
	node_close(fd);
}

/* Leaves out, in place, what this caller does not see. */
static ssize_t hide_names(fuse_req_t req, char *list, ssize_t n)
{
	ssize_t kept = 0;

	for (ssize_t at = 0; at < n;) {
		size_t bytes = strlen(list + at) + 1;

		if (!hidden(req, list + at)) {
			memmove(list + kept, list + at, bytes);
			kept += (ssize_t)bytes;
		}
		at += (ssize_t)bytes;
	}
	return kept;
}

void fuse_op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	int fd = node_open(node, O_PATH);
	ssize_t n = fd < 0 ? fd
			   : shale_listxattrat(fuse_self->task, fd, "", AT_EMPTY_PATH, fuse_self->reply,
					       XATTR_LIST_MAX);

	reply_bytes(req, size, n > 0 ? hide_names(req, fuse_self->reply, n) : n);
	node_close(fd);
}
