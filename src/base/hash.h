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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

/* The salt is spread over all bits, since names and addresses differ in the same few. */
static __always_inline u64 __hash_name_start(const void *salt)
{
	return (u64)(uintptr_t)salt * 0xbf58476d1ce4e5b9ULL;
}
/* The first word of a name goes into the state; then each further one. A shorter last word is filled with
 * zeroes. */
static __always_inline u64 __hash_name_first(u64 state, u64 word)
{
	return (state ^ word) * GOLDEN_RATIO_64;
}
static __always_inline u64 __hash_name_next(u64 state, u64 word)
{
	return (state ^ state >> 32 ^ word) * GOLDEN_RATIO_64;
}
/* No name holds a NUL, so the zeroes of its last word tell its length. */
static __always_inline u32 __hash_name_end(u64 state)
{
	return (u32)(state >> 32);
}

#define __HASH_EVERY_BYTE(b) (0x0101010101010101ULL * (b))
#define __HASH_PAGE          4096

/* The top bit of the lowest byte of w that is zero, and of none below it; 0 if no byte is zero. */
static __always_inline u64 __hash_zero_bytes(u64 w)
{
	return (w - __HASH_EVERY_BYTE(1)) & ~w & __HASH_EVERY_BYTE(0x80);
}

/* The word at p up to (and with) its first byte that is zero or `stop`; what follows that is zero. */
static inline u64 __hash_load_bytewise(const char *p, char stop)
{
	u64 w = 0;

	for (unsigned i = 0; i < 8; i++) {
		u8 c = (u8)p[i];

		w |= (u64)c << (8 * i);
		if (c == 0 || c == (u8)stop)
			break;
	}
	return w;
}

static __always_inline u64 __hash_load_word(const char *p, char stop)
{
	u64 w;

	if (SHALE_ASAN || SHALE_TSAN || unlikely(((uintptr_t)p & (__HASH_PAGE - 1)) > __HASH_PAGE - 8))
		return __hash_load_bytewise(p, stop);
	memcpy(&w, p, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* Where w has its first byte that is zero or `stop`: the top bit of that byte is the lowest that is set. */
static __always_inline u64 __hash_ends(u64 w, char stop)
{
	return __hash_zero_bytes(w) | (stop ? __hash_zero_bytes(w ^ __HASH_EVERY_BYTE((u8)stop)) : 0);
}

static __always_inline u64 __hash_until(const void *salt, const char *name, char stop)
{
	u64 state = __hash_name_start(salt), w, ends;
	size_t len = 0;

	for (;; len += 8) {
		w = __hash_load_word(name + len, stop);
		ends = __hash_ends(w, stop);
		if (ends)
			break;
		state = len ? __hash_name_next(state, w) : __hash_name_first(state, w);
	}
	if (!(ends & 0x80)) {
		w &= (ends & -ends) / 0x80 - 1;
		state = len ? __hash_name_next(state, w) : __hash_name_first(state, w);
	}
	len += (unsigned)__builtin_ctzll(ends) / 8;
	return hashlen_create(__hash_name_end(state), (u32)len);
}

/* The lowest `bytes` (1 to 8) of a word. */
static __always_inline u64 __hash_low_bytes(u64 w, unsigned bytes)
{
	return w & ((2ULL << (8 * bytes - 1)) - 1);
}

u64 hash_name_words_slow(const void *salt, const char *name, u64 words[2]);

/* Through an array of its own, so that the caller's can stay in registers. */
static __always_inline u64 __hash_name_words_away(const void *salt, const char *name, u64 words[2])
{
	u64 slow[2], hash = hash_name_words_slow(salt, name, slow);

	words[0] = slow[0];
	words[1] = slow[1];
	return hash;
}

/*
 * hash_name in place, for the path walk, of a component of at least one byte. words: its first sixteen bytes,
 * filled with zeroes.
 */
static __always_inline u64 hash_name_words(const void *salt, const char *name, u64 words[2])
{
#if defined(__SSE2__) && !SHALE_ASAN && !SHALE_TSAN
	const __m128i *p = (const __m128i *)name;
	u64 state = __hash_name_start(salt);
	unsigned len, ends;
	__m128i v;

	if (unlikely(((uintptr_t)name & (__HASH_PAGE - 1)) > __HASH_PAGE - 16))
		return __hash_name_words_away(salt, name, words);
	v = _mm_loadu_si128(p);
	ends = (unsigned)_mm_movemask_epi8(
		_mm_or_si128(_mm_cmpeq_epi8(v, _mm_setzero_si128()), _mm_cmpeq_epi8(v, _mm_set1_epi8('/'))));
	if (unlikely(!ends))
		return __hash_name_words_away(salt, name, words);
	len = (unsigned)__builtin_ctz(ends);
	words[0] = (u64)_mm_cvtsi128_si64(v);
	words[1] = 0;
	if (len <= 8) {
		words[0] = __hash_low_bytes(words[0], len);
		state = __hash_name_first(state, words[0]);
	} else {
		words[1] = __hash_low_bytes((u64)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)), len - 8);
		state = __hash_name_next(__hash_name_first(state, words[0]), words[1]);
	}
	return hashlen_create(__hash_name_end(state), len);
#else
	return hash_name_words_slow(salt, name, words);
#endif
}

/*
 * Where the slashes of a path are: a bit for each of its first PATH_SCAN_BYTES bytes. The lowest bit of *nul
 * is where it ends. 0 when it does not end in these bytes (or is not to be looked at so far in one go); then
 * *nul is left alone.
 */
#define PATH_SCAN_BYTES 64
static __always_inline u64 path_slashes(const char *path, u64 *nul)
{
	u64 slashes = 0, end;

#if defined(__SSE2__) && !SHALE_ASAN && !SHALE_TSAN
	if (unlikely(((uintptr_t)path & (__HASH_PAGE - 1)) > __HASH_PAGE - PATH_SCAN_BYTES))
		return 0;
	for (unsigned i = 0; i < PATH_SCAN_BYTES; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(path + i));

		slashes |= (u64)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('/'))) << i;
		end = (u64)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128())) << i;
#else
	for (unsigned i = 0; i < PATH_SCAN_BYTES; i++) {
		slashes |= (u64)(path[i] == '/') << i;
		end = (u64)!path[i] << i;
#endif
		if (end) {
			*nul = end;
			return slashes;
		}
	}
	return 0;
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
