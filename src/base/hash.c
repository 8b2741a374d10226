/* SPDX-License-Identifier: MIT */
/*
 * Hashing of names, eight bytes at a time. The words of a name are those from its first byte, whatever its
 * alignment; the last is filled with zeroes. To find the end of a component without asking for its length
 * first, a word is tested for a NUL or a slash in all its bytes at once: subtracting one from each byte
 * borrows into the top bit of the bytes that were zero (and perhaps of bytes above the lowest such, which do
 * not matter).
 *
 * A whole word is read only where it cannot reach into the next page; near a page's end, and always under the
 * sanitizers, which know the true ends of objects, it is put together byte by byte.
 */
#include "base/hash.h"

#define EVERY_BYTE(b) (0x0101010101010101ULL * (b))
#define HASH_PAGE     4096

/* The top bit of the lowest byte of w that is zero, and of none below it; 0 if no byte is zero. */
static inline u64 zero_bytes(u64 w)
{
	return (w - EVERY_BYTE(1)) & ~w & EVERY_BYTE(0x80);
}

/* The word at p up to (and with) its first byte that is zero or `stop`; what follows that is zero. */
static u64 load_bytewise(const char *p, char stop)
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

static inline u64 load_word(const char *p, char stop)
{
	u64 w;

	if (SHALE_ASAN || SHALE_TSAN || unlikely(((uintptr_t)p & (HASH_PAGE - 1)) > HASH_PAGE - 8))
		return load_bytewise(p, stop);
	memcpy(&w, p, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

static __always_inline u64 hash_until(const void *salt, const char *name, char stop)
{
	u64 state = (u64)(uintptr_t)salt;
	size_t len = 0;

	for (;;) {
		u64 w = load_word(name + len, stop);
		u64 ends = zero_bytes(w) | (stop ? zero_bytes(w ^ EVERY_BYTE((u8)stop)) : 0);

		if (ends) {
			unsigned bytes = (unsigned)__builtin_ctzll(ends) / 8;

			if (bytes)
				state = __hash_name_step(state, w & ((1ULL << (8 * bytes)) - 1));
			len += bytes;
			return hashlen_create(__hash_name_end(state, len), (u32)len);
		}
		state = __hash_name_step(state, w);
		len += 8;
	}
}

u64 hash_name(const void *salt, const char *name)
{
	return hash_until(salt, name, '/');
}

u64 hashlen_string(const void *salt, const char *name)
{
	return hash_until(salt, name, 0);
}

u32 full_name_hash(const void *salt, const char *name, unsigned len)
{
	u64 state = (u64)(uintptr_t)salt;
	unsigned left = len;
	u64 w;

	for (; left >= 8; left -= 8, name += 8) {
		memcpy(&w, name, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		state = __hash_name_step(state, w);
	}
	if (left) {
		w = 0;
		for (unsigned i = 0; i < left; i++)
			w |= (u64)(u8)name[i] << (8 * i);
		state = __hash_name_step(state, w);
	}
	return __hash_name_end(state, len);
}
