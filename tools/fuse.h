/* SPDX-License-Identifier: MIT */
/*
 * The daemon's side of a mount: it answers the kernel's requests from a machine that has the volume mounted.
 *
 * Nodes have no memory here. A node's number is the file's handle (name_to_handle_at), which is found again
 * by open_by_handle_at for each request; so nothing is to be forgotten, and a walk over any number of files
 * costs nothing but the machine's caches, which have their limit. The root is FUSE_ROOT_ID.
 *
 * Each worker thread has its own clone of /dev/fuse, task and buffers, and does one request at a time from
 * reading it to the reply. What is shared is constant once the workers run, but for the counters.
 */
#ifndef SHALE_TOOL_FUSE_H
#define SHALE_TOOL_FUSE_H

#define FUSE_USE_VERSION 314
#include "fuse_ahead.h"
#include "mount.h"

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>

/* A node's number is a handle of this size. */
#define NODE_BYTES sizeof(uint64_t)

struct fuse_front {
	const struct mount_wish *wish;
	struct shale *machine;
	struct shale_task
		*task;   /* its root and working directory are the volume's root; workers' are forked of it */
	int handle_type; /* of the volume's handles */
	bool opens_fail; /* there may be files that are seen, but not opened (encrypted ones) */
	bool serving;    /* the volume is mounted: what the machine says is told at once */
	struct fuse_session *session;
	struct fuse_ahead ahead;
	struct fuse_counters *counters; /* shared with the supervisor */
};

/* One thread; its calls go through `task`. */
struct fuse_worker {
	struct fuse_front *front;
	struct shale_task *task;
	int fd;
	pthread_t first; /* who waits for the workers */
	bool ended;      /* atomic */
	char *request, *reply;
};
/* Of the running thread. */
extern _Thread_local struct fuse_worker *fuse_self;

#define FUSE_REPLY_BYTES (1u << 20) /* the largest that the kernel asks for */

/* fuse_node.c: descriptors and attributes of nodes, in the running worker's task. All return negative errno.
 */
int node_open(fuse_ino_t node, int flags);
void node_close(int fd);
/* Of a name in an open directory ("": of the descriptor itself), as the mount shows it. */
int node_entry(int dirfd, const char *name, struct fuse_entry_param *entry);
int node_attr(int fd, struct stat *st);
/* Entries and attributes stay good: a volume that is read changes only by another mount. */
#define NODE_TIMEOUT 1e9

/* fuse_ops.c, fuse_dir.c, fuse_xattr.c */
extern const struct fuse_lowlevel_ops fuse_ops;
void fuse_op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi);
void fuse_op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi);
void fuse_op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size);
void fuse_op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);

/* fuse_loop.c: a session whose requests and replies go over the workers' descriptors; NULL: no memory. */
struct fuse_session *fuse_front_session(struct fuse_front *front, int fd);
/* Serves until the connection or the daemon is to end. fds: n of /dev/fuse, whose ownership passes.
 * `answering` is called once, when the first request has been answered. Returns 0, or negative errno. */
int fuse_serve(struct fuse_front *front, const int *fds, unsigned n, void (*answering)(void *), void *arg);

#endif
