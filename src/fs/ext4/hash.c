/* SPDX-License-Identifier: MIT */
/*
 * The hashes by which directories are ordered: "legacy", half MD4 and TEA, each in a form that takes the
 * bytes of a name as signed and one that takes them as unsigned. The low bit of the hash is kept free: in the
 * index it tells that a run of equal hashes goes on from the leaf before. Source: ext4 documentation, "Hash
 * Tree Directories", and RFC 1320 for the MD4 functions.
 */
#include "fs/ext4/ext4_internal.h"

#define HTREE_EOF_32BIT 0x7fffffffu

static inline u32 rol32(u32 x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static inline u32 name_byte(const char *name, unsigned at, bool is_unsigned)
{
	return is_unsigned ? (u32)(u8)name[at] : (u32)(s32)(signed char)name[at];
}

static u32 legacy_hash(const char *name, unsigned len, bool is_unsigned)
{
	u32 now, prev = 0x12a3fe2d, before = 0x37abe8f9;

	for (unsigned i = 0; i < len; i++) {
		now = before + (prev ^ name_byte(name, i, is_unsigned) * 7152373);
		if (now & 0x80000000)
			now -= 0x7fffffff;
		before = prev;
		prev = now;
	}
	return prev << 1;
}

/*
 * Packs a stretch of the name into `words` words, most significant byte first as far as the shifting goes;
 * what the name does not fill is padded with its length, repeated.
 */
static void name_words(const char *name, unsigned len, u32 *buf, unsigned words, bool is_unsigned)
{
	u32 pad = len | len << 8, val;
	unsigned n = min(len, words * 4), i;

	pad |= pad << 16;
	val = pad;
	for (i = 0; i < n; i++) {
		val = name_byte(name, i, is_unsigned) + (val << 8);
		if (i % 4 == 3) {
			*buf++ = val;
			val = pad;
			words--;
		}
	}
	if (words) {
		*buf++ = val;
		words--;
	}
	while (words--)
		*buf++ = pad;
}

static void tea_transform(u32 state[4], const u32 in[4])
{
	u32 sum = 0, x = state[0], y = state[1];

	for (unsigned n = 0; n < 16; n++) {
		sum += 0x9E3779B9;
		x += ((y << 4) + in[0]) ^ (y + sum) ^ ((y >> 5) + in[1]);
		y += ((x << 4) + in[2]) ^ (x + sum) ^ ((x >> 5) + in[3]);
	}
	state[0] += x;
	state[1] += y;
}

/* MD4's three rounds of RFC 1320, each over eight words in its own order with its own shifts. */
static inline u32 md4_f(u32 x, u32 y, u32 z)
{
	return z ^ (x & (y ^ z));
}
static inline u32 md4_g(u32 x, u32 y, u32 z)
{
	return (x & y) + ((x ^ y) & z);
}
static inline u32 md4_h(u32 x, u32 y, u32 z)
{
	return x ^ y ^ z;
}

#define STEP(f, a, b, c, d, x, s) (a = rol32(a + f(b, c, d) + (x), s))
#define FOUR(f, k, s0, s1, s2, s3, i0, i1, i2, i3)                                                           \
	STEP(f, a, b, c, d, in[i0] + (k), s0);                                                               \
	STEP(f, d, a, b, c, in[i1] + (k), s1);                                                               \
	STEP(f, c, d, a, b, in[i2] + (k), s2);                                                               \
	STEP(f, b, c, d, a, in[i3] + (k), s3)

static void half_md4_transform(u32 state[4], const u32 in[8])
{
	u32 a = state[0], b = state[1], c = state[2], d = state[3];

	FOUR(md4_f, 0u, 3, 7, 11, 19, 0, 1, 2, 3);
	FOUR(md4_f, 0u, 3, 7, 11, 19, 4, 5, 6, 7);
	FOUR(md4_g, 0x5A827999u, 3, 5, 9, 13, 1, 3, 5, 7);
	FOUR(md4_g, 0x5A827999u, 3, 5, 9, 13, 0, 2, 4, 6);
	FOUR(md4_h, 0x6ED9EBA1u, 3, 9, 11, 15, 3, 7, 2, 6);
	FOUR(md4_h, 0x6ED9EBA1u, 3, 9, 11, 15, 1, 5, 0, 4);
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}
#undef FOUR
#undef STEP

static void seed_state(const struct ext4_sb_info *sbi, u32 state[4])
{
	static const u32 md4_start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	bool seeded = sbi->hash_seed[0] | sbi->hash_seed[1] | sbi->hash_seed[2] | sbi->hash_seed[3];

	memcpy(state, seeded ? sbi->hash_seed : md4_start, 4 * sizeof(*state));
}

int ext4_dirhash(const struct ext4_sb_info *sbi, u8 version, const char *name, unsigned len,
		 struct ext4_hash *out)
{
	bool is_unsigned = version >= DX_HASH_LEGACY_UNSIGNED && version <= DX_HASH_TEA_UNSIGNED;
	u32 state[4], in[8];

	seed_state(sbi, state);
	out->minor = 0;
	switch (version) {
	case DX_HASH_LEGACY:
	case DX_HASH_LEGACY_UNSIGNED:
		out->hash = legacy_hash(name, len, is_unsigned);
		break;
	case DX_HASH_HALF_MD4:
	case DX_HASH_HALF_MD4_UNSIGNED:
		for (unsigned at = 0; at < len; at += 32) {
			name_words(name + at, len - at, in, 8, is_unsigned);
			half_md4_transform(state, in);
		}
		out->hash = state[1];
		out->minor = state[2];
		break;
	case DX_HASH_TEA:
	case DX_HASH_TEA_UNSIGNED:
		for (unsigned at = 0; at < len; at += 16) {
			name_words(name + at, len - at, in, 4, is_unsigned);
			tea_transform(state, in);
		}
		out->hash = state[0];
		out->minor = state[1];
		break;
	default:
		return -EOPNOTSUPP;
	}
	out->hash &= ~1u;
	/* The largest hash would stand for the end of the directory. */
	if (out->hash == HTREE_EOF_32BIT << 1)
		out->hash = (HTREE_EOF_32BIT - 1) << 1;
	return 0;
}
