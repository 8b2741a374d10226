/* SPDX-License-Identifier: MIT */
/*
 * The checks of base/crc.h. By table, one byte at a time; crc32c also by the processor's instruction, eight
 * bytes at a time. A table's entry is the exclusive or of the entries of its index's bits (the code is
 * linear), so each table is written as eight constants and unfolded by the preprocessor; the tests compare it
 * with division bit by bit.
 */
#include <string.h>
#include "base/crc.h"
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define BIT_TERM(i, b, v) (((i) >> (b)&1) ? (v) : 0u)
/* Entries 1, 2, 4, ... 128 of the table of CRC32C. */
#define CRC32C(i)                                                                                            \
	(BIT_TERM(i, 0, 0xf26b8303u) ^ BIT_TERM(i, 1, 0xe13b70f7u) ^ BIT_TERM(i, 2, 0xc79a971fu) ^           \
	 BIT_TERM(i, 3, 0x8ad958cfu) ^ BIT_TERM(i, 4, 0x105ec76fu) ^ BIT_TERM(i, 5, 0x20bd8edeu) ^           \
	 BIT_TERM(i, 6, 0x417b1dbcu) ^ BIT_TERM(i, 7, 0x82f63b78u))
/* Entries 1, 2, 4, ... 128 of the table of CRC32. */
#define CRC32(i)                                                                                             \
	(BIT_TERM(i, 0, 0x77073096u) ^ BIT_TERM(i, 1, 0xee0e612cu) ^ BIT_TERM(i, 2, 0x76dc419u) ^            \
	 BIT_TERM(i, 3, 0xedb8832u) ^ BIT_TERM(i, 4, 0x1db71064u) ^ BIT_TERM(i, 5, 0x3b6e20c8u) ^            \
	 BIT_TERM(i, 6, 0x76dc4190u) ^ BIT_TERM(i, 7, 0xedb88320u))
/* Of CRC32 with the most significant bit first. */
#define CRC32BE(i)                                                                                           \
	(BIT_TERM(i, 0, 0x04c11db7u) ^ BIT_TERM(i, 1, 0x09823b6eu) ^ BIT_TERM(i, 2, 0x130476dcu) ^           \
	 BIT_TERM(i, 3, 0x2608edb8u) ^ BIT_TERM(i, 4, 0x4c11db70u) ^ BIT_TERM(i, 5, 0x9823b6e0u) ^           \
	 BIT_TERM(i, 6, 0x34867077u) ^ BIT_TERM(i, 7, 0x690ce0eeu))
/* Entries 1, 2, 4, ... 128 of the table of CRC16. */
#define CRC16(i)                                                                                             \
	(BIT_TERM(i, 0, 0xc0c1u) ^ BIT_TERM(i, 1, 0xc181u) ^ BIT_TERM(i, 2, 0xc301u) ^                       \
	 BIT_TERM(i, 3, 0xc601u) ^ BIT_TERM(i, 4, 0xcc01u) ^ BIT_TERM(i, 5, 0xd801u) ^                       \
	 BIT_TERM(i, 6, 0xf001u) ^ BIT_TERM(i, 7, 0xa001u))

#define ROW4(f, i)  f(i), f((i) + 1), f((i) + 2), f((i) + 3)
#define ROW16(f, i) ROW4(f, i), ROW4(f, (i) + 4), ROW4(f, (i) + 8), ROW4(f, (i) + 12)
#define ROW64(f, i) ROW16(f, i), ROW16(f, (i) + 16), ROW16(f, (i) + 32), ROW16(f, (i) + 48)
#define TABLE(f)                                                                                             \
	{                                                                                                    \
		ROW64(f, 0), ROW64(f, 64), ROW64(f, 128), ROW64(f, 192)                                      \
	}

static const u32 crc32c_table[256] = TABLE(CRC32C);
static const u32 crc32_table[256] = TABLE(CRC32);
static const u32 crc32_be_table[256] = TABLE(CRC32BE);
static const u16 crc16_table[256] = TABLE(CRC16);

u32 crc32c_by_table(u32 crc, const void *p, size_t len)
{
	const u8 *byte = p;

	while (len--)
		crc = crc >> 8 ^ crc32c_table[(crc ^ *byte++) & 0xff];
	return crc;
}

u32 crc32_le(u32 crc, const void *p, size_t len)
{
	const u8 *byte = p;

	while (len--)
		crc = crc >> 8 ^ crc32_table[(crc ^ *byte++) & 0xff];
	return crc;
}

u32 crc32_be(u32 crc, const void *p, size_t len)
{
	const u8 *byte = p;

	while (len--)
		crc = crc << 8 ^ crc32_be_table[(crc >> 24 ^ *byte++) & 0xff];
	return crc;
}

u16 crc16(u16 crc, const void *p, size_t len)
{
	const u8 *byte = p;

	while (len--)
		crc = (u16)(crc >> 8 ^ crc16_table[(crc ^ *byte++) & 0xff]);
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static u32 crc32c_by_instruction(u32 crc, const void *p, size_t len)
{
	const u8 *byte = p;
	u64 state = crc;

	for (; len >= 8; byte += 8, len -= 8) {
		u64 word;

		memcpy(&word, byte, 8);
		state = _mm_crc32_u64(state, word);
	}
	crc = (u32)state;
	if (len & 4) {
		u32 word;

		memcpy(&word, byte, 4);
		crc = _mm_crc32_u32(crc, word);
		byte += 4;
	}
	if (len & 2) {
		u16 word;

		memcpy(&word, byte, 2);
		crc = _mm_crc32_u16(crc, word);
		byte += 2;
	}
	return len & 1 ? _mm_crc32_u8(crc, *byte) : crc;
}

/* The instruction takes three cycles and can begin every cycle: others fill the wait of each. */
__attribute__((target("sse4.2"))) static size_t
lanes_by_instruction(u32 crc[CRC_LANES], const void *const p[CRC_LANES], size_t len)
{
	u64 a = crc[0], b = crc[1], c = crc[2];
	size_t at = 0;

	for (; len - at >= 8; at += 8) {
		u64 x, y, z;

		memcpy(&x, (const u8 *)p[0] + at, 8);
		memcpy(&y, (const u8 *)p[1] + at, 8);
		memcpy(&z, (const u8 *)p[2] + at, 8);
		a = _mm_crc32_u64(a, x);
		b = _mm_crc32_u64(b, y);
		c = _mm_crc32_u64(c, z);
	}
	crc[0] = (u32)a;
	crc[1] = (u32)b;
	crc[2] = (u32)c;
	return at;
}

static size_t lanes_begin(u32 crc[CRC_LANES], const void *const p[CRC_LANES], size_t len)
{
	return likely(__builtin_cpu_supports("sse4.2")) ? lanes_by_instruction(crc, p, len) : 0;
}

u32 crc32c(u32 crc, const void *p, size_t len)
{
	if (likely(__builtin_cpu_supports("sse4.2")))
		return crc32c_by_instruction(crc, p, len);
	return crc32c_by_table(crc, p, len);
}
#else
static size_t lanes_begin(u32 crc[CRC_LANES], const void *const p[CRC_LANES], size_t len)
{
	return 0;
}

u32 crc32c(u32 crc, const void *p, size_t len)
{
	return crc32c_by_table(crc, p, len);
}
#endif

void crc32c_lanes(u32 crc[CRC_LANES], const void *const p[CRC_LANES], size_t len)
{
	size_t at = lanes_begin(crc, p, len);

	for (unsigned i = 0; i < CRC_LANES && at < len; i++)
		crc[i] = crc32c(crc[i], (const u8 *)p[i] + at, len - at);
}
