/* SPDX-License-Identifier: MIT */
/*
 * Iterators over memory. All kinds but one buffer and discard are arrays of segments; `segment` tells any of
 * them as an address and a length, and everything else is written once. The cursor moves to the next segment
 * only when it has to go on, so that going back within a segment is a subtraction.
 */
#include <limits.h>
#include <string.h>
#include "base/alloc.h"
#include "base/uio.h"

#define SEGMENT_MAX SZ_1G

struct segment {
	char *base;
	size_t len;
};

/* The segment of the cursor, or one `delta` further. Not for a discard iterator. */
static inline struct segment segment(const struct iov_iter *i, long delta)
{
	switch (i->iter_type) {
	case ITER_UBUF:
		return (struct segment){i->ubuf, i->iov_offset + i->count};
	case ITER_IOVEC:
		return (struct segment){i->iov[delta].iov_base, i->iov[delta].iov_len};
	case ITER_KVEC:
		return (struct segment){i->kvec[delta].iov_base, i->kvec[delta].iov_len};
	default:
		return (struct segment){bvec_virt(&i->bvec[delta]), i->bvec[delta].bv_len};
	}
}

static inline void move(struct iov_iter *i, long delta)
{
	if (i->iter_type == ITER_BVEC)
		i->bvec += delta;
	else if (i->iter_type == ITER_KVEC)
		i->kvec += delta;
	else
		i->iov += delta;
	i->nr_segs -= (unsigned long)delta;
}

/* The run of memory at the cursor, of at most `bytes` (which are there); the cursor goes over it. */
static inline struct segment take(struct iov_iter *i, size_t bytes)
{
	struct segment s = segment(i, 0);

	while (unlikely(i->iov_offset == s.len)) {
		BUG_ON(i->nr_segs <= 1);
		move(i, 1);
		i->iov_offset = 0;
		s = segment(i, 0);
	}
	s.base += i->iov_offset;
	s.len = min(s.len - i->iov_offset, bytes);
	i->iov_offset += s.len;
	i->count -= s.len;
	return s;
}

ssize_t import_iovec(struct shale *machine, unsigned direction, const struct iovec *uvec,
		     unsigned long nr_segs, unsigned long nr_fast, struct iovec *fast, struct iovec **iovp,
		     struct iov_iter *i)
{
	struct iovec *iov = fast;
	size_t total = 0;

	*iovp = NULL;
	if (nr_segs > UIO_MAXIOV)
		return -EINVAL;
	if (nr_segs && !uvec)
		return -EFAULT;
	if (nr_segs > nr_fast) {
		iov = kmalloc_array(machine, nr_segs, sizeof(*iov));
		if (!iov)
			return -ENOMEM;
	}
	for (unsigned long n = 0; n < nr_segs; n++) {
		iov[n] = uvec[n];
		if (iov[n].iov_len > SSIZE_MAX) {
			if (iov != fast)
				kfree(iov);
			return -EINVAL;
		}
		iov[n].iov_len = min(iov[n].iov_len, MAX_RW_COUNT - total);
		total += iov[n].iov_len;
	}
	if (iov != fast)
		*iovp = iov;
	iov_iter_init(i, direction, iov, nr_segs, total);
	return (ssize_t)total;
}

void import_ubuf(unsigned direction, void *buf, size_t len, struct iov_iter *i)
{
	iov_iter_ubuf(i, direction, buf, min_t(size_t, len, MAX_RW_COUNT));
}

void iov_iter_advance(struct iov_iter *i, size_t bytes)
{
	BUG_ON(bytes > i->count);
	if (i->iter_type == ITER_UBUF || i->iter_type == ITER_DISCARD) {
		i->iov_offset += bytes;
		i->count -= bytes;
		return;
	}
	while (bytes)
		bytes -= take(i, bytes).len;
}

void iov_iter_revert(struct iov_iter *i, size_t bytes)
{
	i->count += bytes;
	while (bytes > i->iov_offset) {
		BUG_ON(i->iter_type == ITER_UBUF || i->iter_type == ITER_DISCARD);
		bytes -= i->iov_offset;
		move(i, -1);
		i->iov_offset = segment(i, 0).len;
	}
	i->iov_offset -= bytes;
}

/*
 * A single memcpy of a megabyte makes libc go past the processor's caches, which costs nearly twice as much
 * where the caller's buffer is in them, as it is in a loop of reads. Pieces stay below that border.
 */
#define COPY_PIECE (64u << 10)

#if SHALE_TSAN
/* What two callers do at once to the same bytes of a file is theirs to order: nothing is checked here. */
__attribute__((no_sanitize("thread"))) void iov_iter_copy_bytes(void *to, const void *from, size_t bytes)
{
	volatile char *t = to;
	const volatile char *f = from;

	while (bytes--)
		*t++ = *f++;
}
#else
void iov_iter_copy_bytes(void *to, const void *from, size_t bytes)
{
	char *t = to;
	const char *f = from;

	for (; bytes > COPY_PIECE; bytes -= COPY_PIECE, t += COPY_PIECE, f += COPY_PIECE)
		memcpy(t, f, COPY_PIECE);
	memcpy(t, f, bytes);
}
#endif

size_t iov_iter_copy_out(const void *from, size_t bytes, struct iov_iter *i)
{
	size_t done = 0;

	bytes = min(bytes, i->count);
	if (i->iter_type == ITER_DISCARD) {
		iov_iter_advance(i, bytes);
		return bytes;
	}
	while (done < bytes) {
		struct segment s = take(i, bytes - done);

		iov_iter_copy_bytes(s.base, (const char *)from + done, s.len);
		done += s.len;
	}
	return bytes;
}

size_t iov_iter_copy_in(void *to, size_t bytes, struct iov_iter *i)
{
	size_t done = 0;

	BUG_ON(i->iter_type == ITER_DISCARD);
	bytes = min(bytes, i->count);
	while (done < bytes) {
		struct segment s = take(i, bytes - done);

		iov_iter_copy_bytes((char *)to + done, s.base, s.len);
		done += s.len;
	}
	return bytes;
}

size_t iov_iter_zero(size_t bytes, struct iov_iter *i)
{
	size_t done = 0;

	bytes = min(bytes, i->count);
	if (i->iter_type == ITER_DISCARD) {
		iov_iter_advance(i, bytes);
		return bytes;
	}
	while (done < bytes) {
		struct segment s = take(i, bytes - done);

		memset(s.base, 0, s.len);
		done += s.len;
	}
	return bytes;
}

unsigned long iov_iter_alignment(const struct iov_iter *i)
{
	struct iov_iter at = *i;
	unsigned long bits = 0;

	if (i->iter_type == ITER_DISCARD)
		return 0;
	while (at.count) {
		struct segment s = take(&at, at.count);

		bits |= (unsigned long)s.base | s.len;
	}
	return bits;
}

bool iov_iter_is_aligned(const struct iov_iter *i, unsigned addr_mask, unsigned len_mask)
{
	struct iov_iter at = *i;

	if (i->iter_type == ITER_DISCARD)
		return true;
	while (at.count) {
		struct segment s = take(&at, at.count);

		if (((unsigned long)s.base & addr_mask) || (s.len & len_mask))
			return false;
	}
	return true;
}

size_t iov_iter_single_seg_count(const struct iov_iter *i)
{
	struct iov_iter at = *i;

	if (i->iter_type == ITER_DISCARD || !i->count)
		return i->count;
	return take(&at, at.count).len;
}

unsigned iov_iter_nr_runs(const struct iov_iter *i, unsigned max)
{
	struct iov_iter at = *i;
	unsigned runs = 0;

	if (i->iter_type == ITER_DISCARD)
		return 0;
	while (at.count && runs < max) {
		take(&at, min_t(size_t, at.count, SEGMENT_MAX));
		runs++;
	}
	return runs;
}

ssize_t iov_iter_get_segments(struct iov_iter *i, struct bio_vec *bvecs, unsigned max_segs, size_t max_bytes,
			      unsigned *nr_segs)
{
	size_t left = min3(max_bytes, i->count, (size_t)SSIZE_MAX);
	size_t taken = 0;
	unsigned n = 0;

	*nr_segs = 0;
	if (i->iter_type == ITER_DISCARD)
		return -EOPNOTSUPP;
	for (; left && n < max_segs; n++) {
		struct segment s = take(i, min_t(size_t, left, SEGMENT_MAX));

		bvec_set(&bvecs[n], s.base, (u32)s.len, 0);
		left -= s.len;
		taken += s.len;
	}
	*nr_segs = n;
	return (ssize_t)taken;
}
