/* SPDX-License-Identifier: MIT */
/*
 * UUIDs as text and back. The two byte orders differ in the first eight bytes only, so one table of positions
 * each says which byte the next two digits are.
 */
#include <stdio.h>
#include <string.h>
#include "base/random.h"
#include "base/uuid.h"

static const u8 uuid_order[UUID_SIZE] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const u8 guid_order[UUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static void format(const uuid_t *u, const u8 *order, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < UUID_SIZE; i++) {
		if (dash_before(i))
			*text++ = '-';
		*text++ = digits[u->b[order[i]] >> 4];
		*text++ = digits[u->b[order[i]] & 15];
	}
	*text = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse(const char *text, const u8 *order, uuid_t *u)
{
	uuid_t result;

	for (unsigned i = 0; i < UUID_SIZE; i++) {
		int high, low;

		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		high = digit(text[0]);
		low = high < 0 ? -1 : digit(text[1]);
		if (low < 0)
			return -EINVAL;
		result.b[order[i]] = (u8)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return -EINVAL;
	*u = result;
	return 0;
}

bool uuid_is_null(const uuid_t *u)
{
	static const uuid_t null;

	return uuid_equal(u, &null);
}

bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void uuid_format(const uuid_t *u, char text[UUID_STRING_LEN + 1])
{
	format(u, uuid_order, text);
}

int uuid_parse(const char *text, uuid_t *u)
{
	return parse(text, uuid_order, u);
}

void guid_format(const uuid_t *u, char text[UUID_STRING_LEN + 1])
{
	format(u, guid_order, text);
}

int guid_parse(const char *text, uuid_t *u)
{
	return parse(text, guid_order, u);
}

void uuid_generate(struct shale *machine, uuid_t *u)
{
	prandom_bytes(machine, u->b, sizeof(u->b));
	u->b[6] = (u8)((u->b[6] & 0x0f) | 0x40);
	u->b[8] = (u8)((u->b[8] & 0x3f) | 0x80);
}
