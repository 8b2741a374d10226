/* SPDX-License-Identifier: MIT */
/*
 * Hashes for tables in memory (never on disk): of integers by multiplication, of names eight bytes at a time.
 * hash_name and full_name_hash give the same value for the same bytes, on any machine of one byte order. They
 * are fast, not secret: a table that an attacker can fill salts them with something he cannot know.
 *
 * hash_name looks for the end of a component while it hashes. It reads aligned words, so that it may read
 * bytes after the end but never those of another page; under the sanitizers it reads byte by byte.
 */
#ifndef SHALE_BASE_HASH_H
#define SHALE_BASE_HASH_H

#include <string.h>
#include "base/compiler.h"

/* 2^64 and 2^32 divided by the golden ratio, made odd. */
#define GOLDEN_RATIO_64 0x9e3779b97f4a7c15ULL
#define GOLDEN_RATIO_32 0x9e3779b9U

/* The `bits` (1 to 64, or 32) best bits of a hash of the value. */
static inline u64 hash_64(u64 val, unsigned bits)
{
	return (val * GOLDEN_RATIO_64) >> (64 - bits);
}
static inline u32 hash_32(u32 val, unsigned bits)
{
	return (val * GOLDEN_RATIO_32) >> (32 - bits);
}
static inline u32 hash_ptr(const void *p, unsigned bits)
{
	return (u32)hash_64((u64)(uintptr_t)p, bits);
}
static inline u32 hash_long(unsigned long val, unsigned bits)
{
	return (u32)hash_64(val, bits);
}

/* All 64 bits depend on all bits of the value. */
static inline u64 hash_mix64(u64 x)
{
	x ^= x >> 32;
	x *= GOLDEN_RATIO_64;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 32;
}

/* A hash (low half) and a length (high half) in one word, so that both compare at once. */
#define hashlen_hash(hashlen) ((u32)(hashlen))
#define hashlen_len(hashlen)  ((u32)((u64)(hashlen) >> 32))
static inline u64 hashlen_create(u32 hash, u32 len)
{
	return (u64)len << 32 | hash;
}

/* One word of a name goes into the state; a shorter last word is filled with zeroes. */
static inline u64 __hash_name_step(u64 state, u64 word)
{
	state = (state ^ word) * GOLDEN_RATIO_64;
	return state ^ state >> 31;
}
static inline u32 __hash_name_end(u64 state, size_t len)
{
	state = (state ^ len) * 0xbf58476d1ce4e5b9ULL;
	return (u32)(state >> 32);
}

/* The hash of `len` bytes. */
u32 full_name_hash(const void *salt, const char *name, unsigned len);
/* Hash and length (see hashlen_create) of the component at `name`, up to and without the first '/' or NUL. */
u64 hash_name(const void *salt, const char *name);
/* The same up to the NUL only. */
u64 hashlen_string(const void *salt, const char *name);

/* Equal bytes? Short lengths without a call. */
static __always_inline bool name_equal(const char *a, const char *b, size_t len)
{
	u64 x, y;

	while (len >= 8) {
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		if (x != y)
			return false;
		a += 8, b += 8, len -= 8;
	}
	if (len & 4) {
		u32 p, q;

		memcpy(&p, a, 4);
		memcpy(&q, b, 4);
		if (p != q)
			return false;
		a += 4, b += 4;
	}
	for (len &= 3; len; len--)
		if (*a++ != *b++)
			return false;
	return true;
}

#endif
