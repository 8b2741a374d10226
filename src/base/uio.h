/* SPDX-License-Identifier: MIT */
/*
 * struct iov_iter: one cursor over the memory of a read or a write, whatever it is made of: one buffer, the
 * caller's vector, a vector of the library's own, the memory of bios, or nothing at all (discard).
 *
 * An iterator belongs to one thread and owns nothing: the array of segments and the memory must outlive it.
 * Its direction says which way data goes: READ (ITER_DEST) into the memory, WRITE (ITER_SOURCE) out of it.
 * Callers' memory is touched by plain copies: a bad address faults in the process, as it would in any
 * library; EFAULT is not told.
 *
 * Between its calls these hold: `iov` (`kvec`, `bvec`) is the segment that the cursor is in, iov_offset the
 * bytes used of it, nr_segs the segments from it on, count the bytes that remain. The cursor may stand at the
 * end of a segment.
 */
#ifndef SHALE_BASE_UIO_H
#define SHALE_BASE_UIO_H

#include <sys/uio.h>
#include "base/bvec.h"
#include "base/compiler.h"

struct shale;

#define READ        0
#define WRITE       1
#define ITER_DEST   READ
#define ITER_SOURCE WRITE

/* UIO_MAXIOV, the most segments of one call, is of <sys/uio.h>. */
#define UIO_FASTIOV  8
#define MAX_RW_COUNT 0x7ffff000u /* the most that one call transfers */

struct kvec {
	void *iov_base;
	size_t iov_len;
};

enum iter_type { ITER_UBUF, ITER_IOVEC, ITER_KVEC, ITER_BVEC, ITER_DISCARD };

struct iov_iter {
	u8 iter_type;
	u8 data_source; /* READ or WRITE */
	size_t iov_offset;
	size_t count;
	union {
		void *ubuf;
		const struct iovec *iov;
		const struct kvec *kvec;
		const struct bio_vec *bvec;
	};
	unsigned long nr_segs;
};

/* Makers. `count` is what may be transferred; it is at most the sum of the segments. */
static inline void iov_iter_ubuf(struct iov_iter *i, unsigned direction, void *buf, size_t count)
{
	*i = (struct iov_iter){
		.iter_type = ITER_UBUF, .data_source = direction, .count = count, .ubuf = buf, .nr_segs = 1};
}
static inline void iov_iter_init(struct iov_iter *i, unsigned direction, const struct iovec *iov,
				 unsigned long nr_segs, size_t count)
{
	*i = (struct iov_iter){.iter_type = ITER_IOVEC,
			       .data_source = direction,
			       .count = count,
			       .iov = iov,
			       .nr_segs = nr_segs};
}
static inline void iov_iter_kvec(struct iov_iter *i, unsigned direction, const struct kvec *kvec,
				 unsigned long nr_segs, size_t count)
{
	*i = (struct iov_iter){.iter_type = ITER_KVEC,
			       .data_source = direction,
			       .count = count,
			       .kvec = kvec,
			       .nr_segs = nr_segs};
}
static inline void iov_iter_bvec(struct iov_iter *i, unsigned direction, const struct bio_vec *bvec,
				 unsigned long nr_segs, size_t count)
{
	*i = (struct iov_iter){.iter_type = ITER_BVEC,
			       .data_source = direction,
			       .count = count,
			       .bvec = bvec,
			       .nr_segs = nr_segs};
}
/* Takes `count` bytes and keeps none. Only a destination. */
static inline void iov_iter_discard(struct iov_iter *i, unsigned direction, size_t count)
{
	*i = (struct iov_iter){.iter_type = ITER_DISCARD, .data_source = direction, .count = count};
}

/*
 * From the arguments of a system call. The vector is copied (a caller may change it meanwhile) into `fast`,
 * of nr_fast entries, or into memory; *iovp is NULL or that memory, to be freed with kfree after the
 * iterator's use. The sum is cut to MAX_RW_COUNT. -EINVAL: more than UIO_MAXIOV entries or a length above
 * SSIZE_MAX, or a total above it; -EFAULT: uvec NULL with entries; -ENOMEM. Returns the bytes to transfer.
 */
ssize_t import_iovec(struct shale *machine, unsigned direction, const struct iovec *uvec,
		     unsigned long nr_segs, unsigned long nr_fast, struct iovec *fast, struct iovec **iovp,
		     struct iov_iter *i) __must_check;
/* One buffer; the length is cut to MAX_RW_COUNT. */
void import_ubuf(unsigned direction, void *buf, size_t len, struct iov_iter *i);

static inline size_t iov_iter_count(const struct iov_iter *i)
{
	return i->count;
}
static inline unsigned iov_iter_rw(const struct iov_iter *i)
{
	return i->data_source;
}
static inline bool iter_is_ubuf(const struct iov_iter *i)
{
	return i->iter_type == ITER_UBUF;
}
static inline bool iov_iter_is_discard(const struct iov_iter *i)
{
	return i->iter_type == ITER_DISCARD;
}
/* Memory of the caller (not of the library)? */
static inline bool user_backed_iter(const struct iov_iter *i)
{
	return i->iter_type <= ITER_IOVEC;
}

/* At most `count` bytes remain from now on; reexpand gives back what truncate took. */
static inline void iov_iter_truncate(struct iov_iter *i, u64 count)
{
	if (i->count > count)
		i->count = count;
}
static inline void iov_iter_reexpand(struct iov_iter *i, size_t count)
{
	i->count = count;
}

/* Forward by `bytes` (at most count) and back by `bytes` (at most what was advanced). */
void iov_iter_advance(struct iov_iter *i, size_t bytes);
void iov_iter_revert(struct iov_iter *i, size_t bytes);

struct iov_iter_state {
	size_t iov_offset;
	size_t count;
	const void *segment;
	unsigned long nr_segs;
};
/* Where the cursor stands, and back to there. */
static inline void iov_iter_save_state(const struct iov_iter *i, struct iov_iter_state *state)
{
	*state = (struct iov_iter_state){i->iov_offset, i->count, i->iov, i->nr_segs};
}
static inline void iov_iter_restore(struct iov_iter *i, const struct iov_iter_state *state)
{
	i->iov_offset = state->iov_offset;
	i->count = state->count;
	i->iov = state->segment;
	i->nr_segs = state->nr_segs;
}

/* As copy_to_iter and the like for any other iterator than ITER_UBUF. */
size_t iov_iter_copy_out(const void *from, size_t bytes, struct iov_iter *i);
size_t iov_iter_copy_in(void *to, size_t bytes, struct iov_iter *i);
void iov_iter_copy_bytes(void *to, const void *from, size_t bytes);

/* Copies into (out of) the memory and advances; returns the bytes copied: min(bytes, count). */
static inline size_t copy_to_iter(const void *from, size_t bytes, struct iov_iter *i)
{
	if (unlikely(i->iter_type != ITER_UBUF))
		return iov_iter_copy_out(from, bytes, i);
	if (unlikely(bytes > i->count))
		bytes = i->count;
	iov_iter_copy_bytes((char *)i->ubuf + i->iov_offset, from, bytes);
	i->iov_offset += bytes;
	i->count -= bytes;
	return bytes;
}
static inline size_t copy_from_iter(void *to, size_t bytes, struct iov_iter *i)
{
	if (unlikely(i->iter_type != ITER_UBUF))
		return iov_iter_copy_in(to, bytes, i);
	if (unlikely(bytes > i->count))
		bytes = i->count;
	iov_iter_copy_bytes(to, (char *)i->ubuf + i->iov_offset, bytes);
	i->iov_offset += bytes;
	i->count -= bytes;
	return bytes;
}
/* All of it or nothing; the cursor stays where it was on false. */
static inline bool __must_check copy_from_iter_full(void *to, size_t bytes, struct iov_iter *i)
{
	return i->count >= bytes && copy_from_iter(to, bytes, i) == bytes;
}
static inline bool __must_check copy_to_iter_full(const void *from, size_t bytes, struct iov_iter *i)
{
	return i->count >= bytes && copy_to_iter(from, bytes, i) == bytes;
}
/* Writes zeroes and advances; returns the bytes: min(bytes, count). */
size_t iov_iter_zero(size_t bytes, struct iov_iter *i);

/* All addresses and lengths of what remains, or-ed: its low bits tell the alignment of the whole. 0 when
 * empty. */
unsigned long iov_iter_alignment(const struct iov_iter *i);
/* True when every address has no bit of addr_mask and every length no bit of len_mask. */
bool iov_iter_is_aligned(const struct iov_iter *i, unsigned addr_mask, unsigned len_mask);
/* Bytes that remain in the segment of the cursor (the first that is not empty). */
size_t iov_iter_single_seg_count(const struct iov_iter *i);
/* How many runs of memory what remains has, at most `max`. */
unsigned iov_iter_nr_runs(const struct iov_iter *i, unsigned max);

/*
 * For direct I/O: takes up to `max_segs` runs of memory, together at most max_bytes, from the iterator into
 * `bvecs` and advances over them. Empty segments are left out; a run longer than 1 GiB is cut. *nr_segs: runs
 * taken. Returns the bytes taken; 0 at the end; -EOPNOTSUPP for a discard iterator.
 */
ssize_t iov_iter_get_segments(struct iov_iter *i, struct bio_vec *bvecs, unsigned max_segs, size_t max_bytes,
			      unsigned *nr_segs) __must_check;

#endif
