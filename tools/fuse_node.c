/* SPDX-License-Identifier: MIT */
/* Nodes: from the kernel's number to a descriptor of the machine, and from a name to what the kernel is told.
 */
#include "fuse.h"

#include <string.h>

struct node_handle {
	struct file_handle handle;
	uint64_t node;
};
_Static_assert(offsetof(struct node_handle, node) == offsetof(struct file_handle, f_handle),
	       "the node's number stands where the handle's bytes do");

int node_open(fuse_ino_t node, int flags)
{
	struct node_handle h = {
		.handle = {.handle_bytes = NODE_BYTES, .handle_type = fuse_self->front->handle_type},
		.node = node};

	if (node == FUSE_ROOT_ID)
		return shale_openat(fuse_self->task, AT_FDCWD, ".", flags, 0);
	return shale_open_by_handle_at(fuse_self->task, AT_FDCWD, &h.handle, flags);
}

void node_close(int fd)
{
	if (fd >= 0)
		(void)shale_close(fuse_self->task, fd);
}

/* What the mount's options make of the attributes that the volume has. */
static void show_as_wished(struct stat *st)
{
	const struct mount_wish *wish = fuse_self->front->wish;
	const mode_t mask = S_ISDIR(st->st_mode) ? wish->dmask : wish->fmask;

	if (wish->owner && st->st_uid == 0)
		st->st_uid = wish->caller_uid;
	if (wish->owner && st->st_gid == 0)
		st->st_gid = wish->caller_gid;
	if (wish->uid != (uid_t)-1)
		st->st_uid = wish->uid;
	if (wish->gid != (gid_t)-1)
		st->st_gid = wish->gid;
	if (mask != (mode_t)-1)
		st->st_mode = (st->st_mode & S_IFMT) | (0777 & ~mask);
}

int node_attr(int fd, struct stat *st)
{
	int err = shale_fstat(fuse_self->task, fd, st);

	if (!err)
		show_as_wished(st);
	return err;
}

int node_entry(int dirfd, const char *name, struct fuse_entry_param *entry)
{
	struct node_handle h = {.handle.handle_bytes = NODE_BYTES};
	const int flags = *name ? 0 : AT_EMPTY_PATH;
	int err, mount_id;

	*entry = (struct fuse_entry_param){.entry_timeout = NODE_TIMEOUT, .attr_timeout = NODE_TIMEOUT};
	err = shale_fstatat(fuse_self->task, dirfd, name, &entry->attr, flags | AT_SYMLINK_NOFOLLOW);
	if (!err)
		err = shale_name_to_handle_at(fuse_self->task, dirfd, name, &h.handle, &mount_id, flags);
	if (err)
		return err;
	entry->ino = h.node;
	show_as_wished(&entry->attr);
	return 0;
}
