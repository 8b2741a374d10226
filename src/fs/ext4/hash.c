/* SPDX-License-Identifier: MIT */
/*
 * The hashes by which directories are ordered: "legacy", half MD4 and TEA, each in a form that takes the
 * bytes of a name as signed and one that takes them as unsigned. The low bit of the hash is kept free: in the
 * index it tells that a run of equal hashes goes on from the leaf before. Source: ext4 documentation, "Hash
 * Tree Directories", and RFC 1320 for the MD4 functions.
 */
#include "fs/ext4/ext4_internal.h"

#define HTREE_EOF_32BIT 0x7fffffffu

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

/* Four bytes, the first one highest. A byte that counts as negative takes one from those before it. */
static inline u32 name_word(const char *name, bool is_unsigned)
{
	u32 word;

	memcpy(&word, name, 4);
	word = __be_swap32(word);
	return is_unsigned ? word : word - ((word & 0x00808080) << 1);
}

/*
 * Packs a stretch of the name into `words` words, `stride` apart, most significant byte first as far as the
 * shifting goes; what the name does not fill is padded with its length, repeated.
 */
static inline void name_words(const char *name, unsigned len, u32 *buf, unsigned words, unsigned stride,
			      bool is_unsigned)
{
	u32 pad = len | len << 8, val;
	unsigned at = 0, i = 0;

	pad |= pad << 16;
	for (; i < words && at + 4 <= len; i++, at += 4)
		buf[i * stride] = name_word(name + at, is_unsigned);
	if (i == words)
		return;
	for (val = pad; at < len; at++)
		val = name_byte(name, at, is_unsigned) + (val << 8);
	for (buf[i++ * stride] = val; i < words; i++)
		buf[i * stride] = pad;
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

/*
 * MD4's three rounds of RFC 1320, each over eight words in its own order with its own shifts: of one name, or
 * of as many as a vector has lanes. Each step waits for the one before, so several names take hardly longer
 * than one.
 */
#define MD4_F(x, y, z)               (z ^ (x & (y ^ z)))
#define MD4_G(x, y, z)               ((x & y) + ((x ^ y) & z))
#define MD4_H(x, y, z)               (x ^ y ^ z)
#define STEP(f, a, b, c, d, x, k, s) (a = a + f(b, c, d) + x + k, a = a << s | a >> (32 - s))
#define FOUR(f, k, s0, s1, s2, s3, i0, i1, i2, i3)                                                           \
	STEP(f, a, b, c, d, in[i0], k, s0);                                                                  \
	STEP(f, d, a, b, c, in[i1], k, s1);                                                                  \
	STEP(f, c, d, a, b, in[i2], k, s2);                                                                  \
	STEP(f, b, c, d, a, in[i3], k, s3)
#define HALF_MD4(name, word)                                                                                 \
	static void name(word state[4], const word in[8])                                                    \
	{                                                                                                    \
		word a = state[0], b = state[1], c = state[2], d = state[3];                                 \
                                                                                                             \
		FOUR(MD4_F, 0u, 3, 7, 11, 19, 0, 1, 2, 3);                                                   \
		FOUR(MD4_F, 0u, 3, 7, 11, 19, 4, 5, 6, 7);                                                   \
		FOUR(MD4_G, 0x5A827999u, 3, 5, 9, 13, 1, 3, 5, 7);                                           \
		FOUR(MD4_G, 0x5A827999u, 3, 5, 9, 13, 0, 2, 4, 6);                                           \
		FOUR(MD4_H, 0x6ED9EBA1u, 3, 9, 11, 15, 3, 7, 2, 6);                                          \
		FOUR(MD4_H, 0x6ED9EBA1u, 3, 9, 11, 15, 1, 5, 0, 4);                                          \
		state[0] += a;                                                                               \
		state[1] += b;                                                                               \
		state[2] += c;                                                                               \
		state[3] += d;                                                                               \
	}

typedef u32 hash_lanes __attribute__((vector_size(4 * EXT4_HASH_BATCH)));

HALF_MD4(half_md4_transform, u32)
HALF_MD4(half_md4_transform_lanes, hash_lanes)
#undef HALF_MD4
#undef FOUR
#undef STEP

static void seed_state(const struct ext4_sb_info *sbi, u32 state[4])
{
	static const u32 md4_start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	bool seeded = sbi->hash_seed[0] | sbi->hash_seed[1] | sbi->hash_seed[2] | sbi->hash_seed[3];

	memcpy(state, seeded ? sbi->hash_seed : md4_start, 4 * sizeof(*state));
}

static bool hash_is_unsigned(u8 version)
{
	return version >= DX_HASH_LEGACY_UNSIGNED && version <= DX_HASH_TEA_UNSIGNED;
}

static u32 hash_tidy(u32 hash)
{
	hash &= ~1u;
	/* The largest hash would stand for the end of the directory. */
	return hash == HTREE_EOF_32BIT << 1 ? (HTREE_EOF_32BIT - 1) << 1 : hash;
}

int ext4_dirhash(const struct ext4_sb_info *sbi, u8 version, const char *name, unsigned len,
		 struct ext4_hash *out)
{
	bool is_unsigned = hash_is_unsigned(version);
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
			name_words(name + at, len - at, in, 8, 1, is_unsigned);
			half_md4_transform(state, in);
		}
		out->hash = state[1];
		out->minor = state[2];
		break;
	case DX_HASH_TEA:
	case DX_HASH_TEA_UNSIGNED:
		for (unsigned at = 0; at < len; at += 16) {
			name_words(name + at, len - at, in, 4, 1, is_unsigned);
			tea_transform(state, in);
		}
		out->hash = state[0];
		out->minor = state[1];
		break;
	default:
		return -EOPNOTSUPP;
	}
	out->hash = hash_tidy(out->hash);
	return 0;
}

/* Names of at most 32 bytes by half MD4: those of a batch at once. */
static void half_md4_batch(const struct ext4_sb_info *sbi, struct ext4_hash_batch *batch, bool is_unsigned)
{
	hash_lanes in[8], state[4];
	u32 start[4];

	seed_state(sbi, start);
	for (unsigned i = 0; i < 4; i++)
		state[i] = start[i] - (hash_lanes){0};
	for (unsigned i = 0; i < EXT4_HASH_BATCH; i++) {
		unsigned lane = i < batch->n ? i : 0;

		name_words(batch->name[lane], batch->len[lane], (u32 *)in + i, 8, EXT4_HASH_BATCH,
			   is_unsigned);
	}
	half_md4_transform_lanes(state, in);
	for (unsigned i = 0; i < batch->n; i++)
		batch->hash[i] = (struct ext4_hash){hash_tidy(state[1][i]), state[2][i]};
}

int ext4_dirhash_batch(const struct ext4_sb_info *sbi, u8 version, struct ext4_hash_batch *batch)
{
	unsigned longest = 0;
	int err = 0;

	for (unsigned i = 0; i < batch->n; i++)
		longest = max(longest, batch->len[i]);
	if (longest <= 32 && (version == DX_HASH_HALF_MD4 || version == DX_HASH_HALF_MD4_UNSIGNED)) {
		half_md4_batch(sbi, batch, hash_is_unsigned(version));
		return 0;
	}
	for (unsigned i = 0; i < batch->n && !err; i++)
		err = ext4_dirhash(sbi, version, batch->name[i], batch->len[i], &batch->hash[i]);
	return err;
}
