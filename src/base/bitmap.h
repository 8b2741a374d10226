/* SPDX-License-Identifier: MIT */
/*
 * Arrays of bits: in memory as arrays of unsigned long, and on disk as arrays of bytes with bit 0 in the
 * lowest bit of byte 0 (the _le forms, for any address). Searches return `size` when nothing is found, and
 * read no byte beyond `size` bits. Owns nothing; the caller's lock guards the bits. Searches over unsigned
 * long read each word once and relaxed, so they may run beside set_bit and clear_bit of base/atomic.h; the
 * changes here are not atomic.
 */
#ifndef SHALE_BASE_BITMAP_H
#define SHALE_BASE_BITMAP_H

#include "base/compiler.h"

#define BITS_TO_LONGS(bits)        DIV_ROUND_UP((bits), BITS_PER_LONG)
#define BITS_TO_BYTES(bits)        DIV_ROUND_UP((bits), 8)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

/* The first set (clear) bit at or after `offset`. */
unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long offset);
unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size, unsigned long offset);
/* The first bit set in both. */
unsigned long find_next_and_bit(const unsigned long *a, const unsigned long *b, unsigned long size,
				unsigned long offset);
/* The last set bit below `size`. */
unsigned long find_last_bit(const unsigned long *map, unsigned long size);
static inline unsigned long find_first_bit(const unsigned long *map, unsigned long size)
{
	return find_next_bit(map, size, 0);
}
static inline unsigned long find_first_zero_bit(const unsigned long *map, unsigned long size)
{
	return find_next_zero_bit(map, size, 0);
}

#define for_each_set_bit(bit, map, size)                                                                     \
	for ((bit) = find_next_bit(map, size, 0); (bit) < (size); (bit) = find_next_bit(map, size, (bit) + 1))
#define for_each_clear_bit(bit, map, size)                                                                   \
	for ((bit) = find_next_zero_bit(map, size, 0); (bit) < (size);                                       \
	     (bit) = find_next_zero_bit(map, size, (bit) + 1))

/* One bit, not atomic. The test forms return its value before. */
static inline void __set_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] |= 1UL << (nr % BITS_PER_LONG);
}
static inline void __clear_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] &= ~(1UL << (nr % BITS_PER_LONG));
}
static inline bool __test_bit(unsigned long nr, const unsigned long *map)
{
	return map[nr / BITS_PER_LONG] >> (nr % BITS_PER_LONG) & 1;
}
static inline bool __test_and_set_bit(unsigned long nr, unsigned long *map)
{
	bool old = __test_bit(nr, map);

	__set_bit(nr, map);
	return old;
}
static inline bool __test_and_clear_bit(unsigned long nr, unsigned long *map)
{
	bool old = __test_bit(nr, map);

	__clear_bit(nr, map);
	return old;
}

/* `nr` bits from `start`. */
void bitmap_set(unsigned long *map, unsigned long start, unsigned long nr);
void bitmap_clear(unsigned long *map, unsigned long start, unsigned long nr);
/* The first `nr` bits: all clear, all set, copied; bits beyond in the last word become clear (copy: are
 * copied). */
void bitmap_zero(unsigned long *map, unsigned long nr);
void bitmap_fill(unsigned long *map, unsigned long nr);
void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned long nr);
/* How many of the first `nr` bits are set; are none, are all. */
unsigned long bitmap_weight(const unsigned long *map, unsigned long nr);
bool bitmap_empty(const unsigned long *map, unsigned long nr);
bool bitmap_full(const unsigned long *map, unsigned long nr);
/* The first run of `nr` clear bits at or after start whose first bit is a multiple of align_mask + 1; size if
 * none. */
unsigned long bitmap_find_next_zero_area(const unsigned long *map, unsigned long size, unsigned long start,
					 unsigned long nr, unsigned long align_mask);

/* On disk. */
static inline bool test_bit_le(unsigned long nr, const void *map)
{
	return ((const u8 *)map)[nr / 8] >> (nr % 8) & 1;
}
static inline void __set_bit_le(unsigned long nr, void *map)
{
	((u8 *)map)[nr / 8] |= (u8)(1u << (nr % 8));
}
static inline void __clear_bit_le(unsigned long nr, void *map)
{
	((u8 *)map)[nr / 8] &= (u8) ~(1u << (nr % 8));
}
static inline bool __test_and_set_bit_le(unsigned long nr, void *map)
{
	bool old = test_bit_le(nr, map);

	__set_bit_le(nr, map);
	return old;
}
static inline bool __test_and_clear_bit_le(unsigned long nr, void *map)
{
	bool old = test_bit_le(nr, map);

	__clear_bit_le(nr, map);
	return old;
}
unsigned long find_next_bit_le(const void *map, unsigned long size, unsigned long offset);
unsigned long find_next_zero_bit_le(const void *map, unsigned long size, unsigned long offset);
void bitmap_set_le(void *map, unsigned long start, unsigned long nr);
void bitmap_clear_le(void *map, unsigned long start, unsigned long nr);
unsigned long bitmap_weight_le(const void *map, unsigned long nr);

#endif
