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

u64 hash_name(const void *salt, const char *name)
{
	return __hash_until(salt, name, '/');
}

u64 hashlen_string(const void *salt, const char *name)
{
	return __hash_until(salt, name, 0);
}

u64 hash_name_words_slow(const void *salt, const char *name, u64 words[2])
{
	u64 hash_len = hash_name(salt, name);
	unsigned len = min(hashlen_len(hash_len), 16u);

	words[0] = words[1] = 0;
	for (unsigned i = 0; i < len; i++)
		words[i / 8] |= (u64)(u8)name[i] << (8 * (i % 8));
	return hash_len;
}

u32 full_name_hash(const void *salt, const char *name, unsigned len)
{
	u64 state = __hash_name_start(salt), w;

	for (unsigned at = 0; at < len; at += 8) {
		w = 0;
		if (len - at >= 8) {
			memcpy(&w, name + at, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
			w = __builtin_bswap64(w);
#endif
		} else {
			for (unsigned i = 0; i < len - at; i++)
				w |= (u64)(u8)name[at + i] << (8 * i);
		}
		state = at ? __hash_name_next(state, w) : __hash_name_first(state, w);
	}
	return __hash_name_end(state);
}
