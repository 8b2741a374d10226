/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic that tells when the result does not fit. Everything computed from sizes that came from a disk or
 * from a caller goes through here. The check_ forms return true on overflow; the size_ forms stick at
 * SIZE_MAX, which every allocator of base/alloc.h refuses.
 */
#ifndef SHALE_BASE_OVERFLOW_H
#define SHALE_BASE_OVERFLOW_H

#include "base/compiler.h"

/* *d = a op b; true when the value does not fit into *d (which then holds the truncated value). */
static inline bool __must_check __must_check_overflow(bool overflow)
{
	return unlikely(overflow);
}
#define check_add_overflow(a, b, d) __must_check_overflow(__builtin_add_overflow(a, b, d))
#define check_sub_overflow(a, b, d) __must_check_overflow(__builtin_sub_overflow(a, b, d))
#define check_mul_overflow(a, b, d) __must_check_overflow(__builtin_mul_overflow(a, b, d))

/* *d = a << s for values that are not negative; true when bits are lost or s is out of range. */
#define check_shl_overflow(a, s, d)                                                                          \
	__must_check_overflow(({                                                                             \
		u64 shl_a = (u64)(a);                                                                        \
		u64 shl_s = (u64)(s);                                                                        \
		bool shl_bad = shl_s >= 64 || (shl_a << (shl_s & 63)) >> (shl_s & 63) != shl_a;              \
		u64 shl_r = shl_a << (shl_s & 63);                                                           \
		*(d) = (__typeof__(*(d)))shl_r;                                                              \
		shl_bad || (__type_is_signed(*(d)) && shl_r >> 63) || (u64) * (d) != shl_r;                  \
	}))

static inline size_t __must_check size_add(size_t a, size_t b)
{
	size_t sum;

	return check_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

static inline size_t __must_check size_mul(size_t a, size_t b)
{
	size_t product;

	return check_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

static inline size_t __must_check size_sub(size_t a, size_t b)
{
	size_t rest;

	return a == SIZE_MAX || b == SIZE_MAX || check_sub_overflow(a, b, &rest) ? SIZE_MAX : rest;
}

/* Bytes of an array of n elements; of a struct at p with a last member of n elements. */
#define array_size(n, element_bytes)  size_mul(n, element_bytes)
#define flex_array_size(p, member, n) size_mul(n, sizeof(*(p)->member))
#define struct_size(p, member, n)     size_add(sizeof(*(p)), flex_array_size(p, member, n))

/* True when [offset, offset + length) lies inside [0, limit), without ever overflowing. */
static inline bool range_fits(u64 offset, u64 length, u64 limit)
{
	return offset <= limit && length <= limit - offset;
}

#endif
