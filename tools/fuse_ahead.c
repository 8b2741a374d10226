/* SPDX-License-Identifier: MIT */
#include "fuse_ahead.h"

#include "fuse.h"

#define FILE_BYTES   (128u << 10) /* of one request: larger files are read ahead by the kernel */
#define STREAK       4u
#define FIRST_WINDOW (128u << 10)

void fuse_ahead_init(struct fuse_ahead *ahead, uint64_t most_bytes)
{
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->wake, NULL);
	ahead->most_bytes = most_bytes;
	ahead->window = FIRST_WINDOW;
}

void fuse_ahead_listed(struct fuse_ahead *ahead, uint64_t node, const struct stat *st)
{
	if (!ahead->most_bytes || !S_ISREG(st->st_mode) || !st->st_size || st->st_size > FILE_BYTES)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->node[ahead->end % AHEAD_LISTED] = node;
	ahead->bytes[ahead->end % AHEAD_LISTED] = (uint32_t)st->st_size;
	ahead->end++;
	pthread_mutex_unlock(&ahead->lock);
}

/* Where the node stands behind what was read last, else anywhere; false: it was not listed. */
static bool find(const struct fuse_ahead *ahead, uint64_t node, uint64_t *out)
{
	const uint64_t first = ahead->end > AHEAD_LISTED ? ahead->end - AHEAD_LISTED : 0;
	const uint64_t from = ahead->at > first ? ahead->at : first;

	for (*out = from; *out < ahead->end; ++*out)
		if (ahead->node[*out % AHEAD_LISTED] == node)
			return true;
	for (*out = first; *out < from; ++*out)
		if (ahead->node[*out % AHEAD_LISTED] == node)
			return true;
	return false;
}

/* The next window, when the last one is done. */
static void set_goal(struct fuse_ahead *ahead)
{
	uint64_t bytes = 0;

	if (ahead->sent < ahead->at)
		ahead->sent = ahead->at;
	if (ahead->sent < ahead->goal)
		return;
	for (ahead->goal = ahead->sent; ahead->goal < ahead->end && bytes < ahead->window; ahead->goal++)
		bytes += ahead->bytes[ahead->goal % AHEAD_LISTED];
	ahead->window = ahead->window * 2 < ahead->most_bytes ? ahead->window * 2 : ahead->most_bytes;
	if (ahead->goal > ahead->sent)
		pthread_cond_signal(&ahead->wake);
}

void fuse_ahead_read(struct fuse_ahead *ahead, uint64_t node)
{
	uint64_t at;

	if (!ahead->most_bytes)
		return;
	pthread_mutex_lock(&ahead->lock);
	if (!find(ahead, node, &at)) {
		ahead->streak = 0;
	} else if (at >= ahead->at && at <= (ahead->sent > ahead->at ? ahead->sent : ahead->at)) {
		/* The next, or the first that was not sent; or the reader is quicker than we are. */
		ahead->streak++;
		ahead->at = at + 1;
	} else {
		ahead->streak = 0;
		ahead->at = at + 1;
		ahead->sent = ahead->goal = 0;
	}
	if (!ahead->streak)
		ahead->window = FIRST_WINDOW;
	if (ahead->streak >= STREAK)
		set_goal(ahead);
	pthread_mutex_unlock(&ahead->lock);
}

static void send_one(uint64_t node)
{
	int fd = node_open(node, O_RDONLY);
	ssize_t n = fd < 0 ? fd : shale_pread(fuse_self->task, fd, fuse_self->reply, FILE_BYTES, 0);

	if (n > 0) {
		struct fuse_bufvec data = FUSE_BUFVEC_INIT((size_t)n);

		data.buf[0].mem = fuse_self->reply;
		/* The kernel may have forgotten the node: nothing is lost. */
		(void)fuse_lowlevel_notify_store(fuse_self->front->session, node, 0, &data,
						 FUSE_BUF_NO_SPLICE);
	}
	node_close(fd);
}

void fuse_ahead_run(struct fuse_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ending) {
		if (ahead->sent < ahead->goal) {
			uint64_t node = ahead->node[ahead->sent++ % AHEAD_LISTED];

			pthread_mutex_unlock(&ahead->lock);
			send_one(node);
			pthread_mutex_lock(&ahead->lock);
		} else {
			pthread_cond_wait(&ahead->wake, &ahead->lock);
		}
	}
	pthread_mutex_unlock(&ahead->lock);
}

void fuse_ahead_end(struct fuse_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->ending = true;
	pthread_cond_signal(&ahead->wake);
	pthread_mutex_unlock(&ahead->lock);
}
