/* SPDX-License-Identifier: MIT */
/*
 * The contents of directories. No directory stays open between two requests: the offset of an entry is the
 * machine's own (d_off), from which any descriptor goes on.
 */
#include "fuse.h"

#include <string.h>

#define LARGE_DIRECTORY (4 << 20) /* bytes */

/* A reply that is being filled. */
struct dir_reply {
	fuse_req_t req;
	int dirfd;
	bool plus, full;
	bool attributes; /* are told; else names only, as far as the kernel knows them anyway */
	size_t used, size;
};

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Adds one entry, or finds that it does not fit. */
static void put_entry(struct dir_reply *l, const struct dirent64 *d)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = d->d_ino, .st_mode = (mode_t)d->d_type << 12}};
	char *at = fuse_self->reply + l->used;
	size_t room = l->size - l->used, need;

	/* Of a name that cannot be looked up the kernel hears when it asks; the others are to be listed. */
	if (l->plus && l->attributes && !is_dots(d->d_name) && node_entry(l->dirfd, d->d_name, &entry)) {
		entry = (struct fuse_entry_param){
			.attr = {.st_ino = d->d_ino, .st_mode = (mode_t)d->d_type << 12}};
	}
	need = l->plus ? fuse_add_direntry_plus(l->req, at, room, d->d_name, &entry, d->d_off)
		       : fuse_add_direntry(l->req, at, room, d->d_name, &entry.attr, d->d_off);
	l->full = need > room;
	if (l->full)
		return;
	l->used += need;
	if (l->plus && entry.ino)
		fuse_ahead_listed(&fuse_self->front->ahead, entry.ino, &entry.attr);
}

/* How many bytes of the machine's entries fill what is left, at the length that names have mostly. */
static size_t chunk_bytes(const struct dir_reply *l, size_t most)
{
	size_t want = (l->size - l->used) / (l->plus ? 5 : 1);

	return want < 512 ? 512 : want < most ? want : most;
}

static int fill(struct dir_reply *l)
{
	char chunk[32768] __attribute__((aligned(8)));
	ssize_t n;

	while (!l->full) {
		n = shale_getdents64(fuse_self->task, l->dirfd, chunk, chunk_bytes(l, sizeof(chunk)));
		if (n <= 0)
			return l->used ? 0 : (int)n;
		for (ssize_t at = 0; at < n && !l->full;) {
			const struct dirent64 *d = (const void *)(chunk + at);

			put_entry(l, d);
			at += d->d_reclen;
		}
	}
	return 0;
}

/*
 * Who lists a directory mostly looks at what is in it. Only of very large ones it is not known before the
 * first names have been told: all their inodes would have to be read.
 */
static int wants_attributes(struct dir_reply *l, off_t off)
{
	struct stat st;
	int err = off ? shale_fstat(fuse_self->task, l->dirfd, &st) : 0;

	l->attributes = !off || (!err && st.st_size <= LARGE_DIRECTORY);
	return err;
}

static void reply_listing(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, bool plus)
{
	struct dir_reply l = {.req = req, .plus = plus};
	int err;

	l.size = size < FUSE_REPLY_BYTES ? size : FUSE_REPLY_BYTES;
	l.dirfd = node_open(node, O_RDONLY | O_DIRECTORY);
	err = l.dirfd < 0 ? l.dirfd : 0;
	if (!err && off) {
		off_t at = shale_lseek(fuse_self->task, l.dirfd, off, SEEK_SET);

		err = at < 0 ? (int)at : 0;
	}
	if (!err && plus)
		err = wants_attributes(&l, off);
	if (!err)
		err = fill(&l);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_buf(req, fuse_self->reply, l.used);
	node_close(l.dirfd);
}

void fuse_op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	reply_listing(req, node, size, off, false);
}

void fuse_op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	reply_listing(req, node, size, off, true);
}
