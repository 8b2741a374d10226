/* SPDX-License-Identifier: MIT */
/*
 * What the kernel asks, but for directories' contents and extended attributes. What is not here is answered
 * ENOSYS by libfuse, after which the kernel does without: flush,
 * fsync.
 */
#include "fuse.h"

#include <linux/fs.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The root's number where "." or ".." lead to it: only for who comes by a handle (NFS). */
static void reply_entry(fuse_req_t req, int dirfd, const char *name, fuse_ino_t self)
{
	struct fuse_entry_param entry;
	int err = node_entry(dirfd, name, &entry);

	if (!err && self)
		entry.ino = self;
	if (err == -ENOENT) {
		entry.ino = 0; /* the kernel may remember that there is none */
		err = 0;
	}
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_entry(req, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const bool self = !strcmp(name, ".");
	int dirfd = node_open(parent, O_PATH);

	if (dirfd < 0)
		fuse_reply_err(req, -dirfd);
	else
		reply_entry(req, dirfd, self ? "" : name, self ? parent : 0);
	node_close(dirfd);
}

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct stat st;
	int fd = node_open(node, O_PATH), err = fd < 0 ? fd : node_attr(fd, &st);

	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, NODE_TIMEOUT);
	node_close(fd);
}

static void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	char target[PATH_MAX];
	int fd = node_open(node, O_PATH);
	ssize_t n = fd < 0 ? fd : shale_readlinkat(fuse_self->task, fd, "", target, sizeof(target) - 1);

	if (n < 0) {
		fuse_reply_err(req, (int)-n);
	} else {
		target[n] = '\0';
		fuse_reply_readlink(req, target);
	}
	node_close(fd);
}

/*
 * Nothing is to be done when a file is opened, and ENOSYS says so for all files from then on. Where opening
 * may fail, it has to be tried.
 */
static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	int fd;

	if (!fuse_self->front->opens_fail) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fd = node_open(node, O_RDONLY);
	if (fd < 0) {
		fuse_reply_err(req, -fd);
		return;
	}
	node_close(fd);
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	const size_t want = size < FUSE_REPLY_BYTES ? size : FUSE_REPLY_BYTES;
	ssize_t n;
	int fd;

	/* Before the reply, so that the next request does not come first. */
	if (!off)
		fuse_ahead_read(&fuse_self->front->ahead, node);
	fd = node_open(node, O_RDONLY);
	n = fd < 0 ? fd : shale_pread(fuse_self->task, fd, fuse_self->reply, want, off);

	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, fuse_self->reply, (size_t)n);
	node_close(fd);
}

static void op_lseek(fuse_req_t req, fuse_ino_t node, off_t off, int whence, struct fuse_file_info *fi)
{
	int fd = node_open(node, O_RDONLY);
	off_t at = fd < 0 ? fd : shale_lseek(fuse_self->task, fd, off, whence);

	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
	node_close(fd);
}

/* Asked for access(2) and chdir(2) where the kernel does not check: root may do anything but execute what
 * nobody may. */
static void op_access(fuse_req_t req, fuse_ino_t node, int mask)
{
	struct stat st = {0};
	int fd, err;

	if (fuse_self->front->wish->kernel_checks) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fd = mask & X_OK ? node_open(node, O_PATH) : -1;
	err = !(mask & X_OK) ? 0 : fd < 0 ? fd : node_attr(fd, &st);
	if (!err && mask & X_OK && !S_ISDIR(st.st_mode) && !(st.st_mode & 0111))
		err = -EACCES;
	fuse_reply_err(req, -err);
	node_close(fd);
}

static void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct statfs fs;
	int err = shale_statfs(fuse_self->task, ".", &fs);

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	fuse_reply_statfs(req, &(struct statvfs){
				       .f_bsize = (unsigned long)fs.f_bsize,
				       .f_frsize = (unsigned long)fs.f_frsize,
				       .f_blocks = fs.f_blocks,
				       .f_bfree = fs.f_bfree,
				       .f_bavail = fs.f_bavail,
				       .f_files = fs.f_files,
				       .f_ffree = fs.f_ffree,
				       .f_namemax = (unsigned long)fs.f_namelen,
			       });
}

/* Flags of lsattr(1): the kernel asks for them by this call. */
static void op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned cmd, void *arg, struct fuse_file_info *fi,
		     unsigned flags, const void *in, size_t in_bytes, size_t out_bytes)
{
	int value = 0, fd, err;

	if (cmd != FS_IOC_GETFLAGS || out_bytes < sizeof(value)) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	fd = node_open(node, O_RDONLY);
	err = fd < 0 ? fd : shale_ioctl(fuse_self->task, fd, FS_IOC_GETFLAGS, &value);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_ioctl(req, 0, &value, sizeof(value));
	node_close(fd);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct fuse_front *front = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_IOCTL_DIR |
			FUSE_CAP_READDIRPLUS | FUSE_CAP_ASYNC_DIO | FUSE_CAP_NO_OPEN_SUPPORT |
			FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPENDIR_SUPPORT;

	if (front->wish->kernel_checks && !front->wish->own_rights)
		want |= FUSE_CAP_POSIX_ACL;
	conn->want = want & conn->capable;
	conn->max_write = conn->max_readahead = FUSE_REPLY_BYTES;
	conn->max_background = 64;
}

const struct fuse_lowlevel_ops fuse_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.opendir = op_opendir,
	.read = op_read,
	.lseek = op_lseek,
	.readdir = fuse_op_readdir,
	.readdirplus = fuse_op_readdirplus,
	.access = op_access,
	.statfs = op_statfs,
	.getxattr = fuse_op_getxattr,
	.listxattr = fuse_op_listxattr,
	.ioctl = op_ioctl,
};
