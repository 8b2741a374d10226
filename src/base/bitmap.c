/* SPDX-License-Identifier: MIT */
/*
 * Searching goes word by word: the word of the start with the bits before it masked out, then whole words,
 * until one is not empty; bits at or beyond the end count as not found. The on-disk forms load eight bytes at
 * a time from any address, and the last few bytes of a map one by one, so that no byte beyond the map is
 * read.
 */
#include <string.h>
#include "base/atomic.h"
#include "base/bitmap.h"
#include "base/le.h"

static __always_inline unsigned long find(const unsigned long *a, const unsigned long *b,
					  unsigned long invert, unsigned long size, unsigned long offset)
{
	unsigned long at = offset / BITS_PER_LONG;
	unsigned long mask = ~0UL << (offset % BITS_PER_LONG);

	if (offset >= size)
		return size;
	for (;;) {
		unsigned long word = READ_ONCE(a[at]) ^ invert;

		if (b)
			word &= READ_ONCE(b[at]);
		word &= mask;
		if (word) {
			unsigned long bit = at * BITS_PER_LONG + __ffs(word);

			return bit < size ? bit : size;
		}
		mask = ~0UL;
		if (++at * BITS_PER_LONG >= size)
			return size;
	}
}

unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long offset)
{
	return find(map, NULL, 0, size, offset);
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size, unsigned long offset)
{
	return find(map, NULL, ~0UL, size, offset);
}

unsigned long find_next_and_bit(const unsigned long *a, const unsigned long *b, unsigned long size,
				unsigned long offset)
{
	return find(a, b, 0, size, offset);
}

/* The bits of the last word of a map of `size` bits that belong to it. */
static unsigned long last_mask(unsigned long size)
{
	return ~0UL >> (-size % BITS_PER_LONG);
}

unsigned long find_last_bit(const unsigned long *map, unsigned long size)
{
	unsigned long at = BITS_TO_LONGS(size);
	unsigned long mask = last_mask(size);

	while (at--) {
		unsigned long word = READ_ONCE(map[at]) & mask;

		if (word)
			return at * BITS_PER_LONG + __fls(word);
		mask = ~0UL;
	}
	return size;
}

/* Calls for each word that `nr` bits from `start` touch: which word, and which of its bits. */
#define for_each_touched_word(at, mask, start, nr)                                                           \
	for (unsigned long touch_end = (start) + (nr), touch_bit = (start), at = 0, mask = 0;                \
	     touch_bit < touch_end &&                                                                        \
	     (at = touch_bit / BITS_PER_LONG, mask = ~0UL << (touch_bit % BITS_PER_LONG),                    \
	     mask &= touch_end - at * BITS_PER_LONG < BITS_PER_LONG ? ~(~0UL << (touch_end % BITS_PER_LONG)) \
								    : ~0UL,                                  \
	     1);                                                                                             \
	     touch_bit = (at + 1) * BITS_PER_LONG)

void bitmap_set(unsigned long *map, unsigned long start, unsigned long nr)
{
	for_each_touched_word(at, mask, start, nr) map[at] |= mask;
}

void bitmap_clear(unsigned long *map, unsigned long start, unsigned long nr)
{
	for_each_touched_word(at, mask, start, nr) map[at] &= ~mask;
}

void bitmap_zero(unsigned long *map, unsigned long nr)
{
	memset(map, 0, BITS_TO_LONGS(nr) * sizeof(*map));
}

void bitmap_fill(unsigned long *map, unsigned long nr)
{
	bitmap_zero(map, nr);
	bitmap_set(map, 0, nr);
}

void bitmap_copy(unsigned long *to, const unsigned long *from, unsigned long nr)
{
	memcpy(to, from, BITS_TO_LONGS(nr) * sizeof(*to));
}

unsigned long bitmap_weight(const unsigned long *map, unsigned long nr)
{
	unsigned long weight = 0;

	for_each_touched_word(at, mask, 0, nr) weight += hweight64(READ_ONCE(map[at]) & mask);
	return weight;
}

bool bitmap_empty(const unsigned long *map, unsigned long nr)
{
	return find_next_bit(map, nr, 0) == nr;
}

bool bitmap_full(const unsigned long *map, unsigned long nr)
{
	return find_next_zero_bit(map, nr, 0) == nr;
}

unsigned long bitmap_find_next_zero_area(const unsigned long *map, unsigned long size, unsigned long start,
					 unsigned long nr, unsigned long align_mask)
{
	for (;;) {
		unsigned long first = find_next_zero_bit(map, size, start);
		unsigned long used;

		first = (first + align_mask) & ~align_mask;
		if (first > size || nr > size - first)
			return size;
		used = find_next_bit(map, first + nr, first);
		if (used == first + nr)
			return first;
		start = used + 1;
	}
}

/* Word number `at` of a map of `size` bits on disk; bytes that are not of the map are zero. */
static u64 load_le(const u8 *map, unsigned long size, unsigned long at)
{
	unsigned long bytes = BITS_TO_BYTES(size) - at * 8;
	u64 word = 0;

	if (likely(bytes >= 8))
		return get_unaligned_le64(map + at * 8);
	for (unsigned long i = 0; i < bytes; i++)
		word |= (u64)map[at * 8 + i] << (8 * i);
	return word;
}

static __always_inline unsigned long find_le(const void *map, u64 invert, unsigned long size,
					     unsigned long offset)
{
	unsigned long at = offset / 64;
	u64 mask = ~0ULL << (offset % 64);

	if (offset >= size)
		return size;
	for (;;) {
		u64 word = (load_le(map, size, at) ^ invert) & mask;

		if (word) {
			unsigned long bit = at * 64 + __ffs(word);

			return bit < size ? bit : size;
		}
		mask = ~0ULL;
		if (++at * 64 >= size)
			return size;
	}
}

unsigned long find_next_bit_le(const void *map, unsigned long size, unsigned long offset)
{
	return find_le(map, 0, size, offset);
}

unsigned long find_next_zero_bit_le(const void *map, unsigned long size, unsigned long offset)
{
	return find_le(map, ~0ULL, size, offset);
}

static void fill_le(u8 *map, unsigned long start, unsigned long nr, bool set)
{
	unsigned long end = start + nr;

	while (start < end && (start % 8 || end - start < 8)) {
		if (set)
			__set_bit_le(start, map);
		else
			__clear_bit_le(start, map);
		start++;
	}
	if (start == end)
		return;
	memset(map + start / 8, set ? 0xff : 0, (end - start) / 8);
	fill_le(map, round_down(end, 8), end % 8, set);
}

void bitmap_set_le(void *map, unsigned long start, unsigned long nr)
{
	fill_le(map, start, nr, true);
}

void bitmap_clear_le(void *map, unsigned long start, unsigned long nr)
{
	fill_le(map, start, nr, false);
}

unsigned long bitmap_weight_le(const void *map, unsigned long nr)
{
	unsigned long weight = 0;

	for (unsigned long at = 0; at * 64 < nr; at++) {
		u64 word = load_le(map, nr, at);

		if (nr - at * 64 < 64)
			word &= (1ULL << (nr % 64)) - 1;
		weight += hweight64(word);
	}
	return weight;
}
