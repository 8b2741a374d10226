/* SPDX-License-Identifier: MIT */
/* SHA-256 as FIPS 180-4 gives it, for what a format names by its digest; written for its size, not for speed.
 */
#include "base/sha256.h"

#include <string.h>

#define BLOCK 64 /* bytes */

/* First 32 bits of the fractions of the cube roots of the first 64 primes; FIPS 180-4, 4.2.2. */
static const u32 round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* And of the square roots of the first eight; 5.3.3. */
static const u32 start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static inline u32 ror32(u32 x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static u32 get_be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void put_be32(u8 *p, u32 x)
{
	for (int i = 0; i < 4; i++)
		p[i] = (u8)(x >> (24 - 8 * i));
}

static void digest_block(u32 state[8], const u8 *block)
{
	u32 w[64], v[8];

	for (int t = 0; t < 16; t++)
		w[t] = get_be32(block + 4 * (size_t)t);
	for (int t = 16; t < 64; t++) {
		u32 s0 = ror32(w[t - 15], 7) ^ ror32(w[t - 15], 18) ^ w[t - 15] >> 3;
		u32 s1 = ror32(w[t - 2], 17) ^ ror32(w[t - 2], 19) ^ w[t - 2] >> 10;

		w[t] = s1 + w[t - 7] + s0 + w[t - 16];
	}
	memcpy(v, state, sizeof(v));
	for (int t = 0; t < 64; t++) {
		u32 a = v[0], e = v[4];
		u32 t1 = v[7] + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + ((e & v[5]) ^ (~e & v[6])) +
			 round_constants[t] + w[t];
		u32 t2 = (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) +
			 ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(*v));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256(const void *data, size_t bytes, u8 out[SHA256_BYTES])
{
	size_t whole = bytes / BLOCK * BLOCK, rest = bytes - whole;
	/* What is left, a one bit, zeroes, and the length in bits: one block or two. */
	u8 tail[2 * BLOCK] = {0};
	size_t tail_bytes = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
	u32 state[8];

	memcpy(state, start, sizeof(state));
	for (size_t at = 0; at < whole; at += BLOCK)
		digest_block(state, (const u8 *)data + at);
	if (rest)
		memcpy(tail, (const u8 *)data + whole, rest);
	tail[rest] = 0x80;
	put_be32(tail + tail_bytes - 8, (u32)((u64)bytes >> 29));
	put_be32(tail + tail_bytes - 4, (u32)(bytes << 3));
	for (size_t at = 0; at < tail_bytes; at += BLOCK)
		digest_block(state, tail + at);
	for (int i = 0; i < 8; i++)
		put_be32(out + 4 * (size_t)i, state[i]);
}
